// Downloads and uploads of this page, wherever one goes in it.

import { h } from "../dom.js";
import { problem, progress } from "../parts.js";
import { transfers } from "../transfer.js";
import { plain, size } from "../text.js";

export function panel() {
  if (!transfers.length) return null;
  return h("section.panel", { key: "transfers", "aria-label": "Downloads and uploads" }, h("header", {}, h("h2", {}, "Downloads and uploads")),
    h("ul.inner", {}, transfers.map((one) => h("li", { key: one.id }, row(one)))));
}

const WORDS = { running: "", done: "done", stopped: "given up; nothing was changed", failed: "failed" };

function row(one) {
  return [
    h("div.head", {}, h("b", {}, plain(one.name)), h("span.muted", {}, `${one.what} ${one.status === "running" ? "" : WORDS[one.status]}`),
      one.status === "running" ? progress(`${one.what} of ${plain(one.name)}`, { bytes_done: one.done, bytes_total: one.total, files_done: 0, files_total: 1 }) : h("span.muted", {}, size(one.total)),
      h("div.end", {}, h("button.quiet", { type: "button", "aria-label": `${one.status === "running" ? "Stop" : "Dismiss"} ${plain(one.name)}`, onclick: one.stop }, one.status === "running" ? "Stop" : "Dismiss"))),
    one.status === "failed" ? problem(one.error) : null];
}
