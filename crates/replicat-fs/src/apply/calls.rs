//! Every system call of this half of the crate that changes something, in one place.
//!
//! Goals: tests can make the Nth change fail, or let nothing happen from it on, as if the process had died.
//! Non-goals: policy. Each method is one call, repeated only when a signal interrupts it.

use std::ffi::OsStr;
use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use replicat_core::entry::{Owner, Timestamp};
use rustix::fs::{
    AtFlags, CWD, FallocateFlags, Gid, Mode, OFlags, RenameFlags, Timespec, Timestamps, Uid,
};
use rustix::io::{Errno, retry_on_intr};

/// A change that is about to be made, by kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Create a file.
    Create,
    /// Write bytes, or copy them inside the kernel.
    Write,
    /// Set a file's length.
    Truncate,
    /// Set permission bits, owner, times or extended attributes.
    Describe,
    /// Give a file one more name.
    Link,
    /// Rename, onto nothing or over what is there.
    Rename,
    /// Rename where nothing may be.
    RenameNew,
    /// Exchange two names.
    Exchange,
    /// Create a directory.
    MakeDirectory,
    /// Create a symbolic link.
    MakeSymlink,
    /// Remove a name.
    Unlink,
    /// Remove an empty directory.
    RemoveDirectory,
    /// Make durable.
    Sync,
}

/// Asked before each change; an answer makes the change fail without being made.
pub type Fault = dyn Fn(Call) -> Option<Errno> + Send + Sync;

/// The door to all changing system calls.
#[derive(Clone, Default)]
pub struct Calls {
    fault: Option<Arc<Fault>>,
}

impl fmt::Debug for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calls").finish_non_exhaustive()
    }
}

/// A directory and a name in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At<'a> {
    pub(crate) directory: BorrowedFd<'a>,
    pub(crate) name: &'a OsStr,
}

impl<'a> At<'a> {
    pub(crate) fn new(directory: &'a impl AsFd, name: &'a OsStr) -> Self {
        let directory = directory.as_fd();
        Self { directory, name }
    }
}

/// The path under which the kernel shows an open descriptor.
pub(crate) fn descriptor_path(descriptor: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", descriptor.as_raw_fd())
}

const NEW_FILE: OFlags = OFlags::RDWR
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

impl Calls {
    /// Calls that `fault` may refuse; for tests.
    #[must_use]
    pub fn with_fault(fault: Arc<Fault>) -> Self {
        Self { fault: Some(fault) }
    }

    fn permit(&self, call: Call) -> Result<(), Errno> {
        match &self.fault {
            Some(fault) => fault(call).map_or(Ok(()), Err),
            None => Ok(()),
        }
    }

    pub(crate) fn create(&self, at: At<'_>, mode: Mode) -> Result<OwnedFd, Errno> {
        self.permit(Call::Create)?;
        let flags = NEW_FILE | OFlags::CREATE | OFlags::EXCL;
        retry_on_intr(|| rustix::fs::openat(at.directory, at.name, flags, mode))
    }

    /// Opens a file that an earlier attempt may have given permissions under which it cannot be written.
    pub(crate) fn open_partial(
        &self,
        at: At<'_>,
        flags: OFlags,
        mode: Mode,
    ) -> Result<OwnedFd, Errno> {
        self.permit(Call::Create)?;
        let open = || rustix::fs::openat(at.directory, at.name, NEW_FILE | flags, mode);
        match retry_on_intr(open) {
            Err(Errno::ACCESS) => {
                rustix::fs::chmodat(at.directory, at.name, mode, AtFlags::empty())?;
                retry_on_intr(open)
            }
            result => result,
        }
    }

    pub(crate) fn create_log(&self, at: At<'_>) -> Result<OwnedFd, Errno> {
        self.permit(Call::Create)?;
        let flags = NEW_FILE | OFlags::CREATE | OFlags::APPEND;
        retry_on_intr(|| rustix::fs::openat(at.directory, at.name, flags, Mode::RUSR | Mode::WUSR))
    }

    pub(crate) fn write(&self, file: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<(), Errno> {
        while !bytes.is_empty() {
            self.permit(Call::Write)?;
            match retry_on_intr(|| rustix::io::write(file, bytes))? {
                0 => return Err(Errno::IO),
                written => bytes = &bytes[written..],
            }
        }
        Ok(())
    }

    pub(crate) fn write_at(
        &self,
        file: BorrowedFd<'_>,
        mut offset: u64,
        mut bytes: &[u8],
    ) -> Result<(), Errno> {
        while !bytes.is_empty() {
            self.permit(Call::Write)?;
            match retry_on_intr(|| rustix::io::pwrite(file, bytes, offset))? {
                0 => return Err(Errno::IO),
                written => {
                    bytes = &bytes[written..];
                    offset += written as u64;
                }
            }
        }
        Ok(())
    }

    pub(crate) fn truncate(&self, file: BorrowedFd<'_>, length: u64) -> Result<(), Errno> {
        self.permit(Call::Truncate)?;
        retry_on_intr(|| rustix::fs::ftruncate(file, length))
    }

    /// Makes a hole.
    pub(crate) fn punch(
        &self,
        file: BorrowedFd<'_>,
        offset: u64,
        length: u64,
    ) -> Result<(), Errno> {
        self.permit(Call::Write)?;
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        retry_on_intr(|| rustix::fs::fallocate(file, flags, offset, length))
    }

    pub(crate) fn clone_file(&self, from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> Result<(), Errno> {
        self.permit(Call::Write)?;
        retry_on_intr(|| rustix::fs::ioctl_ficlone(to, from))
    }

    /// Copies up to `length` bytes inside the kernel, sharing blocks where the filesystem can; says how many.
    pub(crate) fn copy_range(
        &self,
        from: (BorrowedFd<'_>, u64),
        to: (BorrowedFd<'_>, u64),
        length: usize,
    ) -> Result<usize, Errno> {
        self.permit(Call::Write)?;
        let (mut from_offset, mut to_offset) = (from.1, to.1);
        retry_on_intr(|| {
            let offsets = (Some(&mut from_offset), Some(&mut to_offset));
            rustix::fs::copy_file_range(from.0, offsets.0, to.0, offsets.1, length)
        })
    }

    pub(crate) fn change_mode(&self, path: &str, mode: Mode) -> Result<(), Errno> {
        self.permit(Call::Describe)?;
        rustix::fs::chmodat(CWD, path, mode, AtFlags::empty())
    }

    pub(crate) fn change_mode_of(&self, file: BorrowedFd<'_>, mode: Mode) -> Result<(), Errno> {
        self.permit(Call::Describe)?;
        rustix::fs::fchmod(file, mode)
    }

    pub(crate) fn change_owner_of(&self, file: BorrowedFd<'_>, owner: Owner) -> Result<(), Errno> {
        self.permit(Call::Describe)?;
        let user = Some(Uid::from_raw(owner.user));
        let group = Some(Gid::from_raw(owner.group));
        rustix::fs::chownat(file, c"", user, group, AtFlags::EMPTY_PATH)
    }

    /// Sets the time of modification; that of the last access as well, if it is given.
    pub(crate) fn set_times(
        &self,
        path: &str,
        mtime: Timestamp,
        atime: Option<Timestamp>,
    ) -> Result<(), Errno> {
        self.permit(Call::Describe)?;
        rustix::fs::utimensat(CWD, path, &times(mtime, atime), AtFlags::empty())
    }

    /// As [`Self::set_times`], of an open file.
    pub(crate) fn set_times_of(
        &self,
        file: BorrowedFd<'_>,
        mtime: Timestamp,
        atime: Option<Timestamp>,
    ) -> Result<(), Errno> {
        self.permit(Call::Describe)?;
        rustix::fs::futimens(file, &times(mtime, atime))
    }

    pub(crate) fn set_xattr(
        &self,
        file: BorrowedFd<'_>,
        name: &[u8],
        value: &[u8],
    ) -> Result<(), Errno> {
        self.permit(Call::Describe)?;
        rustix::fs::fsetxattr(file, name, value, rustix::fs::XattrFlags::empty())
    }

    pub(crate) fn remove_xattr(&self, file: BorrowedFd<'_>, name: &[u8]) -> Result<(), Errno> {
        self.permit(Call::Describe)?;
        rustix::fs::fremovexattr(file, name)
    }

    pub(crate) fn link(&self, from: At<'_>, to: At<'_>) -> Result<(), Errno> {
        self.permit(Call::Link)?;
        rustix::fs::linkat(
            from.directory,
            from.name,
            to.directory,
            to.name,
            AtFlags::empty(),
        )
    }

    pub(crate) fn rename_new(&self, from: At<'_>, to: At<'_>) -> Result<(), Errno> {
        self.permit(Call::RenameNew)?;
        rename(from, to, RenameFlags::NOREPLACE)
    }

    pub(crate) fn exchange(&self, one: At<'_>, other: At<'_>) -> Result<(), Errno> {
        self.permit(Call::Exchange)?;
        rename(one, other, RenameFlags::EXCHANGE)
    }

    pub(crate) fn rename_over(&self, from: At<'_>, to: At<'_>) -> Result<(), Errno> {
        self.permit(Call::Rename)?;
        rename(from, to, RenameFlags::empty())
    }

    pub(crate) fn make_directory(&self, at: At<'_>, mode: Mode) -> Result<(), Errno> {
        self.permit(Call::MakeDirectory)?;
        rustix::fs::mkdirat(at.directory, at.name, mode)
    }

    pub(crate) fn make_symlink(&self, target: &[u8], at: At<'_>) -> Result<(), Errno> {
        self.permit(Call::MakeSymlink)?;
        rustix::fs::symlinkat(target, at.directory, at.name)
    }

    pub(crate) fn unlink(&self, at: At<'_>) -> Result<(), Errno> {
        self.permit(Call::Unlink)?;
        rustix::fs::unlinkat(at.directory, at.name, AtFlags::empty())
    }

    pub(crate) fn remove_directory(&self, at: At<'_>) -> Result<(), Errno> {
        self.permit(Call::RemoveDirectory)?;
        rustix::fs::unlinkat(at.directory, at.name, AtFlags::REMOVEDIR)
    }

    pub(crate) fn sync(&self, file: BorrowedFd<'_>) -> Result<(), Errno> {
        self.permit(Call::Sync)?;
        retry_on_intr(|| rustix::fs::fsync(file))
    }

    /// Linux begins to write what is dirty among bytes that are declared of no more use; it drops only what is clean.
    pub(crate) fn flush_ahead(
        &self,
        file: BorrowedFd<'_>,
        bytes: std::ops::Range<u64>,
    ) -> Result<(), Errno> {
        let length = std::num::NonZeroU64::new(bytes.end.saturating_sub(bytes.start));
        rustix::fs::fadvise(file, bytes.start, length, rustix::fs::Advice::DontNeed)
    }

    pub(crate) fn sync_filesystem(&self, file: BorrowedFd<'_>) -> Result<(), Errno> {
        self.permit(Call::Sync)?;
        retry_on_intr(|| rustix::fs::syncfs(file))
    }
}

fn rename(from: At<'_>, to: At<'_>, flags: RenameFlags) -> Result<(), Errno> {
    rustix::fs::renameat_with(from.directory, from.name, to.directory, to.name, flags)
}

/// Leaves the access time as it is.
fn times(mtime: Timestamp, atime: Option<Timestamp>) -> Timestamps {
    let as_it_is = Timespec {
        tv_sec: 0,
        tv_nsec: rustix::fs::UTIME_OMIT,
    };
    let time = |time: Timestamp| Timespec {
        tv_sec: time.seconds,
        tv_nsec: time.nanoseconds.into(),
    };
    Timestamps {
        last_access: atime.map_or(as_it_is, time),
        last_modification: time(mtime),
    }
}
