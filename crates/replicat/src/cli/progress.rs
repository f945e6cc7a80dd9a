//! How far a sync is: a bar on a terminal, plain lines elsewhere.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use replicat::event::{Phase, Progress, ScanCounts};

use super::terminal::{count_text, number_text, size_text};

/// How often a plain line is printed at most.
const LINE_INTERVAL: Duration = Duration::from_secs(1);

/// How often a bar moves by itself.
const TICK_INTERVAL: Duration = Duration::from_millis(100);

/// How long a transfer runs before it is said how long it takes.
const ESTIMATE_AFTER: Duration = Duration::from_secs(3);

/// Which part of the bytes must be there before it is said: a twentieth.
const ESTIMATE_PART: u64 = 20;

const SEARCH_TEMPLATE: &str = "{spinner} {wide_msg} {elapsed}";

const TRANSFER_TEMPLATE: &str = "{bar:24} {percent:>3}%  {bytes} of {total_bytes}  \
    {binary_bytes_per_sec}  {left}{msg}";

/// When progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Even where it is not a terminal.
    Always,
    /// On a terminal.
    OnTerminal,
    /// Nowhere.
    Never,
}

/// Shows how far a sync is, on standard error.
pub(crate) enum Meter {
    Off,
    Lines(Mutex<Option<Instant>>),
    Bar(ProgressBar),
}

impl Meter {
    /// The meter that suits what standard error is.
    pub(crate) fn new(wanted: Wanted) -> Self {
        match (wanted, io::stderr().is_terminal()) {
            (Wanted::Never, _) | (Wanted::OnTerminal, false) => Self::Off,
            (Wanted::Always, false) => Self::Lines(Mutex::new(None)),
            (_, true) => {
                let target = ProgressDrawTarget::stderr();
                let bar = ProgressBar::with_draw_target(None, target);
                bar.set_style(style(SEARCH_TEMPLATE));
                bar.enable_steady_tick(TICK_INTERVAL);
                Self::Bar(bar)
            }
        }
    }

    /// A part of the work begins; `place` is the root, if it is for one.
    pub(crate) fn phase(&self, phase: Phase, place: Option<&str>) {
        let work = match phase {
            Phase::Scan => "scanning",
            Phase::Exchange => "comparing",
            Phase::Transfer => "copying",
            Phase::Verify => "verifying",
        };
        let text = match place {
            Some(place) => format!("{work} {place}"),
            None => work.to_owned(),
        };
        match self {
            Self::Off => {}
            Self::Lines(_) => print_error_line(&text),
            Self::Bar(bar) => {
                if phase == Phase::Transfer {
                    if bar.position() == 0 {
                        // The time of the scan is none of the transfer's.
                        bar.reset_elapsed();
                    }
                    bar.set_style(style(TRANSFER_TEMPLATE));
                } else {
                    bar.unset_length();
                    bar.set_style(style(SEARCH_TEMPLATE));
                }
                bar.set_message(text);
            }
        }
    }

    /// A root was scanned so far.
    pub(crate) fn scanned(&self, place: &str, counts: &ScanCounts) {
        let found = count_text(counts.files, "file");
        let text = format!("scanning {place}: {found}, {}", size_text(counts.bytes));
        self.say(&text);
    }

    /// The transfer went on.
    pub(crate) fn progress(&self, progress: &Progress) {
        if let Self::Bar(bar) = self {
            bar.set_length(progress.bytes_total);
            bar.set_position(progress.bytes_done);
            let (done, total) = (progress.files_done, progress.files_total);
            bar.set_message(format!(
                "{} of {}",
                number_text(done),
                count_text(total, "change")
            ));
        } else {
            self.say(&progress_line(progress));
        }
    }

    /// Shows `text`, unless something was shown just before.
    fn say(&self, text: &str) {
        match self {
            Self::Off => {}
            Self::Bar(bar) => bar.set_message(text.to_owned()),
            Self::Lines(last) => {
                let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
                if last.is_none_or(|last| last.elapsed() >= LINE_INTERVAL) {
                    *last = Some(Instant::now());
                    print_error_line(text);
                }
            }
        }
    }

    /// Runs `print` while no bar is drawn, so that lines do not run into it.
    pub(crate) fn suspended<T>(&self, print: impl FnOnce() -> T) -> T {
        match self {
            Self::Bar(bar) => bar.suspend(print),
            Self::Off | Self::Lines(_) => print(),
        }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

fn progress_line(progress: &Progress) -> String {
    let percent = match progress.bytes_total {
        0 => 100,
        total => u128::from(progress.bytes_done) * 100 / u128::from(total),
    };
    format!(
        "{} of {}, {} of {}, {percent}%",
        number_text(progress.files_done),
        count_text(progress.files_total, "change"),
        size_text(progress.bytes_done),
        size_text(progress.bytes_total),
    )
}

/// A line on standard error; if that is closed there is nobody to tell.
pub(crate) fn print_error_line(line: &str) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template);
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    style.with_key(
        "left",
        |state: &ProgressState, text: &mut dyn fmt::Write| {
            let left = time_left(
                state.elapsed(),
                state.pos(),
                state.len().unwrap_or_default(),
            );
            if let Some(left) = left {
                // A line that is not drawn whole is drawn again.
                let _ = write!(text, "{} left  ", HumanDuration(left));
            }
        },
    )
}

/// How long a transfer takes still, by its average speed so far. Not said at its beginning: small files come first, and
/// say nothing of the large ones.
fn time_left(elapsed: Duration, done: u64, total: u64) -> Option<Duration> {
    let is_early = elapsed < ESTIMATE_AFTER || done < total / ESTIMATE_PART;
    if is_early || done == 0 {
        return None;
    }
    let left = total.saturating_sub(done) as f64 / done as f64;
    Some(Duration::from_secs(
        (elapsed.as_secs_f64() * left).ceil() as u64
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_line_has_files_bytes_and_percent() {
        let progress = Progress {
            files_done: 1_200,
            files_total: 50_000,
            bytes_done: 3 << 29,
            bytes_total: 3 << 30,
        };
        insta::assert_snapshot!(progress_line(&progress), @"1,200 of 50,000 changes, 1.5 GiB of 3.0 GiB, 50%");
    }

    #[test]
    fn time_left_is_said_once_it_is_known() {
        let left = |seconds, done| time_left(Duration::from_secs(seconds), done, 1_000);
        assert_eq!(left(2, 500), None);
        assert_eq!(left(10, 20), None);
        assert_eq!(left(10, 500), Some(Duration::from_secs(10)));
        assert_eq!(left(10, 999), Some(Duration::from_secs(1)));
        assert_eq!(time_left(Duration::from_secs(9), 0, 0), None);
    }

    #[test]
    fn the_templates_are_valid() {
        for template in [SEARCH_TEMPLATE, TRANSFER_TEMPLATE] {
            assert!(ProgressStyle::with_template(template).is_ok());
        }
    }
}
