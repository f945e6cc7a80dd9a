//! The two halves of a rename, brought together again.
//!
//! A path that something was moved away from waits for the other half, and both are told in one: whoever looks at the first
//! alone takes a rename for a deletion, which a brake may stop, and reads anew what it knows.

use std::collections::VecDeque;
use std::time::Duration;

use replicat_core::path::RelPath;

/// How long half a rename waits for its other half.
pub const RENAME_TIMEOUT: Duration = Duration::from_millis(25);
/// How many first halves are remembered. The kernel queues the second right behind, but for what others do at that moment.
const DEPARTURES_MAX: usize = 64;

/// The number by which the kernel marks both halves of a rename.
pub(super) type Cookie = u32;

/// First halves whose second has not been seen.
#[derive(Debug, Default)]
pub(super) struct Departures(VecDeque<(Cookie, RelPath)>);

impl Departures {
    /// Notes that something was moved away from `path`.
    pub(super) fn note(&mut self, cookie: Cookie, path: RelPath) {
        if self.0.len() == DEPARTURES_MAX {
            self.0.pop_front();
        }
        self.0.push_back((cookie, path));
    }

    /// Where what has arrived was moved away from, if that was here.
    pub(super) fn take(&mut self, cookie: Cookie) -> Option<RelPath> {
        let at = self.0.iter().rposition(|(noted, _)| *noted == cookie)?;
        self.0.remove(at).map(|(_, path)| path)
    }

    /// The paths among those that are `due` of which no second half was seen in time.
    pub(super) fn alone(&self, due: &[RelPath]) -> Vec<RelPath> {
        let noted = self.0.iter().map(|(_, path)| path);
        noted.filter(|path| due.contains(path)).cloned().collect()
    }

    /// Forgets paths that were told of.
    pub(super) fn forget(&mut self, paths: &[RelPath]) {
        self.0.retain(|(_, path)| !paths.contains(path));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::new(text.as_bytes()).unwrap()
    }

    #[test]
    fn gives_back_the_first_half_once() {
        let mut departures = Departures::default();
        departures.note(1, path("a"));
        departures.note(2, path("b"));
        assert_eq!(departures.take(1), Some(path("a")));
        assert_eq!(departures.take(1), None);
        assert_eq!(departures.take(2), Some(path("b")));
    }

    #[test]
    fn a_half_is_alone_if_the_other_has_not_come_when_it_is_due() {
        let mut departures = Departures::default();
        departures.note(1, path("whole"));
        departures.note(2, path("half"));
        departures.take(1);
        let due = [path("other"), path("whole"), path("half")];
        assert!(departures.alone(&due[..2]).is_empty());
        assert_eq!(departures.alone(&due), [path("half")]);
        departures.forget(&[path("half")]);
        assert!(departures.alone(&due).is_empty());
    }

    #[test]
    fn does_not_grow_with_what_is_moved_out_of_the_tree() {
        let mut departures = Departures::default();
        for cookie in 0..1000 {
            departures.note(cookie, path("gone"));
        }
        assert_eq!(departures.0.len(), DEPARTURES_MAX);
        assert_eq!(departures.take(0), None);
        assert_eq!(departures.take(999), Some(path("gone")));
    }
}
