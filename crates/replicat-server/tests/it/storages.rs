//! Storages that are kept equal by being told of each other's changes.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use replicat_server::{
    ChangeHandler, Entry, FilesystemTracker, LogOnlyChangeHandler, Mirror, RelPath, StorageTracker,
    TrackerOptions, wait_for,
};
use tempfile::TempDir;

use crate::memory::MemoryTracker;

fn path(text: &str) -> RelPath {
    RelPath::new(text.as_bytes()).unwrap()
}

fn content(tracker: &dyn StorageTracker, file: &RelPath) -> Option<Vec<u8>> {
    tracker.read_file(file).unwrap().map(|bytes| bytes.to_vec())
}

/// A directory and a storage in memory that mirror each other.
struct Pair {
    place: TempDir,
    directory: Arc<FilesystemTracker>,
    memory: Arc<MemoryTracker>,
}

impl Pair {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("letters")).unwrap();
        fs::write(place.path().join("letters/one"), "1").unwrap();
        let directory = FilesystemTracker::start(TrackerOptions::new(place.path())).unwrap();
        let directory = Arc::new(directory);
        let memory = Arc::new(MemoryTracker::default());
        let to_memory = Arc::new(Mirror::new(Arc::clone(&directory), Arc::clone(&memory)));
        let to_directory = Mirror::new(Arc::clone(&memory), Arc::clone(&directory));
        directory.add_handler(Arc::clone(&to_memory) as Arc<dyn ChangeHandler>);
        memory.set_handler(Arc::new(to_directory));
        to_memory.catch_up().unwrap();
        Self {
            place,
            directory,
            memory,
        }
    }

    fn on_disk(&self, file: &str) -> PathBuf {
        self.place.path().join(file)
    }

    /// Waits until the memory holds this; `None`: until it holds no such file.
    fn remembers(&self, file: &str, wanted: Option<&str>) {
        let wanted = wanted.map(|text| text.as_bytes().to_vec());
        let held = |tracker: &MemoryTracker, file: &RelPath| content(tracker, file);
        wait_for(self.memory.as_ref(), &path(file), wanted, held).unwrap();
    }

    /// Waits until both hold the same: the echoes of changes change nothing more.
    fn agree(&self) {
        wait_for(&(), &RelPath::root(), true, |(), _| {
            self.memory.tree().unwrap() == self.directory.tree().unwrap()
        })
        .unwrap();
    }
}

#[test]
fn what_changes_in_a_directory_reaches_a_storage_in_memory() {
    let pair = Pair::new();
    pair.remembers("letters/one", Some("1"));
    fs::write(pair.on_disk("letters/two"), "2").unwrap();
    pair.remembers("letters/two", Some("2"));
    fs::write(pair.on_disk("letters/two"), "two, and longer").unwrap();
    pair.remembers("letters/two", Some("two, and longer"));
    fs::rename(pair.on_disk("letters"), pair.on_disk("archive")).unwrap();
    pair.remembers("archive/two", Some("two, and longer"));
    pair.remembers("letters/two", None);
    fs::remove_file(pair.on_disk("archive/one")).unwrap();
    pair.remembers("archive/one", None);
    pair.agree();
}

#[test]
fn what_changes_in_memory_reaches_a_directory() {
    let pair = Pair::new();
    let memory = &pair.memory;
    memory.write_file(&path("new/three"), b"3").unwrap();
    assert_eq!(fs::read(pair.on_disk("new/three")).unwrap(), b"3");
    memory
        .create_path(&path("empty"), &Entry::directory())
        .unwrap();
    assert!(pair.on_disk("empty").is_dir());
    memory.delete_file(&path("letters/one")).unwrap();
    assert!(!pair.on_disk("letters/one").exists());
    memory.delete_folder(&path("new")).unwrap();
    assert!(!pair.on_disk("new").exists());
    pair.agree();
}

/// Notes what it is told.
#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Notes {
    fn add(&self, what: &str, path: &RelPath) {
        let path = String::from_utf8(path.as_bytes().to_vec()).unwrap();
        self.0.lock().unwrap().push(format!("{what} {path}"));
    }

    fn has(&self, note: &str) -> bool {
        self.0.lock().unwrap().iter().any(|held| held == note)
    }
}

impl ChangeHandler for Notes {
    fn folder_created(&self, path: &RelPath) {
        self.add("folder_created", path);
    }

    fn folder_updated(&self, path: &RelPath) {
        self.add("folder_updated", path);
    }

    fn folder_deleted(&self, path: &RelPath) {
        self.add("folder_deleted", path);
    }

    fn file_created(&self, path: &RelPath) {
        self.add("file_created", path);
    }

    fn file_updated(&self, path: &RelPath) {
        self.add("file_updated", path);
    }

    fn file_deleted(&self, path: &RelPath) {
        self.add("file_deleted", path);
    }
}

#[test]
fn a_handler_is_told_of_every_kind_of_change() {
    let place = tempfile::tempdir().unwrap();
    let tracker = FilesystemTracker::start(TrackerOptions::new(place.path())).unwrap();
    let notes = Arc::new(Notes::default());
    tracker.add_handler(Arc::clone(&notes) as Arc<dyn ChangeHandler>);
    tracker.add_handler(Arc::new(LogOnlyChangeHandler));
    let told = |note: &str| {
        wait_for(&(), &RelPath::root(), true, |(), _| notes.has(note))
            .unwrap_or_else(|_| panic!("no {note} in {:?}", notes.0.lock().unwrap()));
    };
    tracker
        .create_path(&path("folder"), &Entry::directory())
        .unwrap();
    told("folder_created folder");
    tracker.write_file(&path("folder/file"), b"1").unwrap();
    told("file_created folder/file");
    tracker.write_file(&path("folder/file"), b"22").unwrap();
    told("file_updated folder/file");
    tracker.delete_file(&path("folder/file")).unwrap();
    told("file_deleted folder/file");
    tracker.delete_folder(&path("folder")).unwrap();
    told("folder_deleted folder");
    tracker.stop();
}
