//! Storages that are kept equal by being told of each other's changes.

use std::fs;
use std::sync::{Arc, Mutex};

use replicat_server::{
    ChangeHandler, Entry, FilesystemTracker, LogOnlyChangeHandler, Mirror, RelPath, StorageTracker,
    TrackerOptions, wait_for,
};

use crate::memory::MemoryTracker;

fn path(text: &str) -> RelPath {
    RelPath::new(text.as_bytes()).unwrap()
}

fn content(tracker: &dyn StorageTracker, file: &RelPath) -> Option<Vec<u8>> {
    tracker.read_file(file).unwrap().map(|bytes| bytes.to_vec())
}

#[test]
fn a_storage_in_memory_is_kept_in_sync_with_a_directory_both_ways() {
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
    assert_eq!(
        content(memory.as_ref(), &path("letters/one")).unwrap(),
        b"1"
    );

    // From the directory to memory: created, edited, renamed, deleted.
    fs::write(place.path().join("letters/two"), "2").unwrap();
    let holds = |text: &'static str| {
        move |tracker: &MemoryTracker, file: &RelPath| {
            content(tracker, file).is_some_and(|held| held == text.as_bytes())
        }
    };
    wait_for(memory.as_ref(), &path("letters/two"), true, holds("2")).unwrap();
    fs::write(place.path().join("letters/two"), "two, and longer").unwrap();
    wait_for(
        memory.as_ref(),
        &path("letters/two"),
        true,
        holds("two, and longer"),
    )
    .unwrap();
    fs::rename(place.path().join("letters"), place.path().join("archive")).unwrap();
    wait_for(
        memory.as_ref(),
        &path("archive/two"),
        true,
        holds("two, and longer"),
    )
    .unwrap();
    wait_for(
        memory.as_ref(),
        &path("letters"),
        false,
        |tracker, folder| tracker.list_folders().unwrap().contains(folder),
    )
    .unwrap();
    fs::remove_file(place.path().join("archive/one")).unwrap();
    wait_for(
        memory.as_ref(),
        &path("archive/one"),
        None,
        |tracker, file| content(tracker, file),
    )
    .unwrap();

    // And the other way.
    memory.write_file(&path("new/three"), b"3").unwrap();
    assert_eq!(fs::read(place.path().join("new/three")).unwrap(), b"3");
    memory
        .create_path(&path("empty"), &Entry::directory())
        .unwrap();
    assert!(place.path().join("empty").is_dir());
    memory.delete_file(&path("archive/two")).unwrap();
    assert!(!place.path().join("archive/two").exists());
    memory.delete_folder(&path("new")).unwrap();
    assert!(!place.path().join("new").exists());

    // The echoes of all that change nothing more.
    wait_for(&(), &RelPath::root(), true, |(), _| {
        memory.tree().unwrap() == directory.tree().unwrap()
    })
    .unwrap();
    directory.stop();
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
