//! Who keeps directories in sync over a network, how each is started, and how each says that it is done.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::ValueEnum;
use serde::Serialize;

use super::processes::Processes;
use super::{replicat, rsync, syncthing};
use crate::contender::is_in_path;

/// A tool that keeps directories in sync, or brings one to others, over TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Contender {
    /// `replicat serve`, with TLS, and durable.
    Replicat,
    /// `rsync -a` to `rsync --daemon`: neither TLS nor fsync.
    RsyncDaemon,
    /// Syncthing as it comes, without discovery and relays.
    Syncthing,
    /// The same, with its watcher's delay at one second instead of ten.
    #[value(name = "syncthing-1s")]
    #[serde(rename = "syncthing-1s")]
    SyncthingQuick,
    /// lsyncd with its delay at one second, to an rsync daemon; it goes one way.
    #[value(name = "lsyncd-1s")]
    #[serde(rename = "lsyncd-1s")]
    LsyncdQuick,
    /// lsyncd as it comes: its delay is 15 seconds.
    Lsyncd,
}

/// Where the nodes of a contender are.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// The directory of each node. The first holds the tree.
    pub(crate) directories: Vec<PathBuf>,
    /// For what the tools keep elsewhere.
    pub(crate) state: PathBuf,
    /// The binary of replicat.
    pub(crate) replicat: PathBuf,
}

impl Places {
    /// The places of `count` nodes on the filesystem mounted at `root`.
    pub(crate) fn on(root: &Path, count: usize, replicat: &Path) -> Result<Self> {
        let places = Self {
            directories: (0..count).map(|node| directory(root, node)).collect(),
            state: root.join("state"),
            replicat: std::path::absolute(replicat)?,
        };
        std::fs::create_dir_all(&places.state)?;
        for directory in &places.directories {
            std::fs::create_dir_all(directory)?;
        }
        Ok(places)
    }

    /// Where node `node` writes its log.
    pub(crate) fn log(&self, node: usize) -> PathBuf {
        self.state.join(format!("{}.log", node_name(node)))
    }
}

/// The directory of a node on the filesystem mounted at `root`.
pub(crate) fn directory(root: &Path, node: usize) -> PathBuf {
    root.join(node_name(node))
}

/// The name of a node.
pub(crate) fn node_name(node: usize) -> String {
    format!("node{node}")
}

/// A contender at work. Its processes end when it is dropped.
pub(crate) struct Running {
    pub(crate) processes: Processes,
    watch: Watch,
}

/// How a contender is asked whether it is done.
enum Watch {
    Replicat(replicat::Sockets),
    Syncthing(syncthing::Api),
    /// When its clients have ended.
    Rsync,
    /// It does not say.
    Lsyncd(rsync::Lsyncd),
}

impl Contender {
    /// Its name in tables and on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// The program that it needs and that is not there.
    pub(crate) fn missing(self, replicat: &Path) -> Option<String> {
        let programs: &[&str] = match self {
            Self::Replicat if replicat.is_file() => &[],
            Self::Replicat => return Some(format!("replicat, at {}", replicat.display())),
            Self::RsyncDaemon => &["rsync"],
            Self::Syncthing | Self::SyncthingQuick => &["syncthing"],
            Self::Lsyncd | Self::LsyncdQuick => &["lsyncd", "rsync"],
        };
        let missing = programs.iter().find(|program| !is_in_path(program));
        missing.map(ToString::to_string)
    }

    /// The options by which rsync compares what it promises to keep.
    pub(crate) fn promise(self) -> &'static [&'static str] {
        match self {
            Self::Replicat => &["-aHAXnc"],
            Self::RsyncDaemon | Self::Lsyncd | Self::LsyncdQuick => &["-anc"],
            Self::Syncthing | Self::SyncthingQuick => {
                &["-rlpnc", "--omit-dir-times", "--omit-link-times"]
            }
        }
    }

    /// Starts all nodes.
    pub(crate) fn start(self, places: &Places) -> Result<Running> {
        let mut processes = Processes::default();
        let watch = match self {
            Self::Replicat => Watch::Replicat(replicat::start(places, &mut processes)?),
            Self::RsyncDaemon => {
                rsync::start(places, &mut processes)?;
                Watch::Rsync
            }
            Self::Syncthing => Watch::Syncthing(syncthing::start(places, 10, &mut processes)?),
            Self::SyncthingQuick => Watch::Syncthing(syncthing::start(places, 1, &mut processes)?),
            Self::Lsyncd => Watch::Lsyncd(rsync::start_lsyncd(places, 15, &mut processes)?),
            Self::LsyncdQuick => Watch::Lsyncd(rsync::start_lsyncd(places, 1, &mut processes)?),
        };
        Ok(Running { processes, watch })
    }
}

impl Running {
    /// Whether all nodes say that they hold the same, which are so many files.
    pub(crate) fn says_done(&mut self, files: u64) -> Result<bool> {
        let ended = self.processes.ended()?;
        match &mut self.watch {
            Watch::Rsync => rsync::clients_done(&ended),
            Watch::Replicat(sockets) => {
                none_ended(&ended)?;
                Ok(sockets.all_in_sync())
            }
            Watch::Syncthing(api) => {
                none_ended(&ended)?;
                Ok(api.all_hold(files))
            }
            Watch::Lsyncd(lsyncd) => {
                none_ended(&ended)?;
                Ok(lsyncd.is_idle())
            }
        }
    }
}

fn none_ended(ended: &[(String, bool)]) -> Result<()> {
    match ended.first() {
        Some((name, _)) => anyhow::bail!("{name} ended by itself"),
        None => Ok(()),
    }
}
