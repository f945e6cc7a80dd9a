//! Changing single files of a root on a user's behalf.

use replicat_core::entry::Metadata;
use replicat_core::path::RelPath;
use replicat_core::record::Fingerprint;
use replicat_fs::apply::error::ApplyError;
use replicat_fs::apply::{Action, Change, Displaced};

use super::open::Looked;
use crate::engine::{clock, skipping};
use crate::error::SyncError;

impl Looked {
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
        let change = self.change_of(path, expected, action)?;
        self.change_all(vec![change])?.into_iter().collect()
    }

    /// A change that moves what is displaced to the trash.
    pub(super) fn change_of(
        &self,
        path: &RelPath,
        expected: Option<Fingerprint>,
        action: Action,
    ) -> Result<Change, SyncError> {
        let content = match &expected {
            Some(found) => self.known_content(path, found)?,
            None => None,
        };
        Ok(Change {
            path: path.clone(),
            expected,
            action,
            displaced: Displaced::ToTrash { content },
        })
    }

    /// Makes changes, durable when this returns. One that fails stops no other: its error stands in its place.
    pub(super) fn change_all(
        &mut self,
        changes: Vec<Change>,
    ) -> Result<Vec<Result<(), SyncError>>, SyncError> {
        let Some(hands) = &self.local.hands else {
            return Ok(Vec::new());
        };
        let touched = replicat_fs::apply::Touched::by(&changes);
        let paths: Vec<RelPath> = changes.iter().map(|change| change.path.clone()).collect();
        let refused = |path: &RelPath, error: &ApplyError| SyncError::Io {
            action: "change",
            path: self.local.root.shown(path),
            source: std::io::Error::other(skipping::of_apply(error).to_string()),
        };
        let root = RelPath::root();
        let flushed = hands.applier.flush(&changes);
        flushed.map_err(|error| refused(paths.first().unwrap_or(&root), &error))?;
        let results = hands.applier.commit(changes).into_iter().zip(&paths);
        let results = results.map(|(result, path)| match result {
            Ok(_) => Ok(()),
            Err(error) => Err(refused(path, &error)),
        });
        let results = results.collect();
        let flushed = hands.applier.flush_directories(&touched);
        flushed.map_err(|error| refused(paths.first().unwrap_or(&root), &error))?;
        Ok(results)
    }
}
