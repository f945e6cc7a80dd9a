//! What a writer is asked to send besides frames of data. It holds at most one of each kind, so that
//! a peer that asks for much and reads nothing costs no memory.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use tokio::sync::Notify;

use crate::frame::{Close, Kind, encode_own};

#[derive(Default)]
pub(crate) struct Signals {
    pending: Mutex<Pending>,
    changed: Notify,
}

#[derive(Default)]
struct Pending {
    ping: Option<u64>,
    pong: Option<u64>,
    open: Vec<u8>,
    close: Option<Close>,
}

impl Signals {
    pub(crate) fn ping(&self, nonce: u64) {
        self.pending().ping = Some(nonce);
        self.changed.notify_one();
    }

    pub(crate) fn pong(&self, nonce: u64) {
        self.pending().pong = Some(nonce);
        self.changed.notify_one();
    }

    /// Asks the dialler for a bulk lane. A lane is asked for once, so that these are few.
    pub(crate) fn open(&self, lane: u8) {
        self.pending().open.push(lane);
        self.changed.notify_one();
    }

    /// Says why the link ends; the writer finishes with it.
    pub(crate) fn close(&self, close: Close) {
        self.pending().close = Some(close);
        self.changed.notify_one();
    }

    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Encodes what is to be sent, and says whether the last word was among it.
    pub(crate) fn drain(&self, buffer: &mut BytesMut) -> Drained {
        let Pending {
            ping,
            pong,
            open,
            close,
        } = std::mem::take(&mut *self.pending());
        if let Some(nonce) = ping {
            encode_own(Kind::Ping, &nonce.to_le_bytes(), buffer);
        }
        if let Some(nonce) = pong {
            encode_own(Kind::Pong, &nonce.to_le_bytes(), buffer);
        }
        for lane in open {
            encode_own(Kind::Open, &[lane], buffer);
        }
        match close {
            Some(close) => {
                close.encode(buffer);
                Drained::Closed
            }
            None => Drained::Open,
        }
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether more may follow what was drained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Drained {
    Open,
    Closed,
}
