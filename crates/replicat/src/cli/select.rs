//! `replicat select`: what of a folder is synced in a directory, and removing the local copies of the rest.

use std::path::{Path, PathBuf};

use clap::builder::FalseyValueParser;
use clap::{Args, Subcommand};
use replicat::control::{Command, PathText, selecting};
use replicat::engine::inspect;
use replicat::error::ExitCode;
use replicat::options::RootLocation;
use replicat_core::path::RelPath;

use super::arguments::{LookArguments, RootArguments};
use super::ask::Asked;
use super::elsewhere::{KeeperArguments, path_text};
use super::failure::Failure;
use super::json::Object;
use super::look::{Found, is_kept_elsewhere, place_of, waiting};
use super::output::Output;
use super::restore::ask_or_inspect;
use super::socket::{self, Kept};
use super::target::{self, Target};
use super::teller::Teller;
use super::{fields, help};

/// Of `replicat select`.
#[derive(Debug, Args)]
#[command(after_help = help::SELECT)]
pub(crate) struct SelectArguments {
    #[command(subcommand)]
    pub(crate) command: SelectCommand,
}

/// What is done with a selection.
#[derive(Debug, Subcommand)]
pub(crate) enum SelectCommand {
    /// List what is selected
    List(RootArguments),
    /// Select these paths, and nothing else
    Set(MarkArguments),
    /// Select these paths as well
    Add(MarkArguments),
    /// Select these paths no more; their local copies stay
    Remove(MarkArguments),
    /// Select everything
    All(RootArguments),
    /// Move to the trash the local copies of what is not selected, if another replica keeps them
    Prune(PruneArguments),
}

/// Of the commands that name paths.
#[derive(Debug, Args)]
pub(crate) struct MarkArguments {
    /// Paths in one directory, with all that is below them; they need not exist yet
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// The root [default: the nearest directory from PATH upwards that holds `.replicat`]
    #[arg(long, value_name = "DIR", env = "REPLICAT_ROOT")]
    pub(crate) root: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) look: LookArguments,
    #[command(flatten)]
    pub(crate) node: KeeperArguments,
}

/// Of `replicat select prune`.
#[derive(Debug, Args)]
pub(crate) struct PruneArguments {
    #[command(flatten)]
    pub(crate) place: RootArguments,
    /// Another directory of the folder that may keep the files; may be repeated. A running node asks its peers instead
    #[arg(long = "holder", value_name = "DIR")]
    pub(crate) holders: Vec<PathBuf>,
    /// Say what would be removed, and remove nothing
    #[arg(short = 'n', long, env = "REPLICAT_DRY_RUN", value_parser = FalseyValueParser::new())]
    pub(crate) dry_run: bool,
}

impl SelectArguments {
    /// Whether JSON is printed.
    pub(crate) fn json(&self) -> bool {
        match &self.command {
            SelectCommand::List(place) | SelectCommand::All(place) => place.look.json,
            SelectCommand::Set(marks)
            | SelectCommand::Add(marks)
            | SelectCommand::Remove(marks) => marks.look.json,
            SelectCommand::Prune(arguments) => arguments.place.look.json,
        }
    }
}

/// `replicat select`.
pub(crate) fn run(arguments: &SelectArguments, output: Output) -> Result<ExitCode, Failure> {
    let teller = Teller::new(arguments.json(), output);
    match &arguments.command {
        SelectCommand::List(place) => list(place, &teller)?,
        SelectCommand::Set(marks) => mark(marks, "set", &teller)?,
        SelectCommand::Add(marks) => mark(marks, "add", &teller)?,
        SelectCommand::Remove(marks) => mark(marks, "remove", &teller)?,
        SelectCommand::All(place) => all(place, &teller)?,
        SelectCommand::Prune(arguments) => return prune(arguments, &teller),
    }
    Ok(ExitCode::InSync)
}

fn list(place: &RootArguments, teller: &Teller) -> Result<(), Failure> {
    let command = |folder, _| Command::Selection { folder };
    let rows = ask_or_inspect(
        (place.directory()?, None),
        (&place.node, &place.look),
        command,
        |location, _| Ok(vec![selecting::selection(&inspect::selection(location)?)]),
    )?;
    tell(&rows, teller)
}

fn all(place: &RootArguments, teller: &Teller) -> Result<(), Failure> {
    let given = [place.directory()?.to_owned()];
    let (site, _) = site(&given, None, &place.node, &place.look)?;
    change(site, Vec::new(), "all", &place.look, teller)
}

fn mark(marks: &MarkArguments, word: &str, teller: &Teller) -> Result<(), Failure> {
    let MarkArguments {
        paths,
        root,
        look,
        node,
    } = marks;
    let (site, paths) = site(paths, root.as_deref(), node, look)?;
    change(site, paths, word, look, teller)?;
    if word == "set" || word == "remove" {
        teller.tell_people(
            "Local copies of what is not selected stay; `replicat select prune` removes those that another replica keeps.",
        )?;
    }
    Ok(())
}

/// Where a selection is changed.
enum Site {
    /// At a node, which has the folder under this name.
    Node(Asked, String),
    /// In a root that no node keeps.
    Root(RootLocation),
}

/// Where paths are, and what they are there. All must be in one folder.
fn site(
    paths: &[PathBuf],
    root: Option<&Path>,
    node: &KeeperArguments,
    look: &LookArguments,
) -> Result<(Site, Vec<PathText>), Failure> {
    if let Some(folder) = node.find()? {
        let texts = paths.iter().map(|path| path_text(path));
        let texts = texts.collect::<Result<_, _>>()?;
        let (asked, folder) = folder.into_parts();
        return Ok((Site::Node(asked, folder), texts));
    }
    let mut site: Option<(PathBuf, Site)> = None;
    let mut inside = Vec::with_capacity(paths.len());
    for path in paths {
        let (place, here, within) = match place_of(path, root, node, look)? {
            Found::Kept(kept) => of_kept(*kept),
            Found::Root(Target { location, path }) => {
                match socket::serving(&location.root, node.named()) {
                    Some(kept) => of_kept(Kept { path, ..kept }),
                    None => (location.root.clone(), Site::Root(location), path),
                }
            }
        };
        match &site {
            Some((first, _)) if *first != place => {
                return Err(Failure::SeveralRoots(first.clone(), place));
            }
            Some(_) => {}
            None => site = Some((place, here)),
        }
        inside.push(PathText::from(&within));
    }
    match site {
        Some((_, site)) => Ok((site, inside)),
        None => Err(Failure::NoRoot {
            path: PathBuf::from("."),
        }),
    }
}

fn of_kept(kept: Kept) -> (PathBuf, Site, RelPath) {
    let directory = PathBuf::from(fields::text(&kept.folder, "root"));
    let name = kept.name();
    let asked = Asked::Socket(kept.socket);
    (directory, Site::Node(asked, name), kept.path)
}

fn change(
    site: Site,
    paths: Vec<PathText>,
    word: &str,
    look: &LookArguments,
    teller: &Teller,
) -> Result<(), Failure> {
    match site {
        Site::Node(asked, folder) => {
            let command = Command::Select {
                folder,
                change: word.to_owned(),
                paths,
            };
            asked.tell(&command, teller)
        }
        Site::Root(location) => {
            let wrong = |problem| Failure::Path {
                path: location.root.clone(),
                problem,
            };
            let wanted = selecting::change(word, &paths).map_err(wrong)?;
            match waiting(look.wait, || inspect::select(&location, wanted.clone())) {
                // The node may have opened it meanwhile.
                Err(error) if is_kept_elsewhere(&error) => {
                    let kept = socket::serving(&location.root, None).ok_or(error)?;
                    let (_, node, _) = of_kept(kept);
                    change(node, paths, word, look, teller)
                }
                selected => Ok(teller.tell(&selecting::selection(&selected?))?),
            }
        }
    }
}

fn prune(arguments: &PruneArguments, teller: &Teller) -> Result<ExitCode, Failure> {
    let PruneArguments {
        place,
        holders,
        dry_run,
    } = arguments;
    let holders: Vec<RootLocation> = holders
        .iter()
        .map(|holder| target::location(holder, &place.look.place))
        .collect();
    let command = |folder, _| Command::Prune {
        folder,
        dry_run: *dry_run,
    };
    let rows = ask_or_inspect(
        (place.directory()?, None),
        (&place.node, &place.look),
        command,
        |location, _| {
            let pruned = inspect::prune(location, &holders, *dry_run)?;
            Ok(vec![selecting::pruned(&pruned)])
        },
    )?;
    tell(&rows, teller)?;
    let is_whole = |row: &Object| fields::objects(row, "staying").next().is_none();
    Ok(match rows.iter().all(is_whole) {
        true => ExitCode::InSync,
        false => ExitCode::Incomplete,
    })
}

fn tell(rows: &[Object], teller: &Teller) -> Result<(), Failure> {
    Ok(rows.iter().try_for_each(|row| teller.tell(row))?)
}
