//! What is said with the manager while it is connected.

use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use replicat_manager::{
    Assignment, FolderFigures, MANAGER_NAME, ManagerMessage, MessageError, NodeMessage, NodeReport,
};
use replicat_net::{CertificateDer, Identity, Link, NodeKey, PeerAddress};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{Managed, placement_mode};
use crate::server::{FolderReport, Inner, ReplicatServer, ServerStatus};
use crate::workers::Worker;

/// How often it is looked whether there is something to report.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// How long an answer to a request for another certificate is waited for before it is asked for again.
const RENEWAL_PAUSE: Duration = Duration::from_secs(60);
/// How long before it was issued a certificate is valid.
const CLOCK_SKEW: Duration = Duration::from_secs(24 * 3600);

/// Talks with the manager whenever it is connected, until the node stops.
pub(in crate::server) async fn follow(
    managed: Arc<Managed>,
    server: Weak<Inner>,
    mut links: mpsc::UnboundedReceiver<Link>,
    worker: Worker,
) {
    let dialled = server.upgrade().map(|inner| {
        inner.endpoint.dial(PeerAddress {
            name: MANAGER_NAME.parse().ok(),
            address: managed.address.clone(),
        });
    });
    if dialled.is_none() {
        return;
    }
    while let Some(link) = links.recv().await {
        tracing::info!(address = %link.address(), "the manager is there");
        let mut session = Session {
            managed: &managed,
            server: &server,
            link: &link,
            worker: &worker,
            reported: None,
            renewal: None,
        };
        if let Err(error) = session.run().await {
            tracing::error!(%error, "the manager is not understood");
            link.close(&error.to_string());
        }
    }
}

/// A key that is to be certified, and when that was asked for.
struct Renewal {
    key: NodeKey,
    asked: Instant,
}

struct Session<'a> {
    managed: &'a Managed,
    server: &'a Weak<Inner>,
    link: &'a Link,
    worker: &'a Worker,
    reported: Option<NodeReport>,
    renewal: Option<Renewal>,
}

impl Session<'_> {
    /// Until the link is down or the node stops.
    async fn run(&mut self) -> Result<(), MessageError> {
        let lane = self.link.control();
        let address = self.server().and_then(|server| advertised(&server));
        if !self.say(&NodeMessage::Hello { address }).await {
            return Ok(());
        }
        let mut ticks = interval(REPORT_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let frame = tokio::select! {
                frame = lane.recv() => frame,
                _ = ticks.tick() => match self.tick().await {
                    true => continue,
                    false => return Ok(()),
                },
            };
            let Some(frame) = frame else {
                return Ok(());
            };
            match ManagerMessage::decode(frame)? {
                ManagerMessage::Assignment(assignment) => {
                    self.worker.works(0);
                    self.take(assignment).await;
                    self.worker.waits();
                }
                ManagerMessage::Certificate(certificate) => self.renewed(&certificate),
            }
        }
    }

    fn server(&self) -> Option<ReplicatServer> {
        let inner = self.server.upgrade()?;
        Some(ReplicatServer::from_inner(inner))
    }

    /// Whether it could be said.
    async fn say(&self, message: &NodeMessage) -> bool {
        self.link.control().send(message.encode()).await.is_ok()
    }

    /// Goes by what the manager says from now on.
    async fn take(&self, assignment: Assignment) {
        let Some(server) = self.server() else { return };
        if let Err(error) = self.managed.create_directories(&assignment) {
            tracing::error!(%error, "the directory of a placed folder was not created");
        }
        if let Err(error) = self.managed.cache.keep_assignment(&assignment) {
            tracing::error!(%error, "what the manager says is done, and not known after a new start");
        }
        tracing::info!(
            generation = assignment.generation,
            peers = assignment.peers.len(),
            folders = assignment.folders.len(),
            "the manager says who takes part and what is kept here"
        );
        let settings = self.managed.replace_assignment(assignment);
        let inner = &server.inner;
        let removed = inner
            .peers
            .disconnect_where(|peer| self.managed.admit(peer).err());
        for name in removed {
            inner.notices.node_removed(name);
        }
        let applied = match settings {
            Ok(settings) => server.apply(settings).await,
            Err(error) => Err(error.into()),
        };
        if let Err(error) = applied {
            tracing::error!(%error, "what the manager says cannot be done here");
        }
    }

    /// Reports what has changed, and asks for the next certificate when that is due. Whether the link still stands.
    async fn tick(&mut self) -> bool {
        let Some(server) = self.server() else {
            return false;
        };
        let report = report(&server);
        if self.reported.as_ref() != Some(&report) {
            if !self.say(&NodeMessage::Report(report.clone())).await {
                return false;
            }
            self.reported = Some(report);
        }
        self.ask_for_renewal(&server).await
    }

    async fn ask_for_renewal(&mut self, server: &ReplicatServer) -> bool {
        let is_due = is_due(&server.inner.endpoint.identity(), SystemTime::now());
        let was_asked = self.renewal.as_ref();
        if !is_due || was_asked.is_some_and(|renewal| renewal.asked.elapsed() < RENEWAL_PAUSE) {
            return true;
        }
        let key = match NodeKey::generate() {
            Ok(key) => key,
            Err(error) => {
                tracing::error!(%error, "cannot make a key for the next certificate");
                return true;
            }
        };
        let asked = self.say(&NodeMessage::Renew(key.public_key())).await;
        self.renewal = Some(Renewal {
            key,
            asked: Instant::now(),
        });
        asked
    }

    /// Takes a certificate, if it is one of this node and can be kept.
    fn renewed(&mut self, certificate: &CertificateDer<'static>) {
        let (Some(renewal), Some(server)) = (self.renewal.take(), self.server()) else {
            return;
        };
        let endpoint = &server.inner.endpoint;
        let authority = endpoint.identity().authority().clone();
        let chain = vec![certificate.clone()];
        let taken = Identity::from_parts(chain, renewal.key.to_der(), authority.clone())
            .map_err(|error| error.to_string())
            .and_then(|identity| {
                let kept = self
                    .managed
                    .cache
                    .keep_identity(&renewal.key, certificate, &authority);
                kept.map_err(|error| error.to_string())?;
                endpoint
                    .set_identity(identity)
                    .map_err(|error| error.to_string())
            });
        if let Err(problem) = taken {
            tracing::error!(problem, "the next certificate was not taken");
        }
    }
}

/// A third of a certificate's life leaves two thirds for a manager that is away.
fn is_due(identity: &Identity, now: SystemTime) -> bool {
    let issued = identity.valid_from() + CLOCK_SKEW;
    let lifetime = identity.expires().duration_since(issued);
    now >= issued + lifetime.unwrap_or_default() / 3
}

/// Where others reach this node, as far as it knows.
fn advertised(server: &ReplicatServer) -> Option<String> {
    let settings = server.inner.settings();
    let listens = || server.address().map(|address| address.to_string());
    settings.advertise.or_else(listens)
}

fn report(server: &ReplicatServer) -> NodeReport {
    let nodes = server.nodes();
    let connected = nodes.into_iter().filter(|node| node.link.is_some());
    NodeReport {
        status: server.status().to_string(),
        folders: server.folders().iter().map(figures).collect(),
        connected: connected
            .filter_map(|node| Some(node.name?.to_string()))
            .collect(),
    }
}

fn figures(folder: &FolderReport) -> FolderFigures {
    let detail = folder.detail.as_ref();
    let number = |figure: fn(&replicat_engine::live::FolderStatus) -> u64| detail.map_or(0, figure);
    let reason = match &folder.state {
        replicat_engine::live::FolderState::Halted { reason } => reason.clone(),
        _ => String::new(),
    };
    FolderFigures {
        name: folder.name.clone(),
        status: ServerStatus::of_folder(&folder.state).to_string(),
        reason,
        mode: placement_mode(folder.mode),
        in_sync: detail.is_some_and(|detail| detail.in_sync),
        paths: number(|detail| detail.paths),
        pending: number(|detail| detail.pending),
        bytes_sent: number(|detail| detail.bytes_sent),
        bytes_received: number(|detail| detail.bytes_received),
    }
}
