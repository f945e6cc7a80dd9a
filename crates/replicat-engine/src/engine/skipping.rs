//! Why paths are skipped, as a user is told.

use replicat_core::path::RelPath;
use replicat_fs::apply::error::{ApplyError, Obstacle};
use replicat_fs::error::FsError;
use replicat_fs::observe::SpecialKind as Special;
use replicat_fs::scan::SkipReason as Unscanned;

use super::local::LocalReplica;
use crate::report::{SkipReason, Skipped, SpecialKind};

/// How many skipped paths of a root are listed; a tree of sockets must not fill the memory.
const LISTED_MAX: usize = 100_000;

impl LocalReplica {
    /// Notes that a path could not be synced.
    pub(super) fn skip(&mut self, path: RelPath, reason: SkipReason) {
        let root = self.number;
        let known = self
            .skipped
            .iter()
            .rev()
            .take(64)
            .any(|skipped| skipped.path == path);
        if !known && self.skipped.len() < LISTED_MAX {
            self.skipped.push(Skipped { root, path, reason });
        }
    }
}

/// The reason that a scan gives.
pub(super) fn of_scan(reason: &Unscanned) -> SkipReason {
    match reason {
        Unscanned::Special(kind) => SkipReason::Special(match kind {
            Special::Fifo => SpecialKind::Fifo,
            Special::Socket => SpecialKind::Socket,
            Special::CharDevice | Special::BlockDevice => SpecialKind::Device,
            Special::Unknown => SpecialKind::Unknown,
        }),
        Unscanned::MountPoint => SkipReason::OtherFilesystem,
        Unscanned::Unreadable(error) | Unscanned::IgnoreFile(error) => of_fs(error),
        Unscanned::Name(error) => SkipReason::Name {
            problem: error.to_string(),
        },
        Unscanned::Unsettled => SkipReason::Changing,
    }
}

/// The reason in an error of the filesystem.
pub(super) fn of_fs(error: &FsError) -> SkipReason {
    if error.is_denied() {
        SkipReason::Denied {
            action: error.action,
        }
    } else if error.is_disk_full() {
        SkipReason::DiskFull
    } else if error.is_bad_name() {
        SkipReason::Name {
            problem: error.source.to_string(),
        }
    } else {
        SkipReason::Io {
            action: error.action,
            message: error.source.to_string(),
        }
    }
}

/// The reason why a change was not made.
pub(super) fn of_apply(error: &ApplyError) -> SkipReason {
    match error {
        ApplyError::Refused {
            obstacle: Obstacle::OtherFilesystem,
            ..
        } => SkipReason::OtherFilesystem,
        ApplyError::Refused { error, .. } => of_fs(error),
        ApplyError::NotEmpty(_) => SkipReason::IgnoredInTheWay,
        ApplyError::Reserved(_) => SkipReason::Name {
            problem: error.to_string(),
        },
        ApplyError::Changed(_)
        | ApplyError::Surprise { .. }
        | ApplyError::NoParent(_)
        | ApplyError::NoHardLink(_) => SkipReason::Changing,
    }
}
