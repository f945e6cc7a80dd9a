//! Roots and state that a sync must refuse, with what to do about it, and with nothing touched.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use redb::{Database, TableDefinition};

use crate::machine::{OrdinaryUser, own};
use crate::world::{Outcome, World, command, stat_everything};

/// Runs a sync over these roots.
fn sync(world: &World, roots: &[&str], options: &[&str]) -> Outcome {
    let mut command = command();
    command.args(["sync", "--json"]).args(options).args(roots);
    command.current_dir(world.beside("."));
    Outcome::of(&command.output().unwrap())
}

/// A sync is refused with this error, and touches nothing.
#[track_caller]
fn assert_refused(world: &World, roots: &[&str], options: &[&str], code: i32, kind: &str) {
    let before = stat_everything(&world.beside("."));
    let outcome = sync(world, roots, options);
    assert_eq!(outcome.code, Some(code), "{outcome:#?}");
    assert!(!outcome.in_sync());
    assert_eq!(outcome.summary()["outcome"], "failed");
    let error = outcome.of_type("error").next().unwrap();
    assert_eq!(error["kind"], kind, "{error}");
    assert!(!error["hint"].as_str().unwrap().is_empty(), "{error}");
    assert_eq!(stat_everything(&world.beside(".")), before);
}

#[test]
fn roots_that_cannot_be_meant() {
    let world = World::new(3);
    world.write(0, "file", "x");
    world.write(0, "inner/file", "x");
    symlink(world.root(0), world.beside("link")).unwrap();
    symlink(world.path(0, "inner"), world.beside("link inside")).unwrap();
    symlink("nowhere", world.beside("dangling")).unwrap();
    for (second, code, kind) in [
        ("missing", 2, "root-missing"),
        ("missing/below", 2, "root-missing"),
        ("dangling", 2, "root-missing"),
        ("alpha/file", 2, "root-not-directory"),
        ("alpha/file/below", 2, "root-not-directory"),
        ("alpha/inner", 2, "root-nested"),
        ("link inside", 2, "root-nested"),
        (".", 2, "root-nested"),
        ("alpha", 2, "root-twice"),
        ("beta/../alpha/", 2, "root-twice"),
        ("link", 2, "root-twice"),
    ] {
        eprintln!("{second}");
        assert_refused(&world, &["alpha", second], &[], code, kind);
        assert_refused(&world, &["gamma", "alpha", second], &[], code, kind);
        assert_refused(&world, &[second, "alpha"], &["--dry-run"], code, kind);
    }
    assert_refused(
        &world,
        &["alpha", "alpha/file"],
        &["--create"],
        2,
        "root-not-directory",
    );
    assert_refused(
        &world,
        &["alpha", "beta"],
        &["--state-dir", "alpha/s"],
        2,
        "state-nested",
    );
}

/// `sync --create site user@host:/x` made a local directory of that name, and said that all was in sync.
#[test]
fn remote_place_creates_no_directory() {
    let world = World::new(2);
    for place in ["user@host:/x", "ssh://h/x", "s3://b/c", "host:x", "host::x"] {
        assert_refused(&world, &["alpha", place], &["--create"], 2, "remote");
        let mut status = command();
        status
            .args(["status", place])
            .current_dir(world.beside("."));
        assert_eq!(status.output().unwrap().status.code(), Some(2), "{place}");
    }
    let outcome = sync(&world, &["alpha", "./host:x"], &["--create"]);
    assert_eq!(outcome.code, Some(0), "{outcome:#?}");
    assert!(world.beside("host:x").is_dir());
}

#[test]
fn a_mistake_creates_no_root() {
    let world = World::new(1);
    for second in ["alpha/below", "alpha"] {
        let outcome = sync(&world, &["alpha", "new", second], &["--create"]);
        assert_eq!(outcome.code, Some(2), "{outcome:#?}");
    }
}

#[test]
fn a_root_behind_a_symlink_is_the_directory_it_points_to() {
    let world = World::new(2);
    world.write(0, "file", "x");
    symlink(world.root(0), world.beside("link")).unwrap();
    assert_eq!(sync(&world, &["link", "beta"], &[]).code, Some(0));
    assert_eq!(world.read(1, "file"), "x");
    world.settle();
}

#[test]
fn a_root_that_is_not_writable() {
    World::each(|world| {
        world.write(0, "file", "x");
        let user = OrdinaryUser::of(world);
        world.chmod(world.last(), ".", 0o555);
        let outcome = user.sync(world);
        let error = outcome.failure_of_last(world.count(), 5);
        assert_eq!(error["kind"], "root-not-writable");
        assert!(error["hint"].as_str().unwrap().contains("writable"));
        world.chmod(world.last(), ".", 0o755);
        user.settle(world);
        // Later on, it is what belongs to it that cannot be written.
        world.write(0, "second", "x");
        own(&world.path(0, "second"));
        world.chmod(world.last(), ".replicat", 0o500);
        let outcome = user.sync(world);
        world.chmod(world.last(), ".replicat", 0o700);
        user.settle(world);
        assert_eq!(world.read(world.last(), "second"), "x", "{outcome:#?}");
    });
}

#[test]
fn a_root_that_is_not_readable() {
    let world = World::new(2);
    world.write(0, "file", "x");
    let user = OrdinaryUser::of(&world);
    world.chmod(1, ".", 0);
    let outcome = user.sync(&world);
    world.chmod(1, ".", 0o755);
    assert_eq!(outcome.code, Some(5), "{outcome:#?}");
    assert_eq!(
        outcome.of_type("error").next().unwrap()["kind"],
        "root-not-writable"
    );
    user.settle(&world);
}

/// Writes another format into an index.
fn set_format(index: &Path, format: u32) {
    const META: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("meta");
    let index = Database::open(index).unwrap();
    let transaction = index.begin_write().unwrap();
    let mut table = transaction.open_table(META).unwrap();
    table
        .insert(b"format".as_slice(), format.to_le_bytes().as_slice())
        .unwrap();
    drop(table);
    transaction.commit().unwrap();
}

#[test]
fn state_of_a_newer_format() {
    World::each(|world| {
        world.write(0, "file", "x");
        world.settle();
        let index = world.path(world.last(), ".replicat/index.redb");
        let whole = fs::read(&index).unwrap();
        set_format(&index, 99);
        world.write(0, "file", "edited");
        let outcome = world.run(&[0, world.last()], &[]);
        assert_eq!(outcome.code, Some(5), "{outcome:#?}");
        let error = outcome.of_type("error").next().unwrap();
        assert_eq!(error["kind"], "index-newer");
        assert!(error["message"].as_str().unwrap().contains("99"));
        assert!(error["hint"].as_str().unwrap().contains("newer replicat"));
        assert_eq!(world.read(world.last(), "file"), "x");
        fs::write(&index, whole).unwrap();
        world.settle();
    });
}

#[test]
fn a_root_in_use_by_another_process() {
    let world = World::new(2);
    world.write(0, "file", "x");
    world.settle();
    let lock = fs::File::open(world.path(1, ".replicat/lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let outcome = world.run(&[0, 1], &[]);
    assert_eq!(outcome.code, Some(5), "{outcome:#?}");
    assert_eq!(outcome.of_type("error").next().unwrap()["kind"], "locked");
    drop(lock);
    world.settle();
}
