//! Telling those who listen what happened, and how the folder stands.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use replicat_core::entry::Timestamp;
use replicat_core::id::ReplicaId;
use replicat_core::path::RelPath;
use replicat_core::store::Store;

use super::owner::Owner;
use super::settings::LiveSettings;
use super::status::{
    ChangeAction, ChangeOrigin, FolderEvent, FolderState, FolderStatus, PathChange, PeerStatus,
};
use crate::engine::local::LocalReplica;
use crate::engine::transfer::Left;
use crate::engine::{clock, conflicts};
use crate::error::SyncError;
use crate::event::{ItemChange, Observed, ObservedChange, PlanItem, Progress, Reporter, SyncEvent};
use crate::report::{HeldDeletions, RefusedChanges, Severity, Skipped};

/// How long changes wait to be told for the name of who made them.
const NAME_PATIENCE: Duration = Duration::from_secs(1);

/// Collects what the engine tells, until it can be passed on.
#[derive(Default)]
pub(crate) struct Gathering {
    items: Mutex<Vec<PlanItem>>,
    observed: Mutex<Vec<Observed>>,
    warnings: Mutex<Vec<String>>,
    /// Conflict copies that were made, and not told of yet.
    copies: Mutex<BTreeSet<RelPath>>,
    /// Since when changes wait for the name of their author.
    nameless_since: Mutex<Option<Instant>>,
    /// Of the paths that were compared last, those that the watch saw leave.
    moved_out: Mutex<BTreeSet<RelPath>>,
    listens: AtomicBool,
}

impl Gathering {
    /// Whether changes made here are collected.
    pub(super) fn listen_to_observations(&self, listens: bool) {
        self.listens.store(listens, Ordering::Relaxed);
    }

    /// Notes conflict copies to be told of later.
    fn keep_copies(&self, copies: &BTreeSet<RelPath>) {
        lock(&self.copies).extend(copies.iter().cloned());
    }

    /// Says which of the paths that are compared now were renamed to where nobody watches.
    pub(super) fn set_moved_out(&self, paths: BTreeSet<RelPath>) {
        *lock(&self.moved_out) = paths;
    }
}

impl Reporter for Gathering {
    fn event(&self, event: &SyncEvent) {
        match event {
            SyncEvent::Item(item) => lock(&self.items).push(item.clone()),
            SyncEvent::Observed(observed) => lock(&self.observed).push(observed.clone()),
            SyncEvent::Warning { path, message, .. } => {
                let at = path.as_ref().map(|path| format!("{path}: "));
                lock(&self.warnings).push(format!("{}{message}", at.unwrap_or_default()));
            }
            _ => {}
        }
    }

    fn wants_observations(&self) -> bool {
        self.listens.load(Ordering::Relaxed)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Owner {
    /// Passes on what changed, and which of it are conflict copies.
    pub(super) fn tell_changes(&mut self, copies: &BTreeSet<RelPath>) -> Result<(), SyncError> {
        if self.awaits_name() {
            self.gathering.keep_copies(copies);
            return Ok(());
        }
        let mut copies = copies.clone();
        copies.append(&mut lock(&self.gathering.copies));
        let items = std::mem::take(&mut *lock(&self.gathering.items));
        let observed = std::mem::take(&mut *lock(&self.gathering.observed));
        for warning in std::mem::take(&mut *lock(&self.gathering.warnings)) {
            self.listener.event(FolderEvent::Warning(warning));
        }
        let Some(open) = &self.open else {
            return Ok(());
        };
        for mut change in changes_here(&observed) {
            let has_left = lock(&self.gathering.moved_out).remove(&change.path);
            if has_left && change.action == ChangeAction::Deleted {
                change.action = ChangeAction::MovedOut;
            }
            self.listener.event(FolderEvent::Changed(change));
        }
        for item in items {
            let origin = self.origin(&open.local, &item.path)?;
            self.listener
                .event(FolderEvent::Changed(change_elsewhere(item, origin)));
        }
        for report in conflicts::of_copies(&open.local, &copies)? {
            self.listener.event(FolderEvent::Conflict {
                path: report.path,
                copy: report.copy,
            });
        }
        Ok(())
    }

    /// Whether a change is to be told whose author has no name here yet: in a first exchange names come after the changes. Who
    /// listens waits for it a moment.
    fn awaits_name(&self) -> bool {
        let Some(open) = &self.open else { return false };
        let members = open.local.replica.store().members().unwrap_or_default();
        let own = open.local.replica.identity().replica;
        let is_named = |replica: ReplicaId| {
            let mut members = members.iter();
            replica == own || members.any(|(id, member)| *id == replica && !member.name.is_empty())
        };
        let author = |path: &RelPath| {
            let record = open.local.replica.record(path).ok()?;
            Some(record.entry.shown()?.winner.dot.replica)
        };
        // One stands for all that came with it.
        let first = lock(&self.gathering.items)
            .first()
            .map(|item| item.path.clone());
        let is_nameless = first
            .and_then(|path| author(&path))
            .is_some_and(|id| !is_named(id));
        let mut since = lock(&self.gathering.nameless_since);
        *since = is_nameless.then(|| since.unwrap_or_else(Instant::now));
        since.is_some_and(|since| since.elapsed() < NAME_PATIENCE)
    }

    /// Who made what a path shows.
    fn origin(&self, local: &LocalReplica, path: &RelPath) -> Result<ChangeOrigin, SyncError> {
        let record = local.replica.record(path);
        let record = record.map_err(|error| local.failed(error))?;
        let replica = record.entry.shown().map(|shown| shown.winner.dot.replica);
        let own = local.replica.identity().replica;
        let Some(replica) = replica.filter(|replica| *replica != own) else {
            return Ok(ChangeOrigin::Here);
        };
        let direct = self.peers.values().find(|p| p.replica() == Some(replica));
        let through = direct.or_else(|| self.peers.values().next());
        let through = through.map(|peer| peer.connection().name().to_owned());
        Ok(ChangeOrigin::Elsewhere {
            node: conflicts::node(local, replica)?,
            through: through.unwrap_or_default(),
        })
    }

    /// Tells those who asked how the folder stands now that all is taken in which came before.
    pub(super) fn answer_asked(&mut self) {
        let status = self.shared.status.lock();
        let Ok(status) = &status else { return };
        for reply in self.asked.drain(..) {
            // The asker may be gone.
            let _ = reply.send((*status).clone());
        }
    }

    /// Writes down how the folder stands, for those who ask.
    pub(super) fn tell_status(&mut self) {
        if let Err(error) = self.tell_changes(&BTreeSet::new()) {
            tracing::warn!(%error, "a change could not be told of");
        }
        if let Some(open) = &mut self.open
            && let Err(error) = (open.tally).update(&open.local, self.settings.mode, Instant::now())
        {
            tracing::warn!(%error, "what is open or refused could not be counted");
        }
        if let Some(open) = &mut self.open
            && let Err(error) = open.local.drop_stale_skips()
        {
            tracing::warn!(%error, "what is skipped could not be compared with what is pending");
        }
        let mut status = self.shared.status.lock();
        let Ok(status) = &mut status else { return };
        status.state = self.state.clone();
        status.peers.clear();
        let Some(open) = &self.open else {
            status.in_sync = false;
            return;
        };
        let local = &open.local;
        let knowledge = local.replica.knowledge();
        let digest = local.replica.store().digest().unwrap_or_default();
        let peers = self.peers.iter().map(|(number, peer)| PeerStatus {
            number: *number,
            name: peer.connection().name().to_owned(),
            is_live: peer.is_live(),
            in_sync: peer.is_in_sync(knowledge, digest),
        });
        status.peers.extend(peers);
        status.replica = local.replica.identity().replica;
        status.paths = local.replica.store().record_count().unwrap_or(status.paths);
        status.pending = local.pending().unwrap_or(status.pending);
        status.excluded = local.replica.store().excluded_count().unwrap_or_default();
        status.progress = open.ongoing.progress();
        status.bytes_received = open.ongoing.fetched();
        let skipped = local.graded(local.skipped.clone());
        status.skipped = skipped.unwrap_or_else(|_| local.skipped.clone());
        status.watched_only = open.watched_only;
        status.conflicts = open.tally.conflicts;
        status.refused.clone_from(&open.tally.refused);
        status.brake = local.brake().ok().flatten();
        status.held.clone_from(&open.held);
        let stock = local.sums().unwrap_or_default();
        status.held_deletions = local.deletions.held_files(&stock);
        status.in_sync = self.state == FolderState::Online
            && status.pending == 0
            && status.refused.count == 0
            && !is_short(&status.skipped)
            && !open.unsettled
            && open.left == Left::Nothing
            && open.hints.is_empty()
            && open.local.deletions.guard.held().is_empty()
            && open.put_off.is_empty()
            && !self.is_amid()
            && self
                .peers
                .values()
                .all(|peer| peer.is_in_sync(knowledge, digest));
        if status.in_sync {
            status.in_sync_at = Some(now());
        }
    }
}

/// Whether something is missing elsewhere that should be there: it could not be read, or did not come to rest.
fn is_short(skipped: &[Skipped]) -> bool {
    skipped.iter().any(|row| row.severity == Severity::Error)
}

fn now() -> Timestamp {
    clock::timestamp(clock::now().hlc())
}

pub(super) fn new_status(settings: &LiveSettings, local: &LocalReplica) -> FolderStatus {
    FolderStatus {
        root: settings.root.clone(),
        folder: settings.folder,
        replica: local.replica.identity().replica,
        mode: settings.mode,
        state: FolderState::InitialScan,
        paths: 0,
        pending: 0,
        excluded: 0,
        progress: Progress::default(),
        in_sync: false,
        in_sync_at: None,
        peers: Vec::new(),
        skipped: Vec::new(),
        conflicts: 0,
        refused: RefusedChanges::default(),
        brake: None,
        held: HeldDeletions::default(),
        held_deletions: 0,
        watched_only: None,
        queue: 0,
        bytes_received: 0,
        bytes_sent: 0,
    }
}

/// Changes of this directory. A renaming is told as one change, not as a coming and a going, nor for what it carries along.
fn changes_here(observed: &[Observed]) -> Vec<PathChange> {
    let mut moves: BTreeMap<&RelPath, &RelPath> = BTreeMap::new();
    for seen in observed {
        if let ObservedChange::Moved { to } = &seen.change {
            moves.insert(&seen.path, to);
        }
    }
    // What a directory carries along goes from below its old path to the same name below its new one.
    let carried = |from: &RelPath, to: &RelPath| {
        let above = from.parent().and_then(|above| moves.get(&above).copied());
        from.name() == to.name() && above.is_some() && above == to.parent().as_ref()
    };
    let arrived: BTreeSet<&RelPath> = moves.values().copied().collect();
    let mut changes = Vec::new();
    for seen in observed {
        let (path, action) = match &seen.change {
            ObservedChange::Created if arrived.contains(&seen.path) => continue,
            ObservedChange::Created => (seen.path.clone(), ChangeAction::Created),
            ObservedChange::Updated => (seen.path.clone(), ChangeAction::Updated),
            ObservedChange::Deleted => (seen.path.clone(), ChangeAction::Deleted),
            ObservedChange::Moved { to } if carried(&seen.path, to) => continue,
            ObservedChange::Moved { to } => {
                let from = seen.path.clone();
                (to.clone(), ChangeAction::Renamed { from })
            }
        };
        changes.push(PathChange {
            path,
            kind: seen.kind,
            action,
            origin: ChangeOrigin::Here,
            time: now(),
        });
    }
    changes
}

fn change_elsewhere(item: PlanItem, origin: ChangeOrigin) -> PathChange {
    let action = match item.change {
        ItemChange::Create | ItemChange::HardLink { .. } | ItemChange::ConflictCopy { .. } => {
            ChangeAction::Created
        }
        ItemChange::Update(_) | ItemChange::Metadata(_) => ChangeAction::Updated,
        ItemChange::Delete => ChangeAction::Deleted,
        ItemChange::Move { from } => ChangeAction::Renamed { from },
    };
    PathChange {
        path: item.path,
        kind: item.kind,
        action,
        origin,
        time: now(),
    }
}
