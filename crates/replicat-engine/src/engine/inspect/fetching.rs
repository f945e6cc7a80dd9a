//! Getting the content of a version by its name: from files of the root, its trash, or other nodes.

use std::sync::Arc;

use replicat_content::ContentHasher;
use replicat_core::entry::Metadata;
use replicat_core::id::ContentHash;
use replicat_core::path::RelPath;
use replicat_fs::error::FsError;
use replicat_fs::stage::{Staged, StagedFile};

use crate::engine::held::Held;
use crate::engine::transfer::{Neighbour, PIECE_BYTES_MAX, Source, want};
use crate::restoration::RestoredFrom;

/// How many pieces are requested at once.
const PIECES_AHEAD: u64 = 8;
/// The permission bits that a replaced file hands on.
const PERMISSION_BITS: u32 = 0o777;
const KIND_BITS: u32 = 0o170_000;
const REGULAR_FILE: u32 = 0o100_000;

/// A replica that may hold a content.
pub(in crate::engine) struct Provider {
    source: Arc<dyn Source>,
    from: RestoredFrom,
}

impl Provider {
    /// The root itself.
    pub(in crate::engine) fn own(held: Arc<Held>) -> Self {
        Self {
            source: Arc::new(Neighbour(held)),
            from: RestoredFrom::Root,
        }
    }

    /// The node of this name.
    pub(in crate::engine) fn node(name: String, source: Arc<dyn Source>) -> Self {
        Self {
            source,
            from: RestoredFrom::Node(name),
        }
    }
}

/// Stages a content that one of the providers has, and says which; `None` if none has it. The content is compared with its
/// name.
pub(super) fn fetch(
    held: &Held,
    (path, content, size): (&RelPath, ContentHash, u64),
    providers: &[Provider],
) -> Option<(Staged, RestoredFrom)> {
    for provider in providers {
        match fetch_from(held, (path, content, size), &*provider.source) {
            Ok(Some(staged)) => return Some((staged, provider.from.clone())),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%error, "a content that is to be restored cannot be staged");
            }
        }
    }
    None
}

fn fetch_from(
    held: &Held,
    (path, content, size): (&RelPath, ContentHash, u64),
    source: &dyn Source,
) -> Result<Option<Staged>, FsError> {
    let Some(staging) = held.staging() else {
        return Ok(None);
    };
    let staged = staging.begin(content, size)?;
    if copy(&staged, (path, content, size), source)? {
        let metadata = Metadata {
            mode: mode_at(held, path),
            ..Metadata::default()
        };
        return staged.finish(&metadata).map(Some);
    }
    staged.abandon()?;
    Ok(None)
}

/// Writes a content to where it is staged; whether it was all there, and is what its name says.
fn copy(
    staged: &StagedFile,
    (path, content, size): (&RelPath, ContentHash, u64),
    source: &dyn Source,
) -> Result<bool, FsError> {
    let mut hasher = ContentHasher::new(size);
    let mut at = 0;
    while at < size {
        let end = size.min(at.saturating_add(PIECES_AHEAD * PIECE_BYTES_MAX));
        let offsets = (at..end).step_by(PIECE_BYTES_MAX as usize);
        let piece = |offset| want(content, path, offset, PIECE_BYTES_MAX.min(end - offset));
        for bytes in source.request(offsets.map(piece).collect()) {
            let Some(bytes) = bytes.filter(|bytes| bytes.len() as u64 <= end - at) else {
                return Ok(false);
            };
            hasher.update(&bytes);
            staged.write_at(at, &bytes)?;
            at += bytes.len() as u64;
        }
        if at != end {
            return Ok(false);
        }
    }
    Ok(hasher.finish().hash == content)
}

/// The permissions of the file that is replaced. Those of the version itself are known only where the trash holds it.
fn mode_at(held: &Held, path: &RelPath) -> Option<u32> {
    let found = held.root().stat(path).unwrap_or_default()?;
    let mode = u32::from(found.stx_mode);
    (mode & KIND_BITS == REGULAR_FILE).then_some(mode & PERMISSION_BITS)
}
