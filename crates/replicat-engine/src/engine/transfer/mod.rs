//! Bringing a root to what its replica's entries show.
//!
//! Steps are planned path by path, contents are staged by several threads, and what is staged is committed in groups:
//! flush, rename, flush, record. A step whose precondition no longer holds is left, and its path is looked at again.

mod batch;
mod committing;
mod content;
mod history;
mod item;
mod moves;
mod ongoing;
mod parting;
mod recipe;
mod room;
mod staging;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, unbounded};
use replicat_core::id::ContentHash;
use replicat_core::path::RelPath;
use replicat_core::plan::{Planned, Step, Task};
use replicat_core::store::Store;
use replicat_fs::filter::PathFilter;
use replicat_fs::stage::Staged;

use super::held::Held;
use super::local::LocalReplica;
use super::scan::Surroundings;
use crate::error::SyncError;
use crate::event::{Progress, SyncEvent};
use crate::report::SkipReason;
use batch::Batch;
use committing::Committer;
pub(super) use content::Neighbour;
use room::RoomAhead;
use staging::{BuildError, Builder, Built, Job};

pub use content::Reply;
pub(in crate::engine) use content::want;
pub(crate) use content::{PIECE_BYTES_MAX, Source, Sources};
pub(super) use item::origin_of_copy;
pub(super) use ongoing::{Left, Ongoing};

/// How many pending paths are looked at at once.
const PAGE_ROWS: usize = 512;
/// How many files may be staged or waiting to be.
const JOBS_AHEAD_MAX: usize = 2048;
/// How often the pending paths are gone through; each pass does what the one before made possible.
const PASSES_MAX: usize = 16;

/// What a transfer did.
#[derive(Debug, Default)]
pub(super) struct Transferred {
    /// Steps carried out.
    pub(super) steps: u64,
    /// Paths that were not as expected, to be looked at again.
    pub(super) look_again: BTreeSet<RelPath>,
    /// Bytes that came from other roots.
    pub(super) fetched: u64,
    /// Bytes that were at hand.
    pub(super) reused: u64,
    /// Conflict copies that were made.
    pub(super) copies: BTreeSet<RelPath>,
}

/// Does all that can be done at one root, given what the others hold.
pub(super) fn transfer(
    target: &mut LocalReplica,
    others: &[&LocalReplica],
    around: &Surroundings<'_>,
    progress: &mut Progress,
) -> Result<Transferred, SyncError> {
    let pending = target
        .replica
        .store()
        .pending_count()
        .map_err(|error| target.failed(error))?;
    if pending == 0 {
        return Ok(Transferred::default());
    }
    if target.is_read_only {
        target.skip_read_only()?;
        return Ok(Transferred::default());
    }
    // Another root may have got it since.
    target
        .skipped
        .retain(|skipped| skipped.reason != SkipReason::ContentMissing);
    // The last is the target itself, for what its trash holds.
    let held = (others.iter().copied()).chain([&*target]).map(Held::of);
    let sources = held.map(|held| Arc::new(Neighbour(Arc::new(held))) as Arc<dyn Source>);
    let sources = Arc::new(Sources::near(sources.collect()));
    let (jobs, to_build) = unbounded::<Job>();
    let (built, finished) = unbounded::<Vec<Built>>();
    let builders = builders(target, &sources, around)?;
    std::thread::scope(|threads| {
        for builder in builders {
            let (to_build, built) = (to_build.clone(), built.clone());
            threads.spawn(move || builder.work(&to_build, &built));
        }
        drop((to_build, built));
        let committer = match &target.hands {
            Some(hands) => {
                let (committer, work) = Committer::beside(&hands.applier);
                threads.spawn(work);
                committer
            }
            // There is nothing to commit.
            None => Committer::Here,
        };
        let channels = (jobs, finished, committer);
        let mut work = Work::new(target, &sources, around, progress, channels);
        work.run()?;
        Ok(work.done)
    })
}

fn builders(
    target: &LocalReplica,
    sources: &Arc<Sources>,
    around: &Surroundings<'_>,
) -> Result<Vec<Builder>, SyncError> {
    let Some(hands) = &target.hands else {
        return Ok(Vec::new());
    };
    let share = around.threads.get();
    let build = |_| {
        let staging = hands.staging.fork();
        Ok(Builder {
            root: Arc::clone(&target.root),
            staging: staging.map_err(|error| target.fs_failed(error))?,
            sources: Arc::clone(sources),
            cancellation: around.cancellation.clone(),
            share,
        })
    };
    (0..share).map(build).collect()
}

/// A transfer under way.
struct Work<'run> {
    target: &'run mut LocalReplica,
    sources: &'run Sources,
    around: &'run Surroundings<'run>,
    progress: &'run mut Progress,
    jobs: Sender<Job>,
    finished: Receiver<Vec<Built>>,
    committer: Committer,
    /// Files that are being built.
    building: usize,
    /// The paths that wait to be built or changed, and those that failed: none is taken up twice.
    taken: HashSet<RelPath>,
    /// Contents that were linked into staging because what held them had to go.
    secured: HashMap<ContentHash, Staged>,
    /// The paths of files that were given one more name, to live on under: one each.
    adopted: BTreeSet<RelPath>,
    batch: Batch,
    /// Files that got or lost a name: how they look has to be noted again.
    linked: BTreeSet<RelPath>,
    patience: Patience,
    /// A step waited in this pass.
    waiting: bool,
    room: RoomAhead,
    done: Transferred,
}

/// Which steps a pass takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pass {
    /// Whatever comes into being or changes, parents first.
    Forward,
    /// Whatever goes, children first.
    Backward,
}

/// Whether steps wait for copies to be made of what they displace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Patience {
    /// They do.
    #[default]
    Waits,
    /// Nothing else is left to do: they wait for each other.
    Gone,
}

impl<'run> Work<'run> {
    fn new(
        target: &'run mut LocalReplica,
        sources: &'run Sources,
        around: &'run Surroundings<'run>,
        progress: &'run mut Progress,
        (jobs, finished, committer): (Sender<Job>, Receiver<Vec<Built>>, Committer),
    ) -> Self {
        Self {
            target,
            sources,
            around,
            progress,
            jobs,
            finished,
            committer,
            building: 0,
            taken: HashSet::new(),
            secured: HashMap::new(),
            adopted: BTreeSet::new(),
            batch: Batch::default(),
            linked: BTreeSet::new(),
            patience: Patience::Waits,
            waiting: false,
            room: RoomAhead::default(),
            done: Transferred::default(),
        }
    }

    fn run(&mut self) -> Result<(), SyncError> {
        for _ in 0..PASSES_MAX {
            let before = self.done.steps;
            self.prepare_trees()?;
            self.pass(Pass::Forward)?;
            self.finish_building()?;
            self.pass(Pass::Backward)?;
            self.flush()?;
            if self.is_cancelled() {
                break;
            }
            let waited = std::mem::take(&mut self.waiting);
            self.patience = match (self.done.steps == before, self.patience) {
                (false, _) => Patience::Waits,
                (true, Patience::Waits) if waited => Patience::Gone,
                (true, _) => break,
            };
        }
        self.part_adopted()?;
        self.look_at_linked()?;
        self.calm_directories()?;
        self.target.drop_partials()?;
        self.flush()
    }

    fn is_cancelled(&self) -> bool {
        self.around.cancellation.is_cancelled()
    }

    fn pass(&mut self, pass: Pass) -> Result<(), SyncError> {
        let mut cursor: Option<RelPath> = None;
        while !self.is_cancelled() {
            cursor = self.page(pass, cursor.as_ref())?;
            if cursor.is_none() {
                break;
            }
            self.take_built()?;
        }
        Ok(())
    }

    /// Takes up the steps of some pending paths beyond `cursor`; the last of them, `None` if there are no more.
    fn page(&mut self, pass: Pass, cursor: Option<&RelPath>) -> Result<Option<RelPath>, SyncError> {
        let store = self.target.replica.store();
        let page = match pass {
            Pass::Forward => store.pending(cursor, PAGE_ROWS),
            Pass::Backward => store.pending_backwards(cursor, PAGE_ROWS),
        };
        let page = page.map_err(|error| self.target.failed(error))?;
        let last = page.last().cloned();
        // Ignore files may have come in with the page before.
        let (root, filter) = (Arc::clone(&self.target.root), self.target.filter.clone());
        let mut scope = filter.paths(&root);
        for path in page {
            self.take_up(pass, &path, &mut scope)?;
        }
        Ok(last)
    }

    fn take_up(
        &mut self,
        pass: Pass,
        path: &RelPath,
        scope: &mut PathFilter<'_>,
    ) -> Result<(), SyncError> {
        if self.taken.contains(path) || self.target.leaves_out(path, scope)? {
            return Ok(());
        }
        let planned = self
            .target
            .replica
            .plan(path)
            .map_err(|error| self.target.failed(error))?;
        let step = match planned {
            Planned::Step(step) => step,
            Planned::Blocked(_) | Planned::Nothing => {
                return Ok(());
            }
        };
        let goes = matches!(step.task, Task::Remove | Task::RemoveDirectory);
        if goes != (pass == Pass::Backward) || self.is_held(&step)? {
            return Ok(());
        }
        self.start(step)
    }

    /// Whether a step removes a file that was deleted elsewhere, while such deletions are held.
    fn is_held(&self, step: &Step) -> Result<bool, SyncError> {
        Ok(step.task == Task::Remove && self.target.is_held_back(&step.path)?)
    }

    /// Begins a step: files are built by others first, the rest is done with the next batch or at once.
    fn start(&mut self, step: Box<Step>) -> Result<(), SyncError> {
        if step.path.is_root() {
            return self.describe_root(&step);
        }
        if self.is_awaited(&step)? {
            self.waiting = true;
            return Ok(());
        }
        if step.secure.is_some() && !matches!(step.task, Task::Remove) {
            self.secure(&step)?;
        }
        match step.task.clone() {
            Task::WriteFile {
                content,
                size,
                link,
            } => self.start_file(step, content, size, link),
            // What is below can only be made once this is there.
            Task::MakeDirectory => self.do_now(&step),
            Task::MakeSymlink { .. } | Task::Describe | Task::Remove => self.do_later(step),
            // Whether it is empty is seen by what was done before.
            Task::RemoveDirectory => {
                self.apply_ahead()?;
                self.do_now(&step)
            }
        }
    }

    fn take_built(&mut self) -> Result<(), SyncError> {
        while self.building >= JOBS_AHEAD_MAX {
            self.await_any()?;
        }
        while let Ok(built) = self.finished.try_recv() {
            self.all_built(built)?;
        }
        Ok(())
    }

    fn finish_building(&mut self) -> Result<(), SyncError> {
        while self.building > 0 {
            self.await_any()?;
        }
        self.flush()
    }

    fn all_built(&mut self, built: Vec<Built>) -> Result<(), SyncError> {
        built.into_iter().try_for_each(|built| self.built(built))
    }

    fn built(&mut self, built: Built) -> Result<(), SyncError> {
        self.building -= 1;
        let Built {
            step,
            staged,
            manifest,
            needed,
            fetched,
            reused,
        } = built;
        self.room.end(needed);
        if let (Some(manifest), Task::WriteFile { content, .. }) = (manifest, &step.task) {
            self.target.set_manifest(*content, &manifest)?;
        }
        self.done.fetched += fetched;
        self.done.reused += reused;
        match staged {
            Ok(staged) => self.put(step, staged),
            Err(BuildError::Cancelled) => Ok(()),
            Err(BuildError::Missing) => {
                self.target
                    .skip_step(step.path.clone(), SkipReason::ContentMissing);
                Ok(())
            }
            Err(BuildError::Unwritable(error)) if error.is_disk_full() => self.no_room(step),
            Err(BuildError::Unwritable(error)) => {
                self.target
                    .skip_step(step.path.clone(), super::skipping::of_fs(&error));
                Ok(())
            }
        }
    }

    fn tell_progress(&mut self, bytes: u64) {
        self.progress.files_done += 1;
        self.progress.bytes_done += bytes;
        self.progress.files_total = self.progress.files_total.max(self.progress.files_done);
        self.progress.bytes_total = self.progress.bytes_total.max(self.progress.bytes_done);
        self.around
            .reporter
            .event(&SyncEvent::Progress(*self.progress));
    }
}
