//! What of a folder is counted: conflicts that are open, and changes that the peers refuse.

use std::time::{Duration, Instant};

use replicat_core::id::ReplicaId;
use replicat_core::store::{Digest, Store};

use super::settings::FolderMode;
use crate::engine::conflicts;
use crate::engine::local::LocalReplica;
use crate::error::SyncError;
use crate::report::RefusedChanges;

/// How often is counted at the most, while much changes.
const COUNT_INTERVAL: Duration = Duration::from_millis(500);

/// The latest counts, and of what state of the index they are.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) conflicts: u64,
    pub(super) refused: RefusedChanges,
    counted: Option<(State, Instant)>,
}

/// What the counts depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    digest: Digest,
    own: ReplicaId,
    confirmed: u64,
}

impl Tally {
    /// Counts again if the index changed, but not more often than [`COUNT_INTERVAL`].
    pub(super) fn update(
        &mut self,
        local: &LocalReplica,
        mode: FolderMode,
        now: Instant,
    ) -> Result<(), SyncError> {
        let digest = local.replica.store().digest();
        let identity = local.replica.identity();
        let state = State {
            digest: digest.map_err(|error| local.failed(error))?,
            own: identity.replica,
            confirmed: identity.confirmed,
        };
        let is_fresh = self.counted.is_some_and(|(counted, at)| {
            counted == state || now.saturating_duration_since(at) < COUNT_INTERVAL
        });
        if is_fresh {
            return Ok(());
        }
        self.conflicts = conflicts::open(local)?.len() as u64;
        self.refused = match mode {
            FolderMode::ReceiveOnly => local.refused()?,
            FolderMode::ReadWrite | FolderMode::SendOnly => RefusedChanges::default(),
        };
        self.counted = Some((state, now));
        Ok(())
    }
}
