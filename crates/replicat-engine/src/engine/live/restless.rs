//! Paths that changed while they were read. Nothing may say when they are idle (a file that is mapped, a filesystem of another
//! host), so they are looked at again by themselves, the more rarely the longer they change.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use replicat_core::path::RelPath;

use crate::report::{SkipReason, Skipped};

/// After how long a path is looked at again first.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// After how long at the most.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// The paths that are to be looked at again, and when.
#[derive(Debug, Default)]
pub(super) struct Restless(BTreeMap<RelPath, Retry>);

#[derive(Debug)]
struct Retry {
    due: Instant,
    pause: Duration,
}

impl Restless {
    /// Takes in what is skipped now.
    pub(super) fn note(&mut self, skipped: &[Skipped], now: Instant) {
        let changing = skipped
            .iter()
            .filter(|skipped| skipped.reason == SkipReason::Changing);
        let changing: BTreeSet<&RelPath> = changing.map(|skipped| &skipped.path).collect();
        self.0.retain(|path, _| changing.contains(path));
        for path in changing {
            if !self.0.contains_key(path) {
                let retry = Retry {
                    due: now + PAUSE_MIN,
                    pause: PAUSE_MIN,
                };
                self.0.insert(path.clone(), retry);
            }
        }
    }

    /// The paths to look at now. If they are skipped again, it takes longer until the next time.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<RelPath> {
        let due = self.0.iter_mut().filter(|(_, retry)| retry.due <= now);
        due.map(|(path, retry)| {
            retry.pause = (retry.pause * 2).min(PAUSE_MAX);
            retry.due = now + retry.pause;
            path.clone()
        })
        .collect()
    }

    /// How long nothing is due.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        let next = self.0.values().map(|retry| retry.due).min();
        next.map_or(Duration::MAX, |due| due.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::RootIndex;
    use crate::report::Severity;

    fn skipped(name: &str, reason: SkipReason) -> Skipped {
        Skipped {
            root: RootIndex(0),
            path: RelPath::new(name.as_bytes()).unwrap(),
            reason,
            severity: Severity::Error,
        }
    }

    #[test]
    fn path_that_keeps_changing_is_looked_at_ever_more_rarely() {
        let mut restless = Restless::default();
        let start = Instant::now();
        let rows = [
            skipped("log", SkipReason::Changing),
            skipped("full", SkipReason::DiskFull),
        ];
        let mut now = start;
        let mut looks = Vec::new();
        restless.note(&rows, now);
        while now < start + Duration::from_secs(120) {
            now += restless.wait(now);
            looks.push((now - start).as_millis());
            assert_eq!(restless.take_due(now), [rows[0].path.clone()]);
            assert!(restless.take_due(now).is_empty());
            restless.note(&rows, now);
        }
        assert_eq!(looks[..5], [100, 300, 700, 1500, 3100]);
        assert_eq!(looks.len(), 12);
        restless.note(&rows[1..], now);
        assert_eq!(restless.wait(now), Duration::MAX);
    }
}
