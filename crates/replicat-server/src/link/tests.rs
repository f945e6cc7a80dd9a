//! Two links over loopback, with folders that are told and tell nothing by themselves.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use replicat_core::id::{ContentHash, FolderId};
use replicat_core::message::Want;
use replicat_core::path::RelPath;
use replicat_engine::live::{Connection, FolderMode, Parcel, PeerNumber, SendError};
use replicat_net::{
    ClusterId, ClusterKey, Endpoint, EndpointConfig, Event, Events, Identity, Link, NodeName,
    PeerAddress, Role,
};

use super::inbox::WINDOW_BYTES;
use super::sessions::Hearing;
use super::{Folders, PeerLink, Replica};
use crate::settings::FolderName;
use crate::wire::{ControlFrame, FolderOffer, Standing, WANTS_MAX};
use crate::workers::Workers;

/// How long a condition may take to hold. Far longer than it takes.
const PATIENCE: Duration = Duration::from_secs(60);
const SLOW: FolderId = FolderId(1);
const QUICK: FolderId = FolderId(2);

/// A folder that takes in what it is told when the test says so.
#[derive(Default)]
struct Fake {
    peer: Mutex<Option<(PeerNumber, Arc<dyn Connection>)>>,
    received: Mutex<Vec<Parcel>>,
    writable: AtomicUsize,
}

impl Fake {
    fn connection(&self) -> Option<Arc<dyn Connection>> {
        let peer = self.peer.lock().unwrap();
        peer.as_ref().map(|(_, connection)| Arc::clone(connection))
    }

    fn send(&self, bytes: usize) -> Result<(), SendError> {
        let connection = self.connection().unwrap();
        connection.send(Parcel::of(Bytes::from(vec![7; bytes])))
    }

    fn received(&self) -> usize {
        self.received.lock().unwrap().len()
    }

    fn take_in(&self) {
        let connection = self.connection().unwrap();
        for parcel in self.received.lock().unwrap().drain(..) {
            connection.taken(parcel.bytes());
        }
    }
}

impl Replica for Fake {
    fn connect(&self, number: PeerNumber, peer: Arc<dyn Connection>, _hearing: Hearing) {
        *self.peer.lock().unwrap() = Some((number, peer));
    }

    fn disconnect(&self, _number: PeerNumber) {
        *self.peer.lock().unwrap() = None;
    }

    fn receive(&self, _number: PeerNumber, parcel: Parcel) {
        self.received.lock().unwrap().push(parcel);
    }

    fn writable(&self, _number: PeerNumber) {
        self.writable.fetch_add(1, Ordering::Relaxed);
    }

    fn answer(&self, _want: &Want) -> Option<Bytes> {
        None
    }

    fn keeps(&self, want: &Want) -> bool {
        want.path.name() == b"kept"
    }

    fn manifest(&self, _content: ContentHash) -> Option<Bytes> {
        None
    }

    fn allow_deletions(&self) {}

    fn standing(&self) -> Standing {
        Standing {
            is_online: true,
            pending: 0,
        }
    }
}

#[derive(Default)]
struct FakeFolders(BTreeMap<FolderId, Arc<Fake>>);

impl FakeFolders {
    fn new() -> Arc<Self> {
        let folders = [SLOW, QUICK].map(|folder| (folder, Arc::default()));
        Arc::new(Self(folders.into()))
    }
}

fn name(folder: FolderId) -> FolderName {
    format!("folder-{}", folder.0).parse().unwrap()
}

impl Folders for FakeFolders {
    fn replica(&self, folder: FolderId) -> Option<Arc<dyn Replica>> {
        let fake = self.0.get(&folder).cloned();
        fake.map(|fake| fake as Arc<dyn Replica>)
    }

    fn offered(&self, _cluster: ClusterId) -> Vec<(FolderId, FolderName, FolderMode)> {
        let ids = self.0.keys();
        ids.map(|id| (*id, name(*id), FolderMode::ReadWrite))
            .collect()
    }

    fn asked_for(&self, _folder: FolderId, _peer: &NodeName, _path: &RelPath) {}
}

/// Two endpoints, and the link between them as each sees it.
struct Pair {
    links: [Link; 2],
    _endpoints: [(Endpoint, Events); 2],
}

impl Pair {
    async fn new() -> Self {
        let authority = ClusterKey::generate().unwrap().authority().unwrap();
        let start = async |node: &str| {
            let identity = Identity::issue(
                &authority,
                node.parse().unwrap(),
                Role::ReadWrite,
                SystemTime::now(),
                Duration::from_secs(3600),
            );
            let config = EndpointConfig {
                listen: Some("127.0.0.1:0".to_owned()),
                ..EndpointConfig::default()
            };
            Endpoint::bind(identity.unwrap(), config).await.unwrap()
        };
        let (mut a, mut b) = (start("a").await, start("b").await);
        a.0.dial(PeerAddress {
            name: None,
            address: b.0.local_address().unwrap().to_string(),
        });
        let links = [link_up(&mut a.1).await, link_up(&mut b.1).await];
        Self {
            links,
            _endpoints: [a, b],
        }
    }

    /// Starts the links of both sides, each over folders of its own.
    fn start(&self, workers: &Workers, folders: [&Arc<FakeFolders>; 2]) -> [Arc<PeerLink>; 2] {
        std::array::from_fn(|side| {
            let folders = Arc::clone(folders[side]) as Arc<dyn Folders>;
            let link = self.links[side].clone();
            PeerLink::start(link, folders, workers, &Arc::default()).unwrap()
        })
    }
}

async fn link_up(events: &mut Events) -> Link {
    loop {
        if let Event::LinkUp(link) = events.recv().await.unwrap() {
            return link;
        }
    }
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_slow_to_take_messages_holds_up_no_other() {
    let pair = Pair::new().await;
    let workers = Workers::default();
    let (here, there) = (FakeFolders::new(), FakeFolders::new());
    let _links = pair.start(&workers, [&here, &there]);
    let (slow, quick) = (&here.0[&SLOW], &here.0[&QUICK]);
    until("sessions", || {
        let mut all = here.0.values().chain(there.0.values());
        all.all(|fake| fake.connection().is_some())
    })
    .await;
    // As much as goes, while the folder there takes nothing in.
    let part = usize::try_from(WINDOW_BYTES).unwrap() / 8;
    let mut sent = 0;
    until("the window to be full", || {
        let is_sent = slow.send(part).is_ok();
        sent += usize::from(is_sent);
        !is_sent && there.0[&SLOW].received() == sent && sent >= 8
    })
    .await;
    assert_eq!(sent, 8);
    let before = slow.writable.load(Ordering::Relaxed);
    for _ in 0..100 {
        quick.send(1000).unwrap();
    }
    until("all that went to the other folder", || {
        there.0[&QUICK].received() == 100
    })
    .await;
    there.0[&SLOW].take_in();
    until("leave to go on", || {
        slow.writable.load(Ordering::Relaxed) > before
    })
    .await;
    slow.send(part).unwrap();
    until("the next message", || there.0[&SLOW].received() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn peer_says_what_it_keeps() {
    let pair = Pair::new().await;
    let workers = Workers::default();
    let (here, there) = (FakeFolders::new(), FakeFolders::new());
    let _links = pair.start(&workers, [&here, &there]);
    until("a session", || here.0[&QUICK].connection().is_some()).await;
    let connection = here.0[&QUICK].connection().unwrap();
    let want = |path: &str| Want {
        content: ContentHash([7; 32]),
        path: RelPath::new(path.as_bytes()).unwrap(),
        offset: 0,
        length: 1,
    };
    // More than one request takes.
    let wants: Vec<Want> = (0..WANTS_MAX + 3)
        .map(|at| want(if at % 3 == 0 { "a/kept" } else { "a/other" }))
        .collect();
    let expected: Vec<bool> = (0..wants.len()).map(|at| at % 3 == 0).collect();
    let answers = tokio::task::spawn_blocking(move || connection.keeps(wants));
    assert_eq!(answers.await.unwrap(), expected);
}

/// A peer that says what a test has it say.
fn offer(epoch: u64, window: u64) -> Bytes {
    let folder = FolderOffer {
        folder: SLOW,
        name: name(SLOW),
        mode: FolderMode::ReadWrite,
        epoch,
    };
    let folders = vec![folder];
    ControlFrame::Offer { folders, window }.encode()
}

async fn epoch_offered(link: &Link) -> u64 {
    loop {
        let frame = link.control().recv().await.unwrap();
        if let ControlFrame::Offer { folders, .. } = ControlFrame::decode(frame).unwrap() {
            let slow = folders.iter().find(|offer| offer.folder == SLOW);
            return slow.unwrap().epoch;
        }
    }
}

fn message(epoch: u64, bytes: u64) -> Bytes {
    let message = vec![7; usize::try_from(bytes).unwrap()];
    ControlFrame::Session {
        folder: SLOW,
        epoch,
        parcel: Parcel::of(message.into()),
    }
    .encode()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_sends_beyond_the_window_is_cut_off_and_one_that_knows_no_windows_waits() {
    for (window, is_cut_off) in [(1, true), (0, false)] {
        let pair = Pair::new().await;
        let folders = FakeFolders::new();
        let own = Arc::clone(&folders) as Arc<dyn Folders>;
        let _link = PeerLink::start(
            pair.links[0].clone(),
            own,
            &Workers::default(),
            &Arc::default(),
        )
        .unwrap();
        let rude = &pair.links[1];
        rude.control().send(offer(9, window)).await.unwrap();
        let epoch = epoch_offered(rude).await;
        for _ in 0..2 {
            let frame = message(epoch, WINDOW_BYTES);
            rude.control().send(frame).await.unwrap();
        }
        if is_cut_off {
            let end = rude.closed().await.to_string();
            assert!(end.contains("more for a folder than it may"), "{end}");
            continue;
        }
        let slow = &folders.0[&SLOW];
        until("the first message", || slow.received() == 1).await;
        slow.take_in();
        until("the second", || slow.received() == 1).await;
    }
}
