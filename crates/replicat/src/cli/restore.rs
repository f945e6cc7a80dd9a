//! `replicat restore`: versions of paths, of a directory of this host or of a folder of a node.

use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::FalseyValueParser;
use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};
use replicat::control::restoring;
use replicat::control::{Command, PathText};
use replicat::engine::inspect;
use replicat::error::{ExitCode, SyncError};
use replicat::inspection::Revision;
use replicat::options::RootLocation;
use replicat::restoration::{RestoreRequest, Selection};
use replicat_core::path::RelPath;

use super::arguments::LookArguments;
use super::ask::Asked;
use super::elsewhere::{KeeperArguments, path_text};
use super::failure::Failure;
use super::json::Object;
use super::look::{Found, is_kept_elsewhere, place_of, waiting};
use super::output::Output;
use super::target::Target;
use super::teller::Teller;
use super::{fields, help, manager_arguments, socket};

/// Of `replicat restore`.
#[derive(Debug, Args)]
#[command(after_help = help::RESTORE)]
pub(crate) struct RestoreArguments {
    /// The path; it need not exist any more. With --all, a directory in the root [default: the current one]
    #[arg(value_name = "PATH", required_unless_present = "all")]
    pub(crate) path: Option<PathBuf>,
    /// Its root [default: the nearest directory above PATH that holds `.replicat`]
    #[arg(long, value_name = "DIR", env = "REPLICAT_ROOT")]
    pub(crate) root: Option<PathBuf>,
    /// Which version, by its number in `replicat history` [default: the latest that differs from what PATH holds]
    #[arg(
        long,
        value_name = "N",
        env = "REPLICAT_REVISION",
        conflicts_with_all = ["recursive", "at", "all"]
    )]
    pub(crate) revision: Option<u32>,
    /// All that was deleted at PATH and below it; with --at, all that was there at that time
    #[arg(short, long, env = "REPLICAT_RECURSIVE", value_parser = FalseyValueParser::new())]
    pub(crate) recursive: bool,
    /// What was there at TIME: 2026-11-26T20:00:00Z, '2026-11-26 21:00' by the local clock, or 2h or 3d ago
    #[arg(long, value_name = "TIME", env = "REPLICAT_AT", value_parser = time)]
    pub(crate) at: Option<Timestamp>,
    /// All that was deleted in the whole root; with --at, the root as it was at that time
    #[arg(long, env = "REPLICAT_ALL", value_parser = FalseyValueParser::new())]
    pub(crate) all: bool,
    /// Show what would be restored, and touch nothing
    #[arg(short = 'n', long, env = "REPLICAT_DRY_RUN", value_parser = FalseyValueParser::new())]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) look: LookArguments,
    #[command(flatten)]
    pub(crate) node: KeeperArguments,
}

impl RestoreArguments {
    fn selection(&self) -> Selection {
        let at = self.at.map(|at| replicat_core::entry::Timestamp {
            seconds: at.as_second(),
            nanoseconds: u32::try_from(at.subsec_nanosecond()).unwrap_or(0),
        });
        match (self.recursive || self.all, at) {
            (true, Some(at)) => Selection::TreeAt(at),
            (true, None) => Selection::Deleted,
            (false, Some(at)) => Selection::At(at),
            (false, None) => Selection::Version(self.revision.map(Revision)),
        }
    }

    fn command(&self, folder: String, path: PathText) -> Command {
        Command::Restore {
            folder,
            path: match self.all {
                true => PathText::Text(String::new()),
                false => path,
            },
            revision: self.revision,
            recursive: self.recursive || self.all,
            at: self.at.map(|at| at.to_string()),
            dry_run: self.dry_run,
        }
    }
}

/// `replicat restore`.
pub(crate) fn run(arguments: &RestoreArguments, output: Output) -> Result<ExitCode, Failure> {
    let teller = Teller::new(arguments.look.json, output);
    let path = arguments.path.as_deref().unwrap_or(Path::new("."));
    let place = (path, arguments.root.as_deref());
    let command = |folder, path| arguments.command(folder, path);
    let rows = ask_or_inspect(
        place,
        (&arguments.node, &arguments.look),
        command,
        |location, path| {
            let request = RestoreRequest {
                path: match arguments.all {
                    true => RelPath::root(),
                    false => path.clone(),
                },
                selection: arguments.selection(),
                dry_run: arguments.dry_run,
            };
            let restored = inspect::restore(location, &request)?;
            Ok(restoring::restored(&restored))
        },
    )?;
    tell(rows, arguments, &teller)
}

/// Tells each path, and of several at last how many they were.
fn tell(
    rows: Vec<Object>,
    arguments: &RestoreArguments,
    teller: &Teller,
) -> Result<ExitCode, Failure> {
    let (mut restored, mut failed) = (0_u64, 0_u64);
    for row in rows.into_iter().flat_map(parts) {
        match fields::text(&row, "type") {
            "not-restored" => failed += 1,
            _ => restored += 1,
        }
        teller.tell(&row)?;
    }
    if arguments.selection().is_recursive() {
        let verb = match arguments.dry_run {
            true => "would be restored",
            false => "restored",
        };
        let failed = match failed {
            0 => String::new(),
            failed => format!(", {failed} could not be"),
        };
        let noun = if restored == 1 { "path" } else { "paths" };
        teller.tell_people(&format!("{restored} {noun} {verb}{failed}"))?;
    }
    Ok(match failed {
        0 => ExitCode::InSync,
        _ => ExitCode::Incomplete,
    })
}

/// A `restored` of the API, which comes as one object, as the rows that it holds.
fn parts(mut row: Object) -> Vec<Object> {
    if fields::text(&row, "type") != "restored" {
        return vec![row];
    }
    let lists = ["restorations", "failed"].map(|name| row.remove(name));
    let items = lists.into_iter().flatten().filter_map(|list| match list {
        serde_json::Value::Array(items) => Some(items),
        _ => None,
    });
    let objects = items.flatten().filter_map(|item| match item {
        serde_json::Value::Object(object) => Some(object),
        _ => None,
    });
    objects.collect()
}

/// What `command` brings of a node, or `inspect` of a root that no node keeps.
pub(crate) fn ask_or_inspect(
    (path, root): (&Path, Option<&Path>),
    (node, look): (&KeeperArguments, &LookArguments),
    command: impl FnOnce(String, PathText) -> Command,
    inspect: impl Fn(&RootLocation, &RelPath) -> Result<Vec<Object>, SyncError>,
) -> Result<Vec<Object>, Failure> {
    let mut rows = Vec::new();
    let mut take = |row| {
        rows.push(row);
        Ok(())
    };
    if let Some(folder) = node.find()? {
        let path = path_text(path)?;
        folder.ask(|folder| command(folder, path), &mut take)?;
        return Ok(rows);
    }
    let kept = match place_of(path, root, node, look)? {
        Found::Kept(kept) => *kept,
        Found::Root(Target {
            location,
            path: inside,
        }) => match waiting(look.wait, || inspect(&location, &inside)) {
            Err(error) if is_kept_elsewhere(&error) => {
                socket::keeper(path, node.named()).ok_or(error)?
            }
            rows => return Ok(rows?),
        },
    };
    let command = command(kept.name(), PathText::from(&kept.path));
    Asked::Socket(kept.socket).ask(&command, &mut take)?;
    Ok(rows)
}

/// A time as people write it.
fn time(text: &str) -> Result<Timestamp, String> {
    let text = text.trim();
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    if let Ok(time) = text.parse::<civil::DateTime>() {
        let time = time.to_zoned(TimeZone::system());
        return time.map(|time| time.timestamp()).map_err(|e| e.to_string());
    }
    let ago = text.strip_suffix("ago").unwrap_or(text).trim();
    let ago = manager_arguments::duration(ago).map_err(|_| {
        "write a time as in 2026-11-26T20:00:00Z or '2026-11-26 21:00', or how long ago, as in 2h or 3d"
            .to_owned()
    })?;
    let now = Timestamp::now();
    let then = now.checked_sub(jiff::SignedDuration::try_from(ago).unwrap_or_default());
    then.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_absolute_local_or_ago() {
        let local = civil::date(2026, 11, 26).at(21, 0, 0, 0);
        let local = local.to_zoned(TimeZone::system()).unwrap().timestamp();
        for text in [
            "2026-11-26 21:00",
            "2026-11-26 21:00:00",
            "2026-11-26T21:00",
        ] {
            assert_eq!(time(text), Ok(local), "{text}");
        }
        let day = civil::date(2026, 11, 26).to_zoned(TimeZone::system());
        assert_eq!(time("2026-11-26"), Ok(day.unwrap().timestamp()));
        let absolute = "2026-11-26T20:00:00Z".parse().unwrap();
        assert_eq!(time("2026-11-26T21:00:00+01:00"), Ok(absolute));
        for (text, seconds) in [("2h", 7200), ("3d", 259_200), ("90s ago", 90)] {
            let expected = Timestamp::now().as_second() - seconds;
            let found = time(text).unwrap().as_second();
            assert!((expected - 60..=expected).contains(&found), "{text}");
        }
        for text in ["", "soon", "26.11.2026", "2026-13-01"] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}
