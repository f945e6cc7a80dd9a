//! Identity, TLS and connections between nodes.
mod authority;
mod base32;
mod certificate;
mod identity;
mod key;
mod name;
mod tls;
pub use authority::{Authority, AuthorityError};
pub use certificate::CertificateError;
pub use identity::{Identity, IdentityError};
pub use key::{ClusterKey, ClusterKeyError};
pub use name::{ClusterId, NodeName, NodeNameError, PeerIdentity, Role, RoleError};
