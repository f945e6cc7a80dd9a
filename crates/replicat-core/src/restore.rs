//! Taking a new identity (`docs/algorithm.md`, section 8).

use crate::entry::Entry;
use crate::id::ReplicaId;
use crate::path::RelPath;
use crate::record::Record;
use crate::replica::{Now, Replica, mark_of};
use crate::store::{Identity, Member, Store, StoreError};
use crate::version::{Context, Dot};

/// How many paths are taken up at once.
const PAGE_ROWS: usize = 256;

/// Why a replica takes a new identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// It is a copy of another replica, which goes on under the old identity with all that was done under it.
    Copied,
    /// Its state was restored from the past: dots it used since may stand for other events at other replicas.
    Restored,
}

impl<S: Store> Replica<S> {
    /// Goes on under the identity `id`, which must be new.
    ///
    /// # Errors
    /// If the store fails.
    pub fn renew(&mut self, now: Now, id: ReplicaId, reason: Renewal) -> Result<(), StoreError> {
        let old = self.identity().clone();
        let fresh = Identity {
            replica: id,
            confirmed: 0,
            published: Vec::new(),
            ..old.clone()
        };
        let member = Member {
            name: fresh.name.clone(),
            ..Member::default()
        };
        self.store_mut().set_member(id, &member)?;
        self.set_identity(fresh)?;
        if reason == Renewal::Restored {
            let known = Dot {
                counter: old.confirmed,
                replica: old.replica,
            };
            self.limit_knowledge(known)?;
            self.reissue(now, known)?;
        }
        Ok(())
    }

    /// Gives new dots to all versions that have a dot of `known`'s replica above it.
    fn reissue(&mut self, now: Now, known: Dot) -> Result<(), StoreError> {
        loop {
            let page = self
                .store()
                .by_dot(known.replica, known.counter, PAGE_ROWS)?;
            if page.is_empty() {
                return Ok(());
            }
            for (_, path) in page {
                self.reissue_at(now, &path, known)?;
            }
        }
    }

    fn reissue_at(&mut self, now: Now, path: &RelPath, known: Dot) -> Result<(), StoreError> {
        let mut record = self.record(path)?;
        let in_doubt = |dot: Dot| dot.replica == known.replica && dot.counter > known.counter;
        let mut renamed: Vec<(Dot, Dot)> = Vec::new();
        let mut versions = record.entry.versions().to_vec();
        for version in &mut versions {
            limit(&mut version.context, known);
            if in_doubt(version.dot) {
                let mark = mark_of(path, &version.payload, &version.metadata);
                let dot = self.next_dot(now, mark)?;
                renamed.push((version.dot, dot));
                version.dot = dot;
            }
        }
        self.remember_state(path, &mut record)?;
        record.entry = Entry::from_stored(versions);
        if let Some(base) = record.state_mut().and_then(|held| held.base.as_mut()) {
            let is_embodied = |(old, _): &(Dot, Dot)| base.context.covers(*old);
            let (embodied, others): (Vec<_>, Vec<_>) = renamed.into_iter().partition(is_embodied);
            limit(&mut base.context, known);
            for (_, dot) in embodied {
                base.context
                    .add(dot, others.iter().map(|(_, other)| *other));
            }
        }
        self.write(path, record)
    }

    /// Notes what the storage holds, before what the entry shows may change: a higher dot wins.
    fn remember_state(&self, path: &RelPath, record: &mut Record) -> Result<(), StoreError> {
        let state = self.storage_state(path, record)?;
        if let Some(local) = &mut record.local {
            local.base = state.map(Box::new);
        }
        Ok(())
    }
}

fn limit(context: &mut Context, known: Dot) {
    context.vector.limit(known);
}
