// Which node keeps which folder, as the manager orders it.

import { place, withdraw } from "../api.js";
import { h } from "../dom.js";
import { may, state } from "../live.js";
import { button, empty, few, outcome, pill, table } from "../parts.js";
import { draft, perform, setDraft } from "../store.js";
import { name, number, plain } from "../text.js";
import { statusOf } from "./nodes.js";

export const label = "Placements";
export const title = () => "Placements";

const MODES = ["read-write", "send-only", "receive-only"];
const keyOf = (placement) => `${placement.folder}\u0000${placement.node}`;

export function draw() {
  const all = state.now?.placement_list ?? [];
  const text = draft("placements text", "").toLowerCase();
  const sorted = all.filter((placement) => `${placement.folder}\n${placement.node}`.toLowerCase().includes(text)).sort((one, other) => one.folder.localeCompare(other.folder) || one.node.localeCompare(other.node));
  const { shown, more } = few("placements few", sorted);
  return [
    h("div.head", {}, h("h1", { tabindex: -1 }, "Placements"), h("span.muted", {}, `${number(all.length)} in all`)),
    h("p.lead", {}, "Which node keeps which folder, and how. A node follows as soon as it is connected."),
    may("admin") ? h("section.panel", { "aria-label": "New placement" }, h("header", {}, h("h2", {}, "Place a folder")), h("div.inner", {}, form(), outcome("place"))) : null,
    h("section.panel", { "aria-label": "Placements" }, h("header", {}, h("h2", {}, "Placed"), h("div.end", {}, h("input", { type: "search", "aria-label": "Folder or node holds", placeholder: "Folder or node", value: draft("placements text", ""), oninput: (event) => setDraft("placements text", event.target.value) }))),
      all.map((placement) => [outcome(`mode ${keyOf(placement)}`), outcome(`withdraw ${keyOf(placement)}`)]),
      shown.length ? [list(shown), more] : empty(all.length ? "No placement fits." : "No folder is placed yet.")),
  ];
}

function form() {
  const members = state.now?.members ?? [];
  const folders = [...new Set((state.now?.placement_list ?? []).map((placement) => placement.folder))];
  const node = draft("place node", members[0]?.name ?? "");
  const submit = (event) => {
    event.preventDefault();
    const folder = draft("place folder", "").trim();
    void perform("place", () => place(folder, node, draft("place mode", MODES[0])), `${plain(folder)} is placed on ${plain(node)}.`);
  };
  return h("form.form", { onsubmit: submit },
    h("label.field.grow", {}, h("span", {}, "Folder"), h("input", { type: "text", required: true, list: "folders-known", autocomplete: "off", value: draft("place folder", ""), oninput: (event) => setDraft("place folder", event.target.value) })),
    h("datalist", { id: "folders-known" }, folders.map((folder) => h("option", { value: folder }))),
    h("label.field", {}, h("span", {}, "Node"), h("select", { value: node, onchange: (event) => setDraft("place node", event.target.value) }, members.map((member) => h("option", { value: member.name }, plain(member.name))))),
    h("label.field", {}, h("span", {}, "Mode"), h("select", { onchange: (event) => setDraft("place mode", event.target.value) }, MODES.map((mode) => h("option", { value: mode }, mode)))),
    h("button.primary", { type: "submit" }, "Place"));
}

function list(rows) {
  const members = new Map((state.now?.members ?? []).map((member) => [member.name, member]));
  return table({
    label: "Placements", rows, key: keyOf,
    columns: [
      { label: "Folder", cell: (placement) => name(placement.folder) },
      { label: "Node", cell: (placement) => name(placement.node) },
      { label: "Mode", cell: modeChoice },
      { label: "There", class: "nowrap", cell: (placement) => standing(members.get(placement.node), placement.folder) },
      ...(may("admin") ? [{ label: "", cell: withdrawal }] : []),
    ],
  });
}

function standing(member, folder) {
  if (!member) return h("span.muted", {}, "not enrolled");
  if (!member.connected) return pill("Offline");
  const kept = member.folders?.find((one) => one.name === folder);
  return kept ? pill(kept.status) : h("span.muted", {}, statusOf(member) === "Offline" ? "" : "not taken up yet");
}

function modeChoice(placement) {
  if (!may("admin")) return plain(placement.mode);
  const put = (event) => void perform(`mode ${keyOf(placement)}`, () => place(placement.folder, placement.node, event.target.value), `${plain(placement.folder)} on ${plain(placement.node)}: changed.`);
  return h("select", { "aria-label": `Mode of ${plain(placement.folder)} on ${plain(placement.node)}`, value: placement.mode, onchange: put }, MODES.map((mode) => h("option", { value: mode }, mode)));
}

const withdrawal = (placement) => h("div.actions", {}, button("Withdraw…", {
  key: `withdraw ${keyOf(placement)}`, kind: "danger", title: `Withdraw ${plain(placement.folder)} from ${plain(placement.node)}…`,
  run: () => withdraw(placement.folder, placement.node), done: `${plain(placement.folder)} is withdrawn from ${plain(placement.node)}.`,
  question: { title: `Withdraw ${plain(placement.folder)} from ${plain(placement.node)}?`, isDangerous: true, confirm: "Withdraw", body: ["The node stops to keep this folder in sync. The files stay on its disk."] },
}));
