//! Folders that are kept in sync live.

use std::fs;
use std::os::unix::net::UnixListener;
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
use replicat_engine::engine::inspect::{Answer, Question};
use replicat_engine::live::{
    CARRIED_CONTENT_BYTES_MAX, ChangeAction, ChangeOrigin, Connection, FolderEvent, FolderState,
    LiveSettings, Parcel, PeerNumber, Reply, SendError, Trust,
};
use replicat_engine::options::{FilterAction, FilterRule};
use tempfile::tempdir;

use super::pair::{Cable, Live, settle, tree, wait};

#[test]
fn what_was_there_before_and_what_is_made_later_reaches_the_other() {
    let world = tempdir().unwrap();
    let one = Live::start("one", &world.path().join("one"));
    fs::create_dir(one.path("d")).unwrap();
    fs::write(one.path("d/early"), "early").unwrap();
    let other = Live::start("other", &world.path().join("other"));
    fs::write(other.path("also"), "also").unwrap();
    let _cable = Cable::connect(&one, &other);
    wait("both files", || {
        other.read("d/early").as_deref() == Some("early")
            && one.read("also").as_deref() == Some("also")
    });
    fs::write(other.path("d/late"), "late").unwrap();
    wait("a later file", || {
        one.read("d/late").as_deref() == Some("late")
    });
    fs::write(one.path("d/early"), "edited").unwrap();
    wait("an edit", || {
        other.read("d/early").as_deref() == Some("edited")
    });
    fs::remove_file(other.path("d/late")).unwrap();
    wait("a deletion", || one.read("d/late").is_none());
    fs::rename(one.path("d"), one.path("e")).unwrap();
    wait("a renaming", || {
        other.read("e/early").as_deref() == Some("edited")
    });
    settle(&[&one, &other]);
    assert_eq!(tree(&one.root), tree(&other.root));
    assert_eq!(one.status().state, FolderState::Online);
}

#[test]
fn s72_writes_on_both_sides_of_a_partition() {
    let world = tempdir().unwrap();
    let one = Live::start("one", &world.path().join("one"));
    let other = Live::start("other", &world.path().join("other"));
    let cable = Cable::connect(&one, &other);
    fs::write(one.path("file"), "as it was").unwrap();
    wait("the file", || other.read("file").is_some());
    settle(&[&one, &other]);
    cable.cut();
    fs::write(one.path("file"), "as one has it").unwrap();
    fs::write(other.path("file"), "as the other has it").unwrap();
    fs::write(one.path("new"), "new").unwrap();
    let _cable = Cable::connect(&one, &other);
    wait("both versions", || {
        let held = tree(&one.root);
        let has = |content: &str| {
            held.iter()
                .any(|(_, held)| held.as_deref() == Some(content.as_bytes()))
        };
        has("as one has it") && has("as the other has it") && other.read("new").is_some()
    });
    settle(&[&one, &other]);
    let told = |event: &FolderEvent| matches!(event, FolderEvent::Conflict { .. });
    assert!(
        one.heard
            .events()
            .iter()
            .chain(&other.heard.events())
            .any(told)
    );
}

#[test]
fn s73_a_chain_passes_changes_on() {
    let world = tempdir().unwrap();
    let names = ["a", "b", "c"];
    let [a, b, c] = names.map(|name| Live::start(name, &world.path().join(name)));
    let _first = Cable::connect(&a, &b);
    let _second = Cable::connect(&b, &c);
    fs::write(a.path("from-a"), "a").unwrap();
    fs::write(c.path("from-c"), "c").unwrap();
    wait("both ends", || {
        c.read("from-a").is_some() && a.read("from-c").is_some()
    });
    settle(&[&a, &b, &c]);
    let changes = c.heard.events();
    let change = changes.iter().find_map(|event| match event {
        FolderEvent::Changed(change) if change.path == RelPath::new(b"from-a").unwrap() => {
            Some(change)
        }
        _ => None,
    });
    let change = change.expect("c was told of the file from a");
    assert_eq!(change.action, ChangeAction::Created);
    assert_eq!(
        change.origin,
        ChangeOrigin::Elsewhere {
            node: "a".to_owned(),
            through: "b".to_owned()
        }
    );
}

#[test]
fn what_comes_and_goes_unsynced_still_stamps_its_directory() {
    let world = tempdir().unwrap();
    let leaves_out = |mut settings: LiveSettings| {
        settings.rules = vec![FilterRule::new(FilterAction::Exclude, b"*.tmp").unwrap()];
        settings
    };
    let one = Live::with("one", &world.path().join("one"), leaves_out);
    let other = Live::with("other", &world.path().join("other"), leaves_out);
    let _cable = Cable::connect(&one, &other);
    fs::create_dir(one.path("d")).unwrap();
    wait("the directory", || other.path("d").is_dir());
    settle(&[&one, &other]);
    let time = |live: &Live| fs::metadata(live.path("d")).unwrap().modified().unwrap();
    let known = time(&one);
    fs::write(one.path("d/x.tmp"), "1").unwrap();
    assert_ne!(time(&one), known);
    wait("the time after it came", || time(&one) == time(&other));
    let known = time(&one);
    fs::remove_file(one.path("d/x.tmp")).unwrap();
    assert_ne!(time(&one), known);
    wait("the time after it went", || time(&one) == time(&other));
    settle(&[&one, &other]);
    assert!(!other.path("d/x.tmp").exists());
}

#[test]
fn a_directory_that_is_renamed_while_more_is_under_way_has_its_time() {
    let world = tempdir().unwrap();
    let one = Live::start("one", &world.path().join("one"));
    let other = Live::start("other", &world.path().join("other"));
    let cable = Cable::connect(&one, &other);
    fs::create_dir(one.path("old")).unwrap();
    wait("the directory", || other.path("old").is_dir());
    settle(&[&one, &other]);
    // While the other waits for this, it has no rest to set times.
    cable.delay(Duration::from_millis(20));
    let large: Vec<u8> = (0..4_000_000_u32)
        .flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    fs::write(one.path("large"), &large).unwrap();
    wait("the large file is on its way", || {
        other.status().pending > 0
    });
    fs::write(one.path("old/file"), "new in it").unwrap();
    wait("the new file", || other.read("old/file").is_some());
    let time_of = |path: std::path::PathBuf| fs::metadata(path).unwrap().modified().unwrap();
    let time = time_of(one.path("old"));
    fs::rename(one.path("old"), one.path("new")).unwrap();
    wait("the renaming", || other.read("new/file").is_some());
    assert!(!other.path("large").exists(), "it came too early");
    cable.delay(Duration::ZERO);
    wait("the large file", || other.path("large").exists());
    settle(&[&one, &other]);
    assert_eq!(
        [time_of(one.path("new")), time_of(other.path("new"))],
        [time, time]
    );
}

#[test]
fn files_that_share_for_a_while_are_parted() {
    use std::os::unix::fs::MetadataExt;
    let world = tempdir().unwrap();
    let one = Live::start("one", &world.path().join("one"));
    let other = Live::start("other", &world.path().join("other"));
    let cable = Cable::connect(&one, &other);
    fs::create_dir(one.path("old")).unwrap();
    fs::write(one.path("old/file"), "first").unwrap();
    wait("the file", || other.read("old/file").is_some());
    settle(&[&one, &other]);
    cable.delay(Duration::from_millis(20));
    let large: Vec<u8> = (0..4_000_000_u32)
        .flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    fs::write(one.path("old/file"), &large).unwrap();
    wait("the edit is on its way", || other.status().pending > 0);
    // What is about to be replaced is given this name as well.
    fs::write(one.path("copy"), "first").unwrap();
    wait("the copy", || other.read("copy").is_some());
    let names = |path: &str| fs::metadata(other.path(path)).unwrap().nlink();
    assert_eq!(names("copy"), 2, "they do not share");
    fs::rename(one.path("old"), one.path("new")).unwrap();
    wait("the renaming", || other.path("new").is_dir());
    // After all it is not replaced: it goes on elsewhere.
    fs::remove_file(one.path("new/file")).unwrap();
    fs::write(one.path("third"), "first").unwrap();
    wait("the third", || other.read("third").is_some());
    cable.delay(Duration::ZERO);
    settle(&[&one, &other]);
    assert_eq!((names("copy"), names("third")), (1, 1));
    assert_eq!(tree(&one.root), tree(&other.root));
}

#[test]
fn a_large_tree_and_a_large_file_come_whole() {
    let world = tempdir().unwrap();
    let one = Live::start("one", &world.path().join("one"));
    for file in 0..3000 {
        let directory = one.path(&format!("d{}", file % 10));
        fs::create_dir_all(&directory).unwrap();
        fs::write(
            directory.join(format!("f{file}")),
            format!("content {file}"),
        )
        .unwrap();
    }
    let large: Vec<u8> = (0..5_000_000_u32).flat_map(u32::to_le_bytes).collect();
    fs::write(one.path("large"), &large).unwrap();
    let other = Live::start("other", &world.path().join("other"));
    let _cable = Cable::connect(&one, &other);
    settle(&[&one, &other]);
    wait("the large file", || {
        fs::read(other.path("large")).is_ok_and(|held| held == large)
    });
    settle(&[&one, &other]);
    assert!(other.read("d9/f2999").is_some());
}

#[test]
fn a_peer_that_may_only_receive_is_not_believed() {
    let world = tempdir().unwrap();
    let one = Live::start("one", &world.path().join("one"));
    let reader = Live::start("reader", &world.path().join("reader"));
    fs::write(one.path("file"), "as it is").unwrap();
    let _cable = Cable::trusting(&one, &reader, Trust::Deaf, Trust::Full);
    wait("the file", || reader.read("file").is_some());
    fs::write(reader.path("file"), "as the reader would have it").unwrap();
    fs::write(reader.path("more"), "more").unwrap();
    fs::write(one.path("next"), "next").unwrap();
    wait("the next file", || reader.read("next").is_some());
    assert_eq!(one.read("file").as_deref(), Some("as it is"));
    assert_eq!(one.read("more"), None);
}

#[test]
fn s69_an_emptied_directory_halts_and_goes_on_when_approved() {
    let world = tempdir().unwrap();
    let one = Live::start("one", &world.path().join("one"));
    let other = Live::start("other", &world.path().join("other"));
    for file in 0..40 {
        fs::write(one.path(&format!("f{file}")), "x").unwrap();
    }
    let cable = Cable::connect(&one, &other);
    wait("all files", || tree(&other.root).len() == 40);
    settle(&[&one, &other]);
    cable.cut();
    one.folder.pause();
    wait("the pause", || one.status().state == FolderState::Paused);
    for file in 0..40 {
        fs::remove_file(one.path(&format!("f{file}"))).unwrap();
    }
    one.folder.resume();
    wait("the brake", || one.status().brake.is_some());
    assert!(matches!(one.status().state, FolderState::Halted { .. }));
    assert_eq!(tree(&other.root).len(), 40);
    assert!(one.folder.approve());
    wait("the release", || one.status().brake.is_none());
    let _cable = Cable::connect(&one, &other);
    wait("the deletions", || tree(&other.root).is_empty());
}

#[test]
fn s70_a_directory_that_vanishes_halts_its_folder() {
    let world = tempdir().unwrap();
    let one = Live::start("one", &world.path().join("one"));
    fs::write(one.path("file"), "x").unwrap();
    wait("the first scan", || one.status().paths > 0);
    fs::rename(&one.root, world.path().join("elsewhere")).unwrap();
    wait("the halt", || {
        matches!(one.status().state, FolderState::Halted { .. })
    });
}

#[test]
fn in_sync_is_said_when_the_peer_has_it_in_its_directory() {
    let world = tempdir().unwrap();
    let one = Live::start("one", &world.path().join("one"));
    let other = Live::start("other", &world.path().join("other"));
    let cable = Cable::connect(&one, &other);
    fs::write(one.path("first"), "first").unwrap();
    wait("the first file", || other.read("first").is_some());
    settle(&[&one, &other]);
    cable.withhold(true);
    fs::write(one.path("large"), vec![b'x'; 200 << 10]).unwrap();
    wait("what is to come", || other.status().pending == 1);
    // What the other says now comes after it has said that it knows of the large file.
    fs::write(other.path("later"), "later").unwrap();
    wait("the later file", || one.read("later").is_some());
    wait("its record", || one.status().pending == 0);
    for _ in 0..50 {
        let standing = one.folder.standing().unwrap();
        assert_eq!(standing.pending, 0);
        assert!(!standing.in_sync && !standing.peers[0].in_sync);
    }
    cable.withhold(false);
    settle(&[&one, &other]);
    assert_eq!(other.read("large").map(|text| text.len()), Some(200 << 10));
}

/// What a node answers to who asks why a path is as it is.
fn why(live: &Live, path: &str) -> String {
    let path = RelPath::new(path.as_bytes()).unwrap();
    match live.folder.inspect(Question::Why(path)).unwrap() {
        Answer::Why(explanation) => explanation.facts.join("\n"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_asks_why_a_path_waits_is_told_what_for() {
    let world = tempdir().unwrap();
    let one = Live::start("one", &world.path().join("one"));
    let other = Live::start("other", &world.path().join("other"));
    let cable = Cable::connect(&one, &other);
    fs::write(one.path("first"), "first").unwrap();
    settle(&[&one, &other]);
    assert!(!why(&other, "first").contains("tried"));
    cable.withhold(true);
    fs::write(one.path("large"), vec![b'x'; 200 << 10]).unwrap();
    wait("that nobody has it", || {
        why(&other, "large").contains("it is tried again within")
    });
    cable.withhold(false);
    settle(&[&one, &other]);
    cable.delay(Duration::from_secs(1));
    fs::write(one.path("slow"), vec![b'y'; 200 << 10]).unwrap();
    wait("that it is fetched", || {
        why(&other, "slow").contains("are being fetched or written")
    });
    cable.delay(Duration::ZERO);
    let in_the_way = UnixListener::bind(other.path("socket")).unwrap();
    fs::write(one.path("socket"), "of one's").unwrap();
    wait("what is in the way", || {
        let why = why(&other, "socket");
        why.contains("that was tried 2 times, last ") && why.contains("was changed meanwhile")
    });
    // Nobody is to be busy with it for as long as it is in the way.
    std::thread::sleep(Duration::from_secs(2));
    let why_not = why(&other, "socket");
    let attempts: Option<u64> = (why_not.split_once("that was tried "))
        .and_then(|(_, rest)| rest.split_once(" times").map(|(attempts, _)| attempts))
        .and_then(|attempts| attempts.parse().ok());
    assert!(attempts.is_some_and(|attempts| attempts < 50), "{why_not}");
    drop(in_the_way);
    fs::remove_file(other.path("socket")).unwrap();
    settle(&[&one, &other]);
    for path in ["large", "slow", "socket"] {
        assert!(
            !why(&other, path).contains("tried"),
            "{}",
            why(&other, path)
        );
    }
}

#[test]
fn a_small_edit_travels_with_its_announcement() {
    let world = tempdir().unwrap();
    let one = Live::start("one", &world.path().join("one"));
    let other = Live::start("other", &world.path().join("other"));
    let cable = Cable::connect(&one, &other);
    fs::write(one.path("first"), "first").unwrap();
    wait("the first file", || other.read("first").is_some());
    settle(&[&one, &other]);
    cable.withhold(true);
    let longest = "y".repeat(64 << 10);
    fs::write(one.path("longest"), &longest).unwrap();
    fs::write(other.path("empty"), "").unwrap();
    fs::write(other.path("first"), "edited").unwrap();
    wait("what was made and edited", || {
        other.read("longest").as_deref() == Some(&longest)
            && one.read("empty").as_deref() == Some("")
            && one.read("first").as_deref() == Some("edited")
    });
    settle(&[&one, &other]);
}

#[test]
fn a_path_that_leaves_the_tree_was_moved_out_and_one_that_stays_was_renamed() {
    let world = tempdir().unwrap();
    let one = Live::start("one", &world.path().join("one"));
    let other = Live::start("other", &world.path().join("other"));
    let _cable = Cable::connect(&one, &other);
    for name in ["leaves", "stays", "goes"] {
        fs::write(one.path(name), name).unwrap();
    }
    wait("all files", || tree(&other.root).len() == 3);
    settle(&[&one, &other]);
    fs::rename(one.path("leaves"), world.path().join("elsewhere")).unwrap();
    fs::rename(one.path("stays"), one.path("renamed")).unwrap();
    fs::remove_file(one.path("goes")).unwrap();
    wait("all changes", || tree(&other.root).len() == 1);
    let changes = |live: &Live, path: &str| {
        let path = RelPath::new(path.as_bytes()).unwrap();
        let told = live.heard.events().into_iter();
        let last = told.filter_map(|event| match event {
            FolderEvent::Changed(change) if change.path == path => Some(change.action),
            _ => None,
        });
        last.last().unwrap()
    };
    let from = RelPath::new(b"stays").unwrap();
    let renamed = ChangeAction::Renamed { from };
    settle(&[&one, &other]);
    assert_eq!(changes(&one, "leaves"), ChangeAction::MovedOut);
    assert_eq!(changes(&one, "renamed"), renamed);
    assert_eq!(changes(&one, "goes"), ChangeAction::Deleted);
    assert_eq!(changes(&other, "leaves"), ChangeAction::Deleted);
    assert_eq!(changes(&other, "renamed"), renamed);
}

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
