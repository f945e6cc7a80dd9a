//! Changes that come faster than they can be watched, or in ways that hide them, over running nodes.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::cluster::{Cluster, holds, until};
use crate::machine::{has, has_program, tool};
use crate::world::{Kind, World};

/// Where the kernel tells how many events wait for a watcher at the most.
const QUEUE: &str = "/proc/sys/fs/inotify/max_queued_events";
/// A queue that takes longer to fill than a test may take.
const QUEUE_MAX: usize = 1_000_000;

/// The node does nothing until its queue has overflown; what happens afterwards, the kernel tells nobody.
#[test]
fn s57_the_watch_queue_overflows() {
    let queued: usize = fs::read_to_string(QUEUE).unwrap().trim().parse().unwrap();
    if !has("a watch queue of some size", queued <= QUEUE_MAX) {
        return;
    }
    Cluster::each(|cluster| {
        for name in ["edited", "deleted", "renamed", "d/kept"] {
            cluster.world.write(0, name, format!("{name} at first"));
        }
        cluster.settle();
        cluster.nodes[0].stop();
        let (one, other) = (
            cluster.world.path(0, "d/flood"),
            cluster.world.path(0, "d/flood2"),
        );
        fs::write(&one, "flood").unwrap();
        // Each renaming is two events.
        for _ in 0..queued / 4 + 100 {
            fs::rename(&one, &other).unwrap();
            fs::rename(&other, &one).unwrap();
        }
        let world = &cluster.world;
        world.write(0, "edited", "edited unseen");
        world.remove(0, "deleted");
        world.rename(0, "renamed", "d/new name");
        world.write(0, "new/deep/down", "made unseen");
        let last = world.last();
        world.write(last, "elsewhere", "made elsewhere meanwhile");
        cluster.start();
        cluster.arrives(last, "new/deep/down", "made unseen");
        // What is new is watched again.
        cluster.world.write(0, "new/deep/later", "made later");
        cluster.arrives(last, "new/deep/later", "made later");
        cluster.finish();
        cluster.world.assert_holds_files(&[
            ("d/flood", "flood"),
            ("d/kept", "d/kept at first"),
            ("d/new name", "renamed at first"),
            ("edited", "edited unseen"),
            ("elsewhere", "made elsewhere meanwhile"),
            ("new/deep/down", "made unseen"),
            ("new/deep/later", "made later"),
        ]);
    });
}

/// Few watches are left: changes where there is none are found all the same, if later, and that is said.
#[test]
fn s58_the_watch_limit_is_reached() {
    let limited = "echo 4 > /proc/sys/user/max_inotify_watches && exec \"$@\"";
    let inside = ["--user", "--map-root-user", "sh", "-c", limited, "sh"];
    let can = Command::new("unshare").args(inside).arg("true").status();
    if !has("a user namespace", can.is_ok_and(|status| status.success())) {
        return;
    }
    let mut cluster = Cluster::new(World::new(2), |_, _| true, &[]);
    for directory in 0..12 {
        cluster
            .world
            .write(0, format!("d{directory}/file"), "at first");
    }
    let mut command = Command::new("unshare");
    command
        .args(inside)
        .arg(crate::world::command().get_program());
    command.args(&cluster.nodes[0].arguments);
    cluster.nodes[0].start_by(command);
    cluster.nodes[1].start();
    cluster.settle();
    let limit = || {
        cluster.nodes[0]
            .folder()
            .is_some_and(|folder| folder["watched_only"] == 4)
    };
    until("the node says how little is watched", limit);
    for directory in 0..12 {
        cluster.world.write(
            0,
            format!("d{directory}/file"),
            format!("edited in {directory}"),
        );
        cluster
            .world
            .write(0, format!("new{directory}/deep/file"), "made unwatched");
    }
    cluster.world.remove(0, "d7");
    for directory in [0, 5, 11] {
        let content = format!("edited in {directory}");
        cluster.arrives(1, &format!("d{directory}/file"), &content);
        cluster.arrives(1, &format!("new{directory}/deep/file"), "made unwatched");
    }
    cluster.goes(1, "d7/file");
    let log = cluster.logs();
    assert!(log.contains("watch"), "nothing was said: {log}");
    cluster.finish();
    assert!(!cluster.world.exists(0, "d7"));
}

#[test]
fn s59_directories_are_made_and_filled_before_they_can_be_watched() {
    Cluster::each(|cluster| {
        cluster.settle();
        let world = &cluster.world;
        let last = world.last();
        for number in 0..40 {
            let root = if number % 2 == 0 { 0 } else { last };
            let top = format!("top{number}");
            world.write(
                root,
                format!("{top}/a/b/c/d/file"),
                format!("file {number}"),
            );
            match number % 4 {
                // Moved with what is in it, before anybody looked.
                0 | 1 => world.rename(root, format!("{top}/a/b"), format!("{top}/moved")),
                // Gone, and made anew.
                2 => {
                    world.remove(root, format!("{top}/a/b"));
                    world.write(root, format!("{top}/a/b/again"), format!("again {number}"));
                }
                _ => world.write(
                    root,
                    format!("{top}/a/b/c/second"),
                    format!("second {number}"),
                ),
            }
        }
        let tree = cluster.finish();
        for number in 0..40 {
            let kept = match number % 4 {
                2 => format!("again {number}"),
                _ => format!("file {number}"),
            };
            assert!(holds(&tree, &kept), "{kept}");
            if number % 4 == 3 {
                assert!(holds(&tree, &format!("second {number}")));
            }
        }
    });
}

/// How an editor writes a file anew.
type Save = fn(&Path, &str);

const EDITORS: [(&str, Save); 6] = [
    ("in place", |file, text| fs::write(file, text).unwrap()),
    ("a new file, renamed onto the old", |file, text| {
        let new = file.with_extension("tmp");
        fs::write(&new, text).unwrap();
        fs::rename(new, file).unwrap();
    }),
    (
        "vim: a probe, and a backup that goes again",
        |file, text| {
            let (probe, backup) = (file.with_file_name("4913"), file.with_extension("txt~"));
            fs::write(&probe, "").unwrap();
            fs::remove_file(probe).unwrap();
            fs::rename(file, &backup).unwrap();
            fs::write(file, text).unwrap();
            fs::remove_file(backup).unwrap();
        },
    ),
    ("emacs: a lock, and a backup that stays", |file, text| {
        let (lock, backup) = (file.with_file_name(".#file"), file.with_extension("old~"));
        symlink("someone@somewhere.1", &lock).unwrap();
        fs::rename(file, backup).unwrap();
        fs::write(file, text).unwrap();
        fs::remove_file(lock).unwrap();
    }),
    ("a hard link as backup, then a new file", |file, text| {
        let (new, backup) = (file.with_extension("tmp"), file.with_extension("link~"));
        let _ = fs::remove_file(&backup);
        fs::hard_link(file, &backup).unwrap();
        fs::write(&new, text).unwrap();
        fs::rename(new, file).unwrap();
        fs::remove_file(backup).unwrap();
    }),
    ("two files that change places", |file, text| {
        let new = file.with_extension("tmp");
        fs::write(&new, text).unwrap();
        renameat_with(CWD, &new, CWD, file, RenameFlags::EXCHANGE).unwrap();
        fs::remove_file(new).unwrap();
    }),
];

#[test]
fn s60_editors_that_save_by_renaming() {
    Cluster::each(|cluster| {
        for (number, _) in EDITORS.iter().enumerate() {
            cluster
                .world
                .write(0, format!("e{number}/file.txt"), "at first");
        }
        cluster.settle();
        let last = cluster.world.last();
        for (number, (how, save)) in EDITORS.iter().enumerate() {
            let path = format!("e{number}/file.txt");
            for time in 0..4 {
                // Several times in a row, as those do who save after each word; then it is the other's turn.
                let (here, there) = if time % 2 == 0 { (0, last) } else { (last, 0) };
                for word in 0..3 {
                    save(
                        &cluster.world.path(here, &path),
                        &format!("{how}: {time}, {word}"),
                    );
                }
                cluster.arrives(there, &path, &format!("{how}: {time}, 2"));
                // Else the next edit would be one of two at once.
                cluster.settle();
            }
        }
        let tree = cluster.finish();
        let is_copy = |path: &&Vec<u8>| String::from_utf8_lossy(path).contains(".conflict-");
        let copies: Vec<_> = tree.keys().filter(is_copy).collect();
        assert!(copies.is_empty(), "nobody edited at once: {copies:?}");
    });
}

/// How many files there are in each of the two branches that are checked out in turn.
fn checkout_files() -> usize {
    let files = std::env::var("REPLICAT_TEST_CHECKOUT_FILES").ok();
    files.map_or(300, |files| files.parse().unwrap())
}

/// Whether the nodes have met before the first checkout.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Begun {
    Met,
    AtOnce,
}

/// `REPLICAT_TEST_CHECKOUT_FILES=50000` makes it a large one.
#[test]
fn s60_a_checkout() {
    checkout(Begun::Met);
}

#[test]
fn s60_a_checkout_during_the_first_scan() {
    checkout(Begun::AtOnce);
}

/// Makes the tree of a branch out of that of the one before.
fn write_branch(world: &World, branch: &str, files: usize) {
    for file in 0..files {
        let directory = format!("d{}/e{}", file % 97, file % 7);
        let path = format!("{directory}/f{file}");
        match (branch, file % 5) {
            // A file in one branch is within a directory in the other.
            ("two", 0) => {
                world.remove(0, path);
                let inner = format!("{directory}/g{file}/inner");
                world.write(0, inner, format!("inner {file}"));
            }
            ("two", 1) => world.remove(0, path),
            ("two", 2) => {}
            _ => world.write(0, path, format!("{branch} {file}")),
        }
    }
}

fn checkout(begun: Begun) {
    if !has_program("git") {
        return;
    }
    let mut cluster = Cluster::new(World::new(2), |_, _| true, &[]);
    let repository = cluster.world.beside("repository");
    let root = cluster.world.root(0).display().to_string();
    let git = |words: &[&str]| {
        let directory = format!("--git-dir={}", repository.display());
        let fixed = [
            &directory,
            "--work-tree",
            &root,
            "-c",
            "user.name=n",
            "-c",
            "user.email=e",
        ];
        tool("git", fixed.into_iter().chain(words.iter().copied()))
    };
    git(&["init", "--quiet", "--initial-branch=one"]);
    let files = checkout_files();
    for branch in ["one", "two"] {
        if branch == "two" {
            git(&["checkout", "--quiet", "-b", branch]);
        }
        write_branch(&cluster.world, branch, files);
        git(&["add", "--all", "."]);
        git(&["commit", "--quiet", "--message", branch]);
    }
    cluster.start();
    if begun == Begun::Met {
        cluster.settle();
    }
    for branch in ["one", "two", "one"] {
        git(&["checkout", "--quiet", branch]);
        let tree = cluster.settle();
        let count = tree
            .values()
            .filter(|node| matches!(node.kind, Kind::File(_)))
            .count();
        let gone = if branch == "two" {
            (0..files).filter(|file| file % 5 == 1).count()
        } else {
            0
        };
        assert_eq!(count, files - gone, "{branch}");
    }
    // Faster than anybody follows.
    for branch in ["two", "one", "two"] {
        git(&["checkout", "--quiet", branch]);
    }
    cluster.finish();
    // The index of git knows what it wrote: nothing was changed behind its back.
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]);
    assert_eq!(changed, "");
}

/// Nobody but one user did anything: there is no conflict.
///
/// Node 1 removes what is in the directory before it replaces the directory itself. That changes the directory's time, which its
/// own watch saw, and took for a user's description of the directory: an event beside the file, over which it won.
#[test]
fn s17_a_directory_becomes_a_file_at_a_running_node() {
    let mut cluster = Cluster::new(World::new(2), |_, _| true, &[]);
    for number in 0..60 {
        cluster
            .world
            .write(0, format!("d{number}/f/inner"), "in a directory");
    }
    cluster.settle();
    for number in 0..60 {
        let path = format!("d{number}/f");
        cluster.world.remove(0, &path);
        cluster.world.write(0, &path, format!("file {number}"));
    }
    cluster.finish();
    for number in 0..60 {
        let path = format!("d{number}/f");
        assert_eq!(cluster.world.read(1, &path), format!("file {number}"));
        assert!(cluster.world.copies(&path).is_empty(), "{path}");
    }
}
