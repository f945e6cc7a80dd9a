// One folder: how it stands, and its tree, a page at a time, however many files it holds.

import { act, pathOf, removeFile, rescan, tree } from "../api.js";
import { h } from "../dom.js";
import { may, state } from "../live.js";
import { button, empty, figure, loaded, mark, outcome, pager, pill, problem, progress, table } from "../parts.js";
import { encode, fromBytes, isRoot, join, lastName, parentOf, steps } from "../path.js";
import { to } from "../route.js";
import { draft, redraw, reload, setDraft, use } from "../store.js";
import { count, name, number, own, plain, size, time } from "../text.js";
import { download, put } from "../transfer.js";
import { ask } from "../ask.js";
import { throughput } from "./cluster.js";
import { isMoving, roundTrip, standing, timeLeft } from "./folders.js";
import { panel as transfersPanel } from "./transfers.js";

export const title = ({ folder }) => plain(folder);

export function draw(route) {
  const folder = (state.now?.folders ?? []).find((one) => one.name === route.folder);
  return [
    h("div.head", {}, h("h1", { tabindex: -1 }, name(route.folder)), folder ? standing(folder) : null, folder && may("operate") ? actions(folder) : null),
    outcome(`folder ${route.folder}`),
    folder ? standingOf(folder) : state.now ? problem({ message: `This node has no folder ${route.folder}.`, hint: "Look at the list of folders." }) : null,
    transfersPanel(),
    folder && folder.status !== "Halted" || folder?.brake ? treePanel(route) : null,
    folder ? details(folder) : null,
  ];
}

function actions(folder) {
  const key = `folder ${folder.name}`;
  const shown = plain(folder.name);
  const isPaused = folder.status === "Paused";
  return h("div.end", {},
    folder.brake ? h("a.button", { href: to.view("brakes") }, "Review the brake") : null,
    isPaused ? button("Resume", { key, kind: "primary", run: () => act(folder.name, "resume"), done: `${shown} goes on.` }) : button("Pause", { key, run: () => act(folder.name, "pause"), done: `${shown} is paused.` }),
    button("Rescan", { key, run: () => rescan(folder.name), done: `${shown} is scanned anew.` }));
}

function standingOf(folder) {
  return [
    folder.reason ? h("div.banner.bad", { key: "reason" }, mark("bad"), plain(folder.reason)) : null,
    h("dl.figures", { key: "figures" },
      figure("In sync as of", time(folder.in_sync_at), null, folder.in_sync ? "good" : "warn"),
      figure("Pending", number(folder.pending), null, folder.pending ? "warn" : ""),
      figure("Paths", number(folder.paths)),
      figure("Open conflicts", number(folder.conflicts ?? 0), null, folder.conflicts ? "warn" : ""),
      figure("Peers in sync", `${number((folder.peers ?? []).filter((peer) => peer.is_live && peer.in_sync).length)} / ${number((folder.peers ?? []).length)}`),
      figure("Received", size(folder.bytes_received)), figure("Sent", size(folder.bytes_sent))),
    isMoving(folder) ? h("section.panel", { key: "moving", "aria-label": "Transfer under way" }, h("div.inner", {}, h("div.head", {}, progress("Transfer", folder.progress), h("b", {}, timeLeft(folder))))) : null,
  ];
}

const listKey = (route) => `page:tree ${route.folder} ${encode(route.path)} ${route.after ?? ""}`;

// The way back: a list is paged forwards only, so the pages that were seen are remembered.
const seen = new Map();

function previousOf(route) {
  const pages = seen.get(`${route.folder} ${encode(route.path)}`) ?? [null];
  const at = pages.indexOf(route.after);
  return at > 0 ? { after: pages[at - 1], number: at + 1 } : null;
}

function remember(route, next) {
  const key = `${route.folder} ${encode(route.path)}`;
  const pages = seen.get(key) ?? [null];
  const at = pages.indexOf(route.after);
  if (at >= 0 && next && pages[at + 1] !== next) seen.set(key, [...pages.slice(0, at + 1), next]);
}

function treePanel(route) {
  const key = listKey(route);
  const resource = use(key, () => tree(route.folder, route.path, route.after));
  const drop = (event) => { event.preventDefault(); event.currentTarget.classList.remove("drop"); if (may("operate")) void uploadAll(route, [...event.dataTransfer.files]); };
  return h("section.panel", { key: "tree", "aria-label": "Files", ondragover: (event) => { event.preventDefault(); event.currentTarget.classList.add("drop"); }, ondragleave: (event) => event.currentTarget.classList.remove("drop"), ondrop: drop },
    h("header", {}, crumbs(route), h("div.end", {}, opener(route), uploader(route), h("button", { type: "button", onclick: () => reload(key) }, "Reload"))),
    outcome(`upload ${route.folder}`),
    h("div", { "data-list": true, tabindex: -1, role: "group", "aria-label": "Files in this directory" }, loaded(resource, (data) => listing(route, data), () => reload(key))));
}

const LATER_MS = 800;
let later = null;

/** What happens in the directory that is shown is shown, though not more than about once a second. */
export function changed(event, route) {
  const isHere = (path) => path && encode(parentOf(path)) === encode(route.path);
  if (event?.folder !== route.folder || later || !(isHere(pathOf(event)) || isHere(pathOf(event, "source_path")))) return;
  later = setTimeout(() => { later = null; reload("page:tree"); }, LATER_MS);
}

function crumbs(route) {
  const all = steps(route.path);
  return h("nav", { "aria-label": "Directory" }, h("ol.crumbs", {},
    h("li", {}, all.length ? h("a", { href: to.folder(route.folder) }, name(route.folder)) : h("b", { "aria-current": "location" }, name(route.folder))),
    all.map((step, at) => h("li", {}, at < all.length - 1 ? h("a", { href: to.folder(route.folder, step.path) }, name(step.name.text, step.name.hex)) : h("b", { "aria-current": "location" }, name(step.name.text, step.name.hex))))));
}

// For what is not listed any more, and for one of a million.
function opener(route) {
  const key = `open ${route.folder}`;
  const go = (event) => {
    event.preventDefault();
    const wanted = draft(key, "").replace(/^\/+|\/+$/g, "");
    if (wanted) location.hash = to.file(route.folder, fromBytes(new TextEncoder().encode(wanted)));
  };
  return h("form.actions.opener", { onsubmit: go, role: "search" }, h("input", { type: "text", "aria-label": "Path in this folder, also of a deleted file", placeholder: "Path, also of a deleted file", value: draft(key, ""), oninput: (event) => setDraft(key, event.target.value) }), h("button", { type: "submit" }, "Open"));
}

function uploader(route) {
  if (!may("operate")) return null;
  const pick = (event) => { const files = [...event.target.files]; event.target.value = ""; void uploadAll(route, files); };
  return [
    h("input.unseen", { type: "file", id: "upload", multiple: true, tabindex: -1, "aria-hidden": "true", onchange: pick }),
    h("button", { type: "button", onclick: () => document.getElementById("upload").click() }, "Upload…")];
}

async function uploadAll(route, files) {
  for (const file of files) {
    const path = join(route.path, file.name);
    const one = await put(route.folder, path, file, null);
    if (one.error?.status === 412 && await confirmReplacing(file.name)) {
      one.stop();
      await put(route.folder, path, file, "*");
    }
  }
  reload("page:tree");
}

const confirmReplacing = (shown) => ask({ title: `Replace ${plain(shown)}?`, confirm: "Replace it", isDangerous: true, body: ["There is a file of this name already. Its content goes to the trash, from where it can be restored."] });

function listing(route, data) {
  remember(route, data.next);
  const previous = previousOf(route);
  const above = isRoot(route.path) ? null : h("a", { href: to.folder(route.folder, parentOf(route.path)) }, "Up one level");
  if (!data.items.length) return empty(route.after ? "There is nothing more." : "This directory is empty.", above);
  const pages = (label) => pager({ label, first: route.after ? to.folder(route.folder, route.path) : null, previous: previous ? to.folder(route.folder, route.path, previous.after) : null, next: data.next ? to.folder(route.folder, route.path, data.next) : null,
    shown: `${previous ? `Page ${number(previous.number)}: ` : ""}${count(data.items.length, "entry", "entries")}${data.next ? ", and there are more" : ""}` });
  return [
    h("div", { key: "above" }, pages("Pages")),
    data.items.map((row) => outcome(`delete ${route.folder} ${encode(pathOf(row))}`)),
    table({ label: "Files", isCompact: true, rows: data.items, key: (row) => row.path_hex ?? row.path, columns: columnsOf(route) }),
    h("div", { key: "below" }, pages("Pages, below the list"))];
}

const ICONS = {
  directory: "M1.7 4.2V13h12.6V5.2H7.6L6.1 3H1.7Z",
  file: "M3.5 1.8h6l3 3v9.4h-9ZM9.5 1.8v3h3",
  symlink: "M6.5 9.5 9.5 6.5M7 4.8l1.6-1.6a2.9 2.9 0 0 1 4.2 4.2L11.2 9M9 11.2l-1.6 1.6a2.9 2.9 0 0 1-4.2-4.2L4.8 7",
};

const icon = (kind) => h("svg.kind", { class: kind, viewBox: "0 0 16 16", "aria-hidden": "true" }, h("path", { d: own(ICONS, kind) ?? ICONS.file }));

function columnsOf(route) {
  return [
    { label: "Name", cell: (row) => nameCell(route, row) },
    { label: "State", class: "nowrap", cell: (row) => (row.state === "present" ? "" : pill(row.state)) },
    { label: "Size", class: "num", cell: (row) => (row.kind === "file" ? size(row.size) : "") },
    { label: "Changed", class: "nowrap", cell: (row) => (row.mtime ? time(row.mtime) : "") },
    { label: "Mode", class: "nowrap mono", cell: (row) => plain(row.mode ?? "") },
    { label: "", cell: (row) => rowActions(route, row) },
  ];
}

function nameCell(route, row) {
  const path = pathOf(row);
  const last = lastName(path);
  const shown = name(last.text, last.hex);
  if (row.kind === "directory") return [icon(row.kind), h("a", { href: to.folder(route.folder, path) }, shown), h("span.unseen", {}, ", directory")];
  return [icon(row.kind), h("a", { href: to.file(route.folder, path) }, shown), row.target !== undefined ? h("span.muted", {}, " → ", name(row.target, row.target_hex)) : null];
}

function rowActions(route, row) {
  if (row.kind === "directory") return null;
  const path = pathOf(row);
  const last = lastName(path);
  const shown = plain(last.text, last.hex);
  return h("div.actions", {},
    row.kind === "file" && row.state !== "pending" && row.state !== "excluded" ? h("button.quiet", { type: "button", "aria-label": `Download ${shown}`, onclick: () => { void download(route.folder, path, last.text, row.size); redraw(); } }, "Download") : null,
    may("operate") ? button("Delete…", { key: `delete ${route.folder} ${encode(path)}`, kind: "quiet", title: `Delete ${shown}…`, question: deletion(shown), done: `${shown} is in the trash.`,
      run: async () => { await removeFile(route.folder, path, row.content); reload("page:tree"); } }) : null);
}

export const deletion = (shown) => ({ title: `Delete ${shown}?`, isDangerous: true, confirm: "Delete it", body: ["It is deleted on every node that has this folder. Here it goes to the trash, from where its history restores it."] });

function details(folder) {
  const names = (folder.peers ?? []).filter((peer) => peer.is_live).map((peer) => peer.name);
  return [
    h("div.columns", { key: "plots" }, h("section.panel", { "aria-label": "Throughput" }, throughput(`folder:${folder.name}`, "Throughput")), h("section.panel", { "aria-label": "Round trip" }, roundTrip(names))),
    h("section.panel", { key: "facts", "aria-label": "About this folder" }, h("header", {}, h("h2", {}, "About this folder")), h("div.inner", {}, h("dl.facts", {},
      h("dt", {}, "Directory"), h("dd", {}, name(folder.root, folder.root_hex)),
      h("dt", {}, "Mode"), h("dd", {}, plain(folder.mode)),
      folder.folder ? [h("dt", {}, "Folder"), h("dd.hash", {}, plain(folder.folder)), h("dt", {}, "Replica"), h("dd.hash", {}, plain(folder.replica))] : null,
      h("dt", {}, "Peers"), h("dd.chips", {}, (folder.peers ?? []).length ? folder.peers.map(peerChip) : "none")))),
    folder.refused ? refusedPanel(folder) : null,
    folder.skipped?.length ? h("section.panel", { key: "skipped", "aria-label": "Skipped" }, h("header", {}, h("h2", {}, "Skipped"), h("span.muted", {}, count(folder.skipped.length, "path"))), table({
      label: "Skipped", rows: folder.skipped.slice(0, 200), key: (row) => row.path_hex ?? row.path,
      columns: [{ label: "Path", cell: (row) => name(row.path, row.path_hex) }, { label: "Why", cell: (row) => plain(row.reason) }] })) : null,
  ];
}

const DONE = { created: "created here", edited: "edited here", metadata: "described otherwise here", deleted: "deleted here" };

function refusedPanel(folder) {
  return h("section.panel", { key: "refused", "aria-label": "Local changes that peers refuse" }, h("header", {}, h("h2", {}, "Local changes that peers refuse"), h("span.muted", {}, count(folder.refused, "path"))),
    h("div.inner", {}, h("p", {}, "This node only receives: what is changed in its directory stays there. ", h("code", {}, "replicat revert"), " makes the directory as the others are; what it replaces goes to the trash.")),
    table({
      label: "Local changes that peers refuse", rows: (folder.refused_changes ?? []).slice(0, 200), key: (row) => row.path_hex ?? row.path,
      columns: [{ label: "Path", cell: (row) => name(row.path || ".", row.path_hex) }, { label: "What", cell: (row) => own(DONE, row.change) ?? plain(row.change) }] }));
}

function peerChip(peer) {
  const [tone, word] = !peer.is_live ? ["off", "not connected"] : peer.in_sync ? ["good", "in sync"] : ["busy", "not in sync yet"];
  return h("span.chip", { class: tone, key: peer.name }, mark(tone), name(peer.name), h("span.muted", {}, word));
}
