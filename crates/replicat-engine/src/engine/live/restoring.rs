//! Restoring versions in a folder that runs, and its trash. Contents that are not here are requested from the connected
//! peers, on the thread of the caller: the owner plans, and puts in place.

use std::sync::Arc;

use super::bringing::Remote;
use super::handle::LiveFolder;
use super::owner::Owner;
use super::peer::Connection;
use super::steering::Order;
use crate::engine::conflicts::Names;
use crate::engine::inspect::{self, Provider, Target};
use crate::error::SyncError;
use crate::restoration::{Emptied, RestoreRequest, Restored, TrashSelection};

/// The nodes that may hold a version.
#[derive(Default)]
pub(super) struct Keepers {
    connected: Vec<(String, Arc<dyn Connection>)>,
    /// The names of all replicas that are known.
    others: Vec<String>,
}

impl Keepers {
    fn providers(&self) -> impl Iterator<Item = Provider> {
        self.connected.iter().map(|(name, connection)| {
            Provider::node(name.clone(), Arc::new(Remote(Arc::clone(connection))))
        })
    }

    /// Why a version could not be had, and who was asked.
    fn reason(&self, target: &Target) -> String {
        let restoration = &target.restoration;
        let made = match restoration.node.as_str() {
            "" => String::new(),
            node => format!(", made by {node},"),
        };
        let asked: Vec<&str> = (self.connected.iter())
            .map(|(name, _)| name.as_str())
            .collect();
        let away: Vec<&str> = (self.others.iter().map(String::as_str))
            .filter(|name| !asked.contains(name))
            .collect();
        let asked = match asked.is_empty() {
            true => "no other node is connected".to_owned(),
            false => format!("asked without success: {}", asked.join(", ")),
        };
        let away = match away.is_empty() {
            true => String::new(),
            false => format!("; not connected: {}", away.join(", ")),
        };
        let revision = restoration.revision.0;
        format!("the content of version {revision}{made} is not kept here; {asked}{away}")
    }
}

impl LiveFolder {
    /// Restores versions of paths, see [`restore`](crate::engine::inspect::restore), and waits until that is observed.
    /// Contents that are not here come from connected nodes.
    ///
    /// # Errors
    /// As there; [`SyncError::NotReplica`] if the folder was stopped.
    pub fn restore(&self, request: &RestoreRequest) -> Result<Restored, SyncError> {
        let root = self.status().root;
        let planned = self.ask(|reply| Order::PlanRestore(request.clone(), reply));
        let mut plan = planned.unwrap_or_else(|| Err(self.stopped()))?;
        if request.dry_run {
            return plan.finish(&root, request);
        }
        let published = self.ask(Order::Publish);
        published.unwrap_or_else(|| Err(self.stopped()))?;
        let held = self.held().ok_or_else(|| self.stopped())?;
        let keepers = self.ask(Order::Keepers).unwrap_or_default();
        let own = std::iter::once(Provider::own(Arc::clone(&held)));
        let providers: Vec<_> = own.chain(keepers.providers()).collect();
        for targets in plan.take_groups() {
            let mut ready = Vec::new();
            for target in targets {
                match inspect::obtain(&held, target, &providers) {
                    Ok(one) => ready.push(one),
                    Err(target) => plan.fail(&target, keepers.reason(&target)),
                }
            }
            let placed = self.ask(|reply| Order::Restore(ready, reply));
            plan.add(placed.unwrap_or_else(|| Err(self.stopped()))?);
        }
        // So that the next question is answered with it.
        let _ = self.standing();
        plan.finish(&root, request)
    }

    /// Removes from the trash what is meant, for good.
    ///
    /// # Errors
    /// See [`empty_trash`](crate::engine::inspect::empty_trash).
    pub fn empty_trash(&self, selection: TrashSelection) -> Result<Emptied, SyncError> {
        let emptied = self.ask(|reply| Order::EmptyTrash(selection, reply));
        emptied.unwrap_or_else(|| Err(self.stopped()))
    }
}

impl Owner {
    pub(super) fn keepers(&self) -> Keepers {
        let connected = self.peers.values().filter(|peer| peer.is_open());
        let connected = connected.map(|peer| {
            let connection = peer.connection();
            (connection.name().to_owned(), connection)
        });
        let others = self.open.as_ref().and_then(|open| {
            let own = open.local.replica.identity().replica;
            Some(Names::of(&open.local).ok()?.others(own))
        });
        Keepers {
            connected: connected.collect(),
            others: others.unwrap_or_default(),
        }
    }
}
