//! Conflicts as users are told of them: a path, its copy, and the two versions.

use std::collections::{BTreeMap, BTreeSet};

use replicat_core::conflict::MARK;
use replicat_core::entry::Version;
use replicat_core::id::ReplicaId;
use replicat_core::path::RelPath;
use replicat_core::resolve::Shown;
use replicat_core::store::Store;

use super::clock;
use super::local::LocalReplica;
use crate::error::SyncError;
use crate::report::{ConflictReport, VersionReport};

/// What is to be told of some conflict copies.
pub(super) fn of_copies(
    local: &LocalReplica,
    copies: &BTreeSet<RelPath>,
) -> Result<Vec<ConflictReport>, SyncError> {
    let mut reports = Vec::new();
    for copy in copies {
        reports.extend(of_copy(local, copy)?);
    }
    Ok(reports)
}

/// The conflicts that nobody has resolved, by path.
pub(super) fn open(local: &LocalReplica) -> Result<Vec<ConflictReport>, SyncError> {
    let copies = local.replica.store().copies();
    let copies = copies.map_err(|error| local.failed(error))?;
    let mut found = of_copies(local, &copies)?;
    found.sort_by(|one, other| (&one.path, &one.copy).cmp(&(&other.path, &other.copy)));
    Ok(found)
}

/// What is to be told of a conflict copy; `None` if there is none at `copy`.
pub(super) fn of_copy(
    local: &LocalReplica,
    copy: &RelPath,
) -> Result<Option<ConflictReport>, SyncError> {
    let failed = |error| local.failed(error);
    let entry = local.replica.record(copy).map_err(failed)?.entry;
    let Some(shown) = entry.shown().filter(Shown::is_live) else {
        return Ok(None);
    };
    let Some(loser) = shown.winner.conflict_of else {
        return Ok(None);
    };
    let origin = super::transfer::origin_of_copy(local, loser)?;
    let Some(path) = origin.or_else(|| path_of_copy(copy)) else {
        return Ok(None);
    };
    let there = local.replica.record(&path).map_err(failed)?.entry;
    let winner = match there.shown() {
        Some(shown) => version(local, shown.winner)?,
        None => version(local, shown.winner)?,
    };
    let lost = VersionReport {
        node: node(local, loser.replica)?,
        when: clock::timestamp(shown.winner.hlc),
        payload: shown.payload().clone(),
    };
    let when = clock::timestamp(replicat_core::version::Hlc(shown.winner.dot.counter / 1000));
    Ok(Some(ConflictReport {
        path,
        copy: copy.clone(),
        winner,
        loser: lost,
        when,
    }))
}

/// The path that a conflict copy's name speaks of.
pub(super) fn path_of_copy(copy: &RelPath) -> Option<RelPath> {
    let name = copy.name();
    let mark = MARK.as_bytes();
    let at = name.windows(mark.len()).position(|part| part == mark)?;
    let rest = &name[at + mark.len()..];
    let extension = rest
        .iter()
        .rposition(|&byte| byte == b'.')
        .map_or(&b""[..], |dot| &rest[dot..]);
    copy.parent()?.join(&[&name[..at], extension].concat()).ok()
}

fn version(local: &LocalReplica, version: &Version) -> Result<VersionReport, SyncError> {
    Ok(VersionReport {
        node: author(local, version)?,
        when: clock::timestamp(version.hlc),
        payload: version.payload.clone(),
    })
}

/// The name of the replica that made what a version holds. Whatever shows an author asks this.
pub(super) fn author(local: &LocalReplica, version: &Version) -> Result<String, SyncError> {
    node(local, version.author())
}

/// The name of a replica, or its id if it has none.
pub(super) fn node(local: &LocalReplica, replica: ReplicaId) -> Result<String, SyncError> {
    Ok(Names::of(local)?.name(replica))
}

/// The names of all replicas that are known of.
pub(super) struct Names(BTreeMap<ReplicaId, String>);

impl Names {
    /// Those that `local` knows of.
    pub(super) fn of(local: &LocalReplica) -> Result<Self, SyncError> {
        let members = local.replica.store().members();
        let members = members.map_err(|error| local.failed(error))?;
        let named = members.into_iter().map(|(id, member)| (id, member.name));
        Ok(Self(named.filter(|(_, name)| !name.is_empty()).collect()))
    }

    /// The name of a replica, or its id if it has none.
    pub(super) fn name(&self, replica: ReplicaId) -> String {
        let known = self.0.get(&replica).cloned();
        known.unwrap_or_else(|| replica.to_string())
    }

    /// The names of all replicas but `own`.
    pub(super) fn others(&self, own: ReplicaId) -> Vec<String> {
        let others = self.0.iter().filter(|(id, _)| **id != own);
        let names: BTreeSet<String> = others.map(|(_, name)| name.clone()).collect();
        names.into_iter().collect()
    }
}
