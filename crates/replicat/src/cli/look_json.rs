//! What the commands that look at one root print for programs.

use std::path::Path;

use replicat::inspection::{Approval, MemberStanding, MemberStatus, Status};
use replicat::report::Brake;
use serde_json::{Value, json};

pub(crate) use replicat::control::inspection::{conflict, explanation, history, resolution, tree};

use super::json::{self, Object, object, put, put_all, put_root};

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
            "excluded": status.excluded,
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
        Brake::MassDeletion {
            gone,
            recorded,
            gone_bytes,
            recorded_bytes,
        } => {
            json!({"kind": brake.kind(), "gone": gone, "recorded": recorded,
                "gone_bytes": gone_bytes, "recorded_bytes": recorded_bytes})
        }
        Brake::MaxDelete { planned, allowed } => {
            json!({"kind": brake.kind(), "planned": planned, "allowed": allowed})
        }
    }
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

/// What was rejected at a root.
pub(crate) fn rejection(root: &Path, rejected: Option<Brake>) -> Object {
    let mut object = object("rejection");
    put_root(&mut object, root);
    put(&mut object, "brake", rejected.map(brake));
    object
}
