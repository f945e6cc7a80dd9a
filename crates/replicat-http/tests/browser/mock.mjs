// A server that answers as docs/api.md lays down, with made-up data: a node with a folder of a million files, hostile names,
// conflicts and a brake; or a manager with as many nodes as wanted. Started by hand it prints where it is:
//
//     node mock.mjs [node|manager] [NODES] [PORT]

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import http from "node:http";
import { fileURLToPath } from "node:url";
import { HOSTILE, managerWorld, nodeWorld } from "./worlds.mjs";

const DASHBOARD = new URL("../../dashboard/", import.meta.url);
export const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const TYPES = { html: "text/html; charset=utf-8", js: "text/javascript; charset=utf-8", css: "text/css; charset=utf-8" };
const SCOPES = ["read", "operate", "admin"];
export const TOKENS = Object.fromEntries(SCOPES.map((scope, at) => [scope, `rpt_${String(at).repeat(64)}`]));

class Problem extends Error {
  constructor(status, kind, detail, hint = null) {
    super(detail);
    Object.assign(this, { status, kind, hint });
  }
}

export const contentOf = (bytes) => createHash("sha256").update(bytes).digest("hex");

/** Starts one; `requests` lists what came, `world` can be changed, `push()` tells the streams, `cut()` breaks them. */
export async function startMock({ server = "node", nodes = 3, port = 0 } = {}) {
  const mock = { requests: [], streams: new Set(), world: server === "node" ? nodeWorld() : managerWorld(nodes), isDown: false, fail: null };
  mock.server = server;
  mock.push = () => mock.streams.forEach((stream) => send(stream, mock.world.now.type, mock.world.now));
  mock.event = (event) => {
    mock.world.events.push(event);
    mock.streams.forEach((stream) => send(stream, "event", event, event.id));
  };
  mock.cut = () => mock.streams.forEach((stream) => stream.destroy());
  const listener = http.createServer((request, response) => void answer(mock, request, response));
  await new Promise((done) => listener.listen(port, "127.0.0.1", done));
  mock.url = `http://127.0.0.1:${listener.address().port}`;
  mock.close = () => { listener.closeAllConnections(); listener.close(); };
  return mock;
}

const send = (stream, event, data, id) => stream.write(`${id ? `id: ${id}\n` : ""}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);

async function answer(mock, request, response) {
  if (mock.isDown) return request.socket.destroy();
  response.setHeader("X-Content-Type-Options", "nosniff");
  response.setHeader("Referrer-Policy", "no-referrer");
  response.setHeader("Cross-Origin-Resource-Policy", "same-origin");
  try {
    const url = new URL(request.url, "http://mock");
    if (!url.pathname.startsWith("/api/")) return await page(url.pathname, response);
    await call(mock, request, response, url);
  } catch (error) {
    const problem = error instanceof Problem ? error : new Problem(500, "internal", String(error.stack));
    response.writeHead(problem.status, { "Content-Type": "application/problem+json" });
    response.end(JSON.stringify({ type: `urn:replicat:problem:${problem.kind}`, title: http.STATUS_CODES[problem.status], status: problem.status, detail: problem.message, kind: problem.kind, hint: problem.hint }));
  }
}

async function page(path, response) {
  const file = path === "/" ? "index.html" : path.slice(1);
  if (file.includes("..") || !/^[a-z/]+\.(js|css|html)$/.test(file)) throw new Problem(404, "unknown-route", `there is no ${path}`);
  const text = await readFile(new URL(file, DASHBOARD)).catch(() => { throw new Problem(404, "unknown-route", `there is no ${path}`); });
  response.writeHead(200, { "Content-Type": TYPES[file.split(".").at(-1)], "Content-Security-Policy": POLICY, "Cache-Control": "no-cache" });
  response.end(text);
}

async function call(mock, request, response, url) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  const { method, headers } = request;
  mock.requests.push({ method, path: url.pathname, query: url.search, headers, body: body.toString("latin1").slice(0, 4096) });
  response.setHeader("Cache-Control", "no-store");
  const scope = Object.keys(TOKENS).find((name) => headers.authorization === `Bearer ${TOKENS[name]}`);
  if (!scope) throw new Problem(401, "unauthorized", "the token is unknown or expired");
  if (!["GET", "HEAD"].includes(method)) {
    if (headers["x-replicat-request"] !== "1") throw new Problem(403, "foreign-request", "the header X-Replicat-Request is missing");
    if (headers.origin && headers.origin !== mock.url) throw new Problem(403, "foreign-request", "the request comes from another page");
    if (["same-origin", undefined].indexOf(headers["sec-fetch-site"]) < 0) throw new Problem(403, "foreign-request", "the request comes from another page");
  }
  if (mock.fail && mock.fail(method, url.pathname)) throw new Problem(...mock.fail(method, url.pathname));
  const need = (wanted) => { if (SCOPES.indexOf(scope) < SCOPES.indexOf(wanted)) throw new Problem(403, "scope", `this needs a token of the scope ${wanted}`, "sign in with another token"); };
  const json = () => {
    if (!headers["content-type"]?.startsWith("application/json")) throw new Problem(415, "media-type", "JSON is wanted");
    return body.length ? JSON.parse(body.toString()) : {};
  };
  const parts = url.pathname.replace("/api/v1/", "").split("/").map(decodeURIComponent);
  const context = { mock, world: mock.world, method, headers, body, json, need, url, response, scope, parts };
  const given = url.pathname === "/api/v1/session" ? session(context) : mock.server === "node" ? ofNode(context) : ofManager(context);
  if (given === undefined) return;
  response.writeHead(given.status ?? 200, { "Content-Type": "application/json" });
  response.end(JSON.stringify(given.body ?? given));
}

const session = ({ mock, scope }) => ({ type: "session", server: mock.server, name: mock.server === "node" ? mock.world.now.name : "manager", version: "0.1.0", token: { id: "9f2c51d0a3b4e677", name: "laptop", scope, expires: null } });

function stream({ mock, response }) {
  response.writeHead(200, { "Content-Type": "text/event-stream" });
  mock.streams.add(response);
  response.on("close", () => mock.streams.delete(response));
  send(response, mock.world.now.type, mock.world.now);
}

const paged = (items, url) => {
  const limit = Number(url.searchParams.get("limit") ?? 200);
  const after = Number.parseInt(url.searchParams.get("after") ?? "0", 16);
  const shown = items.slice(after, after + limit);
  return { items: shown, next: after + limit < items.length ? (after + limit).toString(16) : null };
};

function ofNode(context) {
  const { world, method, parts, url, need } = context;
  const what = `${method} ${parts[0]}${parts[1] ? `/${parts[1]}` : ""}`;
  if (what === "GET status") return world.now;
  if (what === "GET events") return paged(world.events, url);
  if (what === "GET events/stream") return stream(context);
  if (what === "GET configuration") { need("admin"); return world.configuration; }
  if (parts.length === 1 && method === "POST") return act(context, world.now.folders.map((one) => one.name), parts[0]);
  const folder = world.now.folders.find((one) => one.name === parts[1]);
  if (parts[0] !== "folders" || !folder) throw new Problem(404, "unknown-folder", `there is no folder ${parts[1]}; there are: site`);
  return ofFolder(context, folder);
}

function act({ world, mock, need }, names, action) {
  need("operate");
  for (const folder of world.now.folders.filter((one) => names.includes(one.name))) {
    if (action === "pause") folder.status = "Paused";
    if (action === "resume") folder.status = "Online";
    if (action === "approve" || action === "reject") { folder.brake = null; folder.held = null; folder.held_deletions = 0; }
  }
  mock.push();
  return { type: { pause: "paused", resume: "resumed", approve: "approved", reject: "rejected", rescan: "rescanning" }[action], folders: names };
}

// The bytes of `path` in the query as a key: text, or hex if it is no text.
function pathOf(url) {
  const raw = /[?&]path=([^&]*)/.exec(url.search)?.[1] ?? "";
  const bytes = Buffer.from(raw.replace(/%([0-9a-fA-F]{2})/g, (_, pair) => String.fromCharCode(parseInt(pair, 16))), "latin1");
  const text = bytes.toString();
  return Buffer.from(text).equals(bytes) ? text : `hex:${bytes.toString("hex")}`;
}

const bodyPath = (path) => (typeof path === "string" ? path : `hex:${path.hex}`);

function ofFolder(context, folder) {
  const { world, method, parts, url, need, json } = context;
  const path = pathOf(url);
  switch (`${method} ${parts[2] ?? ""}`) {
    case "GET ": return { type: "folder", ...folder };
    case "GET tree": return world.tree(folder.name, path, Number.parseInt(url.searchParams.get("after") ?? "0", 16), Number(url.searchParams.get("limit") ?? 200));
    case "GET conflicts": return paged(world.conflicts[folder.name] ?? [], url);
    case "GET history": return { items: world.history(folder.name, path), next: null };
    case "GET why": return { type: "explanation", path, facts: world.facts(path) };
    case "GET file": return file(context, folder.name, path);
    case "PUT file": need("operate"); return put(context, folder.name, path);
    case "DELETE file": need("operate"); return remove(context, folder.name, path);
    case "POST resolve": need("operate"); return resolve(context, folder.name, json());
    case "POST restore": { need("operate"); const order = json(); return { type: "restoration", path: bodyPath(order.path), revision: order.revision ?? 1, size: 12 }; }
    default:
      if (method === "POST" && ["pause", "resume", "approve", "reject", "rescan"].includes(parts[2])) return act(context, [folder.name], parts[2]);
      throw new Problem(404, "unknown-route", `there is no ${url.pathname}`);
  }
}

function file({ world, headers, response }, folder, path) {
  const bytes = world.content(folder, path);
  if (!bytes) throw new Problem(404, "unknown-path", `there is no ${path}`);
  const all = { "ETag": `"${contentOf(bytes)}"`, "Accept-Ranges": "bytes", "Content-Type": "application/octet-stream", "Content-Disposition": "attachment" };
  const range = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? "");
  if (!range || (headers["if-range"] && headers["if-range"] !== all.ETag)) {
    response.writeHead(200, { ...all, "Content-Length": bytes.length });
    return void response.end(bytes);
  }
  const [first, last] = [Number(range[1]), Math.min(bytes.length - 1, Number(range[2] || bytes.length - 1))];
  if (first >= bytes.length) throw new Problem(416, "range", "there is nothing there");
  response.writeHead(206, { ...all, "Content-Range": `bytes ${first}-${last}/${bytes.length}`, "Content-Length": last - first + 1 });
  response.end(bytes.subarray(first, last + 1));
}

function put({ world, headers, body }, folder, path) {
  const before = world.content(folder, path);
  if (headers["if-none-match"] === "*" && before) throw new Problem(412, "precondition", "there is such a file already");
  world.put(folder, path, body);
  return { status: before ? 200 : 201, body: { type: "uploaded", path, size: body.length, content: contentOf(body), created: !before } };
}

function remove({ world }, folder, path) {
  if (!world.remove(folder, path)) throw new Problem(404, "unknown-path", `there is no ${path}`);
  return { type: "removed", path };
}

function resolve({ world }, folder, order) {
  const all = world.conflicts[folder] ?? [];
  const at = all.findIndex((one) => (one.path_hex ? `hex:${one.path_hex}` : one.path) === bodyPath(order.path));
  if (at < 0) throw new Problem(404, "no-conflict", "there is no conflict at this path");
  const [conflict] = all.splice(at, 1);
  return { type: "resolution", path: conflict.path, copy: conflict.copy, kept: order.keep };
}

function ofManager(context) {
  const { world, mock, method, parts, need, json } = context;
  const drop = (list, test, problem) => {
    need("admin");
    const at = list.findIndex(test);
    if (at < 0) throw new Problem(404, problem, `there is no ${parts[1]}`);
    list.splice(at, 1);
    setTimeout(mock.push);
  };
  switch (`${method} ${parts[0]}`) {
    case "GET events": return stream(context);
    case "GET nodes": return { items: world.now.members, next: null };
    case "DELETE nodes": drop(world.now.members, (one) => one.name === parts[1], "unknown-node"); return { type: "node-removed", name: parts[1] };
    case "GET tokens": need("admin"); return { items: world.tokens, next: null };
    case "POST tokens": return newToken(context, json());
    case "DELETE tokens": drop(world.tokens, (one) => one.id === parts[1], "unknown-token"); return { type: "token-removed", id: parts[1] };
    case "GET placements": return { items: world.now.placement_list, next: null };
    case "PUT placements": return place(context, json());
    case "DELETE placements": drop(world.now.placement_list, (one) => one.folder === parts[1] && one.node === parts[2], "unknown-placement"); return { type: "withdrawn", folder: parts[1], node: parts[2] };
    default: throw new Problem(404, "unknown-route", "there is no such route");
  }
}

function newToken({ world, need }, order) {
  need("admin");
  const token = { type: "token", id: `0f3a${world.tokens.length}c1d2e3f4a5b`, role: order.role, node: order.node };
  world.tokens.push({ ...token, expires: new Date(Date.now() + order.expires_in * 1000).toISOString(), used_by: null });
  return { status: 201, body: { ...token, token: "mfrggzdfmztwq2lknnwg23tpoa".repeat(4), expires_in: order.expires_in } };
}

function place({ world, mock, parts, need }, order) {
  need("admin");
  const list = world.now.placement_list;
  const placement = { type: "placement", folder: parts[1], node: parts[2], mode: order.mode ?? "read-write" };
  const at = list.findIndex((one) => one.folder === parts[1] && one.node === parts[2]);
  if (at < 0) list.push(placement);
  else list[at] = placement;
  setTimeout(mock.push);
  return placement;
}

export { HOSTILE };

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , server, nodes, port] = process.argv;
  const mock = await startMock({ server, nodes: nodes && Number(nodes), port: port && Number(port) });
  console.log(`${mock.url}/#token=${TOKENS.admin}`);
  setInterval(() => { mock.world.tick(); mock.push(); }, 1000);
}
