//! Edits of a user's tree on behalf of a program, beneath the held root.
//!
//! Goals: a program that keeps a directory as another storage is changes it as a user would, without a path that leads
//! out of the root; a reader of a file sees its old content or its new one.
//! Non-goals: what peers sent: that is `apply`, which checks what it replaces and keeps it in the trash.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use replicat_core::path::RelPath;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::error::FsError;
use crate::filter::STATE_DIRECTORY_NAME;
use crate::listing::Listing;
use crate::root::{Root, stat_descriptor};

/// Tells the files that are being written apart, in one process.
static NEXT_WRITE: AtomicU64 = AtomicU64::new(0);

/// A name in a directory, and whether it is a directory itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The path.
    pub path: RelPath,
    /// Whether it is a directory; a symbolic link never is.
    pub is_directory: bool,
}

impl Root {
    /// What a directory holds, sorted; the state of a replica is left out.
    ///
    /// # Errors
    /// If it is no directory, or cannot be read.
    pub fn list(&self, directory: &RelPath) -> Result<Vec<Named>, FsError> {
        let held = self.directory(directory)?;
        let mut listing = Listing::default();
        listing
            .read(held.as_fd())
            .map_err(|source| self.error("list", directory, source))?;
        let mut found = Vec::new();
        for (name, file_type) in (0..listing.len()).map(|at| listing.get(at)) {
            let name = name.to_bytes();
            if name == STATE_DIRECTORY_NAME {
                continue;
            }
            // A name that is no component of a path cannot be synced, and is told of by the scan.
            let Ok(path) = directory.join(name) else {
                continue;
            };
            let is_directory = self.is_directory(held.as_fd(), name, file_type);
            found.push(Named { path, is_directory });
        }
        Ok(found)
    }

    fn is_directory(&self, held: BorrowedFd<'_>, name: &[u8], file_type: FileType) -> bool {
        match file_type {
            FileType::Unknown => crate::root::stat_at(held, name)
                .is_ok_and(|found| FileType::from_raw_mode(found.stx_mode.into()).is_dir()),
            known => known.is_dir(),
        }
    }

    /// Creates a directory and those above it, where they are missing.
    ///
    /// # Errors
    /// If something else is in the way, or it may not be created.
    pub fn create_directories(&self, path: &RelPath) -> Result<(), FsError> {
        let mut missing: Vec<_> = path.ancestors().collect();
        missing.insert(0, path.clone());
        for directory in missing
            .iter()
            .rev()
            .filter(|directory| !directory.is_root())
        {
            let parent = self.parent_of(directory)?;
            let made = rustix::fs::mkdirat(&parent.directory, parent.name(), Mode::from(0o777));
            match made {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(source) => return Err(self.error("create", directory, source)),
            }
        }
        self.directory(path).map(drop)
    }

    /// Makes a file hold `content`, with the directories above it. Another kind of thing is not replaced.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_file(&self, path: &RelPath, content: &[u8]) -> Result<(), FsError> {
        let failed = |source: io::Error| self.error("write", path, source);
        if let Some(directory) = path.parent() {
            self.create_directories(&directory)?;
        }
        let parent = self.parent_of(path)?;
        let mode = self.mode_of(path)?;
        let inside = RelPath::new(STATE_DIRECTORY_NAME).ok();
        let state = inside.and_then(|state| self.directory(&state).ok());
        let place = state.as_ref().unwrap_or(&parent.directory);
        let number = NEXT_WRITE.fetch_add(1, Ordering::Relaxed);
        let temporary = format!(".write-{}-{number}", std::process::id());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = rustix::fs::openat(place, &temporary, flags, mode)
            .map_err(|source| failed(source.into()))?;
        let written = fill(file, content).and_then(|()| {
            let to = &parent.directory;
            Ok(rustix::fs::renameat(place, &temporary, to, parent.name())?)
        });
        written.map_err(|source| {
            // What cannot be removed either is swept with the rest of the state.
            let _ = rustix::fs::unlinkat(place, &temporary, AtFlags::empty());
            failed(source)
        })
    }

    /// The permissions of the file that is there, or those of a new one.
    fn mode_of(&self, path: &RelPath) -> Result<Mode, FsError> {
        match self.stat(path)? {
            None => Ok(Mode::from(0o666)),
            Some(found) if FileType::from_raw_mode(found.stx_mode.into()).is_file() => {
                Ok(Mode::from_raw_mode(found.stx_mode.into()))
            }
            Some(_) => Err(self.error("write", path, Errno::EXIST)),
        }
    }

    /// What a file holds; `None` if nothing is there, or something else than a file.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read_file(&self, path: &RelPath) -> Result<Option<Vec<u8>>, FsError> {
        let opened = match self.open_file(path) {
            Err(error) if error.is_missing() || error.is_symlink() => return Ok(None),
            other => other?,
        };
        let failed = |source| self.error("read", path, source);
        let found = stat_descriptor(opened.as_fd()).map_err(|source| failed(source.into()))?;
        if !FileType::from_raw_mode(found.stx_mode.into()).is_file() {
            return Ok(None);
        }
        let mut content = Vec::new();
        let mut file = std::fs::File::from(opened);
        io::Read::read_to_end(&mut file, &mut content).map_err(failed)?;
        Ok(Some(content))
    }

    /// Renames a path to one where nothing is, with the directories above it.
    ///
    /// # Errors
    /// If nothing is there, or something is at the new path.
    pub fn rename(&self, from: &RelPath, to: &RelPath) -> Result<(), FsError> {
        if let Some(directory) = to.parent() {
            self.create_directories(&directory)?;
        }
        let (old, new) = (self.parent_of(from)?, self.parent_of(to)?);
        let renamed = rustix::fs::renameat_with(
            &old.directory,
            old.name(),
            &new.directory,
            new.name(),
            RenameFlags::NOREPLACE,
        );
        renamed.map_err(|source| self.error("rename", from, source))
    }

    /// Removes a file or a symbolic link; nothing happens if there is none.
    ///
    /// # Errors
    /// If it is a directory, or may not be removed.
    pub fn remove_file(&self, path: &RelPath) -> Result<(), FsError> {
        self.remove(path, AtFlags::empty())
    }

    /// Removes a directory with all that it holds; nothing happens if there is none.
    ///
    /// # Errors
    /// If something in it may not be removed; the rest is gone then.
    pub fn remove_tree(&self, path: &RelPath) -> Result<(), FsError> {
        let mut open = vec![path.clone()];
        let mut directories = Vec::new();
        while let Some(directory) = open.pop() {
            let listed = match self.list(&directory) {
                Err(error) if error.is_missing() => continue,
                other => other?,
            };
            for Named { path, is_directory } in listed {
                match is_directory {
                    true => open.push(path),
                    false => self.remove_file(&path)?,
                }
            }
            directories.push(directory);
        }
        let inner_first = directories.iter().rev();
        inner_first
            .filter(|directory| !directory.is_root())
            .try_for_each(|directory| self.remove(directory, AtFlags::REMOVEDIR))
    }

    fn remove(&self, path: &RelPath, flags: AtFlags) -> Result<(), FsError> {
        let parent = match self.parent_of(path) {
            Err(error) if error.is_missing() => return Ok(()),
            other => other?,
        };
        match rustix::fs::unlinkat(&parent.directory, parent.name(), flags) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(source) => Err(self.error("remove", path, source)),
        }
    }
}

fn fill(file: OwnedFd, content: &[u8]) -> io::Result<()> {
    io::Write::write_all(&mut std::fs::File::from(file), content)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::new(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_program_edits_as_a_user_would() {
        let place = tempfile::tempdir().unwrap();
        let root = Root::open(place.path()).unwrap();
        root.write_file(&path("a/b/one"), b"1").unwrap();
        root.write_file(&path("a/b/one"), b"2").unwrap();
        assert_eq!(root.read_file(&path("a/b/one")).unwrap().unwrap(), b"2");
        assert_eq!(root.read_file(&path("a/b")).unwrap(), None);
        root.rename(&path("a/b"), &path("c/d")).unwrap();
        assert!(root.rename(&path("nothing"), &path("e")).is_err());
        let listed = root.list(&path("c")).unwrap();
        assert_eq!(listed.len(), 1);
        assert!(listed[0].is_directory && listed[0].path == path("c/d"));
        assert!(root.remove_file(&path("c/d")).is_err());
        root.remove_tree(&path("c")).unwrap();
        root.remove_tree(&path("c")).unwrap();
        assert_eq!(root.read_file(&path("c/d/one")).unwrap(), None);
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1);
    }

    #[test]
    fn no_link_leads_out_of_the_root() {
        let place = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        let root = Root::open(place.path()).unwrap();
        std::os::unix::fs::symlink(outside.path(), place.path().join("out")).unwrap();
        assert!(root.write_file(&path("out/file"), b"x").is_err());
        assert!(root.create_directories(&path("out/directory")).is_err());
        assert!(root.write_file(&path("out"), b"x").is_err());
        root.remove_file(&path("out")).unwrap();
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
    }
}
