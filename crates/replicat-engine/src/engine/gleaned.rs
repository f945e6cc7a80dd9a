//! Small contents that were read to be named, kept for a while so that they need not be read again to be sent.
//!
//! Goals: a first sync opens most files of its source once; a fresh edit is sent from memory, and built from it where it
//! came along with its announcement. Non-goals: saying what a root holds; whoever asks for a
//! content by its name is given what bears that name, whatever became of the file.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use replicat_core::id::ContentHash;
use replicat_core::message::Want;

use super::live::CARRIED_CONTENT_BYTES_MAX;
use super::transfer::{Reply, Source};

/// What a content takes in memory beside its bytes, roughly.
const ENTRY_BYTES: usize = 128;

/// How much is kept.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// The longest content that is kept, in bytes.
    content_bytes_max: usize,
    /// How much is kept at most, in bytes.
    kept_bytes_max: usize,
    when_full: WhenFull,
}

/// What becomes of contents when there is no more room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WhenFull {
    /// What is new is not kept.
    KeepsTheFirst,
    /// What was kept first is dropped.
    KeepsTheLatest,
}

/// For a sync that reads everything once and sends it soon: to open a longer file costs little beside reading it.
const FIRST: Limits = Limits {
    content_bytes_max: 4 << 10,
    kept_bytes_max: 64 << 20,
    when_full: WhenFull::KeepsTheFirst,
};

/// For a folder that goes on for ever.
const LATEST: Limits = Limits {
    content_bytes_max: CARRIED_CONTENT_BYTES_MAX,
    kept_bytes_max: 8 << 20,
    when_full: WhenFull::KeepsTheLatest,
};

/// Small contents by their names.
pub(super) struct Gleaned {
    limits: Limits,
    contents: Mutex<Contents>,
}

#[derive(Default)]
struct Contents {
    by_name: HashMap<ContentHash, Bytes>,
    /// As they came.
    order: VecDeque<ContentHash>,
    bytes: usize,
}

impl Default for Gleaned {
    fn default() -> Self {
        Self::within(FIRST)
    }
}

impl Gleaned {
    /// Keeps the latest contents, and drops older ones.
    pub(super) fn of_the_latest() -> Self {
        Self::within(LATEST)
    }

    fn within(limits: Limits) -> Self {
        Self {
            limits,
            contents: Mutex::default(),
        }
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a content, if it is small and there is room.
    pub(super) fn keep(&self, content: ContentHash, bytes: &[u8]) {
        if bytes.len() > self.limits.content_bytes_max {
            return;
        }
        // Before the lock is taken, which those who read files contend for.
        let kept = Bytes::copy_from_slice(bytes);
        let mut contents = self.contents();
        if contents.by_name.contains_key(&content) {
            return;
        }
        let room = self.limits.kept_bytes_max - bytes.len() - ENTRY_BYTES;
        if contents.bytes > room {
            if self.limits.when_full == WhenFull::KeepsTheFirst {
                return;
            }
            contents.shrink(room);
        }
        contents.by_name.insert(content, kept);
        contents.bytes += bytes.len() + ENTRY_BYTES;
        if self.limits.when_full == WhenFull::KeepsTheLatest {
            contents.order.push_back(content);
        }
    }

    /// A content, if it is kept.
    pub(super) fn whole(&self, content: ContentHash) -> Option<Bytes> {
        self.contents().by_name.get(&content).cloned()
    }

    /// The bytes wanted, if they are kept.
    pub(super) fn read(&self, want: &Want) -> Option<Bytes> {
        let start = usize::try_from(want.offset).ok()?;
        let end = start.checked_add(usize::try_from(want.length).ok()?)?;
        let contents = self.contents();
        let kept = contents.by_name.get(&want.content)?;
        (end <= kept.len()).then(|| kept.slice(start..end))
    }
}

impl Contents {
    /// Drops the oldest until there are no more than so many bytes.
    fn shrink(&mut self, bytes_max: usize) {
        while self.bytes > bytes_max {
            let Some(oldest) = self.order.pop_front() else {
                return;
            };
            if let Some(dropped) = self.by_name.remove(&oldest) {
                self.bytes -= dropped.len() + ENTRY_BYTES;
            }
        }
    }
}

impl Source for Gleaned {
    fn request(&self, wants: Vec<Want>) -> Reply {
        let found: Vec<_> = wants.iter().map(|want| self.read(want)).collect();
        Box::new(found.into_iter())
    }

    fn manifest(&self, _content: ContentHash) -> Option<Bytes> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use replicat_core::path::RelPath;

    fn want(content: ContentHash, offset: u64, length: u64) -> Want {
        Want {
            content,
            path: RelPath::root(),
            offset,
            length,
        }
    }

    #[test]
    fn gives_what_it_was_given_and_nothing_beyond_its_end() {
        let gleaned = Gleaned::default();
        let content = ContentHash([1; 32]);
        gleaned.keep(content, b"small");
        assert_eq!(
            gleaned.read(&want(content, 1, 3)).as_deref(),
            Some(&b"mal"[..])
        );
        assert_eq!(gleaned.read(&want(content, 0, 6)), None);
        assert_eq!(gleaned.read(&want(content, u64::MAX, 1)), None);
        assert_eq!(gleaned.read(&want(ContentHash([2; 32]), 0, 5)), None);
    }

    #[test]
    fn keeps_neither_large_contents_nor_more_than_it_may() {
        let gleaned = Gleaned::default();
        let large = ContentHash([0; 32]);
        gleaned.keep(large, &[0; FIRST.content_bytes_max + 1]);
        assert_eq!(gleaned.read(&want(large, 0, 1)), None);
        let name = |number: usize| {
            let mut name = [1; 32];
            name[..8].copy_from_slice(&number.to_le_bytes());
            ContentHash(name)
        };
        let room = FIRST.kept_bytes_max / (FIRST.content_bytes_max + ENTRY_BYTES);
        for number in 0..=room {
            gleaned.keep(name(number), &[0; FIRST.content_bytes_max]);
        }
        assert!(gleaned.read(&want(name(room - 1), 0, 1)).is_some());
        assert!(gleaned.read(&want(name(room), 0, 1)).is_none());
    }

    #[test]
    fn the_latest_stay_within_their_bounds() {
        let gleaned = Gleaned::of_the_latest();
        let name = |number: usize| {
            let mut name = [1; 32];
            name[..8].copy_from_slice(&number.to_le_bytes());
            ContentHash(name)
        };
        let room = LATEST.kept_bytes_max / (LATEST.content_bytes_max + ENTRY_BYTES);
        for number in 0..=room {
            gleaned.keep(name(number), &[0; LATEST.content_bytes_max]);
            gleaned.keep(name(number), &[0; LATEST.content_bytes_max]);
        }
        assert_eq!(gleaned.whole(name(0)), None);
        assert!(gleaned.whole(name(1)).is_some() && gleaned.whole(name(room)).is_some());
        assert!(gleaned.contents().bytes <= LATEST.kept_bytes_max);
    }
}
