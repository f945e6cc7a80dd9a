//! Writes the frames of one lane's queue to its connection.

use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::frame::{Header, Kind};
use crate::limiter::RateLimiter;
use crate::link::LinkCore;
use crate::queue::QueueReceiver;
use crate::signals::{Drained, Signals};

/// Payloads below this are copied together; from there on they are written as they are.
const COPY_BYTES_MAX: usize = 16 << 10;
/// How much is copied together before it is written.
const BATCH_BYTES: usize = 64 << 10;

/// Writes one connection.
pub(crate) struct FrameWriter<'a, W> {
    pub(crate) core: &'a LinkCore,
    pub(crate) lane: usize,
    pub(crate) stream: W,
    pub(crate) queue: QueueReceiver,
    pub(crate) limiter: RateLimiter,
    pub(crate) ping_interval: Duration,
    pub(crate) batch: BytesMut,
    pub(crate) last_word: Drained,
}

/// What a writer does next.
enum Next {
    Frame(Option<Bytes>),
    Signal,
    Ping,
    Drain,
}

impl<W: AsyncWrite + Unpin> FrameWriter<'_, W> {
    /// Writes until the link closes. A bulk lane then ends its half of the connection; the control
    /// lane waits for the last word, which is that the link closes.
    pub(crate) async fn run(mut self) -> io::Result<()> {
        let draining = self.core.draining.clone();
        self.write_until_closed(&draining).await?;
        self.queue.finish();
        self.write_queued().await?;
        if self.lane == 0 {
            self.write_signals_until_last().await?;
        }
        self.stream.shutdown().await
    }

    async fn write_until_closed(&mut self, draining: &CancellationToken) -> io::Result<()> {
        let core = self.core;
        let signals = &core.lanes[self.lane].signals;
        let mut sent = Instant::now();
        loop {
            let next = tokio::select! {
                biased;
                () = draining.cancelled() => Next::Drain,
                () = signals.changed() => Next::Signal,
                frame = self.queue.recv() => Next::Frame(frame),
                () = sleep_until(sent + self.ping_interval) => Next::Ping,
            };
            match next {
                Next::Drain | Next::Frame(None) => return Ok(()),
                Next::Frame(Some(frame)) => self.put(frame).await?,
                Next::Signal => {}
                Next::Ping => signals.ping(core.elapsed_microseconds()),
            }
            self.write_queued().await?;
            sent = Instant::now();
        }
    }

    fn signals(&self) -> &Signals {
        &self.core.lanes[self.lane].signals
    }

    /// Writes all that waits, so that many small frames become few packets, and flushes.
    async fn write_queued(&mut self) -> io::Result<()> {
        while let Some(frame) = self.queue.try_recv() {
            self.put(frame).await?;
        }
        self.put_signals();
        self.write_batch().await?;
        self.stream.flush().await
    }

    fn put_signals(&mut self) {
        let core = self.core;
        if self.last_word == Drained::Open {
            self.last_word = core.lanes[self.lane].signals.drain(&mut self.batch);
        }
    }

    async fn write_signals_until_last(&mut self) -> io::Result<()> {
        while self.last_word == Drained::Open {
            self.signals().changed().await;
            self.put_signals();
            self.write_batch().await?;
            self.stream.flush().await?;
        }
        Ok(())
    }

    async fn put(&mut self, frame: Bytes) -> io::Result<()> {
        let length = frame.len();
        let header = Header {
            kind: Kind::Data,
            length: u32::try_from(length).map_err(io::Error::other)?,
        };
        header.encode(&mut self.batch);
        if length < COPY_BYTES_MAX {
            self.batch.extend_from_slice(&frame);
            if self.batch.len() >= BATCH_BYTES {
                self.write_batch().await?;
            }
        } else {
            self.write_large(frame).await?;
        }
        let sent = &self.core.payload.sent;
        sent.fetch_add(length as u64, Ordering::Relaxed);
        Ok(())
    }

    async fn write_batch(&mut self) -> io::Result<()> {
        let mut batch = self.batch.split();
        self.write(&mut batch).await
    }

    /// Writes what is batched and then the frame, without copying it.
    async fn write_large(&mut self, frame: Bytes) -> io::Result<()> {
        let batch = self.batch.split();
        self.write(&mut batch.chain(frame)).await
    }

    async fn write(&mut self, bytes: &mut (impl Buf + Unpin)) -> io::Result<()> {
        while bytes.has_remaining() {
            match self.slice() {
                None => self.stream.write_all_buf(bytes).await?,
                Some(slice) => self.write_slice(bytes, slice).await?,
            }
        }
        Ok(())
    }

    async fn write_slice(&mut self, bytes: &mut impl Buf, slice: usize) -> io::Result<()> {
        let length = slice.min(bytes.chunk().len());
        self.limiter.acquire(length).await;
        self.stream.write_all(&bytes.chunk()[..length]).await?;
        bytes.advance(length);
        self.stream.flush().await
    }

    /// The control lane is not limited: what it carries is small, and others wait for it.
    fn slice(&self) -> Option<usize> {
        match self.lane {
            0 => None,
            _ => self.limiter.slice(),
        }
    }
}
