//! Merging what two replicas know of a path (`docs/algorithm.md`, section 2).

use crate::entry::{Entry, Version};
use crate::version::{Context, Dot};

impl Entry {
    /// Merges `theirs`, an entry of the same path, into this one. Returns whether anything changed.
    pub fn merge(&mut self, theirs: &Self) -> bool {
        let before = self.clone();
        for version in &theirs.versions {
            match self
                .versions
                .binary_search_by_key(&version.dot, |held| held.dot)
            {
                Ok(at) => self.versions[at].context.union(&version.context),
                Err(at) => self.versions.insert(at, version.clone()),
            }
        }
        self.normalise();
        *self != before
    }

    /// Adds an event made by the holder of this entry.
    pub fn insert(&mut self, version: Version) {
        if let Err(at) = self
            .versions
            .binary_search_by_key(&version.dot, |held| held.dot)
        {
            self.versions.insert(at, version);
        }
        self.normalise();
    }

    /// The context of an event that replaces just `replaced`, some of these versions, with all that they replace.
    pub(crate) fn context_over(&self, replaced: &[&Version]) -> Context {
        let mut context = Context::default();
        for version in replaced {
            context.union(&version.context);
        }
        let kept = |dot: &Dot| !replaced.iter().any(|version| version.dot == *dot);
        for version in replaced {
            let dots = self.versions.iter().map(|version| version.dot);
            context.add(version.dot, dots.filter(kept));
        }
        context
    }

    fn normalise(&mut self) {
        if self.versions.len() < 2 {
            return;
        }
        let replaced: Vec<bool> = (self.versions.iter())
            .map(|version| self.versions.iter().any(|other| other.replaces(version)))
            .collect();
        let mut replaced = replaced.into_iter();
        self.versions.retain(|_| !replaced.next().unwrap_or(false));
        self.join_equal_values();
    }

    /// Of versions with one value, keeps the highest dot, which then replaces the others; but none that replaces what the
    /// highest does not: those who have that one already would never hear of it.
    fn join_equal_values(&mut self) {
        let dots: Vec<_> = self.versions.iter().map(|version| version.dot).collect();
        let mut joined: Vec<Version> = Vec::with_capacity(self.versions.len());
        for version in self.versions.drain(..).rev() {
            let same = |held: &&mut Version| {
                held.has_value_of(&version) && held.context.covers_all(&version.context)
            };
            match joined.iter_mut().find(same) {
                Some(held) => held.context.add(version.dot, dots.iter().copied()),
                None => joined.push(version),
            }
        }
        joined.reverse();
        self.versions = joined;
    }
}

impl Version {
    /// Whether this version knowingly replaces `other`.
    #[must_use]
    pub fn replaces(&self, other: &Self) -> bool {
        if self.dot == other.dot {
            return false;
        }
        let brought = other.carry.is_some_and(|carry| {
            self.context.carried.binary_search(&carry.dot()).is_ok()
                && self.carry.map(crate::entry::Carry::dot) != Some(carry.dot())
        });
        brought || self.context.covers(other.dot)
    }

    /// Whether the two say the same, so that no one needs to choose.
    fn has_value_of(&self, other: &Self) -> bool {
        self.payload == other.payload
            && self.metadata == other.metadata
            && self.stamps == other.stamps
            && self.base == other.base
            && self.conflict_of == other.conflict_of
    }
}
