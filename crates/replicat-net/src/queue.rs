//! Queues of frames that are bounded by bytes, since frames differ in size by six orders of magnitude.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, TryAcquireError, mpsc};

/// What a frame costs besides its bytes, so that empty frames are bounded as well.
const FRAME_OVERHEAD: u32 = 64;

/// The entrance of a queue. It is closed by [`QueueSender::close`].
#[derive(Clone)]
pub(crate) struct QueueSender {
    room: Arc<Semaphore>,
    capacity: u32,
    frames: mpsc::UnboundedSender<Queued>,
}

/// The exit of a queue.
pub(crate) struct QueueReceiver {
    frames: mpsc::UnboundedReceiver<Queued>,
}

struct Queued {
    frame: Bytes,
    _room: OwnedSemaphorePermit,
}

/// Room in a queue for one frame, taken before its bytes are.
pub(crate) struct Reservation<'a> {
    queue: &'a QueueSender,
    room: OwnedSemaphorePermit,
}

/// Why a frame was not queued at once.
pub(crate) enum TryReserveError {
    Full,
    Closed,
}

/// A queue that holds up to `capacity` bytes. One frame may be larger, alone.
pub(crate) fn queue(capacity: u32) -> (QueueSender, QueueReceiver) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let sender = QueueSender {
        room: Arc::new(Semaphore::new(capacity as usize)),
        capacity,
        frames: sender,
    };
    (sender, QueueReceiver { frames: receiver })
}

impl QueueSender {
    fn cost(&self, bytes: usize) -> u32 {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        bytes.saturating_add(FRAME_OVERHEAD).min(self.capacity)
    }

    /// Waits for room for a frame of `bytes`. Those who wait are served in order.
    pub(crate) async fn reserve(&self, bytes: usize) -> Result<Reservation<'_>, AcquireError> {
        let room = self.room.clone().acquire_many_owned(self.cost(bytes));
        Ok(Reservation {
            queue: self,
            room: room.await?,
        })
    }

    pub(crate) fn try_reserve(&self, bytes: usize) -> Result<Reservation<'_>, TryReserveError> {
        match self.room.clone().try_acquire_many_owned(self.cost(bytes)) {
            Ok(room) => Ok(Reservation { queue: self, room }),
            Err(TryAcquireError::NoPermits) => Err(TryReserveError::Full),
            Err(TryAcquireError::Closed) => Err(TryReserveError::Closed),
        }
    }

    /// No frame enters any more; those inside can still be received.
    pub(crate) fn close(&self) {
        self.room.close();
    }
}

impl Reservation<'_> {
    pub(crate) fn send(self, frame: Bytes) {
        let Self { queue, room } = self;
        // If the receiver is gone, so is the link; the frame has nowhere to go.
        let _ = queue.frames.send(Queued { frame, _room: room });
    }
}

impl QueueReceiver {
    /// The next frame; `None` once the queue is closed and empty.
    pub(crate) async fn recv(&mut self) -> Option<Bytes> {
        self.frames.recv().await.map(|queued| queued.frame)
    }

    pub(crate) fn blocking_recv(&mut self) -> Option<Bytes> {
        self.frames.blocking_recv().map(|queued| queued.frame)
    }

    pub(crate) fn try_recv(&mut self) -> Option<Bytes> {
        self.frames.try_recv().ok().map(|queued| queued.frame)
    }

    /// Receives what is inside, then `None`.
    pub(crate) fn finish(&mut self) {
        self.frames.close();
    }
}
