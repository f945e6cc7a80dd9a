//! What is known of a path: the versions that nothing known replaces.
//!
//! An [`Entry`] is a set of versions, mostly one. It grows by concurrent events and shrinks by events
//! that replace others; what the path shows is a pure function of the set (see [`crate::merge`]).

use crate::id::{ContentHash, LinkId, ReplicaId};
use crate::path::RelPath;
use crate::version::{Context, Dot, Hlc};

/// A file's timestamp: seconds since 1970, negative before, and nanoseconds from there, 0 to 999,999,999.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// Whole seconds, rounded down.
    pub seconds: i64,
    /// The rest, in nanoseconds.
    pub nanoseconds: u32,
}

/// What every directory holds, as far as [`Payload::substance`] goes.
const DIRECTORY_SUBSTANCE: ContentHash = ContentHash(*b"replicat 2026 directory subst v1");

/// The base of what was put at a path in knowledge of what had been there: what was made of that does not supersede it.
pub(crate) const PLACED: ContentHash = ContentHash(*b"replicat 2026 placed, knowing v1");

/// What an encoded version takes without its parts of variable length, about.
const VERSION_BYTES: usize = 150;

/// What a path holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// A regular file.
    File {
        /// The name of its content.
        content: ContentHash,
        /// Its length in bytes.
        size: u64,
        /// The group of hard links it belongs to, if it has other names.
        link: Option<LinkId>,
    },
    /// A directory.
    Directory,
    /// A symbolic link and the bytes it points to.
    Symlink {
        /// Where it points, verbatim.
        target: Vec<u8>,
    },
    /// Nothing: it was deleted.
    Tombstone {
        /// Where it went, if it was renamed.
        moved_to: Option<RelPath>,
    },
}

impl Payload {
    /// Whether the path exists.
    #[must_use]
    pub fn is_live(&self) -> bool {
        !matches!(self, Self::Tombstone { .. })
    }

    /// Whether this is a directory.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        matches!(self, Self::Directory)
    }

    /// The content of a file.
    #[must_use]
    pub fn content(&self) -> Option<ContentHash> {
        match self {
            Self::File { content, .. } => Some(*content),
            _ => None,
        }
    }

    /// What the path holds as one value that can be compared: a file's content, a symlink's target under a
    /// key of its own, and one value for all directories. Tombstones hold nothing.
    #[must_use]
    pub fn substance(&self) -> Option<ContentHash> {
        match self {
            Self::File { content, .. } => Some(*content),
            Self::Symlink { target } => Some(ContentHash(blake3::derive_key(
                "replicat 2026 symlink v1",
                target,
            ))),
            Self::Directory => Some(DIRECTORY_SUBSTANCE),
            Self::Tombstone { .. } => None,
        }
    }

    /// The substance of a file or symlink: what a conflict can lose.
    #[must_use]
    pub fn leaf_substance(&self) -> Option<ContentHash> {
        self.substance().filter(|_| !self.is_directory())
    }

    /// Where a deleted path went.
    #[must_use]
    pub fn moved_to(&self) -> Option<&RelPath> {
        match self {
            Self::Tombstone { moved_to } => moved_to.as_ref(),
            _ => None,
        }
    }
}

/// Numeric owner and group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner {
    /// User id.
    pub user: u32,
    /// Group id.
    pub group: u32,
}

/// One extended attribute. POSIX ACLs are the attributes `system.posix_acl_access` and `_default`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Xattr {
    /// Name with its namespace, without a NUL.
    pub name: Vec<u8>,
    /// Value, any bytes.
    pub value: Vec<u8>,
}

/// What is said of a path beside its payload. `None` means that it is not tracked where the event was made,
/// and leaves whatever is there alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Permission bits, at most `0o7777`. Not tracked for symlinks.
    pub mode: Option<u32>,
    /// Time of last modification.
    pub mtime: Option<Timestamp>,
    /// Owner and group.
    pub owner: Option<Owner>,
    /// Extended attributes and ACLs, sorted by name.
    pub xattrs: Option<Vec<Xattr>>,
}

/// When each aspect of the metadata last changed. Aspects merge one by one, the latest wins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamps {
    /// Of [`Metadata::mode`].
    pub mode: Hlc,
    /// Of [`Metadata::mtime`].
    pub mtime: Hlc,
    /// Of [`Metadata::owner`].
    pub owner: Hlc,
    /// Of [`Metadata::xattrs`].
    pub xattrs: Hlc,
}

impl Stamps {
    /// All aspects changed at `at`.
    #[must_use]
    pub fn all(at: Hlc) -> Self {
        Self {
            mode: at,
            mtime: at,
            owner: at,
            xattrs: at,
        }
    }
}

/// Why replicat itself made an event, when no user did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Carry {
    /// This is the conflict copy that preserves the loser `Dot`.
    Copy(Dot),
    /// This is the edit `Dot`, which followed its file to the place it was moved to.
    Follow(Dot),
}

impl Carry {
    /// The event whose content was carried here.
    #[must_use]
    pub fn dot(self) -> Dot {
        match self {
            Self::Copy(dot) | Self::Follow(dot) => dot,
        }
    }
}

/// One event at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// Its identity.
    pub dot: Dot,
    /// What it replaces.
    pub context: Context,
    /// Its place in time, for ties.
    pub hlc: Hlc,
    /// What the path holds by it.
    pub payload: Payload,
    /// How the path is described by it.
    pub metadata: Metadata,
    /// When each aspect of the description changed.
    pub stamps: Stamps,
    /// The content that it was derived from: what the file held before, for a deletion what was deleted. A name of no content
    /// if it was put where something had been deleted, or moved to where something else stood.
    pub base: Option<ContentHash>,
    /// Why replicat made it, if no user did.
    pub carry: Option<Carry>,
    /// Of a conflict copy, of what was edited from one, and of its tombstone: the loser it began as.
    pub conflict_of: Option<Dot>,
}

impl Version {
    /// The replica that made what the path holds by this version. Replicat's own events carry the work of another: a
    /// conflict copy that of the loser, an edit that followed a move that of the edit.
    #[must_use]
    pub fn author(&self) -> ReplicaId {
        self.carry.map_or(self.dot, Carry::dot).replica
    }

    /// Whether the path held nothing that this version was made of.
    #[must_use]
    pub fn is_creation(&self) -> bool {
        self.payload.is_live() && self.base.is_none_or(|base| base == PLACED)
    }

    /// Whether this version changed the description alone.
    #[must_use]
    pub fn is_description(&self) -> bool {
        self.payload.is_live() && self.payload.substance() == self.base
    }

    fn bytes_about(&self) -> usize {
        let payload = match &self.payload {
            Payload::Symlink { target } => target.len(),
            Payload::Tombstone { moved_to } => {
                moved_to.as_ref().map_or(0, |to| to.as_bytes().len())
            }
            Payload::File { .. } | Payload::Directory => 0,
        };
        let xattrs = self.metadata.xattrs.iter().flatten();
        let xattrs = xattrs.map(|xattr| xattr.name.len() + xattr.value.len());
        let dots = self.context.vector.len() + self.context.carried.len();
        VERSION_BYTES + payload + xattrs.sum::<usize>() + 2 * size_of::<Dot>() * dots
    }
}

/// The versions at a path that no known version replaces, sorted by dot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    pub(crate) versions: Vec<Version>,
}

impl Entry {
    /// The versions, sorted by dot.
    #[must_use]
    pub fn versions(&self) -> &[Version] {
        &self.versions
    }

    /// About how many bytes it takes to send this as the entry of `path`.
    pub(crate) fn bytes_about(&self, path: &RelPath) -> usize {
        let versions = self.versions.iter().map(Version::bytes_about);
        path.as_bytes().len() + versions.sum::<usize>()
    }

    /// An entry from versions as they were stored; they are sorted by dot.
    #[must_use]
    pub fn from_stored(mut versions: Vec<Version>) -> Self {
        versions.sort_by_key(|version| version.dot);
        Self { versions }
    }
}
