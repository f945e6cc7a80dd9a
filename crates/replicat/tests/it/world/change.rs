//! What a user does in a root.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};

use super::World;

impl World {
    /// Writes a file in place, with the directories above it.
    pub(crate) fn write(&self, root: usize, path: impl AsRef<OsStr>, content: impl AsRef<[u8]>) {
        let path = self.path(root, path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap_or_else(|error| panic!("write {path:?}: {error}"));
    }

    /// Makes a directory, with those above it.
    pub(crate) fn mkdir(&self, root: usize, path: impl AsRef<OsStr>) {
        fs::create_dir_all(self.path(root, path)).unwrap();
    }

    /// Removes a file, a symbolic link, or a directory with all it holds.
    pub(crate) fn remove(&self, root: usize, path: impl AsRef<OsStr>) {
        let path = self.path(root, path);
        let kind = fs::symlink_metadata(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        match kind.is_dir() {
            true => fs::remove_dir_all(&path).unwrap(),
            false => fs::remove_file(&path).unwrap(),
        }
    }

    /// Renames within a root.
    pub(crate) fn rename(&self, root: usize, from: impl AsRef<OsStr>, to: impl AsRef<OsStr>) {
        let (from, to) = (self.path(root, from), self.path(root, to));
        fs::rename(&from, &to).unwrap_or_else(|error| panic!("{from:?} -> {to:?}: {error}"));
    }

    /// Makes a symbolic link.
    pub(crate) fn symlink(&self, root: usize, target: impl AsRef<Path>, path: impl AsRef<OsStr>) {
        symlink(target, self.path(root, path)).unwrap();
    }

    /// Makes a hard link to a file of the root.
    pub(crate) fn hard_link(
        &self,
        root: usize,
        original: impl AsRef<OsStr>,
        link: impl AsRef<OsStr>,
    ) {
        fs::hard_link(self.path(root, original), self.path(root, link)).unwrap();
    }

    /// Sets the permissions.
    pub(crate) fn chmod(&self, root: usize, path: impl AsRef<OsStr>, mode: u32) {
        fs::set_permissions(self.path(root, path), fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Sets the modification time, in seconds and nanoseconds since 1970.
    pub(crate) fn touch(
        &self,
        root: usize,
        path: impl AsRef<OsStr>,
        seconds: i64,
        nanoseconds: i64,
    ) {
        let time = Timespec {
            tv_sec: seconds,
            tv_nsec: nanoseconds,
        };
        let times = Timestamps {
            last_access: time,
            last_modification: time,
        };
        utimensat(
            CWD,
            self.path(root, path),
            &times,
            AtFlags::SYMLINK_NOFOLLOW,
        )
        .unwrap();
    }

    /// What a file holds.
    pub(crate) fn read(&self, root: usize, path: impl AsRef<OsStr>) -> String {
        let path = self.path(root, path);
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("read {path:?}: {error}"));
        String::from_utf8(bytes).unwrap()
    }

    /// Whether something is at the path, a dangling link included.
    pub(crate) fn exists(&self, root: usize, path: impl AsRef<OsStr>) -> bool {
        fs::symlink_metadata(self.path(root, path)).is_ok()
    }
}
