//! Deletions of daily work, and accidents, in a live folder of two nodes: the first pass, the others are held.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::cluster::{Cluster, until};
use crate::machine::{has_program, tool};
use crate::world::World;

const FILES: usize = 1000;

fn name(file: usize) -> String {
    format!("d{}/f{file}", file % 20)
}

/// Two nodes in sync, with what `fill` writes.
fn filled(fill: impl FnOnce(&World)) -> Cluster {
    let mut cluster = Cluster::new(World::new(2), |_, _| true, &[]);
    fill(&cluster.world);
    cluster.start();
    cluster.settle();
    cluster
}

fn thousand(world: &World) {
    for file in 0..FILES {
        world.write(0, name(file), format!("content {file}"));
    }
}

fn files(directory: &Path) -> usize {
    let Ok(entries) = fs::read_dir(directory) else {
        return 0;
    };
    let count = |entry: fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() && entry.file_name() != ".replicat" => files(&entry.path()),
        Ok(kind) => usize::from(kind.is_file()),
        Err(_) => 0,
    };
    entries.flatten().map(count).sum()
}

/// All is as it should be, and nobody has to decide anything.
#[track_caller]
fn assert_no_brake(cluster: &mut Cluster) {
    cluster.settle();
    for node in &cluster.nodes {
        let folder = node.folder().unwrap();
        assert!(folder["brake"].is_null(), "{folder}");
        assert_eq!(folder["held_deletions"], 0, "{folder}");
    }
}

#[test]
fn third_of_the_files_is_deleted_without_a_brake() {
    let mut cluster = filled(thousand);
    for file in (0..FILES).filter(|file| file % 20 < 6) {
        cluster.world.remove(0, name(file));
    }
    until("they go elsewhere", || files(cluster.world.root(1)) == 700);
    assert_no_brake(&mut cluster);
}

#[test]
fn unlinks_that_go_on_are_held_and_all_else_is_synced() {
    let cluster = filled(thousand);
    for file in 0..FILES {
        cluster.world.remove(0, name(file));
        std::thread::sleep(Duration::from_millis(2));
    }
    until("the rest is held", || {
        cluster.nodes[0]
            .folder()
            .is_some_and(|folder| folder["held_deletions"].as_u64() > Some(900))
    });
    assert!(files(cluster.world.root(1)) >= 940);
    let folder = cluster.nodes[0].folder().unwrap();
    assert_eq!(
        (&folder["status"], &folder["in_sync"]),
        (&"Online".into(), &false.into())
    );
    cluster.world.write(1, "d3/new", "new");
    cluster.arrives(0, "d3/new", "new");
    cluster.world.write(0, "other", "other");
    cluster.arrives(1, "other", "other");
    let rejected = cluster.nodes[0]
        .ask(r#"{"command":"reject","folder":"default"}"#)
        .unwrap();
    assert_eq!(rejected[0]["type"], "rejected", "{rejected:?}");
    until("they are back", || files(cluster.world.root(0)) >= 942);
}

#[test]
fn directory_that_is_moved_bit_by_bit_is_no_loss() {
    let mut cluster = filled(thousand);
    cluster.world.mkdir(0, "moved");
    for directory in 0..15 {
        let (from, to) = (format!("d{directory}"), format!("moved/d{directory}"));
        cluster.world.rename(0, from, to);
        std::thread::sleep(Duration::from_millis(50));
    }
    for file in (0..FILES).filter(|file| file % 20 > 15) {
        cluster
            .world
            .rename(0, name(file), format!("moved/f{file}"));
    }
    cluster.goes(1, "d14");
    assert_no_brake(&mut cluster);
    assert_eq!(files(cluster.world.root(1)), FILES);
}

#[test]
fn build_directory_that_is_replaced_is_no_loss() {
    let mut cluster = filled(|world| {
        for file in 0..300 {
            world.write(0, format!("app/src/s{file}"), format!("source {file}"));
        }
        for file in 0..600 {
            world.write(0, format!("app/dist/old{file}.js"), format!("old {file}"));
        }
    });
    cluster.world.remove(0, "app/dist");
    std::thread::sleep(Duration::from_secs(1));
    for file in 0..600 {
        let new = format!("app/dist/new{file}.js");
        cluster.world.write(0, new, format!("new {file}"));
    }
    cluster.goes(1, "app/dist/old0.js");
    assert_no_brake(&mut cluster);
    assert_eq!(files(cluster.world.root(1)), 900);
    // A single deletion after that passes.
    cluster.world.remove(0, "app/src/s0");
    cluster.goes(1, "app/src/s0");
}

#[test]
fn objects_that_were_just_built_are_cleaned_without_a_brake() {
    let mut cluster = filled(|world| {
        for file in 0..100 {
            world.write(0, format!("src/s{file}.c"), format!("source {file}"));
        }
    });
    for file in 0..400 {
        cluster
            .world
            .write(0, format!("obj/o{file}.o"), format!("object {file}"));
    }
    cluster.settle();
    for file in 0..400 {
        cluster.world.remove(0, format!("obj/o{file}.o"));
    }
    cluster.goes(1, "obj/o399.o");
    assert_no_brake(&mut cluster);
}

#[test]
fn temporary_files_of_a_program_are_no_loss() {
    let mut cluster = filled(|world| {
        for file in 0..100 {
            world.write(0, format!("d/f{file}"), format!("file {file}"));
        }
    });
    for file in 0..150 {
        let temporary = format!("d/temporary{file}");
        cluster.world.write(0, &temporary, "x");
        std::thread::sleep(Duration::from_millis(20));
        cluster.world.remove(0, &temporary);
    }
    assert_no_brake(&mut cluster);
    cluster.world.remove(0, "d/f0");
    cluster.goes(1, "d/f0");
}

#[test]
fn rounds_of_commits_and_collections_pass_in_a_repository() {
    if !has_program("git") {
        return;
    }
    let git = |world: &World, words: &[&str]| {
        let root = world.root(0).display().to_string();
        let fixed = [
            "-C",
            &root,
            "-c",
            "user.name=n",
            "-c",
            "user.email=e",
            "-c",
            "gc.auto=0",
        ];
        tool("git", fixed.into_iter().chain(words.iter().copied()));
    };
    let commit = |world: &World, message: &str| {
        git(world, &["add", "--all", "."]);
        git(world, &["commit", "--quiet", "--message", message]);
    };
    let mut cluster = filled(|world| {
        git(world, &["init", "--quiet", "--initial-branch=main"]);
        world.write(0, ".git/info/exclude", ".replicat\n");
        for file in 0..40 {
            world.write(0, format!("s{file}.txt"), format!("{file}\n").repeat(20));
        }
        commit(world, "first");
    });
    for round in 0..4 {
        let branch = format!("branch{round}");
        git(&cluster.world, &["checkout", "--quiet", "-b", &branch]);
        for number in 0..4 {
            for file in 0..25 {
                let path = format!("r{round}/n{number}_{file}.txt");
                let content = format!("{round} {number} {file}");
                cluster.world.write(0, path, content);
            }
            let edited = format!("{round} {number}");
            cluster.world.write(0, format!("s{number}.txt"), edited);
            commit(&cluster.world, &format!("{round}.{number}"));
        }
        git(&cluster.world, &["checkout", "--quiet", "main"]);
        git(&cluster.world, &["merge", "--quiet", "--squash", &branch]);
        commit(&cluster.world, &format!("merge {round}"));
        git(&cluster.world, &["gc", "--quiet", "--prune=now"]);
        assert_no_brake(&mut cluster);
    }
}
