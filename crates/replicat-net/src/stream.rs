//! One encrypted connection: how it comes about, and how it is refused.

use std::net::SocketAddr;
use std::time::Duration;

use rustls::server::{Acceptor, ClientHello};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::{LazyConfigAcceptor, TlsConnector, TlsStream};

use crate::certificate::{Certificate, CertificateError};
use crate::error::ConnectError;
use crate::greeting::{Refusal, write_refusal};
use crate::identity::Identity;
use crate::meter::Metered;
use crate::tls::{RECEPTION_PROTOCOL, Tls};

/// A connection on which both certificates are verified.
pub(crate) type Stream = TlsStream<Metered>;

/// How long, and over how many bytes, a connection that was refused stays open for the peer to read
/// why: closing it with unread bytes would reset it, and the reason would be lost.
const LINGER: (Duration, u64) = (Duration::from_secs(2), 64 << 10);

/// Resolves `host:port` anew, and connects to the first address that answers.
pub(crate) async fn dial(address: &str, share: Duration) -> Result<TcpStream, ConnectError> {
    let addresses: Vec<SocketAddr> = lookup_host(address)
        .await
        .map_err(ConnectError::Resolve)?
        .collect();
    let each = share / u32::try_from(addresses.len().max(1)).unwrap_or(1);
    let mut failed = ConnectError::Resolve(std::io::ErrorKind::NotFound.into());
    for address in addresses {
        match timeout(each, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failed = ConnectError::Connect(error),
            Err(_) => failed = ConnectError::Deadline(each),
        }
    }
    Err(failed)
}

/// Small frames leave at once. There is no TCP_USER_TIMEOUT: on Linux it would also end a connection
/// whose peer is alive and takes nothing for a while, as one does whose disk is busy.
pub(crate) fn tune(stream: &TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)
}

pub(crate) async fn tls_client(tcp: TcpStream, tls: &Tls) -> Result<Stream, ConnectError> {
    let connector = TlsConnector::from(tls.client.clone());
    let stream = connector
        .connect(tls.server_name.clone(), Metered::new(tcp))
        .await
        .map_err(ConnectError::from_stream)?;
    checked_protocol(stream.into())
}

/// Why an accepted connection got no further than TLS, and the connection: the peer may have to read an alert.
pub(crate) type TlsFailure = (ConnectError, Option<Box<Metered>>);

/// Who dialled: TLS says it before anything else is said.
pub(crate) enum Dialled {
    /// A node, whose certificate was verified.
    Node(Stream),
    /// Somebody without a certificate, who has a question.
    Stranger(Stream),
}

/// Encrypts an accepted connection. Strangers get no further if they are not received.
pub(crate) async fn tls_server(
    tcp: TcpStream,
    tls: &Tls,
    receives_strangers: bool,
) -> Result<Dialled, TlsFailure> {
    // Whoever cannot even say hello gets no more attention.
    let hello = LazyConfigAcceptor::new(Acceptor::default(), Metered::new(tcp))
        .await
        .map_err(|error| (ConnectError::from_stream(error), None))?;
    let is_stranger = receives_strangers && asks_for_reception(&hello.client_hello());
    let config = match is_stranger {
        true => tls.reception.clone(),
        false => tls.server.clone(),
    };
    match hello.into_stream(config).into_fallible().await {
        Ok(stream) if is_stranger => Ok(Dialled::Stranger(stream.into())),
        Ok(stream) => checked_protocol(stream.into())
            .map(Dialled::Node)
            .map_err(|error| (error, None)),
        Err((error, metered)) => match ConnectError::from_stream(error) {
            // Strangers get no more attention.
            ConnectError::NotReplicat => Err((ConnectError::NotReplicat, None)),
            error => Err((error, Some(Box::new(metered)))),
        },
    }
}

fn asks_for_reception(hello: &ClientHello<'_>) -> bool {
    let mut protocols = hello.alpn().into_iter().flatten();
    protocols.any(|protocol| protocol == RECEPTION_PROTOCOL)
}

/// TLS lets a peer pass that names no application protocol.
fn checked_protocol(stream: Stream) -> Result<Stream, ConnectError> {
    match stream.get_ref().1.alpn_protocol() {
        Some(crate::tls::PROTOCOL) => Ok(stream),
        _ => Err(ConnectError::NotReplicat),
    }
}

/// The certificate that the other end shows.
pub(crate) fn shown(stream: &Stream) -> Result<Certificate, CertificateError> {
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    let leaf = chain.first().ok_or(CertificateError::NoIdentity)?;
    Certificate::read(leaf)
}

/// Who is at the other end. TLS has verified that an authority which this node accepts issued the certificate.
pub(crate) fn peer(stream: &Stream, own: &Identity) -> Result<Certificate, CertificateError> {
    let certificate = shown(stream)?;
    let is_accepted = own
        .all()
        .any(|identity| identity.cluster_id() == certificate.cluster);
    // With one authority there is no doubt about which one it was.
    let is_sure = certificate.is_of_its_authority || own.all().count() == 1;
    if !is_accepted || !is_sure {
        return Err(CertificateError::Cluster {
            found: certificate.cluster,
            expected: own.cluster_id(),
        });
    }
    Ok(certificate)
}

/// Tells the peer why, and closes.
pub(crate) async fn refuse(mut stream: Stream, refusal: &Refusal) {
    let told = async {
        write_refusal(&mut stream, refusal).await?;
        stream.shutdown().await
    };
    // Whoever does not listen is refused without a reason.
    if let Ok(Ok(())) = timeout(LINGER.0, told).await {
        linger(stream).await;
    }
}

/// Closes a connection so that the peer can still read what was sent last.
pub(crate) async fn linger(stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let rest = async {
        let _ = writer.shutdown().await;
        let mut rest = (&mut reader).take(LINGER.1);
        let _ = tokio::io::copy(&mut rest, &mut tokio::io::sink()).await;
    };
    let _ = timeout(LINGER.0, rest).await;
}
