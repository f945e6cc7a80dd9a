//! What a folder asks of whoever carries its words to a peer.

use bytes::Bytes;
use replicat_core::id::ContentHash;
use replicat_core::message::Want;

pub use crate::engine::transfer::Reply;

/// A number that a folder knows a connected peer by; never given twice in the life of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerNumber(pub u64);

/// The way to a peer, for one folder.
pub trait Connection: Send + Sync {
    /// The name of the node at the other side.
    fn name(&self) -> &str;

    /// Sends a message of the session, in order, without waiting.
    ///
    /// # Errors
    /// [`SendError::Full`] with the message if it cannot be taken now: [`LiveFolder::writable`](super::LiveFolder::writable) is
    /// called when it can. [`SendError::Gone`] if the peer is not there any more.
    fn send(&self, message: Bytes) -> Result<(), SendError>;

    /// Asks for contents. The request is on its way when this returns.
    fn request(&self, wants: Vec<Want>) -> Reply;

    /// The chunks of a content, as `replicat-content` encodes them, unverified; waits for them.
    fn manifest(&self, content: ContentHash) -> Option<Bytes>;

    /// Ends the connection, of this folder alone, at both sides, and says why. The two may begin again a while later.
    fn close(&self, reason: &str);
}

/// Whether a folder believes a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Both tell each other what changed.
    Full,
    /// Nothing that the peer tells of changes is taken: it may only receive, or this side may only send.
    Deaf,
}

/// Why a message was not sent.
#[derive(Debug)]
pub enum SendError {
    /// Too much is under way.
    Full(Bytes),
    /// The peer is not there any more.
    Gone,
}
