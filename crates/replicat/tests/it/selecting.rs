//! What a root selects: by the command line, by one-shot syncs, and by nodes that are killed.

use std::ffi::OsStr;

use serde_json::{Value, json};

use crate::cluster::{Cluster, Node, until};
use crate::machine::{has_program, has_root, tool};
use crate::world::{World, command};

/// Runs `replicat select`; its exit code, and what it says.
fn select(words: &[&dyn AsRef<OsStr>]) -> (Option<i32>, Value) {
    let mut command = command();
    command
        .arg("select")
        .args(words.iter().map(AsRef::as_ref))
        .arg("--json");
    let output = command.output().unwrap();
    let said = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output.status.code(), said)
}

/// Syncs roots of different scope; how many changes that took.
fn sync(world: &World) -> u64 {
    let outcome = world.run(&[0, 1], &[]);
    assert!(outcome.in_sync() && outcome.code == Some(0), "{outcome:#?}");
    outcome.changes()
}

fn staying(pruned: &Value) -> Vec<&str> {
    let rows = pruned["staying"].as_array().unwrap();
    rows.iter()
        .map(|row| row["path"].as_str().unwrap())
        .collect()
}

#[test]
fn what_is_deselected_is_left_alone_until_it_is_pruned() {
    let world = World::new(2);
    for name in ["docs/list", "photos/a", "photos/2024/b"] {
        world.write(0, name, name);
    }
    world.settle();
    let (code, said) = select(&[&"remove", &world.path(1, "photos")]);
    assert_eq!(code, Some(0));
    assert_eq!(
        said["marks"],
        json!([{"path": "photos", "selected": false}])
    );
    assert_eq!(select(&[&"list", &world.root(1)]).1, said);
    world.write(0, "photos/a", "edited");
    world.remove(0, "photos/2024/b");
    world.write(0, "docs/list", "edited");
    sync(&world);
    assert_eq!(world.read(1, "docs/list"), "edited");
    assert_eq!(world.read(1, "photos/a"), "photos/a");
    assert!(world.exists(1, "photos/2024/b"));
    assert_eq!(sync(&world), 0);

    let (code, pruned) = select(&[&"prune", &world.root(1)]);
    assert_eq!(code, Some(3));
    assert_eq!(staying(&pruned), ["photos", "photos/2024", "photos/a"]);
    let holder: [&dyn AsRef<OsStr>; 4] = [&"prune", &"--holder", &world.root(0), &world.root(1)];
    let (code, planned) = select(&[&holder[..], &[&"-n"]].concat());
    assert_eq!((code, &planned["files"]), (Some(0), &json!(1)));
    let (code, pruned) = select(&holder);
    assert_eq!((code, &pruned["files"]), (Some(0), &json!(1)), "{pruned}");
    assert!(!world.exists(1, "photos"));
    assert_eq!(world.read(0, "photos/a"), "edited");
    assert_eq!(sync(&world), 0);
    let why = crate::input::objects(&["why"], &world.path(1, "photos/a"));
    let source = why[0]["excluded"]["source"].as_str().unwrap();
    assert!(source.contains("replicat select list"), "{why:?}");

    assert_eq!(select(&[&"all", &world.root(1)]).0, Some(0));
    world.settle();
    world.assert_files(&[("docs/list", "edited"), ("photos/a", "edited")]);
}

#[test]
fn selection_of_paths_in_two_roots_is_refused() {
    let world = World::new(2);
    world.write(0, "a", "a");
    world.settle();
    let (code, _) = select(&[&"set", &world.path(0, "a"), &world.path(1, "a")]);
    assert_eq!(code, Some(2));
    let everything =
        json!({"type": "selection", "everything": true, "marks": [], "by_settings": false});
    assert_eq!(select(&[&"list", &world.root(0)]).1, everything);
}

fn ask(node: &Node, mut command: Value) -> Value {
    command["folder"] = "default".into();
    let mut answers = Vec::new();
    until("the node answers", || {
        answers = node.ask(&command.to_string()).unwrap_or_default();
        !answers.is_empty()
    });
    let [answer, done] = &answers[..] else {
        panic!("{answers:?}");
    };
    assert_eq!(done["type"], "done");
    answer.clone()
}

/// Whether a node says that its folder is in sync, with so many paths left out.
fn is_in_sync(node: &Node, excluded: u64) -> bool {
    node.folder().is_some_and(|folder| {
        folder["in_sync"] == true && folder["pending"] == 0 && folder["excluded"] == excluded
    })
}

#[test]
fn selection_of_a_running_node_survives_a_kill() {
    let mut cluster = Cluster::new(World::new(2), |_, _| true, &[]);
    cluster.start();
    for name in ["photos/2024/a", "photos/b", "docs/list", "docs/raw/c"] {
        cluster.world.write(0, name, name);
        cluster.arrives(1, name, name);
    }
    let set = json!({"command": "select", "change": "set", "paths": ["docs"]});
    assert_eq!(ask(&cluster.nodes[1], set)["everything"], false);
    let remove = json!({"command": "select", "change": "remove", "paths": ["docs/raw"]});
    ask(&cluster.nodes[1], remove);
    cluster.world.write(0, "photos/b", "edited");
    cluster.world.write(0, "docs/list", "edited");
    cluster.arrives(1, "docs/list", "edited");
    until("both are in sync", || {
        is_in_sync(&cluster.nodes[0], 0) && is_in_sync(&cluster.nodes[1], 6)
    });
    cluster.nodes[1].kill();
    cluster.start();
    until("both are in sync again", || {
        is_in_sync(&cluster.nodes[0], 0) && is_in_sync(&cluster.nodes[1], 6)
    });
    assert_eq!(cluster.world.read(1, "photos/b"), "photos/b");
    let pruned = ask(&cluster.nodes[1], json!({"command": "prune"}));
    assert_eq!(staying(&pruned), Vec::<&str>::new(), "{pruned}");
    assert_eq!(
        (&pruned["files"], &pruned["directories"]),
        (&json!(3), &json!(3))
    );
    cluster.nodes[1].kill();
    cluster.start();
    assert!(!cluster.world.exists(1, "photos"));
    assert!(!cluster.world.exists(1, "docs/raw"));
    ask(
        &cluster.nodes[1],
        json!({"command": "select", "change": "all"}),
    );
    cluster.arrives(1, "photos/b", "edited");
    cluster.settle();
    cluster.world.assert_files(&[
        ("docs/list", "edited"),
        ("docs/raw/c", "docs/raw/c"),
        ("photos/2024/a", "photos/2024/a"),
        ("photos/b", "edited"),
    ]);
    cluster.finish();
}

#[test]
fn copy_that_cannot_be_removed_is_still_known() {
    if !has_root() || !has_program("chattr") {
        return;
    }
    let world = World::new(2);
    for name in ["photos/a", "photos/b", "docs/list"] {
        world.write(0, name, name);
    }
    world.settle();
    select(&[&"remove", &world.path(1, "photos")]);
    let directory = world.path(1, "photos");
    let directory = directory.to_str().unwrap();
    tool("chattr", ["+i", directory]);
    let (code, pruned) = select(&[&"prune", &"--holder", &world.root(0), &world.root(1)]);
    tool("chattr", ["-i", directory]);
    assert_eq!(code, Some(3));
    assert_eq!(pruned["files"], 0, "{pruned}");
    world.write(0, "photos/a", "edited");
    world.remove(0, "photos/b");
    assert_eq!(select(&[&"all", &world.root(1)]).0, Some(0));
    world.settle();
    world.assert_files(&[("docs/list", "docs/list"), ("photos/a", "edited")]);
}
