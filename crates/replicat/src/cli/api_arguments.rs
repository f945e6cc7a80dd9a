//! What the command line accepts of `replicat api`.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::{Args, Subcommand};
use replicat::NodeName;
use replicat::http::tokens::Scope;

use super::manager_arguments::duration;

/// Of `replicat api`.
#[derive(Debug, Args)]
pub(crate) struct ApiArguments {
    #[command(subcommand)]
    pub(crate) command: ApiCommand,
    /// Of the manager of this host, in place of a node
    #[arg(long, global = true, conflicts_with_all = ["node", "node_state"])]
    pub(crate) manager: bool,
    /// Where the manager keeps its state
    #[arg(
        long,
        value_name = "DIR",
        env = "REPLICAT_MANAGER_STATE",
        global = true
    )]
    pub(crate) manager_state: Option<PathBuf>,
    /// Of the node of this name [default: that of the host] [env: REPLICAT_NAME]
    #[arg(long, value_name = "NAME", global = true)]
    pub(crate) node: Option<NodeName>,
    /// Of the node that keeps its state in DIR
    #[arg(long, value_name = "DIR", env = "REPLICAT_NODE_STATE", global = true)]
    pub(crate) node_state: Option<PathBuf>,
    /// Print one JSON object a line
    #[arg(long, env = "REPLICAT_JSON", value_parser = FalseyValueParser::new(), global = true)]
    pub(crate) json: bool,
}

/// What can be done about the API.
#[derive(Debug, Subcommand)]
pub(crate) enum ApiCommand {
    /// Make, list and take back what lets programs and browsers in
    #[command(subcommand)]
    Token(ApiTokenCommand),
}

/// Of `replicat api token`.
#[derive(Debug, Subcommand)]
pub(crate) enum ApiTokenCommand {
    /// Make a token, and print it, this once
    Create(ApiTokenCreateArguments),
    /// List the tokens, without their secrets
    List,
    /// Take a token back; it is good for nothing from then on
    Revoke {
        /// The id of the token
        #[arg(value_name = "ID")]
        id: String,
    },
}

/// Of `replicat api token create`.
#[derive(Debug, Args)]
pub(crate) struct ApiTokenCreateArguments {
    /// What you call it: whose it is, or what for
    #[arg(long, value_name = "NAME")]
    pub(crate) name: String,
    /// What it is good for: read (to look), operate (to act on folders), admin (all)
    #[arg(long, value_name = "SCOPE", default_value_t = Scope::Read)]
    pub(crate) scope: Scope,
    /// How long it is good: 12h, 30d [default: until it is revoked]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) expires: Option<Duration>,
}
