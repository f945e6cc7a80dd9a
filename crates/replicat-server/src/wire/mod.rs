//! What nodes say to each other over a link, described in `docs/protocol.md`.
//!
//! Goals: a frame decodes to a checked type or to an error; lengths and numbers are bounded before they are used.
//! Non-goals: the messages of a session, which are carried as they are.

mod schema;

use bytes::Bytes;
use prost::Message as _;
use replicat_core::id::{ContentHash, FolderId};
use replicat_core::message::Want;
use replicat_core::path::RelPath;
use replicat_engine::live::{FolderMode, Parcel};

use crate::settings::FolderName;
use schema::{BulkBody, ControlBody, PartBody};

/// The version of these messages.
pub(crate) const NODE_PROTOCOL: u32 = 1;
/// How many folders a node may offer.
pub(crate) const FOLDERS_MAX: usize = 10_000;
/// How many contents one request may ask for.
pub(crate) const WANTS_MAX: usize = 4096;
/// The longest reason that is shown, in characters.
const REASON_CHARACTERS_MAX: usize = 400;

/// Why a frame is not understood.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum FrameError {
    /// Not Protocol Buffers of the schema.
    #[error("a frame does not decode: {0}")]
    Malformed(#[from] prost::DecodeError),
    /// A field with a value that it cannot have.
    #[error("field `{0}` of a frame is missing or out of range")]
    Field(&'static str),
    /// The other node speaks another version.
    #[error(
        "the nodes speak different protocols, {NODE_PROTOCOL} here and {0} there: update the older one"
    )]
    Protocol(u32),
}

/// A frame of the control lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ControlFrame {
    /// All folders that the sender keeps; it replaces what it offered before.
    Offer {
        /// The folders.
        folders: Vec<FolderOffer>,
        /// How many bytes of each session may be under way to the sender; 0 if it does not say what it takes.
        window: u64,
    },
    /// A message of a folder's session.
    Session {
        /// Of which folder.
        folder: FolderId,
        /// The epoch of the receiver's offer that the session rests on.
        epoch: u64,
        /// The message, as the core encodes it, and what travels with it.
        parcel: Parcel,
    },
    /// The folder has taken in what came to its session.
    Taken {
        /// Which folder.
        folder: FolderId,
        /// As of a message.
        epoch: u64,
        /// How many bytes, since this was last said.
        bytes: u64,
    },
    /// The sender ends the session of a folder and withdraws its offer.
    Close {
        /// Of which folder.
        folder: FolderId,
        /// Why, as one line of text.
        reason: String,
    },
    /// The sender asks how a folder stands, once all is taken in that it said before.
    Ask {
        /// Numbered by the sender.
        id: u64,
        /// Which folder.
        folder: FolderId,
    },
    /// The answer.
    Standing {
        /// The number of the question.
        id: u64,
        /// How the folder stands.
        standing: Standing,
    },
    /// A person approved the deletions of a folder that are held.
    Approval {
        /// Which folder.
        folder: FolderId,
        /// A random number, by which an approval that was seen before is known.
        id: u64,
    },
}

/// How a folder stands at a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// It is there, and neither paused nor halted.
    pub(crate) is_online: bool,
    /// How many paths are still to be brought to its directory.
    pub(crate) pending: u64,
}

/// A folder that a node keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FolderOffer {
    /// Which folder.
    pub(crate) folder: FolderId,
    /// Its name.
    pub(crate) name: FolderName,
    /// Which way its changes go at that node.
    pub(crate) mode: FolderMode,
    /// Changes whenever a session is to begin anew.
    pub(crate) epoch: u64,
}

/// A frame of a bulk lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BulkFrame {
    /// The sender asks for contents.
    Request(Request),
    /// Some of what was asked for, in its order.
    Reply {
        /// The request.
        id: u64,
        /// The next parts.
        parts: Vec<Part>,
    },
    /// The sender does not need the rest.
    Cancel(u64),
}

/// A request for contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// Numbered by the requester, on each lane anew.
    pub(crate) id: u64,
    /// Of which folder.
    pub(crate) folder: FolderId,
    /// What is asked for.
    pub(crate) subject: Subject,
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    /// Pieces of contents.
    Pieces(Vec<Want>),
    /// Whether the paths are in scope, and hold the contents now.
    Keeps(Vec<Want>),
    /// The list of a content's chunks.
    Manifest(ContentHash),
}

/// A part of a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The bytes that were wanted, or the last of them.
    Piece(Bytes),
    /// The first of them; more follow.
    Begin(Bytes),
    /// They are not to be had; what began is void.
    Missing,
}

impl ControlFrame {
    /// Encodes the frame.
    pub(crate) fn encode(&self) -> Bytes {
        let body = match self {
            Self::Offer { folders, window } => ControlBody::Offer(schema::Offer {
                protocol: NODE_PROTOCOL,
                folders: folders.iter().map(FolderOffer::to_wire).collect(),
                window: *window,
            }),
            Self::Session {
                folder,
                epoch,
                parcel,
            } => ControlBody::Session(schema::Session {
                folder: folder_bytes(*folder),
                epoch: *epoch,
                message: parcel.message.clone(),
                contents: parcel.contents.clone(),
            }),
            Self::Taken {
                folder,
                epoch,
                bytes,
            } => ControlBody::Taken(schema::Taken {
                folder: folder_bytes(*folder),
                epoch: *epoch,
                bytes: *bytes,
            }),
            Self::Close { folder, reason } => ControlBody::Close(schema::Close {
                folder: folder_bytes(*folder),
                reason: reason.clone(),
            }),
            Self::Ask { id, folder } => ControlBody::Ask(schema::Ask {
                id: *id,
                folder: folder_bytes(*folder),
            }),
            Self::Standing { id, standing } => ControlBody::Standing(schema::Standing {
                id: *id,
                is_online: standing.is_online,
                pending: standing.pending,
            }),
            Self::Approval { folder, id } => ControlBody::Approval(schema::Approval {
                folder: folder_bytes(*folder),
                id: *id,
            }),
        };
        schema::Control { body: Some(body) }.encode_to_vec().into()
    }

    /// Decodes a frame.
    pub(crate) fn decode(frame: Bytes) -> Result<Self, FrameError> {
        let control = schema::Control::decode(frame)?;
        match control.body.ok_or(FrameError::Field("body"))? {
            ControlBody::Offer(offer) => {
                if offer.protocol != NODE_PROTOCOL {
                    return Err(FrameError::Protocol(offer.protocol));
                }
                if offer.folders.len() > FOLDERS_MAX {
                    return Err(FrameError::Field("folders"));
                }
                let folders = offer.folders.iter().map(FolderOffer::from_wire);
                Ok(Self::Offer {
                    folders: folders.collect::<Result<_, _>>()?,
                    window: offer.window,
                })
            }
            ControlBody::Session(session) => Self::session(session),
            ControlBody::Taken(taken) => Ok(Self::Taken {
                folder: folder_id(&taken.folder)?,
                epoch: taken.epoch,
                bytes: taken.bytes,
            }),
            ControlBody::Close(close) => Ok(Self::Close {
                folder: folder_id(&close.folder)?,
                reason: printable(&close.reason),
            }),
            ControlBody::Ask(ask) => Ok(Self::Ask {
                id: ask.id,
                folder: folder_id(&ask.folder)?,
            }),
            ControlBody::Approval(approval) => Ok(Self::Approval {
                folder: folder_id(&approval.folder)?,
                id: approval.id,
            }),
            ControlBody::Standing(standing) => Ok(Self::Standing {
                id: standing.id,
                standing: Standing {
                    is_online: standing.is_online,
                    pending: standing.pending,
                },
            }),
        }
    }

    fn session(session: schema::Session) -> Result<Self, FrameError> {
        let parcel = Parcel {
            message: session.message,
            contents: session.contents,
        };
        if !parcel.is_within_bounds() {
            return Err(FrameError::Field("contents"));
        }
        Ok(Self::Session {
            folder: folder_id(&session.folder)?,
            epoch: session.epoch,
            parcel,
        })
    }
}

impl FolderOffer {
    fn to_wire(&self) -> schema::OfferedFolder {
        schema::OfferedFolder {
            folder: folder_bytes(self.folder),
            name: self.name.to_string(),
            mode: match self.mode {
                FolderMode::ReadWrite => 1,
                FolderMode::SendOnly => 2,
                FolderMode::ReceiveOnly => 3,
            },
            epoch: self.epoch,
        }
    }

    fn from_wire(offered: &schema::OfferedFolder) -> Result<Self, FrameError> {
        Ok(Self {
            folder: folder_id(&offered.folder)?,
            name: offered
                .name
                .parse()
                .map_err(|_| FrameError::Field("name"))?,
            mode: match offered.mode {
                1 => FolderMode::ReadWrite,
                2 => FolderMode::SendOnly,
                3 => FolderMode::ReceiveOnly,
                _ => return Err(FrameError::Field("mode")),
            },
            epoch: offered.epoch,
        })
    }
}

impl BulkFrame {
    /// Encodes the frame.
    pub(crate) fn encode(self) -> Bytes {
        let body = match self {
            Self::Request(request) => BulkBody::Request(request.into_wire()),
            Self::Reply { id, parts } => BulkBody::Reply(schema::Reply {
                id,
                parts: parts.into_iter().map(Part::into_wire).collect(),
            }),
            Self::Cancel(id) => BulkBody::Cancel(id),
        };
        schema::Bulk { body: Some(body) }.encode_to_vec().into()
    }

    /// Decodes a frame. The parts of a reply share its memory.
    pub(crate) fn decode(frame: Bytes) -> Result<Self, FrameError> {
        let bulk = schema::Bulk::decode(frame)?;
        match bulk.body.ok_or(FrameError::Field("body"))? {
            BulkBody::Request(request) => Request::from_wire(&request).map(Self::Request),
            BulkBody::Reply(reply) => {
                let parts = reply.parts.into_iter().map(Part::from_wire);
                Ok(Self::Reply {
                    id: reply.id,
                    parts: parts.collect::<Result<_, _>>()?,
                })
            }
            BulkBody::Cancel(id) => Ok(Self::Cancel(id)),
        }
    }
}

impl Request {
    fn into_wire(self) -> schema::Request {
        let keeps = matches!(self.subject, Subject::Keeps(_));
        let (wants, manifest) = match self.subject {
            Subject::Pieces(wants) | Subject::Keeps(wants) => (wants, Bytes::new()),
            Subject::Manifest(content) => (Vec::new(), Bytes::copy_from_slice(&content.0)),
        };
        let want = |want: Want| schema::Want {
            content: Bytes::copy_from_slice(&want.content.0),
            path: Bytes::copy_from_slice(want.path.as_bytes()),
            offset: want.offset,
            length: want.length,
        };
        schema::Request {
            id: self.id,
            folder: folder_bytes(self.folder),
            wants: wants.into_iter().map(want).collect(),
            manifest,
            keeps,
        }
    }

    fn from_wire(request: &schema::Request) -> Result<Self, FrameError> {
        if request.wants.len() > WANTS_MAX {
            return Err(FrameError::Field("wants"));
        }
        let subject = if request.manifest.is_empty() {
            let wants = request.wants.iter().map(want);
            let wants = wants.collect::<Result<_, _>>()?;
            match request.keeps {
                true => Subject::Keeps(wants),
                false => Subject::Pieces(wants),
            }
        } else {
            Subject::Manifest(content(&request.manifest)?)
        };
        Ok(Self {
            id: request.id,
            folder: folder_id(&request.folder)?,
            subject,
        })
    }
}

impl Part {
    /// How many bytes of content it has.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Piece(bytes) | Self::Begin(bytes) => bytes.len(),
            Self::Missing => 0,
        }
    }

    fn into_wire(self) -> schema::Part {
        let body = match self {
            Self::Piece(bytes) => PartBody::Piece(bytes),
            Self::Begin(bytes) => PartBody::Begin(bytes),
            Self::Missing => PartBody::Missing(true),
        };
        schema::Part { body: Some(body) }
    }

    fn from_wire(part: schema::Part) -> Result<Self, FrameError> {
        Ok(match part.body.ok_or(FrameError::Field("part"))? {
            PartBody::Piece(bytes) => Self::Piece(bytes),
            PartBody::Begin(bytes) => Self::Begin(bytes),
            PartBody::Missing(_) => Self::Missing,
        })
    }
}

fn want(want: &schema::Want) -> Result<Want, FrameError> {
    want.offset
        .checked_add(want.length)
        .ok_or(FrameError::Field("length"))?;
    Ok(Want {
        content: content(&want.content)?,
        path: RelPath::new(&want.path).map_err(|_| FrameError::Field("path"))?,
        offset: want.offset,
        length: want.length,
    })
}

fn content(bytes: &[u8]) -> Result<ContentHash, FrameError> {
    let bytes = bytes.try_into().map_err(|_| FrameError::Field("content"))?;
    Ok(ContentHash(bytes))
}

fn folder_bytes(folder: FolderId) -> Bytes {
    Bytes::copy_from_slice(&folder.0.to_le_bytes())
}

fn folder_id(bytes: &[u8]) -> Result<FolderId, FrameError> {
    let bytes = bytes.try_into().map_err(|_| FrameError::Field("folder"))?;
    Ok(FolderId(u128::from_le_bytes(bytes)))
}

/// A text of the peer as it may be logged: one line, of bounded length.
fn printable(text: &str) -> String {
    text.chars()
        .take(REASON_CHARACTERS_MAX)
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect()
}

#[cfg(test)]
mod tests;
