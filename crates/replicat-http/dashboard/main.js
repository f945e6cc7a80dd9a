// The frame around all pages: who is asked, where one is, what waits for a decision, and whether what is seen is live.

import { hasToken, session, signOut } from "./api.js";
import { h, patch } from "./dom.js";
import { may, retryNow, start, state, stop } from "./live.js";
import { mark, pill, problem } from "./parts.js";
import { isSameList, parse, to } from "./route.js";
import { connect, forget, forgetActions, redraw, reload } from "./store.js";
import { own, plain, span } from "./text.js";
import * as brakes from "./views/brakes.js";
import * as cluster from "./views/cluster.js";
import * as conflicts from "./views/conflicts.js";
import * as events from "./views/events.js";
import * as file from "./views/file.js";
import * as folder from "./views/folder.js";
import * as folders from "./views/folders.js";
import * as nodes from "./views/nodes.js";
import * as placements from "./views/placements.js";
import * as settings from "./views/settings.js";
import * as signin from "./views/signin.js";
import * as tokens from "./views/tokens.js";

const NODE = { cluster, folders, conflicts, events, brakes, settings, folder, file };
const MANAGER = { cluster, folders, nodes, tokens, placements };
const IN_RAIL = ["cluster", "folders", "nodes", "conflicts", "events", "brakes", "tokens", "placements", "settings"];

const page = document.getElementById("page");
const said = document.getElementById("said");
let route = parse(location.hash);
let reason = null;
let drawn = false;

connect({ draw: schedule, signedOut: leave, say });

function say(text) {
  // The same words twice are read twice only if they differ in between.
  said.textContent = "";
  requestAnimationFrame(() => { said.textContent = text; });
}

function schedule() {
  if (drawn) return;
  drawn = true;
  requestAnimationFrame(() => {
    drawn = false;
    draw();
  });
}

function draw() {
  const children = !hasToken() ? signin.draw({ reason, onSignIn: enter }) : state.session ? frame() : waiting();
  const before = document.activeElement;
  const list = before?.closest("[data-list]");
  const isInside = before !== document.body && page.contains(before);
  patch(page, children);
  // What had the focus may be gone, as a conflict that was resolved: then it goes to what it was part of, not to the top of the page.
  if (isInside && !page.contains(before)) (list?.isConnected ? list : page.querySelector("h1"))?.focus({ preventScroll: true });
}

const waiting = () => h("p.loading", { key: "waiting" }, state.connection.status === "lost" ? lostText() : "Connecting…");

function views() {
  return state.session.server === "manager" ? MANAGER : NODE;
}

const viewOf = ({ view }) => own(views(), view);

// What cannot be drawn must not take the rest of the page with it.
function content(view) {
  if (!view) return [h("div.head", {}, h("h1", { tabindex: -1 }, "There is no such page")), h("p", {}, h("a", { href: to.view("cluster") }, "Go to the cluster"))];
  try {
    return view.draw(route);
  } catch (error) {
    console.error("replicat:", error);
    return [h("div.head", {}, h("h1", { tabindex: -1 }, view.title(route))), problem({ message: "This page cannot be shown.", hint: `Reload it; if that does not help, report this: ${error.message}` })];
  }
}

function frame() {
  const view = viewOf(route);
  document.title = `${view ? view.title(route) : "Not found"} – ${plain(state.session.name ?? "manager")} – replicat`;
  return h("div.shell", { key: "shell" },
    h("a.skip", { href: "#main", onclick: skip }, "Skip to the content"),
    bar(), rail(),
    h("main", { id: "main", key: `${route.view} ${route.folder}`, tabindex: -1 },
      banners(),
      content(view),
    ));
}

function skip(event) {
  event.preventDefault();
  document.getElementById("main").focus();
}

function bar() {
  const isManager = state.session.server === "manager";
  return h("header.bar", {},
    h("a.brand", { href: "#/cluster", "aria-label": "replicat, the cluster" },
      h("svg", { viewBox: "0 0 20 20", width: 20, height: 20, "aria-hidden": "true" },
        h("path.ring", { d: "M10 3 17 15H3Z" }), h("circle", { cx: 10, cy: 3.6, r: 3 }), h("circle", { cx: 3.6, cy: 15.4, r: 3 }), h("circle", { cx: 16.4, cy: 15.4, r: 3 })),
      "replicat"),
    h("div.who", {}, h("span.muted", {}, isManager ? "manager" : "node"), isManager && state.session.name === "manager" ? null : h("b", {}, plain(state.session.name ?? "")),
      state.now?.status ? pill(state.now.status) : null),
    h("div.end", {}, connection(), themeButton(),
      h("button.quiet", { type: "button", onclick: () => leave(null), title: `Signed in with the token ${plain(state.session.token.name)} (${state.session.token.scope})` }, "Sign out")));
}

function connection() {
  const { status } = state.connection;
  if (status === "live") return h("span.pill.good", { title: "What is shown changes as it happens" }, mark("good"), "Live");
  return h("span.pill", { class: status === "lost" ? "bad" : "busy" }, mark(status === "lost" ? "bad" : "busy"), status === "lost" ? "Disconnected" : "Connecting");
}

function themeButton() {
  const theme = window.replicatTheme;
  const now = theme.read();
  const next = theme.choices[(theme.choices.indexOf(now) + 1) % theme.choices.length];
  return h("button.quiet", { type: "button", title: `Colours: ${now}. Change to ${next}`, "aria-label": `Colours: ${now}. Change to ${next}`, onclick: () => { theme.set(next); redraw(); } },
    h("svg", { viewBox: "0 0 16 16", width: 16, height: 16, "aria-hidden": "true" },
      h("path", { fill: "currentColor", d: "M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Zm0 1.6v10.8A5.4 5.4 0 0 1 8 2.6Z" })),
    now === "auto" ? "Auto" : now === "light" ? "Light" : "Dark");
}

function rail() {
  const all = IN_RAIL.filter((name) => views()[name] && (views()[name].scope ? may(views()[name].scope) : true));
  const here = ["folder", "file"].includes(route.view) ? "folders" : route.view;
  return h("nav.rail", { "aria-label": "Pages of the dashboard" }, h("ul", {}, all.map((name) => {
    const badge = views()[name].badge?.();
    return h("li", { key: name }, h("a", { href: to.view(name), "aria-current": name === here ? "page" : undefined }, views()[name].label,
      badge ? h("span.badge", { class: badge.tone }, badge.text, h("span.unseen", {}, ` ${badge.spoken}`)) : null));
  })));
}

function lostText() {
  const seconds = Math.max(0, (state.connection.retryAt - Date.now()) / 1000);
  return `Disconnected${state.connection.reason ? ` (${plain(state.connection.reason)})` : ""}: what is shown may be old. ${seconds < 1 ? "Trying again…" : `Trying again in ${span(seconds)}.`}`;
}

function banners() {
  const lost = state.connection.status === "lost"
    ? h("div.banner.bad", { key: "lost", role: "status", "aria-live": "off" }, mark("bad"), h("span", {}, lostText()),
      h("span.end", {}, h("button", { type: "button", onclick: () => retryNow() }, "Try now")))
    : null;
  return h("div.banners", { key: "banners" }, lost, state.session.server === "node" && route.view !== "brakes" ? brakes.banner() : null);
}

function onChange(what) {
  if (what === "signed-out") return leave("The token is not valid any more.");
  if (what === "gap") reload();
  if (what === "connection" && state.connection.status === "lost" && !wasLost) say("The connection to the server is lost.");
  if (wasLost && state.connection.status === "live") {
    say("Connected again.");
    reload();
  }
  wasLost = state.connection.status === "lost";
  if (state.session?.server === "node") {
    if (what === "event") viewOf(route)?.changed?.(state.events.at(-1), route);
    if (what === "event" || what === "node") conflicts.noticed(what === "event" ? state.events.at(-1) : null);
    if (what === "node") brakes.noticed(say);
  }
  schedule();
}
let wasLost = false;

function leave(why) {
  stop();
  signOut();
  forget();
  state.session = null;
  reason = why;
  draw();
  page.querySelector("input")?.focus();
}

async function enter() {
  reason = null;
  schedule();
  for (let failures = 0; hasToken() && !state.session; failures += 1) {
    try {
      state.session = await session();
    } catch (error) {
      if (error.status === 401) return leave(`${error.message} ${error.hint ?? ""}`);
      const delay = Math.min(15_000, 500 * 2 ** failures);
      state.connection = { status: "lost", retryAt: Date.now() + delay, reason: error.message };
      schedule();
      await new Promise((done) => setTimeout(done, delay));
    }
  }
  state.connection = { status: "connecting" };
  start(onChange);
  schedule();
}

function focusPage(before) {
  const list = isSameList(before, route) ? page.querySelector("[data-list]") : null;
  (list ?? page.querySelector("h1"))?.focus();
  if (!list) scrollTo(0, 0);
  page.querySelector(".rail [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
}

window.addEventListener("hashchange", () => {
  if (location.hash === "#main") return;
  const before = route;
  route = parse(location.hash);
  const isSelection = before.view === "cluster" && route.view === "cluster";
  if (!isSelection) {
    forget("page:");
    forgetActions();
    if (state.session) viewOf(before)?.left?.();
  }
  draw();
  if (!isSelection && state.session) focusPage(before);
});

// Ages, plots and the time until the next attempt change by themselves.
setInterval(() => { if (!document.hidden) schedule(); }, 1000);

if (hasToken()) void enter();
else draw();
