//! Looking at one root by its index, and settling something in it. Nothing is scanned.

mod asking;
mod open;
mod restore;
mod settle;
mod tree;
mod why;
mod writing;

use replicat_core::entry::Payload;
use replicat_core::path::RelPath;
use replicat_core::store::Store;
use replicat_index::Change;

use super::{brakes, clock, conflicts};
use crate::error::SyncError;
use crate::inspection::{
    HistoryChange, HistoryRow, Keeping, MemberStanding, MemberStatus, Revision, Status, TrashStatus,
};
use crate::options::RootLocation;
use crate::report::{Brake, ConflictReport};
use open::{Access, Looked};

pub(in crate::engine) use asking::answer_in;
pub use asking::{Answer, Question};
pub use restore::restore;
pub(super) use restore::restore_in;
pub(super) use settle::resolve_in;
pub use settle::{approve, resolve};
pub use tree::{Tree, tree};
pub use why::why;
pub use writing::Precondition;
pub(super) use writing::{is_reserved, put_in, remove_in};

/// How a root stands.
///
/// # Errors
/// [`SyncError::NotReplica`] if it was never synced; what else keeps its index from being read.
pub fn status(location: &RootLocation) -> Result<Status, SyncError> {
    let looked = open::open(location, Access::Read)?;
    let local = &looked.local;
    let failed = |error| local.failed(error);
    let identity = local.replica.identity();
    let mut status = Status {
        root: location.root.clone(),
        folder: identity.folder,
        replica: identity.replica,
        name: identity.name.clone(),
        last_sync: looked.last_sync()?,
        files: 0,
        directories: 0,
        symlinks: 0,
        bytes: 0,
        pending: local.replica.store().pending_count().map_err(failed)?,
        conflicts: 0,
        brake: brake(&looked)?,
        skipped: local.kept_skipped()?,
        members: members(&looked)?,
        trash: trash(&looked)?,
        index_bytes: looked.index_bytes,
    };
    count(&looked, &mut status)?;
    Ok(status)
}

fn count(looked: &Looked, status: &mut Status) -> Result<(), SyncError> {
    looked.for_each_record(&mut |_, record| {
        let Some(shown) = record.entry.shown() else {
            return Ok(());
        };
        match shown.payload() {
            Payload::File { size, .. } => {
                status.files += 1;
                status.bytes += size;
            }
            Payload::Directory => status.directories += 1,
            Payload::Symlink { .. } => status.symlinks += 1,
            Payload::Tombstone { .. } => return Ok(()),
        }
        status.conflicts += u64::from(shown.winner.conflict_of.is_some());
        Ok(())
    })
}

fn brake(looked: &Looked) -> Result<Option<Brake>, SyncError> {
    Ok(brakes::held(
        looked.local.setting(brakes::SETTING_BRAKE)?.as_deref(),
    ))
}

fn members(looked: &Looked) -> Result<Vec<MemberStatus>, SyncError> {
    let local = &looked.local;
    let own = local.replica.identity().replica;
    let members = local
        .replica
        .store()
        .members()
        .map_err(|error| local.failed(error))?;
    let others = members.into_iter().filter(|(id, _)| *id != own);
    Ok(others
        .map(|(replica, member)| MemberStatus {
            replica,
            name: member.name,
            standing: match member.applied.contains_all(local.replica.knowledge()) {
                true => MemberStanding::UpToDate,
                false => MemberStanding::Behind,
            },
        })
        .collect())
}

fn trash(looked: &Looked) -> Result<TrashStatus, SyncError> {
    let items = looked.trash(None)?;
    let bytes = items.iter().map(|item| item.size).sum();
    Ok(TrashStatus {
        versions: items.len() as u64,
        bytes,
    })
}

/// The conflict copies in a root that nobody has resolved, by path.
///
/// # Errors
/// As [`status`].
pub fn conflicts(location: &RootLocation) -> Result<Vec<ConflictReport>, SyncError> {
    let looked = open::open(location, Access::Read)?;
    looked.conflicts()
}

/// What happened at a path, the latest first.
///
/// # Errors
/// As [`status`]; [`SyncError::UnknownPath`] if nothing was ever known there.
pub fn history(location: &RootLocation, path: &RelPath) -> Result<Vec<HistoryRow>, SyncError> {
    let looked = open::open(location, Access::Read)?;
    looked.history(path)
}

impl Looked {
    pub(super) fn conflicts(&self) -> Result<Vec<ConflictReport>, SyncError> {
        let mut found = Vec::new();
        self.for_each_record(&mut |path, record| {
            if record
                .entry
                .shown()
                .is_some_and(|shown| shown.winner.conflict_of.is_some())
            {
                found.extend(conflicts::of_copy(&self.local, path)?);
            }
            Ok(())
        })?;
        found.sort_by(|one, other| (&one.path, &one.copy).cmp(&(&other.path, &other.copy)));
        Ok(found)
    }

    /// The current version, then what was noted, the latest first. A note of an edit or a deletion speaks of what took
    /// its place: what can be restored is in the trash that it names.
    pub(super) fn history(&self, path: &RelPath) -> Result<Vec<HistoryRow>, SyncError> {
        let mut rows = Vec::new();
        let record = self
            .local
            .replica
            .record(path)
            .map_err(|error| self.local.failed(error))?;
        let mut noted = self
            .local
            .replica
            .store()
            .history(path)
            .map_err(|error| self.local.index_failed(error))?;
        if record.is_empty() && noted.is_empty() {
            return Err(SyncError::UnknownPath {
                root: self.local.given.clone(),
                path: path.clone(),
            });
        }
        // What an edit replaced is a row of its own: it is in the trash.
        noted.retain(|note| note.change != Change::Edited);
        for note in noted.into_iter().rev() {
            rows.push(self.noted(note)?);
        }
        // Times of one second are told apart by their order here alone.
        for item in self.trash(Some(path))?.into_iter().rev() {
            rows.push(HistoryRow {
                revision: Revision(0),
                when: replicat_core::entry::Timestamp {
                    seconds: item.seconds,
                    nanoseconds: 0,
                },
                node: self.local.replica.identity().name.clone(),
                change: HistoryChange::Edited,
                size: item.size,
                content: item.content,
                keeping: Keeping::Trash,
            });
        }
        rows.sort_by_key(|row| std::cmp::Reverse(row.when));
        rows.splice(0..0, self.current(&record)?);
        for (row, number) in rows.iter_mut().zip(1..) {
            row.revision = Revision(number);
        }
        Ok(rows)
    }

    fn current(
        &self,
        record: &replicat_core::record::Record,
    ) -> Result<Option<HistoryRow>, SyncError> {
        let Some(shown) = record.entry.shown() else {
            return Ok(None);
        };
        let (size, content) = match shown.payload() {
            Payload::File { size, content, .. } => (*size, Some(*content)),
            _ => (0, None),
        };
        let is_first = shown.winner.context.vector.is_empty();
        let change = match shown.payload() {
            Payload::Tombstone { moved_to: Some(to) } => HistoryChange::MovedTo(to.clone()),
            Payload::Tombstone { moved_to: None } => HistoryChange::Deleted,
            _ if is_first => HistoryChange::Created,
            payload if payload.substance() == shown.winner.base => HistoryChange::Described,
            _ => HistoryChange::Edited,
        };
        Ok(Some(HistoryRow {
            revision: Revision(0),
            when: clock::timestamp(shown.winner.hlc),
            node: conflicts::node(&self.local, shown.winner.dot.replica)?,
            change,
            size,
            content,
            keeping: if shown.is_live() {
                Keeping::Current
            } else {
                Keeping::Gone
            },
        }))
    }

    fn noted(&self, note: replicat_index::HistoryRow) -> Result<HistoryRow, SyncError> {
        let change = match note.change {
            Change::Created => HistoryChange::Created,
            Change::Edited => HistoryChange::Edited,
            Change::Deleted => HistoryChange::Deleted,
            Change::MovedFrom(from) => HistoryChange::MovedFrom(from),
            Change::MovedTo(to) => HistoryChange::MovedTo(to),
            Change::Conflict => HistoryChange::Edited,
            Change::Restored => HistoryChange::Restored,
            Change::Described => HistoryChange::Described,
        };
        Ok(HistoryRow {
            revision: Revision(0),
            when: clock::timestamp(replicat_core::version::Hlc(note.time_ms)),
            node: conflicts::node(&self.local, note.origin)?,
            change,
            size: note.size,
            content: note.content,
            keeping: Keeping::Gone,
        })
    }
}
