//! At which of many points a sync is cut short.

use std::time::{SystemTime, UNIX_EPOCH};

/// Set to `all` to cut at every point, or to a number to draw the same sample again.
const VARIABLE: &str = "REPLICAT_CRASH_POINTS";

/// About `wanted` of `total` points, or all of them if the environment asks for it.
pub(crate) fn points(total: usize, wanted: usize) -> Vec<usize> {
    match std::env::var(VARIABLE) {
        Ok(value) if value == "all" => (0..total).collect(),
        _ => sample(total, wanted),
    }
}

/// About `wanted` of `total` points, at equal distances from a random one on.
pub(crate) fn sample(total: usize, wanted: usize) -> Vec<usize> {
    let given = std::env::var(VARIABLE)
        .ok()
        .and_then(|value| value.parse().ok());
    let seed = given.unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        now.subsec_nanos() as usize
    });
    eprintln!("{VARIABLE}={seed} draws this sample again");
    let step = total.div_ceil(wanted).max(1);
    (seed % step..total).step_by(step).collect()
}
