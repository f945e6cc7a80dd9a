//! The peers of a node: those that are dialled, and those that are connected.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use replicat_core::path::RelPath;
use replicat_net::{
    ConnectError, Endpoint, Event as NetEvent, Events, Link, NodeName, PeerAddress, PeerIdentity,
    RefusalCode, Role,
};

use tokio::sync::{Notify, mpsc, watch};

use super::hub::{FolderEventRecord, Hub};
use super::managed::Managed;
use super::status::{LinkStatus, Node, NodeStatus};
use crate::link::{Approvals, Folders, PeerLink};
use crate::settings::{FolderName, NodeSettings, folder_id};
use crate::storage::{Event, EventName};
use crate::workers::Workers;

/// The peers of a node.
pub(crate) struct Peers {
    node: NodeName,
    endpoint: Endpoint,
    folders: Arc<dyn Folders>,
    hub: Arc<Hub>,
    workers: Workers,
    manager: Option<ManagerLinks>,
    approvals: Arc<Approvals>,
    state: Mutex<State>,
}

/// What a node with a manager does with links.
pub(crate) struct ManagerLinks {
    /// Says who may be talked to.
    pub(crate) managed: Arc<Managed>,
    /// Takes the links to the manager.
    pub(crate) links: mpsc::UnboundedSender<Link>,
}

#[derive(Default)]
struct State {
    dialled: Vec<PeerAddress>,
    /// Why the last attempt at an address failed.
    failures: BTreeMap<String, NodeStatus>,
    /// The last one that was turned away, and why.
    refused: Option<String>,
    connected: BTreeMap<NodeName, Connected>,
}

struct Connected {
    link: Arc<PeerLink>,
    since: SystemTime,
}

fn address_of(node: &NodeSettings) -> PeerAddress {
    PeerAddress {
        name: node.name.clone(),
        address: node.address_with_port(),
    }
}

/// How a peer stands after an attempt failed.
fn failed(reason: &ConnectError) -> NodeStatus {
    let text = reason.to_string();
    let is_refusal = matches!(
        reason,
        ConnectError::OtherCluster
            | ConnectError::Expired { .. }
            | ConnectError::NotReplicat
            | ConnectError::Certificate(_)
            | ConnectError::Refused(_)
            | ConnectError::RefusedByPeer(_)
    );
    let is_passing = matches!(
        reason,
        ConnectError::Refused(refusal) | ConnectError::RefusedByPeer(refusal)
            if matches!(refusal.code, RefusalCode::Duplicate | RefusalCode::UnknownLink)
    );
    match is_refusal && !is_passing {
        true => NodeStatus::Refused { reason: text },
        false => NodeStatus::Unreachable { reason: text },
    }
}

impl Peers {
    pub(crate) fn new(
        node: NodeName,
        endpoint: Endpoint,
        folders: Arc<dyn Folders>,
        hub: Arc<Hub>,
        workers: Workers,
        manager: Option<ManagerLinks>,
    ) -> Arc<Self> {
        Arc::new(Self {
            node,
            endpoint,
            folders,
            hub,
            workers,
            manager,
            approvals: Arc::default(),
            state: Mutex::default(),
        })
    }

    /// Dials these nodes from now on, and no others. A link to one that is not dialled any more is closed.
    pub(crate) fn dial(&self, nodes: &[NodeSettings]) {
        let wanted: Vec<_> = nodes.iter().map(address_of).collect();
        let mut state = self.lock();
        let old = std::mem::replace(&mut state.dialled, wanted.clone());
        state.failures.clear();
        drop(state);
        for peer in old.iter().filter(|peer| !wanted.contains(peer)) {
            self.endpoint.stop_dialling(peer);
            let is_named_still = wanted.iter().any(|other| other.name == peer.name);
            if let Some(name) = peer.name.as_ref().filter(|_| !is_named_still) {
                self.endpoint.disconnect(name, "removed from the settings");
            }
        }
        wanted.into_iter().for_each(|peer| self.endpoint.dial(peer));
    }

    /// The folders have changed: all peers are told.
    pub(crate) fn offer(&self) {
        let links: Vec<_> = self.links();
        links.iter().for_each(|link| link.offer());
    }

    /// A person approved the deletions of a folder: all peers that take changes from here let them pass.
    pub(crate) fn approve(&self, folder: &FolderName) {
        match getrandom::u64() {
            Ok(id) => self.approvals.send(folder, id),
            Err(error) => {
                tracing::warn!(%error, "the approval stays at this node: no random number");
            }
        }
    }

    /// Ends the links to peers for which there is a reason; their names.
    pub(crate) fn disconnect_where(
        &self,
        reason: impl Fn(&PeerIdentity) -> Option<String>,
    ) -> Vec<NodeName> {
        let mut names = Vec::new();
        for link in self.links() {
            let peer = link.link().peer();
            if let Some(reason) = reason(peer) {
                self.endpoint.disconnect(&peer.name, &reason);
                names.push(peer.name.clone());
            }
        }
        names
    }

    /// Whether every peer that keeps a folder has brought all of it to its directory that it was told up to now.
    pub(crate) async fn hold(&self, name: &FolderName) -> bool {
        let keeps = |link: &Arc<PeerLink>| {
            let offered = link.offered_by_peer();
            offered.is_some_and(|names| names.contains(name))
        };
        for link in self.links().into_iter().filter(keeps) {
            let folder = folder_id(link.link().cluster(), name);
            match link.ask(folder).await {
                Some(standing) if standing.is_online && standing.pending == 0 => {}
                _ => return false,
            }
        }
        true
    }

    fn links(&self) -> Vec<Arc<PeerLink>> {
        let state = self.lock();
        let connected = state.connected.values();
        connected.map(|peer| Arc::clone(&peer.link)).collect()
    }

    /// Takes what the endpoint tells, until it is closed.
    pub(crate) async fn follow(self: Arc<Self>, mut events: Events) {
        let worker = self.workers.begin("links");
        while let Some(event) = events.recv().await {
            worker.works(0);
            match event {
                NetEvent::LinkUp(link) => self.up(link),
                NetEvent::LinkDown { peer, reason } => {
                    tracing::debug!(peer = %peer.name, %reason, "the link is down");
                    let gone = self.lock().connected.remove(&peer.name);
                    if let Some(gone) = gone {
                        // A folder may take its time to let go.
                        tokio::task::spawn_blocking(move || gone.link.end());
                    }
                }
                NetEvent::DialFailed {
                    address, reason, ..
                } => self.dial_failed(address, &reason),
                NetEvent::Refused {
                    address,
                    peer,
                    reason,
                } => {
                    let who = peer.map(|peer| format!("node {} at ", peer.name));
                    let refused = format!("{}{address}: {reason}", who.unwrap_or_default());
                    self.lock().refused = Some(refused);
                }
                _ => {}
            }
            worker.waits();
        }
    }

    /// Offers the folders anew whenever one is in another state, until the node stops.
    pub(crate) async fn follow_folders(
        self: Arc<Self>,
        changed: Arc<Notify>,
        mut stopped: watch::Receiver<bool>,
    ) {
        loop {
            tokio::select! {
                () = changed.notified() => self.offer(),
                _ = stopped.wait_for(|stopped| *stopped) => return,
            }
        }
    }

    fn up(&self, link: Link) {
        if link.peer().role == Role::Manager {
            match &self.manager {
                // Nobody takes it while the node stops.
                Some(manager) => drop(manager.links.send(link)),
                None => link.close("this node has no manager"),
            }
            return;
        }
        let name = link.peer().name.clone();
        tracing::debug!(peer = %name, address = %link.address(), "the link is up");
        let link = match PeerLink::start(
            link,
            Arc::clone(&self.folders),
            &self.workers,
            &self.approvals,
        ) {
            Ok(link) => link,
            Err(error) => {
                tracing::error!(peer = %name, %error, "no threads for a link: it is closed");
                return;
            }
        };
        self.hub.push(FolderEventRecord {
            folder: None,
            event: Event {
                is_directory: true,
                network_source: Some(name.to_string()),
                ..Event::here(self.node.as_str(), EventName::Catalog, RelPath::root())
            },
        });
        let since = SystemTime::now();
        self.lock()
            .connected
            .insert(name, Connected { link, since });
        // It may have been removed since it was admitted.
        if let Some(manager) = &self.manager {
            self.disconnect_where(|peer| manager.managed.admit(peer).err());
        }
    }

    /// What goes wrong again and again is told once.
    fn dial_failed(&self, address: String, reason: &ConnectError) {
        let status = failed(reason);
        let mut state = self.lock();
        if state.failures.get(&address) == Some(&status) {
            return;
        }
        tracing::debug!(address, %reason, "cannot reach a node; trying on");
        state.failures.insert(address, status);
    }

    /// How they stand: those that are dialled in the order of the settings, then the others.
    pub(crate) fn nodes(&self) -> Vec<Node> {
        let state = self.lock();
        let mut rest: BTreeMap<_, _> = state.connected.iter().collect();
        let mut nodes = Vec::new();
        for peer in &state.dialled {
            let by_name = peer.name.as_ref().and_then(|name| rest.remove(name));
            let connected = by_name.or_else(|| {
                let name = *rest.iter().find(|(_, row)| row.is_at(&peer.address))?.0;
                rest.remove(name)
            });
            nodes.push(match connected {
                Some(connected) => connected.node(Some(peer.address.clone())),
                None => state.absent(peer),
            });
        }
        nodes.extend(rest.values().map(|connected| connected.node(None)));
        nodes
    }

    /// The last connection that was turned away, and why.
    pub(crate) fn last_refused(&self) -> Option<String> {
        self.lock().refused.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn absent(&self, peer: &PeerAddress) -> Node {
        let failure = self.failures.get(&peer.address).cloned();
        Node {
            name: peer.name.clone(),
            address: peer.address.clone(),
            role: None,
            status: failure.unwrap_or(NodeStatus::Connecting),
            link: None,
        }
    }
}

impl Connected {
    fn is_at(&self, address: &str) -> bool {
        self.link.link().address().to_string() == address
    }

    fn node(&self, dialled: Option<String>) -> Node {
        let link = self.link.link();
        Node {
            name: Some(self.link.name().clone()),
            address: dialled.unwrap_or_else(|| link.address().to_string()),
            role: Some(self.link.role()),
            status: NodeStatus::Connected,
            link: Some(LinkStatus {
                since: self.since,
                software: link.software().to_owned(),
                cluster: link.peer_cluster(),
                round_trip: link.round_trip(),
                counters: link.counters(),
                folders: self.link.offered_by_peer(),
            }),
        }
    }
}
