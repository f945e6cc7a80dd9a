//! A user who is at work in the very moment between two steps of a sync.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use replicat_engine::event::{ItemChange, ItemKind};
use replicat_engine::{Reporter, SyncEvent, SyncOptions, SyncReport, sync};
use tempfile::{TempDir, tempdir};

/// Does something once, when a file has come to its path in the second root.
struct Meddler<'work> {
    path: &'static str,
    act: Mutex<Option<Box<dyn FnOnce() + Send + 'work>>>,
}

impl Reporter for Meddler<'_> {
    fn event(&self, event: &SyncEvent) {
        let SyncEvent::Item(item) = event else { return };
        let is_it = item.path.as_bytes() == self.path.as_bytes()
            && item.kind == ItemKind::File
            && matches!(item.change, ItemChange::Create | ItemChange::Move { .. });
        if is_it && let Some(act) = self.act.lock().unwrap().take() {
            act();
        }
    }
}

/// Two roots that are in sync, and hold a directory each.
struct Roots {
    _place: TempDir,
    one: PathBuf,
    other: PathBuf,
}

impl Roots {
    fn new() -> Self {
        let place = tempdir().unwrap();
        let [one, other] = ["one", "other"].map(|name| place.path().join(name));
        for root in [&one, &other] {
            fs::create_dir(root).unwrap();
        }
        fs::create_dir(one.join("d")).unwrap();
        let roots = Self {
            _place: place,
            one,
            other,
        };
        roots.sync(&replicat_engine::Silent);
        roots
    }

    fn sync(&self, reporter: &dyn Reporter) -> SyncReport {
        let roots = [self.one.clone(), self.other.clone()];
        sync(&roots, &SyncOptions::default(), reporter).unwrap()
    }

    /// Syncs while somebody does something when a file has come to `path`.
    fn sync_while(&self, path: &'static str, act: impl FnOnce() + Send) {
        let meddler = Meddler {
            path,
            act: Mutex::new(Some(Box::new(act))),
        };
        self.sync(&meddler);
        assert!(meddler.act.lock().unwrap().is_none(), "{path} never came");
    }
}

fn read(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok()
}

#[test]
fn a_file_in_place_of_a_directory_that_was_worked_in_is_the_users() {
    let roots = Roots::new();
    fs::write(roots.one.join("d/file"), "new").unwrap();
    let at = roots.other.join("d");
    let mut time = None;
    roots.sync_while("d/file", || {
        fs::rename(&at, roots.other.join("e")).unwrap();
        fs::write(&at, "mine").unwrap();
        time = Some(fs::metadata(&at).unwrap().modified().unwrap());
    });
    assert_eq!(
        fs::metadata(&at).unwrap().modified().unwrap(),
        time.unwrap()
    );
    roots.sync(&replicat_engine::Silent);
    assert_eq!(read(&roots.one.join("d")).as_deref(), Some("mine"));
    assert_eq!(read(&roots.one.join("e/file")).as_deref(), Some("new"));
    assert!(roots.sync(&replicat_engine::Silent).in_sync);
}
