//! Who takes part: the nodes that are enrolled, and the enrolments that are not good any more.

use std::collections::BTreeMap;
use std::time::SystemTime;

use replicat_net::{EnrolmentId, NodeName, PeerIdentity, Role};

/// The nodes of a cluster that a manager let in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roster {
    /// The nodes, by name.
    pub members: BTreeMap<NodeName, Member>,
    /// The enrolments that were revoked and of which a certificate may still be valid.
    pub revoked: BTreeMap<EnrolmentId, Revocation>,
}

/// A node of the roster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// What it may do.
    pub role: Role,
    /// By which enrolment it is a node.
    pub enrolment: EnrolmentId,
    /// Where others reach it, `host:port`; `None` if it only dials.
    pub address: Option<String>,
    /// When it was let in.
    pub enrolled: SystemTime,
    /// When the last certificate that it was given expires.
    pub certificate_expires: SystemTime,
}

/// An enrolment that is not good any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// The name that the node had.
    pub node: NodeName,
    /// When it was revoked.
    pub time: SystemTime,
    /// When its last certificate expires, and the revocation has done its work.
    pub until: SystemTime,
}

impl Roster {
    /// Whether the certificate of a peer was revoked.
    #[must_use]
    pub fn is_revoked(&self, peer: &PeerIdentity) -> bool {
        let enrolment = peer.enrolment.as_ref();
        enrolment.is_some_and(|enrolment| self.revoked.contains_key(enrolment))
    }

    /// The node that a peer proves to be, if it is enrolled.
    #[must_use]
    pub fn member(&self, peer: &PeerIdentity) -> Option<&Member> {
        let member = self.members.get(&peer.name)?;
        (Some(member.enrolment) == peer.enrolment).then_some(member)
    }
}
