//! A store in memory whose uncommitted changes can be undone, for the price of the changes.

use replicat_core::id::{ContentHash, LinkId, ReplicaId};
use replicat_core::memory::MemoryStore;
use replicat_core::path::RelPath;
use replicat_core::record::{Holdings, Record};
use replicat_core::store::{Children, Digest, Identity, Member, Store, StoreError};
use replicat_core::version::{Dot, VersionVector};

#[derive(Clone, Debug)]
enum Undo {
    Record(RelPath, Box<Record>),
    Identity(Box<Identity>),
    Knowledge(VersionVector),
    Member(ReplicaId, Member),
}

/// A [`MemoryStore`] and how to get back to its last commit.
#[derive(Clone, Debug)]
pub struct JournaledStore {
    inner: MemoryStore,
    undo: Vec<Undo>,
}

impl JournaledStore {
    /// A store whose present state is committed.
    #[must_use]
    pub fn new(inner: MemoryStore) -> Self {
        Self {
            inner,
            undo: Vec::new(),
        }
    }

    /// The store itself.
    #[must_use]
    pub fn inner(&self) -> &MemoryStore {
        &self.inner
    }

    /// Whether anything changed since the last commit.
    #[must_use]
    pub fn is_dirty(&self) -> bool {
        !self.undo.is_empty()
    }

    /// Makes the present state the one that survives.
    pub fn commit(&mut self) {
        self.undo.clear();
    }

    /// Goes back to the last commit.
    ///
    /// # Errors
    /// Never; the store in memory does not fail.
    pub fn roll_back(&mut self) -> Result<(), StoreError> {
        while let Some(undo) = self.undo.pop() {
            match undo {
                Undo::Record(path, record) => self.inner.set_record(&path, &record)?,
                Undo::Identity(identity) => self.inner.set_identity(&identity)?,
                Undo::Knowledge(knowledge) => self.inner.set_knowledge(&knowledge)?,
                Undo::Member(id, member) => self.inner.set_member(id, &member)?,
            }
        }
        Ok(())
    }
}

impl Store for JournaledStore {
    fn identity(&self) -> Result<Identity, StoreError> {
        self.inner.identity()
    }

    fn set_identity(&mut self, identity: &Identity) -> Result<(), StoreError> {
        self.undo
            .push(Undo::Identity(Box::new(self.inner.identity()?)));
        self.inner.set_identity(identity)
    }

    fn knowledge(&self) -> Result<VersionVector, StoreError> {
        self.inner.knowledge()
    }

    fn set_knowledge(&mut self, knowledge: &VersionVector) -> Result<(), StoreError> {
        self.undo.push(Undo::Knowledge(self.inner.knowledge()?));
        self.inner.set_knowledge(knowledge)
    }

    fn members(&self) -> Result<Vec<(ReplicaId, Member)>, StoreError> {
        self.inner.members()
    }

    fn set_member(&mut self, replica: ReplicaId, member: &Member) -> Result<(), StoreError> {
        let members = self.inner.members()?;
        let old = members.into_iter().find(|(id, _)| *id == replica);
        self.undo.push(Undo::Member(
            replica,
            old.map(|(_, member)| member).unwrap_or_default(),
        ));
        self.inner.set_member(replica, member)
    }

    fn record(&self, path: &RelPath) -> Result<Option<Record>, StoreError> {
        self.inner.record(path)
    }

    fn set_record(&mut self, path: &RelPath, record: &Record) -> Result<(), StoreError> {
        let old = self.inner.record(path)?.unwrap_or_default();
        self.undo.push(Undo::Record(path.clone(), Box::new(old)));
        self.inner.set_record(path, record)
    }

    fn children(
        &self,
        directory: &RelPath,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Children, StoreError> {
        self.inner.children(directory, after, limit)
    }

    fn by_dot(
        &self,
        replica: ReplicaId,
        counter: u64,
        limit: usize,
    ) -> Result<Vec<(u64, RelPath)>, StoreError> {
        self.inner.by_dot(replica, counter, limit)
    }

    fn by_content(&self, content: ContentHash, limit: usize) -> Result<Vec<RelPath>, StoreError> {
        self.inner.by_content(content, limit)
    }

    fn by_link(&self, link: LinkId, limit: usize) -> Result<Vec<RelPath>, StoreError> {
        self.inner.by_link(link, limit)
    }

    fn by_copy(&self, loser: Dot) -> Result<Option<RelPath>, StoreError> {
        self.inner.by_copy(loser)
    }

    fn pending(&self, after: Option<&RelPath>, limit: usize) -> Result<Vec<RelPath>, StoreError> {
        self.inner.pending(after, limit)
    }

    fn pending_backwards(
        &self,
        before: Option<&RelPath>,
        limit: usize,
    ) -> Result<Vec<RelPath>, StoreError> {
        self.inner.pending_backwards(before, limit)
    }

    fn pending_count(&self) -> Result<u64, StoreError> {
        self.inner.pending_count()
    }

    fn excluded(&self, after: Option<&RelPath>, limit: usize) -> Result<Vec<RelPath>, StoreError> {
        self.inner.excluded(after, limit)
    }

    fn excluded_count(&self) -> Result<u64, StoreError> {
        self.inner.excluded_count()
    }

    fn holdings(&self) -> Result<Holdings, StoreError> {
        self.inner.holdings()
    }

    fn departing(&self) -> Result<Holdings, StoreError> {
        self.inner.departing()
    }

    fn digest(&self) -> Result<Digest, StoreError> {
        self.inner.digest()
    }

    fn record_count(&self) -> Result<u64, StoreError> {
        self.inner.record_count()
    }
}
