//! Records read lately: a rule reads a record before it writes it, and several rules read the same one in turn.

use std::cell::RefCell;
use std::collections::HashMap;

use foldhash::fast::RandomState;
use replicat_core::path::RelPath;
use replicat_core::record::Record;

/// How many records a generation has. Between the plan of a step and its record, some thousands of others are read.
const GENERATION_RECORDS: usize = 8_192;

type Generation = HashMap<RelPath, Option<Record>, RandomState>;

/// Records as the tables have them, `None` where they have none. Holds nothing that the overlay has a newer word on
/// for longer than the overlay holds it: what is written out is forgotten here.
#[derive(Default)]
pub(crate) struct Recent(RefCell<Generations>);

/// The records that were read last, and those that were before them.
#[derive(Default)]
struct Generations {
    young: Generation,
    old: Generation,
}

impl Recent {
    /// What was read at `path`, if that is remembered.
    pub(crate) fn get(&self, path: &RelPath) -> Option<Option<Record>> {
        let generations = self.0.borrow();
        let found = generations.young.get(path);
        found.or_else(|| generations.old.get(path)).cloned()
    }

    /// Remembers what was read.
    pub(crate) fn keep(&self, path: &RelPath, record: &Option<Record>) {
        let generations = &mut *self.0.borrow_mut();
        if generations.young.len() >= GENERATION_RECORDS {
            std::mem::swap(&mut generations.young, &mut generations.old);
            generations.young.clear();
        }
        generations.young.insert(path.clone(), record.clone());
    }

    /// Gives up what was read at `path`, because it is about to be written.
    pub(crate) fn take(&self, path: &RelPath) -> Option<Option<Record>> {
        let generations = &mut *self.0.borrow_mut();
        let old = generations.old.remove(path);
        generations.young.remove(path).or(old)
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        *self.0.borrow_mut() = Generations::default();
    }
}
