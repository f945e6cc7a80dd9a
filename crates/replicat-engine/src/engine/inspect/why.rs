//! Why a path is as it is: what the index and the filter know of it, who else holds it, and what it waits for.

use replicat_core::entry::{Payload, Version};
use replicat_core::id::ReplicaId;
use replicat_core::path::RelPath;
use replicat_core::plan::{Obstacle, Planned};
use replicat_core::record::Record;
use replicat_core::store::Store;
use replicat_core::version::VersionVector;
use replicat_fs::filter::{Exclusion, ExclusionReason};
use replicat_fs::observe::{Kind, Observation};

use super::open::{self, Access, Looked};
use crate::engine::unheld::is_not_held;
use crate::engine::{clock, conflicts, skipping};
use crate::error::SyncError;
use crate::inspection::{Excluded, Explanation, Holder, Presence};
use crate::options::RootLocation;
use crate::report::SkipReason;

/// What a running folder knows beside its index.
#[derive(Clone, Debug, Default)]
pub(in crate::engine) struct Around {
    /// What keeps the folder from bringing more to its directory at the moment.
    pub(in crate::engine) waits: Option<&'static str>,
    /// The peers that are connected; `None` if no folder runs.
    pub(in crate::engine) connected: Option<Vec<ConnectedPeer>>,
    /// The folder only receives: the others refuse what is changed here.
    pub(in crate::engine) receives_only: bool,
}

/// A peer that is connected.
#[derive(Clone, Debug)]
pub(in crate::engine) struct ConnectedPeer {
    pub(in crate::engine) replica: ReplicaId,
    /// What it has brought to its directory, as it says itself.
    pub(in crate::engine) applied: VersionVector,
}

/// Why a path is as it is: what the index knows of it, which version it shows, who holds that, and what stands in its way.
///
/// # Errors
/// [`SyncError::NotReplica`] if the root was never synced.
pub fn why(location: &RootLocation, path: &RelPath) -> Result<Explanation, SyncError> {
    let looked = open::open(location, Access::Read)?;
    explain(&looked, path, &Around::default())
}

/// Explains a path of a replica that is open; `around` is what its folder knows, if one runs.
pub(super) fn explain(
    looked: &Looked,
    path: &RelPath,
    around: &Around,
) -> Result<Explanation, SyncError> {
    let failed = |error| looked.local.failed(error);
    let record = looked.local.replica.record(path).map_err(failed)?;
    let found = observed(looked, path);
    let mut explained = Explanation {
        path: path.clone(),
        facts: Vec::new(),
        excluded: excluded(looked, path, &record, found.as_ref())?,
        skipped: skipped(looked, path, found.as_ref())?,
        refused: around.receives_only && looked.local.is_unaccepted(&record),
        holders: Vec::new(),
        waits_for: None,
    };
    explained
        .facts
        .extend(explained.excluded.as_ref().map(|rule| left_out(path, rule)));
    let skip = explained.skipped.as_ref();
    explained
        .facts
        .extend(skip.map(|reason| match is_not_held(reason) {
            true => format!("it is synced, but {reason}"),
            false => format!("it is skipped: it {reason}"),
        }));
    if record.is_empty() {
        if explained.facts.is_empty() {
            explained.facts.push(unknown(found.is_some()).to_owned());
        }
        return Ok(explained);
    }
    explain_record(looked, &record, around, &mut explained)?;
    Ok(explained)
}

/// Adds what the index knows.
fn explain_record(
    looked: &Looked,
    record: &Record,
    around: &Around,
    explained: &mut Explanation,
) -> Result<(), SyncError> {
    let path = explained.path.clone();
    let planned = looked.local.replica.plan(&path);
    let planned = planned.map_err(|error| looked.local.failed(error))?;
    let is_here = planned == Planned::Nothing;
    explained.holders = holders(looked, record, around)?;
    let facts = &mut explained.facts;
    if explained.refused {
        facts.push(
            "it was changed here, and this node only receives: the others refuse the change"
                .to_owned(),
        );
    }
    if explained.excluded.is_none() {
        facts.push(standing(&planned, record).to_owned());
    }
    if !is_here {
        facts.extend(looked.local.setbacks.told(&path));
        facts.extend(around.waits.map(ToOwned::to_owned));
    }
    facts.extend(versions(looked, &path, record)?);
    if !explained.refused {
        facts.extend(held_by(&explained.holders));
        explained.waits_for = match is_here {
            false => Some(awaited(&planned, around).to_owned()),
            true => lacking(&explained.holders),
        };
    }
    Ok(())
}

fn observed(looked: &Looked, path: &RelPath) -> Option<Observation> {
    if path.is_root() {
        return None;
    }
    // What cannot be looked at is told as skipped.
    (looked.root().observe(path, looked.local.tracking))
        .ok()
        .flatten()
}

fn unknown(is_there: bool) -> &'static str {
    match is_there {
        true => "it is there, and the index does not know it yet: the next comparison finds it",
        false => "nothing is there, and nothing is known of it",
    }
}

fn standing(planned: &Planned, record: &Record) -> &'static str {
    match planned {
        Planned::Nothing if record.local.is_some() => "this root holds it",
        Planned::Nothing => "it is gone: it was deleted, and this root does not hold it",
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

/// What a path that is not done here waits for.
fn awaited(planned: &Planned, around: &Around) -> &'static str {
    match planned {
        Planned::Blocked(Obstacle::Parent) => "the directory above it",
        Planned::Blocked(Obstacle::Children) => "what is still below it to go",
        Planned::Blocked(Obstacle::Unpreserved) => "the conflict copy to be made",
        _ if around.connected.as_ref().is_some_and(Vec::is_empty) => {
            "a replica that holds it: none is connected"
        }
        _ => "the next sync",
    }
}

/// The other replicas, and which of them have confirmed all versions of the path.
fn holders(looked: &Looked, record: &Record, around: &Around) -> Result<Vec<Holder>, SyncError> {
    let replica = &looked.local.replica;
    let own = replica.identity().replica;
    let members = replica.store().members();
    let members = members.map_err(|error| looked.local.failed(error))?;
    let others = members
        .into_iter()
        .filter(|(id, member)| *id != own && !member.is_forgotten());
    let told = others.map(|(id, member)| {
        let connected = around.connected.as_ref();
        let peer = connected.map(|peers| peers.iter().find(|peer| peer.replica == id));
        let applied = match peer {
            Some(Some(peer)) => &peer.applied,
            _ => &member.applied,
        };
        let versions = record.entry.versions();
        Holder {
            replica: id,
            holds: versions.iter().all(|version| applied.contains(version.dot)),
            presence: match peer {
                None => Presence::Unknown,
                Some(None) => Presence::Away,
                Some(Some(_)) => Presence::Connected,
            },
            name: match member.name.is_empty() {
                true => id.to_string(),
                false => member.name,
            },
        }
    });
    Ok(told.collect())
}

fn held_by(holders: &[Holder]) -> Vec<String> {
    let names = |holds: bool| -> Vec<String> {
        let told = holders.iter().filter(|holder| holder.holds == holds);
        told.map(with_presence).collect()
    };
    let (have, lack) = (names(true), names(false));
    let mut facts = Vec::new();
    if holders.is_empty() {
        facts.push("no other replica is known here".to_owned());
    }
    if !have.is_empty() {
        facts.push(format!("confirmed by {}", have.join(", ")));
    }
    if !lack.is_empty() {
        facts.push(format!("not confirmed yet by {}", lack.join(", ")));
    }
    facts
}

fn with_presence(holder: &Holder) -> String {
    match holder.presence {
        Presence::Away => format!("{} (not connected)", holder.name),
        Presence::Connected => format!("{} (connected)", holder.name),
        Presence::Unknown => holder.name.clone(),
    }
}

/// Whose confirmation is missing.
fn lacking(holders: &[Holder]) -> Option<String> {
    let lack = holders.iter().filter(|holder| !holder.holds);
    let names: Vec<String> = lack.map(with_presence).collect();
    (!names.is_empty()).then(|| format!("confirmation by {}", names.join(", ")))
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

/// What an explanation calls the source of what is not selected.
const SELECTION: &str = "the selection of this replica (`replicat select list`)";

/// The rule that leaves a path out.
fn excluded(
    looked: &Looked,
    path: &RelPath,
    record: &Record,
    found: Option<&Observation>,
) -> Result<Option<Excluded>, SyncError> {
    let is_directory = match found {
        Some(found) => found.kind == Kind::Directory,
        None => record.entry.is_directory(),
    };
    let filter = &looked.local.filter;
    let found = filter.explain(looked.root(), path, is_directory);
    let found = found.map_err(|error| looked.local.fs_failed(error))?;
    Ok(found.map(|Exclusion { matched, reason }| {
        let (pattern, source) = match reason {
            ExclusionReason::State => (None, None),
            ExclusionReason::Deselected => (None, Some(SELECTION.to_owned())),
            ExclusionReason::Rule { pattern, source } => {
                (Some(pattern), source.map(|source| source.to_string()))
            }
            ExclusionReason::IgnoreFile { file, line } => match line {
                Some((line, pattern)) => (Some(pattern), Some(format!("{file}:{line}"))),
                None => (None, Some(file.to_string())),
            },
        };
        Excluded {
            matched,
            pattern,
            source,
        }
    }))
}

fn left_out(path: &RelPath, rule: &Excluded) -> String {
    let Excluded {
        matched,
        pattern,
        source,
    } = rule;
    let pattern = pattern.as_deref().map(String::from_utf8_lossy);
    let rule = match (pattern, source) {
        (Some(pattern), Some(source)) => format!("`{pattern}` in {source}"),
        (Some(pattern), None) => format!("the pattern `{pattern}`"),
        (None, Some(file)) => file.clone(),
        (None, None) => {
            return "it belongs to the state of replicat, and is never synced".to_owned();
        }
    };
    match matched == path {
        true => format!("it is left out by {rule}"),
        false => format!("it is left out with the directory {matched}, by {rule}"),
    }
}

/// Why the path, or a directory above it, was skipped.
fn skipped(
    looked: &Looked,
    path: &RelPath,
    found: Option<&Observation>,
) -> Result<Option<SkipReason>, SyncError> {
    let local = &looked.local;
    // A folder that runs knows better than its index.
    let noted = match local.hands {
        Some(_) => local.skipped.clone(),
        None => local.kept_skipped()?,
    };
    let noted = noted
        .into_iter()
        .find(|skipped| path.is_within(&skipped.path));
    let special = found.and_then(|found| match found.kind {
        Kind::Special(kind) => Some(SkipReason::Special(skipping::of_special(kind))),
        _ => None,
    });
    Ok(noted.map(|skipped| skipped.reason).or(special))
}
