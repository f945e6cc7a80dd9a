//! What a brake holds, for people: whole directories first.

use std::collections::BTreeMap;

use replicat_core::path::RelPath;
use replicat_core::record::Holdings;

use super::SETTING_BRAKE;
use super::guard::{Held, Loss};
use crate::engine::local::LocalReplica;
use crate::error::SyncError;
use crate::report::{Brake, HeldDeletions, HeldDirectory};

/// How many directories are named.
const NAMED_MAX: usize = 10;

impl LocalReplica {
    /// The brake, if deletions are held until a person decides.
    pub(in crate::engine) fn brake(&self) -> Result<Option<Brake>, SyncError> {
        if !self.deletions.guard.is_braked() {
            return Ok(None);
        }
        let stock = self.stock()?;
        let Loss { lost, before } = self.deletions.guard.loss(&stock);
        Ok(Some(match self.deletions.guard.exceeded() {
            Some(allowed) => Brake::MaxDelete {
                planned: lost.files,
                allowed,
            },
            None => Brake::MassDeletion {
                gone: lost.files,
                recorded: before.files,
                gone_bytes: lost.bytes,
                recorded_bytes: before.bytes,
            },
        }))
    }

    /// What is held, be it by a brake or for a moment.
    pub(in crate::engine) fn held_deletions(&self) -> Result<HeldDeletions, SyncError> {
        let guard = &self.deletions.guard;
        let mut all: BTreeMap<RelPath, Held> = guard.held().clone();
        let mut elsewhere = 0;
        self.for_each_departing(|local, departing| {
            let shown = departing.record.entry.shown();
            if !shown.is_some_and(|shown| local.deletions.is_judged(shown.winner.dot)) {
                elsewhere += u64::from(departing.held.is_some());
                all.insert(departing.path, departing.held);
            }
        })?;
        let (directories, more) = grouped(&all);
        Ok(HeldDeletions {
            here: guard.held_files(),
            elsewhere,
            directories,
            more,
        })
    }

    /// Has the index say whether a brake waits for a person.
    pub(super) fn keep_brake(&mut self) -> Result<(), SyncError> {
        let kept = self.setting(SETTING_BRAKE)?;
        let now = match self.brake()? {
            // The first numbers stay, so that it is written once.
            Some(_) if kept.is_some() => return Ok(()),
            Some(brake) => Some(encode(brake, &self.held_deletions()?)),
            None if kept.is_none() => return Ok(()),
            None => None,
        };
        self.set_setting(SETTING_BRAKE, now.as_deref())
    }
}

/// The directories that go whole, and those that lose files, the largest first; and how many files are in none that is named.
fn grouped(all: &BTreeMap<RelPath, Held>) -> (Vec<HeldDirectory>, u64) {
    let mut groups: BTreeMap<RelPath, (bool, Holdings)> = BTreeMap::new();
    let mut whole: Option<RelPath> = None;
    for (path, held) in all {
        if whole.as_ref().is_some_and(|whole| !path.is_within(whole)) {
            whole = None;
        }
        match held {
            None if whole.is_none() => {
                groups.insert(path.clone(), (true, Holdings::default()));
                whole = Some(path.clone());
            }
            None => {}
            Some(bytes) => {
                let parent = path.parent().unwrap_or_else(RelPath::root);
                let group = whole.clone().unwrap_or(parent);
                let (_, sum) = groups.entry(group).or_default();
                *sum = sum.plus(Holdings {
                    files: 1,
                    bytes: *bytes,
                });
            }
        }
    }
    let directory = |(path, (is_whole, Holdings { files, bytes }))| HeldDirectory {
        path,
        is_whole,
        files,
        bytes,
    };
    let mut directories: Vec<HeldDirectory> = groups.into_iter().map(directory).collect();
    directories.sort_by(|a, b| (b.is_whole, b.files, &a.path).cmp(&(a.is_whole, a.files, &b.path)));
    let rest = directories.split_off(NAMED_MAX.min(directories.len()));
    (
        directories,
        rest.iter().map(|directory| directory.files).sum(),
    )
}

fn encode(brake: Brake, held: &HeldDeletions) -> Vec<u8> {
    let mut text = match brake {
        Brake::MassDeletion {
            gone,
            recorded,
            gone_bytes,
            recorded_bytes,
        } => format!("{gone} {recorded} {gone_bytes} {recorded_bytes}\n"),
        Brake::MaxDelete { planned, allowed } => format!("max {planned} {allowed}\n"),
    };
    for directory in &held.directories {
        let HeldDirectory {
            path,
            is_whole,
            files,
            bytes,
        } = directory;
        let path = path.as_bytes().escape_ascii();
        text.push_str(&format!("{} {files} {bytes} {path}\n", u8::from(*is_whole)));
    }
    text.into_bytes()
}

/// The brake that waits for a person, as the index says.
pub(in crate::engine) fn held(setting: Option<&[u8]>) -> Option<Brake> {
    let text = std::str::from_utf8(setting?).ok()?;
    let mut words = text.lines().next()?.split(' ').peekable();
    if words.next_if_eq(&"max").is_some() {
        let mut number = || words.next()?.parse().ok();
        return Some(Brake::MaxDelete {
            planned: number()?,
            allowed: number()?,
        });
    }
    let mut number = || words.next()?.parse().ok();
    Some(Brake::MassDeletion {
        gone: number()?,
        recorded: number()?,
        gone_bytes: number().unwrap_or_default(),
        recorded_bytes: number().unwrap_or_default(),
    })
}
