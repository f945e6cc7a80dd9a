//! Which versions the trash gives up, and in which order (`docs/room.md`).
//!
//! Goals: a file that changes all the time neither fills the trash nor pushes out what was deleted elsewhere.
//! Non-goals: removing anything; that is the caller's.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use replicat_core::path::RelPath;

use super::TrashItem;

const HOUR_SECONDS: i64 = 3600;
const DAY_SECONDS: i64 = 86_400;
/// For so long all versions of a path stay, unless the oldest have to go.
const CLOSE_SECONDS: i64 = 600;
/// So many versions of a path stay while there is room for them.
const VERSIONS_MAX: usize = 100;
/// The share of the size, as its divisor, that one path takes when the trash is over it.
const PATH_SHARE: u64 = 4;

/// What the trash may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) now_seconds: i64,
    pub(super) max_age: Duration,
    /// It is over its size if it holds more bytes than this.
    pub(super) max_bytes: u64,
    /// To how many bytes it is brought down when it is.
    pub(super) aim_bytes: u64,
}

/// Which of `items`, oldest first, are to go so that the rest is within the limits; by their places, in order. Those for which
/// `stays` never go.
pub(super) fn surplus(
    items: &[TrashItem],
    limits: Limits,
    stays: &dyn Fn(&TrashItem) -> bool,
) -> BTreeSet<usize> {
    let mut choice = Choice::new(items, stays);
    let max_age = i64::try_from(limits.max_age.as_secs()).unwrap_or(i64::MAX);
    let is_old = |item: &TrashItem| {
        let age = limits.now_seconds.saturating_sub(item.seconds);
        limits.max_age.is_zero() || age > max_age
    };
    for (at, _) in items.iter().enumerate().filter(|(_, item)| is_old(item)) {
        choice.give_up(at);
    }
    let by_path = by_path(items);
    let is_over = choice.left > limits.max_bytes;
    for versions in by_path.values() {
        if is_over || versions.len() > VERSIONS_MAX {
            choice.thin_out(versions, limits.now_seconds);
        }
    }
    if is_over {
        for versions in by_path.values() {
            choice.cut(versions, limits.max_bytes / PATH_SHARE, limits.aim_bytes);
        }
        choice.cut_oldest(limits.aim_bytes);
    }
    choice.gone
}

/// The places of the versions of each path, oldest first.
fn by_path(items: &[TrashItem]) -> BTreeMap<&RelPath, Vec<usize>> {
    let mut by_path: BTreeMap<&RelPath, Vec<usize>> = BTreeMap::new();
    for (at, item) in items.iter().enumerate() {
        if let Some(path) = &item.path {
            by_path.entry(path).or_default().push(at);
        }
    }
    by_path
}

struct Choice<'items> {
    items: &'items [TrashItem],
    stays: &'items dyn Fn(&TrashItem) -> bool,
    gone: BTreeSet<usize>,
    /// How many bytes are left.
    left: u64,
}

impl<'items> Choice<'items> {
    fn new(items: &'items [TrashItem], stays: &'items dyn Fn(&TrashItem) -> bool) -> Self {
        Self {
            items,
            stays,
            gone: BTreeSet::new(),
            left: items.iter().map(|item| item.size).sum(),
        }
    }

    fn give_up(&mut self, at: usize) {
        let item = &self.items[at];
        if !self.gone.contains(&at) && !(self.stays)(item) {
            self.gone.insert(at);
            self.left -= item.size;
        }
    }

    /// Leaves the last version of each interval, and the newest of all.
    fn thin_out(&mut self, versions: &[usize], now_seconds: i64) {
        let Some((_, older)) = versions.split_last() else {
            return;
        };
        let mut last: HashMap<(i64, i64), usize> = HashMap::new();
        for &at in older {
            let seconds = self.items[at].seconds;
            let interval = match now_seconds.saturating_sub(seconds) {
                ..CLOSE_SECONDS => continue,
                CLOSE_SECONDS..DAY_SECONDS => HOUR_SECONDS,
                DAY_SECONDS.. => DAY_SECONDS,
            };
            let key = (interval, seconds.div_euclid(interval));
            if let Some(earlier) = last.insert(key, at) {
                self.give_up(earlier);
            }
        }
    }

    /// Leaves of one path its newest versions, as many as fit into `share`, and its newest one in any case.
    fn cut(&mut self, versions: &[usize], share: u64, aim: u64) {
        let left = versions.iter().filter(|at| !self.gone.contains(at));
        let left: Vec<usize> = left.copied().collect();
        let mut bytes: u64 = left.iter().map(|at| self.items[*at].size).sum();
        let Some((_, older)) = left.split_last() else {
            return;
        };
        for &at in older {
            if bytes <= share || self.left <= aim {
                return;
            }
            bytes -= self.items[at].size;
            self.give_up(at);
        }
    }

    fn cut_oldest(&mut self, aim: u64) {
        for at in 0..self.items.len() {
            if self.left <= aim {
                return;
            }
            self.give_up(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trash::TrashId;

    const NOW: i64 = 1_796_000_000;

    /// Versions, each with its path, its age in seconds and its size; the oldest first.
    fn items(versions: &[(&str, i64, u64)]) -> Vec<TrashItem> {
        let numbered = versions.iter().zip(1..);
        numbered
            .map(|(&(path, age, size), id)| TrashItem {
                id: TrashId(id),
                path: Some(RelPath::new(path.as_bytes()).unwrap()),
                name: path.as_bytes().to_vec(),
                seconds: NOW - age,
                content: None,
                size,
            })
            .collect()
    }

    fn limits(max_bytes: u64) -> Limits {
        Limits {
            now_seconds: NOW,
            max_age: Duration::from_secs(30 * 86_400),
            max_bytes,
            aim_bytes: max_bytes / 8 * 7,
        }
    }

    fn gone(versions: &[(&str, i64, u64)], max_bytes: u64) -> Vec<usize> {
        let gone = surplus(&items(versions), limits(max_bytes), &|_| false);
        gone.into_iter().collect()
    }

    #[test]
    fn trash_within_its_limits_keeps_everything() {
        let versions = [("a", 29 * 86_400, 5), ("b", 300, 5), ("a", 200, 5)];
        assert_eq!(gone(&versions, 15), [0_usize; 0]);
        assert_eq!(gone(&[("a", 31 * 86_400, 5)], 15), [0]);
    }

    #[test]
    fn hot_file_goes_before_what_was_deleted_elsewhere() {
        let mut versions = vec![("deleted", 20 * 86_400, 30)];
        versions.extend((0..40).rev().map(|age| ("log", age * 10, 4)));
        let gone = gone(&versions, 100);
        assert!(!gone.contains(&0), "{gone:?}");
        assert_eq!(gone, (1..=27).collect::<Vec<_>>());
        // A quarter holds eight of its versions. What is older than those goes when that is not enough.
        versions.extend([("b", 5, 40)]);
        versions.splice(0..1, [("deleted", 20 * 86_400, 60)]);
        let gone = self::gone(&versions, 130);
        assert_eq!(gone, (0..=32).collect::<Vec<_>>());
    }

    #[test]
    fn close_versions_go_first_when_it_is_over_its_size() {
        let versions = [
            ("a", 3 * 86_400 + 20, 10),
            ("a", 3 * 86_400 + 10, 10),
            ("b", 7300, 10),
            ("a", 7300, 10),
            ("a", 7290, 10),
            ("a", 30, 10),
            ("a", 20, 10),
        ];
        // The last of the day, of the hour, and all that are new.
        assert_eq!(gone(&versions, 65), [0, 3]);
        // What is alone at its path stays until nothing else can go.
        assert_eq!(gone(&versions, 30), [0, 1, 3, 4, 5]);
        assert_eq!(gone(&versions, 20), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn many_versions_of_a_path_are_thinned_out_though_there_is_room() {
        let versions: Vec<_> = (0..200).rev().map(|hour| ("a", hour * 1800, 1)).collect();
        let gone = gone(&versions, 1 << 30);
        assert!(gone.len() > 120 && !gone.contains(&199), "{}", gone.len());
        let few = &versions[100..];
        assert_eq!(surplus(&items(few), limits(1 << 30), &|_| false).len(), 0);
    }

    #[test]
    fn what_is_needed_stays_whatever_the_limits_say() {
        let items = items(&[("a", 40 * 86_400, 50), ("b", 10, 50)]);
        let needed = |item: &TrashItem| item.id == TrashId(1);
        let gone = surplus(&items, limits(40), &needed);
        assert_eq!(gone.into_iter().collect::<Vec<_>>(), [1]);
    }
}
