//! The messages as they lie on the wire. Field numbers are never reused.

use bytes::Bytes;

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Envelope {
    #[prost(oneof = "Body", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12")]
    pub(super) body: Option<Body>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(super) enum Body {
    #[prost(message, tag = "1")]
    Hello(Hello),
    #[prost(message, tag = "2")]
    Entries(Entries),
    #[prost(message, tag = "3")]
    Sent(Vector),
    #[prost(message, tag = "4")]
    Sum(Sum),
    #[prost(message, tag = "5")]
    Tree(Tree),
    #[prost(message, tag = "6")]
    TreeReply(TreeReply),
    #[prost(message, tag = "7")]
    Repair(Entries),
    #[prost(message, tag = "8")]
    Want(Wants),
    #[prost(message, tag = "9")]
    Manifest(Manifest),
    #[prost(message, tag = "10")]
    Piece(Piece),
    #[prost(bytes = "bytes", tag = "11")]
    Missing(Bytes),
    #[prost(message, tag = "12")]
    Members(Members),
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Members {
    #[prost(message, repeated, tag = "1")]
    pub(super) members: Vec<Member>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Member {
    #[prost(message, optional, tag = "1")]
    pub(super) name: Option<Name>,
    #[prost(message, optional, tag = "2")]
    pub(super) applied: Option<Vector>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Hello {
    #[prost(uint32, tag = "1")]
    pub(super) protocol: u32,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) folder: Bytes,
    #[prost(fixed64, tag = "3")]
    pub(super) replica: u64,
    #[prost(message, optional, tag = "4")]
    pub(super) knowledge: Option<Vector>,
    #[prost(message, optional, tag = "5")]
    pub(super) applied: Option<Vector>,
    #[prost(message, repeated, tag = "6")]
    pub(super) names: Vec<Name>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Name {
    #[prost(fixed64, tag = "1")]
    pub(super) replica: u64,
    #[prost(string, tag = "2")]
    pub(super) name: String,
    #[prost(uint64, tag = "3")]
    pub(super) presence: u64,
}

/// A vector, as two lists of one length.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Vector {
    #[prost(fixed64, repeated, tag = "1")]
    pub(super) replicas: Vec<u64>,
    #[prost(uint64, repeated, tag = "2")]
    pub(super) counters: Vec<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Entries {
    #[prost(message, repeated, tag = "1")]
    pub(super) entries: Vec<Entry>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Entry {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) path: Bytes,
    #[prost(message, repeated, tag = "2")]
    pub(super) versions: Vec<Version>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Version {
    #[prost(fixed64, tag = "1")]
    pub(super) replica: u64,
    #[prost(uint64, tag = "2")]
    pub(super) counter: u64,
    #[prost(message, optional, tag = "3")]
    pub(super) context: Option<Vector>,
    #[prost(message, optional, tag = "4")]
    pub(super) carried: Option<Vector>,
    #[prost(uint64, tag = "5")]
    pub(super) hlc: u64,
    /// 1 file, 2 directory, 3 symlink, 4 tombstone.
    #[prost(uint32, tag = "6")]
    pub(super) kind: u32,
    /// A file's content, a symlink's target, where a tombstone's path went.
    #[prost(bytes = "bytes", tag = "7")]
    pub(super) value: Bytes,
    #[prost(uint64, tag = "8")]
    pub(super) size: u64,
    #[prost(fixed64, optional, tag = "9")]
    pub(super) link: Option<u64>,
    #[prost(uint32, optional, tag = "10")]
    pub(super) mode: Option<u32>,
    #[prost(sint64, optional, tag = "11")]
    pub(super) mtime_seconds: Option<i64>,
    #[prost(uint32, tag = "12")]
    pub(super) mtime_nanoseconds: u32,
    #[prost(uint32, optional, tag = "13")]
    pub(super) user: Option<u32>,
    #[prost(uint32, optional, tag = "14")]
    pub(super) group: Option<u32>,
    #[prost(message, optional, tag = "15")]
    pub(super) xattrs: Option<Xattrs>,
    /// Of mode, mtime, owner, xattrs; none if all are the hlc.
    #[prost(uint64, repeated, tag = "16")]
    pub(super) stamps: Vec<u64>,
    #[prost(bytes = "bytes", tag = "17")]
    pub(super) base: Bytes,
    /// 1 copy, 2 follow.
    #[prost(uint32, tag = "18")]
    pub(super) carry: u32,
    #[prost(message, optional, tag = "19")]
    pub(super) carry_of: Option<Vector>,
    #[prost(message, optional, tag = "20")]
    pub(super) conflict_of: Option<Vector>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Xattrs {
    #[prost(message, repeated, tag = "1")]
    pub(super) xattrs: Vec<Xattr>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Xattr {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) name: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) value: Vec<u8>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Sum {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) digest: Bytes,
    #[prost(message, optional, tag = "2")]
    pub(super) knowledge: Option<Vector>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Tree {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) directory: Bytes,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) after: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    pub(super) until: Vec<u8>,
    #[prost(message, repeated, tag = "4")]
    pub(super) rows: Vec<TreeRow>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TreeRow {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) name: Vec<u8>,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) own: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    pub(super) below: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TreeReply {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) directory: Bytes,
    #[prost(message, repeated, tag = "2")]
    pub(super) entries: Vec<Entry>,
    #[prost(bytes = "bytes", repeated, tag = "3")]
    pub(super) descend: Vec<Bytes>,
    #[prost(bytes = "bytes", tag = "4")]
    pub(super) until: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Wants {
    #[prost(message, repeated, tag = "1")]
    pub(super) wants: Vec<Want>,
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
pub(super) struct Manifest {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) content: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) chunks: Bytes,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Piece {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) content: Bytes,
    #[prost(uint64, tag = "2")]
    pub(super) offset: u64,
    #[prost(bytes = "bytes", tag = "3")]
    pub(super) bytes: Bytes,
}
