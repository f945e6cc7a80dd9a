//! The certificate that the API shows.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::error::HttpError;

/// A chain of certificates and its key, both PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The chain, the server's own certificate first.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// The certificate that a running server shows. Clones are handles of one.
#[derive(Clone)]
pub struct ServedCertificate(Arc<RwLock<TlsAcceptor>>);

impl ServedCertificate {
    pub(crate) fn load(files: &CertificateFiles) -> Result<Self, HttpError> {
        Ok(Self(Arc::new(RwLock::new(acceptor(files)?))))
    }

    /// Shows the certificate in `files` to new connections; those that there are go on with the one before.
    ///
    /// # Errors
    /// If it cannot be used, or its key is of another; then the certificate before stays.
    pub fn reload(&self, files: &CertificateFiles) -> Result<(), HttpError> {
        let acceptor = acceptor(files)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = acceptor;
        Ok(())
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl CertificateFiles {
    /// Whether they can be used, without using them.
    ///
    /// # Errors
    /// If they cannot be read, or the key is of another certificate.
    pub fn check(&self) -> Result<(), HttpError> {
        acceptor(self).map(drop)
    }
}

/// What encrypts connections with the certificate in `files`.
fn acceptor(files: &CertificateFiles) -> Result<TlsAcceptor, HttpError> {
    let chain = chain(&files.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&files.key);
    let key = key.map_err(|error| unusable(&files.key, error.to_string()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| unusable(&files.certificate, error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| unusable(&files.key, error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, HttpError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = read.map_err(|error| unusable(path, error.to_string()))?;
    match chain.is_empty() {
        true => Err(unusable(path, "it holds no certificate".to_owned())),
        false => Ok(chain),
    }
}

fn unusable(path: &Path, problem: String) -> HttpError {
    HttpError::Certificate {
        path: path.to_owned(),
        problem,
    }
}
