//! The only place of the engine that reads the clock.

use std::time::{SystemTime, UNIX_EPOCH};

use replicat_core::entry::Timestamp;
use replicat_core::replica::Now;
use replicat_core::version::Hlc;

/// The time now. A clock before 1970 counts as 1970.
pub(super) fn now() -> Now {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Now(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

/// The time now, in whole seconds.
pub(super) fn now_seconds() -> i64 {
    i64::try_from(now().0 / 1_000_000).unwrap_or(i64::MAX)
}

/// A file's timestamp as a time of events; before 1970 counts as 1970.
pub(super) fn hlc(time: Timestamp) -> Hlc {
    let milliseconds = i128::from(time.seconds) * 1000 + i128::from(time.nanoseconds / 1_000_000);
    Hlc(u64::try_from(milliseconds.max(0)).unwrap_or(u64::MAX))
}

/// A time of events as a timestamp.
pub(super) fn timestamp(hlc: Hlc) -> Timestamp {
    Timestamp {
        seconds: i64::try_from(hlc.0 / 1000).unwrap_or(i64::MAX),
        nanoseconds: u32::try_from(hlc.0 % 1000).unwrap_or(0) * 1_000_000,
    }
}

/// A timestamp for people, in UTC.
pub(super) fn shown(time: Timestamp) -> String {
    let nanoseconds = i32::try_from(time.nanoseconds).unwrap_or(0);
    match jiff::Timestamp::new(time.seconds, nanoseconds) {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        Err(_) => "at an unknown time".to_owned(),
    }
}
