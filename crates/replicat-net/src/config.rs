//! What an endpoint can be told to do otherwise.

use std::ops::RangeInclusive;
use std::time::Duration;

use bytes::Bytes;

use crate::limiter::RateLimiter;

/// The settings of an endpoint. [`EndpointConfig::default`] suits a node that only dials; one that
/// is to be reached needs [`EndpointConfig::listen`].
#[derive(Debug, Clone)]
pub struct EndpointConfig {
    /// Where to listen, `host:port`; port 0 takes a free one. `None`: only dial.
    pub listen: Option<String>,
    /// Where others reach this node, told to them in the greeting; `None`: not known.
    pub advertised: Option<String>,
    /// Told to each peer in the greeting, for the layer above. At most 32 KiB.
    pub features: Bytes,
    /// The transport versions that this node speaks.
    pub versions: RangeInclusive<u32>,
    /// How many bulk lanes a link may have; the lower number of both ends counts.
    pub bulk_lanes: u8,
    /// The longest frame to take; the lower number of both ends counts.
    pub frame_bytes_max: u32,
    /// How many bytes wait in each queue: two to a lane, one for each direction.
    pub queue_bytes_max: u32,
    /// How long connecting, TLS and greeting may take in all.
    pub handshake_deadline: Duration,
    /// After how much silence of our own a ping is sent.
    pub ping_interval: Duration,
    /// After how much silence of the peer it is taken for dead.
    pub dead_after: Duration,
    /// As `dead_after`, once another process has claimed the name of the peer.
    pub challenge_deadline: Duration,
    /// How long a link that is closed may take to deliver what was sent before.
    pub close_deadline: Duration,
    /// How many accepted connections may be unauthenticated at a time, in all.
    pub unauthenticated_max: usize,
    /// As `unauthenticated_max`, from one IPv4 address or one IPv6 /64 network.
    pub unauthenticated_per_network_max: usize,
    /// The first pause between two attempts to dial; it doubles.
    pub backoff_min: Duration,
    /// The longest pause between two attempts to dial.
    pub backoff_max: Duration,
    /// Limits what all bulk lanes send together.
    pub limiter: RateLimiter,
}

/// The transport version of this implementation.
pub(crate) const VERSION: u32 = 1;

impl Default for EndpointConfig {
    fn default() -> Self {
        Self {
            listen: None,
            advertised: None,
            features: Bytes::new(),
            versions: VERSION..=VERSION,
            bulk_lanes: 2,
            frame_bytes_max: (16 << 20) + (64 << 10),
            queue_bytes_max: 4 << 20,
            handshake_deadline: Duration::from_secs(10),
            ping_interval: Duration::from_secs(15),
            dead_after: Duration::from_secs(45),
            challenge_deadline: Duration::from_secs(2),
            close_deadline: Duration::from_secs(5),
            unauthenticated_max: 64,
            unauthenticated_per_network_max: 16,
            backoff_min: Duration::from_millis(100),
            backoff_max: Duration::from_secs(30),
            limiter: RateLimiter::unlimited(),
        }
    }
}
