//! Descriptions that a storage could not hold in full: they are remembered, listed, and set when that becomes possible.

use std::collections::BTreeSet;

use replicat_core::entry::{Metadata, Timestamp};
use replicat_core::observe::Found;
use replicat_core::path::RelPath;
use replicat_core::record::Fingerprint;
use replicat_core::replica::Replica;
use replicat_core::store::Store;
use replicat_fs::apply::{Action, Applied, Change, Displaced, Outcome};
use replicat_fs::metadata::{Unapplied, Unheld};

use super::local::LocalReplica;
use crate::error::SyncError;
use crate::report::SkipReason;

/// By how many seconds a storage may round a time: FAT counts in twos.
const ROUNDING_SECONDS_MAX: u64 = 2;
/// How many paths with its content are looked at to find out how a new file is meant to be described.
const LOOKED_AT_MAX: usize = 64;

/// How a new file is meant to be described, as another one with its content is.
#[derive(Debug)]
pub(super) struct Alike {
    pub(super) meant: Metadata,
    unheld: Option<Box<Metadata>>,
    reason: SkipReason,
}

impl LocalReplica {
    /// A file that appears where the storage cannot hold all of a description, with the content of one that is known, was renamed
    /// or copied from there: what is not held of that one is not held of it either, and nobody meant to change it.
    pub(super) fn unheld_elsewhere(
        &self,
        path: &RelPath,
        found: &Found,
    ) -> Result<Option<Alike>, SyncError> {
        let Found::Present(present) = found else {
            return Ok(None);
        };
        let Some(content) = present.payload.leaf_substance() else {
            return Ok(None);
        };
        let failed = |error| self.failed(error);
        if self.unheld.is_empty() || self.replica.record(path).map_err(failed)?.local.is_some() {
            return Ok(None);
        }
        let others = Replica::store(&self.replica).by_content(content, LOOKED_AT_MAX);
        for other in others.map_err(failed)? {
            let Some(reason) = self.unheld.get(&other) else {
                continue;
            };
            let record = self.replica.record(&other).map_err(failed)?;
            let (Some(local), Some(held)) = (&record.local, record.held_metadata()) else {
                continue;
            };
            let (meant, unheld) = local.conceal(present.metadata.clone(), &held);
            if meant != present.metadata {
                let reason = reason.clone();
                return Ok(Some(Alike {
                    meant,
                    unheld,
                    reason,
                }));
            }
        }
        Ok(None)
    }

    /// Notes that a path was observed as it is meant to be.
    pub(super) fn note_alike(&mut self, path: &RelPath, alike: Alike) -> Result<(), SyncError> {
        self.record_unheld(path, alike.unheld.map(|unheld| *unheld))?;
        self.unheld.insert(path.clone(), alike.reason.clone());
        self.skip(path.clone(), alike.reason);
        Ok(())
    }

    /// Notes what a path has instead of what it was to get, after a change. Says nothing of one that was disturbed.
    pub(super) fn note_unheld(
        &mut self,
        path: &RelPath,
        applied: &Applied,
    ) -> Result<(), SyncError> {
        match applied.outcome {
            Outcome::Holds(_) => self.note_found_instead(path, applied.unheld.clone()),
            Outcome::Gone | Outcome::Disturbed => Ok(()),
        }
    }

    /// As [`Self::note_unheld`] for the root itself, which was to get `wanted`, and is as it was `found` afterwards.
    pub(super) fn note_unheld_root(
        &mut self,
        wanted: &Metadata,
        found: &Metadata,
        unapplied: &[Unapplied],
    ) -> Result<(), SyncError> {
        fn other<T: PartialEq + Clone>(wanted: &Option<T>, found: &Option<T>) -> Option<T> {
            (found.clone()).filter(|_| wanted.is_some() && wanted != found)
        }
        let found = Metadata {
            mode: other(&wanted.mode, &found.mode),
            mtime: other(&wanted.mtime, &found.mtime),
            owner: other(&wanted.owner, &found.owner),
            xattrs: other(&wanted.xattrs, &found.xattrs),
        };
        let is_refused = unapplied.iter().any(Unapplied::is_refused);
        let unheld = (found != Metadata::default()).then_some(Unheld { found, is_refused });
        self.note_found_instead(&RelPath::root(), unheld)
    }

    fn note_found_instead(
        &mut self,
        path: &RelPath,
        unheld: Option<Unheld>,
    ) -> Result<(), SyncError> {
        let was_listed = self.unheld.remove(path).is_some();
        let Some(mut unheld) = unheld else {
            return match was_listed {
                true => self.record_unheld(path, None),
                false => Ok(()),
            };
        };
        if !self.tracking.owner {
            unheld.found.owner = None;
        }
        let listed = self.without_rounding(path, unheld.found.clone())?;
        let found = Some(unheld.found).filter(|found| *found != Metadata::default());
        self.record_unheld(path, found)?;
        if listed != Metadata::default() {
            let reason = SkipReason::NotHeld {
                aspects: aspects(&listed),
                is_refused: unheld.is_refused,
            };
            self.unheld.insert(path.clone(), reason.clone());
            self.skip(path.clone(), reason);
        }
        Ok(())
    }

    /// As [`Self::note_unheld`] after the time of a directory was set, and nothing else of it: the time that it has instead.
    pub(super) fn note_unheld_time(
        &mut self,
        path: &RelPath,
        mtime: Option<Timestamp>,
    ) -> Result<(), SyncError> {
        let record = self.replica.record(path);
        let record = record.map_err(|error| self.failed(error))?;
        let before = record.local.and_then(|local| local.unheld);
        let found = Metadata {
            mtime,
            ..before.map(|before| *before).unwrap_or_default()
        };
        self.record_unheld(
            path,
            Some(found).filter(|found| *found != Metadata::default()),
        )
    }

    /// Leaves out a time that the storage only keeps less finely: that is remembered, and worth no word.
    fn without_rounding(&self, path: &RelPath, mut found: Metadata) -> Result<Metadata, SyncError> {
        let record = self.replica.record(path);
        let held = record.map_err(|error| self.failed(error))?.held_metadata();
        if let (Some(set), Some(wanted)) = (found.mtime, held.and_then(|held| held.mtime))
            && set.seconds.abs_diff(wanted.seconds) <= ROUNDING_SECONDS_MAX
        {
            found.mtime = None;
        }
        Ok(found)
    }

    fn record_unheld(&mut self, path: &RelPath, found: Option<Metadata>) -> Result<(), SyncError> {
        let noted = self.replica.note_unheld(path, found);
        noted.map_err(|error| self.failed(error))
    }

    /// Lists again what an earlier run could not set.
    pub(super) fn recall_unheld(&mut self) -> Result<(), SyncError> {
        for row in self.kept_skipped()? {
            if is_not_held(&row.reason) {
                self.unheld.insert(row.path, row.reason);
            }
        }
        self.list_unheld();
        Ok(())
    }

    /// Lists what is not held among what is skipped.
    pub(super) fn list_unheld(&mut self) {
        self.skipped.retain(|row| !is_not_held(&row.reason));
        for (path, reason) in self.unheld.clone() {
            self.skip(path, reason);
        }
    }

    /// Tries to set what could not be set before, and forgets what is as it should be, or was changed by a user since. Of what
    /// the filesystem does not hold, one path is tried for all.
    pub(super) fn retry_unheld(&mut self) -> Result<(), SyncError> {
        if self.hands.is_none() || self.unheld.is_empty() {
            return Ok(());
        }
        let mut in_vain: BTreeSet<String> = BTreeSet::new();
        for (path, reason) in self.unheld.clone() {
            let SkipReason::NotHeld {
                aspects,
                is_refused,
            } = reason
            else {
                continue;
            };
            let record = self.replica.record(&path);
            let record = record.map_err(|error| self.failed(error))?;
            if record.local.is_none_or(|local| local.unheld.is_none()) {
                self.unheld.remove(&path);
                continue;
            }
            if !is_refused && in_vain.contains(&aspects) {
                continue;
            }
            match self.retry_one(&path)? {
                true if !is_refused => drop(in_vain.insert(aspects)),
                true => {}
                false => drop(self.unheld.remove(&path)),
            }
        }
        self.list_unheld();
        Ok(())
    }

    /// Tries one path again; whether something is still not held there.
    fn retry_one(&mut self, path: &RelPath) -> Result<bool, SyncError> {
        let record = self.replica.record(path);
        let record = record.map_err(|error| self.failed(error))?;
        let (Some(local), Some(wanted)) = (&record.local, record.held_metadata()) else {
            return Ok(false);
        };
        let (Some(_), Some(hands)) = (&local.unheld, &self.hands) else {
            return Ok(false);
        };
        if record.pending {
            // What it is to become is set with that.
            return Ok(true);
        }
        let found = match path.is_root() {
            true => self.root.observe_itself(self.tracking).map(Some),
            false => self.root.observe(path, self.tracking),
        };
        let found = found.map_err(|error| self.fs_failed(error))?;
        let expected = found.filter(|found| {
            // What kept it from being set, as an attribute of the file, may have been taken away.
            let restamped = Fingerprint {
                ctime: found.fingerprint.ctime,
                ..local.fingerprint
            };
            let (seen, _) = local.conceal(found.metadata.clone(), &wanted);
            found.fingerprint == restamped && seen.agrees_with(&wanted)
        });
        let expected = expected.map(|found| found.fingerprint);
        if expected.is_none() {
            return Ok(true);
        }
        let change = Change {
            path: path.clone(),
            expected,
            action: Action::SetMetadata(wanted),
            displaced: Displaced::Discard,
        };
        let applied = hands.applier.commit(vec![change]).into_iter().next();
        // Somebody changed it, or it cannot be opened: the next scan says more.
        let Some(Ok(applied)) = applied else {
            return Ok(true);
        };
        let Outcome::Holds(fingerprint) = applied.outcome else {
            return Ok(true);
        };
        // Where seconds are counted, what a user does next may not show in the fingerprint.
        let is_coarse = fingerprint.ctime.nanoseconds == 0;
        let refreshed = self.replica.refresh(path, fingerprint);
        let marked = refreshed.and_then(|()| match is_coarse {
            true => self.replica.doubt(path),
            false => Ok(()),
        });
        marked.map_err(|error| self.failed(error))?;
        self.note_unheld(path, &applied)?;
        Ok(self.unheld.contains_key(path))
    }
}

/// Whether a path is listed because its storage does not hold all of its description.
pub(super) fn is_not_held(reason: &SkipReason) -> bool {
    matches!(reason, SkipReason::NotHeld { .. })
}

/// The aspects that a description speaks of.
fn aspects(found: &Metadata) -> String {
    let aspects = [
        ("mode", found.mode.is_some()),
        ("time of modification", found.mtime.is_some()),
        ("owner", found.owner.is_some()),
        ("extended attributes", found.xattrs.is_some()),
    ];
    let named = aspects.iter().filter(|(_, speaks)| *speaks);
    let names: Vec<&str> = named.map(|(name, _)| *name).collect();
    names.join(", ")
}
