//! What a caller asks of a sync.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::trash_limits::TrashPolicy;

pub use replicat_fs::filter::{
    Action as FilterAction, PatternError, Rule as FilterRule, RuleSource,
};

/// Everything that can be asked of a sync beside its roots. The default changes files, keeps owners,
/// and refuses whatever a user may not have meant.
#[derive(Clone, Debug, Default)]
pub struct SyncOptions {
    /// Whether to act on the plan.
    pub mode: Mode,
    /// What to do of a root that does not exist.
    pub missing_root: MissingRoot,
    /// What to do of roots that belong to different folders.
    pub foreign_root: ForeignRoot,
    /// Which paths take part, in order: the first rule that matches decides, and what none matches
    /// takes part. `.replicatignore` files are read after these.
    pub rules: Vec<FilterRule>,
    /// The most paths that may be deleted in any one root; more and the run stops before the first.
    pub max_delete: Option<u64>,
    /// What it means that a path can never be synced.
    pub strictness: Strictness,
    /// Whether owner and group are part of a file.
    pub owner: OwnerPolicy,
    /// What a power loss may cost.
    pub durability: Durability,
    /// How many threads scan, hash and copy; by default as many as there are processors.
    pub threads: Option<NonZeroUsize>,
    /// Where the roots' state is kept, see [`RootLocation::state_dir`].
    pub state_dir: Option<PathBuf>,
    /// How long the trash of each root keeps what.
    pub trash: TrashPolicy,
    /// How to stop the sync from another thread.
    pub cancellation: Cancellation,
}

/// Whether a sync acts on its plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Make the roots equal.
    #[default]
    Apply,
    /// Report what would be done. Nothing is written, not even state.
    DryRun,
}

/// What it means for a sync that a path can never be synced, as a named pipe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strictness {
    /// It is a warning.
    #[default]
    Lenient,
    /// The roots are not in sync, as with any other path that is skipped.
    Strict,
}

/// What to do of a root that does not exist. It may be a disk that is not mounted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingRoot {
    /// Stop with [`SyncError::RootMissing`](crate::SyncError::RootMissing).
    #[default]
    Refuse,
    /// Create it, with its parents.
    Create,
}

/// What to do of roots that were parts of different folders before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForeignRoot {
    /// Stop with [`SyncError::DifferentFolders`](crate::SyncError::DifferentFolders).
    #[default]
    Refuse,
    /// Unite them: nothing is deleted, differing files become conflicts.
    Join,
}

/// Whether owner and group are part of a file. They are tracked by the superuser alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OwnerPolicy {
    /// Track numeric owner and group if the process may set them.
    #[default]
    Track,
    /// Leave them out.
    Ignore,
}

/// What a power loss may cost. A killed process costs nothing in either case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Files are flushed in groups before they are renamed into place and recorded.
    #[default]
    Group,
    /// Nothing is flushed: as fast as `cp`, and as unsafe if the power fails within seconds.
    None,
}

/// One root, for the functions that look at one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootLocation {
    /// The directory.
    pub root: PathBuf,
    /// Where its state is kept: in a directory of its own below this one, named after the root's
    /// canonical path. `None`: in `.replicat` inside the root.
    pub state_dir: Option<PathBuf>,
}

/// Stops a sync from another thread or from a signal handler. Clones share one flag.
#[derive(Clone, Debug, Default)]
pub struct Cancellation(Arc<AtomicBool>);

impl Cancellation {
    /// Asks the sync to stop at the next file. What is done stays done; the next sync carries on.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the sync was asked to stop.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// The flag itself, for a signal handler to set.
    #[must_use]
    pub fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.0)
    }
}
