//! What was tried at a path and came to nothing, for those who ask why it is as it is.

use std::collections::BTreeMap;

use replicat_core::entry::Timestamp;
use replicat_core::path::RelPath;

use super::clock;

/// Of how many paths that is kept.
const PATHS_MAX: usize = 1024;

/// What came to nothing lately.
#[derive(Debug, Default)]
pub(super) struct Setbacks {
    by_path: BTreeMap<RelPath, Setback>,
}

/// Attempts at one path, since the last that came to something.
#[derive(Debug)]
struct Setback {
    attempts: u64,
    /// Why the last failed.
    reason: String,
    /// When.
    time: Timestamp,
}

impl Setbacks {
    /// Notes that an attempt failed.
    pub(super) fn note(&mut self, path: &RelPath, reason: String) {
        tracing::debug!(%path, %reason, "came to nothing");
        let time = clock::timestamp(clock::now().hlc());
        if let Some(before) = self.by_path.get_mut(path) {
            before.attempts += 1;
            (before.reason, before.time) = (reason, time);
            return;
        }
        if self.by_path.len() < PATHS_MAX {
            let setback = Setback {
                attempts: 1,
                reason,
                time,
            };
            self.by_path.insert(path.clone(), setback);
        }
    }

    /// Whether a path may be tried again at once: at the most one attempt failed. If there are so many that not all are
    /// kept, none may.
    pub(super) fn is_fresh(&self, path: &RelPath) -> bool {
        match self.by_path.get(path) {
            Some(setback) => setback.attempts == 1,
            None => self.by_path.len() < PATHS_MAX,
        }
    }

    /// Notes that an attempt came to something. Returns whether one before came to nothing.
    pub(super) fn forget(&mut self, path: &RelPath) -> bool {
        self.by_path.remove(path).is_some()
    }

    /// Forgets all: nothing waits any more.
    pub(super) fn clear(&mut self) {
        self.by_path.clear();
    }

    /// What is to be said of a path, if attempts there failed.
    pub(super) fn told(&self, path: &RelPath) -> Option<String> {
        let Setback {
            attempts,
            reason,
            time,
        } = self.by_path.get(path)?;
        let when = clock::shown(*time);
        Some(match attempts {
            1 => format!("that was tried, {when}: {reason}"),
            _ => format!("that was tried {attempts} times, last {when}: {reason}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::new(text.as_bytes()).unwrap()
    }

    #[test]
    fn attempts_are_counted_until_one_comes_to_something() {
        let mut setbacks = Setbacks::default();
        setbacks.note(&path("a"), "not empty".to_owned());
        let once = setbacks.told(&path("a")).unwrap();
        assert!(
            once.starts_with("that was tried, ") && once.ends_with(": not empty"),
            "{once}"
        );
        setbacks.note(&path("a"), "it changed".to_owned());
        let twice = setbacks.told(&path("a")).unwrap();
        assert!(
            twice.starts_with("that was tried 2 times") && twice.ends_with(": it changed"),
            "{twice}"
        );
        assert_eq!(setbacks.told(&path("b")), None);
        setbacks.forget(&path("a"));
        assert_eq!(setbacks.told(&path("a")), None);
    }

    #[test]
    fn what_failed_twice_is_not_tried_again_at_once() {
        let mut setbacks = Setbacks::default();
        assert!(setbacks.is_fresh(&path("a")));
        setbacks.note(&path("a"), String::new());
        assert!(setbacks.is_fresh(&path("a")));
        setbacks.note(&path("a"), String::new());
        assert!(!setbacks.is_fresh(&path("a")) && setbacks.is_fresh(&path("b")));
        setbacks.clear();
        assert!(setbacks.is_fresh(&path("a")));
    }

    #[test]
    fn memory_is_bounded_and_what_is_not_kept_waits() {
        let mut setbacks = Setbacks::default();
        for number in 0..3 * PATHS_MAX {
            setbacks.note(&path(&number.to_string()), String::new());
            assert!(setbacks.by_path.len() <= PATHS_MAX);
        }
        assert!(setbacks.is_fresh(&path("0")));
        assert!(!setbacks.is_fresh(&path(&PATHS_MAX.to_string())));
    }
}
