//! What is told of a node that stands in one way after another.

use replicat_core::id::{FolderId, ReplicaId};
use replicat_engine::event::Progress;
use replicat_engine::live::{FolderMode, FolderStatus};
use replicat_engine::report::HeldDeletions;
use replicat_net::LinkCounters;

use super::*;
use crate::server::status::{LinkStatus, ServerStatus};
use crate::settings::NodeSettings;

const LOST_AFTER: Duration = Duration::from_secs(60);

fn detail() -> FolderStatus {
    FolderStatus {
        root: "/srv/site".into(),
        folder: FolderId(7),
        replica: ReplicaId(9),
        mode: FolderMode::ReadWrite,
        state: FolderState::Online,
        paths: 100,
        pending: 0,
        excluded: 0,
        progress: Progress::default(),
        in_sync: true,
        in_sync_at: None,
        peers: Vec::new(),
        skipped: Vec::new(),
        conflicts: 0,
        refused: replicat_engine::report::RefusedChanges::default(),
        brake: None,
        held: HeldDeletions::default(),
        held_deletions: 0,
        watched_only: None,
        queue: 0,
        bytes_received: 0,
        bytes_sent: 0,
    }
}

fn folder(change: impl FnOnce(&mut FolderStatus)) -> FolderReport {
    let mut detail = detail();
    change(&mut detail);
    FolderReport {
        name: "site".parse().unwrap(),
        directory: detail.root.clone(),
        mode: detail.mode,
        state: detail.state.clone(),
        detail: Some(detail),
    }
}

fn halted() -> FolderReport {
    folder(|detail| {
        detail.in_sync = false;
        detail.state = FolderState::Halted {
            reason: "the disk is gone".to_owned(),
        };
    })
}

fn braked(gone: u64) -> FolderReport {
    let recorded = 100;
    folder(|detail| {
        detail.brake = Some(Brake::MassDeletion {
            gone,
            recorded,
            gone_bytes: gone,
            recorded_bytes: recorded,
        });
        detail.in_sync = false;
        detail.state = FolderState::Halted {
            reason: "so much is gone".to_owned(),
        };
    })
}

fn peer(status: NodeStatus) -> Node {
    let link = LinkStatus {
        cluster: replicat_net::ClusterId::from_bytes([0; 16]),
        since: std::time::SystemTime::UNIX_EPOCH,
        software: "replicat".to_owned(),
        round_trip: None,
        counters: LinkCounters::default(),
        folders: Some(vec!["site".parse().unwrap()]),
    };
    Node {
        name: "nas".parse().ok(),
        address: "10.0.0.2:8787".to_owned(),
        role: None,
        link: (status == NodeStatus::Connected).then_some(link),
        status,
    }
}

fn unreachable() -> Node {
    peer(NodeStatus::Unreachable {
        reason: "connection refused".to_owned(),
    })
}

/// A watch, and what it is shown.
struct Scene {
    watch: Watch,
    settings: Settings,
    start: Instant,
}

impl Scene {
    fn new() -> Self {
        let mut settings = Settings::default();
        settings.set_node(NodeSettings::parse("nas=10.0.0.2:8787").unwrap());
        Self {
            watch: Watch::default(),
            settings,
            start: Instant::now(),
        }
    }

    /// What is told after so many seconds, as kind and text.
    fn told(
        &mut self,
        seconds: u64,
        folder: FolderReport,
        nodes: Vec<Node>,
    ) -> Vec<(Kind, String)> {
        let report = ServerReport {
            name: "office".parse().unwrap(),
            address: None,
            cluster: String::new(),
            status: ServerStatus::Online,
            started: std::time::SystemTime::UNIX_EPOCH,
            folders: vec![folder],
            nodes,
            workers: Vec::new(),
            bandwidth: None,
        };
        let now = self.start + Duration::from_secs(seconds);
        let told = self.watch.look(&report, &self.settings, now);
        told.into_iter()
            .map(|told| (told.kind, told.text))
            .collect()
    }
}

fn kinds(told: &[(Kind, String)]) -> Vec<Kind> {
    told.iter().map(|(kind, _)| *kind).collect()
}

#[test]
fn a_brake_is_told_once_and_when_it_is_over() {
    let mut scene = Scene::new();
    assert!(scene.told(0, folder(|_| ()), Vec::new()).is_empty());
    let told = scene.told(1, braked(60), Vec::new());
    assert_eq!(kinds(&told), [Kind::Brake]);
    assert!(
        told[0].1.starts_with("office: folder site: 60 of 100"),
        "{told:?}"
    );
    let both = [
        "replicat approve --folder site",
        "replicat reject --folder site",
    ];
    assert!(both.iter().all(|way| told[0].1.contains(way)), "{told:?}");
    assert!(scene.told(2, braked(61), Vec::new()).is_empty());
    // Approved, but its deletions are not carried out yet.
    let busy = || folder(|detail| detail.in_sync = false);
    assert!(scene.told(3, busy(), Vec::new()).is_empty());
    assert_eq!(
        kinds(&scene.told(4, folder(|_| ()), Vec::new())),
        [Kind::InSync]
    );
    assert!(scene.told(5, busy(), Vec::new()).is_empty());
    assert!(scene.told(6, folder(|_| ()), Vec::new()).is_empty());
}

#[test]
fn a_brake_that_is_back_is_told_again() {
    let mut scene = Scene::new();
    assert_eq!(kinds(&scene.told(0, braked(60), Vec::new())), [Kind::Brake]);
    let busy = folder(|detail| detail.in_sync = false);
    assert!(scene.told(1, busy, Vec::new()).is_empty());
    assert_eq!(kinds(&scene.told(2, braked(60), Vec::new())), [Kind::Brake]);
}

#[test]
fn a_folder_that_halts_says_why() {
    let mut scene = Scene::new();
    let told = scene.told(0, halted(), Vec::new());
    assert_eq!(kinds(&told), [Kind::Halted]);
    assert!(
        told[0].1.ends_with("it is halted: the disk is gone"),
        "{told:?}"
    );
    assert!(scene.told(1, halted(), Vec::new()).is_empty());
    assert_eq!(
        kinds(&scene.told(2, folder(|_| ()), Vec::new())),
        [Kind::InSync]
    );
}

#[test]
fn a_node_is_lost_when_it_has_been_away_for_long() {
    let mut scene = Scene::new();
    let whole = || folder(|_| ());
    // One that never was there is not lost.
    assert!(scene.told(0, whole(), vec![unreachable()]).is_empty());
    assert!(scene.told(1000, whole(), vec![unreachable()]).is_empty());
    let connected = || vec![peer(NodeStatus::Connected)];
    assert!(scene.told(1001, whole(), connected()).is_empty());
    // A short absence is no news, and its time does not count later.
    assert!(scene.told(1002, whole(), vec![unreachable()]).is_empty());
    assert!(scene.told(1061, whole(), connected()).is_empty());
    assert!(scene.told(1062, whole(), vec![unreachable()]).is_empty());
    assert!(scene.told(1121, whole(), vec![unreachable()]).is_empty());
    let told = scene.told(1062 + LOST_AFTER.as_secs(), whole(), vec![unreachable()]);
    assert_eq!(kinds(&told), [Kind::NodeLost]);
    assert!(
        told[0]
            .1
            .contains("nas has been away for 60 seconds: connection refused"),
        "{told:?}"
    );
    assert!(scene.told(2000, whole(), vec![unreachable()]).is_empty());
    // Back, and then in sync.
    let busy = folder(|detail| detail.in_sync = false);
    assert!(scene.told(2001, busy, connected()).is_empty());
    let told = scene.told(2002, whole(), connected());
    assert_eq!(kinds(&told), [Kind::InSync]);
    assert!(told[0].1.contains("nas is back"), "{told:?}");
    assert!(scene.told(2003, whole(), connected()).is_empty());
}

#[test]
fn a_node_that_is_taken_out_is_not_lost() {
    let connected = || vec![peer(NodeStatus::Connected)];
    let whole = || folder(|_| ());
    let mut scene = Scene::new();
    assert!(scene.told(0, whole(), connected()).is_empty());
    scene.settings.nodes.clear();
    assert!(scene.told(1, whole(), Vec::new()).is_empty());
    assert!(scene.told(1000, whole(), Vec::new()).is_empty());

    let mut scene = Scene::new();
    assert!(scene.told(0, whole(), connected()).is_empty());
    scene.watch.forget(&"nas".parse().unwrap());
    assert!(scene.told(1000, whole(), Vec::new()).is_empty());

    // One that dialled this node and is gone is.
    let mut scene = Scene::new();
    scene.settings.nodes.clear();
    assert!(scene.told(0, whole(), connected()).is_empty());
    assert!(scene.told(1, whole(), Vec::new()).is_empty());
    assert_eq!(
        kinds(&scene.told(100, whole(), Vec::new())),
        [Kind::NodeLost]
    );
}

#[test]
fn many_conflicts_are_told_together_and_listed_in_part() {
    let path = |text: String| RelPath::new(text.as_bytes()).unwrap();
    let mut conflicts = Conflicts {
        count: 30,
        first: Vec::new(),
    };
    for number in 0..LISTED_MAX {
        let (path, copy) = (
            path(format!("f{number}\u{202e}")),
            path(format!("c{number}")),
        );
        conflicts.first.push((path, copy));
    }
    let by = "office".parse().unwrap();
    let told = of_conflicts(&by, &"site".parse().unwrap(), &conflicts);
    assert!(
        told.text
            .starts_with("office: folder site: 30 conflicts were kept as copies: f0")
    );
    assert!(told.text.ends_with(" and 10 more"), "{}", told.text);
    assert!(
        !told.text.contains('\u{202e}'),
        "names are escaped: {}",
        told.text
    );
    let object = told.to_json();
    assert_eq!(object["count"], 30);
    assert_eq!(object["conflicts"].as_array().unwrap().len(), LISTED_MAX);
    assert_eq!(object["conflicts"][0]["copy"], "c0");
}
