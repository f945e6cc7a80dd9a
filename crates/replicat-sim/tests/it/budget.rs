//! A small fixed budget of random histories; continuous integration runs a larger one in the release build.

use replicat_sim::check::run;
use replicat_sim::generate::{Shape, history};

const HISTORIES: u64 = 20_000;

#[test]
fn random_histories_keep_every_promise() {
    let shape = Shape {
        replicas_max: 5,
        ..Shape::default()
    };
    for seed in 0..HISTORIES {
        let outcome = run(&history(seed, shape));
        assert_eq!(
            outcome,
            Ok(()),
            "seed {seed}; see `replicat-sim replay --seed {seed}`"
        );
    }
}

#[test]
fn a_seed_is_one_history() {
    let shape = Shape::default();
    assert_eq!(history(7, shape), history(7, shape));
    assert_ne!(history(7, shape).operations, history(8, shape).operations);
}
