//! What a change displaces: where it goes, and how it comes back if it was not what was expected.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};

use replicat_core::path::RelPath;
use rustix::fs::{FileType, Mode, OFlags, Statx};
use rustix::io::Errno;

use crate::apply::calls::At;
use crate::apply::error::ApplyError;
use crate::apply::placing::place;
use crate::apply::{Action, Applied, Applier, Change, Displaced, Reserved, at};
use crate::error::FsError;
use crate::observe::fingerprint;
use crate::root::{Parent, stat_at, stat_descriptor};
use crate::stage::LogUse;
use crate::stage::slot::{Origin, Slot, now_seconds};
use crate::trash::TrashId;
use crate::trash::log::Displacement;

/// The permission bits that let an owner change what a directory holds.
const CHANGE_ENTRIES: u32 = 0o300;

impl Applier {
    /// Gives each change an id, and notes durably-to-be what each may displace before anything is displaced.
    pub(super) fn reserve(
        &self,
        changes: &[Change],
    ) -> Result<(Vec<Reserved>, LogUse<'_>), FsError> {
        let (mut to_trash, mut to_discard) = (Vec::new(), Vec::new());
        let mut reserved = Vec::with_capacity(changes.len());
        for change in changes {
            let id = self.staging.area.ids.next();
            let displaced = match change.displaced {
                Displaced::ToTrash { .. } if self.trash.is_none() => Displaced::Discard,
                displaced => displaced,
            };
            reserved.push(Reserved { id, displaced });
            if !may_displace(change) {
                continue;
            }
            let displacement = |content| Displacement {
                id,
                seconds: now_seconds(),
                content,
                path: change.path.clone(),
            };
            match displaced {
                Displaced::ToTrash { content } => to_trash.push(displacement(content)),
                Displaced::Discard => to_discard.push(displacement(None)),
            }
        }
        if let Some(trash) = self.trash.as_ref().filter(|_| !to_trash.is_empty()) {
            trash.record(&to_trash)?;
        }
        let in_use = self.staging.area.log_all(&to_discard)?;
        Ok((reserved, in_use))
    }

    /// The same failure for each change of a batch that could not begin.
    pub(super) fn refuse_all(
        &self,
        changes: &[Change],
        error: &FsError,
    ) -> Vec<Result<Applied, ApplyError>> {
        let refuse = |change: &Change| {
            let reason = error.errno().unwrap_or(Errno::IO);
            let action = "note what is displaced from";
            Err(self.root.error(action, &change.path, reason).into())
        };
        changes.iter().map(refuse).collect()
    }

    /// Sends what is at the slot where it belongs, and says whether that is the trash. A failure leaves it at the
    /// slot, from where the next recovery takes it to the trash. A file that lives on under the name that we gave it does
    /// not go to the trash: what is written to it there would change the trash as well.
    pub(super) fn dispose(
        &self,
        slot: At<'_>,
        label: &[u8],
        found: &Statx,
        reserved: Reserved,
    ) -> Option<TrashId> {
        let kind = FileType::from_raw_mode(found.stx_mode.into());
        if let (Displaced::ToTrash { .. }, Some(trash)) = (reserved.displaced, &self.trash)
            && kind != FileType::Directory
            && !self.own_changes.is_kept(found)
        {
            return match trash.keep(slot, reserved.id, label, found.stx_size) {
                Ok(()) => {
                    if found.stx_nlink > 1
                        && let Some(after) = trash.stat(reserved.id, label)
                    {
                        self.own_changes
                            .note(&fingerprint(found), &fingerprint(&after));
                    }
                    Some(reserved.id)
                }
                Err(error) => {
                    tracing::warn!(%error, "the next start moves it to the trash");
                    self.leave_to_trash(slot, reserved.id, label);
                    None
                }
            };
        }
        let held = self.hold_linked(slot, found);
        if let Err(reason) = self.calls().unlink(slot) {
            tracing::warn!(name = ?slot.name, %reason, "cannot remove what was replaced");
            self.leave_to_trash(slot, reserved.id, label);
        }
        if let Some(after) = held.and_then(|held| stat_descriptor(held.as_fd()).ok()) {
            self.own_changes
                .note(&fingerprint(found), &fingerprint(&after));
        }
        None
    }

    /// Renames a slot so that the next start moves what it holds to the trash, and does not take it for a change that was
    /// cut off and is to be undone.
    fn leave_to_trash(&self, slot: At<'_>, id: TrashId, label: &[u8]) {
        let name = Slot::new(id, Origin::Trash, label).name();
        let left = At {
            directory: slot.directory,
            name: &name,
        };
        if let Err(reason) = self.calls().rename_new(slot, left) {
            tracing::warn!(name = ?slot.name, %reason, "cannot mark what was replaced");
        }
    }

    /// Holds a file that has other names, to see its ctime once this name is gone.
    fn hold_linked(&self, slot: At<'_>, found: &Statx) -> Option<OwnedFd> {
        if found.stx_nlink < 2 {
            return None;
        }
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(slot.directory, slot.name, flags, Mode::empty()).ok()
    }

    /// Puts what is at the slot back to its path, or beside it if the path is taken by now.
    pub(super) fn put_back(
        &self,
        path: &RelPath,
        parent: &Parent,
        slot: At<'_>,
        id: TrashId,
    ) -> ApplyError {
        match place(self.calls(), slot, at(parent)) {
            Ok(()) => self.changed(path),
            Err(_) => self.keep_beside(path, parent, slot, id),
        }
    }

    /// Keeps what is at the slot beside its path, under a name that says what it is.
    fn keep_beside(
        &self,
        path: &RelPath,
        parent: &Parent,
        slot: At<'_>,
        id: TrashId,
    ) -> ApplyError {
        let mut name = parent.name.clone();
        name.truncate(200);
        name.extend_from_slice(format!(".kept-{id}").as_bytes());
        let beside = At::new(
            &parent.directory,
            std::os::unix::ffi::OsStrExt::from_bytes(&name[..]),
        );
        let kept_as = path.parent().and_then(|above| above.join(&name).ok());
        match (place(self.calls(), slot, beside), kept_as) {
            (Ok(()), Some(kept_as)) => ApplyError::Surprise {
                path: self.root.shown(path),
                kept_as,
            },
            (Err(source), _) => {
                tracing::warn!(%path, %source, "kept in staging; the next start moves it to the trash");
                self.changed(path)
            }
            (Ok(()), None) => self.changed(path),
        }
    }

    /// Runs a change of a directory's entries. If its owner, who we are, may not write to it, it is opened for the
    /// change and closed again; a note lets recovery close it after a crash.
    pub(super) fn in_directory<T>(
        &self,
        path: &RelPath,
        parent: &Parent,
        change: impl Fn() -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        match change() {
            Err(Errno::ACCESS) => {}
            result => return result,
        }
        let found = stat_descriptor(parent.directory.as_fd())?;
        let mode = u32::from(found.stx_mode) & 0o7777;
        let is_owner = found.stx_uid == rustix::process::geteuid().as_raw();
        if !is_owner || mode & CHANGE_ENTRIES == CHANGE_ENTRIES {
            return Err(Errno::ACCESS);
        }
        let note = self.note_opened(path, mode)?;
        let (calls, directory) = (self.calls(), parent.directory.as_fd());
        calls.change_mode_of(directory, Mode::from_raw_mode(mode | CHANGE_ENTRIES))?;
        let result = change();
        calls.change_mode_of(directory, Mode::from_raw_mode(mode))?;
        calls.unlink(At::new(&self.staging.area.displaced, &note))?;
        result
    }

    fn note_opened(&self, path: &RelPath, mode: u32) -> Result<std::ffi::OsString, Errno> {
        let area = &self.staging.area;
        let directory = path.parent().unwrap_or_else(RelPath::root);
        let slot = Slot::new(area.ids.next(), Origin::Opened(mode), directory.name());
        let _in_use = area
            .log_displaced(&slot, &directory)
            .map_err(|error| error.errno().unwrap_or(Errno::IO))?;
        let name = slot.name();
        let private = Mode::RUSR | Mode::WUSR;
        self.calls()
            .create(At::new(&area.displaced, &name), private)?;
        Ok(name)
    }

    /// What is at a name among the displaced.
    pub(super) fn stat_slot(&self, name: &OsStr) -> Result<Statx, Errno> {
        stat_at(self.staging.area.displaced.as_fd(), name)
    }
}

/// Whether a change may move a file out of its place.
fn may_displace(change: &Change) -> bool {
    match change.action {
        Action::SetMetadata(_) | Action::RemoveDirectory => false,
        Action::Rename { .. } => true,
        _ => change.expected.is_some(),
    }
}
