//! Looking for what changed in a root, and telling the replica.
//!
//! A scan compares the tree with the index; files that changed are hashed by several threads; one thread tells the
//! replica, creations first, so that a deletion can say where the file went.

use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};
use replicat_content::Content;
use replicat_core::entry::Payload;
use replicat_core::id::{ContentHash, LinkId};
use replicat_core::observe::{Found, Observed};
use replicat_core::path::RelPath;
use replicat_core::record::Record;
use replicat_core::store::{Children, Store, StoreError};
use replicat_fs::echo::Sifted;
use replicat_fs::filter::IGNORE_FILE_NAME;
use replicat_fs::observe::{AttributesOfFiles, Kind, LinkKey, Observation};
use replicat_fs::scan::{Baseline, Scan, ScanError, ScanItem, ScanReport};
use replicat_index::{Durability, IndexError, Reader};

use super::deletions::Looked;
use super::departures::{Departures, is_held};
use super::failure::scan_failed;
use super::hashing::{HashError, Hasher};
use super::local::LocalReplica;
use super::siblings::Siblings;
use super::sighting::{is_disturbed, new_link_id, present, sight};
use super::{clock, skipping};
use crate::error::SyncError;
use crate::event::{Phase, Reporter, ScanCounts, SyncEvent};
use crate::options::Cancellation;
use crate::report::{SkipReason, Statistics};

/// How many items wait between the threads of a scan.
const CHANNEL_ITEMS: usize = 1024;
/// After how many observations they are written to the index.
const OBSERVED_MAX: u64 = 4096;
/// How many changed files are held back until it is known what is missing, so that a renamed file need not be read.
/// Of more than that, the first are taken for new.
const HELD_BACK_MAX: usize = 200_000;

/// What a scan is to cover.
#[derive(Clone, Copy, Debug)]
pub(super) enum Scope<'paths> {
    /// The whole tree.
    Everything,
    /// These paths, and what is below them.
    Paths(&'paths [RelPath]),
    /// What a watch told of, its own echoes left out.
    Hints(&'paths Sifted),
}

/// What surrounds a scan.
#[derive(Clone, Copy)]
pub(super) struct Surroundings<'run> {
    pub(super) threads: NonZeroUsize,
    pub(super) cancellation: &'run Cancellation,
    pub(super) reporter: &'run dyn Reporter,
}

/// What a scan saw, beside what the replica was told.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) statistics: Statistics,
}

/// What is known of the tree, as of the index's last commit.
pub(super) struct Known(pub(super) Reader);

impl Baseline for Known {
    fn children(&self, directory: &RelPath) -> Result<Children, StoreError> {
        self.0
            .children(directory, None, usize::MAX)
            .map_err(|error| store_error("list", error))
    }

    fn record(&self, path: &RelPath) -> Result<Option<Record>, StoreError> {
        self.0
            .record(path)
            .map_err(|error| store_error("read", error))
    }
}

fn store_error(action: &'static str, error: IndexError) -> StoreError {
    StoreError {
        action,
        source: Box::new(error),
    }
}

/// A file that changed, and is to be read.
type ToRead = (RelPath, Box<Observation>);

/// What the threads of a scan tell the one that owns the replica.
enum Told {
    /// A path changed; the content, if it is a file that was read.
    Changed(RelPath, Box<Observation>, Option<Content>),
    Missing(RelPath),
    OutOfScope(RelPath),
    Skipped(RelPath, SkipReason),
}

/// Scans a root and tells its replica what changed.
pub(super) fn scan(
    local: &mut LocalReplica,
    scope: Scope<'_>,
    around: &Surroundings<'_>,
) -> Result<Seen, SyncError> {
    let phase = SyncEvent::PhaseStarted {
        root: Some(local.number),
        phase: Phase::Scan,
    };
    around.reporter.event(&phase);
    let (mut seen, outdated) = scan_once(local, scope, around)?;
    if !outdated.is_empty() {
        let outdated: Vec<RelPath> = outdated.into_iter().collect();
        let (more, _) = scan_once(local, Scope::Paths(&outdated), around)?;
        seen.statistics.bytes_hashed += more.statistics.bytes_hashed;
    }
    Ok(seen)
}

/// Scans, and returns the paths besides that are known to have changed with others.
fn scan_once(
    local: &mut LocalReplica,
    scope: Scope<'_>,
    around: &Surroundings<'_>,
) -> Result<(Seen, BTreeSet<RelPath>), SyncError> {
    if matches!(scope, Scope::Everything) {
        local.include_paths()?;
    }
    local.commit()?;
    let records = local
        .replica
        .store()
        .record_count()
        .map_err(|error| local.failed(error))?;
    let mut intake = Intake {
        is_first: records == 0,
        is_partial: !matches!(scope, Scope::Everything),
        ..Intake::default()
    };
    let walked = if records > 0 {
        walk(local, scope, around, &mut intake, Files::Held)?
    } else {
        walk(local, scope, around, &mut intake, Files::Read)?
    };
    match walked {
        Ok(report) => intake.conclude(local, &report, scope, around),
        // A scan that was cancelled told the truth, but not all of it: nothing is concluded from what it left out.
        Err(error) => match scan_failed(error, &local.given) {
            Some(error) => Err(error),
            None => Ok(Default::default()),
        },
    }
}

/// What becomes of changed files while the tree is walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Files {
    /// They are read at once.
    Read,
    /// They are held back until it is known what is missing.
    Held,
}

/// Walks the tree on threads of its own, while this one takes in what they tell.
fn walk(
    local: &mut LocalReplica,
    scope: Scope<'_>,
    around: &Surroundings<'_>,
    intake: &mut Intake,
    files: Files,
) -> Result<Result<ScanReport, ScanError>, SyncError> {
    let root = Arc::clone(&local.root);
    let known = Known(local.replica.store().reader());
    let (filter, tracking) = (local.filter.clone(), local.tracking);
    let hasher = Hasher::of(local, Some(tracking));
    let (to_read, reading) = bounded::<ToRead>(CHANNEL_ITEMS);
    let (tell, told) = bounded::<Told>(CHANNEL_ITEMS);
    std::thread::scope(|threads| {
        if files == Files::Read {
            spawn_readers(threads, &hasher, &reading, &tell, around);
        }
        drop(reading);
        let root = &root;
        let walking = threads.spawn(move || {
            let sink = |item: ScanItem| pass_on(item, files, &to_read, &tell, around.cancellation);
            let threads = around.threads;
            let (filter, baseline, sink) = (&filter, &known, &sink);
            let attributes = match files {
                Files::Read => AttributesOfFiles::Left,
                Files::Held => AttributesOfFiles::Observed,
            };
            let scan = Scan {
                root,
                filter,
                tracking,
                attributes,
                baseline,
                sink,
                threads,
            };
            match scope {
                Scope::Everything => scan.run(),
                Scope::Paths(paths) => scan.run_paths(paths),
                Scope::Hints(hints) => scan.run_hints(&hints.whole, &hints.alone),
            }
        });
        let taken = told
            .iter()
            .try_for_each(|item| intake.take(local, item, around));
        // An error here closes the channel, which ends the walk.
        drop(told);
        match walking.join() {
            Ok(walked) => taken.map(|()| walked),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

fn spawn_readers<'scope>(
    threads: &'scope std::thread::Scope<'scope, '_>,
    hasher: &Hasher,
    reading: &Receiver<ToRead>,
    tell: &Sender<Told>,
    around: &Surroundings<'_>,
) {
    for _ in 0..around.threads.get() {
        let (hasher, reading, tell) = (hasher.another(), reading.clone(), tell.clone());
        let cancellation = around.cancellation.clone();
        threads.spawn(move || read_all(hasher, &reading, &tell, &cancellation));
    }
}

/// Passes an item on to those who read, or to the owner of the replica.
fn pass_on(
    item: ScanItem,
    files: Files,
    to_read: &Sender<ToRead>,
    tell: &Sender<Told>,
    cancellation: &Cancellation,
) -> ControlFlow<()> {
    if cancellation.is_cancelled() {
        return ControlFlow::Break(());
    }
    let sent = match item {
        ScanItem::Changed { path, observation } => {
            if observation.kind == Kind::File && files == Files::Read {
                to_read.send((path, observation)).is_ok()
            } else {
                tell.send(Told::Changed(path, observation, None)).is_ok()
            }
        }
        ScanItem::Missing { path } => tell.send(Told::Missing(path)).is_ok(),
        ScanItem::OutOfScope { path } => tell.send(Told::OutOfScope(path)).is_ok(),
        ScanItem::Skipped { path, reason } => tell
            .send(Told::Skipped(path, skipping::of_scan(&reason)))
            .is_ok(),
    };
    if sent {
        ControlFlow::Continue(())
    } else {
        ControlFlow::Break(())
    }
}

/// Reads and names the files that come, until no more do.
fn read_all(
    mut hasher: Hasher,
    files: &Receiver<ToRead>,
    tell: &Sender<Told>,
    cancellation: &Cancellation,
) {
    for (path, mut observation) in files {
        if cancellation.is_cancelled() {
            continue;
        }
        let told = match hasher.hash(&path, &mut observation) {
            Ok(content) => Told::Changed(path, observation, Some(content)),
            Err(HashError::Changed) => Told::Skipped(path, SkipReason::Changing),
            Err(HashError::Unreadable(error)) => Told::Skipped(path, skipping::of_fs(&error)),
        };
        if tell.send(told).is_err() {
            return;
        }
    }
}

/// What the owner of the replica makes of what it is told.
#[derive(Default)]
struct Intake {
    held_back: Vec<ToRead>,
    missing: Vec<RelPath>,
    /// Directories and symlinks that changed: any may be a renamed one.
    others: Vec<(RelPath, Box<Observation>)>,
    /// Files with a content that was not known to be at their path: any may be a renamed one.
    arrivals: Vec<(ContentHash, RelPath)>,
    links: HashMap<LinkKey, LinkId>,
    /// Other names of files that changed, which are recorded as they were before.
    outdated: BTreeSet<RelPath>,
    hashed_bytes: u64,
    observed: u64,
    /// Nothing was known of the root: what it holds was there before.
    is_first: bool,
    /// Some paths are looked at, and not the whole tree.
    is_partial: bool,
}

impl Intake {
    fn take(
        &mut self,
        local: &mut LocalReplica,
        told: Told,
        around: &Surroundings<'_>,
    ) -> Result<(), SyncError> {
        match told {
            Told::Changed(path, observation, None) if observation.kind == Kind::File => {
                self.held_back.push((path, observation));
                if self.held_back.len() > HELD_BACK_MAX {
                    let files = std::mem::take(&mut self.held_back);
                    self.read(local, files, around)?;
                }
                Ok(())
            }
            Told::Changed(path, observation, content) => {
                self.changed(local, path, observation, content, around)
            }
            Told::Missing(path) => {
                self.missing.push(path);
                Ok(())
            }
            Told::OutOfScope(path) => self.observe(local, &path, Found::OutOfScope, around),
            Told::Skipped(path, reason) => {
                local.skip(path, reason);
                Ok(())
            }
        }
    }

    fn changed(
        &mut self,
        local: &mut LocalReplica,
        path: RelPath,
        observation: Box<Observation>,
        content: Option<Content>,
        around: &Surroundings<'_>,
    ) -> Result<(), SyncError> {
        if let Some(content) = &content {
            self.hashed_bytes += content.size;
            local.keep_manifest(content)?;
        }
        let hash = content.map(|content| content.hash);
        self.found(local, &path, &observation, hash, around)?;
        if observation.kind != Kind::File {
            self.others.push((path, observation));
        }
        Ok(())
    }

    fn found(
        &mut self,
        local: &mut LocalReplica,
        path: &RelPath,
        observation: &Observation,
        content: Option<ContentHash>,
        around: &Surroundings<'_>,
    ) -> Result<(), SyncError> {
        // Nothing is noted either: should the process end before it has its own time again, the next scan has to see that.
        if is_disturbed(local, path, observation)? {
            return Ok(());
        }
        self.note_present(local, path, observation)?;
        let link = match observation.link {
            Some(key) => Some(self.link_id(local, path, observation, content, key)?),
            None => None,
        };
        let Some(mut found) = present(observation, content, link) else {
            return Ok(());
        };
        let alike = local.unheld_elsewhere(path, &found)?;
        if let (Some(alike), Found::Present(present)) = (&alike, &mut found) {
            present.metadata = alike.meant.clone();
        }
        self.observe(local, path, found, around)?;
        match alike {
            Some(alike) => local.note_alike(path, alike),
            None => Ok(()),
        }
    }

    /// Tells the guard of deletions that something is at a path: a program made it, or what was gone is there again.
    fn note_present(
        &mut self,
        local: &mut LocalReplica,
        path: &RelPath,
        observation: &Observation,
    ) -> Result<(), SyncError> {
        local.deletions.guard.release(path);
        if self.is_first || observation.kind == Kind::Directory {
            return Ok(());
        }
        let record = local.replica.record(path);
        if (record.map_err(|error| local.failed(error))?.local).is_none() {
            let now = local.deletions.now();
            let size = observation.fingerprint.size;
            local.deletions.guard.handle_made(now, path, size);
        }
        Ok(())
    }

    fn observe(
        &mut self,
        local: &mut LocalReplica,
        path: &RelPath,
        found: Found,
        around: &Surroundings<'_>,
    ) -> Result<(), SyncError> {
        local.note_rules(path);
        let sight = match around.reporter.wants_observations() {
            true => sight(local, path, &found)?,
            false => None,
        };
        let observed = local.replica.observe(clock::now(), path, found);
        let observed = observed.map_err(|error| local.failed(error))?;
        if let (Some(sight), Observed::Event(_)) = (sight, observed) {
            around.reporter.event(&SyncEvent::Observed(sight));
        }
        self.observed += 1;
        if self.observed.is_multiple_of(OBSERVED_MAX) {
            // What was seen is true whenever the run ends, and what is written is read faster.
            let done = local.replica.store_mut().commit(Durability::None);
            done.map_err(|error| local.index_failed(error))?;
        }
        Ok(())
    }

    /// The group of a file with several names: the one it had, or a new one.
    fn link_id(
        &mut self,
        local: &LocalReplica,
        path: &RelPath,
        observation: &Observation,
        content: Option<ContentHash>,
        key: LinkKey,
    ) -> Result<LinkId, SyncError> {
        if let Some(id) = self.links.get(&key) {
            return Ok(*id);
        }
        // Where the whole tree is looked at, all names are.
        let siblings = match self.is_partial {
            true => local.siblings(path, content, &observation.fingerprint)?,
            false => Siblings::default(),
        };
        self.outdated.extend(siblings.outdated);
        let record = local
            .replica
            .record(path)
            .map_err(|error| local.failed(error))?;
        let known = match record.held_payload() {
            Some(Payload::File { link, .. }) => link,
            _ => None,
        };
        let id = known
            .or(siblings.link)
            .unwrap_or_else(|| new_link_id(local.replica.identity().replica, key));
        self.links.insert(key, id);
        Ok(id)
    }

    /// Reads files on several threads and takes in what they hold.
    fn read(
        &mut self,
        local: &mut LocalReplica,
        files: Vec<ToRead>,
        around: &Surroundings<'_>,
    ) -> Result<(), SyncError> {
        if files.is_empty() {
            return Ok(());
        }
        let hasher = Hasher::of(local, None);
        let (to_read, reading) = bounded::<ToRead>(CHANNEL_ITEMS);
        let (tell, told) = bounded::<Told>(CHANNEL_ITEMS);
        std::thread::scope(|threads| {
            spawn_readers(threads, &hasher, &reading, &tell, around);
            drop((reading, tell));
            threads.spawn(move || {
                // A failed send says that nobody reads any more.
                let _ = files.into_iter().try_for_each(|file| to_read.send(file));
            });
            told.iter().try_for_each(|item| {
                if let Told::Changed(path, _, Some(content)) = &item
                    && !is_held(local, path, content.hash)?
                {
                    self.arrivals.push((content.hash, path.clone()));
                }
                self.take(local, item, around)
            })
        })
    }

    /// When all is told: renamed files are recognised, the others read, and what is missing is told last.
    fn conclude(
        mut self,
        local: &mut LocalReplica,
        report: &ScanReport,
        scope: Scope<'_>,
        around: &Surroundings<'_>,
    ) -> Result<(Seen, BTreeSet<RelPath>), SyncError> {
        let mut departures = Departures::of(local, &self.missing)?;
        let mut unread = Vec::new();
        for (path, observation) in std::mem::take(&mut self.held_back) {
            match departures
                .arrive(&path, &observation)
                .and_then(|held| held.content())
            {
                Some(content) => {
                    self.found(local, &path, &observation, Some(content), around)?;
                }
                None => unread.push((path, observation)),
            }
        }
        for (path, observation) in &self.others {
            departures.arrive(path, observation);
        }
        self.read(local, unread, around)?;
        departures.pair_by_content(&self.arrivals);
        if !around.cancellation.is_cancelled() {
            let looked = match scope {
                Scope::Everything => Looked::Everything,
                Scope::Paths(paths) => Looked::Within(paths),
                Scope::Hints(hints) => Looked::Within(&hints.whole),
            };
            let missing = std::mem::take(&mut self.missing);
            for path in local.judge_missing(missing, &departures, looked)? {
                let moved_to = departures.destination(&path);
                self.observe(local, &path, Found::Absent { moved_to }, around)?;
            }
        }
        tell_counts(local, report, around);
        let statistics = Statistics {
            files_scanned: report.files,
            directories_scanned: report.directories,
            bytes_scanned: report.bytes,
            bytes_hashed: self.hashed_bytes,
            ..Statistics::default()
        };
        Ok((Seen { statistics }, self.outdated))
    }
}

fn tell_counts(local: &LocalReplica, report: &ScanReport, around: &Surroundings<'_>) {
    around.reporter.event(&SyncEvent::Scanned {
        root: local.number,
        counts: ScanCounts {
            files: report.files,
            directories: report.directories,
            symlinks: report.symlinks,
            bytes: report.bytes,
            changed: report.changed + report.missing,
        },
    });
    for warning in &report.warnings {
        around.reporter.event(&SyncEvent::Warning {
            root: Some(local.number),
            path: warning.directory.join(IGNORE_FILE_NAME).ok(),
            message: format!(
                "line {} is left out of account: {}",
                warning.line, warning.reason
            ),
        });
    }
}
