//! What is the owner's rather than the core's: settings, manifests, history, dry runs, other threads.

use std::fs;

use replicat_core::entry::{Entry, Payload, Version};
use replicat_core::id::{ContentHash, ReplicaId};
use replicat_core::record::{Local, Record};
use replicat_core::store::Store;
use replicat_core::version::{Context, Dot, Hlc};
use replicat_index::{
    Change, Durability, HISTORY_ROWS_MAX, HeldKind, HistoryRow, Index, IndexError,
    MANIFEST_PAGE_CHUNKS, Manifest, Reader, SkippedRow,
};

use crate::generate::{identity, path};

fn file(counter: u64) -> Record {
    let mut hash = [0; 32];
    hash[..8].copy_from_slice(&counter.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    let version = Version {
        dot: Dot {
            counter,
            replica: ReplicaId(5),
        },
        context: Context::default(),
        hlc: Hlc(counter),
        payload: Payload::File {
            content: ContentHash(hash),
            size: counter,
            link: None,
        },
        metadata: replicat_core::entry::Metadata::default(),
        stamps: replicat_core::entry::Stamps::default(),
        base: None,
        carry: None,
        conflict_of: None,
    };
    Record {
        entry: Entry::from_stored(vec![version]),
        local: Some(Local {
            fingerprint: replicat_core::record::Fingerprint::default(),
            racy: false,
            base: None,
            unheld: None,
        }),
        excluded: None,
        pending: true,
    }
}

fn event(time_ms: u64, change: Change) -> HistoryRow {
    HistoryRow {
        time_ms,
        change,
        origin: ReplicaId(9),
        content: Some(ContentHash([3; 32])),
        size: 12,
        trash_name: Some("2024-name".to_owned()),
        held: None,
    }
}

#[test]
fn settings_and_manifests_are_kept_replaced_and_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().join("index");
    let mut index = Index::create(&at, &identity()).unwrap();
    let manifest = Manifest {
        chunks: (0..2_500)
            .map(|n| (n, ContentHash([n as u8; 32])))
            .collect(),
    };
    assert!(manifest.chunks.len() > 2 * MANIFEST_PAGE_CHUNKS);
    let (kept, forgotten) = (ContentHash([1; 32]), ContentHash([2; 32]));
    index.set_setting("brake", Some(b"on")).unwrap();
    index.set_setting("root", Some(b"first")).unwrap();
    index.set_manifest(kept, &manifest).unwrap();
    index.set_manifest(forgotten, &manifest).unwrap();
    assert_eq!(index.setting("brake").unwrap().unwrap(), b"on");
    index.commit(Durability::Group).unwrap();
    index.set_setting("brake", None).unwrap();
    index.set_setting("root", Some(b"second")).unwrap();
    index.remove_manifest(forgotten).unwrap();
    for reopened in [false, true] {
        if reopened {
            index.commit(Durability::Group).unwrap();
            drop(index);
            index = Index::open(&at).unwrap();
        }
        assert_eq!(index.setting("brake").unwrap(), None);
        assert_eq!(index.setting("root").unwrap().unwrap(), b"second");
        assert_eq!(index.manifest(kept).unwrap(), Some(manifest.clone()));
        assert_eq!(index.manifest(forgotten).unwrap(), None);
        let third = index.manifest_page(kept, 2).unwrap().unwrap();
        assert_eq!(third.chunks, manifest.chunks[2 * MANIFEST_PAGE_CHUNKS..]);
    }
    index.set_manifest(kept, &Manifest::default()).unwrap();
    index.commit(Durability::Group).unwrap();
    assert_eq!(index.manifest(kept).unwrap(), Some(Manifest::default()));
}

#[test]
fn what_was_skipped_is_kept_replaced_and_forgotten() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().join("index");
    let mut index = Index::create(&at, &identity()).unwrap();
    let row = |kind: &str, details: &[&str]| SkippedRow {
        kind: kind.to_owned(),
        details: details.iter().map(ToString::to_string).collect(),
    };
    let names = [path(""), path("a"), path("a/b"), path("a.b")];
    assert!(index.skipped().unwrap().is_empty());
    for name in &names {
        index
            .set_skipped(name, Some(&row("special", &["fifo"])))
            .unwrap();
    }
    assert_eq!(index.skipped().unwrap().len(), 4);
    index.commit(Durability::Group).unwrap();
    index.set_skipped(&names[1], None).unwrap();
    index
        .set_skipped(&names[2], Some(&row("io", &["read", "\u{e9}\n"])))
        .unwrap();
    for reopened in [false, true] {
        if reopened {
            index.commit(Durability::Group).unwrap();
            drop(index);
            index = Index::open(&at).unwrap();
        }
        let kept: Vec<_> = index.skipped().unwrap().into_iter().collect();
        let expected = [
            (names[0].clone(), row("special", &["fifo"])),
            (names[2].clone(), row("io", &["read", "\u{e9}\n"])),
            (names[3].clone(), row("special", &["fifo"])),
        ];
        assert_eq!(kept, expected);
    }
    index.set_skipped(&names[0], None).unwrap();
    index.rollback().unwrap();
    assert_eq!(index.skipped().unwrap().len(), 3);
}

#[test]
fn history_keeps_the_newest_events_of_each_path() {
    let mut index = Index::in_memory(&identity()).unwrap();
    let (one, other) = (path("a/b"), path("a/b0"));
    index
        .add_history(&other, &event(1, Change::MovedFrom(path("x/y"))))
        .unwrap();
    let total = HISTORY_ROWS_MAX as u64 + 10;
    for time in 0..total {
        index
            .add_history(&one, &event(time, Change::Edited))
            .unwrap();
        if time % 7 == 0 {
            index.commit(Durability::Group).unwrap();
        }
        let times = index.history(&one).unwrap();
        let first = (time + 1).saturating_sub(HISTORY_ROWS_MAX as u64);
        let expected: Vec<u64> = (first..=time).collect();
        let times: Vec<u64> = times.iter().map(|row| row.time_ms).collect();
        assert_eq!(times, expected);
    }
    let moved = index.history(&other).unwrap();
    assert_eq!(moved, [event(1, Change::MovedFrom(path("x/y")))]);
}

#[test]
fn every_kind_of_event_comes_back() {
    let mut index = Index::in_memory(&identity()).unwrap();
    let rows = [
        event(1, Change::Created),
        event(2, Change::Edited),
        event(3, Change::Deleted),
        event(4, Change::MovedFrom(path("a"))),
        event(5, Change::MovedTo(path("b/c"))),
        event(6, Change::Conflict),
        HistoryRow {
            content: None,
            trash_name: None,
            ..event(7, Change::Restored)
        },
    ];
    for row in &rows {
        index.add_history(&path(""), row).unwrap();
    }
    index.commit(Durability::Group).unwrap();
    assert_eq!(index.history(&path("")).unwrap(), rows);
}

#[test]
fn a_dry_run_leaves_the_index_as_it_is_and_no_file_behind() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().join("index");
    let mut index = Index::create(&at, &identity()).unwrap();
    index.set_record(&path("a"), &file(1)).unwrap();
    index.commit(Durability::Group).unwrap();
    drop(index);
    let before = fs::read(&at).unwrap();

    let scratches = tempfile::tempdir().unwrap();
    let mut scratch = Index::scratch(Some(&at), &identity(), scratches.path()).unwrap();
    assert_eq!(scratch.record(&path("a")).unwrap(), Some(file(1)));
    scratch.set_record(&path("b"), &file(2)).unwrap();
    scratch.commit(Durability::Group).unwrap();
    let fresh = Index::scratch(None, &identity(), scratches.path()).unwrap();
    assert_eq!(fresh.record_count().unwrap(), 0);
    assert_eq!(fs::read_dir(scratches.path()).unwrap().count(), 0);
    drop(scratch);
    assert_eq!(fs::read(&at).unwrap(), before);

    let missing = Index::scratch(Some(scratches.path()), &identity(), scratches.path());
    assert!(missing.is_err());
    assert_eq!(fs::read_dir(scratches.path()).unwrap().count(), 0);
}

#[test]
fn more_than_fits_in_memory_at_once_is_read_back_before_and_after_the_commit() {
    let mut index = Index::in_memory(&identity()).unwrap();
    let name = |n: u64| path(&format!("directory{}/name{n}", n % 10));
    let total = 10_000;
    for n in 0..total {
        index.set_record(&name(n), &file(n + 1)).unwrap();
    }
    for committed in [false, true] {
        if committed {
            index.commit(Durability::Group).unwrap();
        }
        assert_eq!(index.record_count().unwrap(), total);
        assert_eq!(index.pending_count().unwrap(), total);
        assert_eq!(index.by_dot(ReplicaId(5), 0, 20_000).unwrap().len(), 10_000);
        assert_eq!(index.pending(None, 20_000).unwrap().len(), 10_000);
        for n in (0..total).step_by(97) {
            assert_eq!(index.record(&name(n)).unwrap(), Some(file(n + 1)));
            let content = file(n + 1).contents().next().unwrap();
            assert_eq!(index.by_content(content, 2).unwrap(), [name(n)]);
        }
        let children = index.children(&path("directory3"), None, 5_000).unwrap();
        assert_eq!(children.len(), 1_000);
    }
}

#[test]
fn compacting_gives_space_back_and_keeps_everything() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().join("index");
    let mut index = Index::create(&at, &identity()).unwrap();
    let name = |n: u64| path(&format!("name{n}"));
    for n in 0..5_000 {
        index.set_record(&name(n), &file(n + 1)).unwrap();
    }
    index.commit(Durability::Group).unwrap();
    for n in 0..4_990 {
        index.set_record(&name(n), &Record::default()).unwrap();
    }
    index.commit(Durability::Group).unwrap();
    let before = fs::metadata(&at).unwrap().len();
    index.compact().unwrap();
    assert!(fs::metadata(&at).unwrap().len() < before / 2);
    assert_eq!(index.children(&path(""), None, 100).unwrap().len(), 10);

    let reader = index.reader();
    let refused = index.compact();
    assert!(matches!(refused, Err(IndexError::Io { .. })), "{refused:?}");
    drop(reader);
}

#[test]
fn an_index_moves_between_threads_and_readers_are_shared_by_them() {
    fn moves<T: Send>() {}
    fn is_shared<T: Send + Sync + Clone>() {}
    moves::<Index>();
    is_shared::<Reader>();
}

/// The record of a path after `version` took the place of what it held.
fn record_of(version: Version) -> Record {
    Record {
        entry: Entry::from_stored(vec![version]),
        ..file(1)
    }
}

fn version_of(record: &Record) -> Version {
    record.entry.versions()[0].clone()
}

#[test]
fn replaced_version_stays_with_its_author() {
    let mut index = Index::in_memory(&identity()).unwrap();
    let at = path("a/b");
    let first = file(7);
    index.set_record(&at, &first).unwrap();
    assert_eq!(index.history(&at).unwrap(), []);
    // Another replica deletes it: what is kept is the version that it deleted.
    let deletion = Version {
        dot: Dot {
            counter: 9,
            replica: ReplicaId(6),
        },
        payload: Payload::Tombstone { moved_to: None },
        ..version_of(&first)
    };
    index.set_record(&at, &record_of(deletion)).unwrap();
    let first_row = HistoryRow::of_version(&version_of(&first));
    assert_eq!(first_row.origin, ReplicaId(5));
    assert_eq!(first_row.held, Some(HeldKind::File));
    assert_eq!(
        index.history(&at).unwrap(),
        std::slice::from_ref(&first_row)
    );
    // A deletion that all know of is forgotten by the rules, not by the history.
    index.set_record(&at, &Record::default()).unwrap();
    index.commit(Durability::Group).unwrap();
    let rows = index.history(&at).unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(
        (&rows[1].change, rows[1].origin),
        (&Change::Deleted, ReplicaId(6))
    );
    assert_eq!(
        index
            .history_paths()
            .unwrap()
            .into_iter()
            .collect::<Vec<_>>(),
        [at]
    );
}

#[test]
fn joined_contents_leave_no_second_version() {
    let mut index = Index::in_memory(&identity()).unwrap();
    let at = path("same");
    let first = file(7);
    let twin = Version {
        dot: Dot {
            counter: 9,
            replica: ReplicaId(6),
        },
        ..version_of(&first)
    };
    index.set_record(&at, &first).unwrap();
    index.set_record(&at, &record_of(twin)).unwrap();
    assert_eq!(index.history(&at).unwrap(), []);
}
