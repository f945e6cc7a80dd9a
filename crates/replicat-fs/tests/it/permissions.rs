//! What a user may not do, and what only looks so. Run by the superuser, these tests run themselves again as a
//! user without rights.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;

use replicat_core::entry::{Metadata, Owner};
use replicat_fs::apply::Action;
use replicat_fs::apply::calls::{Call, Calls};
use replicat_fs::apply::error::{ApplyError, Obstacle};
use replicat_fs::metadata::Aspect;
use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
use rustix::io::Errno;

use crate::stand::{Ground, Stand, folder, path, plain};

const NOBODY: u32 = 65534;

/// Runs `test`, the whole path of a test, as a user without rights; says whether that was done elsewhere.
fn ran_as_nobody(test: &str) -> bool {
    if !rustix::process::geteuid().is_root() {
        return false;
    }
    let here = tempfile::tempdir().unwrap();
    fs::set_permissions(here.path(), fs::Permissions::from_mode(0o755)).unwrap();
    // Where the test was built, that user may not go.
    let program = here.path().join("test");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let output = Command::new(program)
        .args(["--exact", test])
        .current_dir("/")
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && told.contains("1 passed"),
        "{told}"
    );
    true
}

fn mode(ground: &Ground, text: &str) -> u32 {
    fs::metadata(ground.full(text)).unwrap().mode() & 0o7777
}

fn set_mode(ground: &Ground, text: &str, mode: u32) {
    fs::set_permissions(ground.full(text), fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn s49_closed_directories_are_opened_for_a_change_and_closed_again() {
    if ran_as_nobody("permissions::s49_closed_directories_are_opened_for_a_change_and_closed_again")
    {
        return;
    }
    let ground = Ground::usual();
    for text in ["d/replaced", "d/removed", "d/renamed"] {
        ground.write(text, text);
    }
    fs::create_dir(ground.full("d/gone")).unwrap();
    set_mode(&ground, "d", 0o555);
    let stand = Stand::new(&ground);
    let closed = Metadata {
        mode: Some(0o555),
        ..folder()
    };
    let rename = Action::Rename {
        from: path("d/renamed"),
        expected: stand.print("d/renamed"),
    };
    let changes = vec![
        stand.put("d/new", "new"),
        stand.put("d/replaced", "replacement"),
        stand.change("d/removed", Action::Remove),
        stand.change("d/gone", Action::RemoveDirectory),
        stand.change("d/made", Action::MakeDirectory(closed)),
        stand.change("d/here", rename),
    ];
    for result in stand.applier.commit(changes) {
        result.unwrap();
    }
    assert_eq!(
        (mode(&ground, "d"), mode(&ground, "d/made")),
        (0o555, 0o555)
    );
    let names: Vec<_> = ground.tree().into_keys().collect();
    assert_eq!(names, ["d", "d/here", "d/made", "d/new", "d/replaced"]);
    assert!(ground.staged_names().is_empty());
    set_mode(&ground, "d", 0o755);
}

#[test]
fn a_directory_left_open_by_a_crash_is_closed_by_recovery() {
    if ran_as_nobody("permissions::a_directory_left_open_by_a_crash_is_closed_by_recovery") {
        return;
    }
    let ground = Ground::usual();
    ground.write("d/a", "A");
    set_mode(&ground, "d", 0o555);
    // Places the file at the second attempt, and dies then.
    let attempts = std::sync::atomic::AtomicUsize::new(0);
    let calls = Calls::with_fault(Arc::new(move |call| {
        use std::sync::atomic::Ordering::Relaxed;
        let made = attempts.load(Relaxed);
        if call == Call::RenameNew {
            attempts.fetch_add(1, Relaxed);
        }
        (made >= 2).then_some(Errno::IO)
    }));
    let stand = Stand::with_calls(&ground, calls).unwrap();
    assert!(stand.commit_one(stand.put("d/b", "B")).is_err());
    assert_eq!(mode(&ground, "d"), 0o755);
    drop(stand);
    Stand::recover(&ground);
    assert_eq!(mode(&ground, "d"), 0o555);
    assert!(ground.staged_names().is_empty());
    set_mode(&ground, "d", 0o755);
}

#[test]
fn a_foreign_owner_is_told_as_unapplied() {
    if ran_as_nobody("permissions::a_foreign_owner_is_told_as_unapplied") {
        return;
    }
    let ground = Ground::usual();
    let stand = Stand::new(&ground);
    let metadata = Metadata {
        owner: Some(Owner { user: 0, group: 0 }),
        ..plain()
    };
    let staged = stand.staging.small(b"x", &metadata).unwrap();
    let applied = stand
        .commit_one(stand.change("a", Action::Put(Box::new(staged))))
        .unwrap();
    let aspects: Vec<_> = applied
        .unapplied
        .into_iter()
        .map(|one| one.aspect)
        .collect();
    assert_eq!(aspects, [Aspect::Owner]);
    assert_eq!(
        (ground.read("a").as_deref(), mode(&ground, "a")),
        (Some("x"), 0o644)
    );
}

#[test]
fn immutable_files_are_told_as_such_and_stay() {
    let ground = Ground::usual();
    ground.write("a", "kept");
    let stand = Stand::new(&ground);
    let file = fs::File::open(ground.full("a")).unwrap();
    let flags = ioctl_getflags(&file).unwrap();
    match ioctl_setflags(&file, flags | IFlags::IMMUTABLE) {
        // Only the superuser may, and not on every filesystem.
        Err(Errno::PERM | Errno::OPNOTSUPP | Errno::NOTTY) => return,
        result => result.unwrap(),
    }
    let results = stand.applier.commit(vec![
        stand.put("a", "new"),
        stand.change("a", Action::Remove),
    ]);
    ioctl_setflags(&file, flags).unwrap();
    for result in results {
        let Err(ApplyError::Refused { obstacle, error }) = result else {
            panic!("{result:?}");
        };
        assert_eq!(obstacle, Obstacle::Immutable, "{error}");
    }
    assert_eq!(ground.read("a").as_deref(), Some("kept"));
    assert!(ground.staged_names().is_empty());
}

#[test]
fn a_full_disk_is_told_with_what_to_do() {
    let ground = Ground::usual();
    ground.write("a", "kept");
    let calls = Calls::with_fault(Arc::new(|call| {
        (call == Call::RenameNew).then_some(Errno::NOSPC)
    }));
    let stand = Stand::with_calls(&ground, calls).unwrap();
    let error = stand.commit_one(stand.put("b", "new")).unwrap_err();
    let told = error.to_string();
    assert!(
        told.contains("/b\"") && told.contains("free space"),
        "{told}"
    );
    let ApplyError::Refused { obstacle, .. } = error else {
        panic!("{error:?}");
    };
    assert!(obstacle == Obstacle::DiskFull && obstacle.concerns_all());
}
