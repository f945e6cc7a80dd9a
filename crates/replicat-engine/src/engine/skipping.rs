//! Why paths are skipped, as a user is told, and as the index remembers it for those who ask later.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use replicat_core::path::RelPath;
use replicat_core::record::Record;
use replicat_core::replica::Replica;
use replicat_core::store::Store;
use replicat_fs::apply::error::{ApplyError, Obstacle};
use replicat_fs::error::FsError;
use replicat_fs::observe::SpecialKind as Special;
use replicat_fs::scan::SkipReason as Unscanned;
use replicat_index::SkippedRow;

use super::local::LocalReplica;
use super::unheld::is_not_held;
use crate::error::SyncError;
use crate::event::RootIndex;
use crate::report::{Severity, SkipReason, Skipped, SpecialKind};

/// How many skipped paths of a root are listed; a tree of sockets must not fill the memory.
const LISTED_MAX: usize = 100_000;
/// Up to how many skipped paths each path that was brought is looked for among them.
const UNSKIPPED_MAX: usize = 1000;
/// How many children of a directory are looked at at once.
const CHILDREN_PAGE_ROWS: usize = 256;

impl LocalReplica {
    /// Notes that a path could not be brought to the directory, until it is not pending any more.
    pub(super) fn skip_step(&mut self, path: RelPath, reason: SkipReason) {
        if self.skip(path.clone(), reason) {
            self.not_brought.insert(path);
        }
    }

    /// Forgets what could not be brought, and need not be any more: it was deleted elsewhere, or is here already.
    pub(super) fn drop_stale_skips(&mut self) -> Result<(), SyncError> {
        if self.not_brought.is_empty() {
            return Ok(());
        }
        let mut stale = BTreeSet::new();
        if self.pending()? == 0 {
            stale = std::mem::take(&mut self.not_brought);
        } else if self.not_brought.len() <= UNSKIPPED_MAX {
            for path in &self.not_brought {
                let record = self.replica.record(path);
                if !record.map_err(|error| self.failed(error))?.pending {
                    stale.insert(path.clone());
                }
            }
            self.not_brought.retain(|path| !stale.contains(path));
        }
        if !stale.is_empty() {
            (self.skipped).retain(|row| is_not_held(&row.reason) || !stale.contains(&row.path));
        }
        Ok(())
    }

    /// Notes that a path could not be synced. Returns whether that is new.
    pub(super) fn skip(&mut self, path: RelPath, reason: SkipReason) -> bool {
        let root = self.number;
        let known = self.skipped.iter().rev().take(64).any(|skipped| {
            skipped.path == path && is_not_held(&skipped.reason) == is_not_held(&reason)
        });
        let is_new = !known && self.skipped.len() < LISTED_MAX;
        if is_new {
            self.skipped.push(Skipped {
                root,
                path,
                reason,
                // Until the sync is over.
                severity: Severity::Error,
            });
        }
        is_new
    }

    /// Has the index remember what is skipped now, and nothing else.
    pub(super) fn keep_skipped(&mut self) -> Result<(), SyncError> {
        let mut rows = BTreeMap::new();
        let (unheld, others): (Vec<_>, Vec<_>) =
            (self.skipped.iter()).partition(|row| is_not_held(&row.reason));
        for skipped in others.into_iter().chain(unheld) {
            // The first reason is what the others follow from.
            rows.entry(skipped.path.clone())
                .or_insert_with(|| row_of(&skipped.reason));
        }
        let kept = Replica::store(&self.replica).skipped();
        let kept = kept.map_err(|error| self.index_failed(error))?;
        let gone = kept.keys().filter(|path| !rows.contains_key(path));
        let gone = gone.map(|path| (path, None));
        let new = rows
            .iter()
            .filter(|(path, row)| kept.get(path) != Some(row));
        let new = new.map(|(path, row)| (path, Some(row)));
        for (path, row) in gone.chain(new) {
            let done = self.replica.store_mut().set_skipped(path, row);
            done.map_err(|error| self.index_failed(error))?;
        }
        Ok(())
    }

    /// Something was brought to a path, or taken from it: it is not skipped any more.
    pub(super) fn unskip(&mut self, path: &RelPath) {
        // So many are sockets and the like, which are never brought.
        if self.setbacks.forget(path) || self.skipped.len() <= UNSKIPPED_MAX {
            self.skipped.retain(|skipped| skipped.path != *path);
            self.not_brought.remove(path);
        }
    }

    /// What the index remembers as skipped.
    pub(super) fn kept_skipped(&self) -> Result<Vec<Skipped>, SyncError> {
        let kept = Replica::store(&self.replica).skipped();
        let kept = kept.map_err(|error| self.index_failed(error))?;
        let told = kept.into_iter().map(|(path, row)| Skipped {
            root: RootIndex(0),
            path,
            reason: reason_of(row),
            severity: Severity::Error,
        });
        self.graded(told.collect())
    }

    /// Skipped paths with what they mean for a sync, now that it is over.
    pub(super) fn graded(&self, mut skipped: Vec<Skipped>) -> Result<Vec<Skipped>, SyncError> {
        for row in &mut skipped {
            let hides = match row.reason {
                // The path is synced.
                SkipReason::NotHeld { .. } => false,
                _ => self.hides(row)?,
            };
            row.severity = match row.reason.can_never_be_synced() && !hides {
                true => Severity::Warning,
                false => Severity::Error,
            };
        }
        Ok(skipped)
    }

    /// Whether something that should be synced is known, or waited for, where a skipped path stands: a file that a pipe
    /// replaced, or the files of a directory that something is mounted on.
    fn hides(&self, skipped: &Skipped) -> Result<bool, SyncError> {
        if skipped.reason == SkipReason::State {
            return Ok(false);
        }
        let failed = |error| self.failed(error);
        let is_wanted = |record: &Record| record.pending || record.entry.is_live();
        let record = self.replica.record(&skipped.path).map_err(failed)?;
        if skipped.reason != SkipReason::OtherFilesystem {
            return Ok(is_wanted(&record));
        }
        // The directory itself stands: the mount is on it.
        if record.pending || record.entry.is_live() && !record.entry.is_directory() {
            return Ok(true);
        }
        let mut after: Option<Vec<u8>> = None;
        loop {
            let store = self.replica.store();
            let children = store.children(&skipped.path, after.as_deref(), CHILDREN_PAGE_ROWS);
            let children = children.map_err(failed)?;
            if children.iter().any(|(_, record)| is_wanted(record)) {
                return Ok(true);
            }
            match children.last() {
                Some((name, _)) => after = Some(name.clone()),
                None => return Ok(false),
            }
        }
    }
}

/// The reason that a scan gives.
pub(super) fn of_scan(reason: &Unscanned) -> SkipReason {
    match reason {
        Unscanned::Special(kind) => SkipReason::Special(of_special(*kind)),
        Unscanned::MountPoint => SkipReason::OtherFilesystem,
        Unscanned::State => SkipReason::State,
        Unscanned::Unreadable(error) | Unscanned::IgnoreFile(error) => of_fs(error),
        Unscanned::Name(error) => SkipReason::Name {
            problem: error.to_string(),
        },
        Unscanned::Unsettled => SkipReason::Changing,
    }
}

/// What has no content to sync.
pub(super) fn of_special(kind: Special) -> SpecialKind {
    match kind {
        Special::Fifo => SpecialKind::Fifo,
        Special::Socket => SpecialKind::Socket,
        Special::CharDevice | Special::BlockDevice => SpecialKind::Device,
        Special::Unknown => SpecialKind::Unknown,
    }
}

/// The reason in an error of the filesystem.
pub(super) fn of_fs(error: &FsError) -> SkipReason {
    if error.is_denied() {
        SkipReason::Denied {
            action: error.action.into(),
        }
    } else if error.is_disk_full() {
        SkipReason::DiskFull
    } else if error.is_bad_name() {
        SkipReason::Name {
            problem: error.source.to_string(),
        }
    } else {
        SkipReason::Io {
            action: error.action.into(),
            message: error.source.to_string(),
        }
    }
}

/// The reason why a change was not made.
pub(super) fn of_apply(error: &ApplyError) -> SkipReason {
    match error {
        ApplyError::Refused {
            obstacle: Obstacle::OtherFilesystem,
            ..
        } => SkipReason::OtherFilesystem,
        ApplyError::Refused {
            obstacle: Obstacle::NameTaken,
            ..
        } => SkipReason::Name {
            problem: "its filesystem takes the name for another one that is there".to_owned(),
        },
        ApplyError::Refused {
            obstacle: Obstacle::BadName,
            ..
        } => SkipReason::Name {
            problem: "its filesystem does not take the name".to_owned(),
        },
        ApplyError::Refused { error, .. } => of_fs(error),
        ApplyError::NotEmpty(_) => SkipReason::IgnoredInTheWay,
        ApplyError::Reserved(_) => SkipReason::Name {
            problem: error.to_string(),
        },
        ApplyError::Changed(_)
        | ApplyError::Surprise { .. }
        | ApplyError::NoParent(_)
        | ApplyError::NoHardLink(_) => SkipReason::Changing,
    }
}

const FIFO: &str = "fifo";
const SOCKET: &str = "socket";
const DEVICE: &str = "device";
const UNKNOWN: &str = "unknown";
const REFUSED: &str = "refused";

/// A reason as the index keeps it, see `docs/format.md`.
fn row_of(reason: &SkipReason) -> SkippedRow {
    let details: Vec<&str> = match reason {
        SkipReason::Special(kind) => vec![match kind {
            SpecialKind::Fifo => FIFO,
            SpecialKind::Socket => SOCKET,
            SpecialKind::Device => DEVICE,
            SpecialKind::Unknown => UNKNOWN,
        }],
        SkipReason::Denied { action } => vec![action],
        SkipReason::Name { problem } => vec![problem],
        SkipReason::Io { action, message } => vec![action, message],
        SkipReason::NotHeld {
            aspects,
            is_refused,
        } => match is_refused {
            true => vec![aspects, REFUSED],
            false => vec![aspects],
        },
        SkipReason::Changing
        | SkipReason::State
        | SkipReason::OtherFilesystem
        | SkipReason::IgnoredInTheWay
        | SkipReason::ContentMissing
        | SkipReason::ReadOnly
        | SkipReason::DiskFull => Vec::new(),
    };
    SkippedRow {
        kind: reason.kind().to_owned(),
        details: details.into_iter().map(str::to_owned).collect(),
    }
}

/// The reason that a row of the index stands for. One that this version does not know is told in its own words.
fn reason_of(row: SkippedRow) -> SkipReason {
    let SkippedRow { kind, details } = row;
    let words: Vec<&str> = details.iter().map(String::as_str).collect();
    match (kind.as_str(), words.as_slice()) {
        ("special", [FIFO]) => SkipReason::Special(SpecialKind::Fifo),
        ("special", [SOCKET]) => SkipReason::Special(SpecialKind::Socket),
        ("special", [DEVICE]) => SkipReason::Special(SpecialKind::Device),
        ("special", _) => SkipReason::Special(SpecialKind::Unknown),
        ("denied", [action]) => SkipReason::Denied {
            action: owned(action),
        },
        ("changing", _) => SkipReason::Changing,
        ("name", [problem]) => SkipReason::Name {
            problem: (*problem).to_owned(),
        },
        ("other-filesystem", _) => SkipReason::OtherFilesystem,
        ("state", _) => SkipReason::State,
        ("ignored-in-the-way", _) => SkipReason::IgnoredInTheWay,
        ("content-missing", _) => SkipReason::ContentMissing,
        ("not-held", [aspects]) => SkipReason::NotHeld {
            aspects: (*aspects).to_owned(),
            is_refused: false,
        },
        ("not-held", [aspects, REFUSED]) => SkipReason::NotHeld {
            aspects: (*aspects).to_owned(),
            is_refused: true,
        },
        ("disk-full", _) => SkipReason::DiskFull,
        ("read-only", _) => SkipReason::ReadOnly,
        ("io", [action, message]) => SkipReason::Io {
            action: owned(action),
            message: (*message).to_owned(),
        },
        (kind, words) => SkipReason::Io {
            action: "sync it".into(),
            message: [&[kind], words].concat().join(", "),
        },
    }
}

fn owned(text: &str) -> Cow<'static, str> {
    Cow::Owned(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_comes_back_from_the_index_as_it_went_in() {
        let reasons = [
            SkipReason::Special(SpecialKind::Fifo),
            SkipReason::Special(SpecialKind::Socket),
            SkipReason::Special(SpecialKind::Device),
            SkipReason::Special(SpecialKind::Unknown),
            SkipReason::Denied {
                action: "open".into(),
            },
            SkipReason::Changing,
            SkipReason::Name {
                problem: "too long".to_owned(),
            },
            SkipReason::OtherFilesystem,
            SkipReason::State,
            SkipReason::IgnoredInTheWay,
            SkipReason::ContentMissing,
            SkipReason::DiskFull,
            SkipReason::NotHeld {
                aspects: "mode".to_owned(),
                is_refused: false,
            },
            SkipReason::NotHeld {
                aspects: "mode, mtime".to_owned(),
                is_refused: true,
            },
            SkipReason::ReadOnly,
            SkipReason::Io {
                action: "read".into(),
                message: "bad sector".to_owned(),
            },
        ];
        for reason in reasons {
            assert_eq!(reason_of(row_of(&reason)), reason);
        }
    }

    #[test]
    fn a_reason_of_a_later_version_is_told_in_its_own_words() {
        let row = SkippedRow {
            kind: "eclipsed".to_owned(),
            details: vec!["by the moon".to_owned()],
        };
        let told = reason_of(row).to_string();
        assert_eq!(told, "could not sync it: eclipsed, by the moon");
    }
}
