//! The engine of the one-shot sync: scan, exchange, transfer, verify, until nothing is left to do.
//!
//! Goals: the rules are those of `replicat-core`, carried out on real directories; whatever stops a run, every file is
//! whole and the next run carries on. Non-goals: deciding what wins, printing.

mod brakes;
mod clock;
mod conflicts;
mod departures;
mod exchange;
mod failure;
mod finish;
mod gleaned;
mod hashing;
mod held;
pub mod inspect;
pub mod live;
mod local;
mod manifests;
mod partners;
mod refused;
mod retention;
mod roots;
mod rules;
mod scan;
mod setbacks;
mod skipping;
mod transfer;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use replicat_core::path::RelPath;
use replicat_fs::filter::Filter;

use crate::error::SyncError;
use crate::event::{Phase, PlanTotals, Progress, Reporter, SyncEvent};
use crate::options::{Mode, SyncOptions};
use crate::report::{BrakeReport, Outcome, Statistics, SyncReport};
use finish::Ending;
use local::LocalReplica;
use scan::{Scope, Seen, Surroundings};

/// How often the run starts over because files changed under its hands.
const ROUNDS_MAX: usize = 16;

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
    let given = roots::check(roots, options.missing_root, options.mode == Mode::Apply)?;
    roots::check_state(&given, options.state_dir.as_deref())?;
    let filter = Filter::new(options.rules.clone());
    let mut replicas = local::open_all(&given, &filter, options)?;
    for local in &mut replicas {
        local.gleaned = Some(Arc::default());
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
        self.scan_all()?;
        if self.is_stopped() {
            return Ok(false);
        }
        if self.options.mode == Mode::Apply {
            partners::remember(&mut self.replicas)?;
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
            equal = exchange::converge(&mut self.replicas)?;
            self.check_deletions()?;
            if self.is_stopped() || !self.transfer_all()? {
                break;
            }
        }
        if self.options.mode == Mode::Apply {
            let ending = match self.is_stopped() {
                true => Ending::CutShort,
                false => Ending::Complete,
            };
            finish::finish(&mut self.replicas, equal, ending)?;
        }
        Ok(equal)
    }

    fn is_stopped(&self) -> bool {
        !self.brakes.is_empty() || self.options.cancellation.is_cancelled()
    }

    fn scan_all(&mut self) -> Result<(), SyncError> {
        let around = &self.around;
        let scanned: Vec<Result<Seen, SyncError>> = std::thread::scope(|threads| {
            let running: Vec<_> = (self.replicas.iter_mut())
                .map(|local| threads.spawn(move || scan_root(local, around)))
                .collect();
            let join = |thread: std::thread::ScopedJoinHandle<'_, _>| match thread.join() {
                Ok(seen) => seen,
                Err(panic) => std::panic::resume_unwind(panic),
            };
            running.into_iter().map(join).collect()
        });
        for (seen, at) in scanned.into_iter().zip(0..) {
            self.note_scan(at, &seen?);
        }
        Ok(())
    }

    fn note_scan(&mut self, at: usize, seen: &Seen) {
        let Statistics {
            files_scanned,
            directories_scanned,
            ..
        } = seen.statistics;
        self.statistics.files_scanned += files_scanned;
        self.statistics.directories_scanned += directories_scanned;
        self.statistics.bytes_scanned += seen.statistics.bytes_scanned;
        self.statistics.bytes_hashed += seen.statistics.bytes_hashed;
        if let Some(brake) = seen.brake {
            let root = self.replicas[at].given.clone();
            self.brakes.push(BrakeReport { root, brake });
        }
    }

    /// Counts what is to be deleted, where there is a limit to that.
    fn check_deletions(&mut self) -> Result<(), SyncError> {
        let mut totals = PlanTotals::default();
        for local in &self.replicas {
            let planned = local.totals()?;
            if let Some(brake) = brakes::max_delete(planned.deletes, self.options.max_delete) {
                self.brakes.push(BrakeReport {
                    root: local.given.clone(),
                    brake,
                });
            }
            totals.files += planned.files;
            totals.bytes += planned.bytes;
            totals.deletes += planned.deletes;
        }
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
        let (mut look_again, mut steps) = (false, 0);
        for at in 0..self.replicas.len() {
            let (before, rest) = self.replicas.split_at_mut(at);
            let Some((target, after)) = rest.split_first_mut() else {
                break;
            };
            let others: Vec<&LocalReplica> = before.iter().chain(after.iter()).collect();
            let done = transfer::transfer(target, &others, &self.around, &mut self.progress)?;
            steps += done.steps;
            self.statistics.bytes_copied += done.fetched;
            self.statistics.bytes_reused += done.reused;
            self.copies.extend(done.copies);
            if !done.look_again.is_empty() && !self.options.cancellation.is_cancelled() {
                look_again = true;
                let paths: Vec<RelPath> = done.look_again.into_iter().collect();
                scan::scan(target, Scope::Paths(&paths), &self.around)?;
            }
        }
        let mut pending = 0;
        for local in &self.replicas {
            pending += local.pending()?;
        }
        // What is left may have waited for a content that another root got meanwhile.
        Ok(look_again || steps > 0 && pending > 0)
    }

    fn report(mut self, equal: bool) -> Result<SyncReport, SyncError> {
        let mut skipped = Vec::new();
        let cancelled = self.options.cancellation.is_cancelled();
        for local in &mut self.replicas {
            skipped.append(&mut local.skipped);
        }
        let conflicts = conflicts::of_copies(&self.replicas[0], &self.copies)?;
        let roots: Vec<_> = self.replicas.iter().map(LocalReplica::report).collect();
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
        let in_sync = equal && !undone && skipped.is_empty() && self.brakes.is_empty();
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

fn scan_root(local: &mut LocalReplica, around: &Surroundings<'_>) -> Result<Seen, SyncError> {
    let seen = scan::scan(local, Scope::Everything, around)?;
    if seen.brake.is_none() {
        local.observe_itself()?;
    }
    Ok(seen)
}
