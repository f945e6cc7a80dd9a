//! Names that are no text, paths deeper than one call reaches, and links that lead away.

use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;

use replicat_core::path::RelPath;
use replicat_fs::root::Root;
use replicat_fs::scan::ScanItem;
use rustix::fs::{Mode, OFlags};

use crate::scenery::{Scenery, TRACKING, path, shown};
use crate::stand::{Ground, Stand};

#[test]
fn any_name_that_the_system_takes_is_told_as_it_is() {
    let mut scenery = Scenery::new();
    let mut names: Vec<&[u8]> = vec![
        b"new\nline",
        b"tab\there",
        b"back\\slash",
        b"-rf",
        b"--",
        b" leading",
        b"trailing ",
        b"\xff\xfe invalid",
        b"\x01\x1b[31m",
        b"*",
        b"...",
        "gr\u{fc}n".as_bytes(),
        "gru\u{308}n".as_bytes(),
    ];
    let longest = [b'n'; 255];
    names.push(&longest);
    for name in &names {
        scenery.write(name, "1");
    }
    let (items, _) = scenery.scan();
    let mut told: Vec<&[u8]> = items
        .iter()
        .map(|item| match item {
            ScanItem::Changed { path, .. } => path.as_bytes(),
            other => panic!("{other:?}"),
        })
        .collect();
    told.sort_unstable();
    names.sort_unstable();
    assert_eq!(told, names);
    for name in &names {
        assert!(scenery.root.open_file(&path(name)).is_ok(), "{name:?}");
    }
    scenery.learn();
    assert!(scenery.told().is_empty());
}

#[test]
fn reaches_deeper_than_one_call() {
    let mut scenery = Scenery::new();
    let name = [b'd'; 200];
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut at = scenery.root.directory(&RelPath::root()).unwrap();
    let mut deep = RelPath::root();
    // Well over twice PATH_MAX.
    while deep.as_bytes().len() < 10_000 {
        rustix::fs::mkdirat(&at, &name[..], Mode::RWXU).unwrap();
        at = rustix::fs::openat(&at, &name[..], flags, Mode::empty()).unwrap();
        deep = deep.join(&name).unwrap();
    }
    let create = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&at, "leaf", create, Mode::RWXU).unwrap();
    rustix::io::write(&file, b"deep").unwrap();
    let leaf = deep.join(b"leaf").unwrap();

    let seen = scenery.root.observe(&leaf, TRACKING).unwrap().unwrap();
    assert_eq!(seen.fingerprint.size, 4);
    assert!(scenery.root.stat(&leaf).unwrap().is_some());
    let mut content = String::new();
    let mut opened = fs::File::from(scenery.root.open_file(&leaf).unwrap());
    opened.read_to_string(&mut content).unwrap();
    assert_eq!(content, "deep");
    scenery.learn();
    assert!(scenery.told().is_empty());
}

#[test]
fn a_symlink_in_the_place_of_a_directory_leads_nowhere() {
    let outside = tempfile::tempdir().unwrap();
    fs::create_dir(outside.path().join("inner")).unwrap();
    fs::write(outside.path().join("inner/secret"), "secret").unwrap();
    let mut scenery = Scenery::new();
    scenery.write("a/inner/secret", "mine");
    scenery.learn();
    fs::remove_dir_all(scenery.at("a")).unwrap();
    symlink(outside.path(), scenery.at("a")).unwrap();

    for name in ["a/inner", "a/inner/secret", "a/none"] {
        let at = path(name);
        assert!(scenery.root.stat(&at).unwrap().is_none(), "{name}");
        assert!(scenery.root.open_file(&at).is_err(), "{name}");
        assert!(scenery.root.directory(&at).is_err(), "{name}");
        assert!(scenery.root.parent_of(&at).is_err(), "{name}");
        assert!(
            scenery.root.observe(&at, TRACKING).unwrap().is_none(),
            "{name}"
        );
    }
    let inner = scenery.root.directory(&path("a/inner")).unwrap_err();
    assert!(inner.is_symlink());
    assert_eq!(scenery.told(), ["+a", "-a/inner", "-a/inner/secret"]);
    let (items, _) = scenery.scan_paths(&["a/inner/secret"]);
    assert_eq!(shown(&items), ["+a", "-a/inner", "-a/inner/secret"]);
}

#[test]
fn links_are_read_and_never_opened() {
    let scenery = Scenery::new();
    symlink("/etc/passwd", scenery.at("link")).unwrap();
    let link = path("link");
    assert_eq!(scenery.root.readlink(&link).unwrap(), b"/etc/passwd");
    assert!(scenery.root.open_file(&link).unwrap_err().is_symlink());
    scenery.write("file", "1");
    assert!(scenery.root.readlink(&path("file")).is_err());
}

#[test]
fn a_missing_root_is_an_error_that_names_it() {
    let scenery = Scenery::new();
    let error = Root::open(scenery.at("none")).unwrap_err();
    assert!(error.is_missing());
    assert!(error.to_string().contains("none"), "{error}");
    scenery.write("file", "1");
    assert!(Root::open(scenery.at("file")).is_err());
}

#[test]
fn reading_a_file_opens_no_pipe_for_ever() {
    let scenery = Scenery::new();
    let mode = Mode::from_raw_mode(0o600);
    let place = scenery.at("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, place, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    // Nobody writes to it: an open that blocks would never return.
    assert!(scenery.root.open_file(&path("pipe")).is_ok());
}

#[test]
fn usual_filesystem_keeps_spellings_apart() {
    let ground = Ground::usual();
    ground.write("Name", "x");
    let stand = Stand::new(&ground);
    assert!(!stand.root.folds_names());
}
