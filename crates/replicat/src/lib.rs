//! n-way synchronisation of folders.
//!
//! Any number of directories that hold the same tree are made equal: a change made in any of them
//! reaches all the others, and no content is lost on the way.
//!
//! Goals: the whole of what the command can do, as a library that knows neither terminal nor
//! environment. Non-goals: deciding what wins (`replicat-core`), touching files (`replicat-fs`), printing (the command).

pub use replicat_engine::{engine, error, event, inspection, options, report, watch};

pub use replicat_engine::{
    Cancellation, ExitCode, Reporter, RootLocation, Silent, SyncError, SyncEvent, SyncOptions,
    SyncReport, sync,
};
