//! The wire format of messages: Protocol Buffers, described in `docs/protocol.md`.
//!
//! Goals: a message decodes to a checked core type or to an error; nothing is allocated that the bytes received
//! do not pay for. Core types do not know this format.

mod from_wire;
mod schema;
mod to_wire;

use bytes::Bytes;
use prost::Message as _;
use thiserror::Error;

use crate::message::Message;
use crate::path::PathError;

/// The longest encoded message, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// Why some bytes are not a message.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum WireError {
    /// Longer than any message may be.
    #[error("message of {0} bytes is over the limit of {MESSAGE_BYTES_MAX}")]
    TooLong(usize),
    /// Not Protocol Buffers of the schema.
    #[error("message does not decode: {0}")]
    Malformed(#[from] prost::DecodeError),
    /// A path that is none.
    #[error("message names a bad path: {0}")]
    Path(#[from] PathError),
    /// A field with a value that it cannot have.
    #[error("message field `{0}` is missing or out of range")]
    Field(&'static str),
}

/// Encodes a message.
#[must_use]
pub fn encode(message: &Message) -> Bytes {
    Bytes::from(to_wire::envelope(message).encode_to_vec())
}

/// Decodes a message.
///
/// # Errors
/// [`WireError`] if the bytes are too many, malformed, or say something that cannot be.
pub fn decode(bytes: Bytes) -> Result<Message, WireError> {
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(WireError::TooLong(bytes.len()));
    }
    from_wire::message(schema::Envelope::decode(bytes)?)
}

#[cfg(test)]
mod tests;
