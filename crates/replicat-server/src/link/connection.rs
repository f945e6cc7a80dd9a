//! The way to a peer for one folder.

use std::sync::Arc;

use bytes::Bytes;
use replicat_core::id::{ContentHash, FolderId};
use replicat_core::message::Want;
use replicat_engine::live::{Connection, Parcel, PeerNumber, Reply, SendError};

use super::inbox::Inbox;
use super::outbox::Outgoing;
use super::{FlowControl, Load, PeerLink};
use crate::wire::ControlFrame;

/// Wants up to this length go on the lane of small contents.
const SMALL_WANT_BYTES_MAX: u64 = 64 << 10;

/// The session of a folder over a link.
pub(super) struct FolderConnection {
    pub(super) link: Arc<PeerLink>,
    pub(super) folder: FolderId,
    pub(super) number: PeerNumber,
    /// The epoch of the peer's offer.
    pub(super) epoch: u64,
    pub(super) inbox: Arc<Inbox>,
    pub(super) flow: FlowControl,
}

impl Connection for FolderConnection {
    fn name(&self) -> &str {
        self.link.name().as_str()
    }

    fn folder(&self) -> Option<FolderId> {
        Some(self.folder)
    }

    fn send(&self, parcel: Parcel) -> Result<(), SendError> {
        self.link.outbox.send(self.number, parcel)
    }

    fn taken(&self, bytes: usize) {
        let told = self.inbox.take(bytes as u64);
        if let Some(bytes) = told.filter(|_| self.flow == FlowControl::BySession) {
            let (folder, epoch) = (self.folder, self.epoch);
            self.link.outbox.push(Outgoing::Frame(ControlFrame::Taken {
                folder,
                epoch,
                bytes,
            }));
        }
    }

    fn request(&self, wants: Vec<Want>) -> Reply {
        let is_small = wants.iter().all(|want| want.length <= SMALL_WANT_BYTES_MAX);
        let load = if is_small { Load::Small } else { Load::Large };
        self.link.bulk(load).request(self.folder, wants)
    }

    fn keeps(&self, wants: Vec<Want>) -> Vec<bool> {
        self.link.bulk(Load::Small).keeps(self.folder, wants)
    }

    fn manifest(&self, content: ContentHash) -> Option<Bytes> {
        self.link.bulk(Load::Small).manifest(self.folder, content)
    }

    fn close(&self, reason: &str) {
        self.link.outbox.push(Outgoing::Close {
            folder: self.folder,
            number: self.number,
            reason: reason.to_owned(),
        });
    }
}
