//! Which directories were roots before, remembered outside of them.
//!
//! Goals: a directory in which a disk is mounted later is not taken for an empty root when the disk is missing.
//! Non-goals: what the roots hold; their own state knows that.

use std::io;
use std::path::{Path, PathBuf};

use crate::engine::{inspect, state_directory};
use crate::error::SyncError;
use crate::options::RootLocation;

/// The roots that were opened on this host, a file each in one directory.
#[derive(Clone, Debug)]
pub struct KnownRoots {
    directory: PathBuf,
}

impl KnownRoots {
    /// Remembers roots in `directory`, which is made when it is needed.
    #[must_use]
    pub fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Remembers a root. One that cannot be remembered is not protected, which is logged.
    pub fn note(&self, root: &Path) {
        if let Err(error) = self.write(root) {
            let directory = self.directory.display();
            tracing::warn!(%error, %directory, root = %root.display(), "a root could not be remembered");
        }
    }

    fn write(&self, root: &Path) -> io::Result<()> {
        let file = self.file(root)?;
        if file.is_file() {
            return Ok(());
        }
        std::fs::create_dir_all(&self.directory)?;
        std::fs::File::create(file)?.sync_all()
    }

    /// Fails if a root was opened before, and is empty and without any state now: its disk may be missing.
    ///
    /// # Errors
    /// [`SyncError::RootReplaced`].
    pub fn check(&self, location: &RootLocation) -> Result<(), SyncError> {
        let is_known = self.file(&location.root).is_ok_and(|file| file.is_file());
        if !is_known || inspect::has_state(location) || !inspect::is_vacant(location)? {
            return Ok(());
        }
        Err(SyncError::RootReplaced {
            root: location.root.clone(),
            evidence: "it held a folder before, and is empty without any state now".to_owned(),
        })
    }

    fn file(&self, root: &Path) -> io::Result<PathBuf> {
        Ok(state_directory(&self.directory, &root.canonicalize()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_known_root_that_is_empty_is_refused() {
        let world = tempfile::tempdir().unwrap();
        let known = KnownRoots::new(world.path().join("state/roots"));
        let root = world.path().join("root");
        std::fs::create_dir(&root).unwrap();
        let location = RootLocation {
            root: root.clone(),
            state_dir: None,
        };
        known.check(&location).unwrap();
        known.note(&root);
        let error = known.check(&location).unwrap_err();
        assert!(matches!(error, SyncError::RootReplaced { .. }), "{error}");
        std::fs::write(root.join("file"), "").unwrap();
        known.check(&location).unwrap();
        std::fs::remove_file(root.join("file")).unwrap();
        inspect::approve(&location).unwrap();
        known.check(&location).unwrap();
    }
}
