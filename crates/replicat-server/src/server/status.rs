//! How a node stands.

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use replicat_engine::live::{FolderMode, FolderState, FolderStatus};
use replicat_net::{ClusterId, LinkCounters, NodeName, Role};

use crate::settings::FolderName;
use crate::workers::WorkerStatus;

/// What a node is doing, as its users see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerStatus {
    /// A directory is compared with what is known of it for the first time.
    InitialScan,
    /// No peer has been met yet.
    JoiningCluster,
    /// Changes are watched for, sent and received.
    Online,
    /// Somebody paused all folders.
    Paused,
    /// A folder stopped by itself, and waits for somebody.
    Halted,
    /// It was stopped.
    Offline,
}

impl ServerStatus {
    /// The status of a folder.
    #[must_use]
    pub fn of_folder(state: &FolderState) -> Self {
        match state {
            FolderState::InitialScan => Self::InitialScan,
            FolderState::JoiningCluster => Self::JoiningCluster,
            FolderState::Online => Self::Online,
            FolderState::Paused => Self::Paused,
            FolderState::Halted { .. } => Self::Halted,
            FolderState::Offline => Self::Offline,
        }
    }

    /// The status of a node, by those of its folders.
    #[must_use]
    pub fn of_node(folders: &[Self]) -> Self {
        let any = |status| folders.contains(&status);
        match folders {
            [] => Self::JoiningCluster,
            _ if any(Self::Halted) => Self::Halted,
            _ if any(Self::InitialScan) => Self::InitialScan,
            _ if any(Self::Online) => Self::Online,
            _ if any(Self::JoiningCluster) => Self::JoiningCluster,
            _ if any(Self::Paused) => Self::Paused,
            _ => Self::Offline,
        }
    }
}

impl fmt::Display for ServerStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::InitialScan => "Initial Scan",
            Self::JoiningCluster => "Joining Cluster",
            Self::Online => "Online",
            Self::Paused => "Paused",
            Self::Halted => "Halted",
            Self::Offline => "Offline",
        })
    }
}

/// A peer, as this node knows it.
///
/// ```
/// use replicat_server::{ReplicatServer, Settings};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let place = tempfile::tempdir()?;
/// let server = ReplicatServer::builder()
///     .name("a".parse()?)
///     .cluster_key(replicat_server::ClusterKey::generate()?)
///     .folder("site".parse()?, place.path())
///     .node("b".parse()?, "127.0.0.1:1")
///     .start()
///     .await?;
/// let nodes = server.nodes();
/// assert_eq!(nodes[0].address, "127.0.0.1:1");
/// assert!(nodes[0].role.is_none(), "nobody has answered yet");
/// server.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name; `None` if it is known by its address alone.
    pub name: Option<NodeName>,
    /// Where it is dialled, or where it dialled from.
    pub address: String,
    /// What it may do, once it has proved who it is.
    pub role: Option<Role>,
    /// How it stands.
    pub status: NodeStatus,
    /// What is known of the link, while there is one.
    pub link: Option<LinkStatus>,
}

/// How a peer stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeStatus {
    /// There is a link to it.
    Connected,
    /// It is dialled for the first time.
    Connecting,
    /// The last attempt to reach it failed; others follow.
    Unreachable {
        /// Why.
        reason: String,
    },
    /// One of the two refuses the other, and will again until somebody changes something.
    Refused {
        /// Why.
        reason: String,
    },
}

impl NodeStatus {
    /// The status as one word.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Connecting => "connecting",
            Self::Unreachable { .. } => "unreachable",
            Self::Refused { .. } => "refused",
        }
    }
}

/// What is known of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkStatus {
    /// Since when it is up.
    pub since: SystemTime,
    /// The program that the peer says it is.
    pub software: String,
    /// The id of the cluster key that the peer shows: another than that of this node while the key is changed.
    pub cluster: ClusterId,
    /// How long the last ping took to be answered.
    pub round_trip: Option<Duration>,
    /// How much went over it.
    pub counters: LinkCounters,
    /// The folders that the peer offers; `None` before it said so.
    pub folders: Option<Vec<FolderName>>,
}

/// How a folder of a node stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderReport {
    /// Its name.
    pub name: FolderName,
    /// Its directory.
    pub directory: PathBuf,
    /// Which way its changes go.
    pub mode: FolderMode,
    /// What it is doing.
    pub state: FolderState,
    /// The rest; `None` if the folder could not be opened.
    pub detail: Option<FolderStatus>,
}

/// How a node stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerReport {
    /// Its name.
    pub name: NodeName,
    /// Where it listens.
    pub address: Option<String>,
    /// The public id of its cluster.
    pub cluster: String,
    /// What it is doing.
    pub status: ServerStatus,
    /// When it was started.
    pub started: SystemTime,
    /// Its folders, by name.
    pub folders: Vec<FolderReport>,
    /// Its peers.
    pub nodes: Vec<Node>,
    /// What works in it.
    pub workers: Vec<WorkerStatus>,
    /// How much content may be sent now, in bytes per second.
    pub bandwidth: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::ServerStatus::{Halted, InitialScan, JoiningCluster, Offline, Online, Paused};
    use super::*;

    #[test]
    fn the_worst_folder_decides() {
        for (folders, expected) in [
            (vec![], JoiningCluster),
            (vec![Online, Halted, InitialScan], Halted),
            (vec![Online, InitialScan], InitialScan),
            (vec![Online, JoiningCluster, Paused], Online),
            (vec![Paused, Paused], Paused),
            (vec![Offline], Offline),
        ] {
            assert_eq!(ServerStatus::of_node(&folders), expected);
        }
        assert_eq!(JoiningCluster.to_string(), "Joining Cluster");
    }
}
