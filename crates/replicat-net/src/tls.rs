//! TLS between nodes: version 1.3 only, certificates of the cluster's authority on both sides.
//!
//! Verification is the standard one of the TLS library, against the authority and for one name that
//! all certificates of the cluster share. Who the peer is stands beside that name, as a URI.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs as provider};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, ClientConfig, ConfigBuilder, ConfigSide, DigitallySignedStruct,
    DistinguishedName, RootCertStore, ServerConfig, SignatureScheme, WantsVerifier,
};

use crate::authority::AuthorityPin;
use crate::identity::Identity;
use crate::name::ClusterId;

/// The application protocol (ALPN): the first version of the transport.
pub(crate) const PROTOCOL: &[u8] = b"replicat/1";

/// The application protocol of those who have no certificate yet.
pub(crate) const RECEPTION_PROTOCOL: &[u8] = b"replicat-enrol/1";

/// Both sides of TLS for one node.
pub(crate) struct Tls {
    pub(crate) client: Arc<ClientConfig>,
    pub(crate) server: Arc<ServerConfig>,
    /// For strangers: they show no certificate.
    pub(crate) reception: Arc<ServerConfig>,
    /// For the dialler to name; which cluster it is, the verifier sees.
    pub(crate) server_name: ServerName<'static>,
    presented: Arc<Presented>,
}

impl Tls {
    pub(crate) fn new(identity: &Identity) -> Result<Self, rustls::Error> {
        let presented = Arc::new(Presented(ArcSwap::from_pointee(shown(identity)?)));
        Ok(Self {
            client: Arc::new(client_config(identity, presented.clone())?),
            server: Arc::new(server_config(identity, presented.clone())?),
            reception: Arc::new(reception_config(presented.clone())?),
            server_name: server_name(identity.cluster_id())?,
            presented,
        })
    }

    /// New connections show this identity from now on.
    pub(crate) fn present(&self, identity: &Identity) {
        match shown(identity) {
            Ok(shown) => self.presented.0.store(Arc::new(shown)),
            // The authorities are those of the certificates before.
            Err(error) => tracing::error!(%error, "a new certificate cannot be shown"),
        }
    }
}

/// The certificates that are shown to peers, that of the own key first; they can be replaced while connections are made.
#[derive(Debug)]
struct Presented(ArcSwap<Vec<Shown>>);

/// A certificate, and the subject of the authority that issued it.
#[derive(Debug)]
struct Shown {
    certified: Arc<CertifiedKey>,
    authority: DistinguishedName,
}

fn shown(identity: &Identity) -> Result<Vec<Shown>, rustls::Error> {
    let mut shown = Vec::new();
    for identity in identity.all() {
        let subjects = roots([&identity.authority])?.subjects();
        shown.extend(subjects.into_iter().map(|authority| Shown {
            certified: identity.certified.clone(),
            authority,
        }));
    }
    Ok(shown)
}

impl ResolvesServerCert for Presented {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let shown = self.0.load();
        shown.first().map(|first| first.certified.clone())
    }
}

impl ResolvesClientCert for Presented {
    fn resolve(
        &self,
        authorities: &[&[u8]],
        _schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        let shown = self.0.load();
        let is_named = |shown: &&Shown| authorities.contains(&shown.authority.as_ref());
        let fitting = shown.iter().find(is_named).or_else(|| shown.first());
        fitting.map(|shown| shown.certified.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Resumption is off on both sides: a ticket would outlive the certificate that it was given for.
fn client_config(
    identity: &Identity,
    presented: Arc<Presented>,
) -> Result<ClientConfig, rustls::Error> {
    let verifier = AcceptedServers::new(identity)?;
    let mut config = tls13(ClientConfig::builder_with_provider(crypto()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(presented);
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    config.enable_sni = false;
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn server_config(
    identity: &Identity,
    presented: Arc<Presented>,
) -> Result<ServerConfig, rustls::Error> {
    // Their subjects tell the dialler which of its certificates to show.
    let authorities = identity.all().map(|identity| &identity.authority);
    let verifier = WebPkiClientVerifier::builder_with_provider(roots(authorities)?, crypto())
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))?;
    let mut config = tls13(ServerConfig::builder_with_provider(crypto()))?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(presented);
    without_tickets(&mut config, PROTOCOL);
    Ok(config)
}

fn reception_config(presented: Arc<Presented>) -> Result<ServerConfig, rustls::Error> {
    let mut config = tls13(ServerConfig::builder_with_provider(crypto()))?
        .with_no_client_auth()
        .with_cert_resolver(presented);
    without_tickets(&mut config, RECEPTION_PROTOCOL);
    Ok(config)
}

fn without_tickets(config: &mut ServerConfig, protocol: &[u8]) {
    config.alpn_protocols = vec![protocol.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
}

/// What somebody dials with who knows the authority by its pin alone, and has no certificate.
pub(crate) fn stranger_config(pin: &AuthorityPin) -> Result<ClientConfig, rustls::Error> {
    let stand_in = pin
        .stand_in()
        .map_err(|error| rustls::Error::General(error.to_string()))?;
    let mut roots = RootCertStore::empty();
    roots.add(stand_in)?;
    for root in &mut roots.roots {
        // The key is what ends the structure.
        let mut key = root.subject_public_key_info.to_vec();
        let start = key.len().saturating_sub(pin.public_key.len());
        key.splice(start.., pin.public_key);
        root.subject_public_key_info = key.into();
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), crypto())
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))?;
    let mut config = tls13(ClientConfig::builder_with_provider(crypto()))?
        .with_webpki_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![RECEPTION_PROTOCOL.to_vec()];
    config.enable_sni = false;
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// The name for which every certificate of a cluster is valid.
pub(crate) fn server_name(cluster: ClusterId) -> Result<ServerName<'static>, rustls::Error> {
    ServerName::try_from(cluster.dns_name())
        .map_err(|error| rustls::Error::General(error.to_string()))
}

/// Verifies that a certificate was issued by the authority.
pub(crate) fn client_verifier(
    authority: &CertificateDer<'static>,
) -> Result<Arc<dyn ClientCertVerifier>, rustls::Error> {
    WebPkiClientVerifier::builder_with_provider(roots([authority])?, crypto())
        .clear_root_hint_subjects()
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))
}

fn tls13<S: ConfigSide>(
    builder: ConfigBuilder<S, rustls::WantsVersions>,
) -> Result<ConfigBuilder<S, WantsVerifier>, rustls::Error> {
    builder.with_protocol_versions(&[&rustls::version::TLS13])
}

fn roots<'a>(
    authorities: impl IntoIterator<Item = &'a CertificateDer<'static>>,
) -> Result<Arc<RootCertStore>, rustls::Error> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority.clone())?;
    }
    Ok(Arc::new(roots))
}

/// Verifies servers by the library's own rules, for each cluster that is accepted in turn: the certificate has to be valid for
/// the name of one of them.
#[derive(Debug)]
struct AcceptedServers {
    verifier: Arc<WebPkiServerVerifier>,
    names: Vec<ServerName<'static>>,
}

impl AcceptedServers {
    fn new(identity: &Identity) -> Result<Self, rustls::Error> {
        let authorities = identity.all().map(|identity| &identity.authority);
        let verifier = WebPkiServerVerifier::builder_with_provider(roots(authorities)?, crypto())
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        let names = identity.all();
        let names = names.map(|identity| server_name(identity.cluster_id()));
        Ok(Self {
            verifier,
            names: names.collect::<Result<_, _>>()?,
        })
    }
}

impl ServerCertVerifier for AcceptedServers {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let mut refused = rustls::Error::InvalidCertificate(CertificateError::NotValidForName);
        for name in &self.names {
            let verified = self.verifier.verify_server_cert(
                end_entity,
                intermediates,
                name,
                ocsp_response,
                now,
            );
            match verified {
                Ok(verified) => return Ok(verified),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

fn crypto() -> Arc<CryptoProvider> {
    Arc::new(provider::default_provider())
}
