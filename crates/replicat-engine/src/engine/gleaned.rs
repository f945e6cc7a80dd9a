//! Small contents that were read to be named, kept for a while so that they need not be read again to be sent.
//!
//! Goals: a first sync opens most files of its source once. Non-goals: saying what a root holds; whoever asks for a
//! content by its name is given what bears that name, whatever became of the file.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use replicat_core::id::ContentHash;
use replicat_core::message::Want;

/// The longest content that is kept, in bytes: to open a longer file costs little beside reading it.
const CONTENT_BYTES_MAX: usize = 4 << 10;
/// How much is kept at most, in bytes.
const KEPT_BYTES_MAX: usize = 64 << 20;
/// What a content takes in memory beside its bytes, roughly.
const ENTRY_BYTES: usize = 128;

/// Small contents by their names.
#[derive(Default)]
pub(super) struct Gleaned(Mutex<Contents>);

#[derive(Default)]
struct Contents {
    by_name: HashMap<ContentHash, Bytes>,
    bytes: usize,
}

impl Gleaned {
    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a content, if it is small and there is room.
    pub(super) fn keep(&self, content: ContentHash, bytes: &[u8]) {
        if bytes.len() > CONTENT_BYTES_MAX {
            return;
        }
        // Before the lock is taken, which those who read files contend for.
        let kept = Bytes::copy_from_slice(bytes);
        let mut contents = self.contents();
        let after = contents.bytes + bytes.len() + ENTRY_BYTES;
        if after > KEPT_BYTES_MAX {
            return;
        }
        if contents.by_name.insert(content, kept).is_none() {
            contents.bytes = after;
        }
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
        gleaned.keep(large, &[0; CONTENT_BYTES_MAX + 1]);
        assert_eq!(gleaned.read(&want(large, 0, 1)), None);
        let name = |number: usize| {
            let mut name = [1; 32];
            name[..8].copy_from_slice(&number.to_le_bytes());
            ContentHash(name)
        };
        let room = KEPT_BYTES_MAX / (CONTENT_BYTES_MAX + ENTRY_BYTES);
        for number in 0..=room {
            gleaned.keep(name(number), &[0; CONTENT_BYTES_MAX]);
        }
        assert!(gleaned.read(&want(name(room - 1), 0, 1)).is_some());
        assert!(gleaned.read(&want(name(room), 0, 1)).is_none());
    }
}
