//! The trash: what remote changes replaced or deleted, for a while.
//!
//! Goals: a user can find what was at a path, when, and take it back; old and surplus content goes by itself.
//! Non-goals: what users delete themselves; versions of each edit.
//!
//! `trash/<yyyymmdd>/<id>-<name>` is the file itself, renamed; `trash/<yyyymmdd>/log` says where each was.

mod limits;
pub(crate) mod log;

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use replicat_core::entry::Metadata;
use replicat_core::id::ContentHash;
use replicat_core::path::RelPath;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Statx};
use rustix::io::Errno;

use crate::apply::calls::{At, Calls};
use crate::error::FsError;
use crate::room::Room;
use crate::root::{stat_at, stat_descriptor};
use crate::stage::slot::{LABEL_BYTES_MAX, Origin, Slot};
use crate::stage::{Area, Place, Staged, Staging};
use crate::state::StateDirectory;

use limits::Limits;
use log::Displacement;
pub use log::TrashId;

const NANOSECONDS: u64 = 1_000_000_000;
const MAX_AGE_DEFAULT: Duration = Duration::from_secs(30 * 24 * 60 * 60);
const MAX_BYTES_DEFAULT: u64 = 10 << 30;
/// The share of the filesystem, as its divisor, that the trash takes at most unless a size is given.
const FILESYSTEM_SHARE: u64 = 10;
/// The share of its size, as its divisor, that is free after it was over it: so that it is not cleared for each version.
const SLACK_SHARE: u64 = 8;

/// How long the trash keeps what. It goes by whichever limit is reached first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrashPolicy {
    /// Older content is removed; with zero all is. [`Duration::MAX`]: content does not go by its age.
    pub max_age: Duration,
    /// Content beyond this many bytes is removed, oldest first. `None`: a tenth of the filesystem, 10 GiB at most.
    /// [`u64::MAX`]: content does not go by its size.
    pub max_bytes: Option<u64>,
}

impl Default for TrashPolicy {
    fn default() -> Self {
        Self {
            max_age: MAX_AGE_DEFAULT,
            max_bytes: None,
        }
    }
}

/// Something in the trash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrashItem {
    /// Its identity.
    pub id: TrashId,
    /// Where it was; `None` if a crash left it without a record.
    pub path: Option<RelPath>,
    /// The last component of its path, cut if it was long.
    pub name: Vec<u8>,
    /// When it was displaced, in seconds since 1970.
    pub seconds: i64,
    /// What it held, if that was known.
    pub content: Option<ContentHash>,
    /// Its length in bytes.
    pub size: u64,
}

/// What a purge removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Things.
    pub items: u64,
    /// Their lengths, in bytes.
    pub bytes: u64,
}

impl Purged {
    /// Adds what another purge removed.
    pub fn add(&mut self, other: Self) {
        self.items += other.items;
        self.bytes += other.bytes;
    }
}

/// The trash of one replica.
#[derive(Debug)]
pub struct Trash {
    area: Arc<Area>,
    directory: OwnedFd,
    shown: PathBuf,
    policy: TrashPolicy,
    /// The day in use, whose directory stays open.
    today: Mutex<Option<(String, Arc<OwnedFd>)>>,
    /// How many bytes it holds, once they were counted.
    held_bytes: Mutex<Option<u64>>,
}

impl Trash {
    /// Opens the trash of a replica.
    ///
    /// # Errors
    /// If its directory cannot be opened.
    pub fn open(
        staging: &Staging,
        state: &StateDirectory,
        policy: TrashPolicy,
    ) -> Result<Self, FsError> {
        let shown = state.trash_path();
        let directory = state
            .trash
            .try_clone()
            .map_err(|source| FsError::new("open", &shown, source))?;
        Ok(Self {
            area: Arc::clone(&staging.area),
            directory,
            shown,
            policy,
            today: Mutex::default(),
            held_bytes: Mutex::default(),
        })
    }

    fn count(&self) -> MutexGuard<'_, Option<u64>> {
        (self.held_bytes.lock()).unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, action: &'static str, name: impl AsRef<OsStr>, source: Errno) -> FsError {
        FsError::new(action, self.shown.join(name.as_ref()), source)
    }

    /// The directory of the day on which `id` was given out; made if it is missing.
    fn day(&self, id: TrashId) -> Result<Arc<OwnedFd>, FsError> {
        let name = day_name(id);
        let mut today = self.today.lock().unwrap_or_else(PoisonError::into_inner);
        let held = today.as_ref().filter(|(held, _)| *held == name);
        if let Some((_, directory)) = held.filter(|(_, directory)| is_linked(directory)) {
            return Ok(Arc::clone(directory));
        }
        let at = At::new(&self.directory, OsStr::new(&name));
        match self.area.calls.make_directory(at, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(source) => return Err(self.failed("create the directory", &name, source)),
        }
        let directory = open_directory(self.directory.as_fd(), OsStr::new(&name))
            .map_err(|source| self.failed("open the directory", &name, source))?;
        self.area.owner.give(directory.as_fd());
        let directory = Arc::new(directory);
        *today = Some((name, Arc::clone(&directory)));
        Ok(directory)
    }

    /// Notes what is about to be displaced.
    pub(crate) fn record(&self, displacements: &[Displacement]) -> Result<(), FsError> {
        let mut by_day: BTreeMap<String, Vec<Displacement>> = BTreeMap::new();
        for displacement in displacements {
            let day = by_day.entry(day_name(displacement.id)).or_default();
            day.push(displacement.clone());
        }
        for (name, of_day) in by_day {
            let directory = self.day(of_day[0].id)?;
            let Area { calls, owner, .. } = &*self.area;
            log::append(calls, directory.as_fd(), owner, &of_day)
                .map_err(|source| self.failed("write the log of", &name, source))?;
        }
        Ok(())
    }

    /// Takes in what is at a slot, which has `size` bytes.
    pub(crate) fn keep(
        &self,
        at: At<'_>,
        id: TrashId,
        label: &[u8],
        size: u64,
    ) -> Result<(), FsError> {
        let day = self.day(id)?;
        let name = item_name(id, label);
        self.area
            .calls
            .rename_over(at, At::new(&*day, &name))
            .map_err(|source| self.failed("move to the trash as", &name, source))?;
        if let Some(held) = &mut *self.count() {
            *held += size;
        }
        Ok(())
    }

    /// How something in the trash looks, by the id and label it was kept under.
    pub(crate) fn stat(&self, id: TrashId, label: &[u8]) -> Option<Statx> {
        let day = self.day(id).ok()?;
        stat_at(day.as_fd(), item_name(id, label)).ok()
    }

    /// Makes durable what was taken in.
    pub(crate) fn sync(&self) -> Result<(), Errno> {
        let today = self.today.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((name, directory)) = today.as_ref() {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match rustix::fs::openat(&**directory, log::LOG, flags, Mode::empty()) {
                Ok(log) => self.area.calls.sync(log.as_fd())?,
                Err(Errno::NOENT) => {}
                Err(reason) => return Err(reason),
            }
            self.area.calls.sync(directory.as_fd())?;
            tracing::trace!(day = %name, "trash flushed");
        }
        Ok(())
    }

    /// What the trash holds, oldest first; of one path, or of all.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn list(&self, path: Option<&RelPath>) -> Result<Vec<TrashItem>, FsError> {
        self.view()?.list(path)
    }

    fn days(&self) -> Result<Vec<OsString>, FsError> {
        self.view()?.days()
    }

    fn view(&self) -> Result<TrashView, FsError> {
        let directory = self.directory.try_clone();
        let directory = directory.map_err(|source| FsError::new("open", &self.shown, source))?;
        Ok(TrashView {
            directory,
            shown: self.shown.clone(),
        })
    }

    /// Takes something out of the trash, to be put at a path. If it is not, the next recovery brings it back.
    ///
    /// # Errors
    /// If it is not there any more.
    pub fn take(&self, id: TrashId) -> Result<Staged, FsError> {
        let failed = |source| self.failed("take from the trash", id.to_string(), source);
        let day = open_directory(self.directory.as_fd(), OsStr::new(&day_name(id)));
        let day = day.map_err(failed)?;
        let found = names(day.as_fd()).map_err(failed)?;
        let name = found
            .into_iter()
            .find(|name| parse_item(name).is_some_and(|(found, _)| found == id))
            .ok_or_else(|| failed(Errno::NOENT))?;
        let label = parse_item(&name)
            .map(|(_, label)| label.to_vec())
            .unwrap_or_default();
        let slot = Slot::new(id, Origin::Trash, &label).name();
        let seen = stat_at(day.as_fd(), &name).map_err(failed)?;
        let to = At::new(&self.area.displaced, &slot);
        self.area
            .calls
            .rename_over(At::new(&day, &name), to)
            .map_err(failed)?;
        // It may come back.
        *self.count() = None;
        let kind = FileType::from_raw_mode(seen.stx_mode.into());
        let area = Arc::clone(&self.area);
        let mut staged = Staged::new(area, Place::Adopted, slot, kind, Metadata::default());
        staged.seen = Some(seen);
        Ok(staged)
    }

    /// Whether it holds more bytes than it may. They are counted at the first call.
    ///
    /// # Errors
    /// If the trash cannot be read.
    pub fn is_over(&self) -> Result<bool, FsError> {
        let counted = *self.count();
        let held = match counted {
            Some(held) => held,
            None => {
                let held = self.list(None)?.iter().map(|item| item.size).sum();
                *self.count() = Some(held);
                held
            }
        };
        Ok(held > 0 && held > self.max_bytes()?)
    }

    /// Removes what is too old at `now_seconds` (since 1970) or beyond the size allowed, as `docs/room.md` says. Those for
    /// which `stays` are left.
    ///
    /// # Errors
    /// If the trash cannot be read, or something in it not removed.
    pub fn purge(
        &self,
        now_seconds: i64,
        stays: &dyn Fn(&TrashItem) -> bool,
    ) -> Result<Purged, FsError> {
        let items = self.list(None)?;
        let max_bytes = self.max_bytes()?;
        let limits = Limits {
            now_seconds,
            max_age: self.policy.max_age,
            max_bytes,
            aim_bytes: max_bytes - max_bytes / SLACK_SHARE,
        };
        let surplus = limits::surplus(&items, limits, stays);
        let purged = self.remove_all(surplus.into_iter().map(|at| &items[at]))?;
        let held: u64 = items.iter().map(|item| item.size).sum();
        *self.count() = Some(held.saturating_sub(purged.bytes));
        self.remove_empty_days(now_seconds)?;
        Ok(purged)
    }

    /// Removes the oldest until the filesystem has room for `bytes` beside its reserve. Those for which `stays` are left.
    ///
    /// # Errors
    /// If the trash cannot be read, or something in it not removed.
    pub fn make_room(
        &self,
        bytes: u64,
        stays: &dyn Fn(&TrashItem) -> bool,
    ) -> Result<Purged, FsError> {
        let mut purged = Purged::default();
        for item in self.list(None)?.iter().filter(|item| !stays(item)) {
            let room = Room::of(&self.directory);
            let room =
                room.map_err(|source| self.failed("measure the filesystem of", "", source))?;
            if room.usable() >= bytes {
                break;
            }
            purged.add(self.remove_all([item])?);
        }
        Ok(purged)
    }

    fn remove_all<'items>(
        &self,
        items: impl IntoIterator<Item = &'items TrashItem>,
    ) -> Result<Purged, FsError> {
        let mut purged = Purged::default();
        for item in items {
            self.remove(item)?;
            purged.items += 1;
            purged.bytes += item.size;
        }
        Ok(purged)
    }

    /// Removes what `is_meant`, for good; `now_seconds` is the time, since 1970.
    ///
    /// # Errors
    /// If the trash cannot be read, or something in it not removed.
    pub fn discard(
        &self,
        now_seconds: i64,
        is_meant: impl Fn(&TrashItem) -> bool,
    ) -> Result<Purged, FsError> {
        let items = self.list(None)?;
        let purged = self.remove_all(items.iter().filter(|item| is_meant(item)))?;
        self.remove_empty_days(now_seconds)?;
        Ok(purged)
    }

    fn max_bytes(&self) -> Result<u64, FsError> {
        if let Some(bytes) = self.policy.max_bytes {
            return Ok(bytes);
        }
        let filesystem = rustix::fs::fstatvfs(&self.directory)
            .map_err(|source| self.failed("measure the filesystem of", "", source))?;
        let capacity = filesystem.f_blocks.saturating_mul(filesystem.f_frsize);
        Ok(MAX_BYTES_DEFAULT.min(capacity / FILESYSTEM_SHARE))
    }

    fn remove(&self, item: &TrashItem) -> Result<(), FsError> {
        let day = self.day(item.id)?;
        let name = item_name(item.id, &item.name);
        remove_tree(&self.area.calls, At::new(&*day, &name))
            .map_err(|source| self.failed("remove from the trash", &name, source))?;
        if let Some(held) = &mut *self.count() {
            *held = held.saturating_sub(item.size);
        }
        Ok(())
    }

    /// Removes the days before today of which only the log is left.
    fn remove_empty_days(&self, now_seconds: i64) -> Result<(), FsError> {
        let now = u64::try_from(now_seconds)
            .unwrap_or(0)
            .saturating_mul(NANOSECONDS);
        let today = OsString::from(day_name(TrashId(now)));
        for day in self.days()?.into_iter().filter(|day| *day < today) {
            let failed = |source| self.failed("remove", &day, source);
            let directory = open_directory(self.directory.as_fd(), &day).map_err(failed)?;
            let names = names(directory.as_fd()).map_err(failed)?;
            if names.iter().all(|name| name == log::LOG) {
                *self.today.lock().unwrap_or_else(PoisonError::into_inner) = None;
                let at = At::new(&self.directory, &day);
                remove_tree(&self.area.calls, at).map_err(failed)?;
            }
        }
        Ok(())
    }
}

/// Whether a directory that is open was not removed.
fn is_linked(directory: &OwnedFd) -> bool {
    stat_descriptor(directory.as_fd()).is_ok_and(|stat| stat.stx_nlink > 0)
}

/// The trash of a replica, to be looked at while others may work on it.
#[derive(Debug)]
pub struct TrashView {
    directory: OwnedFd,
    shown: PathBuf,
}

impl TrashView {
    /// Opens the trash directory at `path`; `None` if there is none.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn open(path: &Path) -> Result<Option<Self>, FsError> {
        match open_directory(rustix::fs::CWD, path.as_os_str()) {
            Ok(directory) => Ok(Some(Self {
                directory,
                shown: path.to_owned(),
            })),
            Err(Errno::NOENT) => Ok(None),
            Err(source) => Err(FsError::new("open", path, source)),
        }
    }

    fn failed(&self, action: &'static str, name: impl AsRef<OsStr>, source: Errno) -> FsError {
        FsError::new(action, self.shown.join(name.as_ref()), source)
    }

    /// What the trash holds, oldest first; of one path, or of all.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn list(&self, path: Option<&RelPath>) -> Result<Vec<TrashItem>, FsError> {
        let mut items = Vec::new();
        for day in self.days()? {
            self.list_day(&day, &mut items)?;
        }
        items.retain(|item| path.is_none_or(|path| item.path.as_ref() == Some(path)));
        items.sort_by_key(|item| item.id);
        Ok(items)
    }

    /// Opens something in the trash, to read what it held. Whoever reads has to check that: a user may have written to
    /// it since, by another of its names.
    ///
    /// # Errors
    /// If it is not there any more, or is no file.
    pub fn read(&self, item: &TrashItem) -> Result<std::fs::File, FsError> {
        let day = day_name(item.id);
        let failed = |source| self.failed("open in the trash", item.id.to_string(), source);
        let directory = open_directory(self.directory.as_fd(), OsStr::new(&day)).map_err(failed)?;
        let name = item_name(item.id, &item.name);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&directory, &name, flags, Mode::empty()).map_err(failed)?;
        Ok(file.into())
    }

    fn days(&self) -> Result<Vec<OsString>, FsError> {
        let mut names =
            names(self.directory.as_fd()).map_err(|source| self.failed("list", "", source))?;
        names.sort();
        Ok(names)
    }

    fn list_day(&self, day: &OsStr, items: &mut Vec<TrashItem>) -> Result<(), FsError> {
        let failed = |source| self.failed("list", day, source);
        let directory = open_directory(self.directory.as_fd(), day).map_err(failed)?;
        let mut recorded = HashMap::new();
        for displacement in log::read(directory.as_fd()).map_err(failed)? {
            recorded.insert(displacement.id, displacement);
        }
        for name in names(directory.as_fd()).map_err(failed)? {
            let (Some((id, label)), Ok(found)) =
                (parse_item(&name), stat_at(directory.as_fd(), &name))
            else {
                continue;
            };
            let record = recorded.remove(&id);
            items.push(TrashItem {
                id,
                name: label.to_vec(),
                seconds: i64::try_from(id.0 / NANOSECONDS).unwrap_or(i64::MAX),
                content: record.as_ref().and_then(|record| record.content),
                path: record.map(|record| record.path),
                size: found.stx_size,
            });
        }
        Ok(())
    }
}

fn open_directory(directory: BorrowedFd<'_>, name: &OsStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(directory, name, flags, Mode::empty())
}

/// The names in a directory of ours.
pub(crate) fn names(directory: BorrowedFd<'_>) -> Result<Vec<OsString>, Errno> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(directory)? {
        let name = entry?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(OsString::from_vec(name));
        }
    }
    Ok(names)
}

/// Removes something of ours with all that it holds. Links are not followed.
pub(crate) fn remove_tree(calls: &Calls, at: At<'_>) -> Result<(), Errno> {
    let found = rustix::fs::statat(at.directory, at.name, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(found.st_mode) != FileType::Directory {
        return calls.unlink(at);
    }
    // An empty one may be another user's, whom nobody else may look into.
    if calls.remove_directory(at).is_ok() {
        return Ok(());
    }
    let directory = open_directory(at.directory, at.name)?;
    for name in names(directory.as_fd())? {
        remove_tree(calls, At::new(&directory, &name))?;
    }
    calls.remove_directory(at)
}

pub(crate) fn day_name(id: TrashId) -> String {
    let seconds = i64::try_from(id.0 / NANOSECONDS).unwrap_or(0);
    let day = jiff::Timestamp::from_second(seconds).unwrap_or_default();
    day.strftime("%Y%m%d").to_string()
}

pub(crate) fn item_name(id: TrashId, label: &[u8]) -> OsString {
    let mut name = format!("{id}-").into_bytes();
    name.extend_from_slice(&label[..label.len().min(LABEL_BYTES_MAX)]);
    OsString::from_vec(name)
}

fn parse_item(name: &OsStr) -> Option<(TrashId, &[u8])> {
    let (id, label) = name.as_bytes().split_at_checked(16)?;
    let id = TrashId::parse(std::str::from_utf8(id).ok()?)?;
    Some((id, label.strip_prefix(b"-")?))
}
