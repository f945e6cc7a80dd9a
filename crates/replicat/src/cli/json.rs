//! The format of `--json`: one object a line (see `docs/cli.md`).
//!
//! A path that is not UTF-8 appears with U+FFFD for what is no text, and whole, in hexadecimal,
//! under the same key with `_hex` behind it.

use std::path::Path;

use replicat::control::inspection::conflict;
use replicat::error::ExitCode;
use replicat::event::{
    Aspect, Aspects, ItemChange, ItemKind, ObservedChange, Phase, PlanItem, PlanTotals, RootIndex,
    SyncEvent,
};
use replicat::report::{
    BrakeReport, ConflictReport, HeldDirectory, Outcome, RootFailure, RootReport, Skipped,
    Statistics, SyncReport,
};
use replicat_core::entry::Timestamp;
use replicat_core::path::RelPath;
use serde_json::{Map, Value, json};

use super::terminal::sentence;
use super::{itemize, terminal};

/// A JSON object.
pub(crate) type Object = Map<String, Value>;

/// Starts an object with its type.
pub(crate) fn object(kind: &str) -> Object {
    let mut object = Object::new();
    object.insert("type".into(), kind.into());
    object
}

/// Adds a member.
pub(crate) fn put(object: &mut Object, key: &str, value: impl Into<Value>) {
    object.insert(key.into(), value.into());
}

/// Adds the members of `fields`, which is an object.
pub(crate) fn put_all(object: &mut Object, fields: Value) {
    if let Value::Object(fields) = fields {
        object.extend(fields);
    }
}

/// Adds bytes that are mostly text: a path or what a symbolic link points to.
pub(crate) fn put_bytes(object: &mut Object, key: &str, bytes: &[u8]) {
    put(object, key, String::from_utf8_lossy(bytes).into_owned());
    if std::str::from_utf8(bytes).is_err() {
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        put(object, &format!("{key}_hex"), digits);
    }
}

/// Adds a path within a root.
pub(crate) fn put_path(object: &mut Object, key: &str, path: &RelPath) {
    put_bytes(object, key, path.as_bytes());
}

/// Adds a path of this machine.
pub(crate) fn put_root(object: &mut Object, root: &Path) {
    put_bytes(object, "root", root.as_os_str().as_encoded_bytes());
}

/// A time as RFC 3339 in UTC, or as seconds since 1970 beyond the year 9999.
pub(crate) fn time(time: Timestamp) -> Value {
    match terminal::instant(time) {
        Some(instant) => instant.to_string().into(),
        None => time.seconds.into(),
    }
}

/// What a path is.
pub(crate) fn kind(kind: ItemKind) -> &'static str {
    match kind {
        ItemKind::File => "file",
        ItemKind::Directory => "directory",
        ItemKind::Symlink => "symlink",
    }
}

/// An event, with the roots as they were given.
pub(crate) fn event<P: AsRef<Path>>(event: &SyncEvent, roots: &[P]) -> Object {
    let put_index = |object: &mut Object, RootIndex(index): RootIndex| {
        if let Some(root) = roots.get(index) {
            put_root(object, root.as_ref());
        }
    };
    match event {
        SyncEvent::PhaseStarted { root, phase } => {
            let mut object = object("phase");
            put(&mut object, "phase", phase_word(*phase));
            root.iter().for_each(|root| put_index(&mut object, *root));
            object
        }
        SyncEvent::Scanned { root, counts } => {
            let mut object = object("scanned");
            put_index(&mut object, *root);
            put_all(
                &mut object,
                json!({"files": counts.files, "directories": counts.directories,
                    "symlinks": counts.symlinks, "bytes": counts.bytes,
                    "changed": counts.changed}),
            );
            object
        }
        SyncEvent::Observed(seen) => {
            let mut object = object("observed");
            put_index(&mut object, seen.root);
            put_path(&mut object, "path", &seen.path);
            put(&mut object, "kind", kind(seen.kind));
            put(&mut object, "change", observed_word(&seen.change));
            object
        }
        SyncEvent::Planned(totals) => plan(totals),
        SyncEvent::Item(item) => {
            let mut object = object("item");
            put_index(&mut object, item.root);
            put_item(&mut object, item);
            object
        }
        SyncEvent::Progress(progress) => {
            let mut object = object("progress");
            put_all(
                &mut object,
                json!({"files_done": progress.files_done, "files_total": progress.files_total,
                    "bytes_done": progress.bytes_done, "bytes_total": progress.bytes_total}),
            );
            object
        }
        SyncEvent::RootFailed { root, failure } => {
            let mut object = object("error");
            put_index(&mut object, *root);
            put_all(&mut object, root_failure(failure));
            put(&mut object, "exit_code", ExitCode::Incomplete as u8);
            object
        }
        SyncEvent::Warning {
            root,
            path,
            message,
        } => {
            let mut object = object("warning");
            root.iter().for_each(|root| put_index(&mut object, *root));
            path.iter()
                .for_each(|path| put_path(&mut object, "path", path));
            put(&mut object, "message", message.as_str());
            object
        }
    }
}

fn plan(totals: &PlanTotals) -> Object {
    let mut object = object("plan");
    put_all(
        &mut object,
        json!({"files": totals.files, "bytes": totals.bytes,
            "deletes": totals.deletes, "moves": totals.moves}),
    );
    object
}

fn observed_word(change: &ObservedChange) -> &'static str {
    match change {
        ObservedChange::Created => "create",
        ObservedChange::Updated => "update",
        ObservedChange::Deleted => "delete",
        ObservedChange::Moved { .. } => "move",
    }
}

fn phase_word(phase: Phase) -> &'static str {
    match phase {
        Phase::Scan => "scan",
        Phase::Exchange => "exchange",
        Phase::Transfer => "transfer",
        Phase::Verify => "verify",
    }
}

fn put_item(object: &mut Object, item: &PlanItem) {
    put_path(object, "path", &item.path);
    put(object, "kind", kind(item.kind));
    put(object, "size", item.size);
    let change = match &item.change {
        ItemChange::Create => "create",
        ItemChange::HardLink { .. } => "hard-link",
        ItemChange::Update(_) => "update",
        ItemChange::Metadata(_) => "metadata",
        ItemChange::Delete => "delete",
        ItemChange::Move { .. } => "move",
        ItemChange::ConflictCopy { .. } => "conflict-copy",
    };
    put(object, "change", change);
    match &item.change {
        ItemChange::HardLink { to } => put_path(object, "to", to),
        ItemChange::Move { from } => put_path(object, "from", from),
        ItemChange::ConflictCopy { of } => put_path(object, "of", of),
        ItemChange::Update(differs) | ItemChange::Metadata(differs) => {
            put(object, "differs", aspects(*differs));
        }
        ItemChange::Create | ItemChange::Delete => {}
    }
    put(object, "itemize", itemize::code(item).trim_end());
}

fn aspects(differs: Aspects) -> Vec<&'static str> {
    const WORDS: [(Aspect, &str); 8] = [
        (Aspect::Content, "content"),
        (Aspect::Size, "size"),
        (Aspect::Mtime, "mtime"),
        (Aspect::Mode, "mode"),
        (Aspect::User, "user"),
        (Aspect::Group, "group"),
        (Aspect::Acl, "acl"),
        (Aspect::Xattrs, "xattrs"),
    ];
    let held = WORDS.iter().filter(|(aspect, _)| differs.contains(*aspect));
    held.map(|(_, word)| *word).collect()
}

/// The last line of a sync.
pub(crate) fn summary(report: &SyncReport) -> Object {
    let mut object = object("summary");
    let outcome = match report.outcome {
        Outcome::Finished => "finished",
        Outcome::Planned => "planned",
        Outcome::Cancelled => "cancelled",
    };
    put(&mut object, "in_sync", report.in_sync);
    put(&mut object, "outcome", outcome);
    put(&mut object, "exit_code", report.exit_code() as u8);
    put(&mut object, "roots", objects(&report.roots, root));
    put(
        &mut object,
        "conflicts",
        objects(&report.conflicts, untyped_conflict),
    );
    let skip = |row: &Skipped| skipped(row, report.roots.get(row.root.0));
    put(&mut object, "skipped", objects(&report.skipped, skip));
    put(&mut object, "brakes", objects(&report.brakes, brake));
    put(&mut object, "statistics", statistics(&report.statistics));
    object
}

/// The last line of a sync that could not be done.
pub(crate) fn failed_summary(code: ExitCode) -> Object {
    let mut object = object("summary");
    put_all(
        &mut object,
        json!({"in_sync": false, "outcome": "failed", "exit_code": code as u8,
            "roots": [], "conflicts": [], "skipped": [], "brakes": []}),
    );
    object
}

/// A list of objects.
pub(crate) fn objects<T>(rows: &[T], object: impl Fn(&T) -> Object) -> Value {
    rows.iter()
        .map(|row| Value::Object(object(row)))
        .collect::<Vec<_>>()
        .into()
}

fn root(report: &RootReport) -> Object {
    let mut object = Object::new();
    put_root(&mut object, &report.root);
    let changes = report.changes;
    put_all(
        &mut object,
        json!({"name": report.name, "folder": report.folder.map(|id| id.to_string()),
            "replica": report.replica.map(|id| id.to_string()), "created": changes.created,
            "updated": changes.updated, "metadata": changes.metadata,
            "deleted": changes.deleted, "moved": changes.moved,
            "failure": report.failure.as_ref().map(root_failure)}),
    );
    object
}

fn root_failure(failure: &RootFailure) -> Value {
    let hint = failure.hint.as_ref().map(|hint| sentence(hint));
    json!({"kind": failure.kind, "message": sentence(&failure.message), "hint": hint})
}

/// A conflict, in a list of such.
fn untyped_conflict(report: &ConflictReport) -> Object {
    let mut object = conflict(report);
    object.shift_remove("type");
    object
}

/// A path that was not synced.
pub(crate) fn skipped(row: &Skipped, root: Option<&RootReport>) -> Object {
    let mut object = Object::new();
    if let Some(root) = root {
        put_root(&mut object, &root.root);
    }
    put_path(&mut object, "path", &row.path);
    put(&mut object, "reason", row.reason.to_string());
    put(&mut object, "kind", row.reason.kind());
    put(&mut object, "severity", row.severity.word());
    object
}

fn brake(report: &BrakeReport) -> Object {
    let mut object = Object::new();
    put_root(&mut object, &report.root);
    put(&mut object, "kind", report.brake.kind());
    put(&mut object, "message", report.to_string());
    put(&mut object, "hint", report.hint());
    put(&mut object, "here", report.held.here);
    put(&mut object, "elsewhere", report.held.elsewhere);
    let directories = report.held.directories.iter().map(held_directory);
    put(&mut object, "directories", directories.collect::<Vec<_>>());
    put(&mut object, "more", report.held.more);
    object
}

fn held_directory(directory: &HeldDirectory) -> Value {
    let mut object = Object::new();
    put_path(&mut object, "path", &directory.path);
    put(&mut object, "whole", directory.is_whole);
    put(&mut object, "files", directory.files);
    put(&mut object, "bytes", directory.bytes);
    Value::Object(object)
}

fn statistics(statistics: &Statistics) -> Value {
    let changes = statistics.changes;
    json!({
        "files_scanned": statistics.files_scanned,
        "directories_scanned": statistics.directories_scanned,
        "bytes_scanned": statistics.bytes_scanned,
        "bytes_hashed": statistics.bytes_hashed,
        "created": changes.created,
        "updated": changes.updated,
        "metadata": changes.metadata,
        "deleted": changes.deleted,
        "moved": changes.moved,
        "bytes_copied": statistics.bytes_copied,
        "bytes_reused": statistics.bytes_reused,
        "elapsed_ms": u64::try_from(statistics.elapsed.as_millis()).unwrap_or(u64::MAX),
    })
}
