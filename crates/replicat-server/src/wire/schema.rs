//! The messages between nodes as Protocol Buffers carry them. Field numbers are never reused.

use bytes::Bytes;

/// A frame of the control lane.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Control {
    #[prost(oneof = "ControlBody", tags = "1, 2, 3, 4, 5, 6, 7")]
    pub(super) body: Option<ControlBody>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum ControlBody {
    #[prost(message, tag = "1")]
    Offer(Offer),
    #[prost(message, tag = "2")]
    Session(Session),
    #[prost(message, tag = "3")]
    Close(Close),
    #[prost(message, tag = "4")]
    Ask(Ask),
    #[prost(message, tag = "5")]
    Standing(Standing),
    #[prost(message, tag = "6")]
    Taken(Taken),
    #[prost(message, tag = "7")]
    Approval(Approval),
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Approval {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) folder: Bytes,
    #[prost(uint64, tag = "2")]
    pub(super) id: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Offer {
    #[prost(uint32, tag = "1")]
    pub(super) protocol: u32,
    #[prost(message, repeated, tag = "2")]
    pub(super) folders: Vec<OfferedFolder>,
    #[prost(uint64, tag = "3")]
    pub(super) window: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct OfferedFolder {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) folder: Bytes,
    #[prost(string, tag = "2")]
    pub(super) name: String,
    #[prost(uint32, tag = "3")]
    pub(super) mode: u32,
    #[prost(uint64, tag = "4")]
    pub(super) epoch: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Session {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) folder: Bytes,
    #[prost(uint64, tag = "2")]
    pub(super) epoch: u64,
    #[prost(bytes = "bytes", tag = "3")]
    pub(super) message: Bytes,
    #[prost(bytes = "bytes", repeated, tag = "4")]
    pub(super) contents: Vec<Bytes>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Taken {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) folder: Bytes,
    #[prost(uint64, tag = "2")]
    pub(super) epoch: u64,
    #[prost(uint64, tag = "3")]
    pub(super) bytes: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Close {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) folder: Bytes,
    #[prost(string, tag = "2")]
    pub(super) reason: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Ask {
    #[prost(uint64, tag = "1")]
    pub(super) id: u64,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) folder: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Standing {
    #[prost(uint64, tag = "1")]
    pub(super) id: u64,
    #[prost(bool, tag = "2")]
    pub(super) is_online: bool,
    #[prost(uint64, tag = "3")]
    pub(super) pending: u64,
}

/// A frame of a bulk lane.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Bulk {
    #[prost(oneof = "BulkBody", tags = "1, 2, 3")]
    pub(super) body: Option<BulkBody>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum BulkBody {
    #[prost(message, tag = "1")]
    Request(Request),
    #[prost(message, tag = "2")]
    Reply(Reply),
    #[prost(uint64, tag = "3")]
    Cancel(u64),
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Request {
    #[prost(uint64, tag = "1")]
    pub(super) id: u64,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) folder: Bytes,
    #[prost(message, repeated, tag = "3")]
    pub(super) wants: Vec<Want>,
    #[prost(bytes = "bytes", tag = "4")]
    pub(super) manifest: Bytes,
    #[prost(bool, tag = "5")]
    pub(super) keeps: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Want {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) content: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) path: Bytes,
    #[prost(uint64, tag = "3")]
    pub(super) offset: u64,
    #[prost(uint64, tag = "4")]
    pub(super) length: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Reply {
    #[prost(uint64, tag = "1")]
    pub(super) id: u64,
    #[prost(message, repeated, tag = "2")]
    pub(super) parts: Vec<Part>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Part {
    #[prost(oneof = "PartBody", tags = "1, 2, 3")]
    pub(super) body: Option<PartBody>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum PartBody {
    #[prost(bytes = "bytes", tag = "1")]
    Piece(Bytes),
    #[prost(bytes = "bytes", tag = "2")]
    Begin(Bytes),
    #[prost(bool, tag = "3")]
    Missing(bool),
}
