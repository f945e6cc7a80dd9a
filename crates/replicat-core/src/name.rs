//! The name of a folder, by which people know it.

use std::fmt;
use std::str::FromStr;

/// The longest name of a folder, in bytes.
const FOLDER_NAME_BYTES_MAX: usize = 128;

/// The name of a folder, the same on all nodes: 1 to 128 bytes of text without control characters and slashes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FolderName(String);

/// A text that is no name of a folder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} cannot name a folder: use 1 to {FOLDER_NAME_BYTES_MAX} bytes without slashes, `=` and control characters"
)]
pub struct FolderNameError(String);

impl FolderName {
    /// The name of a folder whose name nobody gave.
    pub const DEFAULT: &str = "default";

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for FolderName {
    fn default() -> Self {
        Self(Self::DEFAULT.to_owned())
    }
}

impl FromStr for FolderName {
    type Err = FolderNameError;

    fn from_str(text: &str) -> Result<Self, FolderNameError> {
        let forbidden = |letter: char| letter.is_control() || matches!(letter, '/' | '=');
        let fits = (1..=FOLDER_NAME_BYTES_MAX).contains(&text.len());
        if !fits || text.chars().any(forbidden) || text.starts_with('.') {
            let shown = text.chars().take(FOLDER_NAME_BYTES_MAX).collect();
            return Err(FolderNameError(shown));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for FolderName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
