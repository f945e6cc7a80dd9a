// One path: what it is, its versions, and why it is as it is. Also of what was deleted.

import { pathOf, removeFile, restore, versions, why } from "../api.js";
import { h } from "../dom.js";
import { may } from "../live.js";
import { button, empty, loaded, outcome, pill, table } from "../parts.js";
import { encode, lastName, steps } from "../path.js";
import { to } from "../route.js";
import { forget, redraw, reload, use } from "../store.js";
import { line, moment, name, number, own, plain, size } from "../text.js";
import { download, textOf } from "../transfer.js";
import { deletion } from "./folder.js";
import { panel as transfersPanel } from "./transfers.js";

const PREVIEW_MAX = 65_536;

export const title = ({ path }) => plain(lastName(path).text, lastName(path).hex);

export function draw(route) {
  const { folder, path } = route;
  const keys = { history: `page:history ${folder} ${encode(path)}`, why: `page:why ${folder} ${encode(path)}`, text: `page:text ${folder} ${encode(path)}` };
  const history = use(keys.history, () => versions(folder, path));
  const current = history.data?.items.find((version) => version.keeping === "current" && version.change !== "deleted");
  const last = lastName(path);
  return [
    crumbs(folder, path),
    h("div.head", {}, h("h1", { tabindex: -1 }, name(last.text, last.hex)), history.data ? pill(current ? "present" : "gone") : null, current ? h("span.muted", {}, size(current.size)) : null, actions(route, current, keys)),
    outcome(`delete ${folder} ${encode(path)}`), outcome(keys.text),
    transfersPanel(),
    preview(keys.text),
    h("section.panel", { key: "history", "aria-label": "History" }, h("header", {}, h("h2", {}, "History"), h("span.muted", {}, "the latest first")), outcome(`restore ${folder} ${encode(path)}`), loaded(history, (data) => list(route, data.items), () => reload(keys.history))),
    h("section.panel", { key: "why", "aria-label": "Why it is as it is" }, h("header", {}, h("h2", {}, "Why it is as it is")), loaded(use(keys.why, () => why(folder, path)), (data) => h("ul.inner.explained", {}, data.facts.map((fact) => h("li", {}, plain(fact)))), () => reload(keys.why))),
  ];
}

let later = null;

/** A new version of the path that is shown. */
export function changed(event, { folder, path }) {
  const isThis = [pathOf(event ?? {}), pathOf(event ?? {}, "source_path")].some((one) => encode(one) === encode(path));
  if (event?.folder !== folder || later || !isThis) return;
  later = setTimeout(() => { later = null; reload("page:history"); reload("page:why"); }, 800);
}

function crumbs(folder, path) {
  return h("nav", { key: "crumbs", "aria-label": "Directory" }, h("ol.crumbs", {}, h("li", {}, h("a", { href: to.folder(folder) }, name(folder))),
    steps(path).slice(0, -1).map((step) => h("li", {}, h("a", { href: to.folder(folder, step.path) }, name(step.name.text, step.name.hex))))));
}

function actions({ folder, path }, current, keys) {
  if (!current) return null;
  const last = lastName(path);
  const shown = plain(last.text, last.hex);
  const isShown = texts.has(keys.text);
  return h("div.end", {},
    h("button.primary", { type: "button", onclick: () => { void download(folder, path, last.text, current.size); redraw(); } }, "Download"),
    isShown ? h("button", { type: "button", onclick: () => { texts.delete(keys.text); redraw(); } }, "Hide text") : button("Show text", { key: keys.text, run: async () => texts.set(keys.text, { text: await textOf(folder, path, PREVIEW_MAX), size: current.size }), done: undefined }),
    may("operate") ? button("Delete…", { key: `delete ${folder} ${encode(path)}`, kind: "danger", question: deletion(shown), done: `${shown} is in the trash.`, run: async () => { await removeFile(folder, path, current.content); again(keys); } }) : null);
}

const texts = new Map();

function again(keys) {
  texts.delete(keys.text);
  reload(keys.history);
  reload(keys.why);
  forget("page:tree");
}

function preview(key) {
  const kept = texts.get(key);
  if (!kept) return null;
  const cut = kept.size > PREVIEW_MAX ? h("span.muted", {}, `the first ${size(PREVIEW_MAX)}`) : null;
  return h("section.panel", { key: "text", "aria-label": "Text" }, h("header", {}, h("h2", {}, "Text"), cut),
    kept.text === null ? empty("This is no text.") : kept.text === "" ? empty("The file is empty.") : h("pre", { tabindex: 0, role: "region", "aria-label": "Text of the file" }, kept.text.split("\n").map((text) => [line(text), "\n"])));
}

const CHANGES = {
  "created": "created", "edited": "edited", "metadata": "metadata changed", "deleted": "deleted", "moved-from": "moved here from", "moved-to": "moved to", "conflict-copy-of": "conflict copy of", "restored": "restored",
};

function list(route, rows) {
  if (!rows.length) return empty("Nothing is known of this path.");
  return table({
    label: "Versions", rows, key: (version) => String(version.revision),
    columns: [
      { label: "Revision", cell: (version) => number(version.revision) },
      { label: "When", class: "nowrap", cell: (version) => h("time", { datetime: String(version.when) }, moment(version.when)) },
      { label: "Node", cell: (version) => (version.node ? name(version.node) : h("span.muted", {}, "unknown")) },
      { label: "Change", cell: (version) => [own(CHANGES, version.change) ?? plain(version.change), version.other ? [" ", h("a", { href: to.file(route.folder, { text: version.other, hex: version.other_hex }) }, name(version.other, version.other_hex))] : null] },
      { label: "Size", class: "num", cell: (version) => (version.size === null || version.size === undefined ? "" : size(version.size)) },
      { label: "Content", class: "hash", cell: (version) => (version.content ? h("span", { title: plain(version.content) }, plain(version.content.slice(0, 10))) : "") },
      { label: "Kept", class: "nowrap", cell: (version) => pill(version.keeping) },
      ...(may("operate") ? [{ label: "", cell: (version) => restoration(route, version) }] : []),
    ],
  });
}

function restoration({ folder, path }, version) {
  const held = version.keeping === "trash" || version.keeping === "gone";
  if (!held || version.change === "deleted" || version.change === "moved-to") return null;
  const keys = { history: `page:history ${folder} ${encode(path)}`, why: `page:why ${folder} ${encode(path)}`, text: `page:text ${folder} ${encode(path)}` };
  const last = lastName(path);
  return h("div.actions", {}, button("Restore…", {
    key: `restore ${folder} ${encode(path)}`, title: `Restore revision ${version.revision}…`, done: (answer) => `Revision ${answer.revision} is restored.`,
    run: async () => { const answer = await restore(folder, path, version.revision); again(keys); return answer; },
    question: { title: `Restore revision ${version.revision} of ${plain(last.text, last.hex)}?`, confirm: "Restore it", body: [`It becomes the content at this path on every node: ${size(version.size)}, of ${moment(version.when)}.`, "What is there now goes to the trash and stays in the history."] },
  }));
}
