//! Deletions that are not to be (`docs/algorithm.md`, section 4 "Deletions that are held").
//!
//! The engine holds back deletions that look like an accident. A person may reject them. These are the two ways back: for a
//! file that is gone here, and for one that is to go here.

use crate::draft::draft_again;
use crate::entry::{PLACED, Version};
use crate::path::RelPath;
use crate::replica::{Draft, Now, Replica};
use crate::store::{Store, StoreError};
use crate::version::Hlc;

impl<S: Store> Replica<S> {
    /// Forgets what the storage held at `path`, without an event. To be called when a person wants back what is gone there:
    /// what the entry shows is then brought again.
    ///
    /// # Errors
    /// If the store fails.
    pub fn forget(&mut self, path: &RelPath) -> Result<(), StoreError> {
        let mut record = self.record(path)?;
        if record.local.take().is_some() {
            self.write(path, record)?;
        }
        Ok(())
    }

    /// Keeps what the storage holds at `path`, which was deleted elsewhere, by an event on top of the deletions. To be called
    /// when a person does not want the deletion. Returns whether there was one to reject.
    ///
    /// # Errors
    /// If the store fails.
    pub fn reject_deletion(&mut self, now: Now, path: &RelPath) -> Result<bool, StoreError> {
        let record = self.record(path)?;
        let Some(held) = self.storage_state(path, &record)? else {
            return Ok(false);
        };
        if record.entry.is_live() {
            return Ok(false);
        }
        let versions = record.entry.versions().iter();
        let deletions: Vec<&Version> = versions.filter(|v| !v.payload.is_live()).collect();
        let last = deletions.iter().map(|version| version.hlc).max();
        let mut draft = Draft {
            // Another deletion of the same content, made elsewhere, does not supersede it.
            base: Some(PLACED),
            ..draft_again(held)
        };
        draft.context.union(&record.entry.context_over(&deletions));
        draft.hlc = draft.hlc.max(Hlc(last.unwrap_or_default().0 + 1));
        self.announce_kept(now, path, draft)?;
        Ok(true)
    }
}
