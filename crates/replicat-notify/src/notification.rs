//! What is told.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub enum Kind {
    /// Conflicts were kept as copies: `conflict`.
    Conflict,
    /// A brake holds deletions back: `brake`.
    Brake,
    /// A folder stopped by itself: `halted`.
    Halted,
    /// A node has been away for long: `node-lost`.
    NodeLost,
    /// What was told before is over: `in-sync`.
    InSync,
}

/// A text that names no kind of notification.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no kind of notification; there are: conflict, brake, halted, node-lost, in-sync")]
pub struct KindError(String);

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 5] = [
        Self::Conflict,
        Self::Brake,
        Self::Halted,
        Self::NodeLost,
        Self::InSync,
    ];

    /// The kind as one word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::Brake => "brake",
            Self::Halted => "halted",
            Self::NodeLost => "node-lost",
            Self::InSync => "in-sync",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = KindError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| KindError(text.to_owned()))
    }
}

impl TryFrom<String> for Kind {
    type Error = KindError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Kind> for &'static str {
    fn from(kind: Kind) -> Self {
        kind.as_str()
    }
}

/// Something that a person should hear of.
///
/// ```
/// use replicat_notify::{Kind, Notification};
///
/// let mut notification = Notification::new(Kind::Brake, "office", "folder site waits for approval");
/// notification.folder = Some("site".to_owned());
/// let object = notification.to_json();
/// assert_eq!(object["kind"], "brake");
/// assert_eq!(object["node"], serde_json::Value::Null);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Notification {
    /// What happened.
    pub kind: Kind,
    /// Who tells it: the name of a node, or of a manager.
    pub by: String,
    /// When it was noticed.
    pub time: SystemTime,
    /// The folder that it is about.
    pub folder: Option<String>,
    /// The other node that it is about.
    pub node: Option<String>,
    /// It, for people. File names in it are escaped.
    pub text: String,
    /// What else programs may want to know.
    pub details: Map<String, Value>,
    /// Tells it from all others.
    id: u64,
}

impl Notification {
    /// A notification of this moment, about no folder and no node yet.
    #[must_use]
    pub fn new(kind: Kind, by: &str, text: impl Into<String>) -> Self {
        Self {
            kind,
            by: by.to_owned(),
            time: SystemTime::now(),
            folder: None,
            node: None,
            text: text.into(),
            details: Map::new(),
            id: fastrand::u64(..),
        }
    }

    /// As it is delivered.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let time = jiff::Timestamp::try_from(self.time).ok();
        let mut object = Map::new();
        let mut put = |key: &str, value: Value| object.insert(key.to_owned(), value);
        put("type", "notification".into());
        put("kind", self.kind.as_str().into());
        put("id", format!("{:016x}", self.id).into());
        put("by", self.by.as_str().into());
        put("time", time.map(|time| time.to_string()).into());
        put("folder", self.folder.as_deref().into());
        put("node", self.node.as_deref().into());
        put("text", self.text.as_str().into());
        object.extend(self.details.clone());
        object.into()
    }
}
