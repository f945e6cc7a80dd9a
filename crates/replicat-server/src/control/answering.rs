//! What a node does at a command, whoever brings it: the local socket or the HTTP API.

use std::io;
use std::time::Duration;

use replicat_core::path::RelPath;
use replicat_engine::SyncError;
use replicat_engine::engine::inspect::Question;
use replicat_engine::inspection::Keep;
use replicat_engine::live::{FileReader, Precondition, Upload};

use super::json::{self, Object};
use super::{Command, PathText, inspection, restoring, selecting};
use crate::server::{ReplicatServer, ServerError};

/// How often a follower is looked after though nothing happens.
pub(super) const FOLLOW_INTERVAL: Duration = Duration::from_millis(500);

/// Why a command was not carried out.
#[derive(Debug)]
pub enum Refusal {
    /// The node refused.
    Server(Box<ServerError>),
    /// A folder refused.
    Sync(Box<SyncError>),
    /// The command was not understood.
    Usage(String),
    /// Whoever asked is gone.
    Gone,
}

impl From<ServerError> for Refusal {
    fn from(error: ServerError) -> Self {
        Self::Server(Box::new(error))
    }
}

impl From<SyncError> for Refusal {
    fn from(error: SyncError) -> Self {
        Self::Sync(Box::new(error))
    }
}

impl From<io::Error> for Refusal {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

impl Refusal {
    /// It as an `error`.
    #[must_use]
    pub fn object(&self) -> Object {
        match self {
            Self::Server(error) => json::error(
                error.kind(),
                &error.to_string(),
                error.hint(),
                error.exit_code() as u8,
            ),
            Self::Sync(error) => json::error(
                error.kind(),
                &error.to_string(),
                error.hint(),
                error.exit_code() as u8,
            ),
            Self::Usage(message) => {
                let usage = replicat_engine::ExitCode::Usage as u8;
                json::error("usage", message, None, usage)
            }
            Self::Gone => Object::new(),
        }
    }
}

/// Where an answer goes.
pub(super) trait Answer {
    /// Adds an object to it.
    fn put(&mut self, object: Object) -> io::Result<()>;
    /// Whether nobody takes it any more.
    fn is_gone(&self) -> bool;
}

impl Answer for Vec<Object> {
    fn put(&mut self, object: Object) -> io::Result<()> {
        self.push(object);
        Ok(())
    }

    fn is_gone(&self) -> bool {
        // A list cannot be added to for ever.
        true
    }
}

/// Carries a command out, and returns the objects of its answer. May wait for disks.
///
/// # Errors
/// If the node refuses, or cannot do it.
pub fn answer(server: &ReplicatServer, command: Command) -> Result<Vec<Object>, Refusal> {
    let mut objects = Vec::new();
    carry_out(server, command, &mut objects)?;
    Ok(objects)
}

/// Opens a file of a folder for reading, see [`LiveFolder::read`](replicat_engine::live::LiveFolder::read).
///
/// # Errors
/// As there, or if there is no such folder.
pub fn read(server: &ReplicatServer, folder: &str, path: &RelPath) -> Result<FileReader, Refusal> {
    Ok(server.live(folder)?.read(path)?)
}

/// Begins a file of a folder, see [`LiveFolder::upload`](replicat_engine::live::LiveFolder::upload).
///
/// # Errors
/// As there, or if there is no such folder.
pub fn upload(
    server: &ReplicatServer,
    folder: &str,
    path: &RelPath,
    size: u64,
) -> Result<Upload, Refusal> {
    Ok(server.live(folder)?.upload(path, size)?)
}

/// Moves a file of a folder to the trash, see [`LiveFolder::remove`](replicat_engine::live::LiveFolder::remove).
///
/// # Errors
/// As there, or if there is no such folder.
pub fn remove(
    server: &ReplicatServer,
    folder: &str,
    path: &RelPath,
    precondition: Precondition,
) -> Result<(), Refusal> {
    Ok(server.live(folder)?.remove(path, precondition)?)
}

pub(super) fn carry_out(
    server: &ReplicatServer,
    command: Command,
    answer: &mut dyn Answer,
) -> Result<(), Refusal> {
    match command {
        Command::Status => answer.put(json::node(&server.report()))?,
        Command::Nodes => {
            let cluster = server.cluster_id().to_string();
            for node in server.nodes() {
                answer.put(json::peer(&node, &cluster))?;
            }
        }
        Command::Folders => {
            for folder in server.folders() {
                answer.put(json::folder(&folder))?;
            }
        }
        Command::Events { follow } => events(server, follow, answer)?,
        Command::Configuration => answer.put(json::configuration(&server.settings()))?,
        Command::Pause { folder } => {
            let paused = server.pause(folder.as_deref())?;
            answer.put(json::done_to("paused", &paused))?;
        }
        Command::Resume { folder } => {
            let resumed = server.resume(folder.as_deref())?;
            answer.put(json::done_to("resumed", &resumed))?;
        }
        Command::Rescan { folder, paths } => {
            let paths = paths.iter().map(path_of).collect::<Result<Vec<_>, _>>()?;
            let rescanned = server.rescan(folder.as_deref(), &paths)?;
            answer.put(json::done_to("rescanning", &rescanned))?;
        }
        Command::Approve { folder } => {
            let approved = server.approve(folder.as_deref())?;
            answer.put(json::done_to("approved", &approved))?;
        }
        Command::Reject { folder } => {
            let rejected = server.reject(folder.as_deref())?;
            answer.put(json::done_to("rejected", &rejected))?;
        }
        of_folder => carry_out_in_folder(server, of_folder, answer)?,
    }
    Ok(())
}

fn carry_out_in_folder(
    server: &ReplicatServer,
    command: Command,
    answer: &mut dyn Answer,
) -> Result<(), Refusal> {
    if let Some(objects) = restoring::carry_out(server, &command)? {
        return Ok(objects.into_iter().try_for_each(|row| answer.put(row))?);
    }
    if let Some(object) = selecting::carry_out(server, &command)? {
        answer.put(object)?;
        return Ok(());
    }
    let (folder, question) = match command {
        Command::Selection { folder } => (folder, Question::Selection),
        Command::Conflicts { folder } => (folder, Question::Conflicts),
        Command::History { folder, path } => (folder, Question::History(path_of(&path)?)),
        Command::Why { folder, path } => (folder, Question::Why(path_of(&path)?)),
        Command::Tree { folder, path } => (folder, Question::Tree(path_of(&path)?)),
        Command::List {
            folder,
            path,
            after,
            limit,
        } => {
            let level = Question::Level {
                directory: path_of(&path)?,
                after: after
                    .map(|name| name.bytes())
                    .transpose()
                    .map_err(Refusal::Usage)?,
                limit,
            };
            (folder, level)
        }
        Command::Resolve { folder, path, keep } => {
            let resolution = server
                .live(&folder)?
                .resolve(path_of(&path)?, keep_of(&keep)?)?;
            answer.put(inspection::resolution(&resolution))?;
            return Ok(());
        }
        Command::Forget { folder, replica } => {
            let forgotten = server.live(&folder)?.forget(replica)?;
            answer.put(inspection::forgotten(&forgotten))?;
            return Ok(());
        }
        Command::Trash { folder } => (folder, Question::Trash),
        Command::Revert {
            folder,
            paths,
            dry_run,
        } => {
            let paths = paths.iter().map(path_of).collect::<Result<Vec<_>, _>>()?;
            let changes = server.live(&folder)?.revert(paths, dry_run)?;
            answer.put(inspection::reverted(&changes, dry_run))?;
            return Ok(());
        }
        // The rest is not about one folder.
        _ => return Ok(()),
    };
    let found = server.live(&folder)?.inspect(question)?;
    for row in inspection::rows(&found) {
        answer.put(row)?;
    }
    Ok(())
}

fn path_of(path: &PathText) -> Result<RelPath, Refusal> {
    path.path().map_err(Refusal::Usage)
}

fn keep_of(word: &str) -> Result<Keep, Refusal> {
    match word {
        "winner" => Ok(Keep::Winner),
        "copy" => Ok(Keep::Copy),
        "both" => Ok(Keep::Both),
        "local" => Ok(Keep::Local),
        other => Err(Refusal::Usage(format!(
            "{other:?} is none of winner, copy, both, local"
        ))),
    }
}

/// Tells of the events that are kept; with `follow` of those that come, until whoever follows is gone.
fn events(server: &ReplicatServer, follow: bool, answer: &mut dyn Answer) -> Result<(), Refusal> {
    let mut next = 0;
    let mut patience = Duration::ZERO;
    while let Some((records, after)) = server.events_since(next, patience) {
        for record in &records {
            answer.put(json::event(record))?;
        }
        if !follow || answer.is_gone() {
            return Ok(());
        }
        next = after;
        patience = FOLLOW_INTERVAL;
    }
    Ok(())
}
