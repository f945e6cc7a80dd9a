//! What a path holds, in the terms of the core: kind, fingerprint, metadata, link target.
//!
//! Goals: one place that turns what the system says of a file into what replicat keeps of it.
//! Non-goals: contents; whoever reads one asks [`Root::unchanged`] afterwards whether it was still the same file.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{SystemTime, UNIX_EPOCH};

use replicat_core::entry::{Metadata, Owner, Payload, Timestamp, Xattr};
use replicat_core::id::{ContentHash, LinkId};
use replicat_core::path::RelPath;
use replicat_core::record::Fingerprint;
use rustix::fs::{FileType, Statx, StatxAttributes, StatxFlags, StatxTimestamp};
use rustix::io::Errno;

use crate::error::FsError;
use crate::root::{Root, open_directory_at, open_file_at, readlink_at, stat_at};
use crate::xattrs;

/// Two changes closer together than this can bear the same timestamp: a tick of the kernel's coarse clock is up
/// to 10 ms long, doubled for safety.
const GRANULARITY_NANOSECONDS: i128 = 20_000_000;
/// The same where timestamps have no nanoseconds: the coarsest filesystem in use counts in steps of two seconds.
const GRANULARITY_COARSE_NANOSECONDS: i128 = 2_000_000_000;
/// How many links to a file make it worth asking for its other names.
const LINKS_SINGLE: u32 = 1;

/// What is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// Something that has no content to replicate.
    Special(SpecialKind),
}

/// What has no content to replicate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SpecialKind {
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
    /// Something that this system does not name.
    Unknown,
}

/// Which aspects of metadata a replica tracks, besides mode and mtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tracking {
    /// Numeric owner and group.
    pub owner: bool,
    /// Extended attributes and ACLs.
    pub xattrs: bool,
    /// Attributes that only the superuser can set.
    pub privileged_xattrs: bool,
}

impl Tracking {
    /// What this process can restore: owners and privileged attributes for the superuser only.
    #[must_use]
    pub fn of_process() -> Self {
        let is_superuser = rustix::process::geteuid().is_root();
        Self {
            owner: is_superuser,
            xattrs: true,
            privileged_xattrs: is_superuser,
        }
    }
}

/// Who reads the extended attributes of a changed file, where they are tracked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttributesOfFiles {
    /// Whoever observes it.
    Observed,
    /// Whoever opens it next, to read its content: see [`crate::read::StableFile::attributes`]. Until then its
    /// metadata says nothing of them.
    Left,
}

/// A file that has several names, as its filesystem knows it. Stable only while the filesystem is mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkKey {
    /// Device number.
    pub device: u64,
    /// Inode number.
    pub inode: u64,
}

/// What was observed at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// What it is.
    pub kind: Kind,
    /// How to recognise it.
    pub fingerprint: Fingerprint,
    /// A later change might not show in the fingerprint, see [`is_racy`].
    pub racy: bool,
    /// How it is described, in the aspects that are tracked.
    pub metadata: Metadata,
    /// Where a symbolic link points, verbatim.
    pub target: Option<Vec<u8>>,
    /// Which file it is a name of, if that has other names.
    pub link: Option<LinkKey>,
}

impl Observation {
    /// What the path holds, once the content of a file is known; `None` for a file without, and for special files.
    #[must_use]
    pub fn payload(&self, content: Option<ContentHash>, link: Option<LinkId>) -> Option<Payload> {
        match self.kind {
            Kind::File => content.map(|content| Payload::File {
                content,
                size: self.fingerprint.size,
                link,
            }),
            Kind::Directory => Some(Payload::Directory),
            Kind::Symlink => self
                .target
                .clone()
                .map(|target| Payload::Symlink { target }),
            Kind::Special(_) => None,
        }
    }
}

/// The kind that the system reports.
#[must_use]
pub fn kind(stat: &Statx) -> Kind {
    match FileType::from_raw_mode(stat.stx_mode.into()) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Symlink,
        FileType::Fifo => Kind::Special(SpecialKind::Fifo),
        FileType::Socket => Kind::Special(SpecialKind::Socket),
        FileType::CharacterDevice => Kind::Special(SpecialKind::CharDevice),
        FileType::BlockDevice => Kind::Special(SpecialKind::BlockDevice),
        FileType::Unknown => Kind::Special(SpecialKind::Unknown),
    }
}

/// The fingerprint of what the system reports. The birth time is zero where the filesystem has none.
#[must_use]
pub fn fingerprint(stat: &Statx) -> Fingerprint {
    let is_directory = kind(stat) == Kind::Directory;
    let has_birth = stat.stx_mask & StatxFlags::BTIME.bits() != 0;
    Fingerprint {
        inode: stat.stx_ino,
        size: if is_directory { 0 } else { stat.stx_size },
        mtime: timestamp(stat.stx_mtime),
        ctime: timestamp(stat.stx_ctime),
        birth: if has_birth {
            timestamp(stat.stx_btime)
        } else {
            Timestamp::default()
        },
    }
}

pub(crate) fn timestamp(time: StatxTimestamp) -> Timestamp {
    Timestamp {
        seconds: time.tv_sec,
        nanoseconds: time.tv_nsec,
    }
}

/// The metadata that the system reports; `xattrs` come from elsewhere, since they cost calls of their own.
#[must_use]
pub fn metadata(stat: &Statx, tracking: Tracking, xattrs: Option<Vec<Xattr>>) -> Metadata {
    let owner = Owner {
        user: stat.stx_uid,
        group: stat.stx_gid,
    };
    Metadata {
        // The mode of a symbolic link means nothing and cannot be set.
        mode: (kind(stat) != Kind::Symlink).then_some(u32::from(stat.stx_mode) & 0o7777),
        mtime: Some(timestamp(stat.stx_mtime)),
        owner: tracking.owner.then_some(owner),
        xattrs,
    }
}

/// Whether another filesystem, or another part of one, is mounted at what the system reports:
/// no rename leads across.
pub(crate) fn is_mount_point(stat: &Statx) -> bool {
    stat.stx_attributes
        .intersects(StatxAttributes::MOUNT_ROOT | StatxAttributes::AUTOMOUNT)
}

/// The number of the device that a file lies on.
pub(crate) fn device(stat: &Statx) -> u64 {
    rustix::fs::makedev(stat.stx_dev_major, stat.stx_dev_minor)
}

/// The time now, as files are stamped with it.
#[must_use]
pub fn now() -> Timestamp {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => Timestamp {
            seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
            nanoseconds: since.subsec_nanos(),
        },
        // Of no consequence: a clock before 1970 only ever decides whether a file is looked at once more.
        Err(_) => Timestamp::default(),
    }
}

/// Whether a file observed between `from` and `to` may change once more without its fingerprint showing it:
/// its last change lies within the granularity of timestamps.
#[must_use]
pub fn is_racy(fingerprint: &Fingerprint, from: Timestamp, to: Timestamp) -> bool {
    let is_coarse = fingerprint.ctime.nanoseconds == 0 && fingerprint.mtime.nanoseconds == 0;
    let granularity = if is_coarse {
        GRANULARITY_COARSE_NANOSECONDS
    } else {
        GRANULARITY_NANOSECONDS
    };
    let window = nanoseconds(from) - granularity..nanoseconds(to) + granularity;
    // Every change of content stamps ctime; mtime is asked for filesystems that keep no ctime of their own.
    window.contains(&nanoseconds(fingerprint.ctime))
        || window.contains(&nanoseconds(fingerprint.mtime))
}

fn nanoseconds(time: Timestamp) -> i128 {
    i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanoseconds)
}

/// Observes `name` in `directory`, which the system reported as `stat` not before `from`.
pub(crate) fn observe_at(
    directory: BorrowedFd<'_>,
    name: &[u8],
    stat: &Statx,
    (tracking, attributes): (Tracking, AttributesOfFiles),
    from: Timestamp,
) -> Result<Observation, Errno> {
    let kind = kind(stat);
    let fingerprint = fingerprint(stat);
    let xattrs = match (kind, attributes) {
        (Kind::File, AttributesOfFiles::Left) => None,
        _ => xattrs_at(directory, name, kind, tracking)?,
    };
    let is_linked = kind == Kind::File && stat.stx_nlink > LINKS_SINGLE;
    Ok(Observation {
        kind,
        fingerprint,
        racy: is_racy(&fingerprint, from, now()),
        metadata: metadata(stat, tracking, xattrs),
        target: match kind {
            Kind::Symlink => Some(readlink_at(directory, name)?),
            _ => None,
        },
        link: is_linked.then_some(LinkKey {
            device: device(stat),
            inode: stat.stx_ino,
        }),
    })
}

fn xattrs_at(
    directory: BorrowedFd<'_>,
    name: &[u8],
    kind: Kind,
    tracking: Tracking,
) -> Result<Option<Vec<Xattr>>, Errno> {
    if !tracking.xattrs {
        return Ok(None);
    }
    let opened = match kind {
        Kind::File => open_file_at(directory, name)?,
        Kind::Directory => open_directory_at(directory, name)?,
        // Links hold no user attributes, and cannot be opened to ask for others.
        Kind::Symlink | Kind::Special(_) => return Ok(None),
    };
    xattrs::read(opened.as_fd(), tracking)
}

impl Root {
    /// Observes what is at `path`; `None` if nothing is.
    ///
    /// # Errors
    /// If it cannot be told whether something is there, or what.
    pub fn observe(
        &self,
        path: &RelPath,
        tracking: Tracking,
    ) -> Result<Option<Observation>, FsError> {
        let from = now();
        if path.is_root() {
            return Err(self.error("observe as an entry", path, Errno::INVAL));
        }
        let parent = match self.parent_of(path) {
            Ok(parent) => parent,
            Err(error) if error.is_missing() || error.is_symlink() => return Ok(None),
            Err(error) => return Err(error),
        };
        if !self.spells(path)? {
            return Ok(None);
        }
        let directory = parent.directory.as_fd();
        let tracked = (tracking, AttributesOfFiles::Observed);
        let found = stat_at(directory, parent.name())
            .and_then(|stat| observe_at(directory, &parent.name, &stat, tracked, from));
        match found {
            Ok(observation) => Ok(Some(observation)),
            Err(Errno::NOENT) => Ok(None),
            Err(source) => Err(self.error("observe", path, source)),
        }
    }

    /// Whether `path` is still as `fingerprint` says. Asked after a content was read: if so, what was read is
    /// what the fingerprint stands for.
    ///
    /// # Errors
    /// If it cannot be told whether something is there.
    pub fn unchanged(&self, path: &RelPath, fingerprint: &Fingerprint) -> Result<bool, FsError> {
        let found = self.stat(path)?;
        Ok(found.is_some_and(|stat| self::fingerprint(&stat) == *fingerprint))
    }
}
