//! What people ask of a folder while it runs.

use crossbeam_channel::Sender;
use replicat_core::path::RelPath;
use replicat_fs::stage::Staged;

use super::connected::Peer;
use super::owner::Owner;
use super::restoring::Keepers;
use super::reverting::Reverted;
use super::selecting::SelectionOrder;
use super::settings::FolderMode;
use super::status::{FolderEvent, FolderState, FolderStatus};
use crate::engine::deletions::Verdict;
use crate::engine::inspect::{
    self, Answer, Around, ConnectedPeer, Precondition, Question, Ready, RestorePlan,
};
use crate::engine::local::LocalReplica;
use crate::error::SyncError;
use crate::inspection::{Forgotten, Keep, Resolution};
use crate::options::RootLocation;
use crate::restoration::{Emptied, RestoreRequest, Restored, TrashSelection};

/// Something that people ask.
pub(super) enum Order {
    Pause,
    Resume,
    Rescan(Vec<RelPath>),
    AllowDeletions,
    Decide(Verdict, Sender<Result<bool, SyncError>>),
    Stand(Sender<FolderStatus>),
    Inspect(Question, Sender<Result<Answer, SyncError>>),
    Resolve(RelPath, Keep, Sender<Result<Resolution, SyncError>>),
    PlanRestore(RestoreRequest, Sender<Result<RestorePlan, SyncError>>),
    Keepers(Sender<Keepers>),
    Restore(Vec<Ready>, Sender<Result<Restored, SyncError>>),
    Forget(String, Sender<Result<Vec<Forgotten>, SyncError>>),
    EmptyTrash(TrashSelection, Sender<Result<Emptied, SyncError>>),
    Put(
        RelPath,
        Box<Staged>,
        Precondition,
        Sender<Result<bool, SyncError>>,
    ),
    Remove(RelPath, Precondition, Sender<Result<(), SyncError>>),
    /// Drops local changes that the peers refuse, or lists them.
    Revert {
        paths: Vec<RelPath>,
        only_lists: bool,
        reply: Sender<Reverted>,
    },
    /// Is about what the folder selects.
    OfSelection(SelectionOrder),
    /// Lets others read what is known by now.
    Publish(Sender<Result<(), SyncError>>),
}

impl Owner {
    pub(super) fn obey(&mut self, order: Order) {
        match order {
            Order::Pause => {
                self.dismiss_all("the folder was paused");
                self.enter(FolderState::Paused);
            }
            Order::Resume => self.resume(),
            Order::Rescan(paths) => self.rescan(paths),
            // The asker may be gone by the time of the answer.
            Order::AllowDeletions => self.allow_deletions(),
            Order::Decide(verdict, reply) => {
                let _ = reply.send(self.decide(verdict));
            }
            Order::Stand(reply) => self.asked.push(reply),
            Order::OfSelection(order) => self.obey_selection(order),
            Order::Revert {
                paths,
                only_lists,
                reply,
            } => self.begin_revert(&paths, only_lists, reply),
            Order::Inspect(question, reply) => {
                let _ = reply.send(self.answer(&question));
            }
            Order::Resolve(path, keep, reply) => {
                let done = self.with_local(
                    |local| inspect::resolve_in(local, &path, keep),
                    |done| done.copy.iter().chain([&done.path]).cloned().collect(),
                );
                let _ = reply.send(done);
            }
            Order::PlanRestore(request, reply) => {
                let _ = reply.send(self.lend(|local| inspect::plan_in(local, &request)));
            }
            Order::Keepers(reply) => {
                let _ = reply.send(self.keepers());
            }
            Order::Restore(ready, reply) => {
                let _ = reply.send(self.restore(ready));
            }
            Order::EmptyTrash(selection, reply) => {
                let _ = reply.send(self.lend(|local| inspect::empty_trash_in(local, &selection)));
            }
            Order::Forget(wanted, reply) => {
                let done = self.lend(|local| inspect::forget_in(local, &wanted));
                // The others hear of it.
                self.announce_all();
                let _ = reply.send(done);
            }
            Order::Put(path, staged, precondition, reply) => {
                let done = self.with_path(&path, |local| {
                    inspect::put_in(local, &path, *staged, precondition)
                });
                let _ = reply.send(done);
            }
            Order::Publish(reply) => {
                let _ = reply.send(self.await_committed().and_then(|()| self.publish()));
            }
            Order::Remove(path, precondition, reply) => {
                let done = self.with_path(&path, |local| {
                    inspect::remove_in(local, &path, precondition)
                });
                let _ = reply.send(done);
            }
        }
    }

    fn restore(&mut self, ready: Vec<Ready>) -> Result<Restored, SyncError> {
        self.with_local(
            |local| inspect::place_in(local, ready),
            |done| {
                let restored = done.restorations.iter().map(|one| one.path.clone());
                restored.collect()
            },
        )
    }

    fn rescan(&mut self, paths: Vec<RelPath>) {
        let Some(open) = &mut self.open else { return };
        if paths.is_empty() {
            open.hints.add_everything();
        } else {
            open.hints.add_awaited(paths, std::time::Instant::now());
        }
    }

    /// Goes on after a pause, or tries again after a failure.
    pub(super) fn resume(&mut self) {
        if !matches!(self.state, FolderState::Paused | FolderState::Halted { .. }) {
            return;
        }
        if self.open.is_none()
            && let Err(error) = self.reopen()
        {
            return self.halt(&error);
        }
        self.enter(FolderState::InitialScan);
        let begun = self.begin();
        self.survive(begun);
    }

    /// Takes another directory, in the place of the one that was open, for a new replica. Returns whether there is one.
    pub(super) fn approve_replaced(&mut self) -> bool {
        let is_halted = matches!(self.state, FolderState::Halted { .. });
        if !is_halted || !self.recovery.is_replaced() {
            return false;
        }
        let location = RootLocation {
            root: self.settings.root.clone(),
            state_dir: self.settings.state_dir.clone(),
        };
        match inspect::approve(&location) {
            // A directory that has no state is a new replica anyway.
            Ok(_) | Err(SyncError::NotReplica { .. }) => self.resume(),
            Err(error) => self.halt(&error),
        }
        true
    }

    /// Answers a question by the index.
    fn answer(&mut self, question: &Question) -> Result<Answer, SyncError> {
        let is_amid = self.is_amid();
        let Some(mut open) = self.open.take() else {
            return Err(SyncError::NotReplica {
                root: self.settings.root.clone(),
            });
        };
        let around = Around {
            waits: open.waits(is_amid),
            connected: Some(self.connected_peers()),
            receives_only: self.settings.mode == FolderMode::ReceiveOnly,
        };
        let (local, answer) = inspect::answer_in(open.local, question, &around);
        open.local = local;
        self.open = Some(open);
        answer
    }

    /// The peers that are connected, with what each has brought to its directory.
    fn connected_peers(&self) -> Vec<ConnectedPeer> {
        let peers = self.peers.values();
        peers.filter_map(Peer::as_connected).collect()
    }

    /// Lends the replica to a function that works on files of users; `touched` says on which.
    fn with_local<T>(
        &mut self,
        work: impl FnOnce(LocalReplica) -> (LocalReplica, Result<T, SyncError>),
        touched: impl FnOnce(&T) -> Vec<RelPath>,
    ) -> Result<T, SyncError> {
        let done = self.lend(work);
        match &done {
            Ok(done) => self.look_at(touched(done)),
            // How far it came, nobody knows.
            Err(_) => {
                if let Some(open) = &mut self.open {
                    open.hints.add_everything();
                }
            }
        }
        done
    }

    /// Lends the replica to a function that changes one path, where others take changes from.
    fn with_path<T>(
        &mut self,
        path: &RelPath,
        work: impl FnOnce(LocalReplica) -> (LocalReplica, Result<T, SyncError>),
    ) -> Result<T, SyncError> {
        if self.settings.mode == FolderMode::ReceiveOnly {
            let root = self.settings.root.clone();
            return Err(SyncError::ReceiveOnly { root });
        }
        let done = self.lend(work);
        self.look_at(vec![path.clone()]);
        done
    }

    /// Has paths compared at once, and the directories above, which may have been made for them.
    fn look_at(&mut self, paths: Vec<RelPath>) {
        let Some(open) = &mut self.open else { return };
        let above = |path: &RelPath| -> Vec<_> {
            let above = path.ancestors().filter(|above| !above.is_root());
            above.collect()
        };
        let made: Vec<_> = paths.iter().flat_map(above).collect();
        let touched = made.into_iter().chain(paths).collect();
        open.hints.add_awaited(touched, std::time::Instant::now());
    }

    pub(super) fn lend<T>(
        &mut self,
        work: impl FnOnce(LocalReplica) -> (LocalReplica, Result<T, SyncError>),
    ) -> Result<T, SyncError> {
        self.await_committed()?;
        let Some(mut open) = self.open.take() else {
            return Err(SyncError::NotReplica {
                root: self.settings.root.clone(),
            });
        };
        let (local, done) = work(open.local);
        open.local = local;
        self.open = Some(open);
        done
    }

    /// Stops by itself, and waits for somebody.
    pub(super) fn halt(&mut self, error: &SyncError) {
        let reason = self.recovery.halted(error, std::time::Instant::now());
        tracing::error!(root = %self.settings.root.display(), %reason, "the folder is halted");
        self.dismiss_all("the folder is halted");
        // The asker gets an answer: it ended.
        self.reverting = None;
        if let Err(error) = self.close() {
            tracing::error!(%error, "the index of the halted folder could not be written");
        }
        self.open = None;
        self.enter(FolderState::Halted { reason });
    }

    pub(super) fn enter(&mut self, state: FolderState) {
        if self.state == state && state != FolderState::InitialScan {
            return;
        }
        self.state = state.clone();
        self.tell_status();
        self.listener.event(FolderEvent::State(state));
    }

    pub(super) fn warn(&self, message: String) {
        tracing::warn!(root = %self.settings.root.display(), "{message}");
        self.listener.event(FolderEvent::Warning(message));
    }
}
