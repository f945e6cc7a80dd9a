//! Histories of lost, restored and copied state that once failed, cut down, each with the story of its fault.

use replicat_sim::op::Act::*;
use replicat_sim::op::Op::*;

use crate::check;

/// A replica went back to an earlier state, files and index, and first met one that knew nothing. Its new events had
/// higher counters than its lost ones, so that it seemed to know of these and to have seen them replaced: it deleted
/// what it had made in its lost days.
#[test]
fn what_a_restored_replica_made_in_its_lost_days_stays() {
    check(
        2,
        1427497291,
        &[
            User(0, MakeDirectory(8)),
            Backup(0),
            User(0, Write(2, 4)),
            Scan(0),
            Clone(0),
            RestoreAll(0),
            Exchange(1, 0, 0),
        ],
    );
}

/// Two users each moved their file onto the path from which the other moved it, before it had come there. Both were
/// taken for the file that was to come, and both deletions counted.
#[test]
fn files_moved_to_where_each_was_expected_stay() {
    check(
        2,
        1428079614,
        &[
            User(0, Write(2, 2)),
            Round,
            User(1, Rename(2, 1)),
            LoseIndex(1),
            User(1, Rename(1, 2)),
            User(2, Rename(2, 1)),
            Exchange(1, 2, 0),
        ],
    );
}

/// A loser was displaced into staging before its conflict copy was made, and the index was lost in between.
#[test]
fn a_loser_stands_until_its_copy_is_made() {
    check(
        2,
        2,
        &[
            User(0, Write(1, 2)),
            User(1, Replace(1, 3)),
            CrashAfter(0, 5),
            Round,
            Exchange(1, 0, 0),
            Apply(0, 1, 2),
            LoseIndex(0),
        ],
    );
}

/// A deletion was told once more by who held the file, and the two tombstones became one, without what had been deleted:
/// a replica that had lost its index brought the file back.
#[test]
fn a_deletion_told_twice_still_deletes_what_is_found_later() {
    check(
        3,
        1770179469,
        &[
            User(2, Write(1, 1)),
            Round,
            Apply(1, 3, 2),
            LoseIndex(2),
            Exchange(2, 2, 0),
            Scan(2),
            User(0, Delete(1)),
            Scan(2),
            Partition(2, 0),
            Scan(2),
            LoseIndex(1),
            Scan(1),
        ],
    );
}

/// A replica told of a move and went back to before it. Nobody held the moved file at its new place, where it lost, and
/// nobody took what stood at the old one for it.
#[test]
fn what_lost_where_it_was_moved_is_preserved_from_where_it_stands() {
    check(
        3,
        1770229815,
        &[
            User(0, BecomeFile(1, 1)),
            Scan(0),
            Exchange(0, 2, 0),
            User(1, Write(1, 2)),
            User(1, Rename(1, 0)),
            Exchange(2, 0, 0),
            Apply(2, 0, 3),
            Backup(0),
            User(0, Rename(1, 0)),
            Scan(0),
            Exchange(0, 2, 0),
            RestoreAll(0),
        ],
    );
}

/// A directory was renamed by a replica that had lost its index, before the others brought its file from its old identity.
/// That file waited at its old path for somebody who held it to carry it along.
#[test]
fn a_moved_file_is_not_waited_for_at_its_old_path() {
    check(
        2,
        1768125757,
        &[
            User(0, MakeDirectory(3)),
            Round,
            User(1, Write(4, 2)),
            CrashAfter(1, 13),
            Round,
            LoseIndex(1),
            User(1, Rename(3, 1)),
        ],
    );
}

/// What won a path was lost with the state of its author; what lost there was not preserved, since the path was taken for a
/// move in dispute that somebody else had to settle.
#[test]
fn a_loser_is_preserved_where_nobody_holds_the_winner() {
    check(
        2,
        1769867132,
        &[
            User(0, Write(0, 1)),
            Round,
            User(0, Rename(0, 8)),
            Exchange(0, 1, 6),
            User(1, Write(0, 2)),
            Backup(0),
            User(0, Write(0, 3)),
            Scan(0),
            Exchange(0, 1, 0),
            RestoreAll(0),
        ],
    );
}

/// A file that followed a move joined an older version of equal value. Who had that one never heard that the deletion there
/// was replaced.
#[test]
fn a_join_hides_nothing_that_was_replaced() {
    check(
        3,
        1766592140,
        &[
            User(0, MakeDirectory(3)),
            User(0, MakeDirectory(6)),
            User(0, Write(7, 2)),
            Round,
            UserAfter(2, 9, Rename(7, 2)),
            Exchange(2, 0, 7),
            Exchange(0, 2, 0),
            Clone(2),
            User(2, Delete(9)),
            UserAfter(0, 1, Delete(2)),
            Scan(2),
            User(2, Rename(2, 7)),
        ],
    );
}

/// A user swapped two files, which was told, and then his state was lost and an older one edited one of them. What he
/// had swapped to there lost, held by nobody in that place, while all others gave it up where it came from.
#[test]
fn what_is_about_to_go_preserves_an_equal_loser() {
    check(
        2,
        1608281889,
        &[
            User(0, Write(2, 2)),
            User(0, Write(0, 3)),
            Round,
            Backup(1),
            User(1, Swap(2, 0)),
            Scan(1),
            Exchange(1, 0, 0),
            RestoreAll(1),
            User(1, Write(0, 4)),
        ],
    );
}

/// An edit followed a move, lost at its new place, and its author took a new identity before he had brought it there. By
/// the new identity he no longer knew that he held it.
#[test]
fn an_edit_that_followed_and_lost_is_preserved_by_a_renewed_author() {
    check(
        3,
        1608160101,
        &[
            User(0, MakeDirectory(3)),
            User(0, MakeDirectory(8)),
            User(0, Write(10, 2)),
            Round,
            Keep(1, 2),
            Keep(1, 0),
            User(2, Rename(10, 4)),
            User(1, Write(10, 6)),
            Exchange(0, 0, 0),
            Exchange(0, 2, 9),
            User(0, Rewrite(10)),
            User(0, Delete(7)),
            Clock(0, -4222),
            Scan(0),
            Backup(0),
            User(0, Rename(7, 7)),
            Scan(0),
            Exchange(0, 1, 0),
            RestoreIndex(0),
            User(0, Write(10, 7)),
        ],
    );
}

/// A file was brought, a user deleted it before that was recorded, and power failed: it was brought again, which the oracle
/// took for a return.
#[test]
fn a_file_deleted_before_it_was_recorded_is_brought_again() {
    check(
        2,
        1607872736,
        &[
            Round,
            UserAfter(1, 11, Delete(0)),
            User(0, Write(0, 1)),
            CrashAfter(1, 11),
            Round,
        ],
    );
}

/// A user moved a file out of his filters' scope, which told others that what he then put in its place was made from it.
/// Another moved the file to the same place, and the edit followed and superseded the first one's when that came into
/// scope. The oracle expected both.
#[test]
fn a_file_that_is_moved_out_of_scope_counts_as_gone() {
    check(
        3,
        1604811573,
        &[
            User(0, MakeDirectory(3)),
            User(0, Write(0, 1)),
            Round,
            Keep(2, 2),
            Keep(1, 0),
            Exclude(2, 1),
            User(1, Write(1, 2)),
            User(2, Rename(0, 1)),
            User(0, Rename(0, 1)),
            User(2, Write(0, 3)),
            CrashAfter(1, 6),
            Round,
        ],
    );
}

/// Power failed after a user had moved a file out of what his filters leave out, which was told and then undone. What came back
/// where the file had gone passed for an edit of it, and it came into scope where another had written since.
#[test]
fn a_file_that_falls_out_of_scope_counts_as_gone() {
    check(
        2,
        1527899970,
        &[
            User(0, MakeDirectory(3)),
            User(0, Write(5, 1)),
            User(0, Write(4, 3)),
            Round,
            Round,
            Keep(0, 1),
            Keep(1, 1),
            Scan(0),
            Exchange(1, 0, 9),
            Exchange(0, 1, 0),
            NoteApplied(1),
            User(1, Rename(5, 4)),
            User(0, Swap(4, 5)),
            User(0, Replace(5, 4)),
            Exclude(1, 5),
            CrashAfter(1, 15),
            Round,
        ],
    );
}

/// A symlink that lost was displaced before its conflict copy was made, which only files were spared, and the index was lost in
/// between.
#[test]
fn a_symlink_that_lost_stands_until_its_copy_is_made() {
    check(
        2,
        1326142147,
        &[
            UserAfter(1, 4, EditCopy(0, 1)),
            User(0, Symlink(8, 2)),
            Duplicate(1, 0),
            User(1, Replace(8, 3)),
            Scan(1),
            Exchange(1, 0, 8),
            Apply(0, 0, 2),
            Apply(0, 1, 1),
            LoseIndex(0),
        ],
    );
}

/// A copied replica gave new dots to its events, and one that had lost a tie won it by its new dot. The index took what the
/// storage held for what was shown now.
#[test]
fn new_dots_that_win_a_tie_change_no_files_unnoticed() {
    check(
        2,
        1228035785,
        &[
            User(0, MakeDirectory(8)),
            User(0, Write(10, 1)),
            Round,
            Round,
            User(0, Write(6, 2)),
            Duplicate(1, 0),
            Exclude(0, 10),
            User(1, Write(8, 3)),
            User(0, Write(11, 4)),
            User(1, Write(11, 5)),
            Apply(1, 0, 3),
            Apply(0, 2, 1),
            LoseIndex(0),
            Scan(1),
            Exchange(0, 1, 0),
            Apply(1, 0, 2),
            User(0, Touch(10)),
            Clone(1),
        ],
    );
}

/// A user edited a file and moved it, amid a scan that saw the edit at the old path; then the state was restored from before, which
/// found the move alone. Nobody held the edit at its old path, whose directory was gone: all waited for somebody who did.
#[test]
fn an_edit_that_nobody_holds_where_it_was_made_is_made_again() {
    check(
        2,
        1999405935,
        &[
            User(0, MakeDirectory(3)),
            User(0, Write(4, 2)),
            Scan(0),
            UserAfter(0, 1, Rename(4, 8)),
            Backup(0),
            User(0, Write(4, 5)),
            Scan(0),
            Exchange(0, 1, 0),
            RestoreIndex(0),
            User(0, Delete(3)),
        ],
    );
}

/// A directory was told of, and then lost with all that its replica held, before anybody had made it. The one above was moved:
/// nobody held what was to follow it.
#[test]
fn a_directory_that_nobody_holds_follows_the_one_above() {
    check(
        3,
        2000062406,
        &[
            User(0, MakeDirectory(3)),
            Backup(0),
            User(0, MakeDirectory(5)),
            Scan(0),
            Exchange(0, 2, 0),
            RestoreAll(0),
            User(0, Rename(3, 1)),
        ],
    );
}

/// A file was moved amid a scan, which told of its absence; then all of the replica went back to before. Its old place yields
/// to the deletion that was told, and it is in the trash.
#[test]
fn a_file_whose_move_was_half_told_is_in_the_trash() {
    check(
        2,
        1916836956,
        &[
            User(0, MakeDirectory(3)),
            User(0, Write(8, 3)),
            Round,
            UserAfter(0, 0, Rename(8, 4)),
            Backup(0),
            User(0, Chmod(8, 0)),
            Scan(0),
            Exchange(0, 1, 0),
            RestoreAll(0),
        ],
    );
}

/// A file was moved, and all of its replica went back to before; where it had come the user wrote another, twice, and
/// told of that before he met who knew of the move. The second was thought to replace the file as well.
#[test]
fn a_file_that_was_moved_before_its_state_went_back_is_in_the_trash() {
    check(
        4,
        1920666213,
        &[
            User(0, Write(8, 3)),
            Round,
            Clock(1, -4371),
            Scan(1),
            Backup(1),
            User(1, Rename(8, 1)),
            Scan(1),
            Exchange(1, 0, 0),
            RestoreAll(1),
            User(1, Write(1, 1)),
            Scan(1),
            User(1, Rewrite(1)),
        ],
    );
}

/// All of a replica went back to before, and its clock with it. What the user then wrote got an earlier counter than what was lost,
/// and others, who knew of that, took it for replaced.
#[test]
fn what_is_written_after_all_went_back_is_in_the_trash() {
    check(
        3,
        1911079819,
        &[
            User(0, Write(1, 1)),
            Round,
            Clock(1, -7314),
            Scan(1),
            Backup(1),
            User(1, Rename(1, 2)),
            Scan(1),
            Exchange(1, 2, 0),
            RestoreAll(1),
            User(1, Write(1, 2)),
        ],
    );
}
