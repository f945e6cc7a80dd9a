//! What a replica has to do to its own storage (`docs/algorithm.md`, section 7).
//!
//! Plans are read from the store path by path; nothing here does anything. The owner carries a [`Step`] out, with
//! its precondition, and reports it by [`Replica::done`]; or it finds the precondition broken and observes the
//! path instead.

use crate::entry::{Carry, Metadata, Payload};
use crate::id::{ContentHash, LinkId};
use crate::path::RelPath;
use crate::record::{Base, Fingerprint, Local, Record};
use crate::replica::Replica;
use crate::resolve::Shown;
use crate::settle::yielded;
use crate::store::{Store, StoreError};

/// How many paths of one content are looked at when a source is sought.
const SOURCES_LOOKED_AT_MAX: usize = 16;
/// How many children are looked at at once.
const PAGE_ROWS: usize = 256;

/// One change of one path, whole or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Where.
    pub path: RelPath,
    /// What must still be there; `None`: nothing.
    pub expected: Option<Fingerprint>,
    /// What is there, as far as is known.
    pub before: Option<Payload>,
    /// How that is described.
    pub before_metadata: Option<Metadata>,
    /// What to do.
    pub task: Task,
    /// How the path is to be described. Meaningless for removals.
    pub metadata: Metadata,
    /// The content that stands there now is wanted at another path, which has not got it yet: it is to be
    /// secured before it goes.
    pub secure: Option<ContentHash>,
    /// The content that stands there now need not go to the trash. Never set for a user's content: that it also
    /// lives elsewhere in this storage is what the index says, and a user may have just moved that file to here.
    pub expendable: bool,
    /// The state that the step leads to; `None` for a removal.
    pub goal: Option<Base>,
}

/// What a [`Step`] does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// Create or replace a file.
    WriteFile {
        /// By this content.
        content: ContentHash,
        /// Of so many bytes.
        size: u64,
        /// As a further name of the files of this group that hold the content already, if any do.
        link: Option<LinkId>,
    },
    /// Create a directory, in the place of a file if one stands there.
    MakeDirectory,
    /// Create or replace a symlink.
    MakeSymlink {
        /// Where it points.
        target: Vec<u8>,
    },
    /// Change the description only.
    Describe,
    /// Remove a file or symlink.
    Remove,
    /// Remove a directory, which must be empty.
    RemoveDirectory,
}

/// Why a pending path cannot be worked on now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The directory above is not there yet.
    Parent,
    /// Something still stands below it.
    Children,
    /// What stands there lost a conflict, and nobody has preserved it yet: settle first. Or it is to be carried elsewhere
    /// from here (a conflict copy, an edit that follows a move), and is not there yet.
    Unpreserved,
}

/// What is to be done at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Planned {
    /// Nothing.
    Nothing,
    /// This.
    Step(Box<Step>),
    /// Something, but not before other paths are done.
    Blocked(Obstacle),
}

/// A file of the own storage that holds a wanted content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Where it is.
    pub path: RelPath,
    /// What must still be there.
    pub fingerprint: Fingerprint,
    /// What is to become of it.
    pub fate: Fate,
}

/// What is to become of a [`Source`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// It is to be removed: it may be renamed to its new place.
    Removed,
    /// It is to be replaced: a second name of it is as good as a copy.
    Replaced,
    /// It stays: it has to be copied.
    Stays,
}

impl<S: Store> Replica<S> {
    /// What is to be done at `path`.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn plan(&self, path: &RelPath) -> Result<Planned, StoreError> {
        let record = self.record(path)?;
        let before = self.storage_state(path, &record)?;
        let shown = record.entry.shown().filter(Shown::is_live);
        let task = match (&before, &shown) {
            (None, None) => return Ok(Planned::Nothing),
            (Some(before), Some(shown)) if before.is_shown(shown) => return Ok(Planned::Nothing),
            (before, Some(shown)) => task_towards(before.as_ref().map(|b| &b.payload), shown),
            (Some(before), None) if before.payload.is_directory() => Task::RemoveDirectory,
            (Some(_), None) => Task::Remove,
        };
        if let Some(obstacle) = self.obstacle(path, before.as_ref(), &task)? {
            return Ok(Planned::Blocked(obstacle));
        }
        let going = before.as_ref().filter(|_| task != Task::Describe);
        if let Some(going) = going
            && (!self.unpreserved(path, &record, going)?.is_empty()
                || yielded(&record.entry, going).is_some()
                || self.is_awaited(path, going)?)
        {
            return Ok(Planned::Blocked(Obstacle::Unpreserved));
        }
        let content = going.and_then(|base| base.payload.content());
        let secure = match content {
            Some(content) => self.wanted_elsewhere(path, content)?,
            None => None,
        };
        Ok(Planned::Step(Box::new(Step {
            path: path.clone(),
            expected: record.local.as_ref().map(|local| local.fingerprint),
            before_metadata: before.as_ref().map(|base| base.metadata.clone()),
            before: before.map(|base| base.payload),
            metadata: shown
                .as_ref()
                .map(|shown| shown.metadata().clone())
                .unwrap_or_default(),
            goal: self.embodied(path, &record.entry)?,
            task,
            secure,
            expendable: false,
        })))
    }

    fn obstacle(
        &self,
        path: &RelPath,
        before: Option<&Base>,
        task: &Task,
    ) -> Result<Option<Obstacle>, StoreError> {
        let creates = before.is_none();
        if creates && let Some(parent) = path.parent().filter(|parent| !parent.is_root()) {
            let held = self.storage_state(&parent, &self.record(&parent)?)?;
            if !held.is_some_and(|held| held.payload.is_directory()) {
                return Ok(Some(Obstacle::Parent));
            }
        }
        let was_directory = before.is_some_and(|before| before.payload.is_directory());
        if was_directory && *task != Task::Describe && self.holds_children(path)? {
            return Ok(Some(Obstacle::Children));
        }
        Ok(None)
    }

    fn holds_children(&self, directory: &RelPath) -> Result<bool, StoreError> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = self
                .store()
                .children(directory, after.as_deref(), PAGE_ROWS)?;
            if page.iter().any(|(_, record)| record.local.is_some()) {
                return Ok(true);
            }
            match page.last() {
                Some((last, _)) => after = Some(last.clone()),
                None => return Ok(false),
            }
        }
    }

    /// Whether another path is to show what the storage holds at `path`, carried there by replicat itself, and does not
    /// hold it yet. Nobody else need have it, and staging is no place to keep it.
    fn is_awaited(&self, path: &RelPath, going: &Base) -> Result<bool, StoreError> {
        let Some(content) = going.payload.leaf_substance() else {
            return Ok(false);
        };
        for other in self.store().by_content(content, SOURCES_LOOKED_AT_MAX)? {
            let record = self.record(&other)?;
            let carried = (record.entry.shown()).is_some_and(|shown| match shown.winner.carry {
                Some(Carry::Copy(_)) => shown.payload().substance() == Some(content),
                Some(Carry::Follow(_)) => going.embodies(shown.winner),
                None => false,
            });
            if other == *path
                || !carried
                || record
                    .held_payload()
                    .is_some_and(|held| held.substance() == Some(content))
            {
                continue;
            }
            if self.has_room(&other)? && !self.is_swapped(path, &record)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether `path` is to show what the storage holds where `other` is kept: two paths that wait for each other's content.
    fn is_swapped(&self, path: &RelPath, other: &Record) -> Result<bool, StoreError> {
        let held = other.held_payload();
        let held = held.as_ref().and_then(Payload::leaf_substance);
        let entry = self.record(path)?.entry;
        let shown = entry.shown();
        let wanted = shown.and_then(|shown| shown.payload().leaf_substance());
        Ok(held.is_some() && held == wanted)
    }

    /// Whether `path` can be made without displacing what is in the way of the directories above it.
    fn has_room(&self, path: &RelPath) -> Result<bool, StoreError> {
        for above in path.ancestors().take_while(|above| !above.is_root()) {
            let held = self.record(&above)?.held_payload();
            if let Some(held) = held {
                return Ok(held.is_directory());
            }
        }
        Ok(true)
    }

    /// The content, about to leave `path`, if another path wants it that has not got it. That a third path is thought
    /// to hold it is no comfort: a user may have just renamed that file to here.
    fn wanted_elsewhere(
        &self,
        path: &RelPath,
        content: ContentHash,
    ) -> Result<Option<ContentHash>, StoreError> {
        for other in self.store().by_content(content, SOURCES_LOOKED_AT_MAX)? {
            let record = self.record(&other)?;
            let shown = record.entry.shown();
            let shows = shown.is_some_and(|s| s.payload().content() == Some(content));
            if other == *path || !shows || record.excluded.is_some() {
                continue;
            }
            let has = match &record.local {
                Some(Local {
                    base: Some(base), ..
                }) => base.payload.content() == Some(content),
                Some(Local { base: None, .. }) => true,
                None => false,
            };
            if !has {
                return Ok(Some(content));
            }
        }
        Ok(None)
    }

    /// A file of the own storage that holds `content`, the best to take it from first.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn source_of(
        &self,
        content: ContentHash,
        wanted_at: &RelPath,
    ) -> Result<Option<Source>, StoreError> {
        let mut best: Option<Source> = None;
        for path in self.store().by_content(content, SOURCES_LOOKED_AT_MAX)? {
            if path == *wanted_at {
                continue;
            }
            let record = self.record(&path)?;
            let held = match &record.excluded {
                Some(_) => record
                    .state()
                    .and_then(|held| held.base.as_deref().cloned()),
                None => self.storage_state(&path, &record)?,
            };
            let (Some(held), Some(local)) = (held, record.state()) else {
                continue;
            };
            if held.payload.content() != Some(content) {
                continue;
            }
            let fate = match record.entry.shown().filter(Shown::is_live) {
                None => Fate::Removed,
                Some(shown) if shown.payload().content() == Some(content) => Fate::Stays,
                Some(_) => Fate::Replaced,
            };
            let linked = matches!(held.payload, Payload::File { link: Some(_), .. });
            // What filters leave out is a user's alone: it is read, if it is as it was, and never moved.
            let stays = linked || record.excluded.is_some();
            let fate = if stays { Fate::Stays } else { fate };
            if best.as_ref().is_none_or(|best| fate < best.fate) {
                best = Some(Source {
                    path,
                    fingerprint: local.fingerprint,
                    fate,
                });
            }
        }
        Ok(best)
    }

    /// A finished file of the hard-link group `link` with `content`, other than `path`.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn link_target(
        &self,
        link: LinkId,
        content: ContentHash,
        path: &RelPath,
    ) -> Result<Option<(RelPath, Fingerprint)>, StoreError> {
        for other in self.store().by_link(link, SOURCES_LOOKED_AT_MAX)? {
            let record = self.record(&other)?;
            let Some(Local {
                base: None,
                fingerprint,
                ..
            }) = record.local
            else {
                continue;
            };
            let fits = record.entry.shown().is_some_and(|shown| {
                matches!(shown.payload(), Payload::File { content: held, link: Some(group), .. }
                    if *held == content && *group == link)
            });
            if fits && other != *path {
                return Ok(Some((other, fingerprint)));
            }
        }
        Ok(None)
    }

    /// Where the whole directory at `path` is to be renamed to; `None` if it has to be taken apart.
    ///
    /// All that the storage holds there must be on its way out, nothing may stand at the destination or below,
    /// and the directory above the destination must be there.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn plan_tree_move(&self, path: &RelPath) -> Result<Option<RelPath>, StoreError> {
        let record = self.record(path)?;
        let held = self.storage_state(path, &record)?;
        if !held.is_some_and(|held| held.payload.is_directory()) {
            return Ok(None);
        }
        let shown = record.entry.shown();
        let Some(to) = shown.as_ref().and_then(|shown| shown.payload().moved_to()) else {
            return Ok(None);
        };
        let there = self.record(to)?;
        let free = there.entry.is_directory() && there.local.is_none() && !to.is_within(path);
        if !free || !self.parent_is_there(to)? || !self.all_leave(path, to)? {
            return Ok(None);
        }
        Ok(Some(to.clone()))
    }

    fn parent_is_there(&self, path: &RelPath) -> Result<bool, StoreError> {
        let Some(parent) = path.parent().filter(|parent| !parent.is_root()) else {
            return Ok(true);
        };
        let held = self.storage_state(&parent, &self.record(&parent)?)?;
        Ok(held.is_some_and(|held| held.payload.is_directory()))
    }

    fn all_leave(&self, from: &RelPath, to: &RelPath) -> Result<bool, StoreError> {
        let mut leave = true;
        self.for_each_below(from, |path, record| {
            let Some(new) = path.rebase(from, to) else {
                return Ok(false);
            };
            let there = self.record(&new)?;
            let loses = there
                .entry
                .shown()
                .is_some_and(|shown| !shown.losers.is_empty());
            let free = there.local.is_none() && !loses;
            // What filters leave out stays with its directory as well, while others have it there.
            leave = free && (record.state().is_none() || !record.entry.is_live());
            Ok(leave)
        })?;
        Ok(leave)
    }

    /// Records that a step was carried out: what the storage now holds at its path, `None` if nothing.
    ///
    /// # Errors
    /// If the store fails.
    pub fn done(
        &mut self,
        path: &RelPath,
        goal: Option<Base>,
        fingerprint: Option<(Fingerprint, bool)>,
    ) -> Result<(), StoreError> {
        let mut record = self.record(path)?;
        record.include();
        record.local = goal
            .zip(fingerprint)
            .map(|(base, (fingerprint, racy))| Local {
                fingerprint,
                racy,
                base: Some(Box::new(base)),
                unheld: None,
            });
        self.write(path, record)
    }

    /// Has what stands at a path read again, though its fingerprint is as it was: a change might not show in it.
    ///
    /// # Errors
    /// If the store fails.
    pub fn doubt(&mut self, path: &RelPath) -> Result<(), StoreError> {
        let mut record = self.record(path)?;
        match &mut record.local {
            Some(local) if !local.racy => local.racy = true,
            _ => return Ok(()),
        }
        self.write(path, record)
    }

    /// Records what the storage has at a path instead of the aspects of the description that it could not take; `None`: it
    /// took all. Does nothing if it holds nothing there.
    ///
    /// # Errors
    /// If the store fails.
    pub fn note_unheld(
        &mut self,
        path: &RelPath,
        unheld: Option<Metadata>,
    ) -> Result<(), StoreError> {
        let mut record = self.record(path)?;
        let unheld = unheld.map(Box::new);
        match &mut record.local {
            Some(local) if local.unheld != unheld => local.unheld = unheld,
            _ => return Ok(()),
        }
        self.write(path, record)
    }

    /// Records that what stands at a path was touched without becoming something else.
    ///
    /// # Errors
    /// If the store fails.
    pub fn refresh(&mut self, path: &RelPath, fingerprint: Fingerprint) -> Result<(), StoreError> {
        let mut record = self.record(path)?;
        match &mut record.local {
            Some(local) if local.fingerprint != fingerprint => local.fingerprint = fingerprint,
            _ => return Ok(()),
        }
        self.write(path, record)
    }

    /// Records that a directory was renamed whole, with everything in it; `fingerprint` is what it has now.
    ///
    /// # Errors
    /// If the store fails.
    pub fn done_tree_move(
        &mut self,
        from: &RelPath,
        to: &RelPath,
        fingerprint: Fingerprint,
    ) -> Result<(), StoreError> {
        let mut moved = vec![from.clone()];
        self.for_each_below(from, |path, record| {
            if record.local.is_some() || record.excluded.is_some() {
                moved.push(path.clone());
            }
            Ok(true)
        })?;
        for path in moved {
            let Some(new) = path.rebase(from, to) else {
                continue;
            };
            self.done_move(&path, &new)?;
            if new == *to {
                self.refresh_moved(to, fingerprint)?;
            }
        }
        Ok(())
    }

    /// Records that what the storage held at `path` is at `new` now.
    fn done_move(&mut self, path: &RelPath, new: &RelPath) -> Result<(), StoreError> {
        let mut old = self.record(path)?;
        let mut record = self.record(new)?;
        let is_excluded = old.excluded.is_some();
        // An excluded file that nobody has at the new path stays known at the old one: there it is missed when
        // the filters include it again, and found here.
        if is_excluded && !record.entry.is_live() {
            return Ok(());
        }
        let state = match old.state_mut().and_then(|held| held.base.clone()) {
            Some(base) => Some(*base),
            None => self.storage_state(path, &old)?,
        };
        let local = match &mut old.excluded {
            Some(excluded) => excluded.held.take(),
            None => old.local.take(),
        };
        let Some(mut local) = local else {
            return Ok(());
        };
        self.write(path, old)?;
        local.base = self.state_after_move(new, &record, state)?.map(Box::new);
        match &mut record.excluded {
            Some(excluded) => excluded.held = Some(local),
            None => record.local = Some(local),
        }
        self.write(new, record)
    }

    /// A description changed since the last scan travelled along and is in this fingerprint.
    fn refresh_moved(
        &mut self,
        path: &RelPath,
        fingerprint: Fingerprint,
    ) -> Result<(), StoreError> {
        let mut record = self.record(path)?;
        if let Some(local) = &mut record.local {
            (local.fingerprint, local.racy) = (fingerprint, true);
        }
        self.write(path, record)
    }

    /// The state of a file that was just renamed to `path`: what it holds is what it held, but which events that
    /// embodies is told by the entry at its new path, if that shows the same content.
    fn state_after_move(
        &self,
        path: &RelPath,
        record: &Record,
        held: Option<Base>,
    ) -> Result<Option<Base>, StoreError> {
        let Some(mut held) = held else {
            return Ok(None);
        };
        let there = self.embodied(path, &record.entry)?;
        held.context = match there {
            Some(there) if there.payload.substance() == held.payload.substance() => there.context,
            _ => Default::default(),
        };
        Ok(Some(held))
    }
}

fn task_towards(before: Option<&Payload>, shown: &Shown<'_>) -> Task {
    match shown.payload() {
        payload if before == Some(payload) => Task::Describe,
        Payload::File {
            content,
            size,
            link,
        } => Task::WriteFile {
            content: *content,
            size: *size,
            link: *link,
        },
        Payload::Symlink { target } => Task::MakeSymlink {
            target: target.clone(),
        },
        Payload::Directory | Payload::Tombstone { .. } => Task::MakeDirectory,
    }
}
