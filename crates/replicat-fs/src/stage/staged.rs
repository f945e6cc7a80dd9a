//! One staged thing, from its making to its commit.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use replicat_core::entry::Metadata;
use replicat_core::id::ContentHash;
use replicat_core::record::Fingerprint;
use rustix::fs::{FileType, Statx};
use rustix::io::Errno;

use crate::apply::calls::At;
use crate::metadata::Unapplied;
use crate::observe;
use crate::root::stat_at;
use crate::stage::slot::{Origin, Slot};
use crate::stage::{Area, remove_at};
use crate::trash::log::TrashId;

/// Where a staged thing is.
#[derive(Debug)]
pub(crate) enum Place {
    /// In a stager's directory: ours, easily made again.
    Ready(Arc<OwnedFd>),
    /// Among the partial downloads: ours, and worth keeping if it is not placed.
    Partial(ContentHash),
    /// Among the partial downloads, beside another of the same content.
    Unshared,
    /// Among the displaced: one more name of a user's file.
    Adopted,
    /// At a slot, about to be exchanged or just put back from there.
    Slot(Box<Home>),
    /// At its path; it is staged no more.
    Placed,
}

/// Where something at a slot came from.
#[derive(Debug)]
pub(crate) struct Home {
    place: Place,
    name: OsString,
}

/// A file, directory or symbolic link that is complete, described, and waits for its commit.
///
/// Dropped without a commit, it is removed; a large download stays to be resumed, and a user's own file stays
/// until recovery.
#[derive(Debug)]
pub struct Staged {
    pub(crate) area: Arc<Area>,
    pub(crate) place: Place,
    name: OsString,
    pub(crate) kind: FileType,
    pub(crate) metadata: Metadata,
    pub(crate) unapplied: Vec<Unapplied>,
    pub(crate) seen: Option<Statx>,
    /// Of a large file: it is still open.
    pub(crate) file: Option<OwnedFd>,
}

impl Staged {
    pub(crate) fn new(
        area: Arc<Area>,
        place: Place,
        name: OsString,
        kind: FileType,
        metadata: Metadata,
    ) -> Self {
        Self {
            area,
            place,
            name,
            kind,
            metadata,
            unapplied: Vec::new(),
            seen: None,
            file: None,
        }
    }

    /// What of the metadata this user or filesystem could not hold.
    #[must_use]
    pub fn unapplied(&self) -> &[Unapplied] {
        &self.unapplied
    }

    /// How the staged thing looks now. Its ctime changes with the commit.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.seen
            .as_ref()
            .map(observe::fingerprint)
            .unwrap_or_default()
    }

    pub(crate) fn name(&self) -> &OsStr {
        &self.name
    }

    pub(crate) fn inode(&self) -> u64 {
        self.seen.as_ref().map_or(0, |seen| seen.stx_ino)
    }

    /// Whether this is a user's own file under one more name, rather than a new one.
    #[must_use]
    pub fn is_users_own(&self) -> bool {
        self.is_adopted()
    }

    pub(crate) fn is_adopted(&self) -> bool {
        match &self.place {
            Place::Adopted => true,
            Place::Slot(home) => matches!(home.place, Place::Adopted),
            _ => false,
        }
    }

    fn directory_of<'a>(area: &'a Area, place: &'a Place) -> BorrowedFd<'a> {
        match place {
            Place::Ready(directory) => directory.as_fd(),
            Place::Partial(_) | Place::Unshared => area.partial.as_fd(),
            Place::Adopted | Place::Slot(_) | Place::Placed => area.displaced.as_fd(),
        }
    }

    /// Whether it is where it was staged.
    pub(crate) fn exists(&self) -> bool {
        let at = self.at();
        stat_at(at.directory, at.name).is_ok()
    }

    pub(crate) fn at(&self) -> At<'_> {
        At {
            directory: Self::directory_of(&self.area, &self.place),
            name: &self.name,
        }
    }

    /// Moves it to a slot, from where it will be exchanged with what the path holds.
    pub(crate) fn move_to_slot(&mut self, id: TrashId, label: &[u8]) -> Result<(), Errno> {
        let origin = if self.is_adopted() {
            Origin::Adopted(self.inode())
        } else {
            Origin::Own(self.inode())
        };
        let name = Slot::new(id, origin, label).name();
        let to = At::new(&self.area.displaced, &name);
        // Nothing has this name: ids are never given twice.
        self.area.calls.rename_over(self.at(), to)?;
        let name = std::mem::replace(&mut self.name, name);
        let place = std::mem::replace(&mut self.place, Place::Placed);
        self.place = Place::Slot(Box::new(Home { place, name }));
        Ok(())
    }

    /// Notes that it is at its path.
    pub(crate) fn placed(&mut self) {
        let before = std::mem::replace(&mut self.place, Place::Placed);
        self.release(&before);
    }

    fn release(&self, place: &Place) {
        match place {
            Place::Partial(content) => self.area.release(*content),
            Place::Slot(home) => self.release(&home.place),
            _ => {}
        }
    }

    /// Removes it. A failure leaves it to the next recovery.
    pub(crate) fn remove(&mut self) {
        if let Err(reason) = remove_at(&self.area.calls, self.at()) {
            tracing::warn!(name = ?self.name, %reason, "cannot remove from staging; the next start does");
        }
        self.placed();
    }

    /// Removes an adopted name, if the file has another. If not it stays: recovery takes it to the trash.
    fn let_go(&mut self) {
        match stat_at(self.area.displaced.as_fd(), &self.name) {
            Ok(found) if found.stx_nlink > 1 => self.remove(),
            _ => tracing::warn!(name = ?self.name, "the next start moves it to the trash"),
        }
    }

    /// Moves a partial download back from its slot, to be resumed.
    fn go_home(&mut self, home: &Home) -> Result<(), Errno> {
        let to = At {
            directory: Self::directory_of(&self.area, &home.place),
            name: &home.name,
        };
        self.area.calls.rename_over(self.at(), to)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        match std::mem::replace(&mut self.place, Place::Placed) {
            Place::Placed => {}
            Place::Adopted => self.let_go(),
            Place::Partial(content) => self.area.release(content),
            place @ (Place::Ready(_) | Place::Unshared) => {
                self.place = place;
                self.remove();
            }
            Place::Slot(home) => match &home.place {
                Place::Adopted => self.let_go(),
                Place::Partial(content) => {
                    let content = *content;
                    if let Err(reason) = self.go_home(&home) {
                        tracing::warn!(name = ?self.name, %reason, "cannot keep a download");
                    }
                    self.area.release(content);
                }
                _ => self.remove(),
            },
        }
    }
}
