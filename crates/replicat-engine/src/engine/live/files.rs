//! The files of a live folder, for programs: read as the index knows them, and put in place whole.

use std::sync::Arc;

use replicat_content::ContentHasher;
use replicat_core::entry::Metadata;
use replicat_core::id::ContentHash;
use replicat_core::path::RelPath;
use replicat_core::resolve::Shown;
use replicat_fs::read::{ReadError, StableFile};
use replicat_fs::stage::StagedFile;

use super::handle::LiveFolder;
use super::steering::Order;
use crate::engine::failure::Failure;
use crate::engine::held::Held;
use crate::engine::inspect::{Precondition, is_reserved};
use crate::engine::random_u128;
use crate::error::SyncError;

/// How often a file that does not fit what is known is looked at anew before it is said to be changing.
const READ_ATTEMPTS: usize = 3;
/// The permission bits that a replaced file hands on.
const PERMISSION_BITS: u32 = 0o777;

/// A file of a folder, open for reading: one state of it, or an error.
pub struct FileReader {
    held: Arc<Held>,
    path: RelPath,
    file: StableFile,
    content: ContentHash,
}

/// A file that is put together, to be brought to a path of a folder.
pub struct Upload {
    folder: LiveFolder,
    held: Arc<Held>,
    path: RelPath,
    staged: StagedFile,
    hasher: ContentHasher,
    written: u64,
}

/// What was brought to a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uploaded {
    /// The path.
    pub path: RelPath,
    /// Its length in bytes.
    pub size: u64,
    /// What it holds.
    pub content: ContentHash,
    /// Whether there was nothing before.
    pub created: bool,
}

impl LiveFolder {
    /// Opens a file for reading, as the index knows it. No symbolic link is followed.
    ///
    /// # Errors
    /// [`SyncError::UnknownPath`], [`SyncError::NotFile`], [`SyncError::Pending`] if its content is not here yet,
    /// [`SyncError::Changing`] if the directory holds something else by now.
    pub fn read(&self, path: &RelPath) -> Result<FileReader, SyncError> {
        // What others may read is made known when peers need it: a file that does not fit it may have come or changed since.
        let mut read = self.read_published(path);
        for attempt in 0..READ_ATTEMPTS {
            if !matches!(&read, Err(error) if may_be_old(error)) {
                break;
            }
            if attempt > 0 {
                // What the directory holds is not known yet: it is looked at now.
                self.rescan(vec![path.clone()]);
                let _ = self.standing();
            }
            let published = self.ask(Order::Publish);
            published.unwrap_or_else(|| Err(self.stopped()))?;
            read = self.read_published(path);
        }
        read
    }

    fn read_published(&self, path: &RelPath) -> Result<FileReader, SyncError> {
        let held = self.opened()?;
        let root = self.status().root;
        if path.is_root() {
            let path = path.clone();
            return Err(SyncError::NotFile { root, path });
        }
        let record = held.record(path);
        let record = record.map_err(|error| Failure::from(error).at(&root))?;
        let shown = record.as_ref().and_then(|record| record.entry.shown());
        let (Some(record), Some(shown)) = (&record, shown.filter(Shown::is_live)) else {
            let path = path.clone();
            return Err(SyncError::UnknownPath { root, path });
        };
        let Some(content) = shown.payload().content() else {
            let path = path.clone();
            return Err(SyncError::NotFile { root, path });
        };
        let own = record.local.as_ref();
        let Some(local) = own.filter(|local| local.base.is_none()) else {
            let path = path.clone();
            return Err(SyncError::Pending { root, path });
        };
        let opened = StableFile::open_expected(held.root(), path, &local.fingerprint);
        let file = opened.map_err(|error| read_failed(error, &held, path))?;
        Ok(FileReader {
            path: path.clone(),
            file,
            content,
            held,
        })
    }

    /// Begins a file of exactly `size` bytes, which [`Upload::finish`] brings to `path`.
    ///
    /// # Errors
    /// If nothing can be brought there, or there is no room.
    pub fn upload(&self, path: &RelPath, size: u64) -> Result<Upload, SyncError> {
        let held = self.opened()?;
        let root = self.status().root;
        if is_reserved(path) {
            let path = path.clone();
            return Err(SyncError::Reserved { root, path });
        }
        let Some(staging) = held.staging() else {
            return Err(SyncError::NotReplica { root });
        };
        // What it will hold is not known yet: it is staged under a name that no content has.
        let mut name = [0; 32];
        name[..16].copy_from_slice(&random_u128()?.to_le_bytes());
        name[16..].copy_from_slice(&random_u128()?.to_le_bytes());
        let staged = staging.begin(ContentHash(name), size);
        let staged = staged.map_err(|error| Failure::from(error).at(&root))?;
        Ok(Upload {
            folder: self.clone(),
            path: path.clone(),
            staged,
            hasher: ContentHasher::new(size),
            written: 0,
            held,
        })
    }

    /// Moves a file or a symbolic link to the trash, and waits until that is taken in.
    ///
    /// # Errors
    /// [`SyncError::Unexpected`] if the precondition is not met; what else keeps it from being changed.
    pub fn remove(&self, path: &RelPath, precondition: Precondition) -> Result<(), SyncError> {
        let removed = self.ask(|reply| Order::Remove(path.clone(), precondition, reply));
        removed.unwrap_or_else(|| Err(self.stopped()))?;
        let _ = self.standing();
        Ok(())
    }

    fn opened(&self) -> Result<Arc<Held>, SyncError> {
        self.held().ok_or_else(|| self.stopped())
    }
}

impl FileReader {
    /// What it holds.
    #[must_use]
    pub fn content(&self) -> ContentHash {
        self.content
    }

    /// Its length in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.file.size()
    }

    /// Reads bytes at `offset`; fewer only at the end. They are of the state that was opened.
    ///
    /// # Errors
    /// [`SyncError::Changing`] if it changed meanwhile.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, SyncError> {
        let read = self.file.read_at(offset, buffer);
        let read = read.and_then(|read| self.file.verify().map(|_| read));
        read.map_err(|error| read_failed(error, &self.held, &self.path))
    }
}

impl Upload {
    /// Adds bytes at its end.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), SyncError> {
        self.hasher.update(bytes);
        let written = self.staged.write_at(self.written, bytes);
        self.written += bytes.len() as u64;
        written.map_err(|error| Failure::from(error).at(self.held.root().path()))
    }

    /// Brings it to its path, and waits until that is taken in. What the path held goes to the trash, and its permissions
    /// stay.
    ///
    /// # Errors
    /// [`SyncError::Unexpected`] if the precondition is not met; what else keeps the path from being changed. Then nothing is.
    pub fn finish(self, precondition: Precondition) -> Result<Uploaded, SyncError> {
        let root = self.held.root();
        let failed = |error: replicat_fs::error::FsError| Failure::from(error).at(root.path());
        // If it cannot be looked at, it cannot be replaced either, and then it is said why.
        let before = root.stat(&self.path).unwrap_or_default();
        let mode = before.map(|stat| u32::from(stat.stx_mode));
        let is_file = |mode: &u32| mode & 0o170_000 == 0o100_000;
        let metadata = Metadata {
            mode: mode.filter(is_file).map(|mode| mode & PERMISSION_BITS),
            ..Metadata::default()
        };
        let staged = self.staged.finish(&metadata).map_err(failed)?;
        let (folder, path) = (self.folder, self.path);
        let put = |reply| Order::Put(path.clone(), Box::new(staged), precondition, reply);
        let created = folder.ask(put).unwrap_or_else(|| Err(folder.stopped()))?;
        // So that whoever reads it next sees it.
        let _ = folder.standing();
        Ok(Uploaded {
            path,
            size: self.written,
            content: self.hasher.finish().hash,
            created,
        })
    }

    /// Removes what was staged.
    pub fn abandon(self) {
        if let Err(error) = self.staged.abandon() {
            tracing::warn!(%error, "an upload that was broken off is left until it is swept");
        }
    }
}

/// Whether an error may come of knowing an older state.
fn may_be_old(error: &SyncError) -> bool {
    matches!(
        error,
        SyncError::UnknownPath { .. }
            | SyncError::NotFile { .. }
            | SyncError::Pending { .. }
            | SyncError::Changing { .. }
    )
}

fn read_failed(error: ReadError, held: &Held, path: &RelPath) -> SyncError {
    let (root, path) = (held.root().path().to_owned(), path.clone());
    match error {
        ReadError::Changed(_) => SyncError::Changing { root, path },
        ReadError::NotAFile(_) => SyncError::NotFile { root, path },
        ReadError::Filesystem(error) if error.is_missing() => SyncError::Changing { root, path },
        ReadError::Filesystem(error) => Failure::from(error).at(&root),
    }
}
