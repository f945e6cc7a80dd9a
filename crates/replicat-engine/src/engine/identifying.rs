//! Whether a root is still the directory that its state was recorded for.

use replicat_core::id::ReplicaId;
use replicat_core::replica::Now;
use replicat_core::restore::Renewal;
use replicat_fs::identity::{Comparison, RootIdentity};

use super::local::LocalReplica;
use super::{clock, random_u64};
use crate::error::SyncError;

/// The setting under which the identity of the root directory is kept.
const SETTING_ROOT: &str = "root-identity";

impl LocalReplica {
    /// Finds out whether the root is still the directory that the state was recorded for. State that lies inside and
    /// does not fit was copied or restored along with it. A dry run leaves the question to the run that acts.
    pub(super) fn check_identity(&mut self, state_outside: bool) -> Result<(), SyncError> {
        let Some(hands) = &self.hands else {
            return Ok(());
        };
        let found = hands
            .state
            .identity(&self.root)
            .map_err(|error| self.fs_failed(error))?;
        let index = self.replica.store();
        let recorded = index
            .setting(SETTING_ROOT)
            .map_err(|error| self.index_failed(error))?;
        if let Some(recorded) = &recorded {
            let text = String::from_utf8_lossy(recorded);
            let compared = text
                .parse::<RootIdentity>()
                .map(|recorded| found.compare(&recorded));
            match compared {
                Ok(Comparison::Same) => return Ok(()),
                Ok(Comparison::OtherRoot) if state_outside => {
                    let evidence = "its inode and birth time are not those recorded".to_owned();
                    return Err(SyncError::RootReplaced {
                        root: self.given.clone(),
                        evidence,
                    });
                }
                Ok(_) | Err(_) => self.renew(clock::now())?,
            }
        }
        let now = found.to_string().into_bytes();
        let done = self
            .replica
            .store_mut()
            .set_setting(SETTING_ROOT, Some(&now));
        done.map_err(|error| self.index_failed(error))
    }

    fn renew(&mut self, now: Now) -> Result<(), SyncError> {
        let id = ReplicaId(random_u64()?);
        self.replica
            .renew(now, id, Renewal::Copied)
            .map_err(|error| self.failed(error))
    }
}
