//! The losses of the last minutes that were let pass, added up for each top-level directory.

use std::collections::{BTreeMap, VecDeque};

use replicat_core::path::RelPath;
use replicat_core::record::Holdings;

use super::Millis;

/// How long a loss counts.
pub(super) const WINDOW: Millis = Millis(600_000);
/// Losses within so many milliseconds are added up.
const STEP_MS: u64 = 10_000;

/// The top-level directory of a path; the root for a file that lies in the root itself.
pub(super) fn top_of(path: &RelPath) -> RelPath {
    let mut above = path.ancestors();
    let top = above.by_ref().take_while(|above| !above.is_root()).last();
    top.unwrap_or_else(RelPath::root)
}

/// What was lost in one step of time.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Step {
    number: u64,
    lost: BTreeMap<RelPath, Holdings>,
}

/// Losses that were let pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Window {
    steps: VecDeque<Step>,
}

impl Window {
    /// Adds a file that was lost.
    pub(super) fn add(&mut self, now: Millis, path: &RelPath, bytes: u64) {
        let number = now.0 / STEP_MS;
        if self.steps.back().is_none_or(|last| last.number < number) {
            let lost = BTreeMap::new();
            self.steps.push_back(Step { number, lost });
        }
        if let Some(step) = self.steps.back_mut() {
            let lost = step.lost.entry(top_of(path)).or_default();
            *lost = lost.plus(Holdings { files: 1, bytes });
        }
    }

    /// Drops what is older than the window.
    pub(super) fn expire(&mut self, now: Millis) {
        let first = now.0.saturating_sub(WINDOW.0) / STEP_MS;
        while self.steps.front().is_some_and(|step| step.number < first) {
            self.steps.pop_front();
        }
    }

    pub(super) fn clear(&mut self) {
        self.steps.clear();
    }

    /// What was lost, for each top-level directory.
    pub(super) fn by_top(&self) -> BTreeMap<RelPath, Holdings> {
        let mut sums: BTreeMap<RelPath, Holdings> = BTreeMap::new();
        for (top, lost) in self.steps.iter().flat_map(|step| &step.lost) {
            let sum = sums.entry(top.clone()).or_default();
            *sum = sum.plus(*lost);
        }
        sums
    }

    /// As the index keeps it: a line for each step and directory, see `docs/format.md`.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut text = String::new();
        for step in &self.steps {
            for (top, Holdings { files, bytes }) in &step.lost {
                let top = top.as_bytes().escape_ascii();
                text.push_str(&format!("{} {files} {bytes} {top}\n", step.number));
            }
        }
        text.into_bytes()
    }

    /// Reads it back. A line that is none is left out: the window then judges by what is left.
    pub(super) fn decode(text: &[u8]) -> Self {
        let mut window = Self::default();
        for line in String::from_utf8_lossy(text).lines() {
            window.add_line(line);
        }
        window
    }

    fn add_line(&mut self, line: &str) -> Option<()> {
        let mut words = line.splitn(4, ' ');
        let mut number = || words.next()?.parse::<u64>().ok();
        let (number, files, bytes) = (number()?, number()?, number()?);
        let top = RelPath::new(&unescape(words.next()?)).ok()?;
        if self.steps.back().is_none_or(|last| last.number != number) {
            let lost = BTreeMap::new();
            self.steps.push_back(Step { number, lost });
        }
        let lost = &mut self.steps.back_mut()?.lost;
        lost.insert(top, Holdings { files, bytes });
        Some(())
    }
}

/// The bytes of a text that `escape_ascii` wrote.
fn unescape(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut found = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let (byte, length) = match (bytes[at], bytes.get(at + 1)) {
            (b'\\', Some(b'x')) => {
                let digits = text.get(at + 2..at + 4).unwrap_or_default();
                (u8::from_str_radix(digits, 16).unwrap_or(b'?'), 4)
            }
            (b'\\', Some(b't')) => (b'\t', 2),
            (b'\\', Some(b'r')) => (b'\r', 2),
            (b'\\', Some(b'n')) => (b'\n', 2),
            (b'\\', Some(&other)) => (other, 2),
            (byte, _) => (byte, 1),
        };
        found.push(byte);
        at += length;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &[u8]) -> RelPath {
        RelPath::new(text).unwrap()
    }

    #[test]
    fn window_comes_back_from_the_index() {
        let mut window = Window::default();
        window.add(Millis(5), &path(b"a/b/c"), 7);
        window.add(Millis(6), &path(b"in the root"), 1);
        window.add(Millis(60_000), &path(b"odd \\ \xff\n'\"/x"), 3);
        window.add(Millis(60_001), &path(b"a/d"), 2);
        assert_eq!(Window::decode(&window.encode()), window);
        assert_eq!(Window::decode(b"no window\n"), Window::default());
    }

    #[test]
    fn losses_expire_after_the_window() {
        let mut window = Window::default();
        window.add(Millis(0), &path(b"a/1"), 7);
        window.add(Millis(300_000), &path(b"a/2"), 5);
        window.expire(Millis(700_000));
        let left = Holdings { files: 1, bytes: 5 };
        assert_eq!(window.by_top(), BTreeMap::from([(path(b"a"), left)]));
    }

    #[test]
    fn top_is_the_first_directory() {
        assert_eq!(top_of(&path(b"a/b/c")), path(b"a"));
        assert_eq!(top_of(&path(b"a")), RelPath::root());
    }
}
