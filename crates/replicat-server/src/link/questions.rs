//! Questions to a peer that wait for its answer.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::wire::Standing;

/// The questions of a link.
#[derive(Debug, Default)]
pub(super) struct Questions(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    waiting: HashMap<u64, oneshot::Sender<Standing>>,
    next_id: u64,
    is_closed: bool,
}

impl Questions {
    /// Notes a question: its number, and where the answer comes. `None` if none will come.
    pub(super) fn note(&self) -> Option<(u64, oneshot::Receiver<Standing>)> {
        let mut state = self.lock();
        if state.is_closed {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        let id = state.next_id;
        state.next_id += 1;
        state.waiting.insert(id, sender);
        Some((id, receiver))
    }

    /// Hands an answer on.
    pub(super) fn take(&self, id: u64, standing: Standing) {
        if let Some(sender) = self.lock().waiting.remove(&id) {
            // Whoever asked may have given up.
            let _ = sender.send(standing);
        }
    }

    /// Nothing is answered any more.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        state.waiting.clear();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
