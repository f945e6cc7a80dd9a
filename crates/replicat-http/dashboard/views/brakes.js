// What waits for a person: deletions that a safety brake holds, and folders that are halted.

import { act } from "../api.js";
import { h } from "../dom.js";
import { may, state } from "../live.js";
import { button, empty, mark, outcome, pill } from "../parts.js";
import { to } from "../route.js";
import { count, name, own, plain, size } from "../text.js";

export const label = "Approvals";
export const title = () => "Approvals";

const braked = () => (state.now?.folders ?? []).filter((folder) => folder.brake);
const halted = () => (state.now?.folders ?? []).filter((folder) => folder.status === "Halted" && !folder.brake);

export function badge() {
  const waiting = braked().length + halted().length;
  return waiting ? { text: String(waiting), tone: "bad", spoken: "waiting" } : null;
}

let known = new Set();

/** Says each new brake once. */
export function noticed(say) {
  const now = new Set(braked().map((folder) => folder.name));
  const fresh = [...now].filter((folder) => !known.has(folder));
  known = now;
  if (fresh.length) say(`${fresh.map((folder) => plain(folder)).join(", ")}: a safety brake holds deletions, and waits for a decision.`);
}

export function banner() {
  const all = braked();
  if (!all.length) return null;
  return h("div.banner.bad", { key: "brakes" }, mark("bad"),
    h("span", {}, all.length === 1 ? ["A safety brake holds deletions in ", h("b", {}, name(all[0].name)), "."] : `Safety brakes hold deletions in ${count(all.length, "folder")}.`, " All else is synced. Somebody has to approve or reject them."),
    h("a.end", { href: to.view("brakes") }, "Review"));
}

const WHAT = {
  "mass-deletion": ["Mass deletion", "Most of this folder's files are to be deleted, within some minutes. The deletions are held; all else is synced."],
  "max-delete": ["Limit of deletions", "More files are to be deleted than the folder allows within ten minutes. The deletions are held; all else is synced."],
};

export function draw() {
  const all = braked();
  const rest = halted();
  return [
    h("div.head", {}, h("h1", { tabindex: -1 }, "Approvals")),
    h("p.lead", {}, "A brake holds deletions that look like an accident, until somebody decides."),
    all.length || rest.length ? null : h("section.panel", { key: "none" }, empty("Nothing waits for approval.")),
    all.map((folder) => card(folder)),
    rest.map((folder) => h("section.panel", { key: `halted ${folder.name}`, "aria-label": plain(folder.name) },
      h("header", {}, h("h2", {}, h("a", { href: to.folder(folder.name) }, name(folder.name))), pill("Halted")),
      h("div.inner", {}, h("p", {}, plain(folder.reason ?? "It is not said why.")), h("p.muted", {}, "Put right what the reason says on the host; then the folder goes on, or the node is started anew.")))),
  ];
}

function card(folder) {
  const [what, explained] = own(WHAT, folder.brake) ?? [folder.brake, "A safety brake holds deletions."];
  const [approve, reject] = [`approve ${folder.name}`, `reject ${folder.name}`];
  const held = folder.held ?? {};
  return h("section.panel", { key: `brake ${folder.name}`, "aria-label": plain(folder.name) },
    h("header", {}, h("h2", {}, h("a", { href: to.folder(folder.name) }, name(folder.name))), pill("waits for approval"), h("span.muted", {}, plain(what))),
    h("div.inner", {},
      h("p", {}, explained),
      h("dl.facts", {}, h("dt", {}, "Directory"), h("dd", {}, name(folder.root, folder.root_hex)),
        h("dt", {}, "To be deleted"), h("dd", {}, lost(held)),
        held.here ? [h("dt", {}, "Gone from this directory"), h("dd", {}, count(held.here, "file"))] : null,
        held.elsewhere ? [h("dt", {}, "Deleted at other nodes"), h("dd", {}, count(held.elsewhere, "file"))] : null),
      held.directories?.length ? h("ul", { "aria-label": "What is to be deleted" }, held.directories.map((directory) => h("li", {}, place(directory))),
        held.more ? h("li", {}, `and ${count(held.more, "file")} elsewhere`) : null) : null,
      h("p.muted", {}, "Approve if the deletions are meant. Reject if they are not: the files are brought back, from the other nodes or the trash."),
      may("operate") ? h("div.actions", {},
        button("Approve…", {
          key: approve, kind: "danger", run: () => act(folder.name, "approve"), done: `Approved: the files of ${plain(folder.name)} are deleted.`,
          question: { title: `Approve the deletions in ${plain(folder.name)}?`, isDangerous: true, confirm: "Approve the deletions",
            body: ["The deletions reach every node that has this folder.", "What is deleted there goes to the nodes' trash, from where it can be restored as long as it is kept."] },
        }),
        button("Reject", { key: reject, run: () => act(folder.name, "reject"), done: `Rejected: the files of ${plain(folder.name)} come back.` }))
        : h("p.muted", {}, "To decide, sign in with a token of the scope operate."),
      outcome(approve), outcome(reject)));
}

const lost = (held) => held.of_files === undefined ? count(held.files ?? 0, "file")
  : `${count(held.files ?? 0, "file")} of ${count(held.of_files, "file")}, ${size(held.bytes ?? 0)} of ${size(held.of_bytes ?? 0)}`;

const place = (directory) => directory.whole ? [name(directory.path, directory.path_hex), `/, with ${count(directory.files, "file")}`]
  : directory.path === "" ? `${count(directory.files, "file")} of the root`
  : [`${count(directory.files, "file")} in `, name(directory.path, directory.path_hex), "/"];
