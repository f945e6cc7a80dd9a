//! The lists of chunks, and other rows that belong to the engine, in a replica's index.

use replicat_content::{ChunkReference, Content, Manifest};
use replicat_core::id::ContentHash;
use replicat_core::replica::Replica;

use super::local::LocalReplica;
use crate::error::SyncError;

impl LocalReplica {
    /// The chunks of a content, if they are kept and can be read.
    pub(super) fn manifest(&self, content: ContentHash) -> Option<Manifest> {
        let kept = Replica::store(&self.replica).manifest(content).ok()??;
        let chunks = kept.chunks.into_iter();
        let chunks = chunks
            .map(|(length, hash)| ChunkReference { length, hash })
            .collect();
        Some(Manifest { chunks })
    }

    /// Keeps the chunks of a content that has several.
    pub(super) fn keep_manifest(&mut self, content: &Content) -> Result<(), SyncError> {
        match &content.manifest {
            Some(manifest) => self.set_manifest(content.hash, manifest),
            None => Ok(()),
        }
    }

    pub(super) fn set_manifest(
        &mut self,
        content: ContentHash,
        manifest: &Manifest,
    ) -> Result<(), SyncError> {
        let chunks = manifest
            .chunks
            .iter()
            .map(|chunk| (chunk.length, chunk.hash))
            .collect();
        let kept = replicat_index::Manifest { chunks };
        let done = self.replica.store_mut().set_manifest(content, &kept);
        done.map_err(|error| self.index_failed(error))
    }

    pub(super) fn setting(&self, name: &str) -> Result<Option<Vec<u8>>, SyncError> {
        self.replica
            .store()
            .setting(name)
            .map_err(|error| self.index_failed(error))
    }

    pub(super) fn set_setting(
        &mut self,
        name: &str,
        value: Option<&[u8]>,
    ) -> Result<(), SyncError> {
        let done = self.replica.store_mut().set_setting(name, value);
        done.map_err(|error| self.index_failed(error))
    }
}
