//! Directories as people write them: what looks like a place on another host, and what `~` stands for.
//!
//! The home directory is handed in, so that the library never reads the environment.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::Settings;
use super::error::SettingsError;

/// What a folder of a node begins with.
const FOLDER_SCHEME: &str = "replicat://";

/// Whether `path` looks like a place on another host, and not like a directory: it begins with `SCHEME://`, or has a
/// colon before its first slash, as in rsync.
///
/// ```
/// use replicat_server::settings::is_remote_place;
///
/// assert!(is_remote_place("user@host:/srv".as_ref()));
/// assert!(is_remote_place("s3://bucket/site".as_ref()));
/// assert!(!is_remote_place("./user@host:x".as_ref()));
/// assert!(!is_remote_place("/srv/12:30".as_ref()));
/// ```
#[must_use]
pub fn is_remote_place(path: &Path) -> bool {
    let bytes = path.as_os_str().as_encoded_bytes();
    let first = bytes.split(|&byte| byte == b'/').next();
    first.is_some_and(|first| first.contains(&b':'))
}

/// Whether `path` is written as a folder of a node: `replicat://HOST:PORT/FOLDER`.
#[must_use]
pub fn is_folder_of_node(path: &Path) -> bool {
    let bytes = path.as_os_str().as_encoded_bytes();
    bytes.starts_with(FOLDER_SCHEME.as_bytes())
}

/// Refuses a directory of the setting `field` that looks like a place on another host, or begins with `~user`.
pub(super) fn check_directory(field: &str, path: &Path) -> Result<(), SettingsError> {
    let text = path.to_string_lossy();
    if is_remote_place(path) {
        let problem = format!(
            "it looks like a place on another host, and a directory of this host is wanted; nodes are named as \
             `nodes`, and a directory of that name is ./{text}"
        );
        return Err(SettingsError::invalid(field, &text, problem));
    }
    match after_tilde(path) {
        Some(Tilde::OfUser) => {
            let problem = format!(
                "only ~ and ~/ stand for a home directory: write the whole path, or ./{text} for a directory of that name"
            );
            Err(SettingsError::invalid(field, &text, problem))
        }
        Some(Tilde::Home(_)) | None => Ok(()),
    }
}

/// Whether `path` begins with a `~` that stands for a home directory.
pub(super) fn has_tilde(path: &Path) -> bool {
    after_tilde(path).is_some()
}

/// What a leading `~` says.
enum Tilde<'path> {
    /// The home directory, and what is below.
    Home(&'path Path),
    /// That of a user who is named.
    OfUser,
}

fn after_tilde(path: &Path) -> Option<Tilde<'_>> {
    let mut components = path.components();
    let first = components.next()?.as_os_str();
    if first == OsStr::new("~") {
        return Some(Tilde::Home(components.as_path()));
    }
    let names_user = first.as_encoded_bytes().starts_with(b"~");
    names_user.then_some(Tilde::OfUser)
}

impl Settings {
    /// Puts `home` in the place of a leading `~` of each path.
    ///
    /// # Errors
    /// If a path begins with `~` and `home` is not known, or with `~user`.
    pub fn expand_home(&mut self, home: Option<&Path>) -> Result<(), SettingsError> {
        for (field, path) in self.paths_mut() {
            expand(&field, path, home)?;
        }
        Ok(())
    }

    /// All paths, with the names of their fields.
    pub(super) fn paths_mut(&mut self) -> impl Iterator<Item = (String, &mut PathBuf)> {
        let own = [
            ("cluster_key_file", &mut self.cluster_key_file),
            ("control_socket", &mut self.control_socket),
            ("node_state", &mut self.node_state),
            ("folders_directory", &mut self.folders_directory),
            ("http_certificate", &mut self.http_certificate),
            ("http_key", &mut self.http_key),
        ];
        let accepted = self.accept_cluster_key_files.iter_mut();
        let accepted = accepted.map(|path| ("accept_cluster_key_files".to_owned(), path));
        let own = own
            .into_iter()
            .filter_map(|(field, path)| Some((field.to_owned(), path.as_mut()?)));
        let folders = self.folders.iter_mut().flat_map(|folder| {
            let field = |field: &str| format!("folders.{}.{field}", folder.name);
            let directory = Some((field("directory"), &mut folder.directory));
            let named = field("state_dir");
            let state = folder.state_dir.as_mut().map(|path| (named, path));
            directory.into_iter().chain(state)
        });
        own.chain(accepted).chain(folders)
    }
}

fn expand(field: &str, path: &mut PathBuf, home: Option<&Path>) -> Result<(), SettingsError> {
    let text = path.to_string_lossy().into_owned();
    match after_tilde(path) {
        None => return Ok(()),
        Some(Tilde::OfUser) => return check_directory(field, path),
        Some(Tilde::Home(below)) => {
            let Some(home) = home.filter(|home| home.is_absolute()) else {
                let problem =
                    "HOME does not say what ~ stands for: write the whole path".to_owned();
                return Err(SettingsError::invalid(field, &text, problem));
            };
            *path = home.join(below);
        }
    }
    Ok(())
}
