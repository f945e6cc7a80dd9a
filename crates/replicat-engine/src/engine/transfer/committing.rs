//! Committing groups on a thread of its own, while the next one is planned and built.
//!
//! Goals: flush, rename, flush, record, tell, in this order, for each group. At most one group is under way, and while
//! it is, nothing else is changed in the root and recorded: what is recorded with a group has to be durable with it.

use std::sync::Arc;

use crossbeam_channel::{
    Receiver, RecvError, Sender, TryRecvError, never, select_biased, unbounded,
};
use replicat_core::plan::Step;
use replicat_fs::apply::error::ApplyError;
use replicat_fs::apply::{Applied, Applier, Change, Touched};

use super::Work;
use super::staging::Built;
use crate::engine::failure;
use crate::error::SyncError;
use crate::event::{PlanItem, SyncEvent};

/// Changes that become durable together.
pub(super) struct Group {
    pub(super) steps: Vec<Step>,
    pub(super) changes: Vec<Change>,
    /// The directories that these changes touch, and others that were made at once.
    pub(super) touched: Touched,
}

/// What became of them.
pub(in crate::engine) struct Committed {
    steps: Vec<Step>,
    /// One for each step; none at all if nothing could be flushed.
    results: Vec<Result<Applied, ApplyError>>,
    flushed: Result<(), ApplyError>,
}

/// Makes groups durable, then real, then durable again, until no more come.
fn work(applier: &Applier, groups: &Receiver<Group>, committed: &Sender<Committed>) {
    for group in groups {
        if committed.send(commit(applier, group)).is_err() {
            return;
        }
    }
}

fn commit(applier: &Applier, group: Group) -> Committed {
    let Group {
        steps,
        changes,
        touched,
    } = group;
    if let Err(error) = applier.flush(&changes) {
        return Committed {
            steps,
            results: Vec::new(),
            flushed: Err(error),
        };
    }
    let results = applier.commit(changes);
    Committed {
        steps,
        results,
        flushed: applier.flush_directories(&touched),
    }
}

/// Who commits.
pub(super) enum Committer {
    /// The thread that plans, before it goes on.
    Here,
    /// A thread of its own.
    Beside {
        groups: Sender<Group>,
        committed: Receiver<Committed>,
        under_way: Option<UnderWay>,
    },
}

/// A group that is being committed.
pub(super) struct UnderWay {
    /// What is to be told with it.
    told: Vec<PlanItem>,
    /// It makes durable what was changed before it and is recorded already.
    holds_recorded: bool,
}

impl Committer {
    /// One that commits beside, and the work of its thread.
    pub(super) fn beside(applier: &Arc<Applier>) -> (Self, impl FnOnce() + Send + use<>) {
        let (groups, to_commit) = unbounded::<Group>();
        let (tell, committed) = unbounded::<Committed>();
        let applier = Arc::clone(applier);
        let committer = Self::Beside {
            groups,
            committed,
            under_way: None,
        };
        (committer, move || work(&applier, &to_commit, &tell))
    }

    /// Where the group that is under way comes back; nothing ever comes there if there is none.
    pub(super) fn committed(&self) -> Receiver<Committed> {
        match self {
            Self::Beside {
                committed,
                under_way: Some(_),
                ..
            } => committed.clone(),
            _ => never(),
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        !matches!(
            self,
            Self::Beside {
                under_way: Some(_),
                ..
            }
        )
    }
}

/// What a thread beside the planning one has done.
enum Finished {
    Built(Vec<Built>),
    Committed(Committed),
}

impl Work<'_> {
    /// Whether changes wait to be made, or are being made.
    pub(super) fn has_changes_ahead(&self) -> bool {
        !self.batch.is_empty() || !self.committer.is_idle()
    }

    /// Where the group that is under way comes back.
    fn under_way(&self) -> Option<&Receiver<Committed>> {
        match &self.committer {
            Committer::Beside {
                committed,
                under_way: Some(_),
                ..
            } => Some(committed),
            _ => None,
        }
    }

    /// Makes the group durable, then real, then durable again, then known.
    pub(super) fn flush(&mut self) -> Result<(), SyncError> {
        self.hand_over()?;
        self.await_committed()
    }

    /// Hands the group over to be committed, once the one before it is recorded.
    pub(super) fn hand_over(&mut self) -> Result<(), SyncError> {
        self.await_committed()?;
        let Some(hands) = &self.target.hands else {
            return Ok(());
        };
        let holds_recorded = self.batch.holds_recorded();
        let Some((group, told)) = std::mem::take(&mut self.batch).close() else {
            return Ok(());
        };
        match &mut self.committer {
            Committer::Here => {
                let committed = commit(&hands.applier, group);
                self.record_committed(committed, told)
            }
            Committer::Beside {
                groups, under_way, ..
            } => {
                *under_way = Some(UnderWay {
                    told,
                    holds_recorded,
                });
                // The receiver lives as long as this does.
                let _ = groups.send(group);
                Ok(())
            }
        }
    }

    /// Hands over what has gathered, unless a group is under way: what gathers while one is goes with the next.
    pub(super) fn hand_over_gathered(&mut self) -> Result<(), SyncError> {
        match self.committer.is_idle() {
            true => self.hand_over(),
            false => Ok(()),
        }
    }

    /// Records the group that was under way, if it is through.
    pub(super) fn take_committed(&mut self) -> Result<(), SyncError> {
        match self.under_way().map(Receiver::try_recv) {
            Some(Ok(committed)) => self.finish(Ok(Finished::Committed(committed))),
            Some(Err(TryRecvError::Disconnected)) => self.finish(Err(RecvError)),
            Some(Err(TryRecvError::Empty)) | None => Ok(()),
        }
    }

    /// Makes durable what was changed at once and recorded. To be called before anyone else may write the index.
    pub(super) fn flush_made(&mut self) -> Result<(), SyncError> {
        if self.batch.holds_recorded() {
            return self.flush();
        }
        match &self.committer {
            Committer::Beside {
                under_way:
                    Some(UnderWay {
                        holds_recorded: true,
                        ..
                    }),
                ..
            } => self.await_committed(),
            _ => Ok(()),
        }
    }

    /// Waits for the group that is under way, and records it. To be called before anything else is changed and recorded.
    pub(super) fn await_committed(&mut self) -> Result<(), SyncError> {
        match self.under_way() {
            Some(committed) => self.finish(committed.recv().map(Finished::Committed)),
            None => Ok(()),
        }
    }

    /// Waits for whatever comes first, a file or a group.
    pub(super) fn await_any(&mut self) -> Result<(), SyncError> {
        let next = match self.under_way() {
            None => self.finished.recv().map(Finished::Built),
            Some(committed) => select_biased! {
                recv(committed) -> committed => committed.map(Finished::Committed),
                recv(self.finished) -> built => built.map(Finished::Built),
            },
        };
        self.finish(next)
    }

    fn finish(&mut self, finished: Result<Finished, RecvError>) -> Result<(), SyncError> {
        match finished {
            Ok(Finished::Built(built)) => self.all_built(built),
            Ok(Finished::Committed(committed)) => {
                let told = self.nothing_under_way();
                self.record_committed(committed, told)
            }
            Err(RecvError) => {
                self.building = 0;
                self.nothing_under_way();
                Err(self.thread_ended())
            }
        }
    }

    fn nothing_under_way(&mut self) -> Vec<PlanItem> {
        match &mut self.committer {
            Committer::Beside { under_way, .. } => {
                under_way.take().map_or_else(Vec::new, |group| group.told)
            }
            Committer::Here => Vec::new(),
        }
    }

    fn record_committed(
        &mut self,
        committed: Committed,
        told: Vec<PlanItem>,
    ) -> Result<(), SyncError> {
        let Committed {
            steps,
            results,
            flushed,
        } = committed;
        flushed.map_err(|error| self.flush_failed(error))?;
        for (step, result) in steps.iter().zip(results) {
            self.take_result(step, result)?;
        }
        self.target.commit()?;
        for item in told.into_iter().chain(std::mem::take(&mut self.batch.told)) {
            self.around.reporter.event(&SyncEvent::Item(item));
        }
        Ok(())
    }

    /// A thread panicked. Where it is joined here, this is not heard.
    fn thread_ended(&self) -> SyncError {
        SyncError::Io {
            action: "bring what is new to",
            path: self.target.given.clone(),
            source: std::io::Error::other("a thread ended before its time"),
        }
    }

    fn flush_failed(&self, error: ApplyError) -> SyncError {
        if failure::is_disk_full(&error) {
            return SyncError::DiskFull {
                root: self.target.given.clone(),
            };
        }
        SyncError::Io {
            action: "flush",
            path: self.target.given.clone(),
            source: std::io::Error::other(error),
        }
    }
}
