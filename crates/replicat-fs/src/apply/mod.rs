//! Changes of user files, each atomic and each with a precondition.
//!
//! Goals: at every moment a path holds its old content or its new one; nothing is displaced that was not
//! expected, or it is put back or kept; what was displaced survives a crash at any instruction.
//! Non-goals: order between paths, and what is announced when; the engine decides both.
//!
//! A batch runs stage, [`Applier::flush`], [`Applier::commit`], [`Applier::flush_directories`]; then the engine
//! commits its index.

pub mod calls;
pub mod error;

mod batch;
mod change;
mod describe;
mod displace;
mod install;
mod moving;
pub(crate) mod placing;
pub(crate) mod verify;

use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use replicat_core::path::RelPath;
use replicat_core::record::Fingerprint;
use rustix::fs::Statx;
use rustix::io::Errno;

use crate::apply::calls::{At, Calls};
use crate::apply::error::{ApplyError, Obstacle};
use crate::apply::verify::{OwnChanges, matches_expected};
use crate::error::FsError;
use crate::observe::fingerprint;
use crate::root::{Parent, Root, split, stat_at};
use crate::stage::{Staged, Staging};
use crate::state::STATE_DIRECTORY;
use crate::trash::{Trash, TrashId};

pub use batch::{Durability, FSYNC_FILES_MAX, Touched};
pub use change::{Action, Applied, Change, Displaced, Outcome};

/// The path of a directory, and the directory.
type Neighbour = (Vec<u8>, Arc<OwnedFd>);

/// Makes changes to one root.
#[derive(Debug)]
pub struct Applier {
    root: Arc<Root>,
    staging: Staging,
    trash: Option<Arc<Trash>>,
    durability: Durability,
    own_changes: OwnChanges,
    /// The directory of the change before, within one commit: neighbours need not be looked up from the root again.
    neighbour: Mutex<Option<Neighbour>>,
}

/// Where a displaced file is going to be, decided before anything is displaced.
#[derive(Clone, Copy, Debug)]
struct Reserved {
    id: TrashId,
    displaced: Displaced,
}

impl Applier {
    /// Changes the root that `staging` belongs to. Without a trash, what should go there is removed.
    #[must_use]
    pub fn new(staging: Staging, trash: Option<Arc<Trash>>, durability: Durability) -> Self {
        Self {
            root: Arc::clone(&staging.area.root),
            staging,
            trash,
            durability,
            own_changes: OwnChanges::default(),
            neighbour: Mutex::default(),
        }
    }

    fn calls(&self) -> &Calls {
        &self.staging.area.calls
    }

    /// Makes the changes in order, each by itself: one that fails stops no other. The errors come in place of the
    /// results.
    pub fn commit(&self, changes: Vec<Change>) -> Vec<Result<Applied, ApplyError>> {
        let (reserved, _in_use) = match self.reserve(&changes) {
            Ok(reserved) => reserved,
            Err(error) => return self.refuse_all(&changes, &error),
        };
        let pairs = changes.into_iter().zip(reserved);
        let made = pairs
            .map(|(change, reserved)| {
                if change.action.is_of_directories() {
                    self.forget_neighbour();
                }
                self.make(change, reserved)
            })
            .collect();
        // A directory held for longer might be renamed by a user and still be written to.
        self.forget_neighbour();
        made
    }

    fn forget_neighbour(&self) {
        *self.neighbour() = None;
    }

    fn neighbour(&self) -> MutexGuard<'_, Option<Neighbour>> {
        self.neighbour
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn make(&self, change: Change, reserved: Reserved) -> Result<Applied, ApplyError> {
        let Change {
            path,
            expected,
            action,
            ..
        } = change;
        if !(path.is_root() && matches!(action, Action::SetMetadata(_))) {
            self.check_reserved(&path)?;
        }
        match action {
            Action::Put(staged) => self.install(&path, expected, *staged, reserved),
            Action::Link {
                to,
                expected: linked,
            } => self.link(&path, expected, (&to, &linked), reserved),
            Action::MakeDirectory(metadata) => {
                self.make_directory(&path, expected, &metadata, reserved)
            }
            Action::MakeSymlink { target, metadata } => {
                let staged = self.staging.symlink(&target, &metadata)?;
                self.install(&path, expected, staged, reserved)
            }
            Action::SetMetadata(metadata) => {
                let expected = expected.ok_or_else(|| self.changed(&path))?;
                self.describe(&path, &expected, &metadata)
            }
            Action::Remove => self.remove(&path, &self.wanted(&path, expected)?, reserved),
            Action::RemoveDirectory => self.remove_directory(&path, &self.wanted(&path, expected)?),
            Action::Rename {
                from,
                expected: moved,
            } => self.rename(&path, expected, (&from, &moved), reserved),
        }
    }

    fn link(
        &self,
        path: &RelPath,
        expected: Option<Fingerprint>,
        (to, linked): (&RelPath, &Fingerprint),
        reserved: Reserved,
    ) -> Result<Applied, ApplyError> {
        self.check_reserved(to)?;
        let staged = self.adopt(to, linked)?;
        self.install(path, expected, staged, reserved)
    }

    /// Gives the file at `from` one more name in staging, whether or not we changed its ctime ourselves before.
    ///
    /// # Errors
    /// [`ApplyError::Changed`] if it is not the expected one, [`ApplyError::NoHardLink`] if it cannot have more names.
    pub fn adopt(&self, from: &RelPath, expected: &Fingerprint) -> Result<Staged, ApplyError> {
        let found = self.root.stat(from)?.ok_or_else(|| self.changed(from))?;
        if !self.is_expected(expected, &found) {
            return Err(self.changed(from));
        }
        let staged = self.staging.adopt_link(from, &fingerprint(&found))?;
        if let Some(seen) = &staged.seen {
            self.own_changes
                .note_adopted(&fingerprint(&found), &fingerprint(seen));
        }
        Ok(staged)
    }

    fn wanted(
        &self,
        path: &RelPath,
        expected: Option<Fingerprint>,
    ) -> Result<Fingerprint, ApplyError> {
        expected.ok_or_else(|| self.changed(path))
    }

    /// Refuses paths of our own state, in any case of letters (some filesystems do not tell them apart), and of the state of
    /// roots below this one.
    fn check_reserved(&self, path: &RelPath) -> Result<(), ApplyError> {
        let state = STATE_DIRECTORY.as_bytes();
        let first = path.components().next().unwrap_or_default();
        let is_below = path.components().any(|name| name == state);
        if path.is_root() || is_below || first.eq_ignore_ascii_case(state) {
            return Err(ApplyError::Reserved(self.root.shown(path)));
        }
        Ok(())
    }

    fn changed(&self, path: &RelPath) -> ApplyError {
        ApplyError::Changed(self.root.shown(path))
    }

    fn parent(&self, path: &RelPath) -> Result<Parent, ApplyError> {
        let (above, name) = split(path.as_bytes());
        if let Some((directory, held)) = &*self.neighbour()
            && directory == above
        {
            return Ok(Parent {
                directory: Arc::clone(held),
                name: name.to_vec(),
            });
        }
        let parent = self.look_up_parent(path)?;
        *self.neighbour() = Some((above.to_vec(), Arc::clone(&parent.directory)));
        Ok(parent)
    }

    fn look_up_parent(&self, path: &RelPath) -> Result<Parent, ApplyError> {
        self.root.parent_of(path).map_err(|error| {
            if error.is_missing() || error.is_symlink() {
                ApplyError::NoParent(self.root.shown(path))
            } else {
                error.into()
            }
        })
    }

    /// What is at the path, if it is what was expected.
    fn check(
        &self,
        path: &RelPath,
        parent: &Parent,
        expected: &Fingerprint,
    ) -> Result<Statx, ApplyError> {
        match stat_at(parent.directory.as_fd(), parent.name()) {
            Ok(found) if self.is_expected(expected, &found) => Ok(found),
            Ok(_) | Err(Errno::NOENT) => Err(self.changed(path)),
            Err(source) => Err(self.root.error("look at", path, source).into()),
        }
    }

    fn is_expected(&self, expected: &Fingerprint, found: &Statx) -> bool {
        matches_expected(expected, found, &self.own_changes.accepted(found))
    }

    /// The system's refusal of `action`, told so that a user can do something about it.
    fn refused(
        &self,
        action: &'static str,
        path: &RelPath,
        parent: &Parent,
        source: Errno,
    ) -> ApplyError {
        let error: FsError = self.root.error(action, path, source);
        let obstacle = match Obstacle::from(Some(source)) {
            Obstacle::Denied if is_immutable(parent) => Obstacle::Immutable,
            obstacle => obstacle,
        };
        ApplyError::Refused { obstacle, error }
    }
}

/// Whether a flag that no permission overrides protects the path or its directory.
fn is_immutable(parent: &Parent) -> bool {
    use rustix::fs::StatxAttributes;
    let flags = StatxAttributes::IMMUTABLE | StatxAttributes::APPEND;
    let directory = crate::root::stat_descriptor(parent.directory.as_fd());
    let path = stat_at(parent.directory.as_fd(), parent.name());
    [directory, path]
        .into_iter()
        .flatten()
        .any(|found| found.stx_attributes.intersects(flags))
}

fn at(parent: &Parent) -> At<'_> {
    At::new(&parent.directory, parent.name())
}
