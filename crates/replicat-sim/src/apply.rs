//! Carrying out a replica's plan, as the engine of production does: whole directories that moved, then what is to be
//! made, parents first, then what is to go, children first. A step whose precondition is broken changes nothing.

use replicat_core::entry::Payload;
use replicat_core::id::ContentHash;
use replicat_core::path::RelPath;
use replicat_core::plan::{Fate, Planned, Source, Step, Task};
use replicat_core::record::Fingerprint;
use replicat_core::store::Store;

use crate::disk::{Content, Kind, Node as File, content_of};
use crate::world::{Failure, World};

/// No plan of these small histories needs as many steps.
const STEPS_MAX: usize = 1000;

/// How far the carrying out of a plan has come.
#[derive(Debug)]
struct Progress {
    steps_left: usize,
    group: usize,
    in_group: usize,
    made: usize,
}

/// In which order pending paths are gone through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Forward,
    Backward,
}

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Done {
    Changed,
    Unchanged,
}

impl World {
    /// Carries out at most `steps` steps of a replica's plan (0: all), and commits them in groups; returns how many
    /// there were.
    ///
    /// # Errors
    /// [`Failure`] if power fails meanwhile, or a rule is broken.
    pub(crate) fn apply(&mut self, replica: usize, steps: u8, group: u8) -> Result<usize, Failure> {
        let steps_left = if steps == 0 {
            usize::MAX
        } else {
            usize::from(steps)
        };
        let group = usize::from(group.max(1));
        let mut progress = Progress {
            steps_left,
            group,
            in_group: 0,
            made: 0,
        };
        loop {
            let before = progress.made;
            self.move_trees(replica, &mut progress)?;
            self.pass(replica, Direction::Forward, &mut progress)?;
            self.pass(replica, Direction::Backward, &mut progress)?;
            if progress.made > STEPS_MAX {
                return Err(Failure::violation("a plan does not end".to_owned()));
            }
            if progress.made == before || progress.steps_left == 0 {
                break;
            }
        }
        self.end_group(replica, &mut progress)?;
        Ok(progress.made)
    }

    fn end_group(&mut self, replica: usize, progress: &mut Progress) -> Result<(), Failure> {
        progress.in_group = 0;
        self.tick(replica)?;
        self.nodes[replica].disk.sync();
        self.tick(replica)?;
        self.commit(replica)
    }

    fn count(&mut self, replica: usize, progress: &mut Progress) -> Result<(), Failure> {
        progress.made += 1;
        progress.steps_left -= 1;
        progress.in_group += 1;
        if progress.in_group >= progress.group {
            self.end_group(replica, progress)?;
        }
        Ok(())
    }

    fn move_trees(&mut self, replica: usize, progress: &mut Progress) -> Result<(), Failure> {
        for path in self.nodes[replica]
            .replica()
            .store()
            .pending(None, usize::MAX)?
        {
            if progress.steps_left == 0 {
                break;
            }
            let Some(to) = self.nodes[replica].replica().plan_tree_move(&path)? else {
                continue;
            };
            self.tick(replica)?;
            if self.move_tree(replica, &path, &to)? == Done::Changed {
                self.count(replica, progress)?;
            }
        }
        Ok(())
    }

    fn move_tree(&mut self, replica: usize, from: &RelPath, to: &RelPath) -> Result<Done, Failure> {
        let ctime = self.time(replica);
        let node = &mut self.nodes[replica];
        let expected = node
            .replica()
            .record(from)?
            .local
            .map(|local| local.fingerprint);
        let there = node.disk.node(from).copied();
        let is_there = expected
            .zip(there)
            .is_some_and(|(expected, there)| there.is_as(&expected));
        let parent = to
            .parent()
            .is_some_and(|parent| node.disk.is_directory(&parent));
        let scope = node.leaves_out(from) || node.leaves_out(to);
        if !is_there || !parent || node.disk.node(to).is_some() || scope {
            return Ok(Done::Unchanged);
        }
        node.disk.rename(from, to, ctime);
        node.disk.boundary();
        self.tick(replica)?;
        let node = &mut self.nodes[replica];
        if let Some(moved) = node.disk.node(to).map(File::fingerprint) {
            node.replica_mut().done_tree_move(from, to, moved)?;
        }
        Ok(Done::Changed)
    }

    fn pass(
        &mut self,
        replica: usize,
        direction: Direction,
        progress: &mut Progress,
    ) -> Result<(), Failure> {
        let store = self.nodes[replica].replica().store();
        let paths = match direction {
            Direction::Forward => store.pending(None, usize::MAX)?,
            Direction::Backward => store.pending_backwards(None, usize::MAX)?,
        };
        for path in paths {
            if progress.steps_left == 0 {
                break;
            }
            if self.nodes[replica].leaves_out(&path) {
                self.nodes[replica].replica_mut().exclude(&path)?;
                continue;
            }
            let Planned::Step(step) = self.nodes[replica].replica().plan(&path)? else {
                continue;
            };
            let removes = matches!(step.task, Task::Remove | Task::RemoveDirectory);
            let is_held = self.holds_removal(replica, &step)?;
            if removes != (direction == Direction::Backward) || is_held {
                continue;
            }
            if self.take_step(replica, &step)? == Done::Changed {
                self.count(replica, progress)?;
            }
        }
        Ok(())
    }

    fn take_step(&mut self, replica: usize, step: &Step) -> Result<Done, Failure> {
        let Some(supply) = self.supply(replica, step)? else {
            return Ok(Done::Unchanged);
        };
        self.tick(replica)?;
        if !self.holds_as_expected(replica, step) {
            self.observe_again(replica, &step.path)?;
            return Ok(Done::Unchanged);
        }
        if let Supply::Rename(source) = &supply
            && !self.is_as(replica, &source.path, &source.fingerprint)
        {
            self.observe_again(replica, &source.path)?;
            return Ok(Done::Unchanged);
        }
        if !self.has_room(replica, step) {
            return self.keep_directory(replica, step);
        }
        if let Some(content) = step.secure {
            self.nodes[replica].disk.stage(content_of(content));
        }
        let fingerprint = self.change_disk(replica, step, &supply);
        self.check_displaced(replica, step)?;
        self.tick(replica)?;
        let node = &mut self.nodes[replica];
        if let Supply::Rename(source) = &supply {
            node.replica_mut().done(&source.path, None, None)?;
        }
        let fingerprint = fingerprint.map(|fingerprint| (fingerprint, false));
        node.replica_mut()
            .done(&step.path, step.goal.clone(), fingerprint)?;
        Ok(Done::Changed)
    }

    fn holds_as_expected(&self, replica: usize, step: &Step) -> bool {
        let there = self.nodes[replica].disk.node(&step.path);
        match (&step.expected, there) {
            (None, None) => true,
            (Some(expected), Some(there)) => there.is_as(expected),
            _ => false,
        }
    }

    fn is_as(&self, replica: usize, path: &RelPath, expected: &Fingerprint) -> bool {
        let there = self.nodes[replica].disk.node(path);
        there.is_some_and(|there| there.is_as(expected))
    }

    /// Whether the directory above is there, and nothing is below what is to go.
    fn has_room(&self, replica: usize, step: &Step) -> bool {
        let disk = &self.nodes[replica].disk;
        let parent = step
            .path
            .parent()
            .is_some_and(|parent| disk.is_directory(&parent));
        let stays = matches!(step.task, Task::Describe);
        parent && (stays || !disk.has_children(&step.path))
    }

    /// A directory that is to go, and holds nothing but what filters leave out, stays.
    fn keep_directory(&mut self, replica: usize, step: &Step) -> Result<Done, Failure> {
        let now = self.nodes[replica].now(self.seconds);
        let node = &mut self.nodes[replica];
        let mut below = node.disk.below(&step.path);
        let is_kept = below.all(|(path, _)| node.leaves_out(path));
        if !is_kept || !node.disk.has_children(&step.path) {
            return Ok(Done::Unchanged);
        }
        drop(below);
        node.replica_mut().keep_directory(now, &step.path)?;
        Ok(Done::Changed)
    }

    /// Where what a step writes comes from; `None` if it cannot be had now.
    fn supply(&mut self, replica: usize, step: &Step) -> Result<Option<Supply>, Failure> {
        let Task::WriteFile { content, .. } = &step.task else {
            return Ok(Some(Supply::Nothing));
        };
        let node = &mut self.nodes[replica];
        if node.disk.tree().staging.contains(&content_of(*content)) {
            return Ok(Some(Supply::Staged));
        }
        if let Some(source) = node.replica().source_of(*content, &step.path)? {
            let there = node.disk.node(&source.path);
            if there.is_some_and(|there| there.is_as(&source.fingerprint)) {
                if source.fate == Fate::Removed && !node.leaves_out(&source.path) {
                    return Ok(Some(Supply::Rename(source)));
                }
                node.disk.stage(content_of(*content));
                node.disk.boundary();
                return Ok(Some(Supply::Staged));
            }
        }
        if !self.is_offered(replica, *content)? {
            return Ok(None);
        }
        self.tick(replica)?;
        self.nodes[replica].disk.stage(content_of(*content));
        self.nodes[replica].disk.boundary();
        Ok(Some(Supply::Staged))
    }

    /// Whether a replica that can be reached has a content, or the own trash does.
    fn is_offered(&self, replica: usize, content: ContentHash) -> Result<bool, Failure> {
        for (other, node) in self.nodes.iter().enumerate() {
            if self.is_partitioned(replica, other) {
                continue;
            }
            let offers = match other == replica {
                // Its own files were looked at.
                true => node.disk.tree().trash.contains(&content_of(content)),
                false => node.offers(content)?,
            };
            if offers {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Does to the disk what the step says, at once; returns the fingerprint of what is there then.
    fn change_disk(&mut self, replica: usize, step: &Step, supply: &Supply) -> Option<Fingerprint> {
        let ctime = self.time(replica);
        let node = &mut self.nodes[replica];
        let old = node.disk.node(&step.path).copied();
        let kind = match &step.task {
            Task::WriteFile { content, .. } => Some(Kind::File(content_of(*content))),
            Task::MakeDirectory => Some(Kind::Directory),
            Task::MakeSymlink { target } => Some(Kind::Symlink(target_of(target))),
            Task::Describe => old.map(|old| old.kind),
            Task::Remove | Task::RemoveDirectory => None,
        };
        if step.task != Task::Describe
            && let Some(displaced) = old.and_then(|old| old.kind.content())
            && !step.expendable
            && step.secure.is_none()
        {
            node.disk.trash(displaced);
        }
        let Some(kind) = kind else {
            node.disk.remove(&step.path);
            node.disk.boundary();
            return None;
        };
        let mut file = match (supply, old) {
            (Supply::Rename(source), _) => node.disk.remove(&source.path)?,
            (_, Some(old)) if step.task == Task::Describe => old,
            _ => {
                let (inode, birth) = (node.disk.next_serial(), node.disk.next_serial());
                File {
                    inode,
                    birth,
                    kind,
                    mode: if kind == Kind::Directory {
                        0o755
                    } else {
                        0o644
                    },
                    mtime: ctime,
                    ctime,
                    xattr: 0,
                    data_is_durable: true,
                }
            }
        };
        if *supply == Supply::Staged
            && let Some(content) = kind.content()
        {
            node.disk.unstage(content);
        }
        describe(&mut file, step);
        file.ctime = ctime;
        node.disk.put(&step.path, file);
        node.disk.boundary();
        Some(file.fingerprint())
    }

    /// What replicat displaced is in the trash, or at another path, or a user just replaced it there.
    fn check_displaced(&mut self, replica: usize, step: &Step) -> Result<(), Failure> {
        if step.task == Task::Describe {
            return Ok(());
        }
        let displaced = match &step.before {
            Some(Payload::File { content, .. }) => content_of(*content),
            Some(Payload::Symlink { target }) => target_of(target),
            _ => return Ok(()),
        };
        let disk = &self.nodes[replica].disk;
        let kept = disk.tree().trash.contains(&displaced)
            || disk.tree().staging.contains(&displaced)
            || disk.holds(displaced)
            || self.oracle.may_vanish(displaced);
        if kept {
            return Ok(());
        }
        Err(Failure::violation(format!(
            "content {displaced} was displaced from {} of replica {replica} into nothing",
            step.path
        )))
    }
}

pub(crate) fn target_of(target: &[u8]) -> Content {
    let text = std::str::from_utf8(target).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn describe(file: &mut File, step: &Step) {
    if let Some(mode) = step.metadata.mode {
        file.mode = mode;
    }
    if let Some(mtime) = step.metadata.mtime {
        file.mtime = mtime;
    }
    if let Some(xattrs) = &step.metadata.xattrs {
        file.xattr = xattrs
            .first()
            .and_then(|xattr| xattr.value.first())
            .copied()
            .unwrap_or(0);
    }
}

/// Where what a step writes comes from.
#[derive(Debug, PartialEq, Eq)]
enum Supply {
    /// The step writes nothing.
    Nothing,
    /// From staging.
    Staged,
    /// A file of the own storage is renamed.
    Rename(Source),
}
