// Enrolment tokens of the manager: each lets one node in, once.

import { createToken, removeToken, tokens } from "../api.js";
import { h } from "../dom.js";
import { button, empty, loaded, outcome, pill, table } from "../parts.js";
import { announce, draft, perform, redraw, reload, setDraft, use } from "../store.js";
import { name, plain, span, time } from "../text.js";

export const label = "Enrolment";
export const title = () => "Enrolment tokens";
export const scope = "admin";

const KEY = "page:tokens";
let made = null;
let copied = "";

export function draw() {
  return [
    h("div.head", {}, h("h1", { tabindex: -1 }, "Enrolment tokens")),
    h("p.lead", {}, "A token lets one node in, once. Give it to the node as its manager credentials; what the node then has is a certificate of its own."),
    h("section.panel", { "aria-label": "New token" }, h("header", {}, h("h2", {}, "New token")), h("div.inner", {}, form(), outcome("token create"), made ? secret() : null)),
    h("section.panel", { "aria-label": "Tokens" }, h("header", {}, h("h2", {}, "Tokens")), loaded(use(KEY, tokens), list, () => reload(KEY))),
  ];
}

/** A secret is not left standing. */
export function left() {
  made = null;
  copied = "";
}

const ENDS = [[900, "15 minutes"], [3600, "1 hour"], [86400, "1 day"], [604800, "7 days"]];

function form() {
  const submit = (event) => {
    event.preventDefault();
    void perform("token create", create);
  };
  return h("form.form", { onsubmit: submit },
    h("label.field", {}, h("span", {}, "Role"), h("select", { onchange: (event) => setDraft("token role", event.target.value) }, ["read-write", "read-only"].map((role) => h("option", { value: role }, role)))),
    h("label.field.grow", {}, h("span", {}, "Only for the node named (optional)"), h("input", { type: "text", placeholder: "any node", autocomplete: "off", value: draft("token node", ""), oninput: (event) => setDraft("token node", event.target.value) })),
    h("label.field", {}, h("span", {}, "Good for"), h("select", { value: draft("token ends", "3600"), onchange: (event) => setDraft("token ends", event.target.value) }, ENDS.map(([seconds, text]) => h("option", { value: String(seconds) }, text)))),
    h("button.primary", { type: "submit" }, "Create token"));
}

async function create() {
  copied = "";
  made = await createToken({ role: draft("token role", "read-write"), node: draft("token node", "").trim() || null, expires_in: Number(draft("token ends", "3600")) });
  reload(KEY);
  announce("The token is made. It is shown once: copy it now.");
  setTimeout(() => document.getElementById("secret")?.focus());
}

function secret() {
  const hide = () => { made = null; redraw(); };
  return h("div", { key: "secret", id: "secret", tabindex: -1, role: "group", "aria-label": "The new token" },
    h("div.secret", {}, h("code", {}, plain(made.token)),
      h("button.primary", { type: "button", onclick: () => void copy(made.token) }, copied || "Copy"),
      h("button.quiet", { type: "button", onclick: hide }, "Hide")),
    h("p.muted", {}, `It is shown this once. It ends in ${span(made.expires_in)} and ${made.node ? `is for ${plain(made.node)} only` : "is good for any name"}.`));
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    copied = "Copied";
    announce("The token is copied.");
  } catch {
    copied = "Select and copy by hand";
  }
  redraw();
}

function statusOf(token) {
  if (token.used_by) return "used";
  return token.expires && new Date(token.expires) < new Date() ? "expired" : "open";
}

function list({ items }) {
  if (!items.length) return empty("There is no token.");
  return [items.map((token) => outcome(`revoke ${token.id}`)), table({
    label: "Tokens", rows: items, key: (token) => token.id,
    columns: [
      { label: "Id", cell: (token) => h("code", {}, plain(token.id)) },
      { label: "State", class: "nowrap", cell: (token) => pill(statusOf(token)) },
      { label: "Role", class: "nowrap", cell: (token) => plain(token.role) },
      { label: "For", cell: (token) => (token.node ? name(token.node) : "any node") },
      { label: "Ends", class: "nowrap", cell: (token) => time(token.expires) },
      { label: "Used by", cell: (token) => (token.used_by ? name(token.used_by) : h("span.muted", {}, "nobody")) },
      { label: "", cell: revocation },
    ],
  })];
}

const revocation = (token) => h("div.actions", {}, button("Revoke…", {
  key: `revoke ${token.id}`, kind: "danger", title: `Revoke ${plain(token.id)}…`, done: "The token is revoked.",
  run: async () => { await removeToken(token.id); if (made?.id === token.id) made = null; reload(KEY); },
  question: { title: "Revoke this token?", isDangerous: true, confirm: "Revoke the token", body: [token.used_by ? "A node that was enrolled with it stays; remove the node to cut it off." : "No node can be enrolled with it any more."] },
}));
