//! What can go wrong with an index, and what to do about it.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use redb::{CommitError, CursorError, DatabaseError, StorageError, TableError, TransactionError};
use replicat_core::store::StoreError;
use thiserror::Error;

use crate::format::FORMAT_VERSION;

/// Why an index could not be opened, read or written.
#[derive(Debug, Error)]
pub enum IndexError {
    /// There is no index yet.
    #[error("there is no index at {}", path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// An index was to be created where there is one.
    #[error("there is an index at {} already", path.display())]
    Exists {
        /// Where it is.
        path: PathBuf,
    },
    /// The file does not hold what an index holds.
    #[error(
        "the index {} is damaged ({what}); move the file away and run again: the state is rebuilt \
         as a union of all replicas, and nothing is deleted",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// A newer replicat wrote the file.
    #[error(
        "the index {} has format {found}, and this replicat knows formats up to {}; \
         use the newer replicat that wrote it",
        path.display(),
        FORMAT_VERSION
    )]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// The format it has.
        found: u32,
    },
    /// Another process has the index open.
    #[error(
        "the index {} is in use by another process; stop the replicat that serves this replica",
        path.display()
    )]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("could not {action} the index {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was being done, as a verb.
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A write failed earlier, so that the index no longer knows what the file holds.
    #[error(
        "the index {} was left after a failed write; open it again to read its last commit",
        path.display()
    )]
    Failed {
        /// The file.
        path: PathBuf,
    },
}

impl IndexError {
    /// Whether there is no space left for the index: free some, open the index again, and go on.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::Io { source, .. } if is_full(source.kind()))
    }

    /// The error of the index inside an error of the store, if it came from an index.
    #[must_use]
    pub fn of_store(error: &StoreError) -> Option<&Self> {
        error.source.downcast_ref()
    }
}

fn is_full(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// The same, before the path of the index is known.
#[derive(Debug)]
pub(crate) enum Fault {
    Damaged(String),
    NewerFormat(u32),
    Locked,
    Io(io::Error),
    Failed,
}

impl Fault {
    pub(crate) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged(what.into())
    }

    /// The public error: `action` is what was being done with the index at `path`.
    pub(crate) fn at(self, path: &Path, action: &'static str) -> IndexError {
        let path = path.to_owned();
        match self {
            Self::Damaged(what) => IndexError::Damaged { path, what },
            Self::NewerFormat(found) => IndexError::NewerFormat { path, found },
            Self::Locked => IndexError::Locked { path },
            Self::Io(source) if source.kind() == ErrorKind::NotFound => {
                IndexError::Missing { path }
            }
            Self::Io(source) => IndexError::Io {
                path,
                action,
                source,
            },
            Self::Failed => IndexError::Failed { path },
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // So redb reports a file that is no database, or one that ends too early.
            ErrorKind::InvalidData | ErrorKind::UnexpectedEof => Self::Damaged(error.to_string()),
            _ => Self::Io(error),
        }
    }
}

impl From<StorageError> for Fault {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Corrupted(what) => Self::Damaged(what),
            StorageError::Io(error) => error.into(),
            StorageError::PreviousIo
            | StorageError::DatabaseClosed
            | StorageError::LockPoisoned(_) => Self::Failed,
            other => Self::Io(io::Error::other(other)),
        }
    }
}

impl From<TableError> for Fault {
    fn from(error: TableError) -> Self {
        match error {
            TableError::Storage(error) => error.into(),
            other => Self::Damaged(other.to_string()),
        }
    }
}

impl From<CursorError> for Fault {
    fn from(error: CursorError) -> Self {
        match error {
            CursorError::Storage(error) => error.into(),
            other => Self::Damaged(other.to_string()),
        }
    }
}

impl From<TransactionError> for Fault {
    fn from(error: TransactionError) -> Self {
        match error {
            TransactionError::Storage(error) => error.into(),
            other => Self::Io(io::Error::other(other.to_string())),
        }
    }
}

impl From<CommitError> for Fault {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Storage(error) => error.into(),
            _ => Self::Failed,
        }
    }
}

impl From<DatabaseError> for Fault {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
                Self::Locked
            }
            DatabaseError::Storage(error) => error.into(),
            other => Self::Damaged(other.to_string()),
        }
    }
}
