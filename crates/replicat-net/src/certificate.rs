//! What a node's certificate says.

use std::time::{Duration, SystemTime};

use rustls::pki_types::{CertificateDer, UnixTime};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use crate::authority::authority_name;
use crate::name::{ClusterId, NodeName, PeerIdentity};
use crate::tls;

/// Why a certificate is not one of a node.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// It cannot be read at all.
    #[error("it is not an X.509 certificate")]
    Malformed,
    /// It names no node.
    #[error("it has no name of the form replicat://CLUSTER/node/NAME?role=ROLE")]
    NoIdentity,
    /// It is of another cluster than it claims.
    #[error("it names cluster {found}, and this is cluster {expected}")]
    Cluster {
        /// The cluster that it names.
        found: ClusterId,
        /// The cluster that was expected.
        expected: ClusterId,
    },
    /// It is of a node, where the manager was meant.
    #[error("it is of node {0}, and this is the address of no manager")]
    NoManager(NodeName),
    /// The authority did not issue it.
    #[error("the authority did not issue it: {0}")]
    Issuer(rustls::Error),
}

/// What is read from a certificate. It proves nothing: TLS has verified it, or has yet to.
pub(crate) struct Certificate {
    pub(crate) cluster: ClusterId,
    /// Whether it says that the authority of that cluster issued it.
    pub(crate) is_of_its_authority: bool,
    pub(crate) peer: PeerIdentity,
    pub(crate) not_before: SystemTime,
    pub(crate) not_after: SystemTime,
}

impl Certificate {
    pub(crate) fn read(der: &CertificateDer<'_>) -> Result<Self, CertificateError> {
        let (_, certificate) =
            X509Certificate::from_der(der).map_err(|_| CertificateError::Malformed)?;
        let names = certificate
            .subject_alternative_name()
            .map_err(|_| CertificateError::Malformed)?
            .ok_or(CertificateError::NoIdentity)?;
        let uris = names.value.general_names.iter();
        let (cluster, peer) = uris
            .filter_map(|name| match name {
                GeneralName::URI(uri) => PeerIdentity::from_uri(uri),
                _ => None,
            })
            .next()
            .ok_or(CertificateError::NoIdentity)?;
        let mut issuer = certificate.issuer().iter_common_name();
        let issuer = issuer.next().and_then(|name| name.as_str().ok());
        Ok(Self {
            cluster,
            is_of_its_authority: issuer == Some(&authority_name(cluster)),
            peer,
            not_before: system_time(certificate.validity().not_before.timestamp()),
            not_after: system_time(certificate.validity().not_after.timestamp()),
        })
    }

    /// Checks that the authority issued it, at the time when its validity began: whether it has
    /// expired since is the affair of whoever connects.
    pub(crate) fn verify_issuer(
        &self,
        chain: &[CertificateDer<'_>],
        authority: &CertificateDer<'static>,
    ) -> Result<(), CertificateError> {
        let verifier = tls::client_verifier(authority).map_err(CertificateError::Issuer)?;
        let began = self.not_before.duration_since(SystemTime::UNIX_EPOCH);
        let began = UnixTime::since_unix_epoch(began.unwrap_or_default());
        let (leaf, between) = chain.split_first().ok_or(CertificateError::Malformed)?;
        verifier
            .verify_client_cert(leaf, between, began)
            .map_err(CertificateError::Issuer)?;
        Ok(())
    }
}

fn system_time(seconds: i64) -> SystemTime {
    let since = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
    SystemTime::UNIX_EPOCH
        .checked_add(since)
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};

    /// A certificate of a node of one cluster, from an authority that calls itself that of another.
    fn certificate(cluster: ClusterId, authority: ClusterId) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        let name = authority_name(authority);
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let key = KeyPair::generate().unwrap();
        let issuer = Issuer::new(params, key);
        let peer = PeerIdentity {
            name: "a".parse().unwrap(),
            role: crate::name::Role::ReadWrite,
            enrolment: None,
        };
        let mut params = CertificateParams::default();
        let uri = peer.uri(cluster).try_into().unwrap();
        params.subject_alt_names = vec![SanType::URI(uri)];
        let key = KeyPair::generate().unwrap();
        params.signed_by(&key, &issuer).unwrap().der().clone()
    }

    #[test]
    fn an_authority_speaks_for_its_own_cluster() {
        let (one, other) = (
            ClusterId::from_bytes([1; 16]),
            ClusterId::from_bytes([2; 16]),
        );
        let own = Certificate::read(&certificate(one, one)).unwrap();
        assert!(own.is_of_its_authority && own.cluster == one);
        let foreign = Certificate::read(&certificate(one, other)).unwrap();
        assert!(!foreign.is_of_its_authority && foreign.cluster == one);
    }
}
