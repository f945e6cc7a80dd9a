//! Committing groups on a thread of its own, while the next one is planned and built.
//!
//! Goals: flush, rename, flush, record, tell, in this order, for each group. At most one group is under way, and while
//! it is, nothing else is changed in the root and recorded: what is recorded with a group has to be durable with it.

use crossbeam_channel::{Receiver, RecvError, Sender, select_biased};
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
pub(super) struct Committed {
    steps: Vec<Step>,
    /// One for each step; none at all if nothing could be flushed.
    results: Vec<Result<Applied, ApplyError>>,
    flushed: Result<(), ApplyError>,
}

/// Makes groups durable, then real, then durable again, until no more come.
pub(super) fn work(applier: &Applier, groups: &Receiver<Group>, committed: &Sender<Committed>) {
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
        /// A group is under way; with it, this is to be told.
        under_way: Option<Vec<PlanItem>>,
    },
}

/// What a thread beside the planning one has done.
enum Finished {
    Built(Vec<Built>),
    Committed(Committed),
}

impl Work<'_> {
    /// Whether changes wait to be made, or are being made.
    pub(super) fn has_changes_ahead(&self) -> bool {
        !self.batch.is_empty() || self.under_way().is_some()
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
                *under_way = Some(told);
                // The receiver lives as long as this does.
                let _ = groups.send(group);
                Ok(())
            }
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
            // A thread panicked; whoever joins it panics with it.
            Err(RecvError) => {
                self.building = 0;
                self.nothing_under_way();
                Ok(())
            }
        }
    }

    fn nothing_under_way(&mut self) -> Vec<PlanItem> {
        match &mut self.committer {
            Committer::Beside { under_way, .. } => under_way.take().unwrap_or_default(),
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
