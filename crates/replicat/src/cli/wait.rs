//! Waiting for a root that another process works on.

use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use replicat::error::SyncError;
use replicat::options::Cancellation;

use super::manager_arguments::duration;
use super::progress::print_error_line;
use super::terminal::sentence;

/// How often it is tried again.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);
/// A wait that is shorter than this is not mentioned.
const QUIET: Duration = Duration::from_secs(1);

/// Whether to wait for a root that is in use.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct WaitArguments {
    /// Wait while another replicat process works on the directory, TIME at most: 30s, 10m [default: until it ends]
    #[arg(
        long,
        value_name = "TIME",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "yes",
        env = "REPLICAT_WAIT"
    )]
    pub(crate) wait: Option<Wait>,
}

/// How long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    No,
    Until(Duration),
    Forever,
}

impl FromStr for Wait {
    type Err = String;

    /// A flag as variables set it, or a time.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "" | "0" | "n" | "no" | "f" | "false" | "off" => Ok(Self::No),
            "1" | "y" | "yes" | "t" | "true" | "on" => Ok(Self::Forever),
            text => duration(text).map(Self::Until),
        }
    }
}

impl WaitArguments {
    /// How long to wait.
    pub(crate) fn limit(self) -> Wait {
        self.wait.unwrap_or(Wait::No)
    }
}

/// Does `work`. While it finds a root locked, it is tried again, for as long as `limit` says of that error.
///
/// All locks are released between two attempts, so that two processes which want the same roots in another order do not
/// wait for each other.
pub(crate) fn while_locked<T>(
    cancellation: &Cancellation,
    limit: impl Fn(&SyncError) -> Wait,
    mut work: impl FnMut() -> Result<T, SyncError>,
) -> Result<T, SyncError> {
    let began = Instant::now();
    let mut is_told = false;
    loop {
        let error = match work() {
            Err(error @ SyncError::Locked { .. }) => error,
            other => return other,
        };
        let is_over = match limit(&error) {
            Wait::No => true,
            Wait::Until(time) => began.elapsed() >= time,
            Wait::Forever => false,
        };
        if is_over || cancellation.is_cancelled() {
            return Err(error);
        }
        if !is_told && began.elapsed() >= QUIET {
            is_told = true;
            print_error_line(&format!("waiting: {}", sentence(&error.to_string())));
        }
        thread::sleep(RETRY_INTERVAL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locked() -> SyncError {
        SyncError::Locked {
            root: "A".into(),
            holder: Box::default(),
        }
    }

    #[test]
    fn a_wait_is_a_flag_or_a_time() {
        for (text, wait) in [
            ("yes", Wait::Forever),
            ("1", Wait::Forever),
            ("off", Wait::No),
            ("10m", Wait::Until(Duration::from_secs(600))),
        ] {
            assert_eq!(text.parse(), Ok(wait), "{text}");
        }
        assert!("10".parse::<Wait>().is_err());
    }

    #[test]
    fn work_is_tried_until_the_root_is_free() {
        let mut left = 3;
        let done = while_locked(
            &Cancellation::default(),
            |_| Wait::Forever,
            || {
                left -= 1;
                if left > 0 { Err(locked()) } else { Ok(left) }
            },
        );
        assert!(matches!(done, Ok(0)));
    }

    #[test]
    fn a_wait_ends_with_its_time_or_its_cancellation() {
        let cancelled = Cancellation::default();
        cancelled.cancel();
        let goes_on = Cancellation::default();
        for (cancellation, wait) in [
            (&goes_on, Wait::No),
            (&goes_on, Wait::Until(Duration::from_millis(150))),
            (&cancelled, Wait::Forever),
        ] {
            let done = while_locked(cancellation, |_| wait, || Err::<(), _>(locked()));
            assert!(matches!(done, Err(SyncError::Locked { .. })), "{wait:?}");
        }
    }
}
