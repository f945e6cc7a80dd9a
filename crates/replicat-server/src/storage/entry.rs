//! What is known of a path at first sight.

use std::fs::Metadata;
use std::os::unix::fs::PermissionsExt;
use std::time::SystemTime;

use replicat_engine::event::ItemKind;

/// What is known of a path: what it is, how long, and how it is described.
///
/// ```
/// use replicat_server::Entry;
///
/// let directory = Entry::directory();
/// assert!(directory.is_directory());
///
/// let metadata = std::fs::symlink_metadata(env!("CARGO_MANIFEST_DIR"))?;
/// let entry = Entry::from_metadata(&metadata);
/// assert!(entry.is_directory() && entry.modified.is_some());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: ItemKind,
    /// Length of a regular file in bytes, else 0.
    pub size: u64,
    /// Permission bits, if known.
    pub mode: Option<u32>,
    /// When it was last modified, if known.
    pub modified: Option<SystemTime>,
}

impl Entry {
    /// A directory of which nothing else is known.
    #[must_use]
    pub fn directory() -> Self {
        Self {
            kind: ItemKind::Directory,
            size: 0,
            mode: None,
            modified: None,
        }
    }

    /// What the system says of a path. What is neither a directory nor a symbolic link counts as a file.
    #[must_use]
    pub fn from_metadata(metadata: &Metadata) -> Self {
        let kind = if metadata.is_dir() {
            ItemKind::Directory
        } else if metadata.is_symlink() {
            ItemKind::Symlink
        } else {
            ItemKind::File
        };
        Self {
            kind,
            size: if kind == ItemKind::File {
                metadata.len()
            } else {
                0
            },
            mode: Some(metadata.permissions().mode() & 0o7777),
            modified: metadata.modified().ok(),
        }
    }

    /// Whether it is a directory.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        self.kind == ItemKind::Directory
    }
}
