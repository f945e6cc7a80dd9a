//! Nodes whose filters differ, or change while they run: real processes on loopback.

use crate::cluster::{Cluster, Node, until};
use crate::world::World;

/// Whether a node says that its folder is in sync, with so many paths left out.
fn is_in_sync(node: &Node, excluded: u64) -> bool {
    node.folder().is_some_and(|folder| {
        folder["in_sync"] == true && folder["pending"] == 0 && folder["excluded"] == excluded
    })
}

#[test]
fn nodes_of_different_scope_are_in_sync() {
    let mut cluster = Cluster::new(World::new(2), |_, _| true, &[]);
    let exclude = ["--exclude", "/photos/"].map(str::to_owned);
    cluster.nodes[1].arguments.extend(exclude);
    cluster.start();
    for name in ["photos/2026/one", "photos/two", "kept"] {
        cluster.world.write(0, name, name);
    }
    cluster.arrives(1, "kept", "kept");
    until("both are in sync", || {
        is_in_sync(&cluster.nodes[0], 0) && is_in_sync(&cluster.nodes[1], 4)
    });
    assert!(!cluster.world.exists(1, "photos"));
    // What the other node has of its own there is not looked at.
    cluster.world.write(1, "photos/two", "of its own");
    cluster.world.write(1, "mark", "mark");
    cluster.arrives(0, "mark", "mark");
    assert_eq!(cluster.world.read(0, "photos/two"), "photos/two");
    until("both are in sync again", || {
        is_in_sync(&cluster.nodes[0], 0) && is_in_sync(&cluster.nodes[1], 4)
    });
}

#[test]
fn excluded_path_comes_back_as_it_is() {
    let mut cluster = Cluster::new(World::new(2), |_, _| true, &[]);
    cluster.start();
    for name in ["edited", "deleted", "edited elsewhere"] {
        cluster.world.write(0, name, "1");
        cluster.arrives(1, name, "1");
    }
    cluster.nodes[1].end();
    let exclude = ["--exclude", "/*ed*"].map(str::to_owned);
    cluster.nodes[1].arguments.extend(exclude);
    cluster.start();
    until("three paths are left out", || {
        is_in_sync(&cluster.nodes[1], 3)
    });
    cluster.world.write(1, "edited", "2");
    cluster.world.remove(1, "deleted");
    cluster.world.write(0, "edited elsewhere", "3");
    cluster.world.write(1, "mark", "mark");
    cluster.arrives(0, "mark", "mark");
    assert_eq!(cluster.world.read(0, "edited"), "1");
    assert_eq!(cluster.world.read(1, "edited elsewhere"), "1");
    cluster.nodes[1].end();
    let without = cluster.nodes[1].arguments.len() - 2;
    cluster.nodes[1].arguments.truncate(without);
    cluster.start();
    cluster.arrives(0, "edited", "2");
    cluster.arrives(1, "edited elsewhere", "3");
    let tree = cluster.finish();
    assert!(!cluster.world.exists(0, "deleted"));
    let names = tree.keys().map(|path| String::from_utf8_lossy(path));
    assert!(
        !names.clone().any(|name| name.contains("conflict")),
        "{names:?}"
    );
}

#[test]
fn excluded_file_with_a_name_in_scope_stays_as_it_was() {
    let mut cluster = Cluster::new(World::new(2), |_, _| true, &[]);
    cluster.start();
    cluster.world.write(0, "d/file", "1");
    cluster.arrives(1, "d/file", "1");
    cluster.nodes[1].end();
    let exclude = ["--exclude", "/d/"].map(str::to_owned);
    cluster.nodes[1].arguments.extend(exclude);
    cluster.start();
    until("the directory is left out", || {
        is_in_sync(&cluster.nodes[1], 2)
    });
    cluster.world.hard_link(1, "d/file", "name");
    cluster.arrives(0, "name", "1");
    cluster.world.write(1, "name", "2");
    cluster.arrives(0, "name", "2");
    cluster.nodes[1].end();
    let without = cluster.nodes[1].arguments.len() - 2;
    cluster.nodes[1].arguments.truncate(without);
    cluster.start();
    cluster.arrives(0, "d/file", "2");
    let tree = cluster.finish();
    let names = tree.keys().map(|path| String::from_utf8_lossy(path));
    assert!(
        !names.clone().any(|name| name.contains("conflict")),
        "{names:?}"
    );
}

#[test]
fn ignore_file_takes_effect_at_all_nodes() {
    let mut cluster = Cluster::new(World::new(2), |_, _| true, &[]);
    cluster.start();
    cluster.world.write(0, "d/a.tmp", "1");
    cluster.arrives(1, "d/a.tmp", "1");
    cluster.world.write(0, ".replicatignore", "*.tmp\n");
    until("both leave it out", || {
        is_in_sync(&cluster.nodes[0], 1) && is_in_sync(&cluster.nodes[1], 1)
    });
    cluster.world.write(1, "d/a.tmp", "2");
    cluster.world.write(1, "mark", "mark");
    cluster.arrives(0, "mark", "mark");
    assert_eq!(cluster.world.read(0, "d/a.tmp"), "1");
    cluster.world.remove(0, ".replicatignore");
    cluster.arrives(0, "d/a.tmp", "2");
    let tree = cluster.finish();
    let names = tree.keys().map(|path| String::from_utf8_lossy(path));
    assert!(
        !names.clone().any(|name| name.contains("conflict")),
        "{names:?}"
    );
}
