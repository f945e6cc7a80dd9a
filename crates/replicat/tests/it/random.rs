//! Random histories: users change some roots at will, some of the roots are synced now and then in any order, and in the
//! end all are. All must be equal then, and what nobody replaced or deleted must be there.
//!
//! `REPLICAT_TEST_HISTORIES` says how many are run, `REPLICAT_TEST_SEED` which comes first. A history that fails is
//! printed with as few steps as are needed to fail.

mod filesystems;
mod history;
mod ledger;
mod live;
mod scopes;
mod step;

use history::{History, run, shrink};
use step::{Random, Step};

const HISTORIES: u64 = 30;
const LIVE_HISTORIES: u64 = 5;

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
            eprintln!("seed {seed} fails; looking for the least that does");
            let least = shrink(history);
            panic!("seed {seed} fails: {failure:.2000}\nas does: {least:#?}");
        }
    }
}

/// The same over running nodes; `REPLICAT_TEST_LIVE_HISTORIES` says how many, or `REPLICAT_TEST_LIVE_SECONDS` for how long.
/// All are played, whether one fails or not; with `--nocapture` seeds and a count are printed. `REPLICAT_TEST_FILESYSTEMS`
/// names what the roots lie on, with commas between: `host`, `xfs`, `btrfs`, `ext4` or `bindfs`.
#[test]
fn random_histories_over_running_nodes() {
    let first = number("REPLICAT_TEST_SEED", 1);
    let count = number("REPLICAT_TEST_LIVE_HISTORIES", LIVE_HISTORIES);
    let seconds = std::env::var("REPLICAT_TEST_LIVE_SECONDS").ok();
    let seconds = seconds.map(|text| text.parse().unwrap());
    live::Tally::play(first, count, seconds);
}

/// Runs a history that once failed.
#[track_caller]
fn assert_holds(roots: usize, steps: Vec<Step>) {
    if let Err(failure) = run(&History { roots, steps }) {
        panic!("{failure}");
    }
}

/// Two paths that wanted one content both took the file that had to go, and became two names of it.
#[test]
fn a_file_that_goes_lives_on_at_one_path() {
    use Step::{MakeDirectory, Write};
    let steps = vec![
        Write(3, "c".into(), 1),
        Write(1, "d".into(), 1),
        MakeDirectory(2, "d".into()),
        Write(2, "a/c/c".into(), 1),
    ];
    assert_holds(4, steps);
}

/// A file that had to go lived on at another path, and the directory of that path kept the time of the replacement.
#[test]
fn a_directory_keeps_its_time_when_a_file_moves_into_it() {
    use Step::{RenameCopy, Sync, Touch, Write};
    let [d, file] = ["d", "d/c"].map(String::from);
    let steps = vec![
        Write(3, file.clone(), 10),
        Write(0, "a".into(), 11),
        Write(2, "a".into(), 19),
        Sync(vec![3, 1, 0, 2]),
        Write(3, "d/a/b".into(), 38),
        RenameCopy(1, 0, file),
        Touch(1, d.clone(), 5),
        Touch(3, d, 5),
    ];
    assert_holds(4, steps);
}
