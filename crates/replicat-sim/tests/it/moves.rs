//! Histories of moves that once failed, cut down, each with the story of its fault.

use replicat_sim::op::Act::*;
use replicat_sim::op::Op::*;

use crate::check;

/// A file went there and back while it was being scanned, and elsewhere it was moved there and its place taken. The
/// deletion of the passing file took the other one, of equal content, along.
#[test]
fn a_file_seen_in_passing_takes_no_other_along() {
    check(
        2,
        1552863593,
        &[
            User(0, Write(0, 1)),
            Round,
            User(1, Rename(0, 2)),
            UserAfter(1, 1, Rename(2, 0)),
            Scan(1),
            User(0, Rename(0, 2)),
            User(0, Write(0, 6)),
        ],
    );
}

/// Of a file there and back, only the way there was seen, since filters left out where it came from. Elsewhere it was
/// moved there as well: each replica's deletion took the other's file for its own.
#[test]
fn moves_that_cross_where_filters_hide_one_end_keep_the_file() {
    check(
        2,
        1799624039,
        &[
            User(0, MakeDirectory(8)),
            User(0, Write(10, 2)),
            Round,
            User(1, Rename(10, 9)),
            CrashAfter(0, 7),
            Round,
            User(1, Rename(9, 10)),
            Exclude(1, 10),
            User(0, Rename(10, 9)),
            Scan(1),
        ],
    );
}

/// Two edits followed two moves, each to where the other stood. Each waited for the other to be made first.
#[test]
fn edits_that_follow_to_each_others_places_are_swapped() {
    check(
        4,
        1999992974,
        &[
            User(0, Write(3, 1)),
            User(0, Write(1, 2)),
            Round,
            Keep(1, 0),
            Keep(3, 1),
            User(1, Rename(3, 1)),
            Exchange(3, 1, 0),
            Exchange(0, 1, 0),
            Include(0),
            User(2, Rename(1, 3)),
            User(3, Delete(3)),
            Clone(0),
            Exchange(2, 1, 0),
            Scan(2),
            User(1, Rename(3, 1)),
            Scan(0),
            User(3, Rename(1, 3)),
            User(3, Rename(3, 1)),
            Apply(3, 1, 2),
            User(3, Write(1, 3)),
        ],
    );
}

/// An edit followed a move to a path that filters leave out here. Its file was displaced into staging, and came out of
/// it nowhere.
#[test]
fn an_edit_that_follows_out_of_scope_stays_where_it_is() {
    check(
        2,
        1592371206,
        &[
            User(0, MakeDirectory(8)),
            User(0, MakeDirectory(11)),
            User(0, Write(12, 2)),
            Round,
            UserAfter(0, 7, Write(0, 3)),
            Exclude(1, 0),
            User(1, Write(12, 5)),
            User(0, Rename(12, 0)),
            Round,
        ],
    );
}

/// An edit followed a move, lost at the destination to a file made there meanwhile, and was overwritten at its old path
/// before it was carried: the version that nobody could make was not withdrawn, as it was not the winner.
#[test]
fn a_followed_edit_that_lost_and_was_overwritten_is_withdrawn() {
    check(
        2,
        1428105719,
        &[
            User(0, MakeDirectory(8)),
            User(0, MakeDirectory(11)),
            User(0, Write(9, 1)),
            User(0, Write(12, 2)),
            Round,
            User(1, Write(9, 3)),
            User(1, Rename(9, 12)),
            Scan(1),
            User(1, Write(12, 4)),
            User(0, Rename(12, 9)),
            Scan(0),
            User(1, Write(9, 1)),
            Exchange(0, 1, 0),
        ],
    );
}

/// A deletion superseded a concurrent change of permissions by derivation alone. The file went, then somebody who knew
/// of the deletion and not of the change wrote the path anew: the change stood again, with a content that was nowhere.
#[test]
fn what_yielded_to_a_deletion_does_not_stand_again() {
    check(
        2,
        1758646767,
        &[
            User(0, MakeDirectory(3)),
            User(0, Write(4, 2)),
            Round,
            User(1, Delete(4)),
            Clock(0, 1579),
            User(0, Chmod(4, 1)),
            Scan(1),
            Exchange(1, 0, 0),
            Apply(0, 0, 2),
            Apply(0, 0, 2),
            User(1, Replace(4, 3)),
        ],
    );
}

/// A file moved away elsewhere came to its new path here, and before it had left the old one a user moved it back there: to
/// where it was known to be, and was about to be removed from.
#[test]
fn a_file_moved_back_to_where_it_is_to_be_removed_stays() {
    check(
        2,
        1754842154,
        &[
            User(0, Write(8, 2)),
            Round,
            Round,
            User(0, Rename(8, 0)),
            UserAfter(1, 7, Rename(0, 8)),
            Exchange(1, 0, 0),
            User(1, Rename(8, 0)),
            Round,
        ],
    );
}

/// Two replicas held an edit, and both carried it to where its directory had moved. It lost there, and each made a copy of
/// its own carrying, under another name.
#[test]
fn an_edit_carried_twice_that_lost_has_one_copy() {
    check(
        3,
        1754330325,
        &[
            User(0, MakeDirectory(3)),
            User(0, MakeDirectory(8)),
            User(0, MakeDirectory(6)),
            User(0, Write(2, 1)),
            User(0, Write(8, 2)),
            User(0, Write(8, 3)),
            Round,
            Keep(2, 2),
            Keep(1, 0),
            UserAfter(0, 2, Write(8, 4)),
            Scan(2),
            Exchange(1, 2, 0),
            User(2, Write(10, 2)),
            Scan(1),
            User(1, Write(10, 5)),
            User(1, Rename(8, 6)),
            Scan(2),
            Exchange(1, 0, 4),
            Exchange(2, 0, 6),
            User(1, Rename(10, 8)),
            Scan(1),
            Exchange(1, 0, 0),
            Apply(0, 0, 2),
        ],
    );
}

/// A file seen in passing at one path went back to the other, unseen; elsewhere it was moved to the first, and here something
/// else took its place. The file was known at neither, though it stood.
#[test]
fn a_file_moved_back_where_it_was_known_all_along_stays() {
    check(
        2,
        1748470414,
        &[
            User(0, Write(1, 1)),
            Scan(0),
            Exchange(0, 1, 0),
            Apply(1, 0, 2),
            User(0, Rename(1, 0)),
            User(1, Rename(1, 0)),
            UserAfter(1, 7, Rename(0, 1)),
            Exchange(0, 1, 7),
            Scan(1),
            Exchange(1, 0, 0),
            Apply(0, 0, 2),
            UserAfter(1, 6, MakeDirectory(0)),
            Exchange(0, 1, 0),
        ],
    );
}

/// Two files were moved across each other, one there and back. Each replica let the other's leave, since its own was there,
/// and told that its own stays: for ever.
#[test]
fn moves_in_a_circle_come_to_rest() {
    check(
        2,
        1765962044,
        &[
            User(0, Write(2, 1)),
            Round,
            User(0, Rename(2, 0)),
            UserAfter(0, 8, Rename(0, 1)),
            User(1, Rename(2, 1)),
            CrashAfter(1, 9),
            Scan(0),
            Exchange(0, 1, 0),
            Exchange(0, 1, 0),
            User(1, Rename(1, 0)),
        ],
    );
}

/// A file was described anew here; elsewhere it was moved and written. It followed, lost to what had been made from it, and
/// was overwritten before its copy was made: the copy was not withdrawn with it.
#[test]
fn a_copy_of_what_followed_is_withdrawn_with_it() {
    check(
        3,
        1769950701,
        &[
            User(0, MakeDirectory(3)),
            User(0, Write(0, 1)),
            Round,
            User(1, Rewrite(0)),
            User(2, Rename(0, 5)),
            Scan(1),
            User(2, Write(5, 2)),
            Scan(2),
            Exchange(2, 0, 0),
            Apply(0, 0, 2),
            Exchange(1, 0, 0),
            User(1, Write(0, 3)),
        ],
    );
}

/// Two files were swapped. The one that was looked at first was taken for an edit of the other, and superseded it where
/// somebody else had put it back.
#[test]
fn a_file_that_was_swapped_is_no_edit_of_the_other() {
    check(
        2,
        3963250497,
        &[
            User(0, Write(1, 2)),
            User(0, Write(0, 3)),
            Round,
            User(1, Rename(0, 1)),
            User(0, Swap(0, 1)),
            Scan(0),
            Exchange(0, 1, 0),
            Scan(1),
            User(1, Rename(1, 0)),
        ],
    );
}

/// A user moved a file away and wrote another in its place, which a plan found before it was seen where the first had gone, so
/// that it passed for an edit. Another user moved the file there and back again, to where it was superseded by the edit.
#[test]
fn a_file_moved_there_and_back_is_not_what_an_edit_was_made_from() {
    check(
        2,
        1491863075,
        &[
            User(0, Write(0, 2)),
            Round,
            User(1, Rename(0, 1)),
            User(0, Rename(0, 1)),
            Scan(0),
            User(1, Write(0, 3)),
            Exchange(1, 0, 0),
            User(0, Rename(1, 0)),
            Apply(1, 0, 2),
        ],
    );
}

/// A directory was copied while its user had moved a file away in it, and he moved it back while it was looked through. The copy
/// told that the file was gone from its old place, the original that it was gone from the new one, and both counted.
#[test]
fn a_file_moved_back_is_not_what_a_copy_saw_gone() {
    check(
        2,
        1124883900,
        &[
            User(0, Write(0, 1)),
            Round,
            Round,
            User(0, Rename(0, 1)),
            UserAfter(0, 1, Rename(1, 0)),
            Clone(0),
            Round,
        ],
    );
}

/// A file was to be carried to where another stood, and the user swapped the two himself. The first was taken for replaced, because the
/// place that it had gone to was looked at later, and what was to be carried there was withdrawn.
#[test]
fn a_swap_of_what_is_to_be_carried_withdraws_nothing() {
    check(
        3,
        1867297477,
        &[
            User(0, MakeDirectory(8)),
            User(0, Write(1, 1)),
            Round,
            User(2, Rename(1, 10)),
            Scan(1),
            User(1, PutBack(1)),
            User(1, BecomeFile(1, 2)),
            User(0, Swap(1, 10)),
            User(1, Chmod(10, 0)),
            User(1, EditCopy(2, 3)),
            Round,
            Exchange(0, 1, 6),
            User(0, Swap(10, 1)),
        ],
    );
}

/// A user wrote a file with the name of a conflict copy. It lost against that copy and was preserved; then the copy was renamed,
/// and it had the name again. It was taken for a second copy of what it holds.
#[test]
fn file_with_the_name_of_a_copy_is_no_copy() {
    check(
        3,
        1588948968,
        &[
            User(2, BecomeFile(8, 1)),
            Apply(2, 0, 4),
            User(1, Replace(0, 2)),
            Scan(2),
            Exchange(2, 2, 0),
            Apply(2, 0, 2),
            Exchange(2, 0, 0),
            User(0, Replace(8, 3)),
            Scan(0),
            Exchange(0, 2, 0),
            Apply(2, 0, 2),
            Exchange(0, 0, 3),
            Include(1),
            User(1, WriteCopyName(1, 4)),
            Apply(2, 0, 2),
            Apply(1, 0, 3),
            Exchange(0, 0, 0),
            Exchange(1, 2, 0),
            User(2, RenameCopy(1, 0)),
            User(0, Rename(0, 0)),
            Round,
        ],
    );
}
