//! What a sync tells while it runs.

use replicat_core::path::RelPath;

use crate::report::RootFailure;

/// Is told what happens during a sync, from any of its threads. Events of one root come in order.
pub trait Reporter: Sync {
    /// Something happened. Must not block for long: the sync waits.
    fn event(&self, event: &SyncEvent);

    /// Whether [`SyncEvent::Observed`] is of interest; it costs a look at the index for each change.
    fn wants_observations(&self) -> bool {
        false
    }
}

/// A reporter for those who only want the report.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Reporter for Silent {
    fn event(&self, _event: &SyncEvent) {}
}

/// A root's place in the list of roots that the sync was given, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RootIndex(pub usize);

/// Something that happened during a sync.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyncEvent {
    /// A part of the work began.
    PhaseStarted {
        /// The root it is done for; `None` if for all.
        root: Option<RootIndex>,
        /// What began.
        phase: Phase,
    },
    /// A root was scanned so far, or whole.
    Scanned {
        /// The root.
        root: RootIndex,
        /// What was found.
        counts: ScanCounts,
    },
    /// A change that a user made in a root was found.
    Observed(Observed),
    /// It is known what is to be done, in all roots together.
    Planned(PlanTotals),
    /// A change was made; in a dry run, would be made. Each change is told once.
    Item(PlanItem),
    /// The transfer went on.
    Progress(Progress),
    /// A root failed. The others are synced without it, unless fewer than two are left.
    RootFailed {
        /// The root.
        root: RootIndex,
        /// Why.
        failure: RootFailure,
    },
    /// Something deserves attention, though the sync goes on.
    Warning {
        /// The root concerned; `None` if all.
        root: Option<RootIndex>,
        /// The path concerned, if it is one.
        path: Option<RelPath>,
        /// What happened and what to do, as a sentence without a full stop.
        message: String,
    },
}

/// A change that a user made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// The root in which it was made.
    pub root: RootIndex,
    /// The path.
    pub path: RelPath,
    /// What is or was there.
    pub kind: ItemKind,
    /// What happened to it.
    pub change: ObservedChange,
}

/// What a user did to a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ObservedChange {
    /// It is new.
    Created,
    /// What it holds or how it is described changed.
    Updated,
    /// It is gone.
    Deleted,
    /// It is gone, and was found again elsewhere.
    Moved {
        /// Where.
        to: RelPath,
    },
}

/// A part of the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Looking for what changed in a root.
    Scan,
    /// Comparing what the roots know.
    Exchange,
    /// Bringing content and changes to the roots.
    Transfer,
    /// Proving that the roots are equal.
    Verify,
}

/// What a scan found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScanCounts {
    /// Regular files.
    pub files: u64,
    /// Directories, the root left out.
    pub directories: u64,
    /// Symbolic links.
    pub symlinks: u64,
    /// Length of the regular files together.
    pub bytes: u64,
    /// Paths that are not as they were last recorded.
    pub changed: u64,
}

/// What is to be done, in all roots together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlanTotals {
    /// Paths to create or to change.
    pub files: u64,
    /// Content to write.
    pub bytes: u64,
    /// Paths to delete.
    pub deletes: u64,
    /// Paths to move.
    pub moves: u64,
}

/// How far a transfer is, in all roots together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Changes made.
    pub files_done: u64,
    /// Changes to make in all; may grow.
    pub files_total: u64,
    /// Content written.
    pub bytes_done: u64,
    /// Content to write in all; may grow.
    pub bytes_total: u64,
}

/// One change of one path in one root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanItem {
    /// The root that changes.
    pub root: RootIndex,
    /// The path that changes; of a move, the new one.
    pub path: RelPath,
    /// What the path is afterwards; of a deletion, was before.
    pub kind: ItemKind,
    /// Length of a regular file, else 0.
    pub size: u64,
    /// How it changes.
    pub change: ItemChange,
}

/// What a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ItemKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
}

/// How a path changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemChange {
    /// It is new in this root.
    Create,
    /// It is new in this root, as one more name of a file that is there already.
    HardLink {
        /// Another name of the file.
        to: RelPath,
    },
    /// Its content is replaced, and with it what differs of its description.
    Update(Aspects),
    /// Only its description changes.
    Metadata(Aspects),
    /// It is removed; what it held is kept in the trash.
    Delete,
    /// It is renamed, with all that it holds.
    Move {
        /// Its path before.
        from: RelPath,
    },
    /// It is created as the conflict copy of another path.
    ConflictCopy {
        /// The path whose losing version it keeps.
        of: RelPath,
    },
}

/// One thing by which two versions of a path can differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Aspect {
    /// The bytes of a file, or where a symbolic link points.
    Content,
    /// The length of a file.
    Size,
    /// The time of last modification.
    Mtime,
    /// The permission bits.
    Mode,
    /// The owning user.
    User,
    /// The owning group.
    Group,
    /// The POSIX access control list.
    Acl,
    /// Other extended attributes.
    Xattrs,
}

/// A set of aspects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Aspects(u8);

impl Aspects {
    /// Adds an aspect.
    pub fn insert(&mut self, aspect: Aspect) {
        self.0 |= 1 << aspect as u8;
    }

    /// Whether the aspect is in the set.
    #[must_use]
    pub fn contains(self, aspect: Aspect) -> bool {
        self.0 & (1 << aspect as u8) != 0
    }

    /// Whether the set holds nothing.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Aspect> for Aspects {
    fn from_iter<I: IntoIterator<Item = Aspect>>(aspects: I) -> Self {
        let mut set = Self::default();
        aspects.into_iter().for_each(|aspect| set.insert(aspect));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_aspects_holds_what_was_put_in() {
        let set: Aspects = [Aspect::Mtime, Aspect::Xattrs].into_iter().collect();
        assert!(set.contains(Aspect::Mtime) && set.contains(Aspect::Xattrs));
        assert!(!set.contains(Aspect::Content) && !set.is_empty());
        assert!(Aspects::default().is_empty());
    }
}
