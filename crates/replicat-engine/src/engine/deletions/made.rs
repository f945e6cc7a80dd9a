//! Files that came within the window: made by programs of this host, or brought from peers.

use std::collections::{BTreeMap, HashMap, VecDeque};

use replicat_core::path::RelPath;
use replicat_core::record::Holdings;

use super::Millis;
use super::window::{Places, WINDOW, place_of, total};

/// How many files are remembered. Of more than that, the oldest count as held before.
const MADE_MAX: usize = 200_000;

/// Files that came within the window, and are there.
#[derive(Debug, Default)]
pub(super) struct Made {
    files: HashMap<RelPath, (Millis, u64)>,
    order: VecDeque<(Millis, RelPath)>,
    by_place: Places,
    /// The `objects` directories of git repositories that got a pack, and when.
    packed: BTreeMap<RelPath, Millis>,
}

impl Made {
    pub(super) fn add(&mut self, now: Millis, path: &RelPath, bytes: u64) {
        self.remove(path);
        if let Some(objects) = objects_of_pack(path) {
            self.packed.insert(objects, now);
        }
        self.files.insert(path.clone(), (now, bytes));
        self.order.push_back((now, path.clone()));
        let sum = self.by_place.entry(place_of(path)).or_default();
        *sum = sum.plus(Holdings { files: 1, bytes });
        while self.files.len() > MADE_MAX {
            self.drop_oldest();
        }
    }

    /// Forgets a file; whether it was one.
    pub(super) fn remove(&mut self, path: &RelPath) -> bool {
        let Some((_, bytes)) = self.files.remove(path) else {
            return false;
        };
        let place = place_of(path);
        if let Some(sum) = self.by_place.get_mut(&place) {
            *sum = sum.minus(Holdings { files: 1, bytes });
            if sum.files == 0 {
                self.by_place.remove(&place);
            }
        }
        true
    }

    pub(super) fn contains(&self, path: &RelPath) -> bool {
        self.files.contains_key(path)
    }

    fn drop_oldest(&mut self) -> bool {
        let Some((at, path)) = self.order.pop_front() else {
            return false;
        };
        // It may have been removed, or made again later.
        if self.files.get(&path).is_some_and(|(made, _)| *made == at) {
            self.remove(&path);
        }
        true
    }

    pub(super) fn expire(&mut self, now: Millis) {
        let first = now.0.saturating_sub(WINDOW.0);
        while (self.order.front()).is_some_and(|(at, _)| at.0 < first) {
            self.drop_oldest();
        }
        self.packed.retain(|_, at| at.0 >= first);
    }

    pub(super) fn by_place(&self) -> &Places {
        &self.by_place
    }

    pub(super) fn total(&self) -> Holdings {
        total(&self.by_place)
    }

    /// Whether `path` is a loose object of a git repository that got a pack within the window: its content is in the pack.
    pub(super) fn is_packed(&self, path: &RelPath) -> bool {
        objects_of_loose(path).is_some_and(|objects| self.packed.contains_key(&objects))
    }
}

/// The `objects` directory of which `path` is a pack: `objects/pack/pack-....pack`.
fn objects_of_pack(path: &RelPath) -> Option<RelPath> {
    let name = path.name();
    let directory = path.parent()?;
    let objects = directory.parent()?;
    let is_pack = name.starts_with(b"pack-")
        && name.ends_with(b".pack")
        && directory.name() == b"pack"
        && objects.name() == b"objects";
    is_pack.then_some(objects)
}

/// The `objects` directory of which `path` is a loose object: `objects/01/23...`, 40 or 64 digits in all.
fn objects_of_loose(path: &RelPath) -> Option<RelPath> {
    let is_hex = |name: &[u8]| {
        name.iter()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let name = path.name();
    let directory = path.parent()?;
    let objects = directory.parent()?;
    let is_loose = matches!(name.len(), 38 | 62)
        && is_hex(name)
        && directory.name().len() == 2
        && is_hex(directory.name())
        && objects.name() == b"objects";
    is_loose.then_some(objects)
}
