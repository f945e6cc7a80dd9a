//! A TCP stream that counts its bytes and reads in large steps: the TLS library asks for 4 KiB at a time.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Bytes on the wire of one or more connections.
#[derive(Debug, Default)]
pub(crate) struct WireCounters {
    pub(crate) received: AtomicU64,
    pub(crate) sent: AtomicU64,
}

/// A counted stream.
pub(crate) struct Metered {
    stream: TcpStream,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    pub(crate) counters: Arc<WireCounters>,
}

/// How much is read at once.
const BUFFER_BYTES: usize = 64 << 10;

impl Metered {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            buffer: vec![0; BUFFER_BYTES].into_boxed_slice(),
            start: 0,
            end: 0,
            counters: Arc::default(),
        }
    }

    pub(crate) fn tcp(&self) -> &TcpStream {
        &self.stream
    }

    fn fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut buffer = ReadBuf::new(&mut self.buffer);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
        self.start = 0;
        self.end = buffer.filled().len();
        let read = self.end as u64;
        self.counters.received.fetch_add(read, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }

    fn count_sent(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = &written {
            self.counters
                .sent
                .fetch_add(*bytes as u64, Ordering::Relaxed);
        }
        written
    }
}

impl AsyncRead for Metered {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        output: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.start == this.end {
            ready!(this.fill(context))?;
        }
        let take = (this.end - this.start).min(output.remaining());
        output.put_slice(&this.buffer[this.start..this.start + take]);
        this.start += take;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Metered {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.count_sent(written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(context, slices);
        this.count_sent(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
