//! A lane: one ordered stream of frames in each direction, on a connection of its own.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex as StdMutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Mutex;

use crate::error::{SendError, TrySendError};
use crate::link::{Link, LinkCore};
use crate::queue::{QueueReceiver, QueueSender, TryReserveError, queue};
use crate::signals::Signals;

/// What both ends of a lane share with its connection.
pub(crate) struct LaneCore {
    pub(crate) outgoing: QueueSender,
    /// Taken by the writer, once there is a connection.
    to_write: StdMutex<Option<QueueReceiver>>,
    /// Taken by the reader, once there is a connection: when the reader ends, so does what is received.
    to_read: StdMutex<Option<QueueSender>>,
    received: Mutex<QueueReceiver>,
    pub(crate) signals: Signals,
    /// Whether a connection was asked for.
    wanted: AtomicBool,
}

/// The payload of all lanes of a link.
#[derive(Debug, Default)]
pub(crate) struct PayloadCounters {
    pub(crate) sent: AtomicU64,
    pub(crate) received: AtomicU64,
}

impl LaneCore {
    pub(crate) fn new(capacity: u32) -> Self {
        let (outgoing, to_write) = queue(capacity);
        let (incoming, received) = queue(capacity);
        Self {
            outgoing,
            to_write: StdMutex::new(Some(to_write)),
            to_read: StdMutex::new(Some(incoming)),
            received: Mutex::new(received),
            signals: Signals::default(),
            wanted: AtomicBool::new(false),
        }
    }

    /// Both queues for a connection, or `None` if it has one already.
    pub(crate) fn attach(&self) -> Option<(QueueReceiver, QueueSender)> {
        let to_write = lock(&self.to_write).take()?;
        let to_read = lock(&self.to_read).take()?;
        Some((to_write, to_read))
    }

    pub(crate) fn awaits_connection(&self) -> bool {
        self.is_wanted() && lock(&self.to_write).is_some()
    }

    /// Nothing is sent or received any more.
    pub(crate) fn close(&self) {
        self.outgoing.close();
        drop(self.attach());
    }

    /// Whether this is the first time that a connection is wanted.
    pub(crate) fn want(&self) -> bool {
        !self.wanted.swap(true, Ordering::Relaxed)
    }

    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }
}

fn lock<T>(mutex: &StdMutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A handle on a lane. Clones are handles on the same lane, and keep its link up.
///
/// Frames arrive whole and in order; between lanes there is no order. What is sent waits in a
/// bounded queue, and so does what is received: a receiver that does not take its frames stops the
/// sender on the other side, and no other lane.
#[derive(Clone)]
pub struct Lane {
    link: Link,
    index: usize,
}

impl Lane {
    pub(crate) fn new(link: Link, index: usize) -> Self {
        Self { link, index }
    }

    /// The link that the lane belongs to.
    #[must_use]
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// Queues a frame; waits while the queue is full.
    ///
    /// # Errors
    /// If the link is down or the frame is too long.
    pub async fn send(&self, frame: Bytes) -> Result<(), SendError> {
        self.check(&frame)?;
        self.open();
        let room = self.core().outgoing.reserve(frame.len()).await;
        room.map_err(|_| self.closed())?.send(frame);
        Ok(())
    }

    /// As [`Lane::send`], for a thread outside the runtime.
    ///
    /// # Errors
    /// If the link is down or the frame is too long.
    ///
    /// # Panics
    /// If called from asynchronous code.
    pub fn blocking_send(&self, frame: Bytes) -> Result<(), SendError> {
        match self.try_send(frame) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(frame)) => self.link_core().runtime.block_on(self.send(frame)),
            Err(TrySendError::Refused(error)) => Err(error),
        }
    }

    /// Queues a frame if there is room at once.
    ///
    /// # Errors
    /// If there is no room, the link is down or the frame is too long.
    pub fn try_send(&self, frame: Bytes) -> Result<(), TrySendError> {
        self.check(&frame)?;
        self.open();
        match self.core().outgoing.try_reserve(frame.len()) {
            Ok(room) => {
                room.send(frame);
                Ok(())
            }
            Err(TryReserveError::Full) => Err(TrySendError::Full(frame)),
            Err(TryReserveError::Closed) => Err(self.closed().into()),
        }
    }

    /// The next frame; `None` once the link is down and all that came is taken. Of several that
    /// wait, one gets it. Dropping the future loses nothing.
    pub async fn recv(&self) -> Option<Bytes> {
        self.core().received.lock().await.recv().await
    }

    /// As [`Lane::recv`], for a thread outside the runtime.
    ///
    /// # Panics
    /// If called from asynchronous code.
    #[must_use]
    pub fn blocking_recv(&self) -> Option<Bytes> {
        self.core().received.blocking_lock().blocking_recv()
    }

    fn check(&self, frame: &Bytes) -> Result<(), SendError> {
        let max = self.link_core().frame_bytes_max;
        if frame.len() > max as usize {
            let bytes = frame.len();
            return Err(SendError::TooLong { bytes, max });
        }
        Ok(())
    }

    /// Bulk lanes get their connection when they are first used.
    fn open(&self) {
        if self.index > 0 && !self.core().is_wanted() && self.core().want() {
            self.link_core().open(self.index);
        }
    }

    fn closed(&self) -> SendError {
        SendError::Closed(self.link_core().ending())
    }

    fn link_core(&self) -> &LinkCore {
        self.link.core()
    }

    fn core(&self) -> &LaneCore {
        &self.link_core().lanes[self.index]
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Lane({} of {:?})", self.index, self.link)
    }
}
