//! Decoding records and vectors.

use replicat_core::entry::{
    Carry, Entry, Metadata, Owner, Payload, Stamps, Timestamp, Version, Xattr,
};
use replicat_core::id::LinkId;
use replicat_core::record::{Base, Excluded, Fingerprint, Local, Record};
use replicat_core::version::{Context, Dot, Hlc, VersionVector};

use super::{Expected, fingerprint_flag, near, record_flag, state_flag};
use crate::error::Fault;
use crate::format::bytes::Input;
use crate::replicas::Replicas;

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

/// A vector at the beginning of a row, and the rest of the row.
pub(crate) fn decode_vector_prefix<'a>(
    bytes: &'a [u8],
    replicas: &'a Replicas,
) -> Result<(VersionVector, &'a [u8]), Fault> {
    let input = Input::new(bytes);
    let mut decoder = Decoder { input, replicas };
    let vector = decoder.vector(0)?;
    let left = decoder.input.left();
    Ok((vector, decoder.input.raw(left)?))
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
        let mut versions = Vec::with_capacity(count.min(8));
        for _ in 0..count {
            versions.push(self.version()?);
        }
        let local = match flags & record_flag::LOCAL {
            0 => None,
            _ => Some(self.local(flags, &versions)?),
        };
        let (local, excluded) = match flags & record_flag::EXCLUDED {
            0 => (local, None),
            _ => (None, Some(Excluded { held: local })),
        };
        Ok(Record {
            entry: Entry::from_stored(versions),
            local,
            excluded,
            pending: flags & record_flag::PENDING != 0,
        })
    }

    fn local(&mut self, flags: u8, versions: &[Version]) -> Result<Local, Fault> {
        let base = match flags & record_flag::BASE {
            0 => None,
            _ => Some(Box::new(self.base()?)),
        };
        let expected = Expected::of_record(versions, base.as_deref());
        let fingerprint = self.fingerprint(&expected)?;
        let unheld = match flags & record_flag::UNHELD {
            0 => None,
            _ => Some(Box::new(self.unheld()?)),
        };
        Ok(Local {
            fingerprint,
            racy: flags & record_flag::RACY != 0,
            base,
            unheld,
        })
    }

    fn unheld(&mut self) -> Result<Metadata, Fault> {
        let flags = self.flags()?;
        self.metadata(flags, Hlc(0))
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
