//! From a seed to a history.

use crate::op::{Act, History, Op};
use crate::paths;
use crate::policy;

/// What histories are made of.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// The most replicas at the start.
    pub replicas_max: u8,
    /// The most operations after the first rounds.
    pub operations_max: usize,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            replicas_max: 4,
            operations_max: 25,
        }
    }
}

#[derive(Debug)]
struct Generator {
    random: fastrand::Rng,
    replicas: u8,
    /// The paths that this history is about.
    focus: Vec<u8>,
    next_content: u64,
    faults: bool,
    crowding: Crowding,
}

/// How close together the users of a history work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Crowding {
    /// Anything anywhere.
    Loose,
    /// Few files, mostly written, renamed and deleted, so that moves and edits meet.
    Tight,
    /// Two or three files at the root, mostly renamed to each other's places.
    Crossing,
    /// One or two files at the root, written, described, deleted and put back.
    Contested,
    /// One file at the root, written everywhere, so that it conflicts again and again.
    Conflicting,
}

/// The history of `seed`.
#[must_use]
pub fn history(seed: u64, shape: Shape) -> History {
    let mut random = fastrand::Rng::with_seed(seed);
    let few = random.u8(0..10) < 8;
    let most = if few { 3 } else { 5 }.min(shape.replicas_max.max(2));
    let replicas = random.u8(2..=most);
    let crowding = match random.u8(0..10) {
        0..=2 => Crowding::Tight,
        3 => Crowding::Crossing,
        4 => Crowding::Contested,
        5 => Crowding::Conflicting,
        _ => Crowding::Loose,
    };
    let focus = focus(&mut random, crowding);
    let faults = random.bool();
    let mut generator = Generator {
        random,
        replicas,
        focus,
        next_content: 1,
        faults,
        crowding,
    };
    let mut operations = generator.operations(shape);
    policy::add(seed, replicas, &mut operations);
    History {
        replicas,
        salt: seed ^ 0x5eed_5a17,
        operations,
    }
}

/// The paths that a history is about.
fn focus(random: &mut fastrand::Rng, crowding: Crowding) -> Vec<u8> {
    match crowding {
        Crowding::Crossing => (0..random.u8(2..=3)).collect(),
        Crowding::Conflicting => vec![0],
        Crowding::Contested => (0..random.u8(1..=2)).collect(),
        Crowding::Tight => (0..2).map(|_| random.u8(0..paths::COUNT)).collect(),
        Crowding::Loose => {
            let size = random.usize(1..=6);
            (0..size).map(|_| random.u8(0..paths::COUNT)).collect()
        }
    }
}

impl Generator {
    fn operations(&mut self, shape: Shape) -> Vec<Op> {
        let mut operations = Vec::new();
        if self.random.u8(0..4) > 0 {
            self.begin(&mut operations);
        }
        for _ in 0..self.random.u8(0..6).saturating_sub(2) {
            operations.push(Op::Keep(self.replica(), self.replica()));
        }
        let count = self.random.usize(4..=shape.operations_max.max(5));
        while operations.len() < count {
            self.push_some(&mut operations);
        }
        operations
    }

    /// A common state to start from.
    fn begin(&mut self, operations: &mut Vec<Op>) {
        for directory in [3, 8, 6, 11] {
            if self.random.bool() {
                operations.push(Op::User(0, Act::MakeDirectory(directory)));
            }
        }
        for _ in 0..self.random.usize(1..4) {
            let content = self.content();
            let act = Act::Write(self.path(), content);
            operations.push(Op::User(0, act));
        }
        operations.push(Op::Round);
        if self.random.bool() {
            operations.push(Op::Round);
        }
    }

    fn replica(&mut self) -> u8 {
        self.random.u8(0..self.replicas)
    }

    fn path(&mut self) -> u8 {
        let roams = matches!(self.crowding, Crowding::Tight | Crowding::Loose);
        if roams && self.random.u8(0..8) == 0 {
            return self.random.u8(0..paths::COUNT);
        }
        self.focus[self.random.usize(0..self.focus.len())]
    }

    fn content(&mut self) -> u64 {
        if self.next_content > 1 && self.random.u8(0..12) == 0 {
            return self.random.u64(1..self.next_content);
        }
        self.next_content += 1;
        self.next_content - 1
    }

    fn push_some(&mut self, operations: &mut Vec<Op>) {
        let replica = self.replica();
        let other = self.replica();
        let op = match self.random.u8(0..100) {
            0..=30 => Op::User(replica, self.act()),
            31..=32 => Op::Exclude(replica, self.path()),
            33 => Op::Include(replica),
            34..=37 => Op::UserAfter(replica, self.random.u8(0..12), self.act()),
            38..=52 => Op::Scan(replica),
            53..=66 => Op::Exchange(replica, other, 0),
            67..=72 => Op::Exchange(replica, other, self.random.u8(1..10)),
            73 => Op::Cut(replica, other),
            74 => Op::Keep(replica, other),
            75 => Op::Duplicate(replica, other),
            76..=85 => Op::Apply(replica, 0, self.random.u8(1..5)),
            86..=87 => Op::Apply(replica, self.random.u8(1..4), self.random.u8(1..3)),
            88 => Op::NoteApplied(replica),
            89..=90 => Op::Round,
            91 => Op::Partition(replica, other),
            92 => Op::Clock(replica, self.clock()),
            _ if self.faults => self.fault(replica, operations),
            _ => {
                operations.push(Op::Scan(replica));
                operations.push(Op::Exchange(replica, other, 0));
                Op::Apply(other, 0, 2)
            }
        };
        operations.push(op);
    }

    fn clock(&mut self) -> i64 {
        match self.random.u8(0..4) {
            0 => 0,
            1 => self.random.i64(-5..5),
            2 => self.random.i64(-4000..4000),
            _ => self.random.i64(-400_000_000..400_000_000),
        }
    }

    /// A state is backed up, goes on, tells others, and is restored, by a clock that makes it count the same again.
    fn relapse(&mut self, replica: u8, operations: &mut Vec<Op>) -> Op {
        operations.push(Op::Clock(replica, self.random.i64(-9000..-3000)));
        operations.push(Op::Scan(replica));
        operations.push(Op::Backup(replica));
        operations.push(Op::User(replica, self.act()));
        operations.push(Op::Scan(replica));
        operations.push(Op::Exchange(replica, self.replica(), 0));
        operations.push(match self.random.bool() {
            true => Op::RestoreAll(replica),
            false => Op::RestoreIndex(replica),
        });
        Op::User(replica, self.act())
    }

    fn fault(&mut self, replica: u8, operations: &mut Vec<Op>) -> Op {
        match self.random.u8(0..18) {
            17 => self.relapse(replica, operations),
            0..=4 => {
                operations.push(Op::CrashAfter(replica, self.random.u8(0..16)));
                match self.random.u8(0..3) {
                    0 => Op::Apply(replica, 0, self.random.u8(1..5)),
                    1 => Op::Round,
                    _ => Op::Scan(replica),
                }
            }
            5 => Op::Crash(replica),
            6 => Op::Sync(replica),
            7..=9 => Op::Backup(replica),
            10..=12 => Op::RestoreIndex(replica),
            13..=14 => Op::RestoreAll(replica),
            15 => {
                if self.random.bool() {
                    operations.push(Op::Apply(replica, self.random.u8(1..3), 1));
                }
                Op::LoseIndex(replica)
            }
            _ => Op::Clone(replica),
        }
    }

    /// What users do where they are close together.
    fn crowded_act(&mut self, path: u8) -> Option<Act> {
        let number = self.random.u8(0..10);
        Some(match (self.crowding, number) {
            (Crowding::Loose, _) => return None,
            (Crowding::Tight, 0..=3) => Act::Write(path, self.content()),
            (Crowding::Tight, 4..=7) => Act::Rename(path, self.path()),
            (Crowding::Tight, 8) => Act::Delete(path),
            (Crowding::Tight, _) => Act::Rewrite(path),
            (Crowding::Crossing, 0..=6) => Act::Rename(path, self.path()),
            (Crowding::Crossing, 7) => Act::Write(path, self.content()),
            (Crowding::Crossing, 8) => Act::Delete(path),
            (Crowding::Crossing, _) => Act::PutBack(path),
            (Crowding::Contested, 0..=2) => Act::Write(path, self.content()),
            (Crowding::Contested, 3..=5) => Act::Delete(path),
            (Crowding::Contested, 6..=7) => Act::PutBack(path),
            (Crowding::Contested, 8) => Act::Chmod(path, self.random.u8(0..2)),
            (Crowding::Contested, _) => Act::Rewrite(path),
            (Crowding::Conflicting, 0..=7) => Act::Write(path, self.content()),
            (Crowding::Conflicting, 8) => Act::WriteCopyName(self.random.u8(0..3), self.content()),
            (Crowding::Conflicting, _) => Act::EditCopy(self.random.u8(0..3), self.content()),
        })
    }

    fn act(&mut self) -> Act {
        let path = self.path();
        if self.random.u8(0..8) > 0
            && let Some(act) = self.crowded_act(path)
        {
            return act;
        }
        match self.random.u8(0..42) {
            0..=9 => Act::Write(path, self.content()),
            10..=13 => Act::Replace(path, self.content()),
            14 => Act::Rewrite(path),
            15..=16 => Act::Chmod(path, self.random.u8(0..2)),
            17 => Act::SetXattr(path, self.random.u8(0..3)),
            18 => Act::Touch(path),
            19..=23 => Act::Delete(path),
            24..=25 => Act::MakeDirectory(path),
            26 => Act::Symlink(path, self.content()),
            27 => Act::BecomeDirectory(path),
            28 => Act::BecomeFile(path, self.content()),
            29..=34 => Act::Rename(path, self.path()),
            35 => Act::Swap(path, self.path()),
            36..=37 => Act::EditCopy(self.random.u8(0..3), self.content()),
            38 => Act::DeleteCopy(self.random.u8(0..3)),
            39 => Act::PutBack(path),
            40 => Act::WriteCopyName(self.random.u8(0..3), self.content()),
            _ => Act::RenameCopy(self.random.u8(0..3), self.path()),
        }
    }
}
