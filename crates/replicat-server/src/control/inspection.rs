//! What is known of a root, as JSON objects with a `type`. The format is laid down in `docs/cli.md`.

use replicat_core::entry::Payload;
use replicat_engine::engine::inspect::Answer;
use replicat_engine::event::ItemKind;
use replicat_engine::inspection::{
    Excluded, Explanation, Forgotten, HistoryChange, HistoryRow, Holder, Keep, Keeping, Presence,
    Resolution, TreeRow, TreeState,
};
use replicat_engine::report::{ConflictReport, RefusedChange, VersionReport};

use super::json::{Object, object, put, put_bytes, timestamp};
use super::{restoring, selecting};

/// An answer, as an object for each row.
pub(crate) fn rows(answer: &Answer) -> Vec<Object> {
    match answer {
        Answer::Conflicts(rows) => rows.iter().map(conflict).collect(),
        Answer::History(rows) => rows.iter().map(history).collect(),
        Answer::Why(explained) => vec![explanation(explained)],
        Answer::Trash(rows) => rows.iter().map(restoring::trash_item).collect(),
        Answer::Selection(selected) => vec![selecting::selection(selected)],
        Answer::Tree(rows) => rows.iter().map(tree).collect(),
    }
}

/// A conflict that nobody has resolved.
#[must_use]
pub fn conflict(report: &ConflictReport) -> Object {
    let mut object = object("conflict");
    put_bytes(&mut object, "path", report.path.as_bytes());
    put_bytes(&mut object, "copy", report.copy.as_bytes());
    put(&mut object, "when", timestamp(report.when));
    put(&mut object, "winner", version(&report.winner));
    put(&mut object, "loser", version(&report.loser));
    object
}

fn version(report: &VersionReport) -> Object {
    let mut object = Object::new();
    put(&mut object, "node", report.node.as_str());
    put(&mut object, "when", timestamp(report.when));
    match &report.payload {
        Payload::File { content, size, .. } => {
            put(&mut object, "kind", "file");
            put(&mut object, "size", *size);
            put(&mut object, "content", content.to_string());
        }
        Payload::Directory => put(&mut object, "kind", "directory"),
        Payload::Symlink { target } => {
            put(&mut object, "kind", "symlink");
            put_bytes(&mut object, "target", target);
        }
        Payload::Tombstone { .. } => put(&mut object, "kind", "deleted"),
    }
    object
}

/// One version in a path's history.
#[must_use]
pub fn history(row: &HistoryRow) -> Object {
    let mut object = object("version");
    put(&mut object, "revision", row.revision.0);
    put(&mut object, "when", timestamp(row.when));
    put(&mut object, "node", restoring::known_node(&row.node));
    let (change, other) = match &row.change {
        HistoryChange::Created => ("created", None),
        HistoryChange::Edited => ("edited", None),
        HistoryChange::Described => ("metadata", None),
        HistoryChange::Deleted => ("deleted", None),
        HistoryChange::MovedFrom(from) => ("moved-from", Some(from)),
        HistoryChange::MovedTo(to) => ("moved-to", Some(to)),
        HistoryChange::ConflictCopyOf(of) => ("conflict-copy-of", Some(of)),
        HistoryChange::Restored => ("restored", None),
    };
    put(&mut object, "change", change);
    if let Some(other) = other {
        put_bytes(&mut object, "other", other.as_bytes());
    }
    put(&mut object, "size", row.size);
    let content = row.content.map(|content| content.to_string());
    put(&mut object, "content", content);
    let keeping = match row.keeping {
        Keeping::Current => "current",
        Keeping::Trash => "trash",
        Keeping::Gone => "gone",
    };
    put(&mut object, "keeping", keeping);
    object
}

/// What became of a conflict.
#[must_use]
pub fn resolution(resolution: &Resolution) -> Object {
    let mut object = object("resolution");
    put_bytes(&mut object, "path", resolution.path.as_bytes());
    if let Some(copy) = &resolution.copy {
        put_bytes(&mut object, "copy", copy.as_bytes());
    }
    let kept = match resolution.kept {
        Keep::Local => "local",
        Keep::Winner => "winner",
        Keep::Copy => "copy",
        Keep::Both => "both",
    };
    put(&mut object, "kept", kept);
    object
}

/// The local changes that are dropped, or would be.
#[must_use]
pub fn reverted(changes: &[RefusedChange], dry_run: bool) -> Object {
    let mut object = object("reverted");
    put(&mut object, "dry_run", dry_run);
    let changes = changes.iter().map(refused_change);
    put(&mut object, "changes", changes.collect::<Vec<_>>());
    object
}

/// A local change that the peers refuse.
pub(crate) fn refused_change(row: &RefusedChange) -> Object {
    let mut object = Object::new();
    put_bytes(&mut object, "path", row.path.as_bytes());
    put(&mut object, "change", row.change.word());
    object
}

/// What was forgotten.
#[must_use]
pub fn forgotten(forgotten: &[Forgotten]) -> Object {
    let mut object = object("forgotten");
    let replica = |forgotten: &Forgotten| {
        let mut replica = Object::new();
        put(&mut replica, "replica", forgotten.replica.to_string());
        put(&mut replica, "name", forgotten.name.as_str());
        serde_json::Value::Object(replica)
    };
    let replicas: Vec<_> = forgotten.iter().map(replica).collect();
    put(&mut object, "replicas", replicas);
    object
}

/// Why a path is as it is.
#[must_use]
pub fn explanation(explanation: &Explanation) -> Object {
    let mut object = object("explanation");
    put_bytes(&mut object, "path", explanation.path.as_bytes());
    put(&mut object, "facts", explanation.facts.clone());
    let excluded = explanation.excluded.as_ref().map(excluded);
    put(&mut object, "excluded", excluded);
    let skipped = explanation.skipped.as_ref().map(|reason| {
        let mut skipped = Object::new();
        put(&mut skipped, "reason", reason.to_string());
        put(&mut skipped, "kind", reason.kind());
        skipped
    });
    put(&mut object, "skipped", skipped);
    put(&mut object, "refused", explanation.refused);
    let holders: Vec<_> = explanation.holders.iter().map(holder).collect();
    put(&mut object, "holders", holders);
    put(&mut object, "waits_for", explanation.waits_for.clone());
    object
}

/// The rule that leaves a path out.
fn excluded(rule: &Excluded) -> Object {
    let mut object = Object::new();
    put_bytes(&mut object, "path", rule.matched.as_bytes());
    let pattern = rule.pattern.as_deref().map(String::from_utf8_lossy);
    put(
        &mut object,
        "pattern",
        pattern.map(std::borrow::Cow::into_owned),
    );
    put(&mut object, "source", rule.source.clone());
    object
}

/// Another replica, as far as one path is concerned.
fn holder(holder: &Holder) -> Object {
    let mut object = Object::new();
    put(&mut object, "replica", holder.replica.to_string());
    put(&mut object, "name", holder.name.as_str());
    put(&mut object, "holds", holder.holds);
    let is_connected = match holder.presence {
        Presence::Connected => Some(true),
        Presence::Away => Some(false),
        Presence::Unknown => None,
    };
    put(&mut object, "connected", is_connected);
    object
}

/// One path of a root.
#[must_use]
pub fn tree(row: &TreeRow) -> Object {
    let mut object = object("path");
    put_bytes(&mut object, "path", row.path.as_bytes());
    put(&mut object, "kind", kind(row.kind));
    put(&mut object, "size", row.size);
    put(
        &mut object,
        "mode",
        row.mode.map(|mode| format!("{mode:04o}")),
    );
    put(&mut object, "mtime", row.mtime.map(timestamp));
    if let Some(target) = &row.target {
        put_bytes(&mut object, "target", target);
    }
    let content = row.content.map(|content| content.to_string());
    put(&mut object, "content", content);
    let state = match row.state {
        TreeState::Present => "present",
        TreeState::Pending => "pending",
        TreeState::ConflictCopy => "conflict-copy",
        TreeState::Excluded => "excluded",
    };
    put(&mut object, "state", state);
    object
}

fn kind(kind: ItemKind) -> &'static str {
    match kind {
        ItemKind::File => "file",
        ItemKind::Directory => "directory",
        ItemKind::Symlink => "symlink",
    }
}
