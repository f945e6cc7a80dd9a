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
