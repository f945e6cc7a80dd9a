//! What waits to go over the control lane of a link: bounded, and never waited for by those who fill it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use replicat_core::id::FolderId;
use replicat_engine::live::{PeerNumber, SendError};

use crate::wire::ControlFrame;

/// How many bytes of session messages wait at most; one message is taken whatever its length.
const WAITING_BYTES_MAX: usize = 1 << 20;

/// The next thing for the thread that serves the control lane.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// To be sent.
    Frame(ControlFrame),
    /// A folder ends its session.
    Close {
        folder: FolderId,
        number: PeerNumber,
        reason: String,
    },
    /// Folders are to be offered anew.
    Offer,
    /// These sessions may send again.
    Writable(Vec<(FolderId, PeerNumber)>),
}

/// The queue.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    state: Mutex<State>,
    filled: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Outgoing>,
    bytes: usize,
    /// Sessions that were told that it is full.
    refused: BTreeMap<PeerNumber, FolderId>,
    is_closed: bool,
}

impl Outbox {
    /// Queues a message of a session, if there is room.
    pub(super) fn send(
        &self,
        folder: FolderId,
        number: PeerNumber,
        epoch: u64,
        message: Bytes,
    ) -> Result<(), SendError> {
        let mut state = self.lock();
        if state.is_closed {
            return Err(SendError::Gone);
        }
        if state.bytes > 0 && state.bytes + message.len() > WAITING_BYTES_MAX {
            state.refused.insert(number, folder);
            return Err(SendError::Full(message));
        }
        state.bytes += message.len();
        state
            .waiting
            .push_back(Outgoing::Frame(ControlFrame::Session {
                folder,
                epoch,
                message,
            }));
        self.filled.notify_one();
        Ok(())
    }

    /// Queues what is not a message.
    pub(super) fn push(&self, outgoing: Outgoing) {
        let mut state = self.lock();
        if !state.is_closed {
            state.waiting.push_back(outgoing);
            self.filled.notify_one();
        }
    }

    /// Waits for the next; `None` once it is closed.
    pub(super) fn next(&self) -> Option<Outgoing> {
        let mut state = self.lock();
        loop {
            if state.is_closed {
                return None;
            }
            if state.bytes <= WAITING_BYTES_MAX / 2 && !state.refused.is_empty() {
                let refused = std::mem::take(&mut state.refused).into_iter();
                let sessions = refused.map(|(number, folder)| (folder, number));
                return Some(Outgoing::Writable(sessions.collect()));
            }
            if let Some(next) = state.waiting.pop_front() {
                if let Outgoing::Frame(ControlFrame::Session { message, .. }) = &next {
                    state.bytes -= message.len();
                }
                return Some(next);
            }
            let waited = self.filled.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Nothing is taken or given any more.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        state.waiting.clear();
        self.filled.notify_all();
    }

    /// How many things wait.
    pub(super) fn len(&self) -> usize {
        self.lock().waiting.len()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOLDER: FolderId = FolderId(1);
    const PEER: PeerNumber = PeerNumber(4);

    #[test]
    fn who_was_refused_is_told_when_there_is_room() {
        let outbox = Outbox::default();
        let half = Bytes::from(vec![0; WAITING_BYTES_MAX / 2 + 1]);
        outbox.send(FOLDER, PEER, 1, half.clone()).unwrap();
        assert!(matches!(
            outbox.send(FOLDER, PEER, 1, half.clone()),
            Err(SendError::Full(message)) if message == half
        ));
        assert!(matches!(outbox.next(), Some(Outgoing::Frame(_))));
        let writable = outbox.next();
        assert!(
            matches!(writable, Some(Outgoing::Writable(sessions)) if sessions == [(FOLDER, PEER)])
        );
        outbox.send(FOLDER, PEER, 1, half).unwrap();
    }

    #[test]
    fn a_message_over_the_limit_is_taken_alone() {
        let outbox = Outbox::default();
        let large = Bytes::from(vec![0; 2 * WAITING_BYTES_MAX]);
        outbox.send(FOLDER, PEER, 1, large).unwrap();
        assert_eq!(outbox.len(), 1);
    }

    #[test]
    fn a_closed_one_takes_nothing() {
        let outbox = Outbox::default();
        outbox.close();
        let sent = outbox.send(FOLDER, PEER, 1, Bytes::from_static(b"x"));
        assert!(matches!(sent, Err(SendError::Gone)));
        assert!(outbox.next().is_none());
    }
}
