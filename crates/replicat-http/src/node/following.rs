//! What happens at a node, as a stream of events.

use std::io;
use std::time::{Duration, Instant, SystemTime};

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use replicat_server::ReplicatServer;
use replicat_server::control::json::{Object, object};
use replicat_server::control::{self, Command};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::events::{EventId, id_text, identified, started};
use super::no_query;
use crate::app::App;
use crate::caller::Caller;
use crate::problem::Problem;
use crate::stream::{self, channel_body};

/// How many pieces wait for a client.
const PIECES_MAX: usize = 16;
/// How long events are waited for before all else is looked at.
const PATIENCE: Duration = Duration::from_millis(250);
/// How often the node and the token are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How long nothing is said at most.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(15);

pub(super) async fn answer(
    State(app): State<App>,
    RawQuery(query): RawQuery,
    axum::Extension(caller): axum::Extension<Caller>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    no_query(query.as_deref())?;
    let server = app.node()?.clone();
    let last = headers.get("last-event-id").filter(|last| !last.is_empty());
    let last = last.map(|last| last.to_str().ok().and_then(EventId::parse));
    let place = std::sync::Arc::clone(app.streaming()).try_acquire_owned();
    let place = place.map_err(|_| Problem::busy("streams of events"))?;
    let (sender, body) = channel_body(PIECES_MAX);
    let follower = Follower {
        app,
        server,
        caller,
        sender,
        _place: place,
    };
    tokio::task::spawn_blocking(move || follower.follow(last));
    Ok(stream::answer(body))
}

/// Why nothing more is sent.
enum End {
    /// Nobody takes it.
    Gone,
    /// The client is told why.
    Told(&'static str),
}

struct Follower {
    app: App,
    server: ReplicatServer,
    caller: Caller,
    sender: mpsc::Sender<io::Result<Bytes>>,
    _place: OwnedSemaphorePermit,
}

impl Follower {
    /// Sends what happens. `last` is the last event that the client has, `Some(None)` if it cannot be one.
    fn follow(&self, last: Option<Option<EventId>>) {
        if let Err(End::Told(reason)) = self.run(last) {
            // Whoever is gone needs no reason.
            let _ = self.send(stream::end(reason));
        }
    }

    fn send(&self, bytes: Bytes) -> Result<(), End> {
        self.sender.blocking_send(Ok(bytes)).map_err(|_| End::Gone)
    }

    fn run(&self, last: Option<Option<EventId>>) -> Result<(), End> {
        let started = started(&self.server);
        let mut shown = self.node()?;
        self.send(stream::event("node", None, &shown))?;
        let mut next = self.resume(last, started)?;
        let mut looked = Instant::now();
        let mut said = Instant::now();
        let stopped = self.app.stopped();
        loop {
            let news = self.server.events_since(next, PATIENCE);
            let (records, behind) = news.ok_or(End::Told("the node stops"))?;
            // More came than are kept.
            if behind - records.len() as u64 > next {
                self.send(stream::event("gap", None, &object("gap")))?;
            }
            next = behind;
            for (id, row) in identified(&records, behind, started) {
                self.send(stream::event("event", Some(&id_text(id)), &row))?;
                said = Instant::now();
            }
            if *stopped.borrow() {
                return Err(End::Told("the node stops"));
            }
            if looked.elapsed() >= LOOK_INTERVAL {
                looked = Instant::now();
                self.admit()?;
                let now = self.node()?;
                if now != shown {
                    self.send(stream::event("node", None, &now))?;
                    said = Instant::now();
                    shown = now;
                }
            }
            if said.elapsed() >= HEARTBEAT_INTERVAL {
                self.send(stream::heartbeat())?;
                said = Instant::now();
            }
            if self.sender.is_closed() {
                return Err(End::Gone);
            }
        }
    }

    /// The number of the first event that is sent. What cannot be gone on with is told of as a gap.
    fn resume(&self, last: Option<Option<EventId>>, started: u64) -> Result<u64, End> {
        let kept = self.server.events_since(0, Duration::ZERO);
        let (records, behind) = kept.ok_or(End::Told("the node stops"))?;
        let Some(last) = last else {
            return Ok(behind);
        };
        let first = behind - records.len() as u64;
        let next = last
            .filter(|last| last.started == started)
            .and_then(|last| last.number.checked_add(1))
            .filter(|next| (first..=behind).contains(next));
        match next {
            Some(next) => Ok(next),
            None => {
                self.send(stream::event("gap", None, &object("gap")))?;
                Ok(behind)
            }
        }
    }

    fn node(&self) -> Result<Object, End> {
        let mut objects = control::answer(&self.server, Command::Status).unwrap_or_default();
        objects.pop().ok_or(End::Told("the node stops"))
    }

    fn admit(&self) -> Result<(), End> {
        match self.app.tokens().is_good(&self.caller.0, SystemTime::now()) {
            true => Ok(()),
            false => Err(End::Told("the token was revoked or has ended")),
        }
    }
}
