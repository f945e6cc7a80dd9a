//! Deletions that a replica holds, as the engine of production does when they look like an accident: what it finds missing is
//! not observed, and what was deleted elsewhere is not removed, until a person approves or rejects that.
//!
//! Whether deletions look like an accident is not judged here: a history says when a replica holds them.

use std::collections::BTreeSet;

use replicat_core::entry::Payload;
use replicat_core::path::RelPath;
use replicat_core::plan::{Step, Task};
use replicat_core::record::{Holdings, Record};
use replicat_core::store::Store;

use crate::apply::target_of;
use crate::disk::{Content, Kind, content_of};
use crate::world::{Failure, World};

/// One in so many deletions passes, though others are held.
const PASSES_EVERY: u8 = 8;

impl World {
    /// A person approves what a replica holds: it is observed by the next scan, and carried out.
    pub(crate) fn approve(&mut self, replica: usize) {
        let node = &mut self.nodes[replica];
        node.touched_since_scan |= !node.held.is_empty();
        node.is_holding = false;
        node.held.clear();
    }

    /// A person rejects what a replica holds: what is gone there is brought again, and what was deleted elsewhere stays.
    ///
    /// # Errors
    /// [`Failure`] if power fails meanwhile.
    pub(crate) fn reject(&mut self, replica: usize) -> Result<(), Failure> {
        let kept = self.rejected(replica)?;
        for (path, content, _) in &kept {
            self.oracle.rejected(replica as u8, path, *content);
        }
        let held = self.nodes[replica].held.clone();
        for path in &held {
            self.tick(replica)?;
            self.nodes[replica].replica_mut().forget(path)?;
            self.commit_sometimes(replica)?;
        }
        for path in self.departing(replica)? {
            self.tick(replica)?;
            let now = self.nodes[replica].now(self.seconds);
            let node = &mut self.nodes[replica];
            node.replica_mut().reject_deletion(now, &path)?;
            self.commit_sometimes(replica)?;
        }
        self.commit(replica)?;
        for (path, content, is_last) in kept {
            // A user may have deleted it meanwhile.
            let is_there = match held.contains(&path) {
                true => self.is_elsewhere(replica, &path, content),
                false => self.is_deleted_by_all(replica, &path, content),
            };
            if is_last && is_there {
                self.oracle.kept(replica as u8, content);
            }
        }
        let node = &mut self.nodes[replica];
        node.is_holding = false;
        node.held.clear();
        Ok(())
    }

    fn commit_sometimes(&mut self, replica: usize) -> Result<(), Failure> {
        match self.random.u8(0..4) {
            0 => self.commit(replica),
            _ => Ok(()),
        }
    }

    /// What is rejected at a replica: the paths, what they held, and whether that has to stay for good.
    fn rejected(&self, replica: usize) -> Result<Vec<(RelPath, Content, bool)>, Failure> {
        let mut rejected = Vec::new();
        let node = &self.nodes[replica];
        if !node.is_holding {
            return Ok(rejected);
        }
        for path in &node.held {
            let record = node.replica().record(path)?;
            let Some(content) = held_content(&record) else {
                continue;
            };
            let is_clean = record.local.is_some_and(|local| local.base.is_none());
            let is_last = is_clean && self.is_elsewhere(replica, path, content);
            rejected.push((path.clone(), content, is_last));
        }
        for path in self.departing(replica)? {
            let record = node.replica().record(&path)?;
            if let Some(content) = held_content(&record) {
                let is_last = self.is_deleted_by_all(replica, &path, content);
                rejected.push((path, content, is_last));
            }
        }
        Ok(rejected)
    }

    /// Whether another replica holds a content at `path`, and nobody but the user of this one took it away.
    fn is_elsewhere(&self, replica: usize, path: &RelPath, content: Content) -> bool {
        let mut others = self.nodes.iter().enumerate();
        let is_there = others.any(|(other, node)| {
            let holds = node.disk.node(path).map(|file| file.kind);
            other != replica && !node.is_refused() && holds == Some(Kind::File(content))
        });
        let by_others = self
            .oracle
            .lost_by(content)
            .any(|by| usize::from(by) != replica);
        is_there && !by_others && !self.nodes[replica].is_refused()
    }

    /// Whether all users that took a content away have announced that, while it is at `path` of this replica.
    fn is_deleted_by_all(&self, replica: usize, path: &RelPath, content: Content) -> bool {
        let mut deleters = self.oracle.lost_by(content).map(usize::from);
        // What is deleted out of scope is not known before the path is in scope again.
        let is_told = |by: usize| {
            self.nodes.get(by).is_some_and(|node| {
                let is_scoped = node.excluded.is_some() || !node.knows_all_in_scope();
                !node.touched_since_scan && node.held.is_empty() && !is_scoped
            })
        };
        let node = &self.nodes[replica];
        let is_there = node.disk.node(path).map(|file| file.kind) == Some(Kind::File(content));
        is_there && !node.touched_since_scan && !node.is_refused() && deleters.all(is_told)
    }

    /// The files that a replica is to lose, since they were deleted elsewhere.
    fn departing(&self, replica: usize) -> Result<Vec<RelPath>, Failure> {
        let node = &self.nodes[replica];
        if !node.is_holding {
            return Ok(Vec::new());
        }
        let mut paths = node.store().pending(None, usize::MAX)?;
        let mut failure = Ok(());
        paths.retain(|path| match node.replica().record(path) {
            Ok(record) => record.departing() != Holdings::default(),
            Err(error) => {
                failure = Err(error);
                false
            }
        });
        failure?;
        Ok(paths)
    }

    /// Whether a replica holds anything.
    pub(crate) fn holds(&self, replica: usize) -> Result<bool, Failure> {
        Ok(!self.nodes[replica].held.is_empty() || !self.departing(replica)?.is_empty())
    }

    /// Whether a replica leaves a path that is missing as it is known. Children are asked about before their directories.
    pub(crate) fn holds_missing(
        &mut self,
        replica: usize,
        path: &RelPath,
    ) -> Result<bool, Failure> {
        let passes = self.nodes[replica].is_holding && self.random.u8(0..PASSES_EVERY) == 0;
        let node = &self.nodes[replica];
        let is_held = node.is_holding && self.is_loss(replica, path, passes)?;
        let held = &mut self.nodes[replica].held;
        match is_held {
            true => held.insert(path.clone()),
            false => held.remove(path),
        };
        Ok(is_held)
    }

    fn is_loss(&self, replica: usize, path: &RelPath, passes: bool) -> Result<bool, Failure> {
        let node = &self.nodes[replica];
        let record = node.replica().record(path)?;
        let Some(payload) = record.held_payload() else {
            return Ok(false);
        };
        if payload.is_directory() {
            return Ok(node.held.iter().any(|held| held.is_within(path)));
        }
        // A newer version is brought, and the peers judge what a file took the place of.
        let is_overtaken = (record.local.as_ref()).is_some_and(|local| local.base.is_some())
            && record.entry.is_live();
        if is_overtaken || self.is_replaced_above(replica, path)? {
            return Ok(false);
        }
        let is_elsewhere = self.is_moved(replica, path, &record)?;
        Ok(!is_elsewhere && (node.held.contains(path) || !passes))
    }

    /// Whether a file or a symlink took the place of a directory above.
    fn is_replaced_above(&self, replica: usize, path: &RelPath) -> Result<bool, Failure> {
        for above in path.ancestors().take_while(|above| !above.is_root()) {
            let held = self.nodes[replica].replica().record(&above)?.held_payload();
            if held.is_some_and(|held| !held.is_directory()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the very file that is missing is known at another path.
    fn is_moved(&self, replica: usize, path: &RelPath, record: &Record) -> Result<bool, Failure> {
        let content = record
            .held_payload()
            .as_ref()
            .and_then(Payload::leaf_substance);
        let (Some(content), Some(local)) = (content, &record.local) else {
            return Ok(false);
        };
        let node = &self.nodes[replica];
        for other in node.store().by_content(content, usize::MAX)? {
            let there = node.replica().record(&other)?.local;
            let is_same =
                there.is_some_and(|there| there.fingerprint.is_of_same(&local.fingerprint));
            if other != *path && is_same {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Holds no longer what is there again.
    pub(crate) fn release_found(&mut self, replica: usize) -> Result<(), Failure> {
        let node = &mut self.nodes[replica];
        let mut held = std::mem::take(&mut node.held);
        let mut known = BTreeSet::new();
        for path in &held {
            if node.replica().record(path)?.local.is_some() {
                known.insert(path.clone());
            }
        }
        held.retain(|path| known.contains(path) && node.disk.node(path).is_none());
        node.held = held;
        Ok(())
    }

    /// Whether a replica does not carry out a step, since it removes what was deleted elsewhere.
    pub(crate) fn holds_removal(&self, replica: usize, step: &Step) -> Result<bool, Failure> {
        let node = &self.nodes[replica];
        if !node.is_holding || step.task != Task::Remove {
            return Ok(false);
        }
        let record = node.replica().record(&step.path)?;
        Ok(record.departing() != Holdings::default())
    }

    /// Whether what a replica holds may keep it from doing its work at `path`.
    pub(crate) fn is_held_up(&self, replica: usize, path: &RelPath) -> Result<bool, Failure> {
        let mut held = self.departing(replica)?;
        held.extend(self.nodes[replica].held.iter().cloned());
        Ok((held.iter()).any(|held| path.is_within(held) || held.is_within(path)))
    }
}

/// What a file or symlink held that a replica is to lose, or has lost.
pub(crate) fn held_content(record: &Record) -> Option<Content> {
    match record.held_payload()? {
        Payload::File { content, .. } => Some(content_of(content)),
        Payload::Symlink { target } => Some(target_of(&target)),
        _ => None,
    }
}
