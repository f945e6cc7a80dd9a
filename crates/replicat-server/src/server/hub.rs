//! The events of a node: the latest are kept, and whoever follows them is woken.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::settings::FolderName;
use crate::storage::Event;

/// How many events are kept for those who ask later.
const EVENTS_KEPT_MAX: usize = 4096;

/// An event, and the folder that it is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderEventRecord {
    /// The folder; `None` if the event is of the node.
    pub folder: Option<FolderName>,
    /// What happened.
    pub event: Event,
}

/// Where events are collected.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    state: Mutex<State>,
    news: Condvar,
}

#[derive(Debug, Default)]
struct State {
    kept: VecDeque<FolderEventRecord>,
    /// The number of the next event.
    next: u64,
    is_closed: bool,
}

impl Hub {
    /// Adds an event.
    pub(crate) fn push(&self, record: FolderEventRecord) {
        let mut state = self.lock();
        if state.kept.len() == EVENTS_KEPT_MAX {
            state.kept.pop_front();
        }
        state.kept.push_back(record);
        state.next += 1;
        self.news.notify_all();
    }

    /// The events from number `from` on, as far as they are kept, and the number of the next one. Waits up to
    /// `patience` if there are none; `None` once there will be no more.
    pub(crate) fn since(
        &self,
        from: u64,
        patience: Duration,
    ) -> Option<(Vec<FolderEventRecord>, u64)> {
        let state = self.lock();
        let waited = self.news.wait_timeout_while(state, patience, |state| {
            state.next <= from && !state.is_closed
        });
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.next <= from && state.is_closed {
            return None;
        }
        let first = state.next - state.kept.len() as u64;
        let skipped = usize::try_from(from.saturating_sub(first)).unwrap_or(usize::MAX);
        let records = state.kept.iter().skip(skipped).cloned().collect();
        Some((records, state.next))
    }

    /// There will be no more.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.news.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use replicat_core::path::RelPath;

    use super::*;
    use crate::storage::EventName;

    #[test]
    fn the_latest_events_are_kept() {
        let hub = Hub::default();
        for number in 0..EVENTS_KEPT_MAX + 3 {
            let path = RelPath::new(number.to_string().as_bytes()).unwrap();
            let event = Event::here("a", EventName::Create, path);
            hub.push(FolderEventRecord {
                folder: None,
                event,
            });
        }
        let (records, next) = hub.since(0, Duration::ZERO).unwrap();
        assert_eq!(records.len(), EVENTS_KEPT_MAX);
        assert_eq!(records[0].event.path.as_bytes(), b"3");
        assert_eq!(hub.since(next, Duration::ZERO), Some((Vec::new(), next)));
        hub.close();
        assert_eq!(hub.since(next, Duration::from_secs(60)), None);
    }
}
