//! Staging: new content, complete and described, beside the tree it will be renamed into.
//!
//! Goals: what is staged differs from what users see only by its name, so that a commit is one rename; large
//! downloads survive a restart; small files cost few system calls.
//! Non-goals: verifying content; the caller hashes what it writes.
//!
//! Of the ways to create many small files, a staging directory for each thread and a rename each is as fast as
//! unnamed files (`O_TMPFILE`) within 10%, without holding a descriptor for each file of a batch.

pub(crate) mod slot;

mod partial;
mod staged;

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use replicat_core::entry::{Metadata, Owner};
use replicat_core::id::ContentHash;
use replicat_core::path::RelPath;
use replicat_core::record::Fingerprint;
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::apply::calls::{At, Calls};
use crate::apply::error::ApplyError;
use crate::apply::verify::{matches_displaced, matches_expected};
use crate::error::FsError;
use crate::metadata::{self, Access, Target, Unapplied};
use crate::room::Room;
use crate::root::{Root, stat_at, stat_descriptor};
use crate::state::{DISPLACED, PARTIAL, READY, StateDirectory, open_part};
use crate::state_owner::StateOwner;
use crate::trash::log::{self, Displacement};

pub use partial::{StagedFile, ZERO_RUN_BYTES_MIN};
use slot::{Ids, Origin, Slot};
pub(crate) use staged::Place;
pub use staged::Staged;

const SPECIAL_BITS: u32 = 0o7000;
/// How long the names of what is staged are. Filesystems search the blocks of a directory name by name: long names are few to
/// a block, short ones hundreds. A first sync of 50,000 files on ext4 took 7% less time of the processors so.
const NAME_CHARACTERS: usize = 56;
/// How long the log of the displaced may grow before it is thrown away, in bytes.
const LOG_BYTES_MAX: usize = 1024 * 1024;

/// What all stagers of a replica share.
#[derive(Debug)]
pub(crate) struct Area {
    pub(crate) calls: Calls,
    pub(crate) root: Arc<Root>,
    pub(crate) shown: PathBuf,
    pub(crate) staging: OwnedFd,
    pub(crate) partial: OwnedFd,
    pub(crate) ready: OwnedFd,
    pub(crate) displaced: OwnedFd,
    pub(crate) ids: Ids,
    stagers: AtomicU64,
    /// Contents whose partial file is being written or waits for its commit.
    claimed: Mutex<HashSet<ContentHash>>,
    log: Mutex<LogState>,
    process: Process,
    pub(crate) owner: StateOwner,
}

/// The log of the displaced, which is thrown away now and then while nothing depends on it.
#[derive(Debug, Default)]
struct LogState {
    /// How many batches and adoptions may have something at a slot.
    uses: usize,
    /// How much was written.
    bytes: usize,
}

/// While it lives, the log of the displaced is kept.
#[derive(Debug)]
pub(crate) struct LogUse<'a> {
    area: &'a Area,
}

impl Drop for LogUse<'_> {
    fn drop(&mut self) {
        self.area.log_state().uses -= 1;
    }
}

/// What the kernel gives to files that this process creates.
#[derive(Clone, Copy, Debug)]
struct Process {
    user: u32,
    group: u32,
    umask: u32,
}

impl Process {
    fn current() -> Self {
        Self {
            user: rustix::process::geteuid().as_raw(),
            group: rustix::process::getegid().as_raw(),
            umask: umask(),
        }
    }

    fn owner(self) -> Owner {
        Owner {
            user: self.user,
            group: self.group,
        }
    }
}

/// The process's file mode creation mask, read without changing it. If it cannot be read it is taken to hide
/// every bit, which only costs a call for each file.
fn umask() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    line.and_then(|mask| u32::from_str_radix(mask.trim(), 8).ok())
        .unwrap_or(0o777)
}

impl Area {
    pub(crate) fn failed(&self, action: &'static str, name: &OsStr, source: Errno) -> FsError {
        FsError::new(action, self.shown.join(name), source)
    }

    pub(crate) fn claim(&self, content: ContentHash) -> bool {
        let mut claimed = self.claimed.lock().unwrap_or_else(PoisonError::into_inner);
        claimed.insert(content)
    }

    pub(crate) fn release(&self, content: ContentHash) {
        let mut claimed = self.claimed.lock().unwrap_or_else(PoisonError::into_inner);
        claimed.remove(&content);
    }
}

/// A place to stage in, for one thread. [`Self::fork`] makes more.
#[derive(Debug)]
pub struct Staging {
    pub(crate) area: Arc<Area>,
    ready: Arc<OwnedFd>,
    staged: AtomicU64,
}

impl Staging {
    /// Opens the staging of a replica. Run [`crate::recover::recover`] first: it clears what a crash left.
    ///
    /// # Errors
    /// If the state directory's parts cannot be opened.
    pub fn open(root: Arc<Root>, state: &StateDirectory, calls: Calls) -> Result<Self, FsError> {
        let shown = state.staging_path();
        let part = |part| open_part(&state.staging, &shown, part);
        let area = Arc::new(Area {
            partial: part(PARTIAL)?,
            ready: part(READY)?,
            displaced: part(DISPLACED)?,
            staging: state
                .staging
                .try_clone()
                .map_err(|source| FsError::new("open", &shown, source))?,
            calls,
            root,
            ids: Ids::default(),
            stagers: AtomicU64::new(0),
            claimed: Mutex::default(),
            log: Mutex::default(),
            process: Process::current(),
            owner: state.owner.clone(),
            shown,
        });
        Self::in_area(area)
    }

    /// Another stager for another thread: each has a directory of its own, so that none waits for another's lock.
    ///
    /// # Errors
    /// If the directory cannot be created.
    pub fn fork(&self) -> Result<Self, FsError> {
        Self::in_area(Arc::clone(&self.area))
    }

    /// The room on the filesystem on which it stages.
    ///
    /// # Errors
    /// If the system cannot tell.
    pub fn room(&self) -> Result<Room, FsError> {
        let room = Room::of(&self.area.staging);
        room.map_err(|source| (self.area).failed("measure the filesystem of", "".as_ref(), source))
    }

    /// Notes a time that is past, in seconds since 1970, whatever the clock says: what is displaced while the clock is
    /// behind must not look old to one that is right.
    pub fn not_before(&self, seconds: i64) {
        self.area.ids.not_before(seconds);
    }

    fn in_area(area: Arc<Area>) -> Result<Self, FsError> {
        let number = area.stagers.fetch_add(1, Ordering::Relaxed);
        let name = OsString::from(number.to_string());
        let at = At::new(&area.ready, &name);
        match area.calls.make_directory(at, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(source) => return Err(area.failed("create the directory", &name, source)),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let ready = rustix::fs::openat(&area.ready, &name, flags, Mode::empty())
            .map_err(|source| area.failed("open the directory", &name, source))?;
        area.owner.give(ready.as_fd());
        Ok(Self {
            area,
            ready: Arc::new(ready),
            staged: AtomicU64::new(0),
        })
    }

    fn next_name(&self) -> OsString {
        let number = self.staged.fetch_add(1, Ordering::Relaxed);
        OsString::from(format!("{number:0NAME_CHARACTERS$x}"))
    }

    fn failed(&self, action: &'static str, name: &OsStr, source: Errno) -> FsError {
        FsError::new(action, self.area.shown.join(READY).join(name), source)
    }

    /// Stages a small file, whole.
    ///
    /// # Errors
    /// If it cannot be written. Metadata that cannot be set is told by [`Staged::unapplied`] instead.
    pub fn small(&self, bytes: &[u8], metadata: &Metadata) -> Result<Staged, FsError> {
        let name = self.next_name();
        let at = At::new(&*self.ready, &name);
        let mode = Mode::from_raw_mode(metadata.mode.unwrap_or(0o666) & 0o777);
        let file = self
            .area
            .calls
            .create(at, mode)
            .map_err(|source| self.failed("create", &name, source))?;
        let mut staged = self.staged(name, FileType::RegularFile, metadata);
        self.area
            .calls
            .write(file.as_fd(), bytes)
            .map_err(|source| self.failed("write", staged.name(), source))?;
        self.describe(&mut staged, &file, Access::Open)?;
        Ok(staged)
    }

    /// Stages an empty directory.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn directory(&self, metadata: &Metadata) -> Result<Staged, FsError> {
        let name = self.next_name();
        let at = At::new(&*self.ready, &name);
        let mode = Mode::from_raw_mode(metadata.mode.unwrap_or(0o777) & 0o777);
        self.area
            .calls
            .make_directory(at, mode)
            .map_err(|source| self.failed("create the directory", &name, source))?;
        let mut staged = self.staged(name, FileType::Directory, metadata);
        let file = self.open_name(staged.name())?;
        self.describe(&mut staged, &file, Access::NameOnly)?;
        Ok(staged)
    }

    /// Stages a symbolic link.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn symlink(&self, target: &[u8], metadata: &Metadata) -> Result<Staged, FsError> {
        let name = self.next_name();
        self.area
            .calls
            .make_symlink(target, At::new(&*self.ready, &name))
            .map_err(|source| self.failed("create the symbolic link", &name, source))?;
        let mut staged = self.staged(name, FileType::Symlink, metadata);
        let file = self.open_name(staged.name())?;
        self.describe(&mut staged, &file, Access::NameOnly)?;
        Ok(staged)
    }

    fn open_name(&self, name: &OsStr) -> Result<OwnedFd, FsError> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&*self.ready, name, flags, Mode::empty())
            .map_err(|source| self.failed("open", name, source))
    }

    fn staged(&self, name: OsString, kind: FileType, metadata: &Metadata) -> Staged {
        let place = Place::Ready(Arc::clone(&self.ready));
        Staged::new(Arc::clone(&self.area), place, name, kind, metadata.clone())
    }

    /// Describes what was just created, by the shortest way, and notes what it is.
    fn describe(&self, staged: &mut Staged, file: &OwnedFd, access: Access) -> Result<(), FsError> {
        let calls = &self.area.calls;
        let unapplied = if access == Access::Open && self.is_plain(&staged.metadata) {
            self.describe_plain(file, &staged.metadata)
        } else {
            stat_descriptor(file.as_fd()).and_then(|before| {
                let target = Target::new(file.as_fd(), before, access);
                metadata::apply(calls, &target, &staged.metadata)
            })
        };
        let described = unapplied.and_then(|unapplied| {
            let first = stat_descriptor(file.as_fd())?;
            let target = Target::new(file.as_fd(), first, access);
            let (seen, _) = metadata::settled(calls, &target, &staged.metadata, first)?;
            Ok((unapplied, seen))
        });
        let (unapplied, seen) = described
            .map_err(|source| self.failed("set the metadata of", staged.name(), source))?;
        staged.unapplied = unapplied;
        staged.seen = Some(seen);
        Ok(())
    }

    /// Whether a file just created needs neither another owner, nor attributes, nor special bits.
    fn is_plain(&self, metadata: &Metadata) -> bool {
        let Process { user, group, .. } = self.area.process;
        let is_owned = metadata
            .owner
            .is_none_or(|owner| (owner.user, owner.group) == (user, group));
        let has_xattrs = metadata.xattrs.as_ref().is_some_and(|all| !all.is_empty());
        is_owned && !has_xattrs && metadata.mode.unwrap_or(0) & SPECIAL_BITS == 0
    }

    fn describe_plain(&self, file: &OwnedFd, metadata: &Metadata) -> Result<Vec<Unapplied>, Errno> {
        let calls = &self.area.calls;
        if let Some(mode) = metadata
            .mode
            .filter(|mode| mode & self.area.process.umask != 0)
        {
            calls.change_mode_of(file.as_fd(), Mode::from_raw_mode(mode))?;
        }
        if let Some(mtime) = metadata.mtime {
            calls.set_times_of(file.as_fd(), mtime, None)?;
        }
        Ok(Vec::new())
    }

    /// Stages an existing file of the root under one more name: the file itself will be renamed to its new path.
    /// Only for a path that the same batch replaces or removes, or as one more hard link.
    ///
    /// # Errors
    /// [`ApplyError::Changed`] if `from` is not what was expected, [`ApplyError::NoHardLink`] if the filesystem or
    /// the system's policy refuses a link: then the content has to be copied.
    pub(crate) fn adopt_link(
        &self,
        from: &RelPath,
        expected: &Fingerprint,
    ) -> Result<Staged, ApplyError> {
        let root = &self.area.root;
        let parent = root.parent_of(from)?;
        let changed = || ApplyError::Changed(root.shown(from));
        let before = stat_at(parent.directory.as_fd(), parent.name()).map_err(|_| changed())?;
        let kind = FileType::from_raw_mode(before.stx_mode.into());
        if kind == FileType::Directory || !matches_expected(expected, &before, &[]) {
            return Err(changed());
        }
        let origin = Origin::Adopted(before.stx_ino);
        let slot = Slot::new(self.area.ids.next(), origin, &parent.name);
        let _in_use = self.area.log_displaced(&slot, from)?;
        let name = slot.name();
        let (source, to) = (
            At::new(&parent.directory, parent.name()),
            At::new(&self.area.displaced, &name),
        );
        self.area
            .calls
            .link(source, to)
            .map_err(|source| match source {
                Errno::NOENT => changed(),
                Errno::PERM | Errno::OPNOTSUPP | Errno::MLINK | Errno::XDEV | Errno::NOSYS => {
                    ApplyError::NoHardLink(root.shown(from))
                }
                source => root.error("link", from, source).into(),
            })?;
        let seen = stat_at(self.area.displaced.as_fd(), &name)
            .map_err(|source| root.error("look at", from, source))?;
        let area = Arc::clone(&self.area);
        let mut staged = Staged::new(area, Place::Adopted, name, kind, Metadata::default());
        if !matches_displaced(&before, &seen) {
            staged.remove();
            return Err(changed());
        }
        staged.seen = Some(seen);
        Ok(staged)
    }
}

impl Area {
    /// Notes where the thing at a slot belongs.
    pub(crate) fn log_displaced(&self, slot: &Slot, path: &RelPath) -> Result<LogUse<'_>, FsError> {
        self.log_all(&[Displacement {
            id: slot.id,
            seconds: slot::now_seconds(),
            content: None,
            path: path.clone(),
        }])
    }

    /// Notes what a batch may displace. What is noted lasts as long as the result, and as anything is at a slot.
    pub(crate) fn log_all(&self, displacements: &[Displacement]) -> Result<LogUse<'_>, FsError> {
        let failed = |source| self.failed("write", OsStr::new(log::LOG), source);
        let mut state = self.log_state();
        if state.uses == 0 && state.bytes > LOG_BYTES_MAX && self.has_no_slots().map_err(failed)? {
            let at = At::new(&self.displaced, OsStr::new(log::LOG));
            self.calls.unlink(at).map_err(failed)?;
            state.bytes = 0;
        }
        if !displacements.is_empty() {
            let displaced = self.displaced.as_fd();
            let written = log::append(&self.calls, displaced, &self.owner, displacements);
            state.bytes += written.map_err(failed)?;
        }
        state.uses += 1;
        Ok(LogUse { area: self })
    }

    fn log_state(&self) -> MutexGuard<'_, LogState> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_no_slots(&self) -> Result<bool, Errno> {
        let names = crate::trash::names(self.displaced.as_fd())?;
        Ok(names.iter().all(|name| name == log::LOG))
    }
}

/// Whether a directory holds nothing.
pub(crate) fn is_empty(directory: &OwnedFd) -> Result<bool, Errno> {
    for entry in rustix::fs::Dir::read_from(directory)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Removes a name, of whatever kind but a directory that holds something.
pub(crate) fn remove_at(calls: &Calls, at: At<'_>) -> Result<(), Errno> {
    let found = rustix::fs::statat(at.directory, at.name, AtFlags::SYMLINK_NOFOLLOW)?;
    match FileType::from_raw_mode(found.st_mode) {
        FileType::Directory => calls.remove_directory(at),
        _ => calls.unlink(at),
    }
}
