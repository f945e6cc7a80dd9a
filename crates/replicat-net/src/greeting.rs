//! What two nodes say to each other once, after TLS: a greeting, or why not.
//!
//! Each message is a length of four bytes, little endian, and a Protocol Buffers message.

use std::fmt;
use std::io;
use std::ops::RangeInclusive;

use bytes::{BufMut as _, BytesMut};
use prost::Message as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// The longest message, in bytes.
const MESSAGE_BYTES_MAX: usize = 64 << 10;
/// The longest features of an endpoint, in bytes.
pub(crate) const FEATURES_BYTES_MAX: usize = 32 << 10;
/// The longest `host:port` that a node advertises, in bytes.
pub(crate) const ADDRESS_BYTES_MAX: usize = 300;
/// The longest reason that is shown, in characters.
const REASON_CHARACTERS_MAX: usize = 400;

/// A message of the handshake.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Handshake {
    #[prost(oneof = "Body", tags = "1, 2")]
    pub(crate) body: Option<Body>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum Body {
    #[prost(message, tag = "1")]
    Greeting(Greeting),
    #[prost(message, tag = "2")]
    Refusal(WireRefusal),
}

/// Who greets, and for which lane the connection is meant.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Greeting {
    #[prost(uint32, tag = "1")]
    pub(crate) version_min: u32,
    #[prost(uint32, tag = "2")]
    pub(crate) version_max: u32,
    #[prost(string, tag = "3")]
    pub(crate) software: String,
    #[prost(string, tag = "4")]
    pub(crate) name: String,
    #[prost(bytes = "bytes", tag = "5")]
    pub(crate) instance: bytes::Bytes,
    #[prost(uint64, tag = "6")]
    pub(crate) sequence: u64,
    #[prost(bytes = "bytes", tag = "7")]
    pub(crate) link: bytes::Bytes,
    #[prost(uint32, tag = "8")]
    pub(crate) lane: u32,
    #[prost(uint32, tag = "9")]
    pub(crate) bulk_lanes: u32,
    #[prost(uint32, tag = "10")]
    pub(crate) frame_bytes_max: u32,
    #[prost(string, tag = "11")]
    pub(crate) address: String,
    #[prost(bytes = "bytes", tag = "12")]
    pub(crate) features: bytes::Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct WireRefusal {
    #[prost(uint32, tag = "1")]
    code: u32,
    #[prost(string, tag = "2")]
    reason: String,
}

/// Why a node refuses another, in a form that programs can tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusalCode {
    /// A code that this version does not know.
    Unknown,
    /// The versions of both do not meet.
    Version,
    /// The node is not the one that the dialler expects.
    NameMismatch,
    /// Another process is connected under the same name.
    NameTaken,
    /// The node reached itself.
    SelfConnection,
    /// The two are connected already.
    Duplicate,
    /// The node was turned away by name.
    NotAdmitted,
    /// A bulk connection of a link that is not there.
    UnknownLink,
    /// The greeting makes no sense.
    Malformed,
}

impl RefusalCode {
    const NUMBERED: [(u32, Self); 8] = [
        (1, Self::Version),
        (2, Self::NameMismatch),
        (3, Self::NameTaken),
        (4, Self::SelfConnection),
        (5, Self::Duplicate),
        (6, Self::NotAdmitted),
        (7, Self::UnknownLink),
        (8, Self::Malformed),
    ];

    fn number(self) -> u32 {
        let found = Self::NUMBERED.iter().find(|(_, code)| *code == self);
        found.map_or(0, |(number, _)| *number)
    }

    fn from_number(number: u32) -> Self {
        let found = Self::NUMBERED.iter().find(|(known, _)| *known == number);
        found.map_or(Self::Unknown, |(_, code)| *code)
    }
}

/// Why a node refuses another: a code for programs, a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What kind of reason it is.
    pub code: RefusalCode,
    /// The reason, as one line of text.
    pub reason: String,
}

impl Refusal {
    pub(crate) fn new(code: RefusalCode, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self { code, reason }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.reason)
    }
}

/// What came from the peer in the handshake.
pub(crate) enum Received {
    Greeting(Box<Greeting>),
    Refusal(Refusal),
}

pub(crate) async fn write_greeting(
    stream: &mut (impl AsyncWrite + Unpin),
    greeting: Greeting,
) -> io::Result<()> {
    write(stream, Body::Greeting(greeting)).await
}

pub(crate) async fn write_refusal(
    stream: &mut (impl AsyncWrite + Unpin),
    refusal: &Refusal,
) -> io::Result<()> {
    let refusal = WireRefusal {
        code: refusal.code.number(),
        reason: refusal.reason.clone(),
    };
    write(stream, Body::Refusal(refusal)).await
}

async fn write(stream: &mut (impl AsyncWrite + Unpin), body: Body) -> io::Result<()> {
    let message = Handshake { body: Some(body) };
    let length = message.encoded_len();
    let wire_length = u32::try_from(length)
        .ok()
        .filter(|_| length <= MESSAGE_BYTES_MAX)
        .ok_or_else(|| io::Error::other("the greeting is too long: shorten the features"))?;
    let mut buffer = BytesMut::with_capacity(4 + length);
    buffer.put_u32_le(wire_length);
    message.encode(&mut buffer).map_err(io::Error::other)?;
    stream.write_all(&buffer).await?;
    stream.flush().await
}

pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Received> {
    let length = stream.read_u32_le().await? as usize;
    if length > MESSAGE_BYTES_MAX {
        return Err(malformed("a greeting of more than 64 KiB"));
    }
    let mut buffer = vec![0; length];
    stream.read_exact(&mut buffer).await?;
    let message =
        Handshake::decode(&buffer[..]).map_err(|_| malformed("an unreadable greeting"))?;
    match message.body {
        Some(Body::Greeting(greeting)) => Ok(Received::Greeting(Box::new(greeting))),
        Some(Body::Refusal(refusal)) => Ok(Received::Refusal(Refusal {
            code: RefusalCode::from_number(refusal.code),
            reason: printable(&refusal.reason),
        })),
        None => Err(malformed("an empty greeting")),
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the peer sent {what}"))
}

/// A text of the peer as it may be logged: one line, of bounded length.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .take(REASON_CHARACTERS_MAX)
        .map(|character| match character {
            control if control.is_control() => ' ',
            other => other,
        })
        .collect()
}

/// The highest version that both speak, or a refusal that says who must be updated.
pub(crate) fn negotiate(
    own: &RangeInclusive<u32>,
    own_name: &str,
    greeting: &Greeting,
) -> Result<u32, Refusal> {
    let theirs = greeting.version_min..=greeting.version_max;
    let version = *own.end().min(theirs.end());
    if version >= *own.start() && version >= *theirs.start() {
        return Ok(version);
    }
    let peer = printable(&greeting.name);
    let older = match own.end() < theirs.start() {
        true => own_name,
        false => &peer,
    };
    Err(Refusal::new(
        RefusalCode::Version,
        format!(
            "node {own_name} speaks protocol versions {} to {}, node {peer} {} to {}: update node {older}",
            own.start(),
            own.end(),
            theirs.start(),
            theirs.end(),
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greeting(versions: RangeInclusive<u32>) -> Greeting {
        Greeting {
            version_min: *versions.start(),
            version_max: *versions.end(),
            name: "b".to_owned(),
            ..Greeting::default()
        }
    }

    #[test]
    fn the_highest_common_version_is_spoken() {
        assert_eq!(negotiate(&(1..=3), "a", &greeting(2..=5)), Ok(3));
        assert_eq!(negotiate(&(2..=5), "a", &greeting(1..=3)), Ok(3));
    }

    #[test]
    fn the_older_node_is_to_be_updated() {
        let refusal = negotiate(&(3..=4), "a", &greeting(1..=2)).unwrap_err();
        assert!(refusal.reason.ends_with("update node b"), "{refusal}");
        let refusal = negotiate(&(1..=2), "a", &greeting(3..=4)).unwrap_err();
        assert!(refusal.reason.ends_with("update node a"), "{refusal}");
    }

    #[tokio::test]
    async fn a_long_greeting_is_refused_before_memory_is_taken() {
        let bytes = u32::MAX.to_le_bytes();
        assert!(read(&mut &bytes[..]).await.is_err());
    }

    #[tokio::test]
    async fn a_refusal_survives_the_wire_on_one_line() {
        let refusal = Refusal::new(RefusalCode::NameTaken, "two\nlines");
        let mut wire = Vec::new();
        write_refusal(&mut wire, &refusal).await.unwrap();
        let Received::Refusal(read) = read(&mut &wire[..]).await.unwrap() else {
            panic!("a refusal was written");
        };
        assert_eq!(read, Refusal::new(RefusalCode::NameTaken, "two lines"));
    }
}
