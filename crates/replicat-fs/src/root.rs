//! The root of a replica, held open: the one door to user files.
//!
//! Goals: no path, whatever a peer sends and whoever swaps in a symbolic link, leads out of the root.
//! Every lookup is an `openat2` beneath the held descriptor which follows no link on the way.
//! Non-goals: keeping descriptors of directories between operations: one would go on naming a directory that
//! a user has renamed meanwhile, and a lookup costs a few microseconds beside a commit's hundreds.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use replicat_core::path::RelPath;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, Statx, StatxFlags};
use rustix::io::Errno;

use crate::error::FsError;

/// The longest piece of a path given to one call: `PATH_MAX` less room for the longest name and a NUL.
const PIECE_BYTES_MAX: usize = 4096 - 256;
/// How often a lookup is tried when the kernel asks for another try.
const LOOKUP_ATTEMPTS_MAX: usize = 16;

const RESOLVE: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS);
const READ_DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
const NAME_DIRECTORY: OFlags = OFlags::PATH
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
const READ_FILE: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

/// What is asked of `statx`.
const STATX_WANTED: StatxFlags = StatxFlags::BASIC_STATS.union(StatxFlags::BTIME);

/// A replica's root directory, held open.
#[derive(Debug)]
pub struct Root {
    directory: OwnedFd,
    path: PathBuf,
    /// Whether names that differ in case are one, once that is known.
    pub(crate) folds: Arc<OnceLock<bool>>,
}

/// The directory that holds a path, and the path's name in it.
#[derive(Debug)]
pub struct Parent {
    /// The directory, open for reading: its entries can be listed and flushed. Neighbours share it.
    pub directory: Arc<OwnedFd>,
    /// The name in it. One component, never `.` or `..`.
    pub name: Vec<u8>,
}

impl Parent {
    /// The name as system calls take it.
    #[must_use]
    pub fn name(&self) -> &OsStr {
        OsStr::from_bytes(&self.name)
    }
}

impl Root {
    /// Opens the directory at `path` as a root. Symbolic links on the way to it are followed: the user named it.
    ///
    /// # Errors
    /// If there is no directory, or it cannot be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, FsError> {
        let path = path.as_ref();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(CWD, path, flags, Mode::empty())
            .map_err(|source| FsError::new("open the root directory", path, source))?;
        Ok(Self {
            directory,
            path: path.to_path_buf(),
            folds: Arc::default(),
        })
    }

    /// The same root, for another owner.
    ///
    /// # Errors
    /// If this process has no descriptor left.
    pub fn duplicate(&self) -> Result<Self, FsError> {
        let duplicated = self.directory.try_clone();
        let directory =
            duplicated.map_err(|source| self.error("hold", &RelPath::root(), source))?;
        Ok(Self {
            directory,
            path: self.path.clone(),
            folds: Arc::clone(&self.folds),
        })
    }

    /// Where the root was when it was opened; for messages, and for watching.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The held descriptor.
    #[must_use]
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// Whether the filesystem of the root is mounted so that nobody can write to it.
    #[must_use]
    pub fn is_mounted_read_only(&self) -> bool {
        let may_write = rustix::fs::accessat(
            self.descriptor(),
            ".",
            rustix::fs::Access::WRITE_OK,
            AtFlags::empty(),
        );
        may_write == Err(Errno::ROFS)
    }

    /// `path` with the root's own path in front; for messages only.
    #[must_use]
    pub fn shown(&self, path: &RelPath) -> PathBuf {
        if path.is_root() {
            return self.path.clone();
        }
        self.path.join(OsStr::from_bytes(path.as_bytes()))
    }

    /// The failure of `action` on `path`.
    #[must_use]
    pub fn error(
        &self,
        action: &'static str,
        path: &RelPath,
        source: impl Into<io::Error>,
    ) -> FsError {
        FsError::new(action, self.shown(path), source)
    }

    /// Opens a directory for listing and flushing.
    ///
    /// # Errors
    /// If it is missing, is not a directory, lies behind a symbolic link, or cannot be read.
    pub fn directory(&self, path: &RelPath) -> Result<OwnedFd, FsError> {
        self.descend(path.as_bytes(), READ_DIRECTORY)
            .map_err(|source| self.error("open the directory", path, source))
    }

    /// Opens the directory that holds `path`, for operations on the name in it.
    ///
    /// # Errors
    /// As for [`Self::directory`]; also for the root itself, which has no parent here.
    pub fn parent_of(&self, path: &RelPath) -> Result<Parent, FsError> {
        let (above, name) = split(path.as_bytes());
        if name.is_empty() {
            return Err(self.error("find the parent of", path, Errno::INVAL));
        }
        let directory = self
            .descend(above, READ_DIRECTORY)
            .map_err(|source| self.error("open the directory that holds", path, source))?;
        Ok(Parent {
            directory: Arc::new(directory),
            name: name.to_vec(),
        })
    }

    /// What `path` is, itself and not what it may point to; `None` if nothing is there, or only behind a link.
    ///
    /// # Errors
    /// If it cannot be told whether something is there.
    pub fn stat(&self, path: &RelPath) -> Result<Option<Statx>, FsError> {
        match self.try_stat(path.as_bytes()) {
            Ok(found) => Ok(Some(found)),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(source) => Err(self.error("look at", path, source)),
        }
    }

    fn try_stat(&self, path: &[u8]) -> Result<Statx, Errno> {
        let (above, name) = split(path);
        if name.is_empty() {
            return stat_descriptor(self.descriptor());
        }
        if above.is_empty() {
            return stat_at(self.descriptor(), name);
        }
        stat_at(self.descend(above, NAME_DIRECTORY)?.as_fd(), name)
    }

    /// Where the symbolic link at `path` points, verbatim.
    ///
    /// # Errors
    /// If nothing is there, or it is not a symbolic link.
    pub fn readlink(&self, path: &RelPath) -> Result<Vec<u8>, FsError> {
        let (above, name) = split(path.as_bytes());
        self.descend(above, NAME_DIRECTORY)
            .and_then(|directory| readlink_at(directory.as_fd(), name))
            .map_err(|source| self.error("read the symbolic link", path, source))
    }

    /// Opens a file for reading. Never blocks on a FIFO, never follows a link, and leaves the access time alone
    /// where that is permitted. What was opened is for the caller to check: it may be anything but a link.
    ///
    /// # Errors
    /// If nothing is there, or it cannot be read.
    pub fn open_file(&self, path: &RelPath) -> Result<OwnedFd, FsError> {
        self.try_open_file(path.as_bytes())
            .map_err(|source| self.error("open for reading", path, source))
    }

    fn try_open_file(&self, path: &[u8]) -> Result<OwnedFd, Errno> {
        if path.len() <= PIECE_BYTES_MAX {
            return open_file_at(self.descriptor(), path);
        }
        let (above, name) = split(path);
        open_file_at(self.descend(above, NAME_DIRECTORY)?.as_fd(), name)
    }

    /// Opens the directory at `path`, in pieces that the system can take. Each piece starts at the directory that
    /// the one before led to, and so stays beneath the root as well.
    fn descend(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        if path.is_empty() {
            return open_beneath(self.descriptor(), b".", flags);
        }
        let (mut piece, mut rest) = first_piece(path);
        let mut reached: Option<OwnedFd> = None;
        loop {
            let from = reached
                .as_ref()
                .map_or_else(|| self.descriptor(), AsFd::as_fd);
            if rest.is_empty() {
                return open_beneath(from, piece, flags);
            }
            reached = Some(open_beneath(from, piece, NAME_DIRECTORY)?);
            (piece, rest) = first_piece(rest);
        }
    }
}

/// Splits a path into the directory above and the name in it.
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

/// Splits a path after as many components as one call takes.
fn first_piece(path: &[u8]) -> (&[u8], &[u8]) {
    if path.len() <= PIECE_BYTES_MAX {
        return (path, b"");
    }
    split_at_last_slash(path, PIECE_BYTES_MAX)
}

fn split_at_last_slash(path: &[u8], limit: usize) -> (&[u8], &[u8]) {
    match path[..limit].iter().rposition(|&byte| byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (path, b""),
    }
}

fn open_beneath(directory: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    // The kernel answers EAGAIN when a rename elsewhere raced with its check that the path stays beneath.
    for _ in 1..LOOKUP_ATTEMPTS_MAX {
        match rustix::fs::openat2(directory, path, flags, Mode::empty(), RESOLVE) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            result => return result,
        }
    }
    rustix::fs::openat2(directory, path, flags, Mode::empty(), RESOLVE)
}

/// What the name in `directory` is; links are not followed. What a filesystem remembers of another host, or of a process that
/// serves it, is not enough: an open file tells what is so, and the two would differ.
pub(crate) fn stat_at(
    directory: BorrowedFd<'_>,
    name: impl rustix::path::Arg,
) -> Result<Statx, Errno> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    rustix::fs::statx(directory, name, flags, STATX_WANTED)
}

/// What an open descriptor is.
pub(crate) fn stat_descriptor(descriptor: BorrowedFd<'_>) -> Result<Statx, Errno> {
    rustix::fs::statx(descriptor, c"", AtFlags::EMPTY_PATH, STATX_WANTED)
}

/// Where the symbolic link `name` in `directory` points.
pub(crate) fn readlink_at(
    directory: BorrowedFd<'_>,
    name: impl rustix::path::Arg,
) -> Result<Vec<u8>, Errno> {
    rustix::fs::readlinkat(directory, name, Vec::new()).map(std::ffi::CString::into_bytes)
}

/// Opens the directory `name` in `directory` for listing; links are not followed.
pub(crate) fn open_directory_at(directory: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    open_beneath(directory, name, READ_DIRECTORY)
}

/// Opens the file at `path` below `directory` for reading, see [`Root::open_file`].
pub(crate) fn open_file_at(directory: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd, Errno> {
    match open_beneath(directory, path, READ_FILE | OFlags::NOATIME) {
        // Only a file's owner may leave its access time alone.
        Err(Errno::PERM) => open_beneath(directory, path, READ_FILE),
        result => result,
    }
}
