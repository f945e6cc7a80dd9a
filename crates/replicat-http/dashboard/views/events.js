// What changed, as it happens.

import { pathOf } from "../api.js";
import { h } from "../dom.js";
import { state } from "../live.js";
import { empty, table } from "../parts.js";
import { to } from "../route.js";
import { draft, setDraft } from "../store.js";
import { count, moment, name, own, plain } from "../text.js";

export const label = "Events";
export const title = () => "Events";

const SHOWN_MAX = 200;

const WORDS = {
  "notify.Create": "created", "notify.Write": "changed", "notify.Remove": "removed", "notify.Rename": "renamed",
  "replicat.Rename": "renamed (elsewhere)", "replicat.Catalog": "compared", "replicat.FileRequest": "content asked for",
};

const wordOf = (event) => own(WORDS, event.name) ?? plain(event.name);

let frozen = null;

function matches(event) {
  const text = draft("events text", "").toLowerCase();
  const kind = draft("events kind", "");
  const folder = draft("events folder", "");
  if (kind && event.name !== kind) return false;
  if (folder && event.folder !== folder) return false;
  if (!text) return true;
  return [event.path, event.source_path, event.source, event.network_source, event.folder].some((value) => value?.toLowerCase().includes(text));
}

export function draw() {
  const all = (frozen ?? state.events).filter(matches);
  const shown = all.slice(-SHOWN_MAX).reverse();
  return [
    h("div.head", {}, h("h1", { tabindex: -1 }, "Events"), h("div.end", {}, pauseButton())),
    h("section.panel", { "aria-label": "Events" },
      h("header", {}, filters()),
      shown.length ? list(shown) : empty(state.events.length ? "No event fits the filter." : "Nothing has changed yet."),
      all.length > SHOWN_MAX ? h("p.pager.muted", {}, `The latest ${SHOWN_MAX} of ${count(all.length, "event")}. Filter to see others.`) : null),
  ];
}

function pauseButton() {
  const last = frozen?.at(-1)?.id;
  const fresh = frozen ? state.events.length - 1 - state.events.findIndex((event) => event.id === last) : 0;
  return [
    frozen ? h("span.muted", {}, fresh ? `${count(fresh, "new event")} since` : "paused") : null,
    h("button", { type: "button", "aria-pressed": frozen ? "true" : "false", onclick: () => { frozen = frozen ? null : state.events; setDraft("events paused", Boolean(frozen)); } }, frozen ? "Go on" : "Pause"),
  ];
}

function filters() {
  const folders = [...new Set(state.events.map((event) => event.folder).filter(Boolean))].sort();
  const choice = (key, text, every, options) => h("label.field", {}, h("span", {}, text),
    h("select", { onchange: (event) => setDraft(key, event.target.value) }, h("option", { value: "" }, every), options.map(([value, shown]) => h("option", { value }, shown))));
  return h("div.form", {},
    h("label.field.grow", {}, h("span", {}, "Path or node holds"), h("input", { type: "search", placeholder: "any", oninput: (event) => setDraft("events text", event.target.value), value: draft("events text", "") })),
    choice("events kind", "What", "Everything", Object.entries(WORDS)),
    choice("events folder", "Folder", "All folders", folders.map((folder) => [folder, plain(folder)])));
}

const list = (rows) => table({
  label: "Events, the latest first", isCompact: true, rows, key: (event) => event.id,
  columns: [
    { label: "Time", class: "nowrap", cell: (event) => h("time", { datetime: event.time }, moment(event.time)) },
    { label: "What", class: "nowrap", cell: (event) => h("span", { title: plain(event.name) }, wordOf(event)) },
    { label: "Folder", cell: (event) => (event.folder ? name(event.folder) : "") },
    { label: "Path", cell: pathCell },
    { label: "Made at", cell: (event) => (event.source ? name(event.source) : "") },
    { label: "Came through", cell: (event) => (event.network_source ? name(event.network_source) : "") },
  ],
});

function pathCell(event) {
  if (!event.path) return "";
  const path = pathOf(event);
  const shown = name(path.text, path.hex);
  const link = event.folder ? h("a", { href: event.is_directory ? to.folder(event.folder, path) : to.file(event.folder, path) }, shown, event.is_directory ? "/" : "") : shown;
  return event.source_path ? [name(event.source_path, event.source_path_hex), " → ", link] : link;
}
