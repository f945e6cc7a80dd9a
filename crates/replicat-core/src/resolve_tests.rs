//! Small sets of versions, and what they must show.

use crate::entry::{Entry, Metadata, PLACED, Payload, Stamps, Version};
use crate::id::{ContentHash, ReplicaId};
use crate::version::{Context, Dot, Hlc};

fn version(replica: u64, counter: u64, payload: Payload) -> Version {
    Version {
        dot: Dot {
            counter,
            replica: ReplicaId(replica),
        },
        context: Context::default(),
        hlc: Hlc(counter),
        payload,
        metadata: Metadata {
            mode: Some(0o644),
            ..Metadata::default()
        },
        stamps: Stamps::all(Hlc(counter)),
        base: None,
        carry: None,
        conflict_of: None,
    }
}

fn file(content: u8) -> Payload {
    Payload::File {
        content: ContentHash([content; 32]),
        size: 1,
        link: None,
    }
}

fn gone() -> Payload {
    Payload::Tombstone { moved_to: None }
}

fn entry(versions: &[Version]) -> Entry {
    Entry::from_stored(versions.to_vec())
}

#[test]
fn content_beats_a_later_deletion() {
    let entry = entry(&[version(1, 1, file(1)), version(2, 9, gone())]);
    assert_eq!(entry.shown().unwrap().payload(), &file(1));
}

#[test]
fn a_deletion_of_this_very_content_wins() {
    let mut deletion = version(2, 1, gone());
    deletion.base = Some(ContentHash([1; 32]));
    let entry = entry(&[version(1, 9, file(1)), deletion]);
    assert!(!entry.is_live());
}

#[test]
fn what_was_placed_knowingly_is_no_old_content() {
    let mut back = version(1, 1, file(1));
    back.base = Some(PLACED);
    let mut deletion = version(2, 5, gone());
    deletion.base = Some(ContentHash([1; 32]));
    assert!(entry(&[back.clone(), deletion]).is_live());
    let mut edit = version(2, 5, file(2));
    edit.base = Some(ContentHash([1; 32]));
    let contested = entry(&[back.clone(), edit]);
    let shown = contested.shown().unwrap();
    assert_eq!(shown.payload(), &file(2));
    assert_eq!(shown.losers[0].dot, back.dot);
}

#[test]
fn a_directory_keeps_the_name_and_the_file_is_to_be_preserved() {
    let entry = entry(&[version(1, 9, file(1)), version(2, 1, Payload::Directory)]);
    let shown = entry.shown().unwrap();
    assert!(shown.payload().is_directory());
    assert_eq!(shown.losers.len(), 1);
}

#[test]
fn what_was_derived_wins_over_what_it_was_derived_from() {
    let mut edit = version(2, 1, file(2));
    edit.base = Some(ContentHash([1; 32]));
    let entry = entry(&[version(1, 9, file(1)), edit]);
    let shown = entry.shown().unwrap();
    assert_eq!(shown.payload(), &file(2));
    assert!(shown.losers.is_empty());
}

#[test]
fn versions_derived_from_each_other_are_an_ordinary_conflict() {
    let (mut one, mut other) = (version(1, 3, file(1)), version(2, 4, file(2)));
    one.base = Some(ContentHash([2; 32]));
    other.base = Some(ContentHash([1; 32]));
    let entry = entry(&[one, other]);
    let shown = entry.shown().unwrap();
    assert_eq!(shown.payload(), &file(2));
    assert_eq!(shown.losers.len(), 1);
}

#[test]
fn a_mode_change_survives_a_concurrent_edit() {
    let mut mode = version(1, 5, file(1));
    mode.metadata.mode = Some(0o600);
    mode.base = Some(ContentHash([1; 32]));
    let mut edit = version(2, 9, file(2));
    edit.base = Some(ContentHash([1; 32]));
    edit.stamps.mode = Hlc(1);
    let entry = entry(&[mode, edit]);
    let shown = entry.shown().unwrap();
    assert_eq!(shown.payload(), &file(2));
    assert_eq!(shown.metadata().mode, Some(0o600));
}

#[test]
fn equal_values_join_under_the_highest_dot() {
    let mut held = Entry::default();
    let (mut one, mut two) = (version(1, 1, file(1)), version(2, 2, file(1)));
    (one.hlc, one.stamps) = (two.hlc, two.stamps);
    two.context.vector.add(Dot {
        counter: 1,
        replica: ReplicaId(7),
    });
    held.insert(one.clone());
    held.insert(two.clone());
    assert_eq!(held.versions().len(), 1);
    assert_eq!(held.versions()[0].dot, two.dot);
    assert!(held.versions()[0].context.vector.contains(one.dot));
}

#[test]
fn a_late_copy_of_a_loser_gives_way_to_what_became_of_the_first_copy() {
    let loser = Dot {
        counter: 1,
        replica: ReplicaId(5),
    };
    let mut late = version(1, 9, file(1));
    late.carry = Some(crate::entry::Carry::Copy(loser));
    late.context.add_carried(loser);
    let mut deletion = version(2, 3, gone());
    deletion.context.add_carried(loser);
    let mut held = Entry::default();
    held.insert(deletion);
    held.insert(late);
    assert!(!held.is_live());
}
