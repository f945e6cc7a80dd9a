//! A walker of the tests' own: nothing of the program's is used to judge it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// What a path is, with what it holds.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A file's content.
    File(Vec<u8>),
    /// A directory.
    Directory,
    /// What a link points to.
    Symlink(Vec<u8>),
    /// A pipe, socket or device.
    Special,
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(bytes) if bytes.len() > 60 => {
                let hash = blake3::hash(bytes).to_hex();
                write!(formatter, "File({} bytes, {:.8})", bytes.len(), hash)
            }
            Self::File(bytes) => write!(formatter, "File({:?})", String::from_utf8_lossy(bytes)),
            Self::Directory => formatter.write_str("Directory"),
            Self::Symlink(to) => write!(formatter, "Symlink({:?})", String::from_utf8_lossy(to)),
            Self::Special => formatter.write_str("Special"),
        }
    }
}

/// Everything that must be equal on all roots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    /// What it is.
    pub(crate) kind: Kind,
    /// Permissions; 0 of a symbolic link, which has none.
    pub(crate) mode: u32,
    /// Modification time in nanoseconds; `None` of the root, in which `.replicat` comes and goes.
    pub(crate) mtime: Option<i128>,
    /// User and group, when the tests run as root.
    pub(crate) owner: Option<(u32, u32)>,
    /// Extended attributes, access control lists among them.
    pub(crate) xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The first name of the file, if it has several in the tree.
    pub(crate) linked: Option<String>,
}

/// A tree by path; the root itself is the empty path.
pub(crate) type Tree = BTreeMap<Vec<u8>, Node>;

/// Reads a root, `.replicat` left out.
pub(crate) fn walk(root: &Path) -> Tree {
    try_walk(root).unwrap_or_else(|error| panic!("{root:?}: {error}"))
}

/// The same of a root that may change meanwhile, which is an error if something vanishes.
pub(crate) fn try_walk(root: &Path) -> io::Result<Tree> {
    let mut tree = Tree::new();
    let mut names: HashMap<(u64, u64), Vec<Vec<u8>>> = HashMap::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(path) = waiting.pop() {
        let relative = path.strip_prefix(root).unwrap().as_os_str().as_bytes();
        let stat = fs::symlink_metadata(&path)?;
        if stat.is_dir() {
            waiting.extend(children(&path, relative.is_empty())?);
        }
        if stat.is_file() && stat.nlink() > 1 {
            let inode = names.entry((stat.dev(), stat.ino())).or_default();
            inode.push(relative.to_vec());
        }
        tree.insert(relative.to_vec(), node(&path, &stat, relative.is_empty())?);
    }
    for mut names in names.into_values().filter(|names| names.len() > 1) {
        names.sort();
        let first = String::from_utf8_lossy(&names[0]).into_owned();
        for name in names {
            tree.get_mut(&name).unwrap().linked = Some(first.clone());
        }
    }
    Ok(tree)
}

fn children(directory: &Path, is_root: bool) -> io::Result<Vec<PathBuf>> {
    let mut children = Vec::new();
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        if !(is_root && name == ".replicat") {
            children.push(directory.join(name));
        }
    }
    Ok(children)
}

fn node(path: &Path, stat: &Metadata, is_root: bool) -> io::Result<Node> {
    let kind = kind(path, stat)?;
    let time = i128::from(stat.mtime()) * 1_000_000_000 + i128::from(stat.mtime_nsec());
    Ok(Node {
        mode: match kind {
            Kind::Symlink(_) => 0,
            _ => stat.mode() & 0o7777,
        },
        mtime: (!is_root).then_some(time),
        owner: rustix::process::geteuid()
            .is_root()
            .then(|| (stat.uid(), stat.gid())),
        xattrs: xattrs(path)?,
        linked: None,
        kind,
    })
}

fn kind(path: &Path, stat: &Metadata) -> io::Result<Kind> {
    let kind = stat.file_type();
    Ok(if kind.is_dir() {
        Kind::Directory
    } else if kind.is_symlink() {
        Kind::Symlink(fs::read_link(path)?.into_os_string().into_encoded_bytes())
    } else if kind.is_fifo() || kind.is_socket() || kind.is_block_device() || kind.is_char_device()
    {
        Kind::Special
    } else {
        Kind::File(fs::read(path)?)
    })
}

fn xattrs(path: &Path) -> io::Result<BTreeMap<Vec<u8>, Vec<u8>>> {
    let mut list = vec![0_u8; 64 * 1024];
    let length = match rustix::fs::llistxattr(path, &mut list) {
        Ok(length) => length,
        Err(Errno::NOTSUP | Errno::PERM) => 0,
        Err(error) => return Err(error.into()),
    };
    let names = list[..length].split(|byte| *byte == 0);
    let attribute = |name: &[u8]| {
        let mut value = vec![0_u8; 64 * 1024];
        let length = rustix::fs::lgetxattr(path, name, &mut value)?;
        value.truncate(length);
        Ok((name.to_vec(), value))
    };
    names
        .filter(|name| !name.is_empty())
        .map(attribute)
        .collect()
}

/// What files below a directory hold, state and trash included.
pub(crate) fn contents(directory: &Path) -> BTreeSet<Vec<u8>> {
    let mut contents = BTreeSet::new();
    let mut waiting = vec![directory.to_owned()];
    while let Some(path) = waiting.pop() {
        let Ok(stat) = fs::symlink_metadata(&path) else {
            continue;
        };
        if stat.is_dir() {
            // A running node may take away what was there a moment ago.
            let entries = fs::read_dir(&path).into_iter().flatten().flatten();
            waiting.extend(entries.map(|entry| entry.path()));
        } else if stat.is_file() {
            contents.extend(fs::read(&path).ok());
        }
    }
    contents
}

/// Every path below a directory, `.replicat` included, with all that a stat tells of it but the time of
/// the last access: what a command that touches nothing leaves as it was.
pub(crate) fn stat_everything(directory: &Path) -> BTreeMap<PathBuf, String> {
    let mut stats = BTreeMap::new();
    let mut waiting = vec![directory.to_owned()];
    while let Some(path) = waiting.pop() {
        let stat = fs::symlink_metadata(&path).unwrap();
        if stat.is_dir() {
            let entries = fs::read_dir(&path).unwrap();
            waiting.extend(entries.map(|entry| entry.unwrap().path()));
        }
        let line = format!(
            "{:o} {} {} {} {}.{:09} {}.{:09} {} {}",
            stat.mode(),
            stat.ino(),
            stat.nlink(),
            stat.size(),
            stat.mtime(),
            stat.mtime_nsec(),
            stat.ctime(),
            stat.ctime_nsec(),
            stat.uid(),
            stat.gid(),
        );
        stats.insert(path, line);
    }
    stats
}
