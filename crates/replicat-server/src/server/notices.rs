//! What people are told of, see `docs/notifications.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use replicat_core::path::RelPath;
use replicat_engine::live::FolderState;
use replicat_engine::report::Brake;
use replicat_net::NodeName;
use replicat_notify::{Kind, Notification, Notifier, Pace, Subscription};
use tokio::time::{MissedTickBehavior, interval};

use super::status::{FolderReport, Node, NodeStatus, ServerReport};
use super::{Inner, ReplicatServer};
use crate::control::json;
use crate::settings::{FolderName, Settings};

/// How often is looked whether there is something to tell.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How many conflicts one notification lists.
const LISTED_MAX: usize = 20;

/// Where what is to be told is collected, and goes out from.
pub(crate) struct Notices {
    notifier: Mutex<Outlet>,
    conflicts: Mutex<BTreeMap<FolderName, Conflicts>>,
    /// Nodes that were taken out: they are not lost.
    removed: Mutex<BTreeSet<NodeName>>,
}

struct Outlet {
    notifier: Arc<Notifier>,
    subscriptions: Vec<Subscription>,
}

/// Conflicts of a folder that nobody was told of yet.
#[derive(Default)]
struct Conflicts {
    count: u64,
    first: Vec<(RelPath, RelPath)>,
}

impl Notices {
    /// Whoever subscribed is told from now on.
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            notifier: Mutex::new(outlet(&settings.notify)),
            conflicts: Mutex::default(),
            removed: Mutex::default(),
        }
    }

    /// A conflict was kept as a copy.
    pub(super) fn conflict(&self, folder: &FolderName, path: RelPath, copy: RelPath) {
        if !lock(&self.notifier).notifier.has_subscribers() {
            return;
        }
        let mut conflicts = lock(&self.conflicts);
        let conflicts = conflicts.entry(folder.clone()).or_default();
        conflicts.count += 1;
        if conflicts.first.len() < LISTED_MAX {
            conflicts.first.push((path, copy));
        }
    }

    /// A node takes no part any more.
    pub(super) fn node_removed(&self, name: NodeName) {
        lock(&self.removed).insert(name);
    }

    /// Delivers what is waiting, and tells nothing afterwards.
    pub(super) async fn finish(&self) {
        let notifier = Arc::clone(&lock(&self.notifier).notifier);
        notifier.finish().await;
    }

    /// Takes other subscriptions, if they are others.
    fn follow_settings(&self, settings: &Settings) {
        let mut current = lock(&self.notifier);
        if current.subscriptions != settings.notify {
            *current = outlet(&settings.notify);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn outlet(subscriptions: &[Subscription]) -> Outlet {
    let notifier = Notifier::start(subscriptions, &Pace::default());
    let notifier = notifier.unwrap_or_else(|(at, error)| {
        // Settings are checked before they are taken.
        tracing::error!(%error, "nobody is notified: notify[{at}] cannot be used");
        Notifier::default()
    });
    Outlet {
        notifier: Arc::new(notifier),
        subscriptions: subscriptions.to_vec(),
    }
}

/// Looks again and again, as long as there is a server.
pub(super) async fn follow(notices: Arc<Notices>, server: Weak<Inner>) {
    let mut watch = Watch::default();
    let mut ticks = interval(LOOK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(inner) = server.upgrade() else {
            return;
        };
        let settings = inner.settings();
        let server = ReplicatServer::from_inner(inner);
        if *server.inner.stopped.borrow() {
            return;
        }
        notices.follow_settings(&settings);
        let notifier = Arc::clone(&lock(&notices.notifier).notifier);
        if !notifier.has_subscribers() {
            continue;
        }
        for name in std::mem::take(&mut *lock(&notices.removed)) {
            watch.forget(&name);
        }
        let report = server.report();
        for (folder, conflicts) in std::mem::take(&mut *lock(&notices.conflicts)) {
            notifier.tell(of_conflicts(&report.name, &folder, &conflicts));
        }
        let told = watch.look(&report, &settings, Instant::now());
        told.into_iter().for_each(|told| notifier.tell(told));
    }
}

fn of_conflicts(by: &NodeName, folder: &FolderName, conflicts: &Conflicts) -> Notification {
    let Conflicts { count, first } = conflicts;
    let name = |path: &RelPath| path.to_string().escape_debug().to_string();
    let names: Vec<_> = first.iter().map(|(path, _)| name(path)).collect();
    let rest = count - first.len() as u64;
    let rest = (rest > 0).then(|| format!(" and {rest} more"));
    let what = match count {
        1 => "a conflict was kept as a copy".to_owned(),
        _ => format!("{count} conflicts were kept as copies"),
    };
    let text = format!(
        "{by}: folder {folder}: {what}: {}{}",
        names.join(", "),
        rest.unwrap_or_default()
    );
    let mut notification = Notification::new(Kind::Conflict, by.as_str(), text);
    notification.folder = Some(folder.to_string());
    let rows = first.iter().map(|(path, copy)| {
        let mut row = json::Object::new();
        json::put_bytes(&mut row, "path", path.as_bytes());
        json::put_bytes(&mut row, "copy", copy.as_bytes());
        serde_json::Value::Object(row)
    });
    let details = &mut notification.details;
    json::put(details, "count", *count);
    json::put(details, "conflicts", rows.collect::<Vec<_>>());
    notification
}

/// What was told, so that it is told once.
#[derive(Default)]
struct Watch {
    folders: BTreeMap<FolderName, Trouble>,
    peers: BTreeMap<NodeName, Acquaintance>,
    /// The nodes that the settings named when it was looked last.
    dialled: BTreeSet<NodeName>,
}

/// What is wrong with a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    Braked,
    Halted,
    /// That is over, but the folder is not in sync yet.
    Over,
}

/// A node that was connected once.
struct Acquaintance {
    folders: Vec<FolderName>,
    standing: Standing,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Connected,
    Away {
        since: Instant,
    },
    /// It was told to be lost.
    Lost,
    /// It is back, but not in sync yet.
    Back,
}

impl Watch {
    /// What there is to tell since it was looked last.
    fn look(
        &mut self,
        report: &ServerReport,
        settings: &Settings,
        now: Instant,
    ) -> Vec<Notification> {
        let mut told = Vec::new();
        for folder in &report.folders {
            told.extend(self.look_at_folder(&report.name, folder));
        }
        let wanted = report.folders.iter().map(|folder| &folder.name);
        let wanted: BTreeSet<_> = wanted.collect();
        self.folders.retain(|name, _| wanted.contains(name));
        let named = settings.nodes.iter().filter_map(|node| node.name.clone());
        let dialled: BTreeSet<NodeName> = named.collect();
        for name in self.dialled.difference(&dialled) {
            self.peers.remove(name);
        }
        self.dialled = dialled;
        self.look_at_peers(report, settings.node_lost_after(), now, &mut told);
        told
    }

    /// A node takes no part any more.
    fn forget(&mut self, name: &NodeName) {
        self.peers.remove(name);
    }

    fn look_at_folder(&mut self, by: &NodeName, folder: &FolderReport) -> Option<Notification> {
        let brake = folder.detail.as_ref().and_then(|detail| detail.brake);
        let before = self.folders.get(&folder.name).copied();
        let (now, kind, what, reason) = match (&folder.state, brake) {
            // A brake halts the folder.
            (_, Some(brake)) => {
                let what = format!(
                    "{}; if that is meant, run `replicat approve --folder {}` at this node",
                    braked(brake),
                    folder.name
                );
                let kind = brake.kind().to_owned();
                (Trouble::Braked, Kind::Brake, what, Some(kind))
            }
            (FolderState::Halted { reason }, None) => {
                let what = format!("it is halted: {reason}");
                (Trouble::Halted, Kind::Halted, what, Some(reason.clone()))
            }
            _ if before.is_none() => return None,
            _ if is_in_sync(folder) => {
                self.folders.remove(&folder.name);
                let what = "it is in sync again".to_owned();
                return Some(of_folder(Kind::InSync, by, folder, &what, None));
            }
            _ => {
                self.folders.insert(folder.name.clone(), Trouble::Over);
                return None;
            }
        };
        self.folders.insert(folder.name.clone(), now);
        (before != Some(now)).then(|| of_folder(kind, by, folder, &what, reason))
    }

    fn look_at_peers(
        &mut self,
        report: &ServerReport,
        lost_after: Duration,
        now: Instant,
        told: &mut Vec<Notification>,
    ) {
        let connected: BTreeMap<&NodeName, &Node> = report
            .nodes
            .iter()
            .filter(|node| node.status == NodeStatus::Connected)
            .filter_map(|node| Some((node.name.as_ref()?, node)))
            .collect();
        for (name, node) in &connected {
            let peer = self.peers.entry((*name).clone());
            let peer = peer.or_insert_with(|| Acquaintance {
                folders: Vec::new(),
                standing: Standing::Connected,
            });
            let link = node.link.as_ref();
            if let Some(folders) = link.and_then(|link| link.folders.clone()) {
                peer.folders = folders;
            }
        }
        for (name, peer) in &mut self.peers {
            let is_connected = connected.contains_key(name);
            peer.standing = match peer.standing {
                Standing::Connected | Standing::Back if !is_connected => {
                    Standing::Away { since: now }
                }
                Standing::Away { .. } if is_connected => Standing::Connected,
                Standing::Away { since } if now.duration_since(since) >= lost_after => {
                    told.push(of_lost(report, name, lost_after));
                    Standing::Lost
                }
                Standing::Lost if is_connected => Standing::Back,
                Standing::Back if is_in_sync_with(report, &peer.folders) => {
                    let text = format!("{}: node {name} is back, and in sync", report.name);
                    told.push(of_node(Kind::InSync, report, name, text));
                    Standing::Connected
                }
                standing => standing,
            };
        }
    }
}

fn braked(brake: Brake) -> String {
    match brake {
        Brake::MassDeletion { gone, recorded } => format!(
            "{gone} of {recorded} paths are gone from its directory, so that nothing is deleted elsewhere"
        ),
        Brake::MaxDelete { planned, allowed } => format!(
            "{planned} paths would be deleted, and {allowed} may be, so that nothing is changed"
        ),
    }
}

fn is_in_sync(folder: &FolderReport) -> bool {
    folder.detail.as_ref().is_some_and(|detail| detail.in_sync)
}

/// Whether all folders that are kept here and by a peer are in sync.
fn is_in_sync_with(report: &ServerReport, shared: &[FolderName]) -> bool {
    let mut both = report
        .folders
        .iter()
        .filter(|folder| shared.contains(&folder.name));
    both.all(is_in_sync)
}

fn of_folder(
    kind: Kind,
    by: &NodeName,
    folder: &FolderReport,
    what: &str,
    reason: Option<String>,
) -> Notification {
    let text = format!("{by}: folder {}: {what}", folder.name);
    let mut notification = Notification::new(kind, by.as_str(), text);
    notification.folder = Some(folder.name.to_string());
    json::put(&mut notification.details, "reason", reason);
    notification
}

fn of_node(kind: Kind, report: &ServerReport, node: &NodeName, text: String) -> Notification {
    let mut notification = Notification::new(kind, report.name.as_str(), text);
    notification.node = Some(node.to_string());
    notification
}

fn of_lost(report: &ServerReport, name: &NodeName, after: Duration) -> Notification {
    let row = report
        .nodes
        .iter()
        .find(|node| node.name.as_ref() == Some(name));
    let reason = row.and_then(|node| match &node.status {
        NodeStatus::Unreachable { reason } | NodeStatus::Refused { reason } => Some(reason.clone()),
        NodeStatus::Connected | NodeStatus::Connecting => None,
    });
    let why = reason.as_ref().map(|reason| format!(": {reason}"));
    let text = format!(
        "{}: node {name} has been away for {} seconds{}",
        report.name,
        after.as_secs(),
        why.unwrap_or_default()
    );
    let mut notification = of_node(Kind::NodeLost, report, name, text);
    json::put(&mut notification.details, "reason", reason);
    notification
}

#[cfg(test)]
#[path = "notices_tests.rs"]
mod tests;
