//! What the command line accepts. Every option has a `REPLICAT_*` variable of the same meaning.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::builder::FalseyValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};

use replicat::inspection::Keep;

use super::api_arguments::ApiArguments;
use super::elsewhere::KeeperArguments;
use super::failure::Failure;
use super::file::FileArguments;
use super::help;
use super::live_arguments::{
    AcceptedKeyArguments, AskArguments, DemoArguments, EventsArguments, KeyArguments,
    KeygenArguments, OneFolderArguments, RescanArguments, ServeArguments, SessionArguments,
    StandingArguments,
};
use super::manager_arguments::ManagerArguments;
use super::restore::RestoreArguments;
use super::select::SelectArguments;
use super::trash::{TrashArguments, TrashLimitArguments};
use super::wait::WaitArguments;

/// Make any number of directories equal, and keep them so.
#[derive(Debug, Parser)]
#[command(
    name = "replicat",
    version,
    about = "Make any number of directories equal: every change reaches all, none is lost",
    after_help = help::EXAMPLES,
    arg_required_else_help = true
)]
pub(crate) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make directories equal
    Sync(SyncArguments),
    /// Keep folders in sync with other nodes, live
    Serve(Box<ServeArguments>),
    /// Enrol nodes, remove them, and say which of them keeps which folder
    Manager(Box<ManagerArguments>),
    /// Make, list and take back the tokens of the HTTP API
    Api(ApiArguments),
    /// Make the secret that all nodes of a cluster share
    Keygen(KeygenArguments),
    /// Show three nodes at work, in a temporary place
    Demo(DemoArguments),
    /// Show how a node stands; or, with DIR, how a root does, without scanning it
    Status(StatusArguments),
    /// List the peers of a node
    Nodes(AskArguments),
    /// List the folders of a node
    Folders(AskArguments),
    /// List what changed in the folders of a node
    Events(EventsArguments),
    /// Show the settings of a node, without its secrets
    Configuration(AskArguments),
    /// Show which node or manager answers elsewhere, and what the token is good for
    Session(SessionArguments),
    /// Fetch, put and remove single files of a folder elsewhere
    File(Box<FileArguments>),
    /// Pause a folder of a node
    Pause(OneFolderArguments),
    /// Let a folder go on that was paused or halted
    Resume(OneFolderArguments),
    /// Have a node look at a folder anew
    Rescan(RescanArguments),
    /// List the conflicts that nobody has resolved
    Conflicts(RootArguments),
    /// Resolve a conflict: keep the winner, the copy, or both; or give up what nobody has any more
    Resolve(ResolveArguments),
    /// List the versions of a path
    History(PathArguments),
    /// Bring back versions of a path, or what was deleted
    Restore(Box<RestoreArguments>),
    /// List what the trash holds, or remove it for good
    Trash(Box<TrashArguments>),
    /// Say which directories of a folder are kept here, and remove local copies of the others
    Select(Box<SelectArguments>),
    /// Make a directory that only receives as the others are: drop local changes that they refuse
    Revert(RevertArguments),
    /// Explain why a path is as it is
    Why(PathArguments),
    /// Let deletions happen that a safety brake holds
    Approve(RootArguments),
    /// Bring back the files whose deletion a safety brake holds
    Reject(RootArguments),
    /// Forget a replica that is gone for good: it is not listed as behind any more
    Forget(ForgetArguments),
    /// List what a root holds, by its index
    Tree(TreeArguments),
}

/// Of `replicat sync`.
#[derive(Debug, Args)]
#[command(after_help = help::SYNC)]
pub(crate) struct SyncArguments {
    /// The directories: two or more, new or known, in any order; or one and replicat://HOST:PORT/FOLDER
    #[arg(required = true, num_args = 2.., value_name = "DIR")]
    pub(crate) roots: Vec<PathBuf>,
    /// To take part in the cluster of a folder of another host
    #[command(flatten)]
    pub(crate) key: KeyArguments,
    #[command(flatten)]
    pub(crate) accepted: AcceptedKeyArguments,
    #[command(flatten)]
    pub(crate) scope: ScopeArguments,
    #[command(flatten)]
    pub(crate) safety: SafetyArguments,
    #[command(flatten)]
    pub(crate) output: OutputArguments,
    #[command(flatten)]
    pub(crate) work: WorkArguments,
    #[command(flatten)]
    pub(crate) place: PlaceArguments,
}

/// Which paths take part, and what of them.
#[derive(Debug, Args)]
#[command(next_help_heading = "What is synced")]
pub(crate) struct ScopeArguments {
    /// Leave out what matches PATTERN
    #[arg(long, value_name = "PATTERN", help = help::EXCLUDE)]
    pub(crate) exclude: Vec<String>,
    /// Let what matches PATTERN take part, whatever a later pattern says
    #[arg(long, value_name = "PATTERN", help = help::INCLUDE)]
    pub(crate) include: Vec<String>,
    /// Read patterns from FILE: one a line, `+ PATTERN` to include, `#` for remarks
    #[arg(long, value_name = "FILE", help = help::EXCLUDE_FROM)]
    pub(crate) exclude_from: Vec<PathBuf>,
    /// Leave out owner and group (without root they are left out anyway)
    #[arg(long, env = "REPLICAT_NO_OWNER", value_parser = FalseyValueParser::new())]
    pub(crate) no_owner: bool,
}

/// What may be done without asking.
#[derive(Debug, Args)]
#[command(next_help_heading = "Safety")]
pub(crate) struct SafetyArguments {
    /// Show what would be done and touch nothing, not even state
    #[arg(short = 'n', long, env = "REPLICAT_DRY_RUN", value_parser = FalseyValueParser::new())]
    pub(crate) dry_run: bool,
    /// Stop before the first change if more than N paths would be deleted in a directory
    #[arg(long, value_name = "N", env = "REPLICAT_MAX_DELETE")]
    pub(crate) max_delete: Option<u64>,
    /// End with code 3 also if all that was skipped can never be synced, such as a named pipe
    #[arg(long, env = "REPLICAT_STRICT", value_parser = FalseyValueParser::new())]
    pub(crate) strict: bool,
    /// Create a directory that does not exist
    #[arg(long, env = "REPLICAT_CREATE", value_parser = FalseyValueParser::new())]
    pub(crate) create: bool,
    /// Unite directories that were parts of different folders; nothing is deleted
    #[arg(long, env = "REPLICAT_JOIN", value_parser = FalseyValueParser::new())]
    pub(crate) join: bool,
    #[command(flatten)]
    pub(crate) trash: TrashLimitArguments,
    /// What a power loss may cost: nothing (files are flushed in groups), or the last seconds
    #[arg(
        long,
        value_enum,
        value_name = "group|none",
        hide_possible_values = true,
        default_value_t = DurabilityChoice::Group,
        env = "REPLICAT_DURABILITY"
    )]
    pub(crate) durability: DurabilityChoice,
}

/// What is printed.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArguments {
    /// Print each path that changes
    #[arg(short, long, env = "REPLICAT_VERBOSE", value_parser = FalseyValueParser::new())]
    pub(crate) verbose: bool,
    /// Print nothing but errors and what was skipped
    #[arg(short, long, env = "REPLICAT_QUIET", value_parser = FalseyValueParser::new())]
    pub(crate) quiet: bool,
    /// Print each change with a code that says what differs, as rsync does
    #[arg(short, long, env = "REPLICAT_ITEMIZE_CHANGES", value_parser = FalseyValueParser::new())]
    pub(crate) itemize_changes: bool,
    /// Print figures at the end
    #[arg(long, env = "REPLICAT_STATS", value_parser = FalseyValueParser::new())]
    pub(crate) stats: bool,
    /// Show progress; on a terminal it is shown anyway
    #[arg(long, env = "REPLICAT_PROGRESS", value_parser = FalseyValueParser::new())]
    pub(crate) progress: bool,
    /// Print one JSON object a line; the last one is the summary
    #[arg(long, env = "REPLICAT_JSON", value_parser = FalseyValueParser::new())]
    pub(crate) json: bool,
}

/// How the work is done.
#[derive(Debug, Args)]
#[command(next_help_heading = "Work")]
pub(crate) struct WorkArguments {
    /// Stay and keep the directories in sync, until Ctrl-C
    #[arg(
        long,
        conflicts_with = "dry_run",
        env = "REPLICAT_WATCH",
        value_parser = FalseyValueParser::new()
    )]
    pub(crate) watch: bool,
    #[command(flatten)]
    pub(crate) wait: WaitArguments,
    /// How many threads scan, hash and copy [default: the number of processors]
    #[arg(long, value_name = "N", env = "REPLICAT_THREADS")]
    pub(crate) threads: Option<NonZeroUsize>,
}

/// Where state is kept.
#[derive(Debug, Args)]
#[command(next_help_heading = "State")]
pub(crate) struct PlaceArguments {
    /// Keep the state of each root below DIR instead of in `.replicat` inside the root
    #[arg(long, value_name = "DIR", env = "REPLICAT_STATE_DIR")]
    pub(crate) state_dir: Option<PathBuf>,
}

/// What a power loss may cost.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum DurabilityChoice {
    /// Nothing: files are flushed in groups before they are recorded
    Group,
    /// The last seconds: nothing is flushed
    None,
}

/// Of `replicat status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArguments {
    /// The directory [default: the current one if it is a root, else the node that runs here]
    #[arg(value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
    /// Print one line and tell by the exit code: 0 in sync, 1 in sync with open conflicts, 3 not in sync, 4 a safety brake
    /// waits for approval, 5 halted, stopped or not reachable
    #[arg(
        long,
        conflicts_with = "follow",
        env = "REPLICAT_CHECK",
        value_parser = FalseyValueParser::new()
    )]
    pub(crate) check: bool,
    #[command(flatten)]
    pub(crate) look: LookArguments,
    #[command(flatten)]
    pub(crate) node: StandingArguments,
}

/// Of the commands that look at one root.
#[derive(Debug, Args)]
pub(crate) struct RootArguments {
    /// The directory [default: the current one]
    #[arg(value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) look: LookArguments,
    #[command(flatten)]
    pub(crate) node: KeeperArguments,
}

impl RootArguments {
    /// The directory. Either it or a folder of a node is meant.
    pub(crate) fn directory(&self) -> Result<&Path, Failure> {
        let folder = &self.node.folder;
        let names_folder = folder.folder.is_some() || folder.url.url.is_some();
        match self.root.as_deref() {
            Some(root) if names_folder => Err(Failure::RootAndFolder(root.to_owned())),
            root => Ok(root.unwrap_or(Path::new("."))),
        }
    }
}

/// Of the commands that look at one path.
#[derive(Debug, Args)]
pub(crate) struct PathArguments {
    #[command(flatten)]
    pub(crate) target: TargetArguments,
    #[command(flatten)]
    pub(crate) look: LookArguments,
    #[command(flatten)]
    pub(crate) node: KeeperArguments,
}

/// Which path of which root.
#[derive(Debug, Args)]
pub(crate) struct TargetArguments {
    /// The path; it need not exist any more
    #[arg(value_name = "PATH")]
    pub(crate) path: PathBuf,
    /// Its root [default: the nearest directory above PATH that holds `.replicat`]
    #[arg(long, value_name = "DIR", env = "REPLICAT_ROOT")]
    pub(crate) root: Option<PathBuf>,
}

/// Of `replicat resolve`.
#[derive(Debug, Args)]
#[command(after_help = help::RESOLVE)]
pub(crate) struct ResolveArguments {
    #[command(flatten)]
    pub(crate) target: TargetArguments,
    /// Which version to keep
    #[arg(
        long,
        value_enum,
        value_name = "winner|copy|both|local",
        hide_possible_values = true,
        env = "REPLICAT_KEEP"
    )]
    pub(crate) keep: KeepChoice,
    #[command(flatten)]
    pub(crate) look: LookArguments,
    #[command(flatten)]
    pub(crate) node: KeeperArguments,
}

/// Which version of a conflict to keep.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum KeepChoice {
    /// That at the path; the copy goes to the trash
    Winner,
    /// That in the copy; it replaces the one at the path, which goes to the trash
    Copy,
    /// Both; the copy becomes an ordinary file
    Both,
    /// What stands here; the version that is waited for, and that nobody has any more, is given up
    Local,
}

impl KeepChoice {
    /// As a node is told of it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Winner => "winner",
            Self::Copy => "copy",
            Self::Both => "both",
            Self::Local => "local",
        }
    }
}

impl From<KeepChoice> for Keep {
    fn from(choice: KeepChoice) -> Self {
        match choice {
            KeepChoice::Winner => Self::Winner,
            KeepChoice::Copy => Self::Copy,
            KeepChoice::Both => Self::Both,
            KeepChoice::Local => Self::Local,
        }
    }
}

/// Of `replicat forget`.
#[derive(Debug, Args)]
#[command(after_help = help::FORGET)]
pub(crate) struct ForgetArguments {
    /// The replica: its name or id in `replicat status DIR`
    #[arg(value_name = "REPLICA")]
    pub(crate) replica: String,
    #[command(flatten)]
    pub(crate) place: RootArguments,
}

/// Of `replicat revert`.
#[derive(Debug, Args)]
#[command(after_help = help::REVERT)]
pub(crate) struct RevertArguments {
    /// The directory of a node that runs here, or paths in it, with what is below [default: the current directory]
    #[arg(value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// List the changes, and drop none
    #[arg(short = 'n', long, env = "REPLICAT_DRY_RUN", value_parser = FalseyValueParser::new())]
    pub(crate) dry_run: bool,
    /// Print one JSON object a line
    #[arg(long, env = "REPLICAT_JSON", value_parser = FalseyValueParser::new())]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) node: KeeperArguments,
}

/// Of `replicat tree`.
#[derive(Debug, Args)]
pub(crate) struct TreeArguments {
    /// The root, or a directory in it
    #[arg(default_value = ".", value_name = "DIR")]
    pub(crate) path: PathBuf,
    /// The root [default: the nearest directory from DIR upwards that holds `.replicat`]
    #[arg(long, value_name = "DIR", env = "REPLICAT_ROOT")]
    pub(crate) root: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) look: LookArguments,
    #[command(flatten)]
    pub(crate) node: KeeperArguments,
}

/// Common to the commands that look at a root.
#[derive(Debug, Args)]
pub(crate) struct LookArguments {
    /// Print one JSON object a line
    #[arg(long, env = "REPLICAT_JSON", value_parser = FalseyValueParser::new())]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) wait: WaitArguments,
    #[command(flatten)]
    pub(crate) place: PlaceArguments,
}
