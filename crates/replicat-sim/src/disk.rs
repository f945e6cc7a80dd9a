//! A simulated disk: a tree of nodes that users and replicat change, and that loses its latest changes when power fails.
//!
//! Changes of names are journaled in order, as on ext4: after a power failure some prefix of the changes since the
//! last sync is there. The data of a file that a user wrote and nobody synced may be missing even then; replicat syncs
//! the data of what it writes before it gives it its name.

use std::collections::{BTreeMap, BTreeSet};

use replicat_core::entry::{Metadata, Payload, Timestamp, Xattr};
use replicat_core::id::ContentHash;
use replicat_core::path::RelPath;
use replicat_core::record::Fingerprint;

/// What a file holds, as a number; every user's write takes a new one.
pub type Content = u64;

/// Contents from here on are what power failures leave of unsynced files.
pub const GARBAGE_FROM: Content = 1 << 40;

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A file with this content.
    File(Content),
    /// A directory.
    Directory,
    /// A symlink; its target is the number.
    Symlink(Content),
}

impl Kind {
    /// The content of a file or the target of a symlink.
    #[must_use]
    pub fn content(self) -> Option<Content> {
        match self {
            Self::File(content) | Self::Symlink(content) => Some(content),
            Self::Directory => None,
        }
    }
}

/// A file, directory or symlink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its inode number.
    pub inode: u64,
    /// When the inode was made, as a number that grows.
    pub birth: u64,
    /// What it is.
    pub kind: Kind,
    /// Permission bits.
    pub mode: u32,
    /// Time of modification.
    pub mtime: Timestamp,
    /// Time of the last change, told apart by its nanoseconds.
    pub ctime: Timestamp,
    /// An extended attribute; 0: none.
    pub xattr: u8,
    /// Its data has reached the disk.
    pub data_is_durable: bool,
}

impl Node {
    /// What proves that this node was not changed.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let birth = stamp(self.birth);
        if self.kind == Kind::Directory {
            let (size, mtime) = (0, Timestamp::default());
            return Fingerprint {
                inode: self.inode,
                size,
                mtime,
                ctime: self.ctime,
                birth,
            };
        }
        let size = size_of(self.kind.content().unwrap_or_default());
        Fingerprint {
            inode: self.inode,
            size,
            mtime: self.mtime,
            ctime: self.ctime,
            birth,
        }
    }

    /// Whether this node is the one that `expected` was taken of. The children of a directory do not count.
    #[must_use]
    pub fn is_as(&self, expected: &Fingerprint) -> bool {
        let found = self.fingerprint();
        if self.kind == Kind::Directory {
            return (found.inode, found.birth) == (expected.inode, expected.birth);
        }
        found == *expected
    }

    /// What the node holds, as the core says it.
    #[must_use]
    pub fn payload(&self) -> Payload {
        match self.kind {
            Kind::File(content) => Payload::File {
                content: hash_of(content),
                size: size_of(content),
                link: None,
            },
            Kind::Directory => Payload::Directory,
            Kind::Symlink(target) => Payload::Symlink {
                target: target.to_string().into_bytes(),
            },
        }
    }

    /// How the node is described, as the core says it.
    #[must_use]
    pub fn metadata(&self) -> Metadata {
        let link = matches!(self.kind, Kind::Symlink(_));
        let value = |xattr| {
            vec![Xattr {
                name: b"user.x".to_vec(),
                value: vec![xattr],
            }]
        };
        let xattrs = if self.xattr == 0 {
            Vec::new()
        } else {
            value(self.xattr)
        };
        Metadata {
            mode: (!link).then_some(self.mode),
            mtime: (self.kind != Kind::Directory).then_some(self.mtime),
            owner: None,
            xattrs: (!link).then_some(xattrs),
        }
    }
}

fn stamp(number: u64) -> Timestamp {
    Timestamp {
        seconds: number as i64,
        nanoseconds: 0,
    }
}

fn size_of(content: Content) -> u64 {
    if content >= GARBAGE_FROM {
        0
    } else {
        1 + content % 7
    }
}

/// The name of a content.
#[must_use]
pub fn hash_of(content: Content) -> ContentHash {
    let mut bytes = [7; 32];
    bytes[..8].copy_from_slice(&content.to_be_bytes());
    ContentHash(bytes)
}

/// The content of a name made by [`hash_of`].
#[must_use]
pub fn content_of(hash: ContentHash) -> Content {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&hash.0[..8]);
    Content::from_be_bytes(bytes)
}

/// A change that a power failure keeps whole or not at all.
#[derive(Clone, Debug)]
enum Change {
    Put(RelPath, Node),
    Remove(RelPath),
    Trash(Content),
    Stage(Content),
    Unstage(Content),
    /// The changes since the last boundary belong together.
    Boundary,
}

/// All that the disk holds.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// The folder.
    pub nodes: BTreeMap<RelPath, Node>,
    /// Contents in the trash.
    pub trash: BTreeSet<Content>,
    /// Contents in staging.
    pub staging: BTreeSet<Content>,
}

impl Tree {
    fn take(&mut self, change: &Change) {
        match change {
            Change::Put(path, node) => {
                self.nodes.insert(path.clone(), *node);
            }
            Change::Remove(path) => {
                self.nodes.remove(path);
            }
            Change::Trash(content) => {
                self.trash.insert(*content);
            }
            Change::Stage(content) => {
                self.staging.insert(*content);
            }
            Change::Unstage(content) => {
                self.staging.remove(content);
            }
            Change::Boundary => {}
        }
    }
}

/// The disk of one replica.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    now: Tree,
    durable: Tree,
    unsynced: Vec<Change>,
    serial: u64,
}

impl Disk {
    /// What the disk holds.
    #[must_use]
    pub fn tree(&self) -> &Tree {
        &self.now
    }

    /// What is at `path`.
    #[must_use]
    pub fn node(&self, path: &RelPath) -> Option<&Node> {
        self.now.nodes.get(path)
    }

    /// A number that was not given before: for inodes, births and change times.
    pub fn next_serial(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }

    /// Whether a directory is at `path`; the root always is.
    #[must_use]
    pub fn is_directory(&self, path: &RelPath) -> bool {
        path.is_root()
            || self
                .node(path)
                .is_some_and(|node| node.kind == Kind::Directory)
    }

    /// Whether something is below `path`.
    #[must_use]
    pub fn has_children(&self, path: &RelPath) -> bool {
        self.below(path).next().is_some()
    }

    /// What is below `path`, in path order.
    pub fn below(&self, path: &RelPath) -> impl Iterator<Item = (&RelPath, &Node)> {
        let after = (std::ops::Bound::Excluded(path), std::ops::Bound::Unbounded);
        let directory = path.clone();
        self.now
            .nodes
            .range::<RelPath, _>(after)
            .take_while(move |(found, _)| found.is_within(&directory))
    }

    /// Whether a path holds `content`.
    #[must_use]
    pub fn holds(&self, content: Content) -> bool {
        self.now
            .nodes
            .values()
            .any(|node| node.kind.content() == Some(content))
    }

    /// Whether a file holds `content`.
    #[must_use]
    pub fn holds_file(&self, content: Content) -> bool {
        let mut nodes = self.now.nodes.values();
        nodes.any(|node| node.kind == Kind::File(content))
    }

    fn change(&mut self, change: Change) {
        self.now.take(&change);
        self.unsynced.push(change);
    }

    /// Puts a node at `path`.
    pub fn put(&mut self, path: &RelPath, node: Node) {
        self.change(Change::Put(path.clone(), node));
    }

    /// Takes away what is at `path`.
    pub fn remove(&mut self, path: &RelPath) -> Option<Node> {
        let node = self.node(path).copied()?;
        self.change(Change::Remove(path.clone()));
        Some(node)
    }

    /// Puts a content into the trash.
    pub fn trash(&mut self, content: Content) {
        self.change(Change::Trash(content));
    }

    /// Puts a content into staging.
    pub fn stage(&mut self, content: Content) {
        self.change(Change::Stage(content));
    }

    /// Takes a content out of staging.
    pub fn unstage(&mut self, content: Content) {
        self.change(Change::Unstage(content));
    }

    /// Ends a group of changes that is kept whole or not at all.
    pub fn boundary(&mut self) {
        self.change(Change::Boundary);
    }

    /// Renames what is at `from`, with everything below. Nothing may be at `to`.
    pub fn rename(&mut self, from: &RelPath, to: &RelPath, ctime: Timestamp) {
        let mut moved: Vec<RelPath> = vec![from.clone()];
        moved.extend(self.below(from).map(|(path, _)| path.clone()));
        for path in moved {
            let Some(target) = path.rebase(from, to) else {
                continue;
            };
            let Some(mut node) = self.remove(&path) else {
                continue;
            };
            if path == *from {
                node.ctime = ctime;
            }
            self.put(&target, node);
        }
    }

    /// Makes everything durable.
    pub fn sync(&mut self) {
        for change in self.unsynced.drain(..) {
            if let Change::Put(path, mut node) = change {
                node.data_is_durable = true;
                self.durable.nodes.insert(path, node);
            } else {
                self.durable.take(&change);
            }
        }
        for node in self.now.nodes.values_mut() {
            node.data_is_durable = true;
        }
    }

    /// Loses power: some prefix of the unsynced changes survives, and not all data of unsynced files.
    pub fn crash(&mut self, random: &mut fastrand::Rng) {
        let ends: Vec<usize> = (self.unsynced.iter().enumerate())
            .filter(|(_, change)| matches!(change, Change::Boundary))
            .map(|(at, _)| at + 1)
            .collect();
        let chosen = random.usize(0..=ends.len());
        let kept = if chosen == 0 { 0 } else { ends[chosen - 1] };
        for change in self.unsynced.drain(..).take(kept) {
            self.durable.take(&change);
        }
        for node in self.durable.nodes.values_mut() {
            if let Kind::File(content) = &mut node.kind
                && !node.data_is_durable
                && random.u8(..) < 64
            {
                *content = GARBAGE_FROM + random.u64(..1 << 20);
            }
            node.data_is_durable = true;
        }
        self.now = self.durable.clone();
    }
}

impl Disk {
    /// The highest number given so far.
    #[must_use]
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// A copy of the files, on a disk of its own: other inodes, equal contents.
    #[must_use]
    pub fn copied(&self) -> Self {
        let mut copy = self.clone();
        let paths: Vec<RelPath> = copy.now.nodes.keys().cloned().collect();
        for path in paths {
            let (inode, birth, change) =
                (copy.next_serial(), copy.next_serial(), copy.next_serial());
            if let Some(mut node) = copy.node(&path).copied() {
                (node.inode, node.birth) = (inode, birth);
                node.ctime.nanoseconds = (change % 1_000_000_000) as u32;
                copy.put(&path, node);
            }
        }
        copy.sync();
        copy
    }
}
