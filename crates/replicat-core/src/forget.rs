//! Forgetting what everybody knows, and whom nobody waits for (`docs/algorithm.md`, section 9).

use crate::entry::Entry;
use crate::id::ReplicaId;
use crate::path::RelPath;
use crate::record::Record;
use crate::replica::Replica;
use crate::store::{Store, StoreError};
use crate::version::{Dot, VersionVector};

/// How many children of a directory are taken up at once.
const PAGE_ROWS: usize = 256;

impl<S: Store> Replica<S> {
    /// Waits no more for another replica, before deletions are forgotten. It takes a new identity when it comes back, and
    /// what it holds then counts as found: what was deleted meanwhile may return with it. Returns whether there was such a
    /// replica to evict.
    ///
    /// # Errors
    /// If the store fails.
    pub fn evict(&mut self, replica: ReplicaId) -> Result<bool, StoreError> {
        if replica == self.identity().replica {
            return Ok(false);
        }
        let members = self.store().members()?;
        let Some((_, mut member)) = members.into_iter().find(|(id, _)| *id == replica) else {
            return Ok(false);
        };
        if member.is_evicted() {
            return Ok(false);
        }
        member.evict();
        self.store_mut().set_member(replica, &member)?;
        Ok(true)
    }

    /// What every replica that is not evicted knows and has brought to its storage, as far as this one has heard.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn applied_everywhere(&self) -> Result<VersionVector, StoreError> {
        let mut common = self.knowledge().clone();
        let members = self.store().members()?;
        for (_, member) in members.iter().filter(|(_, member)| !member.is_evicted()) {
            common.intersect(&member.applied);
        }
        Ok(common)
    }

    /// Drops the deletions that everybody has applied, and what the versions that everybody has applied replaced. Returns
    /// how many records changed.
    ///
    /// `open_sessions` is what the others are known to know on every session of this replica that is open
    /// ([`crate::session::Session::peer_knowledge`]): what one of them sent before it knew of a deletion may still be under
    /// way.
    ///
    /// # Errors
    /// If the store fails.
    pub fn forget<'session>(
        &mut self,
        open_sessions: impl IntoIterator<Item = &'session VersionVector>,
    ) -> Result<usize, StoreError> {
        let mut common = self.applied_everywhere()?;
        open_sessions
            .into_iter()
            .for_each(|known| common.intersect(known));
        if common.is_empty() {
            return Ok(0);
        }
        let mut changed = 0;
        let mut open = vec![RelPath::root()];
        while let Some(directory) = open.pop() {
            let mut after: Option<Vec<u8>> = None;
            loop {
                let page = self
                    .store()
                    .children(&directory, after.as_deref(), PAGE_ROWS)?;
                let Some((last, _)) = page.last() else { break };
                after = Some(last.clone());
                for (name, record) in page {
                    let Ok(path) = directory.join(&name) else {
                        continue;
                    };
                    changed += usize::from(self.forget_at(&path, record, &common)?);
                    open.push(path);
                }
            }
        }
        Ok(changed)
    }

    fn forget_at(
        &mut self,
        path: &RelPath,
        mut record: Record,
        common: &VersionVector,
    ) -> Result<bool, StoreError> {
        let waits = record.pending || record.local.as_ref().is_some_and(|l| l.base.is_some());
        if waits {
            return Ok(false);
        }
        if record.local.is_none() && self.is_forgettable(&record.entry, common)? {
            record.entry = Entry::default();
        } else if !drop_contexts(&mut record.entry, common) {
            return Ok(false);
        }
        self.write(path, record)?;
        Ok(true)
    }

    /// Whether nothing is shown here, and everybody has applied that. The deletion of a conflict copy is kept as long as its loser stands, since
    /// the copy would be made again.
    fn is_forgettable(&self, entry: &Entry, common: &VersionVector) -> Result<bool, StoreError> {
        for version in entry.versions() {
            if !common.contains(version.dot) {
                return Ok(false);
            }
            let losers = version.context.carried.iter().chain(&version.conflict_of);
            for loser in losers {
                if self.stands(*loser)? {
                    return Ok(false);
                }
            }
        }
        Ok(!entry.is_live())
    }

    /// Whether some entry has the version `dot`.
    fn stands(&self, dot: Dot) -> Result<bool, StoreError> {
        let before = dot.counter.saturating_sub(1);
        let rows = self.store().by_dot(dot.replica, before, 1)?;
        Ok(rows.first().is_some_and(|(found, _)| *found == dot.counter))
    }
}

/// What a version replaced, nobody has any more who has applied it. What it was carried from is kept, since that tells
/// which losers are preserved.
fn drop_contexts(entry: &mut Entry, common: &VersionVector) -> bool {
    let mut changed = false;
    for version in &mut entry.versions {
        if common.contains(version.dot) && !version.context.vector.is_empty() {
            version.context.vector = VersionVector::new();
            changed = true;
        }
    }
    changed
}

#[cfg(test)]
#[path = "forget_tests.rs"]
mod tests;
