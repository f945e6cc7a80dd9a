//! The commands that look at one root, or settle something in it; or at a folder of a node.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use replicat::control::{Command, PathText, inspection};
use replicat::engine::inspect;
use replicat::error::{ExitCode, SyncError};
use replicat::inspection::Status;
use replicat::options::{Cancellation, RootLocation};
use replicat_core::path::RelPath;
use replicat_fs::filter::STATE_DIRECTORY_NAME;

use super::arguments::{
    ForgetArguments, LookArguments, PathArguments, ResolveArguments, RevertArguments,
    RootArguments, StatusArguments, TargetArguments, TreeArguments,
};
use super::ask::{self, Asked};
use super::check::Standing;
use super::elsewhere::{FolderOfNode, KeeperArguments, path_text};
use super::failure::Failure;
use super::json::Object;
use super::output::Output;
use super::socket::{self, Kept};
use super::target::{self, Target};
use super::teller::Teller;
use super::wait::{self, Wait, WaitArguments};
use super::{look_json, look_text};

/// `replicat status`: of a root, or of the node that runs here or elsewhere.
pub(crate) fn status(arguments: &StatusArguments, output: Output) -> Result<ExitCode, Failure> {
    let json = arguments.look.json;
    let teller = Teller::new(json, output);
    if arguments.node.follow {
        ask::follow_status(&arguments.node, &teller)?;
        return Ok(ExitCode::InSync);
    }
    if arguments.check {
        let standing = match standing(arguments) {
            Ok(Stood::Root(status)) => Standing::of(&look_json::status(&status)),
            Ok(Stood::Told(object)) => Standing::of(&object),
            Err(failure) => Standing::of_failure(failure)?,
        };
        return standing.tell(json, output);
    }
    match standing(arguments)? {
        Stood::Told(object) => teller.tell(&object)?,
        Stood::Root(status) => {
            let object = look_json::status(&status);
            teller.tell_as(&object, || look_text::status(&status, teller.zone()))?;
        }
    }
    Ok(ExitCode::InSync)
}

/// How something stands.
enum Stood {
    /// A root, by its index.
    Root(Box<Status>),
    /// A node, or a folder of one, as the node tells.
    Told(Object),
}

fn standing(arguments: &StatusArguments) -> Result<Stood, Failure> {
    let place = &arguments.look.place;
    let named = arguments.node.socket.node_socket.as_deref();
    let root = match &arguments.root {
        Some(root) => root.clone(),
        None => {
            let here = Path::new(".");
            let is_root = here.join(OsStr::from_bytes(STATE_DIRECTORY_NAME)).is_dir();
            if arguments.node.names_one() || !(is_root || place.state_dir.is_some()) {
                return Ok(Stood::Told(ask::status(&arguments.node)?));
            }
            here.to_owned()
        }
    };
    // The node knows what no index says: that the folder is halted, say.
    if let Some(kept) = socket::serving(&root, named) {
        return Ok(Stood::Told(kept.folder));
    }
    let status = {
        let location = target::location(&root, place);
        waiting(arguments.look.wait, || inspect::status(&location))?
    };
    Ok(Stood::Root(Box::new(status)))
}

/// Whether a node may keep the root: it has locked the index, or has it where this command does not look.
pub(crate) fn is_kept_elsewhere(error: &SyncError) -> bool {
    matches!(
        error,
        SyncError::Locked { .. } | SyncError::NotReplica { .. }
    )
}

/// `replicat conflicts`.
pub(crate) fn conflicts(arguments: &RootArguments, output: Output) -> Result<(), Failure> {
    let teller = Teller::new(arguments.look.json, output);
    let command = |folder| Command::Conflicts { folder };
    match root(arguments)? {
        Subject::Folder(folder) => folder.tell(command, &teller),
        Subject::Kept(kept) => tell_kept(&kept, command, &teller),
        Subject::Root(location) => {
            match waiting(arguments.look.wait, || inspect::conflicts(&location)) {
                Err(error) if is_kept_elsewhere(&error) => {
                    match socket::serving(&location.root, None) {
                        Some(kept) => tell_kept(&kept, command, &teller),
                        None => Err(error.into()),
                    }
                }
                other => other?
                    .iter()
                    .try_for_each(|conflict| Ok(teller.tell(&look_json::conflict(conflict))?)),
            }
        }
    }
}

/// `replicat approve`.
pub(crate) fn approve(arguments: &RootArguments, output: Output) -> Result<(), Failure> {
    let teller = Teller::new(arguments.look.json, output);
    let command = |folder| Command::Approve {
        folder: Some(folder),
    };
    let Some((root, approved)) = settle(arguments, command, &teller, inspect::approve)? else {
        return Ok(());
    };
    let object = look_json::approval(&root, approved);
    Ok(teller.tell_as(&object, || vec![look_text::approval(&root, approved)])?)
}

/// `replicat reject`.
pub(crate) fn reject(arguments: &RootArguments, output: Output) -> Result<(), Failure> {
    let teller = Teller::new(arguments.look.json, output);
    let command = |folder| Command::Reject {
        folder: Some(folder),
    };
    let Some((root, rejected)) = settle(arguments, command, &teller, inspect::reject)? else {
        return Ok(());
    };
    let object = look_json::rejection(&root, rejected);
    Ok(teller.tell_as(&object, || vec![look_text::rejection(&root, rejected)])?)
}

/// `replicat forget`.
pub(crate) fn forget(arguments: &ForgetArguments, output: Output) -> Result<(), Failure> {
    let ForgetArguments { replica, place } = arguments;
    let teller = Teller::new(place.look.json, output);
    let command = |folder| Command::Forget {
        folder,
        replica: replica.clone(),
    };
    let forget = |location: &RootLocation| inspect::forget(location, replica);
    let Some((_, forgotten)) = settle(place, command, &teller, forget)? else {
        return Ok(());
    };
    Ok(teller.tell(&inspection::forgotten(&forgotten))?)
}

/// Sends a command to the node that keeps a root, and prints its answer. If no node does, `act` runs on the root, which is
/// returned with the result.
fn settle<T>(
    arguments: &RootArguments,
    command: impl FnOnce(String) -> Command,
    teller: &Teller,
    act: impl Fn(&RootLocation) -> Result<T, SyncError>,
) -> Result<Option<(PathBuf, T)>, Failure> {
    let location = match root(arguments)? {
        Subject::Folder(folder) => return folder.tell(command, teller).map(|()| None),
        Subject::Kept(kept) => return tell_kept(&kept, command, teller).map(|()| None),
        Subject::Root(location) => location,
    };
    if let Some(kept) = socket::serving(&location.root, None) {
        return tell_kept(&kept, command, teller).map(|()| None);
    }
    let done = waiting(arguments.look.wait, || act(&location))?;
    Ok(Some((location.root, done)))
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

/// `replicat revert`: only a node that runs knows what the others refuse.
pub(crate) fn revert(arguments: &RevertArguments, output: Output) -> Result<(), Failure> {
    let RevertArguments {
        paths,
        dry_run,
        json,
        node,
    } = arguments;
    let teller = Teller::new(*json, output);
    let command = |folder, paths: Vec<PathText>| Command::Revert {
        folder,
        paths: match paths.contains(&PathText::of(Vec::new())) {
            true => Vec::new(),
            false => paths,
        },
        dry_run: *dry_run,
    };
    if let Some(folder) = node.find()? {
        let paths = paths.iter().map(|path| path_text(path));
        let paths = paths.collect::<Result<Vec<_>, _>>()?;
        return folder.tell(|folder| command(folder, paths), &teller);
    }
    let here = [PathBuf::from(".")];
    let given = if paths.is_empty() { &here[..] } else { paths };
    let mut meant: BTreeMap<(PathBuf, String), Vec<PathText>> = BTreeMap::new();
    for path in given {
        let kept = socket::keeper(path, node.named())
            .ok_or_else(|| Failure::NotKept { path: path.clone() })?;
        let of_folder = meant.entry((kept.socket.clone(), kept.name())).or_default();
        of_folder.push(PathText::from(&kept.path));
    }
    for ((socket, folder), paths) in meant {
        Asked::Socket(socket).tell(&command(folder, paths), &teller)?;
    }
    Ok(())
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
    (target, node, look): (&TargetArguments, &KeeperArguments, &LookArguments),
    output: Output,
    command: impl FnOnce(String, PathText) -> Command,
    inspect: impl Fn(&RootLocation, &RelPath) -> Result<Vec<Object>, SyncError>,
) -> Result<(), Failure> {
    let teller = Teller::new(look.json, output);
    if let Some(folder) = node.find()? {
        let path = path_text(&target.path)?;
        return folder.tell(|folder| command(folder, path), &teller);
    }
    let found = match place_of(&target.path, target.root.as_deref(), node, look)? {
        Found::Kept(kept) => Err(*kept),
        Found::Root(Target { location, path }) => {
            match waiting(look.wait, || inspect(&location, &path)) {
                Err(error) if is_kept_elsewhere(&error) => {
                    Err(socket::keeper(&target.path, node.named()).ok_or(error)?)
                }
                rows => Ok(rows?),
            }
        }
    };
    match found {
        Ok(rows) => Ok(rows.iter().try_for_each(|row| teller.tell(row))?),
        Err(kept) => {
            let path = PathText::from(&kept.path);
            tell_kept(&kept, |folder| command(folder, path), &teller)
        }
    }
}

/// `replicat tree`.
pub(crate) fn tree(arguments: &TreeArguments, output: Output) -> Result<(), Failure> {
    let TreeArguments {
        path,
        root,
        node,
        look,
    } = arguments;
    let teller = Teller::new(look.json, output);
    let command = |path| move |folder| Command::Tree { folder, path };
    if let Some(folder) = node.find()? {
        return folder.tell(command(path_text(path)?), &teller);
    }
    let kept = match place_of(path, root.as_deref(), node, look)? {
        Found::Kept(kept) => *kept,
        Found::Root(target) => {
            match waiting(look.wait, || inspect::tree(&target.location, &target.path)) {
                Err(error) if is_kept_elsewhere(&error) => {
                    socket::keeper(path, node.named()).ok_or(error)?
                }
                rows => {
                    for row in rows? {
                        teller.tell(&look_json::tree(&row?))?;
                    }
                    return Ok(());
                }
            }
        }
    };
    let path = PathText::from(&kept.path);
    tell_kept(&kept, command(path), &teller)
}

/// Where a path of this host is looked at.
pub(crate) enum Found {
    /// A root, by its index.
    Root(Target),
    /// A folder of a node that runs.
    Kept(Box<Kept>),
}

/// The root that a path lies in; the node that keeps it, if one is named or the root's state is not beside it.
pub(crate) fn place_of(
    path: &Path,
    root: Option<&Path>,
    node: &KeeperArguments,
    look: &LookArguments,
) -> Result<Found, Failure> {
    let kept = || socket::keeper(path, node.named());
    if let Some(kept) = node.named().and_then(|_| kept()) {
        return Ok(Found::Kept(Box::new(kept)));
    }
    match target::find(path, root, &look.place) {
        Err(error @ Failure::NoRoot { .. }) => match kept() {
            Some(kept) => Ok(Found::Kept(Box::new(kept))),
            None => Err(error),
        },
        target => Ok(Found::Root(target?)),
    }
}

/// Does something with a root, and waits for it as the user says; but not for a node, which can be asked.
pub(crate) fn waiting<T>(
    wait: WaitArguments,
    work: impl FnMut() -> Result<T, SyncError>,
) -> Result<T, SyncError> {
    let limit = |error: &SyncError| match error {
        SyncError::Locked { root, holder }
            if holder.socket.is_none() && socket::serving(root, None).is_none() =>
        {
            wait.limit()
        }
        _ => Wait::No,
    };
    wait::while_locked(&Cancellation::default(), limit, work)
}

/// What is looked at.
enum Subject {
    Root(RootLocation),
    Folder(FolderOfNode),
    Kept(Box<Kept>),
}

/// A directory of this host, or a folder of a node.
fn root(arguments: &RootArguments) -> Result<Subject, Failure> {
    let RootArguments { root, node, look } = arguments;
    match (node.find()?, root) {
        (Some(_), Some(root)) => Err(Failure::RootAndFolder(root.clone())),
        (Some(folder), None) => Ok(Subject::Folder(folder)),
        (None, root) => {
            let root = root.clone().unwrap_or_else(|| PathBuf::from("."));
            let named = node.named();
            if let Some(kept) = named.and_then(|named| socket::serving(&root, Some(named))) {
                return Ok(Subject::Kept(Box::new(kept)));
            }
            Ok(Subject::Root(target::location(&root, &look.place)))
        }
    }
}

/// Asks the node that keeps a folder, and tells what it answers.
fn tell_kept(
    kept: &Kept,
    command: impl FnOnce(String) -> Command,
    teller: &Teller,
) -> Result<(), Failure> {
    let asked = Asked::Socket(kept.socket.clone());
    asked.tell(&command(kept.name()), teller)
}
