//! Cutting a failing history down. Source: delta debugging (Zeller and Hildebrandt, 2002).

use crate::check::run;
use crate::op::History;

/// The smallest history found, by leaving operations out, that still fails.
#[must_use]
pub fn minimise(history: &History) -> History {
    let mut best = history.clone();
    let mut chunk = best.operations.len().div_ceil(2).max(1);
    loop {
        let smaller = pass(&mut best, chunk);
        if chunk > 1 {
            chunk /= 2;
        } else if !smaller {
            break;
        }
    }
    while best.replicas > 2 {
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
fn pass(best: &mut History, chunk: usize) -> bool {
    let mut smaller = false;
    let mut at = 0;
    while at < best.operations.len() {
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
