//! From what the own storage holds to events (`docs/algorithm.md`, section 4).

use crate::draft::{base_again, carried_from, draft_again, draft_of_change};
use crate::entry::{Entry, Metadata, PLACED, Payload, Version};
use crate::give_up::withdrawal;
use crate::id::ContentHash;
use crate::path::RelPath;
use crate::record::{Base, Fingerprint, Local, Record};
use crate::replica::{Draft, Now, Replica};
use crate::settle::{deletion_of, yielded};
use crate::store::{Store, StoreError};
use crate::version::{Context, Dot, Hlc};

/// How many paths of one content are looked at when its copies are sought.
pub(crate) const SAME_CONTENT_LOOKED_AT_MAX: usize = 64;

/// What was found at a path of the own storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Something.
    Present(Present),
    /// Nothing.
    Absent {
        /// Where the same file or directory was found instead.
        moved_to: Option<RelPath>,
    },
    /// The filters leave the path out, whatever is there: see [`Replica::exclude`].
    OutOfScope,
}

/// Something that was found at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Present {
    /// What it is. Never a tombstone.
    pub payload: Payload,
    /// How it is described, in the aspects that this storage tracks.
    pub metadata: Metadata,
    /// How to recognise it.
    pub fingerprint: Fingerprint,
    /// It may change without its fingerprint showing it, see [`Local::racy`].
    pub racy: bool,
    /// When its content changed, by its own account (mtime), in milliseconds.
    pub changed: Hlc,
    /// When anything of it changed, by the kernel's account (ctime), in milliseconds.
    pub touched: Hlc,
}

/// What an observation led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observed {
    /// The path is as it was known, or as it was to become.
    Nothing,
    /// An event was made.
    Event(Dot),
}

impl<S: Store> Replica<S> {
    /// Takes note of what the own storage holds at `path`.
    ///
    /// # Errors
    /// If the store fails; then nothing was noted.
    pub fn observe(
        &mut self,
        now: Now,
        path: &RelPath,
        found: Found,
    ) -> Result<Observed, StoreError> {
        match found {
            Found::Present(present) => {
                let record = self.included(path)?;
                self.release_moved(&present.payload, &present.fingerprint)?;
                self.observe_present(now, path, record, present)
            }
            Found::Absent { moved_to } => {
                let record = self.included(path)?;
                // What came and went at one path during a scan did not move.
                let moved_to = moved_to.filter(|to| to != path);
                self.observe_absent(now, path, record, moved_to)
            }
            Found::OutOfScope => {
                self.exclude(path)?;
                Ok(Observed::Nothing)
            }
        }
    }

    /// Makes of a conflict copy a file like any other, by an event that changes nothing else. Returns whether there was
    /// one at `path`.
    ///
    /// # Errors
    /// If the store fails.
    pub fn acknowledge_copy(&mut self, now: Now, path: &RelPath) -> Result<bool, StoreError> {
        let record = self.record(path)?;
        let Some(before) = self.storage_state(path, &record)? else {
            return Ok(false);
        };
        if before.conflict_of.is_none() {
            return Ok(false);
        }
        let draft = Draft {
            conflict_of: None,
            ..draft_again(before)
        };
        self.announce(now, path, draft)?;
        Ok(true)
    }

    fn observe_present(
        &mut self,
        now: Now,
        path: &RelPath,
        mut record: Record,
        mut present: Present,
    ) -> Result<Observed, StoreError> {
        let Present {
            fingerprint, racy, ..
        } = present;
        let before = self.storage_state(path, &record)?;
        let mut unheld = None;
        if let (Some(local), Some(before)) = (&record.local, &before) {
            let found = std::mem::take(&mut present.metadata);
            (present.metadata, unheld) = local.conceal(found, &before.metadata);
        }
        let (payload, metadata) = (&present.payload, &present.metadata);
        // Where what is meant to be says nothing of an aspect, it is as it was found first, and as long as the kernel
        // has seen no change since.
        let untouched =
            (record.local.as_ref()).is_none_or(|known| known.fingerprint == fingerprint);
        let agrees =
            |held: &Metadata| metadata.agrees_with(held) && (untouched || held.covers(metadata));
        let as_shown = record
            .entry
            .shown()
            .is_some_and(|shown| payload == shown.payload() && agrees(shown.metadata()));
        let as_before = (before.as_ref())
            .is_some_and(|before| *payload == before.payload && agrees(&before.metadata));
        if as_shown || as_before {
            let base = before.clone().filter(|_| !as_shown).map(Box::new);
            record.local = Some(Local {
                fingerprint,
                racy,
                base,
                unheld,
            });
            let gone = before.filter(|before| as_shown && before.payload != *payload);
            return self.observe_as_known(now, path, record, payload, gone);
        }
        if let Some(local) = &mut record.local {
            local.unheld = unheld;
        }
        self.observe_change(now, path, record, before, present)
    }

    /// Announces that a path holds something else than it was known or meant to hold: `before`, if anything.
    fn observe_change(
        &mut self,
        now: Now,
        path: &RelPath,
        record: Record,
        before: Option<Base>,
        present: Present,
    ) -> Result<Observed, StoreError> {
        let Present {
            payload,
            metadata,
            fingerprint,
            racy,
            changed,
            touched,
        } = present;
        let lost = (before.clone()).filter(|before| before.payload != payload);
        // A file that was moved here, as in a swap, was not made from what stood here.
        let elsewhere = match lost.is_some() {
            true => self.known_elsewhere(path, &payload, &fingerprint)?,
            false => Elsewhere::Unknown,
        };
        let again = (before.as_ref()).and_then(|before| base_again(&record.entry, before));
        let mut draft = draft_of_change(now, before, payload, metadata, changed, touched);
        draft.base = match elsewhere {
            _ if lost.is_none() => again,
            Elsewhere::ToStay => draft.base.and(Some(PLACED)),
            Elsewhere::ToGo | Elsewhere::Unknown => draft.base,
        };
        match &record.local {
            None => self.acknowledge_absence(path, &record, &mut draft)?,
            Some(old) => {
                if let Some(to) = self.moved_away(path, old, lost.as_ref())? {
                    draft.base = None;
                    self.note_arrival(
                        now,
                        &to,
                        lost.as_ref().and_then(|lost| lost.payload.leaf_substance()),
                    )?;
                }
            }
        }
        let seen = self.announce_found(now, path, record, draft, Some((fingerprint, racy)))?;
        // In a swap, what stood here is where this came from, and that is looked at later.
        let lost = lost.filter(|_| elsewhere == Elsewhere::Unknown);
        self.withdraw_copies(now, path, lost)?;
        Ok(seen)
    }

    /// Takes note that a path holds `payload`, which it was known or meant to hold, as `record` says; in the place of `gone`,
    /// if something else stood there.
    fn observe_as_known(
        &mut self,
        now: Now,
        path: &RelPath,
        record: Record,
        payload: &Payload,
        gone: Option<Base>,
    ) -> Result<Observed, StoreError> {
        let found = record.local.as_ref().map(|local| local.fingerprint);
        self.write(path, record)?;
        if let Some(gone) = gone {
            self.tell_of_replaced(now, path, &gone)?;
        }
        if let Some(found) = found
            && self.known_elsewhere(path, payload, &found)? == Elsewhere::ToStay
        {
            self.note_arrival(now, path, payload.leaf_substance())?;
        }
        Ok(Observed::Nothing)
    }

    fn observe_absent(
        &mut self,
        now: Now,
        path: &RelPath,
        mut record: Record,
        moved_to: Option<RelPath>,
    ) -> Result<Observed, StoreError> {
        let Some(before) = self.storage_state(path, &record)? else {
            return Ok(Observed::Nothing);
        };
        if !record.entry.is_live() {
            if let Some(draft) = yielded(&record.entry, &before) {
                return self.announce_found(now, path, record, draft, None);
            }
            record.local = None;
            self.write(path, record)?;
            return Ok(Observed::Nothing);
        }
        let moved_to = match (moved_to, &record.local) {
            (None, Some(old)) => self.moved_away(path, old, Some(&before))?,
            (moved_to, _) => moved_to,
        };
        if let Some(to) = &moved_to {
            self.note_arrival(now, to, before.payload.leaf_substance())?;
        }
        let lost = moved_to.is_none().then(|| before.clone());
        let draft = Draft {
            hlc: now.hlc().max(Hlc(before.hlc.0 + 1)),
            base: before.payload.substance(),
            payload: Payload::Tombstone { moved_to },
            context: before.context,
            metadata: before.metadata,
            stamps: before.stamps,
            carry: None,
            conflict_of: before.conflict_of,
        };
        let seen = self.announce_found(now, path, record, draft, None)?;
        self.withdraw_copies(now, path, lost)?;
        Ok(seen)
    }

    /// Where the very file that was at `path` is now: then what is at `path` was not made from it. Of a file with several
    /// names that cannot be said.
    pub(crate) fn moved_away(
        &self,
        path: &RelPath,
        old: &Local,
        lost: Option<&Base>,
    ) -> Result<Option<RelPath>, StoreError> {
        let Some(lost) = lost else { return Ok(None) };
        let Some(content) = lost.payload.leaf_substance() else {
            return Ok(None);
        };
        if matches!(lost.payload, Payload::File { link: Some(_), .. }) {
            return Ok(None);
        }
        for other in self
            .store()
            .by_content(content, SAME_CONTENT_LOOKED_AT_MAX)?
        {
            let there = self.record(&other)?.local;
            if other != *path
                && there.is_some_and(|there| there.fingerprint.is_of_same(&old.fingerprint))
            {
                return Ok(Some(other));
            }
        }
        Ok(None)
    }

    /// A user put what the path was to hold anyway in the place of `gone`: a loser, which nobody else need have.
    fn tell_of_replaced(
        &mut self,
        now: Now,
        path: &RelPath,
        gone: &Base,
    ) -> Result<(), StoreError> {
        let entry = self.record(path)?.entry;
        let is_gone = |version: &&Version| {
            version.payload.leaf_substance().is_some() && gone.embodies(version)
        };
        let versions: Vec<&Version> = entry.versions().iter().filter(is_gone).collect();
        if let Some(draft) = deletion_of(&entry, &versions) {
            self.announce(now, path, draft)?;
        }
        Ok(())
    }

    /// Whether a file that is found at `path` was known at another one.
    fn known_elsewhere(
        &self,
        path: &RelPath,
        payload: &Payload,
        found: &Fingerprint,
    ) -> Result<Elsewhere, StoreError> {
        let mut elsewhere = Elsewhere::Unknown;
        let linked = matches!(payload, Payload::File { link: Some(_), .. });
        let Some(content) = payload.leaf_substance().filter(|_| !linked) else {
            return Ok(elsewhere);
        };
        for other in self
            .store()
            .by_content(content, SAME_CONTENT_LOOKED_AT_MAX)?
        {
            let record = self.record(&other)?;
            let local = record.local.as_ref();
            let same = local.is_some_and(|local| local.fingerprint.is_of_same(found));
            if other == *path || !same {
                continue;
            }
            let shown = record.entry.shown();
            if shown.is_some_and(|shown| shown.payload().substance() == Some(content)) {
                return Ok(Elsewhere::ToStay);
            }
            elsewhere = Elsewhere::ToGo;
        }
        Ok(elsewhere)
    }

    /// A user moved a file to `path`, which was to hold an equal one anyway, or to lose it: that is told, lest somebody who
    /// takes away what was there before does so unaware. Of what nobody was told yet, nobody can.
    fn note_arrival(
        &mut self,
        now: Now,
        path: &RelPath,
        content: Option<ContentHash>,
    ) -> Result<(), StoreError> {
        let record = self.record(path)?;
        let Some(held) = self.storage_state(path, &record)? else {
            return Ok(());
        };
        if content.is_none() || held.payload.leaf_substance() != content {
            return Ok(());
        }
        let identity = self.identity();
        let told = identity.published.last().copied().unwrap_or_default();
        let told = told.max(identity.confirmed);
        let is_untold = |dot: Dot| dot.replica == identity.replica && dot.counter > told;
        let mut embodied =
            (record.entry.versions().iter()).filter(|version| held.embodies(version));
        if embodied.any(|version| is_untold(version.dot)) {
            return Ok(());
        }
        let draft = Draft {
            base: Some(PLACED),
            ..draft_again(held)
        };
        self.announce_kept(now, path, draft)
    }

    /// What is found where the storage held nothing is made in knowledge of the deletions there, and of what they deleted.
    fn acknowledge_absence(
        &self,
        path: &RelPath,
        record: &Record,
        draft: &mut Draft,
    ) -> Result<(), StoreError> {
        let Some(shown) = record.entry.shown() else {
            return Ok(());
        };
        let (context, hlc) = if shown.is_live() {
            record.entry.deletions()
        } else {
            self.acknowledged(path, &record.entry, &shown)?
        };
        if context != Context::default() {
            draft.context = context;
            draft.hlc = draft.hlc.max(Hlc(hlc.0 + 1));
            draft.base = Some(PLACED);
        } else if self.knew(&record.entry) {
            draft.base = Some(PLACED);
        }
        Ok(())
    }

    /// Whether an event of this replica is among what led to an entry: then the storage held something at its path once, and it
    /// is known here that it went, even where what replicat made since supersedes the deletion.
    fn knew(&self, entry: &Entry) -> bool {
        let own = self.identity().replica;
        let mut versions = entry.versions().iter();
        versions.any(|version| version.context.vector.get(own) > 0)
    }

    /// Who replaced a content before it was carried elsewhere, as replicat had announced, replaced it there too:
    /// nobody else need have it.
    fn withdraw_copies(
        &mut self,
        now: Now,
        path: &RelPath,
        lost: Option<Base>,
    ) -> Result<(), StoreError> {
        let Some(lost) = lost else { return Ok(()) };
        let Some(content) = lost.payload.leaf_substance() else {
            return Ok(());
        };
        if self.holds_content(content)? {
            return Ok(());
        }
        let others = self
            .store()
            .by_content(content, SAME_CONTENT_LOOKED_AT_MAX)?;
        // What was withdrawn may itself have lost, and be preserved in a copy that is still to be made.
        let mut known = lost.context;
        loop {
            let before = known.carried.len();
            for other in others.iter().filter(|other| *other != path) {
                let entry = self.record(other)?.entry;
                if let Some(carried) = carried_from(&entry, content, &known) {
                    known.add_carried(carried.dot);
                    self.announce(now, other, withdrawal(&entry, carried))?;
                }
            }
            if known.carried.len() == before {
                return Ok(());
            }
        }
    }

    /// Whether the own storage is known to hold `content`, of a file or symlink, at some path.
    pub(crate) fn holds_content(&self, content: ContentHash) -> Result<bool, StoreError> {
        for path in self
            .store()
            .by_content(content, SAME_CONTENT_LOOKED_AT_MAX)?
        {
            let held = self.storage_state(&path, &self.record(&path)?)?;
            if held.is_some_and(|held| held.payload.substance() == Some(content)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Announces what was found, and records that the storage holds just that.
    fn announce_found(
        &mut self,
        now: Now,
        path: &RelPath,
        mut record: Record,
        draft: Draft,
        held: Option<(Fingerprint, bool)>,
    ) -> Result<Observed, StoreError> {
        let version = self.mint(now, path, draft)?;
        let dot = version.dot;
        let mut context = version.context.clone();
        let kept = record.entry.versions().iter().map(|version| version.dot);
        context.add(dot, kept.filter(|kept| !version.context.covers(*kept)));
        let base = Base {
            context,
            hlc: version.hlc,
            payload: version.payload.clone(),
            metadata: version.metadata.clone(),
            stamps: version.stamps,
            conflict_of: version.conflict_of,
        };
        record.entry.insert(version);
        let unheld = record.local.take().and_then(|local| local.unheld);
        record.local = held.map(|(fingerprint, racy)| Local {
            fingerprint,
            racy,
            base: Some(Box::new(base)),
            unheld,
        });
        self.write(path, record)?;
        Ok(Observed::Event(dot))
    }

    /// The state that the storage was last known to be in at `path`; `None` if nothing was there.
    pub(crate) fn storage_state(
        &self,
        path: &RelPath,
        record: &Record,
    ) -> Result<Option<Base>, StoreError> {
        match &record.local {
            None => Ok(None),
            Some(Local {
                base: Some(base), ..
            }) => Ok(Some((**base).clone())),
            Some(Local { base: None, .. }) => self.embodied(path, &record.entry),
        }
    }
}

/// Whether a file that is found somewhere was known somewhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Elsewhere {
    /// It was not.
    Unknown,
    /// It was, where it was not to stay.
    ToGo,
    /// It was, where it is still to be.
    ToStay,
}
