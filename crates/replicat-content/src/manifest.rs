//! The list of a content's chunks, which proves itself against the content's name.

use std::ops::Range;

use replicat_core::id::ContentHash;
use thiserror::Error;

use crate::cut::CHUNK_LENGTH_MAX;

/// The BLAKE3 key-derivation context of names made from manifests. It changes with the encoding.
const NAME_CONTEXT: &str = "replicat 2026 manifest v1";

/// One chunk of a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkReference {
    /// Its length in bytes, 1 to [`CHUNK_LENGTH_MAX`].
    pub length: u32,
    /// The BLAKE3 hash of its bytes.
    pub hash: ContentHash,
}

impl ChunkReference {
    /// The length of an encoded reference, in bytes.
    pub const ENCODED_LENGTH: usize = 36;

    fn encode(&self) -> [u8; Self::ENCODED_LENGTH] {
        let mut encoded = [0; Self::ENCODED_LENGTH];
        encoded[..4].copy_from_slice(&self.length.to_le_bytes());
        encoded[4..].copy_from_slice(&self.hash.0);
        encoded
    }

    fn decode(encoded: &[u8; Self::ENCODED_LENGTH]) -> Self {
        let (mut length, mut hash) = ([0; 4], [0; 32]);
        length.copy_from_slice(&encoded[..4]);
        hash.copy_from_slice(&encoded[4..]);
        Self {
            length: u32::from_le_bytes(length),
            hash: ContentHash(hash),
        }
    }
}

/// Bytes are not a manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ManifestError {
    /// They end within a chunk reference.
    #[error("a manifest of {length} bytes ends within a chunk reference; fetch it again")]
    Truncated {
        /// How many bytes there are.
        length: usize,
    },
    /// A chunk is empty or too long.
    #[error(
        "chunk {index} of a manifest claims {length} bytes, which no chunk has; fetch it again"
    )]
    ChunkLength {
        /// Which chunk.
        index: usize,
        /// What it claims.
        length: u32,
    },
    /// It belongs to another content.
    #[error("a manifest names the content {found} instead of {expected}; fetch it again")]
    Mismatch {
        /// The name it should have.
        expected: ContentHash,
        /// The name it has.
        found: ContentHash,
    },
}

/// The chunks of a content, in order. An empty content has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// The chunks, front to back.
    pub chunks: Vec<ChunkReference>,
}

impl Manifest {
    /// The manifest of a content of one chunk, whose name is that chunk's hash; of an empty one if
    /// `size` is 0. Such manifests follow from name and size and are not kept.
    #[must_use]
    pub fn of_one_chunk(name: ContentHash, size: u32) -> Self {
        let chunk = ChunkReference {
            length: size,
            hash: name,
        };
        Self {
            chunks: (size > 0).then_some(chunk).into_iter().collect(),
        }
    }

    /// The name of the content: of one chunk, the hash of its bytes; otherwise the derived hash of the
    /// encoded manifest.
    #[must_use]
    pub fn content_hash(&self) -> ContentHash {
        match self.chunks.as_slice() {
            [] => ContentHash(*blake3::hash(&[]).as_bytes()),
            [only] => only.hash,
            chunks => {
                let mut hasher = blake3::Hasher::new_derive_key(NAME_CONTEXT);
                for chunk in chunks {
                    hasher.update(&chunk.encode());
                }
                ContentHash(*hasher.finalize().as_bytes())
            }
        }
    }

    /// The size of the content in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.chunks
            .iter()
            .map(|chunk| u64::from(chunk.length))
            .sum()
    }

    /// Checks that this is the manifest of the content `expected`.
    ///
    /// # Errors
    ///
    /// [`ManifestError::Mismatch`] if it is not.
    pub fn verify(&self, expected: &ContentHash) -> Result<(), ManifestError> {
        let found = self.content_hash();
        if found == *expected {
            return Ok(());
        }
        Err(ManifestError::Mismatch {
            expected: *expected,
            found,
        })
    }

    /// How many bytes [`Manifest::encode`] makes of it.
    #[must_use]
    pub fn encoded_length(&self) -> usize {
        self.chunks.len() * ChunkReference::ENCODED_LENGTH
    }

    /// The manifest as bytes, 36 for each chunk. Pages of an encoding are encodings themselves:
    /// see [`Manifest::encode_range`] and [`Manifest::extend_from_encoded`].
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.encode_range(0..self.chunks.len())
    }

    /// Some of the chunks as bytes; what of `chunks` lies beyond the end is left out.
    #[must_use]
    pub fn encode_range(&self, chunks: Range<usize>) -> Vec<u8> {
        let end = chunks.end.min(self.chunks.len());
        let start = chunks.start.min(end);
        self.chunks[start..end]
            .iter()
            .flat_map(ChunkReference::encode)
            .collect()
    }

    /// Reads a manifest from bytes. Its memory is bounded by theirs.
    ///
    /// # Errors
    ///
    /// [`ManifestError`] if they were not made by [`Manifest::encode`].
    pub fn decode(encoded: &[u8]) -> Result<Self, ManifestError> {
        let mut manifest = Self::default();
        manifest.extend_from_encoded(encoded)?;
        Ok(manifest)
    }

    /// Appends a page of chunks.
    ///
    /// # Errors
    ///
    /// [`ManifestError`] if the page is malformed; chunks before the fault have been appended.
    pub fn extend_from_encoded(&mut self, encoded: &[u8]) -> Result<(), ManifestError> {
        let (references, rest) = encoded.as_chunks::<{ ChunkReference::ENCODED_LENGTH }>();
        if !rest.is_empty() {
            return Err(ManifestError::Truncated {
                length: encoded.len(),
            });
        }
        self.chunks.reserve(references.len());
        for reference in references {
            let chunk = ChunkReference::decode(reference);
            if chunk.length == 0 || chunk.length as usize > CHUNK_LENGTH_MAX {
                return Err(ManifestError::ChunkLength {
                    index: self.chunks.len(),
                    length: chunk.length,
                });
            }
            self.chunks.push(chunk);
        }
        Ok(())
    }

    /// Where each chunk begins, for lookups.
    #[must_use]
    pub fn offsets(&self) -> Offsets {
        let mut starts = Vec::with_capacity(self.chunks.len() + 1);
        let mut offset = 0;
        starts.push(offset);
        for chunk in &self.chunks {
            offset += u64::from(chunk.length);
            starts.push(offset);
        }
        Offsets { starts }
    }
}

/// Where the chunks of a content begin: 8 bytes of memory for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offsets {
    /// The start of each chunk, and the content's size.
    starts: Vec<u64>,
}

impl Offsets {
    /// The bytes that chunk `index` covers, if there is such a chunk.
    #[must_use]
    pub fn bytes_of(&self, index: usize) -> Option<Range<u64>> {
        let end = *self.starts.get(index.checked_add(1)?)?;
        Some(self.starts[index]..end)
    }

    /// The chunk that covers the byte at `offset`, if the content is that long.
    #[must_use]
    pub fn chunk_at(&self, offset: u64) -> Option<usize> {
        let after = self.starts.partition_point(|start| *start <= offset);
        (after < self.starts.len()).then(|| after - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hashing::hash_chunk;
    use proptest::prelude::*;

    fn sample() -> Manifest {
        Manifest {
            chunks: vec![
                hash_chunk(b"first"),
                hash_chunk(b"second"),
                hash_chunk(b"3"),
            ],
        }
    }

    #[test]
    fn offsets_find_every_byte() {
        let manifest = sample();
        let offsets = manifest.offsets();
        assert_eq!(manifest.size(), 12);
        assert_eq!(offsets.bytes_of(1), Some(5..11));
        assert_eq!(offsets.bytes_of(3), None);
        let found: Vec<_> = (0..13).map(|at| offsets.chunk_at(at)).collect();
        let expected = [
            [Some(0)].repeat(5),
            [Some(1)].repeat(6),
            vec![Some(2), None],
        ]
        .concat();
        assert_eq!(found, expected);
        assert_eq!(Manifest::default().offsets().chunk_at(0), None);
    }

    #[test]
    fn a_manifest_proves_itself_against_the_name_only() {
        let manifest = sample();
        let name = manifest.content_hash();
        assert_eq!(manifest.verify(&name), Ok(()));
        let mut swapped = manifest;
        swapped.chunks.swap(0, 1);
        assert!(swapped.verify(&name).is_err());
    }

    #[test]
    fn one_chunk_is_named_by_its_bytes() {
        let chunk = hash_chunk(b"alone");
        let manifest = Manifest::of_one_chunk(chunk.hash, chunk.length);
        assert_eq!(manifest.content_hash(), chunk.hash);
        let empty = Manifest::of_one_chunk(hash_chunk(b"").hash, 0);
        assert_eq!(empty, Manifest::default());
        assert_eq!(empty.content_hash(), hash_chunk(b"").hash);
    }

    #[test]
    fn chunks_of_impossible_length_are_refused() {
        for length in [0, 1_048_577, u32::MAX] {
            let mut manifest = sample();
            manifest.chunks[1].length = length;
            let error = ManifestError::ChunkLength { index: 1, length };
            assert_eq!(Manifest::decode(&manifest.encode()), Err(error));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_decode_to_themselves_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            if let Ok(manifest) = Manifest::decode(&bytes) {
                prop_assert_eq!(manifest.encode(), bytes);
            }
        }

        #[test]
        fn pages_add_up(
            chunks in prop::collection::vec((1u32..=1_048_576, any::<[u8; 32]>()), 0..40),
            split in 0usize..40,
        ) {
            let chunks: Vec<_> = chunks
                .into_iter()
                .map(|(length, hash)| ChunkReference { length, hash: ContentHash(hash) })
                .collect();
            let manifest = Manifest { chunks };
            let decoded = Manifest::decode(&manifest.encode()).unwrap();
            prop_assert_eq!(&decoded, &manifest);
            let mut joined = Manifest::default();
            joined.extend_from_encoded(&manifest.encode_range(0..split)).unwrap();
            joined.extend_from_encoded(&manifest.encode_range(split..usize::MAX)).unwrap();
            prop_assert_eq!(&joined, &manifest);
            prop_assert_eq!(manifest.encoded_length(), manifest.encode().len());
        }
    }
}
