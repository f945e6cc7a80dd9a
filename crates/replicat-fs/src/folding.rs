//! Filesystems that take several spellings of a name for one: those of sticks and of other systems.
//!
//! Goals: a name that is only another spelling of one that is there is never taken for a file of its own.
//! Non-goals: knowing how a filesystem compares names; it is asked.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use replicat_core::path::RelPath;
use rustix::io::Errno;

use crate::error::FsError;
use crate::root::{Root, stat_at};
use crate::trash::names;

impl Root {
    /// Whether the filesystem of the root takes names that differ in case for one. Found out by a name that is there; while
    /// there is none, the answer is no.
    #[must_use]
    pub fn folds_names(&self) -> bool {
        if let Some(folds) = self.folds.get() {
            return *folds;
        }
        match finds_other_spelling(self.descriptor()) {
            Some(folds) => *self.folds.get_or_init(|| folds),
            None => false,
        }
    }

    /// Whether a path is there in just this spelling. Where names are not folded, this is not looked at.
    ///
    /// # Errors
    /// If a directory above it cannot be read.
    pub(crate) fn spells(&self, path: &RelPath) -> Result<bool, FsError> {
        if !self.folds_names() {
            return Ok(true);
        }
        let mut all: Vec<RelPath> = path.ancestors().filter(|above| !above.is_root()).collect();
        all.push(path.clone());
        for part in all {
            let parent = self.parent_of(&part)?;
            let spelled = is_spelled(parent.directory.as_fd(), &parent.name);
            if !spelled.map_err(|source| self.error("list the directory of", &part, source))? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// The names in a directory, in their spellings.
pub(crate) fn spellings(directory: BorrowedFd<'_>) -> Result<HashSet<Vec<u8>>, Errno> {
    let names = names(directory)?;
    Ok(names.into_iter().map(OsString::into_vec).collect())
}

/// Whether a directory holds a name in just this spelling.
pub(crate) fn is_spelled(directory: BorrowedFd<'_>, name: &[u8]) -> Result<bool, Errno> {
    Ok(names(directory)?
        .iter()
        .any(|found| found.as_bytes() == name))
}

/// Whether a name of the directory is found in another spelling as well; `None` if it holds no name that has one.
fn finds_other_spelling(directory: BorrowedFd<'_>) -> Option<bool> {
    let names = spellings(directory).ok()?;
    let others = names.iter().map(|name| {
        let swap = |byte: &u8| match byte.is_ascii_lowercase() {
            true => byte.to_ascii_uppercase(),
            false => byte.to_ascii_lowercase(),
        };
        name.iter().map(swap).collect::<Vec<u8>>()
    });
    let other = others
        .into_iter()
        .find(|other| !names.contains(other) && has_letter(other))?;
    match stat_at(directory, OsStr::from_bytes(&other)) {
        Ok(_) => Some(true),
        Err(Errno::NOENT) => Some(false),
        Err(_) => None,
    }
}

fn has_letter(name: &[u8]) -> bool {
    name.iter().any(u8::is_ascii_alphabetic)
}
