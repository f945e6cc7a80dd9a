//! What the functions that look at one root answer.

use std::path::PathBuf;

use replicat_core::entry::Timestamp;
use replicat_core::id::{ContentHash, FolderId, ReplicaId};
use replicat_core::path::RelPath;

use crate::event::ItemKind;
use crate::report::{Brake, SkipReason, Skipped};

/// How a root stands, by its index: nothing is scanned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The directory.
    pub root: PathBuf,
    /// The folder it is a replica of.
    pub folder: FolderId,
    /// Which replica it is.
    pub replica: ReplicaId,
    /// Its name for people.
    pub name: String,
    /// When it was last synced; `None` if never to the end.
    pub last_sync: Option<Timestamp>,
    /// Regular files.
    pub files: u64,
    /// Directories.
    pub directories: u64,
    /// Symbolic links.
    pub symlinks: u64,
    /// Length of the regular files together.
    pub bytes: u64,
    /// Paths that wait for content or could not be changed yet.
    pub pending: u64,
    /// Paths that filters leave out, or that are not selected.
    pub excluded: u64,
    /// Conflict copies that nobody has resolved.
    pub conflicts: u64,
    /// The brake that holds the root, until it is approved.
    pub brake: Option<Brake>,
    /// What the last sync that was not cut short skipped, in path order.
    pub skipped: Vec<Skipped>,
    /// The other replicas of the folder, as far as they are known here.
    pub members: Vec<MemberStatus>,
    /// What the trash holds.
    pub trash: TrashStatus,
    /// Size of the index.
    pub index_bytes: u64,
}

/// Another replica of the folder, as it is known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberStatus {
    /// Which replica it is.
    pub replica: ReplicaId,
    /// Its name for people.
    pub name: String,
    /// Whether it had everything that is known here when it was last heard of.
    pub standing: MemberStanding,
}

/// A replica that was forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forgotten {
    /// Which replica it is.
    pub replica: ReplicaId,
    /// Its name for people.
    pub name: String,
}

/// How far another replica is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberStanding {
    /// It has everything that is known here.
    UpToDate,
    /// It lacks something.
    Behind,
}

/// What the trash holds: versions that a sync replaced or deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TrashStatus {
    /// How many versions.
    pub versions: u64,
    /// Their length together.
    pub bytes: u64,
}

/// One version in the history of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryRow {
    /// By this it is restored.
    pub revision: Revision,
    /// When it was made, by the clock of the replica that made it.
    pub when: Timestamp,
    /// The name of the replica that made it.
    pub node: String,
    /// What happened.
    pub change: HistoryChange,
    /// Length of a regular file, else 0.
    pub size: u64,
    /// The content of a regular file.
    pub content: Option<ContentHash>,
    /// Where it is now.
    pub keeping: Keeping,
}

/// The number of a version in a path's history: 1 is the latest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Revision(pub u32);

/// What happened to a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HistoryChange {
    /// It was created.
    Created,
    /// Its content was changed.
    Edited,
    /// Its description was changed.
    Described,
    /// It was deleted.
    Deleted,
    /// It came here by a rename.
    MovedFrom(RelPath),
    /// It left by a rename.
    MovedTo(RelPath),
    /// It was made to keep the loser of a conflict at another path.
    ConflictCopyOf(RelPath),
    /// A user restored it.
    Restored,
}

/// Where a version is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeping {
    /// It is what the path holds.
    Current,
    /// It is in the trash and can be restored.
    Trash,
    /// Its content is not kept here.
    Gone,
}

/// One path of a root, by its index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeRow {
    /// The path.
    pub path: RelPath,
    /// What it is.
    pub kind: ItemKind,
    /// Length of a regular file, else 0.
    pub size: u64,
    /// Permission bits, if tracked.
    pub mode: Option<u32>,
    /// Time of last modification, if tracked.
    pub mtime: Option<Timestamp>,
    /// Where a symbolic link points.
    pub target: Option<Vec<u8>>,
    /// What a regular file holds.
    pub content: Option<ContentHash>,
    /// Whether the root holds it already.
    pub state: TreeState,
}

/// How a path of a root stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TreeState {
    /// The root holds it.
    Present,
    /// It is known of, and its content is not here yet.
    Pending,
    /// It is a conflict copy that nobody has resolved.
    ConflictCopy,
    /// It is not synced here: a filter leaves it out, or it is not selected.
    Excluded,
}

/// Why a path is as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The path.
    pub path: RelPath,
    /// What is known of it, the most telling first; a sentence each, without a full stop.
    pub facts: Vec<String>,
    /// The rule that leaves it out, if one does.
    pub excluded: Option<Excluded>,
    /// Why it was skipped, if it was.
    pub skipped: Option<SkipReason>,
    /// It was changed at this replica, and the others refuse the change.
    pub refused: bool,
    /// The other replicas, and whether each has confirmed that it holds what is shown here.
    pub holders: Vec<Holder>,
    /// What it waits for, as a phrase; `None` if for nothing.
    pub waits_for: Option<String>,
}

/// The rule that leaves a path out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excluded {
    /// What the rule matches: the path, or a directory above it.
    pub matched: RelPath,
    /// The pattern; `None` if the path belongs to the replica's own state.
    pub pattern: Option<Vec<u8>>,
    /// Where the pattern was written: an option or a setting, or `FILE:LINE`.
    pub source: Option<String>,
}

/// Another replica, as far as one path is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Which replica it is.
    pub replica: ReplicaId,
    /// Its name for people.
    pub name: String,
    /// It has confirmed that it holds what is shown here.
    pub holds: bool,
    /// Whether it is connected.
    pub presence: Presence,
}

/// Whether another replica is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is.
    Connected,
    /// It is not.
    Away,
    /// No node runs here that would know.
    Unknown,
}

/// Which version to keep of a conflict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// That at the path; the copy goes to the trash.
    Winner,
    /// That in the copy; it replaces the one at the path, which goes to the trash.
    Copy,
    /// Both, the copy as an ordinary file under its name.
    Both,
    /// What the root holds; the version that it waits for is given up, since nobody has its content any more.
    Local,
}

/// What became of a conflict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// The path.
    pub path: RelPath,
    /// Its conflict copy; none with [`Keep::Local`].
    pub copy: Option<RelPath>,
    /// What was kept.
    pub kept: Keep,
}

/// What was let go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Approval {
    /// Nothing held the root.
    Needless,
    /// A brake held it.
    Brake(Brake),
    /// It is not the directory that was synced before: it joins as a new replica.
    NewReplica,
}
