//! s69 to s71: a root is unmounted, emptied or replaced; a filter is edited.

use std::fs;
use std::process::Output;

use crate::cluster::{Cluster, Node, until};
use crate::machine::{Mount, has_root, tool};
use crate::world::{Outcome, World, command, walk};

const FILES: usize = 30;

/// A world in sync with enough files for the brake.
fn filled(world: &World) {
    for number in 0..FILES {
        world.write(0, format!("d/{number}"), format!("content {number}"));
    }
    world.run_all();
}

impl World {
    fn run_all(&self) -> Outcome {
        let all: Vec<usize> = (0..self.count()).collect();
        self.run(&all, &[])
    }
}

/// The sync stopped for safety, and nothing was deleted anywhere else.
#[track_caller]
fn assert_halted(world: &World, halted: usize) -> Outcome {
    let outcome = world.run_all();
    assert_eq!(outcome.code, Some(4), "{outcome:#?}");
    assert!(!outcome.in_sync());
    for root in (0..world.count()).filter(|root| *root != halted) {
        assert_eq!(walk(world.root(root)).len(), FILES + 2, "in root {root}");
    }
    outcome
}

/// The last root is not what it was. The others were synced, and nothing was deleted there or written to it.
#[track_caller]
fn assert_replaced(world: &World, words: &[&str]) {
    let all: Vec<usize> = (0..world.count()).collect();
    let outcome = world.run(&all, words);
    let error = outcome.failure_of_last(world.count(), 4);
    assert_eq!(error["kind"], "root-replaced");
    assert!(error["hint"].as_str().unwrap().contains("replicat approve"));
    for root in 0..world.last() {
        assert_eq!(walk(world.root(root)).len(), FILES + 2, "in root {root}");
    }
}

fn approve(world: &World, root: usize, words: &[&str]) -> Output {
    let mut approve = command();
    approve.arg("approve").args(words).arg(world.root(root));
    let output = approve.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    output
}

#[test]
fn s69_deletions_of_an_emptied_root_are_held() {
    World::each(|world| {
        filled(world);
        let last = world.last();
        world.remove(last, "d");
        let outcome = assert_halted(world, last);
        let brake = &outcome.list("brakes")[0];
        assert_eq!(brake["kind"], "mass-deletion");
        assert!(brake["hint"].as_str().unwrap().contains("replicat approve"));
        assert_halted(world, last);
        let told = String::from_utf8(approve(world, last, &[]).stdout).unwrap();
        assert!(told.contains("the next sync deletes 30 files"), "{told}");
        world.settle();
        assert_eq!(world.paths(), Vec::<String>::new());
        for root in 0..last {
            assert!(world.in_trash(root, "content 7"));
        }
    });
}

#[test]
fn s69_most_of_a_root_is_gone() {
    World::each(|world| {
        filled(world);
        for number in 0..FILES / 2 {
            world.remove(0, format!("d/{number}"));
        }
        world.settle();
        let left = walk(world.root(world.last())).len();
        assert_eq!(left, FILES / 2 + 2, "half is no mass");
        for number in FILES / 2..FILES - 2 {
            world.remove(0, format!("d/{number}"));
        }
        // Both deletions lie within some minutes: together they are most of what was there.
        let outcome = world.run_all();
        assert_eq!(outcome.code, Some(4), "{outcome:#?}");
        assert_eq!(walk(world.root(world.last())).len(), FILES / 2 + 2);
    });
}

#[test]
fn s69_renames_are_no_deletions() {
    World::each(|world| {
        filled(world);
        for number in 0..FILES {
            world.rename(0, format!("d/{number}"), format!("d/renamed {number}"));
        }
        world.settle();
        assert!(world.exists(world.last(), "d/renamed 7"));
    });
}

#[test]
fn s69_an_unmounted_root_is_no_new_one() {
    World::each(|world| {
        filled(world);
        let last = world.last();
        let disk = world.beside("disk");
        fs::rename(world.root(last), &disk).unwrap();
        fs::create_dir(world.root(last)).unwrap();
        for words in [&["--dry-run"][..], &[]] {
            assert_replaced(world, words);
            assert_eq!(
                fs::read_dir(world.root(last)).unwrap().count(),
                0,
                "it was written to"
            );
        }
        // The disk is mounted again.
        fs::remove_dir(world.root(last)).unwrap();
        fs::rename(&disk, world.root(last)).unwrap();
        world.settle();
        assert_eq!(walk(world.root(last)).len(), FILES + 2);
    });
}

#[test]
fn s69_a_root_that_was_emptied_with_its_state_is_filled_once_approved() {
    World::each(|world| {
        for consent in ["approve", "--create"] {
            filled(world);
            let last = world.last();
            fs::remove_dir_all(world.root(last)).unwrap();
            fs::create_dir(world.root(last)).unwrap();
            assert_replaced(world, &[]);
            if consent == "approve" {
                approve(world, last, &["--json"]);
                world.settle();
            } else {
                let all: Vec<usize> = (0..world.count()).collect();
                world.settle_some(&all, &["--create"]);
            }
            assert_eq!(walk(world.root(last)).len(), FILES + 2);
        }
    });
}

#[test]
fn s69_a_missing_root_is_not_created() {
    World::each(|world| {
        filled(world);
        let last = world.last();
        fs::rename(world.root(last), world.beside("away")).unwrap();
        let outcome = world.run_all();
        let error = outcome.failure_of_last(world.count(), 2);
        assert_eq!(error["kind"], "root-missing");
        assert!(!world.root(last).exists());
        assert_eq!(walk(world.root(0)).len(), FILES + 2);
    });
}

#[test]
fn s69_a_filesystem_is_unmounted() {
    if !has_root() {
        return;
    }
    World::each(|world| {
        let mount = Mount::memory(world.root(world.last()), "16m");
        filled(world);
        drop(mount);
        assert_replaced(world, &[]);
    });
}

#[test]
fn s70_a_copied_root_is_a_replica_of_its_own() {
    World::each(|world| {
        filled(world);
        let last = world.last();
        let copied = world.beside("copied");
        tool(
            "cp",
            [
                "-a".as_ref(),
                world.root(last).as_os_str(),
                copied.as_os_str(),
            ],
        );
        // Both go their own way, under what was one identity.
        world.write(last, "d/1", "in the original");
        world.settle();
        fs::write(copied.join("d/1"), "in the copy").unwrap();
        fs::write(copied.join("only in the copy"), "x").unwrap();
        fs::rename(world.root(last), world.beside("original")).unwrap();
        fs::rename(&copied, world.root(last)).unwrap();
        world.settle();
        assert!(world.exists(0, "only in the copy"));
        let held: Vec<String> = world
            .files()
            .into_iter()
            .map(|(_, content)| content)
            .collect();
        assert!(
            held.contains(&"in the original".to_owned())
                && held.contains(&"in the copy".to_owned())
        );
        // The original comes back.
        fs::rename(world.root(last), world.beside("copied again")).unwrap();
        fs::rename(world.beside("original"), world.root(last)).unwrap();
        world.settle();
        assert!(world.exists(last, "only in the copy"));
    });
}

#[test]
fn s70_another_directory_in_the_place_of_a_root_with_its_state_outside() {
    World::each(|world| {
        world.without_trash_check();
        let state = world.beside("state").to_str().unwrap().to_owned();
        let words = ["--state-dir", state.as_str()];
        for number in 0..FILES {
            world.write(0, format!("d/{number}"), format!("content {number}"));
        }
        let all: Vec<usize> = (0..world.count()).collect();
        world.settle_some(&all, &words);
        let last = world.last();
        fs::rename(world.root(last), world.beside("away")).unwrap();
        fs::create_dir(world.root(last)).unwrap();
        world.write(last, "of another directory", "x");
        assert_replaced(world, &words);
        approve(world, last, &words);
        world.settle_some(&all, &words);
        assert_eq!(walk(world.root(last)).len(), FILES + 3);
        assert!(world.exists(0, "of another directory"));
    });
}

#[test]
fn s71_a_filter_edit_deletes_nothing() {
    World::each(|world| {
        let last = world.last();
        for name in ["a.tmp", "d/b.tmp", "kept", "build/out", "build/deep/er"] {
            world.write(0, name, name);
        }
        world.settle();
        let before = walk(world.root(last));
        world.write(0, ".replicatignore", "*.tmp\nbuild/\n");
        world.run_all();
        for (path, node) in before {
            for root in 0..world.count() {
                let held = walk(world.root(root));
                let kind = held.get(&path).map(|held| &held.kind);
                assert_eq!(kind, Some(&node.kind), "{path:?} in root {root}");
            }
        }
        // Out of scope, each root has its own. In scope again, what a user did meanwhile is an edit or a deletion.
        world.write(0, "a.tmp", "edited while ignored");
        world.remove(last, "build");
        world.run_all();
        assert_eq!(world.read(last, "a.tmp"), "a.tmp");
        assert!(world.exists(0, "build/deep/er"));
        world.remove(0, ".replicatignore");
        let outcome = world.run_all();
        assert!(outcome.list("conflicts").is_empty(), "{outcome:#?}");
        world.settle();
        assert_eq!(world.read(last, "a.tmp"), "edited while ignored");
        assert!(!world.exists(0, "build"));
        assert!(world.exists(0, "d/b.tmp"));
    });
}

#[test]
fn s71_edit_while_excluded_is_no_conflict() {
    World::each(|world| {
        let all: Vec<usize> = (0..world.count()).collect();
        world.write(0, "f", "1");
        world.settle();
        world.write(0, "f", "one-sided edit");
        let outcome = world.run(&all, &["--exclude", "f"]);
        assert!(outcome.in_sync(), "{outcome:#?}");
        assert_eq!(world.read(world.last(), "f"), "1");
        let outcome = world.run_all();
        assert!(outcome.list("conflicts").is_empty(), "{outcome:#?}");
        assert_eq!(world.read(world.last(), "f"), "one-sided edit");
        world.settle();
    });
}

#[test]
fn s71_edits_on_both_sides_while_excluded_conflict() {
    World::each(|world| {
        let all: Vec<usize> = (0..world.count()).collect();
        world.write(0, "f", "1");
        world.settle();
        world.run(&all, &["--exclude", "f"]);
        world.write(0, "f", "one edit");
        world.write(world.last(), "f", "another edit");
        world.run(&all, &["--exclude", "f"]);
        let outcome = world.run_all();
        assert_eq!(outcome.list("conflicts").len(), 1, "{outcome:#?}");
        world.settle();
    });
}

#[test]
fn s71_an_exclusion_on_the_command_line_deletes_nothing() {
    World::each(|world| {
        for name in ["a.tmp", "kept"] {
            world.write(0, name, name);
        }
        world.settle();
        let all: Vec<usize> = (0..world.count()).collect();
        world.run(&all, &["--exclude", "*.tmp"]);
        world.remove(0, "a.tmp");
        world.write(0, "kept", "edited");
        world.run(&all, &["--exclude", "*.tmp"]);
        assert_eq!(world.read(world.last(), "a.tmp"), "a.tmp");
        assert_eq!(world.read(world.last(), "kept"), "edited");
        // The exclusion deleted nothing. The user did, which is seen when the path is in scope again.
        let outcome = world.settle();
        assert!(outcome.list("conflicts").is_empty());
        assert!(!world.exists(world.last(), "a.tmp"));
    });
}

/// Why the folder of a node is halted; empty if it is not.
fn reason(node: &Node) -> String {
    let folders = node.ask(r#"{"command":"folders"}"#).unwrap_or_default();
    let halted = folders.iter().find(|folder| folder["status"] == "Halted");
    halted.map_or_else(String::new, |folder| {
        folder["reason"].as_str().unwrap_or_default().to_owned()
    })
}

#[test]
fn node_waits_for_a_disk_that_is_not_mounted_at_its_start() {
    if !has_root() {
        return;
    }
    let world = World::new(2);
    let disk = world.beside("disk");
    fs::create_dir(&disk).unwrap();
    let mount = Mount::bind(&disk, world.root(1));
    let mut cluster = Cluster::new(world, |_, _| true, &[]);
    cluster.start();
    cluster.world.write(0, "file", "text");
    cluster.arrives(1, "file", "text");
    cluster.nodes[1].end();
    drop(mount);
    cluster.nodes[1].start();
    until("it waits", || {
        reason(&cluster.nodes[1]).contains("it held a folder before")
    });
    cluster.world.write(0, "later", "text");
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(
        fs::read_dir(cluster.world.root(1)).unwrap().count(),
        0,
        "nothing is poured there"
    );
    let _mount = Mount::bind(&disk, cluster.world.root(1));
    cluster.arrives(1, "later", "text");
    cluster.finish();
}

#[test]
fn known_root_that_was_emptied_joins_when_approved() {
    let mut cluster = Cluster::new(World::new(2), |_, _| true, &[]);
    cluster.start();
    cluster.world.write(0, "file", "text");
    cluster.arrives(1, "file", "text");
    cluster.nodes[1].end();
    fs::remove_dir_all(cluster.world.root(1)).unwrap();
    fs::create_dir(cluster.world.root(1)).unwrap();
    cluster.nodes[1].start();
    until("it waits", || {
        reason(&cluster.nodes[1]).contains("replicat approve")
    });
    cluster.nodes[1].ask(r#"{"command":"approve"}"#).unwrap();
    cluster.arrives(1, "file", "text");
    cluster.finish();
}
