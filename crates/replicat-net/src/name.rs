//! Names: of a cluster, of a node, and what a node may do.

use std::fmt;
use std::str::FromStr;

/// The public id of a cluster: 128 bits, written as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClusterId([u8; Self::BYTES]);

impl ClusterId {
    /// Length of an id, in bytes.
    pub const BYTES: usize = 16;

    /// The id of these bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// Its bytes, in the order in which they are written.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        self.0
    }

    /// Reads 32 lower-case hexadecimal digits.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if text.len() != 2 * Self::BYTES || !digits {
            return None;
        }
        u128::from_str_radix(text, 16)
            .ok()
            .map(|number| Self(number.to_be_bytes()))
    }

    /// The name for which every certificate of the cluster is valid. It never resolves (RFC 6761).
    pub(crate) fn dns_name(self) -> String {
        format!("{self}.replicat.invalid")
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for ClusterId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ClusterId({self})")
    }
}

/// The name of a node: 1 to 64 characters out of `A-Z a-z 0-9 . _ -`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeName(String);

/// A text that is no name of a node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} cannot name a node: use 1 to 64 letters, digits, dots, dashes and underscores")]
pub struct NodeNameError(String);

impl NodeName {
    /// The longest name, in characters.
    const CHARACTERS_MAX: usize = 64;

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for NodeName {
    type Err = NodeNameError;

    fn from_str(text: &str) -> Result<Self, NodeNameError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if text.is_empty() || text.len() > Self::CHARACTERS_MAX || !text.bytes().all(allowed) {
            let shown = text.chars().take(Self::CHARACTERS_MAX + 1).collect();
            return Err(NodeNameError(shown));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for NodeName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "NodeName({})", self.0)
    }
}

/// What a node may do, as its certificate says. Those who take its changes enforce it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// It may change what others hold.
    ReadWrite,
    /// It only receives.
    ReadOnly,
    /// It manages the cluster: who takes part, and who keeps what. It holds no folders.
    Manager,
}

/// A text that is no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no role: use read-write, read-only or manager")]
pub struct RoleError(String);

impl Role {
    /// The role as text: `read-write`, `read-only` or `manager`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadWrite => "read-write",
            Self::ReadOnly => "read-only",
            Self::Manager => "manager",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = RoleError;

    fn from_str(text: &str) -> Result<Self, RoleError> {
        [Self::ReadWrite, Self::ReadOnly, Self::Manager]
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| RoleError(text.to_owned()))
    }
}

/// One enrolment of a node by a manager: 64 random bits, written as 16 hexadecimal digits. A certificate keeps it when it
/// is renewed; a node that is enrolled again under the same name gets another one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EnrolmentId(pub u64);

/// A text that is no id of an enrolment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no id of an enrolment: it has 16 hexadecimal digits in lower case")]
pub struct EnrolmentIdError(String);

impl FromStr for EnrolmentId {
    type Err = EnrolmentIdError;

    fn from_str(text: &str) -> Result<Self, EnrolmentIdError> {
        let id = u64::from_str_radix(text, 16).ok().map(Self);
        // Exactly one text for each id.
        id.filter(|id| id.to_string() == text)
            .ok_or_else(|| EnrolmentIdError(text.chars().take(17).collect()))
    }
}

impl fmt::Display for EnrolmentId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

impl fmt::Debug for EnrolmentId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "EnrolmentId({self})")
    }
}

/// Who a peer is, as its certificate proves.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PeerIdentity {
    /// Its name.
    pub name: NodeName,
    /// What it may do.
    pub role: Role,
    /// By which enrolment it became a node; `None` if it issued its certificate itself, by the cluster key.
    pub enrolment: Option<EnrolmentId>,
}

impl PeerIdentity {
    /// The URI that a certificate carries as a subject alternative name.
    pub(crate) fn uri(&self, cluster: ClusterId) -> String {
        let node = format!("replicat://{cluster}/node/{}?role={}", self.name, self.role);
        match self.enrolment {
            Some(enrolment) => format!("{node}&enrolment={enrolment}"),
            None => node,
        }
    }

    /// Reads such a URI.
    pub(crate) fn from_uri(uri: &str) -> Option<(ClusterId, Self)> {
        let (cluster, node) = uri.strip_prefix("replicat://")?.split_once("/node/")?;
        let (name, role) = node.split_once("?role=")?;
        let (role, enrolment) = match role.split_once("&enrolment=") {
            Some((role, enrolment)) => (role, Some(enrolment.parse().ok()?)),
            None => (role, None),
        };
        let identity = Self {
            name: name.parse().ok()?,
            role: role.parse().ok()?,
            enrolment,
        };
        Some((ClusterId::parse(cluster)?, identity))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_survives_its_uri() {
        let cluster = ClusterId([0xab; 16]);
        let identity = PeerIdentity {
            name: "nas-1.home".parse().unwrap(),
            role: Role::ReadOnly,
            enrolment: None,
        };
        let uri = identity.uri(cluster);
        assert_eq!(
            uri,
            "replicat://abababababababababababababababab/node/nas-1.home?role=read-only"
        );
        assert_eq!(
            PeerIdentity::from_uri(&uri),
            Some((cluster, identity.clone()))
        );
        let enrolled = PeerIdentity {
            enrolment: Some(EnrolmentId(0xc0ffee)),
            ..identity
        };
        let enrolled_uri = enrolled.uri(cluster);
        assert_eq!(enrolled_uri, format!("{uri}&enrolment=0000000000c0ffee"));
        assert_eq!(
            PeerIdentity::from_uri(&enrolled_uri),
            Some((cluster, enrolled))
        );
    }

    #[test]
    fn other_uris_are_no_identities() {
        let id = "ab".repeat(16);
        for uri in [
            "replicat://x/node/a?role=read-only".to_owned(),
            format!("replicat://{id}/node/?role=read-only"),
            format!("replicat://{id}/node/a"),
            format!("replicat://{id}/node/a?role=admin"),
            format!("replicat://{id}/node/a/b?role=read-only"),
            format!("replicat://{id}/node/a?role=read-only&enrolment=c0ffee"),
            format!("replicat://{id}/node/a?role=read-only&enrolment=0000000000C0FFEE"),
            format!("replicat://{id}/node/a?role=read-only&other=1"),
            format!("https://{id}/node/a?role=read-only"),
        ] {
            assert_eq!(PeerIdentity::from_uri(&uri), None, "{uri}");
        }
    }

    #[test]
    fn names_are_plain() {
        for text in ["", "a b", "ä", "a/b", "a\n", &"a".repeat(65)] {
            assert!(text.parse::<NodeName>().is_err(), "{text:?}");
        }
        assert!("a".repeat(64).parse::<NodeName>().is_ok());
    }
}
