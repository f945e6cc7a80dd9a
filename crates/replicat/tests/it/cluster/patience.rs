//! Waiting for a condition, on machines that may be slow.

use std::time::{Duration, Instant};

/// How long a condition may take to hold. Far longer than it takes.
const PATIENCE: Duration = Duration::from_secs(120);
/// A pause between two looks counts for no more than this: all may have been suspended for a while.
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// How long to wait between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// What is left of the time that somebody waits.
pub(crate) struct Patience {
    left: Duration,
    last: Instant,
}

impl Patience {
    pub(crate) fn new() -> Self {
        Self {
            left: PATIENCE,
            last: Instant::now(),
        }
    }

    /// Waits a moment; whether it is worth to look again.
    pub(crate) fn lasts(&mut self) -> bool {
        std::thread::sleep(PAUSE);
        let passed = self.last.elapsed().min(PAUSE_MAX);
        self.last = Instant::now();
        self.left = self.left.saturating_sub(passed);
        !self.left.is_zero()
    }
}

/// Waits until a condition holds.
#[track_caller]
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let mut patience = Patience::new();
    while !condition() {
        assert!(patience.lasts(), "it does not come about that {what}");
    }
}
