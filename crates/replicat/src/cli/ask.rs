//! The commands that ask a running node, here or elsewhere.

use std::path::{Path, PathBuf};

use replicat::control::json::Object;
use replicat::control::{Command, PathText, client};
use replicat::http::client::ApiClient;

use super::elsewhere::{UrlArguments, path_text};
use super::failure::Failure;
use super::live_arguments::{
    AskArguments, EventsArguments, OneFolderArguments, RescanArguments, SessionArguments,
    SocketArguments, StandingArguments,
};
use super::output::Output;
use super::socket;
use super::teller::Teller;

/// A running node.
pub(crate) enum Asked {
    /// One of this host, by its socket.
    Socket(PathBuf),
    /// One that is reached over HTTP.
    Api(Box<ApiClient>),
}

impl Asked {
    /// The one that is meant.
    pub(crate) fn find(socket: &SocketArguments, url: &UrlArguments) -> Result<Self, Failure> {
        match url.client()? {
            Some(client) => Ok(Self::Api(Box::new(client))),
            None => Self::on_this_host(socket.node_socket.as_deref()),
        }
    }

    /// One of this host: the one that is named, or the only one.
    pub(crate) fn on_this_host(named: Option<&Path>) -> Result<Self, Failure> {
        Ok(Self::Socket(socket::find(named)?))
    }

    /// Asks, and calls `take` with each object of the answer.
    pub(crate) fn ask(
        &self,
        command: &Command,
        take: impl FnMut(Object) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        match self {
            Self::Socket(path) => client::ask(path, command, take),
            Self::Api(client) => client.ask(command, take),
        }
    }

    /// Asks, and tells what is answered.
    pub(crate) fn tell(&self, command: &Command, teller: &Teller) -> Result<(), Failure> {
        self.ask(command, |object| Ok(teller.tell(&object)?))
    }
}

/// How a node stands.
pub(crate) fn status(arguments: &StandingArguments) -> Result<Object, Failure> {
    let asked = Asked::find(&arguments.socket, &arguments.url)?;
    let mut node = Object::new();
    asked.ask(&Command::Status, |object| {
        node = object;
        Ok(())
    })?;
    Ok(node)
}

/// `replicat status --follow` of a node.
pub(crate) fn follow_status(arguments: &StandingArguments, teller: &Teller) -> Result<(), Failure> {
    let client = arguments.url.required()?;
    client.follow_node(|node| Ok(teller.tell(&node)?))
}

/// `replicat nodes`.
pub(crate) fn nodes(arguments: &AskArguments, output: Output) -> Result<(), Failure> {
    tell(arguments, &Command::Nodes, output)
}

/// `replicat folders`.
pub(crate) fn folders(arguments: &AskArguments, output: Output) -> Result<(), Failure> {
    tell(arguments, &Command::Folders, output)
}

/// `replicat configuration`.
pub(crate) fn configuration(arguments: &AskArguments, output: Output) -> Result<(), Failure> {
    tell(arguments, &Command::Configuration, output)
}

/// `replicat session`.
pub(crate) fn session(arguments: &SessionArguments, output: Output) -> Result<(), Failure> {
    let session = arguments.url.required()?.session()?;
    Ok(Teller::new(arguments.json, output).tell(&session)?)
}

/// `replicat events`.
pub(crate) fn events(arguments: &EventsArguments, output: Output) -> Result<(), Failure> {
    let command = Command::Events {
        follow: arguments.follow,
    };
    tell(&arguments.ask, &command, output)
}

/// `replicat pause`.
pub(crate) fn pause(arguments: &OneFolderArguments, output: Output) -> Result<(), Failure> {
    let folder = arguments.folder.clone();
    tell(&arguments.ask, &Command::Pause { folder }, output)
}

/// `replicat resume`.
pub(crate) fn resume(arguments: &OneFolderArguments, output: Output) -> Result<(), Failure> {
    let folder = arguments.folder.clone();
    tell(&arguments.ask, &Command::Resume { folder }, output)
}

/// `replicat rescan`.
pub(crate) fn rescan(arguments: &RescanArguments, output: Output) -> Result<(), Failure> {
    let paths = arguments.paths.iter().map(|path| path_text(path));
    let paths = paths.collect::<Result<Vec<PathText>, _>>()?;
    let folder = arguments.folder.clone();
    tell(&arguments.ask, &Command::Rescan { folder, paths }, output)
}

/// Asks the node that is meant, and tells what it answers.
fn tell(arguments: &AskArguments, command: &Command, output: Output) -> Result<(), Failure> {
    let asked = Asked::find(&arguments.socket, &arguments.url)?;
    asked.tell(command, &Teller::new(arguments.json, output))
}
