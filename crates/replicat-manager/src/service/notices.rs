//! What people are told of the nodes, see `docs/notifications.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use replicat_net::NodeName;
use replicat_notify::{Kind, Notification, Notifier};
use tokio::time::{MissedTickBehavior, interval};

use super::board::Board;
use crate::manager::{MANAGER_NAME, Manager};
use crate::sighting::{Sighting, Sightings};
use crate::state::State;

/// How often is looked whether there is something to tell.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Looks again and again, and tells.
pub(super) async fn follow(
    manager: Arc<Manager>,
    board: Arc<Board>,
    notifier: Arc<Notifier>,
    lost_after: Duration,
) {
    let mut watch = Watch::new(SystemTime::now());
    let mut ticks = interval(LOOK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let now = SystemTime::now();
        let snapshot = manager.snapshot();
        let told = watch.look(&snapshot.state, &board.sightings(now), lost_after, now);
        told.into_iter().for_each(|told| notifier.tell(told));
    }
}

/// What was told, so that it is told once.
struct Watch {
    /// Since when it is looked: nobody is away for longer, as far as can be told.
    since: SystemTime,
    nodes: BTreeMap<NodeName, Trouble>,
}

/// What is wrong with a node.
#[derive(Default)]
struct Trouble {
    /// It was told to be lost, and is not back in sync.
    is_lost: bool,
    /// The folders of it that were told to be halted, and are not in sync.
    halted: BTreeSet<String>,
}

impl Watch {
    fn new(since: SystemTime) -> Self {
        Self {
            since,
            nodes: BTreeMap::new(),
        }
    }

    /// What there is to tell since it was looked last.
    fn look(
        &mut self,
        state: &State,
        sightings: &Sightings,
        lost_after: Duration,
        now: SystemTime,
    ) -> Vec<Notification> {
        let members = &state.roster.members;
        self.nodes.retain(|name, _| members.contains_key(name));
        let mut told = Vec::new();
        for (name, sighting) in &sightings.nodes {
            if members.contains_key(name) {
                // A clock that was set back is no absence.
                let since = sighting.last_seen.max(self.since);
                let away = now.duration_since(since).unwrap_or_default();
                let trouble = self.nodes.entry(name.clone()).or_default();
                match sighting.is_connected {
                    true => trouble.look(name, sighting, &mut told),
                    false if away >= lost_after => told.extend(trouble.lose(name, lost_after)),
                    false => {}
                }
            }
        }
        told
    }
}

impl Trouble {
    fn lose(&mut self, name: &NodeName, after: Duration) -> Option<Notification> {
        if std::mem::replace(&mut self.is_lost, true) {
            return None;
        }
        let seconds = after.as_secs();
        let text = format!("node {name} has been away from the manager for {seconds} seconds");
        Some(of_node(Kind::NodeLost, name, text))
    }

    /// What is told of a node that is connected.
    fn look(&mut self, name: &NodeName, sighting: &Sighting, told: &mut Vec<Notification>) {
        let folders = &sighting.report.folders;
        for folder in folders {
            let key = folder.name.to_string();
            let is_halted = folder.status == "Halted";
            if is_halted && self.halted.insert(key.clone()) {
                let reason = folder.reason.as_str();
                let text = format!("node {name}: folder {key}: it is halted: {reason}");
                let mut notification = of_node(Kind::Halted, name, text);
                let details = &mut notification.details;
                details.insert("reason".to_owned(), reason.into());
                notification.folder = Some(key);
                told.push(notification);
            } else if folder.in_sync && self.halted.remove(&key) {
                let text = format!("node {name}: folder {key}: it is in sync again");
                let mut notification = of_node(Kind::InSync, name, text);
                notification.folder = Some(key);
                told.push(notification);
            }
        }
        // Before its first report nothing is known of it.
        let has_reported = !sighting.report.status.is_empty();
        if self.is_lost && has_reported && folders.iter().all(|folder| folder.in_sync) {
            self.is_lost = false;
            let text = format!("node {name} is back, and in sync");
            told.push(of_node(Kind::InSync, name, text));
        }
    }
}

fn of_node(kind: Kind, name: &NodeName, text: String) -> Notification {
    let mut notification = Notification::new(kind, MANAGER_NAME, text);
    notification.node = Some(name.to_string());
    notification
}

#[cfg(test)]
mod tests {
    use replicat_net::{EnrolmentId, Role};

    use super::*;
    use crate::desired::PlacementMode;
    use crate::report::{FolderFigures, NodeReport};
    use crate::roster::Member;

    const LOST_AFTER: Duration = Duration::from_secs(60);

    fn second(number: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(number)
    }

    fn folder(status: &str) -> FolderFigures {
        FolderFigures {
            name: "site".parse().unwrap(),
            status: status.to_owned(),
            reason: "no disk".to_owned(),
            mode: PlacementMode::ReadWrite,
            in_sync: status == "Online",
            paths: 1,
            pending: 0,
            bytes_sent: 0,
            bytes_received: 0,
        }
    }

    fn sighting(is_connected: bool, seen: u64, folders: Vec<FolderFigures>) -> Sightings {
        let report = NodeReport {
            status: "Online".to_owned(),
            folders,
            connected: Vec::new(),
        };
        let sighting = Sighting {
            is_connected,
            last_seen: second(seen),
            address: String::new(),
            software: String::new(),
            report,
        };
        Sightings {
            written: second(seen),
            nodes: BTreeMap::from([("nas".parse().unwrap(), sighting)]),
        }
    }

    fn state() -> State {
        let mut state = State::default();
        let member = Member {
            role: Role::ReadWrite,
            enrolment: EnrolmentId(7),
            address: None,
            enrolled: second(0),
            certificate_expires: second(1_000_000),
        };
        state.roster.members.insert("nas".parse().unwrap(), member);
        state
    }

    fn kinds(watch: &mut Watch, state: &State, seen: &Sightings, now: u64) -> Vec<Kind> {
        let told = watch.look(state, seen, LOST_AFTER, second(now));
        told.into_iter().map(|told| told.kind).collect()
    }

    #[test]
    fn a_node_is_lost_once_and_back_when_it_is_in_sync() {
        let (mut watch, state) = (Watch::new(second(0)), state());
        let away = sighting(false, 100, Vec::new());
        assert_eq!(kinds(&mut watch, &state, &away, 159), []);
        assert_eq!(kinds(&mut watch, &state, &away, 160), [Kind::NodeLost]);
        assert_eq!(kinds(&mut watch, &state, &away, 161), []);
        let busy = sighting(true, 170, vec![folder("Initial Scan")]);
        assert_eq!(kinds(&mut watch, &state, &busy, 170), []);
        let whole = sighting(true, 171, vec![folder("Online")]);
        assert_eq!(kinds(&mut watch, &state, &whole, 171), [Kind::InSync]);
        assert_eq!(kinds(&mut watch, &state, &whole, 172), []);
    }

    #[test]
    fn a_manager_that_was_away_itself_loses_nobody() {
        let (mut watch, state) = (Watch::new(second(10_000)), state());
        let away = sighting(false, 100, Vec::new());
        assert_eq!(kinds(&mut watch, &state, &away, 10_001), []);
        assert_eq!(kinds(&mut watch, &state, &away, 10_060), [Kind::NodeLost]);
    }

    #[test]
    fn a_node_that_was_removed_is_not_lost() {
        let mut watch = Watch::new(second(0));
        let away = sighting(false, 100, Vec::new());
        assert_eq!(kinds(&mut watch, &State::default(), &away, 1000), []);
    }

    #[test]
    fn a_folder_that_halts_is_told_and_when_it_goes_on() {
        let (mut watch, state) = (Watch::new(second(0)), state());
        let halted = sighting(true, 1, vec![folder("Halted")]);
        assert_eq!(kinds(&mut watch, &state, &halted, 1), [Kind::Halted]);
        assert_eq!(kinds(&mut watch, &state, &halted, 2), []);
        let whole = sighting(true, 3, vec![folder("Online")]);
        assert_eq!(kinds(&mut watch, &state, &whole, 3), [Kind::InSync]);
    }
}
