//! The user whom the state of a root belongs to, whichever user runs replicat.
//!
//! State belongs to the owner of the root directory. So one run by the superuser does not lock that user out of the next
//! run. The state directory and the staging call this whenever they create something. It must not know what state is for.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use replicat_core::entry::Owner;
use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, Stat, Uid};
use rustix::io::Errno;

use crate::root::Root;
use crate::state::{DISPLACED, INDEX_FILE, PARTIAL, READY, STAGING, TRASH_DIRECTORY};
use crate::trash::log::LOG;

/// Opens a name for its owner alone: nothing is read, and no link is followed.
const NAME: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const SUPERUSER: u32 = 0;

/// The user and the group of what is created in a state directory. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct StateOwner(Arc<AtomicU64>);

impl StateOwner {
    /// The owner of the state in `state` of `root`. A root directory of the superuser may be the workplace of another user,
    /// who created the state: then the state stays that user's, and the superuser can use it as well.
    pub(crate) fn of(root: &Root, state: BorrowedFd<'_>) -> Result<Self, Errno> {
        let directory = rustix::fs::fstat(root.descriptor())?;
        let owner = match directory.st_uid {
            SUPERUSER => owner_in(&rustix::fs::fstat(state)?),
            _ => owner_in(&directory),
        };
        Ok(Self(Arc::new(AtomicU64::new(packed(owner)))))
    }

    fn owner(&self) -> Owner {
        let both = self.0.load(Ordering::Relaxed);
        let low = |both: u64| u32::try_from(both & u64::from(u32::MAX)).unwrap_or_default();
        Owner {
            user: low(both >> 32),
            group: low(both),
        }
    }

    /// Takes over another owner. Returns whether it is another one.
    pub(crate) fn follow(&self, other: &Self) -> bool {
        let owner = other.0.load(Ordering::Relaxed);
        self.0.swap(owner, Ordering::Relaxed) != owner
    }

    /// The owner to set on what this process creates; `None` if it creates everything as that user anyway.
    pub(crate) fn to_set(&self) -> Option<Owner> {
        let owner = self.owner();
        (owner.user != rustix::process::geteuid().as_raw()).then_some(owner)
    }

    /// Gives the owner what this process has just created. Without the right to do so, it stays this user's.
    pub(crate) fn give(&self, created: BorrowedFd<'_>) {
        if let Some(owner) = self.to_set() {
            let _ = change_owner(created, owner);
        }
    }

    /// Whether this process may have the right to give things away.
    fn may_give(&self) -> bool {
        rustix::process::geteuid().is_root() || self.to_set().is_some()
    }

    /// Gives the owner all that belongs to somebody else in the state directory `state` and in `workspace`, whose staging and
    /// trash it uses. User files that staging or trash keep stay as they are.
    pub(crate) fn heal(&self, state: &Path, workspace: &Path) {
        if !self.may_give() {
            return;
        }
        let owner = self.owner();
        let healed = visit(
            state,
            workspace,
            &mut |found, stat, _| match stat.st_uid == owner.user {
                true => Ok(()),
                false => change_owner(found, owner),
            },
        );
        if let Err(error) = healed {
            tracing::debug!(%error, state = %state.display(), "state keeps its owner");
        }
    }
}

fn owner_in(stat: &Stat) -> Owner {
    Owner {
        user: stat.st_uid,
        group: stat.st_gid,
    }
}

fn packed(owner: Owner) -> u64 {
    u64::from(owner.user) << 32 | u64::from(owner.group)
}

fn change_owner(file: BorrowedFd<'_>, owner: Owner) -> Result<(), Errno> {
    let (user, group) = (Uid::from_raw(owner.user), Gid::from_raw(owner.group));
    rustix::fs::chownat(file, c"", Some(user), Some(group), AtFlags::EMPTY_PATH)
}

type Visitor<'a> = dyn FnMut(BorrowedFd<'_>, &Stat, &Path) -> Result<(), Errno> + 'a;

/// Visits what replicat created in a state directory. A file that has another name may be a user's, and is left out.
fn visit(state: &Path, workspace: &Path, visitor: &mut Visitor<'_>) -> Result<(), Errno> {
    let mut work = open_visited(CWD, state, state, visitor)?;
    visit_files(&work, state, &["lock", INDEX_FILE], visitor)?;
    if workspace != state {
        work = open_visited(CWD, workspace, workspace, visitor)?;
        visit_files(&work, workspace, &["lock"], visitor)?;
    }
    visit_staging(&work, workspace, visitor)?;
    let shown = workspace.join(TRASH_DIRECTORY);
    let trash = open_visited(work.as_fd(), TRASH_DIRECTORY, &shown, visitor)?;
    for name in crate::trash::names(trash.as_fd())? {
        let shown = shown.join(&name);
        let day = open_visited(trash.as_fd(), &name, &shown, visitor)?;
        visit_files(&day, &shown, &[LOG], visitor)?;
    }
    Ok(())
}

fn visit_staging(work: &OwnedFd, shown: &Path, visitor: &mut Visitor<'_>) -> Result<(), Errno> {
    let shown = shown.join(STAGING);
    let staging = open_visited(work.as_fd(), STAGING, &shown, visitor)?;
    for part in [READY, DISPLACED, PARTIAL] {
        let shown = shown.join(part);
        let held = open_visited(staging.as_fd(), part, &shown, visitor)?;
        match part {
            READY => {
                for name in crate::trash::names(held.as_fd())? {
                    open_visited(held.as_fd(), &name, &shown.join(&name), visitor)?;
                }
            }
            PARTIAL => visit_files(&held, &shown, &crate::trash::names(held.as_fd())?, visitor)?,
            _ => visit_files(&held, &shown, &[LOG], visitor)?,
        }
    }
    Ok(())
}

/// Visits a directory and opens it.
fn open_visited(
    above: BorrowedFd<'_>,
    name: impl rustix::path::Arg,
    shown: &Path,
    visitor: &mut Visitor<'_>,
) -> Result<OwnedFd, Errno> {
    let named = rustix::fs::openat(above, name, NAME | OFlags::DIRECTORY, Mode::empty())?;
    visitor(named.as_fd(), &rustix::fs::fstat(&named)?, shown)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(&named, ".", flags, Mode::empty())
}

fn visit_files(
    directory: &OwnedFd,
    shown: &Path,
    names: &[impl AsRef<OsStr>],
    visitor: &mut Visitor<'_>,
) -> Result<(), Errno> {
    let mut names = names.iter().map(AsRef::as_ref);
    names.try_for_each(|name| visit_file(directory, shown, name, visitor))
}

fn visit_file(
    directory: &OwnedFd,
    shown: &Path,
    name: &OsStr,
    visitor: &mut Visitor<'_>,
) -> Result<(), Errno> {
    let file = match rustix::fs::openat(directory, name, NAME, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(()),
        Err(reason) => return Err(reason),
    };
    let stat = rustix::fs::fstat(&file)?;
    let is_plain = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    match is_plain && stat.st_nlink == 1 {
        true => visitor(file.as_fd(), &stat, &shown.join(name)),
        false => Ok(()),
    }
}

/// State that this process cannot use because it belongs to another user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignState {
    /// The first part that does.
    pub path: PathBuf,
    /// The user whom it belongs to, by name, or by number if the system knows no name.
    pub owner: String,
    /// The user that this process runs as.
    pub user: String,
    /// That user and its group, as `chown` takes them.
    pub chown: String,
    /// Whether the root directory belongs to the user of this process.
    pub is_root_own: bool,
}

/// What belongs to another user in the state directory `state` of `root`, if anything does.
#[must_use]
pub fn foreign_state(root: &Path, state: &Path) -> Option<ForeignState> {
    let user = rustix::process::geteuid().as_raw();
    let mut found = None;
    // The visit ends at what cannot be opened: whose that is was seen before.
    let _ = visit(state, state, &mut |_, stat, path| {
        if stat.st_uid == user {
            return Ok(());
        }
        found = Some((path.to_owned(), stat.st_uid));
        Err(Errno::PERM)
    });
    let (path, owner) = found?;
    let directory = rustix::fs::stat(root).ok()?;
    let chown = match name_of(user) {
        Some(name) => format!("{name}:"),
        None => format!("{user}:{}", rustix::process::getegid().as_raw()),
    };
    Some(ForeignState {
        path,
        owner: name_of(owner).unwrap_or_else(|| format!("user {owner}")),
        user: name_of(user).unwrap_or_else(|| format!("user {user}")),
        chown,
        is_root_own: directory.st_uid == user,
    })
}

/// The name of a user in the local list of users.
fn name_of(user: u32) -> Option<String> {
    let users: io::Result<String> = std::fs::read_to_string("/etc/passwd");
    named(&users.ok()?, user)
}

fn named(users: &str, user: u32) -> Option<String> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let number: u32 = fields.nth(1)?.parse().ok()?;
        (number == user && !name.is_empty()).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_is_named_as_the_list_of_users_does() {
        let users = "root:x:0:0:root:/:/bin/sh\nada:x:1000:1000::/:/bin/sh\n";
        assert_eq!(named(users, 1000).as_deref(), Some("ada"));
        assert_eq!(named(users, 0).as_deref(), Some("root"));
        assert_eq!(named(users, 100), None);
    }
}
