//! What a node tells its manager of itself: for people to see. The manager decides nothing by it.

use replicat_core::name::FolderName;

use crate::desired::PlacementMode;

/// How a node stands, by its own account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeReport {
    /// What it is doing, in the words that its users see: `Online`, `Halted`.
    pub status: String,
    /// Its folders.
    pub folders: Vec<FolderFigures>,
    /// The names of the nodes that it is connected to.
    pub connected: Vec<String>,
}

/// How a folder stands at a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderFigures {
    /// Its name.
    pub name: FolderName,
    /// What it is doing, as [`NodeReport::status`] says it.
    pub status: String,
    /// Why it is halted; empty if it is not.
    pub reason: String,
    /// Which way its changes go.
    pub mode: PlacementMode,
    /// Whether the node and all that it is connected to hold the same.
    pub in_sync: bool,
    /// How many paths are known, those of deleted files included.
    pub paths: u64,
    /// How many paths are still to be brought to the directory.
    pub pending: u64,
    /// Bytes of content sent to others since the node was started.
    pub bytes_sent: u64,
    /// Bytes of content received from others since the node was started.
    pub bytes_received: u64,
}
