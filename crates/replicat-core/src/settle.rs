//! The events that replicat makes itself (`docs/algorithm.md`, section 6).
//!
//! Runs when a session is complete. What it makes depends on the entries alone (and, for conflict copies, on who holds
//! the loser), so that several replicas that make the same event join silently.

use crate::below::{Below, Met};
use crate::entry::{Carry, Entry, Metadata, Payload, Stamps, Timestamp, Version};
use crate::path::RelPath;
use crate::record::{Base, Record};
use crate::replica::{Draft, Now, Replica};
use crate::resolve::Shown;
use crate::store::{Store, StoreError};
use crate::version::{Dot, Hlc};

/// How many pending paths are taken up at once.
const PAGE_ROWS: usize = 256;
/// How often the pending paths are gone through before the rest is left to the next session. Each pass can
/// only uncover what the one before made; the depth of the tree bounds that.
const PASSES_MAX: usize = 64;

/// The permission bits of a directory that had to be made up.
const REVIVED_MODE: u32 = 0o755;

impl<S: Store> Replica<S> {
    /// Makes the events that the entries call for, and returns how many there were.
    ///
    /// To be called when a session is complete, never amid one: half of a sender's change may look like
    /// a conflict.
    ///
    /// # Errors
    /// If the store fails.
    pub fn settle(&mut self, now: Now) -> Result<usize, StoreError> {
        let mut made = 0;
        for _ in 0..PASSES_MAX {
            let before = made;
            let mut cursor: Option<RelPath> = None;
            loop {
                let page = self.store().pending(cursor.as_ref(), PAGE_ROWS)?;
                for path in &page {
                    made += self.settle_path(now, path)?;
                }
                match page.last() {
                    Some(last) => cursor = Some(last.clone()),
                    None => break,
                }
            }
            if made == before {
                break;
            }
        }
        Ok(made)
    }

    /// Revives a directory whose deletion cannot be carried out, because it holds what is none of replicat's business. The
    /// directories above are revived as well: it must not follow one of them to where that was moved, since what it
    /// holds stays here.
    ///
    /// # Errors
    /// If the store fails.
    pub fn keep_directory(&mut self, now: Now, path: &RelPath) -> Result<(), StoreError> {
        let mut kept: Vec<RelPath> = path.ancestors().filter(|above| !above.is_root()).collect();
        kept.reverse();
        kept.push(path.clone());
        for directory in kept {
            let record = self.record(&directory)?;
            if directory == *path || !record.entry.is_directory() {
                self.announce(now, &directory, revival(&record.entry))?;
            }
        }
        Ok(())
    }

    fn settle_path(&mut self, now: Now, path: &RelPath) -> Result<usize, StoreError> {
        let record = self.record(path)?;
        if let Some(draft) = passed(&record) {
            self.announce(now, path, draft)?;
            return Ok(1);
        }
        if let Some(held) = self.storage_state(path, &record)?
            && let Some(draft) = yielded(&record.entry, &held)
        {
            self.announce(now, path, draft)?;
            return Ok(1);
        }
        if let Some((tombstone, edit)) = record.entry.contested_move() {
            let (tombstone, edit) = (tombstone.clone(), edit.clone());
            if let Some(draft) = self.arrived(&record.entry, &tombstone, &edit)? {
                self.announce(now, path, draft)?;
                return Ok(1);
            }
            // A carried version stays in any case, whoever has its content.
            if edit.carry.is_none() && !self.holds(path, &edit)? {
                return self.settle_absent_edit(now, path, &record, &edit);
            }
            return self.settle_move(now, path, &tombstone, &edit);
        }
        // Nothing is shown where the making of something was reverted. It is to go like what was deleted.
        let shown = record.entry.shown();
        if shown.as_ref().is_some_and(Shown::is_live) && !self.is_supported(path)? {
            return self.support(now, path);
        }
        let mut made = self.preserve_losers(now, path, &record)?;
        if !shown.is_some_and(|shown| shown.payload().is_directory()) {
            made += self.settle_below(now, path)?;
        }
        Ok(made)
    }

    /// An edit of a file that was moved, which this storage does not hold there: who does sees to it. It may be nobody, and
    /// then the edit is to be made from where its content is held, for which it needs a directory.
    fn settle_absent_edit(
        &mut self,
        now: Now,
        path: &RelPath,
        record: &Record,
        edit: &Version,
    ) -> Result<usize, StoreError> {
        if !self.is_supported(path)? && self.can_make(&edit.payload)? {
            return self.support(now, path);
        }
        self.preserve_losers(now, path, record)
    }

    /// Announces that what the storage holds stays. The storage embodies that event too, if it held what it repeats.
    pub(crate) fn announce_kept(
        &mut self,
        now: Now,
        path: &RelPath,
        draft: Draft,
    ) -> Result<(), StoreError> {
        let (replaced, substance) = (draft.context.clone(), draft.payload.substance());
        let before = self.storage_state(path, &self.record(path)?)?;
        let held = before.filter(|before| before.payload.substance() == substance);
        let dot = self.announce(now, path, draft)?;
        let mut record = self.record(path)?;
        let dots = record.entry.versions().iter().map(|version| version.dot);
        let others: Vec<Dot> = dots.filter(|other| !replaced.covers(*other)).collect();
        if let (Some(held), Some(local)) = (held, &mut record.local)
            && let Some(base) = &mut local.base
        {
            base.context = held.context;
            base.context.union(&replaced);
            base.context.add(dot, others.into_iter());
            self.write(path, record)?;
        }
        Ok(())
    }

    /// Whether the path directly above is a directory.
    fn is_supported(&self, path: &RelPath) -> Result<bool, StoreError> {
        match path.parent() {
            None => Ok(true),
            Some(parent) if parent.is_root() => Ok(true),
            Some(parent) => Ok(self.record(&parent)?.entry.is_directory()),
        }
    }

    /// Sees to whatever is live below a path that is no directory.
    fn settle_below(&mut self, now: Now, path: &RelPath) -> Result<usize, StoreError> {
        let mut made = 0;
        let mut below = Below::of(path);
        while let Some(met) = below.advance(self.store())? {
            let Met::Children(children) = met else {
                if self.record(path)?.entry.is_directory() {
                    break;
                }
                continue;
            };
            for (child, record) in children {
                if record.entry.is_live() && !self.is_supported(&child)? {
                    made += self.support(now, &child)?;
                }
            }
        }
        Ok(made)
    }

    /// A live path without a directory above it follows that directory to where it was moved, or revives it.
    fn support(&mut self, now: Now, path: &RelPath) -> Result<usize, StoreError> {
        if let Some(destination) = self.moved_with_parent(path)? {
            return self.follow_parent(now, path, &destination);
        }
        let mut made = 0;
        for parent in path.ancestors().take_while(|above| !above.is_root()) {
            let record = self.record(&parent)?;
            if record.entry.is_directory() {
                break;
            }
            let mut draft = revival(&record.entry);
            let held = self.storage_state(&parent, &record)?;
            if let Some(held) = held.filter(|held| held.payload.is_directory())
                && (draft.metadata == Metadata::default() || record.entry.versions().is_empty())
            {
                // No event says how it was described; the directory that stands here does.
                (draft.metadata, draft.stamps) = (held.metadata, held.stamps);
            }
            self.announce(now, &parent, draft)?;
            made += 1;
        }
        Ok(made)
    }

    /// Makes conflict copies of the losers whose content this replica holds at `path`.
    fn preserve_losers(
        &mut self,
        now: Now,
        path: &RelPath,
        record: &Record,
    ) -> Result<usize, StoreError> {
        let Some(held) = self.storage_state(path, record)? else {
            return Ok(0);
        };
        let mut made = 0;
        for (lost, loser) in self.unpreserved(path, record, &held)? {
            // An earlier one of these may have preserved this one too.
            if self.preserving_copy(&lost, &loser)?.is_some() {
                continue;
            }
            if let Some(copy) = self.copy_path(&lost, &loser)? {
                let there = self.record(&copy)?.entry;
                self.announce(now, &copy, conflict_copy(&loser, &there))?;
                made += 1;
            }
        }
        Ok(made)
    }

    /// Whether the own storage holds `version` at `path`.
    pub(crate) fn holds(&self, path: &RelPath, version: &Version) -> Result<bool, StoreError> {
        let held = self.storage_state(path, &self.record(path)?)?;
        Ok(held.is_some_and(|held| held.embodies(version)))
    }

    /// Whether the own storage can make `payload` with what it holds.
    pub(crate) fn can_make(&self, payload: &Payload) -> Result<bool, StoreError> {
        match payload {
            Payload::File { content, .. } => self.holds_content(*content),
            Payload::Directory | Payload::Symlink { .. } => Ok(true),
            Payload::Tombstone { .. } => Ok(false),
        }
    }
}

/// The tombstone of versions that this storage had already moved past, by derivation or since they were preserved,
/// when what replaced them there was itself replaced by somebody who did not know of them.
fn passed(record: &Record) -> Option<Draft> {
    let base = record.local.as_ref()?.base.as_ref()?;
    let shown = record.entry.shown()?;
    let is_passed = |version: &Version| {
        let payload = &version.payload;
        let leaf = payload.is_live() && !payload.is_directory();
        leaf && base.context.covers(version.dot) && payload.substance() != base.payload.substance()
    };
    let stands = is_passed(shown.winner) || shown.losers.iter().any(|loser| is_passed(loser));
    if !stands {
        return None;
    }
    let versions = record.entry.versions().iter();
    let gone: Vec<&Version> = versions.filter(|version| is_passed(version)).collect();
    deletion_of(&record.entry, &gone)
}

/// The tombstone that replaces just `gone`, and nothing else that holds their content.
pub(crate) fn deletion_of(entry: &Entry, gone: &[&Version]) -> Option<Draft> {
    let last = *gone.last()?;
    Some(Draft {
        context: entry.context_over(gone),
        hlc: Hlc(latest_hlc(gone).0 + 1),
        payload: Payload::Tombstone { moved_to: None },
        metadata: last.metadata.clone(),
        stamps: last.stamps,
        base: None,
        carry: None,
        conflict_of: last.conflict_of,
    })
}

/// The deletion of versions that the storage embodies and that a deletion supersedes by derivation only: what is told of
/// the path later may be made in knowledge of that deletion alone, and they would stand again.
pub(crate) fn yielded(entry: &Entry, held: &Base) -> Option<Draft> {
    entry.shown().filter(|shown| !shown.is_live())?;
    let yields =
        |version: &&Version| version.payload.leaf_substance().is_some() && held.embodies(version);
    let gone: Vec<&Version> = entry.versions().iter().filter(yields).collect();
    deletion_of(entry, &gone)
}

/// The copy of `loser`, at a path where `there` is known: it replaces the deletions of earlier copies there.
fn conflict_copy(loser: &Version, there: &Entry) -> Draft {
    let versions = there.versions().iter();
    let deletions: Vec<&Version> = versions.filter(|v| !v.payload.is_live()).collect();
    let mut context = there.context_over(&deletions);
    context.add_carried(loser.dot);
    let mut payload = loser.payload.clone();
    if let Payload::File { link, .. } = &mut payload {
        *link = None;
    }
    Draft {
        context,
        hlc: loser.hlc,
        payload,
        metadata: loser.metadata.clone(),
        stamps: loser.stamps,
        base: None,
        carry: Some(Carry::Copy(loser.dot)),
        conflict_of: Some(loser.dot),
    }
}

/// The directory that replaces the tombstones of an entry. Files and symlinks stay concurrent with it.
fn revival(entry: &Entry) -> Draft {
    let versions = entry.versions().iter();
    let gone: Vec<&Version> = versions.filter(|v| !v.payload.is_live()).collect();
    let context = entry.context_over(&gone);
    let hlc = gone.iter().map(|version| Hlc(version.hlc.0 + 1)).max();
    let hlc = hlc.unwrap_or_default();
    let latest = gone.iter().max_by_key(|version| (version.hlc, version.dot));
    let (metadata, stamps) = latest.map_or_else(
        || (described_anew(entry), Stamps::default()),
        |version| (version.metadata.clone(), version.stamps),
    );
    let (base, carry, conflict_of) = (None, None, None);
    Draft {
        context,
        hlc,
        payload: Payload::Directory,
        metadata,
        stamps,
        base,
        carry,
        conflict_of,
    }
}

/// How a directory is described of which nothing is known: the same at every replica that revives it.
fn described_anew(entry: &Entry) -> Metadata {
    let latest = entry.versions().iter().map(|version| version.hlc).max();
    let milliseconds = latest.unwrap_or_default().0;
    Metadata {
        mode: Some(REVIVED_MODE),
        mtime: Some(Timestamp {
            seconds: (milliseconds / 1000) as i64,
            nanoseconds: (milliseconds % 1000) as u32 * 1_000_000,
        }),
        owner: None,
        xattrs: Some(Vec::new()),
    }
}

pub(crate) fn latest_hlc(versions: &[&Version]) -> Hlc {
    let hlcs = versions.iter().map(|version| version.hlc);
    hlcs.max().unwrap_or_default()
}
