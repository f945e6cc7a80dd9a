//! Links between nodes: who they are, how they are encrypted, and how they stay up.
//!
//! Goals: two nodes that know the cluster key, or were enrolled by its holder, find each other's
//! identity proved and every byte encrypted; one link to each peer, kept up by itself; a small frame
//! never waits behind a large transfer; every length, queue and wait is bounded, before a peer is
//! known above all; both ends of a refusal log its reason.
//! Non-goals: what frames mean. Folders, files and indexes are not known here.
//!
//! ```
//! use std::time::{Duration, SystemTime};
//! use replicat_net::{ClusterKey, Endpoint, EndpointConfig, Event, Identity, PeerAddress, Role};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let authority = ClusterKey::generate()?.authority()?;
//! let month = Duration::from_secs(30 * 24 * 3600);
//! let identity = |name: &str| {
//!     let name = name.parse().expect("a plain name");
//!     Identity::issue(&authority, name, Role::ReadWrite, SystemTime::now(), month)
//! };
//! let listening = EndpointConfig {
//!     listen: Some("127.0.0.1:0".to_owned()),
//!     ..EndpointConfig::default()
//! };
//! let (a, mut events_of_a) = Endpoint::bind(identity("a")?, listening).await?;
//! let (b, mut events_of_b) = Endpoint::bind(identity("b")?, EndpointConfig::default()).await?;
//! b.dial(PeerAddress {
//!     name: Some("a".parse()?),
//!     address: a.local_address().ok_or("a listens")?.to_string(),
//! });
//! let (Some(Event::LinkUp(to_b)), Some(Event::LinkUp(to_a))) =
//!     (events_of_a.recv().await, events_of_b.recv().await)
//! else {
//!     return Err("no link".into());
//! };
//! to_a.control().send("hello".into()).await?;
//! assert_eq!(to_b.control().recv().await.as_deref(), Some(&b"hello"[..]));
//! # Ok(())
//! # }
//! ```
//!
//! The protocol is laid down in `docs/protocol.md`.

mod accept;
mod authority;
mod bandwidth;
pub mod base32;
mod certificate;
mod config;
mod dial;
mod endpoint;
mod error;
mod event;
mod exchange;
mod frame;
mod gate;
mod greeting;
mod identity;
mod key;
mod lane;
mod limiter;
mod link;
mod meter;
mod name;
mod queue;
mod reader;
mod reception;
mod registry;
mod shared;
mod signals;
mod stream;
mod supervisor;
mod tls;
mod writer;

pub use authority::{Authority, AuthorityError, AuthorityPin};
pub use bandwidth::{BandwidthLimit, BandwidthLimitError, TimeOfDay};
pub use certificate::CertificateError;
pub use config::EndpointConfig;
pub use dial::PeerAddress;
pub use endpoint::Endpoint;
pub use error::{ConnectError, EndpointError, LinkEnd, SendError, TrySendError};
pub use event::{Event, Events};
pub use greeting::{Refusal, RefusalCode};
pub use identity::{Identity, IdentityError, NodeKey};
pub use key::{ClusterKey, ClusterKeyError};
pub use lane::Lane;
pub use limiter::RateLimiter;
pub use link::{Link, LinkCounters, Side};
pub use name::{
    ClusterId, EnrolmentId, EnrolmentIdError, NodeName, NodeNameError, PeerIdentity, Role,
    RoleError,
};
pub use reception::{ANSWER_BYTES_MAX, QUESTION_BYTES_MAX, ask_manager};
pub use rustls::pki_types::{CertificateDer, PrivateKeyDer};
