//! The certificate authority of a cluster.
//!
//! Goals: every holder of the cluster key derives the same authority, byte for byte; what it signs
//! is verified by the rules of the web's certificates, with no protocol of our own.
//! Non-goals: who may join. A manager that enrols nodes decides that, and calls [`Authority::certify`].

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ED25519, PublicKeyData, SanType, SerialNumber,
    date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use time::OffsetDateTime;
use zeroize::Zeroize;

use crate::name::{ClusterId, PeerIdentity};

/// How far a certificate's validity begins before it is issued: clocks of two nodes differ, and a
/// certificate just made must be good for a peer whose clock is late.
const CLOCK_SKEW: Duration = Duration::from_secs(24 * 60 * 60);

/// Why the authority could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The key derivation failed.
    #[error("cannot derive the authority from the cluster key")]
    Derivation,
    /// The system gave no random bytes.
    #[error("cannot issue a certificate: the system gives no random bytes")]
    Random,
    /// The time is beyond what a certificate can say.
    #[error("cannot issue a certificate: the clock or the lifetime is out of range")]
    Time,
    /// A public key that is not a SubjectPublicKeyInfo structure of a known algorithm.
    #[error("cannot certify node {name}: its public key is not readable")]
    PublicKey {
        /// For whom it was meant.
        name: String,
    },
    /// Signing or encoding failed.
    #[error("cannot make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
}

/// The authority that signs the certificates of a cluster's nodes. Cheap to clone.
#[derive(Clone)]
pub struct Authority(Arc<Inner>);

struct Inner {
    cluster: ClusterId,
    params: CertificateParams,
    key: KeyPair,
    certificate: CertificateDer<'static>,
}

impl Authority {
    /// The authority of `cluster` whose Ed25519 key has `seed`.
    pub(crate) fn from_seed(cluster: ClusterId, seed: &[u8; 32]) -> Result<Self, AuthorityError> {
        let key = key_from_seed(seed)?;
        let params = authority_params(cluster);
        let certificate = params.self_signed(&key)?.der().clone();
        Ok(Self(Arc::new(Inner {
            cluster,
            params,
            key,
            certificate,
        })))
    }

    /// The public id of the cluster.
    #[must_use]
    pub fn cluster_id(&self) -> ClusterId {
        self.0.cluster
    }

    /// The authority's own certificate, which nodes verify each other against. It is public.
    #[must_use]
    pub fn certificate(&self) -> CertificateDer<'static> {
        self.0.certificate.clone()
    }

    /// What tells a node of this cluster from a stranger.
    ///
    /// # Errors
    /// If the cryptographic library gives a key of another length.
    pub fn pin(&self) -> Result<AuthorityPin, AuthorityError> {
        let raw = self.0.key.public_key_raw().try_into();
        Ok(AuthorityPin {
            cluster: self.0.cluster,
            public_key: raw.map_err(|_| AuthorityError::Derivation)?,
        })
    }

    /// A certificate for the holder of a key, given as a DER SubjectPublicKeyInfo: it is valid from
    /// a day before `now` until `lifetime` after it.
    ///
    /// # Errors
    /// If the key is not readable, or the times are out of range.
    pub fn certify(
        &self,
        public_key: &[u8],
        identity: &PeerIdentity,
        now: SystemTime,
        lifetime: Duration,
    ) -> Result<CertificateDer<'static>, AuthorityError> {
        let key = rcgen::SubjectPublicKeyInfo::from_der(public_key).map_err(|_| {
            AuthorityError::PublicKey {
                name: identity.name.to_string(),
            }
        })?;
        self.sign(&key, identity, Term::from(now, lifetime)?)
    }

    pub(crate) fn sign(
        &self,
        key: &impl PublicKeyData,
        identity: &PeerIdentity,
        term: Term,
    ) -> Result<CertificateDer<'static>, AuthorityError> {
        let params = node_params(self.0.cluster, identity, term)?;
        let issuer = Issuer::from_params(&self.0.params, &self.0.key);
        Ok(params.signed_by(key, &issuer)?.der().clone())
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Authority({})", self.0.cluster)
    }
}

/// From when until when a certificate is good.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Term {
    begins: OffsetDateTime,
    ends: OffsetDateTime,
}

impl Term {
    /// For a lifetime from now on, and a day before.
    pub(crate) fn from(now: SystemTime, lifetime: Duration) -> Result<Self, AuthorityError> {
        let begins = now.checked_sub(CLOCK_SKEW).ok_or(AuthorityError::Time)?;
        let ends = now.checked_add(lifetime).ok_or(AuthorityError::Time)?;
        Ok(Self {
            begins: begins.into(),
            ends: ends.into(),
        })
    }

    /// Whatever a clock says.
    pub(crate) fn always() -> Self {
        Self {
            begins: date_time_ymd(1970, 1, 1),
            ends: date_time_ymd(2500, 1, 1),
        }
    }
}

/// All that somebody needs to know of an authority to tell who was certified by it. It is public.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthorityPin {
    /// The id of the cluster.
    pub cluster: ClusterId,
    /// The authority's Ed25519 public key.
    pub public_key: [u8; 32],
}

impl AuthorityPin {
    /// A certificate that says what the authority's says, of a key that nobody has.
    pub(crate) fn stand_in(&self) -> Result<CertificateDer<'static>, AuthorityError> {
        let key = KeyPair::generate_for(&PKCS_ED25519)?;
        Ok(authority_params(self.cluster)
            .self_signed(&key)?
            .der()
            .clone())
    }
}

fn key_from_seed(seed: &[u8; 32]) -> Result<KeyPair, AuthorityError> {
    let failed = |_| AuthorityError::Derivation;
    let key = aws_lc_rs::signature::Ed25519KeyPair::from_seed_unchecked(seed)
        .map_err(|_| AuthorityError::Derivation)?;
    let document = key.to_pkcs8v1().map_err(failed)?;
    let document = PrivatePkcs8KeyDer::from(document.as_ref());
    Ok(KeyPair::from_pkcs8_der_and_sign_algo(
        &document,
        &PKCS_ED25519,
    )?)
}

/// The common name of the authority of a cluster.
pub(crate) fn authority_name(cluster: ClusterId) -> String {
    format!("replicat cluster {cluster}")
}

/// All of it is fixed, so that every node derives the same certificate.
fn authority_params(cluster: ClusterId) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name(authority_name(cluster));
    params.serial_number = Some(SerialNumber::from(1));
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2500, 1, 1);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn node_params(
    cluster: ClusterId,
    identity: &PeerIdentity,
    term: Term,
) -> Result<CertificateParams, AuthorityError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name(identity.name.to_string());
    params.serial_number = Some(random_serial()?);
    params.not_before = term.begins;
    params.not_after = term.ends;
    params.subject_alt_names = vec![
        SanType::DnsName(cluster.dns_name().try_into()?),
        SanType::URI(identity.uri(cluster).try_into()?),
    ];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn common_name(text: String) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, text);
    name
}

/// 127 random bits: positive, and at most 20 bytes long, as RFC 5280 (4.1.2.2) asks.
fn random_serial() -> Result<SerialNumber, AuthorityError> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| AuthorityError::Random)?;
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}
