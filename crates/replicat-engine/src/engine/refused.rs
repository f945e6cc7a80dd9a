//! What was changed at a replica that only receives: the others refuse it, so that it stays there.
//!
//! Such a change is an event of this replica that no other has confirmed. The index finds them by their dots, so that the
//! number of files does not count.

use replicat_core::entry::{Entry, Payload, Version};
use replicat_core::record::Record;

use super::local::LocalReplica;
use crate::error::SyncError;
use crate::report::{LocalChange, RefusedChange, RefusedChanges};

/// How many changes are listed; all are counted.
const LISTED_MAX: usize = 1000;

impl LocalReplica {
    /// What was changed here and is confirmed by no other replica.
    pub(super) fn refused(&self) -> Result<RefusedChanges, SyncError> {
        let mut found = RefusedChanges::default();
        let mut times = RefusedChanges::default();
        let paths = self.replica.unconfirmed_paths();
        for path in paths.map_err(|error| self.failed(error))? {
            let record = self.replica.record(&path);
            let record = record.map_err(|error| self.failed(error))?;
            let Some(change) = self.unaccepted_change(&record) else {
                continue;
            };
            // What is made in a directory changes its time as well, which is no news beside it. Nobody makes the root.
            let changes = match change {
                Unaccepted::TimeOfDirectory => &mut times,
                Unaccepted::Change(LocalChange::Created) if path.is_root() => &mut times,
                Unaccepted::Change(_) => &mut found,
            };
            changes.count += 1;
            if changes.listed.len() < LISTED_MAX {
                let change = match change {
                    Unaccepted::TimeOfDirectory => LocalChange::Described,
                    Unaccepted::Change(change) => change,
                };
                changes.listed.push(RefusedChange { path, change });
            }
        }
        Ok(if found.count == 0 { times } else { found })
    }

    /// Whether a path shows what this replica made and no other has confirmed.
    pub(super) fn is_unaccepted(&self, record: &Record) -> bool {
        self.unaccepted_change(record).is_some()
    }

    fn unaccepted_change(&self, record: &Record) -> Option<Unaccepted> {
        let shown = record.entry.shown()?;
        if self.replica.is_unconfirmed(shown.winner.dot) {
            return Some(classify(shown.winner));
        }
        let others = record.entry.versions().iter();
        let others = others.filter(|version| !self.replica.is_unconfirmed(version.dot));
        let others = Entry::from_stored(others.cloned().collect());
        // The own version lost, and still describes the winner.
        let without = others.shown()?;
        let differs = without.metadata() != shown.metadata();
        differs.then_some(match shown.payload() {
            Payload::Directory => Unaccepted::TimeOfDirectory,
            _ => Unaccepted::Change(LocalChange::Described),
        })
    }
}

/// What an event of this replica did.
enum Unaccepted {
    /// Something was made in the directory, or taken out of it.
    TimeOfDirectory,
    Change(LocalChange),
}

fn classify(version: &Version) -> Unaccepted {
    let is_first = version.context.vector.is_empty();
    let stamps = version.stamps;
    let is_described = [stamps.mode, stamps.owner, stamps.xattrs].contains(&version.hlc);
    match &version.payload {
        Payload::Tombstone { .. } => Unaccepted::Change(LocalChange::Deleted),
        Payload::Directory if is_first => Unaccepted::Change(LocalChange::Created),
        Payload::Directory if is_described => Unaccepted::Change(LocalChange::Described),
        Payload::Directory => Unaccepted::TimeOfDirectory,
        _ if is_first => Unaccepted::Change(LocalChange::Created),
        payload if payload.substance() == version.base => {
            Unaccepted::Change(LocalChange::Described)
        }
        _ => Unaccepted::Change(LocalChange::Edited),
    }
}
