//! What is asked of a restore and of the trash, and what comes back.

use std::time::Duration;

use replicat_core::entry::Timestamp;
use replicat_core::id::ContentHash;
use replicat_core::path::RelPath;

use crate::inspection::Revision;

/// What to restore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreRequest {
    /// The path.
    pub path: RelPath,
    /// Which versions of it.
    pub selection: Selection,
    /// Only say what would be done.
    pub dry_run: bool,
}

impl RestoreRequest {
    /// One version of a path; the latest before the current one if `revision` names none.
    #[must_use]
    pub fn version(path: RelPath, revision: Option<Revision>) -> Self {
        Self {
            path,
            selection: Selection::Version(revision),
            dry_run: false,
        }
    }
}

/// Which versions to restore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// This one of the path; without a number the latest that differs from what the path holds.
    Version(Option<Revision>),
    /// The one that the path held at that time.
    At(Timestamp),
    /// All that was deleted at the path and below it.
    Deleted,
    /// What the path and all paths below it held at that time. Paths that came into being later stay.
    TreeAt(Timestamp),
}

impl Selection {
    /// Whether this may restore several paths.
    #[must_use]
    pub fn is_recursive(self) -> bool {
        matches!(self, Self::Deleted | Self::TreeAt(_))
    }
}

/// What became of a [`RestoreRequest`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// What was restored, or would be; in path order.
    pub restorations: Vec<Restoration>,
    /// What could not be restored, in path order.
    pub failed: Vec<NotRestored>,
}

/// What was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restoration {
    /// The path.
    pub path: RelPath,
    /// Which version it holds again.
    pub revision: Revision,
    /// Its length.
    pub size: u64,
    /// When that version was made.
    pub when: Timestamp,
    /// The replica that made it; empty if that is not known.
    pub node: String,
    /// Where its content came from.
    pub from: RestoredFrom,
    /// It was not done: it was a dry run.
    pub planned: bool,
}

/// Where a restored content came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestoredFrom {
    /// The trash of the root.
    Trash,
    /// A file of the root that holds the same, or no content was needed.
    Root,
    /// The node of this name.
    Node(String),
    /// Not here: a dry run asks no other node.
    Elsewhere,
}

/// A path that could not be restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotRestored {
    /// The path.
    pub path: RelPath,
    /// Why, as a sentence without a full stop.
    pub reason: String,
}

/// Something in the trash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrashRow {
    /// Its identity; rises with time.
    pub id: String,
    /// Where it was; `None` if a crash left it without a record.
    pub path: Option<RelPath>,
    /// The last component of its path, cut if it was long.
    pub name: Vec<u8>,
    /// When it came into the trash.
    pub when: Timestamp,
    /// Why it is there.
    pub reason: TrashReason,
    /// The replica that deleted or replaced it, if that is known.
    pub node: Option<String>,
    /// Its length in bytes.
    pub size: u64,
    /// Its content, if that is known.
    pub content: Option<ContentHash>,
}

/// Why something is in the trash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrashReason {
    /// It was deleted.
    Deleted,
    /// Something else took its place.
    Replaced,
    /// The history does not say.
    Unknown,
}

/// What to remove from the trash for good; by default everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrashSelection {
    /// Only what has been there for longer.
    pub older_than: Option<Duration>,
    /// Only what was at this path or below it.
    pub path: Option<RelPath>,
}

/// What was removed from the trash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Emptied {
    /// How many versions.
    pub versions: u64,
    /// Their length together, in bytes.
    pub bytes: u64,
}
