//! Giving up what nobody has any more (`docs/algorithm.md`, section 6).

use crate::draft::draft_again;
use crate::entry::{Entry, Payload, Version};
use crate::path::RelPath;
use crate::replica::{Draft, Now, Replica};
use crate::store::{Store, StoreError};
use crate::version::Hlc;

impl<S: Store> Replica<S> {
    /// Gives up the file that `path` is to hold: what the storage holds there stays instead, or nothing if it holds nothing.
    /// To be called when a person says so, of a content that is nowhere to be had. Returns whether there was such a file: one
    /// that is still to be made, of a content that the own storage does not hold.
    ///
    /// # Errors
    /// If the store fails.
    pub fn give_up(&mut self, now: Now, path: &RelPath) -> Result<bool, StoreError> {
        let record = self.record(path)?;
        let Some(shown) = record.entry.shown() else {
            return Ok(false);
        };
        let Payload::File { content, .. } = shown.payload() else {
            return Ok(false);
        };
        if !record.pending || self.holds_content(*content)? {
            return Ok(false);
        }
        let Some(held) = self.storage_state(path, &record)? else {
            self.announce(now, path, withdrawal(&record.entry, shown.winner))?;
            return Ok(true);
        };
        let mut draft = draft_again(held);
        draft
            .context
            .union(&record.entry.context_over(&[shown.winner]));
        draft.hlc = draft.hlc.max(Hlc(shown.winner.hlc.0 + 1));
        self.announce_kept(now, path, draft)?;
        Ok(true)
    }
}

/// The tombstone of a version whose content is gone.
pub(crate) fn withdrawal(entry: &Entry, gone: &Version) -> Draft {
    Draft {
        context: entry.context_over(&[gone]),
        hlc: Hlc(gone.hlc.0 + 1),
        payload: Payload::Tombstone { moved_to: None },
        metadata: gone.metadata.clone(),
        stamps: gone.stamps,
        base: gone.payload.substance(),
        carry: None,
        conflict_of: gone.conflict_of,
    }
}
