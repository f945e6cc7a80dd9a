//! What a node answers, as JSON objects with a `type`. The format is laid down in `docs/cli.md`.

use std::path::Path;
use std::time::{Duration, SystemTime};

use replicat_core::entry::Timestamp;
use replicat_core::path::RelPath;
use replicat_engine::live::{FolderState, FolderStatus, Uploaded};
use replicat_engine::report::{Brake, HeldDirectory};
use replicat_net::{NodeName, Role};
use serde_json::{Map, Value, json};

use crate::server::{
    FolderEventRecord, FolderReport, Node, NodeStatus, ServerReport, ServerStatus,
};
use crate::settings::{FolderName, FolderSettings, NodeSettings, Settings};
use crate::workers::WorkerStatus;

/// A JSON object.
pub type Object = Map<String, Value>;

/// Two digits for each byte.
#[must_use]
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes that digits stand for.
#[must_use]
pub fn from_hexadecimal(digits: &str) -> Option<Vec<u8>> {
    let digits = digits.as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    match digits.len().is_multiple_of(2) {
        true => digits.chunks(2).map(byte).collect(),
        false => None,
    }
}

/// An object of a type.
#[must_use]
pub fn object(kind: &str) -> Object {
    let mut object = Object::new();
    put(&mut object, "type", kind);
    object
}

/// Puts a member in.
pub fn put(object: &mut Object, key: &str, value: impl Into<Value>) {
    object.insert(key.to_owned(), value.into());
}

/// Puts bytes in that are mostly text; whole in hexadecimal beside it if they are not.
pub fn put_bytes(object: &mut Object, key: &str, bytes: &[u8]) {
    put(object, key, String::from_utf8_lossy(bytes).into_owned());
    if std::str::from_utf8(bytes).is_err() {
        put(object, &format!("{key}_hex"), hexadecimal(bytes));
    }
}

fn put_root(object: &mut Object, root: &Path) {
    put_bytes(object, "root", root.as_os_str().as_encoded_bytes());
}

/// The path under a key, as [`put_bytes`] writes it.
#[must_use]
pub fn path(object: &Object, key: &str) -> Option<RelPath> {
    let bytes = match object.get(&format!("{key}_hex")) {
        Some(digits) => from_hexadecimal(digits.as_str()?)?,
        None => object.get(key)?.as_str()?.as_bytes().to_vec(),
    };
    RelPath::new(&bytes).ok()
}

pub(super) fn time(time: SystemTime) -> Value {
    match jiff::Timestamp::try_from(time) {
        Ok(time) => time.to_string().into(),
        Err(_) => Value::Null,
    }
}

pub(super) fn timestamp(time: Timestamp) -> Value {
    let rest = Duration::from_nanos(time.nanoseconds.into());
    let whole = jiff::Timestamp::from_second(time.seconds);
    match whole.and_then(|whole| whole.checked_add(rest)) {
        Ok(time) => time.to_string().into(),
        Err(_) => time.seconds.into(),
    }
}

/// A node, with all that belongs to it.
pub(crate) fn node(report: &ServerReport) -> Object {
    let mut object = object("node");
    put(&mut object, "name", report.name.as_str());
    put(&mut object, "address", report.address.clone());
    put(&mut object, "cluster", report.cluster.clone());
    put(&mut object, "status", report.status.to_string());
    put(&mut object, "started", time(report.started));
    put(&mut object, "bandwidth", report.bandwidth);
    put(&mut object, "folders", list(&report.folders, folder));
    put(
        &mut object,
        "nodes",
        list(&report.nodes, |node| peer(node, &report.cluster)),
    );
    put(&mut object, "workers", list(&report.workers, worker));
    object
}

pub(super) fn list<T>(rows: &[T], object: impl Fn(&T) -> Object) -> Value {
    let untyped = rows.iter().map(|row| {
        let mut object = object(row);
        object.shift_remove("type");
        Value::Object(object)
    });
    untyped.collect::<Vec<_>>().into()
}

fn worker(worker: &WorkerStatus) -> Object {
    let mut object = object("worker");
    put(&mut object, "name", worker.name.as_str());
    put(&mut object, "state", worker.state.as_str());
    put(&mut object, "queue", worker.queue);
    object
}

/// A peer of a node whose own cluster key has the id `cluster`.
pub(crate) fn peer(node: &Node, cluster: &str) -> Object {
    let mut object = object("peer");
    put(
        &mut object,
        "name",
        node.name.as_ref().map(NodeName::as_str),
    );
    put(&mut object, "address", node.address.as_str());
    put(&mut object, "role", node.role.map(Role::as_str));
    put(&mut object, "status", node.status.as_str());
    if let NodeStatus::Unreachable { reason } | NodeStatus::Refused { reason } = &node.status {
        put(&mut object, "reason", reason.as_str());
    }
    if let Some(link) = &node.link {
        put(&mut object, "since", time(link.since));
        put(&mut object, "software", link.software.as_str());
        let shown = link.cluster.to_string();
        put(&mut object, "other_cluster_key", shown != cluster);
        put(&mut object, "cluster", shown);
        let round_trip = link.round_trip.map(milliseconds);
        put(&mut object, "round_trip_ms", round_trip);
        put(&mut object, "bytes_sent", link.counters.wire_sent);
        put(&mut object, "bytes_received", link.counters.wire_received);
        let folders = link.folders.as_ref();
        let names = |names: &Vec<_>| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        put(&mut object, "folders", folders.map(names));
    }
    object
}

/// A folder.
pub(crate) fn folder(report: &FolderReport) -> Object {
    let mut object = object("folder");
    put(&mut object, "name", report.name.as_str());
    put_root(&mut object, &report.directory);
    put(&mut object, "mode", report.mode.name());
    let status = ServerStatus::of_folder(&report.state).to_string();
    put(&mut object, "status", status);
    if let FolderState::Halted { reason } = &report.state {
        put(&mut object, "reason", reason.as_str());
    }
    if let Some(detail) = &report.detail {
        put_detail(&mut object, detail);
    }
    object
}

fn put_detail(object: &mut Object, detail: &FolderStatus) {
    put(object, "folder", detail.folder.to_string());
    put(object, "replica", detail.replica.to_string());
    put(object, "in_sync", detail.in_sync);
    put(object, "in_sync_at", detail.in_sync_at.map(timestamp));
    put(object, "paths", detail.paths);
    put(object, "pending", detail.pending);
    let progress = &detail.progress;
    put(
        object,
        "progress",
        json!({"files_done": progress.files_done, "files_total": progress.files_total,
            "bytes_done": progress.bytes_done, "bytes_total": progress.bytes_total}),
    );
    let peers = detail
        .peers
        .iter()
        .map(|peer| json!({"name": peer.name, "is_live": peer.is_live, "in_sync": peer.in_sync}));
    put(object, "peers", peers.collect::<Vec<_>>());
    let skipped = detail.skipped.iter().map(|row| {
        let mut object = Object::new();
        put_bytes(&mut object, "path", row.path.as_bytes());
        put(&mut object, "reason", row.reason.to_string());
        put(&mut object, "kind", row.reason.kind());
        put(&mut object, "severity", row.severity.word());
        Value::Object(object)
    });
    put(object, "skipped", skipped.collect::<Vec<_>>());
    put(object, "brake", detail.brake.map(Brake::kind));
    put(object, "held_deletions", detail.held_deletions);
    put(object, "held", held(detail));
    put(object, "excluded", detail.excluded);
    put(object, "conflicts", detail.conflicts);
    put(object, "refused", detail.refused.count);
    let changes = detail.refused.listed.iter();
    let changes = changes.map(super::inspection::refused_change);
    put(object, "refused_changes", changes.collect::<Vec<_>>());
    put(object, "watched_only", detail.watched_only);
    put(object, "queue", detail.queue);
    put(object, "bytes_received", detail.bytes_received);
    put(object, "bytes_sent", detail.bytes_sent);
}

/// An event.
#[must_use]
pub fn event(record: &FolderEventRecord) -> Object {
    let event = &record.event;
    let mut object = object("event");
    put(&mut object, "time", time(event.time));
    put(&mut object, "name", event.name.as_str());
    put(&mut object, "source", event.source.as_str());
    let folder = record.folder.as_ref().map(FolderName::as_str);
    put(&mut object, "folder", folder);
    put_bytes(&mut object, "path", event.path.as_bytes());
    if let Some(source) = &event.source_path {
        put_bytes(&mut object, "source_path", source.as_bytes());
    }
    put(&mut object, "is_directory", event.is_directory);
    put(&mut object, "network_source", event.network_source.clone());
    object
}

/// The settings of a node. Of secrets it is told whether there is one.
pub(crate) fn configuration(settings: &Settings) -> Object {
    let mut object = object("configuration");
    let place = |path: &Option<std::path::PathBuf>| {
        let path = path.as_ref();
        path.map(|path| path.to_string_lossy().into_owned())
    };
    put(&mut object, "name", settings.node_name().as_str());
    put(&mut object, "address", settings.address.clone());
    put(&mut object, "advertise", settings.advertise.clone());
    put(&mut object, "cluster_key", settings.cluster_key.is_some());
    let key_file = place(&settings.cluster_key_file);
    put(&mut object, "cluster_key_file", key_file);
    let accepted = settings.accept_cluster_keys.len() + settings.accept_cluster_key_files.len();
    put(&mut object, "accepted_cluster_keys", accepted as u64);
    let manager = settings.manager_address.clone();
    put(&mut object, "manager_address", manager);
    let has_credentials = settings.manager_credentials.is_some();
    put(&mut object, "manager_credentials", has_credentials);
    put(&mut object, "node_state", place(&settings.node_state));
    let directory = place(&settings.folders_directory);
    put(&mut object, "folders_directory", directory);
    put(&mut object, "nodes", list(&settings.nodes, dialled));
    put(&mut object, "folders", list(&settings.folders, kept));
    put(&mut object, "bwlimit", settings.bwlimit.clone());
    let durability = match settings.durability {
        replicat_engine::options::Durability::Group => "group",
        replicat_engine::options::Durability::None => "none",
    };
    put(&mut object, "durability", durability);
    let socket = place(&settings.control_socket);
    put(&mut object, "control_socket", socket);
    put(&mut object, "http", settings.http.clone());
    let certificate = place(&settings.http_certificate);
    put(&mut object, "http_certificate", certificate);
    put(&mut object, "http_key", place(&settings.http_key));
    put(&mut object, "http_hosts", settings.http_hosts.clone());
    object
}

fn dialled(node: &NodeSettings) -> Object {
    let mut object = object("peer");
    let name = node.name.as_ref().map(NodeName::as_str);
    put(&mut object, "name", name);
    put(&mut object, "address", node.address.as_str());
    object
}

fn kept(folder: &FolderSettings) -> Object {
    let mut object = object("folder");
    put(&mut object, "name", folder.name.as_str());
    let directory = folder.directory.as_os_str().as_encoded_bytes();
    put_bytes(&mut object, "directory", directory);
    put(&mut object, "mode", folder.mode.name());
    put(&mut object, "exclude", folder.exclude.clone());
    put(&mut object, "select", folder.select.clone());
    let state = folder.state_dir.as_ref();
    let state = state.map(|path| path.to_string_lossy().into_owned());
    put(&mut object, "state_dir", state);
    let age = folder.trash_age.map(|age| age.to_string());
    put(&mut object, "trash_age", age);
    let size = folder.trash_size.map(|size| size.to_string());
    put(&mut object, "trash_size", size);
    put(&mut object, "create", folder.create);
    put(&mut object, "join", folder.join);
    object
}

/// Which folders something was done to.
pub(crate) fn done_to(kind: &str, folders: &[FolderName]) -> Object {
    let mut object = object(kind);
    let names = folders.iter().map(ToString::to_string);
    put(&mut object, "folders", names.collect::<Vec<_>>());
    object
}

/// What was brought to a path.
#[must_use]
pub fn uploaded(uploaded: &Uploaded) -> Object {
    let mut object = object("uploaded");
    put_bytes(&mut object, "path", uploaded.path.as_bytes());
    put(&mut object, "size", uploaded.size);
    put(&mut object, "content", uploaded.content.to_string());
    put(&mut object, "created", uploaded.created);
    object
}

/// What was moved to the trash.
#[must_use]
pub fn removed(path: &RelPath) -> Object {
    let mut object = object("removed");
    put_bytes(&mut object, "path", path.as_bytes());
    object
}

/// The last line of an answer.
pub(crate) fn done() -> Object {
    object("done")
}

/// Why something was not done.
pub(crate) fn error(kind: &str, message: &str, hint: Option<String>, exit_code: u8) -> Object {
    let mut object = object("error");
    put(&mut object, "kind", kind);
    put(&mut object, "message", message);
    put(&mut object, "hint", hint);
    put(&mut object, "exit_code", exit_code);
    object
}

/// What a brake holds; null if none does.
fn held(detail: &FolderStatus) -> Value {
    let Some(brake) = detail.brake else {
        return Value::Null;
    };
    let mut object = Object::new();
    match brake {
        Brake::MassDeletion {
            gone,
            recorded,
            gone_bytes,
            recorded_bytes,
        } => {
            put(&mut object, "files", gone);
            put(&mut object, "of_files", recorded);
            put(&mut object, "bytes", gone_bytes);
            put(&mut object, "of_bytes", recorded_bytes);
        }
        Brake::MaxDelete { planned, allowed } => {
            put(&mut object, "files", planned);
            put(&mut object, "allowed", allowed);
        }
    }
    put(&mut object, "here", detail.held.here);
    put(&mut object, "elsewhere", detail.held.elsewhere);
    let directories = detail.held.directories.iter().map(held_directory);
    put(&mut object, "directories", directories.collect::<Vec<_>>());
    put(&mut object, "more", detail.held.more);
    Value::Object(object)
}

fn held_directory(directory: &HeldDirectory) -> Value {
    let mut object = Object::new();
    put_bytes(&mut object, "path", directory.path.as_bytes());
    put(&mut object, "whole", directory.is_whole);
    put(&mut object, "files", directory.files);
    put(&mut object, "bytes", directory.bytes);
    Value::Object(object)
}

/// A time in milliseconds, to the microsecond.
fn milliseconds(time: std::time::Duration) -> f64 {
    // A quotient of whole numbers has no more digits than it needs.
    time.as_micros() as f64 / 1000.0
}
