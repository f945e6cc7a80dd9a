//! How a server is put together and started.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use replicat_net::{
    ClusterKey, Endpoint, EndpointConfig, Events, Identity, NodeName, RateLimiter, Role,
};
use tokio::sync::{Notify, mpsc, watch};

use super::boot::Boot;
use super::error::ServerError;
use super::folders::log_halt;
use super::folders::{Common, FolderTable};
use super::hub::Hub;
use super::managed::{self, Managed};
use super::notices::{self, Notices};
use super::peers::{ManagerLinks, Peers};
use super::reopening;
use super::{Inner, ReplicatServer, bandwidth, register};
use replicat_engine::known::KnownRoots;

use crate::control::service;
use crate::settings::{FolderName, FolderSettings, NodeSettings, Settings};
use crate::storage::ChangeHandler;
use crate::workers::Workers;

/// Puts a server together, see [`ReplicatServer::builder`].
#[derive(Default)]
pub struct ServerBuilder {
    settings: Settings,
    handlers: Vec<Arc<dyn ChangeHandler>>,
    identity: Option<Identity>,
    known_roots: Option<KnownRoots>,
}

impl ServerBuilder {
    /// Takes all settings, in place of those given before.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// The name of the node.
    #[must_use]
    pub fn name(mut self, name: NodeName) -> Self {
        self.settings.name = Some(name);
        self
    }

    /// Where to listen, `host:port`; port 0 takes a free one.
    #[must_use]
    pub fn address(mut self, address: impl Into<String>) -> Self {
        self.settings.address = Some(address.into());
        self
    }

    /// The secret that all nodes of the cluster share.
    #[must_use]
    pub fn cluster_key(mut self, key: ClusterKey) -> Self {
        self.settings.cluster_key = Some(key);
        self
    }

    /// A folder to keep in sync, all else about it by default.
    #[must_use]
    pub fn folder(mut self, name: FolderName, directory: impl Into<PathBuf>) -> Self {
        self.settings
            .set_folder(FolderSettings::new(name, directory));
        self
    }

    /// A node to dial.
    #[must_use]
    pub fn node(mut self, name: NodeName, address: impl Into<String>) -> Self {
        self.settings.set_node(NodeSettings {
            name: Some(name),
            address: address.into(),
        });
        self
    }

    /// Who is told of changes in all folders, from the first on.
    #[must_use]
    pub fn change_handler(mut self, handler: Arc<dyn ChangeHandler>) -> Self {
        self.handlers.push(handler);
        self
    }

    /// An identity that was given to this node, in place of one that the cluster key issues.
    #[must_use]
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// Remembers in a directory which roots were opened. One that is empty later is waited for: its disk may be missing.
    #[must_use]
    pub fn known_roots(mut self, directory: PathBuf) -> Self {
        self.known_roots = Some(KnownRoots::new(directory));
        self
    }

    /// Starts the server. A folder that cannot be opened is halted, and the others go on; if there is only one, and no
    /// manager, that is an error. A node with a manager that is not enrolled yet is enrolled first.
    ///
    /// # Errors
    /// If the settings cannot be used, the address is taken, the only folder cannot be opened, or the manager does not
    /// enrol the node.
    pub async fn start(self) -> Result<ReplicatServer, ServerError> {
        self.settings.check()?;
        let boot = Boot::new(&self.settings)?;
        let Origin {
            identity,
            key,
            managed,
            settings,
        } = self.origin().await?;
        let limiter = RateLimiter::unlimited();
        let (endpoint, events) = bind(&settings, identity.clone(), &limiter).await?;
        let (links, manager) = mpsc::unbounded_channel();
        if let Some(managed) = managed.clone() {
            endpoint.set_admission(move |peer| managed.admit(peer));
        }
        let hub = Arc::new(Hub::default());
        let notices = Arc::new(Notices::new(&settings));
        let changed = Arc::new(Notify::new());
        let common = Common {
            cluster: identity.cluster_id(),
            accepted: identity.accepted_clusters(),
            node: identity.name().clone(),
            role: identity.role(),
            durability: settings.durability,
            handlers: self.handlers,
            known_roots: self.known_roots,
            hub: Arc::clone(&hub),
            notices: Arc::clone(&notices),
            changed: Arc::clone(&changed),
        };
        let folders = open_folders(common, &settings).await?;
        let workers = Workers::default();
        let links = (managed.clone()).map(|managed| ManagerLinks { managed, links });
        let peers = Peers::new(
            identity.name().clone(),
            endpoint.clone(),
            Arc::clone(&folders) as Arc<_>,
            Arc::clone(&hub),
            workers.clone(),
            links,
        );
        let (limit, limits) = watch::channel(settings.bandwidth()?);
        let inner = Arc::new(Inner {
            identity,
            key,
            endpoint,
            folders,
            peers,
            managed,
            hub,
            notices,
            workers,
            limiter,
            limit,
            boot,
            settings: Mutex::new(settings),
            applying: tokio::sync::Mutex::default(),
            started: SystemTime::now(),
            stopped: watch::channel(false).0,
            socket: Mutex::new(None),
        });
        start_workers(&inner, events, limits, changed)?;
        if let Some(managed) = inner.managed.clone() {
            let worker = inner.workers.begin("manager");
            let server = Arc::downgrade(&inner);
            tokio::spawn(managed::follow(managed, server, manager, worker));
        }
        register(&inner);
        Ok(ReplicatServer { inner })
    }

    /// Who the node is, and what it goes by.
    async fn origin(&self) -> Result<Origin, ServerError> {
        let address = self.settings.manager_address();
        if let (Some(address), None) = (address, &self.identity) {
            let (identity, managed) = managed::join(&self.settings, address).await?;
            return Ok(Origin {
                identity,
                key: None,
                settings: managed.replace_own(self.settings.clone())?,
                managed: Some(Arc::new(managed)),
            });
        }
        let (identity, key) = self.own_identity()?;
        Ok(Origin {
            identity,
            key,
            settings: self.settings.clone(),
            managed: None,
        })
    }

    fn own_identity(&self) -> Result<(Identity, Option<ClusterKey>), ServerError> {
        if let Some(identity) = &self.identity {
            return Ok((identity.clone(), self.settings.cluster_key.clone()));
        }
        let key = self.settings.load_cluster_key()?;
        let name = self.settings.node_name();
        let issue = |key: &ClusterKey| -> Result<Identity, ServerError> {
            let authority = key.authority()?;
            let name = name.clone();
            Ok(Identity::issue_for_good(&authority, name, Role::ReadWrite)?)
        };
        let accepted = self.settings.load_accepted_keys()?;
        let accepted = accepted.iter().map(issue).collect::<Result<_, _>>()?;
        Ok((issue(&key)?.accepting(accepted), Some(key)))
    }
}

/// Where a node comes from.
struct Origin {
    identity: Identity,
    key: Option<ClusterKey>,
    managed: Option<Arc<Managed>>,
    settings: Settings,
}

async fn bind(
    settings: &Settings,
    identity: Identity,
    limiter: &RateLimiter,
) -> Result<(Endpoint, Events), ServerError> {
    let config = EndpointConfig {
        listen: settings.listen_address(),
        advertised: settings.advertise.clone(),
        limiter: limiter.clone(),
        ..EndpointConfig::default()
    };
    Ok(Endpoint::bind(identity, config).await?)
}

/// Opens all folders, on a thread that may wait for disks.
async fn open_folders(
    common: Common,
    settings: &Settings,
) -> Result<Arc<FolderTable>, ServerError> {
    let wanted = settings.folders.clone();
    // A manager is to see that the only folder is halted, and may place others.
    let has_manager = settings.manager_address.is_some();
    let opened = tokio::task::spawn_blocking(move || {
        let table = FolderTable::new(common);
        match <[_; 1]>::try_from(wanted) {
            Ok([only]) if has_manager => table.start_or_halt(only),
            Ok([only]) => match table.start(only) {
                // Its disk may be mounted later.
                Err(error) if error.is_root_replaced() => log_halt(&error),
                started => started?,
            },
            Err(several) => several
                .into_iter()
                .for_each(|folder| table.start_or_halt(folder)),
        }
        Ok(Arc::new(table))
    });
    opened.await.map_err(|error| ServerError::System {
        action: "open the folders",
        source: std::io::Error::other(error),
    })?
}

fn start_workers(
    inner: &Arc<Inner>,
    events: Events,
    limits: watch::Receiver<Option<replicat_net::BandwidthLimit>>,
    changed: Arc<Notify>,
) -> Result<(), ServerError> {
    let settings = inner.settings();
    if let Some(path) = &settings.control_socket {
        let service = service::start(path, Arc::downgrade(inner), &inner.workers)?;
        inner.keep_socket(service);
    }
    let watching = notices::follow(Arc::clone(&inner.notices), Arc::downgrade(inner));
    tokio::spawn(watching);
    tokio::spawn(reopening::follow(Arc::downgrade(inner)));
    tokio::spawn(Arc::clone(&inner.peers).follow(events));
    tokio::spawn(Arc::clone(&inner.peers).follow_folders(changed, inner.stopped.subscribe()));
    let (limiter, workers) = (inner.limiter.clone(), inner.workers.clone());
    tokio::spawn(bandwidth::follow(limiter, limits, workers));
    inner.peers.dial(&settings.nodes);
    Ok(())
}
