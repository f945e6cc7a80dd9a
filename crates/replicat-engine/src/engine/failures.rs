//! Roots that fail during a sync, while the others are synced.
//!
//! A run notes a failed root here, drops it, and goes on with the others, as long as there are two. The module decides which
//! errors concern one root alone. It must not know what was being done when a root failed.

use std::path::PathBuf;

use super::local::LocalReplica;
use crate::error::SyncError;
use crate::event::{Reporter, RootIndex, SyncEvent};
use crate::report::RootFailure;

/// The fewest roots that can be synced with each other.
const ROOTS_MIN: usize = 2;

/// An error, and the root that it concerns.
pub(super) struct FailedAt {
    pub(super) root: RootIndex,
    pub(super) error: SyncError,
}

/// The roots of a run that failed.
pub(super) struct Failures<'run> {
    reporter: &'run dyn Reporter,
    given: &'run [PathBuf],
    failed: Vec<(RootIndex, RootFailure)>,
}

impl<'run> Failures<'run> {
    pub(super) fn new(given: &'run [PathBuf], reporter: &'run dyn Reporter) -> Self {
        Self {
            reporter,
            given,
            failed: Vec::new(),
        }
    }

    /// Notes that a root failed.
    ///
    /// # Errors
    /// The error itself, if the other roots cannot be synced without that root.
    pub(super) fn note(&mut self, root: RootIndex, error: SyncError) -> Result<(), SyncError> {
        let left = self.given.len() - self.failed.len() - 1;
        if left < ROOTS_MIN || !concerns_one_root(&error) {
            return Err(error);
        }
        let failure = RootFailure {
            kind: error.kind(),
            message: error.to_string(),
            hint: error.hint(),
        };
        self.reporter.event(&SyncEvent::RootFailed {
            root,
            failure: failure.clone(),
        });
        self.failed.push((root, failure));
        Ok(())
    }

    /// Does something with each of `roots`. Those that fail are taken out, and returned.
    pub(super) fn each<T: HasNumber>(
        &mut self,
        roots: &mut Vec<T>,
        mut work: impl FnMut(&mut T) -> Result<(), SyncError>,
    ) -> Result<Vec<T>, SyncError> {
        let (mut at, mut failed) = (0, Vec::new());
        while let Some(root) = roots.get_mut(at) {
            match work(root) {
                Ok(()) => at += 1,
                Err(error) => {
                    self.note(root.number(), error)?;
                    failed.push(roots.remove(at));
                }
            }
        }
        Ok(failed)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.failed.is_empty()
    }

    /// Each root that failed: its number, its path as it was given, and why.
    pub(super) fn into_each(self) -> impl Iterator<Item = (RootIndex, PathBuf, RootFailure)> {
        let given = self.given;
        let failed = self.failed.into_iter();
        failed.filter_map(|(root, failure)| Some((root, given.get(root.0)?.clone(), failure)))
    }
}

/// One of the roots of a run.
pub(super) trait HasNumber {
    fn number(&self) -> RootIndex;
}

impl HasNumber for LocalReplica {
    fn number(&self) -> RootIndex {
        self.number
    }
}

impl LocalReplica {
    /// An error that concerns this root.
    pub(super) fn failed_at(&self, error: SyncError) -> FailedAt {
        FailedAt {
            root: self.number,
            error,
        }
    }
}

/// Whether the other roots can be synced though one has this error. A root that is in use comes free again, and a run that
/// left it out would sync others with a part of the whole.
fn concerns_one_root(error: &SyncError) -> bool {
    matches!(
        error,
        SyncError::RootMissing { .. }
            | SyncError::RootNotWritable { .. }
            | SyncError::StateNotOwned { .. }
            | SyncError::RootReplaced { .. }
            | SyncError::IndexDamaged { .. }
            | SyncError::IndexNewer { .. }
            | SyncError::Index { .. }
            | SyncError::DiskFull { .. }
            | SyncError::Io { .. }
            | SyncError::Inconsistent { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Silent;

    fn full() -> SyncError {
        SyncError::DiskFull { root: "c".into() }
    }

    #[test]
    fn run_goes_on_while_two_roots_are_left() {
        let given = ["a", "b", "c", "d"].map(PathBuf::from);
        let mut failures = Failures::new(&given, &Silent);
        failures.note(RootIndex(3), full()).unwrap();
        failures.note(RootIndex(1), full()).unwrap();
        assert!(failures.note(RootIndex(0), full()).is_err());
        let failed: Vec<_> = failures.into_each().map(|(_, root, _)| root).collect();
        assert_eq!(failed, [PathBuf::from("d"), "b".into()]);
    }

    #[test]
    fn root_in_use_stops_the_run() {
        let given = ["a", "b", "c"].map(PathBuf::from);
        let mut failures = Failures::new(&given, &Silent);
        let locked = SyncError::Locked {
            root: "c".into(),
            holder: Box::default(),
        };
        assert!(failures.note(RootIndex(2), locked).is_err());
    }
}
