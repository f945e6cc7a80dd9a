//! History: what happened at a path, for people who ask.

use replicat_core::id::{ContentHash, ReplicaId};
use replicat_core::path::RelPath;

/// How many rows are kept of one path; older ones go.
pub const HISTORY_ROWS_MAX: usize = 32;

/// What happened at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It came into being.
    Created,
    /// Its content or its metadata changed.
    Edited,
    /// It was deleted.
    Deleted,
    /// It came here from another path.
    MovedFrom(RelPath),
    /// It went to another path.
    MovedTo(RelPath),
    /// It lost against a concurrent change, or is the copy that preserves the loser.
    Conflict,
    /// It came back from the trash.
    Restored,
}

/// One event in the history of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryRow {
    /// When it became known here, in milliseconds since 1970.
    pub time_ms: u64,
    /// What happened.
    pub change: Change,
    /// Who made the event.
    pub origin: ReplicaId,
    /// What the path held from then on, or at last if it was deleted.
    pub content: Option<ContentHash>,
    /// The length of that content in bytes.
    pub size: u64,
    /// The name in the trash of what was replaced or deleted, if it was kept.
    pub trash_name: Option<String>,
}
