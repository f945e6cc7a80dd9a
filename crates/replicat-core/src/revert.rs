//! Dropping what was changed at a replica whose changes the others refuse (`docs/algorithm.md`, section 6).

use std::collections::BTreeSet;

use crate::digest::of_entry;
use crate::entry::Entry;
use crate::message::{TreePage, TreeReply, TreeRow};
use crate::path::RelPath;
use crate::record::Base;
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
    /// one half of a move its other half, since the file would be at both paths or at none, and the directories above.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn reverted_together(
        &self,
        all: &BTreeSet<RelPath>,
        meant: BTreeSet<RelPath>,
    ) -> Result<BTreeSet<RelPath>, StoreError> {
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
                return Ok(together);
            }
        }
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

    /// Takes for `path` what another replica has there, in place of the own events that nobody has confirmed. What the
    /// storage holds is known to nobody from then on: the plan replaces or removes it. Returns whether anything changed.
    /// `theirs` must come from a replica that knows [`Self::confirmed_knowledge`].
    ///
    /// # Errors
    /// If the store fails.
    pub fn revert(&mut self, path: &RelPath, theirs: &Entry) -> Result<bool, StoreError> {
        let mut record = self.record(path)?;
        let is_own = |entry: &Entry| {
            let mut versions = entry.versions().iter();
            versions.any(|version| self.is_unconfirmed(version.dot))
        };
        // What the other has is confirmed, though nobody has said so yet.
        if !is_own(&record.entry) || is_own(theirs) {
            return Ok(false);
        }
        let state = self.storage_state(path, &record)?;
        let versions = record.entry.versions().iter();
        let others = versions.filter(|version| !self.is_unconfirmed(version.dot));
        let mut entry = Entry::from_stored(others.cloned().collect());
        entry.merge(theirs);
        if let Some(local) = &mut record.local {
            // A state that knows of a version that stands again would be told as past it (section 6.4).
            local.base = state.map(|state| {
                Box::new(Base {
                    context: Context::default(),
                    hlc: Hlc::default(),
                    ..state
                })
            });
        }
        record.entry = entry;
        self.write(path, record)?;
        Ok(true)
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
