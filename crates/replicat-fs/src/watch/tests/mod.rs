//! What cannot be brought about from outside: a full queue, and the system's limit.
#![allow(clippy::disallowed_methods)]

use std::fs;

use super::*;

struct Stage {
    directory: tempfile::TempDir,
    root: Root,
    filter: Filter,
    watch: Watch,
    events: Receiver<WatchEvent>,
}

fn stage() -> Stage {
    let directory = tempfile::tempdir().unwrap();
    let root = Root::open(directory.path()).unwrap();
    let (sender, events) = bounded(1);
    let watch = Watch {
        filter: Filter::default(),
        watches: Watches::new(&root).unwrap(),
        settling: Settling::default(),
        departures: Departures::default(),
        overflow: Debt::None,
        limit: Debt::None,
        sender,
    };
    Stage {
        directory,
        root,
        filter: Filter::default(),
        watch,
        events,
    }
}

#[test]
fn a_full_queue_asks_for_a_scan_after_new_directories_are_watched() {
    let mut stage = stage();
    fs::create_dir_all(stage.directory.path().join("a/b")).unwrap();
    let path = RelPath::new(b"a").unwrap();
    stage.watch.note(path, Instant::now());
    let overflow = Raw {
        number: -1,
        flags: ReadFlags::QUEUE_OVERFLOW,
        cookie: 0,
        name: None,
    };
    let mut filter = stage.filter.paths(&stage.root);
    stage
        .watch
        .take(&stage.root, &mut filter, &overflow, Instant::now());
    assert_eq!(stage.watch.watches.len(), 3);
    stage.watch.tell().unwrap();
    assert_eq!(stage.events.try_recv(), Ok(WatchEvent::Overflow));
    assert!(stage.watch.settling.is_empty());
    stage.watch.tell().unwrap();
    assert!(stage.events.is_empty());
}

#[test]
fn the_limit_is_told_once_and_nothing_is_lost_while_nobody_listens() {
    let mut stage = stage();
    stage.watch.limit = Debt::Owed;
    stage.watch.overflow();
    stage.watch.tell().unwrap();
    stage.watch.tell().unwrap();
    let limited = WatchEvent::LimitReached { watched: 0 };
    assert_eq!(stage.events.try_recv(), Ok(limited));
    stage.watch.tell().unwrap();
    assert_eq!(stage.events.try_recv(), Ok(WatchEvent::Overflow));
    stage.watch.tell().unwrap();
    assert!(stage.events.is_empty());
}
