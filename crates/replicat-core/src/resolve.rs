//! What a path shows, as a function of its versions alone (`docs/algorithm.md`, section 3).

use crate::entry::{Entry, Metadata, PLACED, Payload, Stamps, Version};
use crate::version::{Context, Hlc};

/// What an entry shows.
#[derive(Clone, Debug)]
pub struct Shown<'entry> {
    /// The version that has the path.
    pub winner: &'entry Version,
    merged: Option<Box<(Metadata, Stamps)>>,
    /// The versions whose content lost the path and has to be preserved elsewhere, by dot.
    pub losers: Vec<&'entry Version>,
}

impl Shown<'_> {
    /// What the path holds.
    #[must_use]
    pub fn payload(&self) -> &Payload {
        &self.winner.payload
    }

    /// How the path is described.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        self.merged
            .as_ref()
            .map_or(&self.winner.metadata, |merged| &merged.0)
    }

    /// When each aspect of the description changed.
    #[must_use]
    pub fn stamps(&self) -> Stamps {
        self.merged
            .as_ref()
            .map_or(self.winner.stamps, |merged| merged.1)
    }

    /// Whether the path exists.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.payload().is_live()
    }
}

impl Entry {
    /// What the path shows; `None` for an entry without versions.
    #[must_use]
    pub fn shown(&self) -> Option<Shown<'_>> {
        match self.versions.as_slice() {
            [] => None,
            [winner] => Some(Shown {
                winner,
                merged: None,
                losers: Vec::new(),
            }),
            several => contest(several),
        }
    }

    /// Whether the path exists by this entry.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.shown().is_some_and(|shown| shown.is_live())
    }

    /// Whether the path is a directory by this entry.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        self.shown()
            .is_some_and(|shown| shown.payload().is_directory())
    }
}

impl Entry {
    /// The deletions here with what was deleted by them, and the latest time among them.
    pub(crate) fn deletions(&self) -> (Context, Hlc) {
        let deletes = |version: &&Version| !version.payload.is_live();
        let deletions: Vec<&Version> = self.versions.iter().filter(deletes).collect();
        let is_gone = |version: &&Version| {
            deletes(version)
                || deletions
                    .iter()
                    .any(|deletion| is_derived(deletion, version))
        };
        let gone: Vec<&Version> = self.versions.iter().filter(is_gone).collect();
        let hlc = gone.iter().map(|version| version.hlc).max();
        (self.context_over(&gone), hlc.unwrap_or_default())
    }
}

fn contest(versions: &[Version]) -> Option<Shown<'_>> {
    let superseded = superseded_by_derivation(versions);
    let standing: Vec<&Version> = versions
        .iter()
        .zip(&superseded)
        .filter(|(_, gone)| !**gone)
        .map(|(v, _)| v)
        .collect();
    let winner = *standing
        .iter()
        .max_by_key(|v| (rank(&v.payload), v.hlc, v.dot))?;
    let losers = standing
        .iter()
        .copied()
        .filter(|v| is_loser(v, winner))
        .collect();
    let speaking = versions
        .iter()
        .zip(&superseded)
        .filter(|(v, gone)| speaks(v, **gone, winner));
    let merged = merge_metadata(winner, speaking.map(|(v, _)| v));
    Some(Shown {
        winner,
        merged: Some(Box::new(merged)),
        losers,
    })
}

fn rank(payload: &Payload) -> u8 {
    match payload {
        Payload::Directory => 2,
        Payload::File { .. } | Payload::Symlink { .. } => 1,
        Payload::Tombstone { .. } => 0,
    }
}

fn is_loser(version: &Version, winner: &Version) -> bool {
    rank(&version.payload) == 1 && version.payload.substance() != winner.payload.substance()
}

/// Whether `version`'s metadata counts for what `winner` shows.
fn speaks(version: &Version, superseded: bool, winner: &Version) -> bool {
    rank(&version.payload) == rank(&winner.payload)
        && (superseded || version.payload.substance() == winner.payload.substance())
}

fn merge_metadata<'v>(
    winner: &Version,
    speaking: impl Iterator<Item = &'v Version>,
) -> (Metadata, Stamps) {
    let (mut metadata, mut stamps) = (winner.metadata.clone(), winner.stamps);
    for version in speaking {
        take_later(
            &mut metadata.mode,
            &mut stamps.mode,
            &version.metadata.mode,
            version.stamps.mode,
        );
        take_later(
            &mut metadata.mtime,
            &mut stamps.mtime,
            &version.metadata.mtime,
            version.stamps.mtime,
        );
        take_later(
            &mut metadata.owner,
            &mut stamps.owner,
            &version.metadata.owner,
            version.stamps.owner,
        );
        take_later(
            &mut metadata.xattrs,
            &mut stamps.xattrs,
            &version.metadata.xattrs,
            version.stamps.xattrs,
        );
    }
    (metadata, stamps)
}

/// The later of two aspects; values break ties, so that the order of the versions does not matter.
fn take_later<T: Clone + Ord>(held: &mut Option<T>, held_at: &mut Hlc, other: &Option<T>, at: Hlc) {
    if other.is_some() && (held.is_none() || (at, other) > (*held_at, held)) {
        held.clone_from(other);
        *held_at = at;
    }
}

/// Which versions are reachable, along "was derived from the content of", from one that itself was
/// derived from no other's.
fn superseded_by_derivation(versions: &[Version]) -> Vec<bool> {
    let derived = |from: usize, to: usize| is_derived(&versions[to], &versions[from]);
    let count = versions.len();
    let mut superseded = vec![false; count];
    let mut frontier: Vec<usize> = (0..count)
        .filter(|&at| !(0..count).any(|by| derived(at, by)))
        .collect();
    while let Some(by) = frontier.pop() {
        for (at, gone) in superseded.iter_mut().enumerate() {
            if !*gone && derived(at, by) {
                *gone = true;
                frontier.push(at);
            }
        }
    }
    superseded
}

/// Whether `version` was made from what `other` holds. A directory holds what is below it, so that only its
/// deletion counts: whatever still lives there revives it. A file that moved away was not deleted: what else holds its
/// content follows it, or stays. What was placed in knowledge of what had been there is no old content. All of
/// this depends on what never changes of a version; its context grows.
fn is_derived(version: &Version, other: &Version) -> bool {
    let held = other.payload.substance();
    let directory_replaced = other.payload.is_directory() && version.payload.is_live();
    let moved_away = !other.payload.is_directory() && version.payload.moved_to().is_some();
    version.dot != other.dot
        && held.is_some()
        && version.base == held
        && version.payload.substance() != held
        && !directory_replaced
        && !moved_away
        && other.base != Some(PLACED)
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;
