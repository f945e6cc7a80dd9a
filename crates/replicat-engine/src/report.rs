//! What a sync reports when it is over.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use replicat_core::entry::{Payload, Timestamp};
use replicat_core::id::{FolderId, ReplicaId};
use replicat_core::path::RelPath;

use crate::error::ExitCode;
use crate::event::RootIndex;

/// The outcome of a sync.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncReport {
    /// How it ended.
    pub outcome: Outcome,
    /// It was proved that all roots hold the same tree, but for what can never be synced. In a dry run: that they did
    /// before.
    pub in_sync: bool,
    /// What became of each root, in the order given.
    pub roots: Vec<RootReport>,
    /// The conflicts that this run found and kept as copies.
    pub conflicts: Vec<ConflictReport>,
    /// What was not synced, and why.
    pub skipped: Vec<Skipped>,
    /// The brakes that stopped a root, or the run.
    pub brakes: Vec<BrakeReport>,
    /// What was done.
    pub statistics: Statistics,
}

/// How a sync ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It did all that it could.
    Finished,
    /// It was a dry run, and wrote nothing.
    Planned,
    /// It was cancelled; the next sync carries on.
    Cancelled,
}

impl SyncReport {
    /// What the process is to tell its caller.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        let has_failed = |root: &RootReport| root.failure.is_some();
        if !self.brakes.is_empty() {
            ExitCode::Braked
        } else if self.skipped.iter().any(Skipped::is_error)
            || self.roots.iter().any(has_failed)
            || self.outcome == Outcome::Cancelled
        {
            ExitCode::Incomplete
        } else if self.outcome == Outcome::Planned {
            ExitCode::InSync
        } else if !self.in_sync {
            ExitCode::Incomplete
        } else if !self.conflicts.is_empty() {
            ExitCode::Conflicts
        } else {
            ExitCode::InSync
        }
    }
}

/// What became of one root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootReport {
    /// The directory, as it was given.
    pub root: PathBuf,
    /// The folder it is a replica of; `None` in a dry run over a new root.
    pub folder: Option<FolderId>,
    /// Which replica it is; `None` in a dry run over a new root.
    pub replica: Option<ReplicaId>,
    /// Its name for people, as it stands in the names of conflict copies.
    pub name: String,
    /// What was changed in it.
    pub changes: ChangeCounts,
    /// Why the other roots were synced without it, if they were.
    pub failure: Option<RootFailure>,
}

/// Why a root could not be synced with the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootFailure {
    /// A stable word for programs: that of [`SyncError::kind`](crate::SyncError::kind).
    pub kind: &'static str,
    /// What happened, for people. It names the root.
    pub message: String,
    /// What to do, if there is something to say.
    pub hint: Option<String>,
}

/// How many paths were changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChangeCounts {
    /// Paths that are new.
    pub created: u64,
    /// Files and links whose content was replaced.
    pub updated: u64,
    /// Paths of which only the description changed.
    pub metadata: u64,
    /// Paths that were removed.
    pub deleted: u64,
    /// Paths that were renamed; a directory counts once.
    pub moved: u64,
}

impl ChangeCounts {
    /// All changes together.
    #[must_use]
    pub fn total(self) -> u64 {
        self.created + self.updated + self.metadata + self.deleted + self.moved
    }
}

/// Two versions of one path that did not know of each other, both kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConflictReport {
    /// The path, which holds the winner.
    pub path: RelPath,
    /// The conflict copy, which holds the loser.
    pub copy: RelPath,
    /// The version at the path.
    pub winner: VersionReport,
    /// The version in the copy.
    pub loser: VersionReport,
    /// When the copy was made.
    pub when: Timestamp,
}

/// One version of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionReport {
    /// The name of the replica that it was made at.
    pub node: String,
    /// When it was made, by that replica's clock.
    pub when: Timestamp,
    /// What it holds.
    pub payload: Payload,
}

/// A path that was not synced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The root in which it could not be read or written.
    pub root: RootIndex,
    /// The path.
    pub path: RelPath,
    /// Why.
    pub reason: SkipReason,
    /// What it means for the sync.
    pub severity: Severity,
}

/// What a skipped path means for a sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The path can never be synced, and hides nothing that should be: the roots may be in sync.
    Warning,
    /// The path should have been synced, and was not: the roots are not in sync.
    Error,
}

impl Severity {
    /// A stable word for programs.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl Skipped {
    /// Whether the path should have been synced.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// What was changed at a replica that only receives, and is refused by the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RefusedChanges {
    /// How many paths.
    pub count: u64,
    /// The paths, or the first of very many, in path order.
    pub listed: Vec<RefusedChange>,
}

/// A change that the other replicas refuse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedChange {
    /// The path.
    pub path: RelPath,
    /// What was done to it here.
    pub change: LocalChange,
}

/// What was done to a path at this replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalChange {
    /// It was created.
    Created,
    /// Its content was changed.
    Edited,
    /// Its description was changed: permissions, time, owner, attributes.
    Described,
    /// It was deleted, or moved away.
    Deleted,
}

impl LocalChange {
    /// A stable word for programs.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Edited => "edited",
            Self::Described => "metadata",
            Self::Deleted => "deleted",
        }
    }
}

/// Why a path was not synced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// It is neither a file, nor a directory, nor a symbolic link.
    Special(SpecialKind),
    /// It may not be read or written.
    Denied {
        /// What was being done, as a verb phrase.
        action: Cow<'static, str>,
    },
    /// It kept changing while it was read or replaced.
    Changing,
    /// The name or path cannot exist in that root.
    Name {
        /// What is wrong with it.
        problem: String,
    },
    /// It lies on another filesystem than the root: a mount point.
    OtherFilesystem,
    /// It holds the state of another root, below this one.
    State,
    /// Something that is ignored there is in the way, and is not destroyed.
    IgnoredInTheWay,
    /// Its content is not there at any root that was given.
    ContentMissing,
    /// It was synced, but its storage does not hold all of its description.
    NotHeld {
        /// Which aspects, as a list.
        aspects: String,
        /// The system refuses it for this file; else its filesystem cannot hold them.
        is_refused: bool,
    },
    /// The disk is full.
    DiskFull,
    /// The root is only read: nothing can be written to it.
    ReadOnly,
    /// The system refused.
    Io {
        /// What was being done, as a verb phrase.
        action: Cow<'static, str>,
        /// What the system said.
        message: String,
    },
}

impl SkipReason {
    /// Whether no sync can ever carry such a path, whatever a user waits for or permits: named pipes, sockets, devices,
    /// what is mounted in the root, and the state of other roots. All other reasons may go away: an unreadable file may become readable, a disk may
    /// get room, a file may stop changing, a name may be accepted by another filesystem.
    #[must_use]
    pub fn can_never_be_synced(&self) -> bool {
        match self {
            Self::Special(_) | Self::OtherFilesystem | Self::State => true,
            Self::NotHeld { is_refused, .. } => !is_refused,
            Self::Denied { .. }
            | Self::Changing
            | Self::Name { .. }
            | Self::IgnoredInTheWay
            | Self::ContentMissing
            | Self::DiskFull
            | Self::ReadOnly
            | Self::Io { .. } => false,
        }
    }

    /// A stable word for programs.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Special(_) => "special",
            Self::Denied { .. } => "denied",
            Self::Changing => "changing",
            Self::Name { .. } => "name",
            Self::OtherFilesystem => "other-filesystem",
            Self::State => "state",
            Self::IgnoredInTheWay => "ignored-in-the-way",
            Self::ContentMissing => "content-missing",
            Self::NotHeld { .. } => "not-held",
            Self::DiskFull => "disk-full",
            Self::ReadOnly => "read-only",
            Self::Io { .. } => "io",
        }
    }
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Special(kind) => write!(f, "is a {kind}, which cannot be synced"),
            Self::Denied { action } => write!(f, "permission denied to {action}"),
            Self::Changing => f.write_str("kept changing; sync again when it is at rest"),
            Self::Name { problem } => write!(f, "cannot exist there: {problem}"),
            Self::OtherFilesystem => f.write_str("lies on another filesystem than its root"),
            Self::State => {
                f.write_str("holds the state of a root of its own, which is never synced")
            }
            Self::IgnoredInTheWay => f.write_str("something ignored is in the way"),
            Self::ContentMissing => f.write_str("no root or node that is there holds its content"),
            Self::NotHeld {
                aspects,
                is_refused: true,
            } => write!(f, "its {aspects} could not be set: not permitted"),
            Self::NotHeld { aspects, .. } => {
                write!(f, "its filesystem does not hold its {aspects}")
            }
            Self::DiskFull => f.write_str("does not fit on the disk; make room"),
            Self::ReadOnly => f.write_str("is not changed there: the root is read-only"),
            Self::Io { action, message } => write!(f, "could not {action}: {message}"),
        }
    }
}

/// What a path is if it is neither a file, nor a directory, nor a symbolic link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecialKind {
    /// A named pipe.
    Fifo,
    /// A Unix socket.
    Socket,
    /// A block or character device.
    Device,
    /// Something this version does not know.
    Unknown,
}

impl fmt::Display for SpecialKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fifo => "named pipe",
            Self::Socket => "socket",
            Self::Device => "device",
            Self::Unknown => "file of an unknown kind",
        })
    }
}

/// A safety brake: deletions of a root are held until a person decides. All else is synced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrakeReport {
    /// The root.
    pub root: PathBuf,
    /// What set it off.
    pub brake: Brake,
    /// What is held.
    pub held: HeldDeletions,
}

/// What set off a safety brake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Brake {
    /// Most of what the root held is to go, within some minutes.
    MassDeletion {
        /// How many files are to go, or went.
        gone: u64,
        /// Of how many.
        recorded: u64,
        /// Their bytes.
        gone_bytes: u64,
        /// Of how many bytes.
        recorded_bytes: u64,
    },
    /// More files are to go than `--max-delete` allows.
    MaxDelete {
        /// How many are to go.
        planned: u64,
        /// How many may go.
        allowed: u64,
    },
}

/// Deletions that are held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeldDeletions {
    /// How many files are gone here, and were not deleted elsewhere yet.
    pub here: u64,
    /// How many files were deleted elsewhere, and are still here.
    pub elsewhere: u64,
    /// Where they are: directories that go whole first, then by their number of files; the first ten.
    pub directories: Vec<HeldDirectory>,
    /// How many files are in other directories.
    pub more: u64,
}

/// A directory in which deletions are held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldDirectory {
    /// Its path.
    pub path: RelPath,
    /// It goes itself, with all that it holds.
    pub is_whole: bool,
    /// How many files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Brake {
    /// A stable word for programs.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::MassDeletion { .. } => "mass-deletion",
            Self::MaxDelete { .. } => "max-delete",
        }
    }

    /// How many files are to go.
    #[must_use]
    pub fn files(self) -> u64 {
        match self {
            Self::MassDeletion { gone: files, .. } | Self::MaxDelete { planned: files, .. } => {
                files
            }
        }
    }
}

impl fmt::Display for BrakeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let root = self.root.display();
        let where_gone = match self.held.here {
            0 => "were deleted elsewhere",
            _ => "are gone",
        };
        match self.brake {
            Brake::MassDeletion { gone, recorded, .. } => write!(
                f,
                "{gone} of the {recorded} files in {root} {where_gone}: their deletion is held, \
                 and all else is synced"
            ),
            Brake::MaxDelete { planned, allowed } => write!(
                f,
                "{planned} files in {root} {where_gone}, and --max-delete allows {allowed}: their \
                 deletion is held, and all else is synced"
            ),
        }
    }
}

impl BrakeReport {
    /// What to do.
    #[must_use]
    pub fn hint(&self) -> String {
        let root = self.root.display();
        let ways = format!(
            "`replicat approve {root}` deletes the files everywhere, `replicat reject {root}` brings them back"
        );
        match self.brake {
            Brake::MassDeletion { .. } => {
                format!("see that the right disk is mounted at {root}; {ways}")
            }
            Brake::MaxDelete { planned, .. } => {
                format!("{ways}; `--max-delete {planned}` allows so many")
            }
        }
    }
}

impl fmt::Display for HeldDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { files, path, .. } = self;
        match (self.is_whole, path.is_root()) {
            (true, _) => write!(f, "{path}/ with {files} files"),
            (false, true) => write!(f, "{files} files"),
            (false, false) => write!(f, "{files} files in {path}/"),
        }
    }
}

/// What a sync did, in all roots together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Regular files seen by the scans.
    pub files_scanned: u64,
    /// Directories seen by the scans.
    pub directories_scanned: u64,
    /// Length of the files seen.
    pub bytes_scanned: u64,
    /// Content that was read to be hashed.
    pub bytes_hashed: u64,
    /// What was changed.
    pub changes: ChangeCounts,
    /// Content that was copied from another root.
    pub bytes_copied: u64,
    /// Content that was found in the same root and was not copied from another.
    pub bytes_reused: u64,
    /// How long it took.
    pub elapsed: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> SyncReport {
        SyncReport {
            outcome: Outcome::Finished,
            in_sync: true,
            roots: Vec::new(),
            conflicts: Vec::new(),
            skipped: Vec::new(),
            brakes: Vec::new(),
            statistics: Statistics::default(),
        }
    }

    #[test]
    fn the_worst_news_decides_the_exit_code() {
        let mut report = report();
        assert_eq!(report.exit_code(), ExitCode::InSync);
        report.in_sync = false;
        assert_eq!(report.exit_code(), ExitCode::Incomplete);
        report.outcome = Outcome::Planned;
        assert_eq!(report.exit_code(), ExitCode::InSync);
        report.skipped.push(Skipped {
            root: RootIndex(0),
            path: RelPath::root(),
            reason: SkipReason::Special(SpecialKind::Fifo),
            severity: Severity::Warning,
        });
        assert_eq!(report.exit_code(), ExitCode::InSync);
        report.skipped[0].severity = Severity::Error;
        assert_eq!(report.exit_code(), ExitCode::Incomplete);
        report.brakes.push(BrakeReport {
            root: "a".into(),
            brake: Brake::MaxDelete {
                planned: 11,
                allowed: 10,
            },
            held: HeldDeletions::default(),
        });
        assert_eq!(report.exit_code(), ExitCode::Braked);
    }
}
