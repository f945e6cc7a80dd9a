//! Recognising what a watch tells of replicat's own writes.
//!
//! Goals: exact, by the fingerprints of what was written; one look at a path, with its directory opened once for all its
//! siblings, and none at the index. Non-goals: saying what changed: whatever is not just as it was written is left to a scan.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use replicat_core::path::RelPath;
use replicat_core::record::Fingerprint;
use rustix::fs::Statx;

use crate::filter::STATE_DIRECTORY_NAME;
use crate::listing::Listing;
use crate::observe;
use crate::root::{Root, stat_at};

/// How many writes are remembered. Beyond, all are forgotten, and what is told of them is scanned.
const WRITTEN_MAX: usize = 32_768;
/// How long after the last write its echoes have come.
const SILENT_AFTER: Duration = Duration::from_secs(10);

/// What was written at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// A file or a symbolic link, which looks like this as long as nobody touches it.
    File(Fingerprint),
    /// A file that was stamped so recently that a change need not show.
    Doubtful,
    /// A directory, made empty.
    Directory(Fingerprint),
}

/// The latest own writes below a root.
#[derive(Debug, Default)]
pub struct Echoes {
    written: BTreeMap<RelPath, Written>,
    last: Option<Instant>,
}

/// What is to be scanned.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Sifted {
    /// Paths, with all that lies below them.
    pub whole: Vec<RelPath>,
    /// Directories without what they hold.
    pub alone: Vec<RelPath>,
}

impl Echoes {
    /// Notes what was written at a path.
    pub fn note(&mut self, path: &RelPath, written: Written) {
        if self.written.len() >= WRITTEN_MAX {
            self.written.clear();
        }
        self.written.insert(path.clone(), written);
        self.last = Some(Instant::now());
    }

    /// Nothing of what was written at a path is there any more.
    pub fn forget(&mut self, path: &RelPath) {
        self.written.remove(path);
    }

    /// Forgets all writes if the last was so long ago that its echoes have come.
    pub fn forget_old(&mut self, now: Instant) {
        let is_old = |last| now.saturating_duration_since(last) >= SILENT_AFTER;
        if self.last.is_some_and(is_old) {
            self.written.clear();
            self.last = None;
        }
    }

    /// Drops the hints that are echoes. Of a directory that was made here, only what is not as it was written is left:
    /// also what came into it, or went from it, before it was watched.
    #[must_use]
    pub fn sift(&self, root: &Root, hints: Vec<RelPath>) -> Sifted {
        if self.written.is_empty() {
            return Sifted {
                whole: hints,
                alone: Vec::new(),
            };
        }
        let mut sieve = Sieve {
            root,
            written: &self.written,
            parent: None,
            listed: BTreeSet::new(),
            sifted: Sifted::default(),
        };
        let mut waiting = hints;
        while let Some(path) = waiting.pop() {
            sieve.take(path, &mut waiting);
        }
        sieve.sifted.whole.sort();
        sieve.sifted.whole.dedup();
        sieve.sifted
    }
}

struct Sieve<'work> {
    root: &'work Root,
    written: &'work BTreeMap<RelPath, Written>,
    /// The directory that held the last path.
    parent: Option<(RelPath, OwnedFd)>,
    listed: BTreeSet<RelPath>,
    sifted: Sifted,
}

impl Sieve<'_> {
    fn take(&mut self, path: RelPath, waiting: &mut Vec<RelPath>) {
        let is_echo = match self.written.get(&path) {
            Some(Written::File(written)) => {
                let found = self.stat(&path);
                found.is_some_and(|found| observe::fingerprint(&found) == *written)
            }
            Some(Written::Directory(written)) => {
                if self.listed.contains(&path) {
                    return;
                }
                let found = self.stat(&path).map(|found| observe::fingerprint(&found));
                let is_it = found.is_some_and(|found| found.is_of_same(written));
                is_it && self.list(&path, waiting).is_some()
            }
            Some(Written::Doubtful) | None => false,
        };
        match self.written.get(&path) {
            Some(Written::Directory(_)) if is_echo => self.sifted.alone.push(path),
            _ if is_echo => {}
            _ => self.sifted.whole.push(path),
        }
    }

    fn stat(&mut self, path: &RelPath) -> Option<Statx> {
        let above = path.parent()?;
        if self.parent.as_ref().is_none_or(|(held, _)| *held != above) {
            let opened = self.root.directory(&above).ok()?;
            self.parent = Some((above, opened));
        }
        let (_, directory) = self.parent.as_ref()?;
        stat_at(directory.as_fd(), path.name()).ok()
    }

    /// Adds what is in a directory that was made here, and what was; `None` if it cannot be listed.
    fn list(&mut self, directory: &RelPath, waiting: &mut Vec<RelPath>) -> Option<()> {
        let opened = self.root.directory(directory).ok()?;
        let mut listing = Listing::default();
        listing.read(opened.as_fd()).ok()?;
        self.listed.insert(directory.clone());
        for at in 0..listing.len() {
            let name = CString::from(listing.get(at).0).into_bytes();
            if name != STATE_DIRECTORY_NAME {
                waiting.push(directory.join(&name).ok()?);
            }
        }
        let below = self.written.range(directory.clone()..);
        let below = below.map(|(path, _)| path);
        let children = below
            .take_while(|path| path.is_within(directory))
            .filter(|path| path.parent().as_ref() == Some(directory));
        let gone = children.filter(|path| !listing.contains(path.name()));
        self.sifted.whole.extend(gone.cloned());
        Some(())
    }
}
