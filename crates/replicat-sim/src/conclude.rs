//! The end of a history: all replicas become idle, as they are and then without what is in the way, and are checked each time.

use replicat_core::conflict::MARK;
use replicat_core::entry::Carry;
use replicat_core::id::ContentHash;
use replicat_core::path::RelPath;
use replicat_core::plan::{Obstacle, Planned};
use replicat_core::store::Store;

use crate::check::{difference_of, difference_where};
use crate::disk::{Disk, Kind, content_of};
use crate::exchange::Ended;
use crate::node::Node;
use crate::op::{History, Op};
use crate::world::{Failure, World};

/// So many rounds of exchanges must be enough to come to rest.
const ROUNDS_MAX: usize = 24;
/// So often may the giving up of one content show that another is nowhere.
const GIVEN_UP_MAX: usize = 8;
/// So many sessions of one pair must be enough within one round.
const SESSIONS_MAX: usize = 3;

impl World {
    /// One round of everything; returns whether nothing happened.
    pub(crate) fn round(&mut self) -> Result<bool, Failure> {
        let mut quiet = true;
        let count = self.nodes.len();
        for replica in 0..count {
            quiet &= self.scan(replica)? == 0;
        }
        let mut pairs: Vec<(usize, usize)> = (0..count)
            .flat_map(|one| (0..one).map(move |other| (one, other)))
            .collect();
        self.random.shuffle(&mut pairs);
        for (one, other) in pairs {
            quiet &= self.meet(one, other)?;
        }
        for replica in 0..count {
            quiet &= self.settle(replica)? == 0;
            quiet &= self.apply(replica, 0, 4)? == 0;
            self.note_applied(replica)?;
        }
        Ok(quiet)
    }

    /// Lets two replicas exchange until they are equal; returns whether they were so at once.
    fn meet(&mut self, one: usize, other: usize) -> Result<bool, Failure> {
        if self.nodes[one].is_refused() || self.nodes[other].is_refused() {
            return self.meet_refused(one, other);
        }
        for session in 0..SESSIONS_MAX {
            match self.exchange(one, other, 0)? {
                Ended::Equal(0) => return Ok(session == 0),
                Ended::Broken | Ended::No | Ended::Equal(_) | Ended::Again(_) => {}
            }
        }
        Ok(false)
    }

    /// The same where one refuses the changes of the other: they may never be equal. Returns whether nothing happened.
    fn meet_refused(&mut self, one: usize, other: usize) -> Result<bool, Failure> {
        let before = [self.state_of(one)?, self.state_of(other)?];
        let ended = self.exchange(one, other, 0)?;
        let after = [self.state_of(one)?, self.state_of(other)?];
        let is_quiet = matches!(ended, Ended::Equal(0) | Ended::Again(0));
        Ok(is_quiet && before == after)
    }

    /// Brings all to an end, and checks it.
    pub(crate) fn conclude(&mut self, history: &History) -> Result<(), Failure> {
        self.rest_as_they_are()?;
        self.rest_for_good(history)?;
        if self.nodes.iter().any(Node::is_refused) {
            self.end_refusals(history)?;
        }
        self.check(history)
    }

    fn rest_for_good(&mut self, history: &History) -> Result<(), Failure> {
        self.come_to_rest()?;
        for _ in 0..GIVEN_UP_MAX {
            if !self.give_up_orphans(history)? {
                break;
            }
            self.come_to_rest()?;
        }
        Ok(())
    }

    /// Filters that differ and deletions that are held hold nobody up: the replicas become idle, and are equal in all else.
    fn rest_as_they_are(&mut self) -> Result<(), Failure> {
        let is_scoped = self.nodes.iter().any(|node| node.excluded.is_some());
        let is_holding = self.nodes.iter().any(|node| node.is_holding);
        if is_scoped || is_holding {
            self.rest_in_part()?;
        }
        let decides_first = is_holding && (!is_scoped || self.random.bool());
        if decides_first {
            self.decide_all()?;
        }
        if is_scoped && is_holding && !decides_first {
            (0..self.nodes.len()).for_each(|replica| self.include(replica));
            self.rest_in_part()?;
            self.decide_all()?;
        } else if is_scoped && decides_first {
            self.rest_in_part()?;
        }
        (0..self.nodes.len()).for_each(|replica| self.include(replica));
        Ok(())
    }

    fn rest_in_part(&mut self) -> Result<(), Failure> {
        self.come_to_rest()?;
        // What one replica alone has, out of its scope, comes to the others when it is in scope again; or a user deleted it.
        match self.waits_for_scope()? {
            true => Ok(()),
            false => self.check_equality(),
        }
    }

    /// A person decides about the deletions that each replica holds.
    fn decide_all(&mut self) -> Result<(), Failure> {
        for replica in 0..self.nodes.len() {
            match self.random.bool() {
                true => self.reject(replica)?,
                false => self.approve(replica),
            }
        }
        Ok(())
    }

    /// The replicas that refuse changes have lost nothing by that. Then the changes are reverted, or accepted.
    fn end_refusals(&mut self, history: &History) -> Result<(), Failure> {
        self.check_equality()?;
        let accepted = self.accepted();
        let all: Vec<&Disk> = self.nodes.iter().map(|node| &node.disk).collect();
        if let Some(content) = (self.oracle).lost_by_refused(all[accepted[0]], &all) {
            return Err(Failure::violation(format!(
                "content {content} is lost at those who refuse changes"
            )));
        }
        if self.random.bool() {
            for replica in 0..self.nodes.len() {
                self.revert_all(replica, history)?;
            }
        }
        (0..self.nodes.len())
            .filter(|replica| !accepted.contains(replica))
            .for_each(|replica| self.accept(replica));
        self.rest_for_good(history)
    }

    /// Whether the changes of no other replica were refused ever: what such a one told before may be known to few.
    fn is_refused_alone(&self, replica: usize, history: &History) -> bool {
        let mut operations = history.operations.iter();
        operations.all(|op| match op {
            Op::Refuse(refused) => usize::from(*refused) % self.nodes.len() == replica,
            // What nobody but this replica remembers of another is refused as well.
            Op::LoseIndex(lost) => usize::from(*lost) % self.nodes.len() == replica,
            Op::RestoreIndex(lost) | Op::RestoreAll(lost) => usize::from(*lost) % 2 == replica,
            Op::Clone(_) => false,
            _ => true,
        })
    }

    /// A replica reverts all that the others refuse: it becomes as they are, and they stay as they were.
    fn revert_all(&mut self, replica: usize, history: &History) -> Result<(), Failure> {
        let Some(peer) = self.knowing_peer(replica) else {
            return Ok(());
        };
        if !self.nodes[replica].is_refused() {
            return Ok(());
        }
        let before = self.nodes[peer].disk.clone();
        self.revert(replica, peer, 0)?;
        self.rest_for_good(history)?;
        self.check_equality()?;
        let (peer, reverted) = (&self.nodes[peer], &self.nodes[replica]);
        if let Some(difference) = difference_of(&before, &peer.disk) {
            return Err(Failure::violation(format!(
                "the revert of replica {replica} changed others: {difference}"
            )));
        }
        if !self.is_refused_alone(replica, history) {
            return Ok(());
        }
        let mut copies = reverted.replica().unconfirmed_paths()?;
        for path in &copies.clone() {
            if !stays_after_revert(reverted, peer, path)? {
                copies.remove(path);
            }
        }
        // A copy needs the directories above it.
        copies.extend(copies.clone().iter().flat_map(RelPath::ancestors));
        let is_counted = |path: &RelPath| !copies.contains(path);
        // It may hold one of several equal tombstones that the others do not, and cannot tell them (section 2 of the algorithm).
        let is_equal = peer.replica().knowledge() == reverted.replica().knowledge();
        if let Some(difference) = difference_where(peer, reverted, is_counted) {
            return Err(Failure::violation(format!(
                "replica {replica} is not as the others after a revert: {difference}"
            )));
        }
        if !is_equal && copies.is_empty() {
            return Err(Failure::violation(format!(
                "replica {replica} does not know what the others know after a revert"
            )));
        }
        Ok(())
    }

    /// Whether a replica holds a content at a path that its filters do not leave out, or in its trash.
    fn is_in_scope_anywhere(&self, content: ContentHash) -> Result<bool, Failure> {
        let holds = Some(Kind::File(content_of(content)));
        for node in &self.nodes {
            let paths = node.store().by_content(content, usize::MAX)?;
            let is_there = |path: &RelPath| {
                !node.leaves_out(path) && node.disk.node(path).map(|file| file.kind) == holds
            };
            if paths.iter().any(is_there) || node.disk.tree().trash.contains(&content_of(content)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a replica waits for a content that nobody has in scope, or keeps one that is to be carried out of its scope.
    fn waits_for_scope(&self) -> Result<bool, Failure> {
        for node in &self.nodes {
            for path in node.store().pending(None, usize::MAX)? {
                let entry = node.replica().record(&path)?.entry;
                let content = entry.shown().and_then(|shown| shown.payload().content());
                let blocked = Planned::Blocked(Obstacle::Unpreserved);
                // Only the replica that leaves it out may be able to settle it.
                let mut nodes = self.nodes.iter();
                if nodes.any(|other| other.leaves_out(&path))
                    || node.replica().plan(&path)? == blocked
                {
                    return Ok(true);
                }
                let Some(content) = content else { continue };
                if !self.is_in_scope_anywhere(content)? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn come_to_rest(&mut self) -> Result<(), Failure> {
        self.calm();
        for _ in 0..ROUNDS_MAX {
            let mut quiet = false;
            self.surviving(|world| {
                quiet = world.round()?;
                Ok(())
            })?;
            // Who differs still, though all know the same, finds that out by the sums, with one other at a time.
            let accepted = self.accepted();
            let first = self.state_of(accepted[0])?;
            let mut equal = true;
            for replica in accepted {
                equal &= self.state_of(replica)? == first;
            }
            if quiet && equal {
                return Ok(());
            }
        }
        Err(Failure::violation(
            "the replicas do not come to rest".to_owned(),
        ))
    }

    pub(crate) fn check_equality(&self) -> Result<(), Failure> {
        for number in 0..self.nodes.len() {
            for path in self.nodes[number].store().pending(None, usize::MAX)? {
                if !self.is_held_up(number, &path)? && !self.waits_for_revert(number, &path)? {
                    return Err(Failure::violation(format!(
                        "replica {number} has work left at [\"{path}\"]"
                    )));
                }
            }
        }
        let accepted = self.accepted();
        let first = accepted[0];
        for number in accepted {
            self.check_equal(first, number)?;
        }
        Ok(())
    }

    fn check_equal(&self, one: usize, other: usize) -> Result<(), Failure> {
        let [first, node] = [one, other].map(|number| &self.nodes[number]);
        if node.store().digest()? != first.store().digest()? {
            return Err(Failure::violation(format!(
                "the digest of replica {other} differs"
            )));
        }
        let is_counted = |path: &RelPath| {
            let held_up = [one, other].map(|number| self.is_held_up(number, path));
            match held_up {
                [Ok(one), Ok(other)] => !one && !other,
                _ => false,
            }
        };
        match difference_where(first, node, is_counted) {
            None => Ok(()),
            Some(difference) => Err(Failure::violation(format!(
                "replicas {one} and {other} differ: {difference}"
            ))),
        }
    }
}

/// Whether a change of one replica, which others refuse, may be there after a revert: the others have it, or it is a conflict copy
/// of what they lost, or one that gave way to what they made at its path.
fn stays_after_revert(reverted: &Node, peer: &Node, path: &RelPath) -> Result<bool, Failure> {
    let rules = reverted.replica();
    let (ours, theirs) = (
        rules.record(path)?.entry,
        peer.replica().record(path)?.entry,
    );
    let own = ours.versions().iter();
    let mut own = own.filter(|version| rules.is_unconfirmed(version.dot));
    let are_copies = own.all(|version| matches!(version.carry, Some(Carry::Copy(_))));
    let name = String::from_utf8_lossy(path.name());
    let gave_way = !theirs.versions().is_empty() || name.matches(MARK).count() > 1;
    Ok(ours == theirs || rules.outlasts_revert(path)? || are_copies && gave_way)
}
