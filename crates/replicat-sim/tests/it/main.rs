//! Tests of the rules by simulation.

use replicat_sim::check::run;
use replicat_sim::op::{History, Op};

mod budget;
mod held;
mod lost_state;
mod moves;
mod put_back;
mod refused;
mod regressions;
mod scopes;

/// A history must pass. What its operations leave open is left to the salt, so that some others are tried as well.
fn check(replicas: u8, salt: u64, operations: &[Op]) {
    let history = History {
        replicas,
        salt,
        operations: operations.to_vec(),
    };
    for salt in std::iter::once(salt).chain(0..200) {
        let outcome = run(&History {
            salt,
            ..history.clone()
        });
        assert_eq!(outcome, Ok(()), "with salt {salt}");
    }
}
