//! Work that threads share, last in, first out.

use std::sync::{Condvar, Mutex, PoisonError};

use super::lock;

/// A stack whose users both take work and make more. It is exhausted when it is empty and nobody is at work.
#[derive(Debug)]
pub(super) struct Stack<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    waiting: Vec<T>,
    at_work: usize,
}

impl<T> Default for Stack<T> {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                waiting: Vec::new(),
                at_work: 0,
            }),
            changed: Condvar::new(),
        }
    }
}

impl<T> Stack<T> {
    /// Adds all of `work`; its last is the next to be taken.
    pub(super) fn push_all(&self, work: &mut Vec<T>) {
        let count = work.len();
        if count == 0 {
            return;
        }
        lock(&self.state).waiting.append(work);
        if count == 1 {
            self.changed.notify_one();
        } else {
            self.changed.notify_all();
        }
    }

    /// Takes work, and waits for it while others may still make some. Each taken piece is followed by
    /// [`Self::done`].
    pub(super) fn pop(&self) -> Option<T> {
        let mut state = lock(&self.state);
        loop {
            if let Some(work) = state.waiting.pop() {
                state.at_work += 1;
                return Some(work);
            }
            if state.at_work == 0 {
                return None;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Tells that a piece of work is done, and all that it led to was added.
    pub(super) fn done(&self) {
        let mut state = lock(&self.state);
        state.at_work -= 1;
        if state.at_work == 0 && state.waiting.is_empty() {
            self.changed.notify_all();
        }
    }
}
