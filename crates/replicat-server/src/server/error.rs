//! Why a server does not start or do as it is told.

use std::io;
use std::path::PathBuf;

use replicat_engine::{ExitCode, SyncError};
use replicat_net::{AuthorityError, EndpointError, IdentityError};

use super::managed::ManagedError;
use crate::settings::{FolderName, SettingsError};

/// Why a server did not start, or did not do as it was told.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The settings cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A folder cannot be opened.
    #[error("folder {folder} cannot be opened: {source}")]
    Folder {
        /// Its name.
        folder: FolderName,
        /// Why not.
        source: SyncError,
    },
    /// The node has no usable identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The authority of the cluster cannot be derived.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// The node does not become one of its manager's.
    #[error(transparent)]
    Managed(#[from] ManagedError),
    /// The node cannot listen or dial.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The local socket cannot be used.
    #[error("cannot use the local socket {path}: {source}", path = path.display())]
    Socket {
        /// Where it is.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another node answers at the local socket.
    #[error(
        "another node answers at {}: stop it, or name another socket with --node-socket",
        path.display()
    )]
    SocketInUse {
        /// Where it is.
        path: PathBuf,
    },
    /// The system refused something else.
    #[error("could not {action}: {source}")]
    System {
        /// What was being done, as a verb phrase.
        action: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// There is no such folder.
    #[error("there is no folder {folder}{}", listed(.known))]
    UnknownFolder {
        /// The name that was given.
        folder: String,
        /// The folders that there are.
        known: Vec<FolderName>,
    },
    /// A folder could not be opened, and cannot be worked on.
    #[error("folder {folder} is halted: it could not be opened")]
    Closed {
        /// Its name.
        folder: FolderName,
    },
    /// A folder is halted, so that nothing was done.
    #[error("{refused}: folder {folder} is halted: {reason}")]
    Halted {
        /// What was not done.
        refused: &'static str,
        /// Its name.
        folder: FolderName,
        /// Why it is halted, and what to do.
        reason: String,
    },
    /// A folder is paused, so that nothing was done.
    #[error("{refused}: folder {folder} is paused")]
    Paused {
        /// What was not done.
        refused: &'static str,
        /// Its name.
        folder: FolderName,
    },
    /// A path is in no folder of a server of this process.
    #[error("{} is in no folder of a server of this process", path.display())]
    NotTracked {
        /// The path.
        path: PathBuf,
    },
}

impl ServerError {
    /// Whether a folder could not be opened because another directory may be in the place of its root.
    pub(crate) fn is_root_replaced(&self) -> bool {
        matches!(
            self,
            Self::Folder {
                source: SyncError::RootReplaced { .. },
                ..
            }
        )
    }

    /// What to do, if there is something to say.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Folder { source, .. } => source.hint(),
            Self::Closed { .. } => {
                Some("see why with `replicat folders`, then `replicat resume` it".to_owned())
            }
            Self::Halted { folder, .. } => Some(format!(
                "when that is mended, run `replicat resume {folder}` if it does not go on by itself: all is compared then"
            )),
            Self::Paused { folder, .. } => Some(format!(
                "run `replicat resume {folder}`: all is compared then"
            )),
            Self::Socket { .. } => Some("name another one with --node-socket".to_owned()),
            _ => None,
        }
    }

    /// A stable word for programs.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Settings(_) => "settings",
            Self::Folder { source, .. } => source.kind(),
            Self::Identity(_) | Self::Authority(_) => "identity",
            Self::Managed(_) => "manager",
            Self::Endpoint(EndpointError::AddressInUse { .. }) => "address-in-use",
            Self::Endpoint(_) => "endpoint",
            Self::Socket { .. } => "socket",
            Self::SocketInUse { .. } => "socket-in-use",
            Self::System { .. } => "system",
            Self::UnknownFolder { .. } => "unknown-folder",
            Self::Closed { .. } => "closed",
            Self::Halted { .. } => "halted",
            Self::Paused { .. } => "paused",
            Self::NotTracked { .. } => "not-tracked",
        }
    }

    /// What the process is to tell its caller.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Settings(_) | Self::UnknownFolder { .. } | Self::NotTracked { .. } => {
                ExitCode::Usage
            }
            Self::Managed(error) if error.is_of_settings() => ExitCode::Usage,
            Self::Folder { source, .. } => source.exit_code(),
            _ => ExitCode::Fatal,
        }
    }
}

fn listed(folders: &[FolderName]) -> String {
    let names: Vec<_> = folders.iter().map(FolderName::as_str).collect();
    match names.is_empty() {
        true => String::new(),
        false => format!("; there are: {}", names.join(", ")),
    }
}
