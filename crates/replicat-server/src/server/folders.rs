//! The folders of a node.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use replicat_core::entry::Timestamp;
use replicat_core::id::FolderId;
use replicat_core::path::RelPath;
use replicat_engine::engine::inspect;
use replicat_engine::event::ItemKind;
use replicat_engine::known::KnownRoots;
use replicat_engine::live::{
    ChangeAction, ChangeOrigin, FolderEvent, FolderMode, FolderState, Listener, PathChange,
    may_pass,
};
use replicat_engine::options::Durability;
use replicat_net::{ClusterId, NodeName, Role};
use tokio::sync::Notify;

use super::error::ServerError;
use super::hub::{FolderEventRecord, Hub};
use super::notices::Notices;
use super::status::{FolderReport, ServerStatus};
use crate::link::{Folders, Replica};
use crate::settings::{FolderName, FolderSettings, folder_id};
use crate::storage::{ChangeHandler, DirTreeMap, Event, EventName, FilesystemTracker};

/// How long a folder that could not be opened waits for the next attempt.
const RETRY_PAUSE_MIN: Duration = Duration::from_secs(2);
/// How long it waits at the most.
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(30);

/// What all folders of a node have in common.
pub(crate) struct Common {
    pub(crate) cluster: ClusterId,
    /// The clusters of the other keys that are accepted.
    pub(crate) accepted: Vec<ClusterId>,
    pub(crate) node: NodeName,
    pub(crate) role: Role,
    pub(crate) durability: Durability,
    pub(crate) handlers: Vec<Arc<dyn ChangeHandler>>,
    pub(crate) known_roots: Option<KnownRoots>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) notices: Arc<Notices>,
    /// Is told when a folder is in another state, in which it may or may not talk with peers.
    pub(crate) changed: Arc<Notify>,
}

/// The folders of a node, by id.
pub(crate) struct FolderTable {
    common: Common,
    rows: RwLock<BTreeMap<FolderId, Arc<FolderRow>>>,
}

/// One folder of a node.
pub(crate) struct FolderRow {
    pub(crate) settings: FolderSettings,
    /// Which way changes go: the role of the node counts, beside the settings.
    mode: FolderMode,
    /// Its ids under the other keys that are accepted.
    other_ids: Vec<FolderId>,
    running: RwLock<Running>,
    /// Held while it is opened.
    opening: Mutex<()>,
    states: Mutex<States>,
}

/// Whether a folder runs.
enum Running {
    Open {
        tracker: Arc<FilesystemTracker>,
        replica: Arc<dyn Replica>,
    },
    Failed {
        reason: String,
        /// When it is tried again by itself; `None`: a person decides.
        again: Option<Retry>,
        /// Another directory may be in the place of its root.
        is_replaced: bool,
    },
}

/// When a folder that could not be opened is tried again.
#[derive(Clone, Copy, Debug)]
struct Retry {
    at: Instant,
    pause: Duration,
}

impl Running {
    /// What could not be opened; `before` is how long the last attempt was waited for.
    fn failed(error: &ServerError, before: Option<Duration>) -> Self {
        let passes = match error {
            ServerError::Folder { source, .. } => may_pass(source),
            _ => false,
        };
        let pause = before.map_or(RETRY_PAUSE_MIN, |before| (before * 2).min(RETRY_PAUSE_MAX));
        let again = passes.then(|| Retry {
            at: Instant::now() + pause,
            pause,
        });
        let reason = match passes {
            true => format!("{}; it is tried again by itself", reason(error)),
            false => reason(error),
        };
        Self::Failed {
            reason,
            again,
            is_replaced: error.is_root_replaced(),
        }
    }
}

/// What a folder held at the last two times when that was asked and had changed.
#[derive(Default)]
struct States {
    previous: DirTreeMap,
    current: DirTreeMap,
}

impl FolderTable {
    pub(crate) fn new(common: Common) -> Self {
        Self {
            common,
            rows: RwLock::default(),
        }
    }

    /// As [`Self::start`], and logs what goes wrong.
    pub(crate) fn start_or_halt(&self, settings: FolderSettings) {
        if let Err(error) = self.start(settings) {
            log_halt(&error);
        }
    }

    /// Opens a folder. One that cannot be opened is kept, halted, and the reason is returned as well.
    pub(crate) fn start(&self, settings: FolderSettings) -> Result<(), ServerError> {
        let id = folder_id(self.common.cluster, &settings.name);
        let opened = self.open(&settings);
        let (running, outcome) = match opened {
            Ok(running) => (running, Ok(())),
            Err(error) => (Running::failed(&error, None), Err(error)),
        };
        let row = FolderRow {
            mode: self.mode(&settings),
            other_ids: self.other_ids(&settings.name),
            settings,
            running: RwLock::new(running),
            opening: Mutex::default(),
            states: Mutex::default(),
        };
        let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        rows.insert(id, Arc::new(row));
        outcome
    }

    fn open(&self, settings: &FolderSettings) -> Result<Running, ServerError> {
        let common = &self.common;
        let mut live = settings.live(common.cluster, &common.node, common.durability)?;
        live.former_ids = self.other_ids(&settings.name);
        live.mode = self.mode(settings);
        let failed = |source| ServerError::Folder {
            folder: settings.name.clone(),
            source,
        };
        if let Some(known) = &common.known_roots {
            known.check(&settings.location()).map_err(failed)?;
        }
        let listener = FolderListener {
            node: common.node.clone(),
            folder: settings.name.clone(),
            hub: Arc::clone(&common.hub),
            notices: Arc::clone(&common.notices),
            changed: Arc::clone(&common.changed),
        };
        let tracker =
            FilesystemTracker::open(live, common.handlers.clone(), Some(Arc::new(listener)));
        let tracker = tracker.map_err(failed)?;
        if let Some(known) = &common.known_roots {
            known.note(&settings.directory);
        }
        let replica = Arc::new(tracker.folder().clone());
        Ok(Running::Open {
            tracker: Arc::new(tracker),
            replica,
        })
    }

    fn other_ids(&self, name: &FolderName) -> Vec<FolderId> {
        let accepted = self.common.accepted.iter();
        accepted.map(|cluster| folder_id(*cluster, name)).collect()
    }

    fn by_id(&self, id: FolderId) -> Option<Arc<FolderRow>> {
        let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        let other = || rows.values().find(|row| row.other_ids.contains(&id));
        rows.get(&id).or_else(other).map(Arc::clone)
    }

    /// A node that may only receive does not try to send.
    fn mode(&self, settings: &FolderSettings) -> FolderMode {
        match (self.common.role, settings.mode) {
            (Role::ReadOnly, FolderMode::ReadWrite) => FolderMode::ReceiveOnly,
            (_, mode) => mode,
        }
    }

    /// Opens a folder that could not be opened before.
    pub(crate) fn retry(&self, row: &FolderRow) -> Result<(), ServerError> {
        let _opening = row.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if row.tracker().is_some() {
            return Ok(());
        }
        let before = row.again().map(|again| again.pause);
        let opened = self.open(&row.settings);
        let mut running = row.running.write().unwrap_or_else(PoisonError::into_inner);
        match opened {
            Ok(open) => {
                *running = open;
                Ok(())
            }
            Err(error) => {
                *running = Running::failed(&error, before);
                Err(error)
            }
        }
    }

    /// Opens the folders that could not be opened before for a reason that may be gone, if it is time. Only what was a
    /// replica before is opened: an empty directory may be one in which a disk is about to be mounted. Tells whether any is
    /// open now.
    pub(crate) fn retry_due(&self) -> bool {
        let now = Instant::now();
        let mut opened = false;
        for row in self.all() {
            let is_due = row.again().is_some_and(|again| again.at <= now);
            if is_due && !inspect::has_state(&row.settings.location()) {
                row.put_off(now);
            } else if is_due {
                let folder = &row.settings.name;
                match self.retry(&row) {
                    Ok(()) => {
                        tracing::info!(%folder, "the folder is open now");
                        opened = true;
                    }
                    Err(error) => tracing::debug!(%folder, %error, "it still cannot be opened"),
                }
            }
        }
        opened
    }

    /// Takes the directory of a folder that could not be opened, because it is not the one that it was, for a new root. Returns
    /// whether there was such a doubt.
    pub(crate) fn admit(&self, row: &FolderRow) -> Result<bool, ServerError> {
        let running = row.running.read().unwrap_or_else(PoisonError::into_inner);
        let in_doubt = matches!(
            &*running,
            Running::Failed {
                is_replaced: true,
                ..
            }
        );
        drop(running);
        if !in_doubt {
            return Ok(false);
        }
        let approved = inspect::approve(&row.settings.location());
        approved.map_err(|source| ServerError::Folder {
            folder: row.settings.name.clone(),
            source,
        })?;
        self.retry(row)?;
        Ok(true)
    }

    /// Stops a folder, and forgets it.
    pub(crate) fn stop(&self, name: &FolderName) {
        let id = folder_id(self.common.cluster, name);
        let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        let row = rows.remove(&id);
        drop(rows);
        if let Some(tracker) = row.and_then(|row| row.tracker()) {
            tracker.stop();
        }
    }

    /// All folders, by name.
    pub(crate) fn all(&self) -> Vec<Arc<FolderRow>> {
        let rows = self.rows.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = rows.values().map(Arc::clone).collect();
        all.sort_by(|one, other| one.settings.name.cmp(&other.settings.name));
        all
    }

    /// A folder by its name.
    pub(crate) fn named(&self, name: &str) -> Result<Arc<FolderRow>, ServerError> {
        let all = self.all();
        let known = || all.iter().map(|row| row.settings.name.clone()).collect();
        let found = all.iter().find(|row| row.settings.name.as_str() == name);
        found
            .map(Arc::clone)
            .ok_or_else(|| ServerError::UnknownFolder {
                folder: name.to_owned(),
                known: known(),
            })
    }

    /// The folder that a path of this machine lies in, and where.
    pub(crate) fn holding(&self, path: &Path) -> Option<(Arc<FolderRow>, RelPath)> {
        self.all().into_iter().find_map(|row| {
            let inside = row.inside(path)?;
            Some((row, inside))
        })
    }
}

/// Notes in the log that a folder could not be opened.
pub(super) fn log_halt(error: &ServerError) {
    let reason = reason(error);
    tracing::error!(reason, "a folder is halted, the others go on");
}

fn reason(error: &ServerError) -> String {
    match error.hint() {
        Some(hint) => format!("{error}; {hint}"),
        None => error.to_string(),
    }
}

impl Folders for FolderTable {
    fn replica(&self, folder: FolderId) -> Option<Arc<dyn Replica>> {
        let row = self.by_id(folder)?;
        let running = row.running.read().unwrap_or_else(PoisonError::into_inner);
        match &*running {
            Running::Open { replica, .. } => Some(Arc::clone(replica)),
            Running::Failed { .. } => None,
        }
    }

    fn offered(&self, cluster: ClusterId) -> Vec<(FolderId, FolderName, FolderMode)> {
        let rows = self.all();
        let active = rows.iter().filter(|row| row.is_active());
        active
            .map(|row| {
                let name = row.settings.name.clone();
                let id = folder_id(cluster, &name);
                (id, name, self.mode(&row.settings))
            })
            .collect()
    }

    fn asked_for(&self, folder: FolderId, peer: &NodeName, path: &RelPath) {
        let Some(row) = self.by_id(folder) else {
            return;
        };
        let folder = Some(row.settings.name.clone());
        let event = Event {
            network_source: Some(peer.to_string()),
            ..Event::here(peer.as_str(), EventName::FileRequest, path.clone())
        };
        self.common.hub.push(FolderEventRecord { folder, event });
    }
}

impl FolderRow {
    /// The tracker, if the folder could be opened.
    pub(crate) fn tracker(&self) -> Option<Arc<FilesystemTracker>> {
        let running = self.running.read().unwrap_or_else(PoisonError::into_inner);
        match &*running {
            Running::Open { tracker, .. } => Some(Arc::clone(tracker)),
            Running::Failed { .. } => None,
        }
    }

    /// When it is tried again by itself, if it could not be opened.
    fn again(&self) -> Option<Retry> {
        let running = self.running.read().unwrap_or_else(PoisonError::into_inner);
        match &*running {
            Running::Failed { again, .. } => *again,
            Running::Open { .. } => None,
        }
    }

    /// Waits as long as before for the next attempt.
    fn put_off(&self, now: Instant) {
        let mut running = self.running.write().unwrap_or_else(PoisonError::into_inner);
        if let Running::Failed {
            again: Some(again), ..
        } = &mut *running
        {
            again.at = now + again.pause;
        }
    }

    /// Whether it talks with peers: one that is paused or halted does not.
    fn is_active(&self) -> bool {
        let state = self.tracker().map(|tracker| tracker.status().state);
        matches!(
            state,
            Some(FolderState::InitialScan | FolderState::JoiningCluster | FolderState::Online)
        )
    }

    /// How it stands.
    pub(crate) fn report(&self) -> FolderReport {
        let running = self.running.read().unwrap_or_else(PoisonError::into_inner);
        let (state, detail) = match &*running {
            Running::Open { tracker, .. } => {
                let status = tracker.status();
                (status.state.clone(), Some(status))
            }
            Running::Failed { reason, .. } => {
                let reason = reason.clone();
                (FolderState::Halted { reason }, None)
            }
        };
        // Whoever asks may be in another directory.
        let directory = std::path::absolute(&self.settings.directory);
        FolderReport {
            name: self.settings.name.clone(),
            directory: directory.unwrap_or_else(|_| self.settings.directory.clone()),
            mode: self.mode,
            state,
            detail,
        }
    }

    /// What it holds now, and what it held before that.
    pub(crate) fn states(&self) -> (DirTreeMap, DirTreeMap) {
        let now = self.tracker().map(|tracker| tracker.snapshot());
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(now) = now
            && now != states.current
        {
            states.previous = std::mem::replace(&mut states.current, now);
        }
        (states.previous.clone(), states.current.clone())
    }

    /// The path within the folder of a path of this machine, if it lies there.
    fn inside(&self, path: &Path) -> Option<RelPath> {
        let root = self.settings.directory.canonicalize().ok()?;
        let whole = resolved(path)?;
        let inside = whole.strip_prefix(root).ok()?;
        RelPath::new(inside.as_os_str().as_encoded_bytes()).ok()
    }
}

/// A path with its directory, as far as it exists, free of symbolic links.
fn resolved(path: &Path) -> Option<PathBuf> {
    let whole = std::path::absolute(path).ok()?;
    let above = whole.ancestors().skip(1);
    for directory in above {
        if let Ok(found) = directory.canonicalize() {
            return Some(found.join(whole.strip_prefix(directory).ok()?));
        }
    }
    Some(whole)
}

/// Passes on what a folder tells.
struct FolderListener {
    node: NodeName,
    folder: FolderName,
    hub: Arc<Hub>,
    notices: Arc<Notices>,
    changed: Arc<Notify>,
}

impl Listener for FolderListener {
    fn event(&self, event: FolderEvent) {
        let folder = &self.folder;
        if matches!(event, FolderEvent::State(_)) {
            self.changed.notify_one();
        }
        match event {
            // That the root itself is there is no news.
            FolderEvent::Changed(change)
                if change.path.is_root() && change.action == ChangeAction::Created => {}
            FolderEvent::Changed(change) => self.hub.push(FolderEventRecord {
                folder: Some(folder.clone()),
                event: self.translate(change),
            }),
            FolderEvent::Conflict { path, copy } => {
                tracing::warn!(%folder, ?path, ?copy, "a conflict was kept as a copy");
                self.notices.conflict(folder, path, copy);
            }
            FolderEvent::State(FolderState::Halted { reason }) => {
                tracing::error!(%folder, reason, "the folder is halted");
            }
            FolderEvent::State(state) => {
                let status = ServerStatus::of_folder(&state);
                tracing::info!(%folder, %status, "the folder is in another state");
            }
            FolderEvent::Warning(warning) => tracing::warn!(%folder, "{warning}"),
        }
    }
}

impl FolderListener {
    fn translate(&self, change: PathChange) -> Event {
        let (source, network_source) = match change.origin {
            ChangeOrigin::Here => (self.node.to_string(), None),
            ChangeOrigin::Elsewhere { node, through } => (node, Some(through)),
        };
        let (name, source_path) = match (change.action, &network_source) {
            (ChangeAction::Created, _) => (EventName::Create, None),
            (ChangeAction::Updated, _) => (EventName::Write, None),
            (ChangeAction::Deleted, _) => (EventName::Remove, None),
            (ChangeAction::MovedOut, _) => (EventName::Rename, None),
            (ChangeAction::Renamed { from }, None) => (EventName::Rename, Some(from)),
            (ChangeAction::Renamed { from }, Some(_)) => (EventName::TrackerRename, Some(from)),
        };
        Event {
            source,
            name,
            path: change.path,
            source_path,
            time: system_time(change.time),
            is_directory: change.kind == ItemKind::Directory,
            network_source,
        }
    }
}

fn system_time(time: Timestamp) -> SystemTime {
    let seconds = Duration::from_secs(time.seconds.unsigned_abs());
    let whole = match time.seconds >= 0 {
        true => SystemTime::UNIX_EPOCH.checked_add(seconds),
        false => SystemTime::UNIX_EPOCH.checked_sub(seconds),
    };
    let nanoseconds = Duration::from_nanos(time.nanoseconds.into());
    whole
        .and_then(|whole| whole.checked_add(nanoseconds))
        .unwrap_or(SystemTime::UNIX_EPOCH)
}
