//! What the trash of a root holds, and removing it for good.

use std::time::Duration;

use replicat_core::entry::Timestamp;
use replicat_core::path::RelPath;
use replicat_fs::trash::TrashItem;

use super::history::{Known, Past};
use super::open::{self, Access, Looked};
use crate::engine::clock;
use crate::engine::local::LocalReplica;
use crate::error::SyncError;
use crate::inspection::HistoryChange;
use crate::options::RootLocation;
use crate::restoration::{Emptied, TrashReason, TrashRow, TrashSelection};

/// What the trash of a root holds, the oldest first.
///
/// # Errors
/// As [`status`](super::status).
pub fn trash(location: &RootLocation) -> Result<Vec<TrashRow>, SyncError> {
    open::open(location, Access::Read)?.trash_rows()
}

/// Removes from the trash of a root what is meant, for good.
///
/// # Errors
/// As [`status`](super::status); what keeps it from being removed.
pub fn empty_trash(
    location: &RootLocation,
    selection: &TrashSelection,
) -> Result<Emptied, SyncError> {
    open::open(location, Access::Write)?.discard(selection)
}

/// The same in a replica that is in use, which is given back.
pub(in crate::engine) fn empty_trash_in(
    local: LocalReplica,
    selection: &TrashSelection,
) -> (LocalReplica, Result<Emptied, SyncError>) {
    let looked = Looked::lent(local);
    let emptied = looked.discard(selection);
    (looked.into_local(), emptied)
}

impl Looked {
    pub(super) fn trash_rows(&self) -> Result<Vec<TrashRow>, SyncError> {
        let past = Past::of(self, None)?;
        let mut versions: Option<(RelPath, Vec<Known>)> = None;
        let mut items = self.trash(None)?;
        // Items of one path in a row: its versions are put together once.
        items.sort_by(|one, other| (&one.path, one.id).cmp(&(&other.path, other.id)));
        let mut rows = Vec::with_capacity(items.len());
        for item in items {
            if let Some(path) = &item.path
                && versions.as_ref().is_none_or(|(known, _)| known != path)
            {
                versions = Some((path.clone(), self.versions(path, &past)?));
            }
            let of_path = versions.as_ref();
            let of_path = of_path.filter(|(path, _)| Some(path) == item.path.as_ref());
            let id = item.id;
            rows.push((id, row(item, of_path.map_or(&[], |(_, versions)| versions))));
        }
        rows.sort_by_key(|(id, _)| *id);
        Ok(rows.into_iter().map(|(_, row)| row).collect())
    }

    fn discard(&self, selection: &TrashSelection) -> Result<Emptied, SyncError> {
        let Some(hands) = &self.local.hands else {
            return Ok(Emptied::default());
        };
        let now = clock::now_seconds();
        let purged = hands
            .trash
            .discard(now, |item| is_meant(item, selection, now));
        let purged = purged.map_err(|error| self.local.fs_failed(error))?;
        Ok(Emptied {
            versions: purged.items,
            bytes: purged.bytes,
        })
    }
}

fn is_meant(item: &TrashItem, selection: &TrashSelection, now: i64) -> bool {
    let age = Duration::from_secs(u64::try_from(now.saturating_sub(item.seconds)).unwrap_or(0));
    let is_old = selection.older_than.is_none_or(|limit| age > limit);
    let wanted = selection.path.as_ref();
    let is_below = |path: &RelPath| item.path.as_ref().is_some_and(|at| at.is_within(path));
    is_old && wanted.is_none_or(is_below)
}

/// The newer neighbour of the version that an item holds is what took its place.
fn row(item: TrashItem, versions: &[Known]) -> TrashRow {
    let is_held = |known: &Known| match item.content {
        Some(content) => known.row.content == Some(content),
        None => (known.item.as_ref()).is_some_and(|held| held.id == item.id),
    };
    let at = versions.iter().skip(1).position(is_held);
    let by = at.map(|at| &versions[at].row);
    let reason = match by.map(|by| &by.change) {
        Some(HistoryChange::Deleted | HistoryChange::MovedTo(_)) => TrashReason::Deleted,
        Some(_) => TrashReason::Replaced,
        None => TrashReason::Unknown,
    };
    TrashRow {
        id: item.id.to_string(),
        when: Timestamp {
            seconds: item.seconds,
            nanoseconds: 0,
        },
        reason,
        node: by.map(|by| by.node.clone()).filter(|node| !node.is_empty()),
        path: item.path,
        name: item.name,
        size: item.size,
        content: item.content,
    }
}
