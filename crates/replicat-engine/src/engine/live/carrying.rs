//! Contents that travel with the message that tells of them, so that a fresh small edit costs no round trip.
//!
//! Goals: what is new and small goes along once; memory and messages stay within their bounds.
//! Non-goals: contents that are asked for. Nothing rests on a content that travels: one that is missing is asked for, and
//! each is kept under the name that it hashes to here, whatever the peer meant it for.

use std::collections::VecDeque;

use bytes::Bytes;
use replicat_content::Content;
use replicat_core::entry::{Entry, Payload};
use replicat_core::id::{ContentHash, ReplicaId};
use replicat_core::path::RelPath;

use super::peer::{CARRIED_BYTES_MAX, CARRIED_CONTENT_BYTES_MAX, CARRIED_MAX};
use crate::engine::local::LocalReplica;

/// How many contents are remembered that a peer was sent: it is not sent them again when their file is renamed or described
/// anew.
const REMEMBERED_MAX: usize = 1024;

/// Which contents a peer was sent lately.
#[derive(Debug, Default)]
pub(super) struct Carried(VecDeque<ContentHash>);

impl Carried {
    /// The contents that go along with `entries`: of edits made here, read lately, and not sent before. Those who heard of
    /// an edit from elsewhere ask for it, since they may have it from its author already.
    pub(super) fn choose(
        &mut self,
        entries: &[(RelPath, Entry)],
        local: &LocalReplica,
    ) -> Vec<Bytes> {
        let Some(gleaned) = &local.gleaned else {
            return Vec::new();
        };
        let own = local.replica.identity().replica;
        let (mut chosen, mut bytes) = (Vec::new(), 0);
        for content in entries.iter().filter_map(|(_, entry)| fresh(entry, own)) {
            if chosen.len() == CARRIED_MAX || self.0.contains(&content) {
                continue;
            }
            let Some(found) = gleaned.whole(content) else {
                continue;
            };
            if bytes + found.len() <= CARRIED_BYTES_MAX {
                bytes += found.len();
                chosen.push(found);
                self.remember(content);
            }
        }
        chosen
    }

    fn remember(&mut self, content: ContentHash) {
        if self.0.len() == REMEMBERED_MAX {
            self.0.pop_front();
        }
        self.0.push_back(content);
    }
}

/// The content that an entry shows, if it is small and `own` made a new content of it.
fn fresh(entry: &Entry, own: ReplicaId) -> Option<ContentHash> {
    let shown = entry.shown()?;
    let Payload::File { content, size, .. } = shown.payload() else {
        return None;
    };
    let is_small = *size <= CARRIED_CONTENT_BYTES_MAX as u64;
    let is_new = shown.winner.dot.replica == own && shown.winner.base != Some(*content);
    (is_small && is_new).then_some(*content)
}

/// Keeps what came with a message, for those who build files and those who ask.
pub(super) fn keep(local: &LocalReplica, contents: &[Bytes]) {
    let Some(gleaned) = &local.gleaned else {
        return;
    };
    for bytes in contents {
        gleaned.keep(Content::of_bytes(bytes).hash, bytes);
    }
}
