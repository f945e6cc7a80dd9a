//! Contents from other replicas, asked for and answered in messages.

use std::collections::HashMap;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use bytes::{Bytes, BytesMut};
use replicat_content::Manifest;
use replicat_core::id::ContentHash;
use replicat_core::message::{Message, Want};
use replicat_core::path::RelPath;
use replicat_core::wire;
use replicat_fs::read::StableFile;
use replicat_fs::root::Root;
use replicat_fs::trash::{TrashItem, TrashView};
use replicat_index::Reader;

use crate::engine::local::LocalReplica;

/// The longest piece that is asked for at once, in bytes.
pub(super) const PIECE_BYTES_MAX: u64 = 4 << 20;

/// A replica that may hold what another wants, or it itself.
pub(super) struct ContentSource {
    root: Arc<Root>,
    reader: Reader,
    trash: Option<PathBuf>,
    /// What the trash held when it was first asked for something.
    trashed: OnceLock<Option<Trashed>>,
}

/// Contents in the trash.
struct Trashed {
    view: TrashView,
    items: HashMap<ContentHash, TrashItem>,
}

impl Trashed {
    fn of(path: &std::path::Path) -> Option<Self> {
        let view = TrashView::open(path).ok()??;
        let items = view.list(None).ok()?.into_iter();
        let items = items.filter_map(|item| Some((item.content?, item)));
        let items = items.collect();
        Some(Self { view, items })
    }

    fn read(&self, want: &Want) -> Option<Bytes> {
        let item = self.items.get(&want.content)?;
        let file = self.view.read(item).ok()?;
        let length = usize::try_from(want.length.min(PIECE_BYTES_MAX)).ok()?;
        let mut bytes = BytesMut::zeroed(length);
        file.read_exact_at(&mut bytes, want.offset).ok()?;
        Some(bytes.freeze())
    }
}

impl ContentSource {
    /// What `local` held at its last commit.
    pub(super) fn of(local: &LocalReplica) -> Self {
        let reader = replicat_core::replica::Replica::store(&local.replica).reader();
        Self {
            root: Arc::clone(&local.root),
            reader,
            trash: (local.hands.as_ref()).map(|hands| hands.state.trash_path()),
            trashed: OnceLock::new(),
        }
    }

    /// The bytes that are wanted, if this replica holds them unchanged. They are not yet verified.
    pub(super) fn fetch(&self, want: &Want) -> Option<Bytes> {
        let request = wire::encode(&Message::Want(vec![want.clone()]));
        let answer = wire::decode(self.answer(request)?).ok()?;
        match answer {
            Message::Piece {
                content,
                offset,
                bytes,
            } if content == want.content
                && offset == want.offset
                && bytes.len() as u64 == want.length =>
            {
                Some(bytes)
            }
            _ => None,
        }
    }

    /// The other side of [`Self::fetch`].
    fn answer(&self, request: Bytes) -> Option<Bytes> {
        let Ok(Message::Want(wants)) = wire::decode(request) else {
            return None;
        };
        let want = wants.into_iter().next()?;
        let content = want.content;
        let bytes = self.read(&want).or_else(|| self.read_trash(&want));
        let message = match bytes {
            Some(bytes) => Message::Piece {
                content,
                offset: want.offset,
                bytes,
            },
            None => Message::Missing { content },
        };
        Some(wire::encode(&message))
    }

    fn read(&self, want: &Want) -> Option<Bytes> {
        let record = self.reader.record(&want.path).ok()??;
        if record.held_payload()?.content() != Some(want.content) {
            return None;
        }
        let expected = record.local?.fingerprint;
        let file = StableFile::open_expected(&self.root, &want.path, &expected).ok()?;
        let length = usize::try_from(want.length.min(PIECE_BYTES_MAX)).ok()?;
        let mut bytes = BytesMut::zeroed(length);
        let read = file.read_at(want.offset, &mut bytes).ok()?;
        file.verify().ok()?;
        bytes.truncate(read);
        Some(bytes.freeze())
    }
}

impl ContentSource {
    /// What was displaced may be wanted after all: as a conflict copy that a run which was cut off, or overtaken by a user,
    /// did not get to make.
    fn read_trash(&self, want: &Want) -> Option<Bytes> {
        let path = self.trash.as_deref()?;
        let trashed = self.trashed.get_or_init(|| Trashed::of(path));
        trashed.as_ref()?.read(want)
    }
}

/// A manifest that another replica keeps, as it would come over the wire; it proves itself against the name.
pub(super) fn manifest_from(other: &LocalReplica, content: ContentHash) -> Option<Manifest> {
    let kept = other.manifest(content)?;
    let message = Message::Manifest {
        content,
        chunks: kept.encode().into(),
    };
    let Ok(Message::Manifest { chunks, .. }) = wire::decode(wire::encode(&message)) else {
        return None;
    };
    let manifest = Manifest::decode(&chunks).ok()?;
    manifest.verify(&content).ok().map(|()| manifest)
}

/// What is wanted of a file at `path`, from `offset` on.
pub(super) fn want(content: ContentHash, path: &RelPath, offset: u64, length: u64) -> Want {
    Want {
        content,
        path: path.clone(),
        offset,
        length,
    }
}
