//! What can go wrong with a file, and how callers tell the cases apart.

use std::io;
use std::path::PathBuf;

use rustix::io::Errno;
use thiserror::Error;

/// An operation on a path failed.
#[derive(Debug, Error)]
#[error("cannot {action} {path:?}: {source}")]
pub struct FsError {
    /// What was being done, as a verb phrase: `open the directory`.
    pub action: &'static str,
    /// To what, with the root's own path in front.
    pub path: PathBuf,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

impl FsError {
    /// The failure of `action` on `path`.
    #[must_use]
    pub fn new(
        action: &'static str,
        path: impl Into<PathBuf>,
        source: impl Into<io::Error>,
    ) -> Self {
        Self {
            action,
            path: path.into(),
            source: source.into(),
        }
    }

    /// The system's error number, if the system reported the failure.
    #[must_use]
    pub fn errno(&self) -> Option<Errno> {
        Errno::from_io_error(&self.source)
    }

    fn is_any(&self, numbers: &[Errno]) -> bool {
        self.errno().is_some_and(|number| numbers.contains(&number))
    }

    /// Nothing is there, or something above it is not a directory.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.is_any(&[Errno::NOENT, Errno::NOTDIR])
    }

    /// A symbolic link stands where a directory or file was expected.
    #[must_use]
    pub fn is_symlink(&self) -> bool {
        self.is_any(&[Errno::LOOP])
    }

    /// Something is there already.
    #[must_use]
    pub fn is_existing(&self) -> bool {
        self.is_any(&[Errno::EXIST])
    }

    /// A directory that should be empty is not.
    #[must_use]
    pub fn is_not_empty(&self) -> bool {
        self.is_any(&[Errno::NOTEMPTY])
    }

    /// This user may not do that.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        self.is_any(&[Errno::ACCESS, Errno::PERM])
    }

    /// The filesystem or the user's quota is full.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        self.is_any(&[Errno::NOSPC, Errno::DQUOT])
    }

    /// The filesystem is mounted read-only.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.is_any(&[Errno::ROFS])
    }

    /// The two paths lie on different filesystems.
    #[must_use]
    pub fn is_cross_device(&self) -> bool {
        self.is_any(&[Errno::XDEV])
    }

    /// The filesystem cannot do this at all.
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        self.is_any(&[Errno::OPNOTSUPP, Errno::NOSYS, Errno::INVAL, Errno::NOTTY])
    }

    /// The name is too long, or has bytes that the filesystem refuses.
    #[must_use]
    pub fn is_bad_name(&self) -> bool {
        self.is_any(&[Errno::NAMETOOLONG, Errno::ILSEQ])
    }

    /// What the user can do about it, if there is a common remedy.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        if self.is_denied() {
            return Some("give the user that runs replicat access to it, or exclude it");
        }
        if self.is_disk_full() {
            return Some("free some space, then synchronise again");
        }
        if self.is_read_only() {
            return Some("mount the filesystem read-write, or make the replica read-only");
        }
        if self.is_bad_name() {
            return Some("rename it, or exclude it");
        }
        None
    }
}
