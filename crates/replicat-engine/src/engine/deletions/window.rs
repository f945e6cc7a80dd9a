//! The losses of the last minutes that passed, added up for each place and for steps of ten seconds.

use std::collections::{BTreeMap, VecDeque};

use replicat_core::path::RelPath;
use replicat_core::record::Holdings;

use super::Millis;

/// How long a loss counts.
pub(super) const WINDOW: Millis = Millis(600_000);
/// Losses within so many milliseconds are added up.
const STEP_MS: u64 = 10_000;

/// How many directories from the top name a place.
const PLACE_DEPTH: usize = 2;

/// Sums for each place.
pub(super) type Places = BTreeMap<RelPath, Holdings>;

/// The place of a file: its directory, or the directory of the second level above it. Within a place files replace each other.
pub(super) fn place_of(path: &RelPath) -> RelPath {
    let mut place = path.parent().unwrap_or_else(RelPath::root);
    let mut deeper = place.components().count().saturating_sub(PLACE_DEPTH);
    while deeper > 0 {
        place = place.parent().unwrap_or_else(RelPath::root);
        deeper -= 1;
    }
    place
}

/// Adds up places.
pub(super) fn total(places: &Places) -> Holdings {
    let sums = places.values();
    sums.fold(Holdings::default(), |sum, more| sum.plus(*more))
}

/// What is left of sums after others are subtracted, place by place, and not below nothing.
pub(super) fn without(places: &Places, others: &[&Places]) -> Holdings {
    let rest = places.iter().map(|(place, sum)| {
        let other = others.iter().filter_map(|others| others.get(place));
        let other = other.fold(Holdings::default(), |sum, more| sum.plus(*more));
        Holdings {
            files: sum.files.saturating_sub(other.files),
            bytes: sum.bytes.saturating_sub(other.bytes),
        }
    });
    rest.fold(Holdings::default(), Holdings::plus)
}

/// What was lost in one step of time.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Step {
    number: u64,
    lost: BTreeMap<RelPath, Holdings>,
}

/// How one sum rose and fell in one step of time.
#[derive(Clone, Copy, Debug, Default)]
struct Course {
    /// By how much it changed.
    net: i128,
    /// The most by which it stood above its beginning.
    high: i128,
}

impl Course {
    fn change(&mut self, by: i128) {
        self.net += by;
        self.high = self.high.max(self.net);
    }
}

/// What changed in one step of time. Within a step the order counts: what comes and then goes was there between.
#[derive(Clone, Copy, Debug, Default)]
struct Change {
    number: u64,
    files: Course,
    bytes: Course,
}

/// How the number of files rose and fell within the window.
#[derive(Debug, Default)]
pub(super) struct Balance {
    steps: VecDeque<Change>,
}

impl Balance {
    fn step(&mut self, now: Millis) -> Option<&mut Change> {
        let number = now.0 / STEP_MS;
        if self.steps.back().is_none_or(|last| last.number < number) {
            self.steps.push_back(Change {
                number,
                ..Change::default()
            });
        }
        self.steps.back_mut()
    }

    pub(super) fn gain(&mut self, now: Millis, what: Holdings) {
        if let Some(step) = self.step(now) {
            step.files.change(i128::from(what.files));
            step.bytes.change(i128::from(what.bytes));
        }
    }

    pub(super) fn lose(&mut self, now: Millis, what: Holdings) {
        if let Some(step) = self.step(now) {
            step.files.change(-i128::from(what.files));
            step.bytes.change(-i128::from(what.bytes));
        }
    }

    pub(super) fn expire(&mut self, now: Millis) {
        let first = now.0.saturating_sub(WINDOW.0) / STEP_MS;
        while self.steps.front().is_some_and(|step| step.number < first) {
            self.steps.pop_front();
        }
    }

    pub(super) fn clear(&mut self) {
        self.steps.clear();
    }

    /// How much less there is than at the fullest moment of the window, if `going` goes as well.
    pub(super) fn drawdown(&self, going: Holdings) -> Holdings {
        let of = |course: fn(&Change) -> Course, going: u64| {
            let (mut now, mut highest) = (0, 0);
            for step in &self.steps {
                let Course { net, high } = course(step);
                highest = i128::max(highest, now + high);
                now += net;
            }
            let missing = highest - now + i128::from(going);
            u64::try_from(missing).unwrap_or(u64::MAX)
        };
        Holdings {
            files: of(|step| step.files, going.files),
            bytes: of(|step| step.bytes, going.bytes),
        }
    }
}

/// Losses that passed.
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
            let lost = step.lost.entry(place_of(path)).or_default();
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

    /// What was lost, for each place.
    pub(super) fn by_place(&self) -> Places {
        let mut sums = Places::new();
        for (top, lost) in self.steps.iter().flat_map(|step| &step.lost) {
            let sum = sums.entry(top.clone()).or_default();
            *sum = sum.plus(*lost);
        }
        sums
    }

    /// The losses that others did not replace. The oldest are replaced first.
    pub(super) fn not_replaced(&self, by: &Places) -> Self {
        let mut by = by.clone();
        let mut rest = self.clone();
        for step in &mut rest.steps {
            for (place, lost) in &mut step.lost {
                let Some(new) = by.get_mut(place) else {
                    continue;
                };
                let replaced = Holdings {
                    files: lost.files.min(new.files),
                    bytes: lost.bytes.min(new.bytes),
                };
                (*lost, *new) = (lost.minus(replaced), new.minus(replaced));
            }
            step.lost.retain(|_, lost| lost.files > 0);
        }
        rest.steps.retain(|step| !step.lost.is_empty());
        rest
    }

    /// As the index keeps it: a line for each step and place, see `docs/format.md`.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut text = String::new();
        for step in &self.steps {
            for (place, Holdings { files, bytes }) in &step.lost {
                let place = place.as_bytes().escape_ascii();
                text.push_str(&format!("{} {files} {bytes} {place}\n", step.number));
            }
        }
        text.into_bytes()
    }

    /// Reads it back. A malformed line is left out: the window judges by the others.
    pub(super) fn decode(text: &[u8]) -> Self {
        let mut window = Self::default();
        for line in String::from_utf8_lossy(text).lines() {
            window.add_line(line);
        }
        window
    }

    /// Drops what was lost later than `now`: the clock went back.
    pub(super) fn forget_future(&mut self, now: Millis) {
        let last = now.0 / STEP_MS;
        self.steps.retain(|step| step.number <= last);
    }

    fn add_line(&mut self, line: &str) -> Option<()> {
        let mut words = line.splitn(4, ' ');
        let mut number = || words.next()?.parse::<u64>().ok();
        let (number, files, bytes) = (number()?, number()?, number()?);
        let place = RelPath::new(&unescape(words.next()?)).ok()?;
        if self.steps.back().is_none_or(|last| last.number != number) {
            let lost = BTreeMap::new();
            self.steps.push_back(Step { number, lost });
        }
        let lost = &mut self.steps.back_mut()?.lost;
        lost.insert(place, Holdings { files, bytes });
        Some(())
    }
}

/// The bytes of a text that `escape_ascii` wrote.
pub(super) fn unescape(text: &str) -> Vec<u8> {
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
        assert_eq!(window.by_place(), BTreeMap::from([(path(b"a"), left)]));
    }

    #[test]
    fn place_is_at_most_two_levels_deep() {
        assert_eq!(place_of(&path(b"a/b/c/d")), path(b"a/b"));
        assert_eq!(place_of(&path(b"a/b/c")), path(b"a/b"));
        assert_eq!(place_of(&path(b"a/b")), path(b"a"));
        assert_eq!(place_of(&path(b"a")), RelPath::root());
    }

    #[test]
    fn replaced_losses_leave_the_oldest_step_first() {
        let mut window = Window::default();
        for (at, name) in [(0, b"a/1"), (20_000, b"a/2"), (40_000, b"b/3")] {
            window.add(Millis(at), &path(name), 10);
        }
        let new = Holdings {
            files: 1,
            bytes: 10,
        };
        let rest = window.not_replaced(&Places::from([(path(b"a"), new)]));
        assert_eq!(rest.steps.len(), 2);
        assert_eq!(
            total(&rest.by_place()),
            Holdings {
                files: 2,
                bytes: 20
            }
        );
    }

    #[test]
    fn drawdown_is_what_is_missing_from_the_fullest() {
        let file = Holdings { files: 1, bytes: 1 };
        let mut balance = Balance::default();
        let none = Holdings::default();
        for at in 0..100 {
            // A program makes a temporary file and removes it.
            balance.gain(Millis(at * 1000), file);
            balance.lose(Millis(at * 1000), file);
        }
        assert_eq!(balance.drawdown(none), file);
        for _ in 0..30 {
            balance.gain(Millis(200_000), file);
        }
        for _ in 0..20 {
            balance.lose(Millis(220_000), file);
        }
        assert_eq!(balance.drawdown(file).files, 21);
        for _ in 0..20 {
            balance.gain(Millis(240_000), file);
        }
        assert_eq!(balance.drawdown(file), file);
    }
}
