//! Cutting a source batch by batch, in bounded memory.
//!
//! A [`Batch`] is a window of bytes with the cuts in it. What follows the last cut is carried over to
//! the next batch. A run of zeros that outgrows the window is not written out: once a cut falls into it,
//! all further cuts are known.

use std::io;

use crate::chunker::ContentError;
use crate::cut::SizeClass;
use crate::hashing::hash_chunk;
use crate::manifest::ChunkReference;
use crate::source::{Source, Span};

/// A window holds at most this many longest chunks: enough that carrying over costs little, and
/// little enough to stay in the cache.
const CHUNKS_IN_WINDOW: usize = 8;

/// Consecutive chunks: some in memory, then some of zeros.
pub(crate) struct Batch {
    bytes: Vec<u8>,
    lengths: Vec<usize>,
    zero_chunks: u64,
}

impl Batch {
    pub(crate) fn new() -> Self {
        Self {
            bytes: Vec::new(),
            lengths: Vec::new(),
            zero_chunks: 0,
        }
    }

    /// Appends references to the chunks of this batch.
    pub(crate) fn hash_into(&self, class: SizeClass, chunks: &mut Vec<ChunkReference>) {
        let mut rest = self.bytes.as_slice();
        for length in &self.lengths {
            let (chunk, after) = rest.split_at(*length);
            chunks.push(hash_chunk(chunk));
            rest = after;
        }
        chunks.extend((0..self.zero_chunks).map(|_| class.zero_chunk()));
    }
}

/// Whether more batches follow.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    More,
    Finished,
}

/// Cuts one content.
pub(crate) struct Cutter<S> {
    source: S,
    class: SizeClass,
    size: u64,
    /// How many bytes the source has given.
    given: u64,
    /// Zeros that the source has given but no batch holds yet.
    zeros: u64,
    /// Bytes after the last cut.
    carried: Vec<u8>,
    ended: bool,
}

impl<S: Source> Cutter<S> {
    pub(crate) fn new(source: S, size: u64) -> Self {
        Self {
            source,
            class: SizeClass::of(size),
            size,
            given: 0,
            zeros: 0,
            carried: Vec::new(),
            ended: false,
        }
    }

    pub(crate) fn class(&self) -> SizeClass {
        self.class
    }

    /// Fills `batch` with the chunks that come next.
    pub(crate) fn next_batch(&mut self, batch: &mut Batch) -> Result<Progress, ContentError> {
        let window_length = self.window_length();
        if batch.bytes.len() < window_length {
            batch.bytes.resize(window_length, 0);
        }
        let (end, zeros_start) = self.fill(&mut batch.bytes[..window_length])?;
        let cut_end = self.cut(&batch.bytes[..end], zeros_start, &mut batch.lengths);
        self.carried.clear();
        if cut_end >= zeros_start {
            self.zeros += (end - cut_end) as u64;
            let chunk_length = self.class.chunk_length_max() as u64;
            batch.zero_chunks = self.zeros / chunk_length;
            self.zeros %= chunk_length;
        } else {
            batch.zero_chunks = 0;
            self.carried.extend_from_slice(&batch.bytes[cut_end..end]);
        }
        if self.ended {
            return Ok(Progress::Finished);
        }
        Ok(Progress::More)
    }

    /// The whole content and one byte, so that its end is seen at once, or a few chunks of it.
    fn window_length(&self) -> usize {
        let length_max = CHUNKS_IN_WINDOW * self.class.chunk_length_max();
        usize::try_from(self.size.saturating_add(1)).map_or(length_max, |size| size.min(length_max))
    }

    /// Fills `window` with what was carried over and what the source gives. Returns where the bytes end
    /// and, if they end in zeros of which more are to come, where those begin (otherwise beyond the end).
    fn fill(&mut self, window: &mut [u8]) -> Result<(usize, usize), ContentError> {
        let mut end = self.carried.len();
        let mut zeros_start = usize::MAX;
        window[..end].copy_from_slice(&self.carried);
        while end < window.len() && !self.ended {
            if self.zeros > 0 {
                let room = (window.len() - end) as u64;
                let length = self.zeros.min(room);
                let zeros_end = end + length as usize;
                window[end..zeros_end].fill(0);
                zeros_start = end;
                end = zeros_end;
                self.zeros -= length;
            } else {
                end += self.read_span(&mut window[end..])?;
            }
        }
        if self.zeros == 0 {
            zeros_start = usize::MAX;
        }
        Ok((end, zeros_start))
    }

    /// Takes one span from the source and returns how many bytes of `buffer` it filled.
    fn read_span(&mut self, buffer: &mut [u8]) -> Result<usize, ContentError> {
        let span = loop {
            match self.source.next_span(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ContentError::Read(error)),
                Ok(span) => break span,
            }
        };
        let filled = match span {
            Span::Data(length) => {
                self.given += length as u64;
                length
            }
            Span::Zeros(length) => {
                self.given = self.given.saturating_add(length);
                self.zeros = length;
                0
            }
            Span::End => {
                self.ended = true;
                0
            }
        };
        if self.given > self.size || (self.ended && self.given < self.size) {
            return Err(ContentError::Changed {
                expected: self.size,
                found: self.given,
            });
        }
        Ok(filled)
    }

    /// Cuts `bytes` as far as they decide the cuts, and not beyond the first cut at or after
    /// `zeros_start`. Returns where the last cut is.
    fn cut(&self, bytes: &[u8], zeros_start: usize, lengths: &mut Vec<usize>) -> usize {
        lengths.clear();
        let needed = if self.ended {
            1
        } else {
            self.class.chunk_length_max()
        };
        let mut start = 0;
        while start < zeros_start && bytes.len() - start >= needed {
            let length = self.class.cut(&bytes[start..]);
            lengths.push(length);
            start += length;
        }
        start
    }
}
