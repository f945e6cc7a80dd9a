//! By which time the age of what is in the trash is reckoned.
//!
//! A clock that is suddenly a year ahead must not empty the trash. So a time far from the last one is believed only when
//! the clock has gone on from there for a day; until then nothing gets older. And what comes into the trash while the clock
//! is behind is noted with the last time that was believed.

use replicat_fs::trash::TrashItem;

use super::clock;
use super::local::LocalReplica;
use crate::error::SyncError;

/// The setting under which this is kept: two numbers of seconds since 1970, the second only while a time is in doubt.
const SETTING_CLOCK: &str = "trash-clock";

const DAY_SECONDS: i64 = 86_400;
/// What came into the trash so lately stays, though a file does not fit.
const NEW_SECONDS: i64 = 3600;
/// So far from the last believed time the clock is believed at once.
const LEAP_SECONDS_MAX: i64 = 8 * DAY_SECONDS;

/// What is believed of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TrashClock {
    /// The last time that was believed, give or take a day.
    believed: i64,
    /// When the clock first told a time that is not believed, by that clock.
    doubted: Option<i64>,
}

impl TrashClock {
    fn at(now: i64) -> Self {
        Self {
            believed: now,
            doubted: None,
        }
    }

    /// What is believed now that the clock tells `now`.
    fn told(self, now: i64) -> Self {
        let passed = now.saturating_sub(self.believed);
        if passed.saturating_abs() <= LEAP_SECONDS_MAX {
            // Noted once a day, so that a sync without changes writes nothing.
            return match passed.saturating_abs() < DAY_SECONDS && self.doubted.is_none() {
                true => self,
                false => Self::at(now),
            };
        }
        match self.doubted.map(|since| now.saturating_sub(since)) {
            Some(0..DAY_SECONDS) => self,
            Some(DAY_SECONDS..) => Self::at(now),
            Some(_) | None => Self {
                doubted: Some(now),
                ..self
            },
        }
    }

    /// The time by which ages are reckoned while the clock tells `now`.
    fn reckoned(self, now: i64) -> i64 {
        match self.doubted {
            Some(_) => now.min(self.believed),
            None => now,
        }
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let mut numbers = text.split(' ').map(str::parse);
        let believed = numbers.next()?.ok()?;
        let doubted = numbers.next().transpose().ok()?;
        Some(Self { believed, doubted })
    }

    fn text(self) -> String {
        match self.doubted {
            Some(doubted) => format!("{} {doubted}", self.believed),
            None => self.believed.to_string(),
        }
    }
}

/// Tells a root that was just opened what time it is at the least.
pub(super) fn begin(local: &LocalReplica) -> Result<(), SyncError> {
    let kept = local.setting(SETTING_CLOCK)?;
    if let (Some(clock), Some(hands)) = (kept.as_deref().and_then(TrashClock::parse), &local.hands)
    {
        hands.staging.not_before(clock.believed);
    }
    Ok(())
}

/// Drops what the trash need not keep any more.
pub(super) fn purge(local: &mut LocalReplica) -> Result<(), SyncError> {
    if local.hands.is_none() {
        return Ok(());
    }
    let now = clock::now_seconds();
    let kept = local.setting(SETTING_CLOCK)?;
    let before = kept.as_deref().and_then(TrashClock::parse);
    let after = before.map_or_else(|| TrashClock::at(now), |before| before.told(now));
    if before != Some(after) {
        local.set_setting(SETTING_CLOCK, Some(after.text().as_bytes()))?;
    }
    let Some(hands) = &local.hands else {
        return Ok(());
    };
    let purged = (hands.trash).purge(after.reckoned(now), &|item| is_needed(local, item));
    purged.map(drop).map_err(|error| local.fs_failed(error))
}

/// Drops what the trash may not keep, if it has grown beyond its size.
pub(super) fn keep_size(local: &mut LocalReplica) -> Result<(), SyncError> {
    let Some(hands) = &local.hands else {
        return Ok(());
    };
    match hands.trash.is_over() {
        Ok(true) => purge(local),
        Ok(false) => Ok(()),
        Err(error) => Err(local.fs_failed(error)),
    }
}

/// Drops the oldest of the trash until a file of `bytes` fits on the disk. What has just come there stays.
pub(super) fn make_room(local: &LocalReplica, bytes: u64) -> Result<(), SyncError> {
    let Some(hands) = &local.hands else {
        return Ok(());
    };
    let now = clock::now_seconds();
    let is_new = |item: &TrashItem| now.saturating_sub(item.seconds) < NEW_SECONDS;
    let made = (hands.trash).make_room(bytes, &|item| is_new(item) || is_needed(local, item));
    made.map(drop).map_err(|error| local.fs_failed(error))
}

/// Whether what the trash holds is about to be placed at a path.
fn is_needed(local: &LocalReplica, item: &TrashItem) -> bool {
    let is_wanted = item.content.map(|content| local.is_wanted(content));
    // What cannot be looked up stays.
    is_wanted.is_some_and(|wanted| wanted.unwrap_or(true))
}

#[cfg(test)]
mod tests {
    use super::*;

    const YEAR: i64 = 366 * DAY_SECONDS;

    fn told(times: &[i64]) -> TrashClock {
        let (first, rest) = times.split_first().unwrap();
        rest.iter()
            .fold(TrashClock::at(*first), |clock, now| clock.told(*now))
    }

    #[test]
    fn a_clock_that_goes_on_is_believed_and_noted_once_a_day() {
        assert_eq!(
            told(&[1000, 1060, 1000 + DAY_SECONDS - 1]),
            TrashClock::at(1000)
        );
        let next = 1000 + DAY_SECONDS;
        assert_eq!(told(&[1000, next]), TrashClock::at(next));
        assert_eq!(told(&[1000, next]).reckoned(next + 5), next + 5);
        let week = 1000 + 7 * DAY_SECONDS;
        assert_eq!(told(&[1000, week]), TrashClock::at(week));
    }

    #[test]
    fn a_leap_ages_nothing_until_the_clock_has_gone_on_from_there_for_a_day() {
        let far = 1000 + YEAR;
        for now in [far, far + 60, far + DAY_SECONDS - 1] {
            let clock = told(&[1000, far, now]);
            assert_eq!(clock.reckoned(now), 1000, "{now}");
        }
        let settled = far + DAY_SECONDS;
        assert_eq!(told(&[1000, far, settled]).reckoned(settled), settled);
    }

    #[test]
    fn a_leap_that_is_taken_back_is_forgotten() {
        let clock = told(&[1000, 1000 + YEAR, 1100]);
        assert_eq!(clock, TrashClock::at(1100));
        // Another leap, later, is as doubtful as the first.
        let again = 1000 + YEAR + 2 * DAY_SECONDS;
        assert_eq!(clock.told(again).reckoned(again), 1100);
    }

    #[test]
    fn a_clock_that_falls_behind_ages_nothing_either() {
        let clock = told(&[YEAR, 1000]);
        assert_eq!(clock.reckoned(1000), 1000);
        assert_eq!(clock.told(900).doubted, Some(900));
        assert_eq!(
            told(&[YEAR, 1000, 1000 + DAY_SECONDS]),
            TrashClock::at(1000 + DAY_SECONDS)
        );
    }

    #[test]
    fn a_root_that_is_seldom_synced_is_cleared_a_sync_later() {
        let month = 30 * DAY_SECONDS;
        assert_eq!(told(&[0, month]).reckoned(month), 0);
        assert_eq!(told(&[0, month, 2 * month]).reckoned(2 * month), 2 * month);
    }

    #[test]
    fn what_is_believed_comes_back_from_its_setting() {
        for clock in [TrashClock::at(5), told(&[1000, YEAR])] {
            assert_eq!(TrashClock::parse(clock.text().as_bytes()), Some(clock));
        }
        assert_eq!(TrashClock::parse(b"soon"), None);
    }
}
