//! Restoring and the trash: commands as the engine understands them, and what it answers as JSON. The format is laid down in
//! `docs/cli.md`.

use std::time::Duration;

use replicat_core::entry::Timestamp;
use replicat_engine::inspection::Revision;
use replicat_engine::restoration::{
    Emptied, NotRestored, Restoration, RestoreRequest, Restored, RestoredFrom, Selection,
    TrashReason, TrashRow, TrashSelection,
};

use super::answering::Refusal;
use super::json::{Object, object, put, put_bytes, timestamp};
use super::{Command, PathText};
use crate::server::ReplicatServer;

/// What a restore asks for.
fn selection(
    revision: Option<u32>,
    recursive: bool,
    at: Option<&str>,
) -> Result<Selection, Refusal> {
    let at = at.map(time).transpose()?;
    match (revision, recursive, at) {
        (Some(_), true, _) | (Some(_), _, Some(_)) => {
            let problem = "a revision is of one path, and is restored without a time";
            Err(Refusal::Usage(problem.to_owned()))
        }
        (revision, false, None) => Ok(Selection::Version(revision.map(Revision))),
        (None, false, Some(at)) => Ok(Selection::At(at)),
        (None, true, None) => Ok(Selection::Deleted),
        (None, true, Some(at)) => Ok(Selection::TreeAt(at)),
    }
}

fn time(text: &str) -> Result<Timestamp, Refusal> {
    let time: jiff::Timestamp = text.parse().map_err(|_| {
        Refusal::Usage(format!(
            "{text:?} is no time: write it as in 2026-11-26T20:00:00Z"
        ))
    })?;
    Ok(Timestamp {
        seconds: time.as_second(),
        nanoseconds: u32::try_from(time.subsec_nanosecond()).unwrap_or(0),
    })
}

/// Carries out a command about restoring or the trash; `None` if it is another.
pub(super) fn carry_out(
    server: &ReplicatServer,
    command: &Command,
) -> Result<Option<Vec<Object>>, Refusal> {
    match command {
        Command::Restore {
            folder,
            path,
            revision,
            recursive,
            at,
            dry_run,
        } => {
            let request = RestoreRequest {
                path: path.path().map_err(Refusal::Usage)?,
                selection: selection(*revision, *recursive, at.as_deref())?,
                dry_run: *dry_run,
            };
            let done = server.live(folder)?.restore(&request)?;
            Ok(Some(restored(&done)))
        }
        Command::EmptyTrash {
            folder,
            older_than,
            path,
        } => {
            let path = path.as_ref().map(PathText::path).transpose();
            let selection = TrashSelection {
                older_than: older_than.map(Duration::from_secs),
                path: path.map_err(Refusal::Usage)?,
            };
            let done = server.live(folder)?.empty_trash(selection)?;
            Ok(Some(vec![emptied(&done)]))
        }
        _ => Ok(None),
    }
}

/// What became of a restore, as an object for each path.
#[must_use]
pub fn restored(restored: &Restored) -> Vec<Object> {
    let done = restored.restorations.iter().map(restoration);
    done.chain(restored.failed.iter().map(not_restored))
        .collect()
}

fn restoration(restoration: &Restoration) -> Object {
    let mut object = object("restoration");
    put_bytes(&mut object, "path", restoration.path.as_bytes());
    put(&mut object, "revision", restoration.revision.0);
    put(&mut object, "size", restoration.size);
    put(&mut object, "when", timestamp(restoration.when));
    put(&mut object, "node", known_node(&restoration.node));
    let from = match &restoration.from {
        RestoredFrom::Trash => "trash",
        RestoredFrom::Root => "folder",
        RestoredFrom::Node(_) => "node",
        RestoredFrom::Elsewhere => "elsewhere",
    };
    put(&mut object, "from", from);
    if let RestoredFrom::Node(name) = &restoration.from {
        put(&mut object, "from_node", name.as_str());
    }
    put(&mut object, "planned", restoration.planned);
    object
}

/// The name of a node; nothing if it is not known.
pub(super) fn known_node(name: &str) -> Option<&str> {
    Some(name).filter(|name| !name.is_empty())
}

fn not_restored(failed: &NotRestored) -> Object {
    let mut object = object("not-restored");
    put_bytes(&mut object, "path", failed.path.as_bytes());
    put(&mut object, "reason", failed.reason.as_str());
    object
}

/// Something in the trash.
#[must_use]
pub fn trash_item(row: &TrashRow) -> Object {
    let mut object = object("trash-item");
    put(&mut object, "id", row.id.as_str());
    match &row.path {
        Some(path) => put_bytes(&mut object, "path", path.as_bytes()),
        None => put(&mut object, "path", None::<String>),
    }
    put_bytes(&mut object, "name", &row.name);
    put(&mut object, "when", timestamp(row.when));
    let reason = match row.reason {
        TrashReason::Deleted => "deleted",
        TrashReason::Replaced => "replaced",
        TrashReason::Unknown => "unknown",
    };
    put(&mut object, "reason", reason);
    put(&mut object, "node", row.node.clone());
    put(&mut object, "size", row.size);
    let content = row.content.map(|content| content.to_string());
    put(&mut object, "content", content);
    object
}

/// What was removed from the trash.
#[must_use]
pub fn emptied(emptied: &Emptied) -> Object {
    let mut object = object("trash-emptied");
    put(&mut object, "versions", emptied.versions);
    put(&mut object, "bytes", emptied.bytes);
    object
}
