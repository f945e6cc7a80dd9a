//! What the tables say, leaving out the paths on which the overlay has a newer word.

use std::collections::BTreeSet;
use std::ops::{Bound, ControlFlow};

use replicat_core::id::ReplicaId;
use replicat_core::path::RelPath;
use replicat_core::record::Record;
use replicat_core::store::Children;

use crate::directories::Directories;
use crate::error::Fault;
use crate::format::keys::{self, Place};
use crate::format::v1::decode_record;
use crate::overlay::directory_of;
use crate::replicas::Replicas;
use crate::tables::{Direction, List, Name, Rows};

const DONE: ControlFlow<()> = ControlFlow::Break(());
const ON: ControlFlow<()> = ControlFlow::Continue(());

fn on_until(done: bool) -> ControlFlow<()> {
    if done { DONE } else { ON }
}

/// The tables, and what is needed to understand them.
pub(crate) struct View<'a, R> {
    pub(crate) rows: R,
    pub(crate) replicas: &'a Replicas,
    pub(crate) directories: &'a Directories,
}

impl<R: Rows> View<'_, R> {
    /// The key of a path's place; `None` if nothing was ever kept in its directory.
    pub(crate) fn key(&self, path: &RelPath) -> Result<Option<Vec<u8>>, Fault> {
        let directory = self.directories.find(&self.rows, &directory_of(path))?;
        let name = path.name();
        Ok(directory.map(|directory| Place { directory, name }.key()))
    }

    pub(crate) fn record(&self, path: &RelPath) -> Result<Option<Record>, Fault> {
        let Some(key) = self.key(path)? else {
            return Ok(None);
        };
        let read = |row: &[u8]| decode_record(row, self.replicas);
        self.rows.get(Name::Entries, &key, read)
    }

    pub(crate) fn children(
        &self,
        directory: &RelPath,
        after: Option<&[u8]>,
        limit: usize,
        hidden: impl Fn(&[u8]) -> bool,
    ) -> Result<Children, Fault> {
        let mut found = Children::new();
        let Some(id) = self.directories.find(&self.rows, directory)? else {
            return Ok(found);
        };
        // The empty name is the root's own record, if there is one; it is nobody's child.
        let name = after.unwrap_or(b"");
        let start = Place {
            directory: id,
            name,
        };
        let end = keys::end_of(&id.to_be_bytes());
        let range = (Bound::Excluded(&start.key()[..]), before(end.as_deref()));
        self.rows.scan(
            Name::Entries,
            range,
            Direction::Forwards,
            &mut |key, row| {
                if found.len() == limit {
                    return Ok(DONE);
                }
                let name = Place::decode(key)?.name;
                if !hidden(name) {
                    found.push((name.to_vec(), decode_record(row, self.replicas)?));
                }
                Ok(ON)
            },
        )?;
        Ok(found)
    }

    pub(crate) fn by_dot(
        &self,
        replica: ReplicaId,
        counter: u64,
        limit: usize,
        hidden: impl Fn(&RelPath) -> bool,
    ) -> Result<Vec<(u64, RelPath)>, Fault> {
        let mut found = Vec::new();
        let Some(number) = self.replicas.find(replica) else {
            return Ok(found);
        };
        let (start, end) = (keys::dot(number, counter), keys::dot(number, u64::MAX));
        let range = (Bound::Excluded(&start[..]), Bound::Included(&end[..]));
        self.rows
            .scan(Name::ByDot, range, Direction::Forwards, &mut |key, row| {
                if found.len() == limit {
                    return Ok(DONE);
                }
                let path = self.directories.path_at(&self.rows, Place::decode(row)?)?;
                if !hidden(&path) {
                    found.push((keys::counter_of(key)?, path));
                }
                Ok(ON)
            })?;
        Ok(found)
    }

    /// The paths of the places under `prefix` that `wanted` takes.
    pub(crate) fn places(
        &self,
        table: Name,
        prefix: &[u8],
        limit: usize,
        wanted: impl Fn(&RelPath) -> Result<bool, Fault>,
    ) -> Result<Vec<RelPath>, Fault> {
        let mut found = Vec::new();
        let end = keys::end_of(prefix);
        let range = (Bound::Included(prefix), before(end.as_deref()));
        self.rows
            .scan(table, range, Direction::Forwards, &mut |key, _| {
                if found.len() == limit {
                    return Ok(DONE);
                }
                let place = Place::decode(key.get(prefix.len()..).unwrap_or_default())?;
                let path = self.directories.path_at(&self.rows, place)?;
                if wanted(&path)? {
                    found.push(path);
                }
                Ok(ON)
            })?;
        Ok(found)
    }

    /// The paths with conflict copies.
    pub(crate) fn copies(
        &self,
        hidden: impl Fn(&RelPath) -> bool,
    ) -> Result<BTreeSet<RelPath>, Fault> {
        let mut found = BTreeSet::new();
        let all = (Bound::Unbounded, Bound::Unbounded);
        self.rows
            .scan(Name::ByCopy, all, Direction::Forwards, &mut |key, _| {
                let place = key.get(keys::DOT_BYTES..).unwrap_or_default();
                let path = self
                    .directories
                    .path_at(&self.rows, Place::decode(place)?)?;
                if !hidden(&path) {
                    found.insert(path);
                }
                Ok(ON)
            })?;
        Ok(found)
    }

    /// The paths of a list, strictly beyond `from`.
    pub(crate) fn listed(
        &self,
        list: List,
        from: Option<&RelPath>,
        direction: Direction,
        limit: usize,
        hidden: impl Fn(&RelPath) -> bool,
    ) -> Result<Vec<RelPath>, Fault> {
        let mut found = Vec::new();
        let key = from.map(keys::path);
        let edge = key.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let range = match direction {
            Direction::Forwards => (edge, Bound::Unbounded),
            Direction::Backwards => (Bound::Unbounded, edge),
        };
        if limit == 0 {
            return Ok(found);
        }
        self.rows
            .scan(list.table(), range, direction, &mut |key, _| {
                let path = keys::path_of(key)?;
                if !hidden(&path) {
                    found.push(path);
                }
                Ok(on_until(found.len() == limit))
            })?;
        Ok(found)
    }
}

fn before(end: Option<&[u8]>) -> Bound<&[u8]> {
    end.map_or(Bound::Unbounded, Bound::Excluded)
}
