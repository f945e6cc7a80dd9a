//! One root and everything that belongs to it: its directory, its state, its replica.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use replicat_core::id::{FolderId, ReplicaId};
use replicat_core::path::RelPath;
use replicat_core::replica::Replica;
use replicat_core::store::{Identity, Store};
use replicat_fs::apply::Applier;
use replicat_fs::apply::calls::Calls;
use replicat_fs::echo::Echoes;
use replicat_fs::filter::Filter;
use replicat_fs::observe::{Observation, Tracking};
use replicat_fs::recover::{PARTIAL_AGE_MAX, recover};
use replicat_fs::root::Root;
use replicat_fs::stage::Staging;
use replicat_fs::state::{STATE_DIRECTORY, StateDirectory, StateError};
use replicat_fs::trash::Trash;
use replicat_index::{Durability as Commit, Index, IndexError};

use super::deletions::{Deletions, Pace};
use super::failure::{self, Failure};
use super::gleaned::Gleaned;
use super::roots::GivenRoot;
use super::selection::SelectionNumber;
use super::setbacks::Setbacks;
use super::{random_u64, retention};
use crate::error::SyncError;
use crate::event::RootIndex;
use crate::options::{Durability, ForeignRoot, Mode, OwnerPolicy, SyncOptions};
use crate::report::{ChangeCounts, SkipReason, Skipped};

/// The setting under which the time of the last complete sync is kept, in seconds since 1970.
pub(super) const SETTING_SYNCED: &str = "synced";
/// The longest name that a replica takes from its directory, in bytes.
const NAME_BYTES_MAX: usize = 32;

/// A root, opened.
pub(super) struct LocalReplica {
    /// Its place in the list of roots.
    pub(super) number: RootIndex,
    /// As the user named it.
    pub(super) given: PathBuf,
    pub(super) root: Arc<Root>,
    pub(super) replica: Replica<Index>,
    pub(super) filter: Filter,
    pub(super) selection_number: SelectionNumber,
    pub(super) tracking: Tracking,
    /// The root directory as it was before replicat touched it.
    pub(super) itself: Observation,
    /// Nothing can be written to it: it is a source for the others.
    pub(super) is_read_only: bool,
    /// What it takes to change files; `None` in a dry run.
    pub(super) hands: Option<Hands>,
    pub(super) durability: Durability,
    pub(super) changes: ChangeCounts,
    pub(super) skipped: Vec<Skipped>,
    /// Those of them that could not be brought to the directory.
    pub(super) not_brought: BTreeSet<RelPath>,
    /// Paths whose description the storage does not hold in full.
    pub(super) unheld: BTreeMap<RelPath, SkipReason>,
    /// Directories that could not be removed once because something was in them.
    pub(super) stubborn: BTreeSet<RelPath>,
    /// What came to nothing lately.
    pub(super) setbacks: Setbacks,
    /// What it loses, and whether that may pass.
    pub(super) deletions: Deletions,
    /// Directories whose ignore file changed: what is in scope there is looked at again.
    pub(super) rules_changed: BTreeSet<RelPath>,
    /// Directories in which something was just done here: they are to get their own times again.
    pub(super) disturbed: BTreeSet<RelPath>,
    /// Small contents that scans have read, where they are sent soon.
    pub(super) gleaned: Option<Arc<Gleaned>>,
    /// What was written lately, where a watch tells of it.
    pub(super) echoes: Option<Echoes>,
}

/// What it takes to change files of a root.
pub(super) struct Hands {
    pub(super) staging: Arc<Staging>,
    pub(super) applier: Arc<Applier>,
    pub(super) trash: Arc<Trash>,
    /// Locks the root.
    pub(super) state: StateDirectory,
    pub(super) calls: Calls,
}

/// Opens one root, as the replica that it is.
pub(super) fn open_one(
    given: &GivenRoot,
    filter: &Filter,
    options: &SyncOptions,
) -> Result<LocalReplica, SyncError> {
    let mut opening = Opening::begin(given, options)?;
    opening.open_index(options)?;
    let folder = opening.folder()?.unwrap_or(FolderId(0));
    opening.finish(folder, name_of(&given.canonical), filter, options)
}

/// Opens one root as a replica of `folder`, under the name of its node if it is new. It may be recorded under one of the
/// former ids of the folder.
pub(super) fn open_live(
    given: &GivenRoot,
    (folder, former_ids): (FolderId, &[FolderId]),
    name: String,
    filter: &Filter,
    options: &SyncOptions,
) -> Result<LocalReplica, SyncError> {
    let mut opening = Opening::begin(given, options)?;
    opening.open_index(options)?;
    let held = opening.folder()?;
    let held = held.filter(|held| *held != folder && !former_ids.contains(held));
    if let Some(held) = held.filter(|_| options.foreign_root == ForeignRoot::Refuse) {
        return Err(SyncError::OtherFolder {
            root: given.given.clone(),
            folder: held,
            wanted: folder,
        });
    }
    opening.finish(folder, name, filter, options)
}

/// Locks the state of a root, which is created if it is not there.
pub(super) fn lock(given: &GivenRoot, outside: Option<&Path>) -> Result<StateDirectory, SyncError> {
    let root = Root::open(&given.canonical);
    let root = root.map_err(|error| Failure::from(error).at(&given.given))?;
    let inside = given.canonical.join(STATE_DIRECTORY);
    StateDirectory::open(&root, outside).map_err(|error| {
        let state = outside.unwrap_or(&inside);
        failure::of_foreign_state(state_failed(error, &given.given), given, state)
    })
}

/// The name that a new replica takes from its directory.
pub(super) fn name_of(directory: &Path) -> String {
    let name = directory
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let name = name.unwrap_or_else(|| "root".to_owned());
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || "._-".contains(c) {
            c
        } else {
            '_'
        }
    };
    let name: String = name.chars().map(plain).take(NAME_BYTES_MAX).collect();
    name.trim_start_matches('.').to_owned()
}

/// A root of which it is not yet known which folder it belongs to.
pub(super) struct Opening<'given> {
    pub(super) given: &'given GivenRoot,
    root: Root,
    itself: Observation,
    state: Option<StateDirectory>,
    /// Where the state is, if not inside the root.
    outside: Option<PathBuf>,
    pub(super) index: Option<Index>,
    tracking: Tracking,
    /// There is state.
    pub(super) has_state: bool,
    /// It holds nothing, and has no state.
    pub(super) vacant: bool,
    /// Nothing can be written to it: it is a source.
    is_read_only: bool,
}

impl<'given> Opening<'given> {
    pub(super) fn begin(
        given: &'given GivenRoot,
        options: &SyncOptions,
    ) -> Result<Self, SyncError> {
        let failed = |error: Failure| error.at(&given.given);
        // A root that a dry run would create is looked at as if it were empty.
        let scratch = given.missing.then(empty_directory).transpose()?;
        let directory = scratch
            .as_ref()
            .map_or(given.canonical.as_path(), |made| made.path());
        let root = Root::open(directory).map_err(|error| failed(error.into()))?;
        let tracking = tracking(options.owner);
        let itself = root
            .observe_itself(tracking)
            .map_err(|error| failed(error.into()))?;
        let outside = options
            .state_dir
            .as_ref()
            .map(|base| state_directory(base, &given.canonical));
        let state = outside
            .clone()
            .unwrap_or_else(|| given.canonical.join(STATE_DIRECTORY));
        let has_state = state.exists();
        let vacant = !has_state && is_empty(&given.given, directory)?;
        let is_read_only = outside.is_some() && root.is_mounted_read_only();
        let (state, index) = (None, None);
        Ok(Self {
            given,
            root,
            itself,
            state,
            outside,
            index,
            tracking,
            has_state,
            vacant,
            is_read_only,
        })
    }

    pub(super) fn open_index(&mut self, options: &SyncOptions) -> Result<(), SyncError> {
        match options.mode {
            Mode::Apply => self.open_state(),
            Mode::DryRun => self.copy_state(),
        }
    }

    fn open_state(&mut self) -> Result<(), SyncError> {
        let state = StateDirectory::open(&self.root, self.outside.as_deref())
            .map_err(|error| self.explained(state_failed(error, &self.given.given)))?;
        self.is_read_only = !state.is_root_writable();
        self.index = match Index::open(&state.index_path()) {
            Ok(index) => Some(index),
            Err(IndexError::Missing { .. }) => None,
            Err(error) => return Err(self.explained(self.failed(error))),
        };
        self.state = Some(state);
        Ok(())
    }

    fn state_path(&self) -> PathBuf {
        let inside = || self.given.canonical.join(STATE_DIRECTORY);
        self.outside.clone().unwrap_or_else(inside)
    }

    /// An error of the state, with the user whom the state belongs to if that is why.
    fn explained(&self, error: SyncError) -> SyncError {
        failure::of_foreign_state(error, self.given, &self.state_path())
    }

    fn copy_state(&mut self) -> Result<(), SyncError> {
        let path = self.state_path().join(replicat_fs::state::INDEX_FILE);
        match path.try_exists() {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(source) => {
                let action = "look at";
                return Err(self.explained(SyncError::Io {
                    action,
                    path,
                    source,
                }));
            }
        }
        let nobody = identity(FolderId(0), ReplicaId(0), String::new());
        let index = Index::scratch(Some(&path), &nobody, &std::env::temp_dir())
            .map_err(|error| self.explained(self.failed(error)))?;
        self.index = Some(index);
        Ok(())
    }

    pub(super) fn folder(&self) -> Result<Option<FolderId>, SyncError> {
        let Some(index) = &self.index else {
            return Ok(None);
        };
        let identity = index.identity().map_err(|error| self.failed(error))?;
        Ok(Some(identity.folder))
    }

    pub(super) fn failed(&self, error: impl Into<Failure>) -> SyncError {
        error.into().at(&self.given.given)
    }

    pub(super) fn finish(
        mut self,
        folder: FolderId,
        name: String,
        filter: &Filter,
        options: &SyncOptions,
    ) -> Result<LocalReplica, SyncError> {
        let index = match self.index.take() {
            Some(index) => self.join(index, folder)?,
            None => self.create(folder, name)?,
        };
        let replica = Replica::open(index).map_err(|error| self.failed(error))?;
        let state_path = self.state_path();
        let root = Arc::new(self.root);
        let open_hands = |state| {
            let opened = hands(&root, state, options);
            opened.map_err(|error| {
                failure::of_foreign_state(error.at(&self.given.given), self.given, &state_path)
            })
        };
        let hands = self.state.map(open_hands).transpose()?;
        let mut local = LocalReplica {
            number: self.given.number,
            given: self.given.given.clone(),
            root,
            replica,
            filter: filter.clone(),
            selection_number: SelectionNumber::next(),
            tracking: self.tracking,
            itself: self.itself,
            is_read_only: self.is_read_only,
            hands,
            durability: options.durability,
            changes: ChangeCounts::default(),
            skipped: Vec::new(),
            stubborn: BTreeSet::new(),
            not_brought: BTreeSet::new(),
            unheld: BTreeMap::new(),
            setbacks: Setbacks::default(),
            deletions: Deletions::new(Pace::Once, options.max_delete),
            rules_changed: BTreeSet::new(),
            disturbed: BTreeSet::new(),
            gleaned: None,
            echoes: None,
        };
        local.filter = filter.clone().within(local.kept_selection()?.selection);
        local.check_identity(self.outside.is_some())?;
        local.open_guard(Pace::Once, options.max_delete)?;
        retention::begin(&local)?;
        Ok(local)
    }

    fn join(&self, mut index: Index, folder: FolderId) -> Result<Index, SyncError> {
        let mut identity = index.identity().map_err(|error| self.failed(error))?;
        if identity.folder != folder {
            identity.folder = folder;
            index
                .set_identity(&identity)
                .map_err(|error| self.failed(error))?;
        }
        Ok(index)
    }

    fn create(&self, folder: FolderId, name: String) -> Result<Index, SyncError> {
        let identity = identity(folder, ReplicaId(random_u64()?), name);
        let created = match &self.state {
            Some(state) => Index::create(&state.index_path(), &identity),
            None => Index::scratch(None, &identity, &std::env::temp_dir()),
        };
        created.map_err(|error| self.failed(error))
    }
}

fn identity(folder: FolderId, replica: ReplicaId, name: String) -> Identity {
    Identity {
        folder,
        replica,
        name,
        counter: 0,
        confirmed: 0,
        published: Vec::new(),
    }
}

fn empty_directory() -> Result<tempfile::TempDir, SyncError> {
    tempfile::tempdir().map_err(|source| SyncError::Io {
        action: "create a directory in",
        path: std::env::temp_dir(),
        source,
    })
}

/// Whether a directory holds nothing beside state.
pub(super) fn is_empty(given: &Path, directory: &Path) -> Result<bool, SyncError> {
    let failed = |source| SyncError::Io {
        action: "list",
        path: given.to_owned(),
        source,
    };
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        if entry.map_err(failed)?.file_name() != STATE_DIRECTORY {
            return Ok(false);
        }
    }
    Ok(true)
}

fn tracking(owner: OwnerPolicy) -> Tracking {
    let mut tracking = Tracking::of_process();
    tracking.owner &= owner == OwnerPolicy::Track;
    tracking
}

/// Where the state of `root` is kept below `base`: under the root's path, with what a name cannot hold escaped.
pub(crate) fn state_directory(base: &Path, root: &Path) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    let mut name = String::new();
    for &byte in root.as_os_str().as_bytes() {
        match byte {
            b'/' => name.push('+'),
            byte if byte.is_ascii_alphanumeric() || b"._-".contains(&byte) => {
                name.push(char::from(byte));
            }
            byte => name.push_str(&format!("%{byte:02x}")),
        }
    }
    if name.len() > 200 {
        let hash = blake3::hash(name.as_bytes()).to_hex();
        name = format!("{}~{}", &name[name.len() - 150..], &hash.as_str()[..16]);
    }
    base.join(name)
}

fn state_failed(error: StateError, root: &Path) -> SyncError {
    match error {
        StateError::Locked { holder, .. } => SyncError::Locked {
            root: root.to_owned(),
            holder,
        },
        StateError::Filesystem(error) => Failure::from(error).at(root),
    }
}

fn hands(root: &Arc<Root>, state: StateDirectory, options: &SyncOptions) -> Result<Hands, Failure> {
    let calls = Calls::default();
    let recovery = recover(root, &state, &calls, PARTIAL_AGE_MAX)?;
    if !recovery.trashed.is_empty() || !recovery.restored.is_empty() {
        let (trashed, restored) = (recovery.trashed.len(), recovery.restored.len());
        tracing::warn!(
            trashed,
            restored,
            "an earlier run was cut off; the files that it had displaced are in the trash or back in place"
        );
    }
    let staging = Staging::open(Arc::clone(root), &state, calls.clone())?;
    let trash = Arc::new(Trash::open(&staging, &state, options.trash)?);
    let durability = match options.durability {
        Durability::Group => replicat_fs::apply::Durability::Group,
        Durability::None => replicat_fs::apply::Durability::None,
    };
    let applier = Applier::new(staging.fork()?, Some(Arc::clone(&trash)), durability);
    Ok(Hands {
        staging: Arc::new(staging),
        applier: Arc::new(applier),
        trash,
        state,
        calls,
    })
}

impl LocalReplica {
    /// A root that is only looked at, by a copy of its index.
    pub(super) fn to_look_at(
        number: RootIndex,
        given: &GivenRoot,
        index: Index,
        options: &SyncOptions,
    ) -> Result<Self, SyncError> {
        let failed = |error| Failure::Filesystem(error).at(&given.given);
        let root = Root::open(&given.canonical).map_err(failed)?;
        let tracking = tracking(options.owner);
        let itself = root.observe_itself(tracking).map_err(failed)?;
        let replica =
            Replica::open(index).map_err(|error| Failure::from(error).at(&given.given))?;
        Ok(Self {
            number,
            given: given.given.clone(),
            root: Arc::new(root),
            replica,
            filter: Filter::default(),
            selection_number: SelectionNumber::next(),
            tracking,
            itself,
            is_read_only: false,
            hands: None,
            durability: options.durability,
            changes: ChangeCounts::default(),
            skipped: Vec::new(),
            stubborn: BTreeSet::new(),
            not_brought: BTreeSet::new(),
            unheld: BTreeMap::new(),
            setbacks: Setbacks::default(),
            deletions: Deletions::new(Pace::Once, options.max_delete),
            rules_changed: BTreeSet::new(),
            disturbed: BTreeSet::new(),
            gleaned: None,
            echoes: None,
        })
    }

    /// How the index is to be committed.
    pub(super) fn index_durability(&self) -> Commit {
        match self.durability {
            Durability::Group => Commit::Group,
            Durability::None => Commit::None,
        }
    }

    /// Makes durable what the index was told.
    pub(super) fn commit(&mut self) -> Result<(), SyncError> {
        let durability = self.index_durability();
        let done = self.replica.store_mut().commit(durability);
        done.map_err(|error| Failure::from(error).at(&self.given))
    }

    pub(super) fn fs_failed(&self, error: replicat_fs::error::FsError) -> SyncError {
        Failure::from(error).at(&self.given)
    }

    pub(super) fn index_failed(&self, error: IndexError) -> SyncError {
        Failure::from(error).at(&self.given)
    }
}
