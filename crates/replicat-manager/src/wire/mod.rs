//! What a manager and its nodes say to each other, described in `docs/protocol.md`.
//!
//! Goals: a message decodes to a checked type or to an error; numbers and texts are bounded before they are used.
//! Non-goals: how messages travel (`replicat-net`).

mod schema;

use std::collections::BTreeMap;
use std::str::FromStr;

use bytes::Bytes;
use prost::Message as _;
use replicat_net::{CertificateDer, EnrolmentId};
use zeroize::Zeroizing;

use crate::assignment::Assignment;
use crate::desired::PlacementMode;
use crate::report::{FolderFigures, NodeReport};
use crate::state::{EnrolmentRequest, ROWS_MAX};
use crate::token::{TokenId, TokenSecret};
use schema::{AnswerBody, ManagerBody, NodeBody};

/// The version of these messages.
pub const MANAGER_PROTOCOL: u32 = 1;
/// The longest text that is taken for people to see, in characters.
const TEXT_CHARACTERS_MAX: usize = 400;
/// The longest address, in bytes.
const ADDRESS_BYTES_MAX: usize = 300;
/// The longest public key, in bytes: those of the algorithms that are certified have less than 100.
const PUBLIC_KEY_BYTES_MAX: usize = 1024;

/// Why a message is not understood.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum MessageError {
    /// Not Protocol Buffers of the schema.
    #[error("a message does not decode: {0}")]
    Malformed(#[from] prost::DecodeError),
    /// A field with a value that it cannot have.
    #[error("field `{0}` of a message is missing or out of range")]
    Field(&'static str),
    /// The other side speaks another version.
    #[error(
        "manager and node speak different protocols, {MANAGER_PROTOCOL} here and {0} there: update the older one"
    )]
    Protocol(u32),
}

/// The answer to somebody who wants to become a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnrolmentAnswer {
    /// Here is the certificate.
    Granted {
        /// The certificate.
        certificate: CertificateDer<'static>,
        /// That of the authority which signed it.
        authority: CertificateDer<'static>,
    },
    /// There will be none, now or later.
    Refused(String),
    /// There is none now.
    Failed(String),
}

/// What a node says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeMessage {
    /// First of all.
    Hello {
        /// Where it listens: a host that means any is replaced by the one that it dials from.
        address: Option<String>,
    },
    /// How it stands now.
    Report(NodeReport),
    /// It wants the next certificate, for this public key.
    Renew(Vec<u8>),
}

/// What a manager says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ManagerMessage {
    /// What the node is to go by from now on.
    Assignment(Assignment),
    /// The next certificate.
    Certificate(CertificateDer<'static>),
}

impl EnrolmentRequest {
    /// Encodes the request. It holds the secret of the token.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut question = schema::EnrolmentQuestion {
            protocol: MANAGER_PROTOCOL,
            token: self.token.0,
            secret: self.secret.as_bytes().to_vec(),
            name: self.name.to_string(),
            public_key: self.public_key.clone(),
        };
        let encoded = Zeroizing::new(question.encode_to_vec());
        drop(Zeroizing::new(std::mem::take(&mut question.secret)));
        encoded
    }

    /// Decodes a request.
    ///
    /// # Errors
    /// If it is none, or of another version.
    pub fn decode(message: Bytes) -> Result<Self, MessageError> {
        let question = schema::EnrolmentQuestion::decode(message)?;
        check_protocol(question.protocol)?;
        let secret = Zeroizing::new(question.secret);
        Ok(Self {
            token: TokenId(question.token),
            secret: TokenSecret::from_bytes(&secret).ok_or(MessageError::Field("secret"))?,
            name: parse("name", &question.name)?,
            public_key: public_key(question.public_key)?,
        })
    }
}

impl EnrolmentAnswer {
    /// Encodes the answer.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let body = match self.clone() {
            Self::Granted {
                certificate,
                authority,
            } => AnswerBody::Granted(schema::Granted {
                certificate: certificate.to_vec(),
                authority: authority.to_vec(),
            }),
            Self::Refused(reason) => AnswerBody::Refused(reason),
            Self::Failed(reason) => AnswerBody::Failed(reason),
        };
        let answer = schema::EnrolmentAnswer { body: Some(body) };
        answer.encode_to_vec().into()
    }

    /// Decodes an answer.
    ///
    /// # Errors
    /// If it is none.
    pub fn decode(message: Bytes) -> Result<Self, MessageError> {
        let answer = schema::EnrolmentAnswer::decode(message)?;
        Ok(match answer.body.ok_or(MessageError::Field("body"))? {
            AnswerBody::Granted(granted) => Self::Granted {
                certificate: granted.certificate.into(),
                authority: granted.authority.into(),
            },
            AnswerBody::Refused(reason) => Self::Refused(printable(&reason)),
            AnswerBody::Failed(reason) => Self::Failed(printable(&reason)),
        })
    }
}

impl NodeMessage {
    /// Encodes the message.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let body = match self {
            Self::Hello { address } => NodeBody::Hello(schema::Hello {
                protocol: MANAGER_PROTOCOL,
                address: address.clone().unwrap_or_default(),
            }),
            Self::Report(report) => NodeBody::Report(report.to_wire()),
            Self::Renew(public_key) => NodeBody::Renew(public_key.clone()),
        };
        let message = schema::FromNode { body: Some(body) };
        message.encode_to_vec().into()
    }

    /// Decodes a message.
    ///
    /// # Errors
    /// If it is none, or a field is out of range.
    pub fn decode(message: Bytes) -> Result<Self, MessageError> {
        let message = schema::FromNode::decode(message)?;
        match message.body.ok_or(MessageError::Field("body"))? {
            NodeBody::Hello(hello) => {
                check_protocol(hello.protocol)?;
                let address = address(&hello.address)?;
                Ok(Self::Hello { address })
            }
            NodeBody::Report(report) => NodeReport::from_wire(&report).map(Self::Report),
            NodeBody::Renew(key) => public_key(key).map(Self::Renew),
        }
    }
}

impl ManagerMessage {
    /// Encodes the message.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let body = match self {
            Self::Assignment(assignment) => ManagerBody::Assignment(assignment.to_wire()),
            Self::Certificate(certificate) => {
                ManagerBody::Certificate(Bytes::copy_from_slice(certificate))
            }
        };
        let message = schema::FromManager { body: Some(body) };
        message.encode_to_vec().into()
    }

    /// Decodes a message.
    ///
    /// # Errors
    /// If it is none, or a field is out of range.
    pub fn decode(message: Bytes) -> Result<Self, MessageError> {
        let message = schema::FromManager::decode(message)?;
        match message.body.ok_or(MessageError::Field("body"))? {
            ManagerBody::Assignment(assignment) => {
                Assignment::from_wire(&assignment).map(Self::Assignment)
            }
            ManagerBody::Certificate(certificate) => {
                Ok(Self::Certificate(certificate.to_vec().into()))
            }
        }
    }
}

impl Assignment {
    fn to_wire(&self) -> schema::Assignment {
        let peers = self.peers.iter();
        let folders = self.folders.iter();
        schema::Assignment {
            generation: self.generation,
            peers: peers
                .map(|(name, address)| schema::Peer {
                    name: name.to_string(),
                    address: address.clone(),
                })
                .collect(),
            revoked: self.revoked.iter().map(|enrolment| enrolment.0).collect(),
            folders: folders
                .map(|(folder, mode)| schema::Placement {
                    folder: folder.to_string(),
                    mode: mode_number(*mode),
                })
                .collect(),
        }
    }

    fn from_wire(assignment: &schema::Assignment) -> Result<Self, MessageError> {
        bounded("peers", assignment.peers.len())?;
        bounded("folders", assignment.folders.len())?;
        let mut peers = BTreeMap::new();
        for peer in &assignment.peers {
            let address = address(&peer.address)?.ok_or(MessageError::Field("address"))?;
            peers.insert(parse("peer", &peer.name)?, address);
        }
        let mut folders = BTreeMap::new();
        for placement in &assignment.folders {
            let folder = parse("folder", &placement.folder)?;
            folders.insert(folder, mode(placement.mode)?);
        }
        let revoked = assignment.revoked.iter();
        Ok(Self {
            generation: assignment.generation,
            peers,
            revoked: revoked.map(|enrolment| EnrolmentId(*enrolment)).collect(),
            folders,
        })
    }
}

impl NodeReport {
    fn to_wire(&self) -> schema::Report {
        let folders = self.folders.iter();
        schema::Report {
            status: self.status.clone(),
            folders: folders
                .map(|figures| schema::FolderFigures {
                    name: figures.name.to_string(),
                    status: figures.status.clone(),
                    reason: figures.reason.clone(),
                    mode: mode_number(figures.mode),
                    in_sync: figures.in_sync,
                    paths: figures.paths,
                    pending: figures.pending,
                    bytes_sent: figures.bytes_sent,
                    bytes_received: figures.bytes_received,
                })
                .collect(),
            connected: self.connected.clone(),
        }
    }

    fn from_wire(report: &schema::Report) -> Result<Self, MessageError> {
        bounded("folders", report.folders.len())?;
        bounded("connected", report.connected.len())?;
        let folders = report.folders.iter().map(|figures| {
            Ok(FolderFigures {
                name: parse("name", &figures.name)?,
                status: printable(&figures.status),
                reason: printable(&figures.reason),
                mode: mode(figures.mode)?,
                in_sync: figures.in_sync,
                paths: figures.paths,
                pending: figures.pending,
                bytes_sent: figures.bytes_sent,
                bytes_received: figures.bytes_received,
            })
        });
        Ok(Self {
            status: printable(&report.status),
            folders: folders.collect::<Result<_, MessageError>>()?,
            connected: report
                .connected
                .iter()
                .map(|name| printable(name))
                .collect(),
        })
    }
}

fn check_protocol(protocol: u32) -> Result<(), MessageError> {
    match protocol {
        MANAGER_PROTOCOL => Ok(()),
        other => Err(MessageError::Protocol(other)),
    }
}

fn parse<T: FromStr>(field: &'static str, text: &str) -> Result<T, MessageError> {
    text.parse().map_err(|_| MessageError::Field(field))
}

fn bounded(field: &'static str, count: usize) -> Result<(), MessageError> {
    match count <= ROWS_MAX {
        true => Ok(()),
        false => Err(MessageError::Field(field)),
    }
}

fn public_key(key: Vec<u8>) -> Result<Vec<u8>, MessageError> {
    match key.len() {
        1..=PUBLIC_KEY_BYTES_MAX => Ok(key),
        _ => Err(MessageError::Field("public_key")),
    }
}

/// An address on one line; `None` if there is none.
fn address(text: &str) -> Result<Option<String>, MessageError> {
    let is_plain = text.len() <= ADDRESS_BYTES_MAX && !text.chars().any(char::is_control);
    match (text, is_plain) {
        ("", _) => Ok(None),
        (text, true) => Ok(Some(text.to_owned())),
        (_, false) => Err(MessageError::Field("address")),
    }
}

fn mode_number(mode: PlacementMode) -> u32 {
    match mode {
        PlacementMode::ReadWrite => 1,
        PlacementMode::SendOnly => 2,
        PlacementMode::ReceiveOnly => 3,
    }
}

fn mode(number: u32) -> Result<PlacementMode, MessageError> {
    match number {
        1 => Ok(PlacementMode::ReadWrite),
        2 => Ok(PlacementMode::SendOnly),
        3 => Ok(PlacementMode::ReceiveOnly),
        _ => Err(MessageError::Field("mode")),
    }
}

/// A text of the other side as it may be shown: one line, of bounded length.
fn printable(text: &str) -> String {
    let shown = text.chars().take(TEXT_CHARACTERS_MAX);
    shown
        .map(|character| match character.is_control() {
            true => ' ',
            false => character,
        })
        .collect()
}

#[cfg(test)]
mod tests;
