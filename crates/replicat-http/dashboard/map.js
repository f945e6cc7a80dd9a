// The map: nodes on a ring, in the order of their names, and the links between them. It is drawn for the width it has, so that
// the letters stay legible; with too many nodes for that, the names are those of the chosen node and of the ones in trouble.

import { h } from "./dom.js";
import { redraw } from "./store.js";
import { plain } from "./text.js";

const FEW = 9;
const SOME_EDGES = 40;
const MANY_EDGES = 150;
/** More links missing than this say that something else is wrong; they would cover the map. */
const MISSING_MAX = 80;

let width = 640;
let watched = null;
const watcher = new ResizeObserver(([entry]) => {
  const now = Math.max(280, Math.round(entry.contentRect.width));
  if (now === width) return;
  width = now;
  redraw();
});

// The element is made by the patching of the page: it is looked for once it is there.
function watch() {
  requestAnimationFrame(() => {
    const node = document.querySelector(".map");
    if (!node || node === watched) return;
    watcher.disconnect();
    watcher.observe(node);
    watched = node;
  });
}

function layout(nodes) {
  const others = nodes.filter((node) => !node.isSelf);
  const isRing = others.length > FEW;
  const height = isRing ? Math.min(width, 700) : Math.min(Math.max(260, width * 0.62), 420);
  const margin = isRing ? Math.max(72, Math.min(92, width * 0.16)) : 70;
  const [rx, ry] = [Math.max(60, width / 2 - margin), Math.max(60, height / 2 - (isRing ? margin : 52))];
  const radius = isRing ? Math.min(rx, ry) : 0;
  const places = new Map();
  for (const node of nodes.filter((one) => one.isSelf)) places.set(node.name, { x: width / 2, y: height / 2, angle: Math.PI / 2 });
  others.forEach((node, at) => {
    const angle = (2 * Math.PI * at) / others.length - Math.PI / 2;
    places.set(node.name, { x: width / 2 + Math.cos(angle) * (radius || rx), y: height / 2 + Math.sin(angle) * (radius || ry), angle });
  });
  if (!isRing) centre(places, height);
  if (others.length === 1 && !places.has(nodes[0].name)) places.set(nodes[0].name, { x: width / 2, y: height / 2, angle: 0 });
  return { places, height, isRing, spacing: radius ? (2 * Math.PI * radius) / others.length : 100 };
}

// Three nodes are no full circle: what is drawn is moved to the middle.
function centre(places, height) {
  const all = [...places.values()].map((place) => place.y);
  const shift = height / 2 - (Math.min(...all) + Math.max(...all)) / 2;
  for (const place of places.values()) place.y += shift;
}

const line = (edge, places) => {
  const [from, to] = [places.get(edge.from), places.get(edge.to)];
  return from && to ? `M${from.x.toFixed(1)} ${from.y.toFixed(1)}L${to.x.toFixed(1)} ${to.y.toFixed(1)}` : "";
};

/** `nodes` are `{ name, tone, status, note, isSelf }`, `edges` `{ from, to, tone }`. The table beside it is the same for the keyboard. */
export function drawMap({ nodes, edges, select, onChoose }) {
  watch();
  const all = layout(nodes);
  const many = edges.length > MANY_EDGES ? "many" : edges.length > SOME_EDGES ? "some" : "";
  const ofTone = (tone) => edges.filter((edge) => edge.tone === tone);
  const path = (some) => some.map((edge) => line(edge, all.places)).join("");
  const missing = ofTone("missing").slice(0, MISSING_MAX);
  const lit = select ? edges.filter((edge) => edge.tone !== "missing" && (edge.from === select || edge.to === select)) : [];
  const away = nodes.filter((node) => node.tone === "off" || node.tone === "bad").length;
  const spoken = `Map of ${nodes.length} nodes with ${edges.length - ofTone("missing").length} connections; ${away} away or in trouble, ${ofTone("missing").length} connections missing. The table lists the same.`;
  return h("div.map", {}, h("svg", { viewBox: `0 0 ${width} ${all.height}`, width, height: all.height, role: "img", "aria-label": spoken },
    h("path.edge", { class: many, d: path(ofTone("good")) }),
    h("path.edge.busy", { d: path(ofTone("busy")) }),
    h("path.edge.missing", { d: path(missing) }),
    h("path.edge.lit", { class: many, d: path(lit) }),
    nodes.map((node) => spot(node, all, node.name === select, onChoose))));
}

const SHAPES = {
  good: (r) => h("circle.spot", { r }),
  busy: (r) => h("circle.spot", { r: r * 0.8 }),
  warn: (r) => h("rect.spot", { x: -r, y: -r, width: 2 * r, height: 2 * r, rx: 1 }),
  bad: (r) => h("path.spot", { d: `M0 ${-r * 1.35}L${r * 1.35} 0L0 ${r * 1.35}L${-r * 1.35} 0Z` }),
  off: (r) => h("circle.spot", { r }),
};

function spot(node, all, isChosen, onChoose) {
  const place = all.places.get(node.name);
  const r = all.isRing ? Math.max(3, Math.min(6.5, all.spacing * 0.36)) : node.isSelf ? 11 : 8;
  return h("g.node", { key: node.name, class: `${node.tone}${isChosen ? " chosen" : ""}`, transform: `translate(${place.x.toFixed(1)} ${place.y.toFixed(1)})`, onclick: () => onChoose(node.name) },
    h("title", {}, `${plain(node.name)}: ${plain(node.status ?? "")}`),
    isChosen ? h("circle.halo", { r: r + 5 }) : null,
    SHAPES[node.tone](r),
    caption(node, place, r, all, isChosen));
}

const short = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

function caption(node, place, r, all, isChosen) {
  if (!all.isRing) {
    // Above what is in the upper half: the links go down from there.
    const isAbove = !node.isSelf && Math.sin(place.angle) < -0.3;
    return [
      h("text", { y: isAbove ? -r - (node.note ? 20 : 7) : r + 16, "text-anchor": "middle" }, short(plain(node.name), 18)),
      node.note ? h("text.under", { y: isAbove ? -r - 7 : r + 30, "text-anchor": "middle" }, node.note) : null];
  }
  const isTrouble = node.tone === "bad" || node.tone === "off";
  const isLegible = all.spacing >= 11.5;
  if (!isLegible && !isChosen && !(isTrouble && all.spacing >= 5)) return null;
  // Names go outwards from the ring; those on its left side end at their node.
  const degrees = (place.angle * 180) / Math.PI;
  const isLeft = Math.cos(place.angle) < -0.001;
  return h("text.small", { transform: `rotate(${(isLeft ? degrees + 180 : degrees).toFixed(1)})`, x: isLeft ? -(r + 6) : r + 6, y: 3.5, "text-anchor": isLeft ? "end" : "start" }, short(plain(node.name), isLegible ? 15 : 8));
}
