//! The writes that have not reached the tables yet, with the orders that reads ask for.
//!
//! A bounded batch is held here and written in key order, which fills pages and opens each table once.
//! While it is held, what the tables say of a path that is here does not count.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

use foldhash::fast::RandomState;
use replicat_core::id::{ContentHash, LinkId, ReplicaId};
use replicat_core::path::RelPath;
use replicat_core::record::Record;
use replicat_core::store::Children;
use replicat_core::version::Dot;

use crate::history::HistoryRow;
use crate::tables::{Direction, List, Name};

/// How many rows are held before they are written: enough to fill pages, and a few milliseconds' work.
const ROWS_MAX: usize = 4_096;
/// How many bytes, roughly, are held before they are written.
const BYTES_MAX: usize = 8 << 20;
/// What a record of one file takes in memory, roughly, beside its path.
const RECORD_BYTES: usize = 512;

/// The name of a path in its directory; the root is the empty name in itself.
pub(crate) fn directory_of(path: &RelPath) -> RelPath {
    path.parent().unwrap_or_else(RelPath::root)
}

/// The record of one path. `None`: there is none.
pub(crate) struct Held {
    /// As the tables have it.
    pub(crate) stored: Option<Record>,
    /// As they are to have it.
    pub(crate) record: Option<Record>,
}

/// The records of one directory.
pub(crate) struct HeldDirectory {
    pub(crate) path: RelPath,
    pub(crate) names: BTreeMap<Vec<u8>, Held>,
}

/// Directories by the bytes of their paths.
pub(crate) type HeldDirectories = HashMap<Box<[u8]>, HeldDirectory, RandomState>;

/// The bytes of a path's directory, and its name in there.
fn split(path: &RelPath) -> (&[u8], &[u8]) {
    let bytes = path.as_bytes();
    match bytes.iter().rposition(|&byte| byte == b'/') {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (b"", bytes),
    }
}

/// Writes that have not reached the tables yet.
#[derive(Default)]
pub(crate) struct Overlay {
    pub(crate) records: HeldDirectories,
    pub(crate) rows: BTreeMap<(Name, Vec<u8>), Option<Vec<u8>>>,
    pub(crate) history: BTreeMap<RelPath, Vec<HistoryRow>>,
    by_dot: BTreeMap<(ReplicaId, u64), RelPath>,
    by_content: BTreeSet<(ContentHash, RelPath)>,
    by_link: BTreeSet<(LinkId, RelPath)>,
    by_copy: BTreeSet<(Dot, RelPath)>,
    pending: BTreeSet<RelPath>,
    excluded: BTreeSet<RelPath>,
    count: usize,
    bytes: usize,
}

impl Overlay {
    /// Whether nothing is held.
    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether it is time to write.
    pub(crate) fn is_full(&self) -> bool {
        self.count >= ROWS_MAX || self.bytes >= BYTES_MAX
    }

    fn account(&mut self, bytes: usize) {
        self.count += 1;
        self.bytes += bytes;
    }

    /// What is held of `path`; `Some(None)`: it has no record any more.
    pub(crate) fn record(&self, path: &RelPath) -> Option<&Option<Record>> {
        if self.records.is_empty() {
            return None;
        }
        let (directory, name) = split(path);
        Some(&self.records.get(directory)?.names.get(name)?.record)
    }

    /// Whether the tables' word on `path` does not count.
    pub(crate) fn hides(&self, path: &RelPath) -> bool {
        self.record(path).is_some()
    }

    /// Whether the tables' word on the child `name` of `directory` does not count.
    pub(crate) fn hides_child(&self, directory: &RelPath, name: &[u8]) -> bool {
        let held = self.records.get(directory.as_bytes());
        held.is_some_and(|held| held.names.contains_key(name))
    }

    /// Holds the first new record of `path`, of which the tables have the record `stored`.
    pub(crate) fn hold(&mut self, path: &RelPath, stored: Option<Record>, record: Option<&Record>) {
        let (directory, name) = split(path);
        let held = Held {
            stored,
            record: record.cloned(),
        };
        match self.records.get_mut(directory) {
            Some(directory) => {
                directory.names.insert(name.to_vec(), held);
            }
            None => {
                let path = directory_of(path);
                let names = BTreeMap::from([(name.to_vec(), held)]);
                self.records
                    .insert(directory.into(), HeldDirectory { path, names });
            }
        }
        self.note(path, record);
    }

    /// Holds another record of `path`, of which one is held.
    pub(crate) fn replace(&mut self, path: &RelPath, record: Option<&Record>) {
        let (directory, name) = split(path);
        let directory = self.records.get_mut(directory);
        let held = directory.and_then(|directory| directory.names.get_mut(name));
        let Some(held) = held else { return };
        let old = std::mem::replace(&mut held.record, record.cloned());
        if let Some(old) = old {
            self.unindex(path, &old);
        }
        self.note(path, record);
    }

    fn note(&mut self, path: &RelPath, record: Option<&Record>) {
        if let Some(record) = record {
            self.index(path, record);
        }
        self.account(record_bytes(path, record));
    }

    fn unindex(&mut self, path: &RelPath, old: &Record) {
        for dot in old.dots() {
            self.by_dot.remove(&(dot.replica, dot.counter));
        }
        for content in old.contents() {
            self.by_content.remove(&(content, path.clone()));
        }
        for link in old.links() {
            self.by_link.remove(&(link, path.clone()));
        }
        for loser in old.copies() {
            self.by_copy.remove(&(loser, path.clone()));
        }
        self.pending.remove(path);
        self.excluded.remove(path);
    }

    fn index(&mut self, path: &RelPath, record: &Record) {
        for dot in record.dots() {
            self.by_dot.insert((dot.replica, dot.counter), path.clone());
        }
        for content in record.contents() {
            self.by_content.insert((content, path.clone()));
        }
        for link in record.links() {
            self.by_link.insert((link, path.clone()));
        }
        for loser in record.copies() {
            self.by_copy.insert((loser, path.clone()));
        }
        if record.pending {
            self.pending.insert(path.clone());
        }
        if record.excluded.is_some() {
            self.excluded.insert(path.clone());
        }
    }

    /// The held row, if the tables' does not count; `Some(None)`: it goes.
    pub(crate) fn row(&self, table: Name, key: &[u8]) -> Option<Option<&[u8]>> {
        if self.rows.is_empty() {
            return None;
        }
        let row = self.rows.get(&(table, key.to_vec()))?;
        Some(row.as_deref())
    }

    /// Holds a row that goes into its table as it is; `None`: it goes.
    pub(crate) fn set_row(&mut self, table: Name, key: &[u8], value: Option<Vec<u8>>) {
        self.account(key.len() + value.as_ref().map_or(0, Vec::len));
        self.rows.insert((table, key.to_vec()), value);
    }

    /// Holds an event in the history of `path`.
    pub(crate) fn add_history(&mut self, path: &RelPath, row: HistoryRow) {
        self.account(path.as_bytes().len() + RECORD_BYTES);
        self.history.entry(path.clone()).or_default().push(row);
    }

    /// What is held of the children of `directory`, those that go left out.
    pub(crate) fn children(
        &self,
        directory: &RelPath,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Children {
        let Some(held) = self.records.get(directory.as_bytes()) else {
            return Children::new();
        };
        let start: Bound<&[u8]> = Bound::Excluded(after.unwrap_or(b""));
        held.names
            .range::<[u8], _>((start, Bound::Unbounded))
            .filter_map(|(name, held)| Some((name.clone(), held.record.clone()?)))
            .take(limit)
            .collect()
    }

    /// The held paths of versions made by `replica`, after `counter`.
    pub(crate) fn by_dot(
        &self,
        replica: ReplicaId,
        counter: u64,
        limit: usize,
    ) -> Vec<(u64, RelPath)> {
        let range = (
            Bound::Excluded((replica, counter)),
            Bound::Included((replica, u64::MAX)),
        );
        let rows = self.by_dot.range(range).take(limit);
        rows.map(|(&(_, counter), path)| (counter, path.clone()))
            .collect()
    }

    pub(crate) fn by_content(&self, content: ContentHash, limit: usize) -> Vec<RelPath> {
        with_key(&self.by_content, content, limit)
    }

    pub(crate) fn by_link(&self, link: LinkId, limit: usize) -> Vec<RelPath> {
        with_key(&self.by_link, link, limit)
    }

    /// The held paths with conflict copies.
    pub(crate) fn copies(&self) -> impl Iterator<Item = &RelPath> {
        self.by_copy.iter().map(|(_, path)| path)
    }

    pub(crate) fn by_copy(&self, loser: Dot) -> Option<RelPath> {
        with_key(&self.by_copy, loser, 1).pop()
    }

    /// The held paths with work to do, or those out of scope, strictly beyond `from`.
    pub(crate) fn listed(
        &self,
        list: List,
        from: Option<&RelPath>,
        direction: Direction,
        limit: usize,
    ) -> Vec<RelPath> {
        let listed = match list {
            List::Pending => &self.pending,
            List::Excluded => &self.excluded,
        };
        let edge = from.map_or(Bound::Unbounded, Bound::Excluded);
        match direction {
            Direction::Forwards => {
                let rows = listed.range((edge, Bound::Unbounded));
                rows.take(limit).cloned().collect()
            }
            Direction::Backwards => {
                let rows = listed.range((Bound::Unbounded, edge));
                rows.rev().take(limit).cloned().collect()
            }
        }
    }
}

fn with_key<K: Ord + Copy>(set: &BTreeSet<(K, RelPath)>, key: K, limit: usize) -> Vec<RelPath> {
    let rows = set.range((Bound::Included((key, RelPath::root())), Bound::Unbounded));
    rows.take_while(|(found, _)| *found == key)
        .take(limit)
        .map(|(_, path)| path.clone())
        .collect()
}

/// What the record of a path takes in memory, roughly: extended attributes and link targets can be long.
fn record_bytes(path: &RelPath, record: Option<&Record>) -> usize {
    let about_path = RECORD_BYTES + 2 * path.as_bytes().len();
    record.map_or(about_path, |record| about_path + state_bytes(record))
}

fn state_bytes(record: &Record) -> usize {
    use replicat_core::entry::{Metadata, Payload};
    let state = |payload: &Payload, metadata: &Metadata| {
        let target = match payload {
            Payload::Symlink { target } => target.len(),
            _ => 0,
        };
        let xattrs = metadata.xattrs.iter().flatten();
        target
            + xattrs
                .map(|xattr| xattr.name.len() + xattr.value.len())
                .sum::<usize>()
    };
    let versions = record.entry.versions().iter();
    let shared: usize = versions
        .map(|version| RECORD_BYTES + state(&version.payload, &version.metadata))
        .sum();
    let base = record.state().and_then(|local| local.base.as_ref());
    let stored = base.map_or(0, |base| {
        RECORD_BYTES + state(&base.payload, &base.metadata)
    });
    shared + stored
}
