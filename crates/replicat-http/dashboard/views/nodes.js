// The manager's roster.

import { removeNode } from "../api.js";
import { h } from "../dom.js";
import { may, state } from "../live.js";
import { button, empty, few, outcome, pill, table } from "../parts.js";
import { to } from "../route.js";
import { draft, setDraft } from "../store.js";
import { count, moment, name, number, plain, time } from "../text.js";

export const label = "Nodes";
export const title = () => "Nodes";

export const statusOf = (member) => (member.connected ? member.status || "Online" : "Offline");

export function badge() {
  const away = (state.now?.members ?? []).filter((member) => !member.connected).length;
  return away ? { text: String(away), tone: "warn", spoken: "offline" } : null;
}

export function draw() {
  const members = state.now?.members ?? [];
  const text = draft("nodes text", "").toLowerCase();
  const rows = members.filter((member) => !text || member.name.toLowerCase().includes(text) || member.address?.toLowerCase().includes(text));
  const { shown, more } = few("nodes few", rows);
  return [
    h("div.head", {}, h("h1", { tabindex: -1 }, "Nodes"), h("span.muted", {}, `${number(members.filter((member) => member.connected).length)} of ${number(members.length)} connected`)),
    members.map((member) => outcome(`remove ${member.name}`)), outcome("removed"),
    h("section.panel", { "aria-label": "Roster" },
      h("header", {}, h("label.field", {}, h("span", {}, "Name or address holds"), h("input", { type: "search", placeholder: "any", value: draft("nodes text", ""), oninput: (event) => setDraft("nodes text", event.target.value) })),
        may("admin") ? h("div.end", {}, h("a.button", { href: to.view("tokens") }, "Enrol a node")) : null),
      rows.length ? [roster(shown), more] : empty(members.length ? "No node fits." : "No node is enrolled yet. Make a token, and start a node with it.")),
  ];
}

const roster = (rows) => table({
  label: "Roster", rows, key: (member) => member.name,
  columns: [
    { label: "Name", cell: (member) => h("a", { href: to.node(member.name) }, name(member.name)) },
    { label: "Status", class: "nowrap", cell: (member) => pill(statusOf(member)) },
    { label: "Role", class: "nowrap", cell: (member) => plain(member.role) },
    { label: "Address", cell: (member) => (member.address ? name(member.address) : h("span.muted", {}, "only dials")) },
    { label: "Links", class: "num", cell: (member) => number(member.connected_to?.length ?? 0) },
    { label: "Folders", class: "num", cell: (member) => number(member.folders?.length ?? 0) },
    { label: "Last seen", class: "nowrap", cell: (member) => (member.connected ? "now" : time(member.last_seen)) },
    { label: "Certificate until", class: "nowrap", cell: (member) => h("time", { datetime: member.certificate_expires ?? "" }, moment(member.certificate_expires).slice(0, 10)) },
    ...(may("admin") ? [{ label: "", cell: removal }] : []),
  ],
});

const removal = (member) => h("div.actions", {}, button("Remove…", {
  key: `remove ${member.name}`, kind: "danger", title: `Remove ${plain(member.name)}…`, run: () => removeNode(member.name), done: `${plain(member.name)} was removed.`,
  question: { title: `Remove ${plain(member.name)} from the cluster?`, isDangerous: true, confirm: "Remove the node",
    body: [`It is cut off at once, by every node, and its certificate is revoked. Its ${count(member.folders?.length ?? 0, "folder")} and the files in it stay on its disk.`, "It can only come back with a new token."] },
}));
