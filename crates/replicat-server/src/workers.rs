//! What works in a node: each thread and task that stays has a name, a state, and a queue that can be seen.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a worker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerState {
    /// It waits for work.
    Waiting,
    /// It works.
    Working,
}

impl WorkerState {
    /// The state as one word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Working => "working",
        }
    }
}

/// How a worker stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerStatus {
    /// Its name.
    pub name: String,
    /// What it does.
    pub state: WorkerState,
    /// How much waits for it.
    pub queue: usize,
}

/// All workers of a node. Clones share one list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Workers {
    list: Arc<Mutex<Vec<Arc<Shared>>>>,
    next: Arc<AtomicU64>,
}

struct Shared {
    number: u64,
    name: String,
    is_working: AtomicBool,
    queue: AtomicUsize,
    measure: Mutex<Option<Box<dyn Fn() -> usize + Send>>>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Worker({})", self.name)
    }
}

/// A worker's own hold on its row; the row goes when it is dropped.
#[derive(Debug)]
pub(crate) struct Worker {
    shared: Arc<Shared>,
    workers: Workers,
}

impl Workers {
    /// A worker begins, and waits.
    pub(crate) fn begin(&self, name: &str) -> Worker {
        let shared = Arc::new(Shared {
            number: self.next.fetch_add(1, Ordering::Relaxed),
            name: name.to_owned(),
            is_working: AtomicBool::new(false),
            queue: AtomicUsize::new(0),
            measure: Mutex::new(None),
        });
        self.lock().push(Arc::clone(&shared));
        Worker {
            shared,
            workers: self.clone(),
        }
    }

    /// How they stand.
    pub(crate) fn status(&self) -> Vec<WorkerStatus> {
        let list: Vec<_> = self.lock().iter().map(Arc::clone).collect();
        list.iter().map(|shared| shared.status()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Shared>>> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn status(&self) -> WorkerStatus {
        let measure = self.measure.lock().unwrap_or_else(PoisonError::into_inner);
        let (is_working, queue) = match measure.as_ref() {
            Some(measure) => {
                let queue = measure();
                (queue > 0, queue)
            }
            None => (
                self.is_working.load(Ordering::Relaxed),
                self.queue.load(Ordering::Relaxed),
            ),
        };
        WorkerStatus {
            name: self.name.clone(),
            state: match is_working {
                true => WorkerState::Working,
                false => WorkerState::Waiting,
            },
            queue,
        }
    }
}

impl Worker {
    /// It waits for work.
    pub(crate) fn waits(&self) {
        self.shared.is_working.store(false, Ordering::Relaxed);
        self.shared.queue.store(0, Ordering::Relaxed);
    }

    /// It works, and this much more waits.
    pub(crate) fn works(&self, queue: usize) {
        self.shared.is_working.store(true, Ordering::Relaxed);
        self.shared.queue.store(queue, Ordering::Relaxed);
    }

    /// Its queue can be measured from outside: it works as long as there is something in it.
    pub(crate) fn measured(&self, queue: impl Fn() -> usize + Send + 'static) {
        let measure = &self.shared.measure;
        *measure.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(queue));
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let number = self.shared.number;
        self.workers.lock().retain(|shared| shared.number != number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_seen_while_they_live() {
        let workers = Workers::default();
        let worker = workers.begin("sends");
        worker.works(3);
        let other = workers.begin("answers");
        other.measured(|| 2);
        let rows: Vec<_> = workers
            .status()
            .into_iter()
            .map(|row| (row.name, row.state.as_str(), row.queue))
            .collect();
        assert_eq!(
            rows,
            [
                ("sends".to_owned(), "working", 3),
                ("answers".to_owned(), "working", 2)
            ]
        );
        drop(worker);
        assert_eq!(workers.status().len(), 1);
    }
}
