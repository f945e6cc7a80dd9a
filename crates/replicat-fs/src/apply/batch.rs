//! Making batches durable.

use std::collections::BTreeSet;
use std::os::fd::AsFd;

use replicat_core::path::RelPath;
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::apply::error::ApplyError;
use crate::apply::{Action, Applier, Change};
use crate::stage::Staged;

/// Up to so many files or directories are flushed one by one, more of them with the whole filesystem. On ext4 the
/// flush of each new file is a journal commit, and the whole filesystem costs about as much as three or four.
pub const FSYNC_FILES_MAX: usize = 4;

/// When changes are made durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// A batch at a time.
    #[default]
    Group,
    /// When the system gets to it. A power failure may lose what was announced.
    None,
}

/// The directories that a batch touches, or so many of them that the whole filesystem is flushed.
#[derive(Clone, Debug, Default)]
pub struct Touched {
    directories: BTreeSet<RelPath>,
}

impl Touched {
    /// The directories that these changes touch.
    #[must_use]
    pub fn by(changes: &[Change]) -> Self {
        let mut touched = Self::default();
        for change in changes {
            touched.add_parent(&change.path);
            match &change.action {
                Action::Rename { from, .. } => touched.add_parent(from),
                Action::MakeDirectory(_) | Action::SetMetadata(_) => {
                    touched.add(|| Some(change.path.clone()));
                }
                _ => {}
            }
        }
        touched
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.directories.is_empty()
    }

    /// Takes in the directories that other changes touch.
    pub fn merge(&mut self, other: Self) {
        for directory in other.directories {
            self.add(|| Some(directory));
        }
    }

    fn add_parent(&mut self, path: &RelPath) {
        self.add(|| path.parent());
    }

    /// More directories than are flushed one by one need not be known.
    fn add(&mut self, directory: impl FnOnce() -> Option<RelPath>) {
        if self.directories.len() <= FSYNC_FILES_MAX {
            self.directories.extend(directory());
        }
    }
}

impl Applier {
    /// Makes durable what the changes are about to place. Call it before [`Self::commit`]: a name must not become
    /// durable before its content.
    ///
    /// # Errors
    /// If the device fails or is full. Then nothing may be committed.
    pub fn flush(&self, changes: &[Change]) -> Result<(), ApplyError> {
        if self.durability == Durability::None {
            return Ok(());
        }
        let files: Vec<&Staged> = changes.iter().filter_map(staged_file).collect();
        if files.is_empty() {
            return Ok(());
        }
        let is_few = files.len() <= FSYNC_FILES_MAX;
        if is_few && files.iter().all(|staged| self.flush_file(staged).is_ok()) {
            return Ok(());
        }
        self.flush_filesystem()
    }

    fn flush_file(&self, staged: &Staged) -> Result<(), Errno> {
        if let Some(file) = &staged.file {
            return self.calls().sync(file.as_fd());
        }
        let at = staged.at();
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(at.directory, at.name, flags, Mode::empty())?;
        self.calls().sync(file.as_fd())
    }

    fn flush_filesystem(&self) -> Result<(), ApplyError> {
        let area = &self.staging.area;
        self.calls()
            .sync_filesystem(area.staging.as_fd())
            .map_err(|source| self.root.error("flush", &RelPath::root(), source).into())
    }

    /// Makes durable what a commit placed, removed and displaced. Only then may it be recorded and announced.
    ///
    /// # Errors
    /// If the device fails.
    pub fn flush_directories(&self, touched: &Touched) -> Result<(), ApplyError> {
        if self.durability == Durability::None || touched.directories.is_empty() {
            return Ok(());
        }
        let is_few = touched.directories.len() <= FSYNC_FILES_MAX;
        if is_few && self.flush_each(touched).is_ok() {
            return Ok(());
        }
        self.flush_filesystem()
    }

    fn flush_each(&self, touched: &Touched) -> Result<(), Errno> {
        for path in &touched.directories {
            let opened = match path.is_root() {
                true => self.root.directory(path),
                false => self.root.open_file(path),
            };
            match opened {
                Ok(directory) => self.calls().sync(directory.as_fd())?,
                // It was removed or renamed in the same batch; the directory above it is flushed as well.
                Err(error) if error.is_missing() => {}
                Err(error) => return Err(error.errno().unwrap_or(Errno::IO)),
            }
        }
        match &self.trash {
            Some(trash) => trash.sync(),
            None => Ok(()),
        }
    }
}

/// The file whose content a change brings. A user's own file is where it was before.
fn staged_file(change: &Change) -> Option<&Staged> {
    match &change.action {
        Action::Put(staged) if staged.kind == FileType::RegularFile && !staged.is_adopted() => {
            Some(staged)
        }
        _ => None,
    }
}
