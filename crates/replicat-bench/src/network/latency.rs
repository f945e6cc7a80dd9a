//! How long it takes until a change made in one directory is visible in another.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use fastrand::Rng;
use serde::Serialize;

use crate::interrupt::Interrupt;

/// How often the other directory is looked at: also how exact the figures are.
const LOOK: Duration = Duration::from_micros(250);
/// Pause between two changes, in milliseconds: random, so that no timer of a contender is met in phase.
const PAUSE_MS: std::ops::Range<u64> = 20..80;

/// What is done to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Change {
    Create,
    Edit,
    Rename,
    Delete,
}

impl Change {
    /// In the order in which they are made to one file.
    pub(crate) const ALL: [Self; 4] = [Self::Create, Self::Edit, Self::Rename, Self::Delete];

    /// Its name in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Edit => "edit",
            Self::Rename => "rename",
            Self::Delete => "delete",
        }
    }
}

/// The latencies of one kind of change, in milliseconds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Latencies {
    pub(crate) change: Change,
    pub(crate) samples_ms: Vec<f64>,
}

impl Latencies {
    fn of(change: Change) -> Self {
        Self {
            change,
            samples_ms: Vec::new(),
        }
    }

    /// The latency that so many of a hundred changes do not exceed.
    pub(crate) fn percentile(&self, hundredths: usize) -> Option<f64> {
        let mut sorted = self.samples_ms.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (sorted.len() * hundredths).div_ceil(100);
        sorted.get(rank.saturating_sub(1)).copied()
    }
}

/// Where changes are made, and where they are looked for.
pub(crate) struct Pair<'a> {
    pub(crate) source: &'a Path,
    pub(crate) target: &'a Path,
    pub(crate) interrupt: &'a Interrupt,
    /// When to give up.
    pub(crate) deadline: Instant,
}

impl Pair<'_> {
    /// Makes each change `count` times, each in a directory chosen at random, one after the other, and waits for each. Fewer
    /// times if the deadline comes before.
    pub(crate) fn measure(&self, directories: &[PathBuf], count: usize) -> Result<Vec<Latencies>> {
        let mut rng = Rng::with_seed(1);
        let mut all = Change::ALL.map(Latencies::of);
        for number in 0..count {
            if Instant::now() >= self.deadline {
                break;
            }
            let directory = &directories[rng.usize(..directories.len())];
            let path = directory.join(format!("sample-{number}"));
            for latencies in &mut all {
                std::thread::sleep(Duration::from_millis(rng.u64(PAUSE_MS)));
                let Some(took) = self.time(latencies.change, &path)? else {
                    break;
                };
                latencies.samples_ms.push(took.as_secs_f64() * 1000.0);
            }
        }
        Ok(all.into())
    }

    /// Makes one change, and waits until it is visible; nothing if it is not before the deadline.
    fn time(&self, change: Change, path: &Path) -> Result<Option<Duration>> {
        let renamed = path.with_extension("renamed");
        let (here, there) = (self.source.join(path), self.target.join(path));
        let (here_renamed, there_renamed) =
            (self.source.join(&renamed), self.target.join(&renamed));
        let content = format!("{} of {}", change.name(), path.display());
        let started = Instant::now();
        match change {
            Change::Create | Change::Edit => fs::write(&here, &content)?,
            Change::Rename => fs::rename(&here, &here_renamed)?,
            Change::Delete => fs::remove_file(&here_renamed)?,
        }
        self.wait(started, || match change {
            Change::Create | Change::Edit => holds(&there, &content),
            Change::Rename => there_renamed.exists() && !there.exists(),
            Change::Delete => !there_renamed.exists(),
        })
    }

    /// Renames a directory, and waits until all of its `count` files are under its new name elsewhere.
    pub(crate) fn rename(&self, from: &str, to: &str, count: usize) -> Result<Duration> {
        let (old, new) = (self.target.join(from), self.target.join(to));
        let started = Instant::now();
        fs::rename(self.source.join(from), self.source.join(to))?;
        let renamed = self.wait(started, || {
            !old.exists() && fs::read_dir(&new).is_ok_and(|entries| entries.count() == count)
        })?;
        match renamed {
            Some(took) => Ok(took),
            None => bail!("{from} was not renamed to {to} in time"),
        }
    }

    fn wait(&self, started: Instant, mut holds: impl FnMut() -> bool) -> Result<Option<Duration>> {
        while !holds() {
            self.interrupt.check()?;
            if Instant::now() >= self.deadline {
                return Ok(None);
            }
            std::thread::sleep(LOOK);
        }
        Ok(Some(started.elapsed()))
    }
}

/// Whether a file is there and holds this. Its content is read only if its size is right.
fn holds(path: &Path, content: &str) -> bool {
    fs::metadata(path).is_ok_and(|found| found.len() == content.len() as u64)
        && fs::read(path).is_ok_and(|held| held == content.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_ranks() {
        let mut latencies = Latencies::of(Change::Edit);
        assert_eq!(latencies.percentile(50), None);
        latencies.samples_ms = (1..=200).rev().map(f64::from).collect();
        assert_eq!(latencies.percentile(50), Some(100.0));
        assert_eq!(latencies.percentile(95), Some(190.0));
        assert_eq!(latencies.percentile(99), Some(198.0));
        latencies.samples_ms = vec![7.0];
        assert_eq!(latencies.percentile(99), Some(7.0));
    }
}
