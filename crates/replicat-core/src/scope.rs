//! Paths that the filters of this replica leave out (`docs/algorithm.md`, section 4).
//!
//! Being excluded is a state of a record at one replica. No event comes of it, and other replicas do not learn of it. The
//! engine evaluates the filters; the rules here keep what the storage held, so that nothing is forgotten meanwhile.

use crate::entry::Payload;
use crate::observe::SAME_CONTENT_LOOKED_AT_MAX;
use crate::path::RelPath;
use crate::record::{Excluded, Fingerprint, Local, Record};
use crate::replica::Replica;
use crate::store::{Store, StoreError};

impl<S: Store> Replica<S> {
    /// Takes `path` out of scope: it is not worked on any more, and its record keeps what the storage held there. Does
    /// nothing if it is out of scope, or if nothing is known of it.
    ///
    /// # Errors
    /// If the store fails.
    pub fn exclude(&mut self, path: &RelPath) -> Result<(), StoreError> {
        let mut record = self.record(path)?;
        if record.excluded.is_some() || record.is_empty() {
            return Ok(());
        }
        // What the entry shows may change meanwhile: the state that the storage was in has to be written out.
        let state = self.storage_state(path, &record)?;
        let held = record.local.take().zip(state);
        let held = match held {
            Some((local, state)) if self.moved_away(path, &local, Some(&state))?.is_none() => {
                let base = Some(Box::new(state));
                Some(Local { base, ..local })
            }
            _ => None,
        };
        record.excluded = Some(Excluded { held });
        self.write(path, record)
    }

    /// A file was found that a user moved into scope, from a path that the filters leave out. That it left that path is no
    /// news of this replica: others may hold the only copy there by now.
    pub(crate) fn release_moved(
        &mut self,
        payload: &Payload,
        found: &Fingerprint,
    ) -> Result<(), StoreError> {
        // A file with several names may have got one more, and is still at the path that is left out.
        if matches!(payload, Payload::File { link: Some(_), .. }) {
            return Ok(());
        }
        let Some(content) = payload.leaf_substance() else {
            return Ok(());
        };
        if self.store().excluded_count()? == 0 {
            return Ok(());
        }
        for path in (self.store()).by_content(content, SAME_CONTENT_LOOKED_AT_MAX)? {
            let excluded = self.record(&path)?.excluded;
            let held = excluded.and_then(|excluded| excluded.held);
            if held.is_some_and(|held| held.fingerprint.is_of_same(found)) {
                self.release_excluded(&path)?;
            }
        }
        Ok(())
    }

    /// Brings `path` back into scope, as it was when it left it. What a user did there since is found by the next
    /// observation, and is an event on top of what the storage held.
    ///
    /// # Errors
    /// If the store fails.
    pub fn include(&mut self, path: &RelPath) -> Result<(), StoreError> {
        self.included(path).map(drop)
    }

    /// The record of `path`, in scope.
    pub(crate) fn included(&mut self, path: &RelPath) -> Result<Record, StoreError> {
        let mut record = self.record(path)?;
        if record.excluded.is_some() {
            record.include();
            self.write(path, record)?;
            record = self.record(path)?;
        }
        Ok(record)
    }

    /// Takes back [`Self::release_excluded`]: what the storage held at `path` was not taken away after all, and is as it was.
    /// Does nothing if the path is in scope.
    ///
    /// # Errors
    /// If the store fails.
    pub fn retain_excluded(&mut self, path: &RelPath, held: Local) -> Result<(), StoreError> {
        let mut record = self.record(path)?;
        match &mut record.excluded {
            Some(excluded) => excluded.held = Some(held),
            None => return Ok(()),
        }
        self.write(path, record)
    }

    /// Records that what the storage held at `path`, which is out of scope, was taken away on purpose: no deletion is
    /// seen when the path comes back into scope, and what it is to hold is brought again.
    ///
    /// # Errors
    /// If the store fails.
    pub fn release_excluded(&mut self, path: &RelPath) -> Result<(), StoreError> {
        let mut record = self.record(path)?;
        match &mut record.excluded {
            Some(excluded) => excluded.held = None,
            None => return Ok(()),
        }
        self.write(path, record)
    }
}
