//! What must be true when a history is over and all replicas are idle.

use std::collections::BTreeSet;

use replicat_core::conflict::MARK;
use replicat_core::entry::Timestamp;
use replicat_core::path::RelPath;
use replicat_core::store::Store;

use crate::disk::{Content, Disk, Kind, Node as File, content_of};
use crate::node::Node;
use crate::op::{History, Op};
use crate::world::{Failure, World};

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
    /// Whether a replica holds a content, be it in staging or in the trash.
    fn is_held(&self, content: Content) -> bool {
        self.nodes.iter().any(|node| {
            let tree = node.disk.tree();
            // What is staged where a refused change is to stay is not used.
            let is_staged = tree.staging.contains(&content) && !node.is_refused();
            node.disk.holds_file(content) || is_staged || tree.trash.contains(&content)
        })
    }

    pub(crate) fn check(&self, history: &History) -> Result<(), Failure> {
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

    /// Lets a person give up, at one replica, what is waited for and nowhere to be had; returns whether there was such a thing.
    pub(crate) fn give_up_orphans(&mut self, history: &History) -> Result<bool, Failure> {
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
            let replica = self.giver_up(&path)?;
            let now = self.nodes[replica].now(self.seconds);
            given_up |= self.nodes[replica].replica_mut().give_up(now, &path)?;
        }
        Ok(given_up)
    }

    /// Where a person gives up a path: any replica, if no changes are refused, or one that waits for it.
    fn giver_up(&mut self, path: &RelPath) -> Result<usize, Failure> {
        let accepted = self.accepted();
        if accepted.len() == self.nodes.len() {
            return Ok(self.random.usize(0..self.nodes.len()));
        }
        let mut all = accepted;
        all.extend(0..self.nodes.len());
        for replica in all {
            if self.nodes[replica].replica().record(path)?.pending {
                return Ok(replica);
            }
        }
        Ok(0)
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
        // A deletion that is rejected may be one of the only copy.
        let excuses = |op: &Op| matches!(op, Op::Exclude(..) | Op::Hold(_));
        let is_excused = history.operations.iter().any(excuses);
        let excused = shown.winner.carry.is_some() || is_excused || !is_faultless(history);
        // A user may have made a symlink of the file.
        let is_symlink = self.nodes.iter().any(|node| node.disk.holds(content));
        let may_vanish = is_symlink || self.oracle.may_vanish(content);
        Ok(excused && !self.is_held(content) && may_vanish)
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
            // What a user wrote there is no copy, whatever its name.
            let is_copy =
                matches!(file.kind, Kind::File(_)) && !self.oracle.wrote_at(content, path);
            if self.oracle.is_ambiguous(content) || !is_copy {
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
            | Op::Refuse(_)
    )
}

/// The first path at which the disks of two replicas differ, and how. What either leaves out does not count.
#[must_use]
pub fn difference(one: &Node, other: &Node) -> Option<String> {
    difference_where(one, other, |_| true)
}

/// The same, of paths that count.
pub(crate) fn difference_where(
    one: &Node,
    other: &Node,
    is_counted: impl Fn(&RelPath) -> bool,
) -> Option<String> {
    let in_scope = |path: &RelPath| !one.leaves_out(path) && !other.leaves_out(path);
    difference_at(&one.disk, &other.disk, |path| {
        in_scope(path) && is_counted(path)
    })
}

/// The first path at which two disks differ, and how.
pub(crate) fn difference_of(one: &Disk, other: &Disk) -> Option<String> {
    difference_at(one, other, |_| true)
}

fn difference_at(one: &Disk, other: &Disk, counts: impl Fn(&RelPath) -> bool) -> Option<String> {
    let (one, other) = (&one.tree().nodes, &other.tree().nodes);
    let missing = |path: &RelPath| format!("{path} is at one of them only");
    for (path, file) in one {
        match other.get(path) {
            Some(there) if shape(file) == shape(there) => {}
            _ if !counts(path) => {}
            None => return Some(missing(path)),
            Some(there) => {
                let (one, other) = (shape(file), shape(there));
                return Some(format!("{path} is {one:?} and {other:?}"));
            }
        }
    }
    let mut paths = other.keys().filter(|path| !one.contains_key(*path));
    paths.find(|path| counts(path)).map(missing)
}

/// What is compared of a file.
fn shape(file: &File) -> (Kind, u32, Option<Timestamp>, u8) {
    match file.kind {
        Kind::File(_) => (file.kind, file.mode, Some(file.mtime), file.xattr),
        Kind::Directory => (file.kind, file.mode, None, file.xattr),
        Kind::Symlink(_) => (file.kind, 0, Some(file.mtime), 0),
    }
}
