//! The end of a history: quiet, then everything that must be true is checked.

use std::collections::BTreeSet;

use replicat_core::conflict::MARK;
use replicat_core::entry::Timestamp;
use replicat_core::id::ContentHash;
use replicat_core::path::RelPath;
use replicat_core::plan::{Obstacle, Planned};
use replicat_core::store::Store;

use crate::disk::{Content, Disk, Kind, Node as File, content_of};
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

/// Executes a history and checks it; `Err` says what is wrong.
///
/// # Errors
/// What must be true and is not.
pub fn run(history: &History) -> Result<(), String> {
    match try_run(history) {
        Ok(()) => Ok(()),
        Err(Failure::Violation(what)) => Err(what),
        Err(Failure::Crashed(replica)) => Err(format!("replica {replica} stayed down")),
    }
}

fn try_run(history: &History) -> Result<(), Failure> {
    let mut world = World::new(history)?;
    execute(&mut world, history)
}

/// Executes a history and prints the state of all replicas after each operation.
pub fn trace(history: &History) {
    let Ok(mut world) = World::new(history) else {
        return;
    };
    for op in &history.operations {
        let outcome = world.perform(*op);
        println!("== {op:?} {outcome:?}\n{}", world.describe());
    }
    let outcome = world.conclude(history);
    println!("== at rest {outcome:?}\n{}", world.describe());
}

fn execute(world: &mut World, history: &History) -> Result<(), Failure> {
    for op in &history.operations {
        world.perform(*op)?;
    }
    world.conclude(history)
}

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
            self.nodes[replica].replica_mut().note_applied()?;
        }
        Ok(quiet)
    }

    /// Lets two replicas exchange until they are equal; returns whether they were so at once.
    fn meet(&mut self, one: usize, other: usize) -> Result<bool, Failure> {
        for session in 0..SESSIONS_MAX {
            match self.exchange(one, other, 0)? {
                Ended::Equal(0) => return Ok(session == 0),
                Ended::Broken | Ended::No | Ended::Equal(_) | Ended::Again(_) => {}
            }
        }
        Ok(false)
    }

    /// Brings all to an end, and checks it.
    fn conclude(&mut self, history: &History) -> Result<(), Failure> {
        self.rest_within_scopes()?;
        self.come_to_rest()?;
        for _ in 0..GIVEN_UP_MAX {
            if !self.give_up_orphans(history)? {
                break;
            }
            self.come_to_rest()?;
        }
        self.check(history)
    }

    /// Filters that differ hold nobody up: the replicas come to rest, and are equal in what none of them leaves out.
    fn rest_within_scopes(&mut self) -> Result<(), Failure> {
        if self.nodes.iter().all(|node| node.excluded.is_none()) {
            return Ok(());
        }
        self.come_to_rest()?;
        // What one replica alone has, out of its scope, comes to the others when it is in scope again; or a user deleted it.
        if !self.waits_for_scope()? {
            self.check_equality()?;
        }
        (0..self.nodes.len()).for_each(|replica| self.include(replica));
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

    /// Whether a replica holds a content, be it in staging or in the trash.
    fn is_held(&self, content: Content) -> bool {
        self.nodes.iter().any(|node| {
            let tree = node.disk.tree();
            node.disk.holds_file(content)
                || tree.staging.contains(&content)
                || tree.trash.contains(&content)
        })
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
            let first = self.state_of(0)?;
            let mut equal = true;
            for replica in 1..self.nodes.len() {
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

    fn check(&self, history: &History) -> Result<(), Failure> {
        self.check_equality()?;
        let disk = &self.nodes[0].disk;
        let all: Vec<&Disk> = self.nodes.iter().map(|node| &node.disk).collect();
        if let Some(content) = self.oracle.lost(disk, &all) {
            return Err(Failure::violation(format!("content {content} is lost")));
        }
        if let Some(content) = self.oracle.returned(disk) {
            return Err(Failure::violation(format!(
                "content {content} was deleted and came back"
            )));
        }
        if is_faultless(history) {
            self.check_copies(disk)?;
        }
        Ok(())
    }

    fn check_copies(&self, disk: &Disk) -> Result<(), Failure> {
        if let Some(path) = self.doubled_copy(disk) {
            return Err(Failure::violation(format!(
                "{path} is a second copy of one loser"
            )));
        }
        if let Some(path) = self.displaced_copy(disk) {
            return Err(Failure::violation(format!(
                "{path} was displaced from a copy that nobody touched"
            )));
        }
        if let Some(path) = self.needless_copy(disk) {
            return Err(Failure::violation(format!(
                "{path} is the copy of a conflict, but only one user worked there"
            )));
        }
        Ok(())
    }

    /// A conflict copy of a conflict copy that no user touched: something took the place of a file that was to stay.
    fn displaced_copy(&self, disk: &Disk) -> Option<RelPath> {
        let is_displaced = |path: &&RelPath| {
            let name = path.name();
            let is_mark = |at: &usize| name[*at..].starts_with(MARK.as_bytes());
            let Some(second) = (0..name.len()).filter(is_mark).nth(1) else {
                return false;
            };
            let copy = path
                .parent()
                .and_then(|parent| parent.join(&name[..second]).ok());
            copy.is_some_and(|copy| !self.oracle.is_touched(&copy))
        };
        disk.tree().nodes.keys().find(is_displaced).cloned()
    }

    /// A conflict copy of a path at which the user of one replica alone did anything.
    fn needless_copy(&self, disk: &Disk) -> Option<RelPath> {
        let copies = disk.tree().nodes.keys().filter_map(|copy| {
            let name = copy.name();
            let mut parts = name.windows(MARK.len());
            let mark = parts.position(|part| part == MARK.as_bytes())?;
            Some((copy, copy.parent()?.join(&name[..mark]).ok()?))
        });
        // A directory keeps its name against a file also where it stays for what filters leave out.
        let is_needless =
            |path: &RelPath| !disk.is_directory(path) && self.oracle.has_one_user(path);
        let mut needless = copies.filter(|(_, path)| is_needless(path));
        needless.next().map(|(copy, _)| copy.clone())
    }

    fn check_equality(&self) -> Result<(), Failure> {
        for (number, node) in self.nodes.iter().enumerate() {
            let first = &self.nodes[0];
            let paths = node.store().pending(None, usize::MAX)?;
            if !paths.is_empty() {
                return Err(Failure::violation(format!(
                    "replica {number} has work left at {paths:?}"
                )));
            }
            if node.store().digest()? != first.store().digest()? {
                return Err(Failure::violation(format!(
                    "the digest of replica {number} differs"
                )));
            }
            if let Some(difference) = difference(first, node) {
                return Err(Failure::violation(format!(
                    "replicas 0 and {number} differ: {difference}"
                )));
            }
        }
        Ok(())
    }

    /// Lets a person give up, at one replica, what is waited for and nowhere to be had; returns whether there was such a thing.
    fn give_up_orphans(&mut self, history: &History) -> Result<bool, Failure> {
        let mut orphans: BTreeSet<RelPath> = BTreeSet::new();
        for node in &self.nodes {
            for path in node.store().pending(None, usize::MAX)? {
                if self.is_orphan(node, &path, history)? {
                    orphans.insert(path);
                }
            }
        }
        let mut given_up = false;
        for path in orphans {
            let replica = self.random.usize(0..self.nodes.len());
            let now = self.nodes[replica].now(self.seconds);
            given_up |= self.nodes[replica].replica_mut().give_up(now, &path)?;
        }
        Ok(given_up)
    }

    /// Whether what a path is to hold may be nowhere, and is: with state lost, a file may be wanted that nobody has any more; and
    /// a user may delete what replicat was about to carry elsewhere.
    fn is_orphan(&self, node: &Node, path: &RelPath, history: &History) -> Result<bool, Failure> {
        let entry = node.replica().record(path)?.entry;
        let Some(shown) = entry.shown() else {
            return Ok(false);
        };
        let Some(content) = shown.payload().content().map(content_of) else {
            return Ok(false);
        };
        // A user may move a file out of what filters leave out, and overwrite it, before anybody else got it.
        let is_scoped = (history.operations.iter()).any(|op| matches!(op, Op::Exclude(..)));
        let excused = shown.winner.carry.is_some() || is_scoped || !is_faultless(history);
        Ok(excused && !self.is_held(content) && self.oracle.may_vanish(content))
    }

    fn doubled_copy(&self, disk: &Disk) -> Option<RelPath> {
        let mut seen: BTreeSet<(Option<RelPath>, Vec<u8>, Content)> = BTreeSet::new();
        for (path, file) in &disk.tree().nodes {
            let name = path.name();
            let mark = name
                .windows(MARK.len())
                .position(|part| part == MARK.as_bytes());
            let (Some(mark), Some(content)) = (mark, file.kind.content()) else {
                continue;
            };
            if self.oracle.is_ambiguous(content) || !matches!(file.kind, Kind::File(_)) {
                continue;
            }
            if !seen.insert((path.parent(), name[..mark].to_vec(), content)) {
                return Some(path.clone());
            }
        }
        None
    }
}

fn is_faultless(history: &History) -> bool {
    !history.operations.iter().any(|op| is_fault(*op))
}

fn is_fault(op: Op) -> bool {
    matches!(
        op,
        Op::Crash(_)
            | Op::CrashAfter(..)
            | Op::RestoreIndex(_)
            | Op::RestoreAll(_)
            | Op::LoseIndex(_)
            | Op::Clone(_)
    )
}

/// The first path at which the disks of two replicas differ, and how. What either leaves out does not count.
#[must_use]
pub fn difference(one: &Node, other: &Node) -> Option<String> {
    let in_scope = |path: &&RelPath| !one.leaves_out(path) && !other.leaves_out(path);
    let (one, other) = (&one.disk.tree().nodes, &other.disk.tree().nodes);
    let missing = |path: &RelPath| format!("{path} is at one of them only");
    for (path, file) in one.iter().filter(|(path, _)| in_scope(path)) {
        match other.get(path) {
            None => return Some(missing(path)),
            Some(there) if shape(file) != shape(there) => {
                return Some(format!(
                    "{path} is {:?} and {:?}",
                    shape(file),
                    shape(there)
                ));
            }
            Some(_) => {}
        }
    }
    other
        .keys()
        .filter(in_scope)
        .find(|path| !one.contains_key(*path))
        .map(missing)
}

/// What is compared of a file.
fn shape(file: &File) -> (Kind, u32, Option<Timestamp>, u8) {
    match file.kind {
        Kind::File(_) => (file.kind, file.mode, Some(file.mtime), file.xattr),
        Kind::Directory => (file.kind, file.mode, None, file.xattr),
        Kind::Symlink(_) => (file.kind, 0, Some(file.mtime), 0),
    }
}
