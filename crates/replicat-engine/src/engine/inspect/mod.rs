//! Looking at one root by its index, and settling something in it. Nothing is scanned.

mod asking;
mod changing;
mod fetching;
mod history;
mod members;
mod open;
mod placing;
mod pruning;
mod restoring;
mod selecting;
mod settle;
mod trash;
mod tree;
mod why;
mod writing;

use replicat_core::entry::Payload;
use replicat_core::store::Store;

use super::{conflicts, deletions};
use crate::error::SyncError;
use crate::inspection::{Status, TrashStatus};
use crate::options::RootLocation;
use crate::report::{Brake, ConflictReport};
use open::{Access, Looked};

pub(in crate::engine) use asking::answer_in;
pub use asking::{Answer, Question};
pub(super) use fetching::Provider;
pub use history::history;
pub use members::forget;
pub(super) use members::forget_in;
pub use open::has_state;
pub(crate) use open::is_vacant;
pub(super) use placing::{Ready, obtain, place_in};
pub(super) use pruning::{Candidate, Keeper, Page, Pruner, prune as prune_with};
pub use restoring::restore;
pub(super) use restoring::{RestorePlan, Target, plan_in};
pub(super) use selecting::{page_in, prune_in, select_in};
pub use selecting::{prune, select, selection};
pub(super) use settle::resolve_in;
pub use settle::{approve, reject, resolve};
pub(super) use trash::empty_trash_in;
pub use trash::{empty_trash, trash};
pub use tree::{Tree, tree};
pub use why::why;
pub(in crate::engine) use why::{Around, ConnectedPeer};
pub use writing::Precondition;
pub(super) use writing::{is_reserved, put_in, remove_in};

/// How a root stands.
///
/// # Errors
/// [`SyncError::NotReplica`] if it was never synced; what else keeps its index from being read.
pub fn status(location: &RootLocation) -> Result<Status, SyncError> {
    let looked = open::open(location, Access::Read)?;
    let local = &looked.local;
    let failed = |error| local.failed(error);
    let identity = local.replica.identity();
    let mut status = Status {
        root: location.root.clone(),
        folder: identity.folder,
        replica: identity.replica,
        name: identity.name.clone(),
        last_sync: looked.last_sync()?,
        files: 0,
        directories: 0,
        symlinks: 0,
        bytes: 0,
        pending: local.replica.store().pending_count().map_err(failed)?,
        excluded: local.replica.store().excluded_count().map_err(failed)?,
        conflicts: looked.conflicts()?.len() as u64,
        brake: brake(&looked)?,
        skipped: local.kept_skipped()?,
        members: looked.members()?,
        trash: trash_status(&looked)?,
        index_bytes: looked.index_bytes,
    };
    count(&looked, &mut status)?;
    Ok(status)
}

fn count(looked: &Looked, status: &mut Status) -> Result<(), SyncError> {
    looked.for_each_record(&mut |_, record| {
        let Some(shown) = record.entry.shown() else {
            return Ok(());
        };
        match shown.payload() {
            Payload::File { size, .. } => {
                status.files += 1;
                status.bytes += size;
            }
            Payload::Directory => status.directories += 1,
            Payload::Symlink { .. } => status.symlinks += 1,
            Payload::Tombstone { .. } => return Ok(()),
        }
        Ok(())
    })
}

fn brake(looked: &Looked) -> Result<Option<Brake>, SyncError> {
    let setting = looked.local.setting(deletions::SETTING_BRAKE)?;
    Ok(deletions::held_by(setting.as_deref()))
}

fn trash_status(looked: &Looked) -> Result<TrashStatus, SyncError> {
    let items = looked.trash(None)?;
    let bytes = items.iter().map(|item| item.size).sum();
    Ok(TrashStatus {
        versions: items.len() as u64,
        bytes,
    })
}

/// The conflict copies in a root that nobody has resolved, by path.
///
/// # Errors
/// As [`status`].
pub fn conflicts(location: &RootLocation) -> Result<Vec<ConflictReport>, SyncError> {
    let looked = open::open(location, Access::Read)?;
    looked.conflicts()
}

impl Looked {
    pub(super) fn conflicts(&self) -> Result<Vec<ConflictReport>, SyncError> {
        conflicts::open(&self.local)
    }
}
