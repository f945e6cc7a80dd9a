//! What may be forgotten, and when.

use crate::id::{ContentHash, FolderId, ReplicaId};
use crate::memory::MemoryStore;
use crate::path::RelPath;
use crate::record::Fingerprint;
use crate::replica::{Now, Replica};
use crate::store::{Member, Store};
use crate::version::{Hlc, VersionVector};

use crate::entry::{Metadata, Payload};
use crate::observe::{Found, Present};

const OTHER: ReplicaId = ReplicaId(2);

fn path() -> RelPath {
    RelPath::new(b"a").unwrap()
}

/// A replica that made a file and deleted it, and has heard of another.
fn with_a_deletion() -> Replica<MemoryStore> {
    let mut replica = Replica::open(MemoryStore::new(FolderId(1), ReplicaId(1), "n")).unwrap();
    let content = ContentHash([1; 32]);
    let present = Present {
        payload: Payload::File {
            content,
            size: 1,
            link: None,
        },
        metadata: Metadata::default(),
        fingerprint: Fingerprint::default(),
        racy: false,
        changed: Hlc(1),
        touched: Hlc(1),
    };
    replica
        .observe(Now(1), &path(), Found::Present(present))
        .unwrap();
    replica
        .observe(Now(2), &path(), Found::Absent { moved_to: None })
        .unwrap();
    replica.note_applied().unwrap();
    replica
        .store_mut()
        .set_member(OTHER, &Member::default())
        .unwrap();
    replica
}

fn remembers(replica: &Replica<MemoryStore>) -> bool {
    !replica.record(&path()).unwrap().is_empty()
}

fn let_the_other_apply(replica: &mut Replica<MemoryStore>) {
    let member = Member {
        name: String::new(),
        applied: replica.knowledge().clone(),
    };
    replica.store_mut().set_member(OTHER, &member).unwrap();
}

#[test]
fn a_deletion_is_kept_until_everybody_has_applied_it() {
    let mut replica = with_a_deletion();
    assert_eq!(replica.forget([]).unwrap(), 0);
    assert!(remembers(&replica));
    let_the_other_apply(&mut replica);
    assert_eq!(replica.forget([]).unwrap(), 1);
    assert!(!remembers(&replica));
}

#[test]
fn a_deletion_is_kept_while_a_session_may_bring_what_it_deletes() {
    let mut replica = with_a_deletion();
    let_the_other_apply(&mut replica);
    assert_eq!(replica.forget([&VersionVector::new()]).unwrap(), 0);
    assert!(remembers(&replica));
    let known = replica.knowledge().clone();
    assert_eq!(replica.forget([&known]).unwrap(), 1);
}

#[test]
fn nobody_waits_for_the_evicted() {
    let mut replica = with_a_deletion();
    assert!(replica.evict(OTHER).unwrap());
    assert!(!replica.evict(OTHER).unwrap(), "once is enough");
    assert!(!replica.evict(ReplicaId(9)).unwrap(), "nobody knows it");
    assert!(!replica.evict(ReplicaId(1)).unwrap(), "that is itself");
    assert_eq!(replica.forget([]).unwrap(), 1);
    assert!(!remembers(&replica));
}
