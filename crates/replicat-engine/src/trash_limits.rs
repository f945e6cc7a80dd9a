//! How long the trash keeps what, as people write it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

pub use replicat_fs::trash::TrashPolicy;

/// What stands for no limit.
const OFF: &str = "off";
/// Units of age and their lengths in seconds, the longest first.
const AGES: [(char, u64); 5] = [
    ('w', 604_800),
    ('d', 86_400),
    ('h', 3_600),
    ('m', 60),
    ('s', 1),
];
/// Units of size and their lengths in bytes, the longest first.
const SIZES: [(char, u64); 4] = [
    ('t', 1 << 40),
    ('g', 1 << 30),
    ('m', 1 << 20),
    ('k', 1 << 10),
];

/// How long the trash keeps something: `30d`, `12h`; `0`: not at all; `off`: as long as there is room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrashAge(pub Duration);

/// How much the trash keeps: `10g`, `500m`; `0`: nothing; `off`: whatever its age allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrashSize(pub u64);

/// A limit that was not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write a number with a unit, as in {example}, or 0 to keep nothing, or off for no limit")]
pub struct TrashLimitError {
    example: &'static str,
}

/// The default policy with other limits, where there are any.
#[must_use]
pub fn policy(age: Option<TrashAge>, size: Option<TrashSize>) -> TrashPolicy {
    let usual = TrashPolicy::default();
    TrashPolicy {
        max_age: age.map_or(usual.max_age, |age| age.0),
        max_bytes: size.map(|size| size.0).or(usual.max_bytes),
    }
}

impl FromStr for TrashAge {
    type Err = TrashLimitError;

    fn from_str(text: &str) -> Result<Self, TrashLimitError> {
        let example = "30d or 12h";
        match number(text, &AGES).ok_or(TrashLimitError { example })? {
            None => Ok(Self(Duration::MAX)),
            Some(seconds) => Ok(Self(Duration::from_secs(seconds))),
        }
    }
}

impl FromStr for TrashSize {
    type Err = TrashLimitError;

    fn from_str(text: &str) -> Result<Self, TrashLimitError> {
        let example = "10g or 500m";
        let bytes = number(text, &SIZES).ok_or(TrashLimitError { example })?;
        Ok(Self(bytes.unwrap_or(u64::MAX)))
    }
}

impl fmt::Display for TrashAge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Duration::MAX => f.write_str(OFF),
            age => write(f, age.as_secs(), &AGES),
        }
    }
}

impl fmt::Display for TrashSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            u64::MAX => f.write_str(OFF),
            bytes => write(f, bytes, &SIZES),
        }
    }
}

/// What `text` says, `Some(None)` if it is no limit. A number alone is only understood if it is zero, or of bytes too short
/// for a unit.
fn number(text: &str, units: &[(char, u64)]) -> Option<Option<u64>> {
    let text = text.trim().to_ascii_lowercase();
    if text == OFF {
        return Some(None);
    }
    let unit = units.iter().find(|(letter, _)| text.ends_with(*letter));
    let (digits, factor) = match unit {
        Some((letter, factor)) => (text.strip_suffix(*letter)?, *factor),
        None => (&*text, 1),
    };
    let number: u64 = digits.trim().parse().ok()?;
    if unit.is_none() && number != 0 {
        return None;
    }
    number.checked_mul(factor).map(Some)
}

/// The number in the longest unit that it is a multiple of.
fn write(f: &mut fmt::Formatter<'_>, number: u64, units: &[(char, u64)]) -> fmt::Result {
    let whole = |(_, factor): &&(char, u64)| number != 0 && number.is_multiple_of(*factor);
    match units.iter().find(whole) {
        Some((letter, factor)) => write!(f, "{}{letter}", number / factor),
        None => write!(f, "{number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_read_back_as_they_are_written() {
        for text in ["30d", "12h", "90s", "0", "off", "2w"] {
            assert_eq!(text.parse::<TrashAge>().unwrap().to_string(), text);
        }
        for text in ["10g", "500m", "1k", "0", "off"] {
            assert_eq!(text.parse::<TrashSize>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn limits_without_a_unit_are_refused() {
        for text in ["", "30", "d", "-1d", "1 year", "never"] {
            assert!(text.parse::<TrashAge>().is_err(), "{text}");
        }
        for text in ["", "10", "g", "1.5g", "99999999999t"] {
            assert!(text.parse::<TrashSize>().is_err(), "{text}");
        }
    }

    #[test]
    fn no_limit_differs_from_keeping_nothing() {
        let all = policy("off".parse().ok(), "off".parse().ok());
        assert_eq!(
            (all.max_age, all.max_bytes),
            (Duration::MAX, Some(u64::MAX))
        );
        let nothing = policy("0".parse().ok(), "0".parse().ok());
        assert_eq!(
            (nothing.max_age, nothing.max_bytes),
            (Duration::ZERO, Some(0))
        );
        assert_eq!(policy(None, None), TrashPolicy::default());
    }
}
