//! Limits of bandwidth as users write them.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

/// The lowest limit, in bytes per second: below it nothing would ever finish.
const RATE_MIN: f64 = 512.0;
const MINUTES_PER_DAY: u16 = 24 * 60;

/// A limit of bandwidth: one rate, or a timetable of rates that repeats each day.
///
/// A rate is written as for the `--bwlimit` of rsync: a number, also with a fraction, and a unit of
/// `K`, `M`, `G` or `T` (powers of 1024, also as `KiB`), of `KB`, `MB`, `GB`, `TB` (powers of 1000), or `B`; in either
/// case, and KiB if there is none. `0` or `off` is no limit. A timetable is a list of `HH:MM,RATE`
/// by white space; before the first time of a day, the rate of the last one holds.
///
/// ```
/// use replicat_net::{BandwidthLimit, TimeOfDay};
///
/// let limit: BandwidthLimit = "08:00,512k 18:00,off".parse()?;
/// let rate = limit.at(TimeOfDay::new(9, 30).expect("a time of day"));
/// assert_eq!(rate.map(|rate| rate.get()), Some(512 * 1024));
/// # Ok::<(), replicat_net::BandwidthLimitError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BandwidthLimit {
    /// By time of day, never empty. A single rate holds from midnight on.
    steps: Vec<(TimeOfDay, Rate)>,
}

/// Bytes per second; `None` is no limit.
type Rate = Option<NonZeroU64>;

/// A minute of the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeOfDay(u16);

impl TimeOfDay {
    /// The time from its hour (0 to 23) and minute (0 to 59); `None` if it is no time of a day.
    #[must_use]
    pub fn new(hour: u8, minute: u8) -> Option<Self> {
        let minutes = u16::from(hour) * 60 + u16::from(minute);
        (hour < 24 && minute < 60).then_some(Self(minutes))
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

/// A text that is no limit of bandwidth.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BandwidthLimitError {
    /// It is no rate.
    #[error("{0:?} is no rate: write a number and K, M or G, as in 512k or 1.5m, or off")]
    Rate(String),
    /// The rate is so low that nothing would finish.
    #[error("the rate {0:?} is below 512 bytes per second: write 0 or off for no limit")]
    TooLow(String),
    /// It is no step of a timetable.
    #[error("{0:?} is no step of a timetable: write HH:MM,RATE, as in 08:00,512k")]
    Step(String),
    /// Two steps have the same time.
    #[error("the timetable says two things of {0}")]
    Twice(TimeOfDay),
}

impl BandwidthLimit {
    /// The rate at a time of day, in bytes per second; `None` is no limit.
    #[must_use]
    pub fn at(&self, time: TimeOfDay) -> Option<NonZeroU64> {
        let begun = self.steps.iter().rev().find(|(from, _)| *from <= time);
        begun.or(self.steps.last()).and_then(|(_, rate)| *rate)
    }

    /// How many minutes after `time` the next step of the timetable begins, 1 to 1440; `None` if the
    /// rate never changes.
    #[must_use]
    pub fn minutes_to_change(&self, time: TimeOfDay) -> Option<u16> {
        if self.steps.len() < 2 {
            return None;
        }
        let later = self.steps.iter().find(|(from, _)| *from > time);
        match later {
            Some((from, _)) => Some(from.0 - time.0),
            None => Some(self.steps.first()?.0.0 + MINUTES_PER_DAY - time.0),
        }
    }
}

impl FromStr for BandwidthLimit {
    type Err = BandwidthLimitError;

    fn from_str(text: &str) -> Result<Self, BandwidthLimitError> {
        if !text.contains(',') {
            let rate = parse_rate(text.trim())?;
            return Ok(Self {
                steps: vec![(TimeOfDay(0), rate)],
            });
        }
        let mut steps: Vec<_> = text
            .split_whitespace()
            .map(parse_step)
            .collect::<Result<_, _>>()?;
        steps.sort_by_key(|(time, _)| *time);
        let twice = steps.windows(2).find(|pair| pair[0].0 == pair[1].0);
        if let Some(pair) = twice {
            return Err(BandwidthLimitError::Twice(pair[0].0));
        }
        Ok(Self { steps })
    }
}

fn parse_step(step: &str) -> Result<(TimeOfDay, Rate), BandwidthLimitError> {
    let wrong = || BandwidthLimitError::Step(step.to_owned());
    let (time, rate) = step.split_once(',').ok_or_else(wrong)?;
    let (hour, minute) = time.split_once(':').ok_or_else(wrong)?;
    let hour = hour.parse().map_err(|_| wrong())?;
    let minute = minute.parse().map_err(|_| wrong())?;
    let time = TimeOfDay::new(hour, minute).ok_or_else(wrong)?;
    Ok((time, parse_rate(rate)?))
}

fn parse_rate(text: &str) -> Result<Rate, BandwidthLimitError> {
    if text.eq_ignore_ascii_case("off") {
        return Ok(None);
    }
    let wrong = || BandwidthLimitError::Rate(text.to_owned());
    let digits = text
        .find(|character: char| !character.is_ascii_digit() && character != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let rate = number * unit_bytes(unit).ok_or_else(wrong)?;
    if rate == 0.0 {
        return Ok(None);
    }
    if rate < RATE_MIN {
        return Err(BandwidthLimitError::TooLow(text.to_owned()));
    }
    // A rate beyond what 64 bits hold becomes the highest that they do.
    Ok(NonZeroU64::new(rate.round() as u64))
}

fn unit_bytes(unit: &str) -> Option<f64> {
    let unit = unit.to_ascii_lowercase();
    let letter = unit.chars().next().unwrap_or('k');
    let power = match letter {
        'b' => 0,
        'k' => 1,
        'm' => 2,
        'g' => 3,
        't' => 4,
        _ => return None,
    };
    let base: f64 = match unit.get(1..).unwrap_or_default() {
        "" | "ib" => 1024.0,
        "b" if power > 0 => 1000.0,
        _ => return None,
    };
    (power > 0 || unit.len() == 1).then(|| base.powi(power))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(text: &str) -> Option<u64> {
        let limit: BandwidthLimit = text.parse().unwrap();
        limit.at(TimeOfDay(0)).map(NonZeroU64::get)
    }

    #[test]
    fn rates_are_those_of_rsync() {
        for (text, bytes) in [
            ("1000", 1_024_000),
            ("1.5m", 1_572_864),
            ("1.5M", 1_572_864),
            ("100k", 102_400),
            ("100KiB", 102_400),
            ("100kb", 100_000),
            ("2G", 2 << 30),
            ("1t", 1 << 40),
            ("2000b", 2000),
            ("600B", 600),
        ] {
            assert_eq!(rate(text), Some(bytes), "{text}");
        }
        assert_eq!(rate("0"), None);
        assert_eq!(rate("off"), None);
    }

    #[test]
    fn what_is_no_rate_is_said() {
        for text in ["", "fast", "1x", "1.2.3m", "-1", "1 m", "1bb", "1bib", "."] {
            let error = text.parse::<BandwidthLimit>().unwrap_err();
            assert_eq!(error, BandwidthLimitError::Rate(text.to_owned()));
        }
        assert!(matches!(
            "100b".parse::<BandwidthLimit>(),
            Err(BandwidthLimitError::TooLow(_))
        ));
    }

    #[test]
    fn a_timetable_goes_round_the_clock() {
        let limit: BandwidthLimit = "18:00,off 08:00,512k 12:30,1m".parse().unwrap();
        let at = |hour, minute| {
            let rate = limit.at(TimeOfDay::new(hour, minute).unwrap());
            rate.map(NonZeroU64::get)
        };
        assert_eq!(at(7, 59), None);
        assert_eq!(at(8, 0), Some(512 << 10));
        assert_eq!(at(12, 29), Some(512 << 10));
        assert_eq!(at(12, 30), Some(1 << 20));
        assert_eq!(at(23, 59), None);
        let change = |hour, minute| limit.minutes_to_change(TimeOfDay::new(hour, minute).unwrap());
        assert_eq!(change(7, 59), Some(1));
        assert_eq!(change(8, 0), Some(270));
        assert_eq!(change(20, 0), Some(12 * 60));
    }

    #[test]
    fn a_bad_timetable_is_refused() {
        for text in ["8,512k", "24:00,1m", "08:60,1m", "08:00,512k x"] {
            assert!(
                matches!(
                    text.parse::<BandwidthLimit>(),
                    Err(BandwidthLimitError::Step(_))
                ),
                "{text}"
            );
        }
        assert_eq!(
            "08:00,1m 08:00,2m".parse::<BandwidthLimit>(),
            Err(BandwidthLimitError::Twice(TimeOfDay(480)))
        );
    }
}
