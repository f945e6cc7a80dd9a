//! The state of a root belongs to the owner of the root, whichever user runs replicat.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

use crate::machine::{OrdinaryUser, has_root, own, tool};
use crate::world::{Outcome, World};

/// What belongs to root at and below a path.
fn of_root(path: &Path) -> Vec<PathBuf> {
    let found = fs::symlink_metadata(path).unwrap();
    let mut paths = Vec::new();
    if found.uid() == 0 {
        paths.push(path.to_owned());
    }
    if found.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            paths.extend(of_root(&entry.unwrap().path()));
        }
    }
    paths
}

fn give_to_root(path: &Path) {
    chown(path, Some(0), Some(0)).unwrap();
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            give_to_root(&entry.unwrap().path());
        }
    }
}

#[track_caller]
fn assert_not_of_root(world: &World) {
    for root in world.roots() {
        assert_eq!(of_root(root), Vec::<PathBuf>::new());
    }
}

fn sync_as_root(world: &World) {
    let all: Vec<usize> = (0..world.count()).collect();
    let outcome = world.sync(&all, &[]);
    assert!(outcome.in_sync(), "{outcome:#?}");
}

#[test]
fn owner_can_sync_after_a_run_as_root() {
    if !has_root() {
        return;
    }
    World::each(|world| {
        world.write(0, "small", "x");
        world.write(0, "large", vec![1; 3_000_000]);
        world.write(0, "d/gone", "x");
        let user = OrdinaryUser::of(world);
        sync_as_root(world);
        assert_not_of_root(world);
        world.write(0, "small", "edited");
        world.write(0, "large", vec![2; 3_000_000]);
        world.remove(0, "d");
        sync_as_root(world);
        assert_not_of_root(world);
        user.settle(world);
        world.write(0, "small", "edited again");
        world.remove(0, "large");
        own(&world.path(0, "small"));
        user.settle(world);
        assert!(world.in_trash(world.last(), "edited"));
    });
}

#[test]
fn run_as_root_gives_foreign_state_to_the_owner() {
    if !has_root() {
        return;
    }
    World::each(|world| {
        world.write(0, "file", "x");
        let user = OrdinaryUser::of(world);
        user.settle(world);
        world.write(0, "file", "edited");
        own(&world.path(0, "file"));
        user.settle(world);
        for root in world.roots() {
            give_to_root(&root.join(".replicat"));
        }
        sync_as_root(world);
        for root in world.roots() {
            // What is in the trash keeps its owner.
            let trash = root.join(".replicat/trash");
            let found = of_root(root);
            let is_item = |path: &PathBuf| path.starts_with(&trash) && !path.ends_with("log");
            assert!(found.iter().all(is_item), "{found:?}");
        }
        user.settle(world);
    });
}

#[test]
fn error_says_how_the_owner_gets_the_state_back() {
    if !has_root() {
        return;
    }
    for part in [
        "",
        "lock",
        "index.redb",
        "staging/ready",
        "staging/displaced",
    ] {
        let world = World::new(2);
        world.write(0, "file", "x");
        let user = OrdinaryUser::of(&world);
        user.settle(&world);
        let state = world.root(1).canonicalize().unwrap().join(".replicat");
        give_to_root(&state.join(part));
        let runs: &[&[&str]] = match part {
            // What a dry run reads is hidden.
            "" => &[&[], &["--dry-run"]],
            _ => &[&[]],
        };
        for words in runs {
            let mut command = user.command();
            command.args(["sync", "--json"]).args(*words);
            let outcome = Outcome::of(&command.args(world.roots()).output().unwrap());
            let error = outcome.failure_of_last(2, 5);
            assert_eq!(error["kind"], "state-not-owned", "{part}: {error}");
            let hint = error["hint"].as_str().unwrap();
            let advice = format!("`sudo chown -R nobody: {}`", state.display());
            assert!(hint.contains(&advice), "{hint}");
        }
        tool("chown", ["-R", "nobody:", state.to_str().unwrap()]);
        user.settle(&world);
    }
}

#[test]
fn state_elsewhere_belongs_to_the_owner_of_the_root() {
    if !has_root() {
        return;
    }
    let world = World::new(2);
    world.write(0, "file", "x");
    let user = OrdinaryUser::of(&world);
    let base = world.beside("made/state");
    let words = ["--state-dir", base.to_str().unwrap()];
    let outcome = world.run(&[0, 1], &words);
    assert!(outcome.in_sync(), "{outcome:#?}");
    for state in fs::read_dir(&base).unwrap() {
        assert_eq!(of_root(&state.unwrap().path()), Vec::<PathBuf>::new());
    }
    let mut again = user.command();
    again.arg("sync").args(words).args(world.roots());
    let output = again.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}
