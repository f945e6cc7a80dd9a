//! What the command line accepts of `replicat manager`.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::{Args, Subcommand};
use jiff::SpanRelativeTo;
use replicat::http::client::ApiAddress;
use replicat::manager::{PlacementMode, TokenId};
use replicat::{FolderName, NodeName, Role};

use super::elsewhere::AccessArguments;
use super::help;
use super::live_arguments::{HttpArguments, KeyArguments, NotifyArguments};

/// Of `replicat manager`.
#[derive(Debug, Args)]
#[command(after_help = help::MANAGER)]
pub(crate) struct ManagerArguments {
    #[command(subcommand)]
    pub(crate) command: ManagerCommand,
    /// Where the manager keeps its state
    #[arg(
        long,
        value_name = "DIR",
        env = "REPLICAT_MANAGER_STATE",
        global = true
    )]
    pub(crate) manager_state: Option<PathBuf>,
    /// Print one JSON object a line
    #[arg(long, env = "REPLICAT_JSON", value_parser = FalseyValueParser::new(), global = true)]
    pub(crate) json: bool,
    /// Ask the manager that serves HTTP there, in place of the state here: HOST:PORT, or https://HOST
    #[arg(
        long,
        value_name = "URL",
        env = "REPLICAT_MANAGER_URL",
        help_heading = "Another host",
        global = true
    )]
    pub(crate) manager: Option<ApiAddress>,
    #[command(flatten)]
    pub(crate) access: AccessArguments,
}

impl ManagerArguments {
    /// Whether it is to run until it is told to stop.
    pub(crate) fn serves(&self) -> bool {
        matches!(self.command, ManagerCommand::Serve(_))
    }
}

/// What can be done with a manager.
#[derive(Debug, Subcommand)]
pub(crate) enum ManagerCommand {
    /// Be the manager: nodes are connected to it
    Serve(Box<ManagerServeArguments>),
    /// Show how the manager stands
    Status {
        /// Go on with each change, with the nodes; of a manager elsewhere, until Ctrl-C
        #[arg(long, requires = "manager")]
        follow: bool,
    },
    /// Make, list and take back what lets nodes in
    #[command(subcommand)]
    Token(TokenCommand),
    /// List and remove nodes
    #[command(subcommand)]
    Node(NodeCommand),
    /// Say which node keeps which folder
    #[command(subcommand)]
    Folder(FolderCommand),
}

/// Of `replicat manager serve`.
#[derive(Debug, Args)]
pub(crate) struct ManagerServeArguments {
    /// Where it listens
    #[arg(
        long,
        value_name = "HOST:PORT",
        default_value = "0.0.0.0:8788",
        env = "REPLICAT_ADDRESS"
    )]
    pub(crate) address: String,
    /// How long the certificates of nodes last, which renew themselves: 12h, 30d
    #[arg(
        long,
        value_name = "TIME",
        default_value = "30d",
        value_parser = duration,
        env = "REPLICAT_CERTIFICATE_LIFETIME"
    )]
    pub(crate) certificate_lifetime: Duration,
    /// Say all that is wrong with the settings, and start nothing
    #[arg(long, env = "REPLICAT_CHECK", value_parser = clap::builder::FalseyValueParser::new())]
    pub(crate) check: bool,
    #[command(flatten)]
    pub(crate) notify: NotifyArguments,
    /// For a cluster that began without a manager
    #[command(flatten)]
    pub(crate) key: KeyArguments,
    #[command(flatten)]
    pub(crate) http: HttpArguments,
}

/// Of `replicat manager token`.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token, which lets one node in
    Create(TokenCreateArguments),
    /// List the tokens, without their secrets
    List,
    /// Take a token back; a node that it let in stays
    Remove {
        /// The id of the token
        #[arg(value_name = "ID")]
        id: TokenId,
    },
}

/// Of `replicat manager token create`.
#[derive(Debug, Args)]
pub(crate) struct TokenCreateArguments {
    /// What the node may do: read-write, or read-only, from which nobody takes changes
    #[arg(long, value_name = "ROLE", default_value_t = Role::ReadWrite, env = "REPLICAT_ROLE")]
    pub(crate) role: Role,
    /// How long it is good: 30m, 1h, 7d
    #[arg(
        long,
        value_name = "TIME",
        default_value = "1h",
        value_parser = duration,
        env = "REPLICAT_EXPIRES"
    )]
    pub(crate) expires: Duration,
    /// The only node that may use it [default: any]
    #[arg(long, value_name = "NAME")]
    pub(crate) node: Option<NodeName>,
}

/// Of `replicat manager node`.
#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    /// List the nodes, and how they stand
    List,
    /// Remove a node: every other node ends its link to it at once
    Remove {
        /// The name of the node
        #[arg(value_name = "NAME")]
        name: NodeName,
    },
}

/// Of `replicat manager folder`.
#[derive(Debug, Subcommand)]
pub(crate) enum FolderCommand {
    /// List which node is to keep which folder
    List,
    /// Have a node keep a folder
    Place {
        /// The name of the folder
        #[arg(value_name = "FOLDER")]
        folder: FolderName,
        /// The node
        #[arg(long, value_name = "NAME")]
        node: NodeName,
        /// Which way changes go there: read-write, send-only, receive-only
        #[arg(
            long,
            value_name = "MODE",
            default_value_t = PlacementMode::ReadWrite,
            env = "REPLICAT_MODE"
        )]
        mode: PlacementMode,
    },
    /// Have a node keep a folder no more; its files stay
    Withdraw {
        /// The name of the folder
        #[arg(value_name = "FOLDER")]
        folder: FolderName,
        /// The node
        #[arg(long, value_name = "NAME")]
        node: NodeName,
    },
}

/// A time as people write it. Days have 24 hours.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let span: jiff::Span = text
        .parse()
        .map_err(|_| "write a number with a unit, as in 30m, 1h or 7d".to_owned())?;
    let length = span.to_duration(SpanRelativeTo::days_are_24_hours());
    let length = length.map_err(|error| error.to_string())?;
    Duration::try_from(length).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        for (text, seconds) in [("30m", 1800), ("1h", 3600), ("7d", 604_800), ("90s", 90)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "1", "h", "-1h", "1 year", "soon"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
