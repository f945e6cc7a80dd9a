//! The comparison of a whole tree with the index, in the background: it finds what nothing told of.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use replicat_core::path::RelPath;
use replicat_fs::filter::Filter;
use replicat_fs::observe::{AttributesOfFiles, Tracking};
use replicat_fs::root::Root;
use replicat_fs::scan::{Scan, ScanItem};
use replicat_index::Reader;

use super::owner::Input;
use crate::engine::scan::Known;

/// How often everything is compared if not all directories can be watched.
const UNWATCHED_INTERVAL: Duration = Duration::from_secs(10);
/// How many suspects are told of at once.
const SUSPECTS_MAX: usize = 512;
/// How many suspects are told of by name; if there are more, everything is to be looked at.
const NAMED_MAX: usize = 20_000;

/// When everything is compared, and the comparison under way.
#[derive(Debug)]
pub(super) struct Verification {
    interval: Duration,
    last: Instant,
    thread: Option<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
}

impl Verification {
    /// The first is due an interval after `now`.
    pub(super) fn new(now: Instant, interval: Duration) -> Self {
        Self {
            interval,
            last: now,
            thread: None,
            stop: Arc::default(),
        }
    }

    pub(super) fn is_due(&self, now: Instant, is_blind: bool) -> bool {
        let interval = match is_blind {
            true => self.interval.min(UNWATCHED_INTERVAL),
            false => self.interval,
        };
        let is_idle = (self.thread.as_ref()).is_none_or(JoinHandle::is_finished);
        is_idle && now.duration_since(self.last) >= interval
    }

    /// Compares everything on one thread; what looks changed is told to the owner, who looks for himself.
    pub(super) fn begin(
        &mut self,
        root: Arc<Root>,
        reader: Reader,
        filter: Filter,
        tracking: Tracking,
        owner: Sender<Input>,
    ) {
        self.last = Instant::now();
        let stop = Arc::clone(&self.stop);
        let work = move || {
            let suspects = Suspects {
                owner,
                stop,
                paths: Mutex::default(),
                named: AtomicUsize::new(0),
            };
            let sink = |item: ScanItem| suspects.add(item);
            let scan = Scan {
                root: &root,
                filter: &filter,
                tracking,
                // Nobody reads what looks changed.
                attributes: AttributesOfFiles::Left,
                baseline: &Known(reader),
                sink: &sink,
                threads: std::num::NonZeroUsize::MIN,
            };
            if let Err(error) = scan.run() {
                tracing::debug!(%error, "a comparison in the background ended early");
            }
            suspects.tell();
        };
        let thread = std::thread::Builder::new().name("verify".to_owned());
        match thread.spawn(work) {
            Ok(thread) => self.thread = Some(thread),
            Err(error) => tracing::warn!(%error, "cannot compare in the background"),
        }
    }

    /// Ends the comparison that is under way.
    pub(super) fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Paths that look changed.
struct Suspects {
    owner: Sender<Input>,
    stop: Arc<AtomicBool>,
    paths: Mutex<Vec<RelPath>>,
    named: AtomicUsize,
}

impl Suspects {
    fn add(&self, item: ScanItem) -> ControlFlow<()> {
        if self.stop.load(Ordering::Relaxed) {
            return ControlFlow::Break(());
        }
        let path = match item {
            ScanItem::Changed { path, .. }
            | ScanItem::Missing { path }
            | ScanItem::OutOfScope { path } => path,
            // It is listed since the scan that found it first.
            ScanItem::Skipped { .. } => return ControlFlow::Continue(()),
        };
        let mut paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        if self.named.fetch_add(1, Ordering::Relaxed) >= NAMED_MAX {
            paths.clear();
            paths.push(RelPath::root());
            return ControlFlow::Break(());
        }
        paths.push(path);
        let is_full = paths.len() >= SUSPECTS_MAX;
        drop(paths);
        if is_full {
            self.tell();
        }
        ControlFlow::Continue(())
    }

    fn tell(&self) {
        let mut paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
        let paths = std::mem::take(&mut *paths);
        if !paths.is_empty() {
            // If the owner has ended, nobody needs to know.
            let _ = self.owner.send(Input::Suspects(paths));
        }
    }
}
