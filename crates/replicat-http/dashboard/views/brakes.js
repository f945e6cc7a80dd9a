// What waits for a human: folders that a safety brake stopped, and those that are halted.

import { act } from "../api.js";
import { h } from "../dom.js";
import { may, state } from "../live.js";
import { button, empty, mark, outcome, pill } from "../parts.js";
import { to } from "../route.js";
import { count, name, own, plain } from "../text.js";

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
  if (fresh.length) say(`${fresh.map((folder) => plain(folder)).join(", ")}: stopped by a safety brake, waits for approval.`);
}

export function banner() {
  const all = braked();
  if (!all.length) return null;
  return h("div.banner.bad", { key: "brakes" }, mark("bad"),
    h("span", {}, all.length === 1 ? ["A safety brake stopped ", h("b", {}, name(all[0].name)), "."] : `Safety brakes stopped ${count(all.length, "folder")}.`, " Nothing is deleted until somebody approves."),
    h("a.end", { href: to.view("brakes") }, "Review"));
}

const WHAT = {
  "mass-deletion": ["Mass deletion", "A scan found more than half of this folder's files gone. The other nodes keep them until this is approved."],
  "max-delete": ["Limit of deletions", "More would be deleted than the folder allows at once."],
};

export function draw() {
  const all = braked();
  const rest = halted();
  return [
    h("div.head", {}, h("h1", { tabindex: -1 }, "Approvals")),
    h("p.lead", {}, "A brake halts a folder before a change that looks like an accident reaches the other nodes."),
    all.length || rest.length ? null : h("section.panel", { key: "none" }, empty("Nothing waits for approval.")),
    all.map((folder) => card(folder)),
    rest.map((folder) => h("section.panel", { key: `halted ${folder.name}`, "aria-label": plain(folder.name) },
      h("header", {}, h("h2", {}, h("a", { href: to.folder(folder.name) }, name(folder.name))), pill("Halted")),
      h("div.inner", {}, h("p", {}, plain(folder.reason ?? "It is not said why.")), h("p.muted", {}, "Put right what the reason says on the host; then the folder goes on, or the node is started anew.")))),
  ];
}

function card(folder) {
  const [what, explained] = own(WHAT, folder.brake) ?? [folder.brake, "A safety brake stopped the folder."];
  const key = `approve ${folder.name}`;
  return h("section.panel", { key: `brake ${folder.name}`, "aria-label": plain(folder.name) },
    h("header", {}, h("h2", {}, h("a", { href: to.folder(folder.name) }, name(folder.name))), pill("waits for approval"), h("span.muted", {}, plain(what))),
    h("div.inner", {},
      h("p", {}, explained),
      h("dl.facts", {}, h("dt", {}, "Directory"), h("dd", {}, name(folder.root, folder.root_hex)), h("dt", {}, "Paths known"), h("dd", {}, count(folder.paths ?? 0, "path")),
        folder.reason ? [h("dt", {}, "Reason"), h("dd", {}, plain(folder.reason))] : null),
      h("p.muted", {}, "If it was no accident, approve. If it was, put the files back (mount the disk, restore a backup) and rescan."),
      may("operate") ? h("div.actions", {},
        button("Approve…", {
          key, kind: "danger", run: () => act(folder.name, "approve"), done: `Approved: ${plain(folder.name)} goes on.`,
          question: { title: `Approve the deletions in ${plain(folder.name)}?`, isDangerous: true, confirm: "Approve the deletions",
            body: ["The deletions reach every node that has this folder.", "What is deleted there goes to the nodes' trash, from where it can be restored as long as it is kept."] },
        }),
        button("Rescan", { key: `rescan ${folder.name}`, run: () => act(folder.name, "rescan"), done: `${plain(folder.name)} is scanned anew.` }))
        : h("p.muted", {}, "To approve, sign in with a token of the scope operate."),
      outcome(key), outcome(`rescan ${folder.name}`)));
}
