//! From core types to the schema.

use bytes::Bytes;

use super::schema as wire;
use crate::entry::{Carry, Entry, Payload, Stamps, Version};
use crate::id::{ContentHash, ReplicaId};
use crate::message::{Hello, Message, TreePage, TreeReply, Want};
use crate::path::RelPath;
use crate::store::{Digest, Member};
use crate::version::{Dot, VersionVector};

pub(super) fn envelope(message: &Message) -> wire::Envelope {
    let body = match message {
        Message::Hello(hello) => wire::Body::Hello(hello_to(hello)),
        Message::Entries(entries) => wire::Body::Entries(entries_to(entries)),
        Message::Sent { knowledge } => wire::Body::Sent(vector(knowledge)),
        Message::Sum { digest, knowledge } => wire::Body::Sum(wire::Sum {
            digest: digest_to(*digest),
            knowledge: Some(vector(knowledge)),
        }),
        Message::Tree(page) => wire::Body::Tree(tree(page)),
        Message::TreeReply(reply) => wire::Body::TreeReply(tree_reply(reply)),
        Message::Repair(entries) => wire::Body::Repair(entries_to(entries)),
        Message::Want(wants) => wire::Body::Want(wire::Wants {
            wants: wants.iter().map(want).collect(),
        }),
        Message::Manifest { content, chunks } => wire::Body::Manifest(wire::Manifest {
            content: hash(*content),
            chunks: chunks.clone(),
        }),
        Message::Piece {
            content,
            offset,
            bytes,
        } => wire::Body::Piece(wire::Piece {
            content: hash(*content),
            offset: *offset,
            bytes: bytes.clone(),
        }),
        Message::Missing { content } => wire::Body::Missing(hash(*content)),
        Message::Members(members) => wire::Body::Members(wire::Members {
            members: members.iter().map(member).collect(),
        }),
    };
    wire::Envelope { body: Some(body) }
}

fn hello_to(hello: &Hello) -> wire::Hello {
    let names = hello.names.iter();
    let presence = |id| {
        let mut presences = hello.presences.iter();
        let found = presences.find(|(known, _)| *known == id);
        found.map_or(0, |(_, presence)| *presence)
    };
    wire::Hello {
        protocol: hello.protocol,
        folder: Bytes::copy_from_slice(&hello.folder.0.to_le_bytes()),
        replica: hello.replica.0,
        knowledge: Some(vector(&hello.knowledge)),
        applied: Some(vector(&hello.applied)),
        names: names
            .map(|(id, held)| name(*id, held, presence(*id)))
            .collect(),
    }
}

fn name(replica: ReplicaId, name: &str, presence: u64) -> wire::Name {
    wire::Name {
        replica: replica.0,
        name: name.to_owned(),
        presence,
    }
}

fn member((replica, member): &(ReplicaId, Member)) -> wire::Member {
    wire::Member {
        name: Some(name(*replica, &member.name, member.presence)),
        applied: Some(vector(&member.applied)),
    }
}

fn vector(vector: &VersionVector) -> wire::Vector {
    dots(vector.iter())
}

fn dots(dots: impl Iterator<Item = Dot>) -> wire::Vector {
    let (replicas, counters) = dots.map(|dot| (dot.replica.0, dot.counter)).unzip();
    wire::Vector { replicas, counters }
}

fn some_dots(list: &[Dot]) -> Option<wire::Vector> {
    (!list.is_empty()).then(|| dots(list.iter().copied()))
}

fn hash(hash: ContentHash) -> Bytes {
    Bytes::copy_from_slice(&hash.0)
}

fn digest_to(digest: Digest) -> Bytes {
    Bytes::copy_from_slice(&digest.0.to_le_bytes())
}

fn path(path: &RelPath) -> Bytes {
    Bytes::copy_from_slice(path.as_bytes())
}

fn entries_to(entries: &[(RelPath, Entry)]) -> wire::Entries {
    wire::Entries {
        entries: entries.iter().map(entry).collect(),
    }
}

fn entry((at, entry): &(RelPath, Entry)) -> wire::Entry {
    wire::Entry {
        path: path(at),
        versions: entry.versions().iter().map(version).collect(),
    }
}

fn version(version: &Version) -> wire::Version {
    let (kind, value, size, link) = payload(&version.payload);
    let metadata = &version.metadata;
    let vector_of = &version.context.vector;
    wire::Version {
        replica: version.dot.replica.0,
        counter: version.dot.counter,
        context: (!vector_of.is_empty()).then(|| vector(vector_of)),
        carried: some_dots(&version.context.carried),
        hlc: version.hlc.0,
        kind,
        value,
        size,
        link,
        mode: metadata.mode,
        mtime_seconds: metadata.mtime.map(|mtime| mtime.seconds),
        mtime_nanoseconds: metadata.mtime.map_or(0, |mtime| mtime.nanoseconds),
        user: metadata.owner.map(|owner| owner.user),
        group: metadata.owner.map(|owner| owner.group),
        xattrs: metadata.xattrs.as_deref().map(xattrs),
        stamps: stamps(version),
        base: version.base.map_or_else(Bytes::new, hash),
        carry: match version.carry {
            None => 0,
            Some(Carry::Copy(_)) => 1,
            Some(Carry::Follow(_)) => 2,
        },
        carry_of: version.carry.map(|carry| dots([carry.dot()].into_iter())),
        conflict_of: version.conflict_of.map(|dot| dots([dot].into_iter())),
    }
}

fn payload(payload: &Payload) -> (u32, Bytes, u64, Option<u64>) {
    match payload {
        Payload::File {
            content,
            size,
            link,
        } => (1, hash(*content), *size, link.map(|link| link.0)),
        Payload::Directory => (2, Bytes::new(), 0, None),
        Payload::Symlink { target } => (3, Bytes::copy_from_slice(target), 0, None),
        Payload::Tombstone { moved_to } => {
            (4, moved_to.as_ref().map_or_else(Bytes::new, path), 0, None)
        }
    }
}

fn xattrs(xattrs: &[crate::entry::Xattr]) -> wire::Xattrs {
    let one = |xattr: &crate::entry::Xattr| wire::Xattr {
        name: xattr.name.clone(),
        value: xattr.value.clone(),
    };
    wire::Xattrs {
        xattrs: xattrs.iter().map(one).collect(),
    }
}

fn stamps(version: &Version) -> Vec<u64> {
    let stamps = version.stamps;
    if stamps == Stamps::all(version.hlc) {
        return Vec::new();
    }
    vec![
        stamps.mode.0,
        stamps.mtime.0,
        stamps.owner.0,
        stamps.xattrs.0,
    ]
}

fn tree(page: &TreePage) -> wire::Tree {
    let row = |row: &crate::message::TreeRow| wire::TreeRow {
        name: row.name.clone(),
        own: digest_to(row.own),
        below: digest_to(row.below),
    };
    wire::Tree {
        directory: path(&page.directory),
        after: page.after.clone(),
        until: page.until.clone(),
        rows: page.rows.iter().map(row).collect(),
    }
}

fn tree_reply(reply: &TreeReply) -> wire::TreeReply {
    wire::TreeReply {
        directory: path(&reply.directory),
        entries: reply.entries.iter().map(entry).collect(),
        descend: reply.descend.iter().map(path).collect(),
        until: reply.until.clone().into(),
    }
}

fn want(want: &Want) -> wire::Want {
    wire::Want {
        content: hash(want.content),
        path: path(&want.path),
        offset: want.offset,
        length: want.length,
    }
}
