//! What a part of the histories holds beside the acts of users: replicas whose changes are refused, deletions that are held, and
//! filters that change meanwhile.

use crate::op::{Act, Op};
use crate::paths;

/// Keeps the numbers drawn here apart from those of the history itself, which stays what it was.
const SALT: u64 = 0x7ef0_5ed1;
/// The places of directories in [`crate::paths`].
const DIRECTORIES: [u8; 4] = [3, 6, 8, 11];

/// Adds to the operations of the history of `seed` what it is to hold, if anything.
pub(crate) fn add(seed: u64, replicas: u8, operations: &mut Vec<Op>) {
    let mut policy = Policy {
        random: fastrand::Rng::with_seed(seed ^ SALT),
        replicas,
    };
    let (refuses, holds) = match policy.random.u8(0..10) {
        0..=1 => (true, false),
        2..=3 => (false, true),
        4 => (true, true),
        _ => return,
    };
    if refuses {
        policy.refuse(operations);
    }
    if holds {
        policy.hold(operations);
    }
    for _ in 0..policy.random.u8(0..3) {
        let (replica, path) = (policy.replica(), policy.random.u8(0..paths::COUNT));
        policy.insert(operations, 0, Op::Exclude(replica, path));
        policy.insert(operations, 0, Op::Include(replica));
    }
}

struct Policy {
    random: fastrand::Rng,
    replicas: u8,
}

impl Policy {
    fn replica(&mut self) -> u8 {
        self.random.u8(0..self.replicas)
    }

    /// Inserts an operation anywhere from `first` on; returns where.
    fn insert(&mut self, operations: &mut Vec<Op>, first: usize, op: Op) -> usize {
        let at = self.random.usize(first..=operations.len());
        operations.insert(at, op);
        at
    }

    /// Has the others refuse a replica for a while, and the replica revert what it changed, now and then.
    fn refuse(&mut self, operations: &mut Vec<Op>) {
        let refused = self.replica();
        let first = self.random.usize(0..=operations.len() / 2);
        operations.insert(first, Op::Refuse(refused));
        for _ in 0..self.random.u8(0..5) {
            let meant = match self.random.u8(0..3) {
                0 => self.random.u8(0..paths::COUNT),
                _ => 0,
            };
            let revert = Op::Revert(refused, self.replica(), meant);
            let at = self.insert(operations, first + 1, revert);
            match self.random.u8(0..4) {
                0 => operations.insert(at, Op::CrashAfter(refused, self.random.u8(0..8))),
                1 => operations.insert(at, Op::Round),
                2 => operations.insert(at, Op::Scan(refused)),
                _ => {}
            }
        }
        if self.random.u8(0..3) == 0 {
            self.revert_half(refused, operations, first + 1);
        }
        if self.random.u8(0..3) == 0 {
            let replica = match self.random.bool() {
                true => refused,
                false => self.replica(),
            };
            self.insert(operations, first + 1, Op::Refuse(replica));
        }
    }

    /// Has the user of a refused replica move a file, and revert one half of that.
    fn revert_half(&mut self, refused: u8, operations: &mut Vec<Op>, first: usize) {
        let written = operations.iter().filter_map(|op| match op {
            Op::User(_, Act::Write(path, _) | Act::Replace(path, _)) => Some(*path),
            _ => None,
        });
        let written: Vec<u8> = written.collect();
        if written.is_empty() {
            return;
        }
        let from = written[self.random.usize(0..written.len())];
        let to = self.random.u8(1..paths::COUNT);
        let half = match self.random.bool() {
            true => from,
            false => to,
        };
        let at = self.insert(operations, first, Op::User(refused, Act::Rename(from, to)));
        operations.insert(at + 1, Op::Scan(refused));
        let revert = Op::Revert(refused, self.replica(), half);
        self.insert(operations, at + 2, revert);
    }

    /// Has replicas hold bursts of deletions, and a person decide about them.
    fn hold(&mut self, operations: &mut Vec<Op>) {
        for _ in 0..self.random.u8(1..4) {
            let holder = self.replica();
            let first = self.insert(operations, 0, Op::Hold(holder));
            let deleter = match self.random.bool() {
                true => holder,
                false => self.replica(),
            };
            let burst = Op::User(deleter, self.burst());
            let at = self.insert(operations, first + 1, burst);
            operations.insert(at + 1, Op::Scan(deleter));
            if self.random.bool() {
                operations.insert(at + 2, Op::Exchange(deleter, self.replica(), 0));
            }
            if self.random.u8(0..4) > 0 {
                let verdict = match self.random.u8(0..5) {
                    0..=1 => Op::Approve(holder),
                    _ => Op::Reject(holder),
                };
                let decided = self.insert(operations, at + 2, verdict);
                if self.random.u8(0..4) == 0 {
                    let crash = Op::CrashAfter(holder, self.random.u8(0..10));
                    operations.insert(decided, crash);
                }
            }
        }
    }

    fn burst(&mut self) -> Act {
        match self.random.u8(0..3) {
            0 => Act::Delete(DIRECTORIES[self.random.usize(0..DIRECTORIES.len())]),
            1 => Act::DeleteMany(u16::MAX),
            // Three of four paths.
            _ => Act::DeleteMany(self.random.u16(..) | self.random.u16(..)),
        }
    }
}
