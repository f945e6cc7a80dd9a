//! Nodes and managers on other hosts, as commands are told of them.

use std::env;
use std::fs;
use std::path::{Component, Path, PathBuf};

use clap::Args;
use replicat::control::{Command, PathText};
use replicat::http::client::{ApiAddress, ApiClient};
use replicat_core::path::RelPath;

use super::ask::Asked;
use super::failure::Failure;
use super::fields;
use super::json::Object;
use super::live_arguments::SocketArguments;
use super::teller::Teller;

/// What opens an API.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Another host")]
pub(crate) struct AccessArguments {
    /// The token to show there; others on this host can see it here
    /// [env: REPLICAT_TOKEN]
    #[arg(
        long,
        value_name = "TOKEN",
        conflicts_with = "token_file",
        global = true
    )]
    pub(crate) token: Option<String>,
    /// Read the token from the first line of FILE [env: REPLICAT_TOKEN_FILE]
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) token_file: Option<PathBuf>,
    /// Trust certificates that those in FILE (PEM) have signed, in place of the system's
    #[arg(long, value_name = "FILE", env = "REPLICAT_CA_FILE", global = true)]
    pub(crate) ca_file: Option<PathBuf>,
}

impl AccessArguments {
    /// Speaks with whoever serves HTTP at `address`.
    pub(crate) fn client(&self, address: &ApiAddress) -> Result<ApiClient, Failure> {
        let token = self.token()?;
        let client = ApiClient::new(address.clone(), &token, self.ca_file.as_deref());
        Ok(client?)
    }

    /// The token that an option names, else one that a variable does.
    fn token(&self) -> Result<String, Failure> {
        let variable = |name| env::var_os(name).filter(|value| !value.is_empty());
        match (&self.token, &self.token_file) {
            (Some(token), _) => Ok(token.clone()),
            (None, Some(path)) => first_line(path),
            (None, None) => match variable("REPLICAT_TOKEN") {
                // What is no text is no token, which is said then.
                Some(token) => Ok(token.to_string_lossy().into_owned()),
                None => match variable("REPLICAT_TOKEN_FILE") {
                    Some(path) => first_line(Path::new(&path)),
                    None => Err(Failure::NoToken),
                },
            },
        }
    }
}

fn first_line(path: &Path) -> Result<String, Failure> {
    let text = fs::read_to_string(path).map_err(|source| Failure::TokenFile {
        path: path.to_owned(),
        source,
    })?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// A node on another host.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Another host")]
pub(crate) struct UrlArguments {
    /// Ask the node that serves HTTP there: HOST:PORT, or https://HOST
    #[arg(long, value_name = "URL", env = "REPLICAT_URL")]
    pub(crate) url: Option<ApiAddress>,
    #[command(flatten)]
    pub(crate) access: AccessArguments,
}

impl UrlArguments {
    /// The node there, if one is named.
    pub(crate) fn client(&self) -> Result<Option<ApiClient>, Failure> {
        let client = self.url.as_ref().map(|url| self.access.client(url));
        client.transpose()
    }

    /// The node there, which has to be named.
    pub(crate) fn required(&self) -> Result<ApiClient, Failure> {
        self.client()?.ok_or(Failure::NoUrl)
    }
}

/// A folder of a node, in place of a directory of this host.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Another host")]
pub(crate) struct FolderOfNodeArguments {
    /// The folder there, in which paths are then [default: the only one]
    #[arg(long, value_name = "NAME", env = "REPLICAT_FOLDER")]
    pub(crate) folder: Option<String>,
    #[command(flatten)]
    pub(crate) url: UrlArguments,
}

/// The node that keeps a directory: one of this host, by its socket, or one elsewhere, by its URL.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct KeeperArguments {
    #[command(flatten)]
    pub(crate) socket: SocketArguments,
    #[command(flatten)]
    pub(crate) folder: FolderOfNodeArguments,
}

impl KeeperArguments {
    /// The folder that is named; `None` if a directory of this host is meant.
    pub(crate) fn find(&self) -> Result<Option<FolderOfNode>, Failure> {
        self.folder.find(self.named())
    }

    /// The socket that is named.
    pub(crate) fn named(&self) -> Option<&Path> {
        self.socket.node_socket.as_deref()
    }
}

impl FolderOfNodeArguments {
    /// The folder that is meant; `None` if it is a directory of this host. `socket` names a node of this host.
    fn find(&self, socket: Option<&Path>) -> Result<Option<FolderOfNode>, Failure> {
        let asked = match (self.url.client()?, &self.folder) {
            (Some(client), _) => Asked::Api(Box::new(client)),
            (None, Some(_)) => Asked::on_this_host(socket)?,
            (None, None) => return Ok(None),
        };
        let folder = match &self.folder {
            Some(folder) => folder.clone(),
            None => only_folder(&asked)?,
        };
        Ok(Some(FolderOfNode { asked, folder }))
    }

    /// The same, of what is done over HTTP alone.
    pub(crate) fn required(&self) -> Result<(ApiClient, String), Failure> {
        if self.url.url.is_none() {
            return Err(Failure::NoUrl);
        }
        match self.find(None)? {
            Some(FolderOfNode {
                asked: Asked::Api(client),
                folder,
            }) => Ok((*client, folder)),
            _ => Err(Failure::NoUrl),
        }
    }
}

/// The name of the only folder of a node.
fn only_folder(asked: &Asked) -> Result<String, Failure> {
    let mut names = Vec::new();
    asked.ask(&Command::Folders, |folder| {
        names.push(fields::text(&folder, "name").to_owned());
        Ok(())
    })?;
    match names.len() {
        1 => Ok(names.remove(0)),
        _ => Err(Failure::WhichFolder(names)),
    }
}

/// A folder of a node that runs.
pub(crate) struct FolderOfNode {
    asked: Asked,
    folder: String,
}

impl FolderOfNode {
    /// The node, and the name of the folder.
    pub(crate) fn into_parts(self) -> (Asked, String) {
        (self.asked, self.folder)
    }

    /// Asks for what `command` makes of the folder's name, and calls `take` with each object of the answer.
    pub(crate) fn ask(
        self,
        command: impl FnOnce(String) -> Command,
        take: impl FnMut(Object) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.asked.ask(&command(self.folder), take)
    }

    /// Asks for what `command` makes of the folder's name, and tells what is answered.
    pub(crate) fn tell(
        self,
        command: impl FnOnce(String) -> Command,
        teller: &Teller,
    ) -> Result<(), Failure> {
        self.asked.tell(&command(self.folder), teller)
    }
}

/// A path within a folder, as people write it: `docs/list`, `./docs/list` or `/docs/list`.
pub(crate) fn path_in_folder(given: &Path) -> Result<RelPath, Failure> {
    let wrong = |problem: String| Failure::Path {
        path: given.to_owned(),
        problem,
    };
    let mut inner = PathBuf::new();
    for component in given.components() {
        match component {
            Component::Normal(name) => inner.push(name),
            Component::ParentDir => {
                return Err(wrong("in a folder, .. leads nowhere".to_owned()));
            }
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    RelPath::new(inner.as_os_str().as_encoded_bytes()).map_err(|problem| wrong(problem.to_string()))
}

/// The same, as it is asked for.
pub(crate) fn path_text(given: &Path) -> Result<PathText, Failure> {
    path_in_folder(given).map(|path| PathText::from(&path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_in_a_folder_begins_at_its_root() {
        for (given, path) in [
            ("docs/list", "docs/list"),
            ("./docs/./list", "docs/list"),
            ("/docs/list/", "docs/list"),
            (".", ""),
        ] {
            let found = path_in_folder(Path::new(given)).unwrap();
            assert_eq!(found.as_bytes(), path.as_bytes(), "{given}");
        }
        let climbing = path_in_folder(Path::new("a/../../b"));
        assert!(matches!(climbing, Err(Failure::Path { .. })));
    }
}
