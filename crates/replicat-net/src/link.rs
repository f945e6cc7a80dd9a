//! A link: all that connects this node to one peer.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::error::LinkEnd;
use crate::lane::{Lane, LaneCore, PayloadCounters};
use crate::meter::WireCounters;
use crate::name::{ClusterId, PeerIdentity};
use crate::stream::Stream;

/// Which end made the connections of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// This node dialled.
    Dialler,
    /// The peer dialled.
    Acceptor,
}

/// What a peer says of itself in its greeting; of this, TLS proves the identity alone.
#[derive(Debug, Clone)]
pub(crate) struct PeerDescription {
    pub(crate) identity: PeerIdentity,
    /// The cluster of the link.
    pub(crate) cluster: ClusterId,
    /// The cluster of the certificate that the peer shows.
    pub(crate) shows: ClusterId,
    pub(crate) address: SocketAddr,
    pub(crate) advertised: Option<String>,
    pub(crate) software: String,
    pub(crate) features: Bytes,
    pub(crate) version: u32,
    pub(crate) instance: Instance,
    pub(crate) sequence: u64,
    pub(crate) expires: SystemTime,
}

/// A run of a process, by 128 random bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Instance(pub(crate) [u8; 16]);

/// A link, by 128 random bits of its dialler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LinkId(pub(crate) [u8; 16]);

/// What the task of a link is asked to do.
pub(crate) enum Order {
    /// Use this connection for a lane.
    Attach { lane: usize, stream: Box<Stream> },
    /// Dial a connection for a lane.
    Open { lane: usize },
}

/// What handles, lanes, the task of the link and the registry share.
pub(crate) struct LinkCore {
    pub(crate) id: LinkId,
    pub(crate) peer: PeerDescription,
    pub(crate) side: Side,
    pub(crate) lanes: Vec<LaneCore>,
    pub(crate) frame_bytes_max: u32,
    pub(crate) payload: PayloadCounters,
    pub(crate) wire: Mutex<Vec<Arc<WireCounters>>>,
    /// Of the last answered ping, in microseconds; 0 if there was none.
    pub(crate) round_trip: AtomicU64,
    pub(crate) orders: mpsc::UnboundedSender<Order>,
    /// Cancelled when this node closes the link, which first delivers what was sent.
    pub(crate) draining: CancellationToken,
    /// Cancelled when the link is to end, or has ended, at once.
    pub(crate) stopped: CancellationToken,
    pub(crate) end: OnceLock<LinkEnd>,
    /// The peer is to give a sign of life soon.
    pub(crate) challenged: watch::Sender<bool>,
    pub(crate) runtime: Handle,
    pub(crate) began: Instant,
}

impl LinkCore {
    /// Sees to it that a bulk lane gets a connection: the dialler of a link dials all of it.
    pub(crate) fn open(&self, lane: usize) {
        match self.side {
            Side::Dialler => {
                // If nobody takes the order, the link is over.
                let _ = self.orders.send(Order::Open { lane });
            }
            Side::Acceptor => self.lanes[0]
                .signals
                .open(lane.try_into().unwrap_or_default()),
        }
    }

    /// Ends the link after what was sent is delivered.
    pub(crate) fn close(&self, reason: &str) {
        self.end.get_or_init(|| LinkEnd::Closed(reason.to_owned()));
        for lane in &self.lanes {
            lane.outgoing.close();
        }
        self.draining.cancel();
    }

    /// Ends the link at once.
    pub(crate) fn stop(&self, end: LinkEnd) {
        self.end.get_or_init(|| end);
        self.stopped.cancel();
    }

    /// Whether a lane is wanted that has no connection yet.
    pub(crate) fn awaits_lane(&self) -> bool {
        self.lanes.iter().any(LaneCore::awaits_connection)
    }

    /// The reason that the peer is told when this node closes the link.
    pub(crate) fn closing_text(&self) -> String {
        match self.ending() {
            LinkEnd::Closed(reason) => reason,
            other => other.to_string(),
        }
    }

    /// Time since the link began.
    pub(crate) fn elapsed_microseconds(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Why the link ended, or is about to.
    pub(crate) fn ending(&self) -> LinkEnd {
        let unknown = || LinkEnd::Lost("it ended".to_owned());
        self.end.get().cloned().unwrap_or_else(unknown)
    }

    /// Asks the peer for a sign of life, soon: somebody else says that he is the peer. Asked again meanwhile, it has no more
    /// time than it had.
    pub(crate) fn challenge(&self) {
        self.challenged
            .send_if_modified(|is| !std::mem::replace(is, true));
        self.lanes[0].signals.ping(self.elapsed_microseconds());
    }

    /// The peer has given a sign of life.
    pub(crate) fn note_alive(&self) {
        self.challenged.send_if_modified(std::mem::take);
    }
}

/// All that connects this node to one peer: a control lane for what is small and urgent, and bulk
/// lanes for the rest. Clones are handles on the same link; when the last handle on it or on one of
/// its lanes is dropped, the link closes.
///
/// A link lives and ends as a whole: if one of its connections breaks, it is down.
#[derive(Clone)]
pub struct Link {
    guard: Arc<Guard>,
}

struct Guard(Arc<LinkCore>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.close("no longer needed");
    }
}

impl Link {
    pub(crate) fn new(core: Arc<LinkCore>) -> Self {
        Self {
            guard: Arc::new(Guard(core)),
        }
    }

    pub(crate) fn core(&self) -> &Arc<LinkCore> {
        &self.guard.0
    }

    /// Who the peer is, as its certificate proves.
    #[must_use]
    pub fn peer(&self) -> &PeerIdentity {
        &self.core().peer.identity
    }

    /// The cluster of the link, the same at both ends: that of the acceptor's certificate. It is that of this node, or of a
    /// key that both accept while the key of a cluster is changed.
    #[must_use]
    pub fn cluster(&self) -> ClusterId {
        self.core().peer.cluster
    }

    /// The cluster of the key that the peer shows.
    #[must_use]
    pub fn peer_cluster(&self) -> ClusterId {
        self.core().peer.shows
    }

    /// The address of the other end of the control connection.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.core().peer.address
    }

    /// Where the peer says that others reach it.
    #[must_use]
    pub fn advertised(&self) -> Option<&str> {
        self.core().peer.advertised.as_deref()
    }

    /// The program and version that the peer says it is.
    #[must_use]
    pub fn software(&self) -> &str {
        &self.core().peer.software
    }

    /// What the peer tells the layer above.
    #[must_use]
    pub fn features(&self) -> &Bytes {
        &self.core().peer.features
    }

    /// The version of the transport that both speak.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.core().peer.version
    }

    /// Which end dialled.
    #[must_use]
    pub fn side(&self) -> Side {
        self.core().side
    }

    /// When the certificate of the peer expires; the link ends then at the latest.
    #[must_use]
    pub fn expires(&self) -> SystemTime {
        self.core().peer.expires
    }

    /// The longest frame that both take, in bytes.
    #[must_use]
    pub fn frame_bytes_max(&self) -> u32 {
        self.core().frame_bytes_max
    }

    /// The lane for what is small and urgent.
    #[must_use]
    pub fn control(&self) -> Lane {
        Lane::new(self.clone(), 0)
    }

    /// How many bulk lanes there are; both ends have the same number.
    #[must_use]
    pub fn bulk_lanes(&self) -> usize {
        self.core().lanes.len() - 1
    }

    /// A bulk lane, counted from 0; beyond the last one it begins anew. If there are none, this is
    /// the control lane.
    #[must_use]
    pub fn bulk(&self, index: usize) -> Lane {
        match self.bulk_lanes() {
            0 => self.control(),
            lanes => Lane::new(self.clone(), 1 + index % lanes),
        }
    }

    /// How much went over the link up to now.
    #[must_use]
    pub fn counters(&self) -> LinkCounters {
        let core = self.core();
        let mut counters = LinkCounters {
            payload_sent: core.payload.sent.load(Ordering::Relaxed),
            payload_received: core.payload.received.load(Ordering::Relaxed),
            ..LinkCounters::default()
        };
        let wire = core.wire.lock().unwrap_or_else(PoisonError::into_inner);
        for connection in wire.iter() {
            counters.wire_sent += connection.sent.load(Ordering::Relaxed);
            counters.wire_received += connection.received.load(Ordering::Relaxed);
        }
        counters
    }

    /// How long the last ping took to be answered; `None` before the first.
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        match self.core().round_trip.load(Ordering::Relaxed) {
            0 => None,
            microseconds => Some(Duration::from_micros(microseconds)),
        }
    }

    /// Ends the link: what was sent before is delivered, if that takes no longer than the close
    /// deadline, and the peer is told the reason.
    pub fn close(&self, reason: &str) {
        self.core().close(reason);
    }

    /// Waits until the link is down, and says why.
    pub async fn closed(&self) -> LinkEnd {
        self.core().stopped.cancelled().await;
        self.core().ending()
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let peer = &self.core().peer;
        write!(
            formatter,
            "Link({} at {})",
            peer.identity.name, peer.address
        )
    }
}

/// How much went over a link, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkCounters {
    /// Payload of frames that were handed to the connections.
    pub payload_sent: u64,
    /// Payload of frames that came.
    pub payload_received: u64,
    /// All that was written to sockets, encryption included.
    pub wire_sent: u64,
    /// All that was read from sockets.
    pub wire_received: u64,
}
