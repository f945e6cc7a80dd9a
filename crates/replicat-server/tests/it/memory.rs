//! A storage in memory, as a program of others might have one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use replicat_server::{ChangeHandler, Entry, RelPath, StorageError, StorageTracker};

/// What a [`MemoryTracker`] holds.
#[derive(Default)]
struct Tree {
    folders: BTreeSet<RelPath>,
    files: BTreeMap<RelPath, Bytes>,
}

/// A tree in memory that tells of its changes.
#[derive(Default)]
pub(crate) struct MemoryTracker {
    tree: Mutex<Tree>,
    handler: Mutex<Option<Arc<dyn ChangeHandler>>>,
}

impl MemoryTracker {
    pub(crate) fn set_handler(&self, handler: Arc<dyn ChangeHandler>) {
        *self.handler.lock().unwrap() = Some(handler);
    }

    fn lock(&self) -> MutexGuard<'_, Tree> {
        self.tree.lock().unwrap()
    }

    /// Tells of a change, with the tree unlocked.
    fn tell(&self, tell: impl FnOnce(&dyn ChangeHandler)) {
        let handler = self.handler.lock().unwrap().clone();
        if let Some(handler) = handler {
            tell(handler.as_ref());
        }
    }

    fn add_folders(&self, folder: &RelPath) {
        let mut new = Vec::new();
        let mut tree = self.lock();
        for folder in std::iter::once(folder.clone()).chain(folder.ancestors()) {
            if !folder.is_root() && tree.folders.insert(folder.clone()) {
                new.push(folder);
            }
        }
        drop(tree);
        for folder in new.iter().rev() {
            self.tell(|handler| handler.folder_created(folder));
        }
    }
}

impl StorageTracker for MemoryTracker {
    fn create_path(&self, path: &RelPath, entry: &Entry) -> Result<(), StorageError> {
        if entry.is_directory() {
            self.add_folders(path);
            return Ok(());
        }
        if self.read_file(path)?.is_none() {
            self.write_file(path, b"")?;
        }
        Ok(())
    }

    fn rename(&self, from: &RelPath, to: &RelPath) -> Result<(), StorageError> {
        let mut tree = self.lock();
        let is_folder = tree.folders.contains(from);
        if !is_folder && !tree.files.contains_key(from) {
            return Err(StorageError::new("rename", from, "nothing is there"));
        }
        if tree.folders.contains(to) || tree.files.contains_key(to) {
            return Err(StorageError::new("rename", to, "something is there"));
        }
        let moved = |path: &RelPath| match path == from {
            true => to.clone(),
            false => path.rebase(from, to).unwrap_or_else(|| path.clone()),
        };
        tree.folders = tree.folders.iter().map(moved).collect();
        let files = std::mem::take(&mut tree.files);
        tree.files = files
            .into_iter()
            .map(|(path, content)| (moved(&path), content))
            .collect();
        Ok(())
    }

    fn delete_folder(&self, path: &RelPath) -> Result<(), StorageError> {
        let below =
            |other: &RelPath| other == path || other.ancestors().any(|above| above == *path);
        let mut tree = self.lock();
        let was_there = tree.folders.contains(path);
        tree.folders.retain(|folder| !below(folder));
        tree.files.retain(|file, _| !below(file));
        drop(tree);
        if was_there {
            self.tell(|handler| handler.folder_deleted(path));
        }
        Ok(())
    }

    fn list_folders(&self) -> Result<Vec<RelPath>, StorageError> {
        Ok(self.lock().folders.iter().cloned().collect())
    }

    fn list_files(&self, folder: &RelPath) -> Result<Vec<RelPath>, StorageError> {
        let tree = self.lock();
        let files = tree
            .files
            .keys()
            .filter(|file| file.parent().as_ref() == Some(folder));
        Ok(files.cloned().collect())
    }

    fn read_file(&self, path: &RelPath) -> Result<Option<Bytes>, StorageError> {
        Ok(self.lock().files.get(path).cloned())
    }

    fn write_file(&self, path: &RelPath, content: &[u8]) -> Result<(), StorageError> {
        if let Some(folder) = path.parent() {
            self.add_folders(&folder);
        }
        let content = Bytes::copy_from_slice(content);
        let old = self.lock().files.insert(path.clone(), content.clone());
        match old {
            Some(old) if old == content => {}
            Some(_) => self.tell(|handler| handler.file_updated(path)),
            None => self.tell(|handler| handler.file_created(path)),
        }
        Ok(())
    }

    fn delete_file(&self, path: &RelPath) -> Result<(), StorageError> {
        let old = self.lock().files.remove(path);
        if old.is_some() {
            self.tell(|handler| handler.file_deleted(path));
        }
        Ok(())
    }
}
