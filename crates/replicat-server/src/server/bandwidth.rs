//! Carries out a limit of bandwidth, by the clock of this place.

use std::time::Duration;

use replicat_net::{BandwidthLimit, RateLimiter, TimeOfDay};
use tokio::sync::watch;

use crate::workers::Workers;

/// Sets the limiter whenever the time of day or the settings ask for another rate.
pub(crate) async fn follow(
    limiter: RateLimiter,
    mut limit: watch::Receiver<Option<BandwidthLimit>>,
    workers: Workers,
) {
    let worker = workers.begin("bandwidth");
    loop {
        worker.waits();
        let pause = set(&limiter, limit.borrow_and_update().as_ref());
        let changed = tokio::select! {
            changed = limit.changed() => changed.is_ok(),
            () = rest(pause) => true,
        };
        if !changed {
            return;
        }
    }
}

async fn rest(pause: Option<Duration>) {
    match pause {
        Some(pause) => tokio::time::sleep(pause).await,
        None => std::future::pending().await,
    }
}

/// Sets the rate of now; how long it holds.
fn set(limiter: &RateLimiter, limit: Option<&BandwidthLimit>) -> Option<Duration> {
    let Some(limit) = limit else {
        limiter.set(None);
        return None;
    };
    let now = jiff::Zoned::now();
    let hour = u8::try_from(now.hour()).unwrap_or_default();
    let minute = u8::try_from(now.minute()).unwrap_or_default();
    let time = TimeOfDay::new(hour, minute)?;
    limiter.set(limit.at(time));
    let minutes = limit.minutes_to_change(time)?;
    let passed = u64::try_from(now.second()).unwrap_or_default();
    // At least a second, so that a leap second does not make it spin.
    let seconds = (u64::from(minutes) * 60).saturating_sub(passed).max(1);
    Some(Duration::from_secs(seconds))
}
