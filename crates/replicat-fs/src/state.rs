//! The directory in which a replica keeps its state, and the lock on its root.
//!
//! Goals: staging and trash lie on the root's filesystem, so that a commit is one rename; two processes never
//! work on one root.
//! Non-goals: what is in the index; that file only gets its place here.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxFlags};
use rustix::io::Errno;
use thiserror::Error;

use crate::error::FsError;
use crate::identity::RootIdentity;
use crate::lock::{Lock, LockError, LockHolder, lock};
use crate::metadata::{ACCESS_ACL, DEFAULT_ACL};
use crate::root::Root;
use crate::state_owner::StateOwner;

/// The name of the state directory in a root. It is never replicated.
pub const STATE_DIRECTORY: &str = ".replicat";
/// The name of the index in the state directory.
pub const INDEX_FILE: &str = "index.redb";
pub(crate) const STAGING: &str = "staging";
/// The directory of the trash in a state directory.
pub const TRASH_DIRECTORY: &str = "trash";
const TRASH: &str = TRASH_DIRECTORY;
/// What staging holds: downloads to be resumed, small things about to be placed, and what was displaced.
const STAGING_PARTS: [&str; 3] = [PARTIAL, READY, DISPLACED];
pub(crate) const PARTIAL: &str = "partial";
pub(crate) const READY: &str = "ready";
pub(crate) const DISPLACED: &str = "displaced";

/// Why a state directory cannot be used.
#[derive(Debug, Error)]
pub enum StateError {
    /// Another process works on the root.
    #[error("{root:?} is in use by {holder}")]
    Locked {
        /// The root.
        root: PathBuf,
        /// The other process.
        holder: Box<LockHolder>,
    },
    /// The system refused.
    #[error(transparent)]
    Filesystem(#[from] FsError),
}

/// The state of one replica on disk. The root is locked while this lives.
#[derive(Debug)]
pub struct StateDirectory {
    path: PathBuf,
    workspace: PathBuf,
    pub(crate) staging: OwnedFd,
    pub(crate) trash: OwnedFd,
    pub(crate) owner: StateOwner,
    is_root_writable: bool,
    _locks: Vec<Lock>,
}

impl StateDirectory {
    /// Opens the state of `root`, in `<root>/.replicat` or in `elsewhere`, creates what is missing and takes the
    /// lock. Where `elsewhere` is another filesystem, staging and trash stay in the root all the same.
    ///
    /// # Errors
    /// [`StateError::Locked`] if another process works on this root, or on this state.
    pub fn open(root: &Root, elsewhere: Option<&Path>) -> Result<Self, StateError> {
        let inside = match inside_root(root) {
            // A root that is only read needs no staging.
            Err(error) if elsewhere.is_some() && (error.is_read_only() || error.is_denied()) => {
                None
            }
            result => Some(result?),
        };
        let path = match (elsewhere, &inside) {
            (Some(elsewhere), _) => elsewhere.to_path_buf(),
            (None, inside) => inside.clone().unwrap_or_default(),
        };
        create_ancestors(&path)?;
        create_private(&path)?;
        let workspace = match &inside {
            Some(inside) if !shares_filesystem(root, &path)? => inside.clone(),
            _ => path.clone(),
        };
        let is_root_writable = match inside {
            Some(_) => true,
            // Its directories may allow what the root does not. They are reached from the same filesystem alone.
            None => !root.is_mounted_read_only() && shares_filesystem(root, &path)?,
        };
        let mut held: Vec<&PathBuf> = inside.iter().chain([&path]).collect();
        held.dedup();
        let mut locks = Vec::new();
        for state in held {
            locks.push(lock(state).map_err(|error| locked(error, root))?);
        }
        create_workspace(&workspace)?;
        let owner = StateOwner::of(root, open_directory(&path)?.as_fd())
            .map_err(|source| FsError::new("look at", &path, source))?;
        for state in inside.iter().chain([&path]) {
            owner.heal(state, &workspace);
        }
        Ok(Self {
            staging: open_directory(&workspace.join(STAGING))?,
            trash: open_directory(&workspace.join(TRASH))?,
            owner,
            is_root_writable,
            path,
            workspace,
            _locks: locks,
        })
    }

    /// The state directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the root could be written when it was opened. A root that cannot be is only read.
    #[must_use]
    pub fn is_root_writable(&self) -> bool {
        self.is_root_writable
    }

    /// Gives the state to the owner of `root`, if that has become another user since.
    pub fn follow_owner(&self, root: &Root) {
        let directory = open_directory(&self.path);
        let owner = directory
            .ok()
            .map(|state| StateOwner::of(root, state.as_fd()));
        if let Some(Ok(owner)) = owner
            && self.owner.follow(&owner)
        {
            self.owner.heal(&self.path, &self.workspace);
        }
    }

    /// What `root` with this state is recognised by.
    ///
    /// # Errors
    /// If one of the directories cannot be looked at.
    pub fn identity(&self, root: &Root) -> Result<RootIdentity, FsError> {
        let directory = open_directory(&self.path)?;
        RootIdentity::of(root, directory.as_fd())
    }

    /// Whether its directories are where they were, and the index as well: users tidy up, and remove what they do not know.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        let staging = self.staging_path();
        is_at(&self.staging, &staging)
            && is_at(&self.trash, &self.trash_path())
            && STAGING_PARTS.iter().all(|part| staging.join(part).is_dir())
            && self.index_path().exists()
    }

    /// Where the index belongs.
    #[must_use]
    pub fn index_path(&self) -> PathBuf {
        self.path.join(INDEX_FILE)
    }

    /// Where the trash is, for users who look for themselves.
    #[must_use]
    pub fn trash_path(&self) -> PathBuf {
        self.workspace.join(TRASH)
    }

    pub(crate) fn staging_path(&self) -> PathBuf {
        self.workspace.join(STAGING)
    }
}

fn locked(error: LockError, root: &Root) -> StateError {
    match error {
        LockError::Held(holder) => StateError::Locked {
            root: root.path().to_path_buf(),
            holder: Box::new(holder),
        },
        LockError::Failed(error) => StateError::Filesystem(error),
    }
}

/// Opens one part of staging.
pub(crate) fn open_part(staging: &OwnedFd, shown: &Path, part: &str) -> Result<OwnedFd, FsError> {
    open_directory_in(staging, part)
        .map_err(|source| FsError::new("open the directory", shown.join(part), source))
}

/// `<root>/.replicat`, created through the root's descriptor and checked to be no link.
fn inside_root(root: &Root) -> Result<PathBuf, FsError> {
    let failed = |source| FsError::new("create", root.path().join(STATE_DIRECTORY), source);
    match rustix::fs::mkdirat(root.descriptor(), STATE_DIRECTORY, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(source) => return Err(failed(source)),
    }
    open_directory_in(&root.descriptor(), STATE_DIRECTORY).map_err(failed)?;
    let path = root.path().join(STATE_DIRECTORY);
    make_private(&path)?;
    Ok(path)
}

/// Creates the directories above a state directory. Anybody may pass through those that the superuser creates: the state may
/// be another user's.
fn create_ancestors(path: &Path) -> Result<(), FsError> {
    let Some(above) = path.parent() else {
        return Ok(());
    };
    let mode = match rustix::process::geteuid().is_root() {
        true => 0o755,
        false => 0o700,
    };
    fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(above)
        .map_err(|source| FsError::new("create the state directory", above, source))
}

fn create_private(path: &Path) -> Result<(), FsError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|source| FsError::new("create the state directory", path, source))
}

fn create_workspace(workspace: &Path) -> Result<(), FsError> {
    for part in [STAGING, TRASH] {
        create_private(&workspace.join(part))?;
        make_private(&workspace.join(part))?;
    }
    for part in STAGING_PARTS {
        let path = workspace.join(STAGING).join(part);
        create_private(&path)?;
        make_private(&path)?;
    }
    Ok(())
}

/// Takes from a directory what files made in it would inherit: a default ACL, the group of a set-group-id bit.
fn make_private(path: &Path) -> Result<(), FsError> {
    for name in [DEFAULT_ACL, ACCESS_ACL] {
        match rustix::fs::lremovexattr(path, name) {
            Ok(()) | Err(Errno::NODATA | Errno::OPNOTSUPP) => {}
            Err(source) => return Err(FsError::new("remove the ACL of", path, source)),
        }
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
        .map_err(|source| FsError::new("set the permissions of", path, source))
}

/// Whether a directory that is open is the one at a path.
fn is_at(held: &OwnedFd, path: &Path) -> bool {
    let there = rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW);
    let held = rustix::fs::fstat(held);
    let is_same = |one: rustix::fs::Stat, other: rustix::fs::Stat| {
        (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)
    };
    held.is_ok_and(|held| there.is_ok_and(|there| is_same(held, there)))
}

fn shares_filesystem(root: &Root, elsewhere: &Path) -> Result<bool, FsError> {
    let wanted = StatxFlags::BASIC_STATS | StatxFlags::MNT_ID;
    let there = rustix::fs::statx(CWD, elsewhere, AtFlags::empty(), wanted)
        .map_err(|source| FsError::new("look at", elsewhere, source))?;
    let here = rustix::fs::statx(root.descriptor(), c"", AtFlags::EMPTY_PATH, wanted)
        .map_err(|source| FsError::new("look at", root.path(), source))?;
    let place =
        |found: &rustix::fs::Statx| (found.stx_dev_major, found.stx_dev_minor, found.stx_mnt_id);
    Ok(place(&there) == place(&here))
}

pub(crate) fn open_directory(path: &Path) -> Result<OwnedFd, FsError> {
    open_directory_in(&CWD, path).map_err(|source| FsError::new("open the directory", path, source))
}

fn open_directory_in(
    directory: &impl AsFd,
    name: impl rustix::path::Arg,
) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(directory, name, flags, Mode::empty())
}
