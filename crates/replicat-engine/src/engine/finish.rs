//! The end of a run: the roots themselves, what is left undone, and what the next run has to know.

use std::collections::BTreeMap;

use replicat_core::entry::Metadata;
use replicat_core::path::RelPath;
use replicat_core::plan::Planned;
use replicat_core::resolve::Shown;
use replicat_core::store::Store;

use super::failures::Failures;
use super::local::{LocalReplica, SETTING_SYNCED, name_of};
use super::sighting::present;
use super::unheld::is_not_held;
use super::{clock, retention};
use crate::error::SyncError;
use crate::event::{PlanTotals, RootIndex};
use crate::report::{ChangeCounts, RootReport, SkipReason};

/// How many pending paths are looked at at once.
const PAGE_ROWS: usize = 512;

/// Whether a run did all that it could.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// It did: what is not done now is skipped.
    Complete,
    /// It was cancelled, or stopped by a brake.
    CutShort,
}

/// The reports of all roots in the order given, those that failed among them.
pub(super) fn all_roots(
    mut reports: BTreeMap<RootIndex, RootReport>,
    failures: Failures<'_>,
) -> Vec<RootReport> {
    for (number, root, failure) in failures.into_each() {
        let report = reports.entry(number).or_insert_with(|| RootReport {
            name: name_of(&root),
            root,
            folder: None,
            replica: None,
            changes: ChangeCounts::default(),
            failure: None,
        });
        report.failure = Some(failure);
    }
    reports.into_values().collect()
}

impl LocalReplica {
    /// Notes what the run has come to. Returns whether the others should know.
    pub(super) fn note_end(&mut self, equal: bool) -> Result<bool, SyncError> {
        self.calm_itself()?;
        retention::purge(self)?;
        // A storage that misses what it is recorded to hold has not applied it.
        if self.deletions.holds() {
            return Ok(false);
        }
        let news = self.replica.note_applied();
        let news = news.map_err(|error| self.failed(error))?;
        if equal && self.pending()? == 0 {
            let now = clock::now_seconds().to_string();
            self.set_setting(SETTING_SYNCED, Some(now.as_bytes()))?;
        }
        Ok(news)
    }

    /// Keeps what the next run has to know.
    pub(super) fn keep_end(&mut self, ending: Ending) -> Result<(), SyncError> {
        if ending == Ending::Complete {
            self.drop_stale_skips()?;
            self.retry_unheld()?;
            self.skip_unfinished()?;
            self.keep_skipped()?;
            self.keep_rules()?;
        }
        self.commit()
    }

    /// Lists what cannot be done because the root is only read.
    pub(super) fn skip_read_only(&mut self) -> Result<(), SyncError> {
        (self.skipped).retain(|skipped| skipped.reason != SkipReason::ReadOnly);
        self.skip_pending(&SkipReason::ReadOnly)
    }

    /// How many paths have work to do.
    pub(super) fn pending(&self) -> Result<u64, SyncError> {
        let count = self.replica.store().pending_count();
        count.map_err(|error| self.failed(error))
    }

    /// Observes the root directory, as it was before replicat touched it. The root of an empty replica says nothing: it
    /// takes on what the others say.
    pub(super) fn observe_itself(&mut self) -> Result<(), SyncError> {
        let root = RelPath::root();
        let record = self
            .replica
            .record(&root)
            .map_err(|error| self.failed(error))?;
        let known = record.local.as_ref().map(|local| local.fingerprint);
        let records = self
            .replica
            .store()
            .record_count()
            .map_err(|error| self.failed(error))?;
        if known == Some(self.itself.fingerprint) || records == 0 {
            return Ok(());
        }
        let Some(found) = present(&self.itself, None, None) else {
            return Ok(());
        };
        let observed = self.replica.observe(clock::now(), &root, found);
        observed.map(drop).map_err(|error| self.failed(error))
    }

    /// Gives the root directory its own time again, which changes in it have disturbed.
    pub(super) fn calm_itself(&mut self) -> Result<(), SyncError> {
        let Some(hands) = self.hands.as_ref().filter(|_| !self.is_read_only) else {
            return Ok(());
        };
        let root = RelPath::root();
        let record = self
            .replica
            .record(&root)
            .map_err(|error| self.failed(error))?;
        let wanted = record
            .entry
            .shown()
            .and_then(|shown| shown.metadata().mtime);
        let found = self.root.observe_itself(self.tracking);
        let found = found.map_err(|error| self.fs_failed(error))?;
        let known = record.local.map(|local| local.fingerprint);
        if wanted.is_none() || known.is_none() || known == Some(found.fingerprint) {
            return Ok(());
        }
        let metadata = Metadata {
            mtime: wanted,
            ..Metadata::default()
        };
        let unset = self.root.describe_itself(&hands.calls, &metadata);
        unset.map_err(|error| self.fs_failed(error))?;
        let found = self.root.observe_itself(self.tracking);
        let found = found.map_err(|error| self.fs_failed(error))?;
        let noted = self.replica.refresh(&root, found.fingerprint);
        noted.map_err(|error| self.failed(error))?;
        let instead = found.metadata.mtime.filter(|found| Some(*found) != wanted);
        self.note_unheld_time(&root, instead)
    }

    /// What is to be done in this root, as far as it is known now.
    pub(super) fn totals(&self) -> Result<PlanTotals, SyncError> {
        let mut totals = PlanTotals::default();
        self.for_each_pending(|local, path| {
            let record = local
                .replica
                .record(path)
                .map_err(|error| local.failed(error))?;
            match record.entry.shown().filter(Shown::is_live) {
                Some(shown) => {
                    totals.files += 1;
                    let wanted = shown.payload();
                    if let replicat_core::entry::Payload::File { size, .. } = wanted
                        && record.held_payload().as_ref() != Some(wanted)
                    {
                        totals.bytes += size;
                    }
                }
                None if record.local.is_some() => {
                    let moves = record.entry.shown();
                    let moves = moves.is_some_and(|shown| shown.payload().moved_to().is_some());
                    totals.moves += u64::from(moves);
                    totals.deletes += u64::from(!moves);
                }
                None => {}
            }
            Ok(())
        })?;
        Ok(totals)
    }

    /// Lists what is still to be done and in scope, if no reason was given yet.
    fn skip_unfinished(&mut self) -> Result<(), SyncError> {
        self.skip_pending(&SkipReason::Changing)
    }

    fn skip_pending(&mut self, reason: &SkipReason) -> Result<(), SyncError> {
        let mut unfinished = Vec::new();
        let filter = self.filter.clone();
        let root = std::sync::Arc::clone(&self.root);
        let mut scope = filter.paths(&root);
        self.for_each_pending(|local, path| {
            let planned = local
                .replica
                .plan(path)
                .map_err(|error| local.failed(error))?;
            // A person decides about these.
            if local.is_held_back(path)? {
                return Ok(());
            }
            let is_directory = match planned {
                Planned::Nothing => return Ok(()),
                Planned::Step(step) => step.goal.is_some_and(|goal| goal.payload.is_directory()),
                Planned::Blocked(_) => false,
            };
            let excluded = !path.is_root()
                && scope
                    .excludes(path, is_directory)
                    .map_err(|error| local.fs_failed(error))?;
            let told = local
                .skipped
                .iter()
                .any(|skipped| !is_not_held(&skipped.reason) && path.is_within(&skipped.path));
            if !excluded && !told {
                unfinished.push(path.clone());
            }
            Ok(())
        })?;
        for path in unfinished {
            self.skip(path, reason.clone());
        }
        Ok(())
    }

    pub(super) fn for_each_pending(
        &self,
        mut visit: impl FnMut(&Self, &RelPath) -> Result<(), SyncError>,
    ) -> Result<(), SyncError> {
        let mut cursor: Option<RelPath> = None;
        loop {
            let page = self.replica.store().pending(cursor.as_ref(), PAGE_ROWS);
            let page = page.map_err(|error| self.failed(error))?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            cursor = Some(last.clone());
            page.iter().try_for_each(|path| visit(self, path))?;
        }
    }

    pub(super) fn report(&self) -> RootReport {
        let identity = self.replica.identity();
        let is_real = self.hands.is_some();
        RootReport {
            root: self.given.clone(),
            folder: is_real.then_some(identity.folder),
            replica: is_real.then_some(identity.replica),
            name: identity.name.clone(),
            changes: self.changes,
            failure: None,
        }
    }
}

impl ChangeCounts {
    /// Adds the changes of another root.
    pub(super) fn add(&mut self, other: Self) {
        self.created += other.created;
        self.updated += other.updated;
        self.metadata += other.metadata;
        self.deleted += other.deleted;
        self.moved += other.moved;
    }
}
