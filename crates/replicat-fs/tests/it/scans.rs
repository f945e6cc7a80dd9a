//! What a scan tells.

use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::time::{Duration, SystemTime};

use replicat_core::entry::Timestamp;
use replicat_core::record::Fingerprint;
use replicat_fs::observe::{AttributesOfFiles, Kind, Observation, is_racy};
use replicat_fs::root::Root;
use replicat_fs::scan::{Scan, ScanError, ScanItem, default_threads};
use rustix::fs::{CWD, FileType, Mode};

use crate::scenery::{Scenery, TRACKING, path, shown, without_privileges};

fn observed<'a>(items: &'a [ScanItem], name: &str) -> &'a Observation {
    items
        .iter()
        .find_map(|item| match item {
            ScanItem::Changed {
                path: at,
                observation,
            } if *at == path(name) => Some(observation),
            _ => None,
        })
        .unwrap_or_else(|| panic!("{name} was not told as changed"))
}

#[test]
fn tells_all_of_a_new_tree_and_nothing_of_a_known_one() {
    let mut scenery = Scenery::new();
    scenery.write("a/b/c", "one");
    scenery.write("d", "four");
    symlink("a/b", scenery.at("link")).unwrap();
    let (items, report) = scenery.scan();
    assert_eq!(shown(&items), ["+a", "+a/b", "+a/b/c", "+d", "+link"]);
    assert_eq!(
        (report.directories, report.files, report.symlinks),
        (2, 2, 1)
    );
    assert_eq!((report.bytes, report.known, report.changed), (7, 0, 5));
    assert_eq!(
        observed(&items, "link").target.as_deref(),
        Some(&b"a/b"[..])
    );

    scenery.memory.take_in(&items);
    let (items, report) = scenery.scan();
    assert!(items.is_empty(), "{items:?}");
    assert_eq!((report.known, report.changed, report.files), (5, 0, 2));
}

#[test]
fn tells_parents_before_the_children_they_gain() {
    let scenery = Scenery::new();
    scenery.write("a/b/c/d", "");
    let (items, _) = scenery.scan();
    let order: Vec<_> = items
        .iter()
        .map(|item| match item {
            ScanItem::Changed { path, .. } => path.to_string(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(order, ["a", "a/b", "a/b/c", "a/b/c/d"]);
}

#[test]
fn tells_edits_deletions_and_new_files() {
    let mut scenery = Scenery::new();
    for name in ["edit", "gone", "same", "x/deep"] {
        scenery.write(name, "1");
    }
    scenery.learn();
    scenery.write("edit", "22");
    fs::remove_file(scenery.at("gone")).unwrap();
    scenery.write("x/new", "3");
    // The directory is told as well: its own modification time is metadata.
    assert_eq!(scenery.told(), ["+edit", "+x", "+x/new", "-gone"]);
}

#[test]
fn tells_a_change_of_metadata_alone() {
    let mut scenery = Scenery::new();
    scenery.write("a", "1");
    scenery.make("d");
    scenery.learn();
    fs::set_permissions(scenery.at("a"), fs::Permissions::from_mode(0o640)).unwrap();
    fs::set_permissions(scenery.at("d"), fs::Permissions::from_mode(0o2750)).unwrap();
    let (items, _) = scenery.scan();
    assert_eq!(shown(&items), ["+a", "+d"]);
    assert_eq!(observed(&items, "a").metadata.mode, Some(0o640));
    assert_eq!(observed(&items, "d").metadata.mode, Some(0o2750));
}

#[test]
fn tells_of_all_that_a_vanished_directory_held_children_first() {
    let mut scenery = Scenery::new();
    scenery.write("a/b/c", "1");
    scenery.write("a/d", "1");
    scenery.write("z", "1");
    scenery.learn();
    fs::remove_dir_all(scenery.at("a")).unwrap();
    let (items, report) = scenery.scan();
    let place = |name: &str| {
        items
            .iter()
            .position(|item| matches!(item, ScanItem::Missing { path: at } if *at == path(name)))
            .unwrap_or_else(|| panic!("{name} was not told as missing"))
    };
    assert_eq!(items.len(), 4);
    assert!(place("a/b/c") < place("a/b"));
    assert!(place("a/b") < place("a"));
    assert!(place("a/d") < place("a"));
    assert_eq!((report.missing, report.known), (4, 5));
}

#[test]
fn tells_a_change_of_kind_as_a_change() {
    let mut scenery = Scenery::new();
    scenery.write("file", "1");
    scenery.write("directory/held", "1");
    scenery.learn();
    fs::remove_file(scenery.at("file")).unwrap();
    scenery.write("file/inside", "1");
    fs::remove_dir_all(scenery.at("directory")).unwrap();
    scenery.write("directory", "1");
    let (items, _) = scenery.scan();
    assert_eq!(
        shown(&items),
        ["+directory", "+file", "+file/inside", "-directory/held"]
    );
    assert_eq!(observed(&items, "directory").kind, Kind::File);
    assert_eq!(observed(&items, "file").kind, Kind::Directory);
}

#[test]
fn skips_what_has_no_content() {
    let mut scenery = Scenery::new();
    scenery.write("was-file", "1");
    scenery.learn();
    fs::remove_file(scenery.at("was-file")).unwrap();
    let mode = Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(CWD, scenery.at("was-file"), FileType::Fifo, mode, 0).unwrap();
    rustix::fs::mknodat(CWD, scenery.at("pipe"), FileType::Fifo, mode, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(scenery.at("socket")).unwrap();
    let mut expected = vec![
        "!pipe: it is a named pipe",
        "!socket: it is a socket",
        // What was known is not told as missing: nobody said that the others' copies should go.
        "!was-file: it is a named pipe",
    ];
    let null = rustix::fs::makedev(1, 3);
    let device = scenery.at("device");
    // Only the superuser can make devices.
    if rustix::fs::mknodat(CWD, device, FileType::CharacterDevice, mode, null).is_ok() {
        expected.insert(0, "!device: it is a character device");
    }
    let (items, report) = scenery.scan();
    assert_eq!(shown(&items), expected);
    assert_eq!(report.skipped, expected.len() as u64);
    assert_eq!(report.skipped_listed.len(), expected.len());
}

#[test]
fn skips_what_another_filesystem_is_mounted_on() {
    let mut scenery = Scenery::new();
    scenery.root = Root::open("/").unwrap();
    let (items, _) = scenery.scan_paths(&["proc/self/status"]);
    let expected = "!proc: another filesystem is mounted on it; make it a replica of its own";
    assert_eq!(shown(&items), [expected]);
}

#[test]
fn never_takes_what_it_cannot_read_for_deleted() {
    let mut scenery = Scenery::new();
    scenery.write("closed/held/file", "1");
    scenery.write("open", "1");
    scenery.learn();
    let closed = scenery.at("closed");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    let told = without_privileges(|| scenery.told());
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("!closed: cannot"), "{told:?}");
    assert!(told[0].contains("Permission denied"), "{told:?}");
}

#[test]
fn never_takes_names_it_cannot_look_at_for_deleted() {
    let mut scenery = Scenery::new();
    scenery.write("listed/file", "1");
    scenery.learn();
    let listed = scenery.at("listed");
    fs::set_permissions(&listed, fs::Permissions::from_mode(0o400)).unwrap();
    let told = without_privileges(|| scenery.told());
    fs::set_permissions(&listed, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("!listed/file: cannot"), "{told:?}");
    assert_eq!(told[1], "+listed");
}

#[test]
fn fails_rather_than_call_an_unreadable_root_empty() {
    let mut scenery = Scenery::new();
    scenery.write("a", "1");
    scenery.learn();
    let mode =
        |bits| fs::set_permissions(scenery.directory.path(), fs::Permissions::from_mode(bits));
    mode(0o000).unwrap();
    let result = without_privileges(|| {
        let sink = |_| ControlFlow::Continue(());
        scan(&scenery, &sink).run()
    });
    mode(0o700).unwrap();
    assert!(matches!(result, Err(ScanError::Root(error)) if error.is_denied()));
}

fn scan<'a>(scenery: &'a Scenery, sink: &'a replicat_fs::scan::Sink<'a>) -> Scan<'a> {
    Scan {
        root: &scenery.root,
        filter: &scenery.filter,
        tracking: TRACKING,
        attributes: AttributesOfFiles::Observed,
        baseline: &scenery.memory,
        sink,
        threads: default_threads(),
    }
}

#[test]
fn stops_when_nobody_listens() {
    let scenery = Scenery::new();
    scenery.write("a/b", "1");
    let sink = |_| ControlFlow::Break(());
    assert!(matches!(
        scan(&scenery, &sink).run(),
        Err(ScanError::Stopped)
    ));
}

#[test]
fn tells_an_empty_root_apart() {
    let mut scenery = Scenery::new();
    scenery.make(".replicat/staging");
    assert!(scenery.scan().1.root_empty);
    scenery.write("a", "1");
    assert!(!scenery.scan().1.root_empty);
    scenery.learn();
    fs::remove_file(scenery.at("a")).unwrap();
    let (items, report) = scenery.scan();
    assert_eq!(shown(&items), ["-a"]);
    assert!(report.root_empty);
}

#[test]
fn looks_again_at_a_file_changed_within_the_granularity_of_time() {
    let mut scenery = Scenery::new();
    scenery.write("a", "1");
    let (items, _) = scenery.scan();
    let fresh = observed(&items, "a");
    assert!(fresh.racy, "a file just written must be looked at again");
    scenery.memory.put(path("a"), fresh.fingerprint, true);
    assert_eq!(scenery.told(), ["+a"]);
}

#[test]
fn a_file_is_racy_only_around_its_own_change() {
    let at = |seconds, nanoseconds| Timestamp {
        seconds,
        nanoseconds,
    };
    let changed = Fingerprint {
        ctime: at(100, 500_000_000),
        mtime: at(-5, 1),
        ..Fingerprint::default()
    };
    for (from, expected) in [
        (at(100, 500_000_001), true),
        (at(100, 519_000_000), true),
        (at(100, 521_000_000), false),
        (at(200, 0), false),
        // A clock that was set back.
        (at(50, 0), false),
    ] {
        assert_eq!(is_racy(&changed, from, from), expected, "{from:?}");
    }
    // Without nanoseconds, the filesystem counts in seconds.
    let coarse = Fingerprint {
        ctime: at(100, 0),
        mtime: at(100, 0),
        ..changed
    };
    assert!(is_racy(&coarse, at(101, 0), at(101, 0)));
    assert!(!is_racy(&coarse, at(102, 1), at(102, 1)));
}

#[test]
fn keeps_times_before_1970() {
    let scenery = Scenery::new();
    scenery.write("old", "1");
    let file = fs::File::options()
        .write(true)
        .open(scenery.at("old"))
        .unwrap();
    let mtime = SystemTime::UNIX_EPOCH - Duration::from_nanos(1_500_000_000);
    file.set_modified(mtime).unwrap();
    let (items, _) = scenery.scan();
    let expected = Timestamp {
        seconds: -2,
        nanoseconds: 500_000_000,
    };
    assert_eq!(observed(&items, "old").metadata.mtime, Some(expected));
    assert_eq!(observed(&items, "old").fingerprint.mtime, expected);
}

#[test]
fn tells_hard_links_and_owners() {
    let scenery = Scenery::new();
    scenery.write("one", "1");
    scenery.write("single", "1");
    fs::hard_link(scenery.at("one"), scenery.at("two")).unwrap();
    let (items, _) = scenery.scan();
    let link = observed(&items, "one").link.unwrap();
    assert_eq!(observed(&items, "two").link, Some(link));
    assert_eq!(observed(&items, "single").link, None);
    let stat = fs::metadata(scenery.at("one")).unwrap();
    assert_eq!(link.inode, stat.ino());
    let owner = observed(&items, "one").metadata.owner.unwrap();
    assert_eq!((owner.user, owner.group), (stat.uid(), stat.gid()));
}

#[test]
fn describes_symlinks_without_a_mode() {
    let scenery = Scenery::new();
    symlink("/nowhere/at all", scenery.at("link")).unwrap();
    let (items, _) = scenery.scan();
    let link = observed(&items, "link");
    assert_eq!(link.kind, Kind::Symlink);
    assert_eq!(link.metadata.mode, None);
    assert_eq!(link.target.as_deref(), Some(&b"/nowhere/at all"[..]));
}

#[test]
fn a_scan_of_paths_sees_only_them_and_what_leads_to_them() {
    let mut scenery = Scenery::new();
    scenery.write("a/b/c", "1");
    scenery.write("a/other", "1");
    scenery.write("z", "1");
    let (items, _) = scenery.scan_paths(&["a/b/c"]);
    assert_eq!(shown(&items), ["+a", "+a/b", "+a/b/c"]);
    scenery.learn();
    fs::remove_dir_all(scenery.at("a/b")).unwrap();
    scenery.write("a/other", "22");
    fs::remove_file(scenery.at("z")).unwrap();
    let (items, _) = scenery.scan_paths(&["a/b/c", "a/b/never"]);
    assert_eq!(shown(&items), ["+a", "-a/b", "-a/b/c"]);
    let (items, _) = scenery.scan_paths(&["z", "nothing/here"]);
    assert_eq!(shown(&items), ["-z"]);
    let (items, _) = scenery.scan_paths(&[""]);
    assert_eq!(shown(&items), ["+a", "+a/other", "-a/b", "-a/b/c", "-z"]);
}

#[test]
fn unchanged_means_the_very_file_that_was_seen() {
    let scenery = Scenery::new();
    scenery.write("a", "1");
    let seen = scenery.root.observe(&path("a"), TRACKING).unwrap().unwrap();
    assert!(
        scenery
            .root
            .unchanged(&path("a"), &seen.fingerprint)
            .unwrap()
    );
    scenery.write("b", "2");
    fs::rename(scenery.at("b"), scenery.at("a")).unwrap();
    assert!(
        !scenery
            .root
            .unchanged(&path("a"), &seen.fingerprint)
            .unwrap()
    );
    fs::remove_file(scenery.at("a")).unwrap();
    assert!(
        !scenery
            .root
            .unchanged(&path("a"), &seen.fingerprint)
            .unwrap()
    );
    assert_eq!(scenery.root.observe(&path("a"), TRACKING).unwrap(), None);
}
