//! One change: what happened, where, and through whom it came.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use replicat_core::path::RelPath;

/// One change of one path.
///
/// ```
/// use std::time::SystemTime;
/// use replicat_server::{Event, EventName, RelPath};
///
/// let event = Event {
///     source: "laptop".to_owned(),
///     name: EventName::TrackerRename,
///     path: RelPath::new(b"letters/new")?,
///     source_path: Some(RelPath::new(b"letters/old")?),
///     time: SystemTime::now(),
///     is_directory: false,
///     network_source: Some("nas".to_owned()),
/// };
/// assert_eq!(event.name.to_string(), "replicat.Rename");
/// # Ok::<(), replicat_core::path::PathError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The name of the node at which the change was made.
    pub source: String,
    /// What happened.
    pub name: EventName,
    /// The path; of a rename, the new one.
    pub path: RelPath,
    /// Of a rename, the path before.
    pub source_path: Option<RelPath>,
    /// When it was noticed here.
    pub time: SystemTime,
    /// Whether it is or was a directory.
    pub is_directory: bool,
    /// The name of the node that the change came through; `None` if it was made here.
    pub network_source: Option<String>,
}

impl Event {
    /// An event of this node, now.
    #[must_use]
    pub fn here(source: impl Into<String>, name: EventName, path: RelPath) -> Self {
        Self {
            source: source.into(),
            name,
            path,
            source_path: None,
            time: SystemTime::now(),
            is_directory: false,
            network_source: None,
        }
    }
}

/// What happened to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventName {
    /// It came into being: `notify.Create`.
    Create,
    /// It went: `notify.Remove`.
    Remove,
    /// It was renamed in this node's storage: `notify.Rename`. Without a path before, only one half of that was seen: the path
    /// went to where nobody watches.
    Rename,
    /// What it holds or how it is described changed: `notify.Write`.
    Write,
    /// It was renamed elsewhere, and this node did the same: `replicat.Rename`.
    TrackerRename,
    /// A peer was met, with whom this node compares all that it knows: `replicat.Catalog`.
    Catalog,
    /// A peer, the source, asks for the content of a file that this node holds: `replicat.FileRequest`.
    FileRequest,
}

/// A text that is no name of an event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no name of an event")]
pub struct EventNameError(String);

impl EventName {
    const ALL: [(Self, &str); 7] = [
        (Self::Create, "notify.Create"),
        (Self::Remove, "notify.Remove"),
        (Self::Rename, "notify.Rename"),
        (Self::Write, "notify.Write"),
        (Self::TrackerRename, "replicat.Rename"),
        (Self::Catalog, "replicat.Catalog"),
        (Self::FileRequest, "replicat.FileRequest"),
    ];

    /// The name as text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        let found = Self::ALL.iter().find(|(name, _)| *name == self);
        found.map_or("", |(_, text)| text)
    }
}

impl fmt::Display for EventName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl FromStr for EventName {
    type Err = EventNameError;

    fn from_str(text: &str) -> Result<Self, EventNameError> {
        let found = Self::ALL.iter().find(|(_, known)| *known == text);
        found
            .map(|(name, _)| *name)
            .ok_or_else(|| EventNameError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_old() {
        let names: Vec<_> = EventName::ALL
            .iter()
            .map(|(name, _)| name.to_string())
            .collect();
        assert_eq!(
            names,
            [
                "notify.Create",
                "notify.Remove",
                "notify.Rename",
                "notify.Write",
                "replicat.Rename",
                "replicat.Catalog",
                "replicat.FileRequest"
            ]
        );
        for (name, text) in EventName::ALL {
            assert_eq!(text.parse(), Ok(name));
        }
        assert!("notify.Open".parse::<EventName>().is_err());
    }
}
