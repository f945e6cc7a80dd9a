//! One root fails: the others are synced. A root that is only read is a source.

use std::fs;
use std::process::Output;

use crate::cluster::{Cluster, until};
use crate::machine::{Mount, OrdinaryUser, has_root, own};
use crate::world::{World, command};

fn in_text(world: &World, options: &[&str]) -> Output {
    let mut sync = command();
    sync.arg("sync").args(options).args(world.roots());
    sync.output().unwrap()
}

#[test]
fn others_are_synced_when_one_root_is_read_only() {
    if !has_root() {
        return;
    }
    let world = World::new(3);
    let disk = Mount::memory(world.root(2), "4m");
    for root in 0..3 {
        world.write(root, format!("of {root}"), "x");
    }
    disk.set_read_only(true);
    let outcome = world.run(&[0, 1, 2], &[]);
    let error = outcome.failure_of_last(3, 5);
    assert_eq!(error["kind"], "root-not-writable");
    assert!(error["hint"].as_str().unwrap().contains("--state-dir"));
    assert!(world.exists(1, "of 0") && world.exists(0, "of 1"));
    let told = in_text(&world, &[]);
    assert_eq!(told.status.code(), Some(3), "{told:?}");
    let errors = String::from_utf8(told.stderr).unwrap();
    let root = world.root(2).display();
    assert!(errors.contains(&format!("failed: {root} cannot be written")));
    assert!(errors.contains("  hint: make it writable"), "{errors}");
    let summary = String::from_utf8(told.stdout).unwrap();
    assert!(summary.contains("1 root failed"), "{summary}");
    disk.set_read_only(false);
    world.settle();
    assert_eq!(world.files().len(), 3);
}

#[test]
fn others_are_synced_when_one_root_is_unreadable() {
    let world = World::new(3);
    let user = OrdinaryUser::of(&world);
    user.settle(&world);
    world.write(0, "file", "x");
    own(&world.path(0, "file"));
    world.chmod(2, ".", 0);
    let outcome = user.sync(&world);
    world.chmod(2, ".", 0o755);
    let error = outcome.failure_of_last(3, 5);
    assert_eq!(error["kind"], "root-not-writable");
    assert_eq!(world.read(1, "file"), "x");
    user.settle(&world);
}

#[test]
fn each_failed_root_is_named_when_too_few_are_left() {
    let world = World::new(3);
    world.write(0, "file", "x");
    let user = OrdinaryUser::of(&world);
    world.chmod(1, ".", 0);
    world.chmod(2, ".", 0);
    let outcome = user.sync(&world);
    assert_eq!(outcome.code, Some(5), "{outcome:#?}");
    let messages: Vec<_> = outcome
        .of_type("error")
        .map(|error| error["message"].as_str().unwrap())
        .collect();
    assert_eq!(messages.len(), 2, "{messages:?}");
    for (root, message) in (1..).zip(messages) {
        world.chmod(root, ".", 0o755);
        let name = world.root(root).to_str().unwrap();
        assert!(message.contains(name), "{message}");
    }
}

#[test]
fn missing_root_that_was_never_synced_is_a_mistake() {
    let world = World::new(3);
    world.write(0, "file", "x");
    world.settle_some(&[0, 1], &[]);
    world.write(0, "file", "edited");
    fs::remove_dir(world.root(2)).unwrap();
    let outcome = world.run(&[0, 1, 2], &[]);
    assert_eq!(outcome.code, Some(2), "{outcome:#?}");
    assert_eq!(world.read(1, "file"), "x");
}

#[test]
fn read_only_root_is_a_source() {
    if !has_root() {
        return;
    }
    World::each(|world| {
        world.without_trash_check();
        let state = world.beside("state").to_str().unwrap().to_owned();
        let words = ["--state-dir", state.as_str()];
        let disk = Mount::memory(world.root(0), "4m");
        world.write(0, "d/file", "x");
        world.write(0, "other", "x");
        disk.set_read_only(true);
        let all: Vec<usize> = (0..world.count()).collect();
        world.settle_some(&all, &words);
        let last = world.last();
        assert_eq!(world.read(last, "d/file"), "x");
        world.write(last, "other", "edited");
        world.write(last, "new", "x");
        for options in [&[][..], &["--dry-run"]] {
            let outcome = world.run(&all, &[&words[..], options].concat());
            assert_eq!(outcome.code, Some(3), "{outcome:#?}");
            let rows = outcome.list("skipped");
            assert!(rows.iter().all(|row| row["kind"] == "read-only"));
            for path in ["other", "new"] {
                assert!(rows.iter().any(|row| row["path"] == path), "{outcome:#?}");
            }
        }
        assert_eq!(world.read(0, "other"), "x");
        assert_eq!(world.read(1, "other"), "edited");
        disk.set_read_only(false);
        world.settle_some(&all, &words);
        assert_eq!(world.read(0, "other"), "edited");
    });
}

#[test]
fn send_only_node_keeps_a_read_only_root() {
    if !has_root() {
        return;
    }
    let mut cluster = Cluster::new(World::new(2), |_, _| true, &[]);
    let disk = Mount::memory(cluster.world.root(0), "4m");
    cluster.world.write(0, "file", "x");
    disk.set_read_only(true);
    let state = cluster.world.beside("state");
    let node = &mut cluster.nodes[0];
    let words = [
        "--mode",
        "send-only",
        "--state-dir",
        state.to_str().unwrap(),
    ];
    node.arguments.extend(words.map(str::to_owned));
    cluster.start();
    cluster.arrives(1, "file", "x");
    until("the node is in sync", || {
        let folder = cluster.nodes[0].folder();
        folder.is_some_and(|folder| folder["in_sync"] == true)
    });
    disk.set_read_only(false);
    cluster.world.write(0, "file", "edited");
    disk.set_read_only(true);
    cluster.arrives(1, "file", "edited");
    assert_eq!(cluster.nodes[0].end(), Some(0));
}
