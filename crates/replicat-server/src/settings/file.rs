//! Settings from files: TOML, or JSON where the name ends in `.json`.

use std::path::Path;

use replicat_net::ClusterKey;

use super::Settings;
use super::directories;
use super::error::SettingsError;
use super::reading::{Format, Text};

impl Settings {
    /// Reads a file: JSON if its name ends in `.json`, else TOML. Relative paths in it are relative to the file. A
    /// leading `~` of a path is left to [`Settings::expand_home`].
    ///
    /// # Errors
    /// If it cannot be read, is neither, or has fields that there are not or values that cannot be: all of them are named.
    pub fn from_file(path: &Path) -> Result<Self, SettingsError> {
        let (settings, errors) = Self::check_file(path);
        SettingsError::of_all(errors)?;
        Ok(settings)
    }

    /// As [`Settings::from_file`], and leaves out what cannot be: what is left, and all that is wrong.
    #[must_use]
    pub fn check_file(path: &Path) -> (Self, Vec<SettingsError>) {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(source) => {
                let path = path.to_owned();
                return (Self::default(), vec![SettingsError::Read { path, source }]);
            }
        };
        let file = path.display().to_string();
        let is_json = path.extension().is_some_and(|name| name == "json");
        let format = if is_json { Format::Json } else { Format::Toml };
        let (mut settings, errors) = Text {
            text: &text,
            format,
            file: Some(&file),
        }
        .read();
        if let Some(directory) = path.parent() {
            settings.rebase(directory);
        }
        (settings, errors)
    }

    /// Reads TOML.
    ///
    /// # Errors
    /// As [`Settings::from_file`].
    pub fn from_toml(text: &str) -> Result<Self, SettingsError> {
        from_text(text, Format::Toml)
    }

    /// Reads JSON.
    ///
    /// # Errors
    /// As [`Settings::from_file`].
    pub fn from_json(text: &str) -> Result<Self, SettingsError> {
        from_text(text, Format::Json)
    }

    fn rebase(&mut self, directory: &Path) {
        // A directory whose name has a colon is still one of this host.
        let here = if directories::is_remote_place(directory) {
            "./"
        } else {
            ""
        };
        let directory = Path::new(here).join(directory);
        for (_, path) in self.paths_mut() {
            // A leading `~` is no directory below that of the file.
            if !directories::has_tilde(path) {
                *path = directory.join(&*path);
            }
        }
    }
}

fn from_text(text: &str, format: Format) -> Result<Settings, SettingsError> {
    let (settings, errors) = Text {
        text,
        format,
        file: None,
    }
    .read();
    SettingsError::of_all(errors)?;
    Ok(settings)
}

/// The cluster key on the first line of a file.
pub(super) fn cluster_key(path: &Path) -> Result<ClusterKey, SettingsError> {
    let failed = |problem: String| SettingsError::ClusterKeyFile {
        path: path.to_owned(),
        problem,
    };
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    let line = text.lines().next().unwrap_or_default();
    line.parse()
        .map_err(|error: replicat_net::ClusterKeyError| failed(error.to_string()))
}
