// Calls to the server that served this page, and to no other. One function for each thing that can be asked.

import { encode, isRoot } from "./path.js";

const KEY = "replicat-token";
const BASE = "/api/v1";

let token = takeToken();

// A token in the address would stay in the history and be seen over a shoulder: it is taken out at once. It is kept for this
// tab only.
function takeToken() {
  const given = /^#token=(.+)$/.exec(location.hash);
  if (given) {
    sessionStorage.setItem(KEY, decodeURIComponent(given[1]));
    history.replaceState(null, "", location.pathname + location.search);
  }
  return sessionStorage.getItem(KEY);
}

export const hasToken = () => Boolean(token);

export function signIn(text) {
  token = text.trim();
  sessionStorage.setItem(KEY, token);
}

export function signOut() {
  token = null;
  sessionStorage.removeItem(KEY);
}

/** What went wrong, and what to do about it. */
export class ApiError extends Error {
  constructor(status, kind, message, hint) {
    super(message);
    Object.assign(this, { status, kind, hint });
  }
}

const ADVICE = {
  0: "Check that the server runs and that this machine reaches it; it is tried again by itself.",
  401: "Sign in with another token: `replicat api token create` makes one.",
  403: "Sign in with a token of a wider scope.",
  404: "It may have been renamed or removed meanwhile: reload the list.",
  409: "Look at its present state, then try again.",
  412: "It changed meanwhile: reload, then decide again.",
  503: "The server is busy: try again in a moment.",
  507: "Make room on the server's disk, then try again.",
};

async function failure(response) {
  const problem = await response.json().catch(() => ({}));
  const hint = problem.hint || ADVICE[response.status] || "Try again; if it stays, look at the server's log.";
  return new ApiError(response.status, problem.kind ?? "unknown", problem.detail || problem.title || `the server answered ${response.status}`, hint);
}

/** A raw answer. `signal` ends it. */
export async function request(method, path, { body, headers, signal } = {}) {
  const all = { Authorization: `Bearer ${token}`, ...headers };
  if (method !== "GET") all["X-Replicat-Request"] = "1";
  if (body !== undefined) all["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(BASE + path, { method, headers: all, body: body === undefined ? undefined : JSON.stringify(body), signal, credentials: "omit", cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "unreachable", "The server does not answer.", ADVICE[0]);
  }
  if (!response.ok) throw await failure(response);
  return response;
}

const json = async (...all) => (await request(...all)).json();
const get = (path) => json("GET", path);
const segment = encodeURIComponent;

const pathBody = (path) => (path.hex ? { hex: path.hex } : path.text);

/** The path under `key` of an answer. */
export const pathOf = (row, key = "path") => ({ text: row[key] ?? "", hex: row[`${key}_hex`] });

const below = (folder, what, path) => `/folders/${segment(folder)}/${what}${path && !isRoot(path) ? `?path=${encode(path)}` : ""}`;
const page = (path, after, limit) => `${path}${path.includes("?") ? "&" : "?"}limit=${limit}${after ? `&after=${segment(after)}` : ""}`;

export const session = () => get("/session");
export const tree = (folder, path, after, limit = 100) => get(page(below(folder, "tree", path), after, limit));
export const conflicts = (folder, after, limit = 50) => get(page(below(folder, "conflicts"), after, limit));
export const resolve = (folder, path, keep) => json("POST", below(folder, "resolve"), { body: { path: pathBody(path), keep } });
export const versions = (folder, path) => get(below(folder, "history", path));
export const why = (folder, path) => get(below(folder, "why", path));
export const restore = (folder, path, revision) => json("POST", below(folder, "restore"), { body: { path: pathBody(path), revision } });
export const act = (folder, action) => json("POST", below(folder, action), { body: {} });
export const events = (after) => get(page("/events", after, 1000));
export const removeNode = (name) => json("DELETE", `/nodes/${segment(name)}`);
export const tokens = () => get("/tokens");
export const createToken = (order) => json("POST", "/tokens", { body: order });
export const removeToken = (id) => json("DELETE", `/tokens/${segment(id)}`);
export const place = (folder, node, mode) => json("PUT", `/placements/${segment(folder)}/${segment(node)}`, { body: { mode } });
export const withdraw = (folder, node) => json("DELETE", `/placements/${segment(folder)}/${segment(node)}`);
export const configuration = () => get("/configuration");
export const actOnAll = (action) => json("POST", `/${action}`, { body: {} });
export const content = (folder, path, { headers, signal } = {}) => request("GET", below(folder, "file", path), { headers, signal });
export const removeFile = (folder, path, known) => json("DELETE", below(folder, "file", path), { headers: known ? { "If-Match": `"${known}"` } : {} });
export const rescan = (folder, path) => json("POST", below(folder, "rescan"), { body: path && !isRoot(path) ? { paths: [pathBody(path)] } : {} });

/** Puts a file in place. It goes through XMLHttpRequest, the one way to be told how far it is. */
export function upload(folder, path, file, { headers = {}, onProgress, signal }) {
  return new Promise((done, failed) => {
    const call = new XMLHttpRequest();
    call.open("PUT", BASE + below(folder, "file", path));
    const all = { Authorization: `Bearer ${token}`, "X-Replicat-Request": "1", "Content-Type": "application/octet-stream", ...headers };
    for (const [name, value] of Object.entries(all)) call.setRequestHeader(name, value);
    call.upload.onprogress = (event) => onProgress(event.loaded, event.total);
    call.onload = async () => {
      const answer = new Response(call.response, { status: call.status });
      if (answer.ok) done(await answer.json());
      else failed(await failure(answer));
    };
    call.onerror = () => failed(new ApiError(0, "unreachable", "The upload broke off; nothing was changed.", ADVICE[0]));
    call.onabort = () => failed(new DOMException("given up", "AbortError"));
    signal.addEventListener("abort", () => call.abort());
    call.send(file);
  });
}
