//! Staged things to their paths: onto a new one, or in exchange for what is there.

use std::os::fd::AsFd;

use replicat_core::entry::{Metadata, Xattr};
use replicat_core::path::RelPath;
use replicat_core::record::Fingerprint;
use rustix::fs::{FileType, Mode, OFlags, Statx};
use rustix::io::Errno;

use crate::apply::calls::At;
use crate::apply::error::{ApplyError, Obstacle};
use crate::apply::placing::place;
use crate::apply::verify::matches_displaced;
use crate::apply::{Applied, Applier, Outcome, Reserved, at};
use crate::folding::is_spelled;
use crate::metadata::{self, Access, Target};
use crate::observe::{Kind, Tracking, fingerprint, kind};
use crate::root::{Parent, open_directory_at, stat_at, stat_descriptor};
use crate::stage::slot::{Origin, Slot};
use crate::stage::{Staged, is_empty};

const SET_GROUP_ID: u16 = 0o2000;
const OWNER_WRITE: u32 = 0o200;

impl Applier {
    pub(super) fn install(
        &self,
        path: &RelPath,
        expected: Option<Fingerprint>,
        mut staged: Staged,
        reserved: Reserved,
    ) -> Result<Applied, ApplyError> {
        let parent = self.parent(path)?;
        let trashed = match expected {
            None => {
                self.place_new(path, &parent, &mut staged)?;
                None
            }
            Some(expected) => self.replace(path, &parent, &expected, &mut staged, reserved)?,
        };
        staged.placed();
        let mut applied = Applied::new(self.outcome(&parent, &staged));
        applied.trashed = trashed;
        applied.unapplied = std::mem::take(&mut staged.unapplied);
        applied.unheld = staged.seen.as_ref().and_then(|seen| {
            let read = || self.xattrs_of(path);
            metadata::unheld(&staged.metadata, seen, &applied.unapplied, read)
        });
        Ok(applied)
    }

    /// The extended attributes at a path, if they can be read.
    fn xattrs_of(&self, path: &RelPath) -> Option<Vec<Xattr>> {
        let found = self.root.observe(path, Tracking::of_process()).ok()??;
        found.metadata.xattrs
    }

    /// A directory that its owner may not write to is closed after it was placed: until then it could not be moved.
    pub(super) fn make_directory(
        &self,
        path: &RelPath,
        expected: Option<Fingerprint>,
        metadata: &Metadata,
        reserved: Reserved,
    ) -> Result<Applied, ApplyError> {
        if let (Some(expected), Some(found)) = (expected, self.root.stat(path)?)
            && kind(&found) == Kind::Directory
        {
            return self.describe(path, &expected, metadata);
        }
        let is_closed = metadata.mode.is_some_and(|mode| mode & OWNER_WRITE == 0);
        let opened = Metadata {
            mode: metadata.mode.map(|mode| mode | OWNER_WRITE),
            ..metadata.clone()
        };
        let staged = self.staging.directory(&opened)?;
        let applied = self.install(path, expected, staged, reserved)?;
        match applied.outcome {
            Outcome::Holds(fingerprint) if is_closed => self.describe(path, &fingerprint, metadata),
            _ => Ok(applied),
        }
    }

    /// What the path holds after the staged thing came there, if nobody changed it since.
    fn outcome(&self, parent: &Parent, staged: &Staged) -> Outcome {
        let found = stat_at(parent.directory.as_fd(), parent.name()).ok();
        match (found, &staged.seen) {
            (Some(found), Some(seen)) if matches_displaced(seen, &found) => {
                if found.stx_nlink > 1 && kind(&found) != Kind::Directory {
                    self.own_changes
                        .note(&fingerprint(seen), &fingerprint(&found));
                }
                Outcome::Holds(fingerprint(&found))
            }
            _ => Outcome::Disturbed,
        }
    }

    fn place_new(
        &self,
        path: &RelPath,
        parent: &Parent,
        staged: &mut Staged,
    ) -> Result<(), ApplyError> {
        self.inherit_group(parent, staged);
        match self.in_directory(path, parent, || {
            place(self.calls(), staged.at(), at(parent))
        }) {
            Ok(()) => Ok(()),
            Err(Errno::EXIST) => Err(self.taken(path, parent)),
            Err(Errno::NOENT) if is_there(parent) && staged.exists() => {
                Err(self.refused_as("create", path, Errno::NOENT, Obstacle::BadName))
            }
            Err(Errno::NOENT) => Err(ApplyError::NoParent(self.root.shown(path))),
            Err(source) => Err(self.refused("create", path, parent, source)),
        }
    }

    /// Something is at a path where nothing should be: it came there, or it has the name in another spelling.
    pub(super) fn taken(&self, path: &RelPath, parent: &Parent) -> ApplyError {
        match is_spelled(parent.directory.as_fd(), &parent.name) {
            Ok(false) => self.refused_as("create", path, Errno::EXIST, Obstacle::NameTaken),
            _ => self.changed(path),
        }
    }

    pub(super) fn refused_as(
        &self,
        action: &'static str,
        path: &RelPath,
        source: Errno,
        obstacle: Obstacle,
    ) -> ApplyError {
        let error = self.root.error(action, path, source);
        ApplyError::Refused { obstacle, error }
    }

    fn replace(
        &self,
        path: &RelPath,
        parent: &Parent,
        expected: &Fingerprint,
        staged: &mut Staged,
        reserved: Reserved,
    ) -> Result<Option<crate::trash::TrashId>, ApplyError> {
        let before = self.check(path, parent, expected)?;
        if before.stx_ino == staged.inode() {
            // Another name of the same file is there already: an exchange of the two would do nothing.
            staged.remove();
            return Ok(None);
        }
        if kind(&before) == Kind::Directory {
            self.check_empty(path, parent)?;
        }
        self.inherit(path, parent, &before, staged)?;
        staged
            .move_to_slot(reserved.id, &parent.name)
            .map_err(|source| self.refused("stage", path, parent, source))?;
        match self.in_directory(path, parent, || {
            self.calls().exchange(staged.at(), at(parent))
        }) {
            Ok(()) => {}
            Err(Errno::NOENT) => return Err(self.changed(path)),
            Err(Errno::INVAL | Errno::NOSYS) => {
                return self.replace_without_exchange(path, parent, &before, (staged, reserved));
            }
            Err(source) => return Err(self.refused("replace", path, parent, source)),
        }
        self.settle(path, parent, &before, (staged, reserved))
    }

    /// After an exchange: what was displaced goes where it belongs, or all goes back.
    fn settle(
        &self,
        path: &RelPath,
        parent: &Parent,
        before: &Statx,
        (staged, reserved): (&mut Staged, Reserved),
    ) -> Result<Option<crate::trash::TrashId>, ApplyError> {
        let slot = staged.at();
        let displaced = self.stat_slot(slot.name).ok();
        let is_expected = displaced.is_some_and(|found| matches_displaced(before, &found));
        match displaced {
            Some(found) if is_expected && kind(&found) == Kind::Directory => {
                match self.calls().remove_directory(slot) {
                    Ok(()) => Ok(None),
                    Err(Errno::NOTEMPTY | Errno::EXIST) => {
                        self.exchange_back(path, parent, (staged, reserved));
                        Err(ApplyError::NotEmpty(self.root.shown(path)))
                    }
                    Err(source) => {
                        tracing::warn!(%path, %source, "cannot remove a replaced directory");
                        Ok(None)
                    }
                }
            }
            Some(found) if is_expected => {
                if found.stx_nlink > 1 {
                    self.own_changes
                        .note(&fingerprint(before), &fingerprint(&found));
                }
                Ok(self.dispose(slot, &parent.name, &found, reserved))
            }
            _ => Err(self.exchange_back(path, parent, (staged, reserved))),
        }
    }

    /// Takes an exchange back. If the path was changed once more meanwhile, what comes from there is a user's
    /// too, and is kept beside it.
    fn exchange_back(
        &self,
        path: &RelPath,
        parent: &Parent,
        (staged, reserved): (&mut Staged, Reserved),
    ) -> ApplyError {
        match self.calls().exchange(staged.at(), at(parent)) {
            Ok(()) => {}
            Err(Errno::NOENT) => {
                // Our file was moved or removed there; the user's goes back alone.
                let error = self.put_back(path, parent, staged.at(), reserved.id);
                staged.placed();
                return error;
            }
            Err(reason) => {
                tracing::warn!(%path, %reason, "kept in staging; the next start moves it to the trash");
                staged.placed();
                return self.changed(path);
            }
        }
        let is_ours = self
            .stat_slot(staged.name())
            .is_ok_and(|found| found.stx_ino == staged.inode());
        if is_ours {
            return self.changed(path);
        }
        let error = self.put_back(path, parent, staged.at(), reserved.id);
        staged.placed();
        error
    }

    /// Where a filesystem cannot exchange: the old file gets one more name at a slot, and is then replaced. Where
    /// it has no links either, the old file is moved away first; recovery moves it back after a crash.
    fn replace_without_exchange(
        &self,
        path: &RelPath,
        parent: &Parent,
        before: &Statx,
        (staged, reserved): (&mut Staged, Reserved),
    ) -> Result<Option<crate::trash::TrashId>, ApplyError> {
        let name = Slot::new(reserved.id, Origin::User, &parent.name).name();
        let slot = At::new(&self.staging.area.displaced, &name);
        let refused = |source| self.refused("replace", path, parent, source);
        let linked = match staged.kind {
            // A directory cannot be renamed over a file.
            FileType::Directory => Err(Errno::ISDIR),
            _ => self.calls().link(at(parent), slot),
        };
        match linked {
            Ok(()) => {}
            Err(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::ISDIR | Errno::INVAL) => {
                self.calls()
                    .rename_over(at(parent), slot)
                    .map_err(refused)?;
            }
            Err(source) => return Err(refused(source)),
        }
        let found = self.stat_slot(slot.name).map_err(refused)?;
        if !matches_displaced(before, &found) {
            return Err(match linked {
                Ok(()) => {
                    self.calls().unlink(slot).map_err(refused)?;
                    self.changed(path)
                }
                Err(_) => self.put_back(path, parent, slot, reserved.id),
            });
        }
        let placed = match linked {
            Ok(()) => self.calls().rename_over(staged.at(), at(parent)),
            Err(_) => place(self.calls(), staged.at(), at(parent)),
        };
        if let Err(source) = placed {
            match linked {
                Ok(()) => self.calls().unlink(slot).map_err(refused)?,
                Err(_) => return Err(self.put_back(path, parent, slot, reserved.id)),
            }
            return Err(refused(source));
        }
        if kind(&found) == Kind::Directory {
            self.calls().remove_directory(slot).map_err(refused)?;
            return Ok(None);
        }
        Ok(self.dispose(slot, &parent.name, &found, reserved))
    }

    fn check_empty(&self, path: &RelPath, parent: &Parent) -> Result<(), ApplyError> {
        let empty = open_directory_at(parent.directory.as_fd(), &parent.name)
            .and_then(|directory| is_empty(&directory));
        match empty {
            Ok(true) => Ok(()),
            Ok(false) => Err(ApplyError::NotEmpty(self.root.shown(path))),
            Err(source) => Err(self.refused("look into", path, parent, source)),
        }
    }

    /// What is not tracked stays as it is at the path: a replacement takes it over.
    fn inherit(
        &self,
        path: &RelPath,
        parent: &Parent,
        before: &Statx,
        staged: &mut Staged,
    ) -> Result<(), ApplyError> {
        let tracked = &staged.metadata;
        let is_complete =
            tracked.mode.is_some() && tracked.owner.is_some() && tracked.xattrs.is_some();
        let is_same_kind = FileType::from_raw_mode(before.stx_mode.into()) == staged.kind;
        if staged.is_adopted() || is_complete || !is_same_kind || staged.kind == FileType::Symlink {
            return Ok(());
        }
        let failed = |source| self.refused("keep the metadata of", path, parent, source);
        let old = crate::root::open_file_at(parent.directory.as_fd(), &parent.name);
        let mut wanted = match &old {
            Ok(old) => metadata::inherited(tracked, before, old.as_fd()),
            // Its owner may have closed it to reading; what needs no reading is kept all the same.
            Err(_) => metadata::inherited_unread(tracked, before),
        };
        wanted.mtime = wanted
            .mtime
            .or(staged.seen.as_ref().map(|seen| fingerprint(seen).mtime));
        let file = open_name(staged.at()).map_err(failed)?;
        let seen = stat_descriptor(file.as_fd()).map_err(failed)?;
        let target = Target::new(file.as_fd(), seen, Access::NameOnly);
        // That something untracked cannot be kept is no failure of what is tracked.
        metadata::apply(self.calls(), &target, &wanted).map_err(failed)?;
        staged.seen = Some(stat_descriptor(file.as_fd()).map_err(failed)?);
        Ok(())
    }

    /// In a directory with the set-group-id bit, a new file belongs to the directory's group unless told otherwise.
    fn inherit_group(&self, parent: &Parent, staged: &mut Staged) {
        if staged.metadata.owner.is_some() || staged.is_adopted() {
            return;
        }
        let (Ok(directory), Some(seen)) = (stat_descriptor(parent.directory.as_fd()), staged.seen)
        else {
            return;
        };
        if directory.stx_mode & SET_GROUP_ID == 0 || directory.stx_gid == seen.stx_gid {
            return;
        }
        let Ok(file) = open_name(staged.at()) else {
            return;
        };
        let owner = replicat_core::entry::Owner {
            user: seen.stx_uid,
            group: directory.stx_gid,
        };
        if let Err(reason) = self.calls().change_owner_of(file.as_fd(), owner) {
            tracing::debug!(%reason, "cannot give a new file its directory's group");
        }
        staged.seen = stat_descriptor(file.as_fd()).ok().or(staged.seen);
    }
}

pub(super) fn open_name(at: At<'_>) -> Result<std::os::fd::OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(at.directory, at.name, flags, Mode::empty())
}

/// Whether the directory of a path was not removed.
pub(super) fn is_there(parent: &Parent) -> bool {
    stat_descriptor(parent.directory.as_fd()).is_ok_and(|stat| stat.stx_nlink > 0)
}
