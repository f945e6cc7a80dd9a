// The pieces that all pages are made of.

import { h } from "./dom.js";
import { number, own, plain, size } from "./text.js";
import { draft, perform, setDraft, wentHow } from "./store.js";
import { ask } from "./ask.js";

const TONES = {
  "Online": "good", "connected": "good", "in sync": "good", "present": "good", "current": "good", "live": "good",
  "Initial Scan": "busy", "Joining Cluster": "busy", "connecting": "busy", "pending": "busy", "syncing": "busy",
  "Paused": "warn", "conflict-copy": "warn", "refused": "bad", "waits for approval": "bad",
  "Halted": "bad", "Offline": "off", "unreachable": "bad", "lost": "bad", "gone": "off", "trash": "busy", "used": "off", "expired": "off", "open": "good",
};

export const toneOf = (status) => own(TONES, status) ?? "off";

/** A status: a mark whose shape tells it as well as its colour, and the word. */
export const pill = (status, tone = toneOf(status)) => h("span.pill", { class: tone }, mark(tone), plain(status));

const SHAPES = {
  good: ["circle", { cx: 6, cy: 6, r: 5 }],
  busy: ["path", { d: "M6 1 A5 5 0 1 1 1 6" }],
  warn: ["path", { d: "M2 1h3v10H2zM7 1h3v10H7z" }],
  bad: ["path", { d: "M6 0 12 6 6 12 0 6z" }],
  off: ["circle", { cx: 6, cy: 6, r: 4.2 }],
};

export function mark(tone) {
  const [shape, attrs] = SHAPES[tone];
  return h("svg.mark", { class: tone, viewBox: "0 0 12 12", width: 10, height: 10, "aria-hidden": "true" }, h(shape, attrs));
}

/** A table that becomes a list of cards on a narrow screen; the roles keep it a table for those who hear it. */
export function table({ label, columns, rows, key, rowClass, isCompact }) {
  return h("div.table-wrap", { class: isCompact ? "compact" : undefined }, h("table", { role: "table", "aria-label": label },
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, columns.map((column) => h("th", { role: "columnheader", scope: "col", class: column.class?.includes("num") ? "num" : undefined }, column.label)))),
    h("tbody", { role: "rowgroup" }, rows.map((row) => h("tr", { role: "row", key: key(row), class: rowClass?.(row) }, columns.map((column, at) => cell(column, row, at)))))));
}

function cell(column, row, at) {
  const given = column.cell(row);
  // One box for each cell: on a narrow screen the label stands beside it.
  const content = Array.isArray(given) ? h("div.cell", {}, given) : given;
  const attrs = { "data-label": column.label, class: column.class };
  if (at === 0) return h("th", { ...attrs, role: "rowheader", scope: "row" }, content);
  return h("td", { ...attrs, role: "cell" }, content);
}

export const empty = (text, ...more) => h("div.empty", {}, h("p", {}, text), ...more);

/** What went wrong and what to do about it, where it went wrong. */
export function problem(error, retry) {
  return h("div.problem", { role: "alert" },
    h("p", {}, h("strong", {}, plain(error.message))),
    error.hint ? h("p", {}, plain(error.hint)) : null,
    retry ? h("button", { type: "button", onclick: retry }, "Try again") : null);
}

/** How the action under `key` went. */
export function outcome(key) {
  const { error, done } = wentHow(key);
  if (error) return problem(error);
  return done ? h("p.done", {}, mark("good"), done) : null;
}

/** A button that does something, asks before if there is a `question`, and cannot be pressed twice. */
export function button(label, { key, run, done, question, kind = "", title, disabled }) {
  const isBusy = wentHow(key).busy;
  return h("button", {
    type: "button", class: kind, title, "aria-disabled": isBusy || disabled ? "true" : undefined, "aria-label": title,
    onclick: async () => {
      if (isBusy || disabled) return;
      if (question && !(await ask(question))) return;
      await perform(key, run, done);
    },
  }, isBusy ? "Working…" : label);
}

/** What a resource holds, drawn by `draw`; or that it is loading, or why it is not there. */
export function loaded(resource, draw, retry) {
  if (resource.status === "loading") return h("p.loading", {}, "Loading…");
  if (resource.status === "failed") return problem(resource.error, retry);
  return [resource.error ? problem(resource.error, retry) : null, draw(resource.data)];
}

export const figure = (label, value, more, tone) => h("div.figure", { class: tone }, h("dt", {}, label), h("dd", {}, value, more ? h("small", {}, more) : null));

/** How far something is: bytes if there are any, else files. */
export function progress(label, { bytes_done, bytes_total, files_done, files_total }) {
  const [done, total] = bytes_total > 0 ? [bytes_done, bytes_total] : [files_done, files_total];
  const percent = total > 0 ? Math.min(100, Math.floor((100 * done) / total)) : 0;
  const text = bytes_total > 0 ? `${size(bytes_done)} of ${size(bytes_total)}` : `${number(files_done)} of ${number(files_total)} files`;
  return h("div.progress", {}, h("progress", { max: 100, value: percent, "aria-label": label }), h("span", {}, `${percent} %`), h("span.muted", {}, text));
}

const FEW = 50;

/** The first rows of a long list, and a button for more of them. */
export function few(key, rows) {
  const most = draft(key, FEW);
  const more = rows.length > most ? h("p.pager", {}, h("button", { type: "button", onclick: () => setDraft(key, most + FEW) }, `Show ${FEW} more`), h("span.muted", {}, `${number(most)} of ${number(rows.length)} are shown`)) : null;
  return { shown: rows.slice(0, most), more };
}

/** One page of a list, with the way to the others. */
export function pager({ first, previous, next, shown, label = "Pages" }) {
  if (!first && !next) return null;
  const link = (href, label, rel) => (href ? h("a.button", { href, rel }, label) : h("span.button", { "aria-disabled": "true" }, label));
  return h("nav.pager", { "aria-label": label }, link(first, "First page"), link(previous, "Previous", "prev"), link(next, "Next", "next"), shown ? h("span.muted", {}, shown) : null);
}
