//! Naming the contents of files that changed.

use std::io;

use replicat_content::{Chunker, Content, ContentError, Source, Span};
use replicat_core::path::RelPath;
use replicat_core::record::Fingerprint;
use replicat_fs::read::{ReadError, StableFile};
use replicat_fs::root::Root;

/// Files up to this length are read with one call, in bytes.
const SMALL_BYTES_MAX: u64 = 256 << 10;

/// Why a content could not be named.
#[derive(Debug)]
pub(super) enum HashError {
    /// The file changed, or is gone: look at it again.
    Changed,
    /// It cannot be read.
    Unreadable(replicat_fs::error::FsError),
}

impl From<ReadError> for HashError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Changed(_) | ReadError::NotAFile(_) => Self::Changed,
            ReadError::Filesystem(error) if error.is_missing() || error.is_symlink() => {
                Self::Changed
            }
            ReadError::Filesystem(error) => Self::Unreadable(error),
        }
    }
}

/// Reads the file at `path`, which was seen as `expected`, and names its content.
pub(super) fn hash(
    chunker: &mut Chunker,
    buffer: &mut Vec<u8>,
    root: &Root,
    path: &RelPath,
    expected: &Fingerprint,
) -> Result<Content, HashError> {
    let file = StableFile::open_expected(root, path, expected)?;
    let content = if file.size() <= SMALL_BYTES_MAX {
        // One byte more than expected, so that a file that grew is noticed.
        buffer.resize(usize::try_from(file.size()).unwrap_or(0) + 1, 0);
        let read = file.read_at(0, buffer)?;
        if read as u64 != file.size() {
            return Err(HashError::Changed);
        }
        Content::of_bytes(&buffer[..read])
    } else {
        read_long(chunker, &file)?
    };
    file.verify()?;
    Ok(content)
}

fn read_long(chunker: &mut Chunker, file: &StableFile) -> Result<Content, HashError> {
    let mut reading = Reading {
        file,
        ranges: file.data_ranges()?,
        at: 0,
        failure: None,
    };
    match chunker.read(file.size(), &mut reading) {
        Ok(content) => Ok(content),
        Err(_) if reading.failure.is_some() => Err(reading
            .failure
            .take()
            .map_or(HashError::Changed, HashError::from)),
        Err(ContentError::Changed { .. }) => Err(HashError::Changed),
        Err(ContentError::Read(source) | ContentError::Thread(source)) => Err(
            HashError::Unreadable(replicat_fs::error::FsError::new("read", "", source)),
        ),
    }
}

/// A file as a source of bytes, holes skipped.
struct Reading<'file> {
    file: &'file StableFile,
    /// Where data is, ascending; the rest is holes.
    ranges: Vec<std::ops::Range<u64>>,
    at: u64,
    failure: Option<ReadError>,
}

impl Source for Reading<'_> {
    fn next_span(&mut self, buffer: &mut [u8]) -> io::Result<Span> {
        let size = self.file.size();
        if self.at >= size {
            return Ok(Span::End);
        }
        let range = self
            .ranges
            .iter()
            .find(|range| range.end > self.at)
            .cloned();
        let range = range.unwrap_or(size..size);
        if self.at < range.start {
            let zeros = range.start - self.at;
            self.at = range.start;
            return Ok(Span::Zeros(zeros));
        }
        let wanted = usize::try_from(range.end - self.at).unwrap_or(usize::MAX);
        let wanted = wanted.min(buffer.len());
        match self.file.read_at(self.at, &mut buffer[..wanted]) {
            Ok(read) => {
                self.at += read as u64;
                Ok(if read == 0 {
                    Span::End
                } else {
                    Span::Data(read)
                })
            }
            Err(error) => {
                self.failure = Some(error);
                Err(io::Error::other("the file could not be read"))
            }
        }
    }
}
