//! Files that are not what an index is: each says so, and none is changed, guessed at or panicked over.

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use proptest::prelude::*;
use redb::{Database, ReadableTable, TableDefinition};
use replicat_core::store::{Digest, Store, StoreError};
use replicat_index::{
    Change, Durability, FORMAT_VERSION, HistoryRow, Index, IndexError, SkippedRow,
};

use crate::generate::{identity, path, record, record_at};

type Table = TableDefinition<'static, &'static [u8], &'static [u8]>;
const META: Table = TableDefinition::new("meta");
const ENTRIES: Table = TableDefinition::new("entries");
const HISTORY: Table = TableDefinition::new("history");
const SETTINGS: Table = TableDefinition::new("settings");
const SKIPPED: Table = TableDefinition::new("skipped");
const EXCLUDED: Table = TableDefinition::new("excluded");

/// An index with a hundred records.
fn make(at: &Path) {
    let mut index = Index::create(at, &identity()).unwrap();
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for number in 0..100 {
        let path = path(&format!("directory/name{number}"));
        let tree = record().new_tree(&mut runner).unwrap();
        let record = record_at(&path, proptest::strategy::ValueTree::current(&tree));
        index.set_record(&path, &record).unwrap();
    }
    index.commit(Durability::Group).unwrap();
}

/// Changes rows behind the index's back.
fn change(at: &Path, table: Table, key: &[u8], value: &[u8]) {
    let database = Database::open(at).unwrap();
    let transaction = database.begin_write().unwrap();
    let mut open = transaction.open_table(table).unwrap();
    open.insert(key, value).unwrap();
    drop(open);
    transaction.commit().unwrap();
}

fn is_damaged<T>(result: Result<T, StoreError>) -> bool {
    let error = result.err().unwrap();
    matches!(
        IndexError::of_store(&error),
        Some(IndexError::Damaged { .. })
    )
}

#[test]
fn a_missing_index_is_missing_and_none_is_made() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().join("index");
    assert!(matches!(
        Index::open(&at),
        Err(IndexError::Missing { path }) if path == at
    ));
    assert!(!at.exists());
}

#[test]
fn an_index_is_not_made_over_another() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().join("index");
    make(&at);
    let before = fs::read(&at).unwrap();
    let again = Index::create(&at, &identity());
    assert!(matches!(again, Err(IndexError::Exists { .. })));
    assert_eq!(fs::read(&at).unwrap(), before);
}

#[test]
fn what_is_no_index_is_damaged_and_the_error_says_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().join("index");
    make(&at);
    let whole = fs::read(&at).unwrap();
    let contents: [&[u8]; 4] = [
        b"",
        b"not an index",
        &[0; 100_000],
        &whole[..whole.len() / 3],
    ];
    for bytes in contents {
        fs::write(&at, bytes).unwrap();
        let error = Index::open(&at).err().unwrap();
        assert!(matches!(error, IndexError::Damaged { .. }), "{error:?}");
        assert!(error.to_string().contains("move the file away"), "{error}");
    }
}

#[test]
fn an_index_in_use_is_locked() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().join("index");
    let index = Index::create(&at, &identity()).unwrap();
    assert!(matches!(Index::open(&at), Err(IndexError::Locked { .. })));
    let copy = Index::scratch(Some(&at), &identity(), directory.path());
    assert!(matches!(copy, Err(IndexError::Locked { .. })));
    drop(index);
    assert!(Index::open(&at).is_ok());
}

#[test]
fn a_newer_format_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().join("index");
    make(&at);
    let newer = FORMAT_VERSION + 1;
    change(&at, META, b"format", &newer.to_le_bytes());
    let error = Index::open(&at).err().unwrap();
    assert!(matches!(error, IndexError::NewerFormat { found, .. } if found == newer));
    assert!(error.to_string().contains("newer replicat"), "{error}");
}

/// Takes from an index what a format did not have yet.
fn make_older(at: &Path, tables: &[Table], format: u32) {
    include_all(at);
    let database = Database::open(at).unwrap();
    let transaction = database.begin_write().unwrap();
    for table in tables {
        assert!(transaction.delete_table(*table).unwrap());
    }
    let mut meta = transaction.open_table(META).unwrap();
    let totals = meta.get(&b"totals"[..]).unwrap().unwrap().value().to_vec();
    let totals = totals_of_format_2(&totals);
    meta.insert(&b"totals"[..], &totals[..]).unwrap();
    drop(meta);
    transaction.commit().unwrap();
    drop(database);
    change(at, META, b"format", &format.to_le_bytes());
}

/// Brings all paths into scope: before format 3 none was out of it.
fn include_all(at: &Path) {
    let mut index = Index::open(at).unwrap();
    for path in index.excluded(None, 1000).unwrap() {
        let mut record = index.record(&path).unwrap().unwrap();
        record.excluded = None;
        index.set_record(&path, &record).unwrap();
    }
    index.commit(Durability::Group).unwrap();
}

/// The digest and three numbers.
fn totals_of_format_2(totals: &[u8]) -> Vec<u8> {
    let is_last = |byte: &u8| *byte < 0x80;
    let ends = (16..totals.len()).filter(|&at| is_last(&totals[at]));
    let end = ends.take(3).last().unwrap();
    totals[..=end].to_vec()
}

#[test]
fn format_0_gains_its_history_and_keeps_its_records() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().join("index");
    make(&at);
    let before = Index::open(&at).unwrap().digest().unwrap();
    make_older(&at, &[HISTORY, SETTINGS, SKIPPED, EXCLUDED], 0);

    let mut index = Index::open(&at).unwrap();
    assert_eq!(index.digest().unwrap(), before);
    let row = HistoryRow {
        time_ms: 1,
        change: Change::Created,
        origin: identity().replica,
        content: None,
        size: 0,
        trash_name: None,
        held: None,
    };
    let name = path("directory/name1");
    index.add_history(&name, &row).unwrap();
    index.commit(Durability::Group).unwrap();
    drop(index);
    let index = Index::open(&at).unwrap();
    assert_eq!(index.history(&name).unwrap(), [row]);
    assert!(index.record(&name).unwrap().is_some());
}

#[test]
fn format_2_gains_scope_and_holdings() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().join("index");
    make(&at);
    include_all(&at);
    let index = Index::open(&at).unwrap();
    let (digest, holdings) = (index.digest().unwrap(), index.holdings().unwrap());
    assert!(holdings.files > 0);
    drop(index);
    make_older(&at, &[EXCLUDED], 2);

    let index = Index::open(&at).unwrap();
    assert_eq!(index.digest().unwrap(), digest);
    assert_eq!(index.holdings().unwrap(), holdings);
    assert_eq!(index.excluded_count().unwrap(), 0);
    assert!(index.excluded(None, 10).unwrap().is_empty());
}

#[test]
fn format_1_gains_what_was_skipped_and_keeps_its_settings() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().join("index");
    make(&at);
    let mut index = Index::open(&at).unwrap();
    index.set_setting("brake", Some(b"on")).unwrap();
    index.commit(Durability::Group).unwrap();
    let before = index.digest().unwrap();
    drop(index);
    make_older(&at, &[SKIPPED, EXCLUDED], 1);

    let mut index = Index::open(&at).unwrap();
    assert_eq!(index.digest().unwrap(), before);
    assert_eq!(index.setting("brake").unwrap().unwrap(), b"on");
    assert!(index.skipped().unwrap().is_empty());
    let row = SkippedRow {
        kind: "changing".to_owned(),
        details: Vec::new(),
    };
    let name = path("directory/name1");
    index.set_skipped(&name, Some(&row)).unwrap();
    index.commit(Durability::Group).unwrap();
    drop(index);
    let kept = Index::open(&at).unwrap().skipped().unwrap();
    assert_eq!(kept.into_iter().collect::<Vec<_>>(), [(name, row)]);
}

#[test]
fn a_row_that_does_not_decode_is_damage_not_an_absent_record() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().join("index");
    make(&at);
    // Directory 0 is the root; no record has all flags set.
    change(&at, ENTRIES, b"\0\0\0\0bad", &[0xff; 20]);
    let mut index = Index::open(&at).unwrap();
    let (root, bad) = (path(""), path("bad"));
    assert!(is_damaged(index.record(&bad)));
    assert!(is_damaged(index.children(&root, None, 10)));
    let record = index.record(&path("directory/name1")).unwrap().unwrap();
    assert!(is_damaged(index.set_record(&bad, &record)));
}

/// The bytes of a whole index, and the digest of its records.
fn whole() -> (Vec<u8>, Digest) {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path().join("index");
    make(&at);
    let digest = Index::open(&at).unwrap().digest().unwrap();
    (fs::read(&at).unwrap(), digest)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn any_flipped_bit_that_matters_is_found(place: prop::sample::Index, bit in 0..8_u32) {
        static WHOLE: LazyLock<(Vec<u8>, Digest)> = LazyLock::new(whole);
        let (bytes, expected) = &*WHOLE;
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path().join("index");
        let mut bytes = bytes.clone();
        let place = place.index(bytes.len());
        bytes[place] ^= 1 << bit;
        fs::write(&at, bytes).unwrap();
        match Index::open(&at) {
            // Unused space, or the older of the two commits that the file holds.
            Ok(index) => {
                prop_assert_eq!(index.digest().unwrap(), *expected);
                let children = index.children(&path("directory"), None, 1_000).unwrap();
                prop_assert_eq!(children.len() as u64, index.record_count().unwrap());
            }
            Err(IndexError::Damaged { .. }) => {}
            Err(other) => prop_assert!(false, "byte {place}: {other:?}"),
        }
    }
}
