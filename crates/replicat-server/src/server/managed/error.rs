//! Why a node does not become one of its manager's.

use std::path::PathBuf;

use replicat_manager::TokenError;
use replicat_net::{IdentityError, NodeName};

use super::cache::CacheError;

/// Why a node does not become one of its manager's.
#[derive(Debug, thiserror::Error)]
pub enum ManagedError {
    /// It was given two ways to be a node.
    #[error(
        "a node has either a cluster key or a manager: leave out cluster_key and cluster_key_file, or manager_address"
    )]
    KeyAndManager,
    /// Nobody says where it keeps what it is.
    #[error("a node with a manager keeps who it is in a directory: name one as node_state")]
    NoNodeState,
    /// It was never enrolled, and has no token.
    #[error(
        "this node is not enrolled yet: make a token with `replicat manager token create`, and give it as manager_credentials"
    )]
    NoCredentials,
    /// What it was given is no token.
    #[error("manager_credentials is no enrolment token: {0}")]
    Token(#[from] TokenError),
    /// The manager does not want it.
    #[error("the manager at {address} does not enrol this node: {reason}")]
    Refused {
        /// Where the manager is.
        address: String,
        /// What it says.
        reason: String,
    },
    /// The manager does not answer.
    #[error("the manager at {address} does not enrol this node: {reason}; see that it runs there")]
    Away {
        /// Where it should be.
        address: String,
        /// Why the last attempt failed.
        reason: String,
    },
    /// What was kept is another node's.
    #[error(
        "{} belongs to node {found}, and this is node {wanted}: give each node a directory of its own as node_state",
        path.display()
    )]
    OtherNode {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        found: NodeName,
        /// Who this is.
        wanted: NodeName,
    },
    /// The certificate expired while the node or the manager was away.
    #[error(
        "the certificate of node {name} has expired: remove the node at the manager, move {} away, and give the node a new token",
        path.display()
    )]
    Expired {
        /// The directory of its state.
        path: PathBuf,
        /// The node.
        name: NodeName,
    },
    /// What is kept cannot be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// What the manager gave cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

impl ManagedError {
    /// Whether the settings must be changed.
    pub(crate) fn is_of_settings(&self) -> bool {
        matches!(
            self,
            Self::KeyAndManager | Self::NoNodeState | Self::NoCredentials | Self::Token(_)
        )
    }
}
