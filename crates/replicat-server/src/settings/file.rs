//! Settings from files: TOML, or JSON where the name ends in `.json`.

use std::path::Path;

use replicat_net::ClusterKey;
use serde_json::Value;

use super::error::SettingsError;
use super::{Settings, fields, place};

impl Settings {
    /// Reads a file: JSON if its name ends in `.json`, else TOML. Relative paths in it are relative to the file. A
    /// leading `~` of a path is left to [`Settings::expand_home`].
    ///
    /// # Errors
    /// If it cannot be read, is neither, or has a field that there is not or a value that cannot be.
    pub fn from_file(path: &Path) -> Result<Self, SettingsError> {
        let text = std::fs::read_to_string(path).map_err(|source| SettingsError::Read {
            path: path.to_owned(),
            source,
        })?;
        let place = path.display().to_string();
        let is_json = path.extension().is_some_and(|name| name == "json");
        let mut settings = match is_json {
            true => parse_json(&text, &place)?,
            false => parse_toml(&text, &place)?,
        };
        if let Some(directory) = path.parent() {
            settings.rebase(directory);
        }
        Ok(settings)
    }

    /// Reads TOML.
    ///
    /// # Errors
    /// As [`Settings::from_file`].
    pub fn from_toml(text: &str) -> Result<Self, SettingsError> {
        parse_toml(text, "the text")
    }

    /// Reads JSON.
    ///
    /// # Errors
    /// As [`Settings::from_file`].
    pub fn from_json(text: &str) -> Result<Self, SettingsError> {
        parse_json(text, "the text")
    }

    fn rebase(&mut self, directory: &Path) {
        // A directory whose name has a colon is still one of this host.
        let here = if place::is_remote_place(directory) {
            "./"
        } else {
            ""
        };
        let directory = Path::new(here).join(directory);
        for (_, path) in self.paths_mut() {
            // A leading `~` is no directory below that of the file.
            if !place::has_tilde(path) {
                *path = directory.join(&*path);
            }
        }
    }
}

fn parse_toml(text: &str, place: &str) -> Result<Settings, SettingsError> {
    let value = toml::from_str(text).map_err(|error| SettingsError::Syntax {
        place: place.to_owned(),
        format: "TOML",
        problem: error.to_string().trim().to_owned(),
    })?;
    from_value(value)
}

fn parse_json(text: &str, place: &str) -> Result<Settings, SettingsError> {
    let value = serde_json::from_str(text).map_err(|error| SettingsError::Syntax {
        place: place.to_owned(),
        format: "JSON",
        problem: error.to_string(),
    })?;
    from_value(value)
}

fn from_value(value: Value) -> Result<Settings, SettingsError> {
    fields::check(&value)?;
    let settings: Settings =
        serde_path_to_error::deserialize(value).map_err(|error| SettingsError::Type {
            field: error.path().to_string(),
            problem: error.into_inner().to_string(),
        })?;
    settings.check()?;
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
