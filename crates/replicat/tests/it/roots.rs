//! Which roots are synced, in what order and how often; dry runs, and exit codes.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::world::{World, command, stat_everything};

#[test]
fn the_order_of_roots_does_not_matter() {
    let world = World::new(3);
    let orders = [[0, 1, 2], [2, 0, 1], [1, 2, 0], [2, 1, 0]];
    for (round, order) in orders.iter().enumerate() {
        world.write(
            round % 3,
            format!("file{round}"),
            format!("content {round}"),
        );
        if round > 0 {
            world.write((round + 1) % 3, "file0", format!("edit {round}"));
        }
        world.settle_some(order, &[]);
    }
    assert_eq!(world.read(0, "file0"), "edit 3");
    assert_eq!(world.files().len(), 4);
}

#[test]
fn some_roots_today_and_others_tomorrow() {
    let world = World::new(3);
    world.write(0, "a", "by a");
    world.write(1, "gone", "to be deleted");
    world.settle_some(&[0, 1], &[]);
    world.write(2, "c", "by c");
    world.remove(1, "gone");
    world.settle_some(&[1, 2], &[]);
    assert_eq!(world.read(2, "a"), "by a");
    assert!(!world.exists(2, "gone"));
    world.write(0, "a", "by a, edited");
    // An edit and a deletion travel through the one in the middle, both ways.
    world.settle_some(&[2, 0], &[]);
    world.settle_some(&[0, 1], &[]);
    world.assert_files(&[("a", "by a, edited"), ("c", "by c")]);
    world.settle();
}

#[test]
fn an_edit_and_a_deletion_meet_through_a_third_root() {
    let world = World::new(3);
    world.write(0, "list", "milk");
    world.settle();
    world.write(0, "list", "milk, eggs");
    world.remove(2, "list");
    world.settle_some(&[1, 2], &[]);
    assert!(!world.exists(1, "list"));
    world.settle_some(&[0, 1], &[]);
    assert_eq!(world.read(1, "list"), "milk, eggs");
    world.settle_some(&[1, 2], &[]);
    world.assert_files(&[("list", "milk, eggs")]);
}

#[test]
fn one_conflict_met_in_two_places_makes_one_copy() {
    let world = World::new(4);
    world.write(0, "list", "milk");
    world.settle();
    world.write(0, "list", "milk, eggs");
    world.write(1, "list", "milk, bread");
    // The two pairs learn of one side each, then both resolve the same conflict.
    world.settle_some(&[0, 2], &[]);
    world.settle_some(&[1, 3], &[]);
    world.settle_some(&[0, 1], &[]);
    world.settle_some(&[2, 3], &[]);
    world.settle();
    assert_eq!(world.copies("list").len(), 1);
    assert_eq!(world.files().len(), 2);
}

#[test]
fn roots_of_different_folders_ask_before_they_are_united() {
    let world = World::new(4);
    world.write(0, "both", "one");
    world.write(0, "first", "of the first folder");
    world.settle_some(&[0, 1], &[]);
    world.write(2, "both", "other");
    world.write(2, "second", "of the second folder");
    world.settle_some(&[2, 3], &[]);
    let before: Vec<_> = world
        .roots()
        .iter()
        .map(|root| super::world::walk(root))
        .collect();
    let refused = world.run(&[0, 2], &[]);
    assert_eq!(refused.code, Some(4), "{refused:#?}");
    let error = refused.of_type("error").next().unwrap();
    assert_eq!(error["kind"], "different-folders");
    assert!(error["hint"].as_str().unwrap().contains("--join"));
    let after: Vec<_> = world
        .roots()
        .iter()
        .map(|root| super::world::walk(root))
        .collect();
    assert!(before == after);
    world.settle_some(&[0, 2], &["--join"]);
    assert!(world.exists(0, "second") && world.exists(2, "first"));
    world.settle_some(&[0, 1, 2, 3], &["--join"]);
    world.settle();
    assert_eq!(world.copies("both").len(), 1);
    assert_eq!(world.files().len(), 4);
}

#[test]
fn a_dry_run_touches_nothing() {
    World::each(|world| {
        world.write(0, "list", "milk");
        world.write(0, "d/child", "a child");
        let everything = || stat_everything(world.beside("").as_path());
        let all: Vec<usize> = (0..world.count()).collect();
        let untouched = everything();
        let planned = world.run(&all, &["-n"]);
        assert_eq!(planned.code, Some(0), "{planned:#?}");
        let created = planned.items("create").into_iter();
        let created = created.filter(|item| item["path"] != "").count();
        assert_eq!(created, 3 * world.last(), "{planned:#?}");
        assert!(!planned.in_sync());
        assert_eq!(everything(), untouched);
        assert!(!world.exists(0, ".replicat"));
        world.settle();
        // With state: an edit, a deletion, a move and a conflict.
        world.write(0, "list", "milk, eggs");
        world.write(world.last(), "list", "milk, bread");
        world.rename(0, "d", "e");
        world.write(0, "new", "new");
        let untouched = everything();
        let planned = world.run(&all, &["-n"]);
        assert_eq!(planned.summary()["outcome"], "planned");
        assert!(!planned.items("update").is_empty(), "{planned:#?}");
        assert!(!planned.items("create").is_empty(), "{planned:#?}");
        assert_eq!(everything(), untouched);
        world.settle();
    });
}

#[test]
fn a_brake_is_exit_code_4_and_deletes_nothing() {
    let world = World::new(2);
    for file in 0..30 {
        world.write(0, format!("file{file}"), format!("content {file}"));
    }
    world.settle();
    for file in 0..20 {
        world.remove(0, format!("file{file}"));
    }
    let stopped = world.sync(&[0, 1], &[]);
    assert_eq!(stopped.code, Some(4), "{stopped:#?}");
    assert!(!stopped.in_sync());
    assert_eq!(stopped.list("brakes")[0]["kind"], "mass-deletion");
    assert!(world.exists(1, "file0"));
    let approved = command()
        .arg("approve")
        .arg(world.root(0))
        .output()
        .unwrap();
    assert!(approved.status.success(), "{approved:?}");
    world.settle();
    assert_eq!(world.files().len(), 10);
}

#[test]
fn too_many_deletions_are_exit_code_4() {
    let world = World::new(2);
    for file in 0..10 {
        world.write(0, format!("file{file}"), format!("content {file}"));
    }
    world.settle();
    for file in 0..3 {
        world.remove(0, format!("file{file}"));
    }
    let stopped = world.sync(&[0, 1], &["--max-delete", "2"]);
    assert_eq!(stopped.code, Some(4), "{stopped:#?}");
    assert_eq!(stopped.list("brakes")[0]["kind"], "max-delete");
    assert!(world.exists(1, "file0"));
    world.settle_some(&[0, 1], &["--max-delete", "3"]);
    assert_eq!(world.files().len(), 7);
}

/// Syncs directories that need not be roots of the world; the exit code, what is said on standard error, and the summary.
fn sync(roots: &[&Path]) -> (Option<i32>, String, Value) {
    let mut command = command();
    let output = command
        .args(["sync", "--create", "--json"])
        .args(roots)
        .output();
    let output = output.unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let summary = lines.lines().last().unwrap_or_default();
    (
        output.status.code(),
        lines.clone() + &String::from_utf8(output.stderr).unwrap(),
        serde_json::from_str(summary).unwrap_or_default(),
    )
}

#[test]
fn root_that_is_moved_into_another_sheds_its_state() {
    let world = World::new(2);
    world.write(0, "list", "milk");
    world.settle();
    let (other, partner) = (world.beside("other"), world.beside("partner"));
    fs::create_dir_all(other.join("deep/.replicat.d")).unwrap();
    fs::write(other.join("deep/file"), "content").unwrap();
    fs::write(other.join("deep/.replicat.d/kept"), "kept").unwrap();
    assert_eq!(sync(&[&other, &partner]).0, Some(0));
    fs::rename(&other, world.path(0, "inner")).unwrap();
    for _ in 0..2 {
        let (code, _, summary) = sync(&[world.root(0), world.root(1)]);
        assert_eq!((code, &summary["in_sync"]), (Some(0), &true.into()));
        let skipped = summary["skipped"].as_array().unwrap();
        assert_eq!(skipped.len(), 1, "{summary}");
        let row = &skipped[0];
        assert_eq!(
            (&row["path"], &row["kind"], &row["severity"]),
            (
                &"inner/.replicat".into(),
                &"state".into(),
                &"warning".into()
            )
        );
    }
    assert!(!world.exists(1, "inner/.replicat"));
    assert_eq!(world.read(1, "inner/deep/file"), "content");
    assert_eq!(world.read(1, "inner/deep/.replicat.d/kept"), "kept");
}

#[test]
fn root_inside_another_root_is_synced_with_both() {
    let world = World::new(2);
    for name in ["inner/list", "inner/other", "top"] {
        world.write(0, name, name);
    }
    world.settle();
    let partner = world.beside("partner");
    let inner = world.path(0, "inner");
    let (code, said, _) = sync(&[&inner, &partner]);
    assert_eq!(code, Some(0), "{said}");
    let outer = world.root(0).canonicalize().unwrap();
    let expected = format!("this root lies inside {}", outer.display());
    assert!(said.contains(&expected), "{said}");
    fs::remove_file(partner.join("list")).unwrap();
    fs::write(partner.join("other"), "edited").unwrap();
    assert_eq!(sync(&[&inner, &partner]).0, Some(0));
    for _ in 0..2 {
        assert_eq!(sync(&[world.root(0), world.root(1)]).0, Some(0));
        assert_eq!(sync(&[&inner, &partner]).0, Some(0));
    }
    for root in [0, 1] {
        assert!(!world.exists(root, "inner/list"));
        assert_eq!(world.read(root, "inner/other"), "edited");
    }
    assert!(!partner.join("list").exists());
    assert!(!world.exists(1, "inner/.replicat"));
}
