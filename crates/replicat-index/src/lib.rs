//! The durable index of a replica: what `replicat-core` keeps, in one redb file.
//!
//! Goals: every write of a group becomes durable at once or not at all; reads see the writes that are
//! not yet durable; memory does not grow with the number of files; a file that cannot be understood is
//! reported, never guessed at. Non-goals: deciding anything about the rows (the core does), and sharing
//! one index between processes.
//!
//! The layout of the file is described in `docs/format.md`, section "Index".

mod directories;
mod error;
mod flush;
mod format;
mod history;
mod index;
mod manifest;
mod migrate;
mod open;
mod overlay;
mod owner;
mod query;
mod reader;
mod recent;
mod replicas;
mod skipped;
mod store;
mod summary;
mod tables;

pub use error::IndexError;
pub use format::FORMAT_VERSION;
pub use history::{Change, HISTORY_ROWS_MAX, HeldKind, HistoryRow};
pub use index::{Durability, Index};
pub use manifest::{MANIFEST_PAGE_CHUNKS, Manifest};
pub use reader::Reader;
pub use skipped::SkippedRow;
