//! Walking what is kept below a directory, whatever is there, a page of children at a time.

use crate::path::RelPath;
use crate::record::Record;
use crate::replica::Replica;
use crate::store::{Store, StoreError};

/// How many children are looked at at once.
const PAGE_ROWS: usize = 256;

/// A walk over all records below a directory. It borrows the store only while it reads a page, so that whoever walks may
/// change what it meets; what is added to a directory behind the walk is not met.
pub(crate) struct Below {
    /// Directories that were met and not looked into yet.
    open: Vec<RelPath>,
    /// The directory that is being looked into, and the last name met in it.
    inside: Option<(RelPath, Option<Vec<u8>>)>,
}

/// What a walk comes to.
pub(crate) enum Met {
    /// Some children of one directory, by name.
    Children(Vec<(RelPath, Record)>),
    /// A directory had no more.
    End,
}

impl Below {
    /// Begins a walk.
    pub(crate) fn of(directory: &RelPath) -> Self {
        let open = vec![directory.clone()];
        Self { open, inside: None }
    }

    /// Goes on; `None` when all was met.
    pub(crate) fn advance(&mut self, store: &impl Store) -> Result<Option<Met>, StoreError> {
        let Some((directory, after)) = self.take_inside() else {
            return Ok(None);
        };
        let page = store.children(&directory, after.as_deref(), PAGE_ROWS)?;
        let Some((last, _)) = page.last() else {
            return Ok(Some(Met::End));
        };
        let after = Some(last.clone());
        let met = page.into_iter();
        let met = met.filter_map(|(name, record)| Some((directory.join(&name).ok()?, record)));
        let met: Vec<(RelPath, Record)> = met.collect();
        self.open.extend(met.iter().map(|(path, _)| path.clone()));
        self.inside = Some((directory, after));
        Ok(Some(Met::Children(met)))
    }

    fn take_inside(&mut self) -> Option<(RelPath, Option<Vec<u8>>)> {
        let inside = self.inside.take();
        inside.or_else(|| self.open.pop().map(|directory| (directory, None)))
    }
}

impl<S: Store> Replica<S> {
    /// Calls `visit` for each record below `directory`, until it returns false.
    pub(crate) fn for_each_below(
        &self,
        directory: &RelPath,
        mut visit: impl FnMut(&RelPath, &Record) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let mut below = Below::of(directory);
        while let Some(met) = below.advance(self.store())? {
            let Met::Children(children) = met else {
                continue;
            };
            for (path, record) in children {
                if !visit(&path, &record)? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}
