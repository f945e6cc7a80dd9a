//! The narrow door between the rules and whatever keeps their state.
//!
//! The simulator fulfils [`Store`] with ordered maps ([`crate::memory::MemoryStore`]), production with
//! the database of `replicat-index`. Writes become durable together, by the owner of the store; a
//! store read back after a crash is the store as of some past commit, never a mixture.

use thiserror::Error;

use crate::id::{ContentHash, FolderId, LinkId, ReplicaId};
use crate::path::RelPath;
use crate::record::{Holdings, Record};
use crate::version::{Dot, VersionVector};

/// A store could not do what it was asked.
#[derive(Debug, Error)]
#[error("the index could not {action}: {source}")]
pub struct StoreError {
    /// What was being done, as a verb phrase.
    pub action: &'static str,
    /// What went wrong.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// Who this replica is and what it has promised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The folder it is a replica of.
    pub folder: FolderId,
    /// Itself.
    pub replica: ReplicaId,
    /// Its name for people: letters, digits, `.`, `_`, `-`.
    pub name: String,
    /// The highest counter it has used, under any of its ids.
    pub counter: u64,
    /// Its highest counter, under `replica`, that some other replica is known to have.
    pub confirmed: u64,
    /// The counters that it has told others of, under `replica`, ascending: all above `confirmed`, and the last ones up to
    /// there. A counter that others know of and that is not among them, nor before the first of them, was used by a past
    /// or a twin that this state does not know.
    pub published: Vec<u64>,
}

/// How many confirmed counters are remembered.
const CONFIRMED_KEPT_MAX: usize = 64;

impl Identity {
    /// Notes that another replica has the events up to `counter`.
    pub(crate) fn confirm(&mut self, counter: u64) {
        self.confirmed = counter;
        let confirmed = self.published.partition_point(|told| *told <= counter);
        self.published
            .drain(..confirmed.saturating_sub(CONFIRMED_KEPT_MAX));
    }
}

/// What is known of another replica of the folder, or of this one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// Its name for people.
    pub name: String,
    /// What it knew, and had brought to its storage, when it was last heard of.
    pub applied: VersionVector,
    /// Whether people have forgotten it: an odd number means so. Of two numbers the higher one is the later.
    pub presence: u64,
}

impl Member {
    /// Whether somebody has forgotten it, and it has not spoken since.
    #[must_use]
    pub fn is_forgotten(&self) -> bool {
        self.presence % 2 == 1
    }
}

/// A sum over all records that is equal on two replicas if and only if (but for a chance of 2^-128)
/// they hold the same versions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Digest(pub u128);

/// A page of children: names and records, ordered by name bytes.
pub type Children = Vec<(Vec<u8>, Record)>;

/// Where a replica keeps its state. All orders are ascending; all pages hold at most `limit` rows
/// and start strictly after the key they are given.
pub trait Store {
    /// Who this replica is.
    fn identity(&self) -> Result<Identity, StoreError>;
    /// Records who this replica is.
    fn set_identity(&mut self, identity: &Identity) -> Result<(), StoreError>;

    /// Which events this replica knows of.
    fn knowledge(&self) -> Result<VersionVector, StoreError>;
    /// Records which events this replica knows of.
    fn set_knowledge(&mut self, knowledge: &VersionVector) -> Result<(), StoreError>;

    /// Every replica ever heard of, this one included, ordered by id.
    fn members(&self) -> Result<Vec<(ReplicaId, Member)>, StoreError>;
    /// Records what is known of a replica.
    fn set_member(&mut self, replica: ReplicaId, member: &Member) -> Result<(), StoreError>;

    /// What is kept of `path`.
    fn record(&self, path: &RelPath) -> Result<Option<Record>, StoreError>;
    /// Replaces what is kept of `path`, in every order below; an empty record is removed.
    fn set_record(&mut self, path: &RelPath, record: &Record) -> Result<(), StoreError>;

    /// What is kept of the children of `directory`, by name.
    fn children(
        &self,
        directory: &RelPath,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Children, StoreError>;
    /// The paths of the versions made by `replica`, by counter, after `counter`.
    fn by_dot(
        &self,
        replica: ReplicaId,
        counter: u64,
        limit: usize,
    ) -> Result<Vec<(u64, RelPath)>, StoreError>;
    /// Some paths that hold or held `content`, see [`Record::contents`].
    fn by_content(&self, content: ContentHash, limit: usize) -> Result<Vec<RelPath>, StoreError>;
    /// The paths whose entry has a version in the hard-link group `link`.
    fn by_link(&self, link: LinkId, limit: usize) -> Result<Vec<RelPath>, StoreError>;
    /// A path at which a conflict copy preserves `loser`, see [`Record::copies`].
    fn by_copy(&self, loser: Dot) -> Result<Option<RelPath>, StoreError>;
    /// The paths with work to do, in path order.
    fn pending(&self, after: Option<&RelPath>, limit: usize) -> Result<Vec<RelPath>, StoreError>;
    /// The paths with work to do, in reverse path order, before `before`.
    fn pending_backwards(
        &self,
        before: Option<&RelPath>,
        limit: usize,
    ) -> Result<Vec<RelPath>, StoreError>;
    /// How many paths have work to do.
    fn pending_count(&self) -> Result<u64, StoreError>;

    /// The paths that the filters leave out, in path order, see [`Record::excluded`].
    fn excluded(&self, after: Option<&RelPath>, limit: usize) -> Result<Vec<RelPath>, StoreError>;
    /// How many paths the filters leave out.
    fn excluded_count(&self) -> Result<u64, StoreError>;
    /// How much the own storage holds: the sum of [`Record::holdings`].
    fn holdings(&self) -> Result<Holdings, StoreError>;
    /// How much of that is to go, since it was deleted elsewhere: the sum of [`Record::departing`].
    fn departing(&self) -> Result<Holdings, StoreError>;

    /// The sum of [`crate::digest::of_entry`] over all records.
    fn digest(&self) -> Result<Digest, StoreError>;
    /// How many records there are.
    fn record_count(&self) -> Result<u64, StoreError>;
}
