//! Finding what differs when knowledge is equal and digests are not (`docs/algorithm.md`, section 5).

use crate::digest::of_entry;
use crate::entry::Entry;
use crate::message::{TreePage, TreeReply, TreeRow};
use crate::path::RelPath;
use crate::replica::Replica;
use crate::session::{ENTRIES_BYTES, SessionError};
use crate::store::{Children, Digest, Store, StoreError};

/// How many children go into one page.
const ROWS_PER_PAGE: usize = 1024;

/// Where in the tree a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) directory: RelPath,
    /// After this name; at the first if empty.
    pub(crate) after: Vec<u8>,
}

impl Place {
    pub(crate) fn start_of(directory: RelPath) -> Self {
        let after = Vec::new();
        Self { directory, after }
    }
}

impl<S: Store> Replica<S> {
    /// The children of a directory from `place` on, in digests, and where those that are left begin.
    pub(crate) fn tree_page(&self, place: Place) -> Result<(TreePage, Option<Place>), StoreError> {
        let Place { directory, after } = place;
        let children = self
            .store()
            .children(&directory, some(&after), ROWS_PER_PAGE)?;
        let full = children.len() == ROWS_PER_PAGE;
        let last = children.last().filter(|_| full);
        let until = last.map(|(name, _)| name.clone()).unwrap_or_default();
        let rest = full.then(|| Place {
            directory: directory.clone(),
            after: until.clone(),
        });
        let rows = self.tree_rows(&directory, children)?;
        let page = TreePage {
            directory,
            after,
            until,
            rows,
        };
        Ok((page, rest))
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
        self.for_each_below(directory, |path, record| {
            sum = sum.plus(of_entry(path, &record.entry));
            Ok(true)
        })?;
        Ok(sum)
    }

    /// What this replica has where it differs from `page`, or from the part of it that fits into one answer.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn answer_tree(&self, page: &TreePage) -> Result<TreeReply, StoreError> {
        let directory = &page.directory;
        let (mut entries, mut descend) = (Vec::new(), Vec::new());
        if directory.is_root() && page.after.is_empty() {
            entries.push((RelPath::root(), self.record(&RelPath::root())?.entry));
        }
        let (ours, mut until) = self.rows_of_page(page)?;
        let theirs = (page.rows.iter()).filter(|row| until.is_empty() || row.name <= until);
        let names = ours.iter().chain(theirs).map(|row| row.name.as_slice());
        let names: std::collections::BTreeSet<&[u8]> = names.collect();
        let mut bytes = 0;
        for name in names {
            let Ok(path) = directory.join(name) else {
                continue;
            };
            let (our_own, our_below) = sums(&ours, name);
            let (their_own, their_below) = sums(&page.rows, name);
            if our_below != their_below {
                descend.push(path.clone());
            }
            if our_own != their_own {
                let entry = self.record(&path)?.entry;
                bytes += entry.bytes_about(&path);
                entries.push((path, entry));
            }
            if bytes >= ENTRIES_BYTES {
                until = name.to_vec();
                break;
            }
        }
        Ok(TreeReply {
            directory: directory.clone(),
            entries,
            descend,
            until,
        })
    }

    /// This replica's rows that `page` speaks of, and the name up to which they go if these are not all.
    fn rows_of_page(&self, page: &TreePage) -> Result<(Vec<TreeRow>, Vec<u8>), StoreError> {
        let mut children =
            self.store()
                .children(&page.directory, some(&page.after), ROWS_PER_PAGE)?;
        let full = children.len() == ROWS_PER_PAGE;
        children.retain(|(name, _)| page.until.is_empty() || *name <= page.until);
        let until = match children.last() {
            Some((last, _)) if full && children.len() == ROWS_PER_PAGE => last.clone(),
            _ => Vec::new(),
        };
        Ok((self.tree_rows(&page.directory, children)?, until))
    }

    /// Merges what the other has; returns what this replica has there then, for the other to merge, by message.
    pub(crate) fn take_tree_reply(
        &mut self,
        entries: Vec<(RelPath, Entry)>,
    ) -> Result<Vec<Vec<(RelPath, Entry)>>, SessionError> {
        let paths: Vec<RelPath> = entries.iter().map(|(path, _)| path.clone()).collect();
        self.merge_entries(entries)?;
        let mut messages = vec![Vec::new()];
        let mut bytes = 0;
        for path in paths {
            let ours = self.record(&path)?.entry;
            if bytes >= ENTRIES_BYTES {
                messages.push(Vec::new());
                bytes = 0;
            }
            bytes += ours.bytes_about(&path);
            if let Some(last) = messages.last_mut() {
                last.push((path, ours));
            }
        }
        Ok(messages)
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
