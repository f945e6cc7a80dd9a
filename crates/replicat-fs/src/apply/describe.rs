//! New metadata for what stays where it is.

use std::os::fd::{AsFd, OwnedFd};

use replicat_core::entry::Metadata;
use replicat_core::path::RelPath;
use replicat_core::record::Fingerprint;
use rustix::fs::Statx;
use rustix::io::Errno;

use crate::apply::error::ApplyError;
use crate::apply::install::open_name;
use crate::apply::{Applied, Applier, Outcome, at};
use crate::metadata::{self, Access, Target};
use crate::observe::{Kind, Tracking, fingerprint, kind};
use crate::root::{Parent, open_file_at, stat_descriptor};
use crate::xattrs;

impl Applier {
    /// Sets metadata on the very file that was looked at, whatever comes to its path meanwhile.
    pub(super) fn describe(
        &self,
        path: &RelPath,
        expected: &Fingerprint,
        metadata: &Metadata,
    ) -> Result<Applied, ApplyError> {
        if path.is_root() {
            return self.describe_root(expected, metadata);
        }
        let parent = self.parent(path)?;
        self.check(path, &parent, expected)?;
        let refused = |source| self.refused("set the metadata of", path, &parent, source);
        let (file, access) = open_to_describe(&parent).map_err(refused)?;
        let before = stat_descriptor(file.as_fd()).map_err(refused)?;
        if !self.is_expected(expected, &before) {
            return Err(self.changed(path));
        }
        let target = Target::new(file.as_fd(), before, access);
        let unapplied = metadata::apply(self.calls(), &target, metadata).map_err(refused)?;
        let first = stat_descriptor(file.as_fd()).map_err(refused)?;
        let settled = metadata::settled(self.calls(), &target, metadata, first);
        let (after, is_rounded) = settled.map_err(refused)?;
        if after.stx_nlink > 1 && kind(&after) != Kind::Directory {
            self.own_changes
                .note(&fingerprint(&before), &fingerprint(&after));
        }
        let outcome = match is_rounded {
            true if before.stx_size == after.stx_size => Outcome::Holds(fingerprint(&after)),
            _ => outcome(&before, &after, metadata),
        };
        let mut applied = Applied::new(outcome);
        let read = || {
            xattrs::read(file.as_fd(), Tracking::of_process())
                .ok()
                .flatten()
        };
        applied.unheld = metadata::unheld(metadata, &after, &unapplied, read);
        applied.unapplied = unapplied;
        Ok(applied)
    }

    fn describe_root(
        &self,
        expected: &Fingerprint,
        metadata: &Metadata,
    ) -> Result<Applied, ApplyError> {
        let look = || {
            stat_descriptor(self.root.descriptor())
                .map_err(|source| self.root.error("look at", &RelPath::root(), source))
        };
        if !self.is_expected(expected, &look()?) {
            return Err(self.changed(&RelPath::root()));
        }
        let unapplied = self.root.describe_itself(self.calls(), metadata)?;
        let after = look()?;
        let mut applied = Applied::new(Outcome::Holds(fingerprint(&after)));
        let root = self.root.descriptor();
        let read = || xattrs::read(root, Tracking::of_process()).ok().flatten();
        applied.unheld = metadata::unheld(metadata, &after, &unapplied, read);
        applied.unapplied = unapplied;
        Ok(applied)
    }
}

/// What a file holds after it was described, if nobody wrote to it meanwhile. A directory's content is its
/// children's business.
fn outcome(before: &Statx, after: &Statx, metadata: &Metadata) -> Outcome {
    let (was, is) = (fingerprint(before), fingerprint(after));
    let is_directory = kind(after) == Kind::Directory;
    let mtime_matches = is.mtime == was.mtime || Some(is.mtime) == metadata.mtime;
    if is_directory || (was.size == is.size && mtime_matches) {
        Outcome::Holds(is)
    } else {
        Outcome::Disturbed
    }
}

/// A file that cannot be opened, for its permissions or its kind, is named instead.
fn open_to_describe(parent: &Parent) -> Result<(OwnedFd, Access), Errno> {
    match open_file_at(parent.directory.as_fd(), &parent.name) {
        Ok(file) => Ok((file, Access::Open)),
        Err(Errno::NOENT) => Err(Errno::NOENT),
        Err(_) => open_name(at(parent)).map(|file| (file, Access::NameOnly)),
    }
}
