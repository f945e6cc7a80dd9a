//! Files that a program puts into a root, or takes out of it, on a user's behalf.

use replicat_core::id::ContentHash;
use replicat_core::path::RelPath;
use replicat_core::record::Fingerprint;
use replicat_fs::apply::Action;
use replicat_fs::observe::{Kind, Observation};
use replicat_fs::stage::Staged;
use replicat_fs::state::STATE_DIRECTORY;

use super::open::Looked;
use crate::engine::local::LocalReplica;
use crate::error::SyncError;

/// What a path must hold before it is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// Whatever it holds.
    Anything,
    /// Nothing.
    Nothing,
    /// A file of this content.
    Content(ContentHash),
    /// A file of some content.
    Something,
}

/// Puts a file that was staged at `path`, and makes the directories above it. What the path holds goes to the trash. Tells
/// whether there was nothing.
pub(in crate::engine) fn put_in(
    local: LocalReplica,
    path: &RelPath,
    staged: Staged,
    precondition: Precondition,
) -> (LocalReplica, Result<bool, SyncError>) {
    let mut looked = Looked::lent(local);
    let done = looked.put(path, staged, precondition);
    (looked.into_local(), done)
}

/// Moves the file or symbolic link at `path` to the trash.
pub(in crate::engine) fn remove_in(
    local: LocalReplica,
    path: &RelPath,
    precondition: Precondition,
) -> (LocalReplica, Result<(), SyncError>) {
    let mut looked = Looked::lent(local);
    let done = looked.take_out(path, precondition);
    (looked.into_local(), done)
}

impl Looked {
    fn put(
        &mut self,
        path: &RelPath,
        staged: Staged,
        precondition: Precondition,
    ) -> Result<bool, SyncError> {
        let expected = self.met(path, precondition)?;
        self.make_directories(path)?;
        self.change(path, expected, Action::Put(Box::new(staged)))?;
        self.local.commit()?;
        Ok(expected.is_none())
    }

    fn take_out(&mut self, path: &RelPath, precondition: Precondition) -> Result<(), SyncError> {
        let expected = self.met(path, precondition)?;
        if expected.is_none() {
            return Err(SyncError::UnknownPath {
                root: self.local.given.clone(),
                path: path.clone(),
            });
        }
        self.change(path, expected, Action::Remove)?;
        self.local.commit()
    }

    /// What the path holds, if it is what is expected. Nobody changes it between that and the commit: the commit asks for
    /// the same.
    fn met(
        &self,
        path: &RelPath,
        precondition: Precondition,
    ) -> Result<Option<Fingerprint>, SyncError> {
        let root = || self.local.given.clone();
        if is_reserved(path) {
            let path = path.clone();
            return Err(SyncError::Reserved { root: root(), path });
        }
        let found = match self.leads(path)? {
            true => self.observed(path)?,
            false => None,
        };
        let is_met = match (precondition, &found) {
            (Precondition::Anything, _) | (Precondition::Nothing, None) => true,
            (Precondition::Something, found) => found.is_some(),
            (Precondition::Content(content), Some(found)) => {
                self.known_content(path, &found.fingerprint)? == Some(content)
            }
            (Precondition::Nothing, Some(_)) | (Precondition::Content(_), None) => false,
        };
        if !is_met {
            let path = path.clone();
            return Err(SyncError::Unexpected { root: root(), path });
        }
        match found {
            Some(found) if !matches!(found.kind, Kind::File | Kind::Symlink) => {
                let path = path.clone();
                Err(SyncError::NotFile { root: root(), path })
            }
            found => Ok(found.map(|found| found.fingerprint)),
        }
    }

    /// Whether all directories above `path` are there. What else stands in the way is an error: a link above all.
    fn leads(&self, path: &RelPath) -> Result<bool, SyncError> {
        let above: Vec<_> = std::iter::successors(path.parent(), RelPath::parent).collect();
        for directory in above.into_iter().rev().filter(|above| !above.is_root()) {
            match self.observed(&directory)? {
                None => return Ok(false),
                Some(found) if found.kind == Kind::Directory => {}
                Some(_) => {
                    let root = self.local.given.clone();
                    return Err(SyncError::NotDirectory {
                        root,
                        path: directory,
                    });
                }
            }
        }
        Ok(true)
    }

    fn observed(&self, path: &RelPath) -> Result<Option<Observation>, SyncError> {
        let found = self.root().observe(path, self.local.tracking);
        found.map_err(|error| self.local.fs_failed(error))
    }

    /// What is known to be the content of what the path holds now.
    pub(super) fn known_content(
        &self,
        path: &RelPath,
        now: &Fingerprint,
    ) -> Result<Option<ContentHash>, SyncError> {
        let record = self.local.replica.record(path);
        let record = record.map_err(|error| self.local.failed(error))?;
        let is_known = (record.local.as_ref()).is_some_and(|local| local.fingerprint == *now);
        let content = record.held_payload().and_then(|held| held.content());
        Ok(content.filter(|_| is_known))
    }
}

/// Whether a path is the root, or belongs to the state in it or below it.
pub(in crate::engine) fn is_reserved(path: &RelPath) -> bool {
    let mut names = path.components();
    path.is_root() || names.any(|name| name == STATE_DIRECTORY.as_bytes())
}
