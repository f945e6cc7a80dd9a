//! Groups of changes: flushed, made, flushed again, recorded, and only then told.

use replicat_core::entry::Metadata;
use replicat_core::path::RelPath;
use replicat_core::plan::{Step, Task};
use replicat_core::record::{Base, Fingerprint};
use replicat_fs::apply::error::ApplyError;
use replicat_fs::apply::{Action, Applied, Change, Displaced, Outcome, Touched};
use replicat_fs::echo::Written;
use replicat_fs::observe;
use replicat_fs::stage::Staged;

use super::committing::Group;
use super::{Work, item};
use crate::engine::{clock, failure, skipping};
use crate::error::SyncError;
use crate::event::{PlanItem, SyncEvent};
use crate::report::SkipReason;

/// How many changes are made durable together.
pub(super) const CHANGES_MAX: usize = 4096;
/// How many bytes are made durable together.
const BYTES_MAX: u64 = 256 << 20;
/// A file stamped this recently may change again without a new timestamp, in microseconds.
const GRANULARITY_MICROSECONDS: u64 = 20_000;

/// Changes that wait to be made.
#[derive(Default)]
pub(super) struct Batch {
    steps: Vec<Step>,
    changes: Vec<Change>,
    bytes: u64,
    /// Directories that were touched by changes already made.
    touched: Touched,
    /// There is something to record, if not to change.
    pub(super) dirty: bool,
    /// What is to be told once it is recorded.
    pub(super) told: Vec<PlanItem>,
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.changes.len()
    }

    /// Whether changes are recorded already that become durable with it.
    pub(super) fn holds_recorded(&self) -> bool {
        !self.touched.is_empty()
    }

    /// The group to commit, and what is to be told then; `None` if there is nothing to change or to record.
    pub(super) fn close(self) -> Option<(Group, Vec<PlanItem>)> {
        let Self {
            steps,
            changes,
            mut touched,
            dirty,
            told,
            ..
        } = self;
        if changes.is_empty() && told.is_empty() && !dirty {
            return None;
        }
        touched.merge(Touched::by(&changes));
        let group = Group {
            steps,
            changes,
            touched,
        };
        Some((group, told))
    }
}

impl Work<'_> {
    /// Puts what was staged in its place, with the next group.
    pub(super) fn put(&mut self, step: Box<Step>, staged: Staged) -> Result<(), SyncError> {
        if staged.is_users_own() {
            return self.put_adopted(&step, staged);
        }
        self.act_later(step, Action::Put(Box::new(staged)))
    }

    /// Puts a user's own file under a further name, at once: what it was called before is about to go.
    fn put_adopted(&mut self, step: &Step, staged: Staged) -> Result<(), SyncError> {
        let change = change(step, Action::Put(Box::new(staged)));
        let Some(put) = self.apply_now(change)? else {
            self.done.look_again.insert(step.path.clone());
            return Ok(());
        };
        let change = Change {
            path: step.path.clone(),
            expected: Some(put),
            action: Action::SetMetadata(step.metadata.clone()),
            displaced: Displaced::Discard,
        };
        let applied = self.apply_whole(change)?;
        let described = applied.and_then(|applied| Some((applied.fingerprint()?, applied)));
        let Some((fingerprint, applied)) = described else {
            self.done.look_again.insert(step.path.clone());
            return Ok(());
        };
        self.record_done(&step.path, step.goal.clone(), Some(fingerprint))?;
        self.target.note_unheld(&step.path, &applied)?;
        self.linked.insert(step.path.clone());
        self.disturb(&step.path);
        self.tell(step)
    }

    /// Adds a change to the group. In a dry run it counts as made.
    pub(super) fn do_later(&mut self, step: Box<Step>) -> Result<(), SyncError> {
        if self.target.hands.is_none() {
            return self.pretend(&step);
        }
        let action = match &step.task {
            Task::MakeSymlink { target } => Action::MakeSymlink {
                target: target.clone(),
                metadata: step.metadata.clone(),
            },
            Task::Describe => Action::SetMetadata(step.metadata.clone()),
            Task::Remove => Action::Remove,
            Task::RemoveDirectory => Action::RemoveDirectory,
            Task::MakeDirectory => Action::MakeDirectory(step.metadata.clone()),
            Task::WriteFile { .. } => return Ok(()),
        };
        self.act_later(step, action)
    }

    pub(super) fn act_later(&mut self, step: Box<Step>, action: Action) -> Result<(), SyncError> {
        self.taken.insert(step.path.clone());
        self.batch.bytes += item::size(&step);
        self.batch.changes.push(change(&step, action));
        self.batch.steps.push(*step);
        if self.batch.changes.len() >= CHANGES_MAX || self.batch.bytes >= BYTES_MAX {
            self.hand_over()?;
        }
        Ok(())
    }

    /// Makes a change of a directory at once, because others depend on it; it becomes durable with the group.
    pub(super) fn do_now(&mut self, step: &Step) -> Result<(), SyncError> {
        self.await_committed()?;
        let Some(hands) = &self.target.hands else {
            return self.pretend(step);
        };
        let action = match step.task {
            Task::RemoveDirectory => Action::RemoveDirectory,
            _ => Action::MakeDirectory(step.metadata.clone()),
        };
        let changes = vec![change(step, action)];
        self.batch.touched.merge(Touched::by(&changes));
        self.batch.dirty = true;
        let applied = hands.applier.commit(changes);
        for result in applied {
            self.take_result(step, result)?;
        }
        Ok(())
    }

    /// Makes the changes that wait, because what comes next depends on them. Where nothing new is placed, they become
    /// durable with the group, as it grows on.
    pub(super) fn apply_ahead(&mut self) -> Result<(), SyncError> {
        let is_removal = |change: &Change| matches!(change.action, Action::Remove);
        let only_removes = self.batch.changes.iter().all(is_removal);
        if !only_removes || self.batch.told.len() >= CHANGES_MAX {
            return self.flush();
        }
        self.await_committed()?;
        let Some(hands) = &self.target.hands else {
            return Ok(());
        };
        let steps = std::mem::take(&mut self.batch.steps);
        let changes = std::mem::take(&mut self.batch.changes);
        if changes.is_empty() {
            return Ok(());
        }
        self.batch.bytes = 0;
        self.batch.dirty = true;
        self.batch.touched.merge(Touched::by(&changes));
        let applied = hands.applier.commit(changes);
        for (step, result) in steps.iter().zip(applied) {
            self.take_result(step, result)?;
        }
        Ok(())
    }

    /// Makes a change at once; what the path has then, `None` if it could not be made.
    pub(super) fn apply_now(&mut self, change: Change) -> Result<Option<Fingerprint>, SyncError> {
        let applied = self.apply_whole(change)?;
        Ok(applied.and_then(|applied| applied.fingerprint()))
    }

    /// As [`Self::apply_now`], with all that came of it.
    pub(super) fn apply_whole(&mut self, change: Change) -> Result<Option<Applied>, SyncError> {
        self.await_committed()?;
        let Some(hands) = &self.target.hands else {
            return Ok(Some(Applied::pretended()));
        };
        let mut paths = vec![change.path.clone()];
        if let Action::Rename { from, .. } = &change.action {
            paths.push(from.clone());
        }
        let changes = vec![change];
        self.batch.touched.merge(Touched::by(&changes));
        self.batch.dirty = true;
        match hands.applier.commit(changes).into_iter().next() {
            Some(Ok(applied)) => Ok(Some(applied)),
            Some(Err(error)) if failure::is_disk_full(&error) => Err(SyncError::DiskFull {
                root: self.target.given.clone(),
            }),
            Some(Err(error)) => {
                for path in &paths {
                    self.target.setbacks.note(path, error.to_string());
                }
                Ok(None)
            }
            None => Ok(None),
        }
    }

    pub(super) fn take_result(
        &mut self,
        step: &Step,
        result: Result<Applied, ApplyError>,
    ) -> Result<(), SyncError> {
        let applied = match result {
            Ok(applied) => applied,
            Err(error) => return self.refused(step, error),
        };
        self.taken.remove(&step.path);
        if applied.outcome == Outcome::Disturbed {
            self.done.look_again.insert(step.path.clone());
        }
        let held = step
            .goal
            .as_ref()
            .map(|_| applied.fingerprint().unwrap_or_default());
        self.record_done(&step.path, step.goal.clone(), held)?;
        if step.goal.is_some() {
            self.target.note_unheld(&step.path, &applied)?;
        }
        let after = step.goal.as_ref().map(|goal| &goal.payload);
        self.target
            .note_step(&step.path, step.before.as_ref(), after)?;
        self.note_written(step, held);
        self.disturb(&step.path);
        self.tell(step)
    }

    fn refused(&mut self, step: &Step, error: ApplyError) -> Result<(), SyncError> {
        self.taken.insert(step.path.clone());
        self.target.setbacks.note(&step.path, error.to_string());
        match error {
            error if failure::is_disk_full(&error) => {
                self.target
                    .skip_step(step.path.clone(), SkipReason::DiskFull);
            }
            ApplyError::Changed(_) | ApplyError::NoParent(_) => {
                self.done.look_again.insert(step.path.clone());
            }
            ApplyError::Surprise { kept_as, .. } => {
                self.done.look_again.insert(step.path.clone());
                self.done.look_again.insert(kept_as);
            }
            ApplyError::NotEmpty(_) => self.keep_if_stubborn(step)?,
            ApplyError::NoHardLink(_) => {
                self.taken.remove(&step.path);
                if let Task::WriteFile { content, size, .. } = step.task {
                    return self.start_file(Box::new(step.clone()), content, size, None);
                }
            }
            error => self
                .target
                .skip_step(step.path.clone(), skipping::of_apply(&error)),
        }
        Ok(())
    }

    /// A directory that is to go but holds something: first it is looked at again; what remains then is left out by
    /// filters or cannot be synced, and keeps its directory.
    fn keep_if_stubborn(&mut self, step: &Step) -> Result<(), SyncError> {
        self.done.look_again.insert(step.path.clone());
        if self.target.stubborn.insert(step.path.clone()) {
            return Ok(());
        }
        let kept = self.target.replica.keep_directory(clock::now(), &step.path);
        kept.map_err(|error| self.target.failed(error))
    }

    /// Notes what was written, so that it is known again when the watch tells of it.
    fn note_written(&mut self, step: &Step, fingerprint: Option<Fingerprint>) {
        let Some(echoes) = &mut self.target.echoes else {
            return;
        };
        let is_directory = (step.goal.as_ref()).is_some_and(|goal| goal.payload.is_directory());
        match (&step.task, fingerprint) {
            (Task::Remove | Task::RemoveDirectory, _) | (_, None) => echoes.forget(&step.path),
            (Task::MakeDirectory, Some(made)) => echoes.note(&step.path, Written::Directory(made)),
            // It is known already if it was made here.
            (Task::Describe, Some(_)) if is_directory => {}
            (_, Some(written)) if is_recent(&written) => {
                echoes.note(&step.path, Written::Doubtful);
            }
            (_, Some(written)) => echoes.note(&step.path, Written::File(written)),
        }
    }

    fn pretend(&mut self, step: &Step) -> Result<(), SyncError> {
        let held = step.goal.as_ref().map(|_| Fingerprint::default());
        self.record_done(&step.path, step.goal.clone(), held)?;
        self.tell(step)
    }

    /// Tells the replica that a step was carried out.
    pub(super) fn record_done(
        &mut self,
        path: &RelPath,
        goal: Option<Base>,
        fingerprint: Option<Fingerprint>,
    ) -> Result<(), SyncError> {
        self.batch.dirty = true;
        self.target.unskip(path);
        self.target.note_rules(path);
        let held = fingerprint.map(|fingerprint| (fingerprint, is_recent(&fingerprint)));
        let done = self.target.replica.done(path, goal, held);
        done.map_err(|error| self.target.failed(error))
    }

    fn tell(&mut self, step: &Step) -> Result<(), SyncError> {
        self.done.steps += 1;
        let told = self.item(step)?;
        if told.change.is_conflict_copy() {
            self.done.copies.insert(step.path.clone());
        }
        self.target.changes.count(&told.change);
        let size = told.size;
        self.tell_when_durable(told);
        self.tell_progress(size);
        Ok(())
    }

    /// Tells of a change once the group that it belongs to is recorded; in a dry run, at once.
    pub(super) fn tell_when_durable(&mut self, item: PlanItem) {
        match self.target.hands {
            Some(_) => self.batch.told.push(item),
            None => self.around.reporter.event(&SyncEvent::Item(item)),
        }
    }

    /// What is at `path` now.
    pub(super) fn fingerprint_of(&self, path: &RelPath) -> Option<Fingerprint> {
        let found = self.target.root.stat(path).ok()??;
        Some(observe::fingerprint(&found))
    }

    /// Notes that the directory above `path` got a new time by what was done there.
    pub(super) fn disturb(&mut self, path: &RelPath) {
        self.target.disturbed.extend(path.parent());
    }

    /// Describes the root itself, which cannot be replaced.
    pub(super) fn describe_root(&mut self, step: &Step) -> Result<(), SyncError> {
        self.await_committed()?;
        let Some(hands) = &self.target.hands else {
            return self.pretend(step);
        };
        let unset = self
            .target
            .root
            .describe_itself(&hands.calls, &step.metadata);
        let unset = unset.map_err(|error| self.target.fs_failed(error))?;
        let found = self.target.root.observe_itself(self.target.tracking);
        let found = found.map_err(|error| self.target.fs_failed(error))?;
        hands.state.follow_owner(&self.target.root);
        self.record_done(&step.path, step.goal.clone(), Some(found.fingerprint))?;
        self.target
            .note_unheld_root(&step.metadata, &found.metadata, &unset)?;
        self.tell(step)
    }

    /// Notes how files look whose other names came or went after they were recorded: each name stamps them all.
    pub(super) fn look_at_linked(&mut self) -> Result<(), SyncError> {
        for path in std::mem::take(&mut self.linked) {
            let record = self.target.replica.record(&path);
            let record = record.map_err(|error| self.target.failed(error))?;
            let found = self.target.root.observe(&path, self.target.tracking);
            let found = found.map_err(|error| self.target.fs_failed(error))?;
            let (Some(local), Some(held), Some(found)) =
                (&record.local, record.held_metadata(), found)
            else {
                continue;
            };
            let restamped = Fingerprint {
                ctime: found.fingerprint.ctime,
                ..local.fingerprint
            };
            // Who described it in the same moment stamped it too.
            if restamped == found.fingerprint && found.metadata.agrees_with(&held) {
                self.batch.dirty = true;
                let noted = self.target.replica.refresh(&path, found.fingerprint);
                noted.map_err(|error| self.target.failed(error))?;
            }
        }
        Ok(())
    }

    /// Gives directories whose children changed their own times again, children first.
    pub(super) fn calm_directories(&mut self) -> Result<(), SyncError> {
        // What is under way may say which times they are to have.
        self.await_committed()?;
        let disturbed = std::mem::take(&mut self.target.disturbed);
        for path in disturbed.iter().rev().filter(|path| !path.is_root()) {
            let record = self.target.replica.record(path);
            let record = record.map_err(|error| self.target.failed(error))?;
            let held = record.held_payload();
            let mtime = record.held_metadata().and_then(|held| held.mtime);
            let is_directory = held.is_some_and(|held| held.is_directory());
            let known = record.local.as_ref().filter(|_| is_directory);
            let Some(known) = known.filter(|_| mtime.is_some() && self.target.hands.is_some())
            else {
                continue;
            };
            let found = self.fingerprint_of(path);
            if !found.is_some_and(|found| found.is_of_same(&known.fingerprint)) {
                // Somebody put something else there, whose time is his.
                self.done.look_again.insert(path.clone());
                continue;
            }
            let change = Change {
                path: path.clone(),
                expected: found,
                action: Action::SetMetadata(Metadata {
                    mtime,
                    ..Metadata::default()
                }),
                displaced: Displaced::Discard,
            };
            let applied = self.apply_whole(change)?;
            match applied.and_then(|applied| Some((applied.fingerprint()?, applied))) {
                Some((fingerprint, applied)) => {
                    self.target.setbacks.forget(path);
                    let noted = self.target.replica.refresh(path, fingerprint);
                    noted.map_err(|error| self.target.failed(error))?;
                    let unheld = applied.unheld.and_then(|unheld| unheld.found.mtime);
                    self.target.note_unheld_time(path, unheld)?;
                }
                // Somebody was there at the same time, and the time that it got by that is his.
                None => drop(self.done.look_again.insert(path.clone())),
            }
        }
        Ok(())
    }
}

fn change(step: &Step, action: Action) -> Change {
    let content = step
        .before
        .as_ref()
        .and_then(replicat_core::entry::Payload::content);
    let displaced = if step.expendable {
        Displaced::Discard
    } else {
        Displaced::ToTrash { content }
    };
    Change {
        path: step.path.clone(),
        expected: step.expected,
        action,
        displaced,
    }
}

/// Whether a change at this moment might not show in the fingerprint: it is too young, or its filesystem counts whole seconds.
fn is_recent(fingerprint: &Fingerprint) -> bool {
    if fingerprint.ctime.nanoseconds == 0 {
        return true;
    }
    let mtime = clock::hlc(fingerprint.mtime).0.saturating_mul(1000);
    mtime + GRANULARITY_MICROSECONDS > clock::now().0
}
