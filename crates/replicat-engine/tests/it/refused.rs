//! What is changed in a directory that only receives, and what is said of it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use replicat_core::path::RelPath;
use replicat_engine::engine::inspect::{Answer, Question};
use replicat_engine::live::{FolderMode, LiveSettings, Trust};
use tempfile::tempdir;

use super::pair::{Cable, Live, settle, wait};

/// A folder that only receives.
fn receiver(name: &'static str, root: &Path) -> Live {
    Live::with(name, root, |settings| LiveSettings {
        mode: FolderMode::ReceiveOnly,
        ..settings
    })
}

/// What is said to be refused, as `path change`.
fn refused(live: &Live) -> Vec<String> {
    let status = live.status();
    let listed = status.refused.listed.iter();
    let listed: Vec<_> = listed
        .map(|row| format!("{} {}", row.path, row.change.word()))
        .collect();
    assert_eq!(listed.len() as u64, status.refused.count);
    listed
}

fn is_refused(live: &Live, path: &str) -> bool {
    let path = RelPath::new(path.as_bytes()).unwrap();
    match live.folder.inspect(Question::Why(path)).unwrap() {
        Answer::Why(explanation) => explanation.refused,
        other => panic!("{other:?}"),
    }
}

#[test]
fn refused_changes_are_listed() {
    let world = tempdir().unwrap();
    let one = Live::start("one", &world.path().join("one"));
    let reader = receiver("reader", &world.path().join("reader"));
    for name in ["edited", "deleted", "described", "untouched", "sub/deep"] {
        fs::create_dir_all(one.path(name).parent().unwrap()).unwrap();
        fs::write(one.path(name), "as it is").unwrap();
    }
    let _cable = Cable::trusting(&one, &reader, Trust::Deaf, Trust::Full);
    wait("the files", || reader.read("sub/deep").is_some());
    settle(&[&one, &reader]);
    assert_eq!(refused(&reader), Vec::<String>::new());
    fs::write(reader.path("edited"), "as the reader would have it").unwrap();
    fs::remove_file(reader.path("deleted")).unwrap();
    let strict = fs::Permissions::from_mode(0o600);
    fs::set_permissions(reader.path("described"), strict).unwrap();
    fs::write(reader.path("sub/new"), "new").unwrap();
    let expected = [
        "deleted deleted",
        "described metadata",
        "edited edited",
        "sub/new created",
    ];
    wait("the changes", || refused(&reader) == expected);
    assert!(!reader.status().in_sync);
    assert!(is_refused(&reader, "edited") && !is_refused(&reader, "untouched"));
    fs::write(one.path("next"), "next").unwrap();
    wait("the next file", || reader.read("next").is_some());
    assert_eq!(refused(&reader), expected);
    assert_eq!(one.status().refused.count, 0);
    assert!(!is_refused(&one, "edited"));
}

fn revert(live: &Live, paths: &[&str], only_lists: bool) -> Vec<String> {
    let paths = paths
        .iter()
        .map(|path| RelPath::new(path.as_bytes()).unwrap());
    let done = live.folder.revert(paths.collect(), only_lists).unwrap();
    let rows = done.iter();
    rows.map(|row| format!("{} {}", row.path, row.change.word()))
        .collect()
}

/// What of a directory's trash holds `content`.
fn is_in_trash(live: &Live, content: &str) -> bool {
    let mut open = vec![live.path(".replicat/trash")];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if fs::read(&path).is_ok_and(|held| held == content.as_bytes()) {
                return true;
            }
        }
    }
    false
}

/// Changes made at the reader, of each kind.
fn change_all(reader: &Live) {
    fs::write(reader.path("edited"), "edited by the reader").unwrap();
    fs::write(reader.path("twice"), "once").unwrap();
    fs::rename(reader.path("moved"), reader.path("elsewhere")).unwrap();
    fs::set_permissions(reader.path("described"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::remove_dir_all(reader.path("sub")).unwrap();
    fs::create_dir(reader.path("new")).unwrap();
    fs::write(reader.path("new/file"), "made by the reader").unwrap();
    fs::write(reader.path("both"), "by the reader").unwrap();
}

#[test]
fn revert_makes_a_directory_as_the_others_are() {
    let world = tempdir().unwrap();
    let one = Live::start("one", &world.path().join("one"));
    let reader = receiver("reader", &world.path().join("reader"));
    for name in "edited twice moved described sub/deep/deleted both".split(' ') {
        fs::create_dir_all(one.path(name).parent().unwrap()).unwrap();
        fs::write(one.path(name), format!("{name} as it is")).unwrap();
    }
    let cable = Cable::trusting(&one, &reader, Trust::Deaf, Trust::Full);
    wait("the files", || reader.read("sub/deep/deleted").is_some());
    settle(&[&one, &reader]);
    change_all(&reader);
    wait("the changes", || refused(&reader).len() == 11);
    fs::write(reader.path("twice"), "and again").unwrap();
    fs::write(one.path("both"), "by the other").unwrap();
    wait("the conflict", || reader.status().conflicts == 1);
    let listed = revert(&reader, &[], true);
    assert_eq!(listed, refused(&reader));
    assert!(
        listed.contains(&"new/file created".to_owned()),
        "{listed:?}"
    );
    assert!(
        listed.contains(&"sub/deep/deleted deleted".to_owned()),
        "{listed:?}"
    );
    assert_eq!(revert(&reader, &["edited"], false), ["edited edited"]);
    // Half of a move is the whole of it.
    let mut moved = revert(&reader, &["moved"], false);
    moved.sort();
    assert_eq!(moved, ["elsewhere created", "moved deleted"]);
    wait("the one file", || {
        reader.read("edited").as_deref() == Some("edited as it is")
    });
    assert_eq!(
        reader.read("new/file").as_deref(),
        Some("made by the reader")
    );
    assert!(!reader.status().in_sync);
    revert(&reader, &[], false);
    settle(&[&one, &reader]);
    assert_eq!(refused(&reader), Vec::<String>::new());
    assert_eq!(reader.status().conflicts, 0);
    let mode = fs::metadata(reader.path("described"))
        .unwrap()
        .permissions()
        .mode();
    assert_ne!(mode & 0o777, 0o600);
    for content in [
        "edited by the reader",
        "made by the reader",
        "and again",
        "by the reader",
    ] {
        assert!(is_in_trash(&reader, content), "{content}");
    }
    assert_eq!(revert(&reader, &[], false), Vec::<String>::new());
    // It goes on as before, also after the sessions began anew.
    cable.cut();
    let _cable = Cable::trusting(&one, &reader, Trust::Deaf, Trust::Full);
    fs::write(one.path("next"), "next").unwrap();
    wait("the next file", || reader.read("next").is_some());
    settle(&[&one, &reader]);
    fs::write(reader.path("later"), "later").unwrap();
    wait("a later change", || refused(&reader) == ["later created"]);
}

#[test]
fn revert_needs_a_peer_and_a_receiver() {
    let world = tempdir().unwrap();
    let one = Live::start("one", &world.path().join("one"));
    let reader = receiver("reader", &world.path().join("reader"));
    let error = one.folder.revert(Vec::new(), false).unwrap_err();
    assert_eq!(error.kind(), "not-receive-only");
    fs::write(reader.path("own"), "own").unwrap();
    wait("the change", || refused(&reader) == ["own created"]);
    let error = reader.folder.revert(Vec::new(), false).unwrap_err();
    assert_eq!(error.kind(), "no-peer");
    assert_eq!(reader.read("own").as_deref(), Some("own"));
}

/// A directory that was copied beforehand, as rsync does.
#[test]
fn equal_files_of_a_receiver_are_no_change() {
    let world = tempdir().unwrap();
    let one = Live::start("one", &world.path().join("one"));
    for name in ["same", "sub/same", "differs"] {
        for root in [one.root.clone(), world.path().join("reader")] {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        }
    }
    fs::write(world.path().join("reader/differs"), "by the reader").unwrap();
    let reader = receiver("reader", &world.path().join("reader"));
    wait("the first scans", || {
        one.status().paths == 5 && reader.status().paths == 5
    });
    let _cable = Cable::trusting(&one, &reader, Trust::Deaf, Trust::Full);
    fs::write(one.path("new"), "new").unwrap();
    wait("the new file", || reader.read("new").is_some());
    wait("what differs", || {
        refused(&reader)
            .iter()
            .all(|row| row.starts_with("differs"))
    });
    revert(&reader, &[], false);
    settle(&[&one, &reader]);
    assert_eq!(reader.read("differs").as_deref(), Some("differs"));
}
