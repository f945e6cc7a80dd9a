//! Versions and their authors, restoring them, and the trash.

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use super::looking::{objects, told};
use crate::world::{World, command};

fn run(words: &[&str], path: &Path) -> Output {
    command().args(words).arg(path).output().unwrap()
}

/// The author, the change and the size of each version, the latest first.
fn versions(world: &World, root: usize, path: &str) -> Vec<(String, String, u64)> {
    let rows = objects(&["history"], &world.path(root, path));
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or("?").to_owned();
    rows.iter()
        .map(|row| {
            let size = row["size"].as_u64().unwrap();
            (text(row, "node"), text(row, "change"), size)
        })
        .collect()
}

#[test]
fn history_names_the_author_on_every_replica() {
    let world = World::new(3);
    for (root, content) in [(0, "1"), (1, "22"), (2, "333"), (1, "4444")] {
        world.write(root, "file", content);
        world.settle();
    }
    world.remove(0, "file");
    world.write(0, "other", "so that not everything is gone");
    world.settle();
    let names: Vec<String> = (world.roots().iter())
        .map(|root| root.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    let made = |root: usize, change: &str, size| (names[root].clone(), change.to_owned(), size);
    let expected = [
        made(0, "deleted", 0),
        made(1, "edited", 4),
        made(2, "edited", 3),
        made(1, "edited", 2),
        made(0, "created", 1),
    ];
    for root in 0..3 {
        assert_eq!(versions(&world, root, "file"), expected, "root {root}");
    }
}

#[test]
fn version_of_a_conflict_is_its_authors() {
    let world = World::new(2);
    world.write(0, "list", "at first");
    world.settle();
    world.write(0, "list", "one side");
    world.write(1, "list", "other side");
    let outcome = world.settle();
    let conflict = &outcome.list("conflicts")[0];
    let copy = conflict["copy"].as_str().unwrap();
    for root in 0..2 {
        assert_eq!(versions(&world, root, copy)[0].0, conflict["loser"]["node"]);
        assert_eq!(
            versions(&world, root, "list")[0].0,
            conflict["winner"]["node"]
        );
    }
}

#[test]
fn restore_says_who_made_what_is_not_here() {
    let world = World::new(2);
    world.write(0, "file", "one");
    world.settle();
    world.write(0, "file", "longer");
    world.settle();
    let file = world.path(0, "file");
    let output = run(&["restore"], &file);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{errors}");
    let other = world.root(1).file_name().unwrap().to_str().unwrap();
    assert!(errors.contains("not kept here"), "{errors}");
    assert!(
        errors.contains(&format!("one of {other} may hold it")),
        "{errors}"
    );
    assert_eq!(world.read(0, "file"), "longer");
    // There it is.
    told(&["restore"], &world.path(1, "file"));
    assert_eq!(world.read(1, "file"), "one");
    let current = run(&["restore", "--revision", "1"], &file);
    let errors = String::from_utf8_lossy(&current.stderr).into_owned();
    assert!(errors.contains("is what the path holds"), "{errors}");
}

#[test]
fn restore_recursive_brings_a_tree_back() {
    World::each(|world| {
        for path in ["d/a", "d/e/b", "d/e/c", "kept", "outside"] {
            world.write(0, path, path);
        }
        world.symlink(0, "a", "d/link");
        world.mkdir(0, "d/empty");
        world.settle();
        let before = world.tree();
        world.remove(0, "d");
        world.settle();
        world.remove(0, "outside");
        world.settle();
        let last = world.last();
        let directory = world.path(last, "d");
        let planned = objects(&["restore", "--recursive", "-n"], &directory);
        assert!(planned.iter().all(|row| row["planned"] == true));
        assert!(!world.exists(last, "d"));
        let restored = objects(&["restore", "--recursive"], &directory);
        assert_eq!(restored.len(), planned.len());
        assert!(restored.iter().all(|row| row["type"] == "restoration"));
        assert!(!world.exists(last, "outside"));
        told(&["restore", "--all"], world.root(last));
        assert_eq!(world.read(last, "outside"), "outside");
        world.settle();
        let names = |tree: &crate::world::Tree| tree.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&world.tree()), names(&before));
        let files = ["d/a", "d/e/b", "d/e/c", "kept", "outside"];
        world.assert_files(&files.map(|path| (path, path)));
    });
}

#[test]
fn restore_replaces_only_into_the_trash() {
    let world = World::new(2);
    world.write(0, "d/file", "at first");
    world.settle();
    world.remove(0, "d");
    world.write(0, "other", "so that not everything is gone");
    world.settle();
    world.write(1, "d/file", "written since, and not synced");
    told(&["restore", "--all"], world.root(1));
    assert_eq!(world.read(1, "d/file"), "at first");
    assert!(world.in_trash(1, "written since, and not synced"));
}

#[test]
fn restore_lists_what_stands_in_the_way() {
    let world = World::new(2);
    world.write(0, "a", "a");
    world.write(0, "b", "b");
    world.write(0, "other", "so that not everything is gone");
    world.settle();
    world.remove(0, "a");
    world.remove(0, "b");
    world.settle();
    world.write(1, "a/below", "a directory is in the way");
    let output = run(&["restore", "--all", "--json"], world.root(1));
    assert_eq!(output.status.code(), Some(3));
    let text = String::from_utf8(output.stdout).unwrap();
    let rows: Vec<Value> = text
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let found = |kind: &str| rows.iter().find(|row| row["type"] == kind).unwrap();
    assert_eq!(found("restoration")["path"], "b");
    assert_eq!(found("not-restored")["path"], "a");
    assert_eq!(world.read(1, "a/below"), "a directory is in the way");
}

#[test]
fn restore_at_a_time_brings_what_was_there() {
    let world = World::new(2);
    world.write(0, "d/edited", "before");
    world.write(0, "d/gone", "gone");
    world.settle();
    world.write(0, "d/edited", "after");
    world.remove(0, "d/gone");
    world.write(0, "d/new", "new");
    world.settle();
    let rows = objects(&["history"], &world.path(1, "d/edited"));
    // A time between the two syncs.
    let when = |row: &Value| {
        row["when"]
            .as_str()
            .unwrap()
            .parse::<jiff::Timestamp>()
            .unwrap()
    };
    let (before, after) = (when(&rows[1]), when(&rows[0]));
    let then = (before + after.duration_since(before) / 2).to_string();
    let words = ["restore", "--all", "--at", &then];
    let restored = objects(&words, world.root(1));
    assert_eq!(restored.len(), 2, "{restored:#?}");
    assert_eq!(world.read(1, "d/edited"), "before");
    assert_eq!(world.read(1, "d/gone"), "gone");
    assert_eq!(world.read(1, "d/new"), "new");
    assert!(world.in_trash(1, "after"));
    world.settle();
    let again = run(&words, world.root(1));
    assert!(String::from_utf8_lossy(&again.stdout).starts_with("0 paths"));
}

#[test]
fn trash_is_listed_and_emptied() {
    let world = World::new(2);
    world.write(0, "d/file", "one");
    world.write(0, "other", "12345");
    world.settle();
    world.write(0, "d/file", "three");
    world.remove(0, "other");
    world.settle();
    let root = world.root(1);
    let rows = objects(&["trash", "list"], root);
    let by = world.root(0).file_name().unwrap().to_str().unwrap();
    let of = |path: &str| rows.iter().find(|row| row["path"] == path).unwrap();
    assert_eq!(
        (&of("d/file")["reason"], &of("d/file")["size"]),
        (&"replaced".into(), &3.into())
    );
    assert_eq!(
        (&of("other")["reason"], &of("other")["node"]),
        (&"deleted".into(), &by.into())
    );
    let sum = rows.last().unwrap();
    assert_eq!((&sum["type"], &sum["bytes"]), (&"trash".into(), &8.into()));
    // Nobody can be asked.
    let refused = run(&["trash", "empty"], root);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--yes"));
    let old = objects(&["trash", "empty", "--yes", "--older-than", "1d"], root);
    assert_eq!(old[0]["versions"], 0);
    let some = objects(&["trash", "empty", "--yes", "--path", "d"], root);
    assert_eq!(
        (&some[0]["versions"], &some[0]["bytes"]),
        (&1.into(), &3.into())
    );
    assert!(!world.in_trash(1, "one") && world.in_trash(1, "12345"));
    told(&["trash", "empty", "--yes"], root);
    assert!(told(&["trash", "list"], root).starts_with("0 versions"));
}

#[test]
fn trash_keeps_what_its_limits_allow() {
    for (option, limit, kept) in [
        ("--trash-age", "0", false),
        ("--trash-size", "0", false),
        ("--trash-size", "1k", true),
        ("--trash-age", "off", true),
    ] {
        let world = World::new(2);
        world.without_trash_check();
        world.write(0, "file", "one");
        world.settle();
        world.write(0, "file", "longer");
        world.sync(&[0, 1], &[option, limit]);
        assert_eq!(world.read(1, "file"), "longer");
        assert_eq!(world.in_trash(1, "one"), kept, "{option} {limit}");
    }
}
