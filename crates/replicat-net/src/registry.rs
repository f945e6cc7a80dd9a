//! Who is connected. Decides, in one place and under one lock, which of several connections between
//! two nodes becomes their link.
//!
//! The node with the lower name is the arbiter of a pair: while it dials the other, it refuses the
//! other's connections, and while it is linked, it does not dial. So of two connections made at
//! once, the one dialled by the arbiter survives, and no link that was reported up is taken down.
//!
//! A node numbers its greetings, and dials only while it has no link to the peer. A greeting with a
//! higher number than the one that made the present link therefore says that the peer has lost that
//! link; one with a lower number was under way before.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::error::LinkEnd;
use crate::event::{Event, EventSender};
use crate::greeting::{Refusal, RefusalCode};
use crate::link::{Instance, Link, LinkCore, LinkId};
use crate::name::NodeName;

pub(crate) struct Registry {
    events: EventSender,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    links: HashMap<NodeName, Arc<LinkCore>>,
    dialling: HashSet<NodeName>,
    sequence: u64,
}

/// Permission to greet a peer, until it is dropped.
pub(crate) struct Dialling<'a> {
    registry: &'a Registry,
    name: NodeName,
    pub(crate) sequence: u64,
}

impl Drop for Dialling<'_> {
    fn drop(&mut self) {
        self.registry.state().dialling.remove(&self.name);
        self.registry.changed.notify_waiters();
    }
}

impl Registry {
    pub(crate) fn new(events: EventSender) -> Self {
        Self {
            events,
            state: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Begins to greet a peer that was dialled; `None` if it is connected, or being greeted already.
    pub(crate) fn begin_dial(&self, name: &NodeName) -> Option<Dialling<'_>> {
        let mut state = self.state();
        if state.links.contains_key(name) || !state.dialling.insert(name.clone()) {
            return None;
        }
        Some(Dialling {
            registry: self,
            name: name.clone(),
            sequence: state.next_sequence(),
        })
    }

    /// Makes a link of a connection that was dialled and greeted by the peer.
    pub(crate) fn complete_dial(
        &self,
        dialling: Dialling<'_>,
        core: Arc<LinkCore>,
    ) -> Result<(), Refusal> {
        let mut state = self.state();
        let settled = state.check_present(&core);
        if settled.is_ok() {
            self.insert(&mut state, core);
        }
        drop(state);
        drop(dialling);
        settled
    }

    /// Makes a link of a connection that a peer dialled. Returns the sequence for our greeting.
    pub(crate) fn accept(&self, own: &NodeName, core: Arc<LinkCore>) -> Result<u64, Refusal> {
        let mut state = self.state();
        state.check_present(&core)?;
        let name = &core.peer.identity.name;
        if own < name && state.dialling.contains(name) {
            return Err(duplicate(name));
        }
        let sequence = state.next_sequence();
        self.insert(&mut state, core);
        Ok(sequence)
    }

    /// Events are sent under the lock, so that their order is that of what they tell.
    fn insert(&self, state: &mut State, core: Arc<LinkCore>) {
        let name = core.peer.identity.name.clone();
        if let Some(old) = state.links.insert(name, core.clone()) {
            old.stop(LinkEnd::Replaced);
            self.report_down(&old);
        }
        tracing::info!(peer = %core.peer.identity.name, address = %core.peer.address, "connected");
        self.events.send(Event::LinkUp(Link::new(core)));
        self.changed.notify_waiters();
    }

    /// Takes a link out that is down.
    pub(crate) fn remove(&self, core: &Arc<LinkCore>) {
        let mut state = self.state();
        let name = &core.peer.identity.name;
        let present = state
            .links
            .get(name)
            .is_some_and(|link| Arc::ptr_eq(link, core));
        if present {
            state.links.remove(name);
            self.report_down(core);
        }
        drop(state);
        self.changed.notify_waiters();
    }

    fn report_down(&self, core: &LinkCore) {
        let reason = core.ending();
        tracing::info!(peer = %core.peer.identity.name, %reason, "disconnected");
        let peer = core.peer.identity.clone();
        self.events.send(Event::LinkDown { peer, reason });
    }

    /// The link with this id, if it is with this process.
    pub(crate) fn find(
        &self,
        name: &NodeName,
        instance: Instance,
        id: LinkId,
    ) -> Option<Arc<LinkCore>> {
        let state = self.state();
        let link = state.links.get(name)?;
        (link.id == id && link.peer.instance == instance).then(|| link.clone())
    }

    /// The link to a node.
    pub(crate) fn get(&self, name: &NodeName) -> Option<Arc<LinkCore>> {
        self.state().links.get(name).cloned()
    }

    /// All links.
    pub(crate) fn all(&self) -> Vec<Arc<LinkCore>> {
        self.state().links.values().cloned().collect()
    }

    /// Waits until the node is neither connected nor being greeted.
    pub(crate) async fn absent(&self, name: &NodeName) {
        loop {
            let changed = self.changed.notified();
            let busy = self.state().is_busy(name);
            if !busy {
                return;
            }
            changed.await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_busy(&self, name: &NodeName) -> bool {
        self.links.contains_key(name) || self.dialling.contains(name)
    }

    fn next_sequence(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    /// Checks that a new link may take the place of the present one, if there is one.
    fn check_present(&self, new: &LinkCore) -> Result<(), Refusal> {
        let name = &new.peer.identity.name;
        let Some(present) = self.links.get(name) else {
            return Ok(());
        };
        if present.peer.instance != new.peer.instance {
            // If the other process is gone without a goodbye, this finds out, and soon.
            present.challenge();
            return Err(Refusal::new(
                RefusalCode::NameTaken,
                format!(
                    "another process is connected as node {name}, from {}: give each node a name of its own",
                    present.peer.address
                ),
            ));
        }
        if new.peer.sequence > present.peer.sequence {
            return Ok(());
        }
        Err(duplicate(name))
    }
}

fn duplicate(name: &NodeName) -> Refusal {
    Refusal::new(
        RefusalCode::Duplicate,
        format!("node {name} is connected, or being connected, already"),
    )
}
