//! What a manager is asked.

use axum::http::Method;
use replicat_core::name::FolderName;
use replicat_manager::{PlacementMode, TokenId, TokenOrder};
use replicat_server::NodeName;
use replicat_server::control::json::Object;
use serde_json::json;

use super::call::segment;
use super::{ApiClient, ApiError, Call};

/// What a manager is asked to do, or to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ManagerCommand {
    /// How it stands: a `manager`.
    Status,
    /// Its nodes: a `member` for each.
    Nodes,
    /// Cuts a node off: `node-removed`.
    RemoveNode(NodeName),
    /// The enrolment tokens: a `token` for each, without secrets.
    Tokens,
    /// Makes an enrolment token: a `token`, with the token itself.
    CreateToken(TokenOrder),
    /// Takes an enrolment token back: `token-removed`.
    RemoveToken(TokenId),
    /// Which node keeps which folder: a `placement` for each.
    Placements,
    /// Has a node keep a folder: a `placement`.
    Place(FolderName, NodeName, PlacementMode),
    /// Has a node keep a folder no more: `withdrawn`.
    Withdraw(FolderName, NodeName),
}

impl ApiClient {
    /// Asks a manager, and calls `take` with each object of its answer, as long as that returns `Ok`.
    ///
    /// # Errors
    /// If the manager is not reached, refuses, or cannot do it. What `take` returns, if that is an error.
    pub fn ask_manager<E: From<ApiError>>(
        &self,
        command: &ManagerCommand,
        mut take: impl FnMut(Object) -> Result<(), E>,
    ) -> Result<(), E> {
        self.take(&call_of(command), &mut take)
    }
}

fn call_of(command: &ManagerCommand) -> Call {
    match command {
        ManagerCommand::Status => Call::get("/status"),
        ManagerCommand::Nodes => Call::list("/nodes"),
        ManagerCommand::Tokens => Call::list("/tokens"),
        ManagerCommand::Placements => Call::list("/placements"),
        ManagerCommand::RemoveNode(name) => {
            let path = format!("/nodes/{}", segment(name.as_str()));
            Call::change(Method::DELETE, &path, None)
        }
        ManagerCommand::CreateToken(order) => {
            let node = order.node.as_ref().map(NodeName::as_str);
            let seconds = order.lifetime.as_secs();
            let body = json!({"role": order.role.as_str(), "node": node, "expires_in": seconds});
            Call::change(Method::POST, "/tokens", Some(body))
        }
        ManagerCommand::RemoveToken(id) => {
            Call::change(Method::DELETE, &format!("/tokens/{id}"), None)
        }
        ManagerCommand::Place(folder, node, mode) => {
            let body = json!({"mode": mode.as_str()});
            Call::change(Method::PUT, &placement(folder, node), Some(body))
        }
        ManagerCommand::Withdraw(folder, node) => {
            Call::change(Method::DELETE, &placement(folder, node), None)
        }
    }
}

fn placement(folder: &FolderName, node: &NodeName) -> String {
    let (folder, node) = (segment(folder.as_str()), segment(node.as_str()));
    format!("/placements/{folder}/{node}")
}
