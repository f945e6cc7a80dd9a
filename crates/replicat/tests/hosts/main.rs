//! Several hosts on one machine: network namespaces joined by a bridge, a real process on each.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used)]

mod capture;
mod network;
mod node;

use std::fs;
use std::path::Path;

use network::Network;
use node::{Node, assert_equal, assert_nothing_is_left_to_do, wait};

/// How many files of the first sync there are in each of how many directories, if `/usr/share` is not to be had.
const DIRECTORIES: usize = 40;
const FILES: usize = 50;

fn fill(root: &Path) {
    for directory in 0..DIRECTORIES {
        let directory = root.join(format!("d{directory}"));
        fs::create_dir_all(&directory).unwrap();
        for file in 0..FILES {
            let content = format!("{file} in {}", directory.display());
            fs::write(directory.join(format!("f{file}")), content.repeat(file + 1)).unwrap();
        }
    }
}

/// A copy of `/usr/share`, if tests run whole: a real tree. Else a tree that is made up.
fn first_tree(root: &Path) {
    let whole = std::env::var_os("REPLICAT_TESTS_STRICT").is_some();
    if !whole || !Path::new("/usr/share").is_dir() {
        return fill(root);
    }
    let copied = std::process::Command::new("cp")
        .args(["-a", "/usr/share/."])
        .arg(root)
        .status();
    assert!(copied.unwrap().success());
}

#[test]
fn three_hosts_hold_the_same_before_amid_and_after_a_partition() {
    let Some(network) = Network::new(3) else {
        return;
    };
    let world = tempfile::tempdir().unwrap();
    let nodes: Vec<Node> = (0..3)
        .map(|host| Node::new(&network, host, world.path()))
        .collect();
    first_tree(&nodes[0].root);
    let nodes: Vec<Node> = nodes.into_iter().map(Node::start).collect();
    wait("the first sync", &nodes, || {
        nodes[2].holds_what(&nodes[0]) && nodes[1].holds_what(&nodes[0])
    });
    assert_equal(&nodes);

    // Edits from all sides.
    for node in &nodes {
        fs::write(node.root.join(format!("by-{}", node.name)), &node.name).unwrap();
    }
    fs::create_dir_all(nodes[1].root.join("made/deep/down")).unwrap();
    fs::write(nodes[1].root.join("made/deep/down/file"), "x").unwrap();
    wait("edits from all sides", &nodes, || {
        nodes.iter().all(|node| {
            node.root.join("made/deep/down/file").exists()
                && nodes
                    .iter()
                    .all(|by| node.root.join(format!("by-{}", by.name)).exists())
        })
    });
    fs::rename(nodes[2].root.join("made"), nodes[2].root.join("moved")).unwrap();
    fs::remove_file(nodes[0].root.join("by-b")).unwrap();
    wait("a renaming and a deletion", &nodes, || {
        nodes.iter().all(|node| {
            node.root.join("moved/deep/down/file").exists()
                && !node.root.join("made").exists()
                && !node.root.join("by-b").exists()
        })
    });
    assert_equal(&nodes);

    // s72: writes on both sides of a partition.
    network.cut(2);
    fs::write(nodes[0].root.join("by-a"), "by a, amid the partition").unwrap();
    fs::write(nodes[2].root.join("by-a"), "by c, amid the partition").unwrap();
    fs::write(nodes[2].root.join("only-c"), "only c").unwrap();
    fs::write(nodes[1].root.join("only-b"), "only b").unwrap();
    wait("the side that holds together", &nodes, || {
        nodes[0].root.join("only-b").exists()
    });
    assert!(!nodes[0].root.join("only-c").exists());
    network.mend(2);
    wait("the healing", &nodes, || {
        nodes.iter().all(|node| {
            let held = node.contents("by-a");
            ["by a, amid the partition", "by c, amid the partition"]
                .iter()
                .all(|version| held.iter().any(|held| held == version))
                && node.root.join("only-c").exists()
                && node.root.join("only-b").exists()
        })
    });
    assert_equal(&nodes);
    assert_nothing_is_left_to_do(nodes);
}
