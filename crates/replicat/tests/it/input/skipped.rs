//! `status` lists what the last sync skipped, as that sync told it.

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::Value;

use super::looking::{objects, told};
use crate::machine::{Mount, OrdinaryUser, has_root};
use crate::world::{Outcome, World, command};

fn make_pipe(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

fn all(world: &World) -> Vec<usize> {
    (0..world.count()).collect()
}

/// What `status` lists as skipped: path, kind, reason.
#[track_caller]
fn listed(world: &World, root: usize) -> Vec<[String; 3]> {
    let status = objects(&["status"], world.root(root));
    let rows = status[0]["skipped"].as_array().unwrap();
    rows.iter().map(words).collect()
}

fn words(row: &Value) -> [String; 3] {
    ["path", "kind", "reason"].map(|member| row[member].as_str().unwrap().to_owned())
}

/// Every root's `status` lists what the sync listed of it, and nothing else.
#[track_caller]
fn assert_listed(world: &World, roots: &[usize], outcome: &Outcome) {
    for &root in roots {
        let name = world.root(root).to_str().unwrap();
        let rows = outcome.list("skipped").iter();
        let rows = rows.filter(|row| row["root"] == name);
        let mut expected: Vec<[String; 3]> = rows.map(words).collect();
        expected.sort();
        expected.dedup_by(|one, other| one[0] == other[0]);
        let mut found = listed(world, root);
        found.sort();
        assert_eq!(found, expected, "{outcome:#?}");
    }
}

fn kinds(rows: &[[String; 3]]) -> Vec<(&str, &str)> {
    rows.iter()
        .map(|[path, kind, _]| (path.as_str(), kind.as_str()))
        .collect()
}

#[test]
fn what_cannot_be_synced_is_listed_until_it_is_gone() {
    World::each(|world| {
        let last = world.last();
        world.write(0, "d/file", "milk");
        make_pipe(&world.path(0, "d/pipe"));
        let socket = UnixListener::bind(world.path(last, "socket")).unwrap();
        let outcome = world.sync(&all(world), &[]);
        assert_eq!(outcome.code, Some(0), "{outcome:#?}");
        assert!(outcome.in_sync(), "{outcome:#?}");
        assert_listed(world, &all(world), &outcome);
        assert_eq!(kinds(&listed(world, 0)), [("d/pipe", "special")]);
        assert_eq!(kinds(&listed(world, last)), [("socket", "special")]);
        let text = told(&["status"], world.root(0));
        let line = "skipped: d/pipe is a named pipe, which cannot be synced";
        assert!(text.lines().any(|told| told == line), "{text}");

        // What stays is listed still, by a sync that has nothing else to do; what went is not.
        drop(socket);
        world.remove(last, "socket");
        let outcome = world.sync(&all(world), &[]);
        assert_listed(world, &all(world), &outcome);
        assert_eq!(kinds(&listed(world, 0)), [("d/pipe", "special")]);
        assert!(listed(world, last).is_empty());
        world.remove(0, "d/pipe");
        world.settle();
        for root in all(world) {
            assert!(listed(world, root).is_empty());
        }
    });
}

/// A named pipe in the tree ended each sync with code 3, for ever.
#[test]
fn special_file_is_a_warning_unless_strict() {
    let world = World::new(2);
    world.write(0, "file", "milk");
    make_pipe(&world.path(0, "pipe"));
    for (options, code, severity) in [(&[][..], 0, "warning"), (&["--strict"][..], 3, "error")] {
        let outcome = world.sync(&[0, 1], options);
        assert_eq!(outcome.code, Some(code), "{outcome:#?}");
        assert_eq!(outcome.in_sync(), code == 0, "{outcome:#?}");
        assert_eq!(outcome.list("skipped")[0]["severity"], severity);
    }
    let status = objects(&["status"], world.root(0));
    assert_eq!(status[0]["skipped"][0]["severity"], "warning");
}

/// A pipe that took the place of a synced file keeps that file from being synced.
#[test]
fn special_file_that_hides_a_file_is_an_error() {
    let world = World::new(2);
    world.write(0, "file", "milk");
    world.sync(&[0, 1], &[]);
    world.remove(1, "file");
    make_pipe(&world.path(1, "file"));
    let outcome = world.sync(&[0, 1], &[]);
    assert_eq!(outcome.code, Some(3), "{outcome:#?}");
    assert_eq!(outcome.list("skipped")[0]["severity"], "error");
    let status = objects(&["status"], world.root(1));
    assert_eq!(status[0]["skipped"][0]["severity"], "error");
}

#[test]
fn a_path_that_may_not_be_read_is_listed_with_what_was_tried() {
    World::each(|world| {
        world.write(0, "secret", "x");
        world.write(0, "open", "x");
        let user = OrdinaryUser::of(world);
        world.chmod(0, "secret", 0);
        let outcome = user.sync(world);
        assert_eq!(outcome.code, Some(3), "{outcome:#?}");
        assert_listed(world, &all(world), &outcome);
        let rows = listed(world, 0);
        assert_eq!(kinds(&rows), [("secret", "denied")]);
        assert!(rows[0][2].starts_with("permission denied to "), "{rows:?}");
    });
}

#[test]
fn a_content_that_no_root_holds_is_listed_where_it_is_missing() {
    let world = World::new(3);
    world.write(0, "name", "milk");
    make_pipe(&world.path(1, "name"));
    let outcome = world.sync(&[0, 1], &[]);
    assert_eq!(outcome.code, Some(3), "{outcome:#?}");
    assert_listed(&world, &[0, 1], &outcome);
    // The second root tells the third of a file that it does not hold.
    let outcome = world.sync(&[1, 2], &[]);
    assert_eq!(outcome.code, Some(3), "{outcome:#?}");
    assert_listed(&world, &[1, 2], &outcome);
    assert_eq!(kinds(&listed(&world, 2)), [("name", "content-missing")]);
    world.remove(1, "name");
    world.settle();
    assert!(listed(&world, 2).is_empty());
    world.assert_files(&[("name", "milk")]);
}

/// Who made a file is gone for good, and the others know of it and do not hold it: they wait no more once one is told so.
#[test]
fn a_content_that_nobody_has_is_given_up() {
    let world = World::new(3);
    world.write(0, "name", "milk");
    world.write(0, "list", "eggs");
    world.sync(&[0, 1, 2], &[]);
    make_pipe(&world.path(1, "new"));
    world.write(0, "new", "flour");
    fs::remove_file(world.path(1, "list")).unwrap();
    make_pipe(&world.path(1, "list"));
    world.write(0, "list", "eggs and salt");
    let outcome = world.sync(&[0, 1], &[]);
    assert_eq!(outcome.code, Some(3), "{outcome:#?}");
    world.remove(1, "new");
    world.remove(1, "list");
    world.write(1, "list", "eggs");
    let outcome = world.sync(&[1, 2], &[]);
    assert_eq!(outcome.code, Some(3), "{outcome:#?}");
    let missing = [("list", "content-missing"), ("new", "content-missing")];
    assert_eq!(kinds(&listed(&world, 2)), missing);

    for name in ["list", "new"] {
        let text = told(&["resolve", "--keep", "local"], &world.path(2, name));
        assert!(text.contains("what was missing is given up"), "{text}");
    }
    let outcome = world.sync(&[1, 2], &[]);
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    for root in [1, 2] {
        assert!(listed(&world, root).is_empty());
        assert!(!world.path(root, "new").exists());
        assert_eq!(fs::read(world.path(root, "list")).unwrap(), b"eggs");
    }

    // Should it turn up after all, then what it holds goes to its trash.
    world.settle();
    world.assert_files(&[("list", "eggs"), ("name", "milk")]);
    for lost in ["eggs and salt", "flour"] {
        assert!(world.in_trash(0, lost), "{lost}");
    }
    let refused = command()
        .args(["resolve", "--keep", "local"])
        .arg(world.path(2, "list"))
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
}

#[test]
fn a_mount_point_is_listed() {
    if !has_root() {
        return;
    }
    World::each(|world| {
        world.write(0, "file", "x");
        world.mkdir(world.last(), "mounted");
        let mount = Mount::memory(&world.path(world.last(), "mounted"), "1m");
        let outcome = world.sync(&all(world), &[]);
        assert_listed(world, &all(world), &outcome);
        let rows = listed(world, world.last());
        assert_eq!(kinds(&rows), [("mounted", "other-filesystem")]);
        drop(mount);
        world.settle();
        assert!(listed(world, world.last()).is_empty());
    });
}

/// Neither a dry run, nor a sync that a brake stopped, nor one that failed says what is skipped now.
#[test]
fn a_sync_that_does_not_come_to_its_end_leaves_the_list_alone() {
    World::each(|world| {
        for name in ["a", "b", "c"] {
            world.write(0, name, name);
        }
        make_pipe(&world.path(0, "pipe"));
        world.sync(&all(world), &[]);
        let before = listed(world, 0);
        assert_eq!(kinds(&before), [("pipe", "special")]);

        world.remove(0, "pipe");
        make_pipe(&world.path(0, "other pipe"));
        world.run(&all(world), &["--dry-run"]);
        assert_eq!(listed(world, 0), before);

        let mut failing = command();
        failing.args(["sync", "--json"]).args(world.roots());
        let failed = Outcome::of(&failing.arg("/does/not/exist").output().unwrap());
        assert_eq!(failed.code, Some(2), "{failed:#?}");
        assert_eq!(listed(world, 0), before);

        let outcome = world.sync(&all(world), &[]);
        assert_listed(world, &all(world), &outcome);
        assert_eq!(kinds(&listed(world, 0)), [("other pipe", "special")]);
    });
}
