//! Reading the last commit from other threads, while the owner of the index writes on.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use replicat_core::id::ContentHash;
use replicat_core::path::RelPath;
use replicat_core::record::Record;
use replicat_core::store::Children;

use crate::directories::Directories;
use crate::error::IndexError;
use crate::format::keys;
use crate::format::rows::decode_manifest;
use crate::manifest::Manifest;
use crate::query::View;
use crate::replicas::Replicas;
use crate::tables::{Committed, Name, Rows};

/// What the index held at the commit before [`crate::Index::reader`]. While it is kept, the space of what
/// changed since is not used again: drop it when the scan is done.
///
/// It can be shared; a clone has a memory of directories of its own, which spares threads a lock.
pub struct Reader {
    committed: Arc<Committed>,
    replicas: Arc<Replicas>,
    directories: Directories,
    path: PathBuf,
}

impl Reader {
    pub(crate) fn new(committed: Arc<Committed>, replicas: Arc<Replicas>, path: &Path) -> Self {
        Self {
            committed,
            replicas,
            directories: Directories::default(),
            path: path.to_owned(),
        }
    }

    fn view(&self) -> View<'_, &Committed> {
        View {
            rows: &*self.committed,
            replicas: &self.replicas,
            directories: &self.directories,
        }
    }

    /// What is kept of `path`.
    ///
    /// # Errors
    /// [`IndexError::Damaged`], [`IndexError::Io`].
    pub fn record(&self, path: &RelPath) -> Result<Option<Record>, IndexError> {
        let found = self.view().record(path);
        found.map_err(|fault| fault.at(&self.path, "read a record from"))
    }

    /// Some paths that hold or held `content`, see [`Record::contents`].
    ///
    /// # Errors
    /// [`IndexError::Damaged`], [`IndexError::Io`].
    pub fn by_content(
        &self,
        content: ContentHash,
        limit: usize,
    ) -> Result<Vec<RelPath>, IndexError> {
        let view = self.view();
        // The key has but a prefix of the hash; the record has it all.
        let wanted = |path: &RelPath| {
            let record = view.record(path)?;
            Ok(record.is_some_and(|record| record.contents().any(|found| found == content)))
        };
        let found = view.places(Name::ByContent, &keys::content(content), limit, wanted);
        found.map_err(|fault| fault.at(&self.path, "find a content in"))
    }

    /// The chunks of a content; `None` if they are not kept.
    ///
    /// # Errors
    /// [`IndexError::Damaged`], [`IndexError::Io`].
    pub fn manifest(&self, content: ContentHash) -> Result<Option<Manifest>, IndexError> {
        let page = |number| {
            let key = keys::manifest_page(content, number);
            let page = self.committed.get(Name::Manifests, &key, decode_manifest);
            page.map_err(|fault| fault.at(&self.path, "read a manifest from"))
        };
        let Some(mut manifest) = page(0)? else {
            return Ok(None);
        };
        let mut number = 1;
        while let Some(more) = page(number)? {
            manifest.chunks.extend(more.chunks);
            number += 1;
        }
        Ok(Some(manifest))
    }

    /// At most `limit` children of `directory`, ordered by name bytes, strictly after the name `after`.
    ///
    /// # Errors
    /// [`IndexError::Damaged`], [`IndexError::Io`].
    pub fn children(
        &self,
        directory: &RelPath,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Children, IndexError> {
        let found = self.view().children(directory, after, limit, |_| false);
        found.map_err(|fault| fault.at(&self.path, "read a directory from"))
    }
}

impl Clone for Reader {
    fn clone(&self) -> Self {
        let replicas = Arc::clone(&self.replicas);
        Self::new(Arc::clone(&self.committed), replicas, &self.path)
    }
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
