//! A folder that halted goes on by itself, when the reason is gone and nothing is in doubt.
//!
//! While it is halted, its directory is looked at now and then: whether it is the one that was open, and usable. What a
//! person has to decide is left to a person: a brake, another directory in the place of this one, a newer format.

use std::time::{Duration, Instant};

use replicat_fs::presence::{Landmark, Presence};

use super::owner::Owner;
use super::status::FolderState;
use crate::engine::local::LocalReplica;
use crate::error::SyncError;

/// How long a halted folder waits before its directory is looked at.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// How long it waits at the most between two looks.
const LOOK_PAUSE_MAX: Duration = Duration::from_secs(4);
/// How long it waits at the most if it halts again whenever it goes on.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// What is remembered of a folder for the time when it is halted.
#[derive(Debug, Default)]
pub(super) struct Recovery {
    landmark: Option<Landmark>,
    /// When the directory is looked at again; `None`: a person decides.
    look_at: Option<Instant>,
    pause: Duration,
    /// When it last went on by itself.
    resumed_at: Option<Instant>,
    /// Another directory is in the place of the one that was open.
    is_replaced: bool,
}

impl Recovery {
    /// Remembers by what the directory that is open is found again.
    pub(super) fn remember(&mut self, local: &LocalReplica) {
        let Some(hands) = &local.hands else { return };
        self.landmark = match hands.state.identity(&local.root) {
            Ok(identity) => Some(Landmark::new(&local.given, hands.state.path(), identity)),
            // Then a person has to say when it goes on.
            Err(_) => None,
        };
    }

    /// Whether another directory is in the place of the one that was open.
    pub(super) fn is_replaced(&self) -> bool {
        self.is_replaced
    }

    /// The folder halts because of `error`. Returns why, and what to do, for people.
    pub(super) fn halted(&mut self, error: &SyncError, now: Instant) -> String {
        self.is_replaced = matches!(error, SyncError::RootReplaced { .. });
        let relapsed = self.resumed_at.take().is_some_and(|at| {
            now.saturating_duration_since(at) < PAUSE_MAX.saturating_add(self.pause)
        });
        self.pause = match relapsed {
            true => (self.pause * 2).clamp(PAUSE_MIN, PAUSE_MAX),
            false => PAUSE_MIN,
        };
        let passes = self.landmark.is_some() && may_pass(error);
        self.look_at = passes.then(|| now + self.pause);
        match advice(error, passes) {
            Some(advice) => format!("{error}; {advice}"),
            None => error.to_string(),
        }
    }

    /// What is found where the directory was, if it is time to look.
    fn look(&mut self, now: Instant) -> Option<Presence> {
        let landmark = (self.landmark.as_ref()).filter(|_| self.is_due(now))?;
        let presence = landmark.look();
        if presence == Presence::Usable {
            self.look_at = None;
            self.resumed_at = Some(now);
        } else {
            self.pause = (self.pause * 2).min(LOOK_PAUSE_MAX.max(self.pause));
            self.look_at = Some(now + self.pause);
        }
        Some(presence)
    }

    fn is_due(&self, now: Instant) -> bool {
        self.look_at.is_some_and(|at| at <= now)
    }
}

/// Whether the reason why a folder halted, or could not be opened, may be gone later without anything for a person to
/// decide.
#[must_use]
pub fn may_pass(error: &SyncError) -> bool {
    match error {
        // The directory that was open may come back to its place.
        SyncError::RootReplaced { .. } => true,
        SyncError::RootMissing { .. }
        | SyncError::RootNotDirectory { .. }
        | SyncError::RootNotWritable { .. }
        | SyncError::StateNotOwned { .. }
        | SyncError::DiskFull { .. }
        | SyncError::Locked { .. }
        | SyncError::Index { .. }
        | SyncError::IndexDamaged { .. }
        | SyncError::Io { .. } => true,
        _ => false,
    }
}

/// What to do about a halt. The folder goes on by itself if the reason `passes`.
fn advice(error: &SyncError, passes: bool) -> Option<String> {
    if !passes {
        return error.hint();
    }
    let remedy = match error {
        SyncError::RootReplaced { .. } => {
            let hint = error.hint().unwrap_or_default();
            return Some(format!(
                "{hint}; if the directory that was there comes back, the folder goes on by itself"
            ));
        }
        SyncError::RootMissing { .. } | SyncError::RootNotDirectory { .. } => {
            Some("see that its disk is mounted".to_owned())
        }
        SyncError::RootNotWritable { .. } => {
            Some("make it readable and writable for the user of this node".to_owned())
        }
        SyncError::DiskFull { .. } => Some("make room".to_owned()),
        error => error.hint(),
    };
    let goes_on = "the folder goes on by itself when that is mended";
    Some(match remedy {
        Some(remedy) => format!("{remedy}; {goes_on}"),
        None => goes_on.to_owned(),
    })
}

impl Owner {
    /// Goes on if the folder is halted and the reason is gone.
    pub(super) fn recover(&mut self) {
        let is_halted = matches!(self.state, FolderState::Halted { .. });
        if !is_halted || self.open.is_some() {
            return;
        }
        match self.recovery.look(Instant::now()) {
            Some(Presence::Usable) => {
                let root = self.settings.root.display();
                tracing::info!(%root, "the directory is there and usable: the folder goes on");
                self.resume();
            }
            Some(Presence::Other) if !self.recovery.is_replaced() => {
                self.halt(&SyncError::RootReplaced {
                    root: self.settings.root.clone(),
                    evidence: "another directory is at its path now".to_owned(),
                });
            }
            _ => {}
        }
    }
}
