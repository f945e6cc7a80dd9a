//! Replica ids are long and few: rows name them by small numbers, given in the order of first use.

use std::collections::BTreeMap;

use replicat_core::id::ReplicaId;

use crate::error::Fault;

/// The numbers given so far. They are never taken back.
#[derive(Clone, Debug, Default)]
pub(crate) struct Replicas {
    ids: Vec<ReplicaId>,
    numbers: BTreeMap<ReplicaId, u32>,
}

impl Replicas {
    /// The number of `replica`, if it has one.
    pub(crate) fn find(&self, replica: ReplicaId) -> Option<u32> {
        self.numbers.get(&replica).copied()
    }

    /// The number of `replica`, which gets one if need be.
    pub(crate) fn number(&mut self, replica: ReplicaId) -> u32 {
        let next = u32::try_from(self.ids.len()).unwrap_or(u32::MAX);
        let number = *self.numbers.entry(replica).or_insert(next);
        if number == next {
            self.ids.push(replica);
        }
        number
    }

    /// The replica with a number.
    pub(crate) fn id(&self, number: u64) -> Result<ReplicaId, Fault> {
        let place = usize::try_from(number).ok();
        place
            .and_then(|place| self.ids.get(place).copied())
            .ok_or_else(|| Fault::damaged(format!("a row names replica number {number}")))
    }

    /// The replicas, by number.
    pub(crate) fn ids(&self) -> &[ReplicaId] {
        &self.ids
    }
}
