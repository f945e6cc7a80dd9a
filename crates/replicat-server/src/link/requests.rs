//! Requests that wait for the contents that a peer is to send.
//!
//! What comes is checked against what was asked: no more pieces, and none longer. So the memory that a peer can make
//! this node take is what a folder asked for.

use std::collections::{HashMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::wire::Part;

/// How many bytes of requests may be unanswered on a lane; who asks for more waits.
const UNANSWERED_BYTES_MAX: usize = 8 << 20;

/// The requests of one lane.
#[derive(Debug, Default)]
pub(super) struct Requests {
    state: Mutex<State>,
    answered: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: HashMap<u64, Waiting>,
    next_id: u64,
    bytes: usize,
    is_closed: bool,
}

#[derive(Debug)]
struct Waiting {
    answers: Sender<Option<Bytes>>,
    /// How many bytes each of the wants may bring that are not answered yet.
    lengths: VecDeque<u64>,
    begun: BytesMut,
    cost: usize,
}

/// Why an answer is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum AnswerError {
    /// More than was asked for.
    #[error("the peer sent more than it was asked for")]
    TooMuch,
}

/// A request that was noted: its number, and where the answers come.
pub(super) type Noted = (u64, Receiver<Option<Bytes>>);

impl Requests {
    /// Notes a request of `cost` bytes for contents of at most these lengths. Waits while too much is unanswered.
    /// `None` if nothing is answered any more.
    pub(super) fn note(&self, lengths: VecDeque<u64>, cost: usize) -> Option<Noted> {
        let mut state = self.lock();
        while !state.is_closed && state.bytes > 0 && state.bytes + cost > UNANSWERED_BYTES_MAX {
            let waited = self.answered.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
        if state.is_closed {
            return None;
        }
        let (answers, receiver) = unbounded();
        let id = state.next_id;
        state.next_id += 1;
        state.bytes += cost;
        let waiting = Waiting {
            answers,
            lengths,
            begun: BytesMut::new(),
            cost,
        };
        state.waiting.insert(id, waiting);
        Some((id, receiver))
    }

    /// Hands on what came. Answers to a request that was given up are dropped.
    pub(super) fn take(&self, id: u64, parts: Vec<Part>) -> Result<(), AnswerError> {
        let mut state = self.lock();
        let Some(waiting) = state.waiting.get_mut(&id) else {
            return Ok(());
        };
        for part in parts {
            waiting.take(part)?;
        }
        if waiting.lengths.is_empty() {
            self.remove(&mut state, id);
        }
        Ok(())
    }

    /// Gives a request up. Whether it was waited for still.
    pub(super) fn forget(&self, id: u64) -> bool {
        self.remove(&mut self.lock(), id)
    }

    /// Nothing is answered any more.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        state.waiting.clear();
        self.answered.notify_all();
    }

    /// How many requests wait.
    pub(super) fn len(&self) -> usize {
        self.lock().waiting.len()
    }

    fn remove(&self, state: &mut State, id: u64) -> bool {
        let Some(waiting) = state.waiting.remove(&id) else {
            return false;
        };
        state.bytes -= waiting.cost;
        self.answered.notify_all();
        true
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn take(&mut self, part: Part) -> Result<(), AnswerError> {
        let length = *self.lengths.front().ok_or(AnswerError::TooMuch)?;
        if (self.begun.len() + part.len()) as u64 > length {
            return Err(AnswerError::TooMuch);
        }
        let answer = match part {
            Part::Begin(bytes) => {
                self.begun.extend_from_slice(&bytes);
                return Ok(());
            }
            Part::Missing => {
                self.begun.clear();
                None
            }
            Part::Piece(bytes) if self.begun.is_empty() => Some(bytes),
            Part::Piece(bytes) => {
                self.begun.extend_from_slice(&bytes);
                Some(self.begun.split().freeze())
            }
        };
        self.lengths.pop_front();
        // Whoever gave up has told the peer so.
        let _ = self.answers.send(answer);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(text: &'static str) -> Part {
        Part::Piece(Bytes::from_static(text.as_bytes()))
    }

    #[test]
    fn answers_come_in_the_order_of_the_wants() {
        let requests = Requests::default();
        let (id, answers) = requests.note([3, 5, 1].into(), 10).unwrap();
        requests.take(id, vec![piece("one")]).unwrap();
        let begin = Part::Begin(Bytes::from_static(b"tw"));
        requests
            .take(id, vec![begin, piece("o"), Part::Missing])
            .unwrap();
        let got: Vec<_> = answers.iter().collect();
        assert_eq!(got, [Some("one".into()), Some("two".into()), None]);
        assert_eq!(requests.len(), 0);
    }

    #[test]
    fn more_than_was_asked_for_is_refused() {
        let requests = Requests::default();
        let (id, _answers) = requests.note([2].into(), 10).unwrap();
        assert_eq!(
            requests.take(id, vec![piece("one")]),
            Err(AnswerError::TooMuch)
        );
        let (id, _answers) = requests.note([2].into(), 10).unwrap();
        let parts = vec![piece("on"), piece("")];
        assert_eq!(requests.take(id, parts), Err(AnswerError::TooMuch));
        assert_eq!(requests.take(77, vec![piece("nobody asked")]), Ok(()));
    }

    #[test]
    fn when_the_peer_is_gone_nobody_waits() {
        let requests = Requests::default();
        let (_, answers) = requests.note([2].into(), 10).unwrap();
        requests.close();
        assert!(answers.recv().is_err());
        assert!(requests.note([2].into(), 10).is_none());
    }
}
