//! What a root holds, to be read by others while its owner works on: files as of the last commit, and the trash.

use std::collections::HashMap;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use bytes::{Bytes, BytesMut};
use replicat_content::{ChunkReference, Manifest};
use replicat_core::id::ContentHash;
use replicat_core::message::Want;
use replicat_core::path::RelPath;
use replicat_core::record::Record;
use replicat_fs::read::StableFile;
use replicat_fs::root::Root;
use replicat_fs::stage::Staging;
use replicat_fs::trash::{TrashItem, TrashView};
use replicat_index::{IndexError, Reader};

use super::gleaned::Gleaned;
use super::local::LocalReplica;
use super::transfer::PIECE_BYTES_MAX;

/// How many paths that hold a content are tried.
const PATHS_TRIED_MAX: usize = 8;

/// What a root held at its last commit.
pub(crate) struct Held {
    root: Arc<Root>,
    gleaned: Option<Arc<Gleaned>>,
    reader: Reader,
    trash: Option<PathBuf>,
    staging: Option<Arc<Staging>>,
    /// What the trash held when it was first asked for something.
    trashed: OnceLock<Option<Trashed>>,
}

/// Contents in the trash.
struct Trashed {
    view: TrashView,
    items: HashMap<ContentHash, TrashItem>,
}

impl Trashed {
    fn of(path: &Path) -> Option<Self> {
        let view = TrashView::open(path).ok()??;
        let items = view.list(None).ok()?.into_iter();
        let items = items.filter_map(|item| Some((item.content?, item)));
        let items = items.collect();
        Some(Self { view, items })
    }

    fn read(&self, want: &Want) -> Option<Bytes> {
        let item = self.items.get(&want.content)?;
        let file = self.view.read(item).ok()?;
        let mut bytes = BytesMut::zeroed(length_of(want)?);
        file.read_exact_at(&mut bytes, want.offset).ok()?;
        Some(bytes.freeze())
    }
}

impl Held {
    /// What `local` held at its last commit.
    pub(super) fn of(local: &LocalReplica) -> Self {
        let reader = replicat_core::replica::Replica::store(&local.replica).reader();
        Self {
            root: Arc::clone(&local.root),
            gleaned: local.gleaned.clone(),
            reader,
            trash: (local.hands.as_ref()).map(|hands| hands.state.trash_path()),
            staging: (local.hands.as_ref()).map(|hands| Arc::clone(&hands.staging)),
            trashed: OnceLock::new(),
        }
    }

    /// The root.
    pub(crate) fn root(&self) -> &Arc<Root> {
        &self.root
    }

    /// Where new content can be staged.
    pub(crate) fn staging(&self) -> Option<&Arc<Staging>> {
        self.staging.as_ref()
    }

    /// What is known of a path.
    ///
    /// # Errors
    /// If the index fails.
    pub(crate) fn record(&self, path: &RelPath) -> Result<Option<Record>, IndexError> {
        self.reader.record(path)
    }

    /// The bytes wanted, if they are held unchanged: at the path that the want names, elsewhere, or in the trash. They are
    /// not verified against the content's name.
    pub(crate) fn read(&self, want: &Want) -> Option<Bytes> {
        let gleaned = self.gleaned.as_ref();
        gleaned
            .and_then(|gleaned| gleaned.read(want))
            .or_else(|| self.read_file(want, &want.path))
            .or_else(|| self.read_elsewhere(want))
            .or_else(|| self.read_trash(want))
    }

    /// Whether the path that the want names is in scope, and holds its content now.
    pub(crate) fn keeps(&self, want: &Want) -> bool {
        let record = self.reader.record(&want.path);
        let in_scope = record
            .ok()
            .flatten()
            .is_some_and(|record| record.excluded.is_none());
        in_scope && self.read_file(want, &want.path).is_some()
    }

    /// The chunks of a content, encoded.
    pub(crate) fn manifest(&self, content: ContentHash) -> Option<Bytes> {
        let kept = self.reader.manifest(content).ok()??;
        let chunks = kept.chunks.into_iter();
        let chunks = chunks.map(|(length, hash)| ChunkReference { length, hash });
        let manifest = Manifest {
            chunks: chunks.collect(),
        };
        Some(manifest.encode().into())
    }

    fn read_file(&self, want: &Want, path: &RelPath) -> Option<Bytes> {
        let record = self.reader.record(path).ok()??;
        let held = record.state()?;
        let content = match &held.base {
            Some(base) => base.payload.content(),
            None => record.held_payload()?.content(),
        };
        if content != Some(want.content) {
            return None;
        }
        let expected = held.fingerprint;
        let file = StableFile::open_expected(&self.root, path, &expected).ok()?;
        let mut bytes = BytesMut::zeroed(length_of(want)?);
        let read = file.read_at(want.offset, &mut bytes).ok()?;
        file.verify().ok()?;
        bytes.truncate(read);
        Some(bytes.freeze())
    }

    /// The file may have been renamed since.
    fn read_elsewhere(&self, want: &Want) -> Option<Bytes> {
        let paths = self.reader.by_content(want.content, PATHS_TRIED_MAX);
        let mut paths = paths.ok()?.into_iter().filter(|path| *path != want.path);
        paths.find_map(|path| self.read_file(want, &path))
    }

    /// What was displaced may be wanted after all: as a conflict copy that a run which was cut off, or overtaken by a user,
    /// did not get to make.
    fn read_trash(&self, want: &Want) -> Option<Bytes> {
        let path = self.trash.as_deref()?;
        let trashed = self.trashed.get_or_init(|| Trashed::of(path));
        trashed.as_ref()?.read(want)
    }
}

fn length_of(want: &Want) -> Option<usize> {
    usize::try_from(want.length.min(PIECE_BYTES_MAX)).ok()
}
