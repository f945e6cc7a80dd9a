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
