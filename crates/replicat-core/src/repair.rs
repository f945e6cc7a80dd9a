//! Finding what differs when knowledge is equal and digests are not (`docs/algorithm.md`, section 5).

use crate::digest::of_entry;
use crate::entry::Entry;
use crate::message::{TreePage, TreeReply, TreeRow};
use crate::path::RelPath;
use crate::replica::Replica;
use crate::store::{Children, Digest, Store, StoreError};
use crate::version::VersionVector;

/// How many children go into one page.
const ROWS_PER_PAGE: usize = 4096;

/// Entries to send, and directories to go down into.
type Differences = (Vec<(RelPath, Entry)>, Vec<RelPath>);

impl<S: Store> Replica<S> {
    /// The children of `directory`, and for the root also the root itself, in digests.
    pub(crate) fn tree_pages(&self, directory: &RelPath) -> Result<Vec<TreePage>, StoreError> {
        let mut pages = Vec::new();
        let mut after = Vec::new();
        loop {
            let children = self
                .store()
                .children(directory, some(&after), ROWS_PER_PAGE)?;
            let last = children.len() < ROWS_PER_PAGE;
            let end = children
                .last()
                .map(|(name, _)| name.clone())
                .unwrap_or_default();
            let until = if last { Vec::new() } else { end.clone() };
            let rows = self.tree_rows(directory, children)?;
            pages.push(TreePage {
                directory: directory.clone(),
                after,
                until,
                rows,
            });
            if last {
                return Ok(pages);
            }
            after = end;
        }
    }

    fn tree_rows(
        &self,
        directory: &RelPath,
        children: Children,
    ) -> Result<Vec<TreeRow>, StoreError> {
        let mut rows = Vec::with_capacity(children.len());
        for (name, record) in children {
            let Ok(path) = directory.join(&name) else {
                continue;
            };
            let own = of_entry(&path, &record.entry);
            let below = self.digest_below(&path)?;
            if own != Digest::default() || below != Digest::default() {
                rows.push(TreeRow { name, own, below });
            }
        }
        Ok(rows)
    }

    fn digest_below(&self, directory: &RelPath) -> Result<Digest, StoreError> {
        let mut sum = Digest::default();
        let mut open = vec![directory.clone()];
        while let Some(directory) = open.pop() {
            let mut after = Vec::new();
            loop {
                let children = self
                    .store()
                    .children(&directory, some(&after), ROWS_PER_PAGE)?;
                let Some((last, _)) = children.last() else {
                    break;
                };
                after.clone_from(last);
                for (name, record) in children {
                    let Ok(path) = directory.join(&name) else {
                        continue;
                    };
                    sum = sum.plus(of_entry(&path, &record.entry));
                    open.push(path);
                }
            }
        }
        Ok(sum)
    }

    /// What this replica has where it differs from `page`.
    pub(crate) fn answer_tree(&self, page: &TreePage) -> Result<TreeReply, StoreError> {
        let directory = &page.directory;
        let mut entries = Vec::new();
        let mut descend = Vec::new();
        if directory.is_root() && page.after.is_empty() {
            entries.push((RelPath::root(), self.record(&RelPath::root())?.entry));
        }
        let ours = self.rows_of_page(page)?;
        let names = ours.iter().chain(&page.rows).map(|row| row.name.as_slice());
        let names: std::collections::BTreeSet<&[u8]> = names.collect();
        for name in names {
            let Ok(path) = directory.join(name) else {
                continue;
            };
            let (our_own, our_below) = sums(&ours, name);
            let (their_own, their_below) = sums(&page.rows, name);
            if our_own != their_own {
                entries.push((path.clone(), self.record(&path)?.entry));
            }
            if our_below != their_below {
                descend.push(path);
            }
        }
        Ok(TreeReply {
            directory: directory.clone(),
            entries,
            descend,
        })
    }

    fn rows_of_page(&self, page: &TreePage) -> Result<Vec<TreeRow>, StoreError> {
        let mut rows = Vec::new();
        let mut after = page.after.clone();
        loop {
            let mut children =
                self.store()
                    .children(&page.directory, some(&after), ROWS_PER_PAGE)?;
            let Some((last, _)) = children.last() else {
                return Ok(rows);
            };
            after.clone_from(last);
            let before = children.len();
            children.retain(|(name, _)| page.until.is_empty() || *name <= page.until);
            let ended = children.len() < before;
            rows.extend(self.tree_rows(&page.directory, children)?);
            if ended {
                return Ok(rows);
            }
        }
    }

    /// Merges what the other has; returns what this replica had there, for the other to merge.
    pub(crate) fn take_tree_reply(
        &mut self,
        reply: TreeReply,
        theirs: &VersionVector,
    ) -> Result<Differences, StoreError> {
        let mut ours = Vec::with_capacity(reply.entries.len());
        for (path, _) in &reply.entries {
            ours.push((path.clone(), self.record(path)?.entry));
        }
        self.merge_entries(reply.entries, theirs)?;
        Ok((ours, reply.descend))
    }
}

fn some(after: &[u8]) -> Option<&[u8]> {
    (!after.is_empty()).then_some(after)
}

fn sums(rows: &[TreeRow], name: &[u8]) -> (Digest, Digest) {
    rows.binary_search_by(|row| row.name.as_slice().cmp(name))
        .map_or((Digest::default(), Digest::default()), |at| {
            (rows[at].own, rows[at].below)
        })
}
