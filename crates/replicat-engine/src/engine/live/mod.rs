//! A folder that is kept in sync live: one replica, its directory, and the peers that come and go.
//!
//! Goals: what changes in the directory is told to the peers at once, and what they tell is brought to the directory; a
//! small change never waits for a large one; all of it by the rules of the one-shot sync.
//! Non-goals: sockets, identities of nodes, more than one folder.
//!
//! One thread owns the replica and takes everything that happens in turn. Others scan, build files, and wait for what
//! peers send.

mod bringing;
mod carrying;
mod connected;
mod files;
mod handle;
mod judging;
mod observing;
mod owner;
mod peer;
mod recovery;
mod restless;
mod restoring;
mod reverting;
mod selecting;
mod settings;
mod status;
mod steering;
mod talking;
mod tally;
mod telling;
mod verifying;

pub use super::inspect::Precondition;
pub use files::{FileReader, Upload, Uploaded};
pub use handle::LiveFolder;
pub use peer::{
    CARRIED_BYTES_MAX, CARRIED_CONTENT_BYTES_MAX, CARRIED_MAX, Connection, Parcel, PeerNumber,
    Reply, SendError, Trust,
};
pub use recovery::may_pass;
pub use settings::{FolderMode, LiveSettings};
pub use status::{
    ChangeAction, ChangeOrigin, FolderEvent, FolderState, FolderStatus, Listener, PathChange,
    PeerStatus,
};
