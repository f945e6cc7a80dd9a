//! Reads the frames of one connection into the queue of its lane.

use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, BufReader};
use tokio::time::{sleep, timeout};

use crate::error::LinkEnd;
use crate::frame::{Close, HEADER_BYTES, Header, Kind};
use crate::link::{LinkCore, Order, Side};
use crate::queue::QueueSender;

/// How much is taken from TLS at once when frames are small.
const BUFFER_BYTES: usize = 32 << 10;

/// How a connection ended in good order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ReadEnd {
    /// The peer sends nothing more here.
    Finished,
    /// The peer closes the link, and says why.
    Closed(Close),
}

/// Reads one connection.
pub(crate) struct FrameReader<'a, R> {
    core: &'a LinkCore,
    lane: usize,
    stream: BufReader<R>,
    queue: QueueSender,
    patience: Patience,
}

/// After how much silence a peer is taken for dead.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// As a rule.
    pub(crate) dead_after: Duration,
    /// Once it was asked for a sign of life because somebody else claims its name.
    pub(crate) challenge_deadline: Duration,
}

impl<'a, R: AsyncRead + Unpin> FrameReader<'a, R> {
    pub(crate) fn new(
        core: &'a LinkCore,
        lane: usize,
        stream: R,
        queue: QueueSender,
        patience: Patience,
    ) -> Self {
        Self {
            core,
            lane,
            stream: BufReader::with_capacity(BUFFER_BYTES, stream),
            queue,
            patience,
        }
    }

    /// Reads until the connection ends.
    pub(crate) async fn run(mut self) -> Result<ReadEnd, LinkEnd> {
        loop {
            let Some(header) = self.header().await? else {
                return Ok(ReadEnd::Finished);
            };
            match header.kind {
                Kind::Data => self.data(header.length as usize).await?,
                _ => {
                    let payload = self.payload(header.length as usize).await?;
                    if let Some(close) = self.own(header.kind, &payload)? {
                        return Ok(ReadEnd::Closed(close));
                    }
                }
            }
        }
    }

    /// Room in the queue is taken before the bytes are, so that memory stays bounded and a slow
    /// receiver stops the sender.
    async fn data(&mut self, length: usize) -> Result<(), LinkEnd> {
        let queue = self.queue.clone();
        let room = queue.reserve(length).await;
        let room = room.map_err(|_| LinkEnd::Lost("the queue is closed".to_owned()))?;
        let payload = self.payload(length).await?;
        let received = &self.core.payload.received;
        received.fetch_add(payload.len() as u64, Ordering::Relaxed);
        room.send(payload);
        Ok(())
    }

    async fn header(&mut self) -> Result<Option<Header>, LinkEnd> {
        let mut bytes = [0; HEADER_BYTES];
        let mut filled = 0;
        while filled < HEADER_BYTES {
            let life = self.life();
            let read = life.await_sign(self.stream.read(&mut bytes[filled..]));
            let read = read.await?;
            match (read, filled) {
                (0, 0) => return Ok(None),
                (0, _) => return Err(cut_off()),
                _ => filled += read,
            }
        }
        let header = Header::decode(bytes, self.core.frame_bytes_max);
        header
            .map(Some)
            .map_err(|error| LinkEnd::Protocol(error.to_string()))
    }

    async fn payload(&mut self, length: usize) -> Result<Bytes, LinkEnd> {
        let mut payload = BytesMut::with_capacity(length);
        while payload.len() < length {
            let missing = length - payload.len();
            let mut rest = (&mut payload).limit(missing);
            let life = self.life();
            let read = life.await_sign(self.stream.read_buf(&mut rest)).await?;
            if read == 0 {
                return Err(cut_off());
            }
        }
        Ok(payload.freeze())
    }

    fn life(&self) -> Life<'a> {
        Life {
            core: self.core,
            lane: self.lane,
            patience: self.patience,
        }
    }

    /// Handles a frame that is meant for the link itself. Returns a close.
    fn own(&self, kind: Kind, payload: &[u8]) -> Result<Option<Close>, LinkEnd> {
        match kind {
            Kind::Ping => self.core.lanes[self.lane].signals.pong(nonce(payload)?),
            Kind::Pong => self.pong(nonce(payload)?),
            Kind::Open => self.open(payload)?,
            Kind::Close if self.lane == 0 => {
                let close = Close::decode(payload);
                return close.map(Some).ok_or_else(|| misplaced("an empty close"));
            }
            Kind::Close => return Err(misplaced("a close on a bulk lane")),
            Kind::Data => {}
        }
        Ok(None)
    }

    /// The nonce of our pings is the time since the link began, in microseconds.
    fn pong(&self, nonce: u64) {
        let now = self.core.elapsed_microseconds();
        if let Some(round_trip) = now.checked_sub(nonce) {
            self.core
                .round_trip
                .store(round_trip.max(1), Ordering::Relaxed);
        }
    }

    fn open(&self, payload: &[u8]) -> Result<(), LinkEnd> {
        let lane = match payload {
            [lane] => usize::from(*lane),
            _ => return Err(misplaced("an unreadable request for a lane")),
        };
        let known = (1..self.core.lanes.len()).contains(&lane);
        if self.core.side == Side::Acceptor || self.lane != 0 || !known {
            return Err(misplaced("a request for a lane that is not there"));
        }
        if self.core.lanes[lane].want() {
            // If nobody takes the order, the link is over.
            let _ = self.core.orders.send(Order::Open { lane });
        }
        Ok(())
    }
}

/// Whether the peer of a connection is alive.
#[derive(Clone, Copy)]
struct Life<'a> {
    core: &'a LinkCore,
    lane: usize,
    patience: Patience,
}

impl Life<'_> {
    /// Reads. Any byte is a sign of life. Time in which we do not read does not count.
    async fn await_sign(
        self,
        read: impl Future<Output = io::Result<usize>>,
    ) -> Result<usize, LinkEnd> {
        tokio::select! {
            biased;
            read = read => {
                self.core.note_alive();
                read.map_err(|error| lost(&error))
            }
            silence = self.silence() => Err(LinkEnd::Silent(silence)),
        }
    }

    /// Ends after more silence than there may be, and says how much that was.
    async fn silence(self) -> Duration {
        let dead_after = self.patience.dead_after;
        tokio::select! {
            () = sleep(dead_after) => dead_after,
            after = self.challenged() => after,
        }
    }

    /// Pings are answered on the control lane; what comes on another one is a sign of life as well.
    async fn challenged(self) -> Duration {
        if self.lane > 0 {
            return std::future::pending().await;
        }
        let mut challenged = self.core.challenged.subscribe();
        loop {
            // The sender lives as long as the link.
            let _ = challenged.wait_for(|is| *is).await;
            let answered = challenged.wait_for(|is| !*is);
            let deadline = self.patience.challenge_deadline;
            if timeout(deadline, answered).await.is_err() {
                return deadline;
            }
        }
    }
}

/// The error of a stream, in words that do not suggest a fault in TLS when a process just ended.
pub(crate) fn lost(error: &io::Error) -> LinkEnd {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => cut_off(),
        _ => LinkEnd::Lost(error.to_string()),
    }
}

fn cut_off() -> LinkEnd {
    LinkEnd::Lost("the peer is gone without a goodbye".to_owned())
}

fn misplaced(what: &str) -> LinkEnd {
    LinkEnd::Protocol(what.to_owned())
}

fn nonce(payload: &[u8]) -> Result<u64, LinkEnd> {
    let bytes = payload
        .try_into()
        .map_err(|_| misplaced("a ping without its eight bytes"))?;
    Ok(u64::from_le_bytes(bytes))
}
