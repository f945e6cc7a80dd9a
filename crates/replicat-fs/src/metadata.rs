//! Metadata onto files: owner, permission bits, extended attributes and ACLs, times, in an order in which
//! none undoes another.
//!
//! Goals: set exactly what is tracked and leave alone what is not; say what this user or filesystem cannot
//! hold, without failing the change for it.
//! Non-goals: deciding what is tracked; that is in [`Metadata`], aspect by aspect.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use replicat_core::entry::{Metadata, Owner, Timestamp, Xattr};
use rustix::fs::{CWD, FileType, Mode, OFlags, Statx, StatxAttributes};
use rustix::io::Errno;

use crate::apply::calls::{Calls, descriptor_path};
use crate::observe::{Tracking, timestamp};
use crate::root::stat_descriptor;
use crate::xattrs;

/// The attribute that holds a POSIX access ACL.
pub const ACCESS_ACL: &[u8] = b"system.posix_acl_access";
/// The attribute that holds the POSIX ACL which new files in a directory get.
pub const DEFAULT_ACL: &[u8] = b"system.posix_acl_default";

const SPECIAL_BITS: u32 = 0o7000;

/// An aspect of the metadata that could not be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unapplied {
    /// Which.
    pub aspect: Aspect,
    /// The system's reason.
    pub reason: Errno,
}

impl Unapplied {
    /// Whether this user may not set it there.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        let is_denied = matches!(self.reason, Errno::PERM | Errno::ACCESS);
        is_denied && !rustix::process::geteuid().is_root()
    }
}

/// What a path has instead of the metadata that was set on it, as far as that could not be held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unheld {
    /// What was found afterwards, of each aspect that is not as it was set.
    pub found: Metadata,
    /// The system refused it for this file, to this user; another filesystem would not help.
    pub is_refused: bool,
}

/// One aspect of the metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Aspect {
    /// Permission bits.
    Mode,
    /// Owner and group.
    Owner,
    /// Modification time.
    Mtime,
    /// The extended attribute of this name.
    Xattr(Vec<u8>),
}

/// What metadata is applied to: a descriptor, with what it was when it was opened.
pub(crate) struct Target<'a> {
    descriptor: BorrowedFd<'a>,
    before: Statx,
    access: Access,
}

/// What a descriptor may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// It is open for reading or writing.
    Open,
    /// It only names the file (`O_PATH`).
    NameOnly,
}

impl<'a> Target<'a> {
    pub(crate) fn new(descriptor: BorrowedFd<'a>, before: Statx, access: Access) -> Self {
        Self {
            descriptor,
            before,
            access,
        }
    }

    fn kind(&self) -> FileType {
        FileType::from_raw_mode(self.before.stx_mode.into())
    }

    fn path(&self) -> String {
        descriptor_path(self.descriptor)
    }
}

/// Sets on `target` what `metadata` tracks: owner first, which clears special bits; then permission bits, which
/// an ACL refines; times last, since everything else changes them.
pub(crate) fn apply(
    calls: &Calls,
    target: &Target<'_>,
    metadata: &Metadata,
) -> Result<Vec<Unapplied>, Errno> {
    let mut unapplied = Vec::new();
    let mut note = |aspect: Aspect, result: Result<(), Errno>| match result {
        Err(reason) if is_limitation(reason) => {
            unapplied.push(Unapplied { aspect, reason });
            Ok(())
        }
        result => result,
    };
    note(Aspect::Owner, apply_owner(calls, target, metadata.owner))?;
    note(Aspect::Mode, apply_mode(calls, target, metadata))?;
    if let Some(wanted) = &metadata.xattrs {
        for (name, result) in apply_xattrs(calls, target, wanted) {
            note(Aspect::Xattr(name), result)?;
        }
    }
    if let Some(mtime) = metadata.mtime {
        note(Aspect::Mtime, apply_mtime(calls, target, mtime, None))?;
    }
    Ok(unapplied)
}

/// Compares what was set with what is `found` afterwards: some filesystems take what they cannot hold without an error. `read`
/// reads the extended attributes, if some could not be set.
pub(crate) fn unheld(
    wanted: &Metadata,
    found: &Statx,
    unapplied: &[Unapplied],
    read: impl FnOnce() -> Option<Vec<Xattr>>,
) -> Option<Unheld> {
    let is_link = FileType::from_raw_mode(found.stx_mode.into()) == FileType::Symlink;
    let mode = u32::from(found.stx_mode) & 0o7777;
    let owner = Owner {
        user: found.stx_uid,
        group: found.stx_gid,
    };
    let mtime = timestamp(found.stx_mtime);
    let is_of_xattrs = |one: &Unapplied| matches!(one.aspect, Aspect::Xattr(_));
    let xattrs = match unapplied.iter().any(is_of_xattrs) {
        // Where there are none at all, none are held.
        true => {
            Some(read().unwrap_or_default()).filter(|held| wanted.xattrs.as_ref() != Some(held))
        }
        false => None,
    };
    let found_instead = Metadata {
        mode: (wanted.mode.is_some_and(|wanted| wanted != mode) && !is_link).then_some(mode),
        mtime: wanted
            .mtime
            .is_some_and(|wanted| wanted != mtime)
            .then_some(mtime),
        owner: wanted
            .owner
            .is_some_and(|wanted| wanted != owner)
            .then_some(owner),
        xattrs,
    };
    if found_instead == Metadata::default() {
        return None;
    }
    let is_refused = unapplied
        .iter()
        .any(|one| matches!(one.reason, Errno::PERM | Errno::ACCESS) && is_guarded(found));
    Some(Unheld {
        found: found_instead,
        is_refused,
    })
}

/// Whether a file may not be changed by this user, whatever its filesystem could hold.
fn is_guarded(found: &Statx) -> bool {
    let guards = StatxAttributes::IMMUTABLE | StatxAttributes::APPEND;
    let user = rustix::process::geteuid();
    found.stx_attributes.intersects(guards) || !user.is_root() && found.stx_uid != user.as_raw()
}

/// Whether an error says that this user or filesystem can never do it, rather than that something broke.
fn is_limitation(reason: Errno) -> bool {
    matches!(
        reason,
        Errno::PERM
            | Errno::ACCESS
            | Errno::OPNOTSUPP
            | Errno::INVAL
            | Errno::TOOBIG
            | Errno::RANGE
            | Errno::NOSYS
            | Errno::OVERFLOW
    )
}

fn apply_owner(calls: &Calls, target: &Target<'_>, owner: Option<Owner>) -> Result<(), Errno> {
    match owner {
        Some(owner) if !owns(&target.before, owner) => {
            calls.change_owner_of(target.descriptor, owner)
        }
        _ => Ok(()),
    }
}

fn owns(found: &Statx, owner: Owner) -> bool {
    found.stx_uid == owner.user && found.stx_gid == owner.group
}

fn apply_mode(calls: &Calls, target: &Target<'_>, metadata: &Metadata) -> Result<(), Errno> {
    let (Some(mode), false) = (metadata.mode, target.kind() == FileType::Symlink) else {
        return Ok(());
    };
    let is_chowned = metadata
        .owner
        .is_some_and(|owner| !owns(&target.before, owner));
    let is_set = u32::from(target.before.stx_mode) & 0o7777 == mode;
    if is_set && !(is_chowned && mode & SPECIAL_BITS != 0) {
        return Ok(());
    }
    let mode = Mode::from_raw_mode(mode & 0o7777);
    match target.access {
        Access::Open => calls.change_mode_of(target.descriptor, mode),
        Access::NameOnly => calls.change_mode(&target.path(), mode),
    }
}

fn apply_mtime(
    calls: &Calls,
    target: &Target<'_>,
    mtime: Timestamp,
    atime: Option<Timestamp>,
) -> Result<(), Errno> {
    match target.access {
        Access::Open => calls.set_times_of(target.descriptor, mtime, atime),
        Access::NameOnly => calls.set_times(&target.path(), mtime, atime),
    }
}

/// What `target` is after `metadata` was set on it, when it was `first`, and whether its filesystem rounds the time.
///
/// Some filesystems leave out a time that is set alone, without an error: it is set once more then, with that of the last
/// access as it is. A filesystem that rounds makes the same of it again; somebody who writes does not.
pub(crate) fn settled(
    calls: &Calls,
    target: &Target<'_>,
    metadata: &Metadata,
    first: Statx,
) -> Result<(Statx, bool), Errno> {
    let set = timestamp(first.stx_mtime);
    let Some(wanted) = metadata.mtime.filter(|wanted| *wanted != set) else {
        return Ok((first, false));
    };
    let atime = Some(timestamp(first.stx_atime));
    match apply_mtime(calls, target, wanted, atime) {
        Err(reason) if !is_limitation(reason) => return Err(reason),
        _ => {}
    }
    let second = stat_descriptor(target.descriptor)?;
    let is_rounded = timestamp(second.stx_mtime) == set;
    Ok((second, is_rounded))
}

/// Makes the tracked attributes exactly `wanted`; says for each that had to change how it went.
fn apply_xattrs(
    calls: &Calls,
    target: &Target<'_>,
    wanted: &[Xattr],
) -> Vec<(Vec<u8>, Result<(), Errno>)> {
    let fail_all = |reason: Errno| {
        let failed = wanted.iter().map(|xattr| (xattr.name.clone(), Err(reason)));
        failed.collect()
    };
    match target.kind() {
        FileType::RegularFile | FileType::Directory => {}
        _ => return fail_all(Errno::OPNOTSUPP),
    }
    let opened = match target.access {
        Access::Open => None,
        Access::NameOnly => match open_again(target) {
            Ok(opened) => Some(opened),
            Err(reason) => return fail_all(reason),
        },
    };
    let file = opened.as_ref().map_or(target.descriptor, AsFd::as_fd);
    match xattrs::read(file, Tracking::of_process()) {
        Ok(found) => replace_xattrs(calls, file, &found.unwrap_or_default(), wanted),
        Err(reason) => fail_all(reason),
    }
}

fn open_again(target: &Target<'_>) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, target.path(), flags, Mode::empty())
}

fn replace_xattrs(
    calls: &Calls,
    file: BorrowedFd<'_>,
    found: &[Xattr],
    wanted: &[Xattr],
) -> Vec<(Vec<u8>, Result<(), Errno>)> {
    let surplus = found
        .iter()
        .filter(|found| !wanted.iter().any(|wanted| wanted.name == found.name))
        .map(|found| (found.name.clone(), calls.remove_xattr(file, &found.name)));
    let missing = wanted
        .iter()
        .filter(|wanted| !found.contains(wanted))
        .map(|wanted| {
            let result = calls.set_xattr(file, &wanted.name, &wanted.value);
            // A filesystem that cannot hold a value of this size reports a full disk.
            let result = result.map_err(|reason| match reason {
                Errno::NOSPC => Errno::TOOBIG,
                other => other,
            });
            (wanted.name.clone(), result)
        });
    surplus.chain(missing).collect()
}

/// `metadata`, with the aspects that it does not track as they are at a path, so that they stay so.
pub(crate) fn inherited(metadata: &Metadata, stat: &Statx, file: BorrowedFd<'_>) -> Metadata {
    let read = || xattrs::read(file, Tracking::of_process()).ok().flatten();
    Metadata {
        xattrs: metadata.xattrs.clone().or_else(read),
        ..inherited_unread(metadata, stat)
    }
}

/// The same for a file that cannot be read: without its extended attributes.
pub(crate) fn inherited_unread(metadata: &Metadata, stat: &Statx) -> Metadata {
    let owner = Owner {
        user: stat.stx_uid,
        group: stat.stx_gid,
    };
    Metadata {
        mode: metadata.mode.or(Some(u32::from(stat.stx_mode) & 0o7777)),
        mtime: metadata.mtime,
        owner: metadata.owner.or(Some(owner)),
        xattrs: metadata.xattrs.clone(),
    }
}
