//! Histories about filters that change, cut down, each with the story of its fault.

use replicat_sim::op::Act::*;
use replicat_sim::op::Op::*;

use crate::check;

/// A user moved a file out of an excluded path, to where another replica had moved it before. That it had left the excluded
/// path was announced as a deletion later, and met the only copy, which was back there.
#[test]
fn file_moved_out_of_an_excluded_path_stays() {
    check(
        2,
        1126309272,
        &[
            User(0, Replace(1, 2)),
            Round,
            User(0, Rename(1, 0)),
            Exclude(1, 1),
            Scan(0),
            User(0, Rename(0, 1)),
            User(1, Rename(1, 0)),
        ],
    );
}

/// The same, where the file was moved before the path was excluded, and not observed since.
#[test]
fn file_moved_before_its_path_is_excluded_stays() {
    check(
        4,
        1128251439,
        &[
            User(0, Write(2, 1)),
            Round,
            User(2, Rename(2, 1)),
            CrashAfter(2, 1),
            Apply(2, 0, 1),
            User(3, Rename(2, 1)),
            Exclude(3, 2),
            User(2, Rename(1, 2)),
        ],
    );
}

/// The same, where the file was already known to be at its new path, so that finding it there was no event.
#[test]
fn file_moved_from_an_excluded_path_to_its_new_path_stays() {
    check(
        3,
        1128000748,
        &[
            User(0, Write(0, 1)),
            Round,
            User(0, Rename(0, 1)),
            Scan(0),
            Exclude(2, 0),
            UserAfter(2, 10, Rename(0, 1)),
            Scan(2),
            User(0, Rename(1, 0)),
            Exchange(0, 2, 0),
        ],
    );
}

/// A directory moved whole, with an excluded file in it that others had at the old path. The file was replaced at the new path.
#[test]
fn excluded_file_does_not_move_with_its_directory() {
    check(
        2,
        2098239799,
        &[
            User(0, MakeDirectory(8)),
            Round,
            User(0, Write(11, 3)),
            Scan(0),
            User(1, Write(11, 4)),
            User(1, Rename(8, 1)),
            Exclude(0, 11),
        ],
    );
}

/// A directory was moved, and what kept it where it was made it follow. It was kept there once more, and so on for ever.
#[test]
fn directory_kept_for_an_excluded_file_does_not_follow() {
    check(
        2,
        1961727451,
        &[
            User(0, MakeDirectory(3)),
            User(0, MakeDirectory(8)),
            User(0, MakeDirectory(11)),
            User(0, Write(12, 1)),
            Round,
            Exclude(0, 12),
            User(1, Rename(8, 5)),
            User(0, Write(5, 5)),
        ],
    );
}

/// A loser's copy was still to be made when its path was excluded. The content lay at the excluded path alone.
#[test]
fn copy_of_a_loser_is_made_from_an_excluded_path() {
    check(
        3,
        1592584808,
        &[
            User(2, Write(3, 1)),
            User(1, Write(0, 2)),
            User(0, Write(3, 3)),
            Scan(2),
            Clock(1, -268701471),
            User(1, Rename(0, 3)),
            Scan(1),
            Exchange(2, 1, 0),
            Exclude(1, 3),
        ],
    );
}

/// An edit and a deletion that users make out of scope are an edit and a deletion when the path is back in scope.
#[test]
fn edit_and_deletion_while_excluded_are_kept() {
    check(
        3,
        7,
        &[
            User(0, Write(0, 1)),
            User(0, Write(1, 2)),
            Round,
            Exclude(0, 0),
            Exclude(1, 1),
            User(0, Write(0, 3)),
            User(1, Delete(1)),
            Round,
            Include(0),
            Include(1),
            Round,
        ],
    );
}
