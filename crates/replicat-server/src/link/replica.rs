//! What a link needs of a folder.

use std::sync::Arc;

use bytes::Bytes;
use replicat_core::id::ContentHash;
use replicat_core::message::Want;
use replicat_engine::live::{Connection, FolderState, LiveFolder, Parcel, PeerNumber, Trust};

use super::sessions::Hearing;
use crate::wire::Standing;

/// A folder, as its peers see it.
pub(crate) trait Replica: Send + Sync {
    /// A session with a peer begins.
    fn connect(&self, number: PeerNumber, peer: Arc<dyn Connection>, hearing: Hearing);
    /// A session is over.
    fn disconnect(&self, number: PeerNumber);
    /// A message of the peer's. Does not wait.
    fn receive(&self, number: PeerNumber, parcel: Parcel);
    /// A connection that was full takes messages again.
    fn writable(&self, number: PeerNumber);
    /// The bytes that a peer wants, if they are held unchanged.
    fn answer(&self, want: &Want) -> Option<Bytes>;
    /// Whether the path of a want is in scope, and holds its content now.
    fn keeps(&self, want: &Want) -> bool;
    /// The chunks of a content.
    fn manifest(&self, content: ContentHash) -> Option<Bytes>;
    /// A person approved at another node the deletions that are held.
    fn allow_deletions(&self);
    /// How it stands once all is taken in that it was told before; waits for that.
    fn standing(&self) -> Standing;
}

impl Replica for LiveFolder {
    fn connect(&self, number: PeerNumber, peer: Arc<dyn Connection>, hearing: Hearing) {
        let trust = match hearing {
            Hearing::Open => Trust::Full,
            Hearing::Deaf => Trust::Deaf,
        };
        self.connect(number, peer, trust);
    }

    fn disconnect(&self, number: PeerNumber) {
        self.disconnect(number);
    }

    fn receive(&self, number: PeerNumber, parcel: Parcel) {
        self.receive(number, parcel);
    }

    fn writable(&self, number: PeerNumber) {
        self.writable(number);
    }

    fn answer(&self, want: &Want) -> Option<Bytes> {
        self.answer(want)
    }

    fn keeps(&self, want: &Want) -> bool {
        self.keeps(want)
    }

    fn manifest(&self, content: ContentHash) -> Option<Bytes> {
        self.manifest(content)
    }

    fn allow_deletions(&self) {
        self.allow_deletions();
    }

    fn standing(&self) -> Standing {
        let status = self.standing();
        let is_active = |state: &FolderState| {
            matches!(state, FolderState::Online | FolderState::JoiningCluster)
        };
        Standing {
            is_online: status
                .as_ref()
                .is_some_and(|status| is_active(&status.state)),
            pending: status.map_or(0, |status| status.pending),
        }
    }
}
