//! What the commands that look at one root print for programs.

use std::path::Path;

use replicat::inspection::{
    Approval, Explanation, HistoryChange, HistoryRow, Keep, Keeping, MemberStanding, MemberStatus,
    Resolution, Restoration, Status, TreeRow, TreeState,
};
use replicat::report::{Brake, ConflictReport};
use serde_json::{Value, json};

use super::json::{self, Object, object, put, put_all, put_bytes, put_path, put_root};

/// How a root stands.
pub(crate) fn status(status: &Status) -> Object {
    let mut object = object("status");
    put_root(&mut object, &status.root);
    put_all(
        &mut object,
        json!({
            "folder": status.folder.to_string(),
            "replica": status.replica.to_string(),
            "name": status.name,
            "last_sync": status.last_sync.map(json::time),
            "files": status.files,
            "directories": status.directories,
            "symlinks": status.symlinks,
            "bytes": status.bytes,
            "pending": status.pending,
            "conflicts": status.conflicts,
            "brake": status.brake.map(brake),
            "skipped": json::objects(&status.skipped, |row| json::skipped(row, None)),
            "members": json::objects(&status.members, member),
            "trash_versions": status.trash.versions,
            "trash_bytes": status.trash.bytes,
            "index_bytes": status.index_bytes,
        }),
    );
    object
}

fn member(member: &MemberStatus) -> Object {
    let mut object = Object::new();
    put(&mut object, "replica", member.replica.to_string());
    put(&mut object, "name", member.name.as_str());
    let up_to_date = member.standing == MemberStanding::UpToDate;
    put(&mut object, "up_to_date", up_to_date);
    object
}

fn brake(brake: Brake) -> Value {
    match brake {
        Brake::MassDeletion { gone, recorded } => {
            json!({"kind": brake.kind(), "gone": gone, "recorded": recorded})
        }
        Brake::MaxDelete { planned, allowed } => {
            json!({"kind": brake.kind(), "planned": planned, "allowed": allowed})
        }
    }
}

/// A conflict that nobody has resolved.
pub(crate) fn conflict(report: &ConflictReport) -> Object {
    let mut object = object("conflict");
    object.extend(json::conflict(report));
    object
}

/// What became of a conflict.
pub(crate) fn resolution(resolution: &Resolution) -> Object {
    let mut object = object("resolution");
    put_path(&mut object, "path", &resolution.path);
    put_path(&mut object, "copy", &resolution.copy);
    let kept = match resolution.kept {
        Keep::Winner => "winner",
        Keep::Copy => "copy",
        Keep::Both => "both",
    };
    put(&mut object, "kept", kept);
    object
}

/// One version in a path's history.
pub(crate) fn history(row: &HistoryRow) -> Object {
    let mut object = object("version");
    put(&mut object, "revision", row.revision.0);
    put(&mut object, "when", json::time(row.when));
    put(&mut object, "node", row.node.as_str());
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
        put_path(&mut object, "other", other);
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

/// What was restored.
pub(crate) fn restoration(restoration: &Restoration) -> Object {
    let mut object = object("restoration");
    put_path(&mut object, "path", &restoration.path);
    put(&mut object, "revision", restoration.revision.0);
    put(&mut object, "size", restoration.size);
    object
}

/// Why a path is as it is.
pub(crate) fn explanation(explanation: &Explanation) -> Object {
    let mut object = object("explanation");
    put_path(&mut object, "path", &explanation.path);
    put(&mut object, "facts", explanation.facts.clone());
    object
}

/// What was let go on.
pub(crate) fn approval(root: &Path, approved: Approval) -> Object {
    let held = match approved {
        Approval::Brake(held) => Some(brake(held)),
        Approval::Needless | Approval::NewReplica => None,
    };
    let mut object = object("approval");
    put_root(&mut object, root);
    put(&mut object, "brake", held);
    put(&mut object, "new_replica", approved == Approval::NewReplica);
    object
}

/// One path of a root.
pub(crate) fn tree(row: &TreeRow) -> Object {
    let mut object = object("path");
    put_path(&mut object, "path", &row.path);
    put(&mut object, "kind", json::kind(row.kind));
    put(&mut object, "size", row.size);
    put(
        &mut object,
        "mode",
        row.mode.map(|mode| format!("{mode:04o}")),
    );
    put(&mut object, "mtime", row.mtime.map(json::time));
    if let Some(target) = &row.target {
        put_bytes(&mut object, "target", target);
    }
    let state = match row.state {
        TreeState::Present => "present",
        TreeState::Pending => "pending",
        TreeState::ConflictCopy => "conflict-copy",
    };
    put(&mut object, "state", state);
    object
}
