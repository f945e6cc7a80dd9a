//! History: which versions a path held before, for people who ask.

use replicat_core::entry::{Carry, Payload, Version};
use replicat_core::id::{ContentHash, ReplicaId};
use replicat_core::path::RelPath;
use replicat_core::record::Record;

/// How many rows are kept of one path; older ones go.
pub const HISTORY_ROWS_MAX: usize = 32;

/// What happened at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It came into being.
    Created,
    /// Its content changed; of rows without [`HistoryRow::held`], its content or its metadata.
    Edited,
    /// Its description changed.
    Described,
    /// It was deleted.
    Deleted,
    /// It came here from another path.
    MovedFrom(RelPath),
    /// It went to another path.
    MovedTo(RelPath),
    /// It is the copy that preserves the loser of a conflict.
    Conflict,
    /// It came back from the trash.
    Restored,
}

/// What a path held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// Nothing: it was deleted.
    Nothing,
}

/// One event in the history of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryRow {
    /// When it happened, in milliseconds since 1970: of a version by the clock of the replica that made it, else when it
    /// became known here.
    pub time_ms: u64,
    /// What happened.
    pub change: Change,
    /// The author of the version.
    pub origin: ReplicaId,
    /// What the path held from then on. Of rows without `held` that are deletions: what it held at last.
    pub content: Option<ContentHash>,
    /// The length of that content in bytes.
    pub size: u64,
    /// The name in the trash of what was replaced or deleted, if it was kept. Only in rows without `held`.
    pub trash_name: Option<String>,
    /// What the path held by this version, which another one replaced. `None`: a note of what a sync did.
    pub held: Option<HeldKind>,
}

impl HistoryRow {
    /// A version, as it stands in the history once another one has replaced it.
    #[must_use]
    pub fn of_version(version: &Version) -> Self {
        let (content, size, held) = match &version.payload {
            Payload::File { content, size, .. } => (Some(*content), *size, HeldKind::File),
            Payload::Directory => (None, 0, HeldKind::Directory),
            Payload::Symlink { .. } => (None, 0, HeldKind::Symlink),
            Payload::Tombstone { .. } => (None, 0, HeldKind::Nothing),
        };
        Self {
            time_ms: version.hlc.0,
            change: change_of(version),
            origin: version.author(),
            content,
            size,
            trash_name: None,
            held: Some(held),
        }
    }
}

fn change_of(version: &Version) -> Change {
    match &version.payload {
        Payload::Tombstone { moved_to: Some(to) } => Change::MovedTo(to.clone()),
        Payload::Tombstone { moved_to: None } => Change::Deleted,
        _ if matches!(version.carry, Some(Carry::Copy(_))) => Change::Conflict,
        _ if version.is_creation() => Change::Created,
        _ if version.is_description() => Change::Described,
        _ => Change::Edited,
    }
}

/// The version that a path showed before and does not show any more, if the history is to keep it: equal contents that
/// join are one version, and of several descriptions in a row the first is enough.
pub(crate) fn replaced(before: Option<&Record>, after: Option<&Record>) -> Option<HistoryRow> {
    let shown = before?.entry.shown()?;
    let old = shown.winner;
    let Some(new) = after.and_then(|record| record.entry.shown()) else {
        // A deletion that all replicas know of is forgotten, but not by people.
        return (!old.payload.is_live()).then(|| HistoryRow::of_version(old));
    };
    let new = new.winner;
    let is_same = old.payload.is_live() == new.payload.is_live()
        && old.payload.substance() == new.payload.substance();
    let is_joined = !new.context.covers(old.dot);
    let is_kept = match old.dot == new.dot || old.payload.is_directory() && is_same {
        true => false,
        false => !is_same || old.payload.is_live() && !is_joined && !old.is_description(),
    };
    is_kept.then(|| HistoryRow::of_version(old))
}
