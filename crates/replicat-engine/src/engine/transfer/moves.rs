//! Renames: whole directories with one call, files, and contents that must be saved before what holds them goes.

use std::collections::BTreeSet;

use replicat_core::path::RelPath;
use replicat_core::plan::{Planned, Step, Task};
use replicat_core::record::{Fingerprint, Record};
use replicat_core::store::Store;
use replicat_fs::apply::{Action, Change, Displaced};
use replicat_fs::stage::Staged;

use super::{PAGE_ROWS, Pass, Patience, Work};
use crate::error::SyncError;
use crate::event::{ItemChange, ItemKind, PlanItem};

/// How many new directories are made before the files in them are taken up.
const DIRECTORIES_AHEAD_MAX: usize = 65_536;
/// How many paths of one content are looked at.
const SAME_CONTENT_LOOKED_AT_MAX: usize = 16;

/// Has what is noted of paths in a directory go along when that is renamed.
fn follow(notes: &mut BTreeSet<RelPath>, from: &RelPath, to: &RelPath) {
    let moved: Vec<_> = notes.extract_if(.., |path| path.is_within(from)).collect();
    let moved = moved.iter().filter_map(|path| path.rebase(from, to));
    notes.extend(moved);
}

impl Work<'_> {
    /// Renames the directories that were renamed elsewhere, and then makes those that are new: while files are committed
    /// that need none, the next are planned.
    pub(super) fn prepare_trees(&mut self) -> Result<(), SyncError> {
        let mut cursor: Option<RelPath> = None;
        let mut new = Vec::new();
        while !self.is_cancelled() {
            let page = self
                .target
                .replica
                .store()
                .pending(cursor.as_ref(), PAGE_ROWS);
            let page = page.map_err(|error| self.target.failed(error))?;
            let Some(last) = page.last() else { break };
            cursor = Some(last.clone());
            for path in page {
                let record = self.target.replica.record(&path);
                let record = record.map_err(|error| self.target.failed(error))?;
                if record.local.is_none() && record.entry.is_directory() {
                    new.push(path);
                } else {
                    self.move_tree(&path, record)?;
                }
            }
            // What is not made ahead is made when its turn comes.
            new.truncate(DIRECTORIES_AHEAD_MAX);
        }
        self.make_directories(&new)
    }

    fn make_directories(&mut self, new: &[RelPath]) -> Result<(), SyncError> {
        let root = std::sync::Arc::clone(&self.target.root);
        let filter = self.target.filter.clone();
        let mut scope = filter.paths(&root);
        for path in new {
            if self.is_cancelled() {
                break;
            }
            self.take_up(Pass::Forward, path, &mut scope)?;
        }
        Ok(())
    }

    fn move_tree(&mut self, from: &RelPath, record: Record) -> Result<(), SyncError> {
        let is_directory = record
            .held_payload()
            .is_some_and(|held| held.is_directory());
        let shown = record.entry.shown();
        let Some(to) = shown.as_ref().and_then(|shown| shown.payload().moved_to()) else {
            return Ok(());
        };
        if !is_directory {
            return Ok(());
        }
        self.make_parents(to)?;
        let to = self.target.replica.plan_tree_move(from);
        let Some(to) = to.map_err(|error| self.target.failed(error))? else {
            return Ok(());
        };
        let excludes = (self.target.filter).excludes_path(&self.target.root, &to, true);
        if excludes.map_err(|error| self.target.fs_failed(error))? {
            return Ok(());
        }
        let Some(local) = record.local else {
            return Ok(());
        };
        let Some(after) = self.rename(&to, from, local.fingerprint)? else {
            return Ok(());
        };
        let moved = self.target.replica.done_tree_move(from, &to, after);
        moved.map_err(|error| self.target.failed(error))?;
        self.note_move(from, &to, ItemKind::Directory, 0)?;
        for notes in [
            &mut self.target.disturbed,
            &mut self.linked,
            &mut self.adopted,
            &mut self.done.look_again,
        ] {
            follow(notes, from, &to);
        }
        self.disturb(from);
        self.disturb(&to);
        Ok(())
    }

    /// Makes the directories above `path` that are to be there and are not yet.
    fn make_parents(&mut self, path: &RelPath) -> Result<(), SyncError> {
        let mut above: Vec<RelPath> = path.ancestors().filter(|above| !above.is_root()).collect();
        above.reverse();
        for directory in above {
            let planned = self.target.replica.plan(&directory);
            match planned.map_err(|error| self.target.failed(error))? {
                Planned::Step(step) if step.task == Task::MakeDirectory => self.start(step)?,
                Planned::Nothing | Planned::Step(_) => {}
                Planned::Blocked(_) => return Ok(()),
            }
        }
        Ok(())
    }

    /// Renames `from` to `path`, where nothing is; what the path has then, `None` if that could not be done.
    fn rename(
        &mut self,
        path: &RelPath,
        from: &RelPath,
        expected: Fingerprint,
    ) -> Result<Option<Fingerprint>, SyncError> {
        let change = Change {
            path: path.clone(),
            expected: None,
            action: Action::Rename {
                from: from.clone(),
                expected,
            },
            displaced: Displaced::Discard,
        };
        let applied = self.apply_now(change)?;
        if applied.is_none() && self.target.hands.is_some() {
            self.done.look_again.insert(from.clone());
        }
        Ok(applied)
    }

    /// Renames a file to where its content is wanted.
    pub(super) fn rename_file(
        &mut self,
        step: &Step,
        from: &RelPath,
        expected: Fingerprint,
    ) -> Result<(), SyncError> {
        let Some(renamed) = self.rename(&step.path, from, expected)? else {
            return Ok(());
        };
        let change = Change {
            path: step.path.clone(),
            expected: Some(renamed),
            action: Action::SetMetadata(step.metadata.clone()),
            displaced: Displaced::Discard,
        };
        let applied = self.apply_whole(change)?;
        let described = applied.and_then(|applied| Some((applied.fingerprint()?, applied)));
        self.record_done(from, None, None)?;
        match described {
            Some((fingerprint, applied)) => {
                self.record_done(&step.path, step.goal.clone(), Some(fingerprint))?;
                self.target.note_unheld(&step.path, &applied)?;
            }
            // Somebody changed it or put something else there.
            None => drop(self.done.look_again.insert(step.path.clone())),
        }
        let size = super::item::size(step);
        self.note_move(from, &step.path, ItemKind::File, size)?;
        self.disturb(from);
        self.disturb(&step.path);
        Ok(())
    }

    fn note_move(
        &mut self,
        from: &RelPath,
        to: &RelPath,
        kind: ItemKind,
        size: u64,
    ) -> Result<(), SyncError> {
        self.done.steps += 1;
        self.target.changes.moved += 1;
        self.note_moved_history(from, to)?;
        self.tell_when_durable(PlanItem {
            root: self.target.number,
            path: to.clone(),
            kind,
            size,
            change: ItemChange::Move { from: from.clone() },
        });
        self.tell_progress(0);
        Ok(())
    }

    /// Whether what a path shows was brought there by replicat itself: a conflict copy, or an edit that followed a move.
    pub(super) fn is_carried(&self, path: &RelPath) -> Result<bool, SyncError> {
        let record = self.target.replica.record(path);
        let record = record.map_err(|error| self.target.failed(error))?;
        let shown = record.entry.shown();
        Ok(shown.is_some_and(|shown| shown.winner.carry.is_some()))
    }

    /// Whether a step has to wait, because a conflict copy or a moved edit is to be made of what stands at its path:
    /// nobody else may hold that.
    pub(super) fn is_awaited(&self, step: &Step) -> Result<bool, SyncError> {
        let (Some(content), Patience::Waits) = (step.secure, self.patience) else {
            return Ok(false);
        };
        let failed = |error| self.target.failed(error);
        let replica = &self.target.replica;
        let paths = replica
            .store()
            .by_content(content, SAME_CONTENT_LOOKED_AT_MAX);
        for path in paths.map_err(failed)? {
            let record = replica.record(&path).map_err(failed)?;
            let held = record.held_payload();
            let holds = held.is_some_and(|held| held.content() == Some(content));
            let shows = record.entry.shown().is_some_and(|shown| {
                shown.winner.carry.is_some() && shown.payload().content() == Some(content)
            });
            if path != step.path && shows && !holds {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Links what stands at a path into staging, because its content is wanted elsewhere and it is about to go.
    pub(super) fn secure(&mut self, step: &Step) -> Result<(), SyncError> {
        let (Some(content), Some(expected)) = (step.secure, step.expected) else {
            return Ok(());
        };
        if !self.secured.contains_key(&content)
            && let Some(staged) = self.adopt(&step.path, &expected)?
        {
            self.secured.insert(content, staged);
        }
        Ok(())
    }

    /// One more name for a file of the root, in staging; `None` if that cannot be had, or was before.
    pub(super) fn adopt(
        &mut self,
        path: &RelPath,
        expected: &Fingerprint,
    ) -> Result<Option<Staged>, SyncError> {
        self.await_committed()?;
        let Some(hands) = &self.target.hands else {
            return Ok(None);
        };
        if !self.adopted.insert(path.clone()) {
            return Ok(None);
        }
        Ok(hands.applier.adopt(path, expected).ok())
    }
}
