// The stream of events, and what is known from it. A stream that breaks off is taken up again, later each time.

import { ApiError, events, request } from "./api.js";

const EVENTS_MAX = 500;
const SAMPLES_MAX = 120;
/** The server says something every 15 s; after this long without a word the connection is lost, whatever TCP thinks. */
const SILENCE_MS = 40_000;

export const state = {
  session: null,
  /** The latest `node` or `manager`. */
  now: null,
  events: [],
  /** Readings by what they are of: `total`, `folder:NAME`, `peer:NAME`. */
  series: new Map(),
  /** `connecting`, `live`, or `lost` with `retryAt`. */
  connection: { status: "connecting" },
  /** Why the server ended the stream, if it said so. */
  ended: null,
};

let changed = () => {};
let running = null;

/** Begins; `onChange` is called with what came: `node`, `manager`, `event`, `connection`, `signed-out`. */
export function start(onChange) {
  stop();
  changed = onChange;
  running = new AbortController();
  void run(running.signal);
}

export function stop() {
  running?.abort();
  Object.assign(state, { now: null, events: [], series: new Map(), connection: { status: "connecting" } });
}

/** Does not wait for the next attempt. */
export let retryNow = () => {};

async function run(signal) {
  let failures = 0;
  let last = null;
  await loadEvents();
  while (!signal.aborted) {
    await untilSeen(signal);
    try {
      await follow(signal, last, () => { failures = 0; }, (id) => { last = id; });
      failures += 1;
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ApiError && error.status === 401) return changed("signed-out");
      failures += 1;
    }
    if (signal.aborted) return;
    if (document.hidden) {
      failures = 0;
      continue;
    }
    // With a share of chance: a hundred pages must not come back in step.
    const delay = Math.min(30_000, 500 * 2 ** Math.min(failures, 6)) * (0.75 + Math.random() / 2);
    state.connection = { status: "lost", retryAt: Date.now() + delay, reason: state.ended };
    changed("connection");
    await new Promise((done) => {
      const timer = setTimeout(done, delay);
      retryNow = () => { clearTimeout(timer); done(); };
    });
  }
}

async function loadEvents() {
  if (state.session?.server !== "node") return;
  try {
    let answer = await events();
    // The oldest comes first; only the latest are of interest.
    while (answer.next) {
      state.events = answer.items;
      answer = await events(answer.next);
    }
    state.events = [...state.events, ...answer.items].slice(-EVENTS_MAX);
    changed("event");
  } catch {
    // The stream says that nothing answers.
  }
}

// A browser opens six connections to one server at most, over all its tabs: a tab that nobody sees gives its stream back, and takes
// it up again, with what was missed, when it is seen.
const UNSEEN_MS = 30_000;

async function untilSeen(signal) {
  while (document.hidden && !signal.aborted) await new Promise((done) => document.addEventListener("visibilitychange", done, { once: true }));
}

function whenUnseen(end) {
  let timer = null;
  const look = () => {
    clearTimeout(timer);
    if (document.hidden) timer = setTimeout(end, UNSEEN_MS);
  };
  look();
  document.addEventListener("visibilitychange", look);
  return () => {
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", look);
  };
}

async function follow(signal, last, onWord, onId) {
  const own = new AbortController();
  const end = () => own.abort();
  signal.addEventListener("abort", end);
  const seen = whenUnseen(end);
  let watchdog = setTimeout(end, SILENCE_MS);
  try {
    const response = await request("GET", "/events/stream", { signal: own.signal, headers: last ? { "Last-Event-ID": last } : {} });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      clearTimeout(watchdog);
      watchdog = setTimeout(end, SILENCE_MS);
      rest += value;
      const blocks = rest.split(/\r?\n\r?\n/);
      rest = blocks.pop();
      for (const block of blocks) take(block, onId);
      onWord();
    }
  } finally {
    clearTimeout(watchdog);
    seen();
    signal.removeEventListener("abort", end);
    own.abort();
  }
}

function take(block, onId) {
  const field = {};
  for (const line of block.split(/\r?\n/)) {
    const [, name, value] = /^([^:]*):? ?(.*)$/.exec(line);
    if (name) field[name] = name === "data" && field.data !== undefined ? `${field.data}\n${value}` : value;
  }
  if (field.data === undefined) return;
  if (field.id) onId(field.id);
  const data = JSON.parse(field.data);
  if (data.type === "node" || data.type === "manager") {
    state.now = data;
    state.ended = null;
    if (state.connection.status !== "live") state.connection = { status: "live" };
    sample(data);
  } else if (data.type === "event") {
    if (!state.events.some((event) => event.id === data.id)) state.events = [...state.events, data].slice(-EVENTS_MAX);
  } else if (data.type === "gap") {
    void loadEvents();
  } else if (data.type === "end") {
    state.ended = data.reason;
  }
  changed(data.type);
}

// Throughput is the difference of two readings of the counters: in all, of each folder, and of each other node.
function sample(data) {
  const at = Date.now();
  for (const [key, reading] of readings(data)) {
    const series = state.series.get(key) ?? [];
    state.series.set(key, [...series, measured(series.at(-1), { at, ...reading })].slice(-SAMPLES_MAX));
  }
}

function readings(data) {
  const all = new Map();
  const add = (key, row, more = {}) => {
    const sum = all.get(key) ?? { sent: 0, received: 0 };
    all.set(key, { ...sum, ...more, sent: sum.sent + (row.bytes_sent ?? 0), received: sum.received + (row.bytes_received ?? 0) });
  };
  if (data.type === "node") {
    for (const node of data.nodes) {
      add("total", node);
      add(`peer:${node.name}`, node, { trip: node.round_trip_ms ?? null });
    }
    for (const folder of data.folders) add(`folder:${folder.name}`, folder, { done: folder.progress?.bytes_done ?? 0 });
  } else {
    for (const member of data.members) {
      for (const folder of member.folders ?? []) {
        add("total", folder);
        add(`folder:${folder.name}`, folder);
        add(`peer:${member.name}`, folder);
      }
    }
  }
  return all;
}

// A reading comes when something changed, at most once a second: what it counts more than the one before came about within
// about that time, however long it was quiet before.
const CHANGE_SECONDS_MAX = 1.5;

function measured(before, reading) {
  const seconds = before ? Math.min(CHANGE_SECONDS_MAX, Math.max(0.9, (reading.at - before.at) / 1000)) : 1;
  // A counter that fell belongs to a link that began anew.
  const speed = (key) => (before && reading[key] >= before[key] ? (reading[key] - before[key]) / seconds : 0);
  return { ...reading, from: reading.at - seconds * 1000, up: speed("sent"), down: speed("received") };
}

/** Bytes a second that a folder's transfer makes, over the last quarter of a minute; 0 if it stands still. */
export function paceOf(folder) {
  const recent = (state.series.get(`folder:${folder}`) ?? []).filter((reading) => reading.at > Date.now() - 15_000);
  const [first, last] = [recent[0], recent.at(-1)];
  if (!first || last.at - first.at < 900 || last.done <= first.done) return 0;
  return (last.done - first.done) / ((last.at - first.at) / 1000);
}

/** Whether the token may do what needs `scope`. */
export function may(scope) {
  const order = ["read", "operate", "admin"];
  return order.indexOf(state.session?.token?.scope) >= order.indexOf(scope);
}
