//! What the manager tells one node: its part of the state.

use std::collections::{BTreeMap, BTreeSet};

use replicat_core::name::FolderName;
use replicat_net::{EnrolmentId, NodeName};

use crate::desired::PlacementMode;
use crate::store::Snapshot;

/// All that a node needs to know of the state to go on alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assignment {
    /// The generation of the state that it was taken from.
    pub generation: u64,
    /// The other nodes that can be dialled, and where.
    pub peers: BTreeMap<NodeName, String>,
    /// The enrolments whose holders are not to be talked to.
    pub revoked: BTreeSet<EnrolmentId>,
    /// The folders that the node is to keep.
    pub folders: BTreeMap<FolderName, PlacementMode>,
}

impl Assignment {
    /// The part of a node.
    #[must_use]
    pub fn of(snapshot: &Snapshot, node: &NodeName) -> Self {
        let state = &snapshot.state;
        let others = state.roster.members.iter();
        let others = others.filter(|(name, _)| *name != node);
        let folders = state.desired.of_node(node);
        Self {
            generation: snapshot.generation,
            peers: others
                .filter_map(|(name, member)| Some((name.clone(), member.address.clone()?)))
                .collect(),
            revoked: state.roster.revoked.keys().copied().collect(),
            folders: folders
                .map(|(folder, mode)| (folder.clone(), mode))
                .collect(),
        }
    }

    /// Whether it says the same as another, whatever generations they are from.
    #[must_use]
    pub fn says_as(&self, other: &Self) -> bool {
        self.peers == other.peers && self.revoked == other.revoked && self.folders == other.folders
    }
}
