//! What users do, carried out on a simulated disk. Whatever an act replaces or deletes is told to the oracle.

use std::collections::BTreeSet;

use replicat_core::conflict::MARK;
use replicat_core::entry::Timestamp;
use replicat_core::path::RelPath;

use crate::disk::{Content, Disk, Kind, Node};
use crate::op::Act;
use crate::oracle::{Oracle, Touch};
use crate::paths::{self, path};

/// A user at the disk of one replica.
#[derive(Debug)]
pub struct User<'world> {
    /// Which replica.
    pub replica: u8,
    /// Its disk.
    pub disk: &'world mut Disk,
    /// Who watches.
    pub oracle: &'world mut Oracle,
    /// What the replica's filters leave out.
    pub excluded: Option<&'world RelPath>,
    /// The replica's clock, in seconds.
    pub seconds: i64,
    /// The conflict copies at all replicas.
    pub copies: &'world BTreeSet<RelPath>,
}

/// The conflict copies on a disk, by their names.
pub fn copies(disk: &Disk) -> impl Iterator<Item = &RelPath> {
    let is_mark = |part: &[u8]| part == MARK.as_bytes();
    let paths = disk.tree().nodes.keys();
    paths.filter(move |path| path.name().windows(MARK.len()).any(is_mark))
}

impl User<'_> {
    /// Does `act`, if it makes sense now.
    pub fn act(&mut self, act: Act) {
        match act {
            Act::Write(at, content) => self.write(&path(at), content),
            Act::Replace(at, content) => self.replace(&path(at), content),
            Act::Rewrite(at) => self.rewrite(&path(at)),
            Act::Chmod(at, bits) => self.describe(&path(at), |node| {
                node.mode = [0o644, 0o755][usize::from(bits & 1)];
            }),
            Act::SetXattr(at, value) => self.describe(&path(at), |node| node.xattr = value % 3),
            Act::Touch(at) => self.touch(&path(at)),
            Act::Delete(at) => self.delete(&path(at)),
            Act::DeleteMany(places) => {
                let places = (0..paths::COUNT).filter(|at| places >> at & 1 == 1);
                places.for_each(|at| self.delete(&path(at)));
            }
            Act::MakeDirectory(at) => self.make_directory(&path(at)),
            Act::Symlink(at, target) => self.symlink(&path(at), target),
            Act::BecomeDirectory(at) => {
                self.delete(&path(at));
                self.make_directory(&path(at));
            }
            Act::BecomeFile(at, content) => {
                self.delete(&path(at));
                self.write(&path(at), content);
            }
            Act::Rename(from, to) => self.rename(&path(from), &path(to)),
            Act::Swap(one, other) => self.swap(&path(one), &path(other)),
            Act::PutBack(at) => {
                if let Some(content) = self.oracle.last_lost(self.replica, &path(at)) {
                    self.replace(&path(at), content);
                }
            }
            Act::WriteCopyName(number, content) => {
                let copies = self.copies;
                let place = usize::from(number) % copies.len().max(1);
                if let Some(copy) = copies.iter().nth(place) {
                    self.write(copy, content);
                }
            }
            Act::EditCopy(number, content) => {
                if let Some(copy) = self.copy(number) {
                    self.write(&copy, content);
                }
            }
            Act::DeleteCopy(number) => {
                if let Some(copy) = self.copy(number) {
                    self.delete(&copy);
                }
            }
            Act::RenameCopy(number, to) => {
                if let Some(copy) = self.copy(number) {
                    self.rename(&copy, &path(to));
                }
            }
        }
        self.disk.boundary();
    }

    fn copy(&self, number: u8) -> Option<RelPath> {
        let copies: Vec<&RelPath> = copies(self.disk).collect();
        (!copies.is_empty()).then(|| copies[usize::from(number) % copies.len()].clone())
    }

    fn time(&mut self) -> Timestamp {
        let nanoseconds = (self.disk.next_serial() % 1_000_000_000) as u32;
        Timestamp {
            seconds: self.seconds,
            nanoseconds,
        }
    }

    fn new_node(&mut self, kind: Kind) -> Node {
        let (inode, birth) = (self.disk.next_serial(), self.disk.next_serial());
        let ctime = self.time();
        let mode = if kind == Kind::Directory {
            0o755
        } else {
            0o644
        };
        Node {
            inode,
            birth,
            kind,
            mode,
            mtime: ctime,
            ctime,
            xattr: 0,
            data_is_durable: false,
        }
    }

    fn has_parent(&self, path: &RelPath) -> bool {
        path.parent()
            .is_some_and(|parent| self.disk.is_directory(&parent))
    }

    fn write(&mut self, path: &RelPath, content: Content) {
        let Some(mut node) = self.disk.node(path).copied() else {
            return self.put_new(path, Kind::File(content));
        };
        let Kind::File(old) = node.kind else { return };
        self.oracle.replaced(self.replica, path, old);
        self.oracle.wrote(self.replica, path, content);
        node.kind = Kind::File(content);
        node.ctime = self.time();
        node.mtime = node.ctime;
        node.data_is_durable = false;
        self.disk.put(path, node);
    }

    fn put_new(&mut self, path: &RelPath, kind: Kind) {
        if !self.has_parent(path) {
            return;
        }
        if let Some(content) = kind.content() {
            self.oracle.wrote(self.replica, path, content);
        }
        let node = self.new_node(kind);
        self.disk.put(path, node);
    }

    fn replace(&mut self, path: &RelPath, content: Content) {
        if let Some(node) = self.disk.node(path) {
            let Some(old) = node.kind.content() else {
                return;
            };
            self.oracle.replaced(self.replica, path, old);
        }
        self.put_new(path, Kind::File(content));
    }

    fn symlink(&mut self, path: &RelPath, target: Content) {
        if let Some(node) = self.disk.node(path) {
            let Some(old) = node.kind.content() else {
                return;
            };
            self.oracle.replaced(self.replica, path, old);
        }
        self.put_new(path, Kind::Symlink(target));
    }

    fn rewrite(&mut self, path: &RelPath) {
        let Some(mut node) = self.disk.node(path).copied() else {
            return;
        };
        if !matches!(node.kind, Kind::File(_)) {
            return;
        }
        self.oracle.touched(self.replica, path, Touch::Described);
        node.ctime = self.time();
        node.mtime = node.ctime;
        self.disk.put(path, node);
    }

    fn touch(&mut self, path: &RelPath) {
        let Some(mut node) = self.disk.node(path).copied() else {
            return;
        };
        self.oracle.touched(self.replica, path, Touch::Described);
        node.ctime = self.time();
        node.mtime = node.ctime;
        node.mtime.seconds -= 1000;
        self.disk.put(path, node);
    }

    fn describe(&mut self, path: &RelPath, change: impl FnOnce(&mut Node)) {
        let Some(mut node) = self.disk.node(path).copied() else {
            return;
        };
        if matches!(node.kind, Kind::Symlink(_)) {
            return;
        }
        self.oracle.touched(self.replica, path, Touch::Described);
        change(&mut node);
        node.ctime = self.time();
        self.disk.put(path, node);
    }

    fn delete(&mut self, path: &RelPath) {
        if self.disk.node(path).is_none() {
            return;
        }
        self.oracle.touched(self.replica, path, Touch::Deleted);
        let mut gone: Vec<RelPath> = self
            .disk
            .below(path)
            .map(|(below, _)| below.clone())
            .collect();
        gone.push(path.clone());
        for path in gone {
            if let Some(node) = self.disk.remove(&path)
                && let Some(content) = node.kind.content()
            {
                self.oracle.deleted(self.replica, &path, content);
            }
        }
    }

    fn make_directory(&mut self, path: &RelPath) {
        if self.disk.node(path).is_none() {
            self.oracle
                .touched(self.replica, path, Touch::MadeDirectory);
            self.put_new(path, Kind::Directory);
        }
    }

    fn rename(&mut self, from: &RelPath, to: &RelPath) {
        let Some(node) = self.disk.node(from).copied() else {
            return;
        };
        let fits = !to.is_within(from) && !from.is_within(to) && self.has_parent(to);
        if !fits {
            return;
        }
        if let Some(displaced) = self.disk.node(to).copied() {
            let both = (
                node.kind == Kind::Directory,
                displaced.kind == Kind::Directory,
            );
            if both.0 != both.1 || both.1 && self.disk.has_children(to) {
                return;
            }
            if let Some(content) = displaced.kind.content() {
                self.oracle.replaced(self.replica, to, content);
            }
            self.disk.remove(to);
        }
        self.move_away(from, to);
    }

    fn move_away(&mut self, from: &RelPath, to: &RelPath) {
        let moved: Vec<Content> = std::iter::once(self.disk.node(from))
            .flatten()
            .chain(self.disk.below(from).map(|(_, node)| node))
            .filter_map(|node| node.kind.content())
            .collect();
        let leaves = (self.excluded)
            .is_some_and(|excluded| to.is_within(excluded) && !from.is_within(excluded));
        for content in moved {
            self.oracle.moved(content);
            if leaves {
                self.oracle.moved_out_of_scope(content);
            }
        }
        self.oracle.touched(self.replica, from, Touch::Renamed);
        self.oracle.touched(self.replica, to, Touch::Renamed);
        let ctime = self.time();
        self.disk.rename(from, to, ctime);
    }

    fn swap(&mut self, one: &RelPath, other: &RelPath) {
        let both = self.disk.node(one).is_some() && self.disk.node(other).is_some();
        if !both || one.is_within(other) || other.is_within(one) {
            return;
        }
        let Ok(aside) = RelPath::root().join(b"aside") else {
            return;
        };
        self.move_away(one, &aside);
        self.move_away(other, one);
        self.move_away(&aside, other);
    }
}
