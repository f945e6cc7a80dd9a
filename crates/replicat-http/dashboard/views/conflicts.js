// Conflicts that nobody has resolved: both sides beside each other, and what to keep.

import { conflicts, pathOf, resolve } from "../api.js";
import { compare } from "../diff.js";
import { h } from "../dom.js";
import { may, state } from "../live.js";
import { button, empty, loaded, outcome, pager, problem } from "../parts.js";
import { encode } from "../path.js";
import { to } from "../route.js";
import { forget, reload, use } from "../store.js";
import { line, moment, name, number, plain, size } from "../text.js";
import { textOf } from "../transfer.js";

export const label = "Conflicts";
export const title = () => "Conflicts";

const PAGE = 25;
/** Texts up to this size are compared in the page. */
const TEXT_MAX = 131_072;

let timer = null;
let isSeen = false;

/** An event may be of a conflict; a burst of them is looked at once. */
export function noticed(event) {
  if (isSeen && !event?.path?.includes(".conflict-")) return;
  isSeen = Boolean(state.now);
  clearTimeout(timer);
  timer = setTimeout(() => reload("page:conflicts "), 700);
}

export function badge() {
  const all = (state.now?.folders ?? []).reduce((sum, folder) => sum + (folder.conflicts ?? 0), 0);
  return all ? { text: number(all), tone: "warn", spoken: "open" } : null;
}

export function draw(route) {
  const folders = (state.now?.folders ?? []).filter((folder) => folder.replica && (!route.folder || folder.name === route.folder));
  return [
    h("div.head", {}, h("h1", { tabindex: -1 }, "Conflicts"), route.folder ? [h("span.muted", {}, "in ", name(route.folder)), h("div.end", {}, h("a.button", { href: to.view("conflicts") }, "All folders"))] : null),
    h("p.lead", {}, "A path was changed at two nodes that did not know of each other's change. Both versions are kept: the winner at the path, the other as a copy beside it."),
    h("div", { key: "none" }, nothingAtAll(folders) ? h("section.panel", {}, empty("There is no conflict.")) : null),
    folders.map((folder) => ofFolder(folder.name, route)),
  ];
}

const keyOf = (folder, after) => `page:conflicts ${folder} ${after ?? ""}`;

const nothingAtAll = (folders) => folders.every((folder) => use(keyOf(folder.name, null), () => conflicts(folder.name, null, PAGE)).data?.items.length === 0);

function ofFolder(folder, route) {
  const after = route.folder === folder ? route.after : null;
  const key = keyOf(folder, after);
  const resource = use(key, () => conflicts(folder, after, PAGE));
  const isEmpty = resource.status === "ready" && !resource.error && !resource.data.items.length;
  return h("section", { key: `conflicts ${folder}`, class: "conflicts", "aria-label": `Conflicts in ${plain(folder)}` },
    outcome(`resolved ${folder}`),
    isEmpty ? null : h("h2", {}, h("a", { href: to.folder(folder) }, name(folder))),
    isEmpty ? null : loaded(resource, (data) => [
      data.items.map((conflict) => card(folder, conflict)),
      pager({ first: after ? to.conflicts(folder) : null, next: data.next ? to.conflicts(folder, data.next) : null, shown: `${number(data.items.length)} shown` })], () => reload(key)));
}

function card(folder, conflict) {
  const path = pathOf(conflict);
  const copy = pathOf(conflict, "copy");
  const id = `${folder} ${encode(path)} ${encode(copy)}`;
  return h("article.panel", { key: id, "aria-label": `Conflict at ${plain(path.text, path.hex)}` },
    h("header", {}, h("h3", {}, h("a", { href: to.file(folder, path) }, name(path.text, path.hex))), h("span.muted", {}, "since ", moment(conflict.when))),
    h("div.sides", {}, side("Winner, at the path", conflict.winner, folder, path), side("Copy, beside it", conflict.loser, folder, copy)),
    difference(folder, conflict, path, copy, id),
    may("operate") ? h("div.inner", {}, choices(folder, path, id, conflict), outcome(`resolve ${id}`)) : null);
}

function side(label, version, folder, path) {
  return h("div.side", {},
    h("h4", {}, label),
    h("dl.facts", {},
      h("dt", {}, "Path"), h("dd", {}, version.kind === "file" ? h("a", { href: to.file(folder, path) }, name(path.text, path.hex)) : name(path.text, path.hex)),
      h("dt", {}, "Changed by"), h("dd", {}, h("b", {}, name(version.node)), ", ", moment(version.when)),
      h("dt", {}, "What"), h("dd", {}, what(version)),
      version.content ? [h("dt", {}, "Content"), h("dd.hash", { title: plain(version.content) }, plain(version.content.slice(0, 16)))] : null));
}

function what(version) {
  if (version.kind === "file") return `a file of ${size(version.size)}`;
  if (version.kind === "symlink") return ["a link to ", name(version.target, version.target_hex)];
  return version.kind === "deleted" ? "deleted" : `a ${plain(version.kind)}`;
}

function choices(folder, path, id, { winner, loser }) {
  const all = [
    ["winner", `Keep the winner (${short(plain(winner.node))})`, "The copy goes to the trash."],
    ["copy", `Keep the copy (${short(plain(loser.node))})`, "The copy takes the path; the winner goes to the trash."],
    ["both", "Keep both", "Both stay; the conflict is settled."],
  ];
  return h("div.actions", {}, all.map(([keep, text, explained]) => button(text, {
    key: `resolve ${id}`, title: `${text} of ${plain(path.text, path.hex)}. ${explained}`, run: () => settle(folder, path, keep), done: () => `${plain(path.text, path.hex)}: resolved.`,
  })));
}

async function settle(folder, path, keep) {
  await resolve(folder, path, keep);
  reload("page:conflicts ");
  forget("page:tree");
}

function difference(folder, { winner, loser }, path, copy, id) {
  if (winner.kind !== "file" || loser.kind !== "file") return null;
  if (winner.content && winner.content === loser.content) return h("p.pager.muted", {}, "Both hold the same content.");
  if (winner.size > TEXT_MAX || loser.size > TEXT_MAX) return h("p.pager.muted", {}, `Too large to be compared here: ${size(winner.size)} and ${size(loser.size)}.`);
  const key = `page:conflicts-text ${id} ${winner.content} ${loser.content}`;
  const resource = use(key, async () => rowsOf(await textOf(folder, path, TEXT_MAX), await textOf(folder, copy, TEXT_MAX)));
  if (resource.status === "loading") return h("p.pager.muted", {}, "Comparing…");
  if (resource.status === "failed") return h("div.inner", {}, problem(resource.error, () => forget(key)));
  if (resource.data === null) return h("p.pager.muted", {}, `Not text: ${size(winner.size)} and ${size(loser.size)}, with different content.`);
  return h("div.diff", { tabindex: 0, role: "region", "aria-label": `Differences at ${plain(path.text, path.hex)}` }, h("table", { "aria-label": "Differences" },
    h("colgroup", {}, h("col.at", {}), h("col", {}), h("col.at", {}), h("col", {})),
    h("tbody", {}, resource.data.map(diffRow))));
}

const short = (text) => (text.length > 24 ? `${text.slice(0, 23)}…` : text);

const rowsOf = (left, right) => (left === null || right === null ? null : compare(left, right).slice(0, 2000));

function diffRow(row) {
  if (row.kind === "skipped") return h("tr", {}, h("td.skip-lines", { colspan: 4 }, `${number(row.count)} equal ${row.count === 1 ? "line" : "lines"}`));
  const half = (text, at, kind) => [h("td.at", {}, at === undefined ? "" : String(at)), h("td", { class: text === undefined || row.kind === "same" ? undefined : kind }, text === undefined ? "" : [h("span.unseen", {}, row.kind === "same" ? "" : kind === "taken" ? "winner only: " : "copy only: "), line(text)])];
  return h("tr", { class: row.kind }, half(row.left, row.leftAt, "taken"), half(row.right, row.rightAt, "added"));
}
