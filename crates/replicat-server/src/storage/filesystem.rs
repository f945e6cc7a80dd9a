//! A directory that is tracked and kept in sync.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use replicat_core::path::RelPath;
use replicat_engine::SyncError;
use replicat_engine::event::ItemKind;
use replicat_engine::live::{
    ChangeAction, FolderEvent, FolderMode, FolderStatus, Listener, LiveFolder, LiveSettings,
    PathChange,
};
use replicat_fs::error::FsError;
use replicat_fs::root::Root;

use super::entry::Entry;
use super::handler::ChangeHandler;
use super::tracker::{StorageError, StorageTracker};
use super::tree::DirTreeMap;

/// How a directory is tracked.
#[derive(Clone, Debug)]
pub struct TrackerOptions {
    /// All that the live folder is told.
    pub settings: LiveSettings,
}

impl TrackerOptions {
    /// Tracks a directory by itself, for a program: it is a folder of its own, of no cluster.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        let directory = directory.into();
        let whole = std::path::absolute(&directory).unwrap_or_else(|_| directory.clone());
        let mut id = [0; 16];
        let hash = blake3::hash(whole.as_os_str().as_encoded_bytes());
        id.copy_from_slice(&hash.as_bytes()[..16]);
        let folder = replicat_core::id::FolderId(u128::from_le_bytes(id));
        Self {
            settings: LiveSettings::new(directory, folder, "here".to_owned()),
        }
    }
}

/// Tracks a directory: tells of what changes in it, and does in it what it is told, see [`StorageTracker`].
///
/// What it does itself is told of as well: to a [`ChangeHandler`] it makes no difference who changed a file.
///
/// ```
/// use std::sync::Arc;
/// use replicat_server::{FilesystemTracker, LogOnlyChangeHandler, RelPath, StorageTracker, TrackerOptions};
///
/// let place = tempfile::tempdir()?;
/// let tracker = FilesystemTracker::start(TrackerOptions::new(place.path()))?;
/// tracker.add_handler(Arc::new(LogOnlyChangeHandler));
/// tracker.write_file(&RelPath::new(b"letters/one")?, b"Dear reader")?;
/// assert_eq!(tracker.list_folders()?, [RelPath::new(b"letters")?]);
/// tracker.stop();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct FilesystemTracker {
    directory: PathBuf,
    root: Root,
    folder: LiveFolder,
    handlers: Arc<Handlers>,
}

/// Those who are told of changes.
#[derive(Default)]
pub(crate) struct Handlers {
    changes: RwLock<Vec<Arc<dyn ChangeHandler>>>,
    /// Whoever wants to know all that a folder tells.
    all: Option<Arc<dyn Listener>>,
}

impl FilesystemTracker {
    /// Opens and locks a directory, and begins to track it. Returns when the directory was compared with what is known
    /// of it: what it holds then is no news, and what changes from then on is told.
    ///
    /// # Errors
    /// If the directory or its state cannot be used.
    pub fn start(options: TrackerOptions) -> Result<Self, SyncError> {
        let tracker = Self::open(options.settings, Vec::new(), None)?;
        // What it answers is not needed, but that it does.
        let _ = tracker.folder.standing();
        Ok(tracker)
    }

    /// As [`Self::start`], with those who are to know of the very first change.
    pub(crate) fn open(
        settings: LiveSettings,
        handlers: Vec<Arc<dyn ChangeHandler>>,
        all: Option<Arc<dyn Listener>>,
    ) -> Result<Self, SyncError> {
        let directory = settings.root.clone();
        let handlers = Arc::new(Handlers {
            changes: RwLock::new(handlers),
            all,
        });
        let listener: Arc<dyn Listener> = Arc::clone(&handlers) as Arc<dyn Listener>;
        let folder = LiveFolder::start(settings, listener)?;
        let root = Root::open(&directory).map_err(|error| SyncError::Io {
            action: error.action,
            path: error.path,
            source: error.source,
        });
        let root = root.inspect_err(|_| folder.stop())?;
        Ok(Self {
            directory,
            root,
            folder,
            handlers,
        })
    }

    /// Who is told of what happens from now on.
    pub fn add_handler(&self, handler: Arc<dyn ChangeHandler>) {
        let handlers = &self.handlers.changes;
        let mut handlers = handlers.write().unwrap_or_else(PoisonError::into_inner);
        handlers.push(handler);
    }

    /// The directory, as it was given.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The live folder that does the work.
    #[must_use]
    pub fn folder(&self) -> &LiveFolder {
        &self.folder
    }

    /// Which way its changes go.
    #[must_use]
    pub fn mode(&self) -> FolderMode {
        self.folder.status().mode
    }

    /// How it stands.
    #[must_use]
    pub fn status(&self) -> FolderStatus {
        self.folder.status()
    }

    /// The tree as the directory holds it now; empty if it cannot be read.
    #[must_use]
    pub fn snapshot(&self) -> DirTreeMap {
        self.tree().unwrap_or_else(|_| DirTreeMap::new())
    }

    /// Compares paths, and what is below them, with what is known; everything if none are given.
    pub fn rescan(&self, paths: Vec<RelPath>) {
        self.folder.rescan(paths);
    }

    /// Ends it: what was begun is finished, the index is written, the directory unlocked.
    pub fn stop(&self) {
        self.folder.stop();
    }

    fn walk(&self) -> Result<(Vec<RelPath>, DirTreeMap), StorageError> {
        let mut folders = Vec::new();
        let mut tree = DirTreeMap::new();
        let mut open = vec![RelPath::root()];
        while let Some(folder) = open.pop() {
            let listed = match self.root.list(&folder) {
                // It went meanwhile.
                Err(error) if error.is_missing() && !folder.is_root() => continue,
                other => other.map_err(|error| failed("list", &folder, error))?,
            };
            tree.insert_folder(&folder);
            for named in listed {
                match named.is_directory {
                    true => open.push(named.path),
                    false => tree.insert_file(&named.path),
                }
            }
            folders.push(folder);
        }
        folders.retain(|folder| !folder.is_root());
        folders.sort();
        Ok((folders, tree))
    }
}

impl Drop for FilesystemTracker {
    fn drop(&mut self) {
        self.folder.stop();
    }
}

fn failed(action: &'static str, path: &RelPath, error: FsError) -> StorageError {
    StorageError::new(action, path, error)
}

impl StorageTracker for FilesystemTracker {
    fn create_path(&self, path: &RelPath, entry: &Entry) -> Result<(), StorageError> {
        let created = if entry.is_directory() {
            self.root.create_directories(path)
        } else if matches!(self.root.stat(path), Ok(None)) {
            self.root.write_file(path, b"")
        } else {
            Ok(())
        };
        created.map_err(|error| failed("create", path, error))
    }

    fn rename(&self, from: &RelPath, to: &RelPath) -> Result<(), StorageError> {
        let renamed = self.root.rename(from, to);
        renamed.map_err(|error| failed("rename", from, error))
    }

    fn delete_folder(&self, path: &RelPath) -> Result<(), StorageError> {
        let removed = self.root.remove_tree(path);
        removed.map_err(|error| failed("delete", path, error))
    }

    fn list_folders(&self) -> Result<Vec<RelPath>, StorageError> {
        self.walk().map(|(folders, _)| folders)
    }

    fn list_files(&self, folder: &RelPath) -> Result<Vec<RelPath>, StorageError> {
        let listed = self.root.list(folder);
        let listed = listed.map_err(|error| failed("list", folder, error))?;
        let files = listed.into_iter().filter(|named| !named.is_directory);
        Ok(files.map(|named| named.path).collect())
    }

    fn read_file(&self, path: &RelPath) -> Result<Option<Bytes>, StorageError> {
        let read = self.root.read_file(path);
        let read = read.map_err(|error| failed("read", path, error))?;
        Ok(read.map(Bytes::from))
    }

    fn write_file(&self, path: &RelPath, content: &[u8]) -> Result<(), StorageError> {
        let written = self.root.write_file(path, content);
        written.map_err(|error| failed("write", path, error))
    }

    fn delete_file(&self, path: &RelPath) -> Result<(), StorageError> {
        let removed = self.root.remove_file(path);
        removed.map_err(|error| failed("delete", path, error))
    }

    fn tree(&self) -> Result<DirTreeMap, StorageError> {
        self.walk().map(|(_, tree)| tree)
    }
}

impl Listener for Handlers {
    fn event(&self, event: FolderEvent) {
        if let FolderEvent::Changed(change) = &event {
            let handlers = self.changes.read().unwrap_or_else(PoisonError::into_inner);
            let handlers: Vec<_> = handlers.iter().map(Arc::clone).collect();
            handlers
                .iter()
                .for_each(|handler| tell(handler.as_ref(), change));
        }
        if let Some(all) = &self.all {
            all.event(event);
        }
    }
}

/// Tells a handler of a change.
fn tell(handler: &dyn ChangeHandler, change: &PathChange) {
    let path = &change.path;
    let is_directory = change.kind == ItemKind::Directory;
    match (&change.action, is_directory) {
        (ChangeAction::Created, true) => handler.folder_created(path),
        (ChangeAction::Created, false) => handler.file_created(path),
        (ChangeAction::Updated, true) => handler.folder_updated(path),
        (ChangeAction::Updated, false) => handler.file_updated(path),
        (ChangeAction::Deleted | ChangeAction::MovedOut, true) => handler.folder_deleted(path),
        (ChangeAction::Deleted | ChangeAction::MovedOut, false) => handler.file_deleted(path),
        (ChangeAction::Renamed { from }, _) => handler.renamed(from, path, change.kind),
    }
}
