//! The scanner: what differs between a tree and what is known of it.
//!
//! Goals: incremental (only differences are told), parallel, bounded in memory, and never wrong in one
//! direction: what cannot be seen is told as skipped, not as missing.
//! Non-goals: contents; whoever takes a changed file hashes it.
//!
//! Directories wait on a stack that all threads share, so that the tree is walked depth first. In a directory
//! the sorted names are merged with the sorted records; a name costs one `statx`.

mod directory;
mod report;
mod scoped;
mod stack;
mod vanished;

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use replicat_core::path::RelPath;
use replicat_core::record::Record;
use replicat_core::store::{Children, StoreError};
use thiserror::Error;

use crate::error::FsError;
use crate::filter::{DirectoryFilter, Filter};
use crate::observe::{AttributesOfFiles, Observation, SpecialKind, Tracking, device};
use crate::root::{Root, stat_descriptor};
use stack::Stack;

pub use report::{LISTED_MAX, ScanReport};

/// What is known of a tree.
pub trait Baseline: Sync {
    /// The records of the children of `directory`, ordered by name.
    ///
    /// # Errors
    /// If the index fails.
    fn children(&self, directory: &RelPath) -> Result<Children, StoreError>;

    /// The record of `path`.
    ///
    /// # Errors
    /// If the index fails.
    fn record(&self, path: &RelPath) -> Result<Option<Record>, StoreError>;
}

/// One difference between the tree and what is known of it.
#[derive(Debug)]
pub enum ScanItem {
    /// The path is new, or is not as it was seen last.
    Changed {
        /// Where.
        path: RelPath,
        /// What is there.
        observation: Box<Observation>,
    },
    /// The path was seen before, and nothing is there now. Children come before their parents.
    Missing {
        /// Where.
        path: RelPath,
    },
    /// The path was seen before, and the filter leaves it out now.
    OutOfScope {
        /// Where.
        path: RelPath,
    },
    /// The path is in scope, and cannot be replicated or even seen. Nothing is told of what lies below it.
    Skipped {
        /// Where.
        path: RelPath,
        /// Why.
        reason: SkipReason,
    },
}

/// Why a path is skipped.
#[derive(Debug, Error)]
pub enum SkipReason {
    /// It has no content to replicate.
    #[error("it is a {}", special_name(*.0))]
    Special(SpecialKind),
    /// Another filesystem is mounted there, to which nothing can be renamed from this one.
    #[error("another filesystem is mounted on it; make it a replica of its own")]
    MountPoint,
    /// It holds the state of another root.
    #[error("it holds the state of a root of its own")]
    State,
    /// It cannot be read.
    #[error("{0}")]
    Unreadable(FsError),
    /// Its ignore file cannot be read, so that it is not known what is in scope.
    #[error("{0}")]
    IgnoreFile(FsError),
    /// Its path is too long, or its name is not one that can be replicated.
    #[error("its name cannot be replicated: {0}")]
    Name(replicat_core::path::PathError),
    /// It became something else while it was looked at.
    #[error("it changed while it was scanned; the next scan sees it")]
    Unsettled,
}

fn special_name(kind: SpecialKind) -> &'static str {
    match kind {
        SpecialKind::Fifo => "named pipe",
        SpecialKind::Socket => "socket",
        SpecialKind::CharDevice => "character device",
        SpecialKind::BlockDevice => "block device",
        SpecialKind::Unknown => "file of unknown type",
    }
}

/// A scan ended early.
#[derive(Debug, Error)]
pub enum ScanError {
    /// The root itself cannot be read. Nothing may be concluded about what it holds.
    #[error(transparent)]
    Root(#[from] FsError),
    /// The index failed.
    #[error(transparent)]
    Baseline(#[from] StoreError),
    /// The receiver of the items wants no more.
    #[error("the scan was stopped")]
    Stopped,
}

/// Who receives the items, from any thread. Blocking holds the scan back; `Break` ends it.
pub type Sink<'a> = dyn Fn(ScanItem) -> ControlFlow<()> + Sync + 'a;

/// A scan to be made.
pub struct Scan<'a> {
    /// The tree.
    pub root: &'a Root,
    /// What is in scope.
    pub filter: &'a Filter,
    /// Which metadata is looked at.
    pub tracking: Tracking,
    /// Who reads the extended attributes of changed files.
    pub attributes: AttributesOfFiles,
    /// What is known.
    pub baseline: &'a dyn Baseline,
    /// Who is told.
    pub sink: &'a Sink<'a>,
    /// How many threads share the work.
    pub threads: NonZeroUsize,
}

/// A directory whose contents are to be compared.
#[derive(Debug)]
struct Work {
    path: RelPath,
    filter: DirectoryFilter,
}

/// A scan under way: what its threads share.
struct Progress<'a> {
    scan: &'a Scan<'a>,
    device: u64,
    stack: Stack<Work>,
    report: Mutex<ScanReport>,
    failure: Mutex<Option<ScanError>>,
    has_failed: AtomicBool,
}

/// As many threads as the machine runs at once, and at least two: one waits for the disk while another works.
#[must_use]
pub fn default_threads() -> NonZeroUsize {
    const TWO: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1);
    std::thread::available_parallelism().map_or(TWO, |count| count.max(TWO))
}

impl Scan<'_> {
    /// Compares the whole tree. Nothing is told of the root directory itself: see [`Root::observe_itself`].
    ///
    /// # Errors
    /// [`ScanError`]; the items told until then are true, but there may be more.
    pub fn run(&self) -> Result<ScanReport, ScanError> {
        let progress = self.start()?;
        progress.stack.push_all(&mut vec![Work {
            path: RelPath::root(),
            filter: self.filter.top(),
        }]);
        progress.work_off(self.threads);
        progress.finish()
    }

    /// Compares only `paths`, with all that lies below them, and the directories above them without what else
    /// they hold.
    ///
    /// # Errors
    /// As for [`Self::run`].
    pub fn run_paths(&self, paths: &[RelPath]) -> Result<ScanReport, ScanError> {
        let progress = self.start()?;
        scoped::enqueue(&progress, paths)?;
        progress.work_off(self.threads);
        progress.finish()
    }

    /// As [`Self::run_paths`] of `whole`, and compares the directories `alone` without what they hold.
    ///
    /// # Errors
    /// As for [`Self::run`].
    pub fn run_hints(&self, whole: &[RelPath], alone: &[RelPath]) -> Result<ScanReport, ScanError> {
        let progress = self.start()?;
        scoped::enqueue_alone(&progress, alone)?;
        scoped::enqueue(&progress, whole)?;
        progress.work_off(self.threads);
        progress.finish()
    }

    fn start(&self) -> Result<Progress<'_>, ScanError> {
        let stat = stat_descriptor(self.root.descriptor())
            .map_err(|source| self.root.error("look at", &RelPath::root(), source))?;
        Ok(Progress {
            scan: self,
            device: device(&stat),
            stack: Stack::default(),
            report: Mutex::default(),
            failure: Mutex::default(),
            has_failed: AtomicBool::new(false),
        })
    }
}

impl Progress<'_> {
    /// Works until no directory is left.
    fn work_off(&self, threads: NonZeroUsize) {
        std::thread::scope(|scope| {
            for _ in 1..threads.get() {
                scope.spawn(|| self.work());
            }
            self.work();
        });
    }

    fn work(&self) {
        let mut worker = directory::Worker::new(self);
        while let Some(work) = self.stack.pop() {
            if !self.has_failed.load(Ordering::Relaxed)
                && let Err(error) = worker.compare(&work)
            {
                self.fail(error);
            }
            self.stack.done();
        }
        let report = worker.into_report();
        lock(&self.report).merge(report);
    }

    fn fail(&self, error: ScanError) {
        self.has_failed.store(true, Ordering::Relaxed);
        lock(&self.failure).get_or_insert(error);
    }

    fn finish(self) -> Result<ScanReport, ScanError> {
        match into_inner(self.failure) {
            Some(error) => Err(error),
            None => Ok(into_inner(self.report)),
        }
    }
}

/// Locks; a thread that panicked while it held the lock leaves whole values behind, none is half written.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn into_inner<T>(mutex: Mutex<T>) -> T {
    mutex
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
