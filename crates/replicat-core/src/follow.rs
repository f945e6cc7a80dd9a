//! Live versions that follow a move (`docs/algorithm.md`, section 6.3).

use crate::entry::{Carry, Entry, Payload, Version};
use crate::id::ReplicaId;
use crate::path::RelPath;
use crate::record::Record;
use crate::replica::{Draft, Now, Replica};
use crate::settle::latest_hlc;
use crate::store::{Store, StoreError};
use crate::version::{Context, Hlc};

impl<S: Store> Replica<S> {
    /// Where a path went with the nearest directory above it that was moved, if it may follow.
    pub(crate) fn moved_with_parent(&self, path: &RelPath) -> Result<Option<RelPath>, StoreError> {
        let record = self.record(path)?;
        let Some(shown) = record.entry.shown() else {
            return Ok(None);
        };
        if shown.winner.carry.is_some() {
            return Ok(None);
        }
        for above in path.ancestors().take_while(|above| !above.is_root()) {
            let entry = self.record(&above)?.entry;
            let Some(shown) = entry.shown() else { continue };
            if shown.is_live() {
                return Ok(None);
            }
            if let Some(to) = shown.payload().moved_to() {
                let destination = path.rebase(&above, to);
                return self.if_reachable(destination);
            }
        }
        Ok(None)
    }

    /// `destination`, if all the paths above it are directories.
    fn if_reachable(&self, destination: Option<RelPath>) -> Result<Option<RelPath>, StoreError> {
        let Some(destination) = destination else {
            return Ok(None);
        };
        for above in destination.ancestors().take_while(|above| !above.is_root()) {
            if !self.record(&above)?.entry.is_directory() {
                return Ok(None);
            }
        }
        Ok(Some(destination))
    }

    pub(crate) fn follow_parent(
        &mut self,
        now: Now,
        path: &RelPath,
        destination: &RelPath,
    ) -> Result<usize, StoreError> {
        let record = self.record(path)?;
        let Some(shown) = record.entry.shown() else {
            return Ok(0);
        };
        // Its author may be gone, with all that was in the directory; what anybody can make, anybody may take along.
        if !self.holds(path, shown.winner)? && !self.can_make(shown.payload())? {
            return Ok(0);
        }
        let winner = shown.winner.clone();
        let there = self.record(destination)?.entry;
        self.announce(now, destination, followed(&winner, &there))?;
        self.announce(now, path, departure(&record.entry, destination, &[&winner]))?;
        Ok(2)
    }

    /// A path was renamed here and edited there: the edit follows, or, where it cannot, stays.
    pub(crate) fn settle_move(
        &mut self,
        now: Now,
        path: &RelPath,
        tombstone: &Version,
        edit: &Version,
    ) -> Result<usize, StoreError> {
        let entry = self.record(path)?.entry;
        let destination = tombstone
            .payload
            .moved_to()
            .filter(|to| *to != path)
            .cloned();
        let destination = if edit.carry.is_some() {
            None
        } else {
            self.if_reachable(destination)?
        };
        let Some(destination) = destination else {
            self.announce_kept(now, path, stay(&entry, edit, tombstone))?;
            return Ok(1);
        };
        let Record {
            entry: there,
            local,
            ..
        } = self.record(&destination)?;
        if local.is_some() || there.knows_of(edit.dot.replica) {
            self.announce_kept(now, path, stay(&entry, edit, tombstone))?;
            return Ok(1);
        }
        let departs = departure(&entry, &destination, &[tombstone, edit]);
        if there.has_outrun(edit, tombstone) {
            self.announce(now, path, departs)?;
            return Ok(1);
        }
        self.announce(now, &destination, followed(edit, &there))?;
        self.announce(now, path, departs)?;
        Ok(2)
    }

    /// The departure of a version that holds just what was moved, where this storage holds that at the destination, and nobody
    /// moved it on: it need not follow. Nobody need hold it at its old path any more.
    pub(crate) fn arrived(
        &self,
        entry: &Entry,
        tombstone: &Version,
        edit: &Version,
    ) -> Result<Option<Draft>, StoreError> {
        let content = edit.payload.leaf_substance();
        // Only what was found without a history: what stayed in knowledge of another move would go back and forth.
        let found = content == tombstone.base && edit.context == Context::default();
        let Some(to) = tombstone.payload.moved_to().filter(|_| found) else {
            return Ok(None);
        };
        let there = self.record(to)?;
        let versions = there.entry.versions();
        let shows = there
            .entry
            .shown()
            .is_some_and(|s| s.payload().substance() == content);
        let moved_on = versions
            .iter()
            .any(|version| version.payload.moved_to().is_some());
        let held = self.storage_state(to, &there)?;
        let holds = held.is_some_and(|held| held.payload.substance() == content);
        let is_there = content.is_some() && shows && holds && !moved_on;
        Ok(is_there.then(|| departure(entry, to, &[tombstone, edit])))
    }
}

impl Entry {
    /// A tombstone that says where the path went, and a live version made elsewhere from what was moved.
    pub(crate) fn contested_move(&self) -> Option<(&Version, &Version)> {
        if self.versions.len() < 2 {
            return None;
        }
        let shown = self.shown()?;
        if !shown.is_live() || shown.payload().is_directory() {
            return None;
        }
        let tombstones = self
            .versions
            .iter()
            .filter(|v| v.payload.moved_to().is_some());
        tombstones
            .rev()
            .find(|t| is_edit_of_moved(shown.winner, t))
            .map(|t| (t, shown.winner))
    }
}

impl Entry {
    /// Whether `edit`, which holds just what `tombstone` moved to here, is behind what is here: who moved the file wrote it
    /// since. Carried here it would be in conflict with what was made from it.
    fn has_outrun(&self, edit: &Version, tombstone: &Version) -> bool {
        let moved_on = self
            .versions
            .iter()
            .any(|version| version.payload.moved_to().is_some());
        let content = edit.payload.substance();
        content == tombstone.base
            && !moved_on
            && self.shown().is_some_and(|shown| {
                let payload = shown.payload();
                let by_mover = shown.winner.dot.replica == tombstone.dot.replica;
                by_mover && payload.leaf_substance().is_some() && payload.substance() != content
            })
    }

    /// Whether `replica` had a hand in this path. Who edits a file and puts its old content elsewhere himself (a swap)
    /// has not been overtaken by a move to there: his edit does not replace what he put there.
    fn knows_of(&self, replica: ReplicaId) -> bool {
        let mut live = self
            .versions
            .iter()
            .filter(|version| version.payload.is_live());
        live.any(|v| v.dot.replica == replica || v.context.vector.get(replica) > 0)
    }
}

/// Whether `edit` is, or was made from, the file that `tombstone` moved away: it holds that content, or was made from
/// it, or from an event at this path that both know.
fn is_edit_of_moved(edit: &Version, tombstone: &Version) -> bool {
    let moved = tombstone.base;
    let same = moved.is_some() && (edit.base == moved || edit.payload.substance() == moved);
    same || tombstone
        .context
        .vector
        .iter()
        .any(|dot| edit.context.vector.get(dot.replica) > 0)
}

/// `edit` at the place its file was moved to, where `there` is known.
fn followed(edit: &Version, there: &Entry) -> Draft {
    let replaced: Vec<&Version> = (there.versions().iter())
        .filter(|version| {
            let held = version.payload.substance();
            let edited = held != edit.payload.substance() && held == edit.base;
            held.is_some() && edited || !version.payload.is_live()
        })
        .collect();
    let mut context = there.context_over(&replaced);
    let hlc = replaced.iter().map(|version| Hlc(version.hlc.0 + 1)).max();
    let hlc = hlc.unwrap_or_default().max(edit.hlc);
    for dot in &edit.context.carried {
        context.add_carried(*dot);
    }
    context.add_carried(edit.dot);
    Draft {
        context,
        hlc,
        payload: edit.payload.clone(),
        metadata: edit.metadata.clone(),
        stamps: edit.stamps,
        base: edit.base,
        carry: Some(Carry::Follow(edit.dot)),
        conflict_of: edit.conflict_of,
    }
}

/// The tombstone of a path whose `leaving` versions went to `destination`.
fn departure(entry: &Entry, destination: &RelPath, leaving: &[&Version]) -> Draft {
    let gone: Vec<&Version> = (entry.versions().iter())
        .filter(|version| {
            let leaves = leaving.iter().any(|gone| gone.dot == version.dot);
            leaves || !version.payload.is_live()
        })
        .collect();
    let context = entry.context_over(&gone);
    let hlc = Hlc(latest_hlc(&gone).0 + 1);
    let last: Option<&&Version> = leaving.last();
    Draft {
        context,
        hlc,
        payload: Payload::Tombstone {
            moved_to: Some(destination.clone()),
        },
        metadata: last
            .map(|version| version.metadata.clone())
            .unwrap_or_default(),
        stamps: last.map(|version| version.stamps).unwrap_or_default(),
        base: last.and_then(|version| version.payload.substance()),
        carry: None,
        conflict_of: last.and_then(|version| version.conflict_of),
    }
}

/// `edit` once more, now in knowledge of the move that it does not follow.
fn stay(entry: &Entry, edit: &Version, tombstone: &Version) -> Draft {
    let context = entry.context_over(&[edit, tombstone]);
    Draft {
        context,
        hlc: Hlc(edit.hlc.max(tombstone.hlc).0 + 1),
        payload: edit.payload.clone(),
        metadata: edit.metadata.clone(),
        stamps: edit.stamps,
        base: edit.base,
        carry: edit.carry,
        conflict_of: edit.conflict_of,
    }
}
