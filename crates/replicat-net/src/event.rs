//! What an endpoint tells of.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::error::{ConnectError, LinkEnd};
use crate::link::Link;
use crate::name::PeerIdentity;

/// How many events may wait before refusals are left out: strangers cause those, as many as they like.
const REFUSALS_PENDING_MAX: usize = 1024;

/// What happened at an endpoint.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A peer is connected. There is at most one link to a peer at a time.
    LinkUp(Link),
    /// The link to a peer is over. What it had received can still be taken from its lanes.
    LinkDown {
        /// Who it was.
        peer: PeerIdentity,
        /// Why.
        reason: LinkEnd,
    },
    /// An attempt to dial failed; the next one follows.
    DialFailed {
        /// The `host:port` that was dialled.
        address: String,
        /// Why.
        reason: ConnectError,
        /// When the next attempt is made, from now.
        next_attempt: Duration,
    },
    /// A connection from elsewhere was refused, or broke off before its greeting.
    Refused {
        /// Where it came from.
        address: SocketAddr,
        /// Who it was, if that was proved.
        peer: Option<PeerIdentity>,
        /// Why.
        reason: ConnectError,
    },
}

/// The events of an endpoint, in order.
#[derive(Debug)]
pub struct Events {
    receiver: mpsc::UnboundedReceiver<Event>,
    pending: Arc<AtomicUsize>,
}

#[derive(Debug, Clone)]
pub(crate) struct EventSender {
    sender: mpsc::UnboundedSender<Event>,
    pending: Arc<AtomicUsize>,
}

pub(crate) fn events() -> (EventSender, Events) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let pending = Arc::new(AtomicUsize::new(0));
    let events = Events {
        receiver,
        pending: pending.clone(),
    };
    (EventSender { sender, pending }, events)
}

impl Events {
    /// The next event; `None` once the endpoint is closed.
    pub async fn recv(&mut self) -> Option<Event> {
        let event = self.receiver.recv().await;
        self.taken(event)
    }

    /// As [`Events::recv`], for a thread outside the runtime.
    pub fn blocking_recv(&mut self) -> Option<Event> {
        let event = self.receiver.blocking_recv();
        self.taken(event)
    }

    /// The next event if there is one already.
    pub fn try_recv(&mut self) -> Option<Event> {
        let event = self.receiver.try_recv().ok();
        self.taken(event)
    }

    fn taken(&self, event: Option<Event>) -> Option<Event> {
        if event.is_some() {
            self.pending.fetch_sub(1, Ordering::Relaxed);
        }
        event
    }
}

impl EventSender {
    /// Whoever does not listen any more misses nothing: a link that is not taken is dropped, and closes.
    pub(crate) fn send(&self, event: Event) {
        let pending = self.pending.load(Ordering::Relaxed);
        if matches!(event, Event::Refused { .. }) && pending >= REFUSALS_PENDING_MAX {
            return;
        }
        self.pending.fetch_add(1, Ordering::Relaxed);
        if self.sender.send(event).is_err() {
            self.pending.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
