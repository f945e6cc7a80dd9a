//! The commands that look at one root, or settle something in it.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use jiff::tz::TimeZone;
use replicat::control::json::{self, Object};
use replicat::control::{Command, PathText};
use replicat::engine::inspect;
use replicat::error::SyncError;
use replicat::inspection::{Keep, Resolution, Restoration, Revision};
use replicat::options::RootLocation;
use replicat_core::path::RelPath;
use replicat_fs::filter::STATE_DIRECTORY_NAME;
use serde_json::Value;

use super::arguments::{
    KeepChoice, LookArguments, PathArguments, ResolveArguments, RestoreArguments, RootArguments,
    StatusArguments, TargetArguments, TreeArguments,
};
use super::failure::Failure;
use super::output::{Format, Output};
use super::target::{self, Target};
use super::{ask, look_json, look_text, node_text, socket};

/// `replicat status`: of a root, or of the node that runs here.
pub(crate) fn status(arguments: &StatusArguments, output: Output) -> Result<(), Failure> {
    let place = &arguments.look.place;
    let root = match &arguments.root {
        Some(root) => root.clone(),
        None => {
            let here = Path::new(".");
            let is_root = here.join(OsStr::from_bytes(STATE_DIRECTORY_NAME)).is_dir();
            let is_asked = arguments.socket.node_socket.is_some();
            if is_asked || !(is_root || place.state_dir.is_some()) {
                return ask::status(&arguments.socket, arguments.look.json, output);
            }
            here.to_owned()
        }
    };
    let location = target::location(&root, place);
    let zone = TimeZone::system();
    let status = match inspect::status(&location) {
        Err(error @ SyncError::Locked { .. }) => {
            let Some((_, folder)) = socket::serving(&root) else {
                return Err(error.into());
            };
            match format(&arguments.look) {
                Format::Json => output.object(&folder)?,
                Format::Text => print(output, &node_text::lines(&folder, &zone))?,
            }
            return Ok(());
        }
        other => other?,
    };
    match format(&arguments.look) {
        Format::Json => output.object(&look_json::status(&status))?,
        Format::Text => print(output, &look_text::status(&status, &zone))?,
    }
    Ok(())
}

/// `replicat conflicts`.
pub(crate) fn conflicts(arguments: &RootArguments, output: Output) -> Result<(), Failure> {
    let location = target::location(&arguments.root, &arguments.look.place);
    let conflicts = match inspect::conflicts(&location) {
        Err(error @ SyncError::Locked { .. }) => {
            let command = |folder| Command::Conflicts { folder };
            return tell_keeper(&location, error, &arguments.look, command, output);
        }
        other => other?,
    };
    let zone = TimeZone::system();
    for conflict in &conflicts {
        match format(&arguments.look) {
            Format::Json => output.object(&look_json::conflict(conflict))?,
            Format::Text => print(output, &look_text::conflict(conflict, &zone))?,
        }
    }
    Ok(())
}

/// `replicat resolve`.
pub(crate) fn resolve(arguments: &ResolveArguments, output: Output) -> Result<(), Failure> {
    let Target { location, path } = find(&arguments.target, &arguments.look)?;
    let keep = Keep::from(arguments.keep);
    let resolution = match inspect::resolve(&location, &path, keep) {
        Err(error @ SyncError::Locked { .. }) => {
            resolve_live(&location, &path, arguments.keep, error)?
        }
        other => other?,
    };
    match format(&arguments.look) {
        Format::Json => output.object(&look_json::resolution(&resolution))?,
        Format::Text => output.line(&look_text::resolution(&resolution))?,
    }
    Ok(())
}

/// `replicat history`.
pub(crate) fn history(arguments: &PathArguments, output: Output) -> Result<(), Failure> {
    let Target { location, path } = find(&arguments.target, &arguments.look)?;
    let rows = match inspect::history(&location, &path) {
        Err(error @ SyncError::Locked { .. }) => {
            let path = PathText::from(&path);
            let command = |folder| Command::History { folder, path };
            return tell_keeper(&location, error, &arguments.look, command, output);
        }
        other => other?,
    };
    let zone = TimeZone::system();
    for row in &rows {
        match format(&arguments.look) {
            Format::Json => output.object(&look_json::history(row))?,
            Format::Text => output.line(&look_text::history(row, &zone))?,
        }
    }
    Ok(())
}

/// `replicat restore`.
pub(crate) fn restore(arguments: &RestoreArguments, output: Output) -> Result<(), Failure> {
    let Target { location, path } = find(&arguments.target, &arguments.look)?;
    let revision = arguments.revision.map(Revision);
    let restoration = match inspect::restore(&location, &path, revision) {
        Err(error @ SyncError::Locked { .. }) => restore_live(&location, &path, revision, error)?,
        other => other?,
    };
    match format(&arguments.look) {
        Format::Json => output.object(&look_json::restoration(&restoration))?,
        Format::Text => output.line(&look_text::restoration(&restoration))?,
    }
    Ok(())
}

/// `replicat why`.
pub(crate) fn why(arguments: &PathArguments, output: Output) -> Result<(), Failure> {
    let Target { location, path } = find(&arguments.target, &arguments.look)?;
    let explanation = match inspect::why(&location, &path) {
        Err(error @ SyncError::Locked { .. }) => {
            let path = PathText::from(&path);
            let command = |folder| Command::Why { folder, path };
            return tell_keeper(&location, error, &arguments.look, command, output);
        }
        other => other?,
    };
    match format(&arguments.look) {
        Format::Json => output.object(&look_json::explanation(&explanation))?,
        Format::Text => print(output, &look_text::explanation(&explanation))?,
    }
    Ok(())
}

/// `replicat approve`.
pub(crate) fn approve(arguments: &RootArguments, output: Output) -> Result<(), Failure> {
    let location = target::location(&arguments.root, &arguments.look.place);
    if let Some((socket, folder)) = socket::serving(&arguments.root) {
        let folder = folder_name(&folder);
        let command = Command::Approve { folder };
        return ask::at(&socket, arguments.look.json, &command, output);
    }
    let approved = inspect::approve(&location)?;
    match format(&arguments.look) {
        Format::Json => output.object(&look_json::approval(&arguments.root, approved))?,
        Format::Text => output.line(&look_text::approval(&arguments.root, approved))?,
    }
    Ok(())
}

/// `replicat tree`.
pub(crate) fn tree(arguments: &TreeArguments, output: Output) -> Result<(), Failure> {
    let place = &arguments.look.place;
    let Target { location, path } =
        target::find(&arguments.path, arguments.root.as_deref(), place)?;
    let zone = TimeZone::system();
    let tree = match inspect::tree(&location, &path) {
        Err(error @ SyncError::Locked { .. }) => {
            let path = PathText::from(&path);
            let command = |folder| Command::Tree { folder, path };
            return tell_keeper(&location, error, &arguments.look, command, output);
        }
        other => other?,
    };
    for row in tree {
        let row = row?;
        match format(&arguments.look) {
            Format::Json => output.object(&look_json::tree(&row))?,
            Format::Text => output.line(&look_text::tree(&row, &zone))?,
        }
    }
    Ok(())
}

fn folder_name(folder: &Object) -> Option<String> {
    let name = folder.get("name").and_then(|name| name.as_str());
    name.map(str::to_owned)
}

/// Asks the node that keeps a root, which has locked it; `locked` is the error if no node is found.
fn ask_keeper(
    location: &RootLocation,
    locked: SyncError,
    command: impl FnOnce(String) -> Command,
) -> Result<Object, Failure> {
    let Some((socket, folder)) = socket::serving(&location.root) else {
        return Err(locked.into());
    };
    let command = command(folder_name(&folder).unwrap_or_default());
    ask::one(&socket, &command)?.ok_or_else(|| locked.into())
}

/// Asks the node that keeps a root, and prints what it answers.
fn tell_keeper(
    location: &RootLocation,
    locked: SyncError,
    look: &LookArguments,
    command: impl FnOnce(String) -> Command,
    output: Output,
) -> Result<(), Failure> {
    let Some((socket, folder)) = socket::serving(&location.root) else {
        return Err(locked.into());
    };
    let command = command(folder_name(&folder).unwrap_or_default());
    ask::at(&socket, look.json, &command, output)
}

fn resolve_live(
    location: &RootLocation,
    path: &RelPath,
    keep: KeepChoice,
    locked: SyncError,
) -> Result<Resolution, Failure> {
    let word = match keep {
        KeepChoice::Winner => "winner",
        KeepChoice::Copy => "copy",
        KeepChoice::Both => "both",
        KeepChoice::Local => "local",
    };
    let answer = ask_keeper(location, locked, |folder| Command::Resolve {
        folder,
        path: path.into(),
        keep: word.to_owned(),
    })?;
    Ok(Resolution {
        path: json::path(&answer, "path").unwrap_or_else(|| path.clone()),
        copy: json::path(&answer, "copy"),
        kept: keep.into(),
    })
}

fn restore_live(
    location: &RootLocation,
    path: &RelPath,
    revision: Option<Revision>,
    locked: SyncError,
) -> Result<Restoration, Failure> {
    let answer = ask_keeper(location, locked, |folder| Command::Restore {
        folder,
        path: path.into(),
        revision: revision.map(|revision| revision.0),
    })?;
    let number = |key: &str| answer.get(key).and_then(Value::as_u64);
    let restored = number("revision").and_then(|number| number.try_into().ok());
    Ok(Restoration {
        path: json::path(&answer, "path").unwrap_or_else(|| path.clone()),
        revision: Revision(restored.unwrap_or_default()),
        size: number("size").unwrap_or_default(),
    })
}

fn format(look: &LookArguments) -> Format {
    Format::by_flag(look.json)
}

fn find(target: &TargetArguments, look: &LookArguments) -> Result<Target, Failure> {
    target::find(&target.path, target.root.as_deref(), &look.place)
}

fn print(output: Output, lines: &[String]) -> io::Result<()> {
    lines.iter().try_for_each(|line| output.line(line))
}
