//! Nodes that lose each other, come and go, and take each other's place: real processes on loopback.

use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::process::Stdio;

use crate::cluster::{Cluster, holds, until};
use crate::machine::tool;
use crate::world::World;

fn chain(node: usize, other: usize) -> bool {
    node == other + 1
}

/// What cuts a chain in its middle, and leaves both ends running.
type Cut = fn(&mut Cluster);

/// A link that breaks, and one that falls silent.
const CUTS: [(&str, Cut); 2] = [
    ("the middle is killed", |cluster| cluster.nodes[1].kill()),
    ("the middle falls silent", |cluster| cluster.nodes[1].stop()),
];

#[test]
fn s67_a_directory_is_copied_with_its_state_and_both_run() {
    for copied_while_running in [false, true] {
        eprintln!("copied while its node runs: {copied_while_running}");
        let mut cluster = Cluster::new(World::new(3), |_, _| true, &[]);
        for name in ["both", "d/one", "d/two", "deleted", "moved"] {
            cluster.world.write(0, name, format!("{name} at first"));
        }
        cluster.nodes[0].start();
        cluster.nodes[1].start();
        cluster.settle_some(&[0, 1]);
        if !copied_while_running {
            cluster.nodes[0].end();
        }
        let from = cluster.world.root(0).join(".");
        tool("cp", ["-a".into(), from, cluster.world.root(2).to_owned()]);
        let world = &cluster.world;
        // Both go on from one past, and number what they do as one replica would.
        world.write(0, "both", "by the original");
        world.write(2, "both", "by the copy");
        world.write(2, "d/only in the copy", "in the copy");
        world.remove(2, "deleted");
        world.rename(0, "moved", "moved by the original");
        cluster.start();
        cluster.arrives(1, "d/only in the copy", "in the copy");
        cluster.world.write(0, "d/one", "edited at the original");
        cluster.world.write(2, "d/two", "edited at the copy");
        let tree = cluster.finish();
        for content in [
            "by the original",
            "by the copy",
            "in the copy",
            "edited at the original",
            "edited at the copy",
            "moved at first",
        ] {
            assert!(holds(&tree, content), "{content}: {}", cluster.logs());
        }
        assert!(
            !cluster.world.exists(1, "deleted"),
            "a deleted file came back"
        );
        let copies = ["both", "d/one"].map(|path| cluster.world.copies(path).len());
        assert_eq!(copies, [1, 0], "one conflict, and no more");
    }
}

/// Two processes over one directory would be one replica twice: the second is turned away, and does no harm.
#[test]
fn s67_one_directory_is_served_once() {
    let mut cluster = Cluster::new(World::new(2), |_, _| true, &[]);
    cluster.world.write(0, "file", "at first");
    cluster.start();
    cluster.settle();
    let arguments = cluster.nodes[0].arguments.clone();
    cluster.nodes[0].set("--name", "second");
    cluster.nodes[0].set("--address", "127.0.0.1:0");
    let mut second = cluster.nodes[0].command();
    cluster.nodes[0].arguments = arguments;
    second.stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = second.output().unwrap();
    assert!(!output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains(cluster.world.root(0).to_str().unwrap()),
        "{said}"
    );
    cluster.world.write(0, "file", "edited");
    cluster.arrives(1, "file", "edited");
    cluster.finish();
}

#[test]
fn s72_writes_on_both_sides_of_a_partition() {
    for (what, cut) in CUTS {
        eprintln!("{what}");
        let mut cluster = Cluster::new(World::new(3), chain, &[]);
        for name in ["both", "deleted", "edited", "d/moved", "same"] {
            cluster.world.write(0, name, format!("{name} at first"));
        }
        cluster.settle();
        cut(&mut cluster);
        let world = &cluster.world;
        for (root, side) in [(0, "left"), (2, "right")] {
            world.write(root, "both", format!("on the {side}"));
            world.write(root, format!("only {side}"), format!("only on the {side}"));
            world.write(root, "same", "equal on both sides");
            world.write(root, "new", format!("new on the {side}"));
        }
        world.remove(0, "deleted");
        world.remove(0, "edited");
        world.write(2, "edited", "edited, and deleted on the other side");
        world.rename(0, "d", "e");
        world.write(2, "d/moved", "edited while its directory was renamed");
        cluster.start();
        let tree = cluster.finish();
        for content in [
            "on the left",
            "on the right",
            "only on the left",
            "only on the right",
            "equal on both sides",
            "new on the left",
            "new on the right",
            "edited, and deleted on the other side",
            "edited while its directory was renamed",
        ] {
            assert!(holds(&tree, content), "{content}: {}", cluster.logs());
        }
        let world = &cluster.world;
        assert!(!world.exists(1, "deleted"), "a deleted file came back");
        assert_eq!(
            world.read(1, "e/moved"),
            "edited while its directory was renamed"
        );
        let copies = ["both", "new", "same", "edited"].map(|path| world.copies(path).len());
        assert_eq!(copies, [1, 1, 0, 0], "{:?}", world.paths());
    }
}

#[test]
fn s73_a_chain_passes_everything_on() {
    let mut cluster = Cluster::new(World::new(4), chain, &[]);
    cluster.world.write(0, "file", "at first");
    cluster.world.write(3, "d/other", "at the far end");
    cluster.settle();
    cluster.world.write(3, "file", "edited at the far end");
    cluster.world.rename(0, "d", "e");
    cluster.world.chmod(1, "file", 0o600);
    cluster.arrives(0, "file", "edited at the far end");
    cluster.arrives(3, "e/other", "at the far end");
    // Both ends at once, and the second node falls behind.
    cluster.nodes[1].kill();
    cluster.world.write(0, "file", "by the first");
    cluster.world.write(3, "file", "by the last");
    cluster.world.remove(3, "e");
    let tree = cluster.finish();
    assert!(holds(&tree, "by the first") && holds(&tree, "by the last"));
    assert!(!cluster.world.exists(0, "e"));
    assert_eq!(cluster.world.copies("file").len(), 1);
}

/// What becomes of the state of a node that is away for long.
#[test]
fn s74_a_node_rejoins_after_a_long_absence() {
    for state_lost in [false, true] {
        eprintln!("its state is lost: {state_lost}");
        let mut cluster = Cluster::new(World::new(3), |_, _| true, &[]);
        for file in 0..30 {
            cluster
                .world
                .write(0, format!("f{file}"), format!("file {file}"));
        }
        cluster.world.write(0, "renamed", "to be renamed");
        cluster.settle();
        cluster.nodes[2].kill();
        // Much happens meanwhile, in many sessions.
        for file in 0..20 {
            cluster.world.remove(file % 2, format!("f{file}"));
            cluster.settle_some(&[0, 1]);
        }
        cluster.world.write(0, "f20", "edited meanwhile");
        cluster.world.rename(1, "renamed", "new name");
        cluster.settle_some(&[0, 1]);
        for node in [0, 1] {
            cluster.nodes[node].kill();
            cluster.nodes[node].start();
        }
        let world = &cluster.world;
        world.write(2, "f3", "edited by who was away");
        world.write(2, "new", "made by who was away");
        if state_lost {
            fs::remove_dir_all(world.path(2, ".replicat")).unwrap();
        }
        let tree = cluster.finish();
        let world = &cluster.world;
        for file in (0..20).filter(|file| *file != 3) {
            assert!(!world.exists(0, format!("f{file}")), "f{file} came back");
        }
        for file in 21..30 {
            assert_eq!(world.read(1, format!("f{file}")), format!("file {file}"));
        }
        for content in [
            "edited meanwhile",
            "edited by who was away",
            "made by who was away",
        ] {
            assert!(holds(&tree, content), "{content}");
        }
        assert_eq!(world.read(2, "new name"), "to be renamed");
        assert!(!world.exists(0, "renamed"), "what was renamed came back");
    }
}

/// A node leaves, its directory is used on, and it comes back under its name: with what it held, and with an empty disk.
#[test]
fn s75_a_node_is_removed_and_added_again() {
    for disk_is_new in [false, true] {
        eprintln!("with an empty disk: {disk_is_new}");
        let mut cluster = Cluster::new(World::new(3), |_, _| true, &[]);
        for name in ["kept", "deleted here", "deleted there", "edited"] {
            cluster.world.write(0, name, format!("{name} at first"));
        }
        cluster.settle();
        assert_eq!(cluster.nodes[2].end(), Some(0));
        // The others are started without it.
        let known: Vec<_> = cluster
            .nodes
            .iter()
            .map(|node| node.arguments.clone())
            .collect();
        for node in 0..2 {
            cluster.nodes[node].end();
            let arguments = &mut cluster.nodes[node].arguments;
            let place = arguments
                .iter()
                .position(|word| word.starts_with("n2="))
                .unwrap();
            arguments.drain(place - 1..=place);
            cluster.nodes[node].start();
        }
        cluster.world.remove(0, "deleted here");
        cluster.world.write(1, "edited", "edited without it");
        cluster.settle_some(&[0, 1]);
        if disk_is_new {
            fs::remove_dir_all(cluster.world.root(2)).unwrap();
            fs::create_dir(cluster.world.root(2)).unwrap();
        } else {
            cluster.world.remove(2, "deleted there");
        }
        cluster.world.write(2, "by itself", "made on its own");
        for (node, arguments) in known.into_iter().enumerate() {
            cluster.nodes[node].end();
            cluster.nodes[node].arguments = arguments;
        }
        cluster.finish();
        let mut files = vec![
            ("by itself", "made on its own"),
            ("edited", "edited without it"),
            ("kept", "kept at first"),
        ];
        if disk_is_new {
            files.insert(1, ("deleted there", "deleted there at first"));
        }
        cluster.world.assert_holds_files(&files);
    }
}

/// Bytes of no pattern: no part of them is had from elsewhere.
fn large(length: usize) -> Vec<u8> {
    let mut content = vec![0; length];
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"large").finalize_xof().fill(&mut content);
    content
}

const LARGE: usize = 24 << 20;
/// More than is said besides, and far less than the large file.
const A_PART: u64 = 3 << 20;
const SLOWLY: [&str; 2] = ["--bwlimit", "4m"];

/// The third node takes a large file from the first two, slowly; the first dies amid it.
#[test]
fn s77_the_source_dies_amid_a_transfer_and_another_has_the_content() {
    let mut cluster = Cluster::new(World::new(3), |_, _| true, &SLOWLY);
    let content = large(LARGE);
    for root in [0, 1] {
        cluster.world.write(root, "large", &content);
        cluster.nodes[root].start();
    }
    cluster.settle_some(&[0, 1]);
    cluster.nodes[2].start();
    until("a part is there", || cluster.nodes[2].received() > A_PART);
    assert!(!cluster.world.exists(2, "large"), "a part is not shown");
    cluster.nodes[0].kill();
    let place = cluster.world.path(2, "large");
    until("the rest is had from the second", || {
        fs::read(&place).is_ok_and(|held| held == content)
    });
    cluster.finish();
}

/// Nobody else has the content: what was there stays until the source is back, and nobody says to be in sync.
#[test]
fn s77_the_only_source_dies_amid_a_transfer_and_comes_back() {
    let mut cluster = Cluster::new(World::new(2), |_, _| true, &SLOWLY);
    cluster.world.write(0, "large", "at first");
    cluster.settle();
    let content = large(LARGE);
    let before = cluster.nodes[1].received();
    fs::write(cluster.world.path(0, "large"), &content).unwrap();
    until("a part is there", || {
        cluster.nodes[1].received() > before + A_PART
    });
    cluster.nodes[0].kill();
    until("the link is noticed to be down", || {
        let folder = cluster.nodes[1].folder().unwrap_or_default();
        folder["peers"].as_array().is_some_and(Vec::is_empty)
    });
    assert_eq!(cluster.world.read(1, "large"), "at first");
    let folder = cluster.nodes[1].folder().unwrap();
    assert_eq!(folder["in_sync"], false, "{folder}");
    // The one that was amid receiving is killed as well.
    cluster.nodes[1].kill();
    cluster.finish();
    assert!(fs::read(cluster.world.path(1, "large")).unwrap() == content);
}

/// One is killed while a directory into which it has put a file, and a user another, waits for its own time: no scan has taken the
/// time of that writing for the one it is to have.
#[test]
fn a_directory_has_its_time_though_who_wrote_in_it_was_killed_before() {
    let mut cluster = Cluster::new(World::new(2), |_, _| true, &SLOWLY);
    fs::create_dir(cluster.world.path(0, "d")).unwrap();
    cluster.settle();
    // As long as this is under way there is no rest, in which times are set.
    let before = cluster.nodes[1].received();
    fs::write(cluster.world.path(0, "large"), large(LARGE)).unwrap();
    until("a part is there", || {
        cluster.nodes[1].received() > before + A_PART
    });
    cluster.world.write(0, "d/file", "from the other");
    until("the file is there", || cluster.world.exists(1, "d/file"));
    cluster.world.write(1, "d/own", "from here");
    until("the directory was looked at", || {
        cluster.world.exists(0, "d/own")
    });
    assert!(!cluster.world.exists(1, "large"), "there was rest");
    cluster.nodes[1].kill();
    cluster.finish();
}

/// Whoever has another key is told nothing, and those who have the right one go on.
#[test]
fn s76_a_node_without_the_key_gets_nothing() {
    let mut cluster = Cluster::new(World::new(3), |_, _| true, &[]);
    let key = crate::cluster::new_key();
    for (name, value) in &mut cluster.nodes[2].environment {
        if name == "REPLICAT_CLUSTER_KEY" {
            value.clone_from(&key);
        }
    }
    cluster.world.write(0, "file", "not for everybody");
    cluster.world.write(2, "strange", "from a stranger");
    cluster.start();
    cluster.settle_some(&[0, 1]);
    until("the stranger is told why", || {
        let peers = cluster.nodes[2]
            .ask(r#"{"command":"nodes"}"#)
            .unwrap_or_default();
        peers.iter().any(|peer| {
            peer["reason"]
                .as_str()
                .is_some_and(|why| why.contains("key"))
        })
    });
    let names = |root| {
        let tree = crate::world::walk(cluster.world.root(root));
        let names = tree
            .into_keys()
            .map(|path| String::from_utf8(path).unwrap());
        names.collect::<Vec<_>>()
    };
    assert_eq!(names(2), ["", "strange"]);
    assert_eq!(names(1), ["", "file"]);
    let index = fs::read(cluster.world.path(2, ".replicat/index.redb")).unwrap();
    assert!(
        !index.windows(4).any(|window| window == b"file"),
        "it knows a name"
    );
}

/// A program that is no node at all connects, says nothing, and goes: no node minds.
#[test]
fn s76_strangers_that_hold_connections_open_disturb_nobody() {
    let mut cluster = Cluster::new(World::new(2), |_, _| true, &[]);
    cluster.world.write(0, "file", "before");
    cluster.settle();
    let address = cluster.nodes[0].address.clone();
    let silent: Vec<_> = (0..20)
        .filter_map(|_| TcpStream::connect(&address).ok())
        .collect();
    assert!(!silent.is_empty());
    let mut garbage = TcpStream::connect(&address).unwrap();
    // It may be cut off amid it.
    let _ = garbage.write_all(&large(100_000));
    cluster.world.write(0, "file", "as before");
    cluster.arrives(1, "file", "as before");
    drop(silent);
    cluster.finish();
}
