//! What a live folder is told when it starts.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use replicat_core::id::FolderId;

use crate::options::{Durability, FilterRule, ForeignRoot, MissingRoot, OwnerPolicy};
use crate::selection::Selection;
use crate::trash_limits::TrashPolicy;

/// How often the whole tree is compared with the index though nothing was told, by default: a write through a memory map
/// is not told of.
const RESCAN_INTERVAL: Duration = Duration::from_secs(300);
/// How long a peer may be silent amid telling something, by default.
const PEER_PATIENCE: Duration = Duration::from_secs(120);

/// How long a loss of most files must last to be a brake, by default.
const BRAKE_PATIENCE: Duration = Duration::from_secs(30);

/// Everything that a live folder has to know.
#[derive(Clone, Debug)]
pub struct LiveSettings {
    /// The directory.
    pub root: PathBuf,
    /// Where its state is kept, see [`RootLocation::state_dir`](crate::RootLocation::state_dir).
    pub state_dir: Option<PathBuf>,
    /// The folder that the directory is to be a replica of.
    pub folder: FolderId,
    /// The ids that the folder has under other keys: a directory that is recorded under one of them is taken for this folder, and
    /// recorded under `folder` from then on.
    pub former_ids: Vec<FolderId>,
    /// The name of the node, as it stands in the names of conflict copies: letters, digits, `.`, `_`, `-`.
    pub node: String,
    /// Which way changes go.
    pub mode: FolderMode,
    /// Which paths take part, see [`SyncOptions::rules`](crate::SyncOptions::rules).
    pub rules: Vec<FilterRule>,
    /// What is selected; `None` if that is left to [`LiveFolder::select`](super::LiveFolder::select).
    pub selection: Option<Selection>,
    /// What to do if the directory does not exist.
    pub missing_root: MissingRoot,
    /// What to do if the directory was a replica of another folder.
    pub foreign_root: ForeignRoot,
    /// Whether owner and group are part of a file.
    pub owner: OwnerPolicy,
    /// What a power loss may cost.
    pub durability: Durability,
    /// How long the trash keeps what.
    pub trash: TrashPolicy,
    /// How many threads scan, hash and build files; by default as many as there are processors.
    pub threads: Option<NonZeroUsize>,
    /// How often the whole tree is compared with the index though nothing was told.
    pub rescan_interval: Duration,
    /// The most files that may be deleted within ten minutes, see [`SyncOptions::max_delete`](crate::SyncOptions::max_delete).
    pub max_delete: Option<u64>,
    /// How long a loss of most files must last to be a brake. Their deletion is held meanwhile.
    pub brake_patience: Duration,
    /// How long a peer may be silent amid telling something. Nothing is brought to the directory meanwhile, from whomever;
    /// after that the session with it is ended, and begins anew.
    pub peer_patience: Duration,
}

impl LiveSettings {
    /// Settings for a directory, all else by default.
    #[must_use]
    pub fn new(root: PathBuf, folder: FolderId, node: String) -> Self {
        Self {
            root,
            state_dir: None,
            folder,
            former_ids: Vec::new(),
            node,
            mode: FolderMode::default(),
            rules: Vec::new(),
            selection: None,
            missing_root: MissingRoot::default(),
            foreign_root: ForeignRoot::default(),
            owner: OwnerPolicy::default(),
            durability: Durability::default(),
            trash: TrashPolicy::default(),
            threads: None,
            rescan_interval: RESCAN_INTERVAL,
            max_delete: None,
            brake_patience: BRAKE_PATIENCE,
            peer_patience: PEER_PATIENCE,
        }
    }
}

/// Which way changes of a folder go at one node. Others enforce it: they take nothing from a node that may only receive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FolderMode {
    /// Both ways.
    #[default]
    ReadWrite,
    /// Changes made here go out; none come in.
    SendOnly,
    /// Changes made elsewhere come in; those made here stay here.
    ReceiveOnly,
}

impl FolderMode {
    /// Its name, as settings spell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ReadWrite => "read-write",
            Self::SendOnly => "send-only",
            Self::ReceiveOnly => "receive-only",
        }
    }
}
