//! Naming a content whose bytes are brought piece by piece.

use crate::chunker::Content;
use crate::cut::SizeClass;
use crate::hashing::hash_chunk;
use crate::manifest::ChunkReference;

/// Names one content while its bytes pass by, of which it keeps no more than the longest chunk and a piece.
///
/// Where bytes can be asked for, a [`Chunker`](crate::Chunker) does it without keeping any.
#[derive(Debug)]
pub struct ContentHasher {
    class: SizeClass,
    /// Bytes after the last cut.
    carried: Vec<u8>,
    chunks: Vec<ChunkReference>,
}

impl ContentHasher {
    /// For a content of `size` bytes: where it is cut depends on its size.
    #[must_use]
    pub fn new(size: u64) -> Self {
        Self {
            class: SizeClass::of(size),
            carried: Vec::new(),
            chunks: Vec::new(),
        }
    }

    /// Takes the bytes that come next.
    pub fn update(&mut self, bytes: &[u8]) {
        self.carried.extend_from_slice(bytes);
        self.cut_while(|class, rest| rest >= class.chunk_length_max());
    }

    /// What there is to know of the content. It is the right name only if as many bytes came as were told of.
    #[must_use]
    pub fn finish(mut self) -> Content {
        self.cut_while(|_, rest| rest > 0);
        Content::of_chunks(self.chunks)
    }

    fn cut_while(&mut self, is_enough: impl Fn(SizeClass, usize) -> bool) {
        let mut rest = self.carried.as_slice();
        while is_enough(self.class, rest.len()) {
            let (chunk, after) = rest.split_at(self.class.cut(rest));
            self.chunks.push(hash_chunk(chunk));
            rest = after;
        }
        let cut = self.carried.len() - rest.len();
        self.carried.drain(..cut);
    }
}
