//! From hints to events: what may have changed is compared with the index, and what did is told to the peers.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use replicat_core::path::RelPath;
use replicat_core::replica::Replica;
use replicat_fs::echo::Sifted;
use replicat_fs::filter::Filter;
use replicat_fs::watch::Watcher;

use super::owner::{Open, Owner, surroundings};
use super::status::FolderState;
use crate::engine::retention;
use crate::engine::scan::{self, Scope};
use crate::engine::unheld::is_not_held;
use crate::error::SyncError;

/// How long hints are collected while the folder is busy writing: most of them are echoes of its own work.
const BUSY_PAUSE: Duration = Duration::from_millis(150);
/// How often it is looked whether the state directory is whole.
const STATE_LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How often it is noted what could not be synced.
const NOTE_INTERVAL: Duration = Duration::from_secs(10);
/// How often what the storage does not hold is tried again.
const UNHELD_INTERVAL: Duration = Duration::from_secs(30);
/// How many paths are compared one by one; if more may have changed, everything is.
const PATHS_MAX: usize = 20_000;

/// Paths that may have changed.
#[derive(Debug, Default)]
pub(super) struct Hints {
    paths: BTreeSet<RelPath>,
    /// Of these, those that were seen to leave.
    moved_out: BTreeSet<RelPath>,
    everything: bool,
    /// Directories that are compared whole, be what was written there our own: their ignore files changed.
    rules: BTreeSet<RelPath>,
    /// Not before this.
    due: Option<Instant>,
}

impl Hints {
    pub(super) fn add(&mut self, paths: Vec<RelPath>, now: Instant) {
        if paths.is_empty() {
            return;
        }
        self.paths.extend(paths);
        self.everything |= self.paths.len() > PATHS_MAX;
        self.due.get_or_insert(now);
    }

    /// Adds paths that somebody waits for: they are not put off with others.
    pub(super) fn add_awaited(&mut self, paths: Vec<RelPath>, now: Instant) {
        self.add(paths, now);
        self.due = Some(now);
    }

    /// Adds directories in which other paths may be in scope now.
    pub(super) fn add_rules(&mut self, directories: BTreeSet<RelPath>, now: Instant) {
        self.rules.extend(directories);
        self.due = Some(now);
    }

    /// Adds paths that were renamed to where nobody watches.
    pub(super) fn add_moved_out(&mut self, paths: Vec<RelPath>, now: Instant) {
        if self.moved_out.len() <= PATHS_MAX {
            self.moved_out.extend(paths.iter().cloned());
        }
        self.add(paths, now);
    }

    pub(super) fn add_everything(&mut self) {
        self.everything = true;
    }

    /// Puts off what waits.
    fn put_off(&mut self, until: Instant) {
        self.due = Some(until);
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        !self.is_empty() && self.due.is_none_or(|due| due <= now)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.paths.is_empty() && self.rules.is_empty() && !self.everything
    }

    /// How long nothing is due.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        if self.is_empty() {
            return Duration::MAX;
        }
        self.due
            .map_or(Duration::ZERO, |due| due.saturating_duration_since(now))
    }
}

impl Owner {
    /// Begins to watch.
    pub(super) fn watch(&mut self) -> Result<(), SyncError> {
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        let watcher = Watcher::start(&open.local.root, &open.local.filter);
        open.watcher = Some(watcher.map_err(|error| open.local.fs_failed(error))?);
        Ok(())
    }

    /// Compares the whole tree with the index.
    pub(super) fn scan_everything(&mut self) -> Result<(), SyncError> {
        self.await_committed()?;
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        open.hints = Hints::default();
        open.local.skipped.clear();
        open.local.list_unheld();
        // What is found at a start is a state, not a row of changes.
        let initial = open.local.replica.knowledge().iter().next().is_none();
        self.gathering.listen_to_observations(!initial);
        let around = surroundings(open.threads, &self.shared.cancellation, &self.gathering);
        // What is fresh among so many contents is not worth the memory.
        let gleaned = open.local.gleaned.take();
        let seen = scan::scan(&mut open.local, Scope::Everything, &around);
        open.local.gleaned = gleaned;
        // The scan read the ignore files before what they leave out.
        open.local.rules_changed.clear();
        seen?;
        let itself = open.local.root.observe_itself(open.local.tracking);
        open.local.itself = itself.map_err(|error| open.local.fs_failed(error))?;
        open.local.observe_itself()?;
        self.gathering.listen_to_observations(true);
        self.take_seen();
        Ok(())
    }

    /// Compares what hints tell of.
    pub(super) fn observe(&mut self) -> Result<(), SyncError> {
        let now = Instant::now();
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        verify(open, now, &self.to_self);
        if now >= open.retry_unheld_at && !open.local.unheld.is_empty() {
            self.await_committed()?;
            return self.retry_unheld(now);
        }
        open.hints.add_awaited(open.restless.take_due(now), now);
        if !open.hints.is_due(now) {
            return Ok(());
        }
        if open.hints.everything {
            return self.scan_everything();
        }
        self.await_committed()?;
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        let hints = std::mem::take(&mut open.hints);
        self.gathering.set_moved_out(hints.moved_out);
        if open.ongoing.is_busy() {
            open.hints.put_off(Instant::now() + BUSY_PAUSE);
        }
        let hinted: Vec<RelPath> = hints.paths.into_iter().collect();
        let is_root_hinted = hinted.iter().any(RelPath::is_root);
        let mut sifted = open.sift(hinted, now);
        sifted.whole.extend(hints.rules);
        if sifted == Sifted::default() {
            return Ok(());
        }
        open.local.skipped.retain(|skipped| {
            let mut looked_at = sifted.whole.iter();
            is_not_held(&skipped.reason) || !looked_at.any(|path| skipped.path.is_within(path))
        });
        let around = surroundings(open.threads, &self.shared.cancellation, &self.gathering);
        scan::scan(&mut open.local, Scope::Hints(&sifted), &around)?;
        if is_root_hinted {
            let itself = open.local.root.observe_itself(open.local.tracking);
            open.local.itself = itself.map_err(|error| open.local.fs_failed(error))?;
        }
        self.take_seen();
        Ok(())
    }

    fn retry_unheld(&mut self, now: Instant) -> Result<(), SyncError> {
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        open.retry_unheld_at = now + UNHELD_INTERVAL;
        open.local.retry_unheld()
    }

    /// After ignore files changed, has compared what they may leave out now, or no more.
    pub(super) fn follow_rules(&mut self) -> Result<(), SyncError> {
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        let changed = std::mem::take(&mut open.local.rules_changed);
        if changed.is_empty() {
            return Ok(());
        }
        open.local.include_paths()?;
        open.hints.add_rules(changed, Instant::now());
        open.unsettled = true;
        open.ongoing.stir();
        open.left = crate::engine::transfer::Left::More;
        Ok(())
    }

    pub(super) fn take_seen(&mut self) {
        let Some(open) = &mut self.open else { return };
        open.restless.note(&open.local.skipped, Instant::now());
        open.unsettled = true;
        open.ongoing.stir();
        open.left = crate::engine::transfer::Left::More;
        self.announce_all();
    }

    /// Opens the folder again if directories of its state are missing, which makes them again. Without its index it is a new
    /// replica then.
    pub(super) fn check_state(&mut self) -> Result<(), SyncError> {
        let now = Instant::now();
        let Some(open) = self.open.as_mut().filter(|open| now >= open.look_at_state) else {
            return Ok(());
        };
        open.look_at_state = now + STATE_LOOK_INTERVAL;
        let hands = open.local.hands.as_ref();
        if hands.is_none_or(|hands| hands.state.is_intact()) {
            return Ok(());
        }
        self.warn("parts of the state directory were removed; they are made again".to_owned());
        self.dismiss_all("the state of the folder is opened again");
        // What cannot be written to a state that is gone is compared again.
        if let Err(error) = self.close() {
            tracing::warn!(%error, "the state that was removed is closed");
        }
        self.open = None;
        self.reopen()?;
        self.enter(FolderState::InitialScan);
        self.begin()
    }

    /// Halts the folder if its directory is not where it was: it was unmounted, moved or replaced.
    pub(super) fn check_root(&mut self) -> Result<(), SyncError> {
        let Some(open) = &self.open else {
            return Ok(());
        };
        let held = open.local.root.observe_itself(open.local.tracking);
        let held = held.map_err(|error| open.local.fs_failed(error))?;
        // As it was named: a link may lead elsewhere now.
        let there = std::fs::metadata(&open.local.given);
        match there {
            Ok(there) if there.ino() == held.fingerprint.inode => Ok(()),
            Ok(_) => Err(SyncError::RootReplaced {
                root: open.local.given.clone(),
                evidence: "another directory is at its path now".to_owned(),
            }),
            Err(_) => Err(SyncError::RootMissing {
                root: open.local.given.clone(),
            }),
        }
    }
}

/// Begins a comparison of everything in the background, if it is time.
fn verify(open: &mut Open, now: Instant, to_self: &crossbeam_channel::Sender<super::owner::Input>) {
    if !open.verification.is_due(now, open.watched_only.is_some()) || open.ongoing.is_busy() {
        return;
    }
    let reader = Replica::store(&open.local.replica).reader();
    let filter: Filter = open.local.filter.clone();
    open.verification.begin(
        std::sync::Arc::clone(&open.local.root),
        reader,
        filter,
        open.local.tracking,
        to_self.clone(),
    );
}

impl Open {
    /// Leaves out of hints what the folder has just written itself.
    fn sift(&mut self, hints: Vec<RelPath>, now: Instant) -> Sifted {
        let Some(echoes) = &mut self.local.echoes else {
            return Sifted {
                whole: hints,
                alone: Vec::new(),
            };
        };
        echoes.forget_old(now);
        echoes.sift(&self.local.root, hints)
    }

    /// Gives the root directory its own time again, and drops what the trash need not keep, now and then.
    pub(super) fn tidy(&mut self, now: Instant) -> Result<(), SyncError> {
        self.local.calm_itself()?;
        self.local.keep_window()?;
        if now >= self.note_at {
            self.local.keep_skipped()?;
            self.local.keep_rules()?;
            self.note_at = now + NOTE_INTERVAL;
        }
        if now >= self.purge_at {
            retention::purge(&mut self.local)?;
            self.purge_at = now + Duration::from_secs(3600);
        }
        Ok(())
    }
}
