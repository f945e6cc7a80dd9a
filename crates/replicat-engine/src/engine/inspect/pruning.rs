//! Removing the local copies of what a replica does not select, where another replica keeps them (`docs/selection.md`).
//!
//! Goals: nothing is removed that nobody keeps at that moment; a power loss makes no deletion out of a removed copy. Non-goals:
//! who can be asked (other roots, or the peers of a folder that runs).

use std::collections::BTreeMap;
use std::sync::Arc;

use replicat_core::entry::{Metadata, Payload};
use replicat_core::id::ContentHash;
use replicat_core::message::Want;
use replicat_core::path::RelPath;
use replicat_core::record::{Fingerprint, Local, Record};
use replicat_core::store::Store;
use replicat_core::version::{Dot, VersionVector};
use replicat_fs::apply::{Action, Change, Displaced};
use replicat_fs::filter::IGNORE_FILE_NAME;
use replicat_fs::observe::{Kind, Observation};
use replicat_index::Durability;

use super::open::Looked;
use super::restoring::hash_of;
use crate::engine::failure::Failure;
use crate::engine::held::Held;
use crate::engine::local::LocalReplica;
use crate::engine::selection::SelectionNumber;
use crate::engine::transfer::{Neighbour, Source};
use crate::error::SyncError;
use crate::selection::{Pruned, StayReason, StayingCopy};

/// How many records are looked at, and asked about, at once.
const PAGE_ROWS: usize = 1024;

/// A replica that may keep what is removed here.
pub(in crate::engine) struct Keeper {
    /// Which events it knows.
    knowledge: VersionVector,
    source: Arc<dyn Source>,
}

impl Keeper {
    pub(in crate::engine) fn new(knowledge: VersionVector, source: Arc<dyn Source>) -> Self {
        Self { knowledge, source }
    }

    /// Another root on this host.
    pub(super) fn root(local: &LocalReplica) -> Self {
        let held = Arc::new(Held::of(local));
        let knowledge = local.replica.knowledge().clone();
        Self::new(knowledge, Arc::new(Neighbour(held)))
    }

    /// Takes out those that it keeps.
    fn take_kept(&self, candidates: &mut Vec<Candidate>) -> Vec<Candidate> {
        let (known, mut left): (Vec<_>, Vec<_>) =
            (candidates.drain(..)).partition(|candidate| self.knowledge.contains(candidate.shown));
        let wants = known.iter().filter_map(Candidate::want).collect();
        let mut answers = self.source.keeps(wants).into_iter();
        let (kept, missing) = known.into_iter().partition(|candidate| {
            candidate.wanted.is_none() || answers.next().unwrap_or_default()
        });
        left.extend::<Vec<_>>(missing);
        *candidates = left;
        kept
    }
}

/// A local copy that can go, if somebody keeps what its path shows.
pub(in crate::engine) struct Candidate {
    path: RelPath,
    /// What was selected when it was found. Another selection, though it leaves the path out as well, may have had it in scope
    /// in between: then others relied on this copy.
    number: SelectionNumber,
    /// What must be there still.
    expected: Fingerprint,
    /// What the copy holds, if it is a file.
    content: Option<ContentHash>,
    is_directory: bool,
    /// The version that the path shows.
    shown: Dot,
    /// That version is a deletion, which nobody has to keep.
    is_deleted: bool,
    /// The content of that version, if it has one.
    wanted: Option<ContentHash>,
}

impl Candidate {
    fn want(&self) -> Option<Want> {
        Some(Want {
            content: self.wanted?,
            path: self.path.clone(),
            offset: 0,
            length: 1,
        })
    }

    fn is_ignore_file(&self) -> bool {
        self.path.name() == IGNORE_FILE_NAME
    }

    fn bytes(&self) -> u64 {
        match self.content {
            Some(_) => self.expected.size,
            None => 0,
        }
    }
}

/// A copy that was to be removed, and what became of that.
type Removal = (Candidate, Result<(), SyncError>);

/// A part of what is not selected, in path order.
pub(in crate::engine) struct Page {
    candidates: Vec<Candidate>,
    staying: Vec<StayingCopy>,
    /// Where the next one begins; `None` if this is the last.
    next: Option<RelPath>,
}

/// What can look at the records of a replica, and remove copies.
pub(in crate::engine) trait Pruner {
    /// The copies behind a path. What it says of them is durable, and is what others are answered from now on.
    fn page(&mut self, after: Option<&RelPath>) -> Result<Page, SyncError>;
    /// Moves files to the trash, and removes directories that are empty. None of them holds another.
    fn remove_copies(&mut self, copies: Vec<Candidate>) -> Result<Pruned, SyncError>;
}

/// Removes the copies that somebody keeps, or says what would be removed.
pub(in crate::engine) fn prune(
    pruner: &mut dyn Pruner,
    keepers: &[Keeper],
    dry_run: bool,
) -> Result<Pruned, SyncError> {
    let mut pruned = Pruned {
        dry_run,
        ..Pruned::default()
    };
    // What can go only when others are gone, by depth: what is below goes first.
    let mut waiting: BTreeMap<usize, Vec<Candidate>> = BTreeMap::new();
    let mut after = None;
    loop {
        let page = pruner.page(after.as_ref())?;
        for StayingCopy { path, reason } in page.staying {
            pruned.stay(path, reason);
        }
        let (safe, lonely) = judged(page.candidates, keepers);
        for candidate in lonely {
            pruned.stay(candidate.path, StayReason::NotElsewhere);
        }
        let (holding, files): (Vec<_>, Vec<_>) = safe
            .into_iter()
            .partition(|safe| safe.is_directory || safe.is_ignore_file());
        for candidate in holding {
            let depth = candidate.path.components().count();
            waiting.entry(depth).or_default().push(candidate);
        }
        pruned.remove(pruner, files)?;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    for (_, of_depth) in waiting.into_iter().rev() {
        // The patterns of an ignore file hold until nothing else is left beside it.
        let (directories, ignore_files): (Vec<_>, Vec<_>) =
            (of_depth.into_iter()).partition(|candidate| candidate.is_directory);
        pruned.remove(pruner, directories)?;
        pruned.remove(pruner, ignore_files)?;
    }
    pruned
        .staying
        .sort_by(|one, other| one.path.cmp(&other.path));
    Ok(pruned)
}

/// Those that can go, and those that nobody keeps.
fn judged(candidates: Vec<Candidate>, keepers: &[Keeper]) -> (Vec<Candidate>, Vec<Candidate>) {
    let (mut safe, mut left): (Vec<_>, Vec<_>) = candidates
        .into_iter()
        .partition(|candidate| candidate.is_deleted);
    for keeper in keepers {
        if left.is_empty() {
            break;
        }
        safe.extend(keeper.take_kept(&mut left));
    }
    (safe, left)
}

impl Pruned {
    /// Removes copies, or counts those that would be removed.
    fn remove(&mut self, pruner: &mut dyn Pruner, copies: Vec<Candidate>) -> Result<(), SyncError> {
        match self.dry_run {
            true => copies.iter().for_each(|copy| self.count(copy)),
            false => self.add(pruner.remove_copies(copies)?),
        }
        Ok(())
    }

    fn count(&mut self, copy: &Candidate) {
        self.directories += u64::from(copy.is_directory);
        self.files += u64::from(!copy.is_directory);
        self.bytes += copy.bytes();
    }

    fn add(&mut self, more: Self) {
        self.files += more.files;
        self.bytes += more.bytes;
        self.directories += more.directories;
        self.more += more.more;
        for StayingCopy { path, reason } in more.staying {
            self.stay(path, reason);
        }
    }
}

impl Pruner for Looked {
    fn page(&mut self, after: Option<&RelPath>) -> Result<Page, SyncError> {
        let paths = self.local.replica.store().excluded(after, PAGE_ROWS);
        let paths = paths.map_err(|error| self.local.failed(error))?;
        let mut page = Page {
            candidates: Vec::new(),
            staying: Vec::new(),
            next: paths.last().filter(|_| paths.len() == PAGE_ROWS).cloned(),
        };
        for path in paths {
            match self.copy(&path)? {
                None => {}
                Some(Ok(candidate)) => page.candidates.push(candidate),
                Some(Err(reason)) => page.staying.push(StayingCopy { path, reason }),
            }
        }
        Ok(page)
    }

    fn remove_copies(&mut self, copies: Vec<Candidate>) -> Result<Pruned, SyncError> {
        let mut going = Vec::with_capacity(copies.len());
        let mut pruned = Pruned::default();
        for mut copy in copies {
            let Some(found) = self.fingerprint(&copy.path)? else {
                continue;
            };
            match self.obstacle(&copy, &found)? {
                Some(reason) => pruned.stay(copy.path, reason),
                None => {
                    copy.expected = found;
                    going.push(copy);
                }
            }
        }
        for (copy, result) in self.take_away(going)? {
            match result {
                Ok(()) => pruned.count(&copy),
                Err(error) => pruned.stay(copy.path, StayReason::Failed(error.to_string())),
            }
        }
        Ok(pruned)
    }
}

impl Looked {
    /// The local copy at a path that is out of scope, and whether it can go; `None` if there is none, or it is selected.
    fn copy(&self, path: &RelPath) -> Result<Option<Result<Candidate, StayReason>>, SyncError> {
        let found = self.local.root.observe(path, self.local.tracking);
        let Some(found) = found.map_err(|error| self.local.fs_failed(error))? else {
            return Ok(None);
        };
        let is_directory = found.kind == Kind::Directory;
        let is_leaf = matches!(found.kind, Kind::File | Kind::Symlink);
        let selection = self.local.filter.selection();
        if selection.includes(path, is_directory) || !is_directory && !is_leaf {
            return Ok(None);
        }
        let record = self.local.replica.record(path);
        let record = record.map_err(|error| self.local.failed(error))?;
        Ok(Some(self.candidate(path, &record, &found)))
    }

    fn candidate(
        &self,
        path: &RelPath,
        record: &Record,
        found: &Observation,
    ) -> Result<Candidate, StayReason> {
        let is_directory = found.kind == Kind::Directory;
        let shown = record.entry.shown().ok_or(StayReason::Changed)?;
        let held = record.state();
        let content = match found.kind {
            Kind::File => Some(self.recorded_content(path, record, found)?),
            Kind::Symlink if !held.is_some_and(|held| is_unchanged(held, found)) => {
                return Err(StayReason::Changed);
            }
            _ => None,
        };
        if !is_directory && record.entry.versions().len() > 1 {
            return Err(StayReason::Conflict);
        }
        Ok(Candidate {
            path: path.clone(),
            number: self.local.selection_number,
            expected: found.fingerprint,
            content,
            is_directory,
            shown: shown.winner.dot,
            is_deleted: !shown.is_live(),
            wanted: shown.payload().content(),
        })
    }

    /// The content of a file, if it is one that the replica had when it went out of scope.
    fn recorded_content(
        &self,
        path: &RelPath,
        record: &Record,
        found: &Observation,
    ) -> Result<ContentHash, StayReason> {
        let hashed = || hash_of(self.root(), path, &found.fingerprint);
        let content = match record.state() {
            Some(held) if held.fingerprint == found.fingerprint => {
                let base = held.base.as_ref();
                let content = base.and_then(|base| base.payload.content());
                content.filter(|content| !held.racy || hashed() == Some(*content))
            }
            Some(_) => None,
            // An earlier run noted that it is removed, and was cut off before it was.
            None => match record.entry.shown().map(|shown| shown.payload().clone()) {
                Some(Payload::File { size, content, .. }) if size == found.fingerprint.size => {
                    hashed().filter(|hashed| *hashed == content)
                }
                _ => None,
            },
        };
        content.ok_or(StayReason::Changed)
    }

    /// Why a copy that somebody keeps cannot go; `None` if it can.
    fn obstacle(
        &self,
        copy: &Candidate,
        found: &Fingerprint,
    ) -> Result<Option<StayReason>, SyncError> {
        if !self.is_as_judged(copy)? {
            return Ok(Some(StayReason::Overtaken));
        }
        // What cannot be listed is taken to hold something.
        let holds_at_most = |directory: &RelPath, count| {
            let listed = self.local.root.list(directory);
            listed.is_ok_and(|names| names.len() <= count)
        };
        let parent = || copy.path.parent().unwrap_or_else(RelPath::root);
        Ok(match copy.is_directory {
            // Its time has changed with what was removed in it.
            true => (!holds_at_most(&copy.path, 0)).then_some(StayReason::NotEmpty),
            false if *found != copy.expected => Some(StayReason::Changed),
            false if copy.is_ignore_file() && !holds_at_most(&parent(), 1) => {
                Some(StayReason::Patterns)
            }
            false => None,
        })
    }

    /// Whether what others were asked about still holds: the path was out of scope all the time, and shows the same version.
    fn is_as_judged(&self, candidate: &Candidate) -> Result<bool, SyncError> {
        let record = self.local.replica.record(&candidate.path);
        let record = record.map_err(|error| self.local.failed(error))?;
        let shown = record.entry.shown().map(|shown| shown.winner.dot);
        let is_single = candidate.is_directory || record.entry.versions().len() <= 1;
        Ok(candidate.number == self.local.selection_number
            && record.excluded.is_some()
            && shown == Some(candidate.shown)
            && is_single)
    }

    /// Removes copies: first the records say, durably, that they were removed on purpose.
    fn take_away(&mut self, going: Vec<Candidate>) -> Result<Vec<Removal>, SyncError> {
        if going.is_empty() {
            return Ok(Vec::new());
        }
        let mut held = Vec::with_capacity(going.len());
        for candidate in &going {
            let record = self.local.replica.record(&candidate.path);
            let record = record.map_err(|error| self.local.failed(error))?;
            held.push(record.excluded.and_then(|excluded| excluded.held));
            let released = self.local.replica.release_excluded(&candidate.path);
            released.map_err(|error| self.local.failed(error))?;
        }
        let noted = self.local.replica.store_mut().commit(Durability::Group);
        noted.map_err(|error| Failure::from(error).at(&self.local.given))?;
        let change = |candidate: &Candidate| Change {
            path: candidate.path.clone(),
            expected: Some(candidate.expected),
            action: match candidate.is_directory {
                true => Action::RemoveDirectory,
                false => Action::Remove,
            },
            displaced: Displaced::ToTrash {
                content: candidate.content,
            },
        };
        let above = self.directories_in_scope(&going)?;
        let results = self.change_all(going.iter().map(change).collect())?;
        for ((candidate, result), held) in going.iter().zip(&results).zip(held) {
            let is_there = || self.fingerprint(&candidate.path);
            if let (Err(_), Some(held)) = (result, held)
                && is_there()?.is_some_and(|found| found.is_of_same(&held.fingerprint))
            {
                let retained = self.local.replica.retain_excluded(&candidate.path, held);
                retained.map_err(|error| self.local.failed(error))?;
            }
        }
        self.calm(above)?;
        Ok(going.into_iter().zip(results).collect())
    }

    /// The directories in scope in which something is removed, as they are before that.
    fn directories_in_scope(
        &self,
        going: &[Candidate],
    ) -> Result<BTreeMap<RelPath, Observation>, SyncError> {
        let mut above = BTreeMap::new();
        let selection = self.local.filter.selection();
        for directory in going.iter().filter_map(|candidate| candidate.path.parent()) {
            if above.contains_key(&directory) || !selection.includes(&directory, true) {
                continue;
            }
            if let Some(found) = self.directory(&directory)? {
                above.insert(directory, found);
            }
        }
        Ok(above)
    }

    fn directory(&self, path: &RelPath) -> Result<Option<Observation>, SyncError> {
        let (root, tracking) = (&self.local.root, self.local.tracking);
        let found = match path.is_root() {
            true => root.observe_itself(tracking).map(Some),
            false => root.observe(path, tracking),
        };
        found.map_err(|error| self.local.fs_failed(error))
    }

    /// Gives directories the time that they had before something was removed in them: that is no change of a user's.
    fn calm(&mut self, directories: BTreeMap<RelPath, Observation>) -> Result<(), SyncError> {
        for (path, before) in directories {
            let metadata = Metadata {
                mtime: before.metadata.mtime,
                ..Metadata::default()
            };
            match (path.is_root(), &self.local.hands) {
                (_, None) => {}
                (true, Some(hands)) => {
                    let unset = self.local.root.describe_itself(&hands.calls, &metadata);
                    unset.map_err(|error| self.local.fs_failed(error))?;
                }
                (false, Some(_)) => {
                    let change = Change {
                        path: path.clone(),
                        expected: self.fingerprint(&path)?,
                        action: Action::SetMetadata(metadata),
                        displaced: Displaced::Discard,
                    };
                    // Somebody may work there at the same time: then the time is theirs.
                    drop(self.change_all(vec![change])?);
                }
            }
            let record = self.local.replica.record(&path);
            let record = record.map_err(|error| self.local.failed(error))?;
            let known = record.local.map(|local| local.fingerprint);
            let Some(now) = self.directory(&path)? else {
                continue;
            };
            if known == Some(before.fingerprint) {
                let noted = self.local.replica.refresh(&path, now.fingerprint);
                noted.map_err(|error| self.local.failed(error))?;
            }
        }
        self.local.commit()
    }
}

/// Whether what was found is what the record says.
fn is_unchanged(held: &Local, found: &Observation) -> bool {
    held.fingerprint == found.fingerprint && !held.racy
}
