//! The tables of the file, and three ways to reach them: the last commit, an open transaction, and
//! the tables of a transaction held open while a batch is written.
//!
//! All keys and values are bytes, laid out by [`crate::format`]; keys sort as bytes.

use std::ops::{Bound, ControlFlow};

use redb::{
    Database, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable, Table,
    TableDefinition, WriteTransaction,
};

use crate::error::Fault;
use crate::format::keys::end_of;

type Bytes = &'static [u8];
type Definition = TableDefinition<'static, Bytes, Bytes>;

/// Which table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Name {
    /// (directory, name) -> record.
    Entries,
    /// (parent directory, name) -> directory.
    Directories,
    /// directory -> (parent directory, name).
    DirectoryNames,
    /// (replica number, counter) -> (directory, name).
    ByDot,
    /// (content hash prefix, directory, name) -> nothing.
    ByContent,
    /// (link group, directory, name) -> nothing.
    ByLink,
    /// (replica number, counter, directory, name) -> nothing.
    ByCopy,
    /// path in path order -> nothing.
    Pending,
    /// replica number -> replica id.
    Replicas,
    /// replica id -> member.
    Members,
    /// name -> value: format, identity, knowledge, totals.
    Meta,
    /// (content hash, page) -> a page of its manifest.
    Manifests,
    /// (directory, name, 0, sequence) -> history row.
    History,
    /// name -> bytes of the owner.
    Settings,
    /// path in path order -> why it was left out.
    Skipped,
    /// path in path order, of what the filters leave out -> nothing.
    Excluded,
}

const DEFINITIONS: [(Name, Definition); 16] = [
    (Name::Entries, TableDefinition::new("entries")),
    (Name::Directories, TableDefinition::new("directories")),
    (
        Name::DirectoryNames,
        TableDefinition::new("directory_names"),
    ),
    (Name::ByDot, TableDefinition::new("by_dot")),
    (Name::ByContent, TableDefinition::new("by_content")),
    (Name::ByLink, TableDefinition::new("by_link")),
    (Name::ByCopy, TableDefinition::new("by_copy")),
    (Name::Pending, TableDefinition::new("pending")),
    (Name::Replicas, TableDefinition::new("replicas")),
    (Name::Members, TableDefinition::new("members")),
    (Name::Meta, TableDefinition::new("meta")),
    (Name::Manifests, TableDefinition::new("manifests")),
    (Name::History, TableDefinition::new("history")),
    (Name::Settings, TableDefinition::new("settings")),
    (Name::Skipped, TableDefinition::new("skipped")),
    (Name::Excluded, TableDefinition::new("excluded")),
];

/// A list of paths, kept in path order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    /// Those with work to do.
    Pending,
    /// Those that the filters leave out.
    Excluded,
}

impl List {
    pub(crate) fn table(self) -> Name {
        match self {
            Self::Pending => Name::Pending,
            Self::Excluded => Name::Excluded,
        }
    }
}

impl Name {
    pub(crate) fn definition(self) -> Definition {
        DEFINITIONS[self as usize].1
    }
}

/// A range of keys.
pub(crate) type KeyRange<'a> = (Bound<&'a [u8]>, Bound<&'a [u8]>);

/// In which order a range is read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Direction {
    Forwards,
    Backwards,
}

/// What is done with a row that a scan meets.
pub(crate) type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, Fault> + 'a;

/// What is done with every row that a scan meets.
pub(crate) type VisitAll<'a> = dyn FnMut(&[u8], &[u8]) -> Result<(), Fault> + 'a;

/// Reading rows.
pub(crate) trait Rows {
    /// The value at `key`, as `read` understands it.
    fn get<T>(
        &self,
        table: Name,
        key: &[u8],
        read: impl FnOnce(&[u8]) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault>;

    /// Shows the rows in `range` to `visit`, one by one, until it breaks.
    fn scan(
        &self,
        table: Name,
        range: KeyRange<'_>,
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<(), Fault>;

    /// Shows all rows whose keys have `prefix` to `visit`, in key order.
    fn scan_prefix(
        &self,
        table: Name,
        prefix: &[u8],
        visit: &mut VisitAll<'_>,
    ) -> Result<(), Fault> {
        let end = end_of(prefix);
        let end = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let range = (Bound::Included(prefix), end);
        self.scan(table, range, Direction::Forwards, &mut |key, value| {
            visit(key, value).map(ControlFlow::Continue)
        })
    }
}

impl<R: Rows> Rows for &R {
    fn get<T>(
        &self,
        table: Name,
        key: &[u8],
        read: impl FnOnce(&[u8]) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        R::get(self, table, key, read)
    }

    fn scan(
        &self,
        table: Name,
        range: KeyRange<'_>,
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<(), Fault> {
        R::scan(self, table, range, direction, visit)
    }
}

fn get_in<T>(
    table: &impl ReadableTable<Bytes, Bytes>,
    key: &[u8],
    read: impl FnOnce(&[u8]) -> Result<T, Fault>,
) -> Result<Option<T>, Fault> {
    match table.get(key)? {
        Some(value) => read(value.value()).map(Some),
        None => Ok(None),
    }
}

fn scan_in(
    table: &impl ReadableTable<Bytes, Bytes>,
    range: KeyRange<'_>,
    direction: Direction,
    visit: &mut Visit<'_>,
) -> Result<(), Fault> {
    let mut rows = table.range::<&[u8]>(range)?;
    loop {
        let row = match direction {
            Direction::Forwards => rows.next(),
            Direction::Backwards => rows.next_back(),
        };
        let Some(row) = row else { return Ok(()) };
        let (key, value) = row?;
        if visit(key.value(), value.value())?.is_break() {
            return Ok(());
        }
    }
}

/// The tables as of one commit.
pub(crate) struct Committed(Vec<ReadOnlyTable<Bytes, Bytes>>);

impl Committed {
    /// No tables: nothing is read while the file is compacted.
    pub(crate) fn none() -> Self {
        Self(Vec::new())
    }

    /// The tables as of the last commit to `database`.
    pub(crate) fn latest(database: &Database) -> Result<Self, Fault> {
        let transaction = database.begin_read()?;
        let open = |(_, definition): &(Name, Definition)| transaction.open_table(*definition);
        Ok(Self(
            DEFINITIONS.iter().map(open).collect::<Result<_, _>>()?,
        ))
    }
}

impl Rows for Committed {
    fn get<T>(
        &self,
        table: Name,
        key: &[u8],
        read: impl FnOnce(&[u8]) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        get_in(&self.0[table as usize], key, read)
    }

    fn scan(
        &self,
        table: Name,
        range: KeyRange<'_>,
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<(), Fault> {
        scan_in(&self.0[table as usize], range, direction, visit)
    }
}

/// A commit's tables, each opened for the one operation.
impl Rows for ReadTransaction {
    fn get<T>(
        &self,
        table: Name,
        key: &[u8],
        read: impl FnOnce(&[u8]) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        get_in(&self.open_table(table.definition())?, key, read)
    }

    fn scan(
        &self,
        table: Name,
        range: KeyRange<'_>,
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<(), Fault> {
        scan_in(
            &self.open_table(table.definition())?,
            range,
            direction,
            visit,
        )
    }
}

/// A transaction's tables, each opened for the one operation: about a microsecond more.
impl Rows for WriteTransaction {
    fn get<T>(
        &self,
        table: Name,
        key: &[u8],
        read: impl FnOnce(&[u8]) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        get_in(&self.open_table(table.definition())?, key, read)
    }

    fn scan(
        &self,
        table: Name,
        range: KeyRange<'_>,
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<(), Fault> {
        scan_in(
            &self.open_table(table.definition())?,
            range,
            direction,
            visit,
        )
    }
}

/// Where reads find the rows that have left the overlay.
#[derive(Clone, Copy)]
pub(crate) enum Source<'a> {
    Committed(&'a Committed),
    Transaction(&'a WriteTransaction),
}

impl Rows for Source<'_> {
    fn get<T>(
        &self,
        table: Name,
        key: &[u8],
        read: impl FnOnce(&[u8]) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        match self {
            Self::Committed(rows) => rows.get(table, key, read),
            Self::Transaction(rows) => rows.get(table, key, read),
        }
    }

    fn scan(
        &self,
        table: Name,
        range: KeyRange<'_>,
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<(), Fault> {
        match self {
            Self::Committed(rows) => rows.scan(table, range, direction, visit),
            Self::Transaction(rows) => rows.scan(table, range, direction, visit),
        }
    }
}

/// All tables of a transaction, open for writing.
pub(crate) struct OpenTables<'txn>(Vec<Table<'txn, Bytes, Bytes>>);

impl<'txn> OpenTables<'txn> {
    /// Opens the tables, and makes those that are missing.
    pub(crate) fn of(transaction: &'txn WriteTransaction) -> Result<Self, Fault> {
        let open = |(_, definition): &(Name, Definition)| transaction.open_table(*definition);
        Ok(Self(
            DEFINITIONS.iter().map(open).collect::<Result<_, _>>()?,
        ))
    }

    /// Sets a row.
    pub(crate) fn put(&mut self, table: Name, key: &[u8], value: &[u8]) -> Result<(), Fault> {
        self.0[table as usize].insert(key, value)?;
        Ok(())
    }

    /// Takes a row away.
    pub(crate) fn remove(&mut self, table: Name, key: &[u8]) -> Result<(), Fault> {
        self.0[table as usize].remove(key)?;
        Ok(())
    }

    /// Inserts rows in ascending order into one gap between existing keys. Pages are filled, where
    /// inserting the rows one by one would leave every page half empty.
    pub(crate) fn fill_gap<'r>(
        &mut self,
        table: Name,
        rows: impl Iterator<Item = (&'r [u8], &'r [u8])>,
    ) -> Result<(), Fault> {
        let mut rows = rows.peekable();
        let Some(&(first, _)) = rows.peek() else {
            return Ok(());
        };
        let mut cursor = self.0[table as usize].lower_bound_mut(Bound::Included(first))?;
        for (key, value) in rows {
            cursor.insert_before(key, value)?;
        }
        cursor.close()?;
        Ok(())
    }
}

impl Rows for OpenTables<'_> {
    fn get<T>(
        &self,
        table: Name,
        key: &[u8],
        read: impl FnOnce(&[u8]) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        get_in(&self.0[table as usize], key, read)
    }

    fn scan(
        &self,
        table: Name,
        range: KeyRange<'_>,
        direction: Direction,
        visit: &mut Visit<'_>,
    ) -> Result<(), Fault> {
        scan_in(&self.0[table as usize], range, direction, visit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_finds_its_own_definition() {
        for (place, (name, _)) in DEFINITIONS.iter().enumerate() {
            assert_eq!(*name as usize, place, "{name:?}");
        }
    }
}
