//! From the errors of the parts to what a user is told.

use std::io;
use std::path::Path;

use replicat_core::store::StoreError;
use replicat_fs::apply::error::ApplyError;
use replicat_fs::error::FsError;
use replicat_fs::scan::ScanError;
use replicat_fs::state_owner::foreign_state;
use replicat_index::IndexError;

use super::roots::GivenRoot;
use crate::error::SyncError;

/// What went wrong, before it is known in which root.
#[derive(Debug)]
pub(super) enum Failure {
    Index(IndexError),
    Store(StoreError),
    Filesystem(FsError),
}

impl From<IndexError> for Failure {
    fn from(error: IndexError) -> Self {
        Self::Index(error)
    }
}

impl From<FsError> for Failure {
    fn from(error: FsError) -> Self {
        Self::Filesystem(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let StoreError { action, source } = error;
        match source.downcast::<IndexError>() {
            Ok(error) => Self::Index(*error),
            Err(source) => Self::Store(StoreError { action, source }),
        }
    }
}

impl Failure {
    /// The error that a user is told.
    pub(super) fn at(self, root: &Path) -> SyncError {
        let owned = || root.to_owned();
        match self {
            Self::Index(error) => index_failed(error, root),
            Self::Store(source) => SyncError::Index {
                root: owned(),
                source,
            },
            Self::Filesystem(error) if error.is_disk_full() => {
                SyncError::DiskFull { root: owned() }
            }
            Self::Filesystem(error) if error.is_denied() || error.is_read_only() => {
                SyncError::RootNotWritable {
                    root: owned(),
                    source: error.source,
                }
            }
            Self::Filesystem(FsError {
                action,
                path,
                source,
            }) => SyncError::Io {
                action,
                path,
                source,
            },
        }
    }
}

fn index_failed(error: IndexError, root: &Path) -> SyncError {
    let root = root.to_owned();
    if error.is_disk_full() {
        return SyncError::DiskFull { root };
    }
    match error {
        IndexError::Damaged { path, what } => SyncError::IndexDamaged {
            root,
            index: path,
            detail: what,
        },
        IndexError::NewerFormat { found, .. } => SyncError::IndexNewer {
            root,
            found,
            supported: replicat_index::FORMAT_VERSION,
        },
        IndexError::Locked { .. } => SyncError::Locked {
            root,
            holder: Box::default(),
        },
        error => SyncError::Index {
            root,
            source: StoreError {
                action: "be used",
                source: Box::new(error),
            },
        },
    }
}

/// An error of the state in `state`. If it belongs to another user, that is why, and is said.
pub(super) fn of_foreign_state(error: SyncError, given: &GivenRoot, state: &Path) -> SyncError {
    let is_denied = |source: &io::Error| source.kind() == io::ErrorKind::PermissionDenied;
    let denied = match &error {
        SyncError::RootNotWritable { source, .. } | SyncError::Io { source, .. } => {
            is_denied(source)
        }
        SyncError::Index { source, .. } => match IndexError::of_store(source) {
            Some(IndexError::Io { source, .. }) => is_denied(source),
            _ => false,
        },
        _ => false,
    };
    let found = denied.then(|| foreign_state(&given.canonical, state));
    match found.flatten() {
        Some(foreign) => SyncError::StateNotOwned {
            root: given.given.clone(),
            state: state.to_owned(),
            foreign: Box::new(foreign),
        },
        None => error,
    }
}

/// A scan that ended early.
pub(super) fn scan_failed(error: ScanError, root: &Path) -> Option<SyncError> {
    match error {
        ScanError::Root(error) => Some(Failure::from(error).at(root)),
        ScanError::Baseline(error) => Some(Failure::from(error).at(root)),
        ScanError::Stopped => None,
    }
}

/// Whether a refused change means that the disk is full, so that going on makes no sense.
pub(super) fn is_disk_full(error: &ApplyError) -> bool {
    matches!(error, ApplyError::Refused { error, .. } if error.is_disk_full())
}
