//! What is wrong with settings: where, what, and what was probably meant.

use std::io;
use std::path::PathBuf;

use super::text::FolderName;

/// Why settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read the settings in {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Something is wrong at a place of a file.
    #[error("{place}: {error}")]
    At {
        /// The file, line and column, as far as they are known.
        place: String,
        /// What is wrong there.
        error: Box<SettingsError>,
    },
    /// Several things are wrong.
    #[error("{}", lines(.0))]
    Several(Vec<SettingsError>),
    /// The text is not TOML, or not JSON.
    #[error("this is not {format}: {problem}")]
    Syntax {
        /// `TOML` or `JSON`.
        format: &'static str,
        /// How it goes wrong.
        problem: String,
    },
    /// There is no such field.
    #[error("there is no setting `{field}`{}", meant(.nearest.as_deref(), known))]
    Unknown {
        /// The field, with those that it stands in.
        field: String,
        /// The field that was probably meant.
        nearest: Option<String>,
        /// The fields that there are.
        known: &'static [&'static str],
    },
    /// A field has a value that it cannot have.
    #[error("the setting `{field}` cannot be {value}: {problem}")]
    Invalid {
        /// The field.
        field: String,
        /// Its value, in quotes.
        value: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A field has a value of another type, or lacks one.
    #[error("the setting `{field}` is wrong: {problem}")]
    Type {
        /// The field.
        field: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Two folders have one name.
    #[error("two folders are named {0}: give each a name of its own")]
    FolderTwice(FolderName),
    /// Two folders share a directory.
    #[error("{} and {} cannot be two folders: one lies in the other", one.display(), other.display())]
    DirectoryTwice {
        /// One directory.
        one: PathBuf,
        /// The other.
        other: PathBuf,
    },
    /// There is no cluster key.
    #[error(
        "there is no cluster key: make one with `replicat keygen`, and give it to all nodes of the cluster as cluster_key or cluster_key_file"
    )]
    NoClusterKey,
    /// The file of the cluster key cannot be used.
    #[error("cannot use the cluster key in {}: {problem}", path.display())]
    ClusterKeyFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

impl SettingsError {
    /// A field cannot have this value.
    #[must_use]
    pub fn invalid(field: &str, value: &str, problem: String) -> Self {
        Self::Invalid {
            field: field.to_owned(),
            value: format!("{value:?}"),
            problem,
        }
    }
}

impl SettingsError {
    /// One error of all that are wrong.
    ///
    /// # Errors
    /// If something is wrong.
    pub fn of_all(mut errors: Vec<Self>) -> Result<(), Self> {
        match errors.len() {
            0 => Ok(()),
            1 => errors.pop().map_or(Ok(()), Err),
            _ => Err(Self::Several(errors)),
        }
    }
}

fn meant(nearest: Option<&str>, known: &[&str]) -> String {
    match nearest {
        Some(nearest) => format!(": did you mean `{nearest}`?"),
        None => format!("; there are {}", known.join(", ")),
    }
}

fn lines(errors: &[SettingsError]) -> String {
    let lines: Vec<_> = errors.iter().map(ToString::to_string).collect();
    lines.join("; ")
}
