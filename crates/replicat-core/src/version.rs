//! Dots, vectors, contexts: which event is which, and which events it replaces.
//!
//! Source: dotted version vectors (Preguiça, Baquero et al., 2010), kept per path.

use std::fmt;

use crate::id::ReplicaId;

/// A hybrid logical timestamp in milliseconds since 1970: above that of everything its event
/// replaces, else the time of the change. It only ever breaks ties.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hlc(pub u64);

/// The identity of one event: the `counter`-th of `replica`. Counters of a replica grow, with gaps.
/// Ordered by counter first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dot {
    /// Place in the order of the replica's events.
    pub counter: u64,
    /// Who made the event.
    pub replica: ReplicaId,
}

impl fmt::Display for Dot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.replica, self.counter)
    }
}

impl fmt::Debug for Dot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Per replica, the highest counter: it stands for all that replica's events up to there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VersionVector(Vec<(ReplicaId, u64)>);

impl VersionVector {
    /// The empty vector, which contains nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The highest counter held of `replica`; 0 if none.
    #[must_use]
    pub fn get(&self, replica: ReplicaId) -> u64 {
        self.0
            .binary_search_by_key(&replica, |&(id, _)| id)
            .map_or(0, |at| self.0[at].1)
    }

    /// Whether the vector covers `dot`.
    #[must_use]
    pub fn contains(&self, dot: Dot) -> bool {
        dot.counter <= self.get(dot.replica)
    }

    /// Whether the vector covers all that `other` covers.
    #[must_use]
    pub fn contains_all(&self, other: &Self) -> bool {
        other
            .0
            .iter()
            .all(|&(replica, counter)| self.get(replica) >= counter)
    }

    /// Covers `dot` and all earlier events of its replica.
    pub fn add(&mut self, dot: Dot) {
        match self.0.binary_search_by_key(&dot.replica, |&(id, _)| id) {
            Ok(at) => self.0[at].1 = self.0[at].1.max(dot.counter),
            Err(at) => self.0.insert(at, (dot.replica, dot.counter)),
        }
    }

    /// Covers what `other` covers as well.
    pub fn union(&mut self, other: &Self) {
        for dot in other.iter() {
            self.add(dot);
        }
    }

    /// Covers of `limit`'s replica no more than `limit`.
    pub fn limit(&mut self, limit: Dot) {
        if let Ok(at) = self.0.binary_search_by_key(&limit.replica, |&(id, _)| id) {
            self.0[at].1 = self.0[at].1.min(limit.counter);
            if self.0[at].1 == 0 {
                self.0.remove(at);
            }
        }
    }

    /// The highest dots, ordered by replica.
    pub fn iter(&self) -> impl Iterator<Item = Dot> {
        self.0
            .iter()
            .map(|&(replica, counter)| Dot { counter, replica })
    }

    /// How many replicas the vector speaks of.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the vector covers nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Dot> for VersionVector {
    fn from_iter<I: IntoIterator<Item = Dot>>(dots: I) -> Self {
        let mut vector = Self::new();
        dots.into_iter().for_each(|dot| vector.add(dot));
        vector
    }
}

/// What an event knowingly replaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// Events at the same path.
    pub vector: VersionVector,
    /// Further events, one by one; sorted. Those at other paths whose content was carried here (a conflict copy, an edit
    /// that followed a move), and those at this path that a vector cannot hold, since it would also claim an earlier
    /// event of the same replica that is not replaced.
    pub carried: Vec<Dot>,
}

impl Context {
    /// Replaces what `other` replaces as well.
    pub fn union(&mut self, other: &Self) {
        self.vector.union(&other.vector);
        other.carried.iter().for_each(|&dot| self.add_carried(dot));
    }

    /// Whether `dot`, an event at this path, is replaced.
    #[must_use]
    pub fn covers(&self, dot: Dot) -> bool {
        self.vector.contains(dot) || self.carried.binary_search(&dot).is_ok()
    }

    /// Whether all that `other` replaces is replaced.
    #[must_use]
    pub fn covers_all(&self, other: &Self) -> bool {
        self.vector.contains_all(&other.vector) && other.carried.iter().all(|dot| self.covers(*dot))
    }

    /// Replaces `dot` as well, an event at this path, but none of `kept`.
    pub fn add(&mut self, dot: Dot, mut kept: impl Iterator<Item = Dot>) {
        let claims = |other: Dot| other.replica == dot.replica && other.counter < dot.counter;
        if kept.any(claims) {
            self.add_carried(dot);
        } else {
            self.vector.add(dot);
        }
    }

    /// Replaces `dot` alone: an event at another path whose content was carried here, or one that the vector cannot hold.
    pub fn add_carried(&mut self, dot: Dot) {
        if let Err(at) = self.carried.binary_search(&dot) {
            self.carried.insert(at, dot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dot(replica: u64, counter: u64) -> Dot {
        Dot {
            counter,
            replica: ReplicaId(replica),
        }
    }

    #[test]
    fn a_vector_covers_everything_up_to_its_dots() {
        let vector: VersionVector = [dot(1, 5), dot(2, 3), dot(1, 2)].into_iter().collect();
        assert!(
            vector.contains(dot(1, 5)) && vector.contains(dot(1, 1)) && vector.contains(dot(2, 3))
        );
        assert!(!vector.contains(dot(1, 6)) && !vector.contains(dot(3, 1)));
        assert_eq!(vector.len(), 2);
    }
}
