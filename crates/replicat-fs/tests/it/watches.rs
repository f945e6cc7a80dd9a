//! What a watch tells.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use replicat_core::path::RelPath;
use replicat_fs::filter::{Action, Filter, Rule};
use replicat_fs::watch::{WatchEvent, Watcher};

use crate::scenery::{Scenery, path};

/// How long a test waits for an event before it fails.
const DEADLINE: Duration = Duration::from_secs(20);

/// Collects hints until one is for `last`.
fn hints_until(watcher: &Watcher, last: &str) -> BTreeSet<RelPath> {
    let mut seen = BTreeSet::new();
    while !seen.contains(&path(last)) {
        match watcher.events().recv_timeout(DEADLINE) {
            Ok(WatchEvent::Changed(paths)) => seen.extend(paths),
            other => panic!("{other:?} while waiting for {last}; seen: {seen:?}"),
        }
    }
    seen
}

fn watch(scenery: &Scenery) -> Watcher {
    Watcher::start(&scenery.root, &scenery.filter).unwrap()
}

/// Whether a scan of the hints would see `name`.
fn covers(hints: &BTreeSet<RelPath>, name: &str) -> bool {
    hints.iter().any(|hint| path(name).is_within(hint))
}

#[test]
fn a_file_in_directories_just_made_is_covered() {
    let scenery = Scenery::new();
    let watcher = watch(&scenery);
    scenery.write("a/b/c/d/file", "1");
    scenery.write("last", "1");
    let hints = hints_until(&watcher, "last");
    assert!(covers(&hints, "a/b/c/d/file"), "{hints:?}");
    // By now the new directories are watched themselves.
    scenery.write("a/b/c/d/file", "22");
    hints_until(&watcher, "a/b/c/d/file");
}

#[test]
fn edits_deletions_and_modes_are_told() {
    let scenery = Scenery::new();
    scenery.write("edited", "1");
    scenery.write("a/deleted", "1");
    scenery.make("a/directory");
    let watcher = watch(&scenery);
    scenery.write("edited", "22");
    hints_until(&watcher, "edited");
    fs::remove_file(scenery.at("a/deleted")).unwrap();
    hints_until(&watcher, "a/deleted");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    fs::set_permissions(scenery.at("a/directory"), mode).unwrap();
    hints_until(&watcher, "a/directory");
}

#[test]
fn a_renamed_directory_is_watched_at_its_new_place() {
    let scenery = Scenery::new();
    scenery.write("old/inner/file", "1");
    let watcher = watch(&scenery);
    fs::rename(scenery.at("old"), scenery.at("new")).unwrap();
    let hints = hints_until(&watcher, "new");
    assert!(covers(&hints, "old"), "{hints:?}");
    scenery.write("new/inner/file", "22");
    let hints = hints_until(&watcher, "new/inner/file");
    assert!(!covers(&hints, "old/inner/file"), "{hints:?}");
}

/// While the watcher took in a renamed directory of some size, its old path fell due and was told by itself: a node took
/// the rename for a deletion, read all files again, or was stopped by its brake.
#[test]
fn both_paths_of_a_renamed_directory_are_told_together() {
    let scenery = Scenery::new();
    for number in 0..3000 {
        scenery.make(format!("old/{number}"));
    }
    let watcher = watch(&scenery);
    fs::rename(scenery.at("old"), scenery.at("new")).unwrap();
    loop {
        match watcher.events().recv_timeout(DEADLINE) {
            Ok(WatchEvent::Changed(paths)) => {
                let told = |name: &str| paths.contains(&path(name));
                assert_eq!(told("old"), told("new"), "{paths:?}");
                if told("new") {
                    return;
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn of_what_is_out_of_scope_only_that_it_came_or_went_is_told() {
    let mut scenery = Scenery::new();
    scenery.make(".replicat/staging");
    scenery.make("ignored/deep");
    scenery.filter = Filter::new(vec![Rule::new(Action::Exclude, b"*.tmp").unwrap()]);
    scenery.write(".replicatignore", "ignored/\n");
    let watcher = watch(&scenery);
    scenery.write(".replicat/staging/x", "1");
    scenery.write(".replicat/new/x", "1");
    scenery.write("ignored/deep/x", "1");
    scenery.write("a.tmp", "1");
    scenery.write("last", "1");
    // That something came, whatever it is, gave its directory another time.
    assert_eq!(
        hints_until(&watcher, "last"),
        BTreeSet::from([path("a.tmp"), path("last")])
    );
    scenery.write("a.tmp", "22");
    scenery.write("next", "1");
    assert_eq!(
        hints_until(&watcher, "next"),
        BTreeSet::from([path("next")])
    );
}

#[test]
fn what_an_ignore_file_lets_in_again_is_watched() {
    let scenery = Scenery::new();
    scenery.make("ignored/deep");
    scenery.write(".replicatignore", "ignored/\n");
    let watcher = watch(&scenery);
    scenery.write(".replicatignore", "\n");
    hints_until(&watcher, "");
    scenery.write("ignored/deep/x", "1");
    hints_until(&watcher, "ignored/deep/x");
}

#[test]
fn changes_wait_together_while_nobody_takes_them() {
    let scenery = Scenery::new();
    let watcher = watch(&scenery);
    for number in 0..2_000 {
        scenery.write(format!("file-{number}"), "1");
    }
    scenery.write("last", "1");
    let mut seen = hints_until(&watcher, "last");
    while seen.len() < 2_001 {
        match watcher.events().recv_timeout(DEADLINE) {
            Ok(WatchEvent::Changed(paths)) => seen.extend(paths),
            other => panic!("{other:?} after {} hints", seen.len()),
        }
    }
}

#[test]
fn a_scan_is_not_a_change() {
    let mut scenery = Scenery::new();
    scenery.write("a/b/c", "1");
    let watcher = watch(&scenery);
    scenery.learn();
    scenery.write("last", "1");
    assert_eq!(
        hints_until(&watcher, "last"),
        BTreeSet::from([path("last")])
    );
}

#[test]
fn what_leaves_the_tree_is_told_as_moved_out() {
    let scenery = Scenery::new();
    scenery.write("leaves", "1");
    scenery.write("stays", "1");
    let elsewhere = tempfile::tempdir().unwrap();
    let watcher = watch(&scenery);
    fs::rename(scenery.at("stays"), scenery.at("renamed")).unwrap();
    fs::rename(scenery.at("leaves"), elsewhere.path().join("there")).unwrap();
    let mut seen = BTreeSet::new();
    loop {
        match watcher.events().recv_timeout(DEADLINE) {
            Ok(WatchEvent::Changed(paths)) => seen.extend(paths),
            Ok(WatchEvent::MovedOut(paths)) => {
                assert_eq!(paths, [path("leaves")]);
                break;
            }
            other => panic!("{other:?}; seen: {seen:?}"),
        }
    }
    assert!(!seen.contains(&path("leaves")), "{seen:?}");
    scenery.write("last", "1");
    seen.extend(hints_until(&watcher, "last"));
    assert!(covers(&seen, "stays") && covers(&seen, "renamed"));
}
