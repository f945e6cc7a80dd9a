//! Putting restored versions in place: their contents obtained, and what stands at a path moved to the trash.

use replicat_core::entry::Metadata;
use replicat_core::path::RelPath;
use replicat_fs::apply::{Action, Change};
use replicat_fs::observe::Kind;
use replicat_fs::stage::Staged;
use replicat_fs::trash::TrashId;

use super::fetching::{Provider, fetch};
use super::open::Looked;
use super::restoring::{Place, Target};
use crate::engine::held::Held;
use crate::engine::local::LocalReplica;
use crate::error::SyncError;
use crate::restoration::{NotRestored, Restoration, Restored};

/// Puts versions in place in a replica that is in use, which is given back.
pub(in crate::engine) fn place_in(
    local: LocalReplica,
    ready: Vec<Ready>,
) -> (LocalReplica, Result<Restored, SyncError>) {
    let mut looked = Looked::lent(local);
    let placed = looked.place(ready);
    (looked.into_local(), placed)
}

/// A version that can be put in place.
pub(in crate::engine) struct Ready {
    restoration: Restoration,
    material: Material,
}

enum Material {
    Trash(TrashId),
    Staged(Box<Staged>),
    Directory,
}

/// Makes a version ready to be put in place; back comes the target if nobody has its content.
pub(in crate::engine) fn obtain(
    held: &Held,
    target: Target,
    providers: &[Provider],
) -> Result<Ready, Box<Target>> {
    let material = match target.place {
        Place::Trash(id) => Material::Trash(id),
        Place::Directory => Material::Directory,
        Place::Nowhere => return Err(Box::new(target)),
        Place::Content(content) => {
            let (path, size) = (&target.restoration.path, target.restoration.size);
            let Some((staged, from)) = fetch(held, (path, content, size), providers) else {
                return Err(Box::new(target));
            };
            let restoration = Restoration {
                from,
                ..target.restoration
            };
            let material = Material::Staged(Box::new(staged));
            return Ok(Ready {
                restoration,
                material,
            });
        }
    };
    Ok(Ready {
        restoration: target.restoration,
        material,
    })
}

impl Looked {
    /// Puts versions in place; what the paths hold goes to the trash.
    pub(super) fn place(&mut self, ready: Vec<Ready>) -> Result<Restored, SyncError> {
        let mut placed = Restored::default();
        let (mut changes, mut waiting) = (Vec::new(), Vec::new());
        for Ready {
            restoration,
            material,
        } in ready
        {
            match self.prepare(&restoration.path, material) {
                Ok(None) => placed.restorations.push(restoration),
                Ok(Some(change)) => {
                    changes.push(change);
                    waiting.push(restoration);
                }
                Err(error) => placed.failed.push(not_restored(restoration.path, &error)),
            }
        }
        for (restoration, result) in waiting.into_iter().zip(self.change_all(changes)?) {
            match result {
                Ok(()) => placed.restorations.push(restoration),
                Err(error) => placed.failed.push(not_restored(restoration.path, &error)),
            }
        }
        self.local.commit()?;
        Ok(placed)
    }

    /// The change that puts a version in place; `None` if the directory is there.
    fn prepare(&mut self, path: &RelPath, material: Material) -> Result<Option<Change>, SyncError> {
        self.make_directories(path)?;
        let expected = self.fingerprint(path)?;
        let is_directory = self.is_directory(path)?;
        let action = match material {
            Material::Directory if is_directory => return Ok(None),
            // At once: what comes next may lie in it.
            Material::Directory => {
                let made = Action::MakeDirectory(Metadata::default());
                return self.change(path, expected, made).map(|()| None);
            }
            // Before anything is taken out of the trash.
            _ if is_directory => return Err(self.in_the_way("a directory", path)),
            Material::Staged(staged) => Action::Put(staged),
            Material::Trash(id) => {
                let taken = self.local.hands.as_ref().map(|hands| hands.trash.take(id));
                let Some(taken) = taken else { return Ok(None) };
                let staged = taken.map_err(|error| self.local.fs_failed(error))?;
                Action::Put(Box::new(staged))
            }
        };
        self.change_of(path, expected, action).map(Some)
    }

    fn in_the_way(&self, what: &str, path: &RelPath) -> SyncError {
        SyncError::Io {
            action: "restore",
            path: self.local.root.shown(path),
            source: std::io::Error::other(format!("{what} is in its place: move it away first")),
        }
    }

    fn is_directory(&self, path: &RelPath) -> Result<bool, SyncError> {
        let found = self.root().observe(path, self.local.tracking);
        let found = found.map_err(|error| self.local.fs_failed(error))?;
        Ok(found.is_some_and(|found| found.kind == Kind::Directory))
    }
}

fn not_restored(path: RelPath, error: &SyncError) -> NotRestored {
    let reason = match error {
        SyncError::Io { source, .. } => source.to_string(),
        error => error.to_string(),
    };
    NotRestored { path, reason }
}
