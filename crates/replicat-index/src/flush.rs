//! Writing a batch: the overlay goes into the tables in key order.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use replicat_core::path::RelPath;
use replicat_core::record::Record;

use crate::directories::Directories;
use crate::error::Fault;
use crate::format::bytes::Input;
use crate::format::keys::{self, Place};
use crate::format::rows::encode_history;
use crate::format::v1::encode_record;
use crate::history::{HISTORY_ROWS_MAX, HistoryRow};
use crate::overlay::{Held, HeldDirectories, HeldDirectory, Overlay, directory_of};
use crate::replicas::Replicas;
use crate::summary::Summary;
use crate::tables::{Direction, Name, OpenTables, Rows};

/// So many new neighbours are worth writing together.
const GAP_ROWS_MIN: usize = 8;

/// A row to write; `None`: it goes.
type Row = (Vec<u8>, Option<Vec<u8>>);
/// What a row was made from: the directory, the name in it, and the record.
type Origin<'a> = (&'a RelPath, &'a [u8], &'a Held);
/// A row of an order to write. `None` sorts first, so that a row given to another path stays.
type OrderRow = (Name, Vec<u8>, Option<Vec<u8>>);

/// Writes what the overlay holds.
pub(crate) fn write(
    overlay: Overlay,
    tables: &mut OpenTables<'_>,
    summary: &mut Summary,
    directories: &Directories,
) -> Result<(), Fault> {
    let mut batch = Batch {
        tables,
        summary,
        directories,
    };
    batch.records(&overlay.records)?;
    for ((table, key), value) in overlay.rows {
        batch.row(table, &key, value.as_deref())?;
    }
    for (path, rows) in overlay.history {
        batch.history(&path, &rows)?;
    }
    Ok(())
}

struct Batch<'a, 'txn> {
    tables: &'a mut OpenTables<'txn>,
    summary: &'a mut Summary,
    directories: &'a Directories,
}

impl Batch<'_, '_> {
    fn row(&mut self, table: Name, key: &[u8], value: Option<&[u8]>) -> Result<(), Fault> {
        match value {
            Some(value) => self.tables.put(table, key, value),
            None => self.tables.remove(table, key),
        }
    }

    fn records(&mut self, records: &HeldDirectories) -> Result<(), Fault> {
        let (entries, origins) = self.encode(records)?;
        self.write_sorted(Name::Entries, &entries)?;
        let mut orders = Vec::with_capacity(2 * entries.len());
        for ((key, _), origin) in entries.iter().zip(&origins) {
            compare(&mut orders, key, origin, &mut self.summary.replicas);
        }
        self.orders(orders)
    }

    /// The rows of the entries in key order, and what they were made from.
    fn encode<'r>(
        &mut self,
        records: &'r HeldDirectories,
    ) -> Result<(Vec<Row>, Vec<Origin<'r>>), Fault> {
        let mut directories: Vec<&HeldDirectory> = records.values().collect();
        // So that new directories are numbered as they lie.
        directories.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        let mut rows = Vec::new();
        for HeldDirectory { path, names } in directories {
            let next = &mut self.summary.totals.next_directory;
            let directory = self.directories.find_or_number(self.tables, next, path)?;
            for (name, held) in names {
                let replicas = &mut self.summary.replicas;
                let encode = |record: &Record| encode_record(record, replicas);
                let place = Place { directory, name };
                let row = (place.key(), held.record.as_ref().map(encode));
                rows.push((row, (path, &name[..], held)));
            }
        }
        rows.sort_unstable_by(|((a, _), _), ((b, _), _)| a.cmp(b));
        Ok(rows.into_iter().unzip())
    }

    /// Writes sorted rows.
    fn write_sorted(&mut self, table: Name, rows: &[Row]) -> Result<(), Fault> {
        let mut rest = rows;
        // Rows that are written one by one before it is worth looking for a gap again.
        let mut single = 0_usize;
        while let Some(((key, value), others)) = rest.split_first() {
            let gap = match (value, single) {
                (Some(_), 0) => self.gap(table, rest)?,
                _ => 0,
            };
            if gap < GAP_ROWS_MIN {
                self.row(table, key, value.as_deref())?;
                single = single.checked_sub(1).unwrap_or(GAP_ROWS_MIN);
                rest = others;
                continue;
            }
            let (new, others) = rest.split_at(gap);
            let new = new.iter();
            let new = new.filter_map(|(key, value)| Some((&key[..], value.as_deref()?)));
            self.tables.fill_gap(table, new)?;
            rest = others;
        }
        Ok(())
    }

    /// How many of the first rows are new, to be kept, and fall between the same two existing keys.
    fn gap(&self, table: Name, rows: &[Row]) -> Result<usize, Fault> {
        let kept = rows.iter().take_while(|(_, value)| value.is_some()).count();
        if kept < GAP_ROWS_MIN {
            return Ok(0);
        }
        let range = (Bound::Included(&rows[0].0[..]), Bound::Unbounded);
        let mut gap = kept;
        self.tables
            .scan(table, range, Direction::Forwards, &mut |next, _| {
                gap = rows[..kept].partition_point(|(key, _)| &key[..] < next);
                Ok(ControlFlow::Break(()))
            })?;
        Ok(gap)
    }

    /// Writes the rows of the orders.
    fn orders(&mut self, mut rows: Vec<OrderRow>) -> Result<(), Fault> {
        rows.sort_unstable();
        let mut tables: BTreeMap<Name, Vec<Row>> = BTreeMap::new();
        for (table, key, value) in rows {
            let rows = tables.entry(table).or_default();
            match rows.last_mut() {
                Some(last) if last.0 == key => last.1 = value,
                _ => rows.push((key, value)),
            }
        }
        for (table, rows) in tables {
            // Hashes fall apart: no two of a batch share a gap of a large table.
            if table == Name::ByContent {
                for (key, value) in &rows {
                    self.row(table, key, value.as_deref())?;
                }
                continue;
            }
            self.write_sorted(table, &rows)?;
        }
        Ok(())
    }

    /// Adds to the history of a path, and takes away what is over the limit.
    fn history(&mut self, path: &RelPath, rows: &[HistoryRow]) -> Result<(), Fault> {
        let next = &mut self.summary.totals.next_directory;
        let directory = directory_of(path);
        let id = self
            .directories
            .find_or_number(self.tables, next, &directory)?;
        let place = Place {
            directory: id,
            name: path.name(),
        };
        let prefix = history_prefix(place);
        let kept = self.history_sequences(&prefix)?;
        let mut sequence = kept.last().map_or(0, |last| last.wrapping_add(1));
        let surplus = (kept.len() + rows.len()).saturating_sub(HISTORY_ROWS_MAX);
        for old in kept.iter().take(surplus) {
            self.tables
                .remove(Name::History, &history_key(&prefix, *old))?;
        }
        let newest = rows.len().saturating_sub(HISTORY_ROWS_MAX);
        for row in &rows[newest..] {
            let value = encode_history(row, &mut self.summary.replicas);
            let key = history_key(&prefix, sequence);
            self.tables.put(Name::History, &key, &value)?;
            sequence = sequence.wrapping_add(1);
        }
        Ok(())
    }

    fn history_sequences(&self, prefix: &[u8]) -> Result<Vec<u32>, Fault> {
        let mut found = Vec::new();
        self.tables
            .scan_prefix(Name::History, prefix, &mut |key, _| {
                let sequence = key.get(prefix.len()..).unwrap_or_default();
                found.push(u32::from_be_bytes(Input::new(sequence).array()?));
                Ok(())
            })?;
        Ok(found)
    }
}

/// The prefix of a path's history; no name holds a NUL, so that none is a prefix of another's.
pub(crate) fn history_prefix(place: Place<'_>) -> Vec<u8> {
    let mut prefix = place.key();
    prefix.push(0);
    prefix
}

fn history_key(prefix: &[u8], sequence: u32) -> Vec<u8> {
    [prefix, &sequence.to_be_bytes()].concat()
}

/// Which orders know a path otherwise than before.
struct Changed {
    dots: bool,
    contents: bool,
    links: bool,
    copies: bool,
    pending: bool,
    excluded: bool,
}

impl Changed {
    fn between(held: &Held) -> Self {
        let (old, new) = (held.stored.iter(), held.record.iter());
        let (old, new) = (|| old.clone(), || new.clone());
        Self {
            dots: !old()
                .flat_map(Record::dots)
                .eq(new().flat_map(Record::dots)),
            contents: !(old().flat_map(Record::contents)).eq(new().flat_map(Record::contents)),
            links: !(old().flat_map(Record::links)).eq(new().flat_map(Record::links)),
            copies: !(old().flat_map(Record::copies)).eq(new().flat_map(Record::copies)),
            pending: old().any(|record| record.pending) != new().any(|record| record.pending),
            excluded: old().any(|record| record.excluded.is_some())
                != new().any(|record| record.excluded.is_some()),
        }
    }
}

/// Collects the rows of the orders that differ between the two records of a path.
fn compare(rows: &mut Vec<OrderRow>, key: &[u8], origin: &Origin<'_>, replicas: &mut Replicas) {
    let (directory, name, held) = *origin;
    let changed = Changed::between(held);
    let mut keys = |record: &Option<Record>| {
        let keys = |record: &Record| {
            let mut found = order_keys(key, record, &changed, replicas);
            if record.pending && changed.pending {
                found.push((Name::Pending, keys::path_in(directory, name)));
            }
            if record.excluded.is_some() && changed.excluded {
                found.push((Name::Excluded, keys::path_in(directory, name)));
            }
            found
        };
        record.as_ref().map_or_else(Vec::new, keys)
    };
    let (before, after) = (keys(&held.stored), keys(&held.record));
    for row in before.iter().filter(|row| !after.contains(row)) {
        rows.push((row.0, row.1.clone(), None));
    }
    for row in after.into_iter().filter(|row| !before.contains(row)) {
        let value = match row.0 {
            Name::ByDot => key.to_vec(),
            _ => Vec::new(),
        };
        rows.push((row.0, row.1, Some(value)));
    }
}

/// Under which keys a path is found in the orders that changed, all but that of the paths with work to do.
fn order_keys(
    place: &[u8],
    record: &Record,
    changed: &Changed,
    replicas: &mut Replicas,
) -> Vec<(Name, Vec<u8>)> {
    let under = |prefix: &[u8]| [prefix, place].concat();
    let mut found = Vec::with_capacity(3);
    for dot in record.dots().filter(|_| changed.dots) {
        let number = replicas.number(dot.replica);
        found.push((Name::ByDot, keys::dot(number, dot.counter).to_vec()));
    }
    for content in record.contents().filter(|_| changed.contents) {
        found.push((Name::ByContent, under(&keys::content(content))));
    }
    for link in record.links().filter(|_| changed.links) {
        found.push((Name::ByLink, under(&keys::link(link))));
    }
    for loser in record.copies().filter(|_| changed.copies) {
        let number = replicas.number(loser.replica);
        found.push((Name::ByCopy, under(&keys::dot(number, loser.counter))));
    }
    found
}
