//! Waiting until a sync is worth running again.
//!
//! Goals: a change in any root is noticed soon, and none is missed for good. What the system tells is
//! a hint: the scan of the next sync finds out by itself what changed.
//! Non-goals: knowing which path changed.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crossbeam_channel::Select;
use replicat_fs::error::FsError;
use replicat_fs::filter::Filter;
use replicat_fs::root::Root;
use replicat_fs::watch::{WatchEvent, Watcher};

use crate::error::SyncError;
use crate::options::{Cancellation, FilterRule};

/// So often the roots are scanned though nothing was told: a write through a memory map is not.
const RESCAN_INTERVAL: Duration = Duration::from_secs(300);
/// So often they are scanned if the system does not watch them whole.
const PARTIAL_RESCAN_INTERVAL: Duration = Duration::from_secs(10);
/// Fewer roots cannot be synced.
const ROOTS_MIN: usize = 2;
/// So soon a cancellation is noticed.
const CANCELLATION_INTERVAL: Duration = Duration::from_millis(100);

/// Watches the roots of a sync, as long as it lives.
#[derive(Debug)]
pub struct Watch {
    watchers: Vec<Watcher>,
    sight: Sight,
}

/// How much of the roots is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sight {
    Whole,
    /// The rest is scanned every few seconds.
    Partial,
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// Something changed.
    Changed,
    /// It is time to look, though nothing was told.
    Due,
    /// The system does not watch the roots whole, and from now on they are looked at every few
    /// seconds. It is time to look.
    Limited,
    /// The wait was cancelled.
    Cancelled,
}

impl Watch {
    /// Begins to watch. A change from now on ends a later [`wait`](Self::wait), so that a sync
    /// started after this misses nothing.
    ///
    /// A root that cannot be opened is looked at now and then, if two others can be watched.
    ///
    /// # Errors
    /// [`SyncError::Io`] if roots cannot be opened or the system gives no means to watch at all.
    pub fn new(roots: &[PathBuf], rules: &[FilterRule]) -> Result<Self, SyncError> {
        let filter = Filter::new(rules.to_vec());
        let begun = roots.iter().map(|root| watcher(root, &filter));
        let (watchers, failed): (Vec<_>, Vec<_>) = begun.partition(Result::is_ok);
        let sight = match failed.is_empty() {
            true => Sight::Whole,
            false => Sight::Partial,
        };
        let watchers: Vec<Watcher> = watchers.into_iter().flatten().collect();
        match failed.into_iter().find_map(Result::err) {
            Some(error) if watchers.len() < ROOTS_MIN => Err(error),
            _ => Ok(Self { watchers, sight }),
        }
    }

    /// Waits until something changed and has come to rest, until it is time to look anyway, or until
    /// `cancellation`.
    #[must_use]
    pub fn wait(&mut self, cancellation: &Cancellation) -> Wake {
        let interval = match self.sight {
            Sight::Whole => RESCAN_INTERVAL,
            Sight::Partial => PARTIAL_RESCAN_INTERVAL,
        };
        let started = Instant::now();
        while !cancellation.is_cancelled() {
            if let Some(wake) = self.hint() {
                return wake;
            }
            if started.elapsed() >= interval {
                return Wake::Due;
            }
        }
        Wake::Cancelled
    }

    /// Waits a moment for what the watchers tell.
    fn hint(&mut self) -> Option<Wake> {
        let mut select = Select::new();
        for watcher in &self.watchers {
            select.recv(watcher.events());
        }
        let told = select.select_timeout(CANCELLATION_INTERVAL).ok()?;
        let at = told.index();
        match told.recv(self.watchers[at].events()) {
            Ok(WatchEvent::Changed(_) | WatchEvent::MovedOut(_) | WatchEvent::Overflow) => {
                Some(Wake::Changed)
            }
            Ok(WatchEvent::LimitReached { .. }) => {
                self.sight = Sight::Partial;
                Some(Wake::Limited)
            }
            Err(_) => {
                // This watcher has failed; what it would have told, scans find.
                self.watchers.remove(at);
                self.sight = Sight::Partial;
                Some(Wake::Limited)
            }
        }
    }
}

fn watcher(root: &Path, filter: &Filter) -> Result<Watcher, SyncError> {
    let opened = Root::open(root).and_then(|root| Watcher::start(&root, filter));
    opened.map_err(
        |FsError {
             action,
             path,
             source,
         }| SyncError::Io {
            action,
            path,
            source,
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_change_in_any_root_ends_the_wait() {
        let roots = tempfile::tempdir().unwrap();
        let roots = ["A", "B"].map(|name| roots.path().join(name));
        for root in &roots {
            fs::create_dir_all(root.join("a")).unwrap();
        }
        let mut watch = Watch::new(&roots, &[]).unwrap();
        fs::write(roots[1].join("a/b"), "c").unwrap();
        assert_eq!(watch.wait(&Cancellation::default()), Wake::Changed);
    }

    #[test]
    fn a_wait_can_be_cancelled() {
        let root = tempfile::tempdir().unwrap();
        let mut watch = Watch::new(&[root.path().to_owned()], &[]).unwrap();
        let cancellation = Cancellation::default();
        cancellation.cancel();
        assert_eq!(watch.wait(&cancellation), Wake::Cancelled);
    }
}
