//! Why a path is as it is.

use replicat_core::entry::{Payload, Version};
use replicat_core::path::RelPath;
use replicat_core::plan::{Obstacle, Planned};
use replicat_core::record::Record;

use super::open::{self, Access, Looked};
use crate::engine::{clock, conflicts};
use crate::error::SyncError;
use crate::inspection::Explanation;
use crate::options::RootLocation;

/// Why a path is as it is: what the index knows of it, which version it shows, and what stands in its way.
///
/// # Errors
/// [`SyncError::NotReplica`] if the root was never synced.
pub fn why(location: &RootLocation, path: &RelPath) -> Result<Explanation, SyncError> {
    explain(&open::open(location, Access::Read)?, path, None)
}

/// `waits` says what keeps whoever brings what is new to this root from it at the moment.
pub(super) fn explain(
    looked: &Looked,
    path: &RelPath,
    waits: Option<&str>,
) -> Result<Explanation, SyncError> {
    let record = looked
        .local
        .replica
        .record(path)
        .map_err(|error| looked.local.failed(error))?;
    let mut facts = Vec::new();
    if record.is_empty() {
        facts.push("nothing is known of it: it is new since the last sync, was never there, or is left out".to_owned());
    } else {
        let planned = looked.local.replica.plan(path);
        let planned = planned.map_err(|error| looked.local.failed(error))?;
        facts.push(standing(&planned, &record).to_owned());
        if planned != Planned::Nothing {
            facts.extend(looked.local.setbacks.told(path));
            facts.extend(waits.map(ToOwned::to_owned));
        }
        facts.extend(versions(looked, path, &record)?);
    }
    facts.extend(scope(looked, path)?);
    Ok(Explanation {
        path: path.clone(),
        facts,
    })
}

fn standing(planned: &Planned, record: &Record) -> &'static str {
    match planned {
        Planned::Nothing if record.local.is_some() => "this root holds what all replicas agreed on",
        Planned::Nothing => "it is gone, here and in what all replicas agreed on",
        Planned::Step(_) if record.local.is_none() => {
            "it is known of, and not here yet: the next sync brings it"
        }
        Planned::Step(_) => "what is here is to be replaced: the next sync does it",
        Planned::Blocked(Obstacle::Parent) => "it waits for the directory above it to be created",
        Planned::Blocked(Obstacle::Children) => "it waits for what is still below it to go",
        Planned::Blocked(Obstacle::Unpreserved) => {
            "what is here lost a conflict, and stays until its copy is made"
        }
    }
}

fn versions(looked: &Looked, path: &RelPath, record: &Record) -> Result<Vec<String>, SyncError> {
    let mut facts = Vec::new();
    let Some(shown) = record.entry.shown() else {
        return Ok(facts);
    };
    facts.push(format!("it shows {}", describe(looked, shown.winner)?));
    for version in record.entry.versions() {
        if version.dot == shown.winner.dot {
            continue;
        }
        let lost = shown.losers.iter().any(|loser| loser.dot == version.dot);
        let fate = if lost {
            let copy = looked.local.replica.preserving_copy(path, version);
            match copy.map_err(|error| looked.local.failed(error))? {
                Some(copy) => format!("lost the conflict and is kept as {copy}"),
                None => "lost the conflict and is kept where it was made".to_owned(),
            }
        } else {
            "gave way without a conflict".to_owned()
        };
        facts.push(format!("{} {fate}", describe(looked, version)?));
    }
    if let Some(loser) = shown.winner.conflict_of {
        let node = conflicts::node(&looked.local, loser.replica)?;
        facts.push(format!(
            "it is a conflict copy: it keeps what {node} had written"
        ));
    }
    Ok(facts)
}

fn describe(looked: &Looked, version: &Version) -> Result<String, SyncError> {
    let what = match &version.payload {
        Payload::File { size, content, .. } => format!("a file of {size} bytes ({content:?})"),
        Payload::Directory => "a directory".to_owned(),
        Payload::Symlink { target } => {
            format!("a symbolic link to {}", String::from_utf8_lossy(target))
        }
        Payload::Tombstone { moved_to: Some(to) } => format!("a move to {to}"),
        Payload::Tombstone { moved_to: None } => "a deletion".to_owned(),
    };
    let node = conflicts::author(&looked.local, version)?;
    let when = clock::shown(clock::timestamp(version.hlc));
    Ok(format!("{what}, by {node}, {when}"))
}

fn scope(looked: &Looked, path: &RelPath) -> Result<Option<String>, SyncError> {
    if path.is_root() {
        return Ok(None);
    }
    let record = looked
        .local
        .replica
        .record(path)
        .map_err(|error| looked.local.failed(error))?;
    let is_directory = record.entry.is_directory();
    let excluded = looked
        .local
        .filter
        .excludes_path(looked.root(), path, is_directory);
    let excluded = excluded.map_err(|error| looked.local.fs_failed(error))?;
    Ok(excluded.then(|| "a .replicatignore file leaves it out".to_owned()))
}
