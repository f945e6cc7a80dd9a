//! Whether what is at a path is what was expected there.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use replicat_core::entry::Timestamp;
use replicat_core::record::Fingerprint;
use rustix::fs::{FileType, Statx};

use crate::observe::{Kind, fingerprint, kind};

/// How many inodes with several names are remembered.
const OWN_CHANGES_MAX: usize = 100_000;

/// Whether `found` is what `expected` describes, before a change. Of a directory only its identity counts: what it
/// holds changes its times. A ctime among `accepted` counts as the expected one.
pub(crate) fn matches_expected(
    expected: &Fingerprint,
    found: &Statx,
    accepted: &[Timestamp],
) -> bool {
    let found_print = fingerprint(found);
    if kind(found) == Kind::Directory {
        return expected.is_of_same(&found_print);
    }
    expected.is_of_same(&found_print)
        && expected.size == found_print.size
        && expected.mtime == found_print.mtime
        && (expected.ctime == found_print.ctime || accepted.contains(&expected.ctime))
}

/// Whether `after` is what `before` was, but for the ctime, which a rename changes.
pub(crate) fn matches_displaced(before: &Statx, after: &Statx) -> bool {
    let (was, is) = (fingerprint(before), fingerprint(after));
    let same_kind = FileType::from_raw_mode(before.stx_mode.into())
        == FileType::from_raw_mode(after.stx_mode.into());
    let is_directory = kind(before) == Kind::Directory;
    same_kind
        && was.is_of_same(&is)
        && (is_directory || (was.size == is.size && was.mtime == is.mtime))
}

/// Changes of ctime that we made ourselves to files with several names: by linking, unlinking or describing one
/// name, all others show a new ctime.
#[derive(Debug, Default)]
pub(crate) struct OwnChanges {
    by_inode: Mutex<HashMap<u64, OwnChange>>,
    /// Files that we gave one more name, so that they survive the one they had.
    adopted: Mutex<HashSet<u64>>,
}

#[derive(Debug)]
struct OwnChange {
    /// The ctimes it had before, which the index may still know it by.
    before: Vec<Timestamp>,
    now: Timestamp,
}

impl OwnChanges {
    /// Notes that we changed the file's ctime from what `before` shows to what `after` shows.
    pub(crate) fn note(&self, before: &Fingerprint, after: &Fingerprint) {
        if before.ctime == after.ctime {
            return;
        }
        let mut by_inode = self.by_inode.lock().unwrap_or_else(PoisonError::into_inner);
        // Forgetting only costs another look at a file.
        if by_inode.len() >= OWN_CHANGES_MAX {
            by_inode.clear();
        }
        let change = by_inode.entry(after.inode).or_insert_with(|| OwnChange {
            before: Vec::new(),
            now: before.ctime,
        });
        if change.now != before.ctime {
            change.before.clear();
        }
        change.before.push(before.ctime);
        change.now = after.ctime;
    }

    /// Notes that we gave the file one more name.
    pub(crate) fn note_adopted(&self, before: &Fingerprint, after: &Fingerprint) {
        self.note(before, after);
        let mut adopted = self.adopted.lock().unwrap_or_else(PoisonError::into_inner);
        // Forgetting only costs a file in the trash.
        if adopted.len() >= OWN_CHANGES_MAX {
            adopted.clear();
        }
        adopted.insert(after.inode);
    }

    /// Whether the file has another name by us.
    pub(crate) fn is_kept(&self, found: &Statx) -> bool {
        let adopted = self.adopted.lock().unwrap_or_else(PoisonError::into_inner);
        found.stx_nlink > 1 && adopted.contains(&found.stx_ino)
    }

    /// The ctimes by which the index may know the file that `found` shows.
    pub(crate) fn accepted(&self, found: &Statx) -> Vec<Timestamp> {
        let by_inode = self.by_inode.lock().unwrap_or_else(PoisonError::into_inner);
        match by_inode.get(&found.stx_ino) {
            Some(change) if change.now == fingerprint(found).ctime => change.before.clone(),
            _ => Vec::new(),
        }
    }
}
