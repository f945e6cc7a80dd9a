//! Deletions that look like an accident are held until a person decides (`docs/deletions.md`).
//!
//! [`guard`] judges. This module tells it what the storage holds and loses, and carries out what it answers: a deletion that
//! is held here is not announced, and one from elsewhere is not carried out.

mod guard;
#[cfg(test)]
mod guard_tests;
mod made;
mod report;
mod stock;
mod window;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use replicat_core::entry::Payload;
use replicat_core::id::ReplicaId;
use replicat_core::path::RelPath;
use replicat_core::record::Record;
use replicat_core::version::Dot;

use super::clock;
use super::departures::Departures;
use super::local::LocalReplica;
use crate::error::SyncError;
use crate::options::Cancellation;
pub(super) use guard::{Decision, Guard, Pace, Stock, Verdict};
pub(super) use report::held as held_by;

/// The setting under which a brake waits for a person.
pub(super) const SETTING_BRAKE: &str = "brake";
/// The setting that lets the deletions of the next scan pass.
pub(super) const SETTING_APPROVED: &str = "approved";
/// The setting that has the next scan bring back what is gone.
pub(super) const SETTING_REJECTED: &str = "rejected";
/// The settings under which the losses of the last minutes are kept: those found here, and those from peers.
const SETTING_WINDOW: [&str; 2] = ["deletions", "deletions-elsewhere"];

/// How long a run that waits does not look whether it was cancelled.
const WAIT_STEP: Duration = Duration::from_millis(50);
/// How often what is held is judged again while peers tell more of it.
const JUDGE_INTERVAL_MS: u64 = 50;

/// A time in milliseconds since 1970, that never goes back while a process runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Millis(pub(super) u64);

/// The guard of a replica, and its clock.
#[derive(Debug)]
pub(super) struct Deletions {
    pub(super) guard: Guard,
    started: Instant,
    started_at: Millis,
    /// When what is held is to be judged again.
    due: Option<Millis>,
    /// What was deleted elsewhere is not carried out.
    holds_departing: bool,
    /// What there was when it was judged last.
    judged_at: Option<JudgedAt>,
    /// Deletions by these replicas, above these counters, were judged where they were found, by the same run.
    judged: BTreeMap<ReplicaId, u64>,
    /// Files that peers send are new. Those of a first exchange are not.
    notes_arrivals: bool,
}

/// What there was when it was judged.
#[derive(Clone, Copy, Debug)]
struct JudgedAt {
    time: Millis,
    departing: u64,
    pending: u64,
    decision: Decision,
}

impl Deletions {
    pub(super) fn new(pace: Pace, max_delete: Option<u64>) -> Self {
        Self {
            guard: Guard::new(pace, max_delete),
            started: Instant::now(),
            started_at: Millis(clock::now().0 / 1000),
            due: None,
            holds_departing: false,
            judged_at: None,
            judged: BTreeMap::new(),
            notes_arrivals: false,
        }
    }

    /// Takes the deletions that a replica makes above `counter` for judged.
    pub(super) fn trust(&mut self, replica: ReplicaId, counter: u64) {
        self.judged.insert(replica, counter);
    }

    fn is_judged(&self, deletion: Dot) -> bool {
        let counter = self.judged.get(&deletion.replica);
        counter.is_some_and(|counter| deletion.counter > *counter)
    }

    /// From now on, files that peers send are new.
    pub(super) fn note_arrivals(&mut self) {
        self.notes_arrivals = true;
    }

    /// Whether anything is held, be it for a moment.
    pub(super) fn holds(&self) -> bool {
        self.holds_departing || !self.guard.held().is_empty()
    }

    /// There is nothing to hold any more.
    pub(super) fn hold_nothing(&mut self) {
        self.holds_departing = false;
        self.judge_soon();
    }

    /// Has all judged again.
    pub(super) fn judge_soon(&mut self) {
        self.judged_at = None;
    }

    pub(super) fn now(&self) -> Millis {
        let since = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Millis(self.started_at.0.saturating_add(since))
    }

    /// Has what is held judged again when it was due before.
    pub(super) fn keep_due(&mut self, due: Option<Instant>) {
        if let Some(due) = due {
            let since = due.saturating_duration_since(self.started).as_millis();
            let since = u64::try_from(since).unwrap_or(u64::MAX);
            self.due = Some(Millis(self.started_at.0.saturating_add(since)));
        }
    }

    /// Waits until what is held is to be judged again. Returns whether it is time.
    pub(super) fn wait(&self, cancellation: &Cancellation) -> bool {
        while let Some(due) = self.due() {
            if cancellation.is_cancelled() {
                return false;
            }
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            std::thread::sleep(left.min(WAIT_STEP));
        }
        true
    }

    /// Whether what was deleted elsewhere is not carried out.
    pub(super) fn holds_departing(&self) -> bool {
        self.holds_departing
    }

    /// How many files are to go, and are held.
    pub(super) fn held_files(&self, stock: &Stock) -> u64 {
        let departing = match self.holds_departing {
            true => stock.departing.files,
            false => 0,
        };
        self.guard.held_files() + departing
    }

    /// When what is held is to be judged again; `None` if nothing is held.
    pub(super) fn due(&self) -> Option<Instant> {
        let wait = self.due?.0.saturating_sub(self.started_at.0);
        Some(self.started + Duration::from_millis(wait))
    }
}

/// What a scan looked at.
#[derive(Clone, Copy, Debug)]
pub(super) enum Looked<'paths> {
    /// All there is.
    Everything,
    /// These paths, and what is below them.
    Within(&'paths [RelPath]),
}

/// What a missing path is to the guard.
enum Missing {
    /// It is observed as missing in any case.
    Observed,
    /// A file that is a loss, with its bytes.
    Loss(u64),
    /// A directory.
    Directory,
}

impl LocalReplica {
    /// Whether there is anything new to judge, or it is time. Of what passes only more is.
    pub(super) fn has_to_judge(&self) -> Result<bool, SyncError> {
        let Some(last) = self.deletions.judged_at else {
            return Ok(true);
        };
        let departing = self.sums()?.departing.files;
        let is_time = self.deletions.now().0 >= last.time.0 + JUDGE_INTERVAL_MS;
        let is_new = match last.decision {
            // What is more must not pass unseen.
            Decision::Pass => departing > last.departing || departing == 0 && is_time,
            Decision::Hold(_) | Decision::Brake => {
                is_time && (departing, self.pending()?) != (last.departing, last.pending)
            }
        };
        let is_due = (self.deletions.due()).is_some_and(|due| due <= Instant::now());
        Ok(is_new || is_due || self.deletions.guard.verdict().is_some())
    }

    /// Judges what is held here and what was deleted elsewhere.
    pub(super) fn judge_deletions(&mut self) -> Result<Decision, SyncError> {
        let stock = self.stock()?;
        let now = self.deletions.now();
        let decision = self.deletions.guard.judge(now, &stock);
        let is_concerned = self.deletions.guard.is_concerned(&stock);
        self.deletions.due = match decision {
            Decision::Hold(until) => Some(until),
            Decision::Brake => Some(Guard::look_again(now)),
            // What passes is observed, or carried out, at once.
            Decision::Pass => {
                (is_concerned && self.deletions.guard.held_files() > 0).then_some(now)
            }
        };
        self.deletions.judged_at = Some(JudgedAt {
            time: now,
            departing: self.sums()?.departing.files,
            pending: self.pending()?,
            decision,
        });
        let allows = self.deletions.guard.allows_departing(now);
        self.deletions.holds_departing =
            decision != Decision::Pass && stock.departing.files > 0 && !allows;
        self.keep_brake()?;
        Ok(decision)
    }

    /// Judges, and waits while deletions are held for a moment; for runs that end.
    pub(super) fn await_decision(
        &mut self,
        cancellation: &Cancellation,
    ) -> Result<Decision, SyncError> {
        loop {
            let decision = self.judge_deletions()?;
            if !matches!(decision, Decision::Hold(_)) || !self.deletions.wait(cancellation) {
                return Ok(decision);
            }
        }
    }

    /// Takes the paths that a scan found missing, and returns those that are to be observed so now.
    pub(super) fn judge_missing(
        &mut self,
        missing: Vec<RelPath>,
        departures: &Departures,
        looked: Looked<'_>,
    ) -> Result<Vec<RelPath>, SyncError> {
        let (now, stock) = (self.deletions.now(), self.stock()?);
        self.forget_found(&missing, looked);
        for (from, to) in departures.moves() {
            self.deletions.guard.handle_moved(from, to);
        }
        let mut observed = Vec::with_capacity(missing.len());
        let mut doubtful = Vec::new();
        let mut replaced = HashMap::new();
        for path in missing {
            let below_replaced = match path.parent() {
                Some(parent) => self.is_replaced(&parent, &mut replaced)?,
                None => false,
            };
            match self.missing(&path, departures, &stock)? {
                // That the directory is gone was told with what took its place. The peers judge for themselves.
                Missing::Loss(bytes) if below_replaced => {
                    self.deletions.guard.release(&path);
                    self.deletions.guard.handle_passed(now, &path, bytes);
                    observed.push(path);
                }
                Missing::Observed => {
                    self.deletions.guard.release(&path);
                    observed.push(path);
                }
                Missing::Loss(bytes) => {
                    self.deletions.guard.hold(now, path.clone(), Some(bytes));
                    doubtful.push((path, Some(bytes)));
                }
                // Children come before their directories.
                Missing::Directory if self.deletions.guard.holds_within(&path) => {
                    self.deletions.guard.hold(now, path.clone(), None);
                    doubtful.push((path, None));
                }
                Missing::Directory => observed.push(path),
            }
        }
        if doubtful.is_empty() && self.deletions.guard.held().is_empty() {
            return Ok(observed);
        }
        if self.deletions.guard.verdict() == Some(Verdict::Rejected) {
            self.forget_missing(doubtful)?;
            return Ok(observed);
        }
        if self.judge_deletions()? == Decision::Pass {
            for (path, bytes) in doubtful {
                self.deletions.guard.release(&path);
                if let Some(bytes) = bytes {
                    self.deletions.guard.handle_passed(now, &path, bytes);
                }
                observed.push(path);
            }
            self.keep_window()?;
        }
        Ok(observed)
    }

    /// Whether a file or a symbolic link took the place of a directory, or of one above it. `known` holds earlier answers.
    fn is_replaced(
        &self,
        directory: &RelPath,
        known: &mut HashMap<RelPath, bool>,
    ) -> Result<bool, SyncError> {
        if let Some(is_replaced) = known.get(directory) {
            return Ok(*is_replaced);
        }
        let record = self.replica.record(directory);
        let record = record.map_err(|error| self.failed(error))?;
        let is_replaced = match record.held_payload() {
            Some(Payload::File { .. } | Payload::Symlink { .. }) => true,
            _ => match directory.parent() {
                Some(parent) => self.is_replaced(&parent, known)?,
                None => false,
            },
        };
        known.insert(directory.clone(), is_replaced);
        Ok(is_replaced)
    }

    /// Holds no longer what a scan looked at and did not find missing.
    fn forget_found(&mut self, missing: &[RelPath], looked: Looked<'_>) {
        if self.deletions.guard.held().is_empty() {
            return;
        }
        let missing: BTreeSet<&RelPath> = missing.iter().collect();
        let within: Option<BTreeSet<&RelPath>> = match looked {
            Looked::Everything => None,
            Looked::Within(paths) => Some(paths.iter().collect()),
        };
        let is_looked_at = |path: &RelPath| {
            within.as_ref().is_none_or(|within| {
                within.contains(path) || path.ancestors().any(|above| within.contains(&above))
            })
        };
        let held = self.deletions.guard.held().keys();
        let found: Vec<RelPath> = held
            .filter(|path| !missing.contains(path) && is_looked_at(path))
            .cloned()
            .collect();
        for path in &found {
            self.deletions.guard.release(path);
        }
    }

    fn missing(
        &mut self,
        path: &RelPath,
        departures: &Departures,
        stock: &Stock,
    ) -> Result<Missing, SyncError> {
        if departures.destination(path).is_some() {
            return Ok(Missing::Observed);
        }
        let record = self.replica.record(path);
        let record = record.map_err(|error| self.failed(error))?;
        let (Some(held), Some(local)) = (record.held_payload(), &record.local) else {
            return Ok(Missing::Observed);
        };
        if held.is_directory() {
            return Ok(Missing::Directory);
        }
        if is_overtaken(&record) {
            return Ok(Missing::Observed);
        }
        if let Some(to) = self.elsewhere(path, &held, local)? {
            self.deletions.guard.handle_moved(path, &to);
            return Ok(Missing::Observed);
        }
        let (now, bytes) = (self.deletions.now(), stock::size_of(&held).bytes);
        let guard = &mut self.deletions.guard;
        Ok(match guard.handle_gone(now, path, bytes, stock) {
            true => Missing::Loss(bytes),
            false => Missing::Observed,
        })
    }

    /// A person wants back what is gone: it is forgotten that it was here, so that it is brought again.
    fn forget_missing(&mut self, gone: Vec<(RelPath, guard::Held)>) -> Result<(), SyncError> {
        for (path, _) in gone {
            self.deletions.guard.release(&path);
            let forgotten = self.replica.forget(&path);
            forgotten.map_err(|error| self.failed(error))?;
        }
        Ok(())
    }

    /// Notes what a step did: a file that it brought, or one that it removed since it was deleted elsewhere.
    pub(super) fn note_step(
        &mut self,
        path: &RelPath,
        before: Option<&Payload>,
        after: Option<&Payload>,
    ) -> Result<(), SyncError> {
        let size = |payload: Option<&Payload>| payload.map(stock::size_of).unwrap_or_default();
        let (before, after) = (size(before), size(after));
        let now = self.deletions.now();
        if before.files < after.files && self.deletions.notes_arrivals {
            self.deletions.guard.handle_arrived(now, path, after.bytes);
        }
        if before.files <= after.files {
            return Ok(());
        }
        let record = self.replica.record(path);
        let record = record.map_err(|error| self.failed(error))?;
        let shown = record.entry.shown();
        let is_judged = shown.is_some_and(|shown| {
            let is_move = shown.payload().moved_to().is_some();
            is_move || self.deletions.is_judged(shown.winner.dot)
        });
        if !is_judged {
            self.deletions.guard.handle_removed(now, path, before.bytes);
        }
        Ok(())
    }

    /// A person wants back all that is held as gone here.
    pub(super) fn forget_held(&mut self) -> Result<(), SyncError> {
        let held = self.deletions.guard.held().clone();
        self.forget_missing(held.into_iter().collect())
    }

    /// Keeps what was deleted elsewhere and is still here, by events on top of the deletions. Returns how many files.
    pub(super) fn reject_departing(&mut self) -> Result<u64, SyncError> {
        let mut kept = 0;
        let mut departing = Vec::new();
        self.for_each_departing(|_, going| departing.push(going.path))?;
        for path in departing {
            let rejected = self.replica.reject_deletion(clock::now(), &path);
            kept += u64::from(rejected.map_err(|error| self.failed(error))?);
        }
        Ok(kept)
    }

    /// Has the index remember what was lost in the last minutes.
    pub(super) fn keep_window(&mut self) -> Result<(), SyncError> {
        let windows = self.deletions.guard.encode_window();
        for (name, window) in SETTING_WINDOW.into_iter().zip(windows) {
            let kept = (!window.is_empty()).then_some(window);
            if self.setting(name)? != kept {
                self.set_setting(name, kept.as_deref())?;
            }
        }
        Ok(())
    }

    /// The guard of a replica as it is opened: with the losses of before, and what a person decided.
    pub(super) fn open_guard(
        &mut self,
        pace: Pace,
        max_delete: Option<u64>,
    ) -> Result<(), SyncError> {
        self.deletions = Deletions::new(pace, max_delete);
        let [here, elsewhere] = SETTING_WINDOW.map(|name| self.setting(name));
        let (here, elsewhere) = (here?.unwrap_or_default(), elsewhere?.unwrap_or_default());
        let now = self.deletions.now();
        let kept = [&here[..], &elsewhere[..]];
        self.deletions.guard.restore_window(now, kept);
        for (setting, verdict) in [
            (SETTING_APPROVED, Verdict::Approved),
            (SETTING_REJECTED, Verdict::Rejected),
        ] {
            if self.setting(setting)?.is_some() {
                self.deletions.guard.decide(verdict);
            }
        }
        Ok(())
    }

    /// What a person decided was carried out.
    pub(super) fn conclude_verdict(&mut self) -> Result<(), SyncError> {
        if self.deletions.guard.verdict().is_none() {
            return Ok(());
        }
        self.deletions.guard.conclude_verdict();
        for setting in [SETTING_APPROVED, SETTING_REJECTED] {
            self.set_setting(setting, None)?;
        }
        self.keep_brake()?;
        self.keep_window()
    }
}

/// Whether a path is to hold something newer than what is gone from it: that is brought, and is no loss.
fn is_overtaken(record: &Record) -> bool {
    let has_base = (record.local.as_ref()).is_some_and(|local| local.base.is_some());
    has_base && record.entry.shown().is_some_and(|shown| shown.is_live())
}
