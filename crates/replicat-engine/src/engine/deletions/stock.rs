//! What the storage holds and is to lose, and what of a missing path is no loss.

use replicat_core::entry::Payload;
use replicat_core::path::RelPath;
use replicat_core::record::{Holdings, Local, Record};
use replicat_core::resolve::Shown;
use replicat_core::store::Store;

use super::guard::{Held, Stock, Traffic};
use super::window::place_of;
use crate::engine::local::{self, LocalReplica};
use crate::error::SyncError;

/// How many paths of one content are looked at.
const SAME_CONTENT_MAX: usize = 16;

/// What a peer deleted and the storage still holds.
pub(super) struct Departing {
    pub(super) path: RelPath,
    pub(super) held: Held,
    pub(super) record: Record,
}

impl LocalReplica {
    /// The sums of what the storage holds, by the index. They do not tell what was judged before, nor what replaces what.
    pub(in crate::engine) fn sums(&self) -> Result<Stock, SyncError> {
        let store = self.replica.store();
        let recorded = store.holdings().map_err(|error| self.failed(error))?;
        let departing = store.departing().map_err(|error| self.failed(error))?;
        Ok(Stock {
            recorded,
            departing,
            ..Stock::default()
        })
    }

    /// What the storage holds, as it is judged.
    pub(super) fn stock(&self) -> Result<Stock, SyncError> {
        let mut stock = self.sums()?;
        let held = self.deletions.guard.held_files();
        if held > 1 && stock.recorded.files <= held {
            stock.is_emptied = local::is_empty(&self.given, self.root.path())?;
        }
        if stock.departing.files > 0 && !self.deletions.judged.is_empty() {
            stock.departing = stock.departing.minus(self.judged_before()?);
        }
        if self.deletions.guard.wants_places(&stock) {
            self.sort_by_place(&mut stock)?;
        }
        Ok(stock)
    }

    /// How much of what is to go was judged where it was found, by the same run.
    fn judged_before(&self) -> Result<Holdings, SyncError> {
        let mut judged = Holdings::default();
        self.for_each_departing(|local, departing| {
            let shown = departing.record.entry.shown();
            if shown.is_some_and(|shown| local.deletions.is_judged(shown.winner.dot)) {
                judged = judged.plus(departing.record.departing());
            }
        })?;
        Ok(judged)
    }

    /// Sorts what is to go and what is to come by place, without what only came and goes again.
    fn sort_by_place(&self, stock: &mut Stock) -> Result<(), SyncError> {
        let mut traffic = Traffic::default();
        let mut passing_through = Holdings::default();
        self.for_each_pending(|local, path| {
            let record = local.replica.record(path);
            let record = record.map_err(|error| local.failed(error))?;
            let shown = record.entry.shown();
            let (places, what) = match shown.filter(Shown::is_live) {
                Some(shown) => match record.local {
                    None => (&mut traffic.incoming, size_of(shown.payload())),
                    Some(_) => return Ok(()),
                },
                None => (&mut traffic.departing, record.departing()),
            };
            let deletion = record.entry.shown().filter(|shown| !shown.is_live());
            if deletion.is_some_and(|shown| local.deletions.is_judged(shown.winner.dot)) {
                return Ok(());
            }
            if local.deletions.guard.is_passing_through(path, stock) {
                passing_through = passing_through.plus(record.departing());
            } else if what.files > 0 {
                let sum = places.entry(place_of(path)).or_default();
                *sum = sum.plus(what);
            }
            Ok(())
        })?;
        stock.departing = stock.departing.minus(passing_through);
        stock.by_place = Some(traffic);
        Ok(())
    }

    /// Calls `visit` for all that peers deleted and the storage still holds, directories as well.
    pub(super) fn for_each_departing(
        &self,
        mut visit: impl FnMut(&Self, Departing),
    ) -> Result<(), SyncError> {
        self.for_each_pending(|local, path| {
            let record = local.replica.record(path);
            let record = record.map_err(|error| local.failed(error))?;
            let shown = record.entry.shown();
            let is_deleted = shown.is_some_and(|shown| {
                matches!(shown.payload(), Payload::Tombstone { moved_to: None })
            });
            let held = match record.held_payload().filter(|_| is_deleted) {
                Some(Payload::Directory) => None,
                Some(payload) => Some(size_of(&payload).bytes),
                None => return Ok(()),
            };
            let path = path.clone();
            visit(local, Departing { path, held, record });
            Ok(())
        })
    }

    /// Whether a deletion that another replica announced of `path` waits for a decision.
    pub(in crate::engine) fn is_held_back(&self, path: &RelPath) -> Result<bool, SyncError> {
        if !self.deletions.holds_departing {
            return Ok(false);
        }
        let record = self.replica.record(path);
        let record = record.map_err(|error| self.failed(error))?;
        let shown = record.entry.shown();
        Ok(shown.is_none_or(|shown| {
            let is_move = shown.payload().moved_to().is_some();
            !shown.is_live() && !is_move && !self.deletions.is_judged(shown.winner.dot)
        }))
    }

    /// Where a file that is gone from `path` is: at another path, or its content in a file that was made within the window.
    pub(super) fn elsewhere(
        &self,
        path: &RelPath,
        held: &Payload,
        local: &Local,
    ) -> Result<Option<RelPath>, SyncError> {
        let Some(content) = held.leaf_substance() else {
            return Ok(None);
        };
        let is_empty = matches!(held, Payload::File { size: 0, .. });
        let paths = self.replica.store().by_content(content, SAME_CONTENT_MAX);
        for other in paths.map_err(|error| self.failed(error))? {
            if other == *path || self.deletions.guard.held().contains_key(&other) {
                continue;
            }
            let record = self.replica.record(&other);
            let record = record.map_err(|error| self.failed(error))?;
            let Some(there) = &record.local else { continue };
            let is_same = there.fingerprint.is_of_same(&local.fingerprint);
            let payload = record.held_payload();
            let is_copy = !is_empty
                && self.deletions.guard.is_made(&other)
                && payload.and_then(|payload| payload.leaf_substance()) == Some(content);
            let is_there = || self.root.stat(&other).is_ok_and(|found| found.is_some());
            if (is_same || is_copy) && is_there() {
                return Ok(Some(other));
            }
        }
        Ok(None)
    }
}

/// What a file or link counts; nothing else does.
pub(super) fn size_of(payload: &Payload) -> Holdings {
    match payload {
        Payload::File { size, .. } => Holdings {
            files: 1,
            bytes: *size,
        },
        Payload::Symlink { .. } => Holdings { files: 1, bytes: 0 },
        Payload::Directory | Payload::Tombstone { .. } => Holdings::default(),
    }
}
