//! Where missing paths went: renames, recognised after the fact.
//!
//! By the identity of the file (inode and birth time), else by its content where that is beyond doubt. What is found is
//! a hint: it decides how a deletion is told and what need not be read again, never what a path holds.

use std::collections::{HashMap, HashSet};

use replicat_core::entry::{Payload, Timestamp};
use replicat_core::id::ContentHash;
use replicat_core::path::RelPath;
use replicat_core::record::Fingerprint;
use replicat_fs::observe::{Kind, Observation};

use super::local::LocalReplica;
use crate::error::SyncError;

/// What was at a path that is missing.
struct Gone {
    fingerprint: Fingerprint,
    payload: Payload,
}

/// The missing paths of a scan, and where they were found again.
#[derive(Default)]
pub(super) struct Departures {
    by_file: HashMap<(u64, Timestamp), RelPath>,
    gone: HashMap<RelPath, Gone>,
    destinations: HashMap<RelPath, RelPath>,
}

impl Departures {
    pub(super) fn of(local: &LocalReplica, missing: &[RelPath]) -> Result<Self, SyncError> {
        let mut departures = Self::default();
        for path in missing {
            let record = local
                .replica
                .record(path)
                .map_err(|error| local.failed(error))?;
            let (Some(payload), Some(seen)) = (record.held_payload(), record.local) else {
                continue;
            };
            let fingerprint = seen.fingerprint;
            let file = (fingerprint.inode, fingerprint.birth);
            departures.by_file.insert(file, path.clone());
            departures.gone.insert(
                path.clone(),
                Gone {
                    fingerprint,
                    payload,
                },
            );
        }
        Ok(departures)
    }

    /// Notes that what was found at `to` may be something that is missing elsewhere. Returns what that held, if
    /// the file was not touched since.
    pub(super) fn arrive(&mut self, to: &RelPath, found: &Observation) -> Option<Payload> {
        let file = (found.fingerprint.inode, found.fingerprint.birth);
        let from = self.by_file.get(&file).filter(|from| *from != to)?;
        let gone = self.gone.get(from)?;
        if !is_of_kind(&gone.payload, found.kind) {
            return None;
        }
        self.destinations.insert(from.clone(), to.clone());
        let untouched = gone.fingerprint == found.fingerprint && !found.racy;
        untouched.then(|| gone.payload.clone())
    }

    /// Pairs what is still missing with new files of the same content, where there is one of each.
    pub(super) fn pair_by_content(&mut self, arrivals: &[(ContentHash, RelPath)]) {
        let taken: HashSet<&RelPath> = self.destinations.values().collect();
        let mut new: HashMap<ContentHash, Option<&RelPath>> = HashMap::new();
        for (content, path) in arrivals.iter().filter(|(_, path)| !taken.contains(path)) {
            new.entry(*content)
                .and_modify(|found| *found = None)
                .or_insert(Some(path));
        }
        let mut old: HashMap<ContentHash, Option<&RelPath>> = HashMap::new();
        for (path, gone) in &self.gone {
            if let Payload::File {
                content, size: 1.., ..
            } = &gone.payload
                && !self.destinations.contains_key(path)
            {
                old.entry(*content)
                    .and_modify(|found| *found = None)
                    .or_insert(Some(path));
            }
        }
        let pairs: Vec<(RelPath, RelPath)> = (old.iter())
            .filter_map(|(content, from)| {
                let to = (*new.get(content)?)?;
                Some(((*from)?.clone(), to.clone()))
            })
            .collect();
        self.destinations.extend(pairs);
    }

    /// Where `path` went, if that is known.
    pub(super) fn destination(&self, path: &RelPath) -> Option<RelPath> {
        self.destinations.get(path).cloned()
    }

    /// Where missing paths went.
    pub(super) fn moves(&self) -> impl Iterator<Item = (&RelPath, &RelPath)> {
        self.destinations.iter()
    }
}

fn is_of_kind(payload: &Payload, kind: Kind) -> bool {
    matches!(
        (payload, kind),
        (Payload::File { .. }, Kind::File)
            | (Payload::Directory, Kind::Directory)
            | (Payload::Symlink { .. }, Kind::Symlink)
    )
}

/// Whether `path` is known to hold `content` already: who is only read again came from nowhere.
pub(super) fn is_held(
    local: &LocalReplica,
    path: &RelPath,
    content: ContentHash,
) -> Result<bool, SyncError> {
    let record = local.replica.record(path);
    let held = record
        .map_err(|error| local.failed(error))?
        .held_payload()
        .and_then(|held| held.substance());
    Ok(held == Some(content))
}
