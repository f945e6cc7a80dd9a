//! Telling a storage what happened elsewhere, so that it mirrors it.

use bytes::Bytes;
use replicat_core::path::RelPath;

use super::entry::Entry;
use super::tree::DirTreeMap;

/// Why a storage did not do as it was told.
#[derive(Debug, thiserror::Error)]
#[error("could not {action} {path:?}: {source}")]
pub struct StorageError {
    /// What was being done, as a verb.
    pub action: &'static str,
    /// To which path.
    pub path: RelPath,
    /// Why not.
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

impl StorageError {
    /// The failure of `action` at `path`.
    pub fn new(
        action: &'static str,
        path: &RelPath,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self {
            action,
            path: path.clone(),
            source: source.into(),
        }
    }
}

/// A storage that can be told what happened elsewhere, and does the same.
///
/// To do again what is done already is no failure, and changes nothing: whoever mirrors two storages relies on it.
///
/// ```
/// use replicat_server::{Entry, FilesystemTracker, RelPath, StorageTracker, TrackerOptions};
///
/// /// Works with any storage.
/// fn start_letters(storage: &dyn StorageTracker) -> Result<(), Box<dyn std::error::Error>> {
///     storage.create_path(&RelPath::new(b"letters")?, &Entry::directory())?;
///     storage.write_file(&RelPath::new(b"letters/one")?, b"Dear reader")?;
///     Ok(())
/// }
///
/// let place = tempfile::tempdir()?;
/// let directory = FilesystemTracker::start(TrackerOptions::new(place.path()))?;
/// start_letters(&directory)?;
/// directory.rename(&RelPath::new(b"letters")?, &RelPath::new(b"archive")?)?;
/// assert_eq!(directory.tree()?.file_paths().next(), Some(RelPath::new(b"archive/one")?));
/// directory.delete_folder(&RelPath::new(b"archive")?)?;
/// assert!(directory.list_folders()?.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait StorageTracker: Send + Sync {
    /// Creates a folder, or an empty file where nothing is, with the folders above it.
    ///
    /// # Errors
    /// If it cannot be done.
    fn create_path(&self, path: &RelPath, entry: &Entry) -> Result<(), StorageError>;

    /// Renames a file, or a folder with all that it holds.
    ///
    /// # Errors
    /// If nothing is there, or something is at the new path.
    fn rename(&self, from: &RelPath, to: &RelPath) -> Result<(), StorageError>;

    /// Deletes a folder with all that it holds.
    ///
    /// # Errors
    /// If it cannot be done.
    fn delete_folder(&self, path: &RelPath) -> Result<(), StorageError>;

    /// All folders, sorted; the root, which is always there, is left out.
    ///
    /// # Errors
    /// If they cannot be listed.
    fn list_folders(&self) -> Result<Vec<RelPath>, StorageError>;

    /// All files in a folder, not those below, sorted.
    ///
    /// # Errors
    /// If they cannot be listed.
    fn list_files(&self, folder: &RelPath) -> Result<Vec<RelPath>, StorageError>;

    /// What a file holds; `None` if there is no file.
    ///
    /// # Errors
    /// If it cannot be read.
    fn read_file(&self, path: &RelPath) -> Result<Option<Bytes>, StorageError>;

    /// Makes a file hold this, with the folders above it. Readers see the old content or the new.
    ///
    /// # Errors
    /// If it cannot be written.
    fn write_file(&self, path: &RelPath, content: &[u8]) -> Result<(), StorageError>;

    /// Deletes a file.
    ///
    /// # Errors
    /// If it cannot be done.
    fn delete_file(&self, path: &RelPath) -> Result<(), StorageError>;

    /// The whole tree.
    ///
    /// # Errors
    /// If it cannot be listed.
    fn tree(&self) -> Result<DirTreeMap, StorageError> {
        let mut tree = DirTreeMap::new();
        for folder in std::iter::once(RelPath::root()).chain(self.list_folders()?) {
            tree.insert_folder(&folder);
            for file in self.list_files(&folder)? {
                tree.insert_file(&file);
            }
        }
        Ok(tree)
    }
}
