//! From bytes to a name: reading a content once, front to back.

use std::io::{self, Read};

use replicat_core::id::ContentHash;
use thiserror::Error;

use crate::cut::SizeClass;
use crate::hashing::hash_chunk;
use crate::manifest::{ChunkReference, Manifest};
use crate::pipeline::chunks_in_parallel;
use crate::source::{ReaderSource, Source};
use crate::stream::{Batch, Cutter, Progress};

/// The shortest content for which a second thread is worth its start, in bytes.
const PARALLEL_SIZE_MIN: u64 = 16 << 20;

/// A content could not be read through.
#[derive(Debug, Error)]
pub enum ContentError {
    /// The source failed.
    #[error("could not read the content: {0}")]
    Read(#[source] io::Error),
    /// The source did not hold as many bytes as was said: someone is writing to it.
    #[error(
        "the content changed while it was read: {expected} bytes became {found}; read it again"
    )]
    Changed {
        /// How many bytes it was said to hold.
        expected: u64,
        /// How many it gave before that was found out.
        found: u64,
    },
    /// No thread could be started.
    #[error("could not start a thread to hash on: {0}")]
    Thread(#[source] io::Error),
}

/// What there is to know of a content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// Its name.
    pub hash: ContentHash,
    /// Its size in bytes.
    pub size: u64,
    /// Its chunks, if there are several.
    pub manifest: Option<Manifest>,
}

impl Content {
    /// What there is to know of `bytes`, without copying them.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        let class = SizeClass::of(bytes.len() as u64);
        let mut chunks = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at(class.cut(rest));
            chunks.push(hash_chunk(chunk));
            rest = after;
        }
        Self::of_chunks(chunks)
    }

    pub(crate) fn of_chunks(chunks: Vec<ChunkReference>) -> Self {
        let manifest = Manifest { chunks };
        Self {
            hash: manifest.content_hash(),
            size: manifest.size(),
            manifest: (manifest.chunks.len() > 1).then_some(manifest),
        }
    }
}

/// On how many threads one long content is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Workers {
    /// On the calling thread alone: right where many contents are read at once.
    Calling,
    /// From 16 MiB up, a second thread hashes what the calling one cuts.
    #[default]
    Pair,
}

/// Reads contents, one after the other, through the same buffer.
pub struct Chunker {
    batch: Batch,
    workers: Workers,
}

impl Default for Chunker {
    fn default() -> Self {
        Self::new(Workers::default())
    }
}

impl Chunker {
    /// A reader of contents. It takes up to 2 MiB of memory, 8 MiB from a content of over 1 GiB on;
    /// three times that while a pair of workers is at it.
    #[must_use]
    pub fn new(workers: Workers) -> Self {
        Self {
            batch: Batch::new(),
            workers,
        }
    }

    /// Reads `source`, which holds `size` bytes, to its end.
    ///
    /// # Errors
    ///
    /// [`ContentError::Changed`] if it holds more or fewer; otherwise what stopped the reading.
    pub fn read(&mut self, size: u64, source: impl Source) -> Result<Content, ContentError> {
        let mut cutter = Cutter::new(source, size);
        let chunks = match self.workers {
            Workers::Pair if size >= PARALLEL_SIZE_MIN => chunks_in_parallel(&mut cutter)?,
            Workers::Pair | Workers::Calling => self.chunks_in_turn(&mut cutter)?,
        };
        Ok(Content::of_chunks(chunks))
    }

    fn chunks_in_turn<S: Source>(
        &mut self,
        cutter: &mut Cutter<S>,
    ) -> Result<Vec<ChunkReference>, ContentError> {
        let mut chunks = Vec::new();
        loop {
            let progress = cutter.next_batch(&mut self.batch)?;
            self.batch.hash_into(cutter.class(), &mut chunks);
            if progress == Progress::Finished {
                return Ok(chunks);
            }
        }
    }
}

/// Reads one content of `size` bytes to its end. For many contents, keep a [`Chunker`].
///
/// # Errors
///
/// As [`Chunker::read`].
pub fn chunk_reader(size: u64, reader: impl Read) -> Result<Content, ContentError> {
    Chunker::default().read(size, ReaderSource(reader))
}
