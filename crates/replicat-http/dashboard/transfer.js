// Files that come and go: downloads in pieces, so that they can be watched and given up, and uploads.

import { ApiError, content, upload } from "./api.js";
import { redraw } from "./store.js";
import { plain } from "./text.js";

const PIECE = 8 * 1024 * 1024;
/** What a page may hold in memory; more goes straight to a file where the browser can do that. */
const MEMORY_MAX = 1024 * 1024 * 1024;

/** What is under way: `{ id, what, name, done, total, status, error, stop }`. */
export const transfers = [];
let number = 0;

function begin(what, name, total) {
  const control = new AbortController();
  number += 1;
  const one = { id: number, what, name, done: 0, total, status: "running", control };
  one.stop = () => {
    control.abort();
    if (one.status !== "running") transfers.splice(transfers.indexOf(one), 1);
    redraw();
  };
  transfers.push(one);
  redraw();
  return one;
}

async function follow(one, run) {
  try {
    await run();
    one.status = "done";
  } catch (error) {
    one.status = error.name === "AbortError" ? "stopped" : "failed";
    one.error = error;
  }
  redraw();
  return one.status === "done";
}

/** Calls `take` with each piece. If the file becomes another meanwhile, this ends with an error, and never mixes the two. */
async function pieces(folder, path, one, take) {
  let tag = null;
  for (let at = 0; at === 0 || at < one.total; ) {
    const headers = { Range: `bytes=${at}-${at + PIECE - 1}`, ...(tag ? { "If-Range": tag } : {}) };
    const answer = await withPatience(() => content(folder, path, { headers, signal: one.control.signal }), at === 0);
    if (answer === null) return;
    if (at > 0 && answer.status !== 206) throw new ApiError(412, "precondition", "The file changed while it was downloaded.", "Download it again.");
    tag ??= answer.headers.get("ETag");
    one.total = Number(/\/(\d+)$/.exec(answer.headers.get("Content-Range") ?? "")?.[1] ?? answer.headers.get("Content-Length") ?? 0);
    const piece = await answer.arrayBuffer();
    await take(piece);
    at += piece.byteLength;
    one.done = at;
    redraw();
    if (piece.byteLength === 0) return;
  }
}

// A connection that breaks costs a piece, not the file. An empty file has no first piece.
async function withPatience(run, isFirst) {
  for (let left = 3; ; left -= 1) {
    try {
      return await run();
    } catch (error) {
      if (error.status === 416 && isFirst) return null;
      if (error.status !== 0 || left === 0) throw error;
      await new Promise((done) => setTimeout(done, 1000));
    }
  }
}

/** Saves a file under `name`. */
export async function download(folder, path, name, size) {
  const one = begin("download", name, size ?? 0);
  await follow(one, async () => {
    if ((size ?? 0) > MEMORY_MAX) return toDisk(folder, path, name, one);
    const parts = [];
    await pieces(folder, path, one, (piece) => parts.push(piece));
    save(new Blob(parts, { type: "application/octet-stream" }), name);
  });
}

async function toDisk(folder, path, name, one) {
  if (!window.showSaveFilePicker) throw new ApiError(0, "too-large", "The file is too large for this browser to keep while it comes.", "Fetch it with a program that sends the token, such as curl, from the same address.");
  const handle = await window.showSaveFilePicker({ suggestedName: name });
  const sink = await handle.createWritable();
  try {
    await pieces(folder, path, one, (piece) => sink.write(piece));
    await sink.close();
  } catch (error) {
    await sink.abort();
    throw error;
  }
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  // A name is hostile: what reorders or hides would make `gpj.exe` look like a picture.
  link.download = plain(name);
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Puts `file` at `path`. `replaces` is the content it may replace, `"*"` any, null none. */
export async function put(folder, path, file, replaces) {
  const one = begin("upload", file.name, file.size);
  const headers = replaces === null ? { "If-None-Match": "*" } : replaces === "*" ? {} : { "If-Match": `"${replaces}"` };
  await follow(one, () => upload(folder, path, file, { headers, signal: one.control.signal, onProgress: (done, total) => { Object.assign(one, { done, total }); redraw(); } }));
  return one;
}

/** The first `most` bytes of a file as text; null if it is none. */
export async function textOf(folder, path, most) {
  let answer;
  try {
    answer = await content(folder, path, { headers: { Range: `bytes=0-${most - 1}` } });
  } catch (error) {
    if (error.status === 416) return "";
    throw error;
  }
  const bytes = new Uint8Array(await answer.arrayBuffer());
  if (bytes.includes(0)) return null;
  try {
    // The last character may be cut in two.
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: true });
  } catch {
    return null;
  }
}
