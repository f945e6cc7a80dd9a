//! Replicas whose changes the others refuse, and what they revert, as the engine of production does.

use std::collections::BTreeSet;

use replicat_core::message::Message;
use replicat_core::path::RelPath;
use replicat_core::record::Record;
use replicat_core::store::Store;
use replicat_core::wire;

use crate::disk::{Content, Disk};
use crate::hold::held_content;
use crate::paths;
use crate::world::{Failure, World};

impl World {
    /// The replicas whose changes the others accept.
    pub(crate) fn accepted(&self) -> Vec<usize> {
        let numbers = 0..self.nodes.len();
        numbers
            .filter(|number| !self.nodes[*number].is_refused())
            .collect()
    }

    /// Has the others refuse what a replica changes from now on, or accept it again. One replica is always accepted.
    pub(crate) fn refuse_or_accept(&mut self, replica: usize) {
        if self.nodes[replica].is_refused() {
            return self.accept(replica);
        }
        if self.accepted().len() == 1 {
            return;
        }
        self.drop_links(replica);
        let counter = self.nodes[replica].replica().identity().counter;
        self.nodes[replica].refused_above = Some(counter);
        let disks = self.accepted().into_iter();
        let disks: Vec<&Disk> = disks.map(|number| &self.nodes[number].disk).collect();
        self.oracle.refuse(replica as u8, &disks);
    }

    /// Has the others accept the changes of a replica again.
    pub(crate) fn accept(&mut self, replica: usize) {
        self.drop_links(replica);
        self.nodes[replica].refused_above = None;
        self.oracle.accept(replica as u8);
    }

    /// What a replica takes of a message.
    pub(crate) fn taken(&self, by: usize, from: usize, message: Message) -> Option<Message> {
        if !self.nodes[from].is_refused() {
            return Some(message);
        }
        let peer = self.nodes[from].replica().identity().replica;
        message.without_changes(Some(peer), self.nodes[by].replica().knowledge())
    }

    /// A replica that can say what a path is to hold without the changes of `replica` that are refused.
    pub(crate) fn knowing_peer(&self, replica: usize) -> Option<usize> {
        let mut numbers = 0..self.nodes.len();
        numbers.find(|number| self.can_tell(*number, replica))
    }

    fn can_tell(&self, other: usize, replica: usize) -> bool {
        let knowledge = self.nodes[replica].replica().confirmed_knowledge();
        let node = &self.nodes[other];
        other != replica
            && !node.is_refused()
            && !self.is_partitioned(other, replica)
            && node.replica().knowledge().contains_all(&knowledge)
    }

    /// Reverts what a replica changed at the `meant`-th path and below, or everywhere, to what another has. Meanwhile its user
    /// works on, it scans, and others tell it more.
    ///
    /// # Errors
    /// [`Failure`] if power fails meanwhile, or a rule is broken.
    pub(crate) fn revert(&mut self, replica: usize, from: usize, meant: u8) -> Result<(), Failure> {
        if !self.nodes[replica].is_refused() || !self.can_tell(from, replica) {
            return Ok(());
        }
        let rules = self.nodes[replica].replica();
        let all = rules.unconfirmed_paths()?;
        let directory = (meant > 0).then(|| paths::path(meant));
        let is_meant =
            |path: &&RelPath| directory.as_ref().is_none_or(|above| path.is_within(above));
        let meant: BTreeSet<RelPath> = all.iter().filter(is_meant).cloned().collect();
        let left = rules.reverted_together(&all, meant)?;
        self.nodes[replica].is_reverting = true;
        let outcome = self.revert_paths(replica, from, left);
        // Also when the other loses power.
        self.nodes[replica].is_reverting = false;
        outcome?;
        self.nodes[replica].replica_mut().forget_reverted()?;
        self.commit(replica)
    }

    fn revert_paths(
        &mut self,
        replica: usize,
        from: usize,
        left: Vec<RelPath>,
    ) -> Result<(), Failure> {
        let identity = self.nodes[replica].replica().identity();
        let (id, last) = (identity.replica, identity.counter);
        for path in left {
            if !self.is_resting {
                self.go_on_meanwhile(replica)?;
            }
            let is_same = self.nodes[replica].replica().identity().replica == id;
            if !is_same || !self.can_tell(from, replica) {
                break;
            }
            self.revert_path(replica, from, &path, last)?;
        }
        Ok(())
    }

    fn go_on_meanwhile(&mut self, replica: usize) -> Result<(), Failure> {
        match self.random.u8(0..16) {
            0 => drop(self.scan(replica)?),
            1 => {
                let other = self.random.usize(0..self.nodes.len());
                let limit = self.random.u8(1..6);
                self.exchange(replica, other, limit)?;
            }
            2..=4 => self.commit(replica)?,
            _ => {}
        }
        self.tick(replica)
    }

    fn revert_path(
        &mut self,
        replica: usize,
        from: usize,
        path: &RelPath,
        last: u64,
    ) -> Result<(), Failure> {
        let page = self.nodes[replica].replica().ask_for_entry(path)?;
        let Message::Tree(page) = self.sent(&Message::Tree(page))? else {
            return Ok(());
        };
        self.commit(from)?;
        let reply = self.nodes[from].replica().answer_tree(&page)?;
        let Message::TreeReply(reply) = self.sent(&Message::TreeReply(reply))? else {
            return Ok(());
        };
        let Some(theirs) = reply.entry_of(path) else {
            return Ok(());
        };
        let node = &self.nodes[replica];
        let held = node.disk.node(path).and_then(|file| file.kind.content());
        let known = held_content(&node.replica().record(path)?);
        if self.nodes[replica]
            .replica_mut()
            .revert(path, theirs, last)?
        {
            for content in [held, known] {
                let is_covered = content.is_some_and(|content| self.is_covered(replica, content));
                self.oracle
                    .reverted(replica as u8, path, content, is_covered);
            }
        }
        Ok(())
    }

    /// Whether a replica holds something else where the others hold a content: of a move to a path, after which something was
    /// written at the old one, a part may be reverted.
    fn is_covered(&self, replica: usize, content: Content) -> bool {
        let here = &self.nodes[replica].disk;
        let mut files = self.accepted().into_iter().flat_map(|other| {
            let nodes = self.nodes[other].disk.tree().nodes.iter();
            nodes.filter(|(_, file)| file.kind.content() == Some(content))
        });
        files.any(|(path, file)| here.node(path).is_some_and(|there| there.kind != file.kind))
    }

    /// Whether what a replica changed at a path, above or below, and others refuse, may keep it from doing its work there: a
    /// refused move is followed by nobody who holds an edit.
    pub(crate) fn waits_for_revert(&self, replica: usize, path: &RelPath) -> Result<bool, Failure> {
        let node = &self.nodes[replica];
        let known = self.nodes[self.accepted()[0]].replica().knowledge();
        // Of a copied replica, the refused events are not its own.
        let is_changed = |record: &Record| record.dots().any(|dot| !known.contains(dot));
        let mut changed = node
            .store()
            .records()
            .filter(|(_, record)| is_changed(record));
        let is_near =
            changed.any(|(changed, _)| changed.is_within(path) || path.is_within(changed));
        Ok(node.is_refused() && is_near)
    }

    /// A message as it arrives.
    pub(crate) fn sent(&self, message: &Message) -> Result<Message, Failure> {
        wire::decode(wire::encode(message))
            .map_err(|error| Failure::violation(format!("the codec refuses its own work: {error}")))
    }

    /// No replica whose changes are accepted shows what is refused.
    pub(crate) fn check_refused(&self) -> Result<(), Failure> {
        for (number, refused) in self.nodes.iter().enumerate() {
            let Some(above) = refused.refused_above else {
                continue;
            };
            let identity = refused.store().identity()?;
            let above = above.max(identity.confirmed);
            let events = (refused.store()).by_dot(identity.replica, above, usize::MAX)?;
            for (counter, path) in events {
                self.check_event(number, &path, (identity.replica, counter))?;
            }
        }
        for (number, node) in self
            .nodes
            .iter()
            .enumerate()
            .filter(|(_, node)| !node.is_refused())
        {
            for (path, file) in &node.disk.tree().nodes {
                let content = file.kind.content();
                if content.is_some_and(|content| self.oracle.is_refused(content)) {
                    return Err(Failure::violation(format!(
                        "replica {number} shows a refused change at {path}"
                    )));
                }
            }
        }
        Ok(())
    }

    fn check_event(
        &self,
        author: usize,
        path: &RelPath,
        (id, counter): (replicat_core::id::ReplicaId, u64),
    ) -> Result<(), Failure> {
        for other in self.accepted() {
            let entry = self.nodes[other].replica().record(path)?.entry;
            let is_it =
                |dot: replicat_core::version::Dot| (dot.replica, dot.counter) == (id, counter);
            if entry.versions().iter().any(|version| is_it(version.dot)) {
                return Err(Failure::violation(format!(
                    "replica {other} has an event of replica {author} at {path}, which it refuses"
                )));
            }
        }
        Ok(())
    }
}
