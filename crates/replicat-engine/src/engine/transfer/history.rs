//! What only the replica that carries out a step knows of a path's history: where a renamed path came from. The versions
//! themselves are kept by the index, as they are replaced.

use replicat_core::path::RelPath;
use replicat_index::{Change, HistoryRow};

use super::Work;
use crate::engine::clock;
use crate::error::SyncError;

impl Work<'_> {
    /// Notes where the path `to` came from.
    pub(super) fn note_moved_history(
        &mut self,
        from: &RelPath,
        to: &RelPath,
    ) -> Result<(), SyncError> {
        let record = self.target.replica.record(to);
        let record = record.map_err(|error| self.target.failed(error))?;
        let author = record.entry.shown().map(|shown| shown.winner.author());
        let row = HistoryRow {
            time_ms: clock::now().0 / 1000,
            change: Change::MovedFrom(from.clone()),
            origin: author.unwrap_or(self.target.replica.identity().replica),
            content: None,
            size: 0,
            trash_name: None,
            held: None,
        };
        let done = self.target.replica.store_mut().add_history(to, &row);
        done.map_err(|error| self.target.index_failed(error))
    }
}
