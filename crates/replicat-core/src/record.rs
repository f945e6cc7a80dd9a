//! What a replica keeps of one path: the entry that all replicas share, and what its own storage holds.

use std::collections::BTreeSet;

use crate::entry::{Entry, Metadata, Payload, Stamps, Timestamp, Xattr};
use crate::id::{ContentHash, LinkId};
use crate::version::{Context, Dot, Hlc};

/// What proves, without reading it, that a path of the own storage is as it was last seen or written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint {
    /// Inode number.
    pub inode: u64,
    /// Length in bytes; 0 for directories, whose size means nothing.
    pub size: u64,
    /// Last modification. For a directory it is compared as metadata, not as identity.
    pub mtime: Timestamp,
    /// Last change of inode or content; the kernel sets it, users cannot.
    pub ctime: Timestamp,
    /// Birth time, where the filesystem has one: with the inode it identifies a file across renames.
    pub birth: Timestamp,
}

impl Fingerprint {
    /// Whether both are of the same file or directory, whatever became of it and wherever it is.
    #[must_use]
    pub fn is_of_same(&self, other: &Self) -> bool {
        (self.inode, self.birth) == (other.inode, other.birth)
    }
}

/// What a replica's own storage holds at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Local {
    /// How to recognise it.
    pub fingerprint: Fingerprint,
    /// It was hashed within the timestamp granularity of its own change: a later change might not show
    /// in the fingerprint, so that it has to be read again.
    pub racy: bool,
    /// What it is, where that is not what the entry shows: the work on this path is not done.
    /// `None`: the storage holds what the entry shows.
    pub base: Option<Box<Base>>,
    /// What the storage has instead, of each aspect of the description that it could not take. `None`: it took all.
    pub unheld: Option<Box<Metadata>>,
}

impl Local {
    /// The description of what was found at the path, and what is still not held of it. An aspect that the storage could not
    /// take, and that is found as it was after the attempt, is as `held` says: nobody changed it.
    #[must_use]
    pub fn conceal(&self, found: Metadata, held: &Metadata) -> (Metadata, Option<Box<Metadata>>) {
        fn aspect<T: PartialEq + Clone>(
            found: &mut Option<T>,
            unheld: &mut Option<T>,
            held: &Option<T>,
        ) {
            if unheld.is_some() && (found.is_none() || found == unheld) {
                found.clone_from(held);
            } else {
                *unheld = None;
            }
        }
        let Some(unheld) = &self.unheld else {
            return (found, None);
        };
        let (mut found, mut unheld) = (found, unheld.clone());
        aspect(&mut found.mode, &mut unheld.mode, &held.mode);
        aspect(&mut found.mtime, &mut unheld.mtime, &held.mtime);
        aspect(&mut found.owner, &mut unheld.owner, &held.owner);
        conceal_xattrs(&mut found.xattrs, &mut unheld.xattrs, held.xattrs.as_ref());
        let unheld = Some(unheld).filter(|unheld| **unheld != Metadata::default());
        (found, unheld)
    }
}

/// As [`Local::conceal`], attribute by attribute: each that is as the attempt left it is as `held` says.
fn conceal_xattrs(
    found: &mut Option<Vec<Xattr>>,
    unheld: &mut Option<Vec<Xattr>>,
    held: Option<&Vec<Xattr>>,
) {
    let (Some(left), Some(held)) = (&*unheld, held) else {
        *unheld = None;
        return;
    };
    let Some(seen) = &*found else {
        *found = Some(held.clone());
        return;
    };
    let value = |all: &[Xattr], name: &[u8]| {
        let mut of_name = all.iter().filter(|xattr| xattr.name == name);
        of_name.next().map(|xattr| xattr.value.clone())
    };
    let lists = [seen, left, held].into_iter().flatten();
    let names: BTreeSet<&[u8]> = lists.map(|xattr| &*xattr.name).collect();
    let as_meant = names.into_iter().filter_map(|name| {
        let is_as_left = value(seen, name) == value(left, name);
        let value = value(if is_as_left { held } else { seen }, name)?;
        let name = name.to_vec();
        Some(Xattr { name, value })
    });
    let as_meant: Vec<Xattr> = as_meant.collect();
    *unheld = (as_meant != *seen).then(|| seen.clone());
    *found = Some(as_meant);
}

/// A state of a path: what it holds, and which events that state knows of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// The events that this state embodies or replaces.
    pub context: Context,
    /// The latest time among them.
    pub hlc: Hlc,
    /// What it holds. Never a tombstone.
    pub payload: Payload,
    /// How it is described.
    pub metadata: Metadata,
    /// When the description changed.
    pub stamps: Stamps,
    /// Of a conflict copy: the loser it preserves.
    pub conflict_of: Option<Dot>,
}

/// A path that the filters of a replica leave out, as it was when they did so first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Excluded {
    /// What the storage was last known to hold there, with its base; `None`: nothing is known of it, or it was taken
    /// away on purpose.
    pub held: Option<Local>,
}

/// How much a storage holds, as far as its replica observed it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Files and symbolic links.
    pub files: u64,
    /// Bytes of these files, holes included.
    pub bytes: u64,
}

impl Holdings {
    /// The sum of two. A peer may announce files of any size, so that bytes wrap around; what is taken away is added first.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            files: self.files.wrapping_add(other.files),
            bytes: self.bytes.wrapping_add(other.bytes),
        }
    }

    /// What is left of a sum without one that was added to it.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self {
            files: self.files.wrapping_sub(other.files),
            bytes: self.bytes.wrapping_sub(other.bytes),
        }
    }
}

/// All that a replica keeps of one path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// What all replicas share. Empty if nothing was ever announced of the path.
    pub entry: Entry,
    /// What the own storage holds; `None`: nothing, or something out of the filters' scope.
    pub local: Option<Local>,
    /// The filters leave the path out: it is neither observed nor worked on. Never set together with `local`.
    pub excluded: Option<Excluded>,
    /// There is work to do here: see [`crate::plan`] and [`crate::settle`]. Set by the core on every write.
    pub pending: bool,
}

impl Record {
    /// What the own storage holds; `None` if nothing.
    #[must_use]
    pub fn held_payload(&self) -> Option<Payload> {
        match &self.local.as_ref()?.base {
            Some(base) => Some(base.payload.clone()),
            None => self.entry.shown().map(|shown| shown.payload().clone()),
        }
    }

    /// How what the own storage holds is described; `None` if it holds nothing.
    #[must_use]
    pub fn held_metadata(&self) -> Option<Metadata> {
        match &self.local.as_ref()?.base {
            Some(base) => Some(base.metadata.clone()),
            None => self.entry.shown().map(|shown| shown.metadata().clone()),
        }
    }

    /// What the path adds to the holdings of the own storage.
    #[must_use]
    pub fn holdings(&self) -> Holdings {
        let payload = self.local.as_ref().and_then(|local| match &local.base {
            Some(base) => Some(&base.payload),
            None => self.shown_payload(),
        });
        match payload {
            Some(Payload::File { size, .. }) => Holdings {
                files: 1,
                bytes: *size,
            },
            Some(Payload::Symlink { .. }) => Holdings { files: 1, bytes: 0 },
            _ => Holdings::default(),
        }
    }

    /// What the own storage is to lose at the path, since it was deleted elsewhere. What was moved does not count.
    #[must_use]
    pub fn departing(&self) -> Holdings {
        if !self.pending || self.local.is_none() {
            return Holdings::default();
        }
        match self.shown_payload() {
            Some(Payload::Tombstone { moved_to: None }) => self.holdings(),
            _ => Holdings::default(),
        }
    }

    /// What the entry shows. Most have one version, which is asked for on every write.
    fn shown_payload(&self) -> Option<&Payload> {
        match self.entry.versions() {
            [version] => Some(&version.payload),
            _ => self.entry.shown().map(|shown| &shown.winner.payload),
        }
    }

    /// What the own storage holds, or held when the filters left the path out.
    #[must_use]
    pub fn state(&self) -> Option<&Local> {
        match &self.excluded {
            Some(excluded) => excluded.held.as_ref(),
            None => self.local.as_ref(),
        }
    }

    /// The same, to change it.
    pub(crate) fn state_mut(&mut self) -> Option<&mut Local> {
        match &mut self.excluded {
            Some(excluded) => excluded.held.as_mut(),
            None => self.local.as_mut(),
        }
    }

    /// Brings a path back into scope, as it was when it left it.
    pub(crate) fn include(&mut self) {
        if let Some(excluded) = self.excluded.take() {
            self.local = excluded.held;
        }
    }

    /// The contents by which this path is to be found: those of all versions, and what the storage holds, or held when
    /// the filters left the path out. Symlinks are found by their substance.
    pub fn contents(&self) -> impl Iterator<Item = ContentHash> {
        let base = self.state().and_then(|local| local.base.as_ref());
        let stored = base.and_then(|base| base.payload.leaf_substance());
        self.entry
            .versions
            .iter()
            .filter_map(|version| version.payload.leaf_substance())
            .chain(stored)
    }

    /// The dots by which this path is to be found: those of all versions.
    pub fn dots(&self) -> impl Iterator<Item = Dot> {
        self.entry.versions.iter().map(|version| version.dot)
    }

    /// The hard-link groups of the versions.
    pub fn links(&self) -> impl Iterator<Item = LinkId> {
        self.entry
            .versions
            .iter()
            .filter_map(|version| match version.payload {
                Payload::File { link, .. } => link,
                _ => None,
            })
    }

    /// The losers that conflict copies at this path preserve.
    pub fn copies(&self) -> impl Iterator<Item = Dot> {
        self.entry
            .versions
            .iter()
            .filter_map(|version| version.conflict_of)
    }

    /// Whether the record says nothing and need not be kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let holds_nothing = self.local.is_none() && self.excluded.is_none();
        self.entry.versions.is_empty() && holds_nothing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn xattrs(all: &[(&str, &str)]) -> Option<Vec<Xattr>> {
        let xattr = |(name, value): &(&str, &str)| Xattr {
            name: name.as_bytes().to_vec(),
            value: value.as_bytes().to_vec(),
        };
        Some(all.iter().map(xattr).collect())
    }

    fn held() -> Metadata {
        Metadata {
            mode: Some(0o600),
            mtime: Some(Timestamp::default()),
            owner: None,
            xattrs: xattrs(&[("user.big", "b"), ("user.small", "s")]),
        }
    }

    /// A storage that holds no modes and no large attributes.
    fn local() -> Local {
        let unheld = Metadata {
            mode: Some(0o777),
            xattrs: xattrs(&[("user.small", "s")]),
            ..Metadata::default()
        };
        Local {
            fingerprint: Fingerprint::default(),
            racy: false,
            base: None,
            unheld: Some(Box::new(unheld)),
        }
    }

    fn found(mode: u32, attributes: &[(&str, &str)]) -> Metadata {
        Metadata {
            mode: Some(mode),
            xattrs: xattrs(attributes),
            ..held()
        }
    }

    #[test]
    fn what_a_storage_could_not_take_is_no_change() {
        let (seen, unheld) = local().conceal(found(0o777, &[("user.small", "s")]), &held());
        assert_eq!((seen, unheld), (held(), local().unheld));
    }

    #[test]
    fn change_of_one_aspect_leaves_the_others_concealed() {
        let (seen, unheld) = local().conceal(found(0o755, &[("user.small", "s")]), &held());
        let expected = Metadata {
            mode: Some(0o755),
            ..held()
        };
        assert_eq!(seen, expected);
        let unheld = unheld.unwrap();
        assert_eq!(
            (unheld.mode, &unheld.xattrs),
            (None, &xattrs(&[("user.small", "s")]))
        );
    }

    #[test]
    fn attribute_that_could_not_be_set_survives_a_change_of_another() {
        let changed = [("user.more", "m"), ("user.small", "t")];
        let (seen, unheld) = local().conceal(found(0o777, &changed), &held());
        let expected = xattrs(&[("user.big", "b"), ("user.more", "m"), ("user.small", "t")]);
        assert_eq!(seen.xattrs, expected);
        assert_eq!(unheld.unwrap().xattrs, xattrs(&changed));
    }

    #[test]
    fn attribute_that_a_user_sets_after_all_is_held() {
        let set = [("user.big", "c"), ("user.small", "s")];
        let (seen, unheld) = local().conceal(found(0o777, &set), &held());
        assert_eq!(seen.xattrs, xattrs(&set));
        assert_eq!(unheld.unwrap().xattrs, None);
    }
}
