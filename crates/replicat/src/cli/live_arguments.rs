//! What the command line accepts of commands that run a node, or talk to one.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::FalseyValueParser;
use replicat::Subscription;

use super::elsewhere::UrlArguments;
use super::help;
use super::trash::TrashLimitArguments;

/// Of `replicat serve`. Its variables are read where its settings are.
#[derive(Clone, Debug, Args)]
#[command(after_help = help::SERVE)]
pub(crate) struct ServeArguments {
    /// Read settings from FILE: TOML, or JSON if it is named `*.json`
    #[arg(long, value_name = "FILE", env = "REPLICAT_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Say all that is wrong with the settings, and start nothing
    #[arg(long, env = "REPLICAT_CHECK", value_parser = FalseyValueParser::new())]
    pub(crate) check: bool,
    #[command(flatten)]
    pub(crate) node: NodeArguments,
    #[command(flatten)]
    pub(crate) folders: FolderArguments,
    #[command(flatten)]
    pub(crate) http: HttpArguments,
    #[command(flatten)]
    pub(crate) notify: NotifyArguments,
    #[command(flatten)]
    pub(crate) with_manager: WithManagerArguments,
    /// Print one JSON object a line
    #[arg(long, env = "REPLICAT_JSON", value_parser = FalseyValueParser::new())]
    pub(crate) json: bool,
}

/// What a node is, and whom it talks to.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Node")]
pub(crate) struct NodeArguments {
    /// Its name, by which the others know it [default: that of the host] [env: REPLICAT_NAME]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Where it listens; without this it only dials [env: REPLICAT_ADDRESS]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) address: Option<String>,
    /// Where others reach it, if that is not where it listens [env: REPLICAT_ADVERTISE]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) advertise: Option<String>,
    /// A node to connect to; any number of them [env: REPLICAT_NODE, by white space]
    #[arg(long, value_name = "NAME=HOST:PORT")]
    pub(crate) node: Vec<String>,
    #[command(flatten)]
    pub(crate) key: KeyArguments,
    #[command(flatten)]
    pub(crate) accepted: AcceptedKeyArguments,
    /// Where the manager of the cluster is [env: REPLICAT_MANAGER]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) manager: Option<String>,
    /// What to show the manager [env: REPLICAT_MANAGER_CREDENTIALS]
    #[arg(long, value_name = "TOKEN")]
    pub(crate) manager_credentials: Option<String>,
    /// Where it keeps who it is, if it has a manager [env: REPLICAT_NODE_STATE]
    #[arg(long, value_name = "DIR")]
    pub(crate) node_state: Option<PathBuf>,
    /// Below DIR lie the folders that the manager places here [env: REPLICAT_FOLDERS_DIRECTORY]
    #[arg(long, value_name = "DIR")]
    pub(crate) folders_directory: Option<PathBuf>,
    /// Send no more content than this: 512k, 10m, or a timetable such as '08:00,512k 18:00,off' [env: REPLICAT_BWLIMIT]
    #[arg(long, value_name = "RATE")]
    pub(crate) bwlimit: Option<String>,
    #[command(flatten)]
    pub(crate) socket: SocketArguments,
}

/// Whom to tell of what needs a person.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Notifications")]
pub(crate) struct NotifyArguments {
    /// Post notifications to URL, as JSON; any number of them
    #[arg(
        long,
        value_name = "URL",
        env = "REPLICAT_NOTIFY_WEBHOOK",
        hide_env_values = true
    )]
    pub(crate) notify_webhook: Vec<String>,
    /// Run COMMAND, a program without arguments, with each notification as JSON on its standard input; any number of them
    #[arg(long, value_name = "COMMAND", env = "REPLICAT_NOTIFY_COMMAND")]
    pub(crate) notify_command: Vec<String>,
    /// Tell that a node is lost when it has been away for so long: 90s, 10m [default: 60s]
    #[arg(
        long,
        value_name = "TIME",
        value_parser = super::manager_arguments::duration,
        env = "REPLICAT_NODE_LOST_AFTER"
    )]
    pub(crate) node_lost_after: Option<Duration>,
}

impl NotifyArguments {
    /// Those that are told of everything.
    pub(crate) fn subscriptions(&self) -> Vec<Subscription> {
        let webhooks = self.notify_webhook.iter();
        let commands = self.notify_command.iter();
        webhooks
            .map(|url| Subscription::webhook(url))
            .chain(commands.map(|program| Subscription::command(program)))
            .collect()
    }
}

/// The manager that a node has in its own process.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Manager")]
pub(crate) struct WithManagerArguments {
    /// Be the manager of the cluster as well, and one of its nodes
    #[arg(
        long,
        env = "REPLICAT_WITH_MANAGER",
        value_parser = FalseyValueParser::new(),
        conflicts_with = "manager"
    )]
    pub(crate) with_manager: bool,
    /// Where that manager listens
    #[arg(
        long,
        value_name = "HOST:PORT",
        default_value = "0.0.0.0:8788",
        env = "REPLICAT_MANAGER_LISTEN"
    )]
    pub(crate) manager_listen: String,
    /// Serve the HTTP API and the dashboard of that manager there, as `--http` does those of the node
    #[arg(long, value_name = "HOST:PORT", env = "REPLICAT_MANAGER_HTTP")]
    pub(crate) manager_http: Option<String>,
    /// Where that manager keeps its state
    #[arg(long, value_name = "DIR", env = "REPLICAT_MANAGER_STATE")]
    pub(crate) manager_state: Option<PathBuf>,
}

/// The secret of a cluster.
#[derive(Clone, Debug, Args)]
pub(crate) struct KeyArguments {
    /// The cluster key, from `replicat keygen`; others on this host can see it here [env: REPLICAT_CLUSTER_KEY]
    #[arg(long, value_name = "KEY", conflicts_with = "cluster_key_file")]
    pub(crate) cluster_key: Option<String>,
    /// Read the cluster key from the first line of FILE [env: REPLICAT_CLUSTER_KEY_FILE]
    #[arg(long, value_name = "FILE")]
    pub(crate) cluster_key_file: Option<PathBuf>,
}

/// Other keys than that of the node.
#[derive(Clone, Debug, Args)]
pub(crate) struct AcceptedKeyArguments {
    /// Accept nodes with this key as well, while the key of the cluster is changed; any number of them
    /// [env: REPLICAT_ACCEPT_CLUSTER_KEY, by white space]
    #[arg(long, value_name = "KEY")]
    pub(crate) accept_cluster_key: Vec<String>,
    /// Read such a key from the first line of FILE; any number of them [env: REPLICAT_ACCEPT_CLUSTER_KEY_FILE]
    #[arg(long, value_name = "FILE")]
    pub(crate) accept_cluster_key_file: Vec<PathBuf>,
}

/// What a node keeps in sync.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Folders")]
pub(crate) struct FolderArguments {
    /// A directory to keep in sync, as folder NAME (`default` if left out); any number of them
    /// [env: REPLICAT_DIRECTORY, one a line]
    #[arg(long, value_name = "[NAME=]DIR")]
    pub(crate) directory: Vec<String>,
    /// Which way changes go in those directories: read-write, send-only, receive-only [env: REPLICAT_MODE]
    #[arg(long, value_name = "MODE")]
    pub(crate) mode: Option<String>,
    /// Create a directory that does not exist
    #[arg(long, env = "REPLICAT_CREATE", value_parser = FalseyValueParser::new())]
    pub(crate) create: bool,
    /// Unite a directory that was part of another folder with this one; nothing is deleted
    #[arg(long, env = "REPLICAT_JOIN", value_parser = FalseyValueParser::new())]
    pub(crate) join: bool,
    /// Hold deletions until a person decides if more than N files are deleted within ten minutes
    #[arg(long, value_name = "N", env = "REPLICAT_MAX_DELETE")]
    pub(crate) max_delete: Option<u64>,
    /// Leave out what matches PATTERN
    #[arg(long, value_name = "PATTERN", help = help::EXCLUDE)]
    pub(crate) exclude: Vec<String>,
    /// Let what matches PATTERN take part, whatever a later pattern says
    #[arg(long, value_name = "PATTERN", help = help::INCLUDE)]
    pub(crate) include: Vec<String>,
    /// Read patterns from FILE
    #[arg(long, value_name = "FILE", help = help::EXCLUDE_FROM)]
    pub(crate) exclude_from: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) trash: TrashLimitArguments,
    /// What a power loss may cost: group (nothing) or none (the last seconds) [env: REPLICAT_DURABILITY]
    #[arg(long, value_name = "group|none")]
    pub(crate) durability: Option<String>,
    /// Keep the state of each directory below DIR instead of in `.replicat` inside it
    #[arg(long, value_name = "DIR", env = "REPLICAT_STATE_DIR")]
    pub(crate) state_dir: Option<PathBuf>,
}

/// The HTTP API and the dashboard. Their variables are read where the other settings are.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "HTTP")]
pub(crate) struct HttpArguments {
    /// Serve the HTTP API and the dashboard there, to those with a token of `replicat api token create`; only at a loopback
    /// address without a certificate [env: REPLICAT_HTTP]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) http: Option<String>,
    /// Encrypt HTTP with the chain of certificates in FILE, PEM [env: REPLICAT_HTTP_CERTIFICATE]
    #[arg(long, value_name = "FILE")]
    pub(crate) http_certificate: Option<PathBuf>,
    /// The key of the certificate, PEM [env: REPLICAT_HTTP_KEY]
    #[arg(long, value_name = "FILE")]
    pub(crate) http_key: Option<PathBuf>,
    /// A name that browsers call it by, beside localhost; any number of them [env: REPLICAT_HTTP_HOST, by white space]
    #[arg(long, value_name = "NAME")]
    pub(crate) http_host: Vec<String>,
}

/// Which node is meant.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct SocketArguments {
    /// The local socket of the node, or the node's name [default: the one that runs here]
    #[arg(long, value_name = "PATH|NAME", env = "REPLICAT_SOCKET")]
    pub(crate) node_socket: Option<PathBuf>,
}

/// Of `replicat keygen`.
#[derive(Debug, Args)]
pub(crate) struct KeygenArguments {
    /// Write the key to FILE, which must not exist, for its owner alone to read
    #[arg(long, short, value_name = "FILE", env = "REPLICAT_OUTPUT")]
    pub(crate) output: Option<PathBuf>,
    /// Print a JSON object
    #[arg(long, env = "REPLICAT_JSON", value_parser = FalseyValueParser::new())]
    pub(crate) json: bool,
}

/// Of `replicat demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArguments {
    /// End after SECONDS instead of at Ctrl-C
    #[arg(long = "for", value_name = "SECONDS", env = "REPLICAT_FOR")]
    pub(crate) seconds: Option<u64>,
    /// Print one JSON object a line
    #[arg(long, env = "REPLICAT_JSON", value_parser = FalseyValueParser::new())]
    pub(crate) json: bool,
}

/// Of commands that ask a node.
#[derive(Debug, Args)]
pub(crate) struct AskArguments {
    /// Print one JSON object a line
    #[arg(long, env = "REPLICAT_JSON", value_parser = FalseyValueParser::new())]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) socket: SocketArguments,
    #[command(flatten)]
    pub(crate) url: UrlArguments,
}

/// Of `replicat session`.
#[derive(Debug, Args)]
pub(crate) struct SessionArguments {
    /// Print a JSON object
    #[arg(long, env = "REPLICAT_JSON", value_parser = FalseyValueParser::new())]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) url: UrlArguments,
}

/// Of `replicat status` of a node.
#[derive(Debug, Args)]
#[command(next_help_heading = "Node")]
pub(crate) struct StandingArguments {
    /// Go on with each change of how a node elsewhere stands, until Ctrl-C
    #[arg(long, requires = "url")]
    pub(crate) follow: bool,
    #[command(flatten)]
    pub(crate) socket: SocketArguments,
    #[command(flatten)]
    pub(crate) url: UrlArguments,
}

impl StandingArguments {
    /// Whether a node is named.
    pub(crate) fn names_one(&self) -> bool {
        self.socket.node_socket.is_some() || self.url.url.is_some()
    }
}

/// Of `replicat events`.
#[derive(Debug, Args)]
pub(crate) struct EventsArguments {
    /// Go on with what happens from now on, until Ctrl-C
    #[arg(long, short, env = "REPLICAT_FOLLOW", value_parser = FalseyValueParser::new())]
    pub(crate) follow: bool,
    #[command(flatten)]
    pub(crate) ask: AskArguments,
}

/// Of `replicat pause` and `replicat resume`.
#[derive(Debug, Args)]
pub(crate) struct OneFolderArguments {
    /// The name of a folder [default: all]
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: Option<String>,
    #[command(flatten)]
    pub(crate) ask: AskArguments,
}

/// Of `replicat rescan`.
#[derive(Debug, Args)]
pub(crate) struct RescanArguments {
    /// The name of a folder [default: all]
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: Option<String>,
    /// Paths in the folder [default: everything]
    #[arg(value_name = "PATH", requires = "folder")]
    pub(crate) paths: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) ask: AskArguments,
}
