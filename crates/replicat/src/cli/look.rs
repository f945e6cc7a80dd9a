//! The commands that look at one root, or settle something in it; or at a folder of a node.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use replicat::control::{Command, PathText};
use replicat::engine::inspect;
use replicat::error::SyncError;
use replicat::options::RootLocation;
use replicat_core::path::RelPath;
use replicat_fs::filter::STATE_DIRECTORY_NAME;

use super::arguments::{
    LookArguments, PathArguments, ResolveArguments, RootArguments, StatusArguments,
    TargetArguments, TreeArguments,
};
use super::ask::{self, Asked};
use super::elsewhere::{FolderOfNode, FolderOfNodeArguments, path_text};
use super::failure::Failure;
use super::json::Object;
use super::output::Output;
use super::target::{self, Target};
use super::teller::Teller;
use super::{fields, look_json, look_text, socket};

/// `replicat status`: of a root, or of the node that runs here or elsewhere.
pub(crate) fn status(arguments: &StatusArguments, output: Output) -> Result<(), Failure> {
    let place = &arguments.look.place;
    let teller = Teller::new(arguments.look.json, output);
    let root = match &arguments.root {
        Some(root) => root.clone(),
        None => {
            let here = Path::new(".");
            let is_root = here.join(OsStr::from_bytes(STATE_DIRECTORY_NAME)).is_dir();
            if arguments.node.names_one() || !(is_root || place.state_dir.is_some()) {
                return ask::status(&arguments.node, &teller);
            }
            here.to_owned()
        }
    };
    let location = target::location(&root, place);
    let status = match inspect::status(&location) {
        Err(error @ SyncError::Locked { .. }) => {
            let Some((_, folder)) = socket::serving(&root) else {
                return Err(error.into());
            };
            return Ok(teller.tell(&folder)?);
        }
        other => other?,
    };
    let object = look_json::status(&status);
    Ok(teller.tell_as(&object, || look_text::status(&status, teller.zone()))?)
}

/// `replicat conflicts`.
pub(crate) fn conflicts(arguments: &RootArguments, output: Output) -> Result<(), Failure> {
    let teller = Teller::new(arguments.look.json, output);
    let command = |folder| Command::Conflicts { folder };
    let location = match root(arguments)? {
        Subject::Folder(folder) => return folder.tell(command, &teller),
        Subject::Root(location) => location,
    };
    match inspect::conflicts(&location) {
        Err(error @ SyncError::Locked { .. }) => tell_keeper(&location, error, command, &teller),
        other => other?
            .iter()
            .try_for_each(|conflict| Ok(teller.tell(&look_json::conflict(conflict))?)),
    }
}

/// `replicat approve`.
pub(crate) fn approve(arguments: &RootArguments, output: Output) -> Result<(), Failure> {
    let teller = Teller::new(arguments.look.json, output);
    let command = |folder| Command::Approve {
        folder: Some(folder),
    };
    let location = match root(arguments)? {
        Subject::Folder(folder) => return folder.tell(command, &teller),
        Subject::Root(location) => location,
    };
    let root = &location.root;
    if let Some((socket, folder)) = socket::serving(root) {
        let name = fields::text(&folder, "name").to_owned();
        return Asked::Socket(socket).tell(&command(name), &teller);
    }
    let approved = inspect::approve(&location)?;
    let object = look_json::approval(root, approved);
    Ok(teller.tell_as(&object, || vec![look_text::approval(root, approved)])?)
}

/// `replicat resolve`.
pub(crate) fn resolve(arguments: &ResolveArguments, output: Output) -> Result<(), Failure> {
    let keep = arguments.keep;
    let place = (&arguments.target, &arguments.node, &arguments.look);
    let command = |folder, path| Command::Resolve {
        folder,
        path,
        keep: keep.word().to_owned(),
    };
    tell_of_path(place, output, command, |location, path| {
        let resolution = inspect::resolve(location, path, keep.into())?;
        Ok(vec![look_json::resolution(&resolution)])
    })
}

/// `replicat history`.
pub(crate) fn history(arguments: &PathArguments, output: Output) -> Result<(), Failure> {
    let place = (&arguments.target, &arguments.node, &arguments.look);
    let command = |folder, path| Command::History { folder, path };
    tell_of_path(place, output, command, |location, path| {
        let rows = inspect::history(location, path)?;
        Ok(rows.iter().map(look_json::history).collect())
    })
}

/// `replicat why`.
pub(crate) fn why(arguments: &PathArguments, output: Output) -> Result<(), Failure> {
    let place = (&arguments.target, &arguments.node, &arguments.look);
    let command = |folder, path| Command::Why { folder, path };
    tell_of_path(place, output, command, |location, path| {
        let explanation = inspect::why(location, path)?;
        Ok(vec![look_json::explanation(&explanation)])
    })
}

/// Tells of a path what `command` brings of a node, or `inspect` of a root that no node keeps.
fn tell_of_path(
    (target, node, look): (&TargetArguments, &FolderOfNodeArguments, &LookArguments),
    output: Output,
    command: impl FnOnce(String, PathText) -> Command,
    inspect: impl FnOnce(&RootLocation, &RelPath) -> Result<Vec<Object>, SyncError>,
) -> Result<(), Failure> {
    let teller = Teller::new(look.json, output);
    if let Some(folder) = node.find()? {
        let path = path_text(&target.path)?;
        return folder.tell(|folder| command(folder, path), &teller);
    }
    let Target { location, path } =
        target::find(&target.path, target.root.as_deref(), &look.place)?;
    match inspect(&location, &path) {
        Err(error @ SyncError::Locked { .. }) => {
            let command = |folder| command(folder, PathText::from(&path));
            tell_keeper(&location, error, command, &teller)
        }
        rows => Ok(rows?.iter().try_for_each(|row| teller.tell(row))?),
    }
}

/// `replicat tree`.
pub(crate) fn tree(arguments: &TreeArguments, output: Output) -> Result<(), Failure> {
    let teller = Teller::new(arguments.look.json, output);
    let command = |path| move |folder| Command::Tree { folder, path };
    if let Some(folder) = arguments.node.find()? {
        return folder.tell(command(path_text(&arguments.path)?), &teller);
    }
    let place = &arguments.look.place;
    let Target { location, path } =
        target::find(&arguments.path, arguments.root.as_deref(), place)?;
    match inspect::tree(&location, &path) {
        Err(error @ SyncError::Locked { .. }) => {
            tell_keeper(&location, error, command(PathText::from(&path)), &teller)
        }
        other => {
            for row in other? {
                teller.tell(&look_json::tree(&row?))?;
            }
            Ok(())
        }
    }
}

/// What is looked at.
enum Subject {
    Root(RootLocation),
    Folder(FolderOfNode),
}

/// A directory of this host, or a folder of a node.
fn root(arguments: &RootArguments) -> Result<Subject, Failure> {
    let RootArguments { root, node, look } = arguments;
    match (node.find()?, root) {
        (Some(_), Some(root)) => Err(Failure::RootAndFolder(root.clone())),
        (Some(folder), None) => Ok(Subject::Folder(folder)),
        (None, root) => {
            let root = root.clone().unwrap_or_else(|| PathBuf::from("."));
            Ok(Subject::Root(target::location(&root, &look.place)))
        }
    }
}

/// Asks the node that keeps a root, which has locked it, and tells what it answers; `locked` is the error if no node is found.
fn tell_keeper(
    location: &RootLocation,
    locked: SyncError,
    command: impl FnOnce(String) -> Command,
    teller: &Teller,
) -> Result<(), Failure> {
    let Some((socket, folder)) = socket::serving(&location.root) else {
        return Err(locked.into());
    };
    let name = fields::text(&folder, "name").to_owned();
    Asked::Socket(socket).tell(&command(name), teller)
}
