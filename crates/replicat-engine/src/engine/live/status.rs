//! What a live folder tells of itself.

use std::path::PathBuf;

use replicat_core::entry::Timestamp;
use replicat_core::id::{FolderId, ReplicaId};
use replicat_core::path::RelPath;

use super::peer::PeerNumber;
use super::settings::FolderMode;
use crate::event::{ItemKind, Progress};
use crate::report::{Brake, HeldDeletions, RefusedChanges, Skipped};

/// Is told what happens in a folder, in order, from one of its threads. Must not block for long: the folder waits.
pub trait Listener: Send + Sync {
    /// Something happened.
    fn event(&self, event: FolderEvent);
}

/// Something that happened in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FolderEvent {
    /// A path changed, here or elsewhere; the directory and the index hold it now.
    Changed(PathChange),
    /// A conflict was kept as a copy.
    Conflict {
        /// The path at which it arose.
        path: RelPath,
        /// Where the losing version is kept.
        copy: RelPath,
    },
    /// The folder is in another state now.
    State(FolderState),
    /// Something deserves attention, as a sentence without a full stop.
    Warning(String),
}

/// A change of one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathChange {
    /// The path; of a renaming, the new one.
    pub path: RelPath,
    /// What is or was there.
    pub kind: ItemKind,
    /// What happened to it.
    pub action: ChangeAction,
    /// Who made the change.
    pub origin: ChangeOrigin,
    /// When it was noticed or carried out here.
    pub time: Timestamp,
}

/// What happened to a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeAction {
    /// It came into being.
    Created,
    /// What it holds or how it is described changed.
    Updated,
    /// It went.
    Deleted,
    /// It was renamed to where nobody watches; for the folder it went.
    MovedOut,
    /// It was renamed.
    Renamed {
        /// Its path before.
        from: RelPath,
    },
}

/// Who made a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeOrigin {
    /// A user of this directory.
    Here,
    /// A user of another replica.
    Elsewhere {
        /// The name of that replica's node.
        node: String,
        /// The name of the connected node that the change came through.
        through: String,
    },
}

/// What a folder is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FolderState {
    /// The directory is compared with the index for the first time.
    InitialScan,
    /// No peer has been met yet.
    JoiningCluster,
    /// Changes are watched for, sent and received.
    Online,
    /// Somebody paused it.
    Paused,
    /// It stopped by itself, and waits for somebody.
    Halted {
        /// Why, and what to do.
        reason: String,
    },
    /// It was stopped.
    Offline,
}

/// How a folder stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderStatus {
    /// The directory.
    pub root: PathBuf,
    /// The folder.
    pub folder: FolderId,
    /// This replica of it.
    pub replica: ReplicaId,
    /// Which way changes go.
    pub mode: FolderMode,
    /// What it is doing.
    pub state: FolderState,
    /// How many paths the index knows, those of deleted files included.
    pub paths: u64,
    /// How many paths are still to be brought to the directory.
    pub pending: u64,
    /// How many paths the filters leave out here. They are not pending, and do not count against in sync.
    pub excluded: u64,
    /// What is under way.
    pub progress: Progress,
    /// The directory holds all that is known here, and so do the directories of all connected peers: each has said so, and
    /// the sums were compared since the last change. What a peer changed that may only receive does not count.
    pub in_sync: bool,
    /// When that was last so.
    pub in_sync_at: Option<Timestamp>,
    /// The peers that are connected.
    pub peers: Vec<PeerStatus>,
    /// What could not be synced, and why.
    pub skipped: Vec<Skipped>,
    /// Conflict copies that nobody has resolved.
    pub conflicts: u64,
    /// What was changed here and the peers refuse, since this replica only receives.
    pub refused: RefusedChanges,
    /// The brake that holds deletions until a person decides.
    pub brake: Option<Brake>,
    /// What it holds.
    pub held: HeldDeletions,
    /// How many files are to be deleted, and held for a moment or by the brake.
    pub held_deletions: u64,
    /// How many directories are watched, if that are not all.
    pub watched_only: Option<usize>,
    /// What is waiting to be done by the thread that owns the folder.
    pub queue: usize,
    /// Bytes of content received from peers since the start.
    pub bytes_received: u64,
    /// Bytes of content sent to peers since the start.
    pub bytes_sent: u64,
}

/// How a folder stands with one peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerStatus {
    /// Its number.
    pub number: PeerNumber,
    /// The name of its node.
    pub name: String,
    /// The first exchange is over.
    pub is_live: bool,
    /// It knows the same, which was proved, and has brought it to its directory.
    pub in_sync: bool,
}
