//! The inotify watches on the directories of a tree, and which path each stands for.

use std::collections::{BTreeMap, HashMap};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use replicat_core::path::RelPath;
use rustix::fs::FileType;
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;

use crate::error::FsError;
use crate::filter::PathFilter;
use crate::listing::Listing;
use crate::observe::{Kind, device, is_mount_point, kind};
use crate::root::{Root, stat_at, stat_descriptor};

/// What is listened to. Not to opening and reading: scans and hashing do that themselves, to every file, and would
/// fill the queue with their own echo.
const WANTED: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MODIFY)
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::EXCL_UNLINK)
    .union(WatchFlags::ONLYDIR);

/// The number that the kernel gives to a watch.
pub(super) type WatchNumber = i32;

/// Whether all directories asked for are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coverage {
    /// They are.
    Full,
    /// The system's limit on watches was reached.
    Limited,
}

/// The watches on one root.
#[derive(Debug)]
pub(super) struct Watches {
    descriptor: OwnedFd,
    device: u64,
    paths: HashMap<WatchNumber, RelPath>,
    numbers: BTreeMap<RelPath, WatchNumber>,
    listing: Listing,
}

impl Watches {
    /// No watches yet on `root`.
    pub(super) fn new(root: &Root) -> Result<Self, FsError> {
        let failed = |source| root.error("watch", &RelPath::root(), source);
        let flags = CreateFlags::CLOEXEC | CreateFlags::NONBLOCK;
        let stat = stat_descriptor(root.descriptor()).map_err(failed)?;
        Ok(Self {
            descriptor: inotify::init(flags).map_err(failed)?,
            device: device(&stat),
            paths: HashMap::new(),
            numbers: BTreeMap::new(),
            listing: Listing::default(),
        })
    }

    /// The descriptor from which events are read.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }

    /// The directory that a watch is on.
    pub(super) fn path(&self, number: WatchNumber) -> Option<&RelPath> {
        self.paths.get(&number)
    }

    /// How many directories are watched.
    pub(super) fn len(&self) -> usize {
        self.paths.len()
    }

    /// Watches `top` and all directories in scope below it. A directory is listed only after it is watched, so that
    /// none that appears meanwhile is missed. What cannot be watched is left to scans, which tell why.
    pub(super) fn add_tree(
        &mut self,
        root: &Root,
        filter: &mut PathFilter<'_>,
        top: &RelPath,
    ) -> Coverage {
        let mut waiting = vec![top.clone()];
        while let Some(path) = waiting.pop() {
            match self.add(root, &path) {
                Ok(Some(directory)) => {
                    self.collect_directories(directory.as_fd(), filter, &path, &mut waiting);
                }
                Ok(None) => {}
                Err(Errno::NOSPC | Errno::NOMEM) => return Coverage::Limited,
                Err(error) => {
                    tracing::debug!(path = %path, %error, "this directory is not watched");
                }
            }
        }
        Coverage::Full
    }

    /// Watches one directory; `None` if it is gone or lies on another filesystem.
    fn add(&mut self, root: &Root, path: &RelPath) -> Result<Option<OwnedFd>, Errno> {
        let Ok(directory) = root.directory(path) else {
            return Ok(None);
        };
        let stat = stat_descriptor(directory.as_fd())?;
        if device(&stat) != self.device || (is_mount_point(&stat) && !path.is_root()) {
            return Ok(None);
        }
        // By its descriptor and not by its path, which may be too long, or lead elsewhere by now.
        let opened = format!("/proc/self/fd/{}", directory.as_raw_fd());
        let number = inotify::add_watch(&self.descriptor, opened, WANTED)?;
        // The kernel gives the same number for the same directory: it may have had another path.
        if let Some(before) = self.paths.insert(number, path.clone())
            && before != *path
        {
            self.numbers.remove(&before);
        }
        if let Some(stale) = self.numbers.insert(path.clone(), number)
            && stale != number
        {
            self.paths.remove(&stale);
        }
        Ok(Some(directory))
    }

    fn collect_directories(
        &mut self,
        directory: BorrowedFd<'_>,
        filter: &mut PathFilter<'_>,
        path: &RelPath,
        found: &mut Vec<RelPath>,
    ) {
        let Ok(Some(filter)) = filter.directory(path) else {
            return;
        };
        if self.listing.read(directory).is_err() {
            return;
        }
        for at in 0..self.listing.len() {
            let (name, file_type) = self.listing.get(at);
            let is_directory = match file_type {
                FileType::Directory => true,
                FileType::Unknown => {
                    stat_at(directory, name).is_ok_and(|stat| kind(&stat) == Kind::Directory)
                }
                _ => false,
            };
            if is_directory
                && !filter.excludes(name.to_bytes(), true)
                && let Ok(child) = path.join(name.to_bytes())
            {
                found.push(child);
            }
        }
    }

    /// Stops watching `top` and what lies below it.
    pub(super) fn remove_tree(&mut self, top: &RelPath) {
        let below = self.numbers.range(top.clone()..);
        let below = below.take_while(|(path, _)| path.is_within(top));
        let removed: Vec<_> = below
            .map(|(path, number)| (path.clone(), *number))
            .collect();
        for (path, number) in removed {
            self.numbers.remove(&path);
            self.paths.remove(&number);
            // Fails if the directory is gone, and its watch with it.
            if let Err(error) = inotify::remove_watch(&self.descriptor, number) {
                tracing::trace!(path = %path, %error, "its watch is gone already");
            }
        }
    }

    /// Forgets a watch that the kernel removed.
    pub(super) fn forget(&mut self, number: WatchNumber) {
        if let Some(path) = self.paths.remove(&number)
            && self.numbers.get(&path) == Some(&number)
        {
            self.numbers.remove(&path);
        }
    }
}
