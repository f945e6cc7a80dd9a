//! The local socket: how commands on the same host talk to a node.
//!
//! Goals: one line of JSON asks, lines of JSON answer, the last of which says `done` or `error`; what is answered is what
//! the command prints with `--json`, so that there is one format; nobody but the user of the node may connect.
//! Non-goals: other hosts.

mod answering;
pub mod client;
pub mod inspection;
pub mod json;
pub mod management;
pub mod restoring;
pub mod selecting;
pub(crate) mod service;

pub use answering::{Refusal, answer, read, remove, upload};
pub use replicat_engine::live::{FileReader, Precondition, Upload, Uploaded};

use replicat_core::path::RelPath;
use serde::{Deserialize, Serialize};

/// What a node is asked to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Command {
    /// How it stands: a `node`.
    Status,
    /// Its peers: a `peer` for each.
    Nodes,
    /// Its folders: a `folder` for each.
    Folders,
    /// What happened: an `event` for each.
    Events {
        /// Whether to go on with what happens from now on.
        follow: bool,
    },
    /// The settings that it goes by, without secrets: a `configuration`.
    Configuration,
    /// Pauses a folder, or all.
    Pause {
        /// Its name.
        folder: Option<String>,
    },
    /// Lets a folder, or all, go on.
    Resume {
        /// Its name.
        folder: Option<String>,
    },
    /// Looks at paths anew.
    Rescan {
        /// The name of the folder; all if it is left out.
        folder: Option<String>,
        /// The paths; everything if there are none.
        paths: Vec<PathText>,
    },
    /// Lets the deletions pass that are held in a folder, or in all.
    Approve {
        /// Its name.
        folder: Option<String>,
    },
    /// Brings back the files whose deletion is held in a folder, or in all.
    Reject {
        /// Its name.
        folder: Option<String>,
    },
    /// Forgets a replica that is gone for good: `forgotten`.
    Forget {
        /// The name of the folder.
        folder: String,
        /// Its id or its name.
        replica: String,
    },
    /// The conflicts that nobody has resolved: a `conflict` for each.
    Conflicts {
        /// The name of the folder.
        folder: String,
    },
    /// What happened at a path: a `version` for each.
    History {
        /// The name of the folder.
        folder: String,
        /// The path.
        path: PathText,
    },
    /// Why a path is as it is: an `explanation`.
    Why {
        /// The name of the folder.
        folder: String,
        /// The path.
        path: PathText,
    },
    /// What there is at and below a path: a `path` for each.
    Tree {
        /// The name of the folder.
        folder: String,
        /// The path; empty is the root.
        path: PathText,
    },
    /// What a directory holds itself: a `path` for each, in the order of names.
    List {
        /// The name of the folder.
        folder: String,
        /// The directory; empty is the root.
        path: PathText,
        /// Only names behind this one.
        after: Option<PathText>,
        /// How many at most.
        limit: usize,
    },
    /// Settles a conflict, or gives up what is missing: a `resolution`.
    Resolve {
        /// The name of the folder.
        folder: String,
        /// The path at which it arose.
        path: PathText,
        /// `winner`, `copy`, `both` or `local`.
        keep: String,
    },
    /// Drops local changes that the peers refuse: a `reverted`.
    Revert {
        /// The name of the folder.
        folder: String,
        /// The paths, with what is below; everything if there are none.
        #[serde(default)]
        paths: Vec<PathText>,
        /// Whether they are only listed.
        #[serde(default)]
        dry_run: bool,
    },
    /// Brings versions back: a `restoration` for each, and a `not-restored` for each path that could not be.
    Restore {
        /// The name of the folder.
        folder: String,
        /// The path; empty is the root.
        path: PathText,
        /// Which version; left out, the latest that differs from what the path holds.
        revision: Option<u32>,
        /// All that was deleted at the path and below it; with `at`, all that was there at that time.
        #[serde(default, skip_serializing_if = "is_false")]
        recursive: bool,
        /// What was there at that time, RFC 3339.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<String>,
        /// Only say what would be done.
        #[serde(default, skip_serializing_if = "is_false")]
        dry_run: bool,
    },
    /// What the folder selects: a `selection`.
    Selection {
        /// The name of the folder.
        folder: String,
    },
    /// Changes what the folder selects: a `selection`.
    Select {
        /// The name of the folder.
        folder: String,
        /// `set`, `add`, `remove` or `all`.
        change: String,
        /// The paths, with what is below; none with `all`.
        #[serde(default)]
        paths: Vec<PathText>,
    },
    /// Moves to the trash the local copies of what is not selected, and peers keep: a `pruned`.
    Prune {
        /// The name of the folder.
        folder: String,
        /// Only say what would be done.
        #[serde(default, skip_serializing_if = "is_false")]
        dry_run: bool,
    },
    /// What the trash holds, the oldest first: a `trash-item` for each.
    Trash {
        /// The name of the folder.
        folder: String,
    },
    /// Removes from the trash, for good: a `trash-emptied`.
    EmptyTrash {
        /// The name of the folder.
        folder: String,
        /// Only what has been there for more seconds than that.
        older_than: Option<u64>,
        /// Only what was at this path or below it.
        path: Option<PathText>,
    },
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// A path as JSON has it: text, or its bytes in hexadecimal if they are none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PathText {
    /// A path that is text.
    Text(String),
    /// One that is not.
    Bytes {
        /// Two digits for each byte.
        hex: String,
    },
}

impl From<&RelPath> for PathText {
    fn from(path: &RelPath) -> Self {
        match std::str::from_utf8(path.as_bytes()) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Bytes {
                hex: json::hexadecimal(path.as_bytes()),
            },
        }
    }
}

impl PathText {
    /// Bytes as text, if they are.
    #[must_use]
    pub fn of(bytes: Vec<u8>) -> Self {
        String::from_utf8(bytes).map_or_else(
            |error| Self::Bytes {
                hex: json::hexadecimal(error.as_bytes()),
            },
            Self::Text,
        )
    }

    /// The bytes that it stands for.
    ///
    /// # Errors
    /// If they are no hexadecimal digits.
    pub fn bytes(&self) -> Result<Vec<u8>, String> {
        match self {
            Self::Text(text) => Ok(text.clone().into_bytes()),
            Self::Bytes { hex } => json::from_hexadecimal(hex)
                .ok_or_else(|| format!("{hex:?} is no text of hexadecimal digits")),
        }
    }

    /// The path that it stands for, if it can be one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn path(&self) -> Result<RelPath, String> {
        RelPath::new(&self.bytes()?).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_lines_of_json() {
        let line = r#"{"command":"rescan","folder":"site","paths":["a/b",{"hex":"636166e9"}]}"#;
        let command: Command = serde_json::from_str(line).unwrap();
        assert_eq!(serde_json::to_string(&command).unwrap(), line);
        let Command::Rescan { paths, .. } = command else {
            panic!("another command");
        };
        assert_eq!(paths[1].path().unwrap().as_bytes(), b"caf\xe9");
        assert_eq!(PathText::from(&paths[1].path().unwrap()), paths[1]);
        let outside = PathText::Text("../x".to_owned());
        assert!(outside.path().is_err());
        let unknown = r#"{"command":"pause","folder":null,"x":1}"#;
        assert!(serde_json::from_str::<Command>(unknown).is_err());
    }
}
