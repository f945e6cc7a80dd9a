//! Whether a file fits on the disk before it is begun, and making room for it (`docs/room.md`).

use replicat_content::delta::{Origin, Piece};
use replicat_core::id::ContentHash;
use replicat_core::plan::{Step, Task};
use replicat_core::replica::Replica;
use replicat_core::store::Store;
use replicat_fs::error::FsError;

use super::Work;
use super::staging::Recipe;
use crate::engine::local::LocalReplica;
use crate::engine::retention;
use crate::error::SyncError;
use crate::report::SkipReason;

/// While there is more room than this, in bytes, the system is not asked for each file.
const AMPLE_BYTES: u64 = 64 << 20;
/// For how many files at the most the system is not asked.
const UNASKED_MAX: u32 = 256;
/// How many paths with a content are looked at to find one that waits for it.
const LOOKED_AT_MAX: usize = 64;

/// What is known of the room on the disk.
#[derive(Debug, Default)]
pub(super) struct RoomAhead {
    /// What the files that are being built still take, in bytes.
    building: u64,
    /// What was left when the system was asked, less what was begun since.
    estimate: u64,
    /// For how many files it was not asked since.
    unasked: u32,
    /// The least that could not be had, though room was made for it.
    refused: Option<u64>,
}

impl RoomAhead {
    fn begin(&mut self, bytes: u64, usable: u64) -> bool {
        let left = usable.saturating_sub(self.building);
        if bytes > left {
            return false;
        }
        self.estimate = left - bytes;
        self.unasked = 0;
        self.building += bytes;
        true
    }

    fn begin_unasked(&mut self, bytes: u64) -> bool {
        let is_ample = self.estimate.saturating_sub(bytes) >= AMPLE_BYTES;
        if !is_ample || self.unasked >= UNASKED_MAX {
            return false;
        }
        self.estimate -= bytes;
        self.unasked += 1;
        self.building += bytes;
        true
    }

    /// A file was built, or was not.
    pub(super) fn end(&mut self, bytes: u64) {
        self.building = self.building.saturating_sub(bytes);
    }

    /// What did not fit may fit now.
    pub(super) fn look_again(&mut self) {
        self.refused = None;
    }
}

impl Work<'_> {
    /// Whether a file that takes so many more bytes can be begun. Makes room for it if there is none.
    pub(super) fn begin_bytes(&mut self, bytes: u64) -> Result<bool, SyncError> {
        if self.room.begin_unasked(bytes) {
            return Ok(true);
        }
        let usable = self.usable()?;
        if self.room.begin(bytes, usable) {
            return Ok(true);
        }
        if self.room.refused.is_some_and(|refused| bytes >= refused) {
            return Ok(false);
        }
        self.target.drop_partials()?;
        if !self.room.begin(bytes, self.usable()?) {
            retention::make_room(self.target, bytes.saturating_add(self.room.building))?;
            if !self.room.begin(bytes, self.usable()?) {
                self.room.refused = Some(bytes);
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A file does not fit. What was begun of it goes, so that others do.
    pub(super) fn no_room(&mut self, step: Box<Step>) -> Result<(), SyncError> {
        if let (Task::WriteFile { content, .. }, Some(hands)) = (&step.task, &self.target.hands) {
            let of_it = |begun| Ok::<_, FsError>(begun != *content);
            let dropped = hands.staging.drop_partials(of_it);
            dropped.map_err(|error| self.target.fs_failed(error))?;
        }
        self.target.skip_step(step.path, SkipReason::DiskFull);
        Ok(())
    }

    fn usable(&self) -> Result<u64, SyncError> {
        let Some(hands) = &self.target.hands else {
            return Ok(u64::MAX);
        };
        let room = hands.staging.room();
        let room = room.map_err(|error| self.target.fs_failed(error))?;
        Ok(room.usable())
    }

    /// How many more bytes a file takes on the disk, at the most.
    pub(super) fn bytes_of(&self, content: ContentHash, size: u64, recipe: &Recipe) -> u64 {
        let Recipe::Assemble { pieces, .. } = recipe else {
            return size;
        };
        let takes = |piece: &&Piece| !matches!(piece.origin, Origin::Zeros);
        let bytes: u64 = pieces.iter().filter(takes).map(|piece| piece.length).sum();
        let hands = self.target.hands.as_ref();
        let begun = hands.map_or(0, |hands| hands.staging.begun_bytes(content));
        bytes.saturating_sub(begun)
    }
}

impl LocalReplica {
    /// Whether a path waits for a content.
    pub(in crate::engine) fn is_wanted(&self, content: ContentHash) -> Result<bool, SyncError> {
        let failed = |error| self.failed(error);
        let paths = Replica::store(&self.replica).by_content(content, LOOKED_AT_MAX);
        for path in paths.map_err(failed)? {
            let record = self.replica.record(&path).map_err(failed)?;
            let shown = record.entry.shown();
            let held = shown.and_then(|shown| shown.payload().content());
            if record.pending && held == Some(content) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Removes what was begun of contents that no path waits for.
    pub(in crate::engine) fn drop_partials(&self) -> Result<(), SyncError> {
        let Some(hands) = &self.hands else {
            return Ok(());
        };
        let dropped = (hands.staging).drop_partials::<Failed>(|content| {
            let is_wanted = self.is_wanted(content);
            is_wanted.map_err(Failed::Sync)
        });
        match dropped {
            Ok(_) => Ok(()),
            Err(Failed::Sync(error)) => Err(error),
            Err(Failed::Filesystem(error)) => Err(self.fs_failed(error)),
        }
    }
}

/// Why a download that was cut off was not removed.
enum Failed {
    Sync(SyncError),
    Filesystem(FsError),
}

impl From<FsError> for Failed {
    fn from(error: FsError) -> Self {
        Self::Filesystem(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_being_built_take_room() {
        let mut room = RoomAhead::default();
        assert!(!room.begin_unasked(1), "nothing is known of the room yet");
        assert!(room.begin(60, 100));
        assert!(!room.begin(50, 100));
        room.end(60);
        assert!(room.begin(50, 100));
    }

    #[test]
    fn system_is_asked_again_when_room_is_scarce() {
        let mut room = RoomAhead::default();
        assert!(room.begin(0, AMPLE_BYTES + 100));
        assert!(room.begin_unasked(60));
        assert!(!room.begin_unasked(60));
        assert!(room.begin(0, u64::MAX));
        let unasked = (0..1000).take_while(|_| room.begin_unasked(1)).count();
        assert_eq!(unasked, 256);
    }
}
