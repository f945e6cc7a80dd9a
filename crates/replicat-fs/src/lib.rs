//! Directories as replicas: the only crate that touches user files.
//!
//! Goals: observe a tree and say what differs from what is known of it; bring changes to it so that at
//! every moment each path holds its old content or its new one; never reach outside the root.
//! Non-goals: deciding what to do (`replicat-core`), keeping state (`replicat-index`), cutting and
//! hashing contents (`replicat-content`).
//!
//! Everything goes through [`root::Root`], a held descriptor beneath which no path can escape.

mod listing;
mod root_entry;

pub mod apply;
pub mod echo;
pub mod edit;
pub mod error;
pub mod filter;
mod folding;
pub mod identity;
pub mod lock;
pub mod metadata;
pub mod observe;
pub mod presence;
pub mod read;
pub mod recover;
pub mod room;
pub mod root;
pub mod scan;
pub mod stage;
pub mod state;
pub mod state_owner;
pub mod trash;
pub mod watch;
pub mod xattrs;
