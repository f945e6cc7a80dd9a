//! What is answered, member by member, for the description for programs.
//!
//! The objects are made elsewhere, as they are for the local socket and `--json`; tests compare what is answered with this.

use serde_json::{Map, Value, json};

/// Each object with its members: `name: type`. A `?` behind a name says that it may be left out, behind a type that it may be null.
/// A path that is no text has its bytes under the same name with `_hex` behind it.
const OBJECTS: &[(&str, &str)] = &[
    (
        "session",
        "server: node|manager, name: text, version: text, token: session-token",
    ),
    (
        "session-token",
        "id: text, name: text, scope: read|operate|admin, expires: time?",
    ),
    (
        "node",
        "name: text, address: text?, cluster: text, status: Initial Scan|Joining Cluster|Online|Paused|Halted|Offline, started: time, \
         bandwidth: integer?, folders: [folder], nodes: [peer], workers: [worker]",
    ),
    ("worker", "name: text, state: text, queue: integer"),
    (
        "peer",
        "name: text?, address: text, role: text?, status: connected|connecting|unreachable|refused, reason?: text, since?: time, \
         software?: text, cluster?: text, other_cluster_key?: boolean, round_trip_ms?: number?, bytes_sent?: integer, bytes_received?: integer, folders?: [text]?",
    ),
    (
        "folder",
        "name: text, root: path, mode: read-write|send-only|receive-only, status: text, reason?: text, folder?: text, replica?: text, \
         in_sync?: boolean, in_sync_at?: time?, paths?: integer, pending?: integer, excluded?: integer, progress?: progress, peers?: [folder-peer], \
         skipped?: [skipped], conflicts?: integer, refused?: integer, refused_changes?: [refused-change], brake?: text?, held_deletions?: integer, \
         held?: held-deletions?, watched_only?: integer?, queue?: integer, bytes_received?: integer, bytes_sent?: integer",
    ),
    (
        "progress",
        "files_done: integer, files_total: integer, bytes_done: integer, bytes_total: integer",
    ),
    (
        "held-deletions",
        "files: integer, of_files?: integer, bytes?: integer, of_bytes?: integer, allowed?: integer, here: integer, elsewhere: integer, \
         directories: [held-directory], more: integer",
    ),
    (
        "held-directory",
        "path: path, whole: boolean, files: integer, bytes: integer",
    ),
    (
        "folder-peer",
        "name: text, is_live: boolean, in_sync: boolean",
    ),
    (
        "skipped",
        "path: path, reason: text, kind: text, severity: warning|error",
    ),
    (
        "refused-change",
        "path: path, change: created|edited|metadata|deleted",
    ),
    (
        "event",
        "id: text, time: time, name: text, source: text, folder: text?, path: path, source_path?: path, is_directory: boolean, \
         network_source: text?",
    ),
    (
        "path",
        "path: path, kind: file|directory|symlink, size: integer, mode: text?, mtime: time?, target?: path, content: content?, \
         state: present|pending|conflict-copy|excluded",
    ),
    (
        "conflict",
        "path: path, copy: path, when: time, winner: side, loser: side",
    ),
    (
        "side",
        "node: text, when: time, kind: file|directory|symlink|deleted, size?: integer, content?: content, target?: path",
    ),
    (
        "version",
        "revision: integer, when: time, node: text?, \
         change: created|edited|metadata|deleted|moved-from|moved-to|conflict-copy-of|restored, other?: path, size: integer, \
         content: content?, keeping: current|trash|gone",
    ),
    (
        "resolution",
        "path: path, copy?: path, kept: winner|copy|both|local",
    ),
    (
        "restoration",
        "path: path, revision: integer, size: integer, when: time, node: text?, from: trash|folder|node|elsewhere, from_node?: text, \
         planned: boolean",
    ),
    ("not-restored", "path: path, reason: text"),
    (
        "restored",
        "restorations: [restoration], failed: [not-restored]",
    ),
    (
        "trash-item",
        "id: text, path: path?, name: path, when: time, reason: deleted|replaced|unknown, node: text?, size: integer, content: content?",
    ),
    ("trash-emptied", "versions: integer, bytes: integer"),
    (
        "explanation",
        "path: path, facts: [text], excluded: exclusion?, skipped: skip-reason?, refused: boolean, holders: [holder], \
         waits_for: text?",
    ),
    ("exclusion", "path: path, pattern: text?, source: text?"),
    ("skip-reason", "reason: text, kind: text"),
    (
        "holder",
        "replica: text, name: text, holds: boolean, connected: boolean?",
    ),
    (
        "selection",
        "everything: boolean, marks: [mark], by_settings: boolean",
    ),
    ("mark", "path: path, selected: boolean"),
    (
        "pruned",
        "dry_run: boolean, files: integer, bytes: integer, directories: integer, staying: [staying-copy], more: integer",
    ),
    (
        "staying-copy",
        "path: path, kind: not-elsewhere|changed|conflict|overtaken|patterns|not-empty|failed, reason: text",
    ),
    ("reverted", "dry_run: boolean, changes: [refused-change]"),
    ("paused", "folders: [text]"),
    ("resumed", "folders: [text]"),
    ("rescanning", "folders: [text]"),
    ("approved", "folders: [text]"),
    ("rejected", "folders: [text]"),
    ("forgotten", "replicas: [forgotten-replica]"),
    ("forgotten-replica", "replica: text, name: text"),
    (
        "uploaded",
        "path: path, size: integer, content: content, created: boolean",
    ),
    ("removed", "path: path"),
    (
        "configuration",
        "name: text, address: text?, advertise: text?, cluster_key: boolean, cluster_key_file: text?, accepted_cluster_keys: integer, manager_address: text?, \
         manager_credentials: boolean, node_state: text?, folders_directory: text?, nodes: [dialled], folders: [kept], bwlimit: text?, \
         durability: group|none, control_socket: text?, http: text?, http_certificate: text?, http_key: text?, http_hosts: [text]",
    ),
    ("dialled", "name: text?, address: text"),
    (
        "kept",
        "name: text, directory: path, mode: read-write|send-only|receive-only, exclude: [text], select: [text]?, state_dir: text?, trash_age: text?, trash_size: text?, create: boolean, \
         join: boolean",
    ),
    (
        "manager",
        "address: text?, cluster: text, generation: integer, nodes: integer, connected: integer?, placements: integer",
    ),
    (
        "member",
        "name: text, role: text, address: text?, connected: boolean?, status: text, enrolled: time, certificate_expires: time, \
         last_seen: time?, connected_to: [text], folders: [figures]",
    ),
    (
        "figures",
        "name: text, status: text, reason: text, mode: text, in_sync: boolean, paths: integer, pending: integer, bytes_sent: integer, \
         bytes_received: integer",
    ),
    (
        "token",
        "id: text, role: read-write|read-only, node: text?, token?: text, expires?: time, used_by?: text?, expires_in?: integer",
    ),
    (
        "placement",
        "folder: text, node: text, mode: read-write|send-only|receive-only",
    ),
    ("withdrawn", "folder: text, node: text"),
    ("node-removed", "name: text"),
    ("token-removed", "id: text"),
];

/// All objects, by their types, for `components/schemas`.
pub(crate) fn all() -> Map<String, Value> {
    let objects = OBJECTS.iter();
    objects
        .map(|(kind, members)| ((*kind).to_owned(), object(members)))
        .collect()
}

/// An object that is answered by itself, and says its type.
pub(crate) fn typed(kind: &str) -> Value {
    json!({"allOf": [reference(kind)], "type": "object", "required": ["type"], "properties": {"type": {"const": kind}}})
}

fn reference(kind: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{kind}")})
}

fn object(members: &str) -> Value {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for member in members.split(", ") {
        let Some((name, kind)) = member.split_once(": ") else {
            continue;
        };
        let name = match name.strip_suffix('?') {
            Some(name) => name,
            None => {
                required.push(name);
                name
            }
        };
        if kind == "path" {
            let hex = json!({"type": "string", "pattern": "^([0-9a-f]{2})+$"});
            properties.insert(format!("{name}_hex"), hex);
        }
        properties.insert(name.to_owned(), value(kind));
    }
    json!({"type": "object", "properties": properties, "required": required})
}

fn value(kind: &str) -> Value {
    if let Some(kind) = kind.strip_suffix('?') {
        return json!({"anyOf": [value(kind), {"type": "null"}]});
    }
    if let Some(items) = kind
        .strip_prefix('[')
        .and_then(|kind| kind.strip_suffix(']'))
    {
        return json!({"type": "array", "items": value(items)});
    }
    match kind {
        "text" | "path" => json!({"type": "string"}),
        "integer" => json!({"type": "integer", "minimum": 0}),
        "number" => json!({"type": "number", "minimum": 0}),
        "boolean" => json!({"type": "boolean"}),
        "content" => json!({"type": "string", "pattern": "^[0-9a-f]{64}$"}),
        // Beyond the calendar, seconds since 1970.
        "time" => {
            json!({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "integer"}]})
        }
        words if words.contains('|') => json!({"enum": words.split('|').collect::<Vec<_>>()}),
        object => reference(object),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_read_as_they_are_written() {
        let schema = object("a: text, b?: integer?, c: [x], d: path, e: on|off");
        assert_eq!(schema["required"], json!(["a", "c", "d", "e"]));
        let properties = &schema["properties"];
        assert_eq!(properties["b"]["anyOf"][1]["type"], "null");
        assert_eq!(properties["c"]["items"]["$ref"], "#/components/schemas/x");
        assert_eq!(properties["d_hex"]["type"], "string");
        assert_eq!(properties["e"]["enum"], json!(["on", "off"]));
    }

    #[test]
    fn what_is_spoken_of_is_there() {
        let all = Value::Object(all()).to_string();
        let names: Vec<_> = OBJECTS.iter().map(|(kind, _)| *kind).collect();
        for part in all.split("#/components/schemas/").skip(1) {
            let name = part.split('"').next().unwrap();
            assert!(names.contains(&name), "{name}");
        }
    }
}
