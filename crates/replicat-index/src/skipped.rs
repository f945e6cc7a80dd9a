//! Paths that the owner left out, and its words on why. What the words mean is its own affair.

use std::collections::BTreeMap;
use std::ops::Bound;

use replicat_core::path::RelPath;

use crate::error::{Fault, IndexError};
use crate::format::keys;
use crate::format::rows::{decode_skipped, encode_skipped};
use crate::index::Index;
use crate::tables::{Name, Rows};

/// Why a path was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedRow {
    /// A word for the kind of reason.
    pub kind: String,
    /// What else there is to say, in an order that the kind fixes.
    pub details: Vec<String>,
}

impl Index {
    /// The paths that were left out, in path order.
    ///
    /// # Errors
    /// [`IndexError::Damaged`], [`IndexError::Io`], [`IndexError::Failed`].
    pub fn skipped(&self) -> Result<BTreeMap<RelPath, SkippedRow>, IndexError> {
        self.find_skipped()
            .map_err(|fault| fault.at(self.path(), "read what was skipped from"))
    }

    /// Notes why `path` was left out, or that it is not any more.
    ///
    /// # Errors
    /// [`IndexError::Io`], [`IndexError::Failed`].
    pub fn set_skipped(
        &mut self,
        path: &RelPath,
        row: Option<&SkippedRow>,
    ) -> Result<(), IndexError> {
        self.set_row(Name::Skipped, &keys::path(path), row.map(encode_skipped))
            .map_err(|fault| fault.at(self.path(), "note what was skipped in"))
    }

    fn find_skipped(&self) -> Result<BTreeMap<RelPath, SkippedRow>, Fault> {
        let mut found = BTreeMap::new();
        let source = self.source()?;
        source.scan_prefix(Name::Skipped, b"", &mut |key, row| {
            found.insert(keys::path_of(key)?, decode_skipped(row)?);
            Ok(())
        })?;
        let first = (Name::Skipped, Vec::new());
        let held = (self.overlay.rows).range((Bound::Included(first), Bound::Unbounded));
        for ((_, key), row) in held.take_while(|((table, _), _)| *table == Name::Skipped) {
            let path = keys::path_of(key)?;
            match row {
                Some(row) => found.insert(path, decode_skipped(row)?),
                None => found.remove(&path),
            };
        }
        Ok(found)
    }
}
