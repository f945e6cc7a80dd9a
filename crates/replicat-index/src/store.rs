//! The core's door: [`Store`] fulfilled by the tables and the overlay over them.

use std::collections::BTreeSet;

use replicat_core::id::{ContentHash, LinkId, ReplicaId};
use replicat_core::path::RelPath;
use replicat_core::record::{Holdings, Record};
use replicat_core::store::{Children, Digest, Identity, Member, Store, StoreError};
use replicat_core::version::{Dot, VersionVector};

use crate::error::Fault;
use crate::format::keys;
use crate::history::{self, HistoryRow};
use crate::index::Index;
use crate::tables::{Direction, List, Name};

impl Index {
    fn store_error(&self, action: &'static str) -> impl FnOnce(Fault) -> StoreError + '_ {
        move |fault| StoreError {
            action,
            source: Box::new(fault.at(self.path(), "use")),
        }
    }

    fn find_record(&self, path: &RelPath) -> Result<Option<Record>, Fault> {
        if let Some(held) = self.overlay.record(path) {
            self.usable()?;
            return Ok(held.clone());
        }
        if let Some(read) = self.recent.get(path) {
            self.usable()?;
            return Ok(read);
        }
        let found = self.view()?.record(path)?;
        self.recent.keep(path, &found);
        Ok(found)
    }

    fn replace_record(&mut self, path: &RelPath, record: &Record) -> Result<(), Fault> {
        self.usable()?;
        let record = (!record.is_empty()).then_some(record);
        if let Some(held) = self.overlay.record(path) {
            if held.as_ref() == record {
                return Ok(());
            }
            let totals = &mut self.summary.totals;
            totals.replace(path, held.as_ref(), record);
            let replaced = history::replaced(held.as_ref(), record);
            self.overlay.replace(path, record);
            return self.keep_replaced(path, replaced);
        }
        let stored = match self.recent.take(path) {
            Some(read) => read,
            None => self.view()?.record(path)?,
        };
        if stored.as_ref() == record {
            self.recent.keep(path, &stored);
            return Ok(());
        }
        let totals = &mut self.summary.totals;
        totals.replace(path, stored.as_ref(), record);
        let replaced = history::replaced(stored.as_ref(), record);
        self.overlay.hold(path, stored, record);
        self.keep_replaced(path, replaced)
    }

    /// Keeps a version that a path does not show any more in its history.
    fn keep_replaced(&mut self, path: &RelPath, replaced: Option<HistoryRow>) -> Result<(), Fault> {
        if let Some(row) = replaced {
            self.overlay.add_history(path, row);
        }
        self.flush_if_full()
    }

    fn find_children(
        &self,
        directory: &RelPath,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Children, Fault> {
        let held = self.overlay.children(directory, after, limit);
        let hidden = |name: &[u8]| self.overlay.hides_child(directory, name);
        let stored = self.view()?.children(directory, after, limit, hidden)?;
        Ok(merged(held, stored, limit, |a, b| a.0 < b.0))
    }

    fn find_by_dot(
        &self,
        replica: ReplicaId,
        counter: u64,
        limit: usize,
    ) -> Result<Vec<(u64, RelPath)>, Fault> {
        let held = self.overlay.by_dot(replica, counter, limit);
        let hidden = |path: &RelPath| self.overlay.hides(path);
        let stored = self.view()?.by_dot(replica, counter, limit, hidden)?;
        Ok(merged(held, stored, limit, |a, b| a.0 < b.0))
    }

    fn find_by_content(&self, content: ContentHash, limit: usize) -> Result<Vec<RelPath>, Fault> {
        let view = self.view()?;
        let held = self.overlay.by_content(content, limit);
        let prefix = keys::content(content);
        // The key has but a prefix of the hash; the record has it all.
        let wanted = |path: &RelPath| {
            let record = match self.overlay.hides(path) {
                true => None,
                // Whoever looks for a content reads what is found next.
                false => self.find_record(path)?,
            };
            Ok(record.is_some_and(|record| record.contents().any(|found| found == content)))
        };
        let stored = view.places(Name::ByContent, &prefix, limit, wanted)?;
        Ok(united(held, stored, limit))
    }

    fn find_by_link(&self, link: LinkId, limit: usize) -> Result<Vec<RelPath>, Fault> {
        let held = self.overlay.by_link(link, limit);
        let wanted = |path: &RelPath| Ok(!self.overlay.hides(path));
        let stored = self
            .view()?
            .places(Name::ByLink, &keys::link(link), limit, wanted)?;
        Ok(united(held, stored, limit))
    }

    fn find_by_copy(&self, loser: Dot) -> Result<Option<RelPath>, Fault> {
        let view = self.view()?;
        let held = self.overlay.by_copy(loser);
        let Some(number) = view.replicas.find(loser.replica) else {
            return Ok(held);
        };
        let prefix = keys::dot(number, loser.counter);
        let wanted = |path: &RelPath| Ok(!self.overlay.hides(path));
        let stored = view.places(Name::ByCopy, &prefix, 1, wanted)?;
        Ok(held.into_iter().chain(stored).min())
    }

    /// The paths at which conflict copies were made, those that are deleted or resolved included.
    ///
    /// # Errors
    /// If the index cannot be read.
    pub fn copies(&self) -> Result<BTreeSet<RelPath>, StoreError> {
        let hidden = |path: &RelPath| self.overlay.hides(path);
        let stored = self.view().and_then(|view| view.copies(hidden));
        let mut found = stored.map_err(self.store_error("list the conflict copies"))?;
        found.extend(self.overlay.copies().cloned());
        Ok(found)
    }

    fn find_listed(
        &self,
        list: List,
        from: Option<&RelPath>,
        direction: Direction,
        limit: usize,
    ) -> Result<Vec<RelPath>, Fault> {
        let held = self.overlay.listed(list, from, direction, limit);
        let hidden = |path: &RelPath| self.overlay.hides(path);
        let stored = (self.view()?).listed(list, from, direction, limit, hidden)?;
        Ok(merged(held, stored, limit, |a, b| match direction {
            Direction::Forwards => a < b,
            Direction::Backwards => a > b,
        }))
    }
}

/// The first `limit` of two lists that `goes_first` orders.
fn merged<T>(
    one: Vec<T>,
    other: Vec<T>,
    limit: usize,
    goes_first: impl Fn(&T, &T) -> bool,
) -> Vec<T> {
    if one.is_empty() {
        return other;
    }
    let mut both = Vec::with_capacity(limit.min(one.len() + other.len()));
    let (mut one, mut other) = (one.into_iter().peekable(), other.into_iter().peekable());
    while both.len() < limit {
        let next = match (one.peek(), other.peek()) {
            (Some(a), Some(b)) if goes_first(b, a) => other.next(),
            (Some(_), _) => one.next(),
            (None, _) => other.next(),
        };
        match next {
            Some(next) => both.push(next),
            None => break,
        }
    }
    both
}

/// The first `limit` of two unordered lists, in path order.
fn united(one: Vec<RelPath>, other: Vec<RelPath>, limit: usize) -> Vec<RelPath> {
    let mut both = one;
    both.extend(other);
    both.sort_unstable();
    both.dedup();
    both.truncate(limit);
    both
}

impl Store for Index {
    fn identity(&self) -> Result<Identity, StoreError> {
        Ok(self.summary.identity().clone())
    }

    fn set_identity(&mut self, identity: &Identity) -> Result<(), StoreError> {
        self.summary.set_identity(identity);
        Ok(())
    }

    fn knowledge(&self) -> Result<VersionVector, StoreError> {
        Ok(self.summary.knowledge().clone())
    }

    fn set_knowledge(&mut self, knowledge: &VersionVector) -> Result<(), StoreError> {
        self.summary.set_knowledge(knowledge);
        Ok(())
    }

    fn members(&self) -> Result<Vec<(ReplicaId, Member)>, StoreError> {
        let members = self.summary.members().iter();
        Ok(members.map(|(id, member)| (*id, member.clone())).collect())
    }

    fn set_member(&mut self, replica: ReplicaId, member: &Member) -> Result<(), StoreError> {
        self.summary.set_member(replica, member);
        Ok(())
    }

    fn record(&self, path: &RelPath) -> Result<Option<Record>, StoreError> {
        self.find_record(path)
            .map_err(self.store_error("read a record"))
    }

    fn set_record(&mut self, path: &RelPath, record: &Record) -> Result<(), StoreError> {
        let replaced = self.replace_record(path, record);
        replaced.map_err(self.store_error("keep a record"))
    }

    fn children(
        &self,
        directory: &RelPath,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Children, StoreError> {
        self.find_children(directory, after, limit)
            .map_err(self.store_error("list a directory"))
    }

    fn by_dot(
        &self,
        replica: ReplicaId,
        counter: u64,
        limit: usize,
    ) -> Result<Vec<(u64, RelPath)>, StoreError> {
        self.find_by_dot(replica, counter, limit)
            .map_err(self.store_error("list the changes of a replica"))
    }

    fn by_content(&self, content: ContentHash, limit: usize) -> Result<Vec<RelPath>, StoreError> {
        self.find_by_content(content, limit)
            .map_err(self.store_error("find a content"))
    }

    fn by_link(&self, link: LinkId, limit: usize) -> Result<Vec<RelPath>, StoreError> {
        self.find_by_link(link, limit)
            .map_err(self.store_error("find a group of hard links"))
    }

    fn by_copy(&self, loser: Dot) -> Result<Option<RelPath>, StoreError> {
        self.find_by_copy(loser)
            .map_err(self.store_error("find a conflict copy"))
    }

    fn pending(&self, after: Option<&RelPath>, limit: usize) -> Result<Vec<RelPath>, StoreError> {
        self.find_listed(List::Pending, after, Direction::Forwards, limit)
            .map_err(self.store_error("list the work to do"))
    }

    fn pending_backwards(
        &self,
        before: Option<&RelPath>,
        limit: usize,
    ) -> Result<Vec<RelPath>, StoreError> {
        self.find_listed(List::Pending, before, Direction::Backwards, limit)
            .map_err(self.store_error("list the work to do"))
    }

    fn pending_count(&self) -> Result<u64, StoreError> {
        Ok(self.summary.totals.pending)
    }

    fn excluded(&self, after: Option<&RelPath>, limit: usize) -> Result<Vec<RelPath>, StoreError> {
        self.find_listed(List::Excluded, after, Direction::Forwards, limit)
            .map_err(self.store_error("list what is out of scope"))
    }

    fn excluded_count(&self) -> Result<u64, StoreError> {
        Ok(self.summary.totals.excluded)
    }

    fn holdings(&self) -> Result<Holdings, StoreError> {
        Ok(self.summary.totals.holdings)
    }

    fn departing(&self) -> Result<Holdings, StoreError> {
        Ok(self.summary.totals.departing)
    }

    fn digest(&self) -> Result<Digest, StoreError> {
        Ok(self.summary.totals.digest)
    }

    fn record_count(&self) -> Result<u64, StoreError> {
        Ok(self.summary.totals.records)
    }
}
