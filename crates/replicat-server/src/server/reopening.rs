//! Folders that could not be opened are tried again, as long as the reason may be gone.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::Inner;

/// How often is looked whether one is due.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Looks again and again, as long as there is a server.
pub(super) async fn follow(server: Weak<Inner>) {
    let mut ticks = interval(LOOK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Some(inner) = server.upgrade() else {
            return;
        };
        if *inner.stopped.borrow() {
            return;
        }
        let folders = Arc::clone(&inner.folders);
        // Opening waits for disks.
        let opened = tokio::task::spawn_blocking(move || folders.retry_due());
        if opened.await.unwrap_or(false) {
            inner.peers.offer();
        }
    }
}
