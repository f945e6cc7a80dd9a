//! Brings the index in line with the filters: which paths are out of scope.
//!
//! The filters of a root change between runs, and while it runs, with its `.replicatignore` files. The core keeps the state
//! of a path that is out of scope; this module tells it which paths these are. It does not look at what stands there.

use std::sync::Arc;

use replicat_core::entry::Payload;
use replicat_core::path::RelPath;
use replicat_core::record::Record;
use replicat_core::resolve::Shown;
use replicat_core::store::Store;
use replicat_fs::filter::{IGNORE_FILE_NAME, PathFilter};

use super::local::LocalReplica;
use crate::error::SyncError;
use crate::report::SkipReason;

/// How many paths are looked at at once.
const PAGE_ROWS: usize = 512;

/// What stands at a path, and what is to stand there: a pattern may mean directories only.
struct Kinds {
    wanted: Option<bool>,
    held: Option<bool>,
}

impl Kinds {
    fn of(record: &Record) -> Self {
        let shown = record.entry.shown().filter(Shown::is_live);
        let base = record.state().and_then(|held| held.base.as_deref());
        let held = match base {
            Some(base) => Some(base.payload.clone()),
            None => record.held_payload(),
        };
        Self {
            wanted: shown.map(|shown| shown.payload().is_directory()),
            held: held.as_ref().map(Payload::is_directory),
        }
    }

    fn is_directory(&self) -> bool {
        self.wanted.or(self.held).unwrap_or(false)
    }
}

impl LocalReplica {
    /// Brings back into scope what the filters leave out no more.
    pub(super) fn include_paths(&mut self) -> Result<(), SyncError> {
        let (root, filter) = (Arc::clone(&self.root), self.filter.clone());
        let mut scope = filter.paths(&root);
        let mut cursor: Option<RelPath> = None;
        loop {
            let page = self.replica.store().excluded(cursor.as_ref(), PAGE_ROWS);
            let page = page.map_err(|error| self.failed(error))?;
            for path in &page {
                let record = self.replica.record(path);
                let record = record.map_err(|error| self.failed(error))?;
                // If an ignore file cannot be read, it is not known what it leaves out. The scan lists it.
                let excludes = scope.excludes(path, Kinds::of(&record).is_directory());
                if !excludes.unwrap_or(true) {
                    let included = self.replica.include(path);
                    included.map_err(|error| self.failed(error))?;
                }
            }
            cursor = page.last().cloned();
            if cursor.is_none() {
                return Ok(());
            }
        }
    }

    /// Takes out of scope what is not selected.
    pub(super) fn exclude_deselected(&mut self) -> Result<(), SyncError> {
        let filter = self.filter.clone();
        let selection = filter.selection();
        let mut open = vec![RelPath::root()];
        while let Some(directory) = open.pop() {
            if selection.is_whole(&directory) {
                continue;
            }
            let mut after: Option<Vec<u8>> = None;
            loop {
                let store = self.replica.store();
                let page = store.children(&directory, after.as_deref(), PAGE_ROWS);
                let page = page.map_err(|error| self.failed(error))?;
                let Some((last, _)) = page.last() else { break };
                after = Some(last.clone());
                for (name, record) in page {
                    let Ok(path) = directory.join(&name) else {
                        continue;
                    };
                    let kinds = Kinds::of(&record);
                    let held = kinds.held.unwrap_or_else(|| kinds.is_directory());
                    let is_selected = selection.includes(&path, kinds.is_directory())
                        || selection.includes(&path, held);
                    if !is_selected && record.excluded.is_none() {
                        let excluded = self.replica.exclude(&path);
                        excluded.map_err(|error| self.failed(error))?;
                    }
                    open.push(path);
                }
            }
        }
        Ok(())
    }

    /// Notes that `path` changed, if it is an ignore file.
    pub(super) fn note_rules(&mut self, path: &RelPath) {
        if path.name() == IGNORE_FILE_NAME {
            self.rules_changed.extend(path.parent());
        }
    }

    /// Takes out of scope what there is to do at paths that the filters leave out.
    pub(super) fn exclude_pending(&mut self) -> Result<(), SyncError> {
        let (root, filter) = (Arc::clone(&self.root), self.filter.clone());
        let mut scope = filter.paths(&root);
        let mut cursor: Option<RelPath> = None;
        loop {
            let page = self.replica.store().pending(cursor.as_ref(), PAGE_ROWS);
            let page = page.map_err(|error| self.failed(error))?;
            for path in &page {
                self.leaves_out(path, &mut scope)?;
            }
            cursor = page.last().cloned();
            if cursor.is_none() {
                return Ok(());
            }
        }
    }

    /// Whether the filters leave out a path that there is something to do at. If they do, it is out of scope from now on.
    pub(super) fn leaves_out(
        &mut self,
        path: &RelPath,
        scope: &mut PathFilter<'_>,
    ) -> Result<bool, SyncError> {
        if path.is_root() {
            return Ok(false);
        }
        let record = self.replica.record(path);
        let kinds = Kinds::of(&record.map_err(|error| self.failed(error))?);
        let mut excludes = |is_directory| {
            let excludes = scope.excludes(path, is_directory);
            excludes.map_err(|error| self.fs_failed(error))
        };
        if !excludes(kinds.is_directory())? {
            return Ok(false);
        }
        // A file may be in scope, in the place of a directory that is not.
        if let Some(held) = kinds.held
            && !excludes(held)?
        {
            self.skip_step(path.clone(), SkipReason::IgnoredInTheWay);
            return Ok(true);
        }
        let excluded = self.replica.exclude(path);
        excluded.map_err(|error| self.failed(error))?;
        Ok(true)
    }
}
