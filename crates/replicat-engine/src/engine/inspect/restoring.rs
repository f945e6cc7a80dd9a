//! Restoring: which versions are meant, and where they are.
//!
//! Goals: what stands at a path goes to the trash before another version takes its place; a path that cannot be restored
//! stops no other. Non-goals: asking other nodes (the live folder does that between planning and placing); putting versions in
//! place ([`super::placing`]).

use std::collections::BTreeSet;

use replicat_content::ContentHasher;
use replicat_core::entry::Timestamp;
use replicat_core::id::ContentHash;
use replicat_core::path::RelPath;
use replicat_core::record::Fingerprint;
use replicat_fs::observe::Kind;
use replicat_fs::read::StableFile;
use replicat_fs::root::Root;
use replicat_fs::trash::TrashId;
use replicat_index::HeldKind;

use super::fetching::Provider;
use super::history::{Known, Past};
use super::open::{self, Access, Looked};
use super::placing::obtain;
use crate::engine::held::Held;
use crate::engine::local::LocalReplica;
use crate::engine::transfer::PIECE_BYTES_MAX;
use crate::error::SyncError;
use crate::inspection::{HistoryChange, Keeping, Revision};
use crate::options::RootLocation;
use crate::restoration::{
    NotRestored, Restoration, RestoreRequest, Restored, RestoredFrom, Selection,
};

/// How many paths are put in place with one flush.
pub(in crate::engine) const PLACED_AT_ONCE_MAX: usize = 128;

/// Why a version is not restored that stands there.
const IS_HELD: &str = "is what the path holds";

/// Restores versions of paths. Each counts as an edit, which the next sync carries to the other roots; what the paths hold
/// now goes to the trash.
///
/// # Errors
/// [`SyncError::NoRevision`] if there is no such version, [`SyncError::NotKept`] if its content is not here; what else keeps
/// the files from being changed. Of a recursive request, paths that cannot be restored are in the answer.
pub fn restore(location: &RootLocation, request: &RestoreRequest) -> Result<Restored, SyncError> {
    let access = match request.dry_run {
        true => Access::Read,
        false => Access::Write,
    };
    let mut looked = open::open(location, access)?;
    let mut plan = looked.plan_restore(request)?;
    if !request.dry_run {
        let held = std::sync::Arc::new(Held::of(&looked.local));
        let own = [Provider::own(held.clone())];
        for targets in plan.take_groups() {
            let mut ready = Vec::new();
            for target in targets {
                match obtain(&held, target, &own) {
                    Ok(one) => ready.push(one),
                    Err(target) => {
                        let reason = looked.whom_to_ask(&target)?;
                        plan.fail(&target, reason);
                    }
                }
            }
            let placed = looked.place(ready)?;
            plan.add(placed);
        }
    }
    plan.finish(&looked.local.given, request)
}

/// Plans in a replica that is in use, which is given back.
pub(in crate::engine) fn plan_in(
    local: LocalReplica,
    request: &RestoreRequest,
) -> (LocalReplica, Result<RestorePlan, SyncError>) {
    let looked = Looked::lent(local);
    let plan = looked.plan_restore(request);
    (looked.into_local(), plan)
}

/// A version that is to be restored.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Target {
    pub(in crate::engine) restoration: Restoration,
    pub(super) place: Place,
    held: HeldKind,
    content: Option<ContentHash>,
}

/// Where the content of a version is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// In the trash of this root, of this path.
    Trash(TrashId),
    /// It is a directory.
    Directory,
    /// Somewhere: in another file or elsewhere in the trash, or at another node.
    Content(ContentHash),
    /// A link, which is found by no content.
    Nowhere,
}

/// What is to be restored, and what came of it so far.
#[derive(Debug, Default)]
pub(in crate::engine) struct RestorePlan {
    targets: Vec<Target>,
    done: Restored,
}

impl RestorePlan {
    /// What is to be restored, in groups that are put in place together.
    pub(in crate::engine) fn take_groups(&mut self) -> Vec<Vec<Target>> {
        let mut targets = std::mem::take(&mut self.targets).into_iter().peekable();
        let mut groups = Vec::new();
        while targets.peek().is_some() {
            groups.push(targets.by_ref().take(PLACED_AT_ONCE_MAX).collect());
        }
        groups
    }

    pub(in crate::engine) fn add(&mut self, mut placed: Restored) {
        self.done.restorations.append(&mut placed.restorations);
        self.done.failed.append(&mut placed.failed);
    }

    pub(in crate::engine) fn fail(&mut self, target: &Target, reason: String) {
        let path = target.restoration.path.clone();
        self.done.failed.push(NotRestored { path, reason });
    }

    /// The answer to the request that the plan was made of. A single path that could not be restored is an error.
    pub(in crate::engine) fn finish(
        mut self,
        root: &std::path::Path,
        request: &RestoreRequest,
    ) -> Result<Restored, SyncError> {
        let planned = self.targets.into_iter().map(|target| Restoration {
            planned: true,
            ..target.restoration
        });
        self.done.restorations.extend(planned);
        let single = self.done.failed.first().cloned();
        if let Some(failed) = single.filter(|_| !request.selection.is_recursive()) {
            return Err(SyncError::NotKept {
                root: root.to_owned(),
                path: failed.path,
                reason: failed.reason,
            });
        }
        (self.done.restorations).sort_by(|one, other| one.path.cmp(&other.path));
        self.done
            .failed
            .sort_by(|one, other| one.path.cmp(&other.path));
        Ok(self.done)
    }
}

impl Looked {
    fn plan_restore(&self, request: &RestoreRequest) -> Result<RestorePlan, SyncError> {
        let path = &request.path;
        let past = Past::of(self, (!request.selection.is_recursive()).then_some(path))?;
        let mut plan = RestorePlan::default();
        match request.selection {
            Selection::Version(revision) => {
                let versions = self.known_versions(path, &past)?;
                let target = self.version(path, &versions, revision)?;
                if self.holds(&target)? {
                    return Err(SyncError::NoRevision {
                        root: self.local.given.clone(),
                        path: path.clone(),
                        revision: Some(target.restoration.revision),
                        problem: IS_HELD,
                    });
                }
                plan.targets.push(target);
            }
            Selection::At(time) => {
                let versions = self.known_versions(path, &past)?;
                self.choose_at(path, &versions, time, &mut plan);
                self.leave_held(&mut plan)?;
                if plan.targets.is_empty() && plan.done.failed.is_empty() {
                    let reason = nothing_to_do_at(&versions, time).to_owned();
                    let path = path.clone();
                    plan.done.failed.push(NotRestored { path, reason });
                }
            }
            Selection::Deleted | Selection::TreeAt(_) => {
                for path in self.past_paths(path, &past)? {
                    let versions = self.versions(&path, &past)?;
                    match request.selection {
                        Selection::TreeAt(time) => {
                            self.choose_at(&path, &versions, time, &mut plan);
                        }
                        _ => plan.targets.extend(deleted(&path, &versions)),
                    }
                }
                self.leave_held(&mut plan)?;
            }
        }
        Ok(plan)
    }

    fn known_versions(&self, path: &RelPath, past: &Past) -> Result<Vec<Known>, SyncError> {
        let versions = self.versions(path, past)?;
        if versions.is_empty() {
            let (root, path) = (self.local.given.clone(), path.clone());
            return Err(SyncError::UnknownPath { root, path });
        }
        Ok(versions)
    }

    /// The paths at and below one that held something before.
    fn past_paths(&self, above: &RelPath, past: &Past) -> Result<BTreeSet<RelPath>, SyncError> {
        let paths = self.local.replica.store().history_paths();
        let mut paths = paths.map_err(|error| self.local.index_failed(error))?;
        paths.extend(past.paths().cloned());
        paths.retain(|path| !path.is_root() && path.is_within(above));
        Ok(paths)
    }

    /// Takes out of a plan what the paths hold already, though the index does not know it yet.
    fn leave_held(&self, plan: &mut RestorePlan) -> Result<(), SyncError> {
        let mut targets = Vec::with_capacity(plan.targets.len());
        for target in std::mem::take(&mut plan.targets) {
            if !self.holds(&target)? {
                targets.push(target);
            }
        }
        plan.targets = targets;
        Ok(())
    }

    /// Whether a path holds what is to be restored there.
    fn holds(&self, target: &Target) -> Result<bool, SyncError> {
        let path = &target.restoration.path;
        // What cannot be looked at is not held; putting something there says why.
        let Ok(Some(found)) = self.root().observe(path, self.local.tracking) else {
            return Ok(false);
        };
        match (found.kind, target.held, target.content) {
            (Kind::Directory, HeldKind::Directory, _) => Ok(true),
            // A link that is not in the trash any more was taken from there.
            (Kind::Symlink, HeldKind::Symlink, _) => Ok(matches!(target.place, Place::Nowhere)),
            (Kind::File, HeldKind::File, Some(content)) => {
                let known = self.known_content(path, &found.fingerprint)?;
                Ok(match known {
                    Some(known) => known == content,
                    None if found.fingerprint.size != target.restoration.size => false,
                    None => hash_of(self.root(), path, &found.fingerprint) == Some(content),
                })
            }
            _ => Ok(false),
        }
    }

    /// The version with a number, or the latest that differs from what the path holds.
    fn version(
        &self,
        path: &RelPath,
        versions: &[Known],
        revision: Option<Revision>,
    ) -> Result<Target, SyncError> {
        let refused = |problem| SyncError::NoRevision {
            root: self.local.given.clone(),
            path: path.clone(),
            revision,
            problem,
        };
        let Some(wanted) = revision else {
            let earlier = versions.iter().find(|known| is_earlier(known, versions));
            let earlier = earlier.ok_or_else(|| refused("has no earlier version"))?;
            return Ok(target(path, earlier));
        };
        let known = versions.iter().find(|known| known.row.revision == wanted);
        let known = known.ok_or_else(|| refused("does not exist"))?;
        match known.row.keeping {
            Keeping::Current => Err(refused(IS_HELD)),
            _ if !known.is_live() => Err(refused("is a deletion")),
            _ => Ok(target(path, known)),
        }
    }

    /// Plans to give a path what it held at a time, if it does not hold that.
    fn choose_at(
        &self,
        path: &RelPath,
        versions: &[Known],
        time: Timestamp,
        plan: &mut RestorePlan,
    ) {
        match version_at(versions, time) {
            Some(known) if is_earlier(known, versions) => plan.targets.push(target(path, known)),
            Some(_) => {}
            None if is_whole(versions) => {}
            None => plan.done.failed.push(NotRestored {
                path: path.clone(),
                reason: "its history does not reach back to that time".to_owned(),
            }),
        }
    }

    /// Why a version could not be had here, and who may have it.
    fn whom_to_ask(&self, target: &Target) -> Result<String, SyncError> {
        let restoration = &target.restoration;
        let names = crate::engine::conflicts::Names::of(&self.local)?;
        let others = names.others(self.local.replica.identity().replica);
        let made = match restoration.node.as_str() {
            "" => String::new(),
            node => format!(", made by {node},"),
        };
        let revision = restoration.revision.0;
        let others = match others.is_empty() {
            true => "no other replica is known".to_owned(),
            false => format!(
                "one of {} may hold it, perhaps in its trash: restore it there and sync, or start a node here that is \
                 connected to them and restore again",
                others.join(", ")
            ),
        };
        Ok(format!(
            "the content of version {revision}{made} is not kept here; {others}"
        ))
    }
}

/// The content of a file; `None` if it cannot be read, or changes meanwhile.
pub(super) fn hash_of(root: &Root, path: &RelPath, expected: &Fingerprint) -> Option<ContentHash> {
    let file = StableFile::open_expected(root, path, expected).ok()?;
    let mut hasher = ContentHasher::new(expected.size);
    let mut buffer = vec![0; PIECE_BYTES_MAX as usize];
    let mut at = 0;
    while at < expected.size {
        let read = file
            .read_at(at, &mut buffer)
            .ok()
            .filter(|read| *read > 0)?;
        hasher.update(&buffer[..read]);
        at += read as u64;
    }
    file.verify().ok()?;
    Some(hasher.finish().hash)
}

fn target(path: &RelPath, known: &Known) -> Target {
    let (place, from) = match (&known.item, known.held, known.row.content) {
        (Some(item), _, _) => (Place::Trash(item.id), RestoredFrom::Trash),
        (None, HeldKind::Directory, _) => (Place::Directory, RestoredFrom::Root),
        (None, _, Some(content)) => (Place::Content(content), RestoredFrom::Elsewhere),
        (None, _, None) => (Place::Nowhere, RestoredFrom::Elsewhere),
    };
    Target {
        restoration: Restoration {
            path: path.clone(),
            revision: known.row.revision,
            size: known.row.size,
            when: known.row.when,
            node: known.row.node.clone(),
            from,
            planned: false,
        },
        place,
        held: known.held,
        content: known.row.content,
    }
}

/// Whether a version is live and not what the path holds now.
fn is_earlier(known: &Known, versions: &[Known]) -> bool {
    let current = versions.first();
    let current = current.filter(|known| known.row.keeping == Keeping::Current);
    let is_held = current.is_some_and(|current| {
        (current.held, current.row.content) == (known.held, known.row.content)
            && (known.held != HeldKind::Symlink || current.row.revision == known.row.revision)
    });
    known.is_live() && !is_held
}

/// What a path held before it was deleted; `None` if it was not, or was moved away.
fn deleted(path: &RelPath, versions: &[Known]) -> Option<Target> {
    let (latest, earlier) = versions.split_first()?;
    let is_deleted = latest.row.change == HistoryChange::Deleted;
    let known = earlier.iter().find(|known| known.is_live())?;
    is_deleted.then(|| target(path, known))
}

/// The version that a path held at a time. Of what the trash alone knows, nobody knows when it was made.
fn version_at(versions: &[Known], time: Timestamp) -> Option<&Known> {
    let dated = versions.iter().filter(|known| !known.row.node.is_empty());
    dated.into_iter().find(|known| known.row.when <= time)
}

/// Whether the versions reach back to when the path came into being.
fn is_whole(versions: &[Known]) -> bool {
    versions.last().is_none_or(|oldest| {
        !matches!(
            oldest.row.change,
            HistoryChange::Edited | HistoryChange::Described
        )
    })
}

/// Why nothing is restored of a single path.
fn nothing_to_do_at(versions: &[Known], time: Timestamp) -> &'static str {
    match version_at(versions, time) {
        None => "it did not exist at that time",
        Some(known) if !known.is_live() => "it was deleted at that time",
        Some(_) => "it holds what it held at that time",
    }
}
