//! Live folders in one process, and what carries their words.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use replicat_core::id::{ContentHash, FolderId};
use replicat_core::message::Want;
use replicat_engine::live::{
    Connection, FolderEvent, FolderStatus, Listener, LiveFolder, LiveSettings, Parcel, PeerNumber,
    Reply, SendError, Trust,
};

/// How long a condition may take to hold. Far longer than it takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// How many messages are under way at the most: few, so that senders meet a full queue.
const UNDER_WAY_MAX: usize = 4;

static NEXT_NUMBER: AtomicU64 = AtomicU64::new(1);

/// Keeps what it is told.
#[derive(Default)]
pub(crate) struct Heard(Mutex<Vec<FolderEvent>>);

impl Listener for Heard {
    fn event(&self, event: FolderEvent) {
        self.0.lock().unwrap().push(event);
    }
}

impl Heard {
    pub(crate) fn events(&self) -> Vec<FolderEvent> {
        self.0.lock().unwrap().clone()
    }
}

/// A live folder over a directory of its own.
pub(crate) struct Live {
    pub(crate) name: &'static str,
    pub(crate) root: PathBuf,
    pub(crate) folder: LiveFolder,
    pub(crate) heard: Arc<Heard>,
}

impl Live {
    pub(crate) fn start(name: &'static str, root: &Path) -> Self {
        Self::with(name, root, |settings| settings)
    }

    pub(crate) fn with(
        name: &'static str,
        root: &Path,
        change: impl FnOnce(LiveSettings) -> LiveSettings,
    ) -> Self {
        std::fs::create_dir_all(root).unwrap();
        let heard = Arc::new(Heard::default());
        let settings = LiveSettings::new(root.to_owned(), FolderId(7), name.to_owned());
        let folder = LiveFolder::start(change(settings), Arc::<Heard>::clone(&heard)).unwrap();
        Self {
            name,
            root: root.to_owned(),
            folder,
            heard,
        }
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    pub(crate) fn read(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.path(path)).ok()
    }

    pub(crate) fn status(&self) -> FolderStatus {
        self.folder.status()
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.folder.stop();
    }
}

/// The way to another folder in this process. A thread carries what is sent, as a network would.
struct Way {
    name: &'static str,
    to: LiveFolder,
    outbox: Sender<Parcel>,
    withheld: Arc<AtomicBool>,
    delay_ms: Arc<AtomicU64>,
}

impl Connection for Way {
    fn name(&self) -> &str {
        self.name
    }

    fn send(&self, parcel: Parcel) -> Result<(), SendError> {
        match self.outbox.try_send(parcel) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(parcel)) => Err(SendError::Full(parcel)),
            Err(TrySendError::Disconnected(_)) => Err(SendError::Gone),
        }
    }

    fn request(&self, wants: Vec<Want>) -> Reply {
        let to = self.to.clone();
        let is_withheld = self.withheld.load(Ordering::Relaxed);
        let delay_ms = Arc::clone(&self.delay_ms);
        let answer = move |want| {
            std::thread::sleep(Duration::from_millis(delay_ms.load(Ordering::Relaxed)));
            to.answer(&want).filter(|_| !is_withheld)
        };
        Box::new(wants.into_iter().map(answer))
    }

    fn keeps(&self, wants: Vec<Want>) -> Vec<bool> {
        let is_withheld = self.withheld.load(Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(self.delay_ms.load(Ordering::Relaxed)));
        let keeps = |want| !is_withheld && self.to.keeps(want);
        wants.iter().map(keeps).collect()
    }

    fn manifest(&self, content: ContentHash) -> Option<Bytes> {
        self.to.manifest(content)
    }

    fn close(&self, _reason: &str) {}
}

/// A connection of two folders, until it is cut.
pub(crate) struct Cable {
    numbers: [PeerNumber; 2],
    folders: [LiveFolder; 2],
    withheld: Arc<AtomicBool>,
    delay_ms: Arc<AtomicU64>,
}

impl Cable {
    pub(crate) fn connect(one: &Live, other: &Live) -> Self {
        Self::trusting(one, other, Trust::Full, Trust::Full)
    }

    /// `of_one`: what the first thinks of the second.
    pub(crate) fn trusting(one: &Live, other: &Live, of_one: Trust, of_other: Trust) -> Self {
        let number = || PeerNumber(NEXT_NUMBER.fetch_add(1, Ordering::Relaxed));
        let numbers = [number(), number()];
        let (to_other, from_one) = bounded(UNDER_WAY_MAX);
        let (to_one, from_other) = bounded(UNDER_WAY_MAX);
        let withheld = Arc::<AtomicBool>::default();
        let delay_ms = Arc::<AtomicU64>::default();
        let way = |name, to: &LiveFolder, outbox| {
            Arc::new(Way {
                name,
                to: to.clone(),
                outbox,
                withheld: Arc::clone(&withheld),
                delay_ms: Arc::clone(&delay_ms),
            })
        };
        let (first, second) = (&one.folder, &other.folder);
        first.connect(numbers[0], way(other.name, second, to_other), of_one);
        second.connect(numbers[1], way(one.name, first, to_one), of_other);
        carry(from_one, (second, numbers[1]), (first, numbers[0]));
        carry(from_other, (first, numbers[0]), (second, numbers[1]));
        Self {
            numbers,
            folders: [first.clone(), second.clone()],
            withheld,
            delay_ms,
        }
    }

    /// Whether contents that are asked for are to be had.
    pub(crate) fn withhold(&self, is_withheld: bool) {
        self.withheld.store(is_withheld, Ordering::Relaxed);
    }

    /// How long each piece of a content takes.
    pub(crate) fn delay(&self, delay: Duration) {
        let delay_ms = u64::try_from(delay.as_millis()).unwrap();
        self.delay_ms.store(delay_ms, Ordering::Relaxed);
    }

    pub(crate) fn cut(self) {
        for (folder, number) in self.folders.iter().zip(self.numbers) {
            folder.disconnect(number);
        }
    }
}

fn carry(
    from: Receiver<Parcel>,
    (to, at): (&LiveFolder, PeerNumber),
    (back, of): (&LiveFolder, PeerNumber),
) {
    let (to, back) = (to.clone(), back.clone());
    std::thread::spawn(move || {
        for parcel in from {
            back.writable(of);
            to.receive(at, parcel);
        }
    });
}

/// Waits until a condition holds.
#[track_caller]
pub(crate) fn wait(what: &str, holds: impl FnMut() -> bool) {
    assert!(comes(holds), "waited in vain: {what}");
}

/// Waits until something holds, and says whether it did.
fn comes(mut holds: impl FnMut() -> bool) -> bool {
    let started = Instant::now();
    while !holds() {
        if started.elapsed() > PATIENCE {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}

/// Waits until all folders say that they are in sync, and their trees are equal.
#[track_caller]
pub(crate) fn settle(folders: &[&Live]) {
    let in_sync = || {
        folders.iter().all(|live| live.status().in_sync)
            && folders
                .windows(2)
                .all(|pair| tree(&pair[0].root) == tree(&pair[1].root))
    };
    if !comes(in_sync) {
        for live in folders {
            eprintln!("{}: {:#?}", live.name, live.status());
            for (path, content) in tree(&live.root) {
                let links = std::fs::symlink_metadata(live.root.join(&path)).map(|at| at.nlink());
                let bytes = content.map(|content| content.len());
                eprintln!("  {}: {bytes:?} bytes, links {links:?}", path.display());
            }
        }
        panic!("waited in vain: in sync");
    }
}

/// What a directory holds, state left out: paths with contents, or targets.
pub(crate) fn tree(root: &Path) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let mut found = Vec::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(directory) = waiting.pop() {
        let Ok(entries) = std::fs::read_dir(&directory) else {
            continue;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            if entry.file_name() == ".replicat" {
                continue;
            }
            let relative = path.strip_prefix(root).unwrap().to_owned();
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if kind.is_dir() {
                waiting.push(path);
                found.push((relative, None));
            } else {
                found.push((relative, std::fs::read(&path).ok()));
            }
        }
    }
    found.sort();
    found
}
