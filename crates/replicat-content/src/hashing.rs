//! Hashes of chunks.

use replicat_core::id::ContentHash;
use thiserror::Error;

use crate::manifest::ChunkReference;

/// A chunk is not the one that was asked for: it was damaged on its way, or its source changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a chunk of {length} bytes has the hash {found} instead of {expected}; fetch it again")]
pub struct ChunkMismatch {
    /// The hash it should have.
    pub expected: ContentHash,
    /// The hash it has.
    pub found: ContentHash,
    /// Its length in bytes.
    pub length: usize,
}

/// The reference to a chunk that holds `bytes`, at most 4 GiB of them.
#[must_use]
pub fn hash_chunk(bytes: &[u8]) -> ChunkReference {
    debug_assert!(u32::try_from(bytes.len()).is_ok());
    ChunkReference {
        length: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
        hash: ContentHash(*blake3::hash(bytes).as_bytes()),
    }
}

/// Checks that `bytes` are the chunk named `expected`.
///
/// # Errors
///
/// [`ChunkMismatch`] if they are not.
pub fn verify_chunk(bytes: &[u8], expected: &ContentHash) -> Result<(), ChunkMismatch> {
    let found = ContentHash(*blake3::hash(bytes).as_bytes());
    if found == *expected {
        return Ok(());
    }
    Err(ChunkMismatch {
        expected: *expected,
        found,
        length: bytes.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_with_one_bit_changed_is_refused() {
        let mut bytes = vec![7; 1000];
        let reference = hash_chunk(&bytes);
        assert_eq!(verify_chunk(&bytes, &reference.hash), Ok(()));
        bytes[999] ^= 1;
        let mismatch = verify_chunk(&bytes, &reference.hash).unwrap_err();
        assert_eq!(mismatch.expected, reference.hash);
        assert_eq!(mismatch.length, 1000);
    }
}
