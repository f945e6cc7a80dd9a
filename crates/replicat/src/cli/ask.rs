//! The commands that ask a running node.

use std::path::Path;

use jiff::tz::TimeZone;
use replicat::control::json::Object;
use replicat::control::{Command, PathText, client};
use replicat_core::path::RelPath;

use super::failure::Failure;
use super::live_arguments::{
    AskArguments, EventsArguments, OneFolderArguments, RescanArguments, SocketArguments,
};
use super::output::{Format, Output};
use super::{node_text, socket};

/// `replicat status` of a node.
pub(crate) fn status(socket: &SocketArguments, json: bool, output: Output) -> Result<(), Failure> {
    tell(socket, json, &Command::Status, output)
}

/// `replicat nodes`.
pub(crate) fn nodes(arguments: &AskArguments, output: Output) -> Result<(), Failure> {
    tell(&arguments.socket, arguments.json, &Command::Nodes, output)
}

/// `replicat folders`.
pub(crate) fn folders(arguments: &AskArguments, output: Output) -> Result<(), Failure> {
    tell(&arguments.socket, arguments.json, &Command::Folders, output)
}

/// `replicat events`.
pub(crate) fn events(arguments: &EventsArguments, output: Output) -> Result<(), Failure> {
    let command = Command::Events {
        follow: arguments.follow,
    };
    let AskArguments { socket, json } = &arguments.ask;
    tell(socket, *json, &command, output)
}

/// `replicat pause`.
pub(crate) fn pause(arguments: &OneFolderArguments, output: Output) -> Result<(), Failure> {
    let folder = arguments.folder.clone();
    let AskArguments { socket, json } = &arguments.ask;
    tell(socket, *json, &Command::Pause { folder }, output)
}

/// `replicat resume`.
pub(crate) fn resume(arguments: &OneFolderArguments, output: Output) -> Result<(), Failure> {
    let folder = arguments.folder.clone();
    let AskArguments { socket, json } = &arguments.ask;
    tell(socket, *json, &Command::Resume { folder }, output)
}

/// `replicat rescan`.
pub(crate) fn rescan(arguments: &RescanArguments, output: Output) -> Result<(), Failure> {
    let path = |given: &std::path::PathBuf| {
        let path = RelPath::new(given.as_os_str().as_encoded_bytes());
        let path = path.map_err(|problem| Failure::Path {
            path: given.clone(),
            problem: problem.to_string(),
        })?;
        Ok(PathText::from(&path))
    };
    let paths = arguments
        .paths
        .iter()
        .map(path)
        .collect::<Result<_, Failure>>()?;
    let folder = arguments.folder.clone();
    let AskArguments { socket, json } = &arguments.ask;
    tell(socket, *json, &Command::Rescan { folder, paths }, output)
}

/// Asks the node that is meant, and prints what it answers.
fn tell(
    socket: &SocketArguments,
    json: bool,
    command: &Command,
    output: Output,
) -> Result<(), Failure> {
    let socket = socket::find(socket.node_socket.as_deref())?;
    at(&socket, json, command, output)
}

/// Asks the node at `socket`, and prints what it answers.
pub(crate) fn at(
    socket: &Path,
    json: bool,
    command: &Command,
    output: Output,
) -> Result<(), Failure> {
    let zone = TimeZone::system();
    let format = Format::by_flag(json);
    client::ask(socket, command, |object| {
        print(&object, format, &zone, output)
    })
}

fn print(object: &Object, format: Format, zone: &TimeZone, output: Output) -> Result<(), Failure> {
    match format {
        Format::Json => output.object(object)?,
        Format::Text => {
            for line in node_text::lines(object, zone) {
                output.line(&line)?;
            }
        }
    }
    Ok(())
}

/// Asks the node at `socket` for one object.
pub(crate) fn one(socket: &Path, command: &Command) -> Result<Option<Object>, Failure> {
    let mut answer = None;
    client::ask::<Failure>(socket, command, |object| {
        answer = Some(object);
        Ok(())
    })?;
    Ok(answer)
}
