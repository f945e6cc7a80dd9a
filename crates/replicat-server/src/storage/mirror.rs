//! Keeping one storage as another is.

use std::sync::Arc;

use replicat_core::path::RelPath;
use replicat_engine::event::ItemKind;

use super::entry::Entry;
use super::handler::ChangeHandler;
use super::tracker::{StorageError, StorageTracker};

/// A handler that does to one storage what happened in another.
///
/// Two of them, one each way, keep two storages equal: to do again what is done already changes nothing, and ends the
/// echo. What cannot be done is noted as a warning.
pub struct Mirror<F: ?Sized, T: ?Sized> {
    from: Arc<F>,
    to: Arc<T>,
}

impl<F: StorageTracker + ?Sized, T: StorageTracker + ?Sized> Mirror<F, T> {
    /// Does to `to` what happens in `from`.
    #[must_use]
    pub fn new(from: Arc<F>, to: Arc<T>) -> Self {
        Self { from, to }
    }

    /// Brings to `to` all that `from` holds.
    ///
    /// # Errors
    /// If a storage fails.
    pub fn catch_up(&self) -> Result<(), StorageError> {
        let tree = self.from.tree()?;
        for folder in tree.folders().filter(|folder| !folder.is_root()) {
            self.to.create_path(folder, &Entry::directory())?;
        }
        tree.file_paths().try_for_each(|file| self.copy(&file))
    }

    fn copy(&self, path: &RelPath) -> Result<(), StorageError> {
        // What is gone again is told of next.
        let Some(content) = self.from.read_file(path)? else {
            return Ok(());
        };
        if self.to.read_file(path)?.as_ref() == Some(&content) {
            return Ok(());
        }
        self.to.write_file(path, &content)
    }
}

fn note(done: Result<(), StorageError>) {
    if let Err(error) = done {
        tracing::warn!(%error, "a change was not mirrored");
    }
}

impl<F: StorageTracker + ?Sized, T: StorageTracker + ?Sized> ChangeHandler for Mirror<F, T> {
    fn folder_created(&self, path: &RelPath) {
        note(self.to.create_path(path, &Entry::directory()));
    }

    fn folder_updated(&self, _path: &RelPath) {}

    fn folder_deleted(&self, path: &RelPath) {
        note(self.to.delete_folder(path));
    }

    fn file_created(&self, path: &RelPath) {
        note(self.copy(path));
    }

    fn file_updated(&self, path: &RelPath) {
        note(self.copy(path));
    }

    fn file_deleted(&self, path: &RelPath) {
        note(self.to.delete_file(path));
    }

    fn renamed(&self, from: &RelPath, to: &RelPath, kind: ItemKind) {
        if self.to.rename(from, to).is_ok() {
            return;
        }
        // It is not there, or was renamed already: what the path holds now decides.
        if kind == ItemKind::Directory {
            self.folder_deleted(from);
            self.folder_created(to);
        } else {
            self.file_deleted(from);
            self.file_created(to);
        }
    }
}
