//! The engine of the one-shot sync: scan, exchange, transfer, verify, until nothing is left to do.
//!
//! Goals: the rules are those of `replicat-core`, carried out on real directories; whatever stops a run, every file is
//! whole and the next run carries on. Non-goals: deciding what wins, printing.

mod clock;
mod conflicts;
mod deletions;
mod departures;
mod exchange;
mod failure;
mod failures;
mod finish;
mod gleaned;
mod hashing;
mod held;
mod identifying;
pub mod inspect;
pub mod live;
mod local;
mod manifests;
mod open_all;
mod partners;
mod refused;
mod retention;
mod roots;
mod rules;
mod scan;
mod scope;
mod selection;
mod setbacks;
mod siblings;
mod sighting;
mod skipping;
mod transfer;
mod unheld;

pub(crate) use local::state_directory;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use replicat_core::path::RelPath;
use replicat_fs::filter::Filter;

use crate::error::SyncError;
use crate::event::{Phase, PlanTotals, Progress, Reporter, SyncEvent};
use crate::options::{Mode, Strictness, SyncOptions};
use crate::report::{BrakeReport, Outcome, Severity, Skipped, Statistics, SyncReport};
use deletions::{Decision, Verdict};
use failures::{FailedAt, Failures};
use finish::Ending;
use local::LocalReplica;
use scan::{Scope, Seen, Surroundings};

/// How often the run starts over because files changed under its hands.
const ROUNDS_MAX: usize = 16;

/// How often a root is looked at again while it loses files.
const BURST_LOOKS_MAX: usize = 64;

/// Makes the trees under `roots` equal.
///
/// # Errors
/// [`SyncError`] if the run could not be done; what was done until then stays done, and every file is whole. Paths that
/// could not be synced are no error, they are listed in the report.
pub fn sync(
    roots: &[PathBuf],
    options: &SyncOptions,
    reporter: &dyn Reporter,
) -> Result<SyncReport, SyncError> {
    let started = Instant::now();
    let mut failures = Failures::new(roots, reporter);
    let may_write = options.mode == Mode::Apply;
    let checked = roots::check(roots, options.missing_root, may_write, &mut failures)?;
    roots::check_state(&checked.present, options.state_dir.as_deref())?;
    for root in &checked.present {
        if let Some(message) = roots::enclosing(&root.canonical) {
            reporter.event(&SyncEvent::Warning {
                root: Some(root.number),
                path: None,
                message,
            });
        }
    }
    let filter = Filter::new(options.rules.clone());
    let mut replicas = open_all::open_all(&checked, &filter, options, &mut failures)?;
    for local in &mut replicas {
        local.gleaned = Some(Arc::default());
        local.recall_unheld()?;
    }
    let threads = options
        .threads
        .unwrap_or_else(replicat_fs::scan::default_threads);
    let around = Surroundings {
        threads,
        cancellation: &options.cancellation,
        reporter,
    };
    let mut run = Run {
        replicas,
        failures,
        dropped: Vec::new(),
        options,
        around,
        statistics: Statistics::default(),
        brakes: Vec::new(),
        copies: BTreeSet::new(),
        progress: Progress::default(),
    };
    let equal = run.run()?;
    let mut report = run.report(equal)?;
    report.statistics.elapsed = started.elapsed();
    Ok(report)
}

fn random_u64() -> Result<u64, SyncError> {
    getrandom::u64().map_err(|error| no_randomness(&error))
}

fn random_u128() -> Result<u128, SyncError> {
    Ok(u128::from(random_u64()?) << 64 | u128::from(random_u64()?))
}

fn no_randomness(error: &getrandom::Error) -> SyncError {
    SyncError::Io {
        action: "read random bytes from",
        path: PathBuf::from("/dev/urandom"),
        source: std::io::Error::other(error.to_string()),
    }
}

/// A sync under way.
struct Run<'run> {
    replicas: Vec<LocalReplica>,
    failures: Failures<'run>,
    /// Replicas whose roots failed. What they hold can still be read.
    dropped: Vec<LocalReplica>,
    options: &'run SyncOptions,
    around: Surroundings<'run>,
    statistics: Statistics,
    brakes: Vec<BrakeReport>,
    /// Conflict copies that were made.
    copies: BTreeSet<RelPath>,
    progress: Progress,
}

impl Run<'_> {
    /// Says whether all replicas are known to hold the same versions.
    fn run(&mut self) -> Result<bool, SyncError> {
        self.spread_approval();
        self.trust_each_other();
        self.scan_all()?;
        self.await_bursts()?;
        for local in &mut self.replicas {
            local.rules_changed.clear();
        }
        if self.is_stopped() {
            return Ok(false);
        }
        if self.options.mode == Mode::Apply {
            let partners = partners::all(&self.replicas);
            self.each(|local| local.remember_partners(&partners))?;
        }
        let mut equal = false;
        for round in 0..ROUNDS_MAX {
            self.around.reporter.event(&SyncEvent::PhaseStarted {
                root: None,
                phase: if round == 0 {
                    Phase::Exchange
                } else {
                    Phase::Verify
                },
            });
            equal = self.converge()?;
            self.each(LocalReplica::exclude_pending)?;
            if self.judge_deletions()? {
                equal = self.converge()?;
            }
            self.count_plan()?;
            if self.is_stopped() || !self.transfer_all()? {
                break;
            }
        }
        self.report_brakes()?;
        if self.options.mode == Mode::Apply {
            self.finish(equal)?;
        }
        Ok(equal)
    }

    /// Ends a run that may have changed files.
    fn finish(&mut self, equal: bool) -> Result<(), SyncError> {
        let ending = match self.is_stopped() {
            true => Ending::CutShort,
            false => Ending::Complete,
        };
        let mut news = false;
        self.each(|local| {
            local.conclude_verdict()?;
            local.keep_window()?;
            news |= local.note_end(equal)?;
            Ok(())
        })?;
        if news {
            // All learn from each other's greetings how far the others have come.
            self.converge()?;
        }
        self.each(|local| local.keep_end(ending))
    }

    /// Does something at each root. Those where it fails are dropped.
    fn each(
        &mut self,
        work: impl FnMut(&mut LocalReplica) -> Result<(), SyncError>,
    ) -> Result<(), SyncError> {
        let failed = self.failures.each(&mut self.replicas, work)?;
        self.dropped.extend(failed);
        Ok(())
    }

    /// Goes on without a root that failed.
    fn drop_root(&mut self, failed: FailedAt) -> Result<(), SyncError> {
        let FailedAt { root, error } = failed;
        self.failures.note(root, error)?;
        if let Some(at) = (self.replicas.iter()).position(|local| local.number == root) {
            self.dropped.push(self.replicas.remove(at));
        }
        Ok(())
    }

    fn converge(&mut self) -> Result<bool, SyncError> {
        loop {
            match exchange::converge(&mut self.replicas) {
                Ok(equal) => return Ok(equal),
                Err(failed) => self.drop_root(failed)?,
            }
        }
    }

    fn is_stopped(&self) -> bool {
        self.options.cancellation.is_cancelled()
    }

    /// Who approved the deletions of one root approved them for all roots of the run.
    fn spread_approval(&mut self) {
        let is_approved =
            |local: &LocalReplica| local.deletions.guard.verdict() == Some(Verdict::Approved);
        if self.replicas.iter().any(is_approved) {
            for local in &mut self.replicas {
                let now = local.deletions.now();
                local.deletions.guard.allow_departing(now);
            }
        }
    }

    /// Deletions that this run finds in one root are judged there, and not again at the others.
    fn trust_each_other(&mut self) {
        let identities = self.replicas.iter().map(|local| local.replica.identity());
        let finders: Vec<_> = identities.map(|own| (own.replica, own.counter)).collect();
        for local in &mut self.replicas {
            for (replica, counter) in &finders {
                local.deletions.trust(*replica, *counter);
            }
        }
    }

    fn scan_all(&mut self) -> Result<(), SyncError> {
        let around = &self.around;
        let scanned: Vec<Result<Seen, FailedAt>> = std::thread::scope(|threads| {
            let running: Vec<_> = (self.replicas.iter_mut())
                .map(|local| {
                    threads.spawn(move || {
                        let seen = scan_root(local, around);
                        seen.map_err(|error| local.failed_at(error))
                    })
                })
                .collect();
            let join = |thread: std::thread::ScopedJoinHandle<'_, _>| match thread.join() {
                Ok(seen) => seen,
                Err(panic) => std::panic::resume_unwind(panic),
            };
            running.into_iter().map(join).collect()
        });
        for seen in scanned {
            match seen {
                Ok(seen) => self.note_scan(&seen),
                Err(failed) => self.drop_root(failed)?,
            }
        }
        Ok(())
    }

    fn note_scan(&mut self, seen: &Seen) {
        let Statistics {
            files_scanned,
            directories_scanned,
            ..
        } = seen.statistics;
        self.statistics.files_scanned += files_scanned;
        self.statistics.directories_scanned += directories_scanned;
        self.statistics.bytes_scanned += seen.statistics.bytes_scanned;
        self.statistics.bytes_hashed += seen.statistics.bytes_hashed;
    }

    /// Looks again at roots that lose files, until they lose no more or most is gone.
    fn await_bursts(&mut self) -> Result<(), SyncError> {
        let around = self.around;
        self.each(|local| {
            for _ in 0..BURST_LOOKS_MAX {
                // While another root was waited for, the time may have come: what passes is observed by a scan.
                let is_held = local.deletions.guard.held_files() > 0;
                match local.judge_deletions()? {
                    Decision::Pass if is_held => {}
                    Decision::Hold(_) if local.deletions.wait(around.cancellation) => {}
                    _ => break,
                }
                scan::scan(local, Scope::Everything, &around)?;
            }
            Ok(())
        })
    }

    /// Judges what was deleted elsewhere, for each root. Returns whether that made events.
    fn judge_deletions(&mut self) -> Result<bool, SyncError> {
        let cancellation = &self.options.cancellation;
        let mut news = false;
        self.each(|local| {
            if local.deletions.guard.verdict() == Some(Verdict::Rejected) {
                news |= local.reject_departing()? > 0;
            }
            local.await_decision(cancellation)?;
            Ok(())
        })?;
        Ok(news)
    }

    /// Notes which roots hold deletions until a person decides.
    fn report_brakes(&mut self) -> Result<(), SyncError> {
        let mut brakes = Vec::new();
        self.each(|local| {
            local.judge_deletions()?;
            if let Some(brake) = local.brake()? {
                brakes.push(BrakeReport {
                    root: local.given.clone(),
                    brake,
                    held: local.held_deletions()?,
                });
            }
            Ok(())
        })?;
        self.brakes = brakes;
        Ok(())
    }

    /// Counts what is to be done.
    fn count_plan(&mut self) -> Result<(), SyncError> {
        let mut totals = PlanTotals::default();
        self.each(|local| {
            let planned = local.totals()?;
            totals.files += planned.files;
            totals.bytes += planned.bytes;
            totals.deletes += planned.deletes;
            Ok(())
        })?;
        self.progress.files_total = self.progress.files_done + totals.files + totals.deletes;
        self.progress.bytes_total = self.progress.bytes_done + totals.bytes;
        self.around.reporter.event(&SyncEvent::Planned(totals));
        Ok(())
    }

    /// Brings all roots to what their replicas show; says whether that changed anything that others should know.
    fn transfer_all(&mut self) -> Result<bool, SyncError> {
        let phase = SyncEvent::PhaseStarted {
            root: None,
            phase: Phase::Transfer,
        };
        self.around.reporter.event(&phase);
        let (mut look_again, mut steps, mut at) = (false, 0, 0);
        while at < self.replicas.len() {
            match self.transfer_to(at) {
                Ok(done) => {
                    look_again |= done.look_again;
                    steps += done.steps;
                    at += 1;
                }
                Err(failed) => {
                    self.drop_root(failed)?;
                    look_again = true;
                }
            }
        }
        let mut pending = 0;
        self.each(|local| {
            pending += local.pending()?;
            Ok(())
        })?;
        // What is left may have waited for a content that another root got meanwhile.
        Ok(look_again || steps > 0 && pending > 0)
    }

    /// Brings one root to what its replica shows.
    fn transfer_to(&mut self, at: usize) -> Result<TransferredTo, FailedAt> {
        let mut result = TransferredTo::default();
        let (before, rest) = self.replicas.split_at_mut(at);
        let Some((target, after)) = rest.split_first_mut() else {
            return Ok(result);
        };
        let others = before.iter().chain(after.iter()).chain(&self.dropped);
        let others: Vec<&LocalReplica> = others.collect();
        let done = transfer::transfer(target, &others, &self.around, &mut self.progress);
        let done = done.map_err(|error| target.failed_at(error))?;
        result.steps = done.steps;
        self.statistics.bytes_copied += done.fetched;
        self.statistics.bytes_reused += done.reused;
        self.copies.extend(done.copies);
        if !done.look_again.is_empty() && !self.options.cancellation.is_cancelled() {
            result.look_again = true;
            let paths: Vec<RelPath> = done.look_again.into_iter().collect();
            let seen = scan::scan(target, Scope::Paths(&paths), &self.around);
            seen.map_err(|error| target.failed_at(error))?;
        }
        let followed = follow_rules(target, &self.around);
        result.look_again |= followed.map_err(|error| target.failed_at(error))?;
        Ok(result)
    }

    fn report(mut self, equal: bool) -> Result<SyncReport, SyncError> {
        let mut skipped = Vec::new();
        let cancelled = self.options.cancellation.is_cancelled();
        self.each(|local| {
            let own = std::mem::take(&mut local.skipped);
            skipped.extend(local.graded(own)?);
            Ok(())
        })?;
        if self.options.strictness == Strictness::Strict {
            for row in &mut skipped {
                row.severity = Severity::Error;
            }
        }
        let conflicts = conflicts::of_copies(&self.replicas[0], &self.copies)?;
        let is_held = |local: &LocalReplica| !local.deletions.guard.held().is_empty();
        let is_held = self.replicas.iter().any(is_held) || !self.brakes.is_empty();
        let failed = skipped.iter().any(Skipped::is_error) || !self.failures.is_empty();
        let opened = self.replicas.iter().chain(&self.dropped);
        let opened = opened.map(|local| (local.number, local.report()));
        let roots = finish::all_roots(opened.collect(), self.failures);
        for root in &roots {
            self.statistics.changes.add(root.changes);
        }
        let changed = self.statistics.changes.total() > 0;
        let outcome = match self.options.mode {
            _ if cancelled => Outcome::Cancelled,
            Mode::Apply => Outcome::Finished,
            Mode::DryRun => Outcome::Planned,
        };
        let undone = outcome == Outcome::Planned && changed || outcome == Outcome::Cancelled;
        let in_sync = equal && !undone && !failed && !is_held;
        Ok(SyncReport {
            outcome,
            in_sync,
            roots,
            conflicts,
            skipped,
            brakes: self.brakes,
            statistics: self.statistics,
        })
    }
}

/// What a transfer to one root did.
#[derive(Default)]
struct TransferredTo {
    steps: u64,
    /// It changed something that others should know.
    look_again: bool,
}

/// Compares the directories whose ignore files a transfer brought. Returns whether there were any.
fn follow_rules(local: &mut LocalReplica, around: &Surroundings<'_>) -> Result<bool, SyncError> {
    let changed = std::mem::take(&mut local.rules_changed);
    // In a dry run the ignore files are not there.
    if changed.is_empty() || local.hands.is_none() || around.cancellation.is_cancelled() {
        return Ok(false);
    }
    local.include_paths()?;
    let directories: Vec<RelPath> = changed.into_iter().collect();
    scan::scan(local, Scope::Paths(&directories), around)?;
    local.rules_changed.clear();
    Ok(true)
}

fn scan_root(local: &mut LocalReplica, around: &Surroundings<'_>) -> Result<Seen, SyncError> {
    let seen = scan::scan(local, Scope::Everything, around)?;
    local.observe_itself()?;
    Ok(seen)
}
