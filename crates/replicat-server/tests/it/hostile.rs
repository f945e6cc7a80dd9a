//! s76: a peer that holds the key and means harm. What it says is refused, or does none, and the node goes on.

use std::fs;
use std::path::Path;

use crate::cluster::{Cluster, tree, until};
use crate::rude::{Manifests, Proto, REPLICA, Rude};

const FILE: u64 = 1;
const SYMLINK: u64 = 3;
const TOMBSTONE: u64 = 4;
const COUNTER: u64 = 1_700_000_000_000_000;

/// A version of kind `kind`, with what belongs to it.
fn version(number: u64, kind: u64, value: &[u8]) -> Proto {
    let dot = Proto::new().fixed(1, REPLICA).number(2, COUNTER + number);
    dot.number(5, 1_700_000_000_000)
        .number(6, kind)
        .bytes(7, value)
}

fn entry(path: &[u8], version: &Proto) -> Proto {
    Proto::new().bytes(1, path).message(2, version)
}

fn entries(entries: &[Proto]) -> Proto {
    let list = entries
        .iter()
        .fold(Proto::new(), |list, entry| list.message(1, entry));
    Proto::new().message(2, &list)
}

fn sent(count: u64) -> Proto {
    let vector = Proto::new().fixed(1, REPLICA).number(2, COUNTER + count);
    Proto::new().message(3, &vector)
}

/// A file of these bytes, or what is said to be one.
fn file(number: u64, content: &[u8], size: u64) -> Proto {
    version(number, FILE, blake3::hash(content).as_bytes())
        .number(8, size)
        .number(10, 0o644)
}

/// A cluster of one node, with one file.
async fn one_node() -> Cluster {
    let mut cluster = Cluster::new();
    cluster.write("a", "file", "as it was");
    cluster.start("a", &[]).await;
    cluster
}

/// The node holds what it held, nothing is beside its directory, and an honest node gets it all.
async fn unharmed(mut cluster: Cluster) {
    let held: Vec<_> = tree(&cluster.directory("a")).into_keys().collect();
    assert_eq!(held, [Path::new("file")]);
    for place in ["x", "evil"] {
        assert!(
            !cluster.place.path().join(place).exists(),
            "{place} is outside"
        );
    }
    cluster.start("honest", &["a"]).await;
    cluster.holds("honest", "file", "as it was").await;
    cluster.write("honest", "file", "edited after all that");
    cluster.holds("a", "file", "edited after all that").await;
    cluster.end().await;
}

/// Paths that are none.
fn no_paths() -> Vec<(&'static str, Proto)> {
    let at = |path: &[u8]| entries(&[entry(path, &file(1, b"evil", 4))]);
    let long_name = [b'n'; 256];
    let long_path = vec![b"component".as_slice(); 4000].join(&b'/');
    let moved = |to: &[u8]| entries(&[entry(b"x", &version(1, TOMBSTONE, to))]);
    vec![
        ("the directory above", at(b"..")),
        ("a path that climbs", at(b"../x")),
        ("a path that climbs later", at(b"d/../../x")),
        ("an absolute path", at(b"/tmp/x")),
        ("an empty component", at(b"d//x")),
        ("a component that is a dot", at(b"d/./x")),
        ("a slash at the end", at(b"d/")),
        ("a byte of zero", at(b"d\0x")),
        ("a name that is too long", at(&long_name)),
        ("a path that is too long", at(&long_path)),
        ("moved to where it climbs", moved(b"../x")),
        ("moved to an absolute path", moved(b"/tmp/x")),
    ]
}

/// Values that cannot be.
fn no_values() -> Vec<(&'static str, Proto)> {
    let changed = |version: &Proto| entries(&[entry(b"x", version)]);
    let link = |target: &[u8]| changed(&version(1, SYMLINK, target));
    let short = version(1, FILE, b"short").number(8, 4);
    let mode = file(1, b"evil", 4).number(10, 0o107_777);
    let time = file(1, b"evil", 4).number(12, u64::from(u32::MAX));
    let twice = entry(b"x", &file(1, b"evil", 4)).message(2, &file(1, b"other", 5));
    let unequal = Proto::new().fixed(1, REPLICA);
    let other_folder = Proto::new().number(1, 1).bytes(2, &[0; 16]);
    let greeting = other_folder.fixed(3, REPLICA + 1);
    vec![
        ("a hash that is too short", changed(&short)),
        ("a link to nothing", link(b"")),
        ("a link to a byte of zero", link(b"a\0b")),
        ("a link to a place too long", link(&[b'l'; 5000])),
        ("a kind that there is not", changed(&version(1, 9, b""))),
        ("a mode beyond permissions", changed(&mode)),
        ("nanoseconds beyond a second", changed(&time)),
        ("one event twice", entries(&[twice])),
        (
            "a vector of unequal lists",
            Proto::new().message(3, &unequal),
        ),
        (
            "a second greeting, of another",
            Proto::new().message(1, &greeting),
        ),
    ]
}

/// Bytes that are no message, or claim to be longer than they are.
fn no_messages() -> Vec<(&'static str, Proto)> {
    let huge = |field: u8| Proto(vec![field << 3 | 2, 0xff, 0xff, 0xff, 0xff, 0x0f]);
    let within = Proto::new().message(2, &huge(1));
    vec![
        ("a length of 4 GiB, of entries", huge(2)),
        ("a length of 4 GiB, within an entry", within),
        ("a length of 4 GiB, of a vector", huge(3)),
        ("a message that there is not", Proto::new().bytes(99, b"x")),
        ("no message", Proto::new()),
        ("no Protocol Buffers", Proto(vec![0xff; 64])),
    ]
}

/// Each is said after a greeting that is in order, in a session of its own.
#[tokio::test(flavor = "multi_thread")]
async fn s76_what_makes_no_sense_ends_the_session() {
    let cluster = one_node().await;
    let nonsense = [no_paths(), no_values(), no_messages()].concat();
    for (number, (what, message)) in nonsense.into_iter().enumerate() {
        let rude = Rude::connect(&cluster, &format!("rude{number}")).await;
        rude.say(&rude.hello()).await;
        rude.say(&message).await;
        let reason = rude.refused().await;
        eprintln!("{what}: {reason}");
        assert!(!reason.is_empty(), "{what}");
        rude.leave().await;
    }
    unharmed(cluster).await;
}

/// What belongs to a session, and comes when it is not due.
#[tokio::test(flavor = "multi_thread")]
async fn s76_what_is_said_in_the_wrong_order_ends_the_session() {
    let cluster = one_node().await;
    let good = entries(&[entry(b"x", &file(1, b"evil", 4))]);
    let tree = Proto::new().message(5, &Proto::new().bytes(1, b""));
    let reply = Proto::new().message(6, &Proto::new().bytes(1, b""));
    let sum = Proto::new().message(4, &Proto::new().bytes(1, &[1; 16]));
    for (number, (what, message)) in [
        ("entries before the greeting", &good),
        ("all is sent before the greeting", &sent(1)),
        ("a sum before the greeting", &sum),
        ("a page before the greeting", &tree),
        ("an answer to no page, before the greeting", &reply),
    ]
    .into_iter()
    .enumerate()
    {
        let rude = Rude::connect(&cluster, &format!("early{number}")).await;
        rude.say(message).await;
        let reason = rude.refused().await;
        eprintln!("{what}: {reason}");
        assert!(!reason.is_empty(), "{what}");
        rude.leave().await;
    }
    unharmed(cluster).await;
}

/// The peer breaks off amid telling, again and again: what it told is no more than a hint, and harms nobody.
#[tokio::test(flavor = "multi_thread")]
async fn s76_a_peer_that_never_finishes_is_no_burden() {
    let cluster = one_node().await;
    for number in 0..5 {
        let rude = Rude::connect(&cluster, &format!("half{number}")).await;
        rude.say(&rude.hello()).await;
        let path = format!("never-there{number}");
        rude.say(&entries(&[entry(
            path.as_bytes(),
            &file(number, b"nowhere", 7),
        )]))
        .await;
        rude.hear().await.unwrap();
        rude.leave().await;
    }
    unharmed(cluster).await;
}

/// What it tells is in order, and the contents are not what their names say: nothing of it is ever shown.
#[tokio::test(flavor = "multi_thread")]
async fn s76_contents_that_belie_their_hash_are_not_taken() {
    let mut cluster = one_node().await;
    let rude = Rude::connect(&cluster, "liar").await;
    let hash = |content: &[u8]| *blake3::hash(content).as_bytes();
    rude.serve(
        &[
            (hash(b"as promised"), b"as promised".to_vec()),
            (hash(b"what was promised"), b"what was not said".to_vec()),
            (hash(b"shorter"), b"short".to_vec()),
            (
                hash(b"file of a liar"),
                b"longer than what was promised".to_vec(),
            ),
        ],
        Manifests::Missing,
    );
    rude.say(&rude.hello()).await;
    rude.say(&entries(&[
        entry(b"belied", &file(1, b"what was promised", 17)),
        entry(b"short", &file(2, b"shorter", 7)),
        entry(b"long", &file(3, b"file of a liar", 14)),
        entry(b"absent", &file(4, b"never had", 1 << 40)),
        entry(b"good", &file(5, b"as promised", 11)),
    ]))
    .await;
    rude.say(&sent(5)).await;
    tokio::select! {
        () = cluster.holds("a", "good", "as promised") => {}
        reason = rude.refused() => panic!("the session ended: {reason}"),
    }
    for path in ["belied", "short", "long", "absent"] {
        assert!(!cluster.directory("a").join(path).exists(), "{path}");
    }
    rude.leave().await;
    cluster.start("honest", &["a"]).await;
    cluster.holds("honest", "good", "as promised").await;
    cluster.holds("honest", "file", "as it was").await;
    for path in ["belied", "short", "long", "absent"] {
        assert!(!cluster.directory("honest").join(path).exists(), "{path}");
    }
    cluster.end().await;
}

/// A peer tells of a large file, and never answers what is asked about it: all else goes on.
#[tokio::test(flavor = "multi_thread")]
async fn s76_a_manifest_that_never_comes_holds_nobody_up() {
    let cluster = one_node().await;
    let rude = Rude::connect(&cluster, "silent").await;
    let hash = *blake3::hash(b"as promised").as_bytes();
    rude.serve(&[(hash, b"as promised".to_vec())], Manifests::Unanswered);
    rude.say(&rude.hello()).await;
    rude.say(&entries(&[
        entry(b"absent", &file(1, b"never had", 1 << 40)),
        entry(b"good", &file(2, b"as promised", 11)),
    ]))
    .await;
    rude.say(&sent(2)).await;
    cluster.holds("a", "good", "as promised").await;
    rude.leave().await;
    cluster.end().await;
}

/// Paths that are paths, and lead out of the tree or into the state all the same.
#[tokio::test(flavor = "multi_thread")]
async fn s76_nothing_is_written_through_a_link_or_into_the_state() {
    let cluster = one_node().await;
    let outside = cluster.place.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("victim"), "not ours").unwrap();
    let rude = Rude::connect(&cluster, "climber").await;
    let hash = |content: &[u8]| *blake3::hash(content).as_bytes();
    let contents: [&[u8]; 2] = [b"evil", b"as promised"];
    rude.serve(
        &contents.map(|content| (hash(content), content.to_vec())),
        Manifests::Missing,
    );
    rude.say(&rude.hello()).await;
    let target = outside.as_os_str().as_encoded_bytes();
    rude.say(&entries(&[
        entry(b"link", &version(1, SYMLINK, target)),
        entry(b"link/evil", &file(2, b"evil", 4)),
        entry(b"link/victim", &file(3, b"evil", 4)),
        entry(b".replicat/index.redb", &file(4, b"evil", 4)),
        entry(b".replicat/evil", &file(5, b"evil", 4)),
        entry(b"good", &file(6, b"as promised", 11)),
    ]))
    .await;
    rude.say(&sent(6)).await;
    cluster.holds("a", "good", "as promised").await;
    rude.leave().await;
    let state = cluster.directory("a").join(".replicat");
    let quiet = until(|| {
        cluster.nodes["a"]
            .nodes()
            .iter()
            .all(|node| node.link.is_none())
    });
    assert!(quiet.await);
    assert_eq!(fs::read(outside.join("victim")).unwrap(), b"not ours");
    assert!(
        !outside.join("evil").exists(),
        "it was written through a link"
    );
    assert!(
        !state.join("evil").exists(),
        "it was written into the state"
    );
    assert_ne!(fs::read(state.join("index.redb")).unwrap(), b"evil");
    cluster.write("a", "file", "edited");
    assert_eq!(cluster.read("a", "file").unwrap(), b"edited");
    cluster.end().await;
}

/// A peer that says it is the node itself, or that it knows what the node never said, makes it take a new identity: that
/// costs nothing but a session.
#[tokio::test(flavor = "multi_thread")]
async fn s76_a_peer_that_takes_the_replica_of_the_node_does_no_harm() {
    let cluster = one_node().await;
    let mut replica = 0;
    for number in 0..3 {
        let rude = Rude::connect(&cluster, &format!("double{number}")).await;
        let greeting = loop {
            let heard = rude.hear().await.unwrap();
            if let Some(greeting) = crate::rude::bytes_of(&heard, 1) {
                break greeting;
            }
        };
        let theirs = crate::rude::number_of(&greeting, 3).unwrap();
        assert_ne!(theirs, replica, "it took a new identity");
        replica = theirs;
        let folder = crate::rude::bytes_of(&greeting, 2).unwrap();
        let hello = Proto::new().number(1, 1).bytes(2, &folder).fixed(3, theirs);
        rude.say(&Proto::new().message(1, &hello)).await;
        rude.refused().await;
        rude.leave().await;
    }
    unharmed(cluster).await;
}
