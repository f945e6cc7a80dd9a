//! The other names of a file. What is done to a file under one name is done under all of them, and a watch tells of one.

use std::collections::BTreeSet;

use replicat_core::entry::Payload;
use replicat_core::id::{ContentHash, LinkId};
use replicat_core::path::RelPath;
use replicat_core::record::Fingerprint;
use replicat_core::replica::Replica;
use replicat_core::store::Store;

use super::local::LocalReplica;
use crate::error::SyncError;

/// How many paths are looked at to find the other names of a file. Those that this misses are found when the whole tree is
/// compared.
const LOOKED_AT_MAX: usize = 256;

/// The other names of a file, as the index knows them.
#[derive(Debug, Default)]
pub(super) struct Siblings {
    /// The group that they are recorded in, if they are.
    pub(super) link: Option<LinkId>,
    /// Those that are recorded as they were before the file changed.
    pub(super) outdated: BTreeSet<RelPath>,
}

impl LocalReplica {
    /// Finds the other names of the file at `path`, which was found with `content` and `fingerprint`.
    pub(super) fn siblings(
        &self,
        path: &RelPath,
        content: Option<ContentHash>,
        fingerprint: &Fingerprint,
    ) -> Result<Siblings, SyncError> {
        let failed = |error| self.failed(error);
        let store = Replica::store(&self.replica);
        let held = self.replica.record(path).map_err(failed)?.held_payload();
        let mut candidates = BTreeSet::new();
        if let Some(Payload::File {
            link: Some(link), ..
        }) = &held
        {
            candidates.extend(store.by_link(*link, LOOKED_AT_MAX).map_err(failed)?);
        }
        // Under the names that are not looked at yet, it is recorded with what it held before.
        let before = held.and_then(|held| held.content());
        let contents = [content, before].into_iter().flatten();
        for content in contents.collect::<BTreeSet<_>>() {
            candidates.extend(store.by_content(content, LOOKED_AT_MAX).map_err(failed)?);
        }
        candidates.remove(path);
        let mut siblings = Siblings::default();
        for candidate in candidates {
            let record = self.replica.record(&candidate).map_err(failed)?;
            let (Some(local), Some(Payload::File { link, .. })) =
                (&record.local, record.held_payload())
            else {
                continue;
            };
            if local.fingerprint.inode != fingerprint.inode {
                continue;
            }
            siblings.link = siblings.link.or(link);
            if local.fingerprint != *fingerprint || link.is_none() {
                siblings.outdated.insert(candidate);
            }
        }
        Ok(siblings)
    }
}
