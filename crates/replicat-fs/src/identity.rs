//! Whether a root is the one that an index was kept of.
//!
//! An index that was copied or restored along with a directory speaks of a past that another replica continues;
//! it may not go on under the same identity. What can be told: a directory keeps its inode and its birth time over
//! remounts, reboots and renames, and a copy of it, by whatever tool, has others. Device numbers and filesystem
//! ids are left out: both change over a reboot or a remount on filesystems in common use. A clone of a whole disk
//! keeps inodes and birth times; then the machine id tells, if the machine was given a new one.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::str::FromStr;

use replicat_core::entry::Timestamp;
use replicat_core::path::RelPath;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use thiserror::Error;

use crate::error::FsError;
use crate::observe::{device, fingerprint};
use crate::root::{Root, stat_descriptor};

/// Where Linux keeps the id that was made when the machine was set up.
const MACHINE_ID_PATH: &str = "/etc/machine-id";
/// The length of a machine id in hexadecimal digits.
const MACHINE_ID_DIGITS: usize = 32;
/// The first word of the textual form; another follows when the form changes.
const FORM: &str = "root1";

/// A directory, as its filesystem knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirectoryIdentity {
    /// Inode number.
    pub inode: u64,
    /// Birth time; zero where the filesystem keeps none.
    pub birth: Timestamp,
}

/// What a root is recognised by. Its textual form is stable and fit for storing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootIdentity {
    /// The root directory.
    pub root: DirectoryIdentity,
    /// The directory that holds the replica's state.
    pub state: DirectoryIdentity,
    /// The machine, where it has an id.
    pub machine: Option<String>,
}

/// How a root compares with the one that was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// It is the same. It may have been renamed.
    Same,
    /// It is another directory: a copy, one restored from a backup, or one that took its place.
    OtherRoot,
    /// The directory is the same, but its state is not where it was made: it was restored, or copied in.
    OtherState,
    /// Both seem the same, on another machine: a clone, or a disk that was carried over.
    OtherMachine,
}

/// Some text is not a root's identity.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0:?} is not the identity of a root")]
pub struct IdentityError(String);

impl RootIdentity {
    /// What `root`, whose state lies in the open directory `state`, is recognised by.
    ///
    /// # Errors
    /// If one of the directories cannot be looked at.
    pub fn of(root: &Root, state: BorrowedFd<'_>) -> Result<Self, FsError> {
        let identify = |directory, action| {
            directory_identity(directory)
                .map_err(|source| root.error(action, &RelPath::root(), source))
        };
        Ok(Self {
            root: identify(root.descriptor(), "identify the root")?,
            state: identify(state, "identify the state directory of")?,
            machine: machine_id(),
        })
    }

    /// How this root compares with the one that was recorded.
    #[must_use]
    pub fn compare(&self, recorded: &Self) -> Comparison {
        if self.root != recorded.root {
            return Comparison::OtherRoot;
        }
        if self.state != recorded.state {
            return Comparison::OtherState;
        }
        match (&self.machine, &recorded.machine) {
            (Some(here), Some(there)) if here != there => Comparison::OtherMachine,
            _ => Comparison::Same,
        }
    }
}

fn directory_identity(directory: BorrowedFd<'_>) -> Result<DirectoryIdentity, Errno> {
    let seen = fingerprint(&stat_descriptor(directory)?);
    Ok(DirectoryIdentity {
        inode: seen.inode,
        birth: seen.birth,
    })
}

/// The machine's id. Without one, machines cannot be told apart, which is no error.
fn machine_id() -> Option<String> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(CWD, MACHINE_ID_PATH, flags, Mode::empty()).ok()?;
    let mut text = [0; MACHINE_ID_DIGITS];
    let length = rustix::io::read(file, &mut text).ok()?;
    let text = std::str::from_utf8(text.get(..length)?).ok()?;
    is_machine_id(text).then(|| text.to_owned())
}

fn is_machine_id(text: &str) -> bool {
    text.len() == MACHINE_ID_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl fmt::Display for DirectoryIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Timestamp {
            seconds,
            nanoseconds,
        } = self.birth;
        write!(f, "{}:{seconds}:{nanoseconds}", self.inode)
    }
}

impl fmt::Display for RootIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let machine = self.machine.as_deref().unwrap_or("-");
        write!(f, "{FORM} {} {} {machine}", self.root, self.state)
    }
}

impl FromStr for RootIdentity {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        parse(text).ok_or_else(|| IdentityError(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<RootIdentity> {
    let mut words = text.split(' ');
    if words.next()? != FORM {
        return None;
    }
    let root = parse_directory(words.next()?)?;
    let state = parse_directory(words.next()?)?;
    let machine = match words.next()? {
        "-" => None,
        id => Some(is_machine_id(id).then(|| id.to_owned())?),
    };
    words.next().is_none().then_some(RootIdentity {
        root,
        state,
        machine,
    })
}

fn parse_directory(text: &str) -> Option<DirectoryIdentity> {
    let mut numbers = text.split(':');
    let identity = DirectoryIdentity {
        inode: numbers.next()?.parse().ok()?,
        birth: Timestamp {
            seconds: numbers.next()?.parse().ok()?,
            nanoseconds: numbers.next()?.parse().ok()?,
        },
    };
    numbers.next().is_none().then_some(identity)
}

impl Root {
    /// Whether the path that the root was opened by still leads to it: not to another directory in its place, nor
    /// to the empty mount point of a filesystem that was unmounted.
    ///
    /// # Errors
    /// If the root that is held cannot be looked at. A path that leads nowhere is no error.
    pub fn is_in_place(&self) -> Result<bool, FsError> {
        let held = stat_descriptor(self.descriptor())
            .map_err(|source| self.error("look at", &RelPath::root(), source))?;
        let Ok(found) = Self::open(self.path()) else {
            return Ok(false);
        };
        let found = stat_descriptor(found.descriptor().as_fd())
            .map_err(|source| self.error("look at", &RelPath::root(), source))?;
        Ok(device(&found) == device(&held) && found.stx_ino == held.stx_ino)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> RootIdentity {
        let directory = |inode| DirectoryIdentity {
            inode,
            birth: Timestamp {
                seconds: -3,
                nanoseconds: 7,
            },
        };
        RootIdentity {
            root: directory(1),
            state: directory(2),
            machine: Some("0123456789abcdef0123456789abcdef".to_owned()),
        }
    }

    #[test]
    fn keeps_its_textual_form() {
        let text = "root1 1:-3:7 2:-3:7 0123456789abcdef0123456789abcdef";
        assert_eq!(identity().to_string(), text);
        assert_eq!(text.parse(), Ok(identity()));
        let unnamed = RootIdentity {
            machine: None,
            ..identity()
        };
        assert_eq!(unnamed.to_string().parse(), Ok(unnamed));
    }

    #[test]
    fn refuses_other_text() {
        for bad in [
            "",
            "root1",
            "root2 1:2:3 1:2:3 -",
            "root1 1:2:3 1:2:3",
            "root1 1:2 1:2:3 -",
            "root1 1:2:3:4 1:2:3 -",
            "root1 1:2:3 1:2:3 ../etc",
            "root1 1:2:3 1:2:3 - more",
        ] {
            assert!(bad.parse::<RootIdentity>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn tells_what_differs() {
        let recorded = identity();
        let mut found = identity();
        assert_eq!(found.compare(&recorded), Comparison::Same);
        found.machine = None;
        assert_eq!(found.compare(&recorded), Comparison::Same);
        found.machine = Some("f".repeat(32));
        assert_eq!(found.compare(&recorded), Comparison::OtherMachine);
        found.state.birth.nanoseconds += 1;
        assert_eq!(found.compare(&recorded), Comparison::OtherState);
        found.root.inode += 1;
        assert_eq!(found.compare(&recorded), Comparison::OtherRoot);
    }
}
