//! A replica to change: a root with its state, staging, trash and applier.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use replicat_core::entry::{Metadata, Timestamp};
use replicat_core::id::ContentHash;
use replicat_core::path::RelPath;
use replicat_core::record::Fingerprint;
use replicat_fs::apply::calls::Calls;
use replicat_fs::apply::error::ApplyError;
use replicat_fs::apply::{Action, Applied, Applier, Change, Displaced, Durability};
use replicat_fs::observe::fingerprint;
use replicat_fs::recover::{PARTIAL_AGE_MAX, Recovery, recover};
use replicat_fs::root::Root;
use replicat_fs::stage::{Staged, Staging};
use replicat_fs::state::StateDirectory;
use replicat_fs::trash::{Trash, TrashPolicy};

pub(crate) const TO_TRASH: Displaced = Displaced::ToTrash { content: None };

/// The directories in which tests make their roots: on the usual filesystem, and in memory.
pub(crate) fn places() -> Vec<PathBuf> {
    let memory = PathBuf::from("/dev/shm");
    let mut places = vec![std::env::temp_dir()];
    places.extend(memory.is_dir().then_some(memory));
    places
}

pub(crate) fn path(text: &str) -> RelPath {
    RelPath::new(text.as_bytes()).unwrap()
}

/// The metadata of a usual file.
pub(crate) fn plain() -> Metadata {
    Metadata {
        mode: Some(0o644),
        mtime: Some(Timestamp {
            seconds: 1_600_000_000,
            nanoseconds: 5,
        }),
        ..Metadata::default()
    }
}

/// The metadata of a usual directory.
pub(crate) fn folder() -> Metadata {
    Metadata {
        mode: Some(0o755),
        ..plain()
    }
}

/// A directory of its own for one test.
pub(crate) struct Ground {
    pub(crate) directory: tempfile::TempDir,
}

impl Ground {
    pub(crate) fn new(place: &Path) -> Self {
        Self {
            directory: tempfile::tempdir_in(place).unwrap(),
        }
    }

    pub(crate) fn usual() -> Self {
        Self::new(&std::env::temp_dir())
    }

    pub(crate) fn full(&self, text: &str) -> PathBuf {
        self.directory.path().join(text)
    }

    pub(crate) fn write(&self, text: &str, content: &str) {
        let full = self.full(text);
        fs::create_dir_all(full.parent().unwrap()).unwrap();
        fs::write(full, content).unwrap();
    }

    pub(crate) fn read(&self, text: &str) -> Option<String> {
        let full = self.full(text);
        let found = fs::symlink_metadata(&full).ok()?;
        Some(if found.is_dir() {
            "<directory>".to_owned()
        } else if found.is_symlink() {
            format!("-> {}", fs::read_link(full).unwrap().display())
        } else {
            fs::read_to_string(full).unwrap()
        })
    }

    pub(crate) fn inode(&self, text: &str) -> u64 {
        fs::symlink_metadata(self.full(text)).unwrap().ino()
    }

    /// All paths of the tree but the state, with what they hold.
    pub(crate) fn tree(&self) -> BTreeMap<String, String> {
        let mut tree = BTreeMap::new();
        self.collect("", &mut tree);
        tree
    }

    fn collect(&self, below: &str, tree: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(self.full(below)).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if name == ".replicat" {
                continue;
            }
            let text = if below.is_empty() {
                name
            } else {
                format!("{below}/{name}")
            };
            tree.insert(text.clone(), self.read(&text).unwrap());
            if entry.file_type().unwrap().is_dir() {
                self.collect(&text, tree);
            }
        }
    }

    /// What lies in staging, at any depth, but for logs.
    pub(crate) fn staged_names(&self) -> Vec<String> {
        files_below(&self.full(".replicat/staging"))
    }

    /// The contents of all files in the trash, but for logs.
    pub(crate) fn trashed_contents(&self) -> Vec<String> {
        let trash = self.full(".replicat/trash");
        let names = files_below(&trash).into_iter();
        names
            .map(|name| fs::read_to_string(trash.join(name)).unwrap_or_default())
            .collect()
    }
}

fn files_below(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type().unwrap().is_dir() {
            let below = files_below(&entry.path()).into_iter();
            found.extend(below.map(|inner| format!("{name}/{inner}")));
        } else if name != "log" {
            found.push(name);
        }
    }
    found.sort();
    found
}

/// All that works on a root.
pub(crate) struct Stand {
    pub(crate) root: Arc<Root>,
    pub(crate) state: StateDirectory,
    pub(crate) staging: Staging,
    pub(crate) trash: Arc<Trash>,
    pub(crate) applier: Applier,
}

impl Stand {
    pub(crate) fn new(ground: &Ground) -> Self {
        Self::with_calls(ground, Calls::default()).unwrap()
    }

    /// Fails if `calls` fail while the stand is set up.
    pub(crate) fn with_calls(
        ground: &Ground,
        calls: Calls,
    ) -> Result<Self, replicat_fs::error::FsError> {
        let root = Arc::new(Root::open(ground.directory.path()).unwrap());
        let state = StateDirectory::open(&root, None).unwrap();
        let staging = Staging::open(Arc::clone(&root), &state, calls)?;
        let trash = Arc::new(Trash::open(&staging, &state, TrashPolicy::default())?);
        let used = Some(Arc::clone(&trash));
        let applier = Applier::new(staging.fork()?, used, Durability::Group);
        Ok(Self {
            root,
            state,
            staging,
            trash,
            applier,
        })
    }

    pub(crate) fn recover(ground: &Ground) -> Recovery {
        let root = Root::open(ground.directory.path()).unwrap();
        let state = StateDirectory::open(&root, None).unwrap();
        recover(&root, &state, &Calls::default(), PARTIAL_AGE_MAX).unwrap()
    }

    /// Recovery once more, beside what works on the root.
    pub(crate) fn recover_again(stand: &Self) -> Recovery {
        let calls = Calls::default();
        recover(&stand.root, &stand.state, &calls, PARTIAL_AGE_MAX).unwrap()
    }

    pub(crate) fn print(&self, text: &str) -> Fingerprint {
        fingerprint(&self.root.stat(&path(text)).unwrap().unwrap())
    }

    pub(crate) fn small(&self, content: &str) -> Staged {
        self.staging.small(content.as_bytes(), &plain()).unwrap()
    }

    /// A change of what is at the path now.
    pub(crate) fn change(&self, text: &str, action: Action) -> Change {
        let found = self.root.stat(&path(text)).unwrap();
        Change {
            path: path(text),
            expected: found.as_ref().map(fingerprint),
            action,
            displaced: TO_TRASH,
        }
    }

    pub(crate) fn put(&self, text: &str, content: &str) -> Change {
        self.change(text, Action::Put(Box::new(self.small(content))))
    }

    pub(crate) fn commit_one(&self, change: Change) -> Result<Applied, ApplyError> {
        self.applier.commit(vec![change]).remove(0)
    }
}

pub(crate) fn content(byte: u8) -> ContentHash {
    ContentHash([byte; 32])
}
