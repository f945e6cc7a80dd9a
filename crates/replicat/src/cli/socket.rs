//! Where the local socket of a node is, and which node is meant.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use replicat::control::Command;
use replicat::control::client::{self, ClientError};
use replicat::control::json::Object;

use replicat_core::path::RelPath;

use super::failure::Failure;
use super::{fields, target};

/// What the name of a socket ends in.
const EXTENSION: &str = "sock";
/// How long a node may take to say which folders it keeps, when the one that keeps a path is looked for.
const PATIENCE: Duration = Duration::from_secs(3);

/// The directories in which sockets are, the one of this user first.
fn directories() -> Vec<PathBuf> {
    let user = rustix::process::getuid();
    let own = env::var_os("XDG_RUNTIME_DIR").filter(|path| !path.is_empty());
    let mut directories: Vec<_> = own
        .map(|own| PathBuf::from(own).join("replicat"))
        .into_iter()
        .collect();
    if user.is_root() {
        directories.push("/run/replicat".into());
    }
    directories.push(env::temp_dir().join(format!("replicat-{}", user.as_raw())));
    directories
}

/// The socket that a value of `--node-socket` means: a path, or the name of a node.
fn named(value: &Path) -> PathBuf {
    let is_name =
        value.components().count() == 1 && value.extension().is_none_or(|e| e != EXTENSION);
    if !is_name || value.as_os_str().as_encoded_bytes().contains(&b'/') {
        return value.to_owned();
    }
    let file = format!("{}.{EXTENSION}", value.display());
    let mut places = directories()
        .into_iter()
        .map(|directory| directory.join(&file));
    let found = places.clone().find(|path| path.exists());
    found
        .or_else(|| places.next())
        .unwrap_or_else(|| value.to_owned())
}

/// Where a node of this name listens by default.
pub(crate) fn of_node(name: &str) -> PathBuf {
    named(Path::new(name))
}

/// The sockets at which nodes answer.
fn alive() -> Vec<PathBuf> {
    let own = rustix::process::geteuid().as_raw();
    // In a place that all may write to, another user may have put one there.
    let is_ours = |directory: &PathBuf| {
        fs::metadata(directory).is_ok_and(|found| found.uid() == own || found.uid() == 0)
    };
    let listed = directories()
        .into_iter()
        .filter(is_ours)
        .filter_map(|directory| fs::read_dir(directory).ok());
    let mut sockets: Vec<_> = listed
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|name| name == EXTENSION))
        .filter(|path| UnixStream::connect(path).is_ok())
        .collect();
    sockets.sort();
    sockets
}

/// The socket that is meant: the one that is named, or that of the only node that runs here.
pub(crate) fn find(wanted: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(value) = wanted {
        return Ok(named(value));
    }
    let mut alive = alive();
    match alive.len() {
        0 => Err(Failure::NoNode),
        1 => Ok(alive.remove(0)),
        _ => Err(Failure::ManyNodes(alive)),
    }
}

/// A path that a running node keeps.
pub(crate) struct Kept {
    /// The node's socket.
    pub(crate) socket: PathBuf,
    /// The folder, as the node describes it.
    pub(crate) folder: Object,
    /// The path within it.
    pub(crate) path: RelPath,
}

impl Kept {
    /// The name of the folder.
    pub(crate) fn name(&self) -> String {
        fields::text(&self.folder, "name").to_owned()
    }
}

/// The folder of a running node whose directory is `root`; of the node that is named first.
pub(crate) fn serving(root: &Path, wanted: Option<&Path>) -> Option<Kept> {
    let root = root.canonicalize().ok()?;
    keeping(&root, wanted).filter(|kept| kept.path.is_root())
}

/// The folder of a running node that `path` lies in; of the node that is named first. The path need not exist.
pub(crate) fn keeper(path: &Path, wanted: Option<&Path>) -> Option<Kept> {
    let whole = target::resolved(path).ok()?;
    let found = keeping(&whole, wanted);
    found.or_else(|| keeping(&path.canonicalize().ok()?, wanted))
}

/// The innermost folder that an absolute path without links lies in.
fn keeping(path: &Path, wanted: Option<&Path>) -> Option<Kept> {
    let mut kept: Option<(usize, Kept)> = None;
    for socket in wanted.map(named).into_iter().chain(alive()) {
        let patience = Some(PATIENCE);
        let asked =
            client::ask_within::<ClientError>(patience, &socket, &Command::Folders, |folder| {
                let Some((depth, inside)) = within(&folder, path) else {
                    return Ok(());
                };
                if kept.as_ref().is_none_or(|(other, _)| *other < depth) {
                    let socket = socket.clone();
                    let path = inside;
                    kept = Some((
                        depth,
                        Kept {
                            socket,
                            folder,
                            path,
                        },
                    ));
                }
                Ok(())
            });
        // A node that does not answer keeps nothing for those who ask.
        drop(asked);
    }
    kept.map(|(_, kept)| kept)
}

/// Where in a folder a path lies, and how deep the folder lies.
fn within(folder: &Object, path: &Path) -> Option<(usize, RelPath)> {
    let root = fields::bytes(folder, "root");
    let root = Path::new(OsStr::from_bytes(&root)).canonicalize().ok()?;
    let inside = path.strip_prefix(&root).ok()?;
    let inside = RelPath::new(inside.as_os_str().as_bytes()).ok()?;
    Some((root.components().count(), inside))
}
