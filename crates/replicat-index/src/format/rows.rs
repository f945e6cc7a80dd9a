//! All other rows: who this replica is, its members, manifests, history, what was skipped.

use replicat_core::id::{ContentHash, FolderId, ReplicaId};
use replicat_core::store::{Identity, Member};

use crate::error::Fault;
use crate::format::bytes::{Input, Writer};
use crate::format::v1::{decode_vector_prefix, encode_vector};
use crate::history::{Change, HeldKind, HistoryRow};
use crate::manifest::Manifest;
use crate::replicas::Replicas;
use crate::skipped::SkippedRow;

/// The bytes a chunk takes at least: its length and its hash.
const CHUNK_BYTES_MIN: usize = 33;

pub(crate) fn encode_identity(identity: &Identity) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.raw(&identity.folder.0.to_le_bytes());
    writer.raw(&identity.replica.0.to_le_bytes());
    writer.varint(identity.counter);
    writer.varint(identity.confirmed);
    writer.string(identity.name.as_bytes());
    writer.length(identity.published.len());
    let mut last = identity.confirmed;
    for &counter in &identity.published {
        writer.delta(counter, last);
        last = counter;
    }
    writer.0
}

pub(crate) fn decode_identity(bytes: &[u8]) -> Result<Identity, Fault> {
    let mut input = Input::new(bytes);
    let mut identity = Identity {
        folder: FolderId(u128::from_le_bytes(input.array()?)),
        replica: ReplicaId(u64::from_le_bytes(input.array()?)),
        counter: input.varint()?,
        confirmed: input.varint()?,
        name: input.text()?,
        published: Vec::new(),
    };
    let mut last = identity.confirmed;
    for _ in 0..input.count(1)? {
        last = input.delta(last)?;
        identity.published.push(last);
    }
    input.end()?;
    Ok(identity)
}

pub(crate) fn encode_member(member: &Member, replicas: &mut Replicas) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.string(member.name.as_bytes());
    writer.raw(&encode_vector(&member.applied, replicas));
    if member.presence > 0 {
        writer.varint(member.presence);
    }
    writer.0
}

pub(crate) fn decode_member(bytes: &[u8], replicas: &Replicas) -> Result<Member, Fault> {
    let mut input = Input::new(bytes);
    let name = input.text()?;
    let (applied, rest) = decode_vector_prefix(input.raw(input.left())?, replicas)?;
    let mut rest = Input::new(rest);
    let presence = match rest.left() {
        0 => 0,
        _ => rest.varint()?,
    };
    rest.end()?;
    Ok(Member {
        name,
        applied,
        presence,
    })
}

pub(crate) fn encode_manifest(chunks: &[(u32, ContentHash)]) -> Vec<u8> {
    let mut writer = Writer(Vec::with_capacity(chunks.len() * 36 + 4));
    writer.length(chunks.len());
    for (length, hash) in chunks {
        writer.varint(u64::from(*length));
        writer.raw(&hash.0);
    }
    writer.0
}

pub(crate) fn decode_manifest(bytes: &[u8]) -> Result<Manifest, Fault> {
    let mut input = Input::new(bytes);
    let count = input.count(CHUNK_BYTES_MIN)?;
    let mut chunks = Vec::with_capacity(count);
    for _ in 0..count {
        chunks.push((input.varint_u32()?, input.hash()?));
    }
    input.end()?;
    Ok(Manifest { chunks })
}

/// Flags of a history row, above the kind of its change.
const HELD: u8 = 1 << 5;
const HELD_SHIFT: u8 = 3;
const HELD_KINDS: u8 = 3 << HELD_SHIFT;
const CONTENT: u8 = 1 << 6;
const TRASH: u8 = 1 << 7;

pub(crate) fn encode_history(row: &HistoryRow, replicas: &mut Replicas) -> Vec<u8> {
    let mut writer = Writer::default();
    let (kind, path) = match &row.change {
        Change::Created => (0, None),
        Change::Edited => (1, None),
        Change::Deleted => (2, None),
        Change::MovedFrom(path) => (3, Some(path)),
        Change::MovedTo(path) => (4, Some(path)),
        Change::Conflict => (5, None),
        Change::Restored => (6, None),
        Change::Described => (7, None),
    };
    let held = row.held.map_or(0, |held| HELD | held_kind(held));
    let content = if row.content.is_some() { CONTENT } else { 0 };
    let trash = if row.trash_name.is_some() { TRASH } else { 0 };
    writer.byte(kind | held | content | trash);
    writer.varint(row.time_ms);
    writer.varint(u64::from(replicas.number(row.origin)));
    writer.varint(row.size);
    if let Some(path) = path {
        writer.string(path.as_bytes());
    }
    if let Some(content) = row.content {
        writer.raw(&content.0);
    }
    if let Some(name) = &row.trash_name {
        writer.string(name.as_bytes());
    }
    writer.0
}

pub(crate) fn decode_history(bytes: &[u8], replicas: &Replicas) -> Result<HistoryRow, Fault> {
    let mut input = Input::new(bytes);
    let flags = input.byte()?;
    let time_ms = input.varint()?;
    let origin = replicas.id(input.varint()?)?;
    let size = input.varint()?;
    let held = match flags & (HELD | HELD_KINDS) {
        0 => None,
        kind if kind & HELD != 0 => {
            Some(HELD_BY_NUMBER[usize::from((kind & HELD_KINDS) >> HELD_SHIFT)])
        }
        _ => return Err(Fault::damaged("a history row has unknown flags")),
    };
    let change = match flags & !(CONTENT | TRASH | HELD | HELD_KINDS) {
        0 => Change::Created,
        1 => Change::Edited,
        2 => Change::Deleted,
        3 => Change::MovedFrom(input.path()?),
        4 => Change::MovedTo(input.path()?),
        5 => Change::Conflict,
        6 => Change::Restored,
        7 => Change::Described,
        _ => return Err(Fault::damaged("a history row has an unknown kind")),
    };
    let content = match flags & CONTENT {
        0 => None,
        _ => Some(input.hash()?),
    };
    let trash_name = match flags & TRASH {
        0 => None,
        _ => Some(input.text()?),
    };
    input.end()?;
    Ok(HistoryRow {
        time_ms,
        change,
        origin,
        content,
        size,
        trash_name,
        held,
    })
}

const HELD_BY_NUMBER: [HeldKind; 4] = [
    HeldKind::File,
    HeldKind::Directory,
    HeldKind::Symlink,
    HeldKind::Nothing,
];

fn held_kind(held: HeldKind) -> u8 {
    let number = match held {
        HeldKind::File => 0,
        HeldKind::Directory => 1,
        HeldKind::Symlink => 2,
        HeldKind::Nothing => 3,
    };
    number << HELD_SHIFT
}

pub(crate) fn encode_skipped(row: &SkippedRow) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.string(row.kind.as_bytes());
    writer.length(row.details.len());
    for detail in &row.details {
        writer.string(detail.as_bytes());
    }
    writer.0
}

pub(crate) fn decode_skipped(bytes: &[u8]) -> Result<SkippedRow, Fault> {
    let mut input = Input::new(bytes);
    let kind = input.text()?;
    let count = input.count(1)?;
    let details = (0..count).map(|_| input.text()).collect::<Result<_, _>>()?;
    input.end()?;
    Ok(SkippedRow { kind, details })
}
