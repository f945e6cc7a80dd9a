//! The commands that look at a root or settle something in it; what they do there reaches the other roots.

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::world::{World, command};

/// Runs a command on a path of a root; what it printed.
#[track_caller]
pub(super) fn told(words: &[&str], path: &Path) -> String {
    let output = run(words, path);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{words:?} {path:?}: {errors}"
    );
    String::from_utf8(output.stdout).unwrap()
}

fn run(words: &[&str], path: &Path) -> Output {
    let mut command = command();
    command.args(words).arg(path);
    command.output().unwrap()
}

/// The objects that a command prints with `--json`.
#[track_caller]
pub(crate) fn objects(words: &[&str], path: &Path) -> Vec<Value> {
    let words: Vec<&str> = words.iter().copied().chain(["--json"]).collect();
    let text = told(&words, path);
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A world with one conflict at `list`: the last root's version won. Returns the copy.
fn contested(world: &World) -> String {
    world.write(0, "list", "at first");
    world.touch(0, "list", 1_600_000_000, 0);
    world.settle();
    world.write(0, "list", "the loser");
    world.touch(0, "list", 1_700_000_000, 0);
    world.write(world.last(), "list", "the winner");
    world.touch(world.last(), "list", 1_700_000_500, 0);
    assert_eq!(world.settle().list("conflicts").len(), 1);
    let copies = world.copies("list");
    assert_eq!(copies.len(), 1);
    assert_eq!(world.read(0, "list"), "the winner");
    copies.into_iter().next().unwrap()
}

#[test]
fn conflicts_are_listed_until_they_are_resolved() {
    World::each(|world| {
        let copy = contested(world);
        for root in world.roots() {
            let listed = objects(&["conflicts"], root);
            assert_eq!(listed.len(), 1);
            assert_eq!(listed[0]["type"], "conflict");
            assert_eq!(listed[0]["path"], "list");
            assert_eq!(listed[0]["copy"], copy.as_str());
            assert!(told(&["conflicts"], root).contains("list.conflict-"));
            assert_eq!(objects(&["status"], root)[0]["conflicts"], 1);
        }
        world.remove(0, &copy);
        world.settle();
        for root in world.roots() {
            assert_eq!(objects(&["conflicts"], root), Vec::<Value>::new());
            assert_eq!(objects(&["status"], root)[0]["conflicts"], 0);
        }
    });
}

#[test]
fn resolve_keeps_the_winner_the_copy_or_both() {
    for (keep, by_copy) in [
        ("winner", false),
        ("copy", false),
        ("both", false),
        ("copy", true),
        ("winner", true),
    ] {
        World::each(|world| {
            let copy = contested(world);
            let named = if by_copy { copy.as_str() } else { "list" };
            let resolved = objects(&["resolve", "--keep", keep], &world.path(0, named));
            assert_eq!(resolved[0]["type"], "resolution");
            assert_eq!(resolved[0]["path"], "list");
            assert_eq!(resolved[0]["copy"], copy.as_str());
            assert_eq!(resolved[0]["kept"], keep);
            assert_eq!(
                objects(&["conflicts"], world.root(world.last())).len(),
                1,
                "not yet there"
            );
            world.settle();
            match keep {
                "winner" => world.assert_files(&[("list", "the winner")]),
                "copy" => world.assert_files(&[("list", "the loser")]),
                _ => world.assert_files(&[("list", "the winner"), (&copy, "the loser")]),
            }
            for root in 0..world.count() {
                let listed = objects(&["conflicts"], world.root(root));
                assert_eq!(listed, Vec::<Value>::new(), "{keep} in root {root}");
            }
            let again = run(&["resolve", "--keep", keep], &world.path(0, "list"));
            assert_eq!(again.status.code(), Some(2));
            assert!(String::from_utf8_lossy(&again.stderr).contains("hint: "));
        });
    }
}

#[test]
fn s14_resolved_differently_on_two_roots_at_once() {
    for (first, second) in [("winner", "copy"), ("winner", "both"), ("copy", "both")] {
        World::each(|world| {
            contested(world);
            told(&["resolve", "--keep", first], &world.path(0, "list"));
            told(
                &["resolve", "--keep", second],
                &world.path(world.last(), "list"),
            );
            world.settle();
            let held: Vec<String> = world
                .files()
                .into_iter()
                .map(|(_, content)| content)
                .collect();
            let anywhere = |content: &str| {
                held.iter().any(|held| held == content)
                    || (0..world.count()).any(|root| world.in_trash(root, content))
            };
            assert!(
                anywhere("the winner") && anywhere("the loser"),
                "{first} {second}: {held:?}"
            );
        });
    }
}

#[test]
fn history_and_restore_bring_back_what_was_overwritten_and_deleted() {
    World::each(|world| {
        let last = world.last();
        for content in ["the first version", "the second one", "number three"] {
            world.write(0, "d/file", content);
            world.settle();
        }
        let file = world.path(last, "d/file");
        let versions = objects(&["history"], &file);
        assert!(versions.iter().all(|row| row["type"] == "version"));
        let kept: Vec<_> = versions
            .iter()
            .filter(|row| row["keeping"] == "trash")
            .collect();
        assert_eq!(kept.len(), 2, "{versions:#?}");
        assert_eq!(kept[0]["size"], 14, "the latest comes first");
        // A certain one.
        let revision = kept[1]["revision"].to_string();
        let restored = objects(&["restore", "--revision", &revision], &file);
        assert_eq!(restored[0]["size"], 17);
        assert_eq!(world.read(last, "d/file"), "the first version");
        assert!(world.in_trash(last, "number three"));
        world.settle();
        assert_eq!(world.read(0, "d/file"), "the first version");
        // The latest, of a file that was deleted with its directory.
        world.write(0, "other", "so that not everything is gone");
        world.remove(0, "d");
        world.settle();
        assert!(told(&["history"], &file).contains("deleted"));
        told(&["restore"], &file);
        world.settle();
        assert_eq!(world.read(0, "d/file"), "the first version");
        // What is not there.
        let missing = run(&["restore", "--revision", "99"], &file);
        assert_eq!(missing.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&missing.stderr).contains("replicat history"));
        let unknown = run(&["restore"], &world.path(last, "never there"));
        assert_eq!(unknown.status.code(), Some(2));
    });
}

#[test]
fn status_counts_what_the_root_holds() {
    World::each(|world| {
        world.write(0, "d/file", "12345");
        world.write(0, "other", "678");
        world.symlink(0, "other", "link");
        world.settle();
        let status = &objects(&["status"], world.root(world.last()))[0];
        assert_eq!(status["type"], "status");
        let figures = [
            ("files", 2),
            ("directories", 1),
            ("symlinks", 1),
            ("bytes", 8),
        ];
        for (name, figure) in figures {
            assert_eq!(status[name], figure, "{name}");
        }
        assert_eq!(status["pending"], 0);
        assert_eq!(status["brake"], Value::Null);
        assert_eq!(
            status["members"].as_array().unwrap().len(),
            world.count() - 1
        );
        assert!(status["last_sync"].is_string());
        let text = told(&["status"], world.root(0));
        assert!(text.contains("2 files, 1 directory, 1 link"), "{text}");
    });
}

#[test]
fn tree_lists_by_the_index() {
    let world = World::new(2);
    for name in ["b/c/deep", "b/file", "a", "b.file"] {
        world.write(0, name, name);
    }
    world.symlink(0, "a", "link");
    world.settle();
    let listed = objects(&["tree"], world.root(1));
    let mut paths: Vec<&str> = listed
        .iter()
        .map(|row| row["path"].as_str().unwrap())
        .collect();
    paths.sort_unstable();
    assert_eq!(
        paths,
        ["a", "b", "b.file", "b/c", "b/c/deep", "b/file", "link"]
    );
    let below = objects(&["tree"], &world.path(1, "b"));
    let below: Vec<&str> = below
        .iter()
        .map(|row| row["path"].as_str().unwrap())
        .collect();
    assert!(
        below.contains(&"b/c/deep") && !below.contains(&"a"),
        "{below:?}"
    );
    assert!(told(&["tree"], world.root(0)).contains("link -> a"));
}

#[test]
fn tree_shows_what_is_not_synced_here() {
    let world = World::new(2);
    world.write(0, "a", "a");
    world.write(0, "left out", "b");
    let mut sync = command();
    sync.arg("sync").args(world.roots());
    assert_eq!(sync.output().unwrap().status.code(), Some(0));
    sync.args(["--exclude", "/left*"]);
    assert_eq!(sync.output().unwrap().status.code(), Some(0));
    let listed = objects(&["tree"], world.root(1));
    let states = listed.iter().map(|row| (&row["path"], &row["state"]));
    let states: Vec<String> = states
        .map(|(path, state)| format!("{path} {state}"))
        .collect();
    assert_eq!(states, [r#""a" "present""#, r#""left out" "excluded""#]);
    assert!(told(&["tree"], world.root(1)).contains("left out  (not synced here)"));
}

/// The rules of a sync are on no disk but in the index.
#[test]
fn why_names_rules_of_the_last_sync() {
    let world = World::new(2);
    world.write(0, "x.tmp", "1");
    world.write(0, "x.o", "1");
    world.write(0, "sub/.replicatignore", "\n*.c\n");
    world.write(0, "sub/x.c", "1");
    let patterns = world.beside("patterns");
    std::fs::write(&patterns, "# mine\n*.o\n").unwrap();
    let from = patterns.to_str().unwrap();
    let mut sync = command();
    sync.arg("sync").args(world.roots());
    sync.args(["--exclude", "*.tmp", "--exclude-from", from]);
    assert_eq!(sync.output().unwrap().status.code(), Some(0));
    let rule = |path: &str| {
        let explained = &objects(&["why"], &world.path(0, path))[0];
        let rule = &explained["excluded"];
        format!("{} {}", rule["pattern"], rule["source"])
    };
    assert_eq!(rule("x.tmp"), r#""*.tmp" "--exclude""#);
    assert_eq!(rule("x.o"), format!(r#""*.o" "{from}:2""#));
    assert_eq!(rule("sub/x.c"), r#""*.c" "sub/.replicatignore:2""#);
    assert_eq!(rule("sub"), "null null");
    world.write(0, "new", "1");
    let told = told(&["why"], &world.path(0, "new"));
    assert!(told.contains("the index does not know it yet"), "{told}");
}

#[test]
fn why_explains_a_path() {
    let world = World::new(2);
    let copy = contested(&world);
    let explained = &objects(&["why"], &world.path(0, "list"))[0];
    assert_eq!(explained["type"], "explanation");
    assert_eq!(explained["path"], "list");
    assert!(!explained["facts"].as_array().unwrap().is_empty());
    assert!(told(&["why"], &world.path(0, &copy)).contains("conflict copy"));
    assert!(told(&["why"], &world.path(0, "unheard of")).contains("nothing is known of it"));
    world.remove(0, "list");
    world.settle();
    assert!(told(&["why"], &world.path(1, "list")).contains("gone"));
}

#[test]
fn approve_of_a_root_that_nothing_holds() {
    let world = World::new(2);
    world.write(0, "file", "x");
    world.settle();
    let approved = &objects(&["approve"], world.root(0))[0];
    assert_eq!(approved["type"], "approval");
    assert_eq!(approved["brake"], Value::Null);
    assert_eq!(approved["new_replica"], false);
    world.write(1, "file", "edited");
    world.settle();
}

#[test]
fn looking_touches_nothing() {
    let world = World::new(2);
    contested(&world);
    let before = crate::world::stat_everything(&world.beside("."));
    for words in [&["status"][..], &["conflicts"], &["tree"]] {
        told(words, world.root(0));
    }
    for words in [&["history"][..], &["why"]] {
        told(words, &world.path(0, "list"));
    }
    assert_eq!(crate::world::stat_everything(&world.beside(".")), before);
}
