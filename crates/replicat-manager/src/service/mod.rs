//! The manager as a process that nodes are connected to.
//!
//! Goals: what is decided reaches every connected node at once, by whichever manager it was decided; a removed node is cut
//! off at once; a node that is slow or gone holds up no other.
//! Non-goals: deciding anything.

mod board;
mod notices;
mod session;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use replicat_net::{Endpoint, EndpointConfig, Event, Events, Link, PeerIdentity};
use replicat_notify::Notifier;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::error::ManagerError;
use crate::manager::Manager;
use crate::sighting::Sightings;
use crate::state::EnrolmentRequest;
use crate::wire::EnrolmentAnswer;
use board::Board;

/// The port that a manager listens on where none is given.
pub const MANAGER_PORT: u16 = 8788;
/// How often the state is looked at for what others changed: nodes that were removed are to be gone within two seconds.
const REFRESH_INTERVAL: Duration = Duration::from_millis(500);
/// How often it is written down how the nodes stand.
pub(crate) const SIGHTINGS_INTERVAL: Duration = Duration::from_secs(2);
/// The longest frame of a node, in bytes: a report of all the folders that there may be.
const FRAME_BYTES_MAX: u32 = 8 << 20;

/// A manager that nodes are connected to.
pub struct Service {
    manager: Arc<Manager>,
    endpoint: Endpoint,
    board: Arc<Board>,
    stopped: watch::Sender<bool>,
    tasks: JoinSet<()>,
    notifier: Arc<Notifier>,
}

/// Sees how the nodes stand, as long as it is held.
#[derive(Clone)]
pub struct Observer(Arc<Board>);

impl Observer {
    /// How the nodes stand.
    #[must_use]
    pub fn sightings(&self) -> Sightings {
        self.0.sightings(SystemTime::now())
    }
}

impl Service {
    /// Listens for nodes at `address`, `host:port`; port 0 takes a free one.
    ///
    /// # Errors
    /// If the address cannot be listened on, or the manager has no usable certificate.
    pub async fn start(manager: Arc<Manager>, address: &str) -> Result<Self, ManagerError> {
        let config = EndpointConfig {
            listen: Some(address.to_owned()),
            frame_bytes_max: FRAME_BYTES_MAX,
            queue_bytes_max: FRAME_BYTES_MAX,
            ..EndpointConfig::default()
        };
        let identity = manager.identity()?;
        let (endpoint, events) = Endpoint::bind(identity, config).await?;
        let admitting = Arc::clone(&manager);
        endpoint.set_admission(move |peer| admit(&admitting, peer));
        let answering = Arc::clone(&manager);
        endpoint.set_reception(move |question| answer(Arc::clone(&answering), question));
        let board = Arc::new(Board::new(manager.load_sightings().await?));
        let stopped = watch::Sender::new(false);
        let mut tasks = JoinSet::new();
        let following = follow(Arc::clone(&manager), Arc::clone(&board), events);
        tasks.spawn(until_stopped(following, stopped.subscribe()));
        let (others, until) = (Arc::clone(&manager), stopped.subscribe());
        tasks.spawn(until_stopped(refresh(others), until));
        let writing = write_sightings(Arc::clone(&manager), Arc::clone(&board));
        tasks.spawn(until_stopped(writing, stopped.subscribe()));
        Ok(Self {
            manager,
            endpoint,
            board,
            stopped,
            tasks,
            notifier: Arc::default(),
        })
    }

    /// Tells people of what needs them from now on: of a node when it has been away for `lost_after`.
    pub fn notify(&mut self, notifier: Notifier, lost_after: Duration) {
        self.notifier = Arc::new(notifier);
        let (manager, board) = (Arc::clone(&self.manager), Arc::clone(&self.board));
        let telling = notices::follow(manager, board, Arc::clone(&self.notifier), lost_after);
        let until = self.stopped.subscribe();
        self.tasks.spawn(until_stopped(telling, until));
    }

    /// Where it listens; `None` if it does not.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.endpoint.local_address()
    }

    /// The manager.
    #[must_use]
    pub fn manager(&self) -> &Arc<Manager> {
        &self.manager
    }

    /// How the nodes stand.
    #[must_use]
    pub fn sightings(&self) -> Sightings {
        self.board.sightings(SystemTime::now())
    }

    /// What tells it to others, for as long as they want.
    #[must_use]
    pub fn observer(&self) -> Observer {
        Observer(Arc::clone(&self.board))
    }

    /// Tells all nodes that the manager stops, and writes down how they stood.
    pub async fn stop(mut self) {
        self.endpoint.close("the manager stops").await;
        self.stopped.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
        self.notifier.finish().await;
        self.board.all_disconnected(SystemTime::now());
        let sightings = self.sightings();
        if let Err(error) = self.manager.save_sightings(&sightings).await {
            tracing::warn!(%error, "how the nodes stand was not written down");
        }
    }
}

async fn until_stopped(work: impl Future<Output = ()>, mut stopped: watch::Receiver<bool>) {
    tokio::select! {
        () = work => {}
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
}

/// Nodes that are enrolled, and no others, may be connected.
fn admit(manager: &Manager, peer: &PeerIdentity) -> Result<(), String> {
    let snapshot = manager.snapshot();
    let roster = &snapshot.state.roster;
    let name = &peer.name;
    match (roster.is_revoked(peer), roster.member(peer)) {
        (true, _) => Err(format!("node {name} was removed from the cluster")),
        (false, None) => Err(format!(
            "node {name} is not enrolled here: give it a token of this manager, and no cluster key"
        )),
        (false, Some(_)) => Ok(()),
    }
}

/// Answers somebody who wants to become a node.
async fn answer(manager: Arc<Manager>, question: Bytes) -> Bytes {
    let request = match EnrolmentRequest::decode(question) {
        Ok(request) => request,
        Err(error) => return EnrolmentAnswer::Refused(error.to_string()).encode(),
    };
    let name = &request.name;
    let answer = match manager.enrol(&request, SystemTime::now()).await {
        Ok(certified) => {
            tracing::info!(node = %name, role = %certified.identity.role, "a node is enrolled");
            EnrolmentAnswer::Granted {
                certificate: certified.certificate,
                authority: manager.authority().certificate(),
            }
        }
        Err(error @ (ManagerError::Refused(_) | ManagerError::Authority(_))) => {
            tracing::warn!(node = %name, %error, "a node is not enrolled");
            EnrolmentAnswer::Refused(error.to_string())
        }
        // What is wrong with the state is no affair of strangers.
        Err(error) => {
            tracing::error!(node = %name, %error, "a node could not be enrolled");
            EnrolmentAnswer::Failed("the manager's state cannot be changed now".to_owned())
        }
    };
    answer.encode()
}

/// Takes what the endpoint tells, until it is closed.
async fn follow(manager: Arc<Manager>, board: Arc<Board>, mut events: Events) {
    let mut sessions = JoinSet::new();
    while let Some(event) = events.recv().await {
        // Sessions that are over are let go.
        while sessions.try_join_next().is_some() {}
        match event {
            Event::LinkUp(link) => {
                board.connected(&link);
                sessions.spawn(run(Arc::clone(&manager), Arc::clone(&board), link));
            }
            Event::LinkDown { peer, reason } => {
                tracing::debug!(node = %peer.name, %reason, "a node is gone");
                board.disconnected(&peer.name, SystemTime::now());
            }
            _ => {}
        }
    }
    sessions.shutdown().await;
}

async fn run(manager: Arc<Manager>, board: Arc<Board>, link: Link) {
    let name = link.peer().name.clone();
    if let Err(end) = session::run(&manager, &board, &link).await {
        tracing::warn!(node = %name, %end, "the session with a node ends");
        link.close(&end.to_string());
    }
}

/// Looks again and again for what others changed.
async fn refresh(manager: Arc<Manager>) {
    let mut ticks = ticking(REFRESH_INTERVAL);
    let mut is_failing = false;
    loop {
        ticks.tick().await;
        match manager.refresh().await {
            Ok(_) => is_failing = false,
            Err(error) => {
                // What goes wrong again and again is told once.
                if !is_failing {
                    tracing::error!(%error, "the state cannot be read; going on with the last one");
                }
                is_failing = true;
            }
        }
    }
}

/// Writes down again and again how the nodes stand, for commands that ask.
async fn write_sightings(manager: Arc<Manager>, board: Arc<Board>) {
    let mut ticks = ticking(SIGHTINGS_INTERVAL);
    loop {
        ticks.tick().await;
        let known = manager.snapshot();
        board.forget_others(&known.state.roster);
        let sightings = board.sightings(SystemTime::now());
        if let Err(error) = manager.save_sightings(&sightings).await {
            tracing::warn!(%error, "how the nodes stand was not written down");
        }
    }
}

fn ticking(period: Duration) -> tokio::time::Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
