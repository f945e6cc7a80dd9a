//! Reading the last commit from other threads, while the owner of the index writes on.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use replicat_core::path::RelPath;
use replicat_core::record::Record;
use replicat_core::store::Children;

use crate::directories::Directories;
use crate::error::IndexError;
use crate::query::View;
use crate::replicas::Replicas;
use crate::tables::Committed;

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
