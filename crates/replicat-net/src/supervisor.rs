//! The task of a link: it runs the connections, opens bulk lanes when they are wanted, and ends it all.

use std::sync::{Arc, PoisonError};
use std::time::SystemTime;

use bytes::BytesMut;
use tokio::io::split;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::error::LinkEnd;
use crate::exchange::Control;
use crate::frame::Close;
use crate::greeting::write_greeting;
use crate::link::{LinkCore, Order};
use crate::reader::{FrameReader, Patience, ReadEnd, lost};
use crate::shared::Shared;
use crate::signals::Drained;
use crate::stream::Stream;
use crate::writer::FrameWriter;

pub(crate) struct Supervisor {
    shared: Arc<Shared>,
    core: Arc<LinkCore>,
    orders: mpsc::UnboundedReceiver<Order>,
    tasks: JoinSet<Ended>,
    /// Bulk lanes that have a connection, and those of them that still write.
    bulk_lanes: u8,
    bulk_writers: u8,
}

/// What ended in one of the tasks.
enum Ended {
    Reader(Result<ReadEnd, LinkEnd>),
    Writer {
        lane: usize,
        end: Result<(), LinkEnd>,
    },
    Opened {
        lane: usize,
        stream: Result<Box<Stream>, LinkEnd>,
    },
}

impl Supervisor {
    pub(crate) fn new(
        shared: Arc<Shared>,
        core: Arc<LinkCore>,
        orders: mpsc::UnboundedReceiver<Order>,
    ) -> Self {
        Self {
            shared,
            core,
            orders,
            tasks: JoinSet::new(),
            bulk_lanes: 0,
            bulk_writers: 0,
        }
    }

    /// Runs the link, beginning with its control connection, until it is down.
    pub(crate) async fn run(mut self, control: Control) {
        self.core.lanes[0].want();
        let end = match self.greeted(control).await {
            Ok(stream) => {
                self.attach(0, stream);
                self.serve().await
            }
            Err(end) => end,
        };
        self.core.end.get_or_init(|| end);
        self.tasks.shutdown().await;
        for lane in &self.core.lanes {
            lane.close();
        }
        self.core.stopped.cancel();
        self.shared.registry.remove(&self.core);
    }

    /// The control connection, once this node has greeted on it.
    async fn greeted(&self, control: Control) -> Result<Stream, LinkEnd> {
        let (mut stream, greeting) = match control {
            Control::Greeted(stream) => return Ok(stream),
            Control::Greeting(stream, greeting) => (stream, greeting),
        };
        let deadline = self.shared.config.handshake_deadline;
        match timeout(deadline, write_greeting(&mut stream, greeting)).await {
            Ok(Ok(())) => Ok(stream),
            Ok(Err(error)) => Err(lost(&error)),
            Err(_) => Err(LinkEnd::Silent(deadline)),
        }
    }

    async fn serve(&mut self) -> LinkEnd {
        let (core, shared) = (self.core.clone(), self.shared.clone());
        let lifetime = core.peer.expires.duration_since(SystemTime::now());
        let expiry = sleep(lifetime.unwrap_or_default());
        tokio::pin!(expiry);
        loop {
            let ended = tokio::select! {
                () = core.stopped.cancelled() => return core.ending(),
                () = core.draining.cancelled() => return self.drain().await,
                () = shared.stopping.cancelled() => return LinkEnd::Closed("the node stops".to_owned()),
                () = &mut expiry => return LinkEnd::Expired,
                Some(order) = self.orders.recv() => { self.obey(order); continue }
                Some(Ok(ended)) = self.tasks.join_next() => ended,
            };
            match ended {
                Ended::Opened {
                    lane,
                    stream: Ok(stream),
                } => self.attach(lane, *stream),
                Ended::Opened {
                    stream: Err(end), ..
                }
                | Ended::Reader(Err(end))
                | Ended::Writer { end: Err(end), .. } => return end,
                Ended::Reader(Ok(end)) => return self.closed_by_peer(end).await,
                Ended::Writer { lane, end: Ok(()) } => self.writer_finished(lane),
            }
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Attach { lane, stream } => self.attach(lane, *stream),
            Order::Open { lane } => {
                let (shared, core) = (self.shared.clone(), self.core.clone());
                self.tasks.spawn(async move {
                    let opened = crate::dial::open_bulk(&shared, &core, lane).await;
                    let stream = opened.map(Box::new).map_err(|error| {
                        LinkEnd::Lost(format!("bulk lane {lane} cannot be opened: {error}"))
                    });
                    Ended::Opened { lane, stream }
                });
            }
        }
    }

    /// Starts reading and writing a connection.
    fn attach(&mut self, lane: usize, stream: Stream) {
        let Some((to_write, to_read)) = self.core.lanes[lane].attach() else {
            return;
        };
        let counters = stream.get_ref().0.counters.clone();
        let mut wire = self
            .core
            .wire
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        wire.push(counters);
        drop(wire);
        let config = &self.shared.config;
        let ping_interval = config.ping_interval;
        let patience = Patience {
            dead_after: config.dead_after,
            challenge_deadline: config.challenge_deadline,
        };
        let limiter = config.limiter.clone();
        let (read_half, write_half) = split(stream);
        let core = self.core.clone();
        self.tasks.spawn(async move {
            let reader = FrameReader::new(&core, lane, read_half, to_read, patience);
            Ended::Reader(reader.run().await)
        });
        let core = self.core.clone();
        self.bulk_lanes += u8::from(lane > 0);
        self.bulk_writers += u8::from(lane > 0);
        self.tasks.spawn(async move {
            let writer = FrameWriter {
                core: &core,
                lane,
                stream: write_half,
                queue: to_write,
                limiter,
                ping_interval,
                batch: BytesMut::new(),
                last_word: Drained::Open,
            };
            let end = writer.run().await.map_err(|error| lost(&error));
            Ended::Writer { lane, end }
        });
    }

    /// This node closes the link: the bulk lanes deliver what they have, then the control lane what it
    /// has and the reason, and then the peer has seen it all when it closes its side.
    async fn drain(&mut self) -> LinkEnd {
        let (core, shared) = (self.core.clone(), self.shared.clone());
        // Whatever comes of it, the link was closed by us.
        tokio::select! {
            () = core.stopped.cancelled() => {}
            () = shared.stopping.cancelled() => {}
            () = sleep(shared.config.close_deadline) => {}
            () = self.drain_all() => {}
        }
        core.ending()
    }

    async fn drain_all(&mut self) {
        let mut told = false;
        loop {
            if !told && self.bulk_writers == 0 && !self.core.awaits_lane() {
                let close = Close {
                    bulk_lanes: self.bulk_lanes,
                    reason: self.core.closing_text(),
                };
                self.core.lanes[0].signals.close(close);
                told = true;
            }
            tokio::select! {
                Some(order) = self.orders.recv() => self.obey(order),
                ended = self.tasks.join_next() => match ended {
                    Some(Ok(Ended::Writer { lane, end: Ok(()) })) => self.writer_finished(lane),
                    Some(Ok(Ended::Opened { lane, stream: Ok(stream) })) => self.attach(lane, *stream),
                    Some(Ok(Ended::Reader(Ok(_)))) => {}
                    _ => return,
                },
            }
        }
    }

    fn writer_finished(&mut self, lane: usize) {
        self.bulk_writers -= u8::from(lane > 0);
    }

    /// The peer closes the link, or has begun to: what it sent before on other lanes may still be
    /// under way, on connections that may still be opening.
    async fn closed_by_peer(&mut self, first: ReadEnd) -> LinkEnd {
        let (core, shared) = (self.core.clone(), self.shared.clone());
        let mut goodbye = Goodbye::default();
        goodbye.note(first);
        let finished = tokio::select! {
            () = core.stopped.cancelled() => return core.ending(),
            () = shared.stopping.cancelled() => Ok(()),
            () = sleep(shared.config.close_deadline) => Ok(()),
            finished = self.read_rest(&mut goodbye) => finished,
        };
        match (goodbye.close, finished) {
            (Some(close), _) => LinkEnd::ClosedByPeer(close.reason),
            (None, Err(end)) => end,
            (None, Ok(())) => LinkEnd::Lost("the peer stopped sending".to_owned()),
        }
    }

    async fn read_rest(&mut self, goodbye: &mut Goodbye) -> Result<(), LinkEnd> {
        while !goodbye.is_complete() {
            tokio::select! {
                Some(order) = self.orders.recv() => self.obey(order),
                ended = self.tasks.join_next() => match ended {
                    Some(Ok(Ended::Reader(end))) => goodbye.note(end?),
                    Some(Ok(Ended::Opened { lane, stream })) => self.attach(lane, *stream?),
                    // What we write does not matter to the peer any more.
                    Some(_) => {}
                    None => return Ok(()),
                },
            }
        }
        Ok(())
    }
}

/// How much of a peer's goodbye has come.
#[derive(Default)]
struct Goodbye {
    finished_bulk_lanes: usize,
    close: Option<Close>,
}

impl Goodbye {
    fn note(&mut self, end: ReadEnd) {
        match end {
            ReadEnd::Finished => self.finished_bulk_lanes += 1,
            ReadEnd::Closed(close) => self.close = Some(close),
        }
    }

    fn is_complete(&self) -> bool {
        let close = self.close.as_ref();
        close.is_some_and(|close| self.finished_bulk_lanes >= usize::from(close.bulk_lanes))
    }
}
