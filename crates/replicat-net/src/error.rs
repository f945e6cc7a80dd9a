//! What goes wrong with endpoints, connections and links, in words for logs.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use rustls::{AlertDescription, CertificateError as TlsCertificateError};

use crate::certificate::CertificateError;
use crate::greeting::{Refusal, RefusalCode};

/// Why an endpoint could not be made.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// Another process listens there.
    #[error(
        "cannot listen on {address}: the address is in use; stop the other process or choose another port"
    )]
    AddressInUse {
        /// The address.
        address: String,
    },
    /// Listening failed otherwise.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: String,
        /// What the system says.
        source: io::Error,
    },
    /// A setting does not fit into the greeting.
    #[error("{setting} has {bytes} bytes, and {max} are allowed")]
    TooLong {
        /// Which setting it is.
        setting: &'static str,
        /// Its length.
        bytes: usize,
        /// The greatest length.
        max: usize,
    },
    /// The TLS library does not take the certificates.
    #[error("cannot use the certificate of this node: {0}")]
    Tls(#[from] rustls::Error),
    /// No tokio runtime is running.
    #[error("cannot start an endpoint outside a tokio runtime")]
    NoRuntime,
    /// The system gave no random bytes.
    #[error("cannot start an endpoint: the system gives no random bytes")]
    Random,
    /// Another identity was given to an endpoint that runs.
    #[error("the new identity is of another node or cluster than the old one")]
    OtherIdentity,
}

/// Why a connection did not come about. Which address it was to or from is said beside it.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The name of the host could not be resolved.
    #[error("the host name cannot be resolved: {0}")]
    Resolve(io::Error),
    /// There was no answer at the address.
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    /// It took too long.
    #[error("no connection within {} s", .0.as_secs_f64())]
    Deadline(Duration),
    /// The two have different authorities.
    #[error("the nodes are of different clusters: their cluster keys differ")]
    OtherCluster,
    /// A certificate is not valid at this time.
    #[error(
        "the certificate of {whose} has expired or is not valid yet; check the clocks of both nodes, and renew it"
    )]
    Expired {
        /// "the peer" or "this node".
        whose: &'static str,
    },
    /// The other side does not speak this protocol.
    #[error("the other end is not a replicat node, or speaks another protocol")]
    NotReplicat,
    /// The TLS handshake failed otherwise.
    #[error("no encrypted connection: {0}")]
    Tls(rustls::Error),
    /// The peer's certificate names no node of this cluster.
    #[error("the certificate of the peer is not usable: {0}")]
    Certificate(#[from] CertificateError),
    /// This node refuses the peer, and has told it so.
    #[error("{0}")]
    Refused(Refusal),
    /// The peer refuses this node.
    #[error("the peer refuses: {0}")]
    RefusedByPeer(Refusal),
    /// The connection broke before the greeting was over.
    #[error("the connection broke: {0}")]
    Broken(io::Error),
}

impl ConnectError {
    /// Whether this is one of two connections of which only one is wanted.
    pub(crate) fn is_duplicate(&self) -> bool {
        match self {
            Self::Refused(refusal) | Self::RefusedByPeer(refusal) => {
                refusal.code == RefusalCode::Duplicate
            }
            _ => false,
        }
    }

    /// Whether the peer has a link to another process of this name, which may be one that is gone.
    pub(crate) fn is_name_taken(&self) -> bool {
        matches!(self, Self::RefusedByPeer(refusal) if refusal.code == RefusalCode::NameTaken)
    }

    /// What an error of a TLS stream means, during the handshake or in the first read after it:
    /// in TLS 1.3 a client learns only then that its certificate was refused.
    pub(crate) fn from_stream(error: io::Error) -> Self {
        let tls = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match tls {
            Some(tls) => Self::from_tls(tls.clone()),
            None => Self::Broken(error),
        }
    }

    fn from_tls(error: rustls::Error) -> Self {
        use TlsCertificateError as Bad;
        match &error {
            rustls::Error::InvalidCertificate(bad) => match bad {
                Bad::UnknownIssuer
                | Bad::BadSignature
                | Bad::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
                    Self::OtherCluster
                }
                Bad::Expired
                | Bad::ExpiredContext { .. }
                | Bad::NotValidYet
                | Bad::NotValidYetContext { .. } => Self::Expired { whose: "the peer" },
                _ => Self::Tls(error),
            },
            rustls::Error::AlertReceived(alert) => match alert {
                AlertDescription::UnknownCA
                | AlertDescription::DecryptError
                | AlertDescription::DecryptionFailed => Self::OtherCluster,
                AlertDescription::CertificateExpired => Self::Expired { whose: "this node" },
                AlertDescription::NoApplicationProtocol
                | AlertDescription::ProtocolVersion
                | AlertDescription::HandshakeFailure => Self::NotReplicat,
                _ => Self::Tls(error),
            },
            rustls::Error::InvalidMessage(_)
            | rustls::Error::NoApplicationProtocol
            | rustls::Error::PeerIncompatible(_)
            | rustls::Error::InappropriateMessage { .. }
            | rustls::Error::NoCertificatesPresented => Self::NotReplicat,
            _ => Self::Tls(error),
        }
    }
}

/// Why a link ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkEnd {
    /// This node closed it.
    #[error("closed by this node: {0}")]
    Closed(String),
    /// The peer closed it.
    #[error("closed by the peer: {0}")]
    ClosedByPeer(String),
    /// A connection of it broke, or could not be opened.
    #[error("the connection broke: {0}")]
    Lost(String),
    /// Nothing came for too long.
    #[error("nothing came for {} s: the peer or the network is gone", .0.as_secs_f64())]
    Silent(Duration),
    /// The certificate of the peer expired.
    #[error("the certificate of the peer expired")]
    Expired,
    /// The same process of the peer connected anew.
    #[error("the peer connected anew")]
    Replaced,
    /// The peer sent what no peer sends.
    #[error("the peer broke the protocol: {0}")]
    Protocol(String),
}

/// Why a frame was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The link is down.
    #[error("the link is down: {0}")]
    Closed(LinkEnd),
    /// The frame is longer than the peer takes.
    #[error("a frame of {bytes} bytes is too long: the link takes {max}")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The longest that is allowed.
        max: u32,
    },
}

/// Why a frame was not taken at once.
#[derive(Debug, thiserror::Error)]
pub enum TrySendError {
    /// The queue is full; here is the frame again.
    #[error("the queue is full")]
    Full(Bytes),
    /// It would not be taken later either.
    #[error(transparent)]
    Refused(#[from] SendError),
}
