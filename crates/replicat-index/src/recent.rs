//! Records read lately: a rule reads a record before it writes it, and several rules read the same one in turn.

use std::cell::RefCell;
use std::collections::HashMap;

use replicat_core::path::RelPath;
use replicat_core::record::Record;

/// How many records are remembered before all are forgotten.
const REMEMBERED_MAX: usize = 4_096;

/// Records as the tables have them, `None` where they have none. Holds nothing that the overlay has a newer word on
/// for longer than the overlay holds it: what is written out is forgotten here.
#[derive(Default)]
pub(crate) struct Recent(RefCell<HashMap<RelPath, Option<Record>>>);

impl Recent {
    /// What was read at `path`, if that is remembered.
    pub(crate) fn get(&self, path: &RelPath) -> Option<Option<Record>> {
        self.0.borrow().get(path).cloned()
    }

    /// Remembers what was read.
    pub(crate) fn keep(&self, path: &RelPath, record: &Option<Record>) {
        let mut remembered = self.0.borrow_mut();
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        remembered.insert(path.clone(), record.clone());
    }

    /// Forgets what was read at `path`, because it is about to be written.
    pub(crate) fn forget(&self, path: &RelPath) {
        self.0.borrow_mut().remove(path);
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        self.0.borrow_mut().clear();
    }
}
