// The settings that the node runs with.

import { configuration } from "../api.js";
import { h } from "../dom.js";
import { state } from "../live.js";
import { loaded, table } from "../parts.js";
import { reload, use } from "../store.js";
import { name, number, plain, rate, time } from "../text.js";

export const label = "Settings";
export const title = () => "Settings";
export const scope = "admin";

const OPEN = [
  ["name", "Name"], ["address", "Listens at"], ["advertise", "Reached at"], ["cluster_key", "Cluster key"], ["cluster_key_file", "Cluster key from"], ["manager_address", "Manager"],
  ["manager_credentials", "Token for the manager"], ["node_state", "State of the node"], ["folders_directory", "Folders are made in"], ["bwlimit", "Bandwidth"], ["durability", "Durability"], ["control_socket", "Local socket"],
];

function value(key, given) {
  if (given === null || given === undefined) return h("span.muted", {}, "not set");
  if (given === true) return "set (not shown)";
  if (given === false) return h("span.muted", {}, "not set");
  return key === "bwlimit" ? rate(given) : name(given);
}

export function draw() {
  return [
    h("div.head", {}, h("h1", { tabindex: -1 }, "Settings")),
    h("p.lead", {}, "What the node runs with. It is changed in its file, its variables or its flags, and counts from the next start."),
    loaded(use("page:configuration", configuration), page, () => reload("page:configuration")),
    workers(),
  ];
}

function page(given) {
  return [
    h("section.panel", { "aria-label": "The node" }, h("header", {}, h("h2", {}, "The node"), state.now?.started ? h("span.muted", {}, "started ", time(state.now.started)) : null),
      h("div.inner", {}, h("dl.facts", {}, OPEN.map(([key, text]) => [h("dt", {}, text), h("dd", {}, value(key, given[key]))])))),
    h("section.panel", { "aria-label": "Folders" }, h("header", {}, h("h2", {}, "Folders")), table({
      label: "Folders", rows: given.folders ?? [], key: (folder) => folder.name,
      columns: [
        { label: "Name", cell: (folder) => name(folder.name) },
        { label: "Directory", cell: (folder) => name(folder.directory, folder.directory_hex) },
        { label: "Mode", cell: (folder) => plain(folder.mode) },
        { label: "Left out", cell: (folder) => (folder.exclude?.length ? h("code", {}, plain(folder.exclude.join("  "))) : "nothing") },
      ] })),
    h("section.panel", { "aria-label": "Nodes it dials" }, h("header", {}, h("h2", {}, "Nodes it dials")), given.nodes?.length ? table({
      label: "Nodes it dials", rows: given.nodes, key: (node) => node.name,
      columns: [{ label: "Name", cell: (node) => name(node.name) }, { label: "Address", cell: (node) => name(node.address) }] })
      : h("p.empty", {}, "None but those it is told of.")),
  ];
}

function workers() {
  const rows = state.now?.workers ?? [];
  if (!rows.length) return null;
  return h("section.panel", { "aria-label": "Workers", key: "workers" }, h("header", {}, h("h2", {}, "Workers")), table({
    label: "Workers", rows, key: (worker) => worker.name,
    columns: [{ label: "Name", cell: (worker) => name(worker.name) }, { label: "Does", cell: (worker) => plain(worker.state) }, { label: "Waiting", class: "num", cell: (worker) => number(worker.queue) }] }));
}
