//! The messages between a manager and its nodes as Protocol Buffers carry them. Field numbers are never reused.

use bytes::Bytes;

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct EnrolmentQuestion {
    #[prost(uint32, tag = "1")]
    pub(super) protocol: u32,
    #[prost(fixed64, tag = "2")]
    pub(super) token: u64,
    #[prost(bytes = "vec", tag = "3")]
    pub(super) secret: Vec<u8>,
    #[prost(string, tag = "4")]
    pub(super) name: String,
    #[prost(bytes = "vec", tag = "5")]
    pub(super) public_key: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct EnrolmentAnswer {
    #[prost(oneof = "AnswerBody", tags = "1, 2, 3")]
    pub(super) body: Option<AnswerBody>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum AnswerBody {
    #[prost(message, tag = "1")]
    Granted(Granted),
    /// It will not be granted later either.
    #[prost(string, tag = "2")]
    Refused(String),
    /// The manager could not say now.
    #[prost(string, tag = "3")]
    Failed(String),
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Granted {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) certificate: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) authority: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct FromNode {
    #[prost(oneof = "NodeBody", tags = "1, 2, 3")]
    pub(super) body: Option<NodeBody>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum NodeBody {
    #[prost(message, tag = "1")]
    Hello(Hello),
    #[prost(message, tag = "2")]
    Report(Report),
    /// A public key.
    #[prost(bytes = "vec", tag = "3")]
    Renew(Vec<u8>),
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Hello {
    #[prost(uint32, tag = "1")]
    pub(super) protocol: u32,
    #[prost(string, tag = "2")]
    pub(super) address: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Report {
    #[prost(string, tag = "1")]
    pub(super) status: String,
    #[prost(message, repeated, tag = "2")]
    pub(super) folders: Vec<FolderFigures>,
    #[prost(string, repeated, tag = "3")]
    pub(super) connected: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct FolderFigures {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) status: String,
    #[prost(string, tag = "3")]
    pub(super) reason: String,
    #[prost(uint32, tag = "4")]
    pub(super) mode: u32,
    #[prost(bool, tag = "5")]
    pub(super) in_sync: bool,
    #[prost(uint64, tag = "6")]
    pub(super) paths: u64,
    #[prost(uint64, tag = "7")]
    pub(super) pending: u64,
    #[prost(uint64, tag = "8")]
    pub(super) bytes_sent: u64,
    #[prost(uint64, tag = "9")]
    pub(super) bytes_received: u64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct FromManager {
    #[prost(oneof = "ManagerBody", tags = "1, 2")]
    pub(super) body: Option<ManagerBody>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum ManagerBody {
    #[prost(message, tag = "1")]
    Assignment(Assignment),
    /// A certificate, as DER.
    #[prost(bytes = "bytes", tag = "2")]
    Certificate(Bytes),
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Assignment {
    #[prost(uint64, tag = "1")]
    pub(super) generation: u64,
    #[prost(message, repeated, tag = "2")]
    pub(super) peers: Vec<Peer>,
    #[prost(fixed64, repeated, tag = "3")]
    pub(super) revoked: Vec<u64>,
    #[prost(message, repeated, tag = "4")]
    pub(super) folders: Vec<Placement>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Peer {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, tag = "2")]
    pub(super) address: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Placement {
    #[prost(string, tag = "1")]
    pub(super) folder: String,
    #[prost(uint32, tag = "2")]
    pub(super) mode: u32,
}
