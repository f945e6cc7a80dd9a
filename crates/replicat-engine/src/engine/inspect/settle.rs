//! Deciding what was left to a person: conflicts and brakes.

use replicat_core::path::RelPath;

use super::brake;
use super::open::{self, Access, Looked};
use crate::engine::clock;
use crate::engine::deletions::{SETTING_APPROVED, SETTING_BRAKE, SETTING_REJECTED};
use crate::engine::local::LocalReplica;
use crate::error::SyncError;
use crate::inspection::{Approval, Keep, Resolution};
use crate::options::RootLocation;
use crate::report::Brake;

/// Settles a conflict: `path` names the path or its copy. What is decided is an ordinary change of the files, which the next
/// sync carries to the other roots. Or, with [`Keep::Local`], gives up what the path waits for, and nobody has.
///
/// # Errors
/// [`SyncError::NoConflict`] or [`SyncError::NothingMissing`] if there is none; what else keeps the files from being changed.
pub fn resolve(
    location: &RootLocation,
    path: &RelPath,
    keep: Keep,
) -> Result<Resolution, SyncError> {
    open::open(location, Access::Write)?.resolve(path, keep)
}

/// The same in a replica that is in use, which is given back.
pub(in crate::engine) fn resolve_in(
    local: LocalReplica,
    path: &RelPath,
    keep: Keep,
) -> (LocalReplica, Result<Resolution, SyncError>) {
    let mut looked = Looked::lent(local);
    let done = looked.resolve(path, keep);
    (looked.into_local(), done)
}

impl Looked {
    fn resolve(&mut self, path: &RelPath, keep: Keep) -> Result<Resolution, SyncError> {
        let resolution = match keep {
            Keep::Local => self.give_up(path)?,
            keep => self.settle(path, keep)?,
        };
        self.local.commit()?;
        Ok(resolution)
    }

    fn give_up(&mut self, path: &RelPath) -> Result<Resolution, SyncError> {
        let done = self.local.replica.give_up(clock::now(), path);
        if !done.map_err(|error| self.local.failed(error))? {
            return Err(SyncError::NothingMissing {
                root: self.local.given.clone(),
                path: path.clone(),
            });
        }
        Ok(Resolution {
            path: path.clone(),
            copy: None,
            kept: Keep::Local,
        })
    }

    fn settle(&mut self, path: &RelPath, keep: Keep) -> Result<Resolution, SyncError> {
        let found = self.conflicts()?.into_iter();
        let conflict = found
            .into_iter()
            .find(|conflict| conflict.path == *path || conflict.copy == *path);
        let Some(conflict) = conflict else {
            return Err(SyncError::NoConflict {
                root: self.local.given.clone(),
                path: path.clone(),
            });
        };
        match keep {
            Keep::Winner => self.remove(&conflict.copy)?,
            Keep::Copy => self.replace(&conflict.path, &conflict.copy)?,
            Keep::Both | Keep::Local => self.acknowledge(&conflict.copy)?,
        }
        Ok(Resolution {
            path: conflict.path,
            copy: Some(conflict.copy),
            kept: keep,
        })
    }
}

/// Lets a root go on that a brake holds, or that is not the directory it was: empty without any state, or another than
/// its state was recorded for. Such a one joins as a new replica at the next sync.
///
/// # Errors
/// [`SyncError::NotReplica`] if the root was never synced and holds something; [`SyncError::Locked`] if a sync is running.
pub fn approve(location: &RootLocation) -> Result<Approval, SyncError> {
    let mut looked = match open::open(location, Access::Write) {
        Ok(looked) => looked,
        Err(SyncError::RootReplaced { .. }) => return open::renew(location),
        Err(SyncError::NotReplica { .. }) if open::is_vacant(location)? => {
            return open::renew(location);
        }
        Err(error) => return Err(error),
    };
    let brake = decide(&mut looked, SETTING_APPROVED, SETTING_REJECTED)?;
    Ok(brake.map_or(Approval::Needless, Approval::Brake))
}

/// Has the next sync bring back the files whose deletion a brake holds. Returns the brake, if there is one.
///
/// # Errors
/// [`SyncError::NotReplica`] if the root was never synced; [`SyncError::Locked`] if a sync is running.
pub fn reject(location: &RootLocation) -> Result<Option<Brake>, SyncError> {
    let mut looked = open::open(location, Access::Write)?;
    decide(&mut looked, SETTING_REJECTED, SETTING_APPROVED)
}

/// Notes for the next sync what a person decided about a brake, in place of an earlier decision. Returns the brake, if there
/// is one.
fn decide(looked: &mut Looked, decided: &str, dropped: &str) -> Result<Option<Brake>, SyncError> {
    let brake = brake(looked)?;
    if brake.is_some() {
        looked.local.set_setting(decided, Some(b"yes"))?;
        looked.local.set_setting(dropped, None)?;
        looked.local.set_setting(SETTING_BRAKE, None)?;
        looked.local.commit()?;
    }
    Ok(brake)
}
