// How names, sizes and times are written. Names are hostile: what a reader would not see, or would see at another place, is
// written as an escape, in the same way as the command line writes it.

import { h } from "./dom.js";

// Controls, separators, marks that reorder or join, invisible ones, and what stands for no character at all.
const HIDDEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cn}\p{Cs}\u115f\u1160\u3164\uffa0\u034f\u17b4\u17b5\u2800]|\p{Variation_Selector}|[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]/u;

const SHORT = { "\n": "\\n", "\t": "\\t", "\r": "\\r", "\\": "\\\\" };

function escaped(character) {
  if (character in SHORT) return SHORT[character];
  const code = character.codePointAt(0);
  if (code < 0x80 || (code >= 0x80 && code < 0xa0)) return `\\x${code.toString(16).padStart(2, "0")}`;
  return `\\u{${code.toString(16)}}`;
}

/** Bytes in hexadecimal as pieces of text, with an escape for each byte that is not UTF-8. */
function piecesOfHex(digits) {
  const bytes = (digits.match(/../g) ?? []).map((pair) => parseInt(pair, 16));
  const pieces = [];
  for (let at = 0; at < bytes.length; ) {
    const length = sequence(bytes, at);
    if (length === 0) pieces.push({ text: `\\x${bytes[at].toString(16).padStart(2, "0")}`, isEscape: true });
    else pieces.push(...piecesOfText(new TextDecoder().decode(new Uint8Array(bytes.slice(at, at + length)))));
    at += length || 1;
  }
  return pieces;
}

// How many bytes the character at `at` takes; 0 if there is none.
function sequence(bytes, at) {
  const first = bytes[at];
  const length = first < 0x80 ? 1 : first >= 0xc2 && first < 0xe0 ? 2 : first >= 0xe0 && first < 0xf0 ? 3 : first >= 0xf0 && first < 0xf5 ? 4 : 0;
  if (length === 0 || at + length > bytes.length) return 0;
  try {
    new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(new Uint8Array(bytes.slice(at, at + length)));
    return length;
  } catch {
    return 0;
  }
}

function piecesOfText(text) {
  return Array.from(text, (character) => {
    const isEscape = character === "\\" || HIDDEN.test(character);
    return { text: isEscape ? escaped(character) : character, isEscape };
  });
}

function pieces(value, hex) {
  const all = hex ? piecesOfHex(hex) : piecesOfText(String(value ?? ""));
  // A blank at an end would not be seen.
  for (const end of [all[0], all[all.length - 1]]) {
    if (end?.text === " ") Object.assign(end, { text: "\\x20", isEscape: true });
  }
  return all;
}

/** A name as plain text, for titles, labels and questions. */
export function plain(value, hex) {
  return pieces(value, hex).map((piece) => piece.text).join("");
}

/** A name to be shown: isolated from the text around it, escapes set apart. */
export function name(value, hex) {
  const runs = [];
  for (const piece of pieces(value, hex)) {
    const last = runs[runs.length - 1];
    if (last && last.isEscape === piece.isEscape) last.text += piece.text;
    else runs.push({ ...piece });
  }
  return h("bdi.name", { dir: "ltr" }, runs.map((run) => (run.isEscape ? h("span.esc", {}, run.text) : run.text)));
}

// Lines of a file keep their tabs, blanks and backslashes; only what would mislead is escaped.
const MISLEADING = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cn}\p{Cs}]/u;

/** A line of a file to be shown. */
export function line(value) {
  const runs = [];
  for (const character of value) {
    const isEscape = character !== "\t" && MISLEADING.test(character);
    const last = runs[runs.length - 1];
    const text = isEscape ? escaped(character) : character;
    if (last && last.isEscape === isEscape) last.text += text;
    else runs.push({ text, isEscape });
  }
  return h("bdi.line", { dir: "ltr" }, runs.map((run) => (run.isEscape ? h("span.esc", {}, run.text) : run.text)));
}

/** What a table of words says of `key`; words come from others, and "constructor" must not find what every object has. */
export const own = (table, key) => (Object.hasOwn(table, key) ? table[key] : undefined);

const UNITS = ["B", "KB", "MB", "GB", "TB", "PB"];

/** A size for people, with three digits at most. */
export function size(bytes) {
  if (bytes === null || bytes === undefined) return "–";
  let value = Number(bytes);
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 99.5 ? 0 : value >= 9.95 ? 1 : 2;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

export const rate = (bytes) => `${size(bytes)}/s`;

const NUMBER = new Intl.NumberFormat("en-US");
export const number = (value) => (value === null || value === undefined ? "–" : NUMBER.format(value));

/** "1 file", "2 files". */
export function count(value, one, many = `${one}s`) {
  return `${number(value)} ${value === 1 ? one : many}`;
}

const DATE = new Intl.DateTimeFormat("en-CA", {
  year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
});

/** A moment in the reader's time zone. Beyond the year 9999 it comes as seconds. */
export function moment(value) {
  const time = dateOf(value);
  return time ? DATE.format(time).replace(",", "") : value ? String(value) : "–";
}

function dateOf(value) {
  if (value === null || value === undefined) return null;
  const time = new Date(typeof value === "number" ? value * 1000 : value);
  return Number.isNaN(time.getTime()) ? null : time;
}

/** How long ago, roughly: "now", "4 min ago". */
export function ago(value, now = Date.now()) {
  const time = dateOf(value);
  if (!time) return "never";
  const seconds = (now - time.getTime()) / 1000;
  if (seconds < 0) return seconds > -5 ? "now" : `in ${span(-seconds)}`;
  return seconds < 5 ? "now" : `${span(seconds)} ago`;
}

/** A length of time, in its largest unit. */
export function span(seconds) {
  const steps = [[60, 1, "s"], [3600, 60, "min"], [86400, 3600, "h"], [Infinity, 86400, "d"]];
  const [, unit, word] = steps.find(([limit]) => seconds < limit);
  return `${Math.max(1, Math.round(seconds / unit))} ${word}`;
}

/** A moment as an element: roughly in the text, exactly on demand. */
export function time(value, now) {
  const date = dateOf(value);
  if (!date) return h("span.muted", {}, "never");
  return h("time", { datetime: date.toISOString(), title: moment(value) }, ago(value, now));
}
