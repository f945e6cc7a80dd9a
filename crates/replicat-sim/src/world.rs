//! The world of a history: its replicas, what is under way between them, and how operations change it.

use std::collections::BTreeSet;

use replicat_core::entry::Timestamp;
use replicat_core::id::ReplicaId;
use replicat_core::memory::MemoryStore;
use replicat_core::path::RelPath;
use replicat_core::record::Local;
use replicat_core::restore::Renewal;
use replicat_core::session::SessionError;
use replicat_core::store::{Store, StoreError};

use crate::act::{User, copies};
use crate::disk::{Content, Disk, hash_of};
use crate::exchange::Link;
use crate::node::{Backup, Event, Node};
use crate::op::{Act, History, Op};
use crate::oracle::Oracle;
use crate::paths;

/// When histories begin, in seconds since 1970.
const START_SECONDS: i64 = 1_700_000_000;
/// In one of so many histories the clock stands.
const CLOCK_STANDS_EVERY: u64 = 4;
/// There are never more replicas than this.
const REPLICAS_MAX: usize = 5;

/// Why a history stopped.
#[derive(Debug)]
pub enum Failure {
    /// Something is not as it must be.
    Violation(String),
    /// A replica lost power; only ever seen within a history.
    Crashed(usize),
}

impl Failure {
    /// Something is not as it must be.
    #[must_use]
    pub fn violation(what: String) -> Self {
        Self::Violation(what)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Violation(error.to_string())
    }
}

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Self {
        Self::Violation(error.to_string())
    }
}

/// Everything there is.
#[derive(Debug)]
pub struct World {
    pub(crate) nodes: Vec<Node>,
    pub(crate) links: Vec<Link>,
    pub(crate) oracle: Oracle,
    pub(crate) random: fastrand::Rng,
    pub(crate) seconds: i64,
    partitions: Vec<(usize, usize)>,
    /// The pairs whose sessions stay open.
    kept: Vec<[usize; 2]>,
    /// The history is over, and the replicas are to become equal: every exchange compares sums.
    pub(crate) is_resting: bool,
    /// All happens within one second, so that conflict copies differ by their contents alone.
    clock_stands: bool,
    next_id: u64,
}

impl World {
    /// The world at the beginning of `history`.
    ///
    /// # Errors
    /// Never; the stores in memory do not fail.
    pub fn new(history: &History) -> Result<Self, Failure> {
        let mut world = Self {
            nodes: Vec::new(),
            links: Vec::new(),
            oracle: Oracle::default(),
            random: fastrand::Rng::with_seed(history.salt),
            seconds: START_SECONDS,
            partitions: Vec::new(),
            kept: Vec::new(),
            is_resting: false,
            clock_stands: history.salt.is_multiple_of(CLOCK_STANDS_EVERY),
            next_id: 1,
        };
        for number in 0..usize::from(history.replicas).clamp(2, REPLICAS_MAX) {
            let id = world.new_id();
            world
                .nodes
                .push(Node::new(id, &format!("n{number}"), Disk::default())?);
        }
        Ok(world)
    }

    fn new_id(&mut self) -> ReplicaId {
        self.next_id += 1;
        ReplicaId(self.next_id)
    }

    fn number(&self, replica: u8) -> usize {
        usize::from(replica) % self.nodes.len()
    }

    /// Does one operation.
    ///
    /// # Errors
    /// A violation, if a rule is broken.
    pub fn perform(&mut self, op: Op) -> Result<(), Failure> {
        let passed = self.random.i64(0..2);
        self.seconds += if self.clock_stands { 0 } else { passed };
        self.surviving(|world| world.dispatch(op))?;
        self.check_refused()
    }

    /// Does something; replicas that lose power meanwhile start again.
    pub(crate) fn surviving(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut outcome = work(self);
        while let Err(Failure::Crashed(replica)) = outcome {
            outcome = self.restart(replica);
        }
        outcome
    }

    fn dispatch(&mut self, op: Op) -> Result<(), Failure> {
        match op {
            Op::User(replica, act) => self.act(self.number(replica), act),
            Op::UserAfter(replica, after, act) => self.plan_event(replica, after, Event::Act(act)),
            Op::CrashAfter(replica, after) => self.plan_event(replica, after, Event::Crash),
            Op::Crash(replica) => return Err(Failure::Crashed(self.number(replica))),
            Op::Sync(replica) => {
                let replica = self.number(replica);
                self.nodes[replica].disk.sync();
            }
            Op::Scan(replica) => drop(self.scan(self.number(replica))?),
            Op::Exchange(one, other, limit) => {
                self.exchange(self.number(one), self.number(other), limit)?;
            }
            Op::Cut(one, other) => {
                let ends = [self.number(one), self.number(other)];
                self.links
                    .retain(|link| !ends.iter().all(|end| link.ends.contains(end)));
            }
            Op::Keep(one, other) => self.keep(self.number(one), self.number(other)),
            Op::Duplicate(one, other) => self.duplicate(self.number(one), self.number(other)),
            Op::Apply(replica, steps, group) => {
                self.settle_and_apply(self.number(replica), steps, group)?;
            }
            Op::NoteApplied(replica) => {
                self.note_applied(self.number(replica))?;
            }
            Op::Round => drop(self.round()?),
            _ => self.dispatch_fault(op)?,
        }
        Ok(())
    }

    fn dispatch_fault(&mut self, op: Op) -> Result<(), Failure> {
        match op {
            Op::Backup(replica) => {
                let node = &mut self.nodes[usize::from(replica) % REPLICAS_MAX.min(2)];
                let (store, disk) = (node.store().clone(), node.disk.clone());
                node.backup = Some(Backup { store, disk });
            }
            Op::RestoreIndex(replica) => self.restore(usize::from(replica) % 2, Keep::Files)?,
            Op::RestoreAll(replica) => self.restore(usize::from(replica) % 2, Keep::Nothing)?,
            Op::LoseIndex(replica) => self.lose_index(self.number(replica))?,
            Op::Clone(replica) => self.clone_replica(self.number(replica))?,
            Op::Clock(replica, offset) => {
                let replica = self.number(replica);
                self.nodes[replica].clock_offset_seconds = offset;
            }
            Op::Partition(one, other) => self.partition(self.number(one), self.number(other)),
            Op::Exclude(replica, path) => {
                let replica = self.number(replica);
                let path = paths::path(path);
                for content in self.moved_unseen(replica, &path)? {
                    self.oracle.moved_out_of_scope(content);
                }
                self.nodes[replica].excluded = Some(path);
                // What was left out before is not known until the next scan.
                self.nodes[replica].touched_since_scan = true;
            }
            Op::Include(replica) => self.include(self.number(replica)),
            _ => self.dispatch_policy(op)?,
        }
        Ok(())
    }

    fn dispatch_policy(&mut self, op: Op) -> Result<(), Failure> {
        match op {
            Op::Refuse(replica) => self.refuse_or_accept(self.number(replica)),
            Op::Revert(replica, from, meant) => {
                self.revert(self.number(replica), self.number(from), meant)?;
            }
            Op::Hold(replica) => {
                let replica = self.number(replica);
                self.nodes[replica].is_holding = true;
            }
            Op::Approve(replica) => self.approve(self.number(replica)),
            Op::Reject(replica) => self.reject(self.number(replica))?,
            _ => {}
        }
        Ok(())
    }

    /// A replica notes whether it has applied what it knows. A replica that misses what it is recorded to hold has not.
    pub(crate) fn note_applied(&mut self, replica: usize) -> Result<bool, Failure> {
        let holds = self.holds(replica)?;
        let replica = self.nodes[replica].replica_mut();
        Ok(match holds {
            true => replica.retract_applied()?,
            false => replica.note_applied()?,
        })
    }

    /// Ends the exclusion at a replica.
    pub(crate) fn include(&mut self, replica: usize) {
        self.nodes[replica].excluded = None;
        // What was left out is not known until the next scan.
        self.nodes[replica].touched_since_scan = true;
    }

    /// What a user moved to `path` or below since the last scan, as far as it is known from elsewhere.
    fn moved_unseen(&self, replica: usize, path: &RelPath) -> Result<Vec<Content>, Failure> {
        let node = &self.nodes[replica];
        let mut moved = Vec::new();
        for (found, file) in &node.disk.tree().nodes {
            let Some(content) = file.kind.content().filter(|_| found.is_within(path)) else {
                continue;
            };
            let known = node.store().by_content(hash_of(content), usize::MAX)?;
            let is_held = |path: &RelPath| {
                let record = node.replica().record(path);
                record.is_ok_and(|record| record.local.is_some())
            };
            let record = node.replica().record(found)?;
            let is_known = |local: Local| local.fingerprint.inode == file.inode;
            let is_new = !record.local.is_some_and(is_known);
            if is_new && known.iter().any(|other| other != found && is_held(other)) {
                moved.push(content);
            }
        }
        Ok(moved)
    }

    fn plan_event(&mut self, replica: u8, after: u8, event: Event) {
        let replica = self.number(replica);
        self.nodes[replica].agenda.push((after, event));
    }

    pub(crate) fn act(&mut self, replica: usize, act: Act) {
        let copies = self.nodes.iter().flat_map(|node| copies(&node.disk));
        let copies: BTreeSet<RelPath> = copies.cloned().collect();
        let node = &mut self.nodes[replica];
        node.touched_since_scan = true;
        let seconds = node.seconds(self.seconds);
        let number = replica as u8;
        User {
            replica: number,
            disk: &mut node.disk,
            oracle: &mut self.oracle,
            excluded: node.excluded.as_ref(),
            seconds,
            copies: &copies,
        }
        .act(act);
    }

    /// An effect of a replica: what was to befall it befalls it.
    pub(crate) fn tick(&mut self, replica: usize) -> Result<(), Failure> {
        if self.nodes[replica].agenda.is_empty() {
            return Ok(());
        }
        let mut due = Vec::new();
        self.nodes[replica].agenda.retain_mut(|(left, event)| {
            if *left == 0 {
                due.push(*event);
                return false;
            }
            *left -= 1;
            true
        });
        let mut crashed = false;
        for event in due {
            match event {
                Event::Act(act) => self.act(replica, act),
                Event::Crash => crashed = true,
            }
        }
        if crashed {
            Err(Failure::Crashed(replica))
        } else {
            Ok(())
        }
    }

    /// Commits a replica's index.
    pub(crate) fn commit(&mut self, replica: usize) -> Result<(), Failure> {
        if !self.nodes[replica].replica().store().is_dirty() {
            return Ok(());
        }
        self.tick(replica)?;
        self.nodes[replica].replica_mut().store_mut().commit();
        self.oracle.committed(replica as u8);
        self.tick(replica)
    }

    /// The time of a change that replicat makes at a replica's disk.
    pub(crate) fn time(&mut self, replica: usize) -> Timestamp {
        let node = &mut self.nodes[replica];
        let nanoseconds = (node.disk.next_serial() % 1_000_000_000) as u32;
        Timestamp {
            seconds: node.seconds(self.seconds),
            nanoseconds,
        }
    }

    pub(crate) fn drop_links(&mut self, replica: usize) {
        self.links.retain(|link| !link.ends.contains(&replica));
    }

    fn restart(&mut self, replica: usize) -> Result<(), Failure> {
        self.drop_links(replica);
        let node = &mut self.nodes[replica];
        node.held.clear();
        let before = node.disk.clone();
        node.disk.crash(&mut self.random);
        node.roll_back()?;
        let records = node.store();
        let is_recorded = |path: &RelPath| {
            let record = records.record(path).ok().flatten();
            record.is_some_and(|record| record.local.is_some())
        };
        self.oracle.rolled_back(replica as u8, is_recorded);
        let others = disks_but(&self.nodes, replica);
        let after = &self.nodes[replica].disk;
        self.oracle.crashed(replica as u8, &before, after, &others);
        if let Some(excluded) = &self.nodes[replica].excluded {
            self.oracle.fell_out_of_scope(excluded, &before, after);
        }
        self.scan(replica)?;
        Ok(())
    }

    pub(crate) fn settle_and_apply(
        &mut self,
        replica: usize,
        steps: u8,
        group: u8,
    ) -> Result<(), Failure> {
        if !self.is_listening(replica) {
            self.settle(replica)?;
        }
        self.apply(replica, steps, group)?;
        Ok(())
    }

    pub(crate) fn renew(&mut self, replica: usize, reason: Renewal) -> Result<(), Failure> {
        self.drop_links(replica);
        let id = self.new_id();
        let node = &mut self.nodes[replica];
        let now = node.now(self.seconds);
        node.replica_mut().renew(now, id, reason)?;
        self.commit(replica)
    }

    fn restore(&mut self, replica: usize, keep: Keep) -> Result<(), Failure> {
        let Some(backup) = self.nodes[replica].backup.take() else {
            return Ok(());
        };
        self.drop_links(replica);
        self.forget_excluded(replica);
        if keep == Keep::Nothing {
            let node = &mut self.nodes[replica];
            let before = std::mem::replace(&mut node.disk, backup.disk);
            while node.disk.next_serial() < before.serial() {}
            if let Some(excluded) = &node.excluded {
                // What a user moved there was told as deleted, and now it is gone from there as well.
                self.oracle.hidden(excluded, &before);
            }
            node.disk.sync();
            let others = disks_but(&self.nodes, replica);
            self.oracle
                .went_back(&before, &self.nodes[replica].disk, &others);
            self.oracle.all_went_back(replica as u8);
        }
        self.forget_deletions(replica);
        self.nodes[replica].held.clear();
        self.nodes[replica].replace_store(backup.store)?;
        self.scan(replica)?;
        self.forget_deletions(replica);
        Ok(())
    }

    fn lose_index(&mut self, replica: usize) -> Result<(), Failure> {
        self.drop_links(replica);
        self.forget_excluded(replica);
        let identity = self.nodes[replica].store().identity()?;
        let store = MemoryStore::new(identity.folder, self.new_id(), &identity.name);
        self.forget_deletions(replica);
        self.nodes[replica].held.clear();
        self.nodes[replica].replace_store(store)?;
        self.scan(replica)?;
        self.forget_deletions(replica);
        Ok(())
    }

    /// Only the state knew what filters leave out: what is deleted of that elsewhere may return.
    fn forget_excluded(&mut self, replica: usize) {
        let node = &self.nodes[replica];
        if let Some(excluded) = &node.excluded {
            self.oracle.left_out(excluded, &node.disk);
        }
    }

    fn forget_deletions(&mut self, replica: usize) {
        self.oracle.forgot(replica as u8);
    }

    fn clone_replica(&mut self, replica: usize) -> Result<(), Failure> {
        if self.nodes.len() >= REPLICAS_MAX {
            return Ok(());
        }
        self.commit(replica)?;
        self.oracle.copied(replica as u8, &self.nodes[replica].disk);
        let original = &self.nodes[replica];
        let store = original.store().clone();
        let disk = original.disk.copied();
        let id = ReplicaId(0);
        let mut copy = Node::new(id, "copy", disk)?;
        copy.clock_offset_seconds = original.clock_offset_seconds;
        copy.excluded.clone_from(&original.excluded);
        copy.refused_above = original.refused_above;
        copy.is_holding = original.is_holding;
        copy.replace_store(store)?;
        self.nodes.push(copy);
        let number = self.nodes.len() - 1;
        if self.nodes[number].is_refused() {
            self.oracle.refuse_copy(number as u8);
        }
        self.renew(number, Renewal::Copied)?;
        self.scan(number)?;
        Ok(())
    }

    fn partition(&mut self, one: usize, other: usize) {
        let pair = (one.min(other), one.max(other));
        let before = self.partitions.len();
        self.partitions.retain(|held| *held != pair);
        if self.partitions.len() == before {
            self.partitions.push(pair);
            self.links.retain(|link| link.ends != [pair.0, pair.1]);
        }
    }

    fn keep(&mut self, one: usize, other: usize) {
        let pair = [one.min(other), one.max(other)];
        let before = self.kept.len();
        self.kept.retain(|held| *held != pair);
        if self.kept.len() == before {
            self.kept.push(pair);
        }
    }

    pub(crate) fn is_kept(&self, pair: [usize; 2]) -> bool {
        self.kept.contains(&pair)
    }

    pub(crate) fn is_partitioned(&self, one: usize, other: usize) -> bool {
        self.partitions.contains(&(one.min(other), one.max(other)))
    }

    /// Ends all that is in the way, and what is under way but for sessions that are kept.
    pub(crate) fn calm(&mut self) {
        self.is_resting = true;
        self.partitions.clear();
        let kept = std::mem::take(&mut self.kept);
        self.links
            .retain(|link| link.is_live() && kept.contains(&link.ends));
        self.kept = kept;
        for node in &mut self.nodes {
            node.agenda.clear();
        }
    }

    /// What the disk of a replica holds at a path, for error messages.
    #[must_use]
    pub fn disks(&self) -> Vec<&Disk> {
        self.nodes.iter().map(|node| &node.disk).collect()
    }

    /// What a replica's index says, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut text = String::new();
        for (number, node) in self.nodes.iter().enumerate() {
            text += &format!(
                "replica {number} {} knows {:?}\n",
                node.replica().identity().replica,
                node.replica().knowledge()
            );
            for (path, file) in &node.disk.tree().nodes {
                text += &format!(
                    "  disk {path} {:?} mode {:o} mtime {}.{}\n",
                    file.kind, file.mode, file.mtime.seconds, file.mtime.nanoseconds
                );
            }
            for (path, record) in node.store().records() {
                text += &describe_record(path, record);
            }
        }
        text
    }
}

/// The disks of all replicas but one.
fn disks_but(nodes: &[Node], replica: usize) -> Vec<&Disk> {
    let others = nodes.iter().enumerate();
    let others = others.filter(|(other, node)| *other != replica && !node.is_refused());
    others.map(|(_, node)| &node.disk).collect()
}

fn describe_record(path: &RelPath, record: &replicat_core::record::Record) -> String {
    let mut text = format!("  record {path} pending {}\n", record.pending);
    for version in record.entry.versions() {
        text += &format!(
            "    {} hlc {} {:?} context {:?} {:?} base {:?} carry {:?} copy of {:?}\n",
            version.dot,
            version.hlc.0,
            version.payload,
            version.context.vector,
            version.context.carried,
            version.base,
            version.carry,
            version.conflict_of
        );
    }
    if let Some(local) = &record.local {
        let base = local.base.as_ref().map(|base| {
            format!(
                "{:?} context {:?} {:?}",
                base.payload, base.context.vector, base.context.carried
            )
        });
        text += &format!("    local {base:?}\n");
    }
    text
}

/// What a restored replica keeps of its present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keep {
    /// The files.
    Files,
    /// Nothing.
    Nothing,
}
