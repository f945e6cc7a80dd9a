//! Frames on the wire: five bytes of header, then the payload.

use bytes::{BufMut as _, BytesMut};

use crate::greeting::printable;

/// Length of the header: one byte of kind, four of payload length (little endian).
pub(crate) const HEADER_BYTES: usize = 5;
/// The longest payload of a frame that is not data.
const OWN_PAYLOAD_BYTES_MAX: u32 = 1024;

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Carried for the user of the link.
    Data = 0,
    /// Eight bytes, to be sent back in a pong.
    Ping = 1,
    /// The eight bytes of a ping.
    Pong = 2,
    /// The dialler is asked to open a bulk lane: its number, one byte.
    Open = 3,
    /// The link ends, see [`Close`].
    Close = 4,
}

/// The last word on a control lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Close {
    /// How many bulk lanes of the sender had a connection. All have ended, and what was sent on them
    /// may still be under way. One byte on the wire.
    pub(crate) bulk_lanes: u8,
    /// Why the link ends, as text.
    pub(crate) reason: String,
}

impl Close {
    pub(crate) fn encode(&self, buffer: &mut BytesMut) {
        let mut payload = vec![self.bulk_lanes];
        payload.extend_from_slice(self.reason.as_bytes());
        encode_own(Kind::Close, &payload, buffer);
    }

    pub(crate) fn decode(payload: &[u8]) -> Option<Self> {
        let (bulk_lanes, reason) = payload.split_first()?;
        Some(Self {
            bulk_lanes: *bulk_lanes,
            reason: printable(&String::from_utf8_lossy(reason)),
        })
    }
}

/// The header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    pub(crate) length: u32,
}

/// A header that no frame may have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HeaderError {
    #[error("a frame of unknown kind {0}")]
    Kind(u8),
    #[error("a frame of {length} bytes, where {max} are allowed")]
    Length { length: u32, max: u32 },
}

impl Header {
    /// Reads a header, whose length is at most `data_max` for data.
    pub(crate) fn decode(bytes: [u8; HEADER_BYTES], data_max: u32) -> Result<Self, HeaderError> {
        let [kind, length @ ..] = bytes;
        let kind = match kind {
            0 => Kind::Data,
            1 => Kind::Ping,
            2 => Kind::Pong,
            3 => Kind::Open,
            4 => Kind::Close,
            other => return Err(HeaderError::Kind(other)),
        };
        let length = u32::from_le_bytes(length);
        let max = match kind {
            Kind::Data => data_max,
            _ => OWN_PAYLOAD_BYTES_MAX,
        };
        if length > max {
            return Err(HeaderError::Length { length, max });
        }
        Ok(Self { kind, length })
    }

    pub(crate) fn encode(self, buffer: &mut BytesMut) {
        buffer.put_u8(self.kind as u8);
        buffer.put_u32_le(self.length);
    }
}

/// Appends a frame that is not data; its payload is cut to what is allowed.
pub(crate) fn encode_own(kind: Kind, payload: &[u8], buffer: &mut BytesMut) {
    let payload = &payload[..payload.len().min(OWN_PAYLOAD_BYTES_MAX as usize)];
    let length = u32::try_from(payload.len()).unwrap_or_default();
    Header { kind, length }.encode(buffer);
    buffer.put_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_survive() {
        for kind in [Kind::Data, Kind::Ping, Kind::Pong, Kind::Open, Kind::Close] {
            let header = Header { kind, length: 1000 };
            let mut buffer = BytesMut::new();
            header.encode(&mut buffer);
            let bytes = buffer[..].try_into().unwrap();
            assert_eq!(Header::decode(bytes, 1000), Ok(header));
        }
    }

    #[test]
    fn lengths_are_bounded() {
        assert_eq!(
            Header::decode([0, 0, 0, 0, 1], 1 << 20),
            Err(HeaderError::Length {
                length: 1 << 24,
                max: 1 << 20
            })
        );
        assert!(Header::decode([1, 1, 4, 0, 0], 1 << 20).is_err());
        assert_eq!(Header::decode([9; 5], 1), Err(HeaderError::Kind(9)));
    }
}
