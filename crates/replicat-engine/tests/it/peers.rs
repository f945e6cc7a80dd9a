//! What a folder does about peers that say what they should not, or nothing: each is played by the test.

use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use replicat_core::entry::Entry;
use replicat_core::id::{ContentHash, ReplicaId};
use replicat_core::message::{Hello, Message, PROTOCOL_VERSION, TreeReply, Want};
use replicat_core::path::RelPath;
use replicat_core::store::Digest;
use replicat_core::version::VersionVector;
use replicat_core::wire;
use replicat_engine::live::{
    CARRIED_CONTENT_BYTES_MAX, Connection, FolderEvent, LiveSettings, Parcel, PeerNumber, Reply,
    SendError, Trust,
};
use tempfile::tempdir;

use super::pair::{Cable, Live, settle, wait};

/// A peer that says nothing.
#[derive(Default)]
struct Mute(Mutex<Option<String>>);

impl Connection for Mute {
    fn name(&self) -> &str {
        "mute"
    }

    fn send(&self, _parcel: Parcel) -> Result<(), SendError> {
        Ok(())
    }

    fn request(&self, _wants: Vec<Want>) -> Reply {
        Box::new(std::iter::empty())
    }

    fn manifest(&self, _content: ContentHash) -> Option<Bytes> {
        None
    }

    fn close(&self, reason: &str) {
        *self.0.lock().unwrap() = Some(reason.to_owned());
    }
}

#[test]
fn more_content_than_may_travel_ends_the_session() {
    let world = tempdir().unwrap();
    let one = Live::start("one", &world.path().join("one"));
    let peer = Arc::new(Mute::default());
    let number = PeerNumber(u64::MAX);
    one.folder
        .connect(number, Arc::<Mute>::clone(&peer), Trust::Full);
    let contents = vec![Bytes::from(vec![0; CARRIED_CONTENT_BYTES_MAX + 1])];
    let message = Bytes::new();
    one.folder.receive(number, Parcel { message, contents });
    wait("the end", || {
        let reason = peer.0.lock().unwrap();
        reason.as_deref() == Some("more travels with a message than may")
    });
    assert_eq!(one.folder.standing().unwrap().peers, []);
}

/// Nothing is brought while a peer is telling something. One that never ends is not waited for for ever.
#[test]
fn a_peer_that_falls_silent_amid_its_telling_is_not_waited_for() {
    let world = tempdir().unwrap();
    let impatient = |settings| LiveSettings {
        peer_patience: Duration::from_secs(1),
        ..settings
    };
    let one = Live::with("one", &world.path().join("one"), impatient);
    let other = Live::start("other", &world.path().join("other"));
    let _cable = Cable::connect(&one, &other);
    settle(&[&one, &other]);
    let peer = Arc::new(Mute::default());
    let number = PeerNumber(u64::MAX);
    one.folder
        .connect(number, Arc::<Mute>::clone(&peer), Trust::Full);
    let greeting = Message::Hello(Hello {
        protocol: PROTOCOL_VERSION,
        folder: one.status().folder,
        replica: ReplicaId(77),
        knowledge: VersionVector::new(),
        applied: VersionVector::new(),
        names: Vec::new(),
        presences: Vec::new(),
    });
    one.folder
        .receive(number, Parcel::of(wire::encode(&greeting)));
    wait("the greeting", || one.status().peers.len() == 2);
    fs::write(other.path("file"), "of other's").unwrap();
    wait("the end of patience", || peer.0.lock().unwrap().is_some());
    wait("the file", || one.read("file").is_some());
    let has_warned = |event: &FolderEvent| match event {
        FolderEvent::Warning(text) => text.starts_with("mute did not go on"),
        _ => false,
    };
    assert!(one.heard.events().iter().any(has_warned));
}

/// A peer of which only the test speaks. It keeps what it is sent.
#[derive(Default)]
struct Spoken(Mutex<Vec<Message>>);

impl Spoken {
    /// The first message that it was sent of which `choose` makes something.
    fn hears<T>(&self, what: &str, choose: impl Fn(&Message) -> Option<T>) -> T {
        let mut heard = None;
        wait(what, || {
            heard = self.0.lock().unwrap().iter().find_map(&choose);
            heard.is_some()
        });
        heard.unwrap()
    }
}

impl Connection for Spoken {
    fn name(&self) -> &str {
        "spoken"
    }

    fn send(&self, parcel: Parcel) -> Result<(), SendError> {
        let message = wire::decode(parcel.message).unwrap();
        self.0.lock().unwrap().push(message);
        Ok(())
    }

    fn request(&self, _wants: Vec<Want>) -> Reply {
        Box::new(std::iter::empty())
    }

    fn manifest(&self, _content: ContentHash) -> Option<Bytes> {
        None
    }

    fn close(&self, _reason: &str) {}
}

/// A peer that may only receive can hold other versions of what both know, as after a session that broke. It is told what
/// is here, and nobody waits for what it says.
#[test]
fn a_peer_that_may_only_receive_and_differs_is_told_what_is_here() {
    let world = tempdir().unwrap();
    let one = Live::start("one", &world.path().join("one"));
    let other = Live::start("other", &world.path().join("other"));
    let _cable = Cable::connect(&one, &other);
    fs::write(one.path("file"), "of one").unwrap();
    wait("the file", || other.read("file").is_some());
    settle(&[&one, &other]);
    let peer = Arc::new(Spoken::default());
    let number = PeerNumber(u64::MAX);
    let folder = one.folder.clone();
    let say = |message| folder.receive(number, Parcel::of(wire::encode(&message)));
    one.folder
        .connect(number, Arc::<Spoken>::clone(&peer), Trust::Deaf);
    let hello = peer.hears("a greeting", |message| match message {
        Message::Hello(hello) => Some(hello.clone()),
        _ => None,
    });
    let knowledge = hello.knowledge.clone();
    say(Message::Hello(Hello {
        // Whose number is lower leads.
        replica: ReplicaId(u64::MAX),
        ..hello
    }));
    say(Message::Sent {
        knowledge: knowledge.clone(),
    });
    let sum = |message: &Message| matches!(message, Message::Sum { .. }).then_some(());
    peer.hears("a sum", sum);
    peer.0.lock().unwrap().clear();
    say(Message::Sum {
        digest: Digest::default(),
        knowledge,
    });
    peer.hears("a page", |message| {
        matches!(message, Message::Tree(_)).then_some(())
    });
    let differing = RelPath::new(b"file").unwrap();
    say(Message::TreeReply(TreeReply {
        directory: RelPath::root(),
        entries: vec![(differing.clone(), Entry::default())],
        descend: Vec::new(),
        until: Vec::new(),
    }));
    let told = peer.hears("what is here", |message| match message {
        Message::Repair(entries) => Some(entries.clone()),
        _ => None,
    });
    assert!(
        told.iter()
            .any(|(path, entry)| *path == differing && entry.is_live())
    );
    let (digest, knowledge) = peer.hears("another sum", |message| match message {
        Message::Sum { digest, knowledge } => Some((*digest, knowledge.clone())),
        _ => None,
    });
    say(Message::Sum { digest, knowledge });
    fs::write(other.path("later"), "of other").unwrap();
    wait("the later file", || one.read("later").is_some());
}
