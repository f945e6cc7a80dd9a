//! Histories that once failed, cut down, each with the story of its fault. Lists of operations, not seeds: what a
//! seed means changes with the generator.

use replicat_sim::op::Act::*;
use replicat_sim::op::Op::*;

use crate::check;

/// Two versions of one node lost the same path within a second. Their copies had one name, and the second took the place of
/// the first, which nobody had touched.
#[test]
fn copies_of_one_second_stay_where_they_are() {
    check(
        3,
        1592549501,
        &[
            User(0, Write(1, 1)),
            User(0, Write(2, 3)),
            User(1, Write(2, 4)),
            Round,
            User(1, Write(2, 5)),
            Exchange(2, 0, 2),
            Scan(0),
            User(0, Write(2, 6)),
        ],
    );
}

/// A file was renamed away and, before the next scan, back. The deletion that was told in between took the new
/// file, which held the same content, for the old one.
#[test]
fn a_file_made_anew_with_the_content_of_its_deletion_stays() {
    check(
        2,
        1592608574,
        &[
            User(1, Replace(8, 1)),
            Round,
            User(0, Rename(8, 2)),
            Scan(0),
            User(0, Rename(2, 8)),
        ],
    );
}

/// A replica met a local file where its plan was to make a directory, observed it, and in the same pass put the
/// directory in its place: settling had no chance to make the copy.
#[test]
fn a_loser_found_amid_a_plan_is_preserved_before_it_is_displaced() {
    check(
        2,
        1592613791,
        &[
            User(0, MakeDirectory(0)),
            User(0, MakeDirectory(8)),
            User(1, BecomeFile(8, 7)),
            Scan(0),
            Exchange(0, 1, 0),
            Apply(1, 0, 2),
        ],
    );
}

/// The edit followed its file to where the user who moved it had written something else. It lost there, while its
/// content still lay at the old path, where nobody looked for a loser.
#[test]
fn an_edit_that_followed_a_move_and_lost_is_preserved() {
    check(
        2,
        1592614281,
        &[
            User(0, MakeDirectory(8)),
            User(0, Write(0, 1)),
            Round,
            Exchange(1, 0, 0),
            User(0, Replace(0, 4)),
            User(1, Rename(0, 10)),
            User(1, Write(10, 5)),
        ],
    );
}

/// A conflict copy was announced; before it was made, the user deleted the loser. Everybody waited for a content
/// that nobody had.
#[test]
fn a_copy_whose_content_was_deleted_before_it_was_made_is_withdrawn() {
    check(
        2,
        1592612361,
        &[
            User(1, Write(3, 1)),
            User(0, Write(3, 2)),
            Scan(0),
            Exchange(0, 1, 0),
            Apply(1, 0, 2),
            Exchange(0, 1, 0),
            User(1, Delete(3)),
        ],
    );
}

/// Two replicas edited a file that a third had moved. The second edit to follow took the first for the file that
/// was moved.
#[test]
fn a_second_edit_that_follows_does_not_replace_the_first() {
    check(
        3,
        1592612593,
        &[
            User(0, MakeDirectory(8)),
            User(0, MakeDirectory(11)),
            User(0, Write(1, 2)),
            Round,
            User(0, Rename(1, 12)),
            User(1, Write(1, 4)),
            User(2, Write(1, 5)),
        ],
    );
}

/// One replica edited a file and renamed it, the other rewrote it with the same content. The rewrite followed and
/// replaced the edit.
#[test]
fn a_rewrite_that_follows_does_not_replace_an_edit_that_was_moved() {
    check(
        2,
        1592621931,
        &[
            User(0, MakeDirectory(8)),
            User(0, Write(10, 3)),
            Round,
            User(0, Write(10, 5)),
            User(1, Rewrite(10)),
            Scan(0),
            User(0, Rename(10, 0)),
        ],
    );
}

/// One replica swapped two files, the other renamed one over the other. What was swapped in followed the rename and
/// replaced what had been swapped out.
#[test]
fn an_edit_does_not_follow_to_what_its_own_user_put_there() {
    check(
        2,
        1592630413,
        &[
            User(0, MakeDirectory(3)),
            User(0, MakeDirectory(8)),
            User(0, MakeDirectory(6)),
            User(0, Write(11, 1)),
            User(0, Write(7, 2)),
            Round,
            User(1, Rename(11, 7)),
            User(0, Swap(7, 11)),
        ],
    );
}

/// A file was renamed onto another that a second replica renamed to where the first had come from. The deletion
/// there had the same content as what followed, and took it along.
#[test]
fn a_followed_edit_replaces_the_deletion_at_its_new_place() {
    check(
        3,
        1592637824,
        &[
            User(0, MakeDirectory(8)),
            User(0, Write(9, 1)),
            Round,
            User(2, Write(2, 2)),
            Scan(2),
            User(2, Rename(2, 9)),
            User(0, Rename(9, 2)),
        ],
    );
}

/// A touched file was superseded by an edit of it, which was then deleted by somebody who did not know of the
/// touch. The touched version came back, and nobody had its content any more.
#[test]
fn what_a_storage_has_moved_past_does_not_come_back() {
    check(
        2,
        1592757013,
        &[
            User(0, Write(1, 3)),
            Round,
            User(1, Write(1, 6)),
            User(0, Rewrite(1)),
            Scan(1),
            Exchange(1, 0, 0),
            Apply(0, 0, 2),
            User(1, Delete(1)),
            Apply(0, 0, 4),
        ],
    );
}

/// The index said that the content of a file also lived at another path, so that it did not go to the trash: but a
/// user had just renamed it from there.
#[test]
fn what_is_displaced_goes_to_the_trash_even_if_it_seems_to_live_elsewhere() {
    check(
        3,
        1592763709,
        &[
            User(0, Write(2, 1)),
            User(2, Write(0, 2)),
            UserAfter(0, 7, Rename(2, 0)),
            Round,
            Apply(0, 2, 2),
        ],
    );
}

/// Two replicas swapped a file and a directory. Each new directory claimed to be made from the file that was only
/// moved away.
#[test]
fn two_swaps_of_a_file_and_a_directory_keep_the_file() {
    check(
        2,
        1592758920,
        &[
            User(0, MakeDirectory(3)),
            User(0, MakeDirectory(8)),
            User(0, MakeDirectory(6)),
            User(0, MakeDirectory(11)),
            User(0, Write(12, 1)),
            User(0, Write(6, 2)),
            Round,
            Exchange(0, 1, 0),
            Exclude(1, 10),
            Scan(0),
            CrashAfter(0, 10),
            Exchange(1, 0, 9),
            User(0, Swap(6, 12)),
            Apply(1, 1, 1),
            User(1, Swap(12, 6)),
            Scan(1),
            Round,
        ],
    );
}

/// A directory was moved whole, and a change of mode that no scan had seen went into the fingerprint of the moved
/// one.
#[test]
fn a_chmod_not_seen_before_its_directory_is_moved_is_seen_after() {
    check(
        2,
        1591787987,
        &[
            User(0, MakeDirectory(8)),
            Round,
            User(1, Chmod(8, 0)),
            User(2, Rename(8, 0)),
            Scan(2),
            Exchange(2, 1, 0),
            Apply(1, 0, 2),
        ],
    );
}

/// A directory was revived without attributes. When a user set one, the storage was taken to be as it should.
#[test]
fn a_change_of_an_aspect_that_was_not_known_is_told() {
    check(
        2,
        1592407081,
        &[
            User(0, MakeDirectory(3)),
            User(0, Write(5, 1)),
            Round,
            User(1, BecomeFile(3, 2)),
            User(0, Rename(3, 1)),
            User(0, SetXattr(1, 2)),
        ],
    );
}

/// A user renamed a conflict copy over the original, which lost to another edit again. The new copy had the name
/// and content of the old one, whose deletion took it along.
#[test]
fn a_copy_renamed_over_the_original_can_lose_again() {
    check(
        2,
        1592093330,
        &[
            User(1, Write(2, 4)),
            User(0, Write(2, 5)),
            Scan(0),
            Exchange(1, 0, 0),
            Apply(1, 0, 4),
            Exchange(1, 0, 0),
            Apply(0, 0, 3),
            User(1, Symlink(2, 6)),
            User(0, RenameCopy(1, 2)),
        ],
    );
}

/// Losers were sought by the content of files only.
#[test]
fn a_symlink_that_followed_and_lost_is_preserved() {
    check(
        3,
        1591951258,
        &[
            Clock(0, -2377),
            User(0, Write(3, 1)),
            Round,
            User(2, Replace(8, 2)),
            User(1, Rename(3, 8)),
            User(2, Chmod(3, 1)),
            User(0, Symlink(3, 3)),
        ],
    );
}

/// An edit followed one move and met the next. It could not follow again, and waited for a holder at a place where
/// it had never been.
#[test]
fn a_followed_version_stays_when_its_place_moves_on() {
    check(
        4,
        1592477351,
        &[
            User(0, MakeDirectory(3)),
            User(0, MakeDirectory(8)),
            User(0, MakeDirectory(11)),
            User(0, Write(12, 3)),
            Round,
            Round,
            User(2, Replace(9, 4)),
            User(2, Rename(9, 12)),
            User(3, Rename(11, 9)),
            Scan(3),
            User(3, Rename(9, 4)),
            User(1, Symlink(10, 5)),
            Exchange(4, 3, 9),
            Exchange(2, 2, 1),
            User(4, Write(11, 6)),
            UserAfter(0, 2, Write(11, 7)),
        ],
    );
}

/// One replica moved a file away, the other moved it there and back. Each move took the other file for the one that
/// was moved.
#[test]
fn files_moved_past_each_other_stay() {
    check(
        5,
        1587759655,
        &[
            User(0, MakeDirectory(3)),
            User(0, MakeDirectory(8)),
            User(0, MakeDirectory(11)),
            User(0, Write(4, 1)),
            Round,
            Round,
            Apply(1, 0, 2),
            Scan(4),
            User(0, Rename(4, 4)),
            UserAfter(3, 9, Chmod(10, 1)),
            Exchange(4, 3, 0),
            User(3, Rename(4, 10)),
            User(0, Write(12, 2)),
            Scan(1),
            User(4, Rename(4, 10)),
            CrashAfter(4, 15),
            Apply(0, 3, 2),
            Exchange(1, 4, 0),
            Apply(0, 0, 4),
            Exchange(1, 0, 0),
            Exchange(3, 4, 0),
            Scan(4),
        ],
    );
}

/// A user renamed a file onto another between two steps of a scan. The old path was thought to hold the content
/// still, and the only copy went to the trash while a conflict copy waited for it.
#[test]
fn a_wanted_content_is_secured_whatever_the_index_says() {
    check(
        2,
        1587564214,
        &[
            User(0, MakeDirectory(3)),
            Round,
            User(1, Write(4, 3)),
            User(2, Rename(2, 1)),
            Apply(0, 0, 3),
            User(0, Replace(1, 4)),
            UserAfter(1, 4, Rename(4, 1)),
            Exclude(2, 4),
            Round,
            Apply(1, 0, 4),
        ],
    );
}

/// An edit followed a move to where its own user had just written another file. Deleting that file was told as a
/// vector, which claimed the earlier event of the same replica as well.
#[test]
fn the_deletion_of_one_file_does_not_claim_another_of_the_same_replica() {
    check(
        2,
        1590233452,
        &[
            User(0, Write(8, 1)),
            Round,
            User(0, Rename(8, 0)),
            User(1, Write(8, 2)),
            Scan(0),
            Scan(1),
            User(1, Write(0, 3)),
            Exchange(0, 1, 0),
            Scan(1),
            User(1, Delete(0)),
        ],
    );
}

/// A file that stayed after a move was told again under a new dot, which its own storage did not embody. When it
/// lost to a directory, nobody preserved it.
#[test]
fn what_stays_is_preserved_when_it_loses() {
    check(
        3,
        1590039423,
        &[
            User(0, Write(3, 2)),
            Round,
            Round,
            Apply(1, 0, 4),
            User(2, Delete(3)),
            Apply(2, 0, 4),
            Exchange(2, 0, 5),
            Exchange(2, 0, 0),
            User(1, Write(3, 3)),
            Exchange(0, 2, 3),
            User(0, BecomeDirectory(3)),
            UserAfter(0, 2, Delete(3)),
            Exchange(2, 2, 0),
            Exchange(0, 2, 0),
            User(2, MakeDirectory(3)),
            User(2, DeleteCopy(0)),
            Cut(1, 0),
            Scan(0),
        ],
    );
}

/// A replica that had lost its index took a conflict copy for a file of its own, and its user edited it. The others
/// copied the loser again and again, to a path where the edit replaced the copy at once.
#[test]
fn an_edited_copy_is_still_a_copy() {
    check(
        2,
        1608008482,
        &[
            User(0, MakeDirectory(3)),
            Round,
            User(1, Write(6, 3)),
            User(2, Replace(6, 4)),
            Round,
            LoseIndex(0),
            Exchange(1, 0, 0),
            User(0, EditCopy(1, 5)),
        ],
    );
}

/// The content of a conflict copy was in the staging of the replica that had made it when another looked for it and
/// gave it up.
#[test]
fn a_copy_in_staging_is_not_given_up() {
    check(
        2,
        1589472444,
        &[
            User(1, BecomeDirectory(1)),
            User(0, Write(1, 2)),
            Scan(1),
            Exchange(1, 0, 0),
            Apply(0, 0, 2),
            Apply(0, 1, 2),
            Exchange(1, 0, 0),
            Apply(1, 0, 3),
        ],
    );
}

/// A replica with equal content from an older event made the copy of a loser that it did not embody; then its user
/// deleted the file, and so did the user of the loser.
#[test]
fn who_has_equal_content_from_elsewhere_does_not_preserve_for_others() {
    check(
        3,
        1592593124,
        &[
            User(0, MakeDirectory(8)),
            User(0, Write(10, 1)),
            Round,
            User(1, Write(10, 3)),
            User(0, Rewrite(10)),
            UserAfter(1, 2, Replace(10, 5)),
            Round,
            User(2, Delete(10)),
            Exchange(1, 2, 0),
            User(0, Delete(10)),
        ],
    );
}

/// One replica renamed a directory, the other renamed it there and back while it was being scanned. The passing
/// files were told as deleted at the new place, not as moved, and took the first replica's files along.
#[test]
fn a_directory_moved_there_and_back_within_a_scan_keeps_its_files() {
    check(
        2,
        1592617708,
        &[
            User(0, MakeDirectory(3)),
            User(0, MakeDirectory(8)),
            User(0, MakeDirectory(6)),
            User(0, Write(7, 3)),
            Round,
            User(0, Rename(6, 9)),
            User(1, Rename(6, 9)),
            UserAfter(1, 2, Rename(9, 6)),
            Scan(1),
        ],
    );
}

/// A replica moved on in one session while it compared sums in another: it ended that with Again, while the other
/// side led a repair and waited.
#[test]
fn two_sessions_at_once_both_end() {
    check(
        3,
        1592527912,
        &[
            User(0, Write(3, 1)),
            Scan(0),
            Exchange(2, 0, 4),
            Exchange(2, 1, 5),
            Round,
        ],
    );
}

/// The copies of two losers met at one path, and one of them lost there and was copied once more. Where it had lost first
/// it stood for ever, waiting for the path that held the other.
#[test]
fn a_copy_that_lost_is_not_waited_for() {
    check(
        2,
        1597867640,
        &[
            User(0, MakeDirectory(8)),
            User(0, Write(3, 1)),
            User(0, Write(3, 2)),
            User(0, Write(3, 3)),
            Round,
            Clock(0, 1715),
            User(1, Write(3, 4)),
            User(1, Write(10, 5)),
            Clone(1),
            User(1, Rename(10, 3)),
            User(0, Write(3, 6)),
        ],
    );
}

/// A replica had sent its sum when a deletion came to it in a session with a third one, which broke before its end. What it knew
/// was as before, and so it took the other's sum, equal to its old one, for proof that they were in sync.
#[test]
fn a_sum_proves_nothing_of_what_came_after_it() {
    check(
        3,
        1971447049,
        &[
            User(0, Write(0, 3)),
            Round,
            User(2, Delete(0)),
            Exchange(1, 0, 5),
            Scan(2),
            Exchange(0, 2, 4),
            Apply(0, 0, 2),
            Exchange(0, 1, 0),
        ],
    );
}
