//! A rate that several connections share.

use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// How much may be sent at once after a pause, in time at the given rate.
const BURST: Duration = Duration::from_millis(100);
/// The least and the most that is taken at a time, in bytes.
const SLICE_BYTES: (u64, u64) = (1 << 10, 64 << 10);

/// A token bucket: bytes per second for all who share a clone of it.
///
/// The bucket is kept as the time at which all that was granted so far has been paid for (the
/// generic cell rate algorithm, ITU-T I.371), so that waiting takes no timer of its own.
#[derive(Debug, Clone, Default)]
pub struct RateLimiter(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    bytes_per_second: Option<NonZeroU64>,
    paid_until: Option<Instant>,
}

impl RateLimiter {
    /// No limit, until one is set.
    #[must_use]
    pub fn unlimited() -> Self {
        Self::default()
    }

    /// A limit in bytes per second.
    #[must_use]
    pub fn new(bytes_per_second: NonZeroU64) -> Self {
        let limiter = Self::default();
        limiter.set(Some(bytes_per_second));
        limiter
    }

    /// Changes the limit, in bytes per second; `None` lifts it. Those who wait go on at once.
    pub fn set(&self, bytes_per_second: Option<NonZeroU64>) {
        let mut state = self.state();
        if state.bytes_per_second == bytes_per_second {
            return;
        }
        state.bytes_per_second = bytes_per_second;
        state.paid_until = None;
        drop(state);
        self.0.changed.notify_waiters();
    }

    /// The limit, in bytes per second.
    #[must_use]
    pub fn rate(&self) -> Option<NonZeroU64> {
        self.state().bytes_per_second
    }

    /// How many bytes to send between two calls of [`RateLimiter::acquire`]: few enough that a slow
    /// rate still moves evenly. `None` if there is no limit.
    pub(crate) fn slice(&self) -> Option<usize> {
        let rate = self.rate()?.get();
        let slice = (rate / 10).clamp(SLICE_BYTES.0, SLICE_BYTES.1);
        usize::try_from(slice).ok()
    }

    /// Waits until `bytes` more may be sent.
    pub async fn acquire(&self, bytes: usize) {
        let changed = self.0.changed.notified();
        let Some(due) = self.grant(bytes as u64) else {
            return;
        };
        tokio::select! {
            () = sleep_until(due) => {}
            () = changed => {}
        }
    }

    /// Books the bytes, and says when they may go; `None` for at once.
    fn grant(&self, bytes: u64) -> Option<Instant> {
        let mut state = self.state();
        let rate = state.bytes_per_second?;
        let now = Instant::now();
        let earliest = now.checked_sub(BURST).unwrap_or(now);
        let paid = state.paid_until.unwrap_or(earliest).max(earliest);
        let cost = bytes.saturating_mul(1_000_000) / rate;
        let paid = paid + Duration::from_micros(cost);
        state.paid_until = Some(paid);
        (paid > now).then_some(paid)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(rate: u64) -> RateLimiter {
        RateLimiter::new(NonZeroU64::new(rate).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn ten_seconds_of_bytes_take_ten_seconds() {
        let limiter = limiter(1_000_000);
        let start = Instant::now();
        for _ in 0..1000 {
            limiter.acquire(10_000).await;
        }
        let took = start.elapsed().as_secs_f64();
        assert!((9.8..=10.0).contains(&took), "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_share_it_share_the_rate() {
        let limiter = limiter(100_000);
        let start = Instant::now();
        let tasks: Vec<_> = (0..4)
            .map(|_| {
                let limiter = limiter.clone();
                tokio::spawn(async move {
                    for _ in 0..100 {
                        limiter.acquire(1000).await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let took = start.elapsed().as_secs_f64();
        assert!((3.8..=4.0).contains(&took), "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_is_not_saved_up() {
        let limiter = limiter(1000);
        limiter.acquire(100).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        let start = Instant::now();
        limiter.acquire(1000).await;
        assert!(start.elapsed() >= Duration::from_millis(900));
    }

    #[tokio::test(start_paused = true)]
    async fn lifting_the_limit_frees_those_who_wait() {
        let limiter = limiter(1);
        let waiting = {
            let limiter = limiter.clone();
            tokio::spawn(async move { limiter.acquire(1_000_000).await })
        };
        tokio::task::yield_now().await;
        let start = Instant::now();
        limiter.set(None);
        waiting.await.unwrap();
        assert!(start.elapsed() < Duration::from_secs(1));
    }
}
