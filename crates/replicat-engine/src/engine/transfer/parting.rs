//! Files that live on under another name although their own did not go after all: each becomes a file of its own again.

use replicat_core::entry::Payload;
use replicat_core::path::RelPath;
use replicat_core::record::Fingerprint;
use replicat_fs::apply::{Action, Change, Displaced};
use replicat_fs::observe::Observation;
use replicat_fs::read::StableFile;
use replicat_fs::stage::Staged;

use super::Work;
use crate::error::SyncError;

impl Work<'_> {
    /// A step that was to replace or remove a file may have been overtaken after the file got its further name. The two
    /// must not stay one file: what a user writes to one would show in the other.
    pub(super) fn part_adopted(&mut self) -> Result<(), SyncError> {
        // By either name: the other may be elsewhere by now.
        let adopted = std::mem::take(&mut self.adopted);
        let named: Vec<_> = adopted.into_iter().chain(self.linked.clone()).collect();
        for path in named {
            let Some(shared) = self.shared(&path)? else {
                continue;
            };
            let Some(staged) = self.copy_of(&path, &shared) else {
                self.done.look_again.insert(path);
                continue;
            };
            let change = Change {
                path: path.clone(),
                expected: Some(shared.fingerprint),
                action: Action::Put(Box::new(staged)),
                // It is there under its other name.
                displaced: Displaced::Discard,
            };
            match self.apply_now(change)? {
                Some(fingerprint) => self.note_parted(&path, fingerprint)?,
                None => {
                    self.done.look_again.insert(path);
                }
            }
        }
        Ok(())
    }

    /// What is at `path`, if that is still the file that was recorded, and has several names that nobody gave it.
    fn shared(&self, path: &RelPath) -> Result<Option<Observation>, SyncError> {
        let record = self.target.replica.record(path);
        let record = record.map_err(|error| self.target.failed(error))?;
        let is_single = matches!(
            record.held_payload(),
            Some(Payload::File { link: None, .. })
        );
        let (Some(local), true) = (record.local, is_single) else {
            return Ok(None);
        };
        let found = self.target.root.observe(path, self.target.tracking);
        let found = found.map_err(|error| self.target.fs_failed(error))?;
        Ok(found.filter(|found| {
            found.link.is_some() && found.fingerprint.inode == local.fingerprint.inode
        }))
    }

    fn copy_of(&self, path: &RelPath, found: &Observation) -> Option<Staged> {
        let hands = self.target.hands.as_ref()?;
        let content = self.target.replica.record(path).ok()?.held_payload()?;
        let size = found.fingerprint.size;
        let file = StableFile::open_expected(&self.target.root, path, &found.fingerprint).ok()?;
        let staged = hands.staging.begin(content.content()?, size).ok()?;
        staged.copy_range(&file, 0, size, 0).ok()?;
        staged.finish(&found.metadata).ok()
    }

    fn note_parted(&mut self, path: &RelPath, fingerprint: Fingerprint) -> Result<(), SyncError> {
        self.batch.dirty = true;
        let noted = self.target.replica.refresh(path, fingerprint);
        noted.map_err(|error| self.target.failed(error))?;
        self.disturb(path);
        Ok(())
    }
}
