//! The identity of a node: its name, its role, and the certificate and key that prove them.
//!
//! A node that holds the cluster key issues its own certificate, for good; one that a manager
//! enrolled is given its parts. Peers verify both in the same way.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{KeyPair, PKCS_ED25519, PublicKeyData as _};
use rustls::crypto::aws_lc_rs as provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use zeroize::Zeroize as _;

use crate::authority::{Authority, AuthorityError, Term};
use crate::certificate::{Certificate, CertificateError};
use crate::name::{ClusterId, EnrolmentId, NodeName, PeerIdentity, Role};

/// Why a node has no usable identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The authority could not issue it.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// There is no certificate in the chain.
    #[error("the certificate chain of this node is empty")]
    NoCertificate,
    /// The certificate is not one of a replicat node.
    #[error("the certificate of this node is not usable: {0}")]
    Certificate(#[from] CertificateError),
    /// The private key is not readable, or belongs to another certificate.
    #[error("the private key of node {name} does not fit its certificate: {source}")]
    Key {
        /// Whose key it is.
        name: NodeName,
        /// What the TLS library says.
        source: rustls::Error,
    },
}

/// The key pair of a node that has no certificate yet, or is about to get another one. It is wiped when it is dropped.
pub struct NodeKey(KeyPair);

impl NodeKey {
    /// A new key.
    ///
    /// # Errors
    /// If the cryptographic library fails.
    pub fn generate() -> Result<Self, IdentityError> {
        let key = KeyPair::generate_for(&PKCS_ED25519).map_err(AuthorityError::from)?;
        Ok(Self(key))
    }

    /// The key that [`NodeKey::to_der`] wrote down.
    ///
    /// # Errors
    /// If it is not one.
    pub fn from_der(der: &PrivateKeyDer<'_>) -> Result<Self, IdentityError> {
        let key = KeyPair::try_from(der).map_err(AuthorityError::from)?;
        Ok(Self(key))
    }

    /// What an authority certifies: the public half, as a DER SubjectPublicKeyInfo.
    #[must_use]
    pub fn public_key(&self) -> Vec<u8> {
        self.0.subject_public_key_info()
    }

    /// The key as PKCS #8. It is the secret itself.
    #[must_use]
    pub fn to_der(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.0.serialize_der()).into()
    }
}

impl Drop for NodeKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("NodeKey(hidden)")
    }
}

/// The identity of this node. Cheap to clone; the private key is wiped with the last clone.
#[derive(Clone)]
pub struct Identity {
    pub(crate) certified: Arc<CertifiedKey>,
    pub(crate) authority: CertificateDer<'static>,
    cluster: ClusterId,
    peer: PeerIdentity,
    valid: Validity,
    /// The same node under the other cluster keys that it accepts.
    accepted: Arc<[Identity]>,
}

#[derive(Clone, Copy)]
struct Validity {
    from: SystemTime,
    expires: SystemTime,
}

impl Identity {
    /// A new key, and a certificate for it that is valid until `lifetime` after `now`.
    ///
    /// # Errors
    /// If the times are out of range or the cryptographic library fails.
    pub fn issue(
        authority: &Authority,
        name: NodeName,
        role: Role,
        now: SystemTime,
        lifetime: Duration,
    ) -> Result<Self, IdentityError> {
        Self::for_term(authority, name, role, Term::from(now, lifetime)?)
    }

    /// A new key, and a certificate for it that is valid whatever clocks say. For those who hold the authority: they can
    /// issue another at any time, so that an end would protect nobody, and part those whose clocks are wrong.
    ///
    /// # Errors
    /// If the cryptographic library fails.
    pub fn issue_for_good(
        authority: &Authority,
        name: NodeName,
        role: Role,
    ) -> Result<Self, IdentityError> {
        Self::for_term(authority, name, role, Term::always())
    }

    fn for_term(
        authority: &Authority,
        name: NodeName,
        role: Role,
        term: Term,
    ) -> Result<Self, IdentityError> {
        let peer = PeerIdentity {
            name,
            role,
            enrolment: None,
        };
        let key = NodeKey::generate()?;
        let certificate = authority.sign(&key.0, &peer, term)?;
        Self::from_parts(vec![certificate], key.to_der(), authority.certificate())
    }

    /// An identity that was given to this node: its certificate, followed by others between it and
    /// the authority if there are any, its private key, and the authority's certificate.
    ///
    /// # Errors
    /// If the certificate is not one of a node, was not issued by the authority, or the key is not its own.
    pub fn from_parts(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        authority: CertificateDer<'static>,
    ) -> Result<Self, IdentityError> {
        let leaf = chain.first().ok_or(IdentityError::NoCertificate)?;
        let described = Certificate::read(leaf)?;
        described.verify_issuer(&chain, &authority)?;
        let name = described.peer.name.clone();
        let failed = |source| IdentityError::Key { name, source };
        let certified =
            CertifiedKey::from_der(chain, key, &provider::default_provider()).map_err(failed)?;
        Ok(Self {
            certified: Arc::new(certified),
            authority,
            cluster: described.cluster,
            peer: described.peer,
            valid: Validity {
                from: described.not_before,
                expires: described.not_after,
            },
            accepted: Arc::default(),
        })
    }

    /// Accepts peers of the clusters of these identities as well, while the key of a cluster is changed. They are of the
    /// same node.
    #[must_use]
    pub fn accepting(self, others: Vec<Identity>) -> Self {
        let accepted = others.into();
        Self { accepted, ..self }
    }

    /// The clusters that are accepted beside its own.
    #[must_use]
    pub fn accepted_clusters(&self) -> Vec<ClusterId> {
        let accepted = self.accepted.iter();
        accepted.map(Identity::cluster_id).collect()
    }

    /// This identity, and those under the other keys that are accepted.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Identity> {
        std::iter::once(self).chain(self.accepted.iter())
    }

    /// Another certificate of this node, which accepts what this one does.
    pub(crate) fn renewed(&self, renewed: Identity) -> Self {
        Self {
            accepted: Arc::clone(&self.accepted),
            ..renewed
        }
    }

    /// The cluster that the node belongs to.
    #[must_use]
    pub fn cluster_id(&self) -> ClusterId {
        self.cluster
    }

    /// The name of the node.
    #[must_use]
    pub fn name(&self) -> &NodeName {
        &self.peer.name
    }

    /// What the node may do.
    #[must_use]
    pub fn role(&self) -> Role {
        self.peer.role
    }

    /// By which enrolment it became a node; `None` if it issued its certificate itself.
    #[must_use]
    pub fn enrolment(&self) -> Option<EnrolmentId> {
        self.peer.enrolment
    }

    /// From when on the certificate is valid: a day before it was issued, if it expires.
    #[must_use]
    pub fn valid_from(&self) -> SystemTime {
        self.valid.from
    }

    /// The certificate of this node.
    #[must_use]
    pub fn certificate(&self) -> Option<&CertificateDer<'static>> {
        self.certified.cert.first()
    }

    /// The certificate of the authority that issued it.
    #[must_use]
    pub fn authority(&self) -> &CertificateDer<'static> {
        &self.authority
    }

    /// When the certificate expires. From then on peers refuse it.
    #[must_use]
    pub fn expires(&self) -> SystemTime {
        self.valid.expires
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cluster, peer, .. } = self;
        write!(formatter, "Identity({})", peer.uri(*cluster))
    }
}
