//! n-way synchronisation of folders.
//!
//! Any number of directories that hold the same tree are made equal: a change made in any of them
//! reaches all the others, and no content is lost on the way. [`sync`] does it once, on one host; a
//! [`ReplicatServer`] does it live, together with those of other hosts.
//!
//! Goals: the whole of what the command can do, as a library that knows neither terminal nor
//! environment. Non-goals: deciding what wins (`replicat-core`), touching files (`replicat-fs`), printing (the command).

pub use replicat_engine::{
    engine, error, event, inspection, options, report, restoration, trash_limits, watch,
};

pub use replicat_engine::{
    Cancellation, ExitCode, Reporter, RootLocation, Silent, SyncError, SyncEvent, SyncOptions,
    SyncReport, sync,
};

pub use replicat_engine::live;
pub use replicat_http as http;
pub use replicat_manager as manager;
pub use replicat_server::{control, notify, settings, storage, workers};

pub use replicat_server::{
    CacheError, ChangeHandler, ClusterId, ClusterKey, ClusterKeyError, DirTreeMap, Entry, Event,
    EventName, FilesystemTracker, FolderEventRecord, FolderName, FolderReport, FolderSettings,
    Identity, LinkStatus, LogOnlyChangeHandler, ManagedError, Mirror, Node, NodeName, NodeSettings,
    NodeStatus, OWNERSHIP_EXPIRATION_TIMEOUT, RelPath, ReplicatServer, Role, ServeOptions,
    ServerBuilder, ServerError, ServerReport, ServerStatus, Settings, SettingsError, StorageError,
    StorageTracker, Subscription, TRACKER_RENAME_TIMEOUT, TrackerOptions, TreeDiff, WaitTimeout,
    bootstrap_and_serve, global_settings, send_event, serve, set_global_settings, wait_for,
};
