//! TLS between nodes: version 1.3 only, certificates of the cluster's authority on both sides.
//!
//! Verification is the standard one of the TLS library, against the authority and for one name that
//! all certificates of the cluster share. Who the peer is stands beside that name, as a URI.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::client::{ResolvesClientCert, Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs as provider};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{
    ClientConfig, ConfigBuilder, ConfigSide, RootCertStore, ServerConfig, SignatureScheme,
    WantsVerifier,
};

use crate::identity::Identity;

/// The application protocol (ALPN): the first version of the transport.
pub(crate) const PROTOCOL: &[u8] = b"replicat/1";

/// Both sides of TLS for one node.
pub(crate) struct Tls {
    pub(crate) client: Arc<ClientConfig>,
    pub(crate) server: Arc<ServerConfig>,
    pub(crate) server_name: ServerName<'static>,
    presented: Arc<Presented>,
}

impl Tls {
    pub(crate) fn new(identity: &Identity) -> Result<Self, rustls::Error> {
        let presented = Arc::new(Presented(ArcSwap::new(identity.certified.clone())));
        let name = identity.cluster_id().dns_name();
        let server_name = ServerName::try_from(name)
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        Ok(Self {
            client: Arc::new(client_config(&identity.authority, presented.clone())?),
            server: Arc::new(server_config(&identity.authority, presented.clone())?),
            server_name,
            presented,
        })
    }

    /// New connections show this identity from now on.
    pub(crate) fn present(&self, identity: &Identity) {
        self.presented.0.store(identity.certified.clone());
    }
}

/// The certificate that is shown to peers; it can be replaced while connections are made.
#[derive(Debug)]
struct Presented(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Presented {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl ResolvesClientCert for Presented {
    fn resolve(
        &self,
        _authorities: &[&[u8]],
        _schemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Resumption is off on both sides: a ticket would outlive the certificate that it was given for.
fn client_config(
    authority: &CertificateDer<'static>,
    presented: Arc<Presented>,
) -> Result<ClientConfig, rustls::Error> {
    let verifier = WebPkiServerVerifier::builder_with_provider(roots(authority)?, crypto())
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))?;
    let mut config = tls13(ClientConfig::builder_with_provider(crypto()))?
        .with_webpki_verifier(verifier)
        .with_client_cert_resolver(presented);
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    config.enable_sni = false;
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn server_config(
    authority: &CertificateDer<'static>,
    presented: Arc<Presented>,
) -> Result<ServerConfig, rustls::Error> {
    let mut config = tls13(ServerConfig::builder_with_provider(crypto()))?
        .with_client_cert_verifier(client_verifier(authority)?)
        .with_cert_resolver(presented);
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// Verifies that a certificate was issued by the authority.
pub(crate) fn client_verifier(
    authority: &CertificateDer<'static>,
) -> Result<Arc<dyn ClientCertVerifier>, rustls::Error> {
    WebPkiClientVerifier::builder_with_provider(roots(authority)?, crypto())
        .clear_root_hint_subjects()
        .build()
        .map_err(|error| rustls::Error::General(error.to_string()))
}

fn tls13<S: ConfigSide>(
    builder: ConfigBuilder<S, rustls::WantsVersions>,
) -> Result<ConfigBuilder<S, WantsVerifier>, rustls::Error> {
    builder.with_protocol_versions(&[&rustls::version::TLS13])
}

fn roots(authority: &CertificateDer<'static>) -> Result<Arc<RootCertStore>, rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone())?;
    Ok(Arc::new(roots))
}

fn crypto() -> Arc<CryptoProvider> {
    Arc::new(provider::default_provider())
}
