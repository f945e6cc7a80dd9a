//! The directories that a command line names: none may look like a place on another host.
//!
//! Paths within a root are left alone: a name in a root may hold a colon.

use std::path::PathBuf;

use replicat::settings::{is_folder_of_node, is_remote_place};

use super::arguments::Command;
use super::elsewhere::KeeperArguments;
use super::failure::{Failure, Wanted};

/// Refuses a directory that looks like a place on another host.
pub(crate) fn check(command: &Command) -> Result<(), Failure> {
    if let Command::Sync(arguments) = command {
        let folder = |root: &&PathBuf| !is_folder_of_node(root);
        check_all(arguments.roots.iter().filter(folder), Wanted::Replica)?;
    }
    check_all(directories(command), Wanted::Directory)
}

fn check_all<'a>(
    directories: impl IntoIterator<Item = &'a PathBuf>,
    wanted: Wanted,
) -> Result<(), Failure> {
    let mut directories = directories.into_iter();
    match directories.find(|directory| is_remote_place(directory)) {
        Some(place) => Err(Failure::RemotePlace {
            place: place.clone(),
            wanted,
        }),
        None => Ok(()),
    }
}

/// The directories that a command names, without the roots of a sync and what settings say.
fn directories(command: &Command) -> Vec<&PathBuf> {
    let found = match command {
        Command::Sync(arguments) => [None, arguments.place.state_dir.as_ref()],
        Command::Serve(arguments) => [None, arguments.with_manager.manager_state.as_ref()],
        Command::Manager(arguments) => [None, arguments.manager_state.as_ref()],
        Command::Api(arguments) => [
            arguments.node_state.as_ref(),
            arguments.manager_state.as_ref(),
        ],
        Command::Status(arguments) => [
            arguments.root.as_ref(),
            arguments.look.place.state_dir.as_ref(),
        ],
        Command::Conflicts(arguments)
        | Command::Approve(arguments)
        | Command::Reject(arguments) => [
            arguments.root.as_ref(),
            arguments.look.place.state_dir.as_ref(),
        ],
        Command::Resolve(arguments) => [
            arguments.target.root.as_ref(),
            arguments.look.place.state_dir.as_ref(),
        ],
        Command::History(arguments) | Command::Why(arguments) => [
            arguments.target.root.as_ref(),
            arguments.look.place.state_dir.as_ref(),
        ],
        Command::Restore(arguments) => [
            arguments.root.as_ref(),
            arguments.look.place.state_dir.as_ref(),
        ],
        Command::Tree(arguments) => {
            let local = is_of_this_host(&arguments.node).then_some(&arguments.path);
            [
                arguments.root.as_ref().or(local),
                arguments.look.place.state_dir.as_ref(),
            ]
        }
        _ => [None, None],
    };
    found.into_iter().flatten().collect()
}

/// Whether paths are meant as those of this host, and not of a folder of a node.
fn is_of_this_host(node: &KeeperArguments) -> bool {
    node.folder.folder.is_none() && node.folder.url.url.is_none()
}
