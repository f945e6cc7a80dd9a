//! What a root selects, and removing the local copies of the rest.

use replicat_core::path::RelPath;

use super::open::{self, Access, Looked};
use super::pruning::{self, Candidate, Keeper, Page, Pruner};
use crate::engine::local::LocalReplica;
use crate::error::SyncError;
use crate::options::RootLocation;
use crate::selection::{Pruned, Selected, SelectionChange};

/// What a root selects.
///
/// # Errors
/// As [`status`](super::status).
pub fn selection(location: &RootLocation) -> Result<Selected, SyncError> {
    open::open(location, Access::Read)?.local.kept_selection()
}

/// Changes what a root selects. No file is removed; what is selected again is brought by the next sync.
///
/// # Errors
/// [`SyncError::SelectedBySettings`] if the settings of a node decide; as [`status`](super::status);
/// [`SyncError::Locked`] if a sync is running.
pub fn select(location: &RootLocation, change: SelectionChange) -> Result<Selected, SyncError> {
    let mut looked = open::open(location, Access::Write)?;
    looked.local.change_selection(change)
}

/// The same in a replica that is in use, which is given back. Its filter changes; what that leaves out is looked at by a
/// scan.
pub(in crate::engine) fn select_in(
    mut local: LocalReplica,
    change: SelectionChange,
) -> (LocalReplica, Result<Selected, SyncError>) {
    let done = local.change_selection(change);
    (local, done)
}

/// Moves to the trash the local copies of what a root does not select, if one of the `holders`, other roots of the folder,
/// keeps them.
///
/// # Errors
/// As [`status`](super::status); [`SyncError::Locked`] if a sync is running at one of the roots;
/// [`SyncError::HolderOfAnotherFolder`] if a holder is a replica of another folder.
pub fn prune(
    location: &RootLocation,
    holders: &[RootLocation],
    dry_run: bool,
) -> Result<Pruned, SyncError> {
    let mut looked = open::open(location, Access::Write)?;
    // What was deselected since the last sync is noted now.
    looked.local.exclude_deselected()?;
    let mut keepers = Vec::with_capacity(holders.len());
    // Each stays locked.
    let mut opened = Vec::with_capacity(holders.len());
    for holder in holders {
        let mut holding = open::open(holder, Access::Write)?;
        // What it deselected since its last sync is no more kept there.
        holding.local.exclude_deselected()?;
        holding.local.commit()?;
        let (own, other) = (&looked.local, &holding.local);
        if own.replica.identity().folder != other.replica.identity().folder {
            return Err(SyncError::HolderOfAnotherFolder {
                root: own.given.clone(),
                holder: other.given.clone(),
            });
        }
        keepers.push(Keeper::root(other));
        opened.push(holding);
    }
    pruning::prune(&mut looked, &keepers, dry_run)
}

/// The local copies behind a path of what is not selected, and whether they can go.
pub(in crate::engine) fn page_in(
    local: LocalReplica,
    after: Option<&RelPath>,
) -> (LocalReplica, Result<Page, SyncError>) {
    let mut looked = Looked::lent(local);
    let page = looked.page(after);
    (looked.into_local(), page)
}

/// Removes copies, see [`Pruner::remove_copies`].
pub(in crate::engine) fn prune_in(
    local: LocalReplica,
    copies: Vec<Candidate>,
) -> (LocalReplica, Result<Pruned, SyncError>) {
    let mut looked = Looked::lent(local);
    let pruned = looked.remove_copies(copies);
    (looked.into_local(), pruned)
}
