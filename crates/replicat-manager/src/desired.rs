//! The desired state: which node keeps which folder.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use replicat_core::name::FolderName;
use replicat_net::NodeName;

/// Which way the changes of a folder go at a node. What that means is the affair of the nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PlacementMode {
    /// Both ways.
    #[default]
    ReadWrite,
    /// Changes made there go out; none come in.
    SendOnly,
    /// Changes made elsewhere come in; none go out.
    ReceiveOnly,
}

/// A text that is no mode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no mode: use read-write, send-only or receive-only")]
pub struct PlacementModeError(String);

impl PlacementMode {
    const ALL: [Self; 3] = [Self::ReadWrite, Self::SendOnly, Self::ReceiveOnly];

    /// The mode as text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadWrite => "read-write",
            Self::SendOnly => "send-only",
            Self::ReceiveOnly => "receive-only",
        }
    }
}

impl fmt::Display for PlacementMode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl FromStr for PlacementMode {
    type Err = PlacementModeError;

    fn from_str(text: &str) -> Result<Self, PlacementModeError> {
        let mut all = Self::ALL.into_iter();
        all.find(|mode| mode.as_str() == text)
            .ok_or_else(|| PlacementModeError(text.chars().take(40).collect()))
    }
}

/// Which node keeps which folder, and in which mode.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DesiredState {
    /// For each folder the nodes that keep it. No folder is without a node.
    pub folders: BTreeMap<FolderName, BTreeMap<NodeName, PlacementMode>>,
}

impl DesiredState {
    /// The folders that a node is to keep.
    pub fn of_node<'a>(
        &'a self,
        node: &'a NodeName,
    ) -> impl Iterator<Item = (&'a FolderName, PlacementMode)> {
        let folders = self.folders.iter();
        folders.filter_map(move |(folder, nodes)| Some((folder, *nodes.get(node)?)))
    }

    /// Has a node keep a folder. Whether that is a change.
    pub(crate) fn place(
        &mut self,
        folder: FolderName,
        node: NodeName,
        mode: PlacementMode,
    ) -> bool {
        let nodes = self.folders.entry(folder).or_default();
        nodes.insert(node, mode) != Some(mode)
    }

    /// Has a node keep a folder no more. Whether it was to.
    pub(crate) fn withdraw(&mut self, folder: &FolderName, node: &NodeName) -> bool {
        let Some(nodes) = self.folders.get_mut(folder) else {
            return false;
        };
        let was_placed = nodes.remove(node).is_some();
        if nodes.is_empty() {
            self.folders.remove(folder);
        }
        was_placed
    }

    /// Has a node keep nothing.
    pub(crate) fn withdraw_all(&mut self, node: &NodeName) {
        self.folders.retain(|_, nodes| {
            nodes.remove(node);
            !nodes.is_empty()
        });
    }
}
