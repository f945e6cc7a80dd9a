//! Questions of strangers: those who have no certificate yet, and want one.
//!
//! A stranger knows the authority by its pin, so that it talks to a manager and nobody else; the manager knows nothing of
//! the stranger but what it says. One question, one answer, each with its length in four bytes before it, little endian.
//! Non-goals: what they say.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::authority::AuthorityPin;
use crate::certificate::CertificateError;
use crate::error::ConnectError;
use crate::meter::Metered;
use crate::name::Role;
use crate::stream::{Stream, dial, linger, shown, tune};
use crate::tls;

/// The longest question of a stranger, in bytes.
pub const QUESTION_BYTES_MAX: usize = 16 << 10;
/// The longest answer, in bytes.
pub const ANSWER_BYTES_MAX: usize = 64 << 10;

/// Answers strangers.
pub(crate) type Reception =
    dyn Fn(Bytes) -> Pin<Box<dyn Future<Output = Bytes> + Send>> + Send + Sync;

/// Asks the manager of a cluster something, as somebody who has no certificate.
///
/// # Errors
/// If nobody answers within `deadline`, or whoever does is not a manager of the cluster whose pin was given.
pub async fn ask_manager(
    address: &str,
    pin: &AuthorityPin,
    question: &[u8],
    deadline: Duration,
) -> Result<Bytes, ConnectError> {
    let asking = timeout(deadline, ask(address, pin, question, deadline));
    asking.await.map_err(|_| ConnectError::Deadline(deadline))?
}

async fn ask(
    address: &str,
    pin: &AuthorityPin,
    question: &[u8],
    deadline: Duration,
) -> Result<Bytes, ConnectError> {
    let config = tls::stranger_config(pin).map_err(ConnectError::Tls)?;
    let name = tls::server_name(pin.cluster).map_err(ConnectError::Tls)?;
    let tcp = dial(address, deadline).await?;
    tune(&tcp).map_err(ConnectError::Broken)?;
    let connector = TlsConnector::from(Arc::new(config));
    let stream = connector.connect(name, Metered::new(tcp)).await;
    let mut stream: Stream = stream.map_err(ConnectError::from_stream)?.into();
    if stream.get_ref().1.alpn_protocol() != Some(tls::RECEPTION_PROTOCOL) {
        return Err(ConnectError::NotReplicat);
    }
    // Any node could listen there; the question may be a secret.
    let certificate = shown(&stream)?;
    if certificate.cluster != pin.cluster {
        return Err(CertificateError::Cluster {
            found: certificate.cluster,
            expected: pin.cluster,
        }
        .into());
    }
    if certificate.peer.role != Role::Manager {
        return Err(CertificateError::NoManager(certificate.peer.name).into());
    }
    let asked = write(&mut stream, question, QUESTION_BYTES_MAX).await;
    asked.map_err(ConnectError::from_stream)?;
    let answer = read(&mut stream, ANSWER_BYTES_MAX).await;
    answer.map_err(ConnectError::from_stream)
}

/// Answers the question that a stranger asks.
pub(crate) async fn receive_stranger(
    mut stream: Stream,
    reception: Option<Arc<Reception>>,
) -> Result<(), ConnectError> {
    let reception = reception.ok_or(ConnectError::NotReplicat)?;
    let question = read(&mut stream, QUESTION_BYTES_MAX).await;
    let answer = reception(question.map_err(ConnectError::Broken)?).await;
    let told = write(&mut stream, &answer, ANSWER_BYTES_MAX).await;
    told.map_err(ConnectError::Broken)?;
    linger(stream).await;
    Ok(())
}

async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    message: &[u8],
    max: usize,
) -> std::io::Result<()> {
    let too_long = || std::io::Error::other(format!("a message of {} bytes", message.len()));
    let length = u32::try_from(message.len()).ok();
    let length = length
        .filter(|_| message.len() <= max)
        .ok_or_else(too_long)?;
    let mut buffer = BytesMut::with_capacity(4 + message.len());
    buffer.put_u32_le(length);
    buffer.put_slice(message);
    stream.write_all(&buffer).await?;
    stream.flush().await
}

async fn read(stream: &mut (impl AsyncRead + Unpin), max: usize) -> std::io::Result<Bytes> {
    let length = stream.read_u32_le().await? as usize;
    if length > max {
        let problem = format!("a message of {length} bytes, where {max} are allowed");
        return Err(std::io::Error::new(
            std::io::ErrorKind::InvalidData,
            problem,
        ));
    }
    let mut message = vec![0; length];
    stream.read_exact(&mut message).await?;
    Ok(message.into())
}
