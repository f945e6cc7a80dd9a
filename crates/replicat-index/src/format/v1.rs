//! Records, format 1.
//!
//! A record starts with a byte of flags, then come its versions and what the storage holds. Replicas
//! are numbers, times are differences to a time nearby, and what equals its usual value is a flag.

use replicat_core::entry::{
    Carry, Entry, Metadata, Owner, Payload, Stamps, Timestamp, Version, Xattr,
};
use replicat_core::id::LinkId;
use replicat_core::record::{Base, Fingerprint, Local, Record};
use replicat_core::version::{Context, Dot, Hlc, VersionVector};

use crate::error::Fault;
use crate::format::bytes::{Input, Writer};
use crate::replicas::Replicas;

/// Flags of a record.
mod record_flag {
    pub(super) const PENDING: u8 = 1;
    pub(super) const LOCAL: u8 = 1 << 1;
    pub(super) const RACY: u8 = 1 << 2;
    pub(super) const BASE: u8 = 1 << 3;
    pub(super) const ONE_VERSION: u8 = 1 << 4;
    pub(super) const ALL: u8 = (1 << 5) - 1;
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

/// The state inside a version or a base.
struct State<'a> {
    context: &'a Context,
    hlc: Hlc,
    payload: &'a Payload,
    metadata: &'a Metadata,
    stamps: Stamps,
    conflict_of: Option<Dot>,
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

/// Encodes a record; replicas that are new get a number.
pub(crate) fn encode_record(record: &Record, replicas: &mut Replicas) -> Vec<u8> {
    let writer = Writer(Vec::with_capacity(128));
    let mut encoder = Encoder { writer, replicas };
    encoder.record(record);
    encoder.writer.0
}

/// Decodes a record.
///
/// # Errors
/// Damaged, if the bytes are not a record.
pub(crate) fn decode_record(bytes: &[u8], replicas: &Replicas) -> Result<Record, Fault> {
    let input = Input::new(bytes);
    let mut decoder = Decoder { input, replicas };
    let record = decoder.record()?;
    decoder.input.end()?;
    Ok(record)
}

/// Encodes the highest dots of a vector.
pub(crate) fn encode_vector(vector: &VersionVector, replicas: &mut Replicas) -> Vec<u8> {
    let writer = Writer::default();
    let mut encoder = Encoder { writer, replicas };
    encoder.vector(vector, 0);
    encoder.writer.0
}

/// Decodes a vector.
///
/// # Errors
/// Damaged, if the bytes are not a vector.
pub(crate) fn decode_vector(bytes: &[u8], replicas: &Replicas) -> Result<VersionVector, Fault> {
    let input = Input::new(bytes);
    let mut decoder = Decoder { input, replicas };
    let vector = decoder.vector(0)?;
    decoder.input.end()?;
    Ok(vector)
}

struct Encoder<'a> {
    writer: Writer,
    replicas: &'a mut Replicas,
}

impl Encoder<'_> {
    fn record(&mut self, record: &Record) {
        let versions = record.entry.versions();
        let base = record
            .local
            .as_ref()
            .and_then(|local| local.base.as_deref());
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
        if let Some(local) = &record.local {
            self.fingerprint(&local.fingerprint, &Expected::of_record(versions, base));
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
    let local = record.local.as_ref();
    flag_if(record.pending, record_flag::PENDING)
        | flag_if(local.is_some(), record_flag::LOCAL)
        | flag_if(local.is_some_and(|local| local.racy), record_flag::RACY)
        | flag_if(
            local.is_some_and(|local| local.base.is_some()),
            record_flag::BASE,
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
        | flag_if(state.metadata.mode.is_some(), state_flag::MODE)
        | flag_if(state.metadata.mtime.is_some(), state_flag::MTIME)
        | flag_if(state.metadata.owner.is_some(), state_flag::OWNER)
        | flag_if(state.metadata.xattrs.is_some(), state_flag::XATTRS)
        | flag_if(*state.context != Context::default(), state_flag::CONTEXT)
        | flag_if(state.stamps != Stamps::all(state.hlc), state_flag::STAMPS)
        | flag_if(state.conflict_of.is_some(), state_flag::CONFLICT_OF)
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

struct Decoder<'a> {
    input: Input<'a>,
    replicas: &'a Replicas,
}

impl Decoder<'_> {
    fn record(&mut self) -> Result<Record, Fault> {
        let flags = self.input.byte()?;
        if flags & !record_flag::ALL != 0 {
            return Err(Fault::damaged("a record has unknown flags"));
        }
        let count = match flags & record_flag::ONE_VERSION {
            0 => self.input.count(4)?,
            _ => 1,
        };
        let mut versions = Vec::with_capacity(count);
        for _ in 0..count {
            versions.push(self.version()?);
        }
        let local = match flags & record_flag::LOCAL {
            0 => None,
            _ => Some(self.local(flags, &versions)?),
        };
        Ok(Record {
            entry: Entry::from_stored(versions),
            local,
            pending: flags & record_flag::PENDING != 0,
        })
    }

    fn local(&mut self, flags: u8, versions: &[Version]) -> Result<Local, Fault> {
        let base = match flags & record_flag::BASE {
            0 => None,
            _ => Some(Box::new(self.base()?)),
        };
        let expected = Expected::of_record(versions, base.as_deref());
        Ok(Local {
            fingerprint: self.fingerprint(&expected)?,
            racy: flags & record_flag::RACY != 0,
            base,
        })
    }

    fn version(&mut self) -> Result<Version, Fault> {
        let flags = self.flags()?;
        let dot = self.dot(0)?;
        let state = self.state(flags, dot.counter)?;
        let base = match flags & state_flag::BASE_CONTENT {
            0 => None,
            _ => Some(self.input.hash()?),
        };
        let carry = match flags & (state_flag::COPY | state_flag::FOLLOW) {
            0 => None,
            state_flag::COPY => Some(Carry::Copy(self.dot(dot.counter)?)),
            state_flag::FOLLOW => Some(Carry::Follow(self.dot(dot.counter)?)),
            _ => return Err(Fault::damaged("a version was carried twice")),
        };
        Ok(Version {
            dot,
            context: state.context,
            hlc: state.hlc,
            payload: state.payload,
            metadata: state.metadata,
            stamps: state.stamps,
            base,
            carry,
            conflict_of: state.conflict_of,
        })
    }

    fn base(&mut self) -> Result<Base, Fault> {
        let flags = self.flags()?;
        let reference = self.input.varint()?;
        self.state(flags, reference)
    }

    fn flags(&mut self) -> Result<u16, Fault> {
        let flags = u16::try_from(self.input.varint()?).unwrap_or(u16::MAX);
        if flags & !state_flag::ALL != 0 {
            return Err(Fault::damaged("a version has unknown flags"));
        }
        Ok(flags)
    }

    fn state(&mut self, flags: u16, reference: u64) -> Result<Base, Fault> {
        let hlc = Hlc(self.input.delta(reference)?);
        let context = match flags & state_flag::CONTEXT {
            0 => Context::default(),
            _ => self.context(reference)?,
        };
        let payload = self.payload(flags)?;
        let metadata = self.metadata(flags, hlc)?;
        let stamps = match flags & state_flag::STAMPS {
            0 => Stamps::all(hlc),
            _ => self.stamps(hlc)?,
        };
        let conflict_of = match flags & state_flag::CONFLICT_OF {
            0 => None,
            _ => Some(self.dot(reference)?),
        };
        Ok(Base {
            context,
            hlc,
            payload,
            metadata,
            stamps,
            conflict_of,
        })
    }

    fn payload(&mut self, flags: u16) -> Result<Payload, Fault> {
        let reference = flags & state_flag::REFERENCE != 0;
        Ok(match flags & state_flag::KIND {
            state_flag::FILE => Payload::File {
                content: self.input.hash()?,
                size: self.input.varint()?,
                link: match reference {
                    false => None,
                    true => Some(LinkId(u64::from_le_bytes(self.input.array()?))),
                },
            },
            state_flag::DIRECTORY => Payload::Directory,
            state_flag::SYMLINK => Payload::Symlink {
                target: self.input.string()?.to_vec(),
            },
            _ => Payload::Tombstone {
                moved_to: match reference {
                    false => None,
                    true => Some(self.input.path()?),
                },
            },
        })
    }

    fn metadata(&mut self, flags: u16, hlc: Hlc) -> Result<Metadata, Fault> {
        let mut metadata = Metadata::default();
        if flags & state_flag::MODE != 0 {
            metadata.mode = Some(self.input.varint_u32()?);
        }
        if flags & state_flag::MTIME != 0 {
            metadata.mtime = Some(self.timestamp(near(hlc))?);
        }
        if flags & state_flag::OWNER != 0 {
            metadata.owner = Some(Owner {
                user: self.input.varint_u32()?,
                group: self.input.varint_u32()?,
            });
        }
        if flags & state_flag::XATTRS != 0 {
            metadata.xattrs = Some(self.xattrs()?);
        }
        Ok(metadata)
    }

    fn xattrs(&mut self) -> Result<Vec<Xattr>, Fault> {
        let count = self.input.count(2)?;
        let mut xattrs = Vec::new();
        for _ in 0..count {
            xattrs.push(Xattr {
                name: self.input.string()?.to_vec(),
                value: self.input.string()?.to_vec(),
            });
        }
        Ok(xattrs)
    }

    fn stamps(&mut self, hlc: Hlc) -> Result<Stamps, Fault> {
        let mut next = || self.input.delta(hlc.0).map(Hlc);
        Ok(Stamps {
            mode: next()?,
            mtime: next()?,
            owner: next()?,
            xattrs: next()?,
        })
    }

    fn timestamp(&mut self, reference: Timestamp) -> Result<Timestamp, Fault> {
        let seconds = self.input.delta(reference.seconds.cast_unsigned())?;
        Ok(Timestamp {
            seconds: seconds.cast_signed(),
            nanoseconds: self.input.varint_u32()?,
        })
    }

    fn context(&mut self, reference: u64) -> Result<Context, Fault> {
        let vector = self.vector(reference)?;
        let count = self.input.count(2)?;
        let mut carried = Vec::with_capacity(count);
        for _ in 0..count {
            carried.push(self.dot(reference)?);
        }
        Ok(Context { vector, carried })
    }

    fn vector(&mut self, reference: u64) -> Result<VersionVector, Fault> {
        let count = self.input.count(2)?;
        (0..count).map(|_| self.dot(reference)).collect()
    }

    fn dot(&mut self, reference: u64) -> Result<Dot, Fault> {
        let replica = self.replicas.id(self.input.varint()?)?;
        let counter = match reference {
            0 => self.input.varint()?,
            near => self.input.delta(near)?,
        };
        Ok(Dot { counter, replica })
    }

    fn fingerprint(&mut self, expected: &Expected) -> Result<Fingerprint, Fault> {
        let flags = self.input.byte()?;
        if flags & !fingerprint_flag::ALL != 0 {
            return Err(Fault::damaged("a fingerprint has unknown flags"));
        }
        let inode = self.input.varint()?;
        let size = match flags & fingerprint_flag::SIZE {
            0 => self.input.varint()?,
            _ => expected.size,
        };
        let mtime = match flags & fingerprint_flag::MTIME {
            0 => self.timestamp(expected.mtime)?,
            _ => expected.mtime,
        };
        let ctime = match flags & fingerprint_flag::CTIME_IS_MTIME {
            0 => self.timestamp(mtime)?,
            _ => mtime,
        };
        let birth = match flags & fingerprint_flag::BIRTH_IS_CTIME {
            0 => self.timestamp(ctime)?,
            _ => ctime,
        };
        Ok(Fingerprint {
            inode,
            size,
            mtime,
            ctime,
            birth,
        })
    }
}
