//! `replicat trash`: what the trash of a root holds, and removing it for good.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::{Args, Subcommand};
use replicat::control::{Command, PathText, restoring};
use replicat::engine::inspect;
use replicat::restoration::TrashSelection;
use replicat::trash_limits::{TrashAge, TrashSize};

use super::arguments::RootArguments;
use super::elsewhere::path_in_folder;
use super::failure::Failure;
use super::json::{Object, object, put};
use super::output::Output;
use super::restore::ask_or_inspect;
use super::teller::Teller;
use super::terminal::size_text;
use super::{fields, help, manager_arguments};

/// Of `replicat trash`.
#[derive(Debug, Args)]
#[command(after_help = help::TRASH)]
pub(crate) struct TrashArguments {
    #[command(subcommand)]
    pub(crate) command: TrashCommand,
}

/// What is done with the trash.
#[derive(Debug, Subcommand)]
pub(crate) enum TrashCommand {
    /// List what the trash holds, the oldest first
    List(RootArguments),
    /// Remove what the trash holds, for good
    Empty(EmptyArguments),
}

impl TrashArguments {
    /// Whether JSON is printed.
    pub(crate) fn json(&self) -> bool {
        match &self.command {
            TrashCommand::List(place) => place.look.json,
            TrashCommand::Empty(arguments) => arguments.place.look.json,
        }
    }
}

/// Of `replicat trash empty`.
#[derive(Debug, Args)]
pub(crate) struct EmptyArguments {
    #[command(flatten)]
    pub(crate) place: RootArguments,
    /// Only what has been in the trash for longer: 90m, 12h, 7d
    #[arg(
        long,
        value_name = "AGE",
        value_parser = manager_arguments::duration,
        env = "REPLICAT_OLDER_THAN"
    )]
    pub(crate) older_than: Option<Duration>,
    /// Only what was at PATH, from the root on, or below it
    #[arg(long, value_name = "PATH")]
    pub(crate) path: Option<PathBuf>,
    /// Do not ask
    #[arg(short, long, env = "REPLICAT_YES", value_parser = FalseyValueParser::new())]
    pub(crate) yes: bool,
}

/// How long the trash keeps what.
#[derive(Clone, Debug, Args)]
pub(crate) struct TrashLimitArguments {
    /// Keep what was replaced or deleted in the trash for AGE: 30d, 12h; 0 keeps nothing, off as long as there is room
    /// [default: 30d]
    #[arg(long, value_name = "AGE", env = "REPLICAT_TRASH_AGE")]
    pub(crate) trash_age: Option<TrashAge>,
    /// Keep at most SIZE in the trash, the newest: 10g, 500m; 0 keeps nothing, off whatever is young enough
    /// [default: a tenth of the filesystem, at most 10g]
    #[arg(long, value_name = "SIZE", env = "REPLICAT_TRASH_SIZE")]
    pub(crate) trash_size: Option<TrashSize>,
}

/// `replicat trash`.
pub(crate) fn run(arguments: &TrashArguments, output: Output) -> Result<(), Failure> {
    match &arguments.command {
        TrashCommand::List(place) => list(place, output),
        TrashCommand::Empty(arguments) => empty(arguments, output),
    }
}

fn list(place: &RootArguments, output: Output) -> Result<(), Failure> {
    let teller = Teller::new(place.look.json, output);
    let rows = rows(place)?;
    for row in &rows {
        teller.tell(row)?;
    }
    let mut sum = object("trash");
    put(&mut sum, "versions", rows.len());
    let bytes: u64 = rows.iter().map(|row| fields::number(row, "size")).sum();
    put(&mut sum, "bytes", bytes);
    Ok(teller.tell(&sum)?)
}

fn rows(place: &RootArguments) -> Result<Vec<Object>, Failure> {
    let command = |folder, _| Command::Trash { folder };
    ask_or_inspect(
        (place.directory()?, None),
        (&place.node, &place.look),
        command,
        |location, _| {
            let rows = inspect::trash(location)?;
            Ok(rows.iter().map(restoring::trash_item).collect())
        },
    )
}

fn empty(arguments: &EmptyArguments, output: Output) -> Result<(), Failure> {
    let place = &arguments.place;
    let directory = place.directory()?;
    let path = arguments.path.as_deref().map(path_in_folder).transpose()?;
    if !arguments.yes && !confirmed(arguments)? {
        return Err(Failure::NotConfirmed);
    }
    let selection = TrashSelection {
        older_than: arguments.older_than,
        path,
    };
    let command = |folder, _| Command::EmptyTrash {
        folder,
        older_than: selection.older_than.map(|age| age.as_secs()),
        path: selection.path.as_ref().map(PathText::from),
    };
    let done = ask_or_inspect(
        (directory, None),
        (&place.node, &place.look),
        command,
        |location, _| {
            let emptied = inspect::empty_trash(location, &selection)?;
            Ok(vec![restoring::emptied(&emptied)])
        },
    )?;
    let teller = Teller::new(place.look.json, output);
    Ok(done.iter().try_for_each(|object| teller.tell(object))?)
}

/// Asks a person; without one, nothing is removed.
fn confirmed(arguments: &EmptyArguments) -> Result<bool, Failure> {
    let place = &arguments.place;
    let stdin = io::stdin();
    if place.look.json || !stdin.is_terminal() || !io::stderr().is_terminal() {
        return Ok(false);
    }
    let rows = rows(place)?;
    let bytes: u64 = rows.iter().map(|row| fields::number(row, "size")).sum();
    let which = match arguments.older_than.is_some() || arguments.path.is_some() {
        true => "those that --older-than and --path name",
        false => "all of them",
    };
    let (versions, size) = (rows.len(), size_text(bytes));
    let mut stderr = io::stderr();
    write!(
        stderr,
        "The trash holds {versions} versions, {size}. Remove {which} for good? [y/N] "
    )?;
    stderr.flush()?;
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
