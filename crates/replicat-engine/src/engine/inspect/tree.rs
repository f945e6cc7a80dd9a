//! The tree as the index knows it.

use replicat_core::entry::Payload;
use replicat_core::path::RelPath;
use replicat_core::record::Record;
use replicat_core::resolve::Shown;
use replicat_core::store::Store;

use super::open::{self, Access, Looked};
use crate::error::SyncError;
use crate::event::ItemKind;
use crate::inspection::{TreeRow, TreeState};
use crate::options::RootLocation;

/// How many children are looked at at once.
const PAGE_ROWS: usize = 1024;

/// The paths at and below one, in the order of paths. Reads the index as it goes.
pub struct Tree {
    looked: Looked,
    /// Directories to be listed, the next one last, each with the name to go on after.
    open: Vec<(RelPath, Option<Vec<u8>>)>,
    ready: std::collections::VecDeque<(RelPath, Record)>,
}

/// The tree at and below `path`, which may be the root.
///
/// # Errors
/// [`SyncError::NotReplica`] if the root was never synced; [`SyncError::UnknownPath`] if nothing is known at `path`.
pub fn tree(location: &RootLocation, path: &RelPath) -> Result<Tree, SyncError> {
    Tree::of(open::open(location, Access::Read)?, path).map_err(|lent| lent.1)
}

impl Tree {
    /// The tree at and below `path` of what is looked at; that comes back with an error.
    pub(super) fn of(looked: Looked, path: &RelPath) -> Result<Self, Box<(Looked, SyncError)>> {
        let record = match looked.local.replica.record(path) {
            Ok(record) => record,
            Err(error) => {
                let error = looked.local.failed(error);
                return Err(Box::new((looked, error)));
            }
        };
        if record.is_empty() && !path.is_root() {
            let root = looked.local.given.clone();
            let path = path.clone();
            return Err(Box::new((looked, SyncError::UnknownPath { root, path })));
        }
        let mut tree = Self {
            looked,
            open: Vec::new(),
            ready: std::collections::VecDeque::new(),
        };
        match path.is_root() {
            true => tree.open.push((path.clone(), None)),
            false => tree.ready.push_back((path.clone(), record)),
        }
        Ok(tree)
    }

    pub(super) fn into_looked(self) -> Looked {
        self.looked
    }

    /// The next record, depth first.
    fn next_record(&mut self) -> Result<Option<(RelPath, Record)>, SyncError> {
        loop {
            if let Some(found) = self.ready.pop_front() {
                // What lies below it comes before its siblings.
                self.suspend();
                self.open.push((found.0.clone(), None));
                return Ok(Some(found));
            }
            let Some((directory, after)) = self.open.pop() else {
                return Ok(None);
            };
            let local = &self.looked.local;
            let page = local
                .replica
                .store()
                .children(&directory, after.as_deref(), PAGE_ROWS);
            for (name, record) in page.map_err(|error| local.failed(error))? {
                if let Ok(path) = directory.join(&name) {
                    self.ready.push_back((path, record));
                }
            }
        }
    }

    /// Puts what is ready back, to be listed again after what lies below the record that is about to be returned.
    fn suspend(&mut self) {
        let Some((next, _)) = self.ready.front() else {
            return;
        };
        let Some(directory) = next.parent() else {
            return;
        };
        let before = predecessor(next.name());
        self.ready.clear();
        self.open.push((directory, before));
    }
}

/// A name after which `name` is the next that can be: `name` itself, one byte shorter or lower.
fn predecessor(name: &[u8]) -> Option<Vec<u8>> {
    let (last, front) = name.split_last()?;
    let mut before = front.to_vec();
    if *last > 1 {
        before.push(last - 1);
        before.push(0xff);
    }
    Some(before).filter(|before| !before.is_empty())
}

impl Iterator for Tree {
    type Item = Result<TreeRow, SyncError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.next_record() {
                Err(error) => return Some(Err(error)),
                Ok(None) => return None,
                Ok(Some((path, record))) => {
                    if let Some(row) = row(path, &record) {
                        return Some(Ok(row));
                    }
                }
            }
        }
    }
}

/// What a directory holds itself, in the order of names, from the first name behind `after` on: `limit` rows at most.
pub(super) fn level(
    looked: &Looked,
    directory: &RelPath,
    after: Option<&[u8]>,
    limit: usize,
) -> Result<Vec<TreeRow>, SyncError> {
    let local = &looked.local;
    let record = local.replica.record(directory);
    let record = record.map_err(|error| local.failed(error))?;
    let is_there = record.entry.shown().is_some_and(|shown| shown.is_live());
    if !is_there && !directory.is_root() {
        return Err(SyncError::UnknownPath {
            root: local.given.clone(),
            path: directory.clone(),
        });
    }
    let mut rows = Vec::new();
    let mut after = after.map(<[u8]>::to_vec);
    while rows.len() < limit {
        let page = local
            .replica
            .store()
            .children(directory, after.as_deref(), PAGE_ROWS);
        let page = page.map_err(|error| local.failed(error))?;
        let Some((last, _)) = page.last() else { break };
        after = Some(last.clone());
        let live = page.into_iter().filter_map(|(name, record)| {
            let path = directory.join(&name).ok()?;
            row(path, &record)
        });
        rows.extend(live.take(limit - rows.len()));
    }
    Ok(rows)
}

fn row(path: RelPath, record: &Record) -> Option<TreeRow> {
    let shown = record.entry.shown().filter(Shown::is_live)?;
    let payload = shown.payload();
    let (kind, size, target) = match payload {
        Payload::File { size, .. } => (ItemKind::File, *size, None),
        Payload::Symlink { target } => (ItemKind::Symlink, 0, Some(target.clone())),
        Payload::Directory | Payload::Tombstone { .. } => (ItemKind::Directory, 0, None),
    };
    let is_held = record
        .local
        .as_ref()
        .is_some_and(|local| local.base.is_none());
    let state = match () {
        () if record.excluded.is_some() => TreeState::Excluded,
        () if !is_held => TreeState::Pending,
        () if shown.winner.conflict_of.is_some() => TreeState::ConflictCopy,
        () => TreeState::Present,
    };
    let metadata = shown.metadata();
    Some(TreeRow {
        kind,
        size,
        target,
        content: payload.content(),
        mode: metadata.mode,
        mtime: metadata.mtime,
        state,
        path,
    })
}
