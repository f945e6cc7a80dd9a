//! At which of many points a sync is cut short.

use std::time::{SystemTime, UNIX_EPOCH};

/// Set to `all` to cut at every point, or to a number to draw the same sample again.
const VARIABLE: &str = "REPLICAT_CRASH_POINTS";

/// All of `total` points, or about `sampled` of them at equal distances from a random one on.
pub(crate) fn points(total: usize, sampled: usize) -> Vec<usize> {
    let wanted = std::env::var(VARIABLE).unwrap_or_default();
    if wanted == "all" {
        return (0..total).collect();
    }
    let seed = wanted.parse().unwrap_or_else(|_| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        now.subsec_nanos() as usize
    });
    eprintln!("{VARIABLE}={seed} draws this sample again");
    let step = total.div_ceil(sampled).max(1);
    (seed % step..total).step_by(step).collect()
}
