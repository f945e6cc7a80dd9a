//! A node: folders that are kept in sync with those of other nodes, live.
//!
//! Goals: the library that the command `replicat serve` is made of; everything that a process needs to own folders,
//! talk to its peers, be asked how it stands and be told to stop; one broken folder or peer never stops another.
//! Non-goals: who wins (`replicat-core`), how a folder does its work (`replicat-engine`), how links are encrypted
//! (`replicat-net`), terminals and environments (the command).

pub mod control;
mod link;
mod server;
pub mod settings;
pub mod storage;
mod wire;
pub mod workers;

pub use replicat_core::path::RelPath;
pub use replicat_net::{ClusterId, ClusterKey, ClusterKeyError, Identity, NodeName, Role};
pub use replicat_notify as notify;
pub use replicat_notify::Subscription;
pub use server::{
    CacheError, FolderEventRecord, FolderReport, LinkStatus, ManagedError, Node, NodeStatus,
    ReadSettings, Reloaded, ReplicatServer, ServeOptions, ServerBuilder, ServerError, ServerReport,
    ServerStatus, Started, bootstrap_and_serve, send_event, serve,
};
pub use settings::{
    FolderName, FolderSettings, NodeSettings, Settings, SettingsError, global_settings,
    set_global_settings,
};
pub use storage::{
    ChangeHandler, DirTreeMap, Entry, Event, EventName, FilesystemTracker, LogOnlyChangeHandler,
    Mirror, OWNERSHIP_EXPIRATION_TIMEOUT, StorageError, StorageTracker, TRACKER_RENAME_TIMEOUT,
    TrackerOptions, TreeDiff, WaitTimeout, wait_for,
};
