// All folders: how they stand, what is under way, and how fast.

import { act, actOnAll } from "../api.js";
import { h } from "../dom.js";
import { may, paceOf, state } from "../live.js";
import { button, empty, mark, outcome, pill, progress, table } from "../parts.js";
import { heldSteps, plot, rateNow, rateSteps } from "../plot.js";
import { to } from "../route.js";
import { count, name, number, plain, rate, span, time } from "../text.js";
import { throughput } from "./cluster.js";

export const label = "Folders";
export const title = () => "Folders";

export const isMoving = ({ progress: has }) => Boolean(has) && (has.bytes_total > has.bytes_done || has.files_total > has.files_done);

/** What a folder is, in one word. */
export function standing(folder) {
  if (folder.brake) return pill("waits for approval");
  if (folder.status !== "Online") return pill(folder.status);
  if (folder.refused) return pill(`${count(folder.refused, "local change")} refused`, "warn");
  if (folder.in_sync) return pill("in sync");
  return folder.pending || isMoving(folder) ? pill("syncing") : pill("not proved in sync", "busy");
}

export function draw() {
  if (!state.now) return [h("div.head", {}, h("h1", { tabindex: -1 }, "Folders")), h("p.loading", {}, "Loading…")];
  return state.now.type === "manager" ? ofManager() : ofNode();
}

function ofNode() {
  const folders = state.now.folders ?? [];
  const moving = folders.filter(isMoving);
  return [
    h("div.head", {}, h("h1", { tabindex: -1 }, "Folders"), may("operate") && folders.length ? h("div.end", {},
      button("Pause all", { key: "all pause", run: () => actOnAll("pause"), done: "All folders are paused.", question: { title: "Pause all folders?", body: ["Nothing is sent or received until they are resumed."], confirm: "Pause all" } }),
      button("Resume all", { key: "all resume", run: () => actOnAll("resume"), done: "All folders go on." })) : null),
    outcome("all pause"), outcome("all resume"),
    h("div.columns", { key: "plots" }, h("section.panel", { "aria-label": "Throughput" }, throughput("total", "Throughput")), h("section.panel", { "aria-label": "Round trip" }, roundTrip())),
    moving.length ? h("section.panel", { key: "moving", "aria-label": "Transfers under way" }, h("header", {}, h("h2", {}, "Transfers under way")), transfers(moving)) : null,
    h("section.panel", { key: "list", "aria-label": "Folders" }, folders.map((folder) => outcome(`act ${folder.name}`)), folders.length ? list(folders) : empty("This node keeps no folder yet.")),
  ];
}

export function roundTrip(names) {
  const peers = (state.now.nodes ?? []).filter((peer) => peer.round_trip_ms != null && (!names || names.includes(peer.name)));
  const slowest = [...peers].sort((one, other) => other.round_trip_ms - one.round_trip_ms)[0];
  if (!slowest) return h("figure.plot", {}, h("figcaption", {}, h("strong", {}, "Round trip")), empty("No node is connected."));
  const ms = (value) => `${Number(value.toPrecision(3))} ms`;
  return plot({ label: "Round trip", format: ms, lines: [{ label: `slowest: ${plain(slowest.name)}`, tone: "trip", points: heldSteps(state.series.get(`peer:${slowest.name}`), "trip"), now: ms(slowest.round_trip_ms) }] });
}

/** How long a transfer still takes, at the pace of the last seconds. */
export function timeLeft(folder) {
  const left = folder.progress.bytes_total - folder.progress.bytes_done;
  const pace = paceOf(folder.name);
  if (left <= 0) return "nearly done";
  return pace > 0 ? `${span(left / pace)} left` : "stalled or just begun";
}

const transfers = (rows) => table({
  label: "Transfers under way", rows, key: (folder) => folder.name,
  columns: [
    { label: "Folder", cell: (folder) => h("a", { href: to.folder(folder.name) }, name(folder.name)) },
    { label: "Progress", cell: (folder) => progress(`Progress of ${plain(folder.name)}`, folder.progress) },
    { label: "Files", class: "num", cell: (folder) => `${number(folder.progress.files_done)} / ${number(folder.progress.files_total)}` },
    { label: "Pace", class: "num", cell: (folder) => rate(paceOf(folder.name)) },
    { label: "Time left", class: "num", cell: timeLeft },
  ],
});

const list = (rows) => table({
  label: "Folders", rows, key: (folder) => folder.name,
  columns: [
    { label: "Folder", cell: (folder) => [h("a", { href: to.folder(folder.name) }, name(folder.name)), folder.mode === "read-write" ? null : h("small.muted", {}, ` ${plain(folder.mode)}`)] },
    { label: "Status", class: "nowrap", cell: standing },
    { label: "In sync as of", class: "nowrap", cell: (folder) => time(folder.in_sync_at) },
    { label: "Pending", class: "num", cell: (folder) => number(folder.pending) },
    { label: "Paths", class: "num", cell: (folder) => number(folder.paths) },
    { label: "Throughput", cell: sparkline },
    { label: "Peers", class: "nowrap", cell: peersOf },
    ...(may("operate") ? [{ label: "", cell: actions }] : []),
  ],
});

function peersOf(folder) {
  const live = (folder.peers ?? []).filter((peer) => peer.is_live);
  return folder.peers ? `${number(live.filter((peer) => peer.in_sync).length)} of ${number(live.length)} in sync` : "–";
}

function sparkline(folder) {
  const series = state.series.get(`folder:${folder.name}`);
  return plot({ label: `Throughput of ${plain(folder.name)}`, compact: true, format: rate, lines: ["down", "up"].map((key) => ({ label: key === "down" ? "in" : "out", tone: key, points: rateSteps(series, key), now: rate(rateNow(series, key)) })) });
}

function actions(folder) {
  const isPaused = folder.status === "Paused";
  const shown = plain(folder.name);
  if (folder.brake) return h("div.actions", {}, h("a.button", { href: to.view("brakes"), "aria-label": `Review the brake of ${shown}` }, "Review"));
  if (folder.status === "Halted") return null;
  return h("div.actions", {}, isPaused
    ? button("Resume", { key: `act ${folder.name}`, title: `Resume ${shown}`, run: () => act(folder.name, "resume"), done: `${shown} goes on.` })
    : button("Pause", { key: `act ${folder.name}`, title: `Pause ${shown}`, run: () => act(folder.name, "pause"), done: `${shown} is paused.` }));
}

function ofManager() {
  const byName = new Map();
  for (const member of state.now.members ?? []) {
    for (const folder of member.folders ?? []) byName.set(folder.name, [...(byName.get(folder.name) ?? []), { ...folder, member }]);
  }
  const rows = [...byName].map(([folder, copies]) => ({ folder, copies })).sort((one, other) => one.folder.localeCompare(other.folder));
  const total = (copies, key) => copies.reduce((sum, copy) => sum + (copy[key] ?? 0), 0);
  return [
    h("div.head", {}, h("h1", { tabindex: -1 }, "Folders"), h("span.muted", {}, count(rows.length, "folder"))),
    h("section.panel", { "aria-label": "Throughput" }, throughput("total", "Throughput of all nodes")),
    h("section.panel", { "aria-label": "Folders" }, rows.length ? table({
      label: "Folders", rows, key: (row) => row.folder,
      columns: [
        { label: "Folder", cell: (row) => name(row.folder) },
        { label: "In sync", class: "nowrap", cell: ({ copies }) => pill(`${copies.filter((copy) => copy.in_sync).length} of ${copies.length}`, copies.some((copy) => copy.status === "Halted") ? "bad" : copies.every((copy) => copy.in_sync) ? "good" : "busy") },
        { label: "Pending", class: "num", cell: ({ copies }) => number(total(copies, "pending")) },
        { label: "Paths", class: "num", cell: ({ copies }) => number(Math.max(...copies.map((copy) => copy.paths ?? 0))) },
        { label: "Kept by", cell: ({ copies }) => copiesOf(copies) },
      ] }) : empty("No node keeps a folder yet. Place one under Placements.")),
  ];
}

const CHIPS_MAX = 12;
const toneOfCopy = (copy) => (copy.member.connected ? (copy.status === "Halted" ? "bad" : copy.status === "Paused" ? "warn" : copy.in_sync ? "good" : "busy") : "off");

function copiesOf(copies) {
  // Trouble first: it must not hide behind "and 88 more".
  const order = ["bad", "warn", "busy", "off", "good"];
  const sorted = [...copies].sort((one, other) => order.indexOf(toneOfCopy(one)) - order.indexOf(toneOfCopy(other)));
  const spoken = { good: "in sync", busy: "syncing", bad: "halted", warn: "paused", off: "offline" };
  return h("div.chips", {}, sorted.slice(0, CHIPS_MAX).map((copy) => h("span.chip", { key: copy.member.name, class: toneOfCopy(copy), title: spoken[toneOfCopy(copy)] }, mark(toneOfCopy(copy)), name(copy.member.name), h("span.unseen", {}, `, ${spoken[toneOfCopy(copy)]}`))),
    sorted.length > CHIPS_MAX ? h("span.muted", {}, `and ${number(sorted.length - CHIPS_MAX)} more`) : null);
}
