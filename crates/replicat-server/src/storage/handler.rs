//! Being told what happened in a storage.

use replicat_core::path::RelPath;
use replicat_engine::event::ItemKind;

/// Is told what happened in a storage, in order, after the storage holds it. Must not wait for long, and not for the
/// storage that tells it.
///
/// Symbolic links count as files. A rename is told as a deletion and a creation by those who do not ask for more.
///
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// use replicat_server::{ChangeHandler, RelPath};
///
/// #[derive(Default)]
/// struct Counter(AtomicUsize);
///
/// impl ChangeHandler for Counter {
///     fn folder_created(&self, _path: &RelPath) {}
///     fn folder_updated(&self, _path: &RelPath) {}
///     fn folder_deleted(&self, _path: &RelPath) {}
///     fn file_created(&self, _path: &RelPath) {
///         self.0.fetch_add(1, Ordering::Relaxed);
///     }
///     fn file_updated(&self, _path: &RelPath) {}
///     fn file_deleted(&self, _path: &RelPath) {}
/// }
///
/// let counter = Counter::default();
/// counter.file_created(&RelPath::new(b"letters/one")?);
/// assert_eq!(counter.0.load(Ordering::Relaxed), 1);
/// # Ok::<(), replicat_core::path::PathError>(())
/// ```
pub trait ChangeHandler: Send + Sync {
    /// A folder came into being.
    fn folder_created(&self, path: &RelPath);
    /// The description of a folder changed.
    fn folder_updated(&self, path: &RelPath);
    /// A folder went.
    fn folder_deleted(&self, path: &RelPath);
    /// A file came into being.
    fn file_created(&self, path: &RelPath);
    /// The content or the description of a file changed.
    fn file_updated(&self, path: &RelPath);
    /// A file went.
    fn file_deleted(&self, path: &RelPath);

    /// A file, or a folder with all that it holds, was renamed.
    fn renamed(&self, from: &RelPath, to: &RelPath, kind: ItemKind) {
        if kind == ItemKind::Directory {
            self.folder_deleted(from);
            self.folder_created(to);
        } else {
            self.file_deleted(from);
            self.file_created(to);
        }
    }
}

/// A handler that notes what it is told, and nothing else: a sample.
///
/// ```
/// use replicat_server::{ChangeHandler, LogOnlyChangeHandler, RelPath};
///
/// LogOnlyChangeHandler.folder_created(&RelPath::new(b"letters")?);
/// # Ok::<(), replicat_core::path::PathError>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct LogOnlyChangeHandler;

impl ChangeHandler for LogOnlyChangeHandler {
    fn folder_created(&self, path: &RelPath) {
        tracing::info!(?path, "folder created");
    }

    fn folder_updated(&self, path: &RelPath) {
        tracing::info!(?path, "folder updated");
    }

    fn folder_deleted(&self, path: &RelPath) {
        tracing::info!(?path, "folder deleted");
    }

    fn file_created(&self, path: &RelPath) {
        tracing::info!(?path, "file created");
    }

    fn file_updated(&self, path: &RelPath) {
        tracing::info!(?path, "file updated");
    }

    fn file_deleted(&self, path: &RelPath) {
        tracing::info!(?path, "file deleted");
    }

    fn renamed(&self, from: &RelPath, to: &RelPath, kind: ItemKind) {
        tracing::info!(?from, ?to, ?kind, "renamed");
    }
}
