//! Conflicts: what was changed on several roots at once.

use std::process::Command;

use super::world::{Outcome, World, command};

/// A world in which every root holds `list`.
fn with_list(world: &World) {
    world.write(0, "list", "milk");
    world.settle();
}

/// The contents at `path` and in its conflict copies, sorted.
#[track_caller]
fn versions(world: &World, path: &str) -> Vec<String> {
    let mut versions: Vec<String> = world
        .copies(path)
        .iter()
        .map(|copy| world.read(0, copy))
        .collect();
    versions.push(world.read(0, path));
    versions.sort();
    versions
}

#[track_caller]
fn assert_no_conflict(world: &World, outcome: &Outcome) {
    assert!(outcome.list("conflicts").is_empty(), "{outcome:#?}");
    let copies: Vec<String> = world.paths();
    assert!(
        !copies.iter().any(|path| path.contains(".conflict-")),
        "{copies:?}"
    );
}

#[test]
fn s01_edit_against_delete() {
    World::each(|world| {
        for (editor, deleter) in [(0, world.last()), (world.last(), 0)] {
            let path = format!("list{editor}");
            world.write(0, &path, "milk");
            world.settle();
            world.write(editor, &path, "milk, eggs");
            world.remove(deleter, &path);
            let outcome = world.settle();
            assert_eq!(world.read(0, &path), "milk, eggs");
            assert_no_conflict(world, &outcome);
        }
    });
}

#[test]
fn s01_delete_on_all_but_the_editor() {
    let world = World::new(3);
    with_list(&world);
    world.remove(0, "list");
    world.remove(2, "list");
    world.write(1, "list", "milk, eggs");
    world.settle();
    world.assert_files(&[("list", "milk, eggs")]);
}

#[test]
fn s02_edit_against_edit() {
    World::each(|world| {
        with_list(world);
        world.write(0, "list", "milk, eggs");
        world.write(world.last(), "list", "milk, bread");
        let outcome = world.settle();
        assert_eq!(outcome.code, Some(1));
        assert_eq!(versions(world, "list"), ["milk, bread", "milk, eggs"]);
        let [conflict] = outcome.list("conflicts") else {
            panic!("{outcome:#?}");
        };
        let copy = world.copies("list").remove(0);
        assert_eq!(conflict["path"], "list");
        assert_eq!(conflict["copy"], copy.as_str());
        let winner = world.read(0, "list");
        let hash = blake3::hash(winner.as_bytes()).to_hex().to_string();
        assert_eq!(conflict["winner"]["content"], hash);
        assert_eq!(conflict["winner"]["kind"], "file");
        assert_eq!(conflict["loser"]["size"], world.read(0, &copy).len());
        let loser = conflict["loser"]["node"].as_str().unwrap();
        assert!(
            copy.starts_with(&format!("list.conflict-{loser}-")),
            "{copy}"
        );
    });
}

#[test]
fn s02_all_edit() {
    World::each(|world| {
        with_list(world);
        let mut contents: Vec<String> = (0..world.count())
            .map(|root| format!("by {root}"))
            .collect();
        for (root, content) in contents.iter().enumerate() {
            world.write(root, "list", content);
        }
        let outcome = world.settle();
        assert_eq!(outcome.list("conflicts").len(), world.count() - 1);
        contents.sort();
        assert_eq!(versions(world, "list"), contents);
    });
}

#[test]
fn s02_the_copy_keeps_its_suffix() {
    World::each(|world| {
        world.write(0, "notes/list.txt", "milk");
        world.settle();
        world.write(0, "notes/list.txt", "milk, eggs");
        world.write(world.last(), "notes/list.txt", "milk, bread");
        world.settle();
        let copies = world.copies("notes/list.txt");
        assert_eq!(copies.len(), 1);
        assert!(copies[0].ends_with(".txt"), "{copies:?}");
    });
}

#[test]
fn s03_equal_edits() {
    World::each(|world| {
        with_list(world);
        world.write(0, "list", "milk, eggs");
        world.write(world.last(), "list", "milk, eggs");
        let outcome = world.settle();
        assert_no_conflict(world, &outcome);
        world.assert_files(&[("list", "milk, eggs")]);
    });
}

#[test]
fn s04_all_create_one_name() {
    World::each(|world| {
        let mut contents: Vec<String> = (0..world.count())
            .map(|root| format!("by {root}"))
            .collect();
        for (root, content) in contents.iter().enumerate() {
            world.write(root, "list", content);
        }
        let outcome = world.settle();
        assert_eq!(outcome.code, Some(1));
        contents.sort();
        assert_eq!(versions(world, "list"), contents);
    });
}

#[test]
fn s05_all_create_one_name_with_equal_content() {
    World::each(|world| {
        for root in 0..world.count() {
            world.write(root, "notes/list", "milk");
        }
        let outcome = world.settle();
        assert_no_conflict(world, &outcome);
        assert_eq!(outcome.figure("bytes_copied"), 0);
    });
}

#[test]
fn s06_two_equal_one_different() {
    for different in 0..3 {
        for known in [false, true] {
            let world = World::new(3);
            if known {
                with_list(&world);
            }
            for root in 0..3 {
                let content = if root == different { "bread" } else { "eggs" };
                world.write(root, "list", content);
            }
            let outcome = world.settle();
            assert_eq!(outcome.list("conflicts").len(), 1, "{outcome:#?}");
            assert_eq!(versions(&world, "list"), ["bread", "eggs"]);
        }
    }
}

/// The two equal files were written at different times, as users' are: each of their roots made a copy of its own.
#[test]
fn s06_two_equal_one_different_at_different_times() {
    for different in 0..3 {
        for latest in 0..3 {
            let world = World::new(3);
            for root in 0..3 {
                let content = if root == different { "bread" } else { "eggs" };
                world.write(root, "list", content);
                let seconds = if root == latest { 9 } else { 0 };
                world.touch(
                    root,
                    "list",
                    1_700_000_000 + seconds,
                    1_000_000 * root as i64,
                );
            }
            let outcome = world.settle();
            assert_eq!(outcome.list("conflicts").len(), 1, "{outcome:#?}");
            assert_eq!(versions(&world, "list"), ["bread", "eggs"]);
        }
    }
}

#[test]
fn s06_two_pairs() {
    let world = World::new(4);
    for (root, content) in ["bread", "eggs", "eggs", "bread"].iter().enumerate() {
        world.write(root, "list", content);
    }
    world.settle();
    assert_eq!(versions(&world, "list"), ["bread", "eggs"]);
}

#[test]
fn s08_conflict_copy_edited_on_two_roots() {
    World::each(|world| {
        with_list(world);
        world.write(0, "list", "milk, eggs");
        world.write(world.last(), "list", "milk, bread");
        world.settle();
        let copy = world.copies("list").remove(0);
        let winner = world.read(0, "list");
        world.write(0, &copy, "the copy, edited first");
        world.write(world.last(), &copy, "the copy, edited last");
        world.settle();
        let contents: Vec<String> = world.files().into_iter().map(|file| file.1).collect();
        for content in ["the copy, edited first", "the copy, edited last", &winner] {
            let found = contents.iter().filter(|held| *held == content);
            assert_eq!(found.count(), 1, "{content}: {contents:?}");
        }
        assert_eq!(contents.len(), 3);
    });
}

#[test]
fn s10_conflict_on_a_name_of_255_bytes() {
    let names = [
        "n".repeat(255),
        format!("{}.txt", "n".repeat(251)),
        format!("n.{}", "t".repeat(253)),
        format!("n{}", "\u{e9}".repeat(127)),
    ];
    World::each(|world| {
        for name in &names {
            world.write(0, name, "milk, eggs");
            world.write(world.last(), name, "milk, bread");
        }
        let outcome = world.settle();
        assert_eq!(outcome.list("conflicts").len(), names.len());
        let files = world.files();
        assert_eq!(files.len(), 2 * names.len());
        for content in ["milk, eggs", "milk, bread"] {
            let held = files.iter().filter(|file| file.1 == content);
            assert_eq!(held.count(), names.len());
        }
    });
}

#[test]
fn s11_delete_directory_against_edit_of_a_child() {
    World::each(|world| {
        world.write(0, "stays", "so that the root is not emptied");
        world.write(0, "d/e/kept", "milk");
        world.write(0, "d/e/gone", "old");
        world.write(0, "d/gone", "older");
        world.settle();
        world.remove(0, "d");
        world.write(world.last(), "d/e/kept", "milk, eggs");
        let outcome = world.settle();
        world.assert_files_under("d", &[("d/e/kept", "milk, eggs")]);
        assert_no_conflict(world, &outcome);
    });
}

#[test]
fn s12_delete_directory_against_a_new_child() {
    World::each(|world| {
        world.write(0, "stays", "so that the root is not emptied");
        world.write(0, "d/e/gone", "old");
        world.mkdir(0, "d/empty");
        world.settle();
        world.remove(0, "d");
        world.write(world.last(), "d/e/new", "milk");
        world.settle();
        assert_eq!(world.paths(), ["d", "d/e", "d/e/new", "stays"]);
    });
}

#[test]
fn s12_delete_directory_against_a_new_directory_in_it() {
    World::each(|world| {
        world.mkdir(0, "d");
        world.settle();
        world.remove(world.last(), "d");
        world.mkdir(0, "d/new");
        world.settle();
        assert_eq!(world.paths(), ["d", "d/new"]);
    });
}

#[test]
fn s13_chmod_against_edit() {
    World::each(|world| {
        for (path, chmod, edit) in [("one", 0, world.last()), ("two", world.last(), 0)] {
            world.write(0, path, "milk");
            world.chmod(0, path, 0o644);
            world.settle();
            world.chmod(chmod, path, 0o750);
            world.write(edit, path, "milk, eggs");
            let outcome = world.settle();
            assert_no_conflict(world, &outcome);
            let tree = world.tree();
            assert_eq!(tree[path.as_bytes()].mode, 0o750);
            assert_eq!(world.read(0, path), "milk, eggs");
        }
    });
}

/// A world with a conflict of `list`, the winner and the loser, and the copy's name.
fn conflict(world: &World) -> (String, String, String) {
    with_list(world);
    world.write(0, "list", "milk, eggs");
    world.write(world.last(), "list", "milk, bread");
    world.settle();
    let copy = world.copies("list").remove(0);
    (world.read(0, "list"), world.read(0, &copy), copy)
}

fn resolve(world: &World, root: usize, keep: &str) {
    let mut command: Command = command();
    command
        .args(["resolve", "--keep", keep])
        .arg(world.path(root, "list"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn s14_one_conflict_resolved_by_hand_differently() {
    World::each(|world| {
        let (_, loser, copy) = conflict(world);
        world.remove(0, &copy);
        world.rename(world.last(), &copy, "list");
        let outcome = world.settle();
        world.assert_files(&[("list", &loser)]);
        assert_no_conflict(world, &outcome);
    });
}

#[test]
fn s14_one_conflict_resolved_by_command_differently() {
    World::each(|world| {
        let (_, loser, _) = conflict(world);
        resolve(world, 0, "winner");
        resolve(world, world.last(), "copy");
        world.settle();
        world.assert_files(&[("list", &loser)]);
    });
}

#[test]
fn s14_one_conflict_merged_differently() {
    World::each(|world| {
        let (_, _, copy) = conflict(world);
        for (root, content) in [(0, "eggs, bread"), (world.last(), "bread, eggs")] {
            world.write(root, "list", content);
            world.remove(root, &copy);
        }
        world.settle();
        assert_eq!(versions(world, "list"), ["bread, eggs", "eggs, bread"]);
    });
}

#[test]
fn s14_one_conflict_resolved_alike() {
    World::each(|world| {
        let (winner, _, copy) = conflict(world);
        world.remove(0, &copy);
        world.remove(world.last(), &copy);
        world.settle();
        world.assert_files(&[("list", &winner)]);
    });
}
