//! What happened to paths, kept for people who ask.

use replicat_core::entry::Payload;
use replicat_core::path::RelPath;
use replicat_core::plan::{Step, Task};
use replicat_fs::trash::TrashId;
use replicat_index::{Change, HistoryRow};

use super::Work;
use crate::engine::clock;
use crate::error::SyncError;

impl Work<'_> {
    /// Notes what a step replaced, removed or preserved. What merely came into being needs no note.
    pub(super) fn note_history(
        &mut self,
        step: &Step,
        trashed: Option<TrashId>,
    ) -> Result<(), SyncError> {
        let is_copy = step
            .goal
            .as_ref()
            .is_some_and(|goal| goal.conflict_of.is_some());
        let change = match (&step.task, &step.before) {
            (Task::Describe | Task::MakeDirectory | Task::RemoveDirectory, _) => return Ok(()),
            (Task::Remove, _) => Change::Deleted,
            (_, None) if is_copy => Change::Conflict,
            (_, None) => return Ok(()),
            (_, Some(_)) => Change::Edited,
        };
        let held = step
            .goal
            .as_ref()
            .map(|goal| &goal.payload)
            .or(step.before.as_ref());
        let (content, size) = match held {
            Some(Payload::File { content, size, .. }) => (Some(*content), *size),
            _ => (None, 0),
        };
        let trash_name = trashed.map(|id| id.to_string());
        self.note(&step.path, change, content, size, trash_name)
    }

    pub(super) fn note_moved_history(
        &mut self,
        from: &RelPath,
        to: &RelPath,
    ) -> Result<(), SyncError> {
        self.note(from, Change::MovedTo(to.clone()), None, 0, None)?;
        self.note(to, Change::MovedFrom(from.clone()), None, 0, None)
    }

    fn note(
        &mut self,
        path: &RelPath,
        change: Change,
        content: Option<replicat_core::id::ContentHash>,
        size: u64,
        trash_name: Option<String>,
    ) -> Result<(), SyncError> {
        let record = self
            .target
            .replica
            .record(path)
            .map_err(|error| self.target.failed(error))?;
        let origin = record.entry.shown().map(|shown| shown.winner.dot.replica);
        let row = HistoryRow {
            time_ms: clock::now().0 / 1000,
            change,
            origin: origin.unwrap_or(self.target.replica.identity().replica),
            content,
            size,
            trash_name,
        };
        let done = self.target.replica.store_mut().add_history(path, &row);
        done.map_err(|error| self.target.index_failed(error))
    }
}
