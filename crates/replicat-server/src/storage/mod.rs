//! Storages that hold the same tree: what is told of them, and what they are told.
//!
//! Goals: anything that can hold folders and files can take part, by one trait to be told of changes and another to
//! tell of them; a directory that is tracked is one such storage.
//! Non-goals: deciding what wins: a storage does as it is told.

mod entry;
mod event;
mod filesystem;
mod handler;
mod mirror;
mod tracker;
mod tree;
mod wait;

use std::time::Duration;

pub use entry::Entry;
pub use event::{Event, EventName};
pub use filesystem::{FilesystemTracker, TrackerOptions};
pub use handler::{ChangeHandler, LogOnlyChangeHandler};
pub use mirror::Mirror;
pub use tracker::{StorageError, StorageTracker};
pub use tree::{DirTreeMap, TreeDiff};
pub use wait::{WaitTimeout, wait_for};

/// How long a change that was applied to a storage is taken for the doing of whoever sent it, on storages that cannot
/// prove whose doing it was, such as buckets. Directories recognise their own writes exactly, by fingerprint.
pub const OWNERSHIP_EXPIRATION_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the first half of a rename waits for the other, on storages that tell of a rename in halves, as directories do.
///
/// ```
/// use std::time::Duration;
/// use replicat_server::{OWNERSHIP_EXPIRATION_TIMEOUT, TRACKER_RENAME_TIMEOUT};
///
/// assert_eq!(OWNERSHIP_EXPIRATION_TIMEOUT, Duration::from_secs(5));
/// assert_eq!(TRACKER_RENAME_TIMEOUT, Duration::from_millis(25));
/// ```
pub const TRACKER_RENAME_TIMEOUT: Duration = replicat_fs::watch::RENAME_TIMEOUT;
