//! Why a change was not made.

use std::path::PathBuf;

use replicat_core::path::RelPath;
use rustix::io::Errno;
use thiserror::Error;

use crate::error::FsError;

/// Why one change was not made. Unless it says otherwise, the path is as it was.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// The path does not hold what was expected: someone changed it. Observe it and decide again.
    #[error("{0:?} was changed meanwhile; it is looked at again")]
    Changed(PathBuf),
    /// Something else appeared at the path in the instant of the change, and the change could not be taken
    /// back because the path changed once more. Nothing is lost: what appeared is at `kept_as`.
    #[error(
        "{path:?} was changed in the same instant; what was written there is kept as {kept_as:?}"
    )]
    Surprise {
        /// The path.
        path: PathBuf,
        /// Where the displaced content is now, beside the path.
        kept_as: RelPath,
    },
    /// A directory to be removed or replaced holds something.
    #[error("directory {0:?} is not empty; remove what it holds, or keep it")]
    NotEmpty(PathBuf),
    /// The directory that should hold the path is missing, is no directory, or lies behind a symbolic link.
    #[error("{0:?} has no directory to be in; it is looked at again")]
    NoParent(PathBuf),
    /// The path belongs to replicat itself.
    #[error("{0:?} is where replicat keeps its state and is never synchronised; rename it")]
    Reserved(PathBuf),
    /// A hard link cannot be made; a copy of the content can.
    #[error("cannot make {0:?} a hard link; it is written as a file of its own")]
    NoHardLink(PathBuf),
    /// The system refused.
    #[error("{error}; {}", obstacle.advice())]
    Refused {
        /// Why, as far as a user can do something about it.
        obstacle: Obstacle,
        /// What was being done, and what the system said.
        #[source]
        error: FsError,
    },
}

/// What stands in the way of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// Permissions.
    Denied,
    /// The file or its directory is marked immutable or append-only.
    Immutable,
    /// It is in use: a running program, a mount point, a swap file.
    Busy,
    /// The filesystem is read-only.
    ReadOnly,
    /// The filesystem is full.
    DiskFull,
    /// The user's quota is used up.
    QuotaExceeded,
    /// The device failed.
    Device,
    /// The filesystem cannot hold such a name or file.
    Unsupported,
    /// Another filesystem is mounted inside the root.
    OtherFilesystem,
    /// The filesystem takes the name for that of something else that is there.
    NameTaken,
    /// The filesystem does not take the name.
    BadName,
    /// Anything else.
    Other,
}

impl Obstacle {
    /// What the user can do.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::Denied => "give the user that runs replicat write access to its directory",
            Self::Immutable => "clear the immutable or append-only flag (chattr -i -a)",
            Self::Busy => "it is in use: stop the program or unmount it; it is tried again",
            Self::ReadOnly => "mount the filesystem read-write",
            Self::DiskFull => "free space on this filesystem; it is tried again",
            Self::QuotaExceeded => "free space or raise the quota; it is tried again",
            Self::Device => "the device reported an error: check the disk and the kernel log",
            Self::Unsupported => "this filesystem cannot hold it: rename it, or exclude it",
            Self::NameTaken => "rename it, or what has that name in another spelling",
            Self::BadName => "rename it, or exclude it",
            Self::OtherFilesystem => "give the mounted filesystem a folder of its own",
            Self::Other => "it is tried again",
        }
    }

    /// Whether every further change will meet it too.
    #[must_use]
    pub fn concerns_all(self) -> bool {
        matches!(
            self,
            Self::ReadOnly | Self::DiskFull | Self::QuotaExceeded | Self::Device
        )
    }
}

impl From<Option<Errno>> for Obstacle {
    fn from(errno: Option<Errno>) -> Self {
        match errno {
            Some(Errno::ACCESS | Errno::PERM) => Self::Denied,
            Some(Errno::TXTBSY | Errno::BUSY) => Self::Busy,
            Some(Errno::ROFS) => Self::ReadOnly,
            Some(Errno::NOSPC) => Self::DiskFull,
            Some(Errno::DQUOT) => Self::QuotaExceeded,
            Some(Errno::IO | Errno::NODEV | Errno::NXIO) => Self::Device,
            Some(Errno::NAMETOOLONG | Errno::ILSEQ | Errno::INVAL | Errno::OPNOTSUPP) => {
                Self::Unsupported
            }
            Some(Errno::FBIG) => Self::Unsupported,
            Some(Errno::XDEV) => Self::OtherFilesystem,
            _ => Self::Other,
        }
    }
}

impl From<FsError> for ApplyError {
    fn from(error: FsError) -> Self {
        Self::Refused {
            obstacle: Obstacle::from(error.errno()),
            error,
        }
    }
}
