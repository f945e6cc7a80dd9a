//! From the schema to core types, with every value checked.

use bytes::Bytes;

use super::WireError;
use super::schema as wire;
use crate::entry::{Carry, Entry, Metadata, Owner, Payload, Stamps, Timestamp, Version, Xattr};
use crate::id::{ContentHash, FolderId, LinkId, ReplicaId};
use crate::message::{Hello, Message, TreePage, TreeReply, TreeRow, Want};
use crate::path::{NAME_BYTES_MAX, PATH_BYTES_MAX, RelPath};
use crate::store::{Digest, Member};
use crate::version::{Context, Dot, Hlc, VersionVector};

/// The longest name of a replica, in bytes.
const REPLICA_NAME_BYTES_MAX: usize = 64;
/// The longest symlink target, in bytes: `PATH_MAX`.
const TARGET_BYTES_MAX: usize = 4096;

pub(super) fn message(envelope: wire::Envelope) -> Result<Message, WireError> {
    Ok(match envelope.body.ok_or(WireError::Field("body"))? {
        wire::Body::Hello(body) => Message::Hello(hello(body)?),
        wire::Body::Entries(body) => Message::Entries(entries(body.entries)?),
        wire::Body::Sent(body) => Message::Sent {
            knowledge: vector(Some(body))?,
        },
        wire::Body::Sum(body) => Message::Sum {
            digest: digest(&body.digest)?,
            knowledge: vector(body.knowledge)?,
        },
        wire::Body::Tree(body) => Message::Tree(tree(body)?),
        wire::Body::TreeReply(body) => Message::TreeReply(tree_reply(body)?),
        wire::Body::Repair(body) => Message::Repair(entries(body.entries)?),
        wire::Body::Want(body) => {
            Message::Want(body.wants.iter().map(want).collect::<Result<_, _>>()?)
        }
        wire::Body::Manifest(body) => Message::Manifest {
            content: hash(&body.content)?,
            chunks: body.chunks,
        },
        wire::Body::Piece(body) => Message::Piece {
            content: hash(&body.content)?,
            offset: body.offset,
            bytes: body.bytes,
        },
        wire::Body::Missing(content) => Message::Missing {
            content: hash(&content)?,
        },
        wire::Body::Members(body) => {
            let members = body.members.into_iter().map(member);
            Message::Members(members.collect::<Result<_, _>>()?)
        }
    })
}

fn hello(body: wire::Hello) -> Result<Hello, WireError> {
    let folder = body
        .folder
        .as_ref()
        .try_into()
        .map_err(|_| WireError::Field("folder"))?;
    let presences = body.names.iter().filter(|name| name.presence > 0);
    let presences = presences.map(|name| (ReplicaId(name.replica), name.presence));
    Ok(Hello {
        presences: presences.collect(),
        protocol: body.protocol,
        folder: FolderId(u128::from_le_bytes(folder)),
        replica: ReplicaId(body.replica),
        knowledge: vector(body.knowledge)?,
        applied: vector(body.applied)?,
        names: body.names.into_iter().map(name).collect::<Result<_, _>>()?,
    })
}

fn name(name: wire::Name) -> Result<(ReplicaId, String), WireError> {
    match is_replica_name(&name.name) {
        true => Ok((ReplicaId(name.replica), name.name)),
        false => Err(WireError::Field("name")),
    }
}

fn member(body: wire::Member) -> Result<(ReplicaId, Member), WireError> {
    let body_name = body.name.ok_or(WireError::Field("name"))?;
    let presence = body_name.presence;
    let (replica, name) = name(body_name)?;
    let applied = vector(body.applied)?;
    let member = Member {
        name,
        applied,
        presence,
    };
    Ok((replica, member))
}

/// Names of replicas become part of file names, so that only harmless ones pass.
fn is_replica_name(name: &str) -> bool {
    let harmless = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    name.len() <= REPLICA_NAME_BYTES_MAX && name.bytes().all(harmless)
}

fn vector(body: Option<wire::Vector>) -> Result<VersionVector, WireError> {
    Ok(dots(body)?.into_iter().collect())
}

fn dots(body: Option<wire::Vector>) -> Result<Vec<Dot>, WireError> {
    let Some(body) = body else {
        return Ok(Vec::new());
    };
    if body.replicas.len() != body.counters.len() {
        return Err(WireError::Field("counters"));
    }
    let pairs = body.replicas.into_iter().zip(body.counters);
    Ok(pairs
        .map(|(replica, counter)| Dot {
            counter,
            replica: ReplicaId(replica),
        })
        .collect())
}

fn one_dot(body: wire::Vector, field: &'static str) -> Result<Dot, WireError> {
    match dots(Some(body))?.as_slice() {
        [dot] => Ok(*dot),
        _ => Err(WireError::Field(field)),
    }
}

fn hash(bytes: &Bytes) -> Result<ContentHash, WireError> {
    bytes
        .as_ref()
        .try_into()
        .map(ContentHash)
        .map_err(|_| WireError::Field("content"))
}

fn digest(bytes: &Bytes) -> Result<Digest, WireError> {
    let bytes = bytes
        .as_ref()
        .try_into()
        .map_err(|_| WireError::Field("digest"))?;
    Ok(Digest(u128::from_le_bytes(bytes)))
}

fn entries(body: Vec<wire::Entry>) -> Result<Vec<(RelPath, Entry)>, WireError> {
    body.into_iter().map(entry).collect()
}

fn entry(body: wire::Entry) -> Result<(RelPath, Entry), WireError> {
    let path = RelPath::new(&body.path)?;
    let versions: Vec<_> = body
        .versions
        .into_iter()
        .map(version)
        .collect::<Result<_, _>>()?;
    let entry = Entry::from_stored(versions);
    match entry
        .versions()
        .windows(2)
        .any(|pair| pair[0].dot == pair[1].dot)
    {
        true => Err(WireError::Field("versions")),
        false => Ok((path, entry)),
    }
}

fn version(body: wire::Version) -> Result<Version, WireError> {
    let hlc = Hlc(body.hlc);
    let mut carried = dots(body.carried)?;
    carried.sort_unstable();
    carried.dedup();
    let carry_of = body
        .carry_of
        .map(|dot| one_dot(dot, "carry_of"))
        .transpose()?;
    let carry = match (body.carry, carry_of) {
        (0, None) => None,
        (1, Some(dot)) => Some(Carry::Copy(dot)),
        (2, Some(dot)) => Some(Carry::Follow(dot)),
        _ => return Err(WireError::Field("carry")),
    };
    Ok(Version {
        dot: Dot {
            counter: body.counter,
            replica: ReplicaId(body.replica),
        },
        context: Context {
            vector: vector(body.context)?,
            carried,
        },
        hlc,
        payload: payload(body.kind, &body.value, body.size, body.link)?,
        stamps: stamps(hlc, &body.stamps)?,
        base: if body.base.is_empty() {
            None
        } else {
            Some(hash(&body.base)?)
        },
        carry,
        conflict_of: body
            .conflict_of
            .map(|dot| one_dot(dot, "conflict_of"))
            .transpose()?,
        metadata: Metadata {
            mode: mode(body.mode)?,
            mtime: mtime(body.mtime_seconds, body.mtime_nanoseconds)?,
            owner: owner(body.user, body.group)?,
            xattrs: body.xattrs.map(xattrs).transpose()?,
        },
    })
}

fn payload(kind: u32, value: &Bytes, size: u64, link: Option<u64>) -> Result<Payload, WireError> {
    Ok(match kind {
        1 => Payload::File {
            content: hash(value)?,
            size,
            link: link.map(LinkId),
        },
        2 => Payload::Directory,
        3 if !value.is_empty() && value.len() < TARGET_BYTES_MAX && !value.contains(&0) => {
            Payload::Symlink {
                target: value.to_vec(),
            }
        }
        4 if value.is_empty() => Payload::Tombstone { moved_to: None },
        4 => Payload::Tombstone {
            moved_to: Some(RelPath::new(value)?),
        },
        _ => return Err(WireError::Field("kind")),
    })
}

fn mode(mode: Option<u32>) -> Result<Option<u32>, WireError> {
    match mode {
        Some(mode) if mode > 0o7777 => Err(WireError::Field("mode")),
        mode => Ok(mode),
    }
}

fn mtime(seconds: Option<i64>, nanoseconds: u32) -> Result<Option<Timestamp>, WireError> {
    if nanoseconds > 999_999_999 {
        return Err(WireError::Field("mtime_nanoseconds"));
    }
    Ok(seconds.map(|seconds| Timestamp {
        seconds,
        nanoseconds,
    }))
}

fn owner(user: Option<u32>, group: Option<u32>) -> Result<Option<Owner>, WireError> {
    match (user, group) {
        (Some(user), Some(group)) => Ok(Some(Owner { user, group })),
        (None, None) => Ok(None),
        _ => Err(WireError::Field("owner")),
    }
}

fn xattrs(body: wire::Xattrs) -> Result<Vec<Xattr>, WireError> {
    let mut xattrs = Vec::new();
    for xattr in body.xattrs {
        let bad = xattr.name.is_empty()
            || xattr.name.len() > NAME_BYTES_MAX
            || xattr.name.contains(&0)
            || xattr.value.len() > 2 * PATH_BYTES_MAX;
        if bad {
            return Err(WireError::Field("xattrs"));
        }
        xattrs.push(Xattr {
            name: xattr.name,
            value: xattr.value,
        });
    }
    xattrs.sort();
    Ok(xattrs)
}

fn stamps(hlc: Hlc, stamps: &[u64]) -> Result<Stamps, WireError> {
    match *stamps {
        [] => Ok(Stamps::all(hlc)),
        [mode, mtime, owner, xattrs] => {
            let (mode, mtime, owner, xattrs) = (Hlc(mode), Hlc(mtime), Hlc(owner), Hlc(xattrs));
            Ok(Stamps {
                mode,
                mtime,
                owner,
                xattrs,
            })
        }
        _ => Err(WireError::Field("stamps")),
    }
}

fn tree(body: wire::Tree) -> Result<TreePage, WireError> {
    let row = |row: wire::TreeRow| {
        Ok(TreeRow {
            own: digest(&row.own)?,
            below: digest(&row.below)?,
            name: row.name,
        })
    };
    Ok(TreePage {
        directory: RelPath::new(&body.directory)?,
        after: body.after,
        until: body.until,
        rows: body
            .rows
            .into_iter()
            .map(row)
            .collect::<Result<_, WireError>>()?,
    })
}

fn tree_reply(body: wire::TreeReply) -> Result<TreeReply, WireError> {
    Ok(TreeReply {
        directory: RelPath::new(&body.directory)?,
        entries: entries(body.entries)?,
        descend: body
            .descend
            .iter()
            .map(|path| RelPath::new(path))
            .collect::<Result<_, _>>()?,
        until: body.until.into(),
    })
}

fn want(body: &wire::Want) -> Result<Want, WireError> {
    Ok(Want {
        content: hash(&body.content)?,
        path: RelPath::new(&body.path)?,
        offset: body.offset,
        length: body.length,
    })
}
