// Small plots of the last two minutes.

import { h } from "./dom.js";

const WINDOW_MS = 120_000;
const WIDTH = 300;
const HEIGHT = 56;

/** Rates: each holds from `from` to `at`, and between two it was quiet. */
export function rateSteps(series = [], key) {
  const points = [];
  let last = 0;
  for (const reading of series) {
    const from = Math.max(last, reading.from);
    if (from > last) points.push([last, 0], [from, 0]);
    points.push([from, reading[key]], [reading.at, reading[key]]);
    last = reading.at;
  }
  points.push([last, 0], [Infinity, 0]);
  return points;
}

/** Values that stay until the next. */
export function heldSteps(series = [], key) {
  const points = [];
  for (const reading of series) {
    if (reading[key] === null || reading[key] === undefined) continue;
    if (points.length) points.push([reading.at, points.at(-1)[1]]);
    points.push([reading.at, reading[key]]);
  }
  if (points.length) points.push([Infinity, points.at(-1)[1]]);
  return points;
}

/** `lines` are `{ label, tone, points, now }`; `format` writes a value. */
export function plot({ label, lines, format, compact = false }) {
  const end = Date.now();
  const start = end - WINDOW_MS;
  const within = lines.map((line) => ({ ...line, shown: clip(line.points, start, end) }));
  const highest = Math.max(0, ...within.flatMap((line) => line.shown.map((point) => point[1])));
  const top = highest || 1;
  const x = (at) => (((at - start) / WINDOW_MS) * WIDTH).toFixed(1);
  const y = (value) => (HEIGHT - 2 - (value / top) * (HEIGHT - 6)).toFixed(1);
  const shape = (points) => points.map(([at, value], index) => `${index ? "L" : "M"}${x(at)} ${y(value)}`).join("");
  const spoken = `${label}, the last two minutes: ${lines.map((line) => `${line.label} ${line.now}`).join(", ")}; at most ${format(highest)}`;
  return h("figure.plot", { class: compact ? "compact" : undefined },
    compact ? null : h("figcaption", {}, h("strong", {}, label), h("span.muted", {}, `max ${format(highest)}`)),
    h("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": spoken },
      h("path.grid", { d: `M0 ${HEIGHT - 2}H${WIDTH}M0 ${HEIGHT / 2}H${WIDTH}M0 4H${WIDTH}` }),
      within.map((line) => (line.shown.length
        ? [h("path.area", { class: line.tone, d: `${shape(line.shown)}V${HEIGHT - 2}H${x(line.shown[0][0])}Z` }), h("path.curve", { class: line.tone, d: shape(line.shown) })]
        : null))),
    compact ? null : h("div.legend", {}, lines.map((line) => h("span", { class: line.tone }, h("i.key", {}), line.label, h("b", {}, line.now))), h("span.muted.ends", {}, "last 2 min")));
}

function clip(points, start, end) {
  const shown = [];
  let before = null;
  for (const [at, value] of points) {
    const here = Math.min(at, end);
    if (here < start) before = value;
    else {
      if (!shown.length && before !== null) shown.push([start, before]);
      shown.push([here, value]);
    }
    if (at >= end) break;
  }
  return shown;
}

/** The latest rate, or none if it has been quiet since. */
export function rateNow(series, key) {
  const last = series?.at(-1);
  return last && Date.now() - last.at < 2500 ? last[key] : 0;
}
