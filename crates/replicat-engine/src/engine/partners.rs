//! Which directories a root was synced with.
//!
//! A directory that another root was synced with, and that now holds nothing, not even state, is most likely a disk that
//! is not mounted. Taken for a new root, it would be filled.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use replicat_core::id::ReplicaId;
use replicat_index::{Index, IndexError};

use super::local::LocalReplica;
use crate::error::SyncError;

/// The settings under which the replicas of other directories are kept begin so; their canonical paths follow.
const SETTING_PARTNER: &str = "partner:";

fn setting(directory: &Path) -> String {
    let path = directory.as_os_str().as_bytes();
    format!("{SETTING_PARTNER}{}", path.escape_ascii())
}

/// Whether the owner of `index` was synced with `directory`.
pub(super) fn remembers(index: &Index, directory: &Path) -> Result<bool, IndexError> {
    Ok(index.setting(&setting(directory))?.is_some())
}

/// A root, as the others remember it: the setting, and the replica.
pub(super) type Partner = (String, ReplicaId);

/// The roots of a run.
pub(super) fn all(replicas: &[LocalReplica]) -> Vec<Partner> {
    (replicas.iter())
        .map(|local| (setting(local.root.path()), local.replica.identity().replica))
        .collect()
}

impl LocalReplica {
    /// Notes which directories the root is synced with.
    pub(super) fn remember_partners(&mut self, partners: &[Partner]) -> Result<(), SyncError> {
        let own = setting(self.root.path());
        for (name, replica) in partners.iter().filter(|(name, _)| *name != own) {
            let value = replica.to_string().into_bytes();
            if self.setting(name)?.as_ref() != Some(&value) {
                self.set_setting(name, Some(&value))?;
            }
        }
        Ok(())
    }
}
