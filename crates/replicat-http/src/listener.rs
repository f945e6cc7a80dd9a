//! Where the API listens, and the connections.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_io_timeout::TimeoutStream;

use crate::app::{App, Setting, Subject};
use crate::error::HttpError;
use crate::tls::{CertificateFiles, ServedCertificate};
use crate::tokens::TokenStore;

/// How many connections there are at once.
const CONNECTIONS_MAX: usize = 256;
/// The longest head of a request, in bytes.
const HEAD_BYTES_MAX: usize = 32 << 10;
/// How long after a failure the next connection is taken.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long connections may take to end when the server stops.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// How the API is served.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Where, `HOST:PORT`; port 0 takes a free one.
    pub address: String,
    /// What encrypts it.
    pub certificate: Option<CertificateFiles>,
    /// The names by which it may be called, beside `localhost`.
    pub hosts: Vec<String>,
    /// The directory that the tokens are kept in.
    pub tokens: PathBuf,
    /// How long the head of a request may take, and the start of encryption.
    pub head_patience: Duration,
    /// How long a body may bring nothing.
    pub body_patience: Duration,
    /// How long a client may take nothing.
    pub write_patience: Duration,
}

impl HttpConfig {
    /// At `address`, with the tokens in `tokens`, all else by default.
    #[must_use]
    pub fn new(address: impl Into<String>, tokens: impl Into<PathBuf>) -> Self {
        Self {
            address: address.into(),
            certificate: None,
            hosts: Vec::new(),
            tokens: tokens.into(),
            head_patience: Duration::from_secs(10),
            body_patience: Duration::from_secs(30),
            write_patience: Duration::from_secs(60),
        }
    }

    /// Whether it can be served so, without listening.
    ///
    /// # Errors
    /// As [`HttpListener::bind`], but for an address that is taken.
    pub async fn check(&self) -> Result<(), HttpError> {
        self.prepare().await.map(drop)
    }

    /// The address to listen at, and the certificate.
    async fn prepare(&self) -> Result<(SocketAddr, Option<ServedCertificate>), HttpError> {
        let unusable = |source: io::Error| HttpError::Listen {
            address: self.address.clone(),
            source,
        };
        let unknown = || HttpError::Address {
            address: self.address.clone(),
        };
        let found: Vec<_> = match self.address.rsplit_once(':') {
            Some(_) => lookup_host(&self.address)
                .await
                .map_err(unusable)?
                .collect(),
            None => return Err(unknown()),
        };
        let Some(first) = found.first().copied() else {
            return Err(unknown());
        };
        let files = self.certificate.as_ref();
        let certificate = files.map(ServedCertificate::load).transpose()?;
        let tokens = TokenStore::new(&self.tokens).list()?;
        // A name may stand for several addresses; whichever is taken, it must not be one that others reach.
        for address in found
            .iter()
            .copied()
            .filter(|address| !address.ip().is_loopback())
        {
            if certificate.is_none() {
                return Err(HttpError::Plain { address });
            }
            if tokens.is_empty() {
                return Err(HttpError::NoToken { address });
            }
        }
        Ok((first, certificate))
    }
}

/// A socket that listens, and answers nobody yet.
pub struct HttpListener {
    socket: TcpListener,
    address: SocketAddr,
    certificate: Option<ServedCertificate>,
    config: HttpConfig,
}

/// The API, as it is served.
pub struct HttpService {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    serving: tokio::task::JoinHandle<()>,
}

impl HttpListener {
    /// Listens. Where others can reach it only with a certificate, and if there is a token.
    ///
    /// # Errors
    /// If that is not so, or the address, the certificate or the tokens cannot be used.
    pub async fn bind(config: HttpConfig) -> Result<Self, HttpError> {
        let (first, certificate) = config.prepare().await?;
        let unusable = |source: io::Error| HttpError::Listen {
            address: config.address.clone(),
            source,
        };
        let socket = TcpListener::bind(first).await.map_err(unusable)?;
        let address = socket.local_addr().map_err(unusable)?;
        Ok(Self {
            socket,
            address,
            certificate,
            config,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate that it shows, if it encrypts.
    #[must_use]
    pub fn certificate(&self) -> Option<ServedCertificate> {
        self.certificate.clone()
    }

    /// The files that the certificate is from.
    #[must_use]
    pub fn files(&self) -> Option<&CertificateFiles> {
        self.config.certificate.as_ref()
    }

    /// Answers from now on. Must be called where asynchronous work can run.
    #[must_use]
    pub fn serve(self, subject: Subject) -> HttpService {
        let (stop, stopped) = watch::channel(false);
        let app = App::new(
            subject,
            Setting {
                tokens: TokenStore::new(&self.config.tokens),
                hosts: self.config.hosts.clone(),
                is_encrypted: self.certificate.is_some(),
                body_patience: self.config.body_patience,
                stopped: stopped.clone(),
            },
        );
        let address = self.address;
        let serving = tokio::spawn(accept(self, app.router(), stopped));
        HttpService {
            address,
            stop,
            serving,
        }
    }
}

impl HttpService {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more connections, and lets those that there are end.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.serving.await {
            tracing::error!(%error, "the HTTP API did not end as it should");
        }
    }
}

/// Takes connections until it is to stop.
async fn accept(listener: HttpListener, router: Router, mut stopped: watch::Receiver<bool>) {
    let listener = Arc::new(listener);
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    let mut until = stopped.clone();
    let serving = async {
        loop {
            // Connections that are over are let go.
            while connections.try_join_next().is_some() {}
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            let stream = match listener.socket.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a connection to the HTTP API was not taken");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let (listener, router, stopped) =
                (Arc::clone(&listener), router.clone(), stopped.clone());
            connections.spawn(async move {
                connect(&listener, stream, router, stopped).await;
                drop(place);
            });
        }
    };
    tokio::select! {
        () = serving => {}
        () = stop(&mut until) => {}
    }
    stop(&mut stopped).await;
    let ended = timeout(STOP_PATIENCE, async {
        while connections.join_next().await.is_some() {}
    });
    if ended.await.is_err() {
        tracing::debug!("connections to the HTTP API were cut off");
    }
    connections.shutdown().await;
}

/// Waits until the server stops, or is gone.
async fn stop(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

async fn connect(
    listener: &HttpListener,
    stream: TcpStream,
    router: Router,
    stopped: watch::Receiver<bool>,
) {
    // Only a delay is lost if it cannot be set.
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(listener.config.write_patience));
    let stream = Box::pin(stream);
    let Some(certificate) = &listener.certificate else {
        return answer(listener, stream, router, stopped).await;
    };
    let acceptor = certificate.acceptor();
    match timeout(listener.config.head_patience, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => answer(listener, Box::pin(stream), router, stopped).await,
        Ok(Err(error)) => tracing::debug!(%error, "no encryption with a client of the HTTP API"),
        Err(_) => tracing::debug!("a client of the HTTP API was too slow to encrypt"),
    }
}

async fn answer<S: AsyncRead + AsyncWrite + Send + 'static>(
    listener: &HttpListener,
    stream: Pin<Box<S>>,
    router: Router,
    mut stopped: watch::Receiver<bool>,
) {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(listener.config.head_patience)
        .max_buf_size(HEAD_BYTES_MAX);
    let service = TowerToHyperService::new(router);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop(&mut stopped) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection to the HTTP API broke off");
    }
}
