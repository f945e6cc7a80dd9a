//! How much room is left on a filesystem (`docs/room.md`).

use std::os::fd::AsFd;

use rustix::io::Errno;

/// The share of a filesystem, as its divisor, that is kept free.
const RESERVE_SHARE: u64 = 100;
/// How much is kept free at the most, in bytes.
const RESERVE_BYTES_MAX: u64 = 1 << 30;

/// The room on a filesystem, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// What this process may still write.
    pub free: u64,
    /// What is to stay free.
    pub reserve: u64,
}

impl Room {
    /// Asks the filesystem that holds `file`.
    ///
    /// # Errors
    /// If the system cannot tell.
    pub fn of(file: impl AsFd) -> Result<Self, Errno> {
        let found = rustix::fs::fstatvfs(file)?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        let capacity = bytes(found.f_blocks);
        Ok(Self {
            // Some filesystems of networks cannot tell, and say that they hold nothing.
            free: match capacity {
                0 => u64::MAX,
                _ => bytes(found.f_bavail),
            },
            reserve: RESERVE_BYTES_MAX.min(capacity / RESERVE_SHARE),
        })
    }

    /// What can be written beside the reserve.
    #[must_use]
    pub fn usable(self) -> u64 {
        self.free.saturating_sub(self.reserve)
    }
}
