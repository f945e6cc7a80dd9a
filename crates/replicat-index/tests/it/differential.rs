//! The index does what the store in memory does, whatever is asked of it, across commits, rollbacks and
//! reopening.

use proptest::collection::vec;
use proptest::prelude::*;
use replicat_core::id::ReplicaId;
use replicat_core::memory::MemoryStore;
use replicat_core::path::RelPath;
use replicat_core::record::Record;
use replicat_core::store::{Identity, Member, Store};
use replicat_core::version::{Dot, VersionVector};
use replicat_index::{Durability, Index};

use crate::generate::{any_path, contents, dot, identity, path, record, record_at};

#[derive(Clone, Debug)]
enum Step {
    Set(RelPath, Box<Record>),
    Remove(RelPath),
    Settle(RelPath),
    Identity(u64),
    Knowledge(Vec<Dot>),
    Member(ReplicaId, Vec<Dot>),
    /// Hands the held writes to the tables, as a full overlay does.
    Spill,
    Commit(Durability),
    Rollback,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let set = (any_path(), record()).prop_map(|(path, record)| {
        let record = record_at(&path, record);
        Step::Set(path, Box::new(record))
    });
    let commit = prop_oneof![Just(Durability::Group), Just(Durability::None)];
    prop_oneof![
        12 => set,
        3 => any_path().prop_map(Step::Remove),
        4 => any_path().prop_map(Step::Settle),
        1 => any::<u64>().prop_map(Step::Identity),
        1 => vec(dot(), 0..3).prop_map(Step::Knowledge),
        1 => (1..4_u64, vec(dot(), 0..3)).prop_map(|(id, dots)| Step::Member(ReplicaId(id), dots)),
        2 => Just(Step::Spill),
        3 => commit.prop_map(Step::Commit),
        1 => Just(Step::Rollback),
        1 => Just(Step::Reopen),
    ]
}

/// An index on disk, and what it should hold now and at its last commit.
struct Pair {
    directory: tempfile::TempDir,
    index: Option<Index>,
    expected: MemoryStore,
    committed: MemoryStore,
}

impl Pair {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let index = Index::create(&directory.path().join("index"), &identity()).unwrap();
        let Identity {
            folder,
            replica,
            name,
            ..
        } = identity();
        let expected = MemoryStore::new(folder, replica, &name);
        Self {
            directory,
            index: Some(index),
            committed: expected.clone(),
            expected,
        }
    }

    fn index(&mut self) -> &mut Index {
        self.index.as_mut().unwrap()
    }

    fn set_record(&mut self, path: &RelPath, record: &Record) {
        self.index().set_record(path, record).unwrap();
        self.expected.set_record(path, record).unwrap();
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Set(path, record) => self.set_record(path, record),
            Step::Remove(path) => self.set_record(path, &Record::default()),
            Step::Settle(path) => {
                let mut record = self.expected.record(path).unwrap().unwrap_or_default();
                record.pending = !record.pending;
                self.set_record(path, &record);
            }
            Step::Identity(counter) => {
                let identity = Identity {
                    counter: *counter,
                    published: vec![counter / 2, *counter],
                    ..identity()
                };
                self.index().set_identity(&identity).unwrap();
                self.expected.set_identity(&identity).unwrap();
            }
            Step::Knowledge(dots) => {
                let knowledge: VersionVector = dots.iter().copied().collect();
                self.index().set_knowledge(&knowledge).unwrap();
                self.expected.set_knowledge(&knowledge).unwrap();
            }
            Step::Member(id, dots) => {
                let member = Member {
                    name: format!("node{}", id.0),
                    applied: dots.iter().copied().collect(),
                    presence: dots.len() as u64,
                };
                self.index().set_member(*id, &member).unwrap();
                self.expected.set_member(*id, &member).unwrap();
            }
            Step::Spill | Step::Commit(_) | Step::Rollback | Step::Reopen => self.lifecycle(step),
        }
    }

    fn lifecycle(&mut self, step: &Step) {
        match step {
            Step::Spill => {
                let row = vec![0; 9 << 20];
                self.index().set_setting("long", Some(&row)).unwrap();
                self.index().set_setting("long", None).unwrap();
            }
            Step::Commit(durability) => {
                self.index().commit(*durability).unwrap();
                self.committed = self.expected.clone();
            }
            Step::Rollback => {
                self.index().rollback().unwrap();
                self.expected = self.committed.clone();
            }
            _ => {
                self.index = None;
                self.index = Some(Index::open(&self.directory.path().join("index")).unwrap());
                self.expected = self.committed.clone();
            }
        }
    }
}

fn sorted(mut paths: Vec<RelPath>) -> Vec<RelPath> {
    paths.sort();
    paths
}

/// Pages through a list with a page of two, to cross every edge.
fn pages<T: Clone>(mut page: impl FnMut(Option<&T>) -> Vec<T>) -> Vec<T> {
    let mut all: Vec<T> = Vec::new();
    loop {
        let next = page(all.last());
        assert!(next.len() <= 2, "a page is longer than its limit");
        if next.is_empty() {
            return all;
        }
        all.extend(next);
    }
}

fn assert_same_records(index: &impl Store, expected: &MemoryStore) {
    for text in crate::generate::PATHS {
        let at = path(text);
        assert_eq!(
            index.record(&at).unwrap(),
            expected.record(&at).unwrap(),
            "the record of {at:?}"
        );
        let children = |store: &dyn Store| {
            pages(|after: Option<&(Vec<u8>, Record)>| {
                let after = after.map(|(name, _)| name.as_slice());
                store.children(&at, after, 2).unwrap()
            })
        };
        assert_eq!(
            children(index),
            children(expected),
            "the children of {at:?}"
        );
    }
    assert_eq!(index.digest().unwrap(), expected.digest().unwrap());
    assert_eq!(
        index.record_count().unwrap(),
        expected.record_count().unwrap()
    );
    assert_eq!(
        index.pending_count().unwrap(),
        expected.pending_count().unwrap()
    );
    assert_eq!(
        index.excluded_count().unwrap(),
        expected.excluded_count().unwrap()
    );
    assert_eq!(index.holdings().unwrap(), expected.holdings().unwrap());
    assert_eq!(index.departing().unwrap(), expected.departing().unwrap());
}

fn assert_same_orders(index: &impl Store, expected: &MemoryStore) {
    let pending = |store: &dyn Store| pages(|after| store.pending(after, 2).unwrap());
    assert_eq!(pending(index), pending(expected));
    let backwards = |store: &dyn Store| pages(|after| store.pending_backwards(after, 2).unwrap());
    assert_eq!(backwards(index), backwards(expected));
    let excluded = |store: &dyn Store| pages(|after| store.excluded(after, 2).unwrap());
    assert_eq!(excluded(index), excluded(expected));
    for (_, record) in expected.records() {
        for dot in record.dots() {
            let before = dot.counter.saturating_sub(1);
            assert_eq!(
                index.by_dot(dot.replica, before, 2).unwrap(),
                expected.by_dot(dot.replica, before, 2).unwrap()
            );
        }
        for link in record.links() {
            assert_eq!(
                sorted(index.by_link(link, 100).unwrap()),
                expected.by_link(link, 100).unwrap()
            );
            assert_eq!(index.by_link(link, 1).unwrap().len(), 1);
        }
        for loser in record.copies() {
            let found = index.by_copy(loser).unwrap().unwrap();
            let record = expected.record(&found).unwrap().unwrap();
            assert!(record.copies().any(|copy| copy == loser));
        }
    }
}

fn assert_same_contents(index: &impl Store, expected: &MemoryStore) {
    for content in contents() {
        assert_eq!(
            sorted(index.by_content(content, 100).unwrap()),
            expected.by_content(content, 100).unwrap()
        );
        let some = expected.by_content(content, 2).unwrap().len();
        assert_eq!(index.by_content(content, 2).unwrap().len(), some);
    }
    let unknown = Dot {
        counter: 3,
        replica: ReplicaId(u64::MAX - 1),
    };
    assert_eq!(
        index.by_copy(unknown).unwrap().is_some(),
        expected.by_copy(unknown).unwrap().is_some()
    );
}

fn assert_same(index: &impl Store, expected: &MemoryStore) {
    assert_eq!(index.identity().unwrap(), expected.identity().unwrap());
    assert_eq!(index.knowledge().unwrap(), expected.knowledge().unwrap());
    assert_eq!(index.members().unwrap(), expected.members().unwrap());
    assert_same_records(index, expected);
    assert_same_orders(index, expected);
    assert_same_contents(index, expected);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_index_is_what_the_store_in_memory_is(steps in vec(step(), 1..40)) {
        let mut pair = Pair::new();
        for step in &steps {
            pair.step(step);
            let index = pair.index.as_ref().unwrap();
            assert_same(index, &pair.expected);
        }
    }

    #[test]
    fn a_reader_sees_the_last_commit_and_nothing_after(
        before in vec((any_path(), record()), 1..10),
        after in vec((any_path(), record()), 1..10),
    ) {
        let mut pair = Pair::new();
        for (path, record) in before {
            pair.set_record(&path, &record_at(&path, record.clone()));
        }
        pair.lifecycle(&Step::Commit(Durability::Group));
        let reader = pair.index().reader();
        for (path, record) in after {
            pair.set_record(&path, &record_at(&path, record.clone()));
        }
        pair.index().commit(Durability::Group).unwrap();
        for text in crate::generate::PATHS {
            let at = path(text);
            prop_assert_eq!(reader.record(&at).unwrap(), pair.committed.record(&at).unwrap());
            let children = reader.clone().children(&at, None, 100).unwrap();
            prop_assert_eq!(children, pair.committed.children(&at, None, 100).unwrap());
        }
    }
}
