//! Dropping what was changed at a replica whose changes the others refuse (`docs/algorithm.md`, section 6).

use std::collections::BTreeSet;

use crate::digest::of_entry;
use crate::entry::{Carry, Entry, Version};
use crate::message::{TreePage, TreeReply, TreeRow};
use crate::path::RelPath;
use crate::record::Record;
use crate::replica::Replica;
use crate::store::{Digest, Store, StoreError};
use crate::version::{Context, Dot, Hlc, VersionVector};

/// How many events are read at once.
const PAGE_ROWS: usize = 512;
/// More than the bytes by which names in one directory differ usually: few others lie between a name and the bound below it.
const BOUND_BYTES: usize = 8;

impl<S: Store> Replica<S> {
    /// Whether no other replica has confirmed an event of this one.
    #[must_use]
    pub fn is_unconfirmed(&self, dot: Dot) -> bool {
        let identity = self.identity();
        dot.replica == identity.replica && dot.counter > identity.confirmed
    }

    /// What this replica knows without its own events that nobody has confirmed. Who knows that can say what a path shows
    /// without them.
    #[must_use]
    pub fn confirmed_knowledge(&self) -> VersionVector {
        let mut knowledge = self.knowledge().clone();
        knowledge.limit(self.confirmed_dot());
        knowledge
    }

    fn confirmed_dot(&self) -> Dot {
        Dot {
            counter: self.identity().confirmed,
            replica: self.identity().replica,
        }
    }

    /// The paths with events of this replica that nobody has confirmed.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn unconfirmed_paths(&self) -> Result<BTreeSet<RelPath>, StoreError> {
        let mut last = self.confirmed_dot();
        let mut paths = BTreeSet::new();
        loop {
            let page = (self.store()).by_dot(last.replica, last.counter, PAGE_ROWS)?;
            let Some((counter, _)) = page.last() else {
                return Ok(paths);
            };
            last.counter = *counter;
            paths.extend(page.into_iter().map(|(_, path)| path));
        }
    }

    /// Which of `all`, the paths with events that nobody has confirmed, are to be reverted where the `meant` ones are: with
    /// one half of a move its other half, since the file would be at both paths or at none, and the directories above. What was
    /// deleted comes first: a revert that breaks off leaves a moved file at both paths.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn reverted_together(
        &self,
        all: &BTreeSet<RelPath>,
        meant: BTreeSet<RelPath>,
    ) -> Result<Vec<RelPath>, StoreError> {
        let mut together = meant;
        let moves = self.unconfirmed_moves(all)?;
        loop {
            let before = together.len();
            for (from, to) in &moves {
                if together.contains(from) || together.contains(to) {
                    together.extend([from.clone(), to.clone()]);
                }
            }
            // A path that comes back needs the directories above it.
            let above: Vec<RelPath> = together.iter().flat_map(RelPath::ancestors).collect();
            together.extend(above);
            together.retain(|path| all.contains(path));
            if together.len() == before {
                break;
            }
        }
        let (mut deleted, mut others) = (Vec::new(), Vec::new());
        for path in together {
            match self.record(&path)?.entry.is_live() {
                true => others.push(path),
                false => deleted.push(path),
            }
        }
        deleted.append(&mut others);
        Ok(deleted)
    }

    /// The moves among some paths that nobody has confirmed, as pairs of where from and where to.
    fn unconfirmed_moves(
        &self,
        paths: &BTreeSet<RelPath>,
    ) -> Result<Vec<(RelPath, RelPath)>, StoreError> {
        let mut moves = Vec::new();
        for path in paths {
            let entry = self.record(path)?.entry;
            let own = (entry.versions().iter()).filter(|version| self.is_unconfirmed(version.dot));
            let to = own.filter_map(|version| version.payload.moved_to());
            moves.extend(to.map(|to| (path.clone(), to.clone())));
        }
        Ok(moves)
    }

    /// What to ask another replica for its entry of `path`: a page of the tree that speaks of that name alone.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn ask_for_entry(&self, path: &RelPath) -> Result<TreePage, StoreError> {
        let Some(directory) = path.parent() else {
            // The root's own entry comes with the first page.
            return Ok(TreePage {
                directory: RelPath::root(),
                after: Vec::new(),
                until: vec![1],
                rows: Vec::new(),
            });
        };
        let name = path.name().to_vec();
        let own = of_entry(path, &self.record(path)?.entry);
        Ok(TreePage {
            directory,
            after: bound_below(&name),
            until: name.clone(),
            rows: vec![TreeRow {
                name,
                own,
                below: Digest::default(),
            }],
        })
    }

    /// Takes for `path` what another replica has there, in place of the own events that nobody has confirmed, up to that with
    /// the counter `last`: a file that is moved while a revert goes on is not reverted by half. What the
    /// storage holds is known to nobody from then on: the plan replaces or removes it. Returns whether anything changed.
    /// `theirs` must come from a replica that knows [`Self::confirmed_knowledge`].
    ///
    /// # Errors
    /// If the store fails.
    pub fn revert(
        &mut self,
        path: &RelPath,
        theirs: &Entry,
        last: u64,
    ) -> Result<bool, StoreError> {
        let mut record = self.record(path)?;
        // What the other has is confirmed, though nobody has said so yet.
        let is_dropped = |version: &Version| {
            let mut others = theirs.versions().iter();
            version.dot.counter <= last
                && self.is_unconfirmed(version.dot)
                && !others.any(|other| other.dot == version.dot)
        };
        let mut versions = record.entry.versions().iter();
        if !versions.any(is_dropped) || self.preserves(&record.entry, theirs) {
            return Ok(false);
        }
        self.drop_versions(path, &mut record, is_dropped)?;
        record.entry.merge(theirs);
        self.write(path, record)?;
        Ok(true)
    }

    /// Drops what this replica found first at `path`, while the others refuse its changes, if `theirs` holds the same: what was
    /// copied here beforehand is no change. Such an event replaces nothing, so that nothing else is dropped with it.
    pub(crate) fn yield_to_equal(
        &self,
        path: &RelPath,
        record: &mut Record,
        theirs: &Entry,
    ) -> Result<(), StoreError> {
        let yields = |version: &Version| {
            let mut others = theirs.versions().iter();
            let substance = version.payload.substance();
            self.is_unconfirmed(version.dot)
                && version.context == Context::default()
                && substance.is_some()
                && others.any(|other| {
                    other.payload.substance() == substance && !self.is_unconfirmed(other.dot)
                })
        };
        if self.is_refused() && record.entry.versions().iter().any(yields) {
            self.drop_versions(path, record, yields)?;
        }
        Ok(())
    }

    /// Takes versions out of a record. What the storage holds is known to nobody from then on.
    fn drop_versions(
        &self,
        path: &RelPath,
        record: &mut Record,
        is_dropped: impl Fn(&Version) -> bool,
    ) -> Result<(), StoreError> {
        if let Some(state) = self.storage_state(path, record)?
            && let Some(local) = &mut record.local
        {
            local.base = Some(Box::new(state));
        }
        if let Some(base) = record.state_mut().and_then(|held| held.base.as_mut()) {
            // A state that knows of a version that stands again would be announced as past it (section 6.4).
            (base.context, base.hlc) = (Context::default(), Hlc::default());
        }
        let versions = record.entry.versions().iter();
        let others = versions.filter(|version| !is_dropped(version));
        record.entry = Entry::from_stored(others.cloned().collect());
        Ok(())
    }

    /// Whether `ours` is a conflict copy of what others know, of which they have none: nobody else need have its content.
    fn preserves(&self, ours: &Entry, theirs: &Entry) -> bool {
        let carry = ours.shown().and_then(|shown| shown.winner.carry);
        let is_of_others = matches!(carry, Some(Carry::Copy(loser)) if !self.is_unconfirmed(loser));
        is_of_others && theirs.versions().is_empty()
    }

    /// Whether `path` holds a conflict copy that a revert leaves: its content may be nowhere else.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn outlasts_revert(&self, path: &RelPath) -> Result<bool, StoreError> {
        let entry = self.record(path)?.entry;
        Ok(self.preserves(&entry, &Entry::default()))
    }

    /// Forgets the events that were dropped, once none is left that nobody has confirmed: from then on this replica knows
    /// what the others know. Returns whether that is news.
    ///
    /// # Errors
    /// If the store fails.
    pub fn forget_reverted(&mut self) -> Result<bool, StoreError> {
        let confirmed = self.confirmed_dot();
        let is_known = self.knowledge().get(confirmed.replica) > confirmed.counter;
        let left = (self.store()).by_dot(confirmed.replica, confirmed.counter, 1)?;
        if !is_known || !left.is_empty() {
            return Ok(false);
        }
        self.limit_knowledge(confirmed)?;
        Ok(true)
    }
}

impl TreeReply {
    /// The entry of `path` in an answer to [`Replica::ask_for_entry`]; `None` if it is the same at both replicas.
    #[must_use]
    pub fn entry_of(&self, path: &RelPath) -> Option<&Entry> {
        let mut entries = self.entries.iter();
        entries
            .find(|(other, _)| other == path)
            .map(|(_, entry)| entry)
    }
}

/// A name before `name` with few others between them.
fn bound_below(name: &[u8]) -> Vec<u8> {
    let Some((last, rest)) = name.split_last() else {
        return Vec::new();
    };
    let mut bound = rest.to_vec();
    bound.push(last.saturating_sub(1));
    bound.resize(bound.len() + BOUND_BYTES, u8::MAX);
    bound
}
