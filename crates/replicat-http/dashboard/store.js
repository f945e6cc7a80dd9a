// What was asked for, what is being done, and how it went. Whoever draws asks here, and is drawn anew when it changes.

import { ApiError } from "./api.js";

let draw = () => {};
let signedOut = () => {};
let say = () => {};

/** Says who draws, who signs out, and who reads aloud. */
export function connect(all) {
  ({ draw, signedOut, say } = all);
}

export const redraw = () => draw();
export const announce = (text) => say(text);

const resources = new Map();

/** What `fetcher` answers: `status` is `loading`, `ready` with `data`, or `failed` with `error`. It is asked once for each key. */
export function use(key, fetcher) {
  let resource = resources.get(key);
  if (!resource) {
    resource = { status: "loading", fetcher, turn: 0 };
    resources.set(key, resource);
    void load(resource);
  }
  return resource;
}

async function load(resource) {
  const turn = (resource.turn += 1);
  try {
    const data = await resource.fetcher();
    if (turn === resource.turn) Object.assign(resource, { status: "ready", data, error: null });
  } catch (error) {
    if (isSignedOut(error)) return;
    // What was there stays to be seen beside the error.
    if (turn === resource.turn) Object.assign(resource, { status: resource.data === undefined ? "failed" : "ready", error });
  }
  redraw();
}

/** Asks anew; what is shown stays until the answer is there. */
export function reload(prefix = "") {
  for (const [key, resource] of resources) {
    if (key.startsWith(prefix)) void load(resource);
  }
}

/** Forgets what was loaded; what is drawn again is asked for again. */
export function forget(prefix = "") {
  for (const key of [...resources.keys()]) {
    if (key.startsWith(prefix)) resources.delete(key);
  }
}

export function isSignedOut(error) {
  const is = error instanceof ApiError && error.status === 401;
  if (is) signedOut(error.message);
  return is;
}

const actions = new Map();

/** Does something once at a time, and keeps under `key` how it went: `busy`, `done` with a text, or `error`. */
export async function perform(key, run, done) {
  if (actions.get(key)?.busy) return false;
  actions.set(key, { busy: true });
  redraw();
  try {
    const answer = await run();
    const text = typeof done === "function" ? done(answer) : done;
    actions.set(key, { done: text });
    if (text) announce(text);
    return true;
  } catch (error) {
    if (isSignedOut(error)) return false;
    actions.set(key, error.name === "AbortError" ? {} : { error });
    return false;
  } finally {
    redraw();
  }
}

export const wentHow = (key) => actions.get(key) ?? {};

export function forgetActions() {
  for (const [key, action] of [...actions]) {
    if (!action.busy) actions.delete(key);
  }
}

const drafts = new Map();

/** What somebody typed or chose in the page, by name. */
export const draft = (key, initial) => (drafts.has(key) ? drafts.get(key) : initial);

export function setDraft(key, value) {
  drafts.set(key, value);
  redraw();
}
