//! What a folder asks of whoever carries its words to a peer.

use bytes::Bytes;
use replicat_core::id::{ContentHash, FolderId};
use replicat_core::message::Want;

pub use crate::engine::transfer::Reply;

/// A number that a folder knows a connected peer by; never given twice in the life of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerNumber(pub u64);

/// The longest content that travels with the message that tells of it, in bytes.
pub const CARRIED_CONTENT_BYTES_MAX: usize = 64 << 10;
/// How much content travels with one message at the most, in bytes.
pub const CARRIED_BYTES_MAX: usize = 256 << 10;
/// How many contents travel with one message at the most.
pub const CARRIED_MAX: usize = 512;

/// A message of a session, and what travels with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parcel {
    /// The message, encoded.
    pub message: Bytes,
    /// Contents of small files that the message tells of, within the bounds above. They spare a request; what is missing is
    /// asked for. Each is taken for what it is, under the name that it hashes to.
    pub contents: Vec<Bytes>,
}

impl Parcel {
    /// A message alone.
    #[must_use]
    pub fn of(message: Bytes) -> Self {
        Self {
            message,
            contents: Vec::new(),
        }
    }

    /// The length of all that is in it, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.message.len() + self.contents.iter().map(Bytes::len).sum::<usize>()
    }

    /// Whether what travels with the message is within its bounds.
    #[must_use]
    pub fn is_within_bounds(&self) -> bool {
        let is_small = |content: &Bytes| content.len() <= CARRIED_CONTENT_BYTES_MAX;
        self.contents.len() <= CARRIED_MAX
            && self.contents.iter().all(is_small)
            && self.contents.iter().map(Bytes::len).sum::<usize>() <= CARRIED_BYTES_MAX
    }
}

/// The way to a peer, for one folder.
pub trait Connection: Send + Sync {
    /// The name of the node at the other side.
    fn name(&self) -> &str;

    /// The id of the folder on this connection, if it is not the one that the replica has: while the key of a cluster is
    /// changed, both sides may derive it from other keys.
    fn folder(&self) -> Option<FolderId> {
        None
    }

    /// Sends a message of the session, in order, without waiting.
    ///
    /// # Errors
    /// [`SendError::Full`] with the parcel if it cannot be taken now: [`LiveFolder::writable`](super::LiveFolder::writable) is
    /// called when it can. [`SendError::Gone`] if the peer is not there any more.
    fn send(&self, parcel: Parcel) -> Result<(), SendError>;

    /// Hears that the folder has taken in a parcel of so many bytes that came this way, so that more may come. Nothing else
    /// bounds what waits for the folder.
    fn taken(&self, _bytes: usize) {}

    /// Asks for contents. The request is on its way when this returns.
    fn request(&self, wants: Vec<Want>) -> Reply;

    /// Of each want, whether its path is in scope at the peer, and its storage holds its content there now. Waits for the
    /// answer. A peer that cannot say keeps nothing.
    fn keeps(&self, wants: Vec<Want>) -> Vec<bool> {
        vec![false; wants.len()]
    }

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
    Full(Parcel),
    /// The peer is not there any more.
    Gone,
}
