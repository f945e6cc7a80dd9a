//! A snapshot of a tree, and what changed between two.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use replicat_core::path::RelPath;

/// The directories of a tree, each with the sorted names of its files.
///
/// ```
/// use replicat_server::{DirTreeMap, RelPath};
///
/// let path = |text: &str| RelPath::new(text.as_bytes());
/// let mut before = DirTreeMap::new();
/// before.insert_file(&path("letters/one")?);
/// let mut now = before.clone();
/// now.insert_file(&path("letters/two")?);
/// now.insert_folder(&path("photos")?);
///
/// let diff = before.diff(&now);
/// assert_eq!(diff.created_files, [path("letters/two")?]);
/// assert_eq!(diff.created_folders, [path("photos")?]);
/// assert!(before.diff(&before).is_empty());
/// # Ok::<(), replicat_core::path::PathError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DirTreeMap(BTreeMap<RelPath, BTreeSet<OsString>>);

/// What is in one tree and not in another; all sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TreeDiff {
    /// Folders that came into being.
    pub created_folders: Vec<RelPath>,
    /// Folders that went.
    pub deleted_folders: Vec<RelPath>,
    /// Files that came into being.
    pub created_files: Vec<RelPath>,
    /// Files that went.
    pub deleted_files: Vec<RelPath>,
}

impl TreeDiff {
    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl DirTreeMap {
    /// A tree of nothing but its root.
    #[must_use]
    pub fn new() -> Self {
        Self(BTreeMap::from([(RelPath::root(), BTreeSet::new())]))
    }

    /// Adds a folder, and those above it.
    pub fn insert_folder(&mut self, folder: &RelPath) {
        for above in folder.ancestors() {
            self.0.entry(above).or_default();
        }
        self.0.entry(folder.clone()).or_default();
    }

    /// Adds a file, and the folders above it. The root is no file.
    pub fn insert_file(&mut self, file: &RelPath) {
        let Some(folder) = file.parent() else {
            return;
        };
        self.insert_folder(&folder);
        let name = OsStr::from_bytes(file.name()).to_owned();
        self.0.entry(folder).or_default().insert(name);
    }

    /// The folders, sorted, the root first.
    pub fn folders(&self) -> impl Iterator<Item = &RelPath> {
        self.0.keys()
    }

    /// The names of the files in a folder, sorted; `None` if there is no such folder.
    #[must_use]
    pub fn files(&self, folder: &RelPath) -> Option<impl Iterator<Item = &OsStr>> {
        let names = self.0.get(folder)?;
        Some(names.iter().map(OsString::as_os_str))
    }

    /// The paths of all files, by folder.
    pub fn file_paths(&self) -> impl Iterator<Item = RelPath> {
        self.0.iter().flat_map(|(folder, names)| {
            let paths = names.iter().map(|name| folder.join(name.as_bytes()));
            paths.filter_map(Result::ok)
        })
    }

    /// What `later` has that this tree has not, and the other way round.
    #[must_use]
    pub fn diff(&self, later: &Self) -> TreeDiff {
        TreeDiff {
            created_folders: later.folders_beyond(self),
            deleted_folders: self.folders_beyond(later),
            created_files: later.files_beyond(self),
            deleted_files: self.files_beyond(later),
        }
    }

    fn folders_beyond(&self, other: &Self) -> Vec<RelPath> {
        let beyond = self.0.keys().filter(|folder| !other.0.contains_key(folder));
        beyond.cloned().collect()
    }

    fn files_beyond(&self, other: &Self) -> Vec<RelPath> {
        let is_beyond = |path: &RelPath| {
            let folder = path.parent().and_then(|folder| other.0.get(&folder));
            folder.is_none_or(|names| !names.contains(OsStr::from_bytes(path.name())))
        };
        self.file_paths().filter(is_beyond).collect()
    }
}
