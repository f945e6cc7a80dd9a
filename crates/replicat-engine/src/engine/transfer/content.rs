//! Where contents come from that a root does not hold as files: peers, and what was displaced.

use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use replicat_content::Manifest;
use replicat_core::id::ContentHash;
use replicat_core::message::{Message, Want};
use replicat_core::path::RelPath;
use replicat_core::wire;

use crate::engine::held::Held;

/// The longest piece that is asked for at once, in bytes.
pub(crate) const PIECE_BYTES_MAX: u64 = 1 << 20;

/// The answers to a request, in its order; each waits until it is there. `None`: the other has not got it. The bytes are
/// unverified.
pub type Reply = Box<dyn Iterator<Item = Option<Bytes>> + Send>;

/// A replica that may hold what another wants.
pub(crate) trait Source: Send + Sync {
    /// Asks for contents; the request is on its way when this returns.
    fn request(&self, wants: Vec<Want>) -> Reply;

    /// Of each want, whether its path is in scope there, and holds its content now. Waits for the answer.
    fn keeps(&self, wants: Vec<Want>) -> Vec<bool> {
        vec![false; wants.len()]
    }

    /// The chunks of a content, encoded, unverified.
    fn manifest(&self, content: ContentHash) -> Option<Bytes>;
}

/// How long an answer takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Distance {
    /// None: all are in this process.
    Near,
    /// A round trip, or more.
    #[default]
    Far,
}

/// The replicas that may hold what a target wants, in the order in which they are asked.
#[derive(Default)]
pub(crate) struct Sources {
    sources: RwLock<Vec<Arc<dyn Source>>>,
    distance: Distance,
}

impl Sources {
    /// Replicas in this process.
    pub(crate) fn near(sources: Vec<Arc<dyn Source>>) -> Self {
        Self {
            sources: RwLock::new(sources),
            distance: Distance::Near,
        }
    }

    pub(crate) fn distance(&self) -> Distance {
        self.distance
    }

    /// Replaces them all.
    pub(crate) fn set(&self, sources: Vec<Arc<dyn Source>>) {
        *self.sources.write().unwrap_or_else(PoisonError::into_inner) = sources;
    }

    pub(crate) fn all(&self) -> Vec<Arc<dyn Source>> {
        self.sources
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// A manifest that one of them keeps; it proves itself against the name.
    pub(crate) fn manifest(&self, content: ContentHash) -> Option<Manifest> {
        self.all().iter().find_map(|source| {
            let manifest = Manifest::decode(&source.manifest(content)?).ok()?;
            manifest.verify(&content).ok().map(|()| manifest)
        })
    }
}

/// A replica in this process. Its answers pass through the wire format all the same.
pub(in crate::engine) struct Neighbour(pub(in crate::engine) Arc<Held>);

impl Source for Neighbour {
    fn request(&self, wants: Vec<Want>) -> Reply {
        let held = Arc::clone(&self.0);
        let Ok(Message::Want(wants)) = wire::decode(wire::encode(&Message::Want(wants))) else {
            return Box::new(std::iter::empty());
        };
        Box::new(wants.into_iter().map(move |want| answer(&held, &want)))
    }

    fn keeps(&self, wants: Vec<Want>) -> Vec<bool> {
        wants.iter().map(|want| self.0.keeps(want)).collect()
    }

    fn manifest(&self, content: ContentHash) -> Option<Bytes> {
        let message = Message::Manifest {
            content,
            chunks: self.0.manifest(content)?,
        };
        match wire::decode(wire::encode(&message)).ok()? {
            Message::Manifest { chunks, .. } => Some(chunks),
            _ => None,
        }
    }
}

fn answer(held: &Held, want: &Want) -> Option<Bytes> {
    let message = Message::Piece {
        content: want.content,
        offset: want.offset,
        bytes: held.read(want)?,
    };
    match wire::decode(wire::encode(&message)).ok()? {
        Message::Piece { bytes, .. } if bytes.len() as u64 == want.length => Some(bytes),
        _ => None,
    }
}

/// What is wanted of a file at `path`, from `offset` on.
pub(in crate::engine) fn want(
    content: ContentHash,
    path: &RelPath,
    offset: u64,
    length: u64,
) -> Want {
    Want {
        content,
        path: path.clone(),
        offset,
        length,
    }
}
