//! What a folder selects while it runs, and removing the local copies of the rest.

use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::Sender;
use replicat_core::path::RelPath;

use super::bringing::Remote;
use super::connected::Peer;
use super::handle::LiveFolder;
use super::owner::Owner;
use super::steering::Order;
use crate::engine::inspect::{self, Candidate, Keeper, Page, Pruner};
use crate::engine::transfer::Left;
use crate::error::SyncError;
use crate::selection::{Pruned, Selected, SelectionChange};

/// What people ask about the selection.
pub(super) enum SelectionOrder {
    /// Changes it.
    Select(SelectionChange, Sender<Result<Selected, SyncError>>),
    /// Lists local copies of what is not selected, behind a path.
    Page(Option<RelPath>, Sender<Result<Page, SyncError>>),
    /// The peers that may keep a copy.
    Keepers(Sender<Vec<Keeper>>),
    /// Removes copies.
    Remove(Vec<Candidate>, Sender<Result<Pruned, SyncError>>),
}

impl LiveFolder {
    /// Changes what the folder selects at this node. Files are neither removed nor brought when this returns: what is selected
    /// again comes as anything that is pending.
    ///
    /// # Errors
    /// [`SyncError::SelectedBySettings`] if the settings decide; [`SyncError::NotReplica`] if the folder is halted or was
    /// stopped.
    pub fn select(&self, change: SelectionChange) -> Result<Selected, SyncError> {
        self.ask_of_selection(|reply| SelectionOrder::Select(change, reply))
    }

    /// Moves to the trash the local copies of what is not selected, if a connected and trusted peer keeps them. With `dry_run`
    /// nothing is changed.
    ///
    /// # Errors
    /// What keeps the index from being used; [`SyncError::NotReplica`] if the folder is halted or was stopped.
    pub fn prune(&self, dry_run: bool) -> Result<Pruned, SyncError> {
        let keepers = self.ask(|reply| Order::OfSelection(SelectionOrder::Keepers(reply)));
        let keepers = keepers.ok_or_else(|| self.stopped())?;
        inspect::prune_with(&mut Asking(self), &keepers, dry_run)
    }

    fn ask_of_selection<T>(
        &self,
        order: impl FnOnce(Sender<Result<T, SyncError>>) -> SelectionOrder,
    ) -> Result<T, SyncError> {
        let asked = self.ask(|reply| Order::OfSelection(order(reply)));
        asked.unwrap_or_else(|| Err(self.stopped()))
    }
}

/// Asks the owner of a folder.
struct Asking<'folder>(&'folder LiveFolder);

impl Pruner for Asking<'_> {
    fn page(&mut self, after: Option<&RelPath>) -> Result<Page, SyncError> {
        let after = after.cloned();
        (self.0).ask_of_selection(|reply| SelectionOrder::Page(after, reply))
    }

    fn remove_copies(&mut self, copies: Vec<Candidate>) -> Result<Pruned, SyncError> {
        (self.0).ask_of_selection(|reply| SelectionOrder::Remove(copies, reply))
    }
}

impl Owner {
    /// The asker may be gone by the time of the answer.
    pub(super) fn obey_selection(&mut self, order: SelectionOrder) {
        match order {
            SelectionOrder::Select(change, reply) => drop(reply.send(self.select(change))),
            SelectionOrder::Page(after, reply) => {
                let page = self.lend(|local| inspect::page_in(local, after.as_ref()));
                // From now on, others are answered by that.
                let page = page.and_then(|page| self.publish().map(|()| page));
                drop(reply.send(page));
            }
            SelectionOrder::Keepers(reply) => drop(reply.send(self.keepers_of_copies())),
            SelectionOrder::Remove(copies, reply) => {
                drop(reply.send(self.lend(|local| inspect::prune_in(local, copies))));
            }
        }
    }

    fn select(&mut self, change: SelectionChange) -> Result<Selected, SyncError> {
        let selected = self.lend(|local| inspect::select_in(local, change))?;
        let Some(open) = &mut self.open else {
            return Ok(selected);
        };
        open.local.include_paths()?;
        open.local.exclude_deselected()?;
        open.hints
            .add_rules([RelPath::root()].into(), Instant::now());
        open.unsettled = true;
        open.ongoing.stir();
        open.left = Left::More;
        if open.watcher.is_some() {
            self.watch()?;
        }
        // Others are told at once that this replica keeps no more what it does not select.
        self.publish()?;
        self.announce_all();
        Ok(selected)
    }

    /// The peers that are connected and believed.
    fn keepers_of_copies(&self) -> Vec<Keeper> {
        let peers = self.peers.values();
        let keepers = peers.filter_map(|peer: &Peer| {
            let knowledge = peer.trusted_knowledge()?.clone();
            let source = Arc::new(Remote(peer.connection()));
            Some(Keeper::new(knowledge, source))
        });
        keepers.collect()
    }
}
