//! One simulated replica: the rules over a journaled store, a disk, a clock, and what is to befall it.

use std::collections::BTreeSet;

use replicat_core::id::{ContentHash, FolderId, ReplicaId};
use replicat_core::memory::MemoryStore;
use replicat_core::path::RelPath;
use replicat_core::replica::{Now, Replica};
use replicat_core::store::{Store, StoreError};

use crate::disk::{Disk, Kind, content_of};
use crate::journal::JournaledStore;
use crate::op::Act;

/// The folder that all replicas replicate.
const FOLDER: FolderId = FolderId(1);

/// What befalls a replica amid its work.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// A user acts.
    Act(Act),
    /// Power fails.
    Crash,
}

/// A backup of a replica.
#[derive(Clone, Debug)]
pub struct Backup {
    /// Its index.
    pub store: MemoryStore,
    /// Its files.
    pub disk: Disk,
}

/// One simulated replica.
#[derive(Debug)]
pub struct Node {
    /// The rules, over what they keep. `None` only while it is being replaced.
    replica: Option<Replica<JournaledStore>>,
    /// Its storage.
    pub disk: Disk,
    /// How far its clock is off, in seconds.
    pub clock_offset_seconds: i64,
    /// What its filters leave out.
    pub excluded: Option<RelPath>,
    /// What is to befall it, after how many more effects.
    pub agenda: Vec<(u8, Event)>,
    /// What it can be restored to.
    pub backup: Option<Backup>,
    /// A user acted since the last scan.
    pub touched_since_scan: bool,
    /// The others refuse its changes: up to which of its counters they may have accepted them before.
    pub refused_above: Option<u64>,
    /// It is dropping changes that the others refuse.
    pub is_reverting: bool,
    /// It holds deletions.
    pub is_holding: bool,
    /// What it found missing and holds.
    pub held: BTreeSet<RelPath>,
}

impl Node {
    /// A replica that has seen nothing.
    ///
    /// # Errors
    /// Never; the store in memory does not fail.
    pub fn new(id: ReplicaId, name: &str, disk: Disk) -> Result<Self, StoreError> {
        let store = JournaledStore::new(MemoryStore::new(FOLDER, id, name));
        Ok(Self {
            replica: Some(Replica::open(store)?),
            disk,
            clock_offset_seconds: 0,
            excluded: None,
            agenda: Vec::new(),
            backup: None,
            touched_since_scan: false,
            refused_above: None,
            is_reverting: false,
            is_holding: false,
            held: BTreeSet::new(),
        })
    }

    /// The rules.
    #[must_use]
    #[allow(clippy::expect_used, reason = "only ever empty within `replace_store`")]
    pub fn replica(&self) -> &Replica<JournaledStore> {
        self.replica.as_ref().expect("a node has a replica")
    }

    /// The rules.
    #[allow(clippy::expect_used, reason = "only ever empty within `replace_store`")]
    pub fn replica_mut(&mut self) -> &mut Replica<JournaledStore> {
        self.replica.as_mut().expect("a node has a replica")
    }

    /// Takes up another state of the index.
    ///
    /// # Errors
    /// Never; the store in memory does not fail.
    pub fn replace_store(&mut self, store: MemoryStore) -> Result<(), StoreError> {
        self.replica = Some(Replica::open(JournaledStore::new(store))?);
        Ok(())
    }

    /// Goes back to the last commit.
    ///
    /// # Errors
    /// Never; the store in memory does not fail.
    pub fn roll_back(&mut self) -> Result<(), StoreError> {
        if let Some(replica) = self.replica.take() {
            let mut store = replica.into_store();
            store.roll_back()?;
            self.replica = Some(Replica::open(store)?);
        }
        Ok(())
    }

    /// The state of the index.
    #[must_use]
    pub fn store(&self) -> &MemoryStore {
        self.replica().store().inner()
    }

    /// The time by this replica's clock, given the true time.
    #[must_use]
    pub fn seconds(&self, true_seconds: i64) -> i64 {
        (true_seconds + self.clock_offset_seconds).max(1)
    }

    /// The same, for the rules.
    #[must_use]
    pub fn now(&self, true_seconds: i64) -> Now {
        Now(self.seconds(true_seconds) as u64 * 1_000_000)
    }

    /// Whether others can have a content from this replica.
    ///
    /// # Errors
    /// Never; the store in memory does not fail.
    pub fn offers(&self, content: ContentHash) -> Result<bool, StoreError> {
        // What the trash holds is a source as well.
        if self.disk.tree().trash.contains(&content_of(content)) {
            return Ok(true);
        }
        let holds = Some(Kind::File(content_of(content)));
        let paths = self.replica().store().by_content(content, 16)?;
        let mut kinds = paths
            .iter()
            .map(|path| self.disk.node(path).map(|file| file.kind));
        Ok(kinds.any(|kind| kind == holds))
    }

    /// Whether the others refuse its changes.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.refused_above.is_some()
    }

    /// Whether the index knows no path that filters leave out.
    #[must_use]
    pub fn knows_all_in_scope(&self) -> bool {
        self.store().excluded_count().is_ok_and(|count| count == 0)
    }

    /// Whether the filters leave `path` out.
    #[must_use]
    pub fn leaves_out(&self, path: &RelPath) -> bool {
        self.excluded
            .as_ref()
            .is_some_and(|excluded| path.is_within(excluded))
    }
}
