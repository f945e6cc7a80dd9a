//! Records, format 1.
//!
//! A record starts with a byte of flags, then come its versions and what the storage holds. Replicas
//! are numbers, times are differences to a time nearby, and what equals its usual value is a flag.

mod decode;
mod encode;

pub(crate) use decode::{decode_record, decode_vector, decode_vector_prefix};
pub(crate) use encode::{encode_record, encode_vector};

use replicat_core::entry::{Metadata, Payload, Timestamp, Version};
use replicat_core::record::Base;
use replicat_core::version::Hlc;

/// Flags of a record.
mod record_flag {
    pub(super) const PENDING: u8 = 1;
    pub(super) const LOCAL: u8 = 1 << 1;
    pub(super) const RACY: u8 = 1 << 2;
    pub(super) const BASE: u8 = 1 << 3;
    pub(super) const ONE_VERSION: u8 = 1 << 4;
    /// The path is out of scope, and the local state is the one that it had before. Since format 3.
    pub(super) const EXCLUDED: u8 = 1 << 5;
    /// The storage could not take some of the description. Since format 5.
    pub(super) const UNHELD: u8 = 1 << 6;
    pub(super) const ALL: u8 = (1 << 7) - 1;
}

/// Flags of a state: what a version or a base says of a path.
mod state_flag {
    pub(super) const KIND: u16 = 0b11;
    pub(super) const FILE: u16 = 0;
    pub(super) const DIRECTORY: u16 = 1;
    pub(super) const SYMLINK: u16 = 2;
    pub(super) const TOMBSTONE: u16 = 3;
    /// A file's link group, or where a tombstone's file went.
    pub(super) const REFERENCE: u16 = 1 << 2;
    pub(super) const MODE: u16 = 1 << 3;
    pub(super) const MTIME: u16 = 1 << 4;
    pub(super) const OWNER: u16 = 1 << 5;
    pub(super) const XATTRS: u16 = 1 << 6;
    pub(super) const CONTEXT: u16 = 1 << 7;
    pub(super) const STAMPS: u16 = 1 << 8;
    pub(super) const CONFLICT_OF: u16 = 1 << 9;
    /// Of versions alone.
    pub(super) const BASE_CONTENT: u16 = 1 << 10;
    pub(super) const COPY: u16 = 1 << 11;
    pub(super) const FOLLOW: u16 = 1 << 12;
    pub(super) const ALL: u16 = (1 << 13) - 1;
}

/// Flags of a fingerprint: what equals something already said.
mod fingerprint_flag {
    pub(super) const SIZE: u8 = 1;
    pub(super) const MTIME: u8 = 1 << 1;
    pub(super) const CTIME_IS_MTIME: u8 = 1 << 2;
    pub(super) const BIRTH_IS_CTIME: u8 = 1 << 3;
    pub(super) const ALL: u8 = (1 << 4) - 1;
}

/// What a fingerprint is compared with: the size and mtime that the entry or the base says.
#[derive(Default)]
struct Expected {
    size: u64,
    mtime: Timestamp,
}

impl Expected {
    fn of(payload: &Payload, metadata: &Metadata, hlc: Hlc) -> Self {
        let size = match payload {
            Payload::File { size, .. } => *size,
            _ => 0,
        };
        let mtime = metadata.mtime.unwrap_or_else(|| near(hlc));
        Self { size, mtime }
    }

    fn of_record(versions: &[Version], base: Option<&Base>) -> Self {
        match (base, versions.last()) {
            (Some(base), _) => Self::of(&base.payload, &base.metadata, base.hlc),
            (None, Some(last)) => Self::of(&last.payload, &last.metadata, last.hlc),
            (None, None) => Self::default(),
        }
    }
}

/// A timestamp at about `hlc`.
fn near(hlc: Hlc) -> Timestamp {
    Timestamp {
        seconds: (hlc.0 / 1000).cast_signed(),
        nanoseconds: 0,
    }
}
