//! After a crash: what was left in staging goes where it belongs.
//!
//! Goals: nothing of a user's is lost or left hidden; downloads can be resumed; the rest is cleared away.
//! Non-goals: what the tree itself holds; the next scan sees that.
//!
//! The names in staging say what is whose, see `stage/slot.rs`. A displaced file goes back to its path if that is
//! free, and else to the trash.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use replicat_core::path::RelPath;
use rustix::fs::{FileType, Mode, OFlags, Statx};
use rustix::io::Errno;

use crate::apply::calls::{At, Calls};
use crate::apply::placing::place;
use crate::error::FsError;
use crate::root::{Root, stat_at};
use crate::stage::slot::{Origin, Slot};
use crate::state::{DISPLACED, PARTIAL, READY, StateDirectory, open_part};
use crate::trash::log::{self, Displacement, TrashId, parse_content};
use crate::trash::{day_name, item_name, names, remove_tree};

/// How long a partial download is kept to be resumed, unless told otherwise.
pub const PARTIAL_AGE_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What recovery did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Users' files that were put back to their paths.
    pub restored: Vec<RelPath>,
    /// Users' files that were moved to the trash: their id there, and their path where it is known.
    pub trashed: Vec<(TrashId, Option<RelPath>)>,
    /// How many partial downloads can be resumed.
    pub resumable: u64,
    /// How many leftovers of our own were removed.
    pub removed: u64,
}

/// Clears what a crash left in the staging of `root`. Partial downloads untouched for `partial_age_max` go too.
///
/// # Errors
/// If staging cannot be read or something in it not moved. Nothing is lost by that; it can be run again.
pub fn recover(
    root: &Root,
    state: &StateDirectory,
    calls: &Calls,
    partial_age_max: Duration,
) -> Result<Recovery, FsError> {
    let work = Work::open(root, state, calls)?;
    let mut recovery = Recovery::default();
    work.displaced(&mut recovery)?;
    work.ready(&mut recovery)?;
    work.partial(partial_age_max, &mut recovery)?;
    Ok(recovery)
}

struct Work<'a> {
    root: &'a Root,
    state: &'a StateDirectory,
    calls: &'a Calls,
    displaced: OwnedFd,
    ready: OwnedFd,
    partial: OwnedFd,
    records: HashMap<TrashId, Displacement>,
}

impl<'a> Work<'a> {
    fn open(root: &'a Root, state: &'a StateDirectory, calls: &'a Calls) -> Result<Self, FsError> {
        let shown = state.staging_path();
        let part = |part| open_part(&state.staging, &shown, part);
        let mut work = Self {
            root,
            state,
            calls,
            displaced: part(DISPLACED)?,
            ready: part(READY)?,
            partial: part(PARTIAL)?,
            records: HashMap::new(),
        };
        let records = log::read(work.displaced.as_fd()).map_err(work.failed("read", DISPLACED))?;
        work.records
            .extend(records.into_iter().map(|record| (record.id, record)));
        Ok(work)
    }

    fn failed(
        &self,
        action: &'static str,
        name: impl AsRef<OsStr>,
    ) -> impl FnOnce(Errno) -> FsError {
        let path = self.state.staging_path().join(name.as_ref());
        move |source| FsError::new(action, path, source)
    }

    fn names(&self, directory: &OwnedFd, part: &str) -> Result<Vec<OsString>, FsError> {
        let mut found = names(directory.as_fd()).map_err(self.failed("list", part))?;
        found.sort();
        Ok(found)
    }

    fn displaced(&self, recovery: &mut Recovery) -> Result<(), FsError> {
        for name in self.names(&self.displaced, DISPLACED)? {
            if name == log::LOG {
                continue;
            }
            let failed = |error: Errno| self.failed("recover", &name)(error);
            let found = stat_at(self.displaced.as_fd(), &name).map_err(failed)?;
            match Slot::parse(&name) {
                Some(slot) => self.slot(&name, &slot, &found, recovery)?,
                // Nothing of ours is called so; whoever put it here may want it.
                None => self.to_trash(&name, &unknown(&name, &found), recovery)?,
            }
        }
        // All that the log speaks of is where it belongs.
        match self.calls.unlink(self.at(OsStr::new(log::LOG))) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(source) => Err(self.failed("remove", log::LOG)(source)),
        }
    }

    fn at<'b>(&'b self, name: &'b OsStr) -> At<'b> {
        At::new(&self.displaced, name)
    }

    fn slot(
        &self,
        name: &OsStr,
        slot: &Slot,
        found: &Statx,
        recovery: &mut Recovery,
    ) -> Result<(), FsError> {
        match slot.origin {
            Origin::Own(inode) if inode == found.stx_ino => {
                remove_tree(self.calls, self.at(name)).map_err(self.failed("remove", name))?;
                recovery.removed += 1;
                Ok(())
            }
            // The file has another name, where it will be seen.
            Origin::Adopted(inode) if inode == found.stx_ino && found.stx_nlink > 1 => {
                self.unlink(name, recovery)
            }
            Origin::Adopted(inode) if inode == found.stx_ino => self.to_trash(name, slot, recovery),
            Origin::Trash => self.to_trash(name, slot, recovery),
            Origin::Opened(mode) => self.close(name, slot, mode, recovery),
            Origin::Own(_) | Origin::Adopted(_) | Origin::User => {
                self.user_file(name, slot, found, recovery)
            }
        }
    }

    fn unlink(&self, name: &OsStr, recovery: &mut Recovery) -> Result<(), FsError> {
        self.calls
            .unlink(self.at(name))
            .map_err(self.failed("remove", name))?;
        recovery.removed += 1;
        Ok(())
    }

    /// A user's file, displaced by a change that was not completed.
    fn user_file(
        &self,
        name: &OsStr,
        slot: &Slot,
        found: &Statx,
        recovery: &mut Recovery,
    ) -> Result<(), FsError> {
        let Some(path) = self.path_of(slot)? else {
            return self.to_trash(name, slot, recovery);
        };
        let is_directory = FileType::from_raw_mode(found.stx_mode.into()) == FileType::Directory;
        match self.root.stat(&path)? {
            // The path has the same file.
            Some(there) if there.stx_ino == found.stx_ino && !is_directory => {
                self.unlink(name, recovery)
            }
            Some(_) if is_directory && self.remove_empty(name) => {
                recovery.removed += 1;
                Ok(())
            }
            Some(_) => self.to_trash(name, slot, recovery),
            None if self.put_back(name, &path) => {
                recovery.restored.push(path);
                Ok(())
            }
            None => self.to_trash(name, slot, recovery),
        }
    }

    fn remove_empty(&self, name: &OsStr) -> bool {
        self.calls.remove_directory(self.at(name)).is_ok()
    }

    fn put_back(&self, name: &OsStr, path: &RelPath) -> bool {
        let Ok(parent) = self.root.parent_of(path) else {
            return false;
        };
        let to = At::new(&parent.directory, parent.name());
        place(self.calls, self.at(name), to).is_ok()
    }

    /// Where the thing at a slot was: in our log, or in that of the trash it was on its way to.
    fn path_of(&self, slot: &Slot) -> Result<Option<RelPath>, FsError> {
        if let Some(record) = self.records.get(&slot.id) {
            return Ok(Some(record.path.clone()));
        }
        let day = day_name(slot.id);
        let Ok(directory) = open_directory(&self.state.trash, OsStr::new(&day)) else {
            return Ok(None);
        };
        let records = log::read(directory.as_fd()).map_err(self.failed("read the log of", &day))?;
        let record = records.into_iter().find(|record| record.id == slot.id);
        Ok(record.map(|record| record.path))
    }

    fn to_trash(&self, name: &OsStr, slot: &Slot, recovery: &mut Recovery) -> Result<(), FsError> {
        let path = self.path_of(slot)?;
        let day = day_name(slot.id);
        let at = At::new(&self.state.trash, OsStr::new(&day));
        match self.calls.make_directory(at, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(source) => return Err(self.failed("create the trash of", &day)(source)),
        }
        let directory = open_directory(&self.state.trash, OsStr::new(&day))
            .map_err(self.failed("open the trash of", &day))?;
        self.state.owner.give(directory.as_fd());
        if let Some(record) = self.records.get(&slot.id) {
            let records = std::slice::from_ref(record);
            log::append(self.calls, directory.as_fd(), &self.state.owner, records)
                .map_err(self.failed("write the log of", &day))?;
        }
        let item = item_name(slot.id, &slot.label);
        self.calls
            .rename_over(self.at(name), At::new(&directory, &item))
            .map_err(self.failed("move to the trash", name))?;
        recovery.trashed.push((slot.id, path));
        Ok(())
    }

    /// Takes from a directory the permission that it was given for one change.
    fn close(
        &self,
        name: &OsStr,
        slot: &Slot,
        mode: u32,
        recovery: &mut Recovery,
    ) -> Result<(), FsError> {
        if let Some(path) = self.path_of(slot)?
            && let Ok(directory) = self.root.directory(&path)
        {
            self.calls
                .change_mode_of(directory.as_fd(), Mode::from_raw_mode(mode))
                .map_err(|source| self.root.error("set the permissions of", &path, source))?;
        }
        self.unlink(name, recovery)
    }

    fn ready(&self, recovery: &mut Recovery) -> Result<(), FsError> {
        for name in self.names(&self.ready, READY)? {
            let directory = open_directory(&self.ready, &name);
            let held = directory.and_then(|directory| names(directory.as_fd()));
            recovery.removed += held.map_or(0, |held| held.len() as u64);
            remove_tree(self.calls, At::new(&self.ready, &name))
                .map_err(self.failed("remove", &name))?;
        }
        Ok(())
    }

    fn partial(&self, age_max: Duration, recovery: &mut Recovery) -> Result<(), FsError> {
        let oldest = crate::observe::now()
            .seconds
            .saturating_sub_unsigned(age_max.as_secs());
        for name in self.names(&self.partial, PARTIAL)? {
            let failed = |error: Errno| self.failed("recover", &name)(error);
            let found = stat_at(self.partial.as_fd(), &name).map_err(failed)?;
            let is_resumable = name.to_str().and_then(parse_content).is_some();
            // Its ctime: the mtime of a complete one is that of the file it will be.
            if is_resumable && found.stx_ctime.tv_sec >= oldest {
                recovery.resumable += 1;
                continue;
            }
            remove_tree(self.calls, At::new(&self.partial, &name)).map_err(failed)?;
            recovery.removed += 1;
        }
        Ok(())
    }
}

/// A slot for something whose name is none of ours.
fn unknown(name: &OsStr, found: &Statx) -> Slot {
    use std::os::unix::ffi::OsStrExt;
    let seconds = u64::try_from(found.stx_ctime.tv_sec).unwrap_or(0);
    let id = seconds.saturating_mul(1_000_000_000) + u64::from(found.stx_ctime.tv_nsec);
    Slot::new(TrashId(id), Origin::User, name.as_bytes())
}

fn open_directory(above: &OwnedFd, name: &OsStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(above, name, flags, Mode::empty())
}
