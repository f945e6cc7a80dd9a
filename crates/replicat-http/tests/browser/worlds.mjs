// What the mock server tells of: a node, or a manager with its nodes.

import { createHash } from "node:crypto";

/** Names that mean harm: markup, scripts, links, marks that reorder, controls, bytes that are no text. */
export const HOSTILE = [
  "<img src=x onerror=alert(1)>", "<script>alert(2)", "\"><svg onload=alert(3)>", "javascript:alert(4)", "photo\u202Egpj.exe", "zero\u200Bwidth", "line\nbreak",
  "tab\there", " blanks ", "bell\u0007", "\u001b[31mred", "back\\slash", "a".repeat(180), "{{constructor.constructor('alert(5)')()}}", "__proto__", "constructor", "%3Cscript%3E", "#fragment?query&after=1", "اسم-الملف.txt", "🙂 ☃.txt",
];
const NO_TEXT = { path: "caf\uFFFD", path_hex: "636166e9" };
const hash = (text) => createHash("sha256").update(text).digest("hex");
const at = (seconds) => new Date(Date.now() - seconds * 1000).toISOString();
const MILLION = 1_000_000;

const done = { files_done: 0, files_total: 0, bytes_done: 0, bytes_total: 0 };

const folder = (name, more = {}) => ({
  name, root: `/srv/${name}`, mode: "read-write", status: "Online", folder: hash(`folder ${name}`).slice(0, 32), replica: hash(`replica ${name}`).slice(0, 32), in_sync: true, in_sync_at: at(4), paths: 120, pending: 0, progress: done,
  peers: [{ name: "nas", is_live: true, in_sync: true }, { name: "laptop", is_live: true, in_sync: true }], skipped: [], brake: null, watched_only: 0, queue: 0, bytes_received: 0, bytes_sent: 4096, ...more });

const FOLDERS = () => [
  folder("site", { skipped: [{ path: "run/control.sock", reason: "a socket", kind: "special" }, { path: "private/key.pem", reason: "permission denied", kind: "denied" }] }),
  folder("media", { in_sync: false, in_sync_at: at(5400), paths: MILLION, pending: 1840, progress: { files_done: 3160, files_total: 5000, bytes_done: 14_300_000_000, bytes_total: 22_600_000_000 }, peers: [{ name: "nas", is_live: true, in_sync: false }, { name: "attic", is_live: false, in_sync: false }], bytes_received: 14_300_000_000 }),
  folder("documents", { status: "Paused", in_sync: false, in_sync_at: at(86_400 * 2), paths: 8241 }),
  folder("archive", { brake: "mass-deletion", held_deletions: 1204, held: { files: 1204, of_files: 1310, bytes: 9_000_000_000, of_bytes: 9_400_000_000, here: 1204, elsewhere: 0, directories: [{ path: "2019", whole: true, files: 800, bytes: 6_000_000_000 }, { path: "2020/summer", whole: false, files: 300, bytes: 2_000_000_000 }], more: 104 }, in_sync: false, in_sync_at: at(900), paths: 1310 }),
  folder(HOSTILE[0], { root: `/srv/${HOSTILE[4]}`, mode: "receive-only", paths: 20 }),
  { name: "old-disk", root: "/mnt/old", mode: "read-write", status: "Halted", reason: "/mnt/old is not there: is the disk mounted?" },
];

const PEERS = () => [
  { name: "nas", address: "10.0.0.2:8787", role: "read-write", status: "connected", since: at(86_000), software: "replicat 0.1.0", round_trip_ms: 0.42, bytes_sent: 9_000_000, bytes_received: 14_300_000_000, folders: ["site", "media", "documents"] },
  { name: "laptop", address: null, role: "read-write", status: "connected", since: at(640), software: "replicat 0.1.0", round_trip_ms: 23.8, bytes_sent: 410_000, bytes_received: 80_000, folders: ["site", "documents"] },
  { name: "attic", address: "attic.example:8787", role: "read-only", status: "unreachable", reason: "connection refused (attic.example:8787)" },
  { name: "edge", address: "10.9.0.7:8787", role: "read-write", status: "connecting" },
  { name: HOSTILE[1], address: "10.0.0.9:8787", role: "read-write", status: "refused", reason: `its certificate names ${HOSTILE[4]}` },
];

const NAMES = ["notify.Create", "notify.Write", "notify.Write", "notify.Remove", "notify.Rename", "replicat.FileRequest"];
let serial = 0;

/** An event; `more` says what is special about it. */
export function anEvent(more = {}) {
  serial += 1;
  const name = NAMES[serial % NAMES.length];
  return { type: "event", id: `18f3a2c4d5e-${serial}`, time: new Date().toISOString(), name, source: serial % 3 ? "office" : "nas", folder: serial % 4 ? "site" : "media", path: `docs/page-${serial}.html`, source_path: name === "notify.Rename" ? `docs/old-${serial}.html` : undefined, is_directory: false, network_source: serial % 3 ? null : "nas", ...more };
}

const LEFT = ["# Release notes", "", "## 2.4", "", "- The export keeps the order of the rows.", "- Timeouts are told in seconds.", "- A broken link is shown as one.", "", "## 2.3", "", "- First public release.", "", "Questions go to the team.", "End.", ""].join("\n");
const RIGHT = ["# Release notes", "", "## 2.4", "", "- The export keeps the order of the rows and columns.", "- Timeouts are told in milliseconds.", "- A broken link is shown as one.", "- Names may hold blanks.", "", "## 2.3", "", "- First public release.", "", "Questions go to the team.", ""].join("\n");

function conflict(path, left, right, more = {}) {
  const copy = path.includes(".") ? path.replace(/(\.[^.]*)$/, ".conflict-laptop-20261123-003012$1") : `${path}.conflict-laptop-20261123-003012`;
  return { type: "conflict", path, copy, when: "2026-11-23T00:30:12Z", winner: { node: "office", when: "2026-11-23T00:29:58Z", kind: "file", size: left.length, content: hash(left) }, loser: { node: "laptop", when: "2026-11-23T00:28:01Z", kind: "file", size: right.length, content: hash(right) }, ...more };
}

const BINARY = [Buffer.from([0x89, 0x50, 0x4e, 0x47, 0, 1, 2, 3]), Buffer.from([0x89, 0x50, 0x4e, 0x47, 0, 9, 8, 7, 6])];

function contents() {
  const all = new Map([["site notes.md", Buffer.from(LEFT)], ["site notes.conflict-laptop-20261123-003012.md", Buffer.from(RIGHT)], ["site logo.png", BINARY[0]], ["site logo.conflict-laptop-20261123-003012.png", BINARY[1]], ["site docs.txt", Buffer.from("first line\nsecond line with \u202Ereordered\u202C text\n")], ["site big.bin", Buffer.alloc(20 * 1024 * 1024, 7)], ["site empty", Buffer.alloc(0)], ["site hex:636166e9", Buffer.from("bytes")]]);
  for (const name of HOSTILE) all.set(`${HOSTILE[0]} ${name}`, Buffer.from(`content of ${name}`));
  return all;
}

const row = (path, size, more = {}) => ({ type: "path", path, kind: "file", size, mode: "0644", mtime: at(7200), content: hash(path), state: "present", ...more });

function siteRows(files) {
  const own = [...files].filter(([key]) => key.startsWith("site ")).map(([key, bytes]) => (key.startsWith("site hex:") ? row(NO_TEXT.path, bytes.length, { path_hex: NO_TEXT.path_hex }) : row(key.slice(5), bytes.length, { content: hash(bytes), state: key.includes(".conflict-") ? "conflict-copy" : "present" })));
  const extra = [row("docs", 0, { kind: "directory", mode: "0755", content: null }), row("latest", 0, { kind: "symlink", mode: null, mtime: null, content: null, target: "docs.txt" }), row("coming.iso", 4_700_000_000, { state: "pending" })];
  return [...own, ...extra].sort((one, other) => (one.path < other.path ? -1 : 1));
}

function tree(files, name, path, after, limit) {
  const page = (total, make) => ({ items: Array.from({ length: Math.max(0, Math.min(limit, total - after)) }, (_, index) => make(after + index)), next: after + limit < total ? (after + limit).toString(16) : null });
  if (name === "media" && path === "") return page(3, (index) => row(["2025", "2026", "README.txt"][index], 812, index < 2 ? { kind: "directory", mode: "0755", content: null } : {}));
  if (name === "media") return page(MILLION, (index) => row(`${path}/IMG_${String(index).padStart(7, "0")}.jpg`, 2_000_000 + ((index * 7919) % 3_000_000)));
  const rows = name === "site" ? (path === "" ? siteRows(files) : [row(`${path}/guide.html`, 5120)]) : name === HOSTILE[0] ? HOSTILE.filter((one) => files.has(`${name} ${one}`)).map((one) => row(one, one.length, {})) : [];
  return page(rows.length, (index) => rows[index]);
}

export function nodeWorld() {
  const files = contents();
  const now = { type: "node", name: "office", address: "0.0.0.0:8787", cluster: hash("cluster"), status: "Online", started: at(90_000), bandwidth: null, folders: FOLDERS(), nodes: PEERS(), workers: [{ name: "folder site", state: "waiting", queue: 0 }, { name: "folder media", state: "brings files", queue: 1840 }, { name: "links", state: "waiting", queue: 0 }] };
  const world = {
    now, files,
    events: [...Array.from({ length: 40 }, () => anEvent()), anEvent({ folder: HOSTILE[0], path: HOSTILE[1] }), anEvent({ path: HOSTILE[4], name: "notify.Create" })],
    conflicts: { site: [conflict("notes.md", LEFT, RIGHT), conflict("logo.png", BINARY[0], BINARY[1]), conflict("plan", "x", "y", { winner: { node: "office", when: at(400), kind: "directory" }, loser: { node: "laptop", when: at(500), kind: "symlink", target: "elsewhere" } })],
      [HOSTILE[0]]: [conflict(HOSTILE[2], "a", "b", { loser: { node: HOSTILE[0], when: at(300), kind: "deleted" } })] },
    configuration: { type: "configuration", name: "office", address: "0.0.0.0:8787", advertise: null, cluster_key: true, cluster_key_file: null, manager_address: null, manager_credentials: false, node_state: null, folders_directory: null, nodes: [{ name: "nas", address: "10.0.0.2:8787" }], folders: [{ name: "site", directory: "/srv/site", mode: "read-write", exclude: ["*.tmp", "cache/"], state_dir: null, create: false, join: false }], bwlimit: 5_000_000, durability: "group", control_socket: "/run/user/1000/replicat/office.sock" },
    tree: (name, path, after, limit) => tree(files, name, path, after, limit),
    content: (name, path) => files.get(`${name} ${path}`),
    put: (name, path, bytes) => files.set(`${name} ${path}`, bytes),
    remove: (name, path) => files.delete(`${name} ${path}`),
    history: (name, path) => versions(files.get(`${name} ${path}`)),
    facts: (path) => [`${path} is a file, as office left it on 2026-11-26.`, "nas and laptop hold the same content.", `It was edited at laptop after it was edited at office: ${HOSTILE[0]}`],
    tick() {
      const [site, media] = now.folders;
      const step = 18_000_000 + Math.round(9_000_000 * Math.sin(Date.now() / 7000)) + Math.round(Math.random() * 6_000_000);
      media.progress = { ...media.progress, bytes_done: Math.min(media.progress.bytes_total, media.progress.bytes_done + step) };
      media.bytes_received += step;
      now.nodes[0].bytes_received += step;
      const out = Math.random() < 0.4 ? Math.round(Math.random() * 5_000_000) : 0;
      site.bytes_sent += out;
      now.nodes[1].bytes_sent += out;
      site.in_sync_at = at(0);
      now.nodes[1].round_trip_ms = Number((22 + Math.random() * 9).toFixed(1));
    },
  };
  return world;
}

const version = (revision, change, more) => ({ type: "version", revision, when: at(7200 * (8 - revision)), node: revision % 2 ? "office" : "laptop", change, size: 10 + revision, content: hash(`revision ${revision}`), keeping: "trash", ...more });

function versions(current) {
  return [
    current ? version(6, "edited", { keeping: "current", size: current.length, content: hash(current) }) : version(6, "deleted", { size: null, content: null, keeping: "current" }),
    version(5, "restored"), version(4, "metadata", { keeping: "gone" }), version(3, "edited"), version(2, "moved-from", { other: HOSTILE[0] }), version(1, "created", { keeping: "gone" })];
}

/** A manager of `count` nodes: some away, one halted, a few links missing. */
export function managerWorld(count) {
  const names = Array.from({ length: count }, (_, index) => (count <= 5 ? ["office", "nas", "laptop", "attic", "edge"][index] : `node-${String(index + 1).padStart(3, "0")}`));
  const isAway = (index) => count > 5 && index % 23 === 7;
  const isCut = (one, other) => (count <= 5 ? false : (one * 31 + other * 17) % 997 === 3);
  const members = names.map((name, index) => ({
    type: "member", name, role: index % 9 === 4 ? "read-only" : "read-write", address: index % 11 === 2 ? null : `10.0.${index >> 8}.${(index % 250) + 2}:8787`, connected: !isAway(index), status: index % 37 === 5 ? "Initial Scan" : index % 41 === 9 ? "Paused" : "Online", enrolled: at(864_000), certificate_expires: at(-86_400 * 80), last_seen: at(isAway(index) ? 7200 : 1),
    connected_to: isAway(index) ? [] : names.filter((_, other) => other !== index && !isAway(other) && !isCut(Math.min(index, other), Math.max(index, other))),
    folders: ["site", "media"].filter((_, which) => (index + which) % 3 !== 1 || count <= 5).map((one) => ({ name: one, status: count > 5 && index === 12 && one === "media" ? "Halted" : "Online", reason: count > 5 && index === 12 && one === "media" ? "the root is not there" : "", mode: "read-write", in_sync: index % 8 !== 3, paths: one === "media" ? MILLION : 120, pending: index % 8 === 3 ? 17 : 0, bytes_sent: 0, bytes_received: 4096 })) }));
  const placements = members.flatMap((member) => member.folders.map((one) => ({ type: "placement", folder: one.name, node: member.name, mode: one.mode })));
  const now = { type: "manager", address: "0.0.0.0:8788", cluster: hash("cluster"), generation: 17, nodes: count, connected: members.filter((one) => one.connected).length, placements: placements.length, members, placement_list: placements };
  return { now, events: [],
    tokens: [{ type: "token", id: "0f3a51d0a3b4e677", role: "read-write", node: null, expires: at(-3000), used_by: null }, { type: "token", id: "77aa51d0a3b4e600", role: "read-only", node: "attic", expires: at(6000), used_by: null }, { type: "token", id: "1b2c51d0a3b4e611", role: "read-write", node: "nas", expires: at(-90_000), used_by: "nas" }],
    tick() {
      for (const member of members) for (const one of member.folders) one.bytes_sent += Math.round(Math.random() * 300_000), (one.bytes_received += Math.round(Math.random() * 300_000));
    } };
}
