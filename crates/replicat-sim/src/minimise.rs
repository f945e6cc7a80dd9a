//! Cutting a failing history down. Source: delta debugging (Zeller and Hildebrandt, 2002).

use std::time::{Duration, Instant};

use crate::check::run;
use crate::op::History;

/// Minimising stops after so long, with the smallest found by then: histories that do not come to rest are slow.
const SECONDS_MAX: u64 = 20;

/// The smallest history found, by leaving operations out, that still fails.
#[must_use]
pub fn minimise(history: &History) -> History {
    let deadline = Instant::now() + Duration::from_secs(SECONDS_MAX);
    let mut best = history.clone();
    let mut chunk = best.operations.len().div_ceil(2).max(1);
    loop {
        let smaller = pass(&mut best, chunk, deadline);
        if chunk > 1 {
            chunk /= 2;
        } else if !smaller {
            break;
        }
    }
    while best.replicas > 2 && Instant::now() < deadline {
        let mut fewer = best.clone();
        fewer.replicas -= 1;
        if run(&fewer).is_ok() {
            break;
        }
        best = fewer;
    }
    best
}

/// Tries to leave out each run of `chunk` operations; returns whether any could go.
fn pass(best: &mut History, chunk: usize, deadline: Instant) -> bool {
    let mut smaller = false;
    let mut at = 0;
    while at < best.operations.len() && Instant::now() < deadline {
        let mut shorter = best.clone();
        let end = (at + chunk).min(shorter.operations.len());
        shorter.operations.drain(at..end);
        if run(&shorter).is_err() {
            *best = shorter;
            smaller = true;
        } else {
            at += chunk;
        }
    }
    smaller
}
