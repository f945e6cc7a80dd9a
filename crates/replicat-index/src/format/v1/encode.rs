//! Encoding records and vectors.

use replicat_core::entry::{Carry, Metadata, Payload, Stamps, Timestamp, Version};
use replicat_core::id::LinkId;
use replicat_core::record::{Base, Fingerprint, Record};
use replicat_core::version::{Context, Dot, Hlc, VersionVector};

use super::{Expected, fingerprint_flag, near, record_flag, state_flag};
use crate::format::bytes::Writer;
use crate::replicas::Replicas;

/// Encodes a record; replicas that are new get a number.
pub(crate) fn encode_record(record: &Record, replicas: &mut Replicas) -> Vec<u8> {
    let writer = Writer(Vec::with_capacity(128));
    let mut encoder = Encoder { writer, replicas };
    encoder.record(record);
    encoder.writer.0
}

/// Encodes the highest dots of a vector.
pub(crate) fn encode_vector(vector: &VersionVector, replicas: &mut Replicas) -> Vec<u8> {
    let writer = Writer::default();
    let mut encoder = Encoder { writer, replicas };
    encoder.vector(vector, 0);
    encoder.writer.0
}

/// The state inside a version or a base.
struct State<'a> {
    context: &'a Context,
    hlc: Hlc,
    payload: &'a Payload,
    metadata: &'a Metadata,
    stamps: Stamps,
    conflict_of: Option<Dot>,
}

struct Encoder<'a> {
    writer: Writer,
    replicas: &'a mut Replicas,
}

impl Encoder<'_> {
    fn record(&mut self, record: &Record) {
        let versions = record.entry.versions();
        let local = record.state();
        let base = local.and_then(|local| local.base.as_deref());
        self.writer.byte(record_flags(record));
        if versions.len() != 1 {
            self.writer.length(versions.len());
        }
        for version in versions {
            self.version(version);
        }
        if let Some(base) = base {
            self.base(base);
        }
        if let Some(local) = local {
            self.fingerprint(&local.fingerprint, &Expected::of_record(versions, base));
            if let Some(unheld) = &local.unheld {
                self.flags(aspect_flags(unheld));
                self.metadata(unheld, Hlc(0));
            }
        }
    }

    fn version(&mut self, version: &Version) {
        let state = State {
            context: &version.context,
            hlc: version.hlc,
            payload: &version.payload,
            metadata: &version.metadata,
            stamps: version.stamps,
            conflict_of: version.conflict_of,
        };
        self.flags(state_flags(&state) | version_flags(version));
        self.dot(version.dot, 0);
        self.state(&state, version.dot.counter);
        if let Some(base) = version.base {
            self.writer.raw(&base.0);
        }
        if let Some(carry) = version.carry {
            self.dot(carry.dot(), version.dot.counter);
        }
    }

    fn base(&mut self, base: &Base) {
        let state = State {
            context: &base.context,
            hlc: base.hlc,
            payload: &base.payload,
            metadata: &base.metadata,
            stamps: base.stamps,
            conflict_of: base.conflict_of,
        };
        self.flags(state_flags(&state));
        self.writer.varint(base.hlc.0);
        self.state(&state, base.hlc.0);
    }

    fn flags(&mut self, flags: u16) {
        self.writer.varint(u64::from(flags));
    }

    /// `reference` is a number near the state's times: counters follow the clock.
    fn state(&mut self, state: &State<'_>, reference: u64) {
        self.writer.delta(state.hlc.0, reference);
        if *state.context != Context::default() {
            self.context(state.context, reference);
        }
        self.payload(state.payload);
        self.metadata(state.metadata, state.hlc);
        if state.stamps != Stamps::all(state.hlc) {
            let stamps = state.stamps;
            for stamp in [stamps.mode, stamps.mtime, stamps.owner, stamps.xattrs] {
                self.writer.delta(stamp.0, state.hlc.0);
            }
        }
        if let Some(loser) = state.conflict_of {
            self.dot(loser, reference);
        }
    }

    fn payload(&mut self, payload: &Payload) {
        match payload {
            Payload::File {
                content,
                size,
                link,
            } => {
                self.writer.raw(&content.0);
                self.writer.varint(*size);
                if let Some(LinkId(link)) = link {
                    self.writer.raw(&link.to_le_bytes());
                }
            }
            Payload::Directory => {}
            Payload::Symlink { target } => self.writer.string(target),
            Payload::Tombstone { moved_to } => {
                if let Some(path) = moved_to {
                    self.writer.string(path.as_bytes());
                }
            }
        }
    }

    fn metadata(&mut self, metadata: &Metadata, hlc: Hlc) {
        if let Some(mode) = metadata.mode {
            self.writer.varint(u64::from(mode));
        }
        if let Some(mtime) = metadata.mtime {
            self.timestamp(mtime, near(hlc));
        }
        if let Some(owner) = metadata.owner {
            self.writer.varint(u64::from(owner.user));
            self.writer.varint(u64::from(owner.group));
        }
        if let Some(xattrs) = &metadata.xattrs {
            self.writer.length(xattrs.len());
            for xattr in xattrs {
                self.writer.string(&xattr.name);
                self.writer.string(&xattr.value);
            }
        }
    }

    fn timestamp(&mut self, time: Timestamp, reference: Timestamp) {
        let seconds = time.seconds.cast_unsigned();
        self.writer
            .delta(seconds, reference.seconds.cast_unsigned());
        self.writer.varint(u64::from(time.nanoseconds));
    }

    fn context(&mut self, context: &Context, reference: u64) {
        self.vector(&context.vector, reference);
        self.writer.length(context.carried.len());
        for &dot in &context.carried {
            self.dot(dot, reference);
        }
    }

    fn vector(&mut self, vector: &VersionVector, reference: u64) {
        self.writer.length(vector.len());
        for dot in vector.iter() {
            self.dot(dot, reference);
        }
    }

    fn dot(&mut self, dot: Dot, reference: u64) {
        let number = self.replicas.number(dot.replica);
        self.writer.varint(u64::from(number));
        match reference {
            0 => self.writer.varint(dot.counter),
            near => self.writer.delta(dot.counter, near),
        }
    }

    fn fingerprint(&mut self, fingerprint: &Fingerprint, expected: &Expected) {
        let flags = fingerprint_flags(fingerprint, expected);
        self.writer.byte(flags);
        self.writer.varint(fingerprint.inode);
        if flags & fingerprint_flag::SIZE == 0 {
            self.writer.varint(fingerprint.size);
        }
        if flags & fingerprint_flag::MTIME == 0 {
            self.timestamp(fingerprint.mtime, expected.mtime);
        }
        if flags & fingerprint_flag::CTIME_IS_MTIME == 0 {
            self.timestamp(fingerprint.ctime, fingerprint.mtime);
        }
        if flags & fingerprint_flag::BIRTH_IS_CTIME == 0 {
            self.timestamp(fingerprint.birth, fingerprint.ctime);
        }
    }
}

fn flag_if<T: Default>(condition: bool, flag: T) -> T {
    if condition { flag } else { T::default() }
}

fn record_flags(record: &Record) -> u8 {
    let local = record.state();
    flag_if(record.pending, record_flag::PENDING)
        | flag_if(record.excluded.is_some(), record_flag::EXCLUDED)
        | flag_if(local.is_some(), record_flag::LOCAL)
        | flag_if(local.is_some_and(|local| local.racy), record_flag::RACY)
        | flag_if(
            local.is_some_and(|local| local.base.is_some()),
            record_flag::BASE,
        )
        | flag_if(
            local.is_some_and(|local| local.unheld.is_some()),
            record_flag::UNHELD,
        )
        | flag_if(record.entry.versions().len() == 1, record_flag::ONE_VERSION)
}

fn state_flags(state: &State<'_>) -> u16 {
    let (kind, reference) = match state.payload {
        Payload::File { link, .. } => (state_flag::FILE, link.is_some()),
        Payload::Directory => (state_flag::DIRECTORY, false),
        Payload::Symlink { .. } => (state_flag::SYMLINK, false),
        Payload::Tombstone { moved_to } => (state_flag::TOMBSTONE, moved_to.is_some()),
    };
    kind | flag_if(reference, state_flag::REFERENCE)
        | aspect_flags(state.metadata)
        | flag_if(*state.context != Context::default(), state_flag::CONTEXT)
        | flag_if(state.stamps != Stamps::all(state.hlc), state_flag::STAMPS)
        | flag_if(state.conflict_of.is_some(), state_flag::CONFLICT_OF)
}

fn aspect_flags(metadata: &Metadata) -> u16 {
    flag_if(metadata.mode.is_some(), state_flag::MODE)
        | flag_if(metadata.mtime.is_some(), state_flag::MTIME)
        | flag_if(metadata.owner.is_some(), state_flag::OWNER)
        | flag_if(metadata.xattrs.is_some(), state_flag::XATTRS)
}

fn version_flags(version: &Version) -> u16 {
    let carry = match version.carry {
        None => 0,
        Some(Carry::Copy(_)) => state_flag::COPY,
        Some(Carry::Follow(_)) => state_flag::FOLLOW,
    };
    carry | flag_if(version.base.is_some(), state_flag::BASE_CONTENT)
}

fn fingerprint_flags(fingerprint: &Fingerprint, expected: &Expected) -> u8 {
    flag_if(fingerprint.size == expected.size, fingerprint_flag::SIZE)
        | flag_if(fingerprint.mtime == expected.mtime, fingerprint_flag::MTIME)
        | flag_if(
            fingerprint.ctime == fingerprint.mtime,
            fingerprint_flag::CTIME_IS_MTIME,
        )
        | flag_if(
            fingerprint.birth == fingerprint.ctime,
            fingerprint_flag::BIRTH_IS_CTIME,
        )
}
