//! Histories about replicas whose changes the others refuse, and that revert them, cut down, each with the story of its fault.

use replicat_sim::op::Act::*;
use replicat_sim::op::Op::*;

use crate::check;

/// All kinds of changes, reverted while others edit. What the others have is neither lost nor changed.
#[test]
fn revert_restores_what_others_hold() {
    check(
        3,
        1,
        &[
            User(0, MakeDirectory(3)),
            User(0, Write(4, 1)),
            User(0, Write(0, 2)),
            User(0, Write(1, 3)),
            Round,
            Round,
            Refuse(2),
            User(2, Delete(3)),
            User(2, Write(0, 4)),
            User(2, Rename(1, 2)),
            User(1, Write(1, 5)),
            Round,
            Revert(2, 0, 0),
            User(2, Write(0, 6)),
            Round,
            Revert(2, 1, 0),
            Round,
        ],
    );
}

/// A crash between the paths of a revert, which is asked for again.
#[test]
fn interrupted_revert_is_completed() {
    for after in 0..8 {
        check(
            2,
            2,
            &[
                User(0, Write(0, 1)),
                User(0, Write(1, 2)),
                Round,
                Refuse(1),
                User(1, Rename(0, 2)),
                User(1, Delete(1)),
                Round,
                CrashAfter(1, after),
                Revert(1, 0, 0),
                Revert(1, 0, 0),
            ],
        );
    }
}

/// Only the new path of a moved file was to be reverted. Its old path stayed deleted, and when the changes were accepted again
/// the file was gone everywhere.
#[test]
fn half_of_a_move_is_not_reverted() {
    check(
        2,
        3,
        &[
            User(0, Write(0, 1)),
            Round,
            Refuse(1),
            User(1, Rename(0, 1)),
            Scan(1),
            User(1, Rename(1, 2)),
            Scan(1),
            Revert(1, 0, 2),
            Refuse(1),
        ],
    );
}

/// A directory was to go, as its making was reverted, when a user made something in it. Its entry was empty, so that it was
/// not revived, and it waited for ever to become empty.
#[test]
fn reverted_directory_with_a_new_child_is_revived() {
    check(
        3,
        1592612936,
        &[
            User(0, MakeDirectory(3)),
            Refuse(0),
            Round,
            User(0, MakeDirectory(6)),
            Revert(0, 2, 0),
        ],
    );
}

/// A file whose making was reverted held what lost a conflict at another path. It was not preserved, as its own entry was
/// empty, and so it never went.
#[test]
fn reverted_file_that_lost_elsewhere_is_preserved() {
    check(
        2,
        1592647989,
        &[
            User(0, Write(3, 1)),
            Refuse(0),
            User(1, Write(8, 1)),
            Scan(0),
            Revert(0, 1, 0),
            User(0, Write(8, 5)),
        ],
    );
}

/// Another had received an event before the changes were refused, and had not confirmed it. Later changes of that path could
/// not be reverted.
#[test]
fn change_of_an_unconfirmed_event_is_reverted() {
    check(
        3,
        1592463625,
        &[
            User(1, Write(0, 2)),
            Apply(0, 0, 1),
            Scan(1),
            User(0, Write(0, 3)),
            User(2, Write(0, 4)),
            Exchange(1, 2, 0),
            Apply(2, 2, 2),
            User(0, Write(0, 5)),
            Scan(2),
            Exchange(2, 0, 5),
            Refuse(2),
            User(2, Write(0, 6)),
            UserAfter(1, 6, Write(0, 7)),
        ],
    );
}

/// Only replicas whose changes are refused held what lost a conflict. A revert dropped their copies of it.
#[test]
fn copy_of_what_others_lost_outlasts_a_revert() {
    check(
        4,
        1592548486,
        &[
            Refuse(1),
            UserAfter(2, 0, Write(0, 5)),
            Refuse(3),
            User(0, Write(0, 7)),
            Round,
            Hold(0),
            User(0, DeleteMany(65535)),
            Scan(0),
            Reject(0),
        ],
    );
}

/// An edit of a file that was moved at a replica whose changes are refused: nobody else hears of the move. The edit comes with the revert.
#[test]
fn edit_of_a_file_moved_by_a_refused_replica_arrives() {
    check(
        3,
        1592647283,
        &[
            User(0, MakeDirectory(3)),
            User(0, MakeDirectory(8)),
            User(0, Write(5, 1)),
            Round,
            UserAfter(0, 4, Write(5, 2)),
            UserAfter(2, 9, Rename(3, 11)),
            Exchange(2, 0, 5),
            Refuse(2),
        ],
    );
}

/// A refused change that goes out of scope before it is reverted.
#[test]
fn excluded_change_is_reverted() {
    check(
        2,
        4,
        &[
            User(0, Write(0, 1)),
            Round,
            Refuse(1),
            User(1, Write(0, 2)),
            Scan(1),
            Exclude(1, 0),
            Scan(1),
            Revert(1, 0, 0),
            User(0, Write(0, 3)),
            Round,
            Include(1),
            Round,
        ],
    );
}

/// A user moved a file while a revert went on, which dropped the new path of it: that path was to be reverted for an older
/// change.
#[test]
fn file_moved_while_a_revert_goes_on_stays() {
    check(
        2,
        1587668628,
        &[
            User(0, Write(1, 1)),
            Round,
            Clone(0),
            Refuse(0),
            User(1, Delete(0)),
            Exchange(1, 1, 0),
            Exclude(1, 0),
            Exchange(1, 1, 9),
            UserAfter(0, 7, Rename(1, 0)),
            Scan(0),
            Revert(0, 1, 11),
            CrashAfter(1, 0),
            Apply(1, 0, 2),
            Scan(1),
            Exclude(0, 3),
            User(1, Rename(0, 0)),
            User(0, Replace(0, 2)),
            Scan(1),
            User(0, PutBack(1)),
            Include(0),
            Clock(0, -1359),
            Round,
            Revert(0, 1, 7),
            Apply(0, 0, 4),
            Revert(0, 1, 0),
        ],
    );
}
