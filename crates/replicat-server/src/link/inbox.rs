//! What came for the session of a folder and was not taken in by it yet, in bytes.
//!
//! Goals: a folder that is slow holds up the peer's messages for it, and nobody else's; what waits in memory is bounded.
//! Non-goals: the messages themselves, which wait at the folder.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// How many bytes of a session may be under way to this node before its next message: that goes whatever its length.
pub(super) const WINDOW_BYTES: u64 = 2 << 20;
/// After how many bytes taken in the peer is told. Less than the window, so that it need not stop.
const TOLD_BYTES: u64 = WINDOW_BYTES / 4;

/// Counts the bytes of one session.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    state: Mutex<State>,
    taken: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: u64,
    /// Taken in, and the peer was not told so yet.
    untold: u64,
    is_closed: bool,
}

/// The peer sent more than it was allowed to.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the peer sent more for a folder than it may before that is taken in")]
pub(super) struct TooMuch;

impl Inbox {
    /// Notes that a parcel of so many bytes came, which the peer sent by leave.
    pub(super) fn note(&self, bytes: u64) -> Result<(), TooMuch> {
        let mut state = self.lock();
        if state.waiting >= WINDOW_BYTES {
            return Err(TooMuch);
        }
        state.waiting += bytes;
        Ok(())
    }

    /// As [`Self::note`], for a peer that asks for no leave: waits until there is room.
    pub(super) fn note_patiently(&self, bytes: u64) {
        let state = self.lock();
        let is_full = |state: &mut State| state.waiting >= WINDOW_BYTES && !state.is_closed;
        let waited = self.taken.wait_while(state, is_full);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        state.waiting += bytes;
    }

    /// Notes that the folder took in so many bytes. How many the peer is to be told of, if it is time.
    pub(super) fn take(&self, bytes: u64) -> Option<u64> {
        let mut state = self.lock();
        state.waiting = state.waiting.saturating_sub(bytes);
        state.untold += bytes;
        self.taken.notify_all();
        let is_due = state.untold >= TOLD_BYTES;
        is_due.then(|| std::mem::take(&mut state.untold))
    }

    /// The session is over: nobody waits any more.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.taken.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_sends_beyond_the_window_is_found_out() {
        let inbox = Inbox::default();
        inbox.note(WINDOW_BYTES - 1).unwrap();
        inbox.note(5 * WINDOW_BYTES).unwrap();
        assert_eq!(inbox.note(1), Err(TooMuch));
        assert_eq!(inbox.take(1), None);
        assert_eq!(inbox.take(6 * WINDOW_BYTES - 2), Some(6 * WINDOW_BYTES - 1));
        inbox.note(1).unwrap();
    }

    #[test]
    fn who_asks_for_no_leave_waits_until_the_folder_has_taken_in_or_the_session_is_over() {
        let inbox = std::sync::Arc::new(Inbox::default());
        for end in [Inbox::close as fn(&Inbox), |inbox| {
            inbox.take(WINDOW_BYTES);
        }] {
            inbox.note_patiently(WINDOW_BYTES);
            let waiting = std::sync::Arc::clone(&inbox);
            let thread = std::thread::spawn(move || waiting.note_patiently(1));
            end(&inbox);
            thread.join().unwrap();
        }
    }
}
