//! How the nodes stand, as far as they said.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use replicat_net::{Link, NodeName};

use crate::report::NodeReport;
use crate::roster::Roster;
use crate::sighting::{Sighting, Sightings};

/// How the nodes stand.
pub(super) struct Board(Mutex<BTreeMap<NodeName, Sighting>>);

impl Board {
    /// Begins with how they stood when a manager ran before: none is connected now.
    pub(super) fn new(before: Option<Sightings>) -> Self {
        let mut nodes = before.map(|before| before.nodes).unwrap_or_default();
        for sighting in nodes.values_mut() {
            sighting.is_connected = false;
        }
        Self(Mutex::new(nodes))
    }

    pub(super) fn connected(&self, link: &Link) {
        let sighting = Sighting {
            is_connected: true,
            last_seen: SystemTime::now(),
            address: link.address().to_string(),
            software: link.software().to_owned(),
            report: NodeReport::default(),
        };
        self.lock().insert(link.peer().name.clone(), sighting);
    }

    pub(super) fn reported(&self, name: &NodeName, report: NodeReport) {
        if let Some(sighting) = self.lock().get_mut(name) {
            sighting.report = report;
        }
    }

    pub(super) fn disconnected(&self, name: &NodeName, now: SystemTime) {
        if let Some(sighting) = self.lock().get_mut(name) {
            sighting.is_connected = false;
            sighting.last_seen = now;
        }
    }

    /// The manager stops: nobody is connected any more.
    pub(super) fn all_disconnected(&self, now: SystemTime) {
        for sighting in self.lock().values_mut() {
            if std::mem::take(&mut sighting.is_connected) {
                sighting.last_seen = now;
            }
        }
    }

    /// Forgets nodes that take no part any more.
    pub(super) fn forget_others(&self, roster: &Roster) {
        self.lock()
            .retain(|name, sighting| sighting.is_connected || roster.members.contains_key(name));
    }

    /// How they stand now: whoever is connected is seen.
    pub(super) fn sightings(&self, now: SystemTime) -> Sightings {
        let mut nodes = self.lock().clone();
        for sighting in nodes.values_mut().filter(|sighting| sighting.is_connected) {
            sighting.last_seen = now;
        }
        Sightings {
            written: now,
            nodes,
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<NodeName, Sighting>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
