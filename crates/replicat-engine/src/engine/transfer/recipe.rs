//! How a file that is wanted comes about: as a link, from what the root holds already, or from peers.

use replicat_content::Manifest;
use replicat_content::delta::{self, SourceId};
use replicat_core::entry::Payload;
use replicat_core::id::{ContentHash, LinkId};
use replicat_core::path::RelPath;
use replicat_core::plan::{Fate, Source, Step};
use replicat_core::record::Fingerprint;
use replicat_core::store::Store;
use replicat_fs::apply::Action;

use super::content::Distance;
use super::staging::{Job, Recipe};
use super::{PIECE_BYTES_MAX, Work};
use crate::error::SyncError;
use crate::report::SkipReason;

/// Contents up to this length come in one piece, without a list of chunks: whatever is one chunk for sure.
pub(super) const ONE_PIECE_BYTES_MAX: u64 = 64 << 10;

/// How many names of a file are looked at again when it gets one more.
const LINKS_MAX: usize = 1024;

impl Work<'_> {
    /// Begins to build a file, or takes one that is there already.
    pub(super) fn start_file(
        &mut self,
        step: Box<Step>,
        content: ContentHash,
        size: u64,
        link: Option<LinkId>,
    ) -> Result<(), SyncError> {
        if self.target.hands.is_none() {
            return self.pretend_file(step, content, size);
        }
        if let Some(link) = link
            && let Some(action) = self.as_link(&step, content, link)?
        {
            let group = self.target.replica.store().by_link(link, LINKS_MAX);
            self.linked
                .extend(group.map_err(|error| self.target.failed(error))?);
            return self.act_later(step, action);
        }
        if let Some(staged) = self.secured.remove(&content) {
            self.done.reused += size;
            return self.put(step, staged);
        }
        let source = self.target.replica.source_of(content, &step.path);
        let source = source.map_err(|error| self.target.failed(error))?;
        let Some(source) = self.move_file(&step, source, size)? else {
            return Ok(());
        };
        let recipe = self.recipe(&step, content, size, source)?;
        self.taken.insert(step.path.clone());
        let Some(recipe) = recipe else {
            self.target.skip_step(step.path, SkipReason::ContentMissing);
            return Ok(());
        };
        let needed = self.bytes_of(content, size, &recipe);
        if !self.begin_bytes(needed)? {
            return self.no_room(step);
        }
        self.building += 1;
        // The receivers live as long as this does.
        let _ = self.jobs.send(Job {
            step,
            content,
            size,
            recipe,
            needed,
        });
        self.take_built()
    }

    /// A dry run moves what the run would move, and takes the rest for built.
    fn pretend_file(
        &mut self,
        step: Box<Step>,
        content: ContentHash,
        size: u64,
    ) -> Result<(), SyncError> {
        let source = self.target.replica.source_of(content, &step.path);
        let source = source.map_err(|error| self.target.failed(error))?;
        match source.filter(|source| source.fate == Fate::Removed) {
            Some(source) if step.expected.is_none() => {
                self.move_file(&step, Some(source), size).map(drop)
            }
            _ => self.do_later(step),
        }
    }

    fn as_link(
        &mut self,
        step: &Step,
        content: ContentHash,
        link: LinkId,
    ) -> Result<Option<Action>, SyncError> {
        let find = |work: &Self| {
            let found = work.target.replica.link_target(link, content, &step.path);
            found.map_err(|error| work.target.failed(error))
        };
        let mut target = find(self)?;
        if target.is_none() && (self.building > 0 || self.has_changes_ahead()) {
            // The group's first file may be under way.
            self.finish_building()?;
            target = find(self)?;
        }
        Ok(target.map(|(to, expected)| Action::Link { to, expected }))
    }

    /// Takes the file that holds the content already, if that is on its way out. Returns what is left to try: nothing, if it
    /// could be taken; else the source, if there is one.
    fn move_file(
        &mut self,
        step: &Step,
        source: Option<Source>,
        size: u64,
    ) -> Result<Option<Option<Source>>, SyncError> {
        let Some(Source {
            path,
            fingerprint,
            fate,
        }) = &source
        else {
            return Ok(Some(None));
        };
        if self.adopted.contains(path) {
            // Two paths would become two names of one file.
            return Ok(Some(source));
        }
        if *fate == Fate::Removed && step.expected.is_none() {
            self.done.reused += size;
            self.rename_file(step, path, *fingerprint)?;
            return Ok(None);
        }
        // Were a conflict copy a second name of the file, a run that is cut off here would leave a hard link of the two.
        if *fate == Fate::Stays || self.is_carried(&step.path)? {
            return Ok(Some(source));
        }
        let Some(staged) = self.adopt(path, fingerprint)? else {
            return Ok(Some(source));
        };
        self.done.reused += size;
        self.put(Box::new(step.clone()), staged)?;
        Ok(None)
    }

    /// How the file is to be built; `None` if nobody says what it is made of, and it is too long to be taken unseen.
    fn recipe(
        &mut self,
        step: &Step,
        content: ContentHash,
        size: u64,
        source: Option<Source>,
    ) -> Result<Option<Recipe>, SyncError> {
        let manifest = match size > ONE_PIECE_BYTES_MAX {
            true if self.comes_whole(step, size, source.as_ref()) => {
                return Ok(Some(Recipe::Fetch));
            }
            true => self.manifest(content)?,
            false => None,
        };
        let Some(manifest) = manifest else {
            if size > PIECE_BYTES_MAX {
                return Ok(None);
            }
            return Ok(Some(match source {
                Some(Source {
                    path, fingerprint, ..
                }) => Recipe::Copy {
                    from: path,
                    fingerprint,
                },
                None => Recipe::Fetch,
            }));
        };
        let at_hand = self.at_hand(step, source, &manifest);
        let available: Vec<(&Manifest, SourceId)> = at_hand
            .iter()
            .zip(0..)
            .map(|((manifest, _), number)| (manifest, SourceId(number)))
            .collect();
        let pieces = delta::plan(&manifest, &available);
        let bases = at_hand.into_iter().map(|(_, base)| base).collect();
        Ok(Some(Recipe::Assemble {
            manifest,
            pieces,
            bases,
        }))
    }

    /// Whether a file is to be fetched whole, without a list of its chunks: nothing at hand could share any, and to ask for
    /// the list would take as long as to ask for the file.
    fn comes_whole(&self, step: &Step, size: u64, source: Option<&Source>) -> bool {
        let is_alone = source.is_none() && step.before.is_none();
        is_alone && size <= PIECE_BYTES_MAX && self.sources.distance() == Distance::Far
    }

    /// The files of this root that may share chunks with what is wanted: one that is equal, and the old version.
    fn at_hand(
        &self,
        step: &Step,
        source: Option<Source>,
        wanted: &Manifest,
    ) -> Vec<(Manifest, (RelPath, Fingerprint))> {
        let mut at_hand = Vec::new();
        if let Some(Source {
            path, fingerprint, ..
        }) = source
        {
            at_hand.push((wanted.clone(), (path, fingerprint)));
        }
        if let (Some(Payload::File { content, .. }), Some(expected)) = (&step.before, step.expected)
            && let Some(manifest) = self.target.manifest(*content)
        {
            at_hand.push((manifest, (step.path.clone(), expected)));
        }
        at_hand
    }

    /// The chunks of a content, from the own index or another's.
    fn manifest(&mut self, content: ContentHash) -> Result<Option<Manifest>, SyncError> {
        if let Some(manifest) = self.target.manifest(content) {
            return Ok(Some(manifest));
        }
        let found = self.sources.manifest(content);
        if let Some(manifest) = &found {
            self.target.set_manifest(content, manifest)?;
        }
        Ok(found)
    }
}
