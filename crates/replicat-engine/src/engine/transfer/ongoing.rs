//! A transfer that goes on for as long as its root is kept in sync, a little at a time.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, unbounded};
use replicat_core::id::ContentHash;
use replicat_core::path::RelPath;
use replicat_core::store::Store;
use replicat_fs::stage::Staged;

use super::batch::{Batch, CHANGES_MAX};
use super::committing::{Committed, Committer};
use super::content::Sources;
use super::room::RoomAhead;
use super::staging::{Built, Job};
use super::{JOBS_AHEAD_MAX, PAGE_ROWS, Pass, Patience, Transferred, Work, builders};
use crate::engine::local::LocalReplica;
use crate::engine::scan::Surroundings;
use crate::error::SyncError;
use crate::event::Progress;

/// What is left to do after a while of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Left {
    /// Nothing that can be done now.
    Nothing,
    /// Files are being built or committed; there is nothing to do until one is.
    Building,
    /// There is more to do at once.
    More,
}

/// A transfer between two whiles of work.
pub(in crate::engine) struct Ongoing {
    sources: Arc<Sources>,
    threads: Vec<JoinHandle<()>>,
    jobs: Option<Sender<Job>>,
    finished: Receiver<Vec<Built>>,
    committer: Committer,
    /// Files that came from the threads and were not taken in yet.
    arrived: Vec<Built>,
    position: Position,
    kept: Kept,
    progress: Progress,
    fetched: u64,
}

/// Where the walk through the pending paths is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Position {
    /// All was gone through, and nothing is new.
    #[default]
    Rest,
    /// Directories that were renamed come first.
    Trees,
    Forward(Option<RelPath>),
    Backward(Option<RelPath>),
}

/// What [`Work`] keeps from one while to the next.
#[derive(Default)]
struct Kept {
    building: usize,
    taken: HashSet<RelPath>,
    secured: HashMap<ContentHash, Staged>,
    adopted: BTreeSet<RelPath>,
    batch: Batch,
    linked: BTreeSet<RelPath>,
    patience: Patience,
    waiting: bool,
    room: RoomAhead,
    /// Steps that were carried out when the walk began.
    steps_before: u64,
    done: Transferred,
}

impl Ongoing {
    pub(in crate::engine) fn new(
        target: &LocalReplica,
        around: &Surroundings<'_>,
    ) -> Result<Self, SyncError> {
        let sources = Arc::new(Sources::default());
        let (jobs, to_build) = unbounded::<Job>();
        let (built, finished) = unbounded::<Vec<Built>>();
        let builders = builders(target, &sources, around)?;
        let start = |builder: super::Builder| {
            let (to_build, built) = (to_build.clone(), built.clone());
            std::thread::Builder::new()
                .name("build".to_owned())
                .spawn(move || builder.work(&to_build, &built))
        };
        let failed = |source| SyncError::Io {
            action: "start a thread for",
            path: target.given.clone(),
            source,
        };
        let threads: Result<Vec<_>, _> = builders.into_iter().map(start).collect();
        let mut threads = threads.map_err(failed)?;
        let mut committer = Committer::Here;
        if let Some(hands) = &target.hands {
            let (beside, work) = Committer::beside(&hands.applier);
            let thread = std::thread::Builder::new().name("commit".to_owned());
            threads.push(thread.spawn(work).map_err(failed)?);
            committer = beside;
        }
        Ok(Self {
            sources,
            threads,
            jobs: Some(jobs),
            finished,
            committer,
            arrived: Vec::new(),
            position: Position::default(),
            kept: Kept::default(),
            progress: Progress::default(),
            fetched: 0,
        })
    }

    /// Where contents come from.
    pub(in crate::engine) fn sources(&self) -> &Sources {
        &self.sources
    }

    /// Tells when a file was built, to be waited for; what comes is to be handed to [`Self::arrive`].
    pub(in crate::engine) fn finished(&self) -> &Receiver<Vec<Built>> {
        &self.finished
    }

    /// Takes files from the threads, for the next while of work.
    pub(in crate::engine) fn arrive(&mut self, built: Vec<Built>) {
        self.arrived.extend(built);
    }

    /// Tells when the group that is being committed is through, to be waited for; [`Self::work`] takes it in.
    pub(in crate::engine) fn committed(&self) -> Receiver<Committed> {
        self.committer.committed()
    }

    /// Whether files are being built or committed, or waiting to be.
    pub(in crate::engine) fn is_busy(&self) -> bool {
        self.position != Position::Rest || self.kept.building > 0 || !self.committer.is_idle()
    }

    /// Bytes that came from elsewhere since the start.
    pub(in crate::engine) fn fetched(&self) -> u64 {
        self.fetched
    }

    pub(in crate::engine) fn progress(&self) -> Progress {
        self.progress
    }

    /// Says that pending paths may have come, or what some waited for.
    pub(in crate::engine) fn stir(&mut self) {
        if self.position == Position::Rest {
            self.position = Position::Trees;
            let is_idle = self.committer.is_idle();
            if self.kept.building == 0 && self.kept.batch.is_empty() && is_idle {
                // What failed is tried again.
                self.kept.taken.clear();
            }
        } else {
            // The walk under way may be past what is new.
            self.position = Position::Trees;
        }
    }

    /// What was done since this was last asked.
    pub(in crate::engine) fn take_done(&mut self) -> Transferred {
        self.kept.steps_before = 0;
        let done = std::mem::take(&mut self.kept.done);
        self.fetched += done.fetched;
        done
    }

    /// Works until `until`, or until there is nothing to do at once. What it leaves to be committed is not recorded yet, and
    /// what is recorded is durable: between two whiles of work the index may be written at any time.
    pub(in crate::engine) fn work(
        &mut self,
        target: &mut LocalReplica,
        around: &Surroundings<'_>,
        until: Instant,
    ) -> Result<Left, SyncError> {
        let arrived = std::mem::take(&mut self.arrived);
        self.go_on(target, around, |work, walk| work.turn(walk, arrived, until))
            .unwrap_or(Ok(Left::Nothing))
    }

    /// Waits for the group that is being committed, and records it. To be called before anyone else looks at the root or
    /// changes it.
    pub(in crate::engine) fn await_committed(
        &mut self,
        target: &mut LocalReplica,
        around: &Surroundings<'_>,
    ) -> Result<(), SyncError> {
        let awaits = |work: &mut Work<'_>, _: &mut Walk| {
            work.flush_made()?;
            work.await_committed()
        };
        self.go_on(target, around, awaits).unwrap_or(Ok(()))
    }

    /// Takes the work up again; `None` if it was ended.
    fn go_on<T>(
        &mut self,
        target: &mut LocalReplica,
        around: &Surroundings<'_>,
        what: impl FnOnce(&mut Work<'_>, &mut Walk) -> T,
    ) -> Option<T> {
        let jobs = self.jobs.clone()?;
        let kept = std::mem::take(&mut self.kept);
        let sources = Arc::clone(&self.sources);
        let mut work = Work {
            target,
            sources: &sources,
            around,
            progress: &mut self.progress,
            jobs,
            finished: self.finished.clone(),
            committer: std::mem::replace(&mut self.committer, Committer::Here),
            building: kept.building,
            taken: kept.taken,
            secured: kept.secured,
            adopted: kept.adopted,
            batch: kept.batch,
            linked: kept.linked,
            patience: kept.patience,
            waiting: kept.waiting,
            room: kept.room,
            done: kept.done,
        };
        let mut walk = Walk {
            position: std::mem::take(&mut self.position),
            steps_before: kept.steps_before,
        };
        let came_of_it = what(&mut work, &mut walk);
        self.position = walk.position;
        self.committer = work.committer;
        self.kept = Kept {
            building: work.building,
            taken: work.taken,
            secured: work.secured,
            adopted: work.adopted,
            batch: work.batch,
            linked: work.linked,
            patience: work.patience,
            waiting: work.waiting,
            room: work.room,
            steps_before: walk.steps_before,
            done: work.done,
        };
        Some(came_of_it)
    }

    /// Ends the threads. What they were building is taken up where it stopped by the next start.
    pub(in crate::engine) fn end(&mut self) {
        self.jobs = None;
        self.committer = Committer::Here;
        self.sources.set(Vec::new());
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a building thread panicked");
            }
        }
    }
}

impl Drop for Ongoing {
    fn drop(&mut self) {
        self.end();
    }
}

/// A walk through the pending paths.
struct Walk {
    position: Position,
    steps_before: u64,
}

impl Work<'_> {
    fn turn(
        &mut self,
        walk: &mut Walk,
        arrived: Vec<Built>,
        until: Instant,
    ) -> Result<Left, SyncError> {
        for built in arrived {
            self.built(built)?;
        }
        while self.building > 0
            && let Ok(built) = self.finished.try_recv()
        {
            self.all_built(built)?;
        }
        self.take_committed()?;
        while walk.position != Position::Rest {
            if self.has_no_room() {
                return self.leave_to_others();
            }
            if Instant::now() >= until {
                self.flush_made()?;
                self.hand_over_gathered()?;
                return Ok(Left::More);
            }
            self.step(walk)?;
        }
        if self.building > 0 || self.has_changes_ahead() {
            return self.leave_to_others();
        }
        self.flush()?;
        self.conclude(walk)
    }

    /// Whether one page more might have to wait: for those who build, or for a group to be committed.
    fn has_no_room(&self) -> bool {
        let ahead = self.building + PAGE_ROWS;
        ahead > JOBS_AHEAD_MAX || ahead + self.batch.len() > CHANGES_MAX
    }

    /// There is nothing to do until a file is built or a group committed.
    fn leave_to_others(&mut self) -> Result<Left, SyncError> {
        self.flush_made()?;
        self.hand_over_gathered()?;
        Ok(Left::Building)
    }

    /// Goes one page further.
    fn step(&mut self, walk: &mut Walk) -> Result<(), SyncError> {
        walk.position = match std::mem::take(&mut walk.position) {
            Position::Rest => Position::Rest,
            Position::Trees => {
                walk.steps_before = self.done.steps;
                self.prepare_trees()?;
                Position::Forward(None)
            }
            Position::Forward(cursor) => match self.page(Pass::Forward, cursor.as_ref())? {
                Some(cursor) => Position::Forward(Some(cursor)),
                None => Position::Backward(None),
            },
            Position::Backward(cursor) => match self.page(Pass::Backward, cursor.as_ref())? {
                Some(cursor) => Position::Backward(Some(cursor)),
                None => Position::Rest,
            },
        };
        Ok(())
    }

    /// All was gone through and nothing is under way: either what was done made more possible, or it is over.
    fn conclude(&mut self, walk: &mut Walk) -> Result<Left, SyncError> {
        let pending = self.target.replica.store().pending_count();
        let pending = pending.map_err(|error| self.target.failed(error))?;
        let went_on = self.done.steps != walk.steps_before;
        walk.steps_before = self.done.steps;
        let waited = std::mem::take(&mut self.waiting);
        let again = match self.patience {
            _ if pending == 0 => false,
            _ if went_on => {
                self.patience = Patience::Waits;
                true
            }
            Patience::Waits if waited => {
                self.patience = Patience::Gone;
                true
            }
            _ => false,
        };
        if again {
            walk.position = Position::Trees;
            return Ok(Left::More);
        }
        self.patience = Patience::Waits;
        self.part_adopted()?;
        self.look_at_linked()?;
        self.calm_directories()?;
        self.flush()?;
        self.target.drop_partials()?;
        self.room.look_again();
        self.taken.clear();
        Ok(Left::Nothing)
    }
}
