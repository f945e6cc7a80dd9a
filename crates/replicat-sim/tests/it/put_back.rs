//! Histories of files that were deleted, described or replaced, and put back, that once failed, cut down.

use replicat_sim::op::Act::*;
use replicat_sim::op::Op::*;

use crate::check;

/// A user deleted a file and put it back, while one that somebody else had made there was on its way. The deletion took the
/// file that was put back for the one that it had deleted.
#[test]
fn a_file_put_back_where_another_is_on_its_way_stays() {
    check(
        3,
        1770155210,
        &[
            User(0, Write(0, 1)),
            UserAfter(2, 5, PutBack(0)),
            User(2, Write(0, 2)),
            Scan(2),
            User(2, Delete(0)),
            Round,
        ],
    );
}

/// A user put a file back where it had been deleted elsewhere, and deleted it again. That was not told, as the path was to be
/// empty anyway; then somebody wrote it in knowledge of the first deletion alone.
#[test]
fn a_second_deletion_is_told() {
    check(
        2,
        1772089795,
        &[
            User(0, Write(0, 3)),
            Round,
            User(1, Write(0, 4)),
            User(0, Delete(0)),
            Scan(0),
            Exchange(1, 0, 4),
            User(0, Write(0, 7)),
            User(1, PutBack(0)),
            Scan(1),
            User(1, Delete(0)),
        ],
    );
}

/// A user replaced his file, which had lost to a directory, by a directory. That was taken for the one that was to come, and
/// the end of the file was not told; the directory was deleted elsewhere, and the file, which was nowhere, had the path.
#[test]
fn a_loser_that_gives_way_to_the_winner_is_gone() {
    check(
        2,
        1769856009,
        &[
            User(0, MakeDirectory(3)),
            Round,
            User(1, BecomeDirectory(5)),
            User(0, Write(5, 2)),
            Scan(1),
            Scan(0),
            User(1, Delete(5)),
            User(0, BecomeDirectory(5)),
            Exchange(0, 1, 5),
        ],
    );
}

/// A user gave his edit the permissions that another had given the file: then it looks as it is to look, and is not replaced.
#[test]
fn an_edit_described_as_it_is_to_be_stays() {
    check(
        3,
        1767450209,
        &[
            User(0, Write(0, 3)),
            Round,
            User(2, Chmod(0, 1)),
            UserAfter(0, 10, Write(0, 5)),
            Round,
            User(0, Chmod(0, 1)),
        ],
    );
}

/// A user deleted a file and put it back. Another replica, whose index had been restored from before that, took the file that
/// the deletion had removed for one that its own user had deleted, and the file that was put back went with it.
#[test]
fn a_deletion_told_anew_spares_what_was_put_back_since() {
    check(
        2,
        1552527797,
        &[
            User(0, Write(1, 1)),
            Round,
            Backup(1),
            User(2, Delete(1)),
            Round,
            User(2, PutBack(1)),
            RestoreIndex(1),
        ],
    );
}

/// The same, of a file that was described since it was put back.
#[test]
fn a_deletion_told_anew_spares_what_was_put_back_and_described() {
    check(
        2,
        1552527797,
        &[
            User(0, Write(1, 1)),
            Round,
            Backup(1),
            User(2, Delete(1)),
            Round,
            User(2, PutBack(1)),
            Scan(0),
            User(2, Chmod(1, 1)),
            Scan(0),
            User(2, Rewrite(1)),
            RestoreIndex(1),
        ],
    );
}

/// Five users deleted a file and put it back. Whether a deletion counted was judged by its context, which grew at some replicas
/// and not at others by a join: they showed different things, and their sums were equal.
#[test]
fn what_is_shown_does_not_depend_on_contexts_that_grow() {
    check(
        5,
        1491672672,
        &[
            User(0, MakeDirectory(11)),
            User(0, Write(0, 1)),
            User(0, Write(0, 2)),
            Round,
            Exchange(0, 0, 0),
            User(0, Delete(0)),
            User(4, PutBack(0)),
            Scan(1),
            Scan(0),
            User(0, PutBack(0)),
            Scan(0),
            User(1, PutBack(0)),
            User(4, Delete(0)),
            User(3, PutBack(0)),
            Exchange(0, 4, 0),
            Crash(3),
            User(1, Delete(0)),
        ],
    );
}

/// A file was moved to where a filter left it out before any scan saw it there, and its old content was put back at its old path. That
/// counts as an edit of the file, and what was moved yields to it when it comes into sight again.
#[test]
fn a_file_that_was_moved_behind_a_filter_yields_to_what_was_put_in_its_place() {
    check(
        2,
        1941273231,
        &[
            User(0, Write(1, 1)),
            Round,
            User(0, Rename(1, 0)),
            User(1, Write(1, 2)),
            Scan(1),
            User(1, Rename(1, 0)),
            Exclude(1, 0),
            User(1, PutBack(1)),
            Round,
        ],
    );
}

/// Two users moved a file over another. One of them had written a new one at its old path, and deleted it at the new: what was
/// written there followed the other's move, and the deletion went up in that. Then its user put the deleted file back, which was taken
/// for old content.
#[test]
fn a_file_put_back_where_an_edit_follows_stays() {
    check(
        2,
        1870094898,
        &[
            User(0, Write(0, 2)),
            User(0, Write(1, 3)),
            Round,
            User(1, Rename(0, 1)),
            User(0, Rename(0, 1)),
            User(1, Replace(0, 4)),
            UserAfter(1, 7, Delete(1)),
            Scan(0),
            Exchange(0, 1, 0),
            Apply(1, 0, 2),
            Exchange(0, 1, 0),
            User(1, PutBack(1)),
        ],
    );
}
