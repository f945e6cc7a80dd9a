//! A [`Store`] in ordered maps: for the simulator and for tests.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use crate::digest::of_entry;
use crate::id::{ContentHash, FolderId, LinkId, ReplicaId};
use crate::path::RelPath;
use crate::record::{Holdings, Record};
use crate::store::{Children, Digest, Identity, Member, Store, StoreError};
use crate::version::{Dot, VersionVector};

/// All of a replica's state, in memory. Cloning it is taking a snapshot.
#[derive(Clone, Debug)]
pub struct MemoryStore {
    identity: Identity,
    knowledge: VersionVector,
    members: BTreeMap<ReplicaId, Member>,
    records: BTreeMap<RelPath, Record>,
    by_dot: BTreeMap<(ReplicaId, u64), RelPath>,
    by_content: BTreeSet<(ContentHash, RelPath)>,
    by_link: BTreeSet<(LinkId, RelPath)>,
    by_copy: BTreeSet<(Dot, RelPath)>,
    pending: BTreeSet<RelPath>,
    excluded: BTreeSet<RelPath>,
    holdings: Holdings,
    departing: Holdings,
    digest: Digest,
}

impl MemoryStore {
    /// The state of a replica that has seen nothing.
    #[must_use]
    pub fn new(folder: FolderId, replica: ReplicaId, name: &str) -> Self {
        Self {
            identity: Identity {
                folder,
                replica,
                name: name.to_owned(),
                counter: 0,
                confirmed: 0,
                published: Vec::new(),
            },
            knowledge: VersionVector::new(),
            members: BTreeMap::new(),
            records: BTreeMap::new(),
            by_dot: BTreeMap::new(),
            by_content: BTreeSet::new(),
            by_link: BTreeSet::new(),
            by_copy: BTreeSet::new(),
            pending: BTreeSet::new(),
            excluded: BTreeSet::new(),
            holdings: Holdings::default(),
            departing: Holdings::default(),
            digest: Digest::default(),
        }
    }

    /// All records, in path order.
    pub fn records(&self) -> impl Iterator<Item = (&RelPath, &Record)> {
        self.records.iter()
    }

    fn unindex(&mut self, path: &RelPath) {
        let Some(old) = self.records.remove(path) else {
            return;
        };
        self.digest = self.digest.minus(of_entry(path, &old.entry));
        for dot in old.dots() {
            self.by_dot.remove(&(dot.replica, dot.counter));
        }
        for content in old.contents() {
            self.by_content.remove(&(content, path.clone()));
        }
        for link in old.links() {
            self.by_link.remove(&(link, path.clone()));
        }
        for loser in old.copies() {
            self.by_copy.remove(&(loser, path.clone()));
        }
        self.pending.remove(path);
        self.excluded.remove(path);
        self.holdings = self.holdings.minus(old.holdings());
        self.departing = self.departing.minus(old.departing());
    }
}

impl Store for MemoryStore {
    fn identity(&self) -> Result<Identity, StoreError> {
        Ok(self.identity.clone())
    }

    fn set_identity(&mut self, identity: &Identity) -> Result<(), StoreError> {
        self.identity = identity.clone();
        Ok(())
    }

    fn knowledge(&self) -> Result<VersionVector, StoreError> {
        Ok(self.knowledge.clone())
    }

    fn set_knowledge(&mut self, knowledge: &VersionVector) -> Result<(), StoreError> {
        self.knowledge = knowledge.clone();
        Ok(())
    }

    fn members(&self) -> Result<Vec<(ReplicaId, Member)>, StoreError> {
        Ok(self
            .members
            .iter()
            .map(|(id, member)| (*id, member.clone()))
            .collect())
    }

    fn set_member(&mut self, replica: ReplicaId, member: &Member) -> Result<(), StoreError> {
        self.members.insert(replica, member.clone());
        Ok(())
    }

    fn record(&self, path: &RelPath) -> Result<Option<Record>, StoreError> {
        Ok(self.records.get(path).cloned())
    }

    fn set_record(&mut self, path: &RelPath, record: &Record) -> Result<(), StoreError> {
        self.unindex(path);
        if record.is_empty() {
            return Ok(());
        }
        for dot in record.dots() {
            self.by_dot.insert((dot.replica, dot.counter), path.clone());
        }
        for content in record.contents() {
            self.by_content.insert((content, path.clone()));
        }
        for link in record.links() {
            self.by_link.insert((link, path.clone()));
        }
        for loser in record.copies() {
            self.by_copy.insert((loser, path.clone()));
        }
        if record.pending {
            self.pending.insert(path.clone());
        }
        if record.excluded.is_some() {
            self.excluded.insert(path.clone());
        }
        self.holdings = self.holdings.plus(record.holdings());
        self.departing = self.departing.plus(record.departing());
        self.digest = self.digest.plus(of_entry(path, &record.entry));
        self.records.insert(path.clone(), record.clone());
        Ok(())
    }

    fn children(
        &self,
        directory: &RelPath,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Children, StoreError> {
        let mut found = Vec::new();
        for (path, record) in self
            .records
            .range((Bound::Excluded(directory), Bound::Unbounded))
        {
            if !path.is_within(directory) {
                break;
            }
            if path.parent().as_ref() == Some(directory) {
                found.push((path.name().to_vec(), record.clone()));
            }
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        found.retain(|(name, _)| after.is_none_or(|after| name.as_slice() > after));
        found.truncate(limit);
        Ok(found)
    }

    fn by_dot(
        &self,
        replica: ReplicaId,
        counter: u64,
        limit: usize,
    ) -> Result<Vec<(u64, RelPath)>, StoreError> {
        let range = (
            Bound::Excluded((replica, counter)),
            Bound::Included((replica, u64::MAX)),
        );
        let rows = self.by_dot.range(range).take(limit);
        Ok(rows
            .map(|(&(_, counter), path)| (counter, path.clone()))
            .collect())
    }

    fn by_content(&self, content: ContentHash, limit: usize) -> Result<Vec<RelPath>, StoreError> {
        Ok(with_key(&self.by_content, content)
            .take(limit)
            .cloned()
            .collect())
    }

    fn by_link(&self, link: LinkId, limit: usize) -> Result<Vec<RelPath>, StoreError> {
        Ok(with_key(&self.by_link, link).take(limit).cloned().collect())
    }

    fn by_copy(&self, loser: Dot) -> Result<Option<RelPath>, StoreError> {
        Ok(with_key(&self.by_copy, loser).next().cloned())
    }

    fn pending(&self, after: Option<&RelPath>, limit: usize) -> Result<Vec<RelPath>, StoreError> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        Ok(self
            .pending
            .range((start, Bound::Unbounded))
            .take(limit)
            .cloned()
            .collect())
    }

    fn pending_backwards(
        &self,
        before: Option<&RelPath>,
        limit: usize,
    ) -> Result<Vec<RelPath>, StoreError> {
        let end = before.map_or(Bound::Unbounded, Bound::Excluded);
        Ok(self
            .pending
            .range((Bound::Unbounded, end))
            .rev()
            .take(limit)
            .cloned()
            .collect())
    }

    fn pending_count(&self) -> Result<u64, StoreError> {
        Ok(self.pending.len() as u64)
    }

    fn excluded(&self, after: Option<&RelPath>, limit: usize) -> Result<Vec<RelPath>, StoreError> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let rows = self.excluded.range((start, Bound::Unbounded));
        Ok(rows.take(limit).cloned().collect())
    }

    fn excluded_count(&self) -> Result<u64, StoreError> {
        Ok(self.excluded.len() as u64)
    }

    fn holdings(&self) -> Result<Holdings, StoreError> {
        Ok(self.holdings)
    }

    fn departing(&self) -> Result<Holdings, StoreError> {
        Ok(self.departing)
    }

    fn digest(&self) -> Result<Digest, StoreError> {
        Ok(self.digest)
    }

    fn record_count(&self) -> Result<u64, StoreError> {
        Ok(self.records.len() as u64)
    }
}

fn with_key<K: Ord + Copy>(set: &BTreeSet<(K, RelPath)>, key: K) -> impl Iterator<Item = &RelPath> {
    let rows = set.range((Bound::Included((key, RelPath::root())), Bound::Unbounded));
    rows.take_while(move |(found, _)| *found == key)
        .map(|(_, path)| path)
}
