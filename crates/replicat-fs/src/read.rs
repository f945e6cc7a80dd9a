//! Stable reads: what is hashed or sent is one state of a file, or an error.
//!
//! Goals: a file that changes while it is read is noticed; holes cost no reading.
//! Non-goals: a snapshot. Whoever needs one uses a filesystem that has them.

use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use replicat_core::entry::Xattr;
use replicat_core::path::RelPath;
use replicat_core::record::Fingerprint;
use rustix::fs::{Advice, SeekFrom, Statx};
use rustix::io::{Errno, retry_on_intr};
use thiserror::Error;

use crate::error::FsError;
use crate::observe::{self, Kind, Tracking};
use crate::root::{Root, stat_descriptor};
use crate::xattrs;

/// How much is read at once, in bytes.
const READ_BYTES: usize = 1024 * 1024;

/// Why a file could not be read as one state.
#[derive(Debug, Error)]
pub enum ReadError {
    /// It changed while it was read, or is not what was expected.
    #[error("{0:?} changed while it was read; it is read again")]
    Changed(PathBuf),
    /// It is no regular file.
    #[error("{0:?} is not a regular file")]
    NotAFile(PathBuf),
    /// The system refused.
    #[error(transparent)]
    Filesystem(#[from] FsError),
}

/// A stretch of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extent<'a> {
    /// Bytes.
    Data(&'a [u8]),
    /// A hole of so many bytes: zeros that take no space.
    Zeros(u64),
}

/// A file being read, with what it was when it was opened.
#[derive(Debug)]
pub struct StableFile {
    file: OwnedFd,
    before: Statx,
    shown: PathBuf,
}

impl StableFile {
    /// Opens a regular file.
    ///
    /// # Errors
    /// [`ReadError::NotAFile`] for anything else.
    pub fn open(root: &Root, path: &RelPath) -> Result<Self, ReadError> {
        let file = root.open_file(path)?;
        let before =
            stat_descriptor(file.as_fd()).map_err(|source| root.error("look at", path, source))?;
        let shown = root.shown(path);
        if observe::kind(&before) != Kind::File {
            return Err(ReadError::NotAFile(shown));
        }
        Ok(Self {
            file,
            before,
            shown,
        })
    }

    /// Opens a regular file that must still be as `expected` says.
    ///
    /// # Errors
    /// [`ReadError::Changed`] if it is not.
    pub fn open_expected(
        root: &Root,
        path: &RelPath,
        expected: &Fingerprint,
    ) -> Result<Self, ReadError> {
        let file = Self::open(root, path)?;
        if file.fingerprint() != *expected {
            return Err(ReadError::Changed(file.shown));
        }
        Ok(file)
    }

    /// What it was when it was opened.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        observe::fingerprint(&self.before)
    }

    /// Its length in bytes when it was opened.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.before.stx_size
    }

    /// Its extended attributes, those that are tracked. Ask [`Self::verify`] before they are believed.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn attributes(&self, tracking: Tracking) -> Result<Option<Vec<Xattr>>, ReadError> {
        match tracking.xattrs {
            true => Ok(xattrs::read(self.as_fd(), tracking).map_err(|source| self.failed(source))?),
            false => Ok(None),
        }
    }

    fn failed(&self, source: Errno) -> FsError {
        FsError::new("read", &self.shown, source)
    }

    /// Reads all of it in order, and hands each stretch to `sink`. What was handed out counts only if this returns
    /// without an error.
    ///
    /// # Errors
    /// [`ReadError::Changed`] if it changed meanwhile.
    pub fn read_all(&self, mut sink: impl FnMut(Extent<'_>)) -> Result<Fingerprint, ReadError> {
        // Advice is only advice.
        let _ = rustix::fs::fadvise(&self.file, 0, None, Advice::Sequential);
        let size = self.size();
        let mut buffer = vec![0; READ_BYTES.min(usize::try_from(size).unwrap_or(READ_BYTES))];
        let mut at = 0;
        for data in self.data_ranges()? {
            if data.start > at {
                sink(Extent::Zeros(data.start - at));
            }
            self.read_range(&data, &mut buffer, &mut sink)?;
            at = data.end;
        }
        if size > at {
            sink(Extent::Zeros(size - at));
        }
        self.verify()
    }

    /// Where data is, ascending; the rest is holes. A file that has all its blocks has no holes to ask for.
    ///
    /// # Errors
    /// If the system cannot tell.
    pub fn data_ranges(&self) -> Result<Vec<Range<u64>>, ReadError> {
        let size = self.size();
        if size == 0 || self.before.stx_blocks.saturating_mul(512) >= size {
            return Ok((size > 0).then_some(0..size).into_iter().collect());
        }
        let mut ranges = data_ranges(self.file.as_fd()).map_err(|source| self.failed(source))?;
        ranges.retain_mut(|range| {
            range.end = range.end.min(size);
            range.start < range.end
        });
        Ok(ranges)
    }

    fn read_range(
        &self,
        range: &Range<u64>,
        buffer: &mut [u8],
        sink: &mut impl FnMut(Extent<'_>),
    ) -> Result<(), ReadError> {
        let mut at = range.start;
        while at < range.end {
            let wanted = usize::try_from(range.end - at).unwrap_or(buffer.len());
            let wanted = wanted.min(buffer.len());
            let read = self.read_at(at, &mut buffer[..wanted])?;
            if read == 0 {
                return Err(ReadError::Changed(self.shown.clone()));
            }
            sink(Extent::Data(&buffer[..read]));
            at += read as u64;
        }
        Ok(())
    }

    /// Reads bytes at `offset`; fewer only at the end. Ask [`Self::verify`] before they are believed.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, ReadError> {
        fill_at(self.file.as_fd(), offset, buffer).map_err(|source| self.failed(source).into())
    }

    /// Whether it is still what was opened.
    ///
    /// # Errors
    /// [`ReadError::Changed`] if it is not.
    pub fn verify(&self) -> Result<Fingerprint, ReadError> {
        let after = stat_descriptor(self.file.as_fd()).map_err(|source| self.failed(source))?;
        let fingerprint = observe::fingerprint(&after);
        if fingerprint != self.fingerprint() {
            return Err(ReadError::Changed(self.shown.clone()));
        }
        Ok(fingerprint)
    }
}

impl AsFd for StableFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Reads until the buffer is full or the file ends.
pub(crate) fn fill_at(
    file: BorrowedFd<'_>,
    offset: u64,
    buffer: &mut [u8],
) -> Result<usize, Errno> {
    let mut filled = 0;
    while filled < buffer.len() {
        let at = offset + filled as u64;
        match retry_on_intr(|| rustix::io::pread(file, &mut buffer[filled..], at))? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

/// Where a file has data and no hole. All of it, where the filesystem knows no holes.
pub(crate) fn data_ranges(file: BorrowedFd<'_>) -> Result<Vec<Range<u64>>, Errno> {
    let size = stat_descriptor(file)?.stx_size;
    let mut ranges = Vec::new();
    let mut at = 0;
    while at < size {
        let start = match rustix::fs::seek(file, SeekFrom::Data(at)) {
            Ok(start) => start,
            Err(Errno::NXIO) => break,
            Err(Errno::INVAL | Errno::OPNOTSUPP) => {
                let rest = at..size;
                ranges.push(rest);
                break;
            }
            Err(reason) => return Err(reason),
        };
        let end = match rustix::fs::seek(file, SeekFrom::Hole(start)) {
            Ok(end) => end.min(size),
            // It was cut shorter meanwhile.
            Err(Errno::NXIO) => break,
            Err(reason) => return Err(reason),
        };
        if end <= start {
            break;
        }
        ranges.push(start..end);
        at = end;
    }
    Ok(ranges)
}
