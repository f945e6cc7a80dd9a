//! What can stop a command: what happened, to which path, and what to do.

use std::io;
use std::path::{Path, PathBuf};

use replicat_core::id::FolderId;
use replicat_core::path::RelPath;
use replicat_core::store::StoreError;
pub use replicat_fs::lock::LockHolder;
pub use replicat_fs::state_owner::ForeignState;
use thiserror::Error;

use crate::inspection::Revision;

const JOIN_HINT: &str = "add --join to unite them: nothing is deleted, and files that differ are kept as conflict copies";
const OTHER_FOLDER_HINT: &str = "if the cluster key was changed, give the key before it with --accept-cluster-key-file once; if it is \
                                 another folder, --join unites them: nothing is deleted, and files that differ are kept as conflict copies";

/// What a process tells its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum ExitCode {
    /// All roots are in sync.
    InSync = 0,
    /// All roots are in sync, and new conflicts were kept as copies.
    Conflicts = 1,
    /// The command was not understood.
    Usage = 2,
    /// Some paths are not in sync; they were listed.
    Incomplete = 3,
    /// A safety brake stopped it.
    Braked = 4,
    /// It could not be done.
    Fatal = 5,
}

/// Why a command did not do what it was asked.
#[derive(Debug, Error)]
pub enum SyncError {
    /// Fewer than two roots.
    #[error("a sync needs two roots or more, and {0} was given")]
    TooFewRoots(usize),
    /// A root does not exist.
    #[error("{root} does not exist")]
    RootMissing {
        /// The root.
        root: PathBuf,
    },
    /// A root is a file or something else.
    #[error("{root} is not a directory")]
    RootNotDirectory {
        /// The root.
        root: PathBuf,
    },
    /// A root lies in another.
    #[error("{inner} lies inside {outer}, and both were given as roots")]
    RootNested {
        /// The root that is inside.
        inner: PathBuf,
        /// The root that it is in.
        outer: PathBuf,
    },
    /// A root was given twice.
    #[error("{root} and {same} are the same directory")]
    RootTwice {
        /// The root.
        root: PathBuf,
        /// How it was named before.
        same: PathBuf,
    },
    /// State was to be kept in a root.
    #[error("{state} lies inside {root}, and state would be synced with it")]
    StateNested {
        /// Where state was to be kept.
        state: PathBuf,
        /// The root that it is in.
        root: PathBuf,
    },
    /// A root, or its state, may not be read or written.
    #[error("{root} cannot be written: {source}")]
    RootNotWritable {
        /// The root.
        root: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The state of a root belongs to another user, and cannot be used.
    #[error("the state of {root} belongs to {}: {}", foreign.owner, foreign.path.display())]
    StateNotOwned {
        /// The root.
        root: PathBuf,
        /// The state directory.
        state: PathBuf,
        /// What belongs to whom.
        foreign: Box<ForeignState>,
    },
    /// The roots belong to different folders.
    #[error("{root} and {other} belong to different folders ({folder} and {other_folder})")]
    DifferentFolders {
        /// One root.
        root: PathBuf,
        /// The folder of that root.
        folder: FolderId,
        /// Another root.
        other: PathBuf,
        /// The folder of that other root.
        other_folder: FolderId,
    },
    /// The root belongs to another folder than the one that it is to be a replica of.
    #[error(
        "{root} belongs to folder {folder}, not to {wanted}: to another one, or to this one under another cluster key"
    )]
    OtherFolder {
        /// The root.
        root: PathBuf,
        /// The folder of the root.
        folder: FolderId,
        /// The folder that it is to belong to.
        wanted: FolderId,
    },
    /// The directory is not the one that its state was recorded for.
    #[error("{root} is not the directory that its state was recorded for: {evidence}")]
    RootReplaced {
        /// The root.
        root: PathBuf,
        /// What shows it, as a clause.
        evidence: String,
    },
    /// There is nothing to revert: what is changed in the directory goes out.
    #[error("{root} does not only receive: what is changed there is taken by the others")]
    NotReceiveOnly {
        /// The root.
        root: PathBuf,
    },
    /// A revert is under way.
    #[error("local changes of {root} are being reverted already")]
    Busy {
        /// The root.
        root: PathBuf,
    },
    /// Nobody can say what the others have.
    #[error("no node is connected that can say what the others have in {root}")]
    NoPeerKnows {
        /// The root.
        root: PathBuf,
    },
    /// A directory has never been synced.
    #[error("{root} has never been synced: it holds no state")]
    NotReplica {
        /// The directory.
        root: PathBuf,
    },
    /// Another process works on a root.
    #[error("{root} is in use by {holder}")]
    Locked {
        /// The root.
        root: PathBuf,
        /// That process, as far as it can be told.
        holder: Box<LockHolder>,
    },
    /// The index cannot be read.
    #[error("the index of {root} is damaged: {detail}")]
    IndexDamaged {
        /// The root.
        root: PathBuf,
        /// Where it is kept.
        index: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// The index was written by a later version.
    #[error("the state of {root} has format {found}, and this replicat reads up to {supported}")]
    IndexNewer {
        /// The root.
        root: PathBuf,
        /// Its format.
        found: u32,
        /// The highest format that is understood.
        supported: u32,
    },
    /// The index could not be read or written, though it is not damaged.
    #[error("the index of {root} failed: {source}")]
    Index {
        /// The root.
        root: PathBuf,
        /// What went wrong.
        source: StoreError,
    },
    /// The disk of a root is full.
    #[error("the disk of {root} is full")]
    DiskFull {
        /// The root.
        root: PathBuf,
    },
    /// Nothing is known of a path.
    #[error("{root} holds nothing at {path}, and never did")]
    UnknownPath {
        /// The root.
        root: PathBuf,
        /// The path.
        path: RelPath,
    },
    /// The settings of the node say what is selected.
    #[error(
        "what {root} selects is in the settings of the node: change `select` there, and have it read them again (SIGHUP)"
    )]
    SelectedBySettings {
        /// The root.
        root: PathBuf,
    },
    /// A root that was named as a holder of copies is a replica of another folder.
    #[error("{holder} is a replica of another folder than {root}: it cannot keep its files")]
    HolderOfAnotherFolder {
        /// The root.
        root: PathBuf,
        /// The other.
        holder: PathBuf,
    },
    /// No other replica is called so.
    #[error("{root} knows of no other replica {wanted:?}{}", known_replicas(.known))]
    UnknownReplica {
        /// The root.
        root: PathBuf,
        /// What was asked for.
        wanted: String,
        /// The names and ids of those that are known, in the order of names.
        known: Vec<String>,
    },
    /// There is no conflict at a path.
    #[error("there is no unresolved conflict at {path} in {root}")]
    NoConflict {
        /// The root.
        root: PathBuf,
        /// The path.
        path: RelPath,
    },
    /// A path waits for nothing.
    #[error("{path} in {root} waits for no content that is missing")]
    NothingMissing {
        /// The root.
        root: PathBuf,
        /// The path.
        path: RelPath,
    },
    /// A version is not there to be restored.
    #[error("{}{path} in {root} {problem}", numbered(*revision))]
    NoRevision {
        /// The root.
        root: PathBuf,
        /// The path.
        path: RelPath,
        /// The version that was asked for, if one was named.
        revision: Option<Revision>,
        /// What is the matter, as a verb phrase.
        problem: &'static str,
    },
    /// A path cannot be restored: nobody who was asked has the content.
    #[error("{path} in {root} is not restored: {reason}")]
    NotKept {
        /// The root.
        root: PathBuf,
        /// The path.
        path: RelPath,
        /// Why, and who may have it.
        reason: String,
    },
    /// A path is no regular file, as it would have to be.
    #[error("{path} in {root} is not a regular file")]
    NotFile {
        /// The root.
        root: PathBuf,
        /// The path.
        path: RelPath,
    },
    /// Something else stands where a path would need a directory.
    #[error("{path} in {root} is not a directory")]
    NotDirectory {
        /// The root.
        root: PathBuf,
        /// What would have to be one.
        path: RelPath,
    },
    /// A file is not what is known of it, because it changes just now.
    #[error("{path} in {root} is being changed")]
    Changing {
        /// The root.
        root: PathBuf,
        /// The path.
        path: RelPath,
    },
    /// The content of a path was not brought here yet.
    #[error("the content of {path} is not in {root} yet")]
    Pending {
        /// The root.
        root: PathBuf,
        /// The path.
        path: RelPath,
    },
    /// A path holds something else than whoever wants to change it thinks.
    #[error("{path} in {root} does not hold what was expected")]
    Unexpected {
        /// The root.
        root: PathBuf,
        /// The path.
        path: RelPath,
    },
    /// A path belongs to replicat itself.
    #[error("{path} in {root} belongs to the state of replicat")]
    Reserved {
        /// The root.
        root: PathBuf,
        /// The path.
        path: RelPath,
    },
    /// A change was to be made where changes are not sent from.
    #[error("{root} only receives: change it at another node")]
    ReceiveOnly {
        /// The root.
        root: PathBuf,
    },
    /// The system refused something.
    #[error("could not {action} {path}: {source}")]
    Io {
        /// What was being done, as a verb phrase that the path completes.
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The rules and the state contradict each other: a bug.
    #[error("{root} is in a state that should not be possible: {detail}")]
    Inconsistent {
        /// The root.
        root: PathBuf,
        /// What was found.
        detail: String,
    },
}

impl SyncError {
    /// A stable word for programs.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::TooFewRoots(_) => "too-few-roots",
            Self::RootMissing { .. } => "root-missing",
            Self::RootNotDirectory { .. } => "root-not-directory",
            Self::RootNested { .. } => "root-nested",
            Self::RootTwice { .. } => "root-twice",
            Self::StateNested { .. } => "state-nested",
            Self::RootNotWritable { .. } => "root-not-writable",
            Self::StateNotOwned { .. } => "state-not-owned",
            Self::DifferentFolders { .. } => "different-folders",
            Self::OtherFolder { .. } => "other-folder",
            Self::RootReplaced { .. } => "root-replaced",
            Self::NotReplica { .. } => "not-a-replica",
            Self::NotReceiveOnly { .. } => "not-receive-only",
            Self::Busy { .. } => "busy",
            Self::NoPeerKnows { .. } => "no-peer",
            Self::Locked { .. } => "locked",
            Self::IndexDamaged { .. } => "index-damaged",
            Self::IndexNewer { .. } => "index-newer",
            Self::Index { .. } => "index",
            Self::DiskFull { .. } => "disk-full",
            Self::UnknownPath { .. } => "unknown-path",
            Self::UnknownReplica { .. } => "unknown-replica",
            Self::SelectedBySettings { .. } => "selected-by-settings",
            Self::HolderOfAnotherFolder { .. } => "other-folder",
            Self::NoConflict { .. } => "no-conflict",
            Self::NothingMissing { .. } => "nothing-missing",
            Self::NoRevision { .. } => "no-revision",
            Self::NotKept { .. } => "not-kept",
            Self::NotFile { .. } | Self::NotDirectory { .. } => "not-a-file",
            Self::Changing { .. } => "changing",
            Self::Pending { .. } => "pending",
            Self::Unexpected { .. } => "precondition",
            Self::Reserved { .. } => "usage",
            Self::ReceiveOnly { .. } => "receive-only",
            Self::Io { .. } => "io",
            Self::Inconsistent { .. } => "inconsistent",
        }
    }

    /// What the process is to tell its caller.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::TooFewRoots(_)
            | Self::RootMissing { .. }
            | Self::RootNotDirectory { .. }
            | Self::RootNested { .. }
            | Self::RootTwice { .. }
            | Self::StateNested { .. }
            | Self::NotReplica { .. }
            | Self::UnknownPath { .. }
            | Self::UnknownReplica { .. }
            | Self::SelectedBySettings { .. }
            | Self::HolderOfAnotherFolder { .. }
            | Self::NoConflict { .. }
            | Self::NothingMissing { .. }
            | Self::NoRevision { .. }
            | Self::NotFile { .. }
            | Self::NotDirectory { .. }
            | Self::Unexpected { .. }
            | Self::Reserved { .. }
            | Self::NotReceiveOnly { .. }
            | Self::ReceiveOnly { .. } => ExitCode::Usage,
            Self::Busy { .. }
            | Self::NoPeerKnows { .. }
            | Self::Changing { .. }
            | Self::Pending { .. }
            | Self::NotKept { .. } => ExitCode::Incomplete,
            Self::DifferentFolders { .. }
            | Self::OtherFolder { .. }
            | Self::RootReplaced { .. } => ExitCode::Braked,
            Self::RootNotWritable { .. }
            | Self::StateNotOwned { .. }
            | Self::Locked { .. }
            | Self::IndexDamaged { .. }
            | Self::IndexNewer { .. }
            | Self::Index { .. }
            | Self::DiskFull { .. }
            | Self::Io { .. }
            | Self::Inconsistent { .. } => ExitCode::Fatal,
        }
    }

    /// What to do, if there is something to say.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::TooFewRoots(_) => "name two directories or more: `replicat sync A B`".into(),
            Self::RootMissing { .. } => {
                "see that its disk is mounted, or add --create to create it".into()
            }
            Self::RootNotDirectory { .. } => "name a directory".into(),
            Self::RootNested { .. } => {
                "sync the outer one, and leave the inner one out with --exclude or on its own"
                    .into()
            }
            Self::RootTwice { .. } => "name each directory once".into(),
            Self::StateNested { .. } => "name a directory outside of all roots".into(),
            Self::RootNotWritable { .. } => {
                "make it writable, run as a user who may write there, or keep its state elsewhere with --state-dir: \
                 then it is only read"
                    .into()
            }
            Self::StateNotOwned { state, foreign, .. } => give_state(state, foreign),
            Self::OtherFolder { .. } => OTHER_FOLDER_HINT.into(),
            Self::DifferentFolders { .. } => JOIN_HINT.into(),
            Self::RootReplaced { root, .. } => format!(
                "see that the right disk is mounted; if the directory was replaced on purpose, \
                 run `replicat approve {}`, and it joins as a new replica",
                root.display()
            ),
            Self::NotReplica { root } => {
                format!(
                    "sync it with another: `replicat sync {} OTHER`",
                    root.display()
                )
            }
            Self::Locked { holder, .. } => locked_hint(holder),
            Self::IndexDamaged { index, .. } => move_away(index),
            Self::IndexNewer { .. } => "use the newer replicat; nothing was changed".into(),
            Self::DiskFull { .. } => {
                "make room and sync again: it goes on where it stopped, and every file is whole"
                    .into()
            }
            Self::UnknownPath { .. } => "see that the path is right".into(),
            Self::NoConflict { root, .. } => {
                format!(
                    "list what there is with `replicat conflicts {}`",
                    root.display()
                )
            }
            Self::NothingMissing { root, .. } => {
                format!(
                    "list what is missing, as `content-missing`, with `replicat status {}`",
                    root.display()
                )
            }
            Self::NoRevision { root, path, .. } => format!(
                "`replicat history {}/{path}` lists the versions that can be restored",
                root.display()
            ),
            Self::Busy { .. } | Self::Changing { .. } | Self::Pending { .. } => {
                "try again in a while".into()
            }
            Self::NoPeerKnows { .. } => "see `replicat nodes`, and try again when one is".into(),
            Self::Unexpected { .. } => "look at it again; nothing was changed".into(),
            Self::Inconsistent { .. } => {
                "nothing was deleted; please report this with the output of `replicat status`"
                    .into()
            }
            _ => return None,
        })
    }
}

/// How state gets back to the user who needs it.
fn give_state(state: &Path, foreign: &ForeignState) -> String {
    let ForeignState {
        owner, user, chown, ..
    } = foreign;
    let path = quoted(state);
    match foreign.is_root_own {
        true => format!("give it to {user} again: `sudo chown -R {chown} {path}`"),
        false => {
            format!("run replicat as {owner}, or give it to {user}: `sudo chown -R {chown} {path}`")
        }
    }
}

/// An absolute path as a shell takes it, in quotes if it needs any.
fn quoted(path: &Path) -> String {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let text = whole.display().to_string();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:,%".contains(c);
    match text.chars().all(is_plain) {
        true => text,
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

/// What to do with a file of state that is damaged.
fn move_away(file: &Path) -> String {
    let whole = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let quoted = whole.display().to_string().replace('\'', r"'\''");
    format!(
        "move the file away: `mv '{quoted}' '{quoted}.damaged'`; the next run unites what all replicas hold, and deletes nothing"
    )
}

fn known_replicas(known: &[String]) -> String {
    match known.is_empty() {
        true => ": it knows of none".to_owned(),
        false => format!("; there are {}", known.join(", ")),
    }
}

fn locked_hint(holder: &LockHolder) -> String {
    match &holder.socket {
        Some(socket) => format!(
            "that node keeps the directory in sync by itself: see \
             `replicat status --node-socket {}`; or stop it",
            socket.display()
        ),
        None => "add --wait to wait for it, or stop it".into(),
    }
}

fn numbered(revision: Option<Revision>) -> String {
    revision.map_or_else(String::new, |revision| {
        format!("version {} of ", revision.0)
    })
}
