//! The greeting after TLS, from both sides: it ends in a link, a bulk lane of a link, or a refusal.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::certificate::Certificate;
use crate::error::ConnectError;
use crate::greeting::{
    ADDRESS_BYTES_MAX, Greeting, Received, Refusal, RefusalCode, negotiate, printable, read,
    write_greeting,
};
use crate::lane::LaneCore;
use crate::link::{Instance, LinkCore, LinkId, Order, PeerDescription, Side};
use crate::name::ClusterId;
use crate::shared::Shared;
use crate::stream::Stream;
use crate::supervisor::Supervisor;

/// Greets and expects a greeting.
pub(crate) async fn greet(
    stream: &mut Stream,
    greeting: Greeting,
) -> Result<Greeting, ConnectError> {
    // A write that fails may have an answer to read: why the peer hung up.
    let written = write_greeting(stream, greeting).await;
    match (read(stream).await, written) {
        (Ok(Received::Greeting(greeting)), Ok(())) => Ok(*greeting),
        (Ok(Received::Refusal(refusal)), _) => Err(ConnectError::RefusedByPeer(refusal)),
        (Err(error), _) | (Ok(_), Err(error)) => Err(ConnectError::from_stream(error)),
    }
}

/// Expects the greeting of a peer that dialled.
pub(crate) async fn await_greeting(stream: &mut Stream) -> Result<Greeting, ConnectError> {
    match read(stream).await {
        Ok(Received::Greeting(greeting)) => Ok(*greeting),
        Ok(Received::Refusal(refusal)) => Err(ConnectError::RefusedByPeer(refusal)),
        Err(error) => Err(ConnectError::from_stream(error)),
    }
}

/// What a greeting says once it is checked against the certificate and what both speak. `cluster` is that of the acceptor's
/// certificate.
pub(crate) fn describe(
    shared: &Shared,
    stream: &Stream,
    certificate: &Certificate,
    greeting: &Greeting,
    cluster: ClusterId,
) -> Result<PeerDescription, Refusal> {
    let malformed = |what: &str| Refusal::new(RefusalCode::Malformed, what);
    let own = shared.identity.load();
    let version = negotiate(&shared.config.versions, own.name().as_str(), greeting)?;
    let address = stream.get_ref().0.tcp().peer_addr();
    let address = address.map_err(|_| malformed("the connection is gone"))?;
    let instance = instance(greeting).ok_or_else(|| malformed("the greeting has no instance"))?;
    if instance == shared.instance {
        return Err(Refusal::new(
            RefusalCode::SelfConnection,
            format!(
                "node {} reached itself: take its own address out of its list of nodes",
                own.name()
            ),
        ));
    }
    let name = &certificate.peer.name;
    if name == own.name() {
        return Err(Refusal::new(
            RefusalCode::NameTaken,
            format!("both nodes are called {name}: give each node a name of its own"),
        ));
    }
    if greeting.name != name.as_str() || greeting.address.len() > ADDRESS_BYTES_MAX {
        return Err(malformed("the greeting does not fit the certificate"));
    }
    Ok(PeerDescription {
        identity: certificate.peer.clone(),
        cluster,
        shows: certificate.cluster,
        address,
        advertised: Some(printable(&greeting.address)).filter(|text| !text.is_empty()),
        software: printable(&greeting.software),
        features: greeting.features.clone(),
        version,
        instance,
        sequence: greeting.sequence,
        expires: certificate.not_after,
    })
}

pub(crate) fn instance(greeting: &Greeting) -> Option<Instance> {
    greeting.instance[..].try_into().ok().map(Instance)
}

pub(crate) fn link_id(greeting: &Greeting) -> Option<LinkId> {
    greeting.link[..].try_into().ok().map(LinkId)
}

/// A link that is not running yet.
pub(crate) struct NewLink {
    pub(crate) core: Arc<LinkCore>,
    orders: mpsc::UnboundedReceiver<Order>,
}

impl NewLink {
    pub(crate) fn new(
        shared: &Shared,
        side: Side,
        id: LinkId,
        peer: PeerDescription,
        greeting: &Greeting,
    ) -> Self {
        let (sender, orders) = mpsc::unbounded_channel();
        let theirs = u8::try_from(greeting.bulk_lanes).unwrap_or(u8::MAX);
        let bulk_lanes = shared.config.bulk_lanes.min(theirs);
        let lane = |_| LaneCore::new(shared.config.queue_bytes_max);
        let core = Arc::new(LinkCore {
            id,
            peer,
            side,
            lanes: (0..=bulk_lanes).map(lane).collect(),
            frame_bytes_max: shared.config.frame_bytes_max.min(greeting.frame_bytes_max),
            payload: Default::default(),
            wire: Default::default(),
            round_trip: Default::default(),
            orders: sender,
            draining: CancellationToken::new(),
            stopped: CancellationToken::new(),
            end: OnceLock::new(),
            challenged: watch::Sender::new(false),
            runtime: shared.runtime.clone(),
            began: Instant::now(),
        });
        Self { core, orders }
    }

    /// Runs the link on its control connection, once it is in the registry. From here on its task
    /// sees to it that it leaves the registry.
    pub(crate) fn start(self, shared: &Arc<Shared>, control: Control) {
        let supervisor = Supervisor::new(shared.clone(), self.core, self.orders);
        shared.tasks.spawn(supervisor.run(control));
    }
}

/// The control connection of a new link.
pub(crate) enum Control {
    /// Both have greeted.
    Greeted(Stream),
    /// This greeting is to be sent first.
    Greeting(Stream, Greeting),
}
