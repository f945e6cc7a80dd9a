//! The engine: n-way synchronisation of directories on one host.
//!
//! Any number of directories that hold the same tree are made equal: a change made in any of them
//! reaches all the others, and no content is lost on the way.
//!
//! Goals: the whole of what the command can do, as a library that knows neither terminal nor
//! environment; one place where the rules, the index, the content and the filesystem meet.
//! Non-goals: deciding what wins (`replicat-core`), touching files (`replicat-fs`), printing (the
//! command).

pub mod engine;
pub mod error;
pub mod event;
pub mod inspection;
pub mod known;
pub mod options;
pub mod report;
pub mod restoration;
pub mod selection;
pub mod trash_limits;
pub mod watch;

pub use engine::{live, sync};
pub use error::{ExitCode, SyncError};
pub use event::{Reporter, Silent, SyncEvent};
pub use options::{Cancellation, RootLocation, SyncOptions};
pub use report::SyncReport;
