//! Random histories: users change some roots at will, some of the roots are synced now and then in any order, and in the
//! end all are. All must be equal then, and what nobody replaced or deleted must be there.
//!
//! `REPLICAT_TEST_HISTORIES` says how many are run, `REPLICAT_TEST_SEED` which comes first. A history that fails is
//! printed with as few steps as are needed to fail.

mod history;
mod ledger;
mod step;

use history::{History, run, shrink};
use step::{Random, Step};

const HISTORIES: u64 = 30;

fn number(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).unwrap_or_default();
    text.parse().unwrap_or(default)
}

#[test]
fn random_histories_end_equal_and_lose_nothing() {
    let first = number("REPLICAT_TEST_SEED", 1);
    let count = number("REPLICAT_TEST_HISTORIES", HISTORIES);
    for seed in first..first + count {
        let history = History::random(&mut Random::new(seed));
        if let Err(failure) = run(&history) {
            let least = shrink(history);
            panic!("seed {seed} fails: {failure:.2000}\nas does: {least:#?}");
        }
    }
}

/// Runs a history that once failed.
#[track_caller]
fn assert_holds(roots: usize, steps: Vec<Step>) {
    if let Err(failure) = run(&History { roots, steps }) {
        panic!("{failure}");
    }
}
