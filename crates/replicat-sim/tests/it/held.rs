//! Histories about deletions that are held, cut down, each with its story.

use replicat_sim::op::Act::*;
use replicat_sim::op::Op::*;

use crate::check;

/// A burst is held where it was made. Others go on, and an edit of a held file comes back to it.
#[test]
fn held_burst_stops_no_edit() {
    check(
        2,
        1,
        &[
            User(0, MakeDirectory(3)),
            User(0, Write(4, 1)),
            User(0, Write(5, 2)),
            User(0, Write(0, 3)),
            Round,
            Hold(1),
            User(1, DeleteMany(u16::MAX)),
            Round,
            User(0, Write(0, 4)),
            User(0, Write(1, 5)),
            User(1, Write(2, 6)),
            Round,
        ],
    );
}

/// A burst is announced by one replica, held by the other and rejected there. The files come back.
#[test]
fn rejected_burst_of_another_comes_back() {
    check(
        3,
        2,
        &[
            User(0, MakeDirectory(3)),
            User(0, Write(4, 1)),
            User(0, Write(0, 2)),
            Round,
            Hold(1),
            User(0, DeleteMany(u16::MAX)),
            Scan(0),
            Exchange(0, 1, 0),
            Apply(1, 0, 1),
            Reject(1),
            Round,
            Round,
        ],
    );
}

/// A burst is rejected where it was made, and power fails meanwhile.
#[test]
fn rejected_burst_survives_a_crash() {
    for after in 0..6 {
        check(
            2,
            3,
            &[
                User(0, MakeDirectory(3)),
                User(0, Write(4, 1)),
                User(0, Write(0, 2)),
                Round,
                Round,
                Hold(1),
                User(1, DeleteMany(u16::MAX)),
                Scan(1),
                CrashAfter(1, after),
                Reject(1),
                Reject(1),
                Round,
            ],
        );
    }
}

/// Both users delete, both replicas hold, and a person approves at one and rejects at the other.
#[test]
fn bursts_at_two_replicas_are_decided_apart() {
    check(
        3,
        4,
        &[
            User(0, MakeDirectory(3)),
            User(0, Write(4, 1)),
            User(0, Write(5, 2)),
            Round,
            Round,
            Hold(0),
            Hold(1),
            User(0, Delete(3)),
            User(1, Delete(4)),
            Round,
            Exclude(2, 5),
            Approve(0),
            Round,
            Reject(1),
            Include(2),
            Round,
        ],
    );
}

/// A held path is left out by filters that change, before a person decides.
#[test]
fn held_path_goes_out_of_scope() {
    check(
        2,
        5,
        &[
            User(0, Write(0, 1)),
            User(0, Write(1, 2)),
            Round,
            Hold(1),
            User(1, DeleteMany(3)),
            Scan(1),
            Exclude(1, 0),
            Scan(1),
            Reject(1),
            Round,
            Include(1),
            Round,
        ],
    );
}
