//! s64: the system refuses to read or write a path.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::machine::{Mount, OrdinaryUser, has, has_root};
use crate::world::{Outcome, World, command};

/// The run went to its end, and lists exactly these paths as skipped, of this kind.
#[track_caller]
fn assert_skipped(outcome: &Outcome, kind: &str, expected: &[&str]) {
    assert_eq!(outcome.code, Some(3), "{outcome:#?}");
    assert!(!outcome.in_sync());
    let rows = outcome.list("skipped");
    let mut paths: Vec<&str> = rows
        .iter()
        .map(|row| row["path"].as_str().unwrap())
        .collect();
    paths.sort_unstable();
    paths.dedup();
    assert_eq!(paths, expected, "{outcome:#?}");
    assert!(rows.iter().all(|row| row["kind"] == kind), "{rows:#?}");
    assert!(
        rows.iter()
            .all(|row| !row["reason"].as_str().unwrap().is_empty())
    );
}

#[test]
fn s64_unreadable_paths_are_listed_and_the_rest_is_synced() {
    World::each(|world| {
        world.write(0, "secret", "x");
        world.write(0, "closed/inner", "x");
        world.write(0, "open", "x");
        let user = OrdinaryUser::of(world);
        world.chmod(0, "secret", 0);
        world.chmod(0, "closed", 0);
        let outcome = user.sync(world);
        world.chmod(0, "closed", 0o755);
        assert_skipped(&outcome, "denied", &["closed", "secret"]);
        assert_eq!(world.read(world.last(), "open"), "x");
        assert!(!world.exists(world.last(), "secret"));
        world.chmod(0, "secret", 0o600);
        user.settle(world);
        assert_eq!(world.read(world.last(), "secret"), "x");
    });
}

#[test]
fn s64_what_became_unreadable_is_deleted_nowhere() {
    World::each(|world| {
        world.write(0, "secret", "x");
        world.write(0, "closed/inner", "x");
        let user = OrdinaryUser::of(world);
        user.settle(world);
        world.chmod(0, "secret", 0);
        world.chmod(0, "closed", 0);
        let outcome = user.sync(world);
        assert!(!outcome.in_sync(), "{outcome:#?}");
        assert!(world.exists(world.last(), "closed/inner"));
        assert!(world.exists(world.last(), "secret"));
        world.chmod(0, "closed", 0o755);
        world.chmod(0, "secret", 0o644);
        user.settle(world);
        assert_eq!(world.read(0, "closed/inner"), "x");
    });
}

/// Syncs while these system calls fail on one path.
fn sync_with_error(world: &World, calls: &str, error: &str, root: usize, path: &str) -> Outcome {
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o", "/dev/null"]);
    strace.arg(format!("--inject={calls}:error={error}"));
    strace.arg("-P").arg(world.path(root, path));
    sync_through(strace, world)
}

/// Syncs as the child of another program.
fn sync_through(mut strace: Command, world: &World) -> Outcome {
    let inner = command();
    for (name, _) in inner.get_envs() {
        strace.env_remove(name);
    }
    strace
        .arg(inner.get_program())
        .args(["sync", "--json"])
        .args(world.roots());
    Outcome::of(&strace.output().unwrap())
}

fn has_strace() -> bool {
    has(
        "strace",
        Command::new("strace")
            .args(["-qq", "true"])
            .output()
            .is_ok_and(|run| run.status.success()),
    )
}

#[test]
fn s64_a_file_on_a_bad_sector_is_listed_and_the_rest_is_synced() {
    if !has_strace() {
        return;
    }
    World::each(|world| {
        world.write(0, "bad", vec![b'x'; 100_000]);
        world.write(0, "good", "x");
        world.settle();
        world.write(0, "bad", vec![b'y'; 100_000]);
        world.write(0, "good", "edited");
        let reading = "read,pread64,readv,preadv,copy_file_range,sendfile";
        let outcome = sync_with_error(world, reading, "EIO", 0, "bad");
        assert_skipped(&outcome, "io", &["bad"]);
        assert_eq!(world.read(world.last(), "good"), "edited");
        assert_eq!(
            fs::read(world.path(world.last(), "bad")).unwrap(),
            vec![b'x'; 100_000]
        );
        world.settle();
        assert_eq!(
            fs::read(world.path(world.last(), "bad")).unwrap(),
            vec![b'y'; 100_000]
        );
    });
}

/// The disk of a root is remounted read-only while the root is written.
#[test]
fn root_whose_index_becomes_unwritable_stops_no_other() {
    if !has_strace() {
        return;
    }
    let world = World::new(3);
    world.write(0, "file", "x");
    world.settle();
    world.write(0, "file", "edited");
    world.write(1, "new", "x");
    let writing = "pwrite64,fsync,fdatasync,ftruncate";
    let outcome = sync_with_error(&world, writing, "EROFS", 2, ".replicat/index.redb");
    outcome.failure_of_last(3, 5);
    assert_eq!(world.read(1, "file"), "edited");
    assert_eq!(world.read(0, "new"), "x");
    world.settle();
}

/// Nothing can be flushed: whatever the disk holds in the end, it is not said to be in sync, and nothing is half there.
#[test]
fn s64_a_disk_that_cannot_be_flushed() {
    if !has_strace() {
        return;
    }
    World::each(|world| {
        let last = world.last();
        world.write(0, "small", "before");
        world.write(0, "large", vec![b'x'; 300_000]);
        world.settle();
        world.write(0, "small", "after");
        world.write(0, "large", vec![b'y'; 300_000]);
        let mut strace = Command::new("strace");
        strace.args(["-f", "-qq", "-o", "/dev/null"]);
        strace.arg("--inject=fsync,fdatasync,syncfs,sync_file_range:error=EIO");
        let outcome = sync_through(strace, world);
        assert!(matches!(outcome.code, Some(3 | 5)), "{outcome:#?}");
        assert!(!outcome.in_sync(), "{outcome:#?}");
        let small = world.read(last, "small");
        assert!(["before", "after"].contains(&small.as_str()), "{small}");
        let large = fs::read(world.path(last, "large")).unwrap();
        let is_whole = large.len() == 300_000 && large.iter().all(|byte| *byte == large[0]);
        assert!(is_whole);
        world.settle();
        assert_eq!(world.read(last, "small"), "after");
    });
}

#[test]
fn s64_a_running_program_is_replaced() {
    World::each(|world| {
        fs::copy("/bin/sleep", world.path(0, "program")).unwrap();
        fs::set_permissions(world.path(0, "program"), fs::Permissions::from_mode(0o755)).unwrap();
        world.settle();
        let mut running = Command::new(world.path(world.last(), "program"))
            .arg("600")
            .spawn()
            .unwrap();
        world.remove(0, "program");
        world.write(0, "program", "another program");
        world.settle();
        assert_eq!(world.read(world.last(), "program"), "another program");
        assert!(running.try_wait().unwrap().is_none());
        running.kill().unwrap();
        running.wait().unwrap();
    });
}

#[test]
fn s64_a_busy_file_is_listed_and_the_rest_is_synced() {
    if !has_root() {
        return;
    }
    World::each(|world| {
        world.write(0, "busy", "before");
        world.write(0, "free", "before");
        world.settle();
        let last = world.last();
        let outside = world.beside("outside");
        fs::write(&outside, "something else").unwrap();
        world.write(0, "busy", "after");
        world.write(0, "free", "after");
        let mount = Mount::bind(&outside, &world.path(last, "busy"));
        let all: Vec<usize> = (0..world.count()).collect();
        let outcome = world.run(&all, &[]);
        assert_eq!(outcome.code, Some(3), "{outcome:#?}");
        assert!(
            outcome
                .list("skipped")
                .iter()
                .any(|row| row["path"] == "busy"),
            "{outcome:#?}"
        );
        assert_eq!(world.read(last, "free"), "after");
        assert_eq!(fs::read_to_string(&outside).unwrap(), "something else");
        drop(mount);
        world.settle();
        assert_eq!(world.read(last, "busy"), "after");
    });
}
