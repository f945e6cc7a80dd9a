//! Removing and renaming.

use std::os::fd::AsFd;

use replicat_core::path::RelPath;
use replicat_core::record::Fingerprint;
use rustix::fs::Statx;
use rustix::io::Errno;

use crate::apply::calls::At;
use crate::apply::error::{ApplyError, Obstacle};
use crate::apply::install::is_there;
use crate::apply::placing::place;
use crate::apply::verify::matches_displaced;
use crate::apply::{Applied, Applier, Outcome, Reserved, at};
use crate::observe::{Kind, fingerprint, kind};
use crate::root::{Parent, stat_at};
use crate::stage::slot::{Origin, Slot};

impl Applier {
    /// The file is renamed away first and looked at then: what is removed is what was looked at.
    pub(super) fn remove(
        &self,
        path: &RelPath,
        expected: &Fingerprint,
        reserved: Reserved,
    ) -> Result<Applied, ApplyError> {
        let parent = self.parent(path)?;
        let before = self.check(path, &parent, expected)?;
        if kind(&before) == Kind::Directory {
            return self.remove_directory(path, expected);
        }
        let name = Slot::new(reserved.id, Origin::User, &parent.name).name();
        let slot = At::new(&self.staging.area.displaced, &name);
        // Nothing has the slot's name: ids are never given twice.
        match self.in_directory(path, &parent, || {
            self.calls().rename_over(at(&parent), slot)
        }) {
            Ok(()) => {}
            Err(Errno::NOENT) => return Err(self.changed(path)),
            Err(source) => return Err(self.refused("remove", path, &parent, source)),
        }
        let mut applied = Applied::new(Outcome::Gone);
        match self.stat_slot(&name) {
            Ok(found) if matches_displaced(&before, &found) => {
                if found.stx_nlink > 1 {
                    self.own_changes
                        .note(&fingerprint(&before), &fingerprint(&found));
                }
                applied.trashed = self.dispose(slot, &parent.name, &found, reserved);
                Ok(applied)
            }
            _ => Err(self.put_back(path, &parent, slot, reserved.id)),
        }
    }

    /// Only an empty directory can go; the system sees to that.
    pub(super) fn remove_directory(
        &self,
        path: &RelPath,
        expected: &Fingerprint,
    ) -> Result<Applied, ApplyError> {
        let parent = self.parent(path)?;
        self.check(path, &parent, expected)?;
        match self.in_directory(path, &parent, || self.calls().remove_directory(at(&parent))) {
            Ok(()) => Ok(Applied::new(Outcome::Gone)),
            Err(Errno::NOTEMPTY | Errno::EXIST) => Err(ApplyError::NotEmpty(self.root.shown(path))),
            Err(Errno::NOENT | Errno::NOTDIR) => Err(self.changed(path)),
            Err(source) => Err(self.refused("remove", path, &parent, source)),
        }
    }

    /// A file or a whole directory comes from another path. What the path held is removed first.
    pub(super) fn rename(
        &self,
        path: &RelPath,
        expected: Option<Fingerprint>,
        (from, moved): (&RelPath, &Fingerprint),
        reserved: Reserved,
    ) -> Result<Applied, ApplyError> {
        self.check_reserved(from)?;
        let source = self.parent(from)?;
        let before = self.check(from, &source, moved)?;
        let mut trashed = None;
        if let Some(expected) = expected {
            trashed = self.remove(path, &expected, reserved)?.trashed;
        }
        let parent = self.parent(path)?;
        self.move_name((from, &source), (path, &parent))?;
        let mut applied = self.check_moved((from, &source), (path, &parent), &before)?;
        applied.trashed = trashed;
        Ok(applied)
    }

    fn move_name(
        &self,
        (from, source): (&RelPath, &Parent),
        (path, parent): (&RelPath, &Parent),
    ) -> Result<(), ApplyError> {
        let take = || place(self.calls(), at(source), at(parent));
        let give = || self.in_directory(from, source, take);
        match self.in_directory(path, parent, give) {
            Ok(()) => Ok(()),
            Err(Errno::EXIST | Errno::NOTEMPTY) => match self.taken(path, parent) {
                ApplyError::Refused { .. } if is_respelled(from, path) => {
                    let renamed = self.calls().rename_over(at(source), at(parent));
                    renamed.map_err(|source| self.refused("rename to", path, parent, source))
                }
                error => Err(error),
            },
            Err(Errno::NOENT) if is_there(parent) && stat_at_parent(source).is_ok() => {
                Err(self.refused_as("rename to", path, Errno::NOENT, Obstacle::BadName))
            }
            Err(Errno::NOENT) => Err(self.changed(from)),
            Err(source) => Err(self.refused("rename to", path, parent, source)),
        }
    }

    /// Whether what came is what was expected; if not it goes back, and both paths are looked at again.
    fn check_moved(
        &self,
        (from, source): (&RelPath, &Parent),
        (path, parent): (&RelPath, &Parent),
        before: &Statx,
    ) -> Result<Applied, ApplyError> {
        let found = stat_at(parent.directory.as_fd(), parent.name())
            .map_err(|source| self.refused("look at", path, parent, source))?;
        if matches_displaced(before, &found) {
            if found.stx_nlink > 1 && kind(&found) != Kind::Directory {
                self.own_changes
                    .note(&fingerprint(before), &fingerprint(&found));
            }
            return Ok(Applied::new(Outcome::Holds(fingerprint(&found))));
        }
        if let Err(reason) = place(self.calls(), at(parent), at(source)) {
            tracing::warn!(%from, %path, %reason, "a file that changed while it was renamed stays renamed");
        }
        Err(self.changed(from))
    }
}

fn stat_at_parent(parent: &Parent) -> Result<Statx, Errno> {
    stat_at(parent.directory.as_fd(), parent.name())
}

/// Whether two paths of one directory differ in the case of letters only.
fn is_respelled(from: &RelPath, to: &RelPath) -> bool {
    let lower = |path: &RelPath| String::from_utf8_lossy(path.as_bytes()).to_lowercase();
    from.parent() == to.parent() && lower(from) == lower(to)
}
