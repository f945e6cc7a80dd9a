//! Naming the contents of files that changed.

use std::io;
use std::sync::Arc;

use replicat_content::{Chunker, Content, ContentError, Source, Span};
use replicat_core::path::RelPath;
use replicat_fs::observe::{Kind, Observation, Tracking};
use replicat_fs::read::{ReadError, StableFile};
use replicat_fs::root::Root;

use super::gleaned::Gleaned;
use super::local::LocalReplica;

/// Files up to this length are read with one call, in bytes.
const SMALL_BYTES_MAX: u64 = 256 << 10;

/// How often a file is read that does not stay as it was observed.
const ATTEMPTS: usize = 3;

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

/// Reads files one after the other, with memory that serves for all of them.
pub(super) struct Hasher {
    root: Arc<Root>,
    tracking: Tracking,
    /// What is read beside the content, if the scan left that.
    attributes: Option<Tracking>,
    /// Where small contents are kept.
    gleaned: Option<Arc<Gleaned>>,
    chunker: Chunker,
    buffer: Vec<u8>,
}

impl Hasher {
    pub(super) fn of(local: &LocalReplica, attributes: Option<Tracking>) -> Self {
        Self {
            root: Arc::clone(&local.root),
            tracking: local.tracking,
            attributes,
            gleaned: local.gleaned.clone(),
            chunker: Chunker::default(),
            buffer: Vec::new(),
        }
    }

    /// Another one, for another thread.
    pub(super) fn another(&self) -> Self {
        Self {
            root: Arc::clone(&self.root),
            tracking: self.tracking,
            attributes: self.attributes,
            gleaned: self.gleaned.clone(),
            chunker: Chunker::default(),
            buffer: Vec::new(),
        }
    }

    /// Reads the file at `path`, which was observed, and names its content. If it is not as it was observed, it is observed
    /// again: it changed, or the filesystem had told what it remembered of it (FUSE, and those of other hosts).
    pub(super) fn hash(
        &mut self,
        path: &RelPath,
        observed: &mut Observation,
    ) -> Result<Content, HashError> {
        for _ in 1..ATTEMPTS {
            match self.hash_as_observed(path, observed) {
                Err(HashError::Changed) => {}
                done => return done,
            }
            let found = self.root.observe(path, self.tracking);
            let found = found.map_err(|error| HashError::from(ReadError::from(error)))?;
            *observed = found
                .filter(|found| found.kind == Kind::File)
                .ok_or(HashError::Changed)?;
        }
        self.hash_as_observed(path, observed)
    }

    fn hash_as_observed(
        &mut self,
        path: &RelPath,
        observed: &mut Observation,
    ) -> Result<Content, HashError> {
        let file = StableFile::open_expected(&self.root, path, &observed.fingerprint)?;
        if let Some(tracking) = self.attributes {
            observed.metadata.xattrs = file.attributes(tracking)?;
        }
        if file.size() > SMALL_BYTES_MAX {
            let content = read_long(&mut self.chunker, &file)?;
            file.verify()?;
            return Ok(content);
        }
        // A file that grew meanwhile does not look as it did.
        let size = usize::try_from(file.size()).unwrap_or(0);
        self.buffer.resize(size.max(self.buffer.len()), 0);
        let read = file.read_at(0, &mut self.buffer[..size])?;
        if read != size {
            return Err(HashError::Changed);
        }
        file.verify()?;
        let bytes = &self.buffer[..size];
        let content = Content::of_bytes(bytes);
        if let Some(gleaned) = &self.gleaned {
            gleaned.keep(content.hash, bytes);
        }
        Ok(content)
    }
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
