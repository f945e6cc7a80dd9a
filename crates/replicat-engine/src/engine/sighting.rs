//! What a scan found, as a replica and as people are told it.

use replicat_core::entry::{Metadata, Payload};
use replicat_core::id::{ContentHash, LinkId, ReplicaId};
use replicat_core::observe::{Found, Present};
use replicat_core::path::RelPath;
use replicat_fs::observe::{Kind, LinkKey, Observation};

use super::clock;
use super::local::LocalReplica;
use crate::error::SyncError;
use crate::event::{ItemKind, Observed as Sight, ObservedChange};

/// What a user did, if what was found is news.
pub(super) fn sight(
    local: &LocalReplica,
    path: &RelPath,
    found: &Found,
) -> Result<Option<Sight>, SyncError> {
    let record = local.replica.record(path);
    let held = record.map_err(|error| local.failed(error))?.held_payload();
    let (payload, change) = match (found, &held) {
        (Found::Present(present), None) => (&present.payload, ObservedChange::Created),
        (Found::Present(present), Some(_)) => (&present.payload, ObservedChange::Updated),
        (Found::Absent { moved_to: Some(to) }, Some(held)) => {
            (held, ObservedChange::Moved { to: to.clone() })
        }
        (Found::Absent { moved_to: None }, Some(held)) => (held, ObservedChange::Deleted),
        (Found::Absent { .. }, None) | (Found::OutOfScope, _) => return Ok(None),
    };
    let kind = match payload {
        Payload::Directory => ItemKind::Directory,
        Payload::Symlink { .. } => ItemKind::Symlink,
        _ => ItemKind::File,
    };
    Ok(Some(Sight {
        root: local.number,
        path: path.clone(),
        kind,
        change,
    }))
}

/// An id for a file of several names that has none yet: made of the file and of who saw it first.
pub(super) fn new_link_id(replica: ReplicaId, key: LinkKey) -> LinkId {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&replica.0.to_le_bytes());
    hasher.update(&key.device.to_le_bytes());
    hasher.update(&key.inode.to_le_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    LinkId(u64::from_le_bytes(first))
}

/// An observation as the replica is told it; `None` for what has no content to replicate.
pub(super) fn present(
    observation: &Observation,
    content: Option<ContentHash>,
    link: Option<LinkId>,
) -> Option<Found> {
    Some(Found::Present(Present {
        payload: observation.payload(content, link)?,
        metadata: observation.metadata.clone(),
        fingerprint: observation.fingerprint,
        racy: observation.racy,
        changed: clock::hlc(observation.fingerprint.mtime),
        touched: clock::hlc(observation.fingerprint.ctime),
    }))
}

/// Whether a directory differs from what is known in nothing but its time, after something was done in it here. That is no
/// event: it gets its own time again when the work is over.
pub(super) fn is_disturbed(
    local: &LocalReplica,
    path: &RelPath,
    observation: &Observation,
) -> Result<bool, SyncError> {
    if observation.kind != Kind::Directory || !local.disturbed.contains(path) {
        return Ok(false);
    }
    let record = local.replica.record(path);
    let record = record.map_err(|error| local.failed(error))?;
    let is_directory = record
        .held_payload()
        .is_some_and(|held| held.is_directory());
    let timeless = Metadata {
        mtime: None,
        ..observation.metadata.clone()
    };
    let known = record.held_metadata();
    let is_as_known = known.is_some_and(|known| timeless.agrees_with(&known));
    Ok(is_directory && is_as_known)
}
