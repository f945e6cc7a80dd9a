//! Waiting until a path is left in peace.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use replicat_core::path::RelPath;

/// How long a path must be quiet before it is told of.
pub(super) const QUIET: Duration = Duration::from_millis(15);
/// How long a path that is never quiet is waited for.
pub(super) const PATIENCE: Duration = Duration::from_millis(500);
/// How many paths may wait; beyond, a scan of everything is cheaper than a list.
const WAITING_MAX: usize = 100_000;

/// Paths that changed, and when they can be told of.
#[derive(Debug, Default)]
pub(super) struct Settling {
    waiting: BTreeMap<RelPath, Times>,
}

#[derive(Clone, Copy, Debug)]
struct Times {
    first: Instant,
    last: Instant,
}

impl Times {
    fn due(self) -> Instant {
        (self.last + QUIET).min(self.first + PATIENCE)
    }
}

/// Too many paths are waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMany;

impl Settling {
    /// Notes a change of `path`.
    pub(super) fn note(&mut self, path: RelPath, now: Instant) -> Result<(), TooMany> {
        let times = Times {
            first: now,
            last: now,
        };
        self.waiting
            .entry(path)
            .and_modify(|times| times.last = now)
            .or_insert(times);
        if self.waiting.len() > WAITING_MAX {
            return Err(TooMany);
        }
        Ok(())
    }

    /// Forgets all paths.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }

    /// Whether no path is waiting.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The paths that can be told of by now, in order. They go on waiting until [`Self::forget`].
    pub(super) fn due(&self, now: Instant) -> Vec<RelPath> {
        let due = |(_, times): &(&RelPath, &Times)| times.due() <= now;
        let due = self.waiting.iter().filter(due);
        due.map(|(path, _)| path.clone()).collect()
    }

    /// Forgets paths that were told of.
    pub(super) fn forget(&mut self, paths: &[RelPath]) {
        for path in paths {
            self.waiting.remove(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::new(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_path_is_due_when_it_was_quiet_or_for_too_long_busy() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut settling = Settling::default();
        settling.note(path("quiet"), at(0)).unwrap();
        for milliseconds in (0..=600).step_by(10) {
            settling.note(path("busy"), at(milliseconds)).unwrap();
        }
        assert!(settling.due(at(14)).is_empty());
        assert_eq!(settling.due(at(15)), [path("quiet")]);
        assert_eq!(settling.due(at(500)), [path("busy"), path("quiet")]);
        settling.forget(&[path("busy"), path("quiet")]);
        assert!(settling.is_empty());
    }
}
