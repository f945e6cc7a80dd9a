//! Directory numbers: rows name a directory by a number instead of repeating its path.
//!
//! A number is given when something is first kept in the directory, and is never given again.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;
use replicat_core::path::{PATH_BYTES_MAX, RelPath};

use crate::error::Fault;
use crate::format::keys::{DirectoryId, Place, ROOT};
use crate::tables::{Name, OpenTables, Rows};

/// How many directories are remembered, and how many bytes of paths, before all are forgotten.
const CACHED_MAX: usize = 16_384;
const CACHED_BYTES_MAX: usize = 4 << 20;

/// The directories met lately.
#[derive(Default)]
struct Cache {
    ids: HashMap<RelPath, DirectoryId, RandomState>,
    paths: HashMap<DirectoryId, RelPath, RandomState>,
    /// Directories known to have no number. Forgotten whenever one is given.
    unnumbered: HashSet<RelPath, RandomState>,
    bytes: usize,
}

impl Cache {
    fn keep_unnumbered(&mut self, path: &RelPath) {
        if self.unnumbered.len() >= CACHED_MAX {
            self.unnumbered.clear();
        }
        self.unnumbered.insert(path.clone());
    }

    fn keep(&mut self, id: DirectoryId, path: &RelPath) {
        if self.ids.len() >= CACHED_MAX || self.bytes >= CACHED_BYTES_MAX {
            *self = Self::default();
        }
        self.bytes += path.as_bytes().len();
        self.unnumbered.remove(path);
        self.ids.insert(path.clone(), id);
        self.paths.insert(id, path.clone());
    }
}

/// The numbers of directories, with a bounded memory of those met lately.
#[derive(Default)]
pub(crate) struct Directories(Mutex<Cache>);

impl Directories {
    fn cache(&self) -> MutexGuard<'_, Cache> {
        // A cache is whole at every step, whoever panicked while holding it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what was remembered: numbers given by a transaction that was undone.
    pub(crate) fn forget(&self) {
        *self.cache() = Cache::default();
    }

    /// What is remembered of `directory`; `Some(None)`: that it has no number.
    fn answer(&self, directory: &RelPath) -> Option<Option<DirectoryId>> {
        if directory.is_root() {
            return Some(Some(ROOT));
        }
        let cache = self.cache();
        if let Some(id) = cache.ids.get(directory) {
            return Some(Some(*id));
        }
        cache.unnumbered.contains(directory).then_some(None)
    }

    fn remembered(&self, directory: &RelPath) -> Option<DirectoryId> {
        if directory.is_root() {
            return Some(ROOT);
        }
        self.cache().ids.get(directory).copied()
    }

    /// The nearest remembered directory at or above `directory`, and those between, lowest first.
    fn climb(&self, directory: &RelPath) -> (DirectoryId, Vec<RelPath>) {
        let mut unknown = Vec::new();
        let mut at = directory.clone();
        loop {
            if let Some(id) = self.remembered(&at) {
                return (id, unknown);
            }
            let parent = at.parent().unwrap_or_else(RelPath::root);
            unknown.push(std::mem::replace(&mut at, parent));
        }
    }

    /// The number of `directory`, if it has one.
    pub(crate) fn find(
        &self,
        rows: &impl Rows,
        directory: &RelPath,
    ) -> Result<Option<DirectoryId>, Fault> {
        if let Some(found) = self.answer(directory) {
            return Ok(found);
        }
        let (mut id, unknown) = self.climb(directory);
        for path in unknown.into_iter().rev() {
            match number_of(rows, id, path.name())? {
                Some(found) => id = found,
                None => {
                    self.cache().keep_unnumbered(directory);
                    return Ok(None);
                }
            }
            self.cache().keep(id, &path);
        }
        Ok(Some(id))
    }

    /// The number of `directory`, which gets one if need be, as do those above it.
    pub(crate) fn find_or_number(
        &self,
        tables: &mut OpenTables<'_>,
        next: &mut DirectoryId,
        directory: &RelPath,
    ) -> Result<DirectoryId, Fault> {
        let (mut id, unknown) = self.climb(directory);
        for path in unknown.into_iter().rev() {
            id = match number_of(tables, id, path.name())? {
                Some(found) => found,
                None => {
                    // A directory below may be looked for again now.
                    self.cache().unnumbered.clear();
                    give_number(tables, next, id, path.name())?
                }
            };
            self.cache().keep(id, &path);
        }
        Ok(id)
    }

    /// The path of a numbered directory.
    pub(crate) fn path(&self, rows: &impl Rows, id: DirectoryId) -> Result<RelPath, Fault> {
        let mut names = Vec::new();
        let mut bytes = 0;
        let mut at = id;
        let above = loop {
            if at == ROOT {
                break RelPath::root();
            }
            let remembered = self.cache().paths.get(&at).cloned();
            if let Some(path) = remembered {
                break path;
            }
            let read = |row: &[u8]| Place::decode(row).map(|up| (up.directory, up.name.to_vec()));
            let (parent, name) = rows
                .get(Name::DirectoryNames, &at.to_be_bytes(), read)?
                .ok_or_else(|| Fault::damaged(format!("a row names directory {at}, unknown")))?;
            bytes += name.len() + 1;
            if bytes > PATH_BYTES_MAX + 1 {
                return Err(Fault::damaged("directories hold each other"));
            }
            names.push(name);
            at = parent;
        };
        if names.is_empty() {
            return Ok(above);
        }
        let path = below(&above, &names)?;
        self.cache().keep(id, &path);
        Ok(path)
    }

    /// The path of a place.
    pub(crate) fn path_at(&self, rows: &impl Rows, place: Place<'_>) -> Result<RelPath, Fault> {
        let directory = self.path(rows, place.directory)?;
        if place.name.is_empty() {
            return Ok(directory);
        }
        below(&directory, &[place.name])
    }
}

/// The path of nested names, the lowest first, below a directory.
fn below(directory: &RelPath, names: &[impl AsRef<[u8]>]) -> Result<RelPath, Fault> {
    let mut bytes = directory.as_bytes().to_vec();
    for name in names.iter().rev() {
        if !bytes.is_empty() {
            bytes.push(b'/');
        }
        bytes.extend_from_slice(name.as_ref());
    }
    RelPath::new(&bytes).map_err(|error| Fault::damaged(error.to_string()))
}

fn number_of(
    rows: &impl Rows,
    parent: DirectoryId,
    name: &[u8],
) -> Result<Option<DirectoryId>, Fault> {
    let place = Place {
        directory: parent,
        name,
    };
    rows.get(Name::Directories, &place.key(), |value| {
        let bytes = value.try_into();
        let bytes = bytes.map_err(|_| Fault::damaged("a directory's number is not four bytes"))?;
        Ok(DirectoryId::from_be_bytes(bytes))
    })
}

fn give_number(
    tables: &mut OpenTables<'_>,
    next: &mut DirectoryId,
    parent: DirectoryId,
    name: &[u8],
) -> Result<DirectoryId, Fault> {
    let id = *next;
    *next = id
        .checked_add(1)
        .ok_or_else(|| Fault::damaged("all directory numbers are used up"))?;
    let place = Place {
        directory: parent,
        name,
    };
    tables.put(Name::Directories, &place.key(), &id.to_be_bytes())?;
    tables.put(Name::DirectoryNames, &id.to_be_bytes(), &place.key())?;
    Ok(id)
}
