//! Sessions that stay open.

use super::*;
use crate::entry::{Metadata, Payload};
use crate::id::ContentHash;
use crate::memory::MemoryStore;
use crate::observe::{Found, Present};
use crate::record::Fingerprint;
use crate::replica::Now;
use crate::version::Hlc;

type Peered = (Replica<MemoryStore>, Session);

fn replica(id: u64) -> Replica<MemoryStore> {
    Replica::open(MemoryStore::new(FolderId(1), ReplicaId(id), "n")).unwrap()
}

fn path(text: &str) -> RelPath {
    RelPath::new(text.as_bytes()).unwrap()
}

/// A user writes a file, and the replica sees it.
fn write(replica: &mut Replica<MemoryStore>, at: &str, content: u8) {
    let payload = Payload::File {
        content: ContentHash([content; 32]),
        size: 1,
        link: None,
    };
    make(replica, at, payload, content);
}

fn make(replica: &mut Replica<MemoryStore>, at: &str, payload: Payload, inode: u8) {
    let present = Present {
        payload,
        metadata: Metadata::default(),
        fingerprint: Fingerprint {
            inode: u64::from(inode),
            ..Fingerprint::default()
        },
        racy: false,
        changed: Hlc(1),
        touched: Hlc(1),
    };
    let found = Found::Present(present);
    replica.observe(Now(1), &path(at), found).unwrap();
}

/// Passes on messages until neither side has any; returns how many there were.
fn talk(one: &mut Peered, other: &mut Peered) -> usize {
    let mut count = 0;
    loop {
        let passed = pass_on(one, other) + pass_on(other, one);
        if passed == 0 {
            return count;
        }
        count += passed;
    }
}

fn pass_on(from: &mut Peered, to: &mut Peered) -> usize {
    let mut count = 0;
    while let Some(message) = from.1.poll(&mut from.0).unwrap() {
        to.1.receive(&mut to.0, message).unwrap();
        count += 1;
    }
    count
}

fn peers() -> (Peered, Peered) {
    let (one, other) = (replica(1), replica(2));
    let sessions = (Session::open(&one).unwrap(), Session::open(&other).unwrap());
    let (mut one, mut other) = ((one, sessions.0), (other, sessions.1));
    talk(&mut one, &mut other);
    assert!(one.1.is_live() && other.1.is_live());
    (one, other)
}

fn has(peered: &Peered, at: &str) -> bool {
    peered.0.record(&path(at)).unwrap().entry.is_live()
}

#[test]
fn a_live_session_carries_what_is_announced_and_then_is_silent() {
    let (mut one, mut other) = peers();
    write(&mut one.0, "a", 1);
    write(&mut other.0, "b", 2);
    assert_eq!(
        talk(&mut one, &mut other),
        0,
        "nothing was announced, nothing is said"
    );
    one.1.announce();
    other.1.announce();
    talk(&mut one, &mut other);
    for side in [&one, &other] {
        assert!(has(side, "a") && has(side, "b") && side.1.is_whole());
    }
    assert_eq!(one.0.knowledge(), other.0.knowledge());
    one.1.announce();
    other.1.announce();
    talk(&mut one, &mut other);
    one.1.announce();
    other.1.announce();
    assert_eq!(
        talk(&mut one, &mut other),
        0,
        "what is acknowledged is not told again"
    );
}

#[test]
fn what_a_live_session_told_counts_as_told() {
    let (mut one, mut other) = peers();
    write(&mut one.0, "a", 1);
    one.1.announce();
    talk(&mut one, &mut other);
    other.1.announce();
    talk(&mut one, &mut other);
    let identity = one.0.identity();
    assert_eq!(identity.confirmed, identity.counter);
    assert_eq!(identity.published, [identity.confirmed]);
}

#[test]
fn entries_without_their_end_are_not_whole() {
    let (mut one, mut other) = peers();
    write(&mut one.0, "a", 1);
    one.1.announce();
    let message = one.1.poll(&mut one.0).unwrap().unwrap();
    assert!(matches!(message, Message::Entries(_)));
    other.1.receive(&mut other.0, message).unwrap();
    assert!(!other.1.is_whole());
    talk(&mut one, &mut other);
    assert!(other.1.is_whole());
}

/// A replica whose records differ though its knowledge does not, as after a fault of its store.
#[test]
fn sums_that_differ_on_a_live_session_lead_to_repair() {
    let (mut one, mut other) = peers();
    for (number, name) in (1..).zip(["a", "b", "c"]) {
        write(&mut one.0, name, number);
    }
    one.1.announce();
    talk(&mut one, &mut other);
    let lost = crate::record::Record::default();
    other.0.store_mut().set_record(&path("b"), &lost).unwrap();
    assert!(!has(&other, "b"));
    other.1.announce();
    other.1.compare_again();
    talk(&mut one, &mut other);
    assert!(has(&one, "b") && has(&other, "b"));
    assert_eq!(one.1.outcome(), Some(Outcome::Equal));
    assert_eq!(other.1.outcome(), Some(Outcome::Equal));
}

/// What a repair with a third brings may be of events that both sides have said they know. It is told, and that it was told
/// whole: who hears it would wait for the end for ever.
#[test]
fn what_is_told_of_events_known_before_is_told_to_its_end() {
    let (mut one, mut other) = peers();
    write(&mut one.0, "a", 1);
    write(&mut one.0, "b", 2);
    let kept = one.0.record(&path("b")).unwrap();
    let lost = crate::record::Record::default();
    one.0.store_mut().set_record(&path("b"), &lost).unwrap();
    one.1.announce();
    talk(&mut one, &mut other);
    assert_eq!(one.0.knowledge(), other.0.knowledge());
    one.0.store_mut().set_record(&path("b"), &kept).unwrap();
    one.1.announce();
    talk(&mut one, &mut other);
    assert!(has(&other, "b") && other.1.is_whole());
    one.1.announce();
    assert_eq!(talk(&mut one, &mut other), 0);
}

/// The pages of a repair come from the top down. Who settled between two of them would take a directory that is gone with all
/// that it held for one that is gone beneath a file that stays.
#[test]
fn a_repair_is_not_whole_before_its_end() {
    let (mut one, mut other) = peers();
    make(&mut one.0, "d", Payload::Directory, 9);
    for (number, name) in (1..).zip(["d/a", "d/b", "e"]) {
        write(&mut one.0, name, number);
    }
    one.1.announce();
    talk(&mut one, &mut other);
    let lost = crate::record::Record::default();
    for name in ["d/a", "d/b"] {
        other.0.store_mut().set_record(&path(name), &lost).unwrap();
    }
    other.1.announce();
    other.1.compare_again();
    let mut came = [0, 0];
    loop {
        let mut passed = 0;
        for came in &mut came {
            while let Some(message) = one.1.poll(&mut one.0).unwrap() {
                let repairs = matches!(message, Message::TreeReply(_) | Message::Repair(_));
                other.1.receive(&mut other.0, message).unwrap();
                assert!(!repairs || !other.1.is_whole());
                *came += usize::from(repairs);
                passed += 1;
            }
            std::mem::swap(&mut one, &mut other);
        }
        if passed == 0 {
            break;
        }
    }
    assert!(came.iter().sum::<usize>() > 0);
    assert!(one.1.is_whole() && other.1.is_whole());
    assert!(has(&other, "d/a") && has(&other, "d/b"));
}

#[test]
fn crossing_sums_on_a_live_session_are_one_comparison() {
    let (mut one, mut other) = peers();
    one.1.compare_again();
    other.1.compare_again();
    assert_eq!(one.1.outcome(), None);
    assert_eq!(talk(&mut one, &mut other), 2);
    assert_eq!(one.1.outcome(), Some(Outcome::Equal));
    assert_eq!(other.1.outcome(), Some(Outcome::Equal));
}

/// How many entries are told from here on, both ways.
fn entries_told(one: &mut Peered, other: &mut Peered) -> usize {
    let mut count = 0;
    loop {
        let mut passed = 0;
        for _ in 0..2 {
            while let Some(message) = one.1.poll(&mut one.0).unwrap() {
                if let Message::Entries(entries) = &message {
                    count += entries.len();
                }
                other.1.receive(&mut other.0, message).unwrap();
                passed += 1;
            }
            std::mem::swap(one, other);
        }
        if passed == 0 {
            return count;
        }
    }
}

/// Three replicas that are all connected: what one makes would be passed on by each of the others to the other.
#[test]
fn who_asks_first_does_not_tell_what_the_other_heard_from_a_third() {
    let (mut one, mut other) = peers();
    let mut third = replica(3);
    for (number, name) in (1..).zip(["a", "b", "c"]) {
        write(&mut third, name, number);
    }
    let session = Session::open(&third).unwrap();
    let mut third = (third, session);
    for peered in [&mut one, &mut other] {
        third.1 = Session::open(&third.0).unwrap();
        let mut session = Session::open(&peered.0).unwrap();
        std::mem::swap(&mut peered.1, &mut session);
        talk(&mut third, peered);
        peered.1 = session;
    }
    one.1.ask_first();
    one.1.announce();
    other.1.announce();
    // The other is still amid hearing of it: nothing is told meanwhile.
    other.1.hold_answer(true);
    let sum = one.1.poll(&mut one.0).unwrap();
    assert!(matches!(sum, Some(Message::Sum { .. })));
    other.1.receive(&mut other.0, sum.unwrap()).unwrap();
    assert!(one.1.poll(&mut one.0).unwrap().is_none() && one.1.asks_first());
    other.1.hold_answer(false);
    other.1.ask_first();
    assert_eq!(entries_told(&mut one, &mut other), 0);
    assert_eq!(one.1.peer_knowledge(), Some(one.0.knowledge()));
    assert_eq!(other.1.peer_knowledge(), Some(other.0.knowledge()));
}

#[test]
fn who_gets_no_answer_tells_anyway() {
    let (mut one, mut other) = peers();
    write(&mut one.0, "a", 1);
    one.1.ask_first();
    one.1.announce();
    other.1.hold_answer(true);
    assert_eq!(entries_told(&mut one, &mut other), 0);
    one.1.tell_anyway();
    assert_eq!(entries_told(&mut one, &mut other), 1);
    other.1.hold_answer(false);
    talk(&mut one, &mut other);
    assert!(has(&other, "a") && one.1.outcome().is_some());
}

#[test]
fn a_live_session_ends_when_the_other_knows_what_was_never_told() {
    let (mut one, _) = peers();
    let unheard = VersionVector::from_iter([Dot {
        counter: 77,
        replica: ReplicaId(1),
    }]);
    let told = one
        .1
        .receive(&mut one.0, Message::Sent { knowledge: unheard });
    assert!(matches!(told, Err(SessionError::Restored)));
}

/// What `of` says that it has brought to its storage, as `at` was told.
fn progress(at: &Peered, of: &Peered) -> VersionVector {
    let members = at.0.store().members().unwrap();
    let id = of.0.identity().replica;
    let member = members.into_iter().find(|(known, _)| *known == id);
    member.unwrap().1.applied
}

#[test]
fn who_has_work_left_takes_back_what_it_said_of_its_progress_and_is_believed() {
    let (mut one, mut other) = peers();
    write(&mut one.0, "file", 1);
    one.1.announce();
    talk(&mut one, &mut other);
    // It is known there, and not brought to the storage.
    assert_eq!(one.0.knowledge(), other.0.knowledge());
    assert!(!other.0.note_applied().unwrap());
    assert!(!other.0.withdraw_applied().unwrap());
    assert!(one.0.note_applied().unwrap());
    assert!(!one.0.withdraw_applied().unwrap());
    one.1.announce();
    talk(&mut one, &mut other);
    assert_eq!(progress(&other, &one), *one.0.knowledge());
    let mut record = one.0.record(&path("file")).unwrap();
    record.local = None;
    one.0.write(&path("file"), record).unwrap();
    assert!(one.0.withdraw_applied().unwrap());
    one.1.announce();
    talk(&mut one, &mut other);
    assert_eq!(progress(&other, &one), VersionVector::new());
}

/// Whether `of` is forgotten, as `at` has it.
fn is_forgotten(at: &Peered, of: ReplicaId) -> bool {
    let members = at.0.store().members().unwrap();
    let member = members.into_iter().find(|(known, _)| *known == of);
    member.unwrap().1.is_forgotten()
}

#[test]
fn a_forgotten_replica_is_listed_when_it_speaks() {
    let (mut one, mut other) = peers();
    let third = ReplicaId(3);
    let gone = crate::store::Member {
        name: "gone".to_owned(),
        ..Default::default()
    };
    one.0.store_mut().set_member(third, &gone).unwrap();
    one.1.announce();
    talk(&mut one, &mut other);
    assert!(!is_forgotten(&other, third));
    assert!(one.0.forget_member(third).unwrap());
    assert!(!one.0.forget_member(third).unwrap());
    one.1.announce();
    talk(&mut one, &mut other);
    // It does not come back by what others say of it.
    other.1.announce();
    talk(&mut one, &mut other);
    assert!(is_forgotten(&one, third) && is_forgotten(&other, third));
    // One that is there hears of it, and says so.
    let (own, id) = (one.0.identity().replica, other.0.identity().replica);
    assert!(!one.0.forget_member(own).unwrap());
    assert!(one.0.forget_member(id).unwrap());
    one.1.announce();
    talk(&mut one, &mut other);
    other.1.announce();
    talk(&mut one, &mut other);
    assert!(!is_forgotten(&one, id) && !is_forgotten(&other, id));
}

#[test]
fn a_greeting_tells_who_was_forgotten() {
    let (mut one, _) = peers();
    let mut late = replica(9);
    let third = ReplicaId(3);
    let new = crate::store::Member::default();
    late.store_mut().set_member(third, &new).unwrap();
    for id in [third, ReplicaId(9)] {
        one.0.store_mut().set_member(id, &new).unwrap();
    }
    one.0.forget_member(third).unwrap();
    one.0.forget_member(ReplicaId(9)).unwrap();
    let hello = one.0.greeting().unwrap();
    late.meet(&hello).unwrap();
    let members = late.store().members().unwrap();
    let presence = |of| {
        let member = members.iter().find(|(id, _)| *id == of);
        member.unwrap().1.presence
    };
    assert_eq!(presence(third), 1);
    let hello = late.greeting().unwrap();
    one.0.meet(&hello).unwrap();
    assert!(!is_forgotten(&one, ReplicaId(9)));
    assert_eq!(presence(ReplicaId(9)), 2);
}

/// The paths at which a replica has events that nobody has confirmed, after it was told what `one` has at `a`.
fn unconfirmed_when_told(one: &Replica<MemoryStore>, reader: &mut Replica<MemoryStore>) -> usize {
    reader.set_refused(true);
    let entry = one.record(&path("a")).unwrap().entry;
    reader.merge_entries(vec![(path("a"), entry)]).unwrap();
    reader.unconfirmed_paths().unwrap().len()
}

#[test]
fn equal_file_of_a_refused_replica_yields() {
    let (mut one, mut reader) = (replica(1), replica(2));
    write(&mut one, "a", 1);
    write(&mut reader, "a", 1);
    assert_eq!(unconfirmed_when_told(&one, &mut reader), 0);
    assert!(reader.forget_reverted().unwrap());
    assert!(reader.knowledge().is_empty());
    let record = reader.record(&path("a")).unwrap();
    assert_eq!(record.entry, one.record(&path("a")).unwrap().entry);
    assert!(record.local.is_some() && !record.pending);
}

#[test]
fn changed_file_of_a_refused_replica_stays() {
    let (mut one, mut reader) = (replica(1), replica(2));
    write(&mut one, "a", 1);
    write(&mut reader, "a", 2);
    write(&mut reader, "a", 1);
    assert_eq!(unconfirmed_when_told(&one, &mut reader), 1);
    let mut writer = replica(3);
    write(&mut writer, "a", 1);
    let entry = one.record(&path("a")).unwrap().entry;
    writer.merge_entries(vec![(path("a"), entry)]).unwrap();
    assert_eq!(writer.unconfirmed_paths().unwrap().len(), 1);
}
