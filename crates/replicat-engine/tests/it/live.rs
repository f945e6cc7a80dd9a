//! Folders that are kept in sync live.

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use replicat_core::path::RelPath;
use replicat_engine::engine::inspect::{Answer, Question};
use replicat_engine::live::{
    ChangeAction, ChangeOrigin, FolderEvent, FolderState, LiveSettings, Trust,
};
use replicat_engine::options::{FilterAction, FilterRule};
use tempfile::tempdir;

use super::pair::{Cable, Live, settle, tree, wait};

#[test]
fn what_was_there_before_and_what_is_made_later_reaches_the_other() {
    let world = tempdir().unwrap();
    let one = Live::start("one", &world.path().join("one"));
    fs::create_dir(one.path("d")).unwrap();
    fs::write(one.path("d/early"), "early").unwrap();
    let other = Live::start("other", &world.path().join("other"));
    fs::write(other.path("also"), "also").unwrap();
    let _cable = Cable::connect(&one, &other);
    wait("both files", || {
        other.read("d/early").as_deref() == Some("early")
            && one.read("also").as_deref() == Some("also")
    });
    fs::write(other.path("d/late"), "late").unwrap();
    wait("a later file", || {
        one.read("d/late").as_deref() == Some("late")
    });
    fs::write(one.path("d/early"), "edited").unwrap();
    wait("an edit", || {
        other.read("d/early").as_deref() == Some("edited")
    });
    fs::remove_file(other.path("d/late")).unwrap();
    wait("a deletion", || one.read("d/late").is_none());
    fs::rename(one.path("d"), one.path("e")).unwrap();
    wait("a renaming", || {
        other.read("e/early").as_deref() == Some("edited")
    });
    settle(&[&one, &other]);
    assert_eq!(tree(&one.root), tree(&other.root));
    assert_eq!(one.status().state, FolderState::Online);
}

#[test]
fn s72_writes_on_both_sides_of_a_partition() {
    let world = tempdir().unwrap();
    let one = Live::start("one", &world.path().join("one"));
    let other = Live::start("other", &world.path().join("other"));
    let cable = Cable::connect(&one, &other);
    fs::write(one.path("file"), "as it was").unwrap();
    wait("the file", || other.read("file").is_some());
    settle(&[&one, &other]);
    cable.cut();
    fs::write(one.path("file"), "as one has it").unwrap();
    fs::write(other.path("file"), "as the other has it").unwrap();
    fs::write(one.path("new"), "new").unwrap();
    let _cable = Cable::connect(&one, &other);
    wait("both versions", || {
        let held = tree(&one.root);
        let has = |content: &str| {
            held.iter()
                .any(|(_, held)| held.as_deref() == Some(content.as_bytes()))
        };
        has("as one has it") && has("as the other has it") && other.read("new").is_some()
    });
    settle(&[&one, &other]);
    let told = |event: &FolderEvent| matches!(event, FolderEvent::Conflict { .. });
    assert!(
        one.heard
            .events()
            .iter()
            .chain(&other.heard.events())
            .any(told)
    );
}

#[test]
fn s73_a_chain_passes_changes_on() {
    let world = tempdir().unwrap();
    let names = ["a", "b", "c"];
    let [a, b, c] = names.map(|name| Live::start(name, &world.path().join(name)));
    let _first = Cable::connect(&a, &b);
    let _second = Cable::connect(&b, &c);
    fs::write(a.path("from-a"), "a").unwrap();
    fs::write(c.path("from-c"), "c").unwrap();
    wait("both ends", || {
        c.read("from-a").is_some() && a.read("from-c").is_some()
    });
    settle(&[&a, &b, &c]);
    let changes = c.heard.events();
    let change = changes.iter().find_map(|event| match event {
        FolderEvent::Changed(change) if change.path == RelPath::new(b"from-a").unwrap() => {
            Some(change)
        }
        _ => None,
    });
    let change = change.expect("c was told of the file from a");
    assert_eq!(change.action, ChangeAction::Created);
    assert_eq!(
        change.origin,
        ChangeOrigin::Elsewhere {
            node: "a".to_owned(),
            through: "b".to_owned()
        }
    );
}

#[test]
fn what_comes_and_goes_unsynced_still_stamps_its_directory() {
    let world = tempdir().unwrap();
    let leaves_out = |mut settings: LiveSettings| {
        settings.rules = vec![FilterRule::new(FilterAction::Exclude, b"*.tmp").unwrap()];
        settings
    };
    let one = Live::with("one", &world.path().join("one"), leaves_out);
    let other = Live::with("other", &world.path().join("other"), leaves_out);
    let _cable = Cable::connect(&one, &other);
    fs::create_dir(one.path("d")).unwrap();
    wait("the directory", || other.path("d").is_dir());
    settle(&[&one, &other]);
    let time = |live: &Live| fs::metadata(live.path("d")).unwrap().modified().unwrap();
    let known = time(&one);
    fs::write(one.path("d/x.tmp"), "1").unwrap();
    assert_ne!(time(&one), known);
    wait("the time after it came", || time(&one) == time(&other));
    let known = time(&one);
    fs::remove_file(one.path("d/x.tmp")).unwrap();
    assert_ne!(time(&one), known);
    wait("the time after it went", || time(&one) == time(&other));
    settle(&[&one, &other]);
    assert!(!other.path("d/x.tmp").exists());
}

#[test]
fn a_directory_that_is_renamed_while_more_is_under_way_has_its_time() {
    let world = tempdir().unwrap();
    let one = Live::start("one", &world.path().join("one"));
    let other = Live::start("other", &world.path().join("other"));
    let cable = Cable::connect(&one, &other);
    fs::create_dir(one.path("old")).unwrap();
    wait("the directory", || other.path("old").is_dir());
    settle(&[&one, &other]);
    // While the other waits for this, it has no rest to set times.
    cable.delay(Duration::from_millis(20));
    let large: Vec<u8> = (0..4_000_000_u32)
        .flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    fs::write(one.path("large"), &large).unwrap();
    wait("the large file is on its way", || {
        other.status().pending > 0
    });
    fs::write(one.path("old/file"), "new in it").unwrap();
    wait("the new file", || other.read("old/file").is_some());
    let time_of = |path: std::path::PathBuf| fs::metadata(path).unwrap().modified().unwrap();
    let time = time_of(one.path("old"));
    fs::rename(one.path("old"), one.path("new")).unwrap();
    wait("the renaming", || other.read("new/file").is_some());
    assert!(!other.path("large").exists(), "it came too early");
    cable.delay(Duration::ZERO);
    wait("the large file", || other.path("large").exists());
    settle(&[&one, &other]);
    assert_eq!(
        [time_of(one.path("new")), time_of(other.path("new"))],
        [time, time]
    );
}

#[test]
fn files_that_share_an_inode_for_a_while_are_separated() {
    use std::os::unix::fs::MetadataExt;
    let world = tempdir().unwrap();
    let one = Live::start("one", &world.path().join("one"));
    let other = Live::start("other", &world.path().join("other"));
    let cable = Cable::connect(&one, &other);
    fs::create_dir(one.path("old")).unwrap();
    fs::write(one.path("old/file"), "first").unwrap();
    wait("the file", || other.read("old/file").is_some());
    settle(&[&one, &other]);
    cable.delay(Duration::from_millis(20));
    let large: Vec<u8> = (0..4_000_000_u32)
        .flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    // In one step: a write that is seen half done would replace the file at once.
    fs::write(world.path().join("large"), &large).unwrap();
    fs::rename(world.path().join("large"), one.path("old/file")).unwrap();
    wait("the edit is on its way", || other.status().pending > 0);
    // What is about to be replaced is given this name as well.
    fs::write(one.path("copy"), "first").unwrap();
    wait("the copy", || other.read("copy").is_some());
    let names = |path: &str| fs::metadata(other.path(path)).unwrap().nlink();
    assert_eq!(names("copy"), 2, "they do not share");
    fs::rename(one.path("old"), one.path("new")).unwrap();
    wait("the renaming", || other.path("new").is_dir());
    // After all it is not replaced: it goes on elsewhere.
    fs::remove_file(one.path("new/file")).unwrap();
    fs::write(one.path("third"), "first").unwrap();
    wait("the third", || other.read("third").is_some());
    cable.delay(Duration::ZERO);
    settle(&[&one, &other]);
    assert_eq!((names("copy"), names("third")), (1, 1));
    assert_eq!(tree(&one.root), tree(&other.root));
}

#[test]
fn a_large_tree_and_a_large_file_come_whole() {
    let world = tempdir().unwrap();
    let one = Live::start("one", &world.path().join("one"));
    for file in 0..3000 {
        let directory = one.path(&format!("d{}", file % 10));
        fs::create_dir_all(&directory).unwrap();
        fs::write(
            directory.join(format!("f{file}")),
            format!("content {file}"),
        )
        .unwrap();
    }
    let large: Vec<u8> = (0..5_000_000_u32).flat_map(u32::to_le_bytes).collect();
    fs::write(one.path("large"), &large).unwrap();
    let other = Live::start("other", &world.path().join("other"));
    let _cable = Cable::connect(&one, &other);
    settle(&[&one, &other]);
    wait("the large file", || {
        fs::read(other.path("large")).is_ok_and(|held| held == large)
    });
    settle(&[&one, &other]);
    assert!(other.read("d9/f2999").is_some());
}

#[test]
fn a_peer_that_may_only_receive_is_not_believed() {
    let world = tempdir().unwrap();
    let one = Live::start("one", &world.path().join("one"));
    let reader = Live::start("reader", &world.path().join("reader"));
    fs::write(one.path("file"), "as it is").unwrap();
    let _cable = Cable::trusting(&one, &reader, Trust::Deaf, Trust::Full);
    wait("the file", || reader.read("file").is_some());
    fs::write(reader.path("file"), "as the reader would have it").unwrap();
    fs::write(reader.path("more"), "more").unwrap();
    fs::write(one.path("next"), "next").unwrap();
    wait("the next file", || reader.read("next").is_some());
    assert_eq!(one.read("file").as_deref(), Some("as it is"));
    assert_eq!(one.read("more"), None);
}

fn is_halted(live: &Live) -> bool {
    matches!(live.status().state, FolderState::Halted { .. })
}

fn reason(live: &Live) -> String {
    match live.status().state {
        FolderState::Halted { reason } => reason,
        _ => String::new(),
    }
}

#[test]
fn s70_vanished_directory_halts_until_it_is_back() {
    let world = tempdir().unwrap();
    let one = Live::start("one", &world.path().join("one"));
    let elsewhere = world.path().join("elsewhere");
    fs::write(one.path("file"), "x").unwrap();
    wait("the first scan", || one.status().paths > 0);
    fs::rename(&one.root, &elsewhere).unwrap();
    wait("the halt", || is_halted(&one));
    assert!(reason(&one).contains("does not exist; see that its disk is mounted"));
    fs::write(elsewhere.join("meanwhile"), "y").unwrap();
    // Another directory at its path is not taken for it.
    fs::create_dir(&one.root).unwrap();
    wait("the doubt", || {
        reason(&one).contains("another directory is at its path")
    });
    fs::remove_dir(&one.root).unwrap();
    fs::rename(&elsewhere, &one.root).unwrap();
    wait("the folder to go on", || !is_halted(&one));
    wait("what was written meanwhile", || one.status().paths == 3);
}

#[test]
fn link_that_leads_elsewhere_halts_until_it_leads_back() {
    let world = tempdir().unwrap();
    let [first, second, link] = ["first", "second", "link"].map(|name| world.path().join(name));
    fs::create_dir(&first).unwrap();
    fs::create_dir(&second).unwrap();
    std::os::unix::fs::symlink(&first, &link).unwrap();
    let one = Live::start("one", &link);
    fs::write(first.join("file"), "x").unwrap();
    wait("the file", || one.status().paths > 1);
    let lead_to = |target: &Path| {
        let other = world.path().join("other link");
        std::os::unix::fs::symlink(target, &other).unwrap();
        fs::rename(&other, &link).unwrap();
    };
    lead_to(&second);
    wait("the doubt", || {
        reason(&one).contains("another directory is at its path")
    });
    assert!(!second.join("file").exists() && !second.join(".replicat").exists());
    lead_to(&first);
    wait("the folder to go on", || !is_halted(&one));
}

#[test]
fn replaced_directory_joins_when_approved() {
    let world = tempdir().unwrap();
    let one = Live::start("one", &world.path().join("one"));
    let other = Live::start("other", &world.path().join("other"));
    fs::write(one.path("file"), "x").unwrap();
    let cable = Cable::connect(&one, &other);
    settle(&[&one, &other]);
    cable.cut();
    fs::rename(&other.root, world.path().join("elsewhere")).unwrap();
    fs::create_dir(&other.root).unwrap();
    wait("the doubt", || reason(&other).contains("replicat approve"));
    let replica = other.status().replica;
    assert!(other.folder.approve().unwrap());
    wait("the folder to go on", || !is_halted(&other));
    let _cable = Cable::connect(&one, &other);
    settle(&[&one, &other]);
    assert_ne!(other.status().replica, replica);
    assert_eq!(other.read("file").as_deref(), Some("x"));
    assert!(!other.folder.approve().unwrap());
}

#[test]
fn in_sync_is_said_when_the_peer_has_it_in_its_directory() {
    let world = tempdir().unwrap();
    let one = Live::start("one", &world.path().join("one"));
    let other = Live::start("other", &world.path().join("other"));
    let cable = Cable::connect(&one, &other);
    fs::write(one.path("first"), "first").unwrap();
    wait("the first file", || other.read("first").is_some());
    settle(&[&one, &other]);
    cable.withhold(true);
    fs::write(one.path("large"), vec![b'x'; 200 << 10]).unwrap();
    wait("what is to come", || other.status().pending == 1);
    // What the other says now comes after it has said that it knows of the large file.
    fs::write(other.path("later"), "later").unwrap();
    wait("the later file", || one.read("later").is_some());
    wait("its record", || one.status().pending == 0);
    for _ in 0..50 {
        let standing = one.folder.standing().unwrap();
        assert_eq!(standing.pending, 0);
        assert!(!standing.in_sync && !standing.peers[0].in_sync);
    }
    cable.withhold(false);
    settle(&[&one, &other]);
    assert_eq!(other.read("large").map(|text| text.len()), Some(200 << 10));
}

/// What a node answers to who asks why a path is as it is.
fn why(live: &Live, path: &str) -> String {
    let path = RelPath::new(path.as_bytes()).unwrap();
    match live.folder.inspect(Question::Why(path)).unwrap() {
        Answer::Why(explanation) => explanation.facts.join("\n"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn who_asks_why_a_path_waits_is_told_what_for() {
    let world = tempdir().unwrap();
    let one = Live::start("one", &world.path().join("one"));
    let other = Live::start("other", &world.path().join("other"));
    let cable = Cable::connect(&one, &other);
    fs::write(one.path("first"), "first").unwrap();
    settle(&[&one, &other]);
    assert!(!why(&other, "first").contains("tried"));
    cable.withhold(true);
    fs::write(one.path("large"), vec![b'x'; 200 << 10]).unwrap();
    wait("that nobody has it", || {
        why(&other, "large").contains("it is tried again within")
    });
    cable.withhold(false);
    settle(&[&one, &other]);
    cable.delay(Duration::from_secs(1));
    fs::write(one.path("slow"), vec![b'y'; 200 << 10]).unwrap();
    wait("that it is fetched", || {
        why(&other, "slow").contains("are being fetched or written")
    });
    cable.delay(Duration::ZERO);
    let in_the_way = UnixListener::bind(other.path("socket")).unwrap();
    fs::write(one.path("socket"), "of one's").unwrap();
    wait("what is in the way", || {
        let why = why(&other, "socket");
        why.contains("that was tried 2 times, last ") && why.contains("was changed meanwhile")
    });
    // Nobody is to be busy with it for as long as it is in the way.
    std::thread::sleep(Duration::from_secs(2));
    let why_not = why(&other, "socket");
    let attempts: Option<u64> = (why_not.split_once("that was tried "))
        .and_then(|(_, rest)| rest.split_once(" times").map(|(attempts, _)| attempts))
        .and_then(|attempts| attempts.parse().ok());
    assert!(attempts.is_some_and(|attempts| attempts < 50), "{why_not}");
    drop(in_the_way);
    fs::remove_file(other.path("socket")).unwrap();
    settle(&[&one, &other]);
    for path in ["large", "slow", "socket"] {
        assert!(
            !why(&other, path).contains("tried"),
            "{}",
            why(&other, path)
        );
    }
}

#[test]
fn a_small_edit_travels_with_its_announcement() {
    let world = tempdir().unwrap();
    let one = Live::start("one", &world.path().join("one"));
    let other = Live::start("other", &world.path().join("other"));
    let cable = Cable::connect(&one, &other);
    fs::write(one.path("first"), "first").unwrap();
    wait("the first file", || other.read("first").is_some());
    settle(&[&one, &other]);
    cable.withhold(true);
    let longest = "y".repeat(64 << 10);
    fs::write(one.path("longest"), &longest).unwrap();
    fs::write(other.path("empty"), "").unwrap();
    fs::write(other.path("first"), "edited").unwrap();
    wait("what was made and edited", || {
        other.read("longest").as_deref() == Some(&longest)
            && one.read("empty").as_deref() == Some("")
            && one.read("first").as_deref() == Some("edited")
    });
    settle(&[&one, &other]);
}

#[test]
fn a_path_that_leaves_the_tree_was_moved_out_and_one_that_stays_was_renamed() {
    let world = tempdir().unwrap();
    let one = Live::start("one", &world.path().join("one"));
    let other = Live::start("other", &world.path().join("other"));
    let _cable = Cable::connect(&one, &other);
    for name in ["leaves", "stays", "goes"] {
        fs::write(one.path(name), name).unwrap();
    }
    wait("all files", || tree(&other.root).len() == 3);
    settle(&[&one, &other]);
    fs::rename(one.path("leaves"), world.path().join("elsewhere")).unwrap();
    fs::rename(one.path("stays"), one.path("renamed")).unwrap();
    fs::remove_file(one.path("goes")).unwrap();
    wait("all changes", || tree(&other.root).len() == 1);
    let changes = |live: &Live, path: &str| {
        let path = RelPath::new(path.as_bytes()).unwrap();
        let told = live.heard.events().into_iter();
        let last = told.filter_map(|event| match event {
            FolderEvent::Changed(change) if change.path == path => Some(change.action),
            _ => None,
        });
        last.last().unwrap()
    };
    let from = RelPath::new(b"stays").unwrap();
    let renamed = ChangeAction::Renamed { from };
    settle(&[&one, &other]);
    assert_eq!(changes(&one, "leaves"), ChangeAction::MovedOut);
    assert_eq!(changes(&one, "renamed"), renamed);
    assert_eq!(changes(&one, "goes"), ChangeAction::Deleted);
    assert_eq!(changes(&other, "leaves"), ChangeAction::Deleted);
    assert_eq!(changes(&other, "renamed"), renamed);
}

/// Waits until some paths of a folder are names of one file that holds a text, with a mode.
#[track_caller]
fn wait_for_names(live: &Live, names: &[&str], text: &str, mode: u32) {
    use std::os::unix::fs::MetadataExt;
    wait("one file under all names", || {
        let found = names.iter().map(|name| fs::metadata(live.path(name)));
        let Ok(found) = found.collect::<Result<Vec<_>, _>>() else {
            return false;
        };
        let is_right = |file: &fs::Metadata| {
            file.ino() == found[0].ino()
                && file.nlink() == names.len() as u64
                && file.mode() & 0o777 == mode
        };
        found.iter().all(is_right) && live.read(names[0]).as_deref() == Some(text)
    });
}

#[test]
fn name_that_a_file_gets_later_is_a_hard_link() {
    let world = tempdir().unwrap();
    let one = Live::start("one", &world.path().join("one"));
    let other = Live::start("other", &world.path().join("other"));
    let _cable = Cable::connect(&one, &other);
    fs::create_dir(one.path("deep")).unwrap();
    fs::write(one.path("file"), "text").unwrap();
    wait("the file", || other.read("file").is_some());
    settle(&[&one, &other]);
    // The watch tells of the new name alone.
    fs::hard_link(one.path("file"), one.path("deep/name")).unwrap();
    wait_for_names(&other, &["file", "deep/name"], "text", 0o644);
    settle(&[&one, &other]);
    // And a third one, from the other side.
    fs::hard_link(other.path("file"), other.path("third")).unwrap();
    wait_for_names(&one, &["file", "deep/name", "third"], "text", 0o644);
}

#[test]
fn change_by_one_name_of_a_file_shows_under_all() {
    use std::os::unix::fs::PermissionsExt;
    let world = tempdir().unwrap();
    let one = Live::start("one", &world.path().join("one"));
    let other = Live::start("other", &world.path().join("other"));
    let _cable = Cable::connect(&one, &other);
    fs::create_dir(one.path("deep")).unwrap();
    fs::write(one.path("file"), "text").unwrap();
    fs::hard_link(one.path("file"), one.path("deep/name")).unwrap();
    let names = ["file", "deep/name"];
    wait_for_names(&other, &names, "text", 0o644);
    settle(&[&one, &other]);
    fs::write(one.path("deep/name"), "longer text").unwrap();
    wait_for_names(&other, &names, "longer text", 0o644);
    settle(&[&one, &other]);
    fs::set_permissions(one.path("file"), fs::Permissions::from_mode(0o600)).unwrap();
    wait_for_names(&other, &names, "longer text", 0o600);
    settle(&[&one, &other]);
    wait_for_names(&one, &names, "longer text", 0o600);
}
