//! The node itself.
//!
//! Goals: a handle that can be cloned, asked how the node stands, told to change and to stop, from anywhere.
//! Non-goals: how any of that is shown.

mod bandwidth;
mod boot;
mod builder;
mod error;
mod folders;
mod hub;
mod managed;
mod notices;
mod peers;
mod reopening;
mod serve;
mod status;
mod steering;
mod systemd;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use replicat_net::{
    BandwidthLimit, ClusterId, ClusterKey, Endpoint, Identity, NodeName, RateLimiter,
};
use tokio::sync::watch;

use crate::control::service::Service;
use crate::settings::{FolderName, Settings};
use crate::storage::{DirTreeMap, Event, EventName, FilesystemTracker};
use crate::workers::{WorkerState, WorkerStatus, Workers};
use boot::Boot;
use folders::FolderTable;
use hub::Hub;
use managed::Managed;
use notices::Notices;
use peers::Peers;

pub use builder::ServerBuilder;
pub use error::ServerError;
pub use hub::FolderEventRecord;
pub use managed::{CacheError, ManagedError};
pub use serve::{ReadSettings, Reloaded, ServeOptions, Started, bootstrap_and_serve, serve};
pub use status::{FolderReport, LinkStatus, Node, NodeStatus, ServerReport, ServerStatus};

/// The servers of this process, for [`send_event`].
static SERVERS: Mutex<Vec<Weak<Inner>>> = Mutex::new(Vec::new());

/// A node that runs. Clones are handles of one node; it goes on until [`ReplicatServer::shutdown`].
///
/// ```
/// use replicat_server::{ClusterKey, ReplicatServer, ServerStatus};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let place = tempfile::tempdir()?;
/// std::fs::write(place.path().join("page"), "hello")?;
/// let server = ReplicatServer::builder()
///     .name("office".parse()?)
///     .address("127.0.0.1:0")
///     .cluster_key(ClusterKey::generate()?)
///     .folder("site".parse()?, place.path())
///     .start()
///     .await?;
/// assert_eq!(server.name().as_str(), "office");
/// assert!(server.address().is_some());
/// let state = &server.current_state()[&"site".parse()?];
/// assert_eq!(state.file_paths().count(), 1);
/// server.shutdown().await;
/// assert_eq!(server.status(), ServerStatus::Offline);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ReplicatServer {
    inner: Arc<Inner>,
}

/// What the handles of a node share.
pub(crate) struct Inner {
    identity: Identity,
    key: Option<ClusterKey>,
    endpoint: Endpoint,
    folders: Arc<FolderTable>,
    peers: Arc<Peers>,
    managed: Option<Arc<Managed>>,
    hub: Arc<Hub>,
    notices: Arc<Notices>,
    workers: Workers,
    limiter: RateLimiter,
    limit: watch::Sender<Option<BandwidthLimit>>,
    settings: Mutex<Settings>,
    /// What the node was started with.
    boot: Boot,
    /// One change of the settings at a time.
    applying: tokio::sync::Mutex<()>,
    started: SystemTime,
    stopped: watch::Sender<bool>,
    socket: Mutex<Option<Service>>,
}

fn register(inner: &Arc<Inner>) {
    let mut servers = SERVERS.lock().unwrap_or_else(PoisonError::into_inner);
    servers.retain(|server| server.strong_count() > 0);
    servers.push(Arc::downgrade(inner));
}

/// Hands a change to the peers, so that they replicate it: `full_path`, which lies in a folder of a server of this
/// process, is looked at now, and what it holds is told to all peers. Nobody need wait for the system to tell of it.
///
/// A `replicat.Catalog` has the whole folder looked at. Of a rename, the path before is looked at as well.
///
/// ```
/// use std::path::Path;
/// use replicat_server::{Event, EventName, RelPath, ServerError, send_event};
///
/// let event = Event::here("office", EventName::Write, RelPath::new(b"page")?);
/// let error = send_event(&event, Path::new("/no/such/folder/page"));
/// assert!(matches!(error, Err(ServerError::NotTracked { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`ServerError::NotTracked`] if the path is in no folder of a server of this process.
pub fn send_event(event: &Event, full_path: &Path) -> Result<(), ServerError> {
    let servers = SERVERS.lock().unwrap_or_else(PoisonError::into_inner);
    let servers: Vec<_> = servers.iter().filter_map(Weak::upgrade).collect();
    let holding = servers
        .iter()
        .find_map(|server| server.folders.holding(full_path));
    let (row, path) = holding.ok_or_else(|| ServerError::NotTracked {
        path: full_path.to_owned(),
    })?;
    let paths = match event.name {
        EventName::Catalog => Vec::new(),
        _ => std::iter::once(path)
            .chain(event.source_path.clone())
            .collect(),
    };
    if let Some(tracker) = row.tracker() {
        tracker.rescan(paths);
    }
    Ok(())
}

impl ReplicatServer {
    /// Puts a server together.
    #[must_use]
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }

    pub(crate) fn from_inner(inner: Arc<Inner>) -> Self {
        Self { inner }
    }

    /// The name of the node.
    #[must_use]
    pub fn name(&self) -> &NodeName {
        self.inner.identity.name()
    }

    /// Where it listens; `None` if it only dials.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.inner.endpoint.local_address()
    }

    /// The secret of its cluster, if it holds it.
    #[must_use]
    pub fn cluster_key(&self) -> Option<&ClusterKey> {
        self.inner.key.as_ref()
    }

    /// The public id of its cluster.
    #[must_use]
    pub fn cluster_id(&self) -> ClusterId {
        self.inner.identity.cluster_id()
    }

    /// What each folder holds now. The directories are walked.
    #[must_use]
    pub fn current_state(&self) -> BTreeMap<FolderName, DirTreeMap> {
        self.states(|(_, current)| current)
    }

    /// What each folder held before that, as far as it was asked: the state that the current one took the place of.
    #[must_use]
    pub fn previous_state(&self) -> BTreeMap<FolderName, DirTreeMap> {
        self.states(|(previous, _)| previous)
    }

    fn states(
        &self,
        choose: impl Fn((DirTreeMap, DirTreeMap)) -> DirTreeMap,
    ) -> BTreeMap<FolderName, DirTreeMap> {
        let rows = self.inner.folders.all();
        rows.iter()
            .map(|row| (row.settings.name.clone(), choose(row.states())))
            .collect()
    }

    /// What it is doing.
    #[must_use]
    pub fn status(&self) -> ServerStatus {
        if *self.inner.stopped.borrow() {
            return ServerStatus::Offline;
        }
        let folders = self.folders();
        let folders = folders
            .iter()
            .map(|row| ServerStatus::of_folder(&row.state));
        ServerStatus::of_node(&folders.collect::<Vec<_>>())
    }

    /// How its folders stand, by name.
    #[must_use]
    pub fn folders(&self) -> Vec<FolderReport> {
        let rows = self.inner.folders.all();
        rows.iter().map(|row| row.report()).collect()
    }

    /// How its peers stand.
    #[must_use]
    pub fn nodes(&self) -> Vec<Node> {
        self.inner.peers.nodes()
    }

    /// The last connection that was turned away, and why.
    #[must_use]
    pub fn last_refused(&self) -> Option<String> {
        self.inner.peers.last_refused()
    }

    /// What works in it.
    #[must_use]
    pub fn workers(&self) -> Vec<WorkerStatus> {
        let mut workers = self.inner.workers.status();
        for folder in self.folders() {
            let queue = folder.detail.as_ref().map_or(0, |detail| detail.queue);
            let is_working = queue > 0 || folder.detail.is_some_and(|detail| detail.pending > 0);
            workers.push(WorkerStatus {
                name: format!("folder {}", folder.name),
                state: match is_working {
                    true => WorkerState::Working,
                    false => WorkerState::Waiting,
                },
                queue,
            });
        }
        workers
    }

    /// The settings that it goes by.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.inner.settings()
    }

    /// How it stands, as a whole.
    #[must_use]
    pub fn report(&self) -> ServerReport {
        ServerReport {
            name: self.name().clone(),
            address: self.address().map(|address| address.to_string()),
            cluster: self.cluster_id().to_string(),
            status: self.status(),
            started: self.inner.started,
            folders: self.folders(),
            nodes: self.nodes(),
            workers: self.workers(),
            bandwidth: self.inner.limiter.rate().map(std::num::NonZeroU64::get),
        }
    }

    /// The storage of a folder.
    ///
    /// # Errors
    /// If there is no such folder. `Ok(None)` if it could not be opened.
    pub fn storage(&self, folder: &str) -> Result<Option<Arc<FilesystemTracker>>, ServerError> {
        Ok(self.inner.folders.named(folder)?.tracker())
    }

    /// The events from number `from` on, as far as they are kept, and the number of the next one. Waits up to
    /// `patience` if there are none; `None` once the server has stopped.
    #[must_use]
    pub fn events_since(
        &self,
        from: u64,
        patience: Duration,
    ) -> Option<(Vec<FolderEventRecord>, u64)> {
        self.inner.hub.since(from, patience)
    }

    /// Hands a change to the peers, see [`send_event`].
    ///
    /// # Errors
    /// [`ServerError::NotTracked`] if the path is in no folder of this server.
    pub fn send_event(&self, event: &Event, full_path: &Path) -> Result<(), ServerError> {
        match self.inner.folders.holding(full_path) {
            Some(_) => send_event(event, full_path),
            None => Err(ServerError::NotTracked {
                path: full_path.to_owned(),
            }),
        }
    }

    /// Stops: folders finish what they began, peers are told, the socket goes.
    pub async fn shutdown(&self) {
        let inner = &self.inner;
        if inner.stopped.send_replace(true) {
            return;
        }
        inner.drop_socket();
        inner.endpoint.close("the node stops").await;
        let folders = Arc::clone(&inner.folders);
        let stopped = tokio::task::spawn_blocking(move || {
            for row in folders.all() {
                if let Some(tracker) = row.tracker() {
                    tracker.stop();
                }
            }
        });
        if stopped.await.is_err() {
            tracing::error!("a folder panicked while it stopped");
        }
        inner.hub.close();
        inner.notices.finish().await;
    }

    /// Waits until somebody stops it.
    pub async fn stopped(&self) {
        let mut stopped = self.inner.stopped.subscribe();
        // The sender lives as long as this handle.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    }
}

impl Inner {
    pub(crate) fn settings(&self) -> Settings {
        let settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        settings.clone()
    }

    fn set_settings(&self, settings: Settings) {
        let mut current = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        *current = settings;
    }

    fn keep_socket(&self, service: Service) {
        *self.socket.lock().unwrap_or_else(PoisonError::into_inner) = Some(service);
    }

    fn drop_socket(&self) {
        let mut socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        drop(socket.take());
    }
}
