//! Printing what a terminal must not obey, and quantities as people read them.
//!
//! A file name may hold any byte but a slash and NUL: escape sequences that recolour or retitle a
//! terminal, newlines that forge a line, characters that reverse the direction of writing.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use jiff::tz::TimeZone;
use replicat_core::entry::Timestamp;

/// A path's bytes, safe to print and without loss: `\n`, `\t`, `\\`, `\xNN` for a byte that is no
/// text, `\u{N}` for a character that must not be printed.
pub(crate) fn path_text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\\' => text.push_str("\\\\"),
                other => push_safe(&mut text, other),
            }
        }
        for byte in chunk.invalid() {
            push_formatted(&mut text, format_args!("\\x{byte:02x}"));
        }
    }
    text
}

/// A sentence that may hold names, safe to print.
pub(crate) fn sentence(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    text.chars()
        .for_each(|character| push_safe(&mut safe, character));
    safe
}

/// A path of this machine, safe to print.
pub(crate) fn root_text(root: &Path) -> String {
    path_text(root.as_os_str().as_encoded_bytes())
}

fn push_safe(text: &mut String, character: char) {
    match character {
        '\n' => text.push_str("\\n"),
        '\t' => text.push_str("\\t"),
        '\r' => text.push_str("\\r"),
        c if c.is_ascii_control() => push_formatted(text, format_args!("\\x{:02x}", u32::from(c))),
        c if is_unsafe(c) => push_formatted(text, format_args!("\\u{{{:x}}}", u32::from(c))),
        c => text.push(c),
    }
}

/// Controls beyond ASCII, and characters that hide or reorder what stands around them.
fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

fn push_formatted(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = text.write_fmt(arguments);
}

/// A length in bytes, as people read it: `0 B`, `1.5 KiB`, `12.0 GiB`.
pub(crate) fn size_text(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// A number with its noun: `1 file`, `2,000 files`.
pub(crate) fn count_text(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", number_text(count))
}

/// A number with its thousands apart: `1,234,567`.
pub(crate) fn number_text(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// How long something took: `0.25 s`, `2 min 5 s`.
pub(crate) fn duration_text(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 60 {
        format!("{:.2} s", duration.as_secs_f64())
    } else {
        format!("{} min {} s", seconds / 60, seconds % 60)
    }
}

/// A time by the clock of `zone`, to the second.
pub(crate) fn time_text(time: Timestamp, zone: &TimeZone) -> String {
    match instant(time) {
        Some(instant) => instant
            .to_zoned(zone.clone())
            .strftime("%Y-%m-%d %H:%M:%S")
            .to_string(),
        None => format!("@{}", time.seconds),
    }
}

/// The time as the calendar's library has it; `None` beyond the year 9999 either way.
pub(crate) fn instant(time: Timestamp) -> Option<jiff::Timestamp> {
    let whole = jiff::Timestamp::from_second(time.seconds).ok()?;
    whole
        .checked_add(Duration::from_nanos(u64::from(time.nanoseconds)))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_names_lose_their_power_and_keep_their_identity() {
        assert_eq!(path_text("naïve – 名前.txt".as_bytes()), "naïve – 名前.txt");
        assert_eq!(path_text(b"a\nb\tc\r"), "a\\nb\\tc\\r");
        assert_eq!(path_text(b"\x1b[31mred\x07\x7f"), "\\x1b[31mred\\x07\\x7f");
        assert_eq!(path_text(b"\xff\xfe ok \xc3"), "\\xff\\xfe ok \\xc3");
        assert_eq!(path_text(b"a\\nb"), "a\\\\nb");
        assert_eq!(
            path_text("\u{202e}gpj.exe\u{9b}".as_bytes()),
            "\\u{202e}gpj.exe\\u{9b}"
        );
    }

    #[test]
    fn quantities_read_well() {
        let sizes = [0, 1023, 1024, 1536, 1_048_575, 1 << 30, u64::MAX].map(size_text);
        assert_eq!(
            sizes,
            [
                "0 B", "1023 B", "1.0 KiB", "1.5 KiB", "1.0 MiB", "1.0 GiB", "16.0 EiB"
            ]
        );
        assert_eq!(number_text(1_234_567), "1,234,567");
        assert_eq!(number_text(999), "999");
        assert_eq!(count_text(1, "file"), "1 file");
        assert_eq!(count_text(2_000, "file"), "2,000 files");
        assert_eq!(duration_text(Duration::from_millis(250)), "0.25 s");
        assert_eq!(duration_text(Duration::from_secs(125)), "2 min 5 s");
    }

    #[test]
    fn times_of_any_year_are_shown() {
        let text = |seconds, nanoseconds| {
            let time = Timestamp {
                seconds,
                nanoseconds,
            };
            time_text(time, &TimeZone::UTC)
        };
        assert_eq!(text(0, 999_999_999), "1970-01-01 00:00:00");
        assert_eq!(text(-1, 500_000_000), "1969-12-31 23:59:59");
        assert_eq!(text(i64::MAX, 0), "@9223372036854775807");
    }
}
