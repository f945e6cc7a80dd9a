//! What can be done to one path.

use replicat_core::entry::Metadata;
use replicat_core::id::ContentHash;
use replicat_core::path::RelPath;
use replicat_core::record::Fingerprint;

use crate::metadata::{Unapplied, Unheld};
use crate::stage::Staged;
use crate::trash::TrashId;

/// One change of one path.
#[derive(Debug)]
pub struct Change {
    /// The path.
    pub path: RelPath,
    /// What must be there; `None`: nothing may be. Anything else, and the change is not made.
    pub expected: Option<Fingerprint>,
    /// What is done.
    pub action: Action,
    /// What becomes of a file that is replaced or removed.
    pub displaced: Displaced,
}

/// What is done to a path.
#[derive(Debug)]
pub enum Action {
    /// It becomes what was staged.
    Put(Box<Staged>),
    /// It becomes one more name of an existing file.
    Link {
        /// The file's path.
        to: RelPath,
        /// What must be there.
        expected: Fingerprint,
    },
    /// It becomes a directory, or if it is one, is described anew.
    MakeDirectory(Metadata),
    /// It becomes a symbolic link.
    MakeSymlink {
        /// Where it points, verbatim.
        target: Vec<u8>,
        /// How it is described.
        metadata: Metadata,
    },
    /// It is described anew.
    SetMetadata(Metadata),
    /// The file or link goes.
    Remove,
    /// The empty directory goes.
    RemoveDirectory,
    /// A file or a whole directory comes here from another path. If the path held a file, that is gone for an
    /// instant before the other comes; a file can instead be adopted and put.
    Rename {
        /// Its path until now.
        from: RelPath,
        /// What must be there.
        expected: Fingerprint,
    },
}

impl Action {
    /// Whether directories come, go or are renamed by it.
    pub(crate) fn is_of_directories(&self) -> bool {
        matches!(
            self,
            Self::MakeDirectory(_) | Self::RemoveDirectory | Self::Rename { .. }
        )
    }
}

/// What becomes of a file that a change displaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Displaced {
    /// It goes to the trash.
    ToTrash {
        /// What it holds, if that is known.
        content: Option<ContentHash>,
    },
    /// It is removed: it was moved elsewhere or preserved, or there is no trash.
    Discard,
}

/// A change that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// What the path holds now.
    pub outcome: Outcome,
    /// What of the metadata this user or filesystem could not hold.
    pub unapplied: Vec<Unapplied>,
    /// What the path has instead of what it could not hold.
    pub unheld: Option<Unheld>,
    /// What was displaced, if it went to the trash.
    pub trashed: Option<TrashId>,
}

impl Applied {
    pub(crate) fn new(outcome: Outcome) -> Self {
        Self {
            outcome,
            unapplied: Vec::new(),
            unheld: None,
            trashed: None,
        }
    }

    /// What a dry run takes for the result of a change.
    #[must_use]
    pub fn pretended() -> Self {
        Self::new(Outcome::Holds(Fingerprint::default()))
    }

    /// How to recognise what the path holds, if it holds what was put there.
    #[must_use]
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        match self.outcome {
            Outcome::Holds(fingerprint) => Some(fingerprint),
            Outcome::Gone | Outcome::Disturbed => None,
        }
    }
}

/// What a path holds after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// What was put there.
    Holds(Fingerprint),
    /// Nothing.
    Gone,
    /// The change was made, and someone changed the path again in the same instant: look at it.
    Disturbed,
}
