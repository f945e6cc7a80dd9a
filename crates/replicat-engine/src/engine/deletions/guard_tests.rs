//! The guard on a clock of its own.

use proptest::prelude::*;
use replicat_core::path::RelPath;
use replicat_core::record::Holdings;

use super::Millis;
use super::guard::{Decision, Guard, Pace, Stock, Verdict};

const LIVE: Pace = Pace::Live {
    patience_ms: 30_000,
};

fn path(directory: u64, number: u64) -> RelPath {
    RelPath::new(format!("d{directory}/f{number}").as_bytes()).unwrap()
}

/// A folder of files of one byte each, in ten directories, and its guard.
struct Folder {
    guard: Guard,
    files: u64,
    recorded: u64,
    departing: u64,
    now: Millis,
    passed: u64,
}

impl Folder {
    fn new(files: u64, pace: Pace) -> Self {
        Self {
            guard: Guard::new(pace, None, b""),
            files,
            recorded: files,
            departing: 0,
            now: Millis(1_000_000),
            passed: 0,
        }
    }

    fn stock(&self) -> Stock {
        let holdings = |files| Holdings {
            files,
            bytes: files,
        };
        Stock {
            recorded: holdings(self.recorded),
            departing: holdings(self.departing),
        }
    }

    fn wait(&mut self, milliseconds: u64) {
        self.now = Millis(self.now.0 + milliseconds);
    }

    /// A scan finds a file gone.
    fn lose(&mut self, number: u64) {
        let path = path(number % 10, number);
        if self.guard.handle_gone(&path) {
            self.guard.hold(self.now, path, Some(1));
        } else {
            self.recorded -= 1;
        }
    }

    fn judge(&mut self) -> Decision {
        let stock = self.stock();
        let decision = self.guard.judge(self.now, &stock);
        if decision == Decision::Pass {
            for path in self.guard.held().clone().into_keys() {
                self.guard.release(&path);
                self.guard.handle_passed(self.now, &path, 1);
                self.recorded -= 1;
                self.passed += 1;
            }
        }
        decision
    }
}

#[test]
fn few_deletions_pass_at_once() {
    let mut folder = Folder::new(1_000, LIVE);
    for number in 0..50 {
        folder.lose(number);
        assert_eq!(folder.judge(), Decision::Pass);
    }
    folder.lose(50);
    assert!(matches!(folder.judge(), Decision::Hold(_)));
    assert_eq!(folder.passed, 50);
}

#[test]
fn less_than_half_passes_when_the_burst_is_over() {
    let mut folder = Folder::new(1_000, LIVE);
    (0..300).for_each(|number| folder.lose(number));
    let Decision::Hold(until) = folder.judge() else {
        panic!("300 of 1,000 pass at once");
    };
    assert_eq!(until.0 - folder.now.0, 300);
    folder.now = until;
    assert_eq!(folder.judge(), Decision::Pass);
    assert_eq!(folder.passed, 300);
}

#[test]
fn deletion_of_everything_file_by_file_is_a_brake() {
    let mut folder = Folder::new(1_000, LIVE);
    for number in 0..1_000 {
        folder.lose(number);
        folder.judge();
        folder.wait(2);
    }
    assert_eq!(folder.passed, 50);
    folder.wait(29_000);
    assert!(matches!(folder.judge(), Decision::Hold(_)));
    folder.wait(1_000);
    assert_eq!(folder.judge(), Decision::Brake);
    folder.wait(3_600_000);
    assert_eq!(
        folder.judge(),
        Decision::Brake,
        "time alone lets nothing pass"
    );
    folder.guard.decide(Verdict::Approved);
    assert_eq!(folder.judge(), Decision::Pass);
    assert_eq!(folder.passed, 1_000);
}

#[test]
fn files_that_come_back_end_a_brake() {
    let mut folder = Folder::new(1_000, LIVE);
    (0..900).for_each(|number| folder.lose(number));
    folder.judge();
    folder.wait(30_000);
    assert_eq!(folder.judge(), Decision::Brake);
    for number in 0..860 {
        folder.guard.release(&path(number % 10, number));
    }
    assert_eq!(folder.judge(), Decision::Pass);
    assert_eq!(folder.passed, 40);
}

#[test]
fn deletions_elsewhere_are_judged_as_well() {
    let mut folder = Folder::new(1_000, LIVE);
    folder.departing = 600;
    assert!(matches!(folder.judge(), Decision::Hold(_)));
    folder.wait(30_000);
    assert_eq!(folder.judge(), Decision::Brake);
    let mut once = Folder::new(1_000, Pace::Once);
    once.departing = 300;
    assert_eq!(once.judge(), Decision::Pass);
    once.departing = 600;
    assert_eq!(once.judge(), Decision::Brake);
}

#[test]
fn files_that_were_made_here_are_no_loss() {
    let mut folder = Folder::new(100, LIVE);
    for number in 1_000..2_000 {
        folder
            .guard
            .handle_made(folder.now, &path(number % 10, number), 1);
        folder.recorded += 1;
    }
    folder.wait(60_000);
    for number in 1_000..2_000 {
        folder.lose(number);
        assert_eq!(folder.judge(), Decision::Pass);
    }
    assert_eq!(folder.recorded, 100);
}

#[test]
fn new_files_replace_old_ones_of_their_directory() {
    let mut folder = Folder::new(1_000, LIVE);
    for number in 0..900 {
        let made = path(number % 10, 5_000 + number);
        folder.guard.handle_made(folder.now, &made, 1);
        folder.recorded += 1;
        folder.lose(number);
    }
    assert_eq!(folder.judge(), Decision::Pass);
}

#[test]
fn loose_objects_of_git_are_packed() {
    let mut folder = Folder::new(100, LIVE);
    let loose = RelPath::new(b"r/.git/objects/0a/0123456789abcdef0123456789abcdef012345").unwrap();
    assert!(folder.guard.handle_gone(&loose), "no pack was made");
    let pack = RelPath::new(b"r/.git/objects/pack/pack-0123.pack").unwrap();
    folder.guard.handle_made(folder.now, &pack, 1);
    assert!(!folder.guard.handle_gone(&loose));
    let other = RelPath::new(b"s/.git/objects/0a/0123456789abcdef0123456789abcdef012345").unwrap();
    assert!(
        folder.guard.handle_gone(&other),
        "the pack is of another repository"
    );
}

#[test]
fn window_outlives_a_process() {
    let mut folder = Folder::new(1_000, Pace::Once);
    (0..400).for_each(|number| folder.lose(number));
    folder.judge();
    folder.wait(5_000);
    assert_eq!(folder.judge(), Decision::Pass);
    let window = folder.guard.encode_window();
    folder.guard = Guard::new(Pace::Once, None, &window);
    folder.wait(60_000);
    (400..600).for_each(|number| folder.lose(number));
    assert_eq!(folder.judge(), Decision::Brake);
    assert_eq!(folder.passed, 400);
}

proptest! {
    /// Whatever the times of single deletions and the number of looks: before a person decides, no more than half goes; and
    /// before the first decision no more than what passes at once.
    #[test]
    fn most_never_passes_undecided(
        files in 20_u64..400,
        pauses in prop::collection::vec(0_u64..2_500, 400),
        looks in prop::collection::vec(any::<bool>(), 400),
    ) {
        let mut folder = Folder::new(files, LIVE);
        for number in 0..files {
            folder.lose(number);
            folder.wait(pauses[number as usize]);
            if looks[number as usize] {
                folder.judge();
            }
            prop_assert!(folder.passed * 2 <= folder.files);
        }
        for _ in 0..10 {
            folder.wait(40_000);
            folder.judge();
        }
        prop_assert!(folder.passed * 2 <= folder.files);
    }
}
