//! Deletions that are held while the folder runs: when they are judged again, and what a person decides.

use std::time::Instant;

use replicat_core::path::RelPath;

use super::owner::{Owner, surroundings};
use crate::engine::deletions::{Decision, Verdict};
use crate::engine::scan::{self, Scope};
use crate::engine::transfer::Left;
use crate::error::SyncError;
use crate::report::{BrakeReport, HeldDeletions};

/// How many held paths are looked at one by one; if there are more, everything is.
const PATHS_MAX: usize = 20_000;

impl Owner {
    /// Judges the deletions that are held, if it is time.
    pub(super) fn judge(&mut self) -> Result<(), SyncError> {
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        let local = &mut open.local;
        let stock = local.sums()?;
        let verdict = local.deletions.guard.verdict();
        if !local.deletions.guard.is_concerned(&stock) && verdict.is_none() {
            open.held = HeldDeletions::default();
            local.deletions.hold_nothing();
            return Ok(());
        }
        if !local.has_to_judge()? {
            return Ok(());
        }
        let (held_before, was_braked) = (
            local.deletions.holds_departing(),
            local.deletions.guard.is_braked(),
        );
        let due = local.deletions.due();
        let decision = local.judge_deletions()?;
        let is_due = due.is_some_and(|due| due <= Instant::now());
        if held_before && !local.deletions.holds_departing() {
            open.ongoing.stir();
            open.left = Left::More;
        }
        match decision {
            Decision::Hold(_) => Ok(()),
            Decision::Pass => {
                open.held = HeldDeletions::default();
                self.pass_held()
            }
            Decision::Brake if !was_braked => self.tell_brake(),
            Decision::Brake if is_due => self.look_at_held(),
            Decision::Brake => {
                // Judging has put it off; it is due when it was.
                open.local.deletions.keep_due(due);
                Ok(())
            }
        }
    }

    /// Lets pass what was held, and ends what a person decided when that is done.
    fn pass_held(&mut self) -> Result<(), SyncError> {
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        if !open.local.deletions.guard.held().is_empty() {
            return self.look_at_held();
        }
        if open.local.sums()?.departing.files == 0 {
            open.local.conclude_verdict()?;
        }
        Ok(())
    }

    /// Looks at the held paths again. The scan judges those that are still missing.
    fn look_at_held(&mut self) -> Result<(), SyncError> {
        self.await_committed()?;
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        let held = open.local.deletions.guard.held().keys();
        let paths: Vec<RelPath> = held.take(PATHS_MAX + 1).cloned().collect();
        if paths.len() > PATHS_MAX {
            return self.scan_everything();
        }
        let around = surroundings(open.threads, &self.shared.cancellation, &self.gathering);
        scan::scan(&mut open.local, Scope::Paths(&paths), &around)?;
        self.take_seen();
        Ok(())
    }

    fn tell_brake(&mut self) -> Result<(), SyncError> {
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        open.held = open.local.held_deletions()?;
        let Some(brake) = open.local.brake()? else {
            return Ok(());
        };
        let report = BrakeReport {
            root: open.local.given.clone(),
            brake,
            held: open.held.clone(),
        };
        let message = format!("{report}; {}", report.hint());
        self.warn(message);
        Ok(())
    }

    /// Lets pass what was deleted elsewhere, and what comes within a minute: a person approved it at another node.
    pub(super) fn allow_deletions(&mut self) {
        let Some(open) = &mut self.open else { return };
        let now = open.local.deletions.now();
        open.local.deletions.guard.allow_departing(now);
        open.local.deletions.judge_soon();
        open.ongoing.stir();
        open.left = Left::More;
    }

    /// A person decided about the deletions that are held. Returns whether there were any.
    pub(super) fn decide(&mut self, verdict: Verdict) -> Result<bool, SyncError> {
        self.await_committed()?;
        let Some(open) = &mut self.open else {
            return Ok(verdict == Verdict::Approved && self.approve_replaced());
        };
        let stock = open.local.sums()?;
        if open.local.deletions.held_files(&stock) == 0 {
            return Ok(false);
        }
        open.local.deletions.guard.decide(verdict);
        if verdict == Verdict::Rejected {
            open.local.forget_held()?;
            open.local.reject_departing()?;
            open.local.conclude_verdict()?;
        }
        open.held = HeldDeletions::default();
        open.unsettled = true;
        open.ongoing.stir();
        open.left = Left::More;
        self.judge()?;
        self.announce_all();
        Ok(true)
    }
}
