//! Whether the directory of a root that was given up for a while is there again, and usable.
//!
//! Goals: a look that changes nothing and takes no lock, cheap enough to be repeated.
//! Non-goals: what follows from it.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, FileType};
use rustix::io::Errno;

use crate::identity::{Comparison, RootIdentity};
use crate::root::Root;
use crate::state::open_directory;

/// How much must be free before a full disk is tried again, in bytes.
const FREE_BYTES_MIN: u64 = 1 << 20;

/// What a root is recognised by, and where to look for it.
#[derive(Clone, Debug)]
pub struct Landmark {
    root: PathBuf,
    state: PathBuf,
    identity: RootIdentity,
}

/// What is found where a root was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// The same directory with the same state, which may be read and written. A source need only be readable.
    Usable,
    /// The same, but it may not be read or written.
    Denied,
    /// The same, but its disk is full.
    Full,
    /// Something else.
    Other,
    /// Nothing.
    Missing,
}

impl Landmark {
    /// By which the root at `root`, whose state is in `state`, is found again.
    #[must_use]
    pub fn new(root: &Path, state: &Path, identity: RootIdentity) -> Self {
        Self {
            root: root.to_owned(),
            state: state.to_owned(),
            identity,
        }
    }

    /// What is there now.
    #[must_use]
    pub fn look(&self) -> Presence {
        match rustix::fs::stat(&self.root) {
            Err(Errno::ACCESS | Errno::PERM) => return Presence::Denied,
            Err(_) => return Presence::Missing,
            Ok(found) if FileType::from_raw_mode(found.st_mode) != FileType::Directory => {
                return Presence::Other;
            }
            Ok(_) => {}
        }
        let all = Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK;
        let is_allowed = |path: &Path| rustix::fs::access(path, all).is_ok();
        if !is_allowed(&self.root) && !self.is_only_read() {
            return Presence::Denied;
        }
        if !self.state.is_dir() {
            return Presence::Other;
        }
        if !is_allowed(&self.state) {
            return Presence::Denied;
        }
        match self.identify() {
            Some(Comparison::Same) if self.is_full() => Presence::Full,
            Some(Comparison::Same) => Presence::Usable,
            _ => Presence::Other,
        }
    }

    /// Whether the root can be read, its filesystem cannot be written, and its state is elsewhere: so it is a source.
    fn is_only_read(&self) -> bool {
        let reading = Access::READ_OK | Access::EXEC_OK;
        let may_read = rustix::fs::access(&self.root, reading).is_ok();
        let is_read_only = || Root::open(&self.root).is_ok_and(|root| root.is_mounted_read_only());
        may_read && !self.state.starts_with(&self.root) && is_read_only()
    }

    fn identify(&self) -> Option<Comparison> {
        let root = Root::open(&self.root).ok()?;
        let state = open_directory(&self.state).ok()?;
        let found = RootIdentity::of(&root, state.as_fd()).ok()?;
        Some(found.compare(&self.identity))
    }

    fn is_full(&self) -> bool {
        rustix::fs::statvfs(&self.state).is_ok_and(|disk| {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            free < FREE_BYTES_MIN
        })
    }
}
