//! The endpoint: what a node listens and dials with.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use arc_swap::ArcSwap;
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::accept::listen;
use crate::config::EndpointConfig;
use crate::dial::{PeerAddress, keep_dialling, random};
use crate::error::{EndpointError, LinkEnd};
use crate::event::{EventSender, Events, events};
use crate::gate::Gate;
use crate::greeting::{ADDRESS_BYTES_MAX, FEATURES_BYTES_MAX};
use crate::identity::Identity;
use crate::link::Instance;
use crate::name::{NodeName, PeerIdentity};
use crate::reception::Reception;
use crate::registry::Registry;
use crate::shared::Shared;
use crate::tls::Tls;

/// What a node listens and dials with. Clones are handles on the same endpoint; it stops when the
/// last one is dropped.
#[derive(Clone)]
pub struct Endpoint {
    shared: Arc<Shared>,
    dialled: Arc<Mutex<HashMap<PeerAddress, DropGuard>>>,
    local_address: Option<SocketAddr>,
    _stop: Arc<DropGuard>,
}

impl Endpoint {
    /// Listens, if the configuration says so. What happens is told by the events.
    ///
    /// # Errors
    /// If the address cannot be listened on, or the certificate cannot be used.
    pub async fn bind(
        identity: Identity,
        config: EndpointConfig,
    ) -> Result<(Self, Events), EndpointError> {
        let runtime = Handle::try_current().map_err(|_| EndpointError::NoRuntime)?;
        check(&config)?;
        let listener = match &config.listen {
            Some(address) => Some(listen_on(address).await?),
            None => None,
        };
        let local_address = listener.as_ref().map(|(_, address)| *address);
        let (sender, receiver) = events();
        let shared = Arc::new(shared(runtime, identity, config, sender)?);
        if let Some((listener, _)) = listener {
            shared.tasks.spawn(listen(shared.clone(), listener));
        }
        let endpoint = Self {
            _stop: Arc::new(shared.stopping.clone().drop_guard()),
            shared,
            dialled: Arc::default(),
            local_address,
        };
        Ok((endpoint, receiver))
    }

    /// The address that it listens on, with the port that was taken; `None` if it only dials.
    #[must_use]
    pub fn local_address(&self) -> Option<SocketAddr> {
        self.local_address
    }

    /// Keeps a link to this peer up from now on. To dial what is dialled already changes nothing.
    pub fn dial(&self, peer: PeerAddress) {
        let mut dialled = self.dialled.lock().unwrap_or_else(PoisonError::into_inner);
        if dialled.contains_key(&peer) {
            return;
        }
        let stop = self.shared.stopping.child_token();
        dialled.insert(peer.clone(), stop.clone().drop_guard());
        let dialling = keep_dialling(self.shared.clone(), peer);
        self.shared.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = dialling => {}
            }
        });
    }

    /// Dials this peer no more. A link that is up stays.
    pub fn stop_dialling(&self, peer: &PeerAddress) {
        let mut dialled = self.dialled.lock().unwrap_or_else(PoisonError::into_inner);
        dialled.remove(peer);
    }

    /// Sets who may connect, among those who prove an identity of this cluster. It is asked for each
    /// connection, so it should be quick; links that are up stay, see [`Endpoint::disconnect`].
    pub fn set_admission(
        &self,
        admission: impl Fn(&PeerIdentity) -> Result<(), String> + Send + Sync + 'static,
    ) {
        let mut current = self
            .shared
            .admission
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(admission);
    }

    /// Has strangers answered from now on, who have no certificate: each asks one question on a connection, and gets one
    /// answer. The endpoint bounds how many ask at a time, how long that takes, and how long question and answer are: see
    /// [`QUESTION_BYTES_MAX`](crate::QUESTION_BYTES_MAX) and [`ANSWER_BYTES_MAX`](crate::ANSWER_BYTES_MAX).
    pub fn set_reception<F>(&self, answer: impl Fn(Bytes) -> F + Send + Sync + 'static)
    where
        F: Future<Output = Bytes> + Send + 'static,
    {
        let reception: Arc<Reception> = Arc::new(move |question| Box::pin(answer(question)));
        let mut current = self
            .shared
            .reception
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *current = Some(reception);
    }

    /// Ends the link to a node at once. What was sent and not yet delivered is dropped.
    pub fn disconnect(&self, name: &NodeName, reason: &str) {
        if let Some(core) = self.shared.registry.get(name) {
            core.stop(LinkEnd::Closed(reason.to_owned()));
        }
    }

    /// Shows another certificate of this node to peers from now on.
    ///
    /// # Errors
    /// If it is of another node or cluster.
    pub fn set_identity(&self, identity: Identity) -> Result<(), EndpointError> {
        let current = self.shared.identity.load();
        if identity.name() != current.name() || identity.authority != current.authority {
            return Err(EndpointError::OtherIdentity);
        }
        self.shared.present(current.renewed(identity));
        Ok(())
    }

    /// The identity that is shown to peers now.
    #[must_use]
    pub fn identity(&self) -> Identity {
        Identity::clone(&self.shared.identity.load())
    }

    /// Closes all links, after what was sent is delivered or the close deadline is over, and stops.
    pub async fn close(&self, reason: &str) {
        let shared = &self.shared;
        self.dialled
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        let links = shared.registry.all();
        for link in &links {
            link.close(reason);
        }
        for link in &links {
            link.stopped.cancelled().await;
        }
        shared.stopping.cancel();
        shared.tasks.close();
        shared.tasks.wait().await;
    }
}

fn check(config: &EndpointConfig) -> Result<(), EndpointError> {
    let advertised = config.advertised.as_deref().unwrap_or_default();
    for (setting, bytes, max) in [
        ("features", config.features.len(), FEATURES_BYTES_MAX),
        (
            "the advertised address",
            advertised.len(),
            ADDRESS_BYTES_MAX,
        ),
    ] {
        if bytes > max {
            return Err(EndpointError::TooLong {
                setting,
                bytes,
                max,
            });
        }
    }
    Ok(())
}

async fn listen_on(address: &str) -> Result<(TcpListener, SocketAddr), EndpointError> {
    let bound = TcpListener::bind(address).await;
    let bound = bound.and_then(|listener| {
        let local_address = listener.local_addr()?;
        Ok((listener, local_address))
    });
    bound.map_err(|source| {
        let address = address.to_owned();
        match source.kind() {
            io::ErrorKind::AddrInUse => EndpointError::AddressInUse { address },
            _ => EndpointError::Listen { address, source },
        }
    })
}

fn shared(
    runtime: Handle,
    identity: Identity,
    config: EndpointConfig,
    events: EventSender,
) -> Result<Shared, EndpointError> {
    let instance = random().map_err(|_| EndpointError::Random)?;
    Ok(Shared {
        advertised: config.advertised.clone().unwrap_or_default(),
        tls: Tls::new(&identity)?,
        identity: ArcSwap::from_pointee(identity),
        instance: Instance(instance),
        registry: Registry::new(events.clone()),
        events,
        admission: RwLock::new(Arc::new(|_: &PeerIdentity| Ok(()))),
        reception: RwLock::default(),
        gate: Gate::new(
            config.unauthenticated_max,
            config.unauthenticated_per_network_max,
        ),
        config,
        runtime,
        stopping: CancellationToken::new(),
        tasks: TaskTracker::new(),
    })
}
