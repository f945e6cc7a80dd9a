//! Making a directory that only receives as the others are: local changes that the peers refuse are dropped.
//!
//! A peer that knows all that is known here is asked for its entry of each path, and that takes the place of the own
//! events (`docs/algorithm.md`, section 6). The plan does the rest: what it replaces or removes goes to the trash. Nothing is
//! settled or brought to the directory meanwhile, so that no half of it is judged.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use replicat_core::message::{Message, TreeReply};
use replicat_core::path::RelPath;
use replicat_core::wire;

use super::connected::Peer;
use super::owner::Owner;
use super::peer::{Parcel, PeerNumber};
use super::settings::FolderMode;
use crate::error::SyncError;
use crate::report::RefusedChange;

/// How long the answers of a peer are waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// What becomes of a revert that is asked for.
pub(super) type Reverted = Result<Vec<RefusedChange>, SyncError>;

/// A revert that is under way.
pub(super) struct Reverting {
    reply: Sender<Reverted>,
    /// The changes that are dropped, for those who asked.
    changes: Vec<RefusedChange>,
    left: VecDeque<RelPath>,
    /// The counter of the last event that it drops.
    last: u64,
    /// The path that a peer was asked about, and the peer.
    asked: Option<(PeerNumber, RelPath)>,
    until: Instant,
}

impl Owner {
    /// Begins to drop the refused changes at and below some paths, all if there are none; or only lists them.
    pub(super) fn begin_revert(
        &mut self,
        paths: &[RelPath],
        only_lists: bool,
        reply: Sender<Reverted>,
    ) {
        let begun = self.plan_revert(paths, only_lists);
        match begun {
            // Also if nothing is left: an earlier one may have been interrupted before its end.
            Ok((changes, left)) if !only_lists => {
                let open = self.open.as_ref();
                let last = open.map_or(0, |open| open.local.replica.identity().counter);
                self.reverting = Some(Reverting {
                    last,
                    reply,
                    changes,
                    left,
                    asked: None,
                    until: Instant::now() + PATIENCE,
                });
            }
            // The asker may be gone.
            Ok((changes, _)) => drop(reply.send(Ok(changes))),
            Err(error) => drop(reply.send(Err(error))),
        }
    }

    fn plan_revert(
        &mut self,
        paths: &[RelPath],
        only_lists: bool,
    ) -> Result<(Vec<RefusedChange>, VecDeque<RelPath>), SyncError> {
        let root = self.settings.root.clone();
        let root = || root.clone();
        if self.settings.mode != FolderMode::ReceiveOnly {
            return Err(SyncError::NotReceiveOnly { root: root() });
        }
        if self.reverting.is_some() {
            return Err(SyncError::Busy { root: root() });
        }
        self.await_committed()?;
        let Some(open) = self.open.as_ref().filter(|_| self.is_active()) else {
            return Err(SyncError::NotReplica { root: root() });
        };
        let is_meant =
            |path: &RelPath| paths.is_empty() || paths.iter().any(|meant| path.is_within(meant));
        let mut changes = open.local.refused()?.listed;
        let failed = |error| open.local.failed(error);
        let all = open.local.replica.unconfirmed_paths().map_err(failed)?;
        let meant = all.iter().filter(|path| is_meant(path)).cloned().collect();
        let left = (open.local.replica).reverted_together(&all, meant);
        let left = left.map_err(failed)?;
        if !only_lists && !left.is_empty() && self.knowing_peer().is_none() {
            return Err(SyncError::NoPeerKnows { root: root() });
        }
        changes.retain(|change| left.contains(&change.path));
        Ok((changes, left.into()))
    }

    /// A peer that can say what the others have: it is believed, is telling nothing, and knows all that others told here.
    fn knowing_peer(&self) -> Option<PeerNumber> {
        let knowledge = self.open.as_ref()?.local.replica.confirmed_knowledge();
        let mut peers = self.peers.iter();
        let found = peers.find(|(_, peer)| peer.can_tell(&knowledge));
        found.map(|(number, _)| *number)
    }

    /// Goes on with a revert that is under way: asks about the next path, or ends.
    pub(super) fn go_on_reverting(&mut self) -> Result<(), SyncError> {
        let Some(reverting) = &self.reverting else {
            return Ok(());
        };
        let is_lost =
            (reverting.asked.as_ref()).is_some_and(|(number, _)| !self.peers.contains_key(number));
        if is_lost || reverting.until <= Instant::now() {
            return self.end_revert(false);
        }
        if reverting.asked.is_some() {
            return Ok(());
        }
        let Some(path) = reverting.left.front().cloned() else {
            return self.end_revert(true);
        };
        let (Some(number), Some(open)) = (self.knowing_peer(), &self.open) else {
            // It may be telling something just now.
            return Ok(());
        };
        let page = open.local.replica.ask_for_entry(&path);
        let page = page.map_err(|error| open.local.failed(error))?;
        let parcel = Parcel::of(wire::encode(&Message::Tree(page)));
        let sent = self.peers.get_mut(&number).map(|peer| peer.send(parcel));
        match (sent, &mut self.reverting) {
            (Some(Ok(())), Some(reverting)) => {
                reverting.left.pop_front();
                reverting.asked = Some((number, path));
            }
            _ => self.part(number),
        }
        Ok(())
    }

    /// Takes the answer of a peer that was asked; gives back what was not asked for.
    pub(super) fn take_reverted(
        &mut self,
        number: PeerNumber,
        reply: TreeReply,
    ) -> Result<Option<TreeReply>, SyncError> {
        let (Some(reverting), Some(open)) = (&mut self.reverting, &mut self.open) else {
            return Ok(Some(reply));
        };
        let Some((_, path)) = reverting.asked.take_if(|(asked, _)| *asked == number) else {
            return Ok(Some(reply));
        };
        if let Some(theirs) = reply.entry_of(&path) {
            let done = (open.local.replica).revert(&path, theirs, reverting.last);
            done.map_err(|error| open.local.failed(error))?;
        }
        reverting.until = Instant::now() + PATIENCE;
        self.go_on_reverting()?;
        Ok(None)
    }

    /// Ends a revert, and answers the asker. What was dropped so far stays dropped.
    fn end_revert(&mut self, is_whole: bool) -> Result<(), SyncError> {
        let Some(reverting) = self.reverting.take() else {
            return Ok(());
        };
        if let Some(open) = &mut self.open {
            // What was known before is to be brought again.
            let withdrawn = open.local.replica.withdraw_applied();
            withdrawn.map_err(|error| open.local.failed(error))?;
            let forgotten = open.local.replica.forget_reverted();
            forgotten.map_err(|error| open.local.failed(error))?;
            open.noted = None;
        }
        self.peers.values_mut().for_each(Peer::forget_proof);
        self.look_into();
        self.publish()?;
        let answer = match is_whole {
            true => Ok(reverting.changes),
            false => Err(SyncError::NoPeerKnows {
                root: self.settings.root.clone(),
            }),
        };
        // The asker may be gone.
        let _ = reverting.reply.send(answer);
        Ok(())
    }
}
