//! Opening one root to look at it.

use std::path::PathBuf;
use std::sync::Arc;

use replicat_core::entry::Timestamp;
use replicat_core::id::{FolderId, ReplicaId};
use replicat_core::path::RelPath;
use replicat_core::record::Record;
use replicat_core::store::{Identity, Store};
use replicat_fs::filter::Filter;
use replicat_fs::state::{INDEX_FILE, STATE_DIRECTORY, TRASH_DIRECTORY};
use replicat_fs::trash::{TrashItem, TrashView};
use replicat_index::Index;

use crate::engine::failure::{self, Failure};
use crate::engine::local::{self, LocalReplica, SETTING_SYNCED};
use crate::engine::roots::GivenRoot;
use crate::error::SyncError;
use crate::event::RootIndex;
use crate::inspection::Approval;
use crate::options::{RootLocation, SyncOptions};

/// How many children are looked at at once.
const PAGE_ROWS: usize = 1024;

/// What a command does with a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// It only looks, at a copy of the index: it needs no lock and disturbs nobody.
    Read,
    /// It changes something.
    Write,
}

/// A root, opened.
pub(super) struct Looked {
    pub(super) local: LocalReplica,
    pub(super) index_bytes: u64,
    state: PathBuf,
}

/// Where a root and its state are.
struct Place {
    given: GivenRoot,
    /// The state directory, if it is not inside the root.
    outside: Option<PathBuf>,
    state: PathBuf,
}

fn find(location: &RootLocation) -> Result<Place, SyncError> {
    let root = &location.root;
    let canonical = std::fs::canonicalize(root).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => SyncError::RootMissing { root: root.clone() },
        _ => SyncError::Io {
            action: "resolve",
            path: root.clone(),
            source,
        },
    })?;
    if !canonical.is_dir() {
        return Err(SyncError::RootNotDirectory { root: root.clone() });
    }
    let outside = location
        .state_dir
        .as_ref()
        .map(|base| local::state_directory(base, &canonical));
    let state = outside
        .clone()
        .unwrap_or_else(|| canonical.join(STATE_DIRECTORY));
    Ok(Place {
        given: GivenRoot {
            number: RootIndex(0),
            given: root.clone(),
            canonical,
            missing: false,
        },
        outside,
        state,
    })
}

/// Opens a root that has been synced before.
pub(super) fn open(location: &RootLocation, access: Access) -> Result<Looked, SyncError> {
    let Place { given, state, .. } = find(location)?;
    let index = state.join(INDEX_FILE);
    let metadata = std::fs::metadata(&index).map_err(|source| match source.kind() {
        std::io::ErrorKind::PermissionDenied => failure::of_foreign_state(
            SyncError::Io {
                action: "look at",
                path: index.clone(),
                source,
            },
            &given,
            &state,
        ),
        _ => SyncError::NotReplica {
            root: given.given.clone(),
        },
    })?;
    let options = SyncOptions {
        state_dir: location.state_dir.clone(),
        ..SyncOptions::default()
    };
    let local = match access {
        Access::Read => look(&given, &state, &options)?,
        Access::Write => local::open_one(&given, &Filter::default(), &options)?,
    };
    Ok(Looked {
        local,
        index_bytes: metadata.len(),
        state,
    })
}

/// Whether there is a root that was a replica before: its state is there.
#[must_use]
pub fn has_state(location: &RootLocation) -> bool {
    find(location).is_ok_and(|place| place.state.is_dir())
}

/// Whether a root holds nothing beside its state.
pub(crate) fn is_vacant(location: &RootLocation) -> Result<bool, SyncError> {
    let Place { given, .. } = find(location)?;
    local::is_empty(&given.given, &given.canonical)
}

/// Leaves in a root the state of a replica that knows nothing yet.
pub(super) fn renew(location: &RootLocation) -> Result<Approval, SyncError> {
    let Place { given, outside, .. } = find(location)?;
    let state = local::lock(&given, outside.as_deref())?;
    let index = state.index_path();
    match std::fs::remove_file(&index) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(SyncError::Io {
            action: "remove",
            path: index,
            source,
        }),
        _ => Ok(Approval::NewReplica),
    }
}

fn look(
    given: &GivenRoot,
    state: &std::path::Path,
    options: &SyncOptions,
) -> Result<LocalReplica, SyncError> {
    let nobody = Identity {
        folder: FolderId(0),
        replica: ReplicaId(0),
        name: String::new(),
        counter: 0,
        confirmed: 0,
        published: Vec::new(),
    };
    let index = Index::scratch(
        Some(&state.join(INDEX_FILE)),
        &nobody,
        &std::env::temp_dir(),
    );
    let index = index.map_err(|error| {
        failure::of_foreign_state(Failure::from(error).at(&given.given), given, state)
    })?;
    let mut local = LocalReplica::to_look_at(RootIndex(0), given, index, options)?;
    local.filter = local.kept_filter()?;
    Ok(local)
}

impl Looked {
    /// A replica that is in use; it is given back by [`Self::into_local`].
    pub(super) fn lent(local: LocalReplica) -> Self {
        let hands = local.hands.as_ref();
        let index = hands.map(|hands| hands.state.index_path());
        let state = index.and_then(|index| index.parent().map(PathBuf::from));
        Self {
            local,
            index_bytes: 0,
            state: state.unwrap_or_default(),
        }
    }

    pub(super) fn into_local(self) -> LocalReplica {
        self.local
    }

    /// Calls `visit` for each record, the root left out, in the order of paths.
    pub(super) fn for_each_record(
        &self,
        visit: &mut dyn FnMut(&RelPath, &Record) -> Result<(), SyncError>,
    ) -> Result<(), SyncError> {
        let mut open = vec![RelPath::root()];
        while let Some(directory) = open.pop() {
            let mut after: Option<Vec<u8>> = None;
            let mut below = Vec::new();
            loop {
                let page =
                    self.local
                        .replica
                        .store()
                        .children(&directory, after.as_deref(), PAGE_ROWS);
                let page = page.map_err(|error| self.local.failed(error))?;
                let Some((last, _)) = page.last() else { break };
                after = Some(last.clone());
                for (name, record) in page {
                    let Ok(path) = directory.join(&name) else {
                        continue;
                    };
                    visit(&path, &record)?;
                    below.push(path);
                }
            }
            open.extend(below.into_iter().rev());
        }
        Ok(())
    }

    /// What the trash holds, oldest first; of one path, or of all.
    pub(super) fn trash(&self, path: Option<&RelPath>) -> Result<Vec<TrashItem>, SyncError> {
        let failed = |error| self.local.fs_failed(error);
        let inside = self.local.root.path().join(STATE_DIRECTORY);
        for state in [&self.state, &inside] {
            if let Some(trash) = TrashView::open(&state.join(TRASH_DIRECTORY)).map_err(failed)? {
                return trash.list(path).map_err(failed);
            }
        }
        Ok(Vec::new())
    }

    pub(super) fn last_sync(&self) -> Result<Option<Timestamp>, SyncError> {
        let text = self.local.setting(SETTING_SYNCED)?;
        let seconds = text.and_then(|text| String::from_utf8(text).ok()?.parse().ok());
        Ok(seconds.map(|seconds| Timestamp {
            seconds,
            nanoseconds: 0,
        }))
    }

    pub(super) fn root(&self) -> &Arc<replicat_fs::root::Root> {
        &self.local.root
    }
}
