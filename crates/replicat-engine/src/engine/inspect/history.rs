//! The versions of a path: that of its entry, those that the index kept as they were replaced, and what the trash holds.
//!
//! The author of a version is the replica that made what it holds ([`Version::author`]). Of equal contents that were made
//! at several replicas and joined it is the author of the version that the path shows, which all replicas agree on.

use std::collections::BTreeMap;

use replicat_core::entry::{Timestamp, Version};
use replicat_core::path::RelPath;
use replicat_core::record::Record;
use replicat_core::version::Hlc;
use replicat_fs::trash::TrashItem;
use replicat_index::{Change, HeldKind};

use super::open::{self, Access, Looked};
use crate::engine::conflicts::{self, Names};
use crate::engine::{clock, transfer};
use crate::error::SyncError;
use crate::inspection::{HistoryChange, HistoryRow, Keeping, Revision};
use crate::options::RootLocation;

/// The author of a version of which nothing is known but that the trash holds it.
const UNKNOWN_NODE: &str = "";

/// What happened at a path, the latest first.
///
/// # Errors
/// As [`status`](super::status); [`SyncError::UnknownPath`] if nothing was ever known there.
pub fn history(location: &RootLocation, path: &RelPath) -> Result<Vec<HistoryRow>, SyncError> {
    let looked = open::open(location, Access::Read)?;
    looked.history(path)
}

/// A version of a path, and where it is.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) row: HistoryRow,
    pub(super) held: HeldKind,
    /// The latest in the trash that holds it.
    pub(super) item: Option<TrashItem>,
}

impl Known {
    pub(super) fn is_live(&self) -> bool {
        self.held != HeldKind::Nothing
    }
}

/// What the versions of all paths are put together from, read once.
pub(super) struct Past {
    names: Names,
    trash: BTreeMap<RelPath, Vec<TrashItem>>,
}

impl Past {
    /// What `looked` keeps; of one path, or of all.
    pub(super) fn of(looked: &Looked, path: Option<&RelPath>) -> Result<Self, SyncError> {
        let mut trash: BTreeMap<RelPath, Vec<TrashItem>> = BTreeMap::new();
        for item in looked.trash(path)? {
            if let Some(path) = item.path.clone() {
                trash.entry(path).or_default().push(item);
            }
        }
        Ok(Self {
            names: Names::of(&looked.local)?,
            trash,
        })
    }

    /// The paths of which the trash holds something.
    pub(super) fn paths(&self) -> impl Iterator<Item = &RelPath> {
        self.trash.keys()
    }
}

impl Looked {
    pub(super) fn history(&self, path: &RelPath) -> Result<Vec<HistoryRow>, SyncError> {
        let known = self.versions(path, &Past::of(self, Some(path))?)?;
        if known.is_empty() {
            return Err(SyncError::UnknownPath {
                root: self.local.given.clone(),
                path: path.clone(),
            });
        }
        Ok(known.into_iter().map(|known| known.row).collect())
    }

    /// The versions of a path, the latest first; empty if nothing is known of it.
    pub(super) fn versions(&self, path: &RelPath, past: &Past) -> Result<Vec<Known>, SyncError> {
        let record = self.local.replica.record(path);
        let record = record.map_err(|error| self.local.failed(error))?;
        let noted = self.local.replica.store().history(path);
        let noted = noted.map_err(|error| self.local.index_failed(error))?;
        let mut versions: Vec<Known> = self.current(path, &record, past)?.into_iter().collect();
        let (kept, notes): (Vec<_>, Vec<_>) = noted.into_iter().partition(|row| row.held.is_some());
        for row in kept.into_iter().rev() {
            versions.push(known(path, row, past));
        }
        for note in notes.into_iter().rev() {
            take_note(&mut versions, known(path, note, past));
        }
        let items = past.trash.get(path).map_or(&[][..], Vec::as_slice);
        for item in items.iter().rev() {
            take_item(&mut versions, item);
        }
        mark_current(&mut versions);
        for (version, number) in versions.iter_mut().zip(1..) {
            version.row.revision = Revision(number);
        }
        Ok(versions)
    }

    fn current(
        &self,
        path: &RelPath,
        record: &Record,
        past: &Past,
    ) -> Result<Option<Known>, SyncError> {
        let Some(shown) = record.entry.shown() else {
            return Ok(None);
        };
        let version: &Version = shown.winner;
        let row = replicat_index::HistoryRow::of_version(version);
        let is_copy = row.change == Change::Conflict;
        let mut known = known(path, row, past);
        if let Some(loser) = version.conflict_of.filter(|_| is_copy)
            && let Some(of) = transfer::origin_of_copy(&self.local, loser)?
        {
            known.row.change = HistoryChange::ConflictCopyOf(of);
        }
        if shown.is_live() {
            known.row.keeping = Keeping::Current;
        }
        Ok(Some(known))
    }
}

fn known(path: &RelPath, row: replicat_index::HistoryRow, past: &Past) -> Known {
    let held = row.held.unwrap_or(match row.change {
        Change::Deleted | Change::MovedTo(_) => HeldKind::Nothing,
        _ => HeldKind::File,
    });
    let change = match row.change {
        Change::Created => HistoryChange::Created,
        Change::Edited => HistoryChange::Edited,
        Change::Described => HistoryChange::Described,
        Change::Deleted => HistoryChange::Deleted,
        Change::MovedFrom(from) => HistoryChange::MovedFrom(from),
        Change::MovedTo(to) => HistoryChange::MovedTo(to),
        Change::Conflict => conflicts::path_of_copy(path)
            .map_or(HistoryChange::Edited, HistoryChange::ConflictCopyOf),
        Change::Restored => HistoryChange::Restored,
    };
    Known {
        row: HistoryRow {
            revision: Revision(0),
            when: clock::timestamp(Hlc(row.time_ms)),
            node: past.names.name(row.origin),
            change,
            size: row.size,
            // A note of a deletion says what was deleted.
            content: row.content.filter(|_| held != HeldKind::Nothing),
            keeping: Keeping::Gone,
        },
        held,
        item: None,
    }
}

/// Takes in what a sync noted: where a path was moved from, and of indexes older than format 4 all that it did.
fn take_note(versions: &mut Vec<Known>, note: Known) {
    let is_same = |version: &Known| {
        let (known, noted) = (&version.row, &note.row);
        known.node == noted.node && version.held == note.held && known.content == noted.content
    };
    if let HistoryChange::MovedFrom(_) = note.row.change {
        let arrived = versions.iter_mut().find(|version| {
            version.row.change == HistoryChange::Created && version.row.node == note.row.node
        });
        if let Some(arrived) = arrived {
            arrived.row.change = note.row.change;
        }
    } else if !versions.iter().any(is_same) {
        insert(versions, note);
    }
}

/// Takes in what the trash holds, the latest first: of versions that are known, and of others.
fn take_item(versions: &mut Vec<Known>, item: &TrashItem) {
    let is_held = |version: &&mut Known| match item.content {
        Some(content) => version.row.content == Some(content),
        None => version.held == HeldKind::Symlink && version.row.when.seconds <= item.seconds,
    };
    let mut is_known = false;
    for version in versions.iter_mut().filter(is_held) {
        let is_new = version.row.keeping == Keeping::Gone;
        is_known |= is_new || item.content.is_some();
        if is_new {
            version.row.keeping = Keeping::Trash;
            version.item = Some(item.clone());
        }
        if is_known && item.content.is_none() {
            break;
        }
    }
    if !is_known {
        insert(versions, of_item(item));
    }
}

/// Earlier versions that held what the path holds now are as current.
fn mark_current(versions: &mut [Known]) {
    let Some((current, earlier)) = versions.split_first_mut() else {
        return;
    };
    if current.row.keeping != Keeping::Current || current.row.content.is_none() {
        return;
    }
    let is_same = |version: &&mut Known| version.row.content == current.row.content;
    for version in earlier.iter_mut().filter(is_same) {
        if version.row.keeping == Keeping::Gone {
            version.row.keeping = Keeping::Current;
        }
    }
}

/// Something in the trash of which no version is known: a file that was changed here before anyone noticed.
fn of_item(item: &TrashItem) -> Known {
    Known {
        row: HistoryRow {
            revision: Revision(0),
            when: Timestamp {
                seconds: item.seconds,
                nanoseconds: 0,
            },
            node: UNKNOWN_NODE.to_owned(),
            change: HistoryChange::Edited,
            size: item.size,
            content: item.content,
            keeping: Keeping::Trash,
        },
        held: HeldKind::File,
        item: Some(item.clone()),
    }
}

/// Puts a version in its place by time, behind the current one.
fn insert(versions: &mut Vec<Known>, version: Known) {
    let is_older = |known: &Known| known.row.when < version.row.when;
    let is_first = |known: &Known| known.row.keeping != Keeping::Current;
    let at = versions
        .iter()
        .position(|known| is_first(known) && is_older(known));
    versions.insert(at.unwrap_or(versions.len()), version);
}
