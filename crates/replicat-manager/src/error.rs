//! What goes wrong, in words for those who steer a cluster.

use std::io;
use std::path::PathBuf;

use replicat_core::name::FolderName;
use replicat_net::{AuthorityError, ClusterKeyError, EndpointError, IdentityError, NodeName};

use crate::token::TokenId;

/// The system gave no random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random bytes")]
pub struct RandomError;

/// Why a manager does not do what it was asked, though it could: nothing is changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such token, or its secret is another.
    #[error(
        "the enrolment token is not known: it may have ended, or be of another manager; make a new one with `replicat manager token create`"
    )]
    UnknownToken,
    /// The token has ended.
    #[error("the enrolment token has ended; make a new one with `replicat manager token create`")]
    ExpiredToken,
    /// Another node has used the token.
    #[error(
        "the enrolment token was used for node {node}, and is good for one node; make a new one with `replicat manager token create`"
    )]
    UsedToken {
        /// The node.
        node: NodeName,
    },
    /// The token is for a node of another name.
    #[error("the enrolment token is for node {wanted}, and this is node {found}")]
    OtherName {
        /// The name that the token is for.
        wanted: NodeName,
        /// The name of the node.
        found: NodeName,
    },
    /// There is a node of that name.
    #[error(
        "a node named {name} is enrolled already: choose another name, or remove that one with `replicat manager node remove {name}`"
    )]
    NameTaken {
        /// The name.
        name: NodeName,
    },
    /// There is no such node.
    #[error("no node named {name} is enrolled")]
    NotEnrolled {
        /// The name.
        name: NodeName,
    },
    /// The node was removed.
    #[error("node {name} was removed from the cluster")]
    Revoked {
        /// Its name.
        name: NodeName,
    },
    /// There is no such token, says whoever manages tokens.
    #[error("there is no token {0}")]
    NoToken(TokenId),
    /// Enrolled nodes have another role.
    #[error("a node cannot be enrolled as a manager: use read-write or read-only")]
    Role,
    /// A token would end before it begins, or so late that it is no one-time token any more.
    #[error("a token lasts from one second to {} days", .0 / 86400)]
    Lifetime(u64),
    /// The folder is not placed there.
    #[error("folder {folder} is not placed at node {node}")]
    NotPlaced {
        /// The folder.
        folder: FolderName,
        /// The node.
        node: NodeName,
    },
    /// There are too many of something.
    #[error("there are {max} {what} already, which is the most that a manager keeps")]
    Full {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        max: usize,
    },
}

/// Why a manager could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ManagerError {
    /// It does not want to.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store failed.
    #[error("could not {action} {object} of the manager's state: {source}")]
    Store {
        /// What was being done, as a verb.
        action: &'static str,
        /// To which object.
        object: String,
        /// What the store says.
        source: object_store::Error,
    },
    /// The directory of the state cannot be used.
    #[error("could not use {} for the manager's state: {source}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// An object is of a newer format.
    #[error(
        "{object} of the manager's state has format {found}, and this program reads up to {known}: use a newer one"
    )]
    NewerFormat {
        /// The object.
        object: String,
        /// Its format.
        found: u32,
        /// The newest format that is known here.
        known: u32,
    },
    /// An object cannot be read.
    #[error("{object} of the manager's state is damaged: {problem}")]
    Damaged {
        /// The object.
        object: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A change took longer than it may.
    #[error("the manager's state could not be changed within {0} s; try again")]
    Deadline(u64),
    /// The state belongs to a cluster with another key.
    #[error(
        "the manager's state is of cluster {found}, and the cluster key of cluster {given}: name another directory for the state, or leave the key out"
    )]
    OtherCluster {
        /// Whose state it is.
        found: String,
        /// Whose key was given.
        given: String,
    },
    /// No certificate could be made.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The manager has no usable certificate of its own.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The manager cannot listen.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// No cluster key could be made.
    #[error(transparent)]
    Key(#[from] ClusterKeyError),
    /// No token could be made.
    #[error("could not make a token: {0}")]
    Random(#[from] RandomError),
}
