// The cluster at a glance: a map of its nodes and their connections, the same as a table, and what needs attention.

import { h } from "../dom.js";
import { state } from "../live.js";
import { empty, figure, mark, pill, table, toneOf } from "../parts.js";
import { plot, rateNow, rateSteps } from "../plot.js";
import { to } from "../route.js";
import { ago, count, name, number, plain, rate, size, time } from "../text.js";
import { drawMap } from "../map.js";
import { statusOf } from "./nodes.js";

export const label = "Cluster";
export const title = () => "Cluster";

export function draw(route) {
  if (!state.now) return [h("div.head", {}, h("h1", { tabindex: -1 }, "Cluster")), h("p.loading", {}, "Loading…")];
  return state.now.type === "manager" ? ofManager(route) : ofNode(route);
}

const toggle = (select) => (chosen) => { location.hash = to.node(chosen === select ? null : chosen); };

function page({ figures, map, rows, columns, select, attention, chosen }) {
  return [
    h("div.head", {}, h("h1", { tabindex: -1 }, "Cluster"), state.now.cluster ? h("span.muted", {}, "cluster ", h("span.hash", { title: plain(state.now.cluster) }, plain(state.now.cluster.slice(0, 12)))) : null),
    h("dl.figures", {}, figures),
    attention?.length ? h("section.panel", { key: "attention", "aria-label": "Needs attention" }, h("header", {}, h("h2", {}, "Needs attention")), h("ul.attention", {}, attention.map((row) => h("li", { key: row.key }, row.content)))) : null,
    h("div.split", { key: "split", class: rows.length > 24 ? "of-many" : undefined },
      h("section.panel", { "aria-label": "Map" }, h("header", {}, h("h2", {}, "Map"), h("div.end", {}, legend())), map),
      h("div.beside", {}, chosen, h("section.panel", { "aria-label": "Nodes" }, h("header", {}, h("h2", {}, "Nodes"), h("span.muted", {}, number(rows.length))),
        rows.length ? h("div", { class: rows.length > 14 ? "tall" : undefined, tabindex: rows.length > 14 ? 0 : undefined, role: rows.length > 14 ? "region" : undefined, "aria-label": rows.length > 14 ? "Nodes, scrollable" : undefined },
          table({ label: "Nodes", isCompact: rows.length > 14, rows, columns, key: (row) => row.name, rowClass: (row) => (row.name === select ? "chosen" : undefined) })) : empty("No other node is known.")))),
    h("section.panel", { key: "rates", "aria-label": "Throughput" }, throughput("total", "Throughput")),
  ];
}

const legend = () => h("div.legend-status", {}, [["good", "online"], ["busy", "on its way"], ["warn", "paused"], ["bad", "trouble"], ["off", "offline"]].map(([tone, text]) => h("span", {}, h("span", { class: tone }, mark(tone)), text)));

export function throughput(key, text) {
  const series = state.series.get(key);
  return plot({ label: text, format: rate, lines: [
    { label: "in", tone: "down", points: rateSteps(series, "down"), now: rate(rateNow(series, "down")) },
    { label: "out", tone: "up", points: rateSteps(series, "up"), now: rate(rateNow(series, "up")) }] });
}

const chooser = (select) => (row) => h("button.link", { type: "button", "aria-pressed": row.name === select ? "true" : "false", title: "Show on the map", onclick: () => toggle(select)(row.name) }, name(row.name));

function ofNode({ select }) {
  const { now } = state;
  const peers = now.nodes ?? [];
  const folders = now.folders ?? [];
  const inSync = folders.filter((folder) => folder.in_sync).length;
  const pending = folders.reduce((sum, folder) => sum + (folder.pending ?? 0), 0);
  const connected = peers.filter((peer) => peer.status === "connected").length;
  const nodes = [{ name: now.name, tone: toneOf(now.status), status: now.status, isSelf: true }, ...peers.map((peer) => ({ name: peer.name, tone: toneOf(peer.status), status: peer.status, note: peer.round_trip_ms == null ? "" : `${peer.round_trip_ms} ms` }))];
  const edges = peers.map((peer) => ({ from: now.name, to: peer.name, tone: peer.status === "connected" ? "good" : peer.status === "connecting" ? "busy" : "missing" }));
  return page({
    figures: [
      figure("Nodes connected", `${number(connected)} / ${number(peers.length)}`, null, connected < peers.length ? "warn" : ""),
      figure("Folders in sync", `${number(inSync)} / ${number(folders.length)}`, null, inSync < folders.length ? "warn" : ""),
      figure("Pending", number(pending), pending ? "paths" : null),
      figure("In", rate(rateNow(state.series.get("total"), "down"))),
      figure("Out", rate(rateNow(state.series.get("total"), "up"))),
      figure("Running for", ago(now.started).replace(" ago", "")),
    ],
    map: drawMap({ nodes, edges, select, onChoose: toggle(select) }), rows: peers, select, chosen: chosenPeer(peers.find((peer) => peer.name === select)),
    attention: peers.filter((peer) => peer.reason).map((peer) => ({ key: peer.name, content: [pill(peer.status), h("span", {}, h("b", {}, name(peer.name)), ": ", plain(peer.reason))] })),
    columns: [
      { label: "Name", cell: chooser(select) },
      { label: "Status", class: "nowrap", cell: (peer) => pill(peer.status) },
      { label: "Round trip", class: "num", cell: (peer) => (peer.round_trip_ms == null ? "–" : `${peer.round_trip_ms} ms`) },
      { label: "Since", class: "nowrap", cell: (peer) => (peer.since ? time(peer.since) : "–") },
    ],
  });
}

function chosenOne(node, facts, ...more) {
  return h("section.panel", { key: "chosen", "aria-label": plain(node.name) }, h("header", {}, h("h2", {}, name(node.name)), h("div.end", {}, h("a.button", { href: to.node(null) }, "Close"))),
    h("div.inner", {}, h("dl.facts", {}, facts.map(([text, value]) => [h("dt", {}, text), h("dd", {}, value)]))), ...more);
}

const addressOf = (node) => (node.address ? name(node.address) : h("span.muted", {}, "none: it only dials"));

function chosenPeer(peer) {
  if (!peer) return null;
  const series = state.series.get(`peer:${peer.name}`);
  return chosenOne(peer, [["Address", addressOf(peer)], ["Role", plain(peer.role ?? "")],
    ...(peer.reason ? [["Reason", plain(peer.reason)]] : []), ...(peer.since ? [["Connected", time(peer.since)], ["Software", plain(peer.software ?? "")], ["Received", size(peer.bytes_received)], ["Sent", size(peer.bytes_sent)]] : []),
    ...(peer.folders ? [["Folders", h("span.chips", {}, peer.folders.map((folder) => h("a.chip", { href: to.folder(folder) }, name(folder))))]] : [])],
  series ? throughput(`peer:${peer.name}`, "Throughput") : null);
}

function chosenMember(member) {
  if (!member) return null;
  return chosenOne(member, [["Address", addressOf(member)], ["Role", plain(member.role)], ["Last seen", member.connected ? "now" : time(member.last_seen)], ["Links", number(member.connected_to?.length ?? 0)]],
    member.folders?.length ? table({ label: `Folders of ${plain(member.name)}`, rows: member.folders, key: (folder) => folder.name, columns: [
      { label: "Folder", cell: (folder) => name(folder.name) },
      { label: "Status", class: "nowrap", cell: (folder) => (folder.status === "Online" && folder.in_sync ? pill("in sync") : pill(folder.status === "Online" ? "syncing" : folder.status)) },
      { label: "Pending", class: "num", cell: (folder) => number(folder.pending) }] }) : null);
}

/** Each pair of nodes that has a link, and each that should have one. */
export function links(members) {
  const known = new Map(members.map((member) => [member.name, new Set(member.connected_to ?? [])]));
  const edges = [];
  members.forEach((one, at) => {
    for (const other of members.slice(at + 1)) {
      const isLinked = known.get(one.name).has(other.name) || known.get(other.name).has(one.name);
      const isMissing = one.connected && other.connected && (one.address || other.address);
      if (isLinked) edges.push({ from: one.name, to: other.name, tone: "good" });
      else if (isMissing) edges.push({ from: one.name, to: other.name, tone: "missing" });
    }
  });
  return edges;
}

const ATTENTION_MAX = 6;

function attentionOf(members, edges) {
  const halted = members.flatMap((member) => (member.folders ?? []).filter((folder) => folder.status === "Halted").map((folder) => ({
    key: `${member.name} ${folder.name}`, content: [pill("Halted"), h("span", {}, h("b", {}, name(folder.name)), " on ", h("b", {}, name(member.name)), folder.reason ? `: ${plain(folder.reason)}` : "")] })));
  const away = members.filter((member) => !member.connected).map((member) => ({ key: member.name, content: [pill("Offline"), h("span", {}, h("b", {}, name(member.name)), ", last seen ", time(member.last_seen))] }));
  const missing = edges.filter((edge) => edge.tone === "missing").map((edge) => ({ key: `${edge.from} ${edge.to}`, content: [pill("no link", "bad"), h("span", {}, h("b", {}, name(edge.from)), " and ", h("b", {}, name(edge.to)), " do not reach each other")] }));
  const all = [...halted, ...away, ...missing];
  if (all.length <= ATTENTION_MAX) return all;
  return [...all.slice(0, ATTENTION_MAX), { key: "more", content: h("span.muted", {}, `and ${number(all.length - ATTENTION_MAX)} more`) }];
}

function ofManager({ select }) {
  const { now } = state;
  const members = now.members ?? [];
  const edges = links(members);
  const copies = members.flatMap((member) => member.folders ?? []);
  const connected = members.filter((member) => member.connected).length;
  const inSync = copies.filter((folder) => folder.in_sync).length;
  const nodes = members.map((member) => ({ name: member.name, status: statusOf(member), tone: toneOf(statusOf(member)), note: count(member.folders?.length ?? 0, "folder") }));
  return page({
    figures: [
      figure("Nodes connected", `${number(connected)} / ${number(members.length)}`, null, connected < members.length ? "warn" : ""),
      figure("Copies in sync", `${number(inSync)} / ${number(copies.length)}`, null, inSync < copies.length ? "warn" : ""),
      figure("Pending", number(copies.reduce((sum, folder) => sum + (folder.pending ?? 0), 0))),
      figure("Placements", number(now.placements)),
      figure("Generation", number(now.generation)),
    ],
    map: drawMap({ nodes, edges, select, onChoose: toggle(select) }), rows: members, select, chosen: chosenMember(members.find((member) => member.name === select)), attention: attentionOf(members, edges),
    columns: [
      { label: "Name", cell: chooser(select) },
      { label: "Status", class: "nowrap", cell: (member) => pill(statusOf(member)) },
      { label: "Links", class: "num", cell: (member) => number(member.connected_to?.length ?? 0) },
      { label: "In sync", class: "num", cell: (member) => `${number((member.folders ?? []).filter((folder) => folder.in_sync).length)} / ${number(member.folders?.length ?? 0)}` },
      ...(members.length > 24 ? [] : [{ label: "Pending", class: "num", cell: (member) => number((member.folders ?? []).reduce((sum, folder) => sum + (folder.pending ?? 0), 0)) }]),
    ],
  });
}
