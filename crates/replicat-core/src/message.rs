//! What two replicas say to each other.

use bytes::Bytes;

use crate::entry::Entry;
use crate::id::{ContentHash, FolderId, ReplicaId};
use crate::path::RelPath;
use crate::store::{Digest, Member};
use crate::version::{Dot, VersionVector};

/// The version of the protocol that this code speaks.
pub const PROTOCOL_VERSION: u32 = 1;

/// One message of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Who I am and what I know. The first message, each way.
    Hello(Hello),
    /// Entries that the other may not know.
    Entries(Vec<(RelPath, Entry)>),
    /// All entries with dots that `knowledge` covers and the other's did not have been sent.
    Sent {
        /// What the sender knows.
        knowledge: VersionVector,
    },
    /// What all my entries add up to.
    Sum {
        /// The sum.
        digest: Digest,
        /// What the sender knows.
        knowledge: VersionVector,
    },
    /// The entries of one directory, in digests.
    Tree(TreePage),
    /// What the receiver of a [`TreePage`] has instead.
    TreeReply(TreeReply),
    /// Entries that were asked for by a [`TreeReply`]; each may be empty.
    Repair(Vec<(RelPath, Entry)>),
    /// A request for contents.
    Want(Vec<Want>),
    /// The chunks of a content, as `replicat-content` encodes them.
    Manifest {
        /// Which content.
        content: ContentHash,
        /// The encoded list.
        chunks: Bytes,
    },
    /// A piece of a content.
    Piece {
        /// Which content.
        content: ContentHash,
        /// Where the piece begins, in bytes.
        offset: u64,
        /// The bytes.
        bytes: Bytes,
    },
    /// A content that was wanted is not to be had from here now.
    Missing {
        /// Which content.
        content: ContentHash,
    },
    /// What the sender has heard of replicas since it greeted, on a live session.
    Members(Vec<(ReplicaId, Member)>),
}

impl Message {
    /// What a replica that knows `ours` takes of a message by `peer`, whose changes it refuses: what the peer knows, and
    /// nothing that it tells; `None` if nothing is left.
    #[must_use]
    pub fn without_changes(self, peer: Option<ReplicaId>, ours: &VersionVector) -> Option<Self> {
        match self {
            Self::Entries(_) | Self::Repair(_) => None,
            // Of itself it is believed.
            Self::Members(mut members) => {
                members.retain(|(id, _)| Some(*id) == peer);
                (!members.is_empty()).then_some(Self::Members(members))
            }
            // Where it differs is told what is here, and where to look on; what it has there is not taken.
            Self::TreeReply(mut reply) => {
                for (_, entry) in &mut reply.entries {
                    *entry = Entry::default();
                }
                Some(Self::TreeReply(reply))
            }
            Self::Sent { knowledge } => Some(Self::Sent {
                knowledge: common(&knowledge, ours),
            }),
            other => Some(other),
        }
    }
}

/// What both vectors cover.
fn common(one: &VersionVector, other: &VersionVector) -> VersionVector {
    let shared = one.iter().map(|dot| Dot {
        counter: dot.counter.min(other.get(dot.replica)),
        ..dot
    });
    shared.filter(|dot| dot.counter > 0).collect()
}

/// The first message of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The protocol spoken.
    pub protocol: u32,
    /// The folder.
    pub folder: FolderId,
    /// Who speaks.
    pub replica: ReplicaId,
    /// What the speaker knows.
    pub knowledge: VersionVector,
    /// What the speaker knew when it last had no work left.
    pub applied: VersionVector,
    /// The names of all replicas that the speaker has heard of.
    pub names: Vec<(ReplicaId, String)>,
    /// The presence of those of them that were forgotten once.
    pub presences: Vec<(ReplicaId, u64)>,
}

/// Part of a directory's children, in digests: those with `after < name`, up to `until`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreePage {
    /// The directory.
    pub directory: RelPath,
    /// The page speaks of names after this one; from the first if empty.
    pub after: Vec<u8>,
    /// The page speaks of names up to this one; to the last if empty.
    pub until: Vec<u8>,
    /// The children that have an entry or something below them.
    pub rows: Vec<TreeRow>,
}

/// One child in a [`TreePage`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeRow {
    /// Its name.
    pub name: Vec<u8>,
    /// The digest of its own entry.
    pub own: Digest,
    /// The sum over everything below it.
    pub below: Digest,
}

/// The answer to a [`TreePage`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeReply {
    /// The directory.
    pub directory: RelPath,
    /// The receiver's entries where the own digests differ; each may be empty.
    pub entries: Vec<(RelPath, Entry)>,
    /// The paths below which the sums differ.
    pub descend: Vec<RelPath>,
    /// The answer speaks of names up to this one, the rest of the page is to be sent again; of the whole page if empty.
    pub until: Vec<u8>,
}

/// A content that is wanted, whole or in part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    /// Which content.
    pub content: ContentHash,
    /// Where the sender's entry says it is; a hint.
    pub path: RelPath,
    /// First byte wanted.
    pub offset: u64,
    /// How many bytes are wanted.
    pub length: u64,
}
