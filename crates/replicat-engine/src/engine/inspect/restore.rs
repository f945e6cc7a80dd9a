//! Bringing back what the trash holds, and moving files on a user's behalf.

use replicat_core::entry::Metadata;
use replicat_core::path::RelPath;
use replicat_core::record::Fingerprint;
use replicat_fs::apply::{Action, Change, Displaced};
use replicat_fs::trash::{TrashId, TrashItem};

use super::open::{self, Access, Looked};
use crate::engine::local::LocalReplica;
use crate::engine::{clock, skipping};
use crate::error::SyncError;
use crate::inspection::{Keeping, Restoration, Revision};
use crate::options::RootLocation;

/// Puts an old version of a path back, the latest that the trash holds unless `revision` names one. It counts as an edit,
/// which the next sync carries to the other roots; what the path holds now goes to the trash.
///
/// # Errors
/// [`SyncError::NoRevision`] if the version is not in the trash; what else keeps the files from being changed.
pub fn restore(
    location: &RootLocation,
    path: &RelPath,
    revision: Option<Revision>,
) -> Result<Restoration, SyncError> {
    open::open(location, Access::Write)?.restore(path, revision)
}

/// The same in a replica that is in use, which is given back.
pub(in crate::engine) fn restore_in(
    local: LocalReplica,
    path: &RelPath,
    revision: Option<Revision>,
) -> (LocalReplica, Result<Restoration, SyncError>) {
    let mut looked = Looked::lent(local);
    let done = looked.restore(path, revision);
    (looked.into_local(), done)
}

impl Looked {
    fn restore(
        &mut self,
        path: &RelPath,
        revision: Option<Revision>,
    ) -> Result<Restoration, SyncError> {
        let rows = self.history(path)?;
        let mut kept = rows.iter().filter(|row| row.keeping == Keeping::Trash);
        let row = kept.find(|row| revision.is_none_or(|wanted| wanted == row.revision));
        let missing = || SyncError::NoRevision {
            root: self.local.given.clone(),
            path: path.clone(),
            revision: revision.unwrap_or(Revision(1)),
        };
        let row = row.ok_or_else(missing)?;
        let items = self.trash(Some(path))?;
        let item = items.into_iter().rev().find(|item| {
            item.seconds == row.when.seconds && item.content == row.content && item.size == row.size
        });
        let item: TrashItem = item.ok_or_else(missing)?;
        self.put_back(path, item.id)?;
        self.local.commit()?;
        Ok(Restoration {
            path: path.clone(),
            revision: row.revision,
            size: row.size,
        })
    }

    fn put_back(&mut self, path: &RelPath, id: TrashId) -> Result<(), SyncError> {
        self.make_directories(path)?;
        let expected = self.fingerprint(path)?;
        let Some(hands) = &self.local.hands else {
            return Ok(());
        };
        let staged = hands
            .trash
            .take(id)
            .map_err(|error| self.local.fs_failed(error))?;
        self.change(path, expected, Action::Put(Box::new(staged)))
    }

    /// Makes the directories above `path` that are not there.
    pub(super) fn make_directories(&mut self, path: &RelPath) -> Result<(), SyncError> {
        let above: Vec<RelPath> = std::iter::successors(path.parent(), RelPath::parent).collect();
        for directory in above
            .into_iter()
            .rev()
            .filter(|directory| !directory.is_root())
        {
            if self.fingerprint(&directory)?.is_none() {
                self.change(&directory, None, Action::MakeDirectory(Metadata::default()))?;
            }
        }
        Ok(())
    }

    /// Moves what is at `path` to the trash.
    pub(super) fn remove(&mut self, path: &RelPath) -> Result<(), SyncError> {
        let expected = self.fingerprint(path)?;
        match expected {
            Some(_) => self.change(path, expected, Action::Remove),
            None => Ok(()),
        }
    }

    /// Replaces what is at `path`, which goes to the trash, by the file at `by`, which is moved there. At no moment is
    /// there nothing at `path`.
    pub(super) fn replace(&mut self, path: &RelPath, by: &RelPath) -> Result<(), SyncError> {
        let Some(source) = self.fingerprint(by)? else {
            return Err(SyncError::UnknownPath {
                root: self.local.given.clone(),
                path: by.clone(),
            });
        };
        let expected = self.fingerprint(path)?;
        let adopted = (self.local.hands.as_ref()).map(|hands| hands.applier.adopt(by, &source));
        match (expected, adopted) {
            (Some(_), Some(Ok(staged))) => {
                self.change(path, expected, Action::Put(Box::new(staged)))?;
                self.remove(by)
            }
            // Nothing is replaced, or the file cannot have two names.
            _ => {
                self.remove(path)?;
                let from = by.clone();
                let expected = source;
                self.change(path, None, Action::Rename { from, expected })
            }
        }
    }

    /// Makes of a conflict copy a file like any other.
    pub(super) fn acknowledge(&mut self, copy: &RelPath) -> Result<(), SyncError> {
        let done = self.local.replica.acknowledge_copy(clock::now(), copy);
        done.map(drop).map_err(|error| self.local.failed(error))
    }

    pub(super) fn fingerprint(&self, path: &RelPath) -> Result<Option<Fingerprint>, SyncError> {
        let found = self.local.root.observe(path, self.local.tracking);
        let found = found.map_err(|error| self.local.fs_failed(error))?;
        Ok(found.map(|found| found.fingerprint))
    }

    /// Makes one change, durable when this returns. The next sync observes it as a user's.
    pub(super) fn change(
        &mut self,
        path: &RelPath,
        expected: Option<Fingerprint>,
        action: Action,
    ) -> Result<(), SyncError> {
        let Some(hands) = &self.local.hands else {
            return Ok(());
        };
        let displaced = Displaced::ToTrash {
            content: self.content_at(path)?,
        };
        let changes = vec![Change {
            path: path.clone(),
            expected,
            action,
            displaced,
        }];
        let touched = replicat_fs::apply::Touched::by(&changes);
        let refused = |error: replicat_fs::apply::error::ApplyError| SyncError::Io {
            action: "change",
            path: self.local.root.shown(path),
            source: std::io::Error::other(skipping::of_apply(&error).to_string()),
        };
        hands.applier.flush(&changes).map_err(refused)?;
        for result in hands.applier.commit(changes) {
            result.map_err(refused)?;
        }
        hands.applier.flush_directories(&touched).map_err(refused)
    }

    pub(super) fn content_at(
        &self,
        path: &RelPath,
    ) -> Result<Option<replicat_core::id::ContentHash>, SyncError> {
        let record = self
            .local
            .replica
            .record(path)
            .map_err(|error| self.local.failed(error))?;
        Ok(record.held_payload().and_then(|held| held.content()))
    }
}
