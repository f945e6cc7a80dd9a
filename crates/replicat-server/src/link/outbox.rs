//! What waits to go over the control lane of a link: bounded, and never waited for by those who fill it.
//!
//! Each session has a bound of its own as well, which the peer sets: what its folder has not taken in there.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use replicat_core::id::FolderId;
use replicat_engine::live::{Parcel, PeerNumber, SendError};

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
    sessions: BTreeMap<PeerNumber, Flow>,
    /// Sessions that were told that it is full.
    refused: BTreeMap<PeerNumber, FolderId>,
    is_closed: bool,
}

/// What goes to the peer for one session.
#[derive(Debug)]
struct Flow {
    folder: FolderId,
    /// The epoch of the peer's offer.
    epoch: u64,
    /// How many bytes may be under way; `None` if the peer does not say.
    window: Option<u64>,
    /// Sent, or waiting to be, and not taken in by the folder there.
    under_way: u64,
    /// The session was told that the window is full.
    is_held: bool,
}

impl Flow {
    fn is_full(&self) -> bool {
        self.window.is_some_and(|window| self.under_way >= window)
    }
}

impl Outbox {
    /// A session begins, by an offer of the peer's.
    pub(super) fn begin(&self, number: PeerNumber, folder: FolderId, epoch: u64, window: u64) {
        let flow = Flow {
            folder,
            epoch,
            window: (window > 0).then_some(window),
            under_way: 0,
            is_held: false,
        };
        self.lock().sessions.insert(number, flow);
    }

    /// A session is over.
    pub(super) fn forget(&self, number: PeerNumber) {
        let mut state = self.lock();
        state.sessions.remove(&number);
        state.refused.remove(&number);
    }

    /// Queues a message of a session, if there is room.
    pub(super) fn send(&self, number: PeerNumber, parcel: Parcel) -> Result<(), SendError> {
        let mut locked = self.lock();
        let state = &mut *locked;
        let Some(flow) = state.sessions.get_mut(&number).filter(|_| !state.is_closed) else {
            return Err(SendError::Gone);
        };
        if flow.is_full() {
            flow.is_held = true;
            return Err(SendError::Full(parcel));
        }
        let bytes = parcel.bytes();
        if state.bytes > 0 && state.bytes + bytes > WAITING_BYTES_MAX {
            state.refused.insert(number, flow.folder);
            return Err(SendError::Full(parcel));
        }
        flow.under_way += bytes as u64;
        state.bytes += bytes;
        let frame = ControlFrame::Session {
            folder: flow.folder,
            epoch: flow.epoch,
            parcel,
        };
        state.waiting.push_back(Outgoing::Frame(frame));
        self.filled.notify_one();
        Ok(())
    }

    /// The folder at the peer has taken in so many bytes of a session.
    pub(super) fn relieve(&self, number: PeerNumber, bytes: u64) {
        let mut state = self.lock();
        let Some(flow) = state.sessions.get_mut(&number) else {
            return;
        };
        flow.under_way = flow.under_way.saturating_sub(bytes);
        if flow.is_held && !flow.is_full() {
            flow.is_held = false;
            let writable = vec![(flow.folder, number)];
            state.waiting.push_back(Outgoing::Writable(writable));
            self.filled.notify_one();
        }
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
                if let Outgoing::Frame(ControlFrame::Session { parcel, .. }) = &next {
                    state.bytes -= parcel.bytes();
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

    fn outbox(window: u64) -> Outbox {
        let outbox = Outbox::default();
        outbox.begin(PEER, FOLDER, 1, window);
        outbox
    }

    fn parcel(bytes: usize) -> Parcel {
        Parcel::of(vec![0; bytes].into())
    }

    #[test]
    fn who_was_refused_is_told_when_there_is_room() {
        let outbox = outbox(0);
        let half = parcel(WAITING_BYTES_MAX / 2 + 1);
        outbox.send(PEER, half.clone()).unwrap();
        assert!(matches!(
            outbox.send(PEER, half.clone()),
            Err(SendError::Full(message)) if message == half
        ));
        assert!(matches!(outbox.next(), Some(Outgoing::Frame(_))));
        let writable = outbox.next();
        assert!(
            matches!(writable, Some(Outgoing::Writable(sessions)) if sessions == [(FOLDER, PEER)])
        );
        outbox.send(PEER, half).unwrap();
    }

    #[test]
    fn a_session_whose_folder_is_slow_waits_and_others_do_not() {
        let outbox = outbox(10);
        let other = PeerNumber(5);
        outbox.begin(other, FolderId(2), 1, 10);
        outbox.send(PEER, parcel(9)).unwrap();
        outbox.send(PEER, parcel(9)).unwrap();
        assert!(matches!(
            outbox.send(PEER, parcel(1)),
            Err(SendError::Full(_))
        ));
        outbox.send(other, parcel(9)).unwrap();
        for _ in 0..3 {
            assert!(matches!(outbox.next(), Some(Outgoing::Frame(_))));
        }
        outbox.relieve(PEER, 8);
        outbox.relieve(PEER, 1);
        let writable = outbox.next();
        assert!(
            matches!(writable, Some(Outgoing::Writable(sessions)) if sessions == [(FOLDER, PEER)])
        );
        outbox.send(PEER, parcel(1)).unwrap();
    }

    #[test]
    fn a_message_over_the_limit_is_taken_alone() {
        let outbox = outbox(0);
        outbox.send(PEER, parcel(2 * WAITING_BYTES_MAX)).unwrap();
        assert_eq!(outbox.len(), 1);
    }

    #[test]
    fn a_closed_one_takes_nothing_and_neither_does_a_session_that_is_over() {
        let outbox = outbox(0);
        outbox.forget(PEER);
        assert!(matches!(outbox.send(PEER, parcel(1)), Err(SendError::Gone)));
        outbox.begin(PEER, FOLDER, 1, 0);
        outbox.close();
        assert!(matches!(outbox.send(PEER, parcel(1)), Err(SendError::Gone)));
        assert!(outbox.next().is_none());
    }
}
