//! Manifests: of which chunks a long content is made.

use replicat_core::id::ContentHash;

/// How many chunks are kept in one row: about 32 KiB of them.
pub const MANIFEST_PAGE_CHUNKS: usize = 1_024;

/// The chunks of a content, in order. Opaque to the index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// The length in bytes and the hash of each chunk.
    pub chunks: Vec<(u32, ContentHash)>,
}
