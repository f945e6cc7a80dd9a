//! What a manager answers, as JSON objects with a `type`. The format is laid down in `docs/cli.md`.

use std::collections::BTreeMap;

use replicat_core::name::FolderName;
use replicat_manager::{
    EnrolmentToken, FolderFigures, Manager, ManagerError, Member, PlacementMode, Refusal, Sighting,
    Sightings, Snapshot, TokenId, TokenOrder, TokenRecord,
};
use replicat_net::NodeName;
use serde_json::Value;

use super::json::{Object, list, object, put, time};

/// A manager, as a whole; without sightings one that does not run.
#[must_use]
pub fn manager(address: Option<&str>, manager: &Manager, seen: Option<&Sightings>) -> Object {
    let snapshot = manager.snapshot();
    let state = &snapshot.state;
    let connected = seen.map(|seen| {
        let nodes = seen.nodes.values();
        nodes.filter(|seen| seen.is_connected).count()
    });
    let placements = state.desired.folders.values().map(BTreeMap::len);
    let mut object = object("manager");
    put(&mut object, "address", address);
    let cluster = manager.authority().cluster_id().to_string();
    put(&mut object, "cluster", cluster);
    put(&mut object, "generation", snapshot.generation);
    put(&mut object, "nodes", state.roster.members.len());
    put(&mut object, "connected", connected);
    put(&mut object, "placements", placements.sum::<usize>());
    object
}

/// A token that was just made, with the token itself.
#[must_use]
pub fn new_token(token: &EnrolmentToken, order: &TokenOrder) -> Object {
    let text = token.to_text();
    let node = order.node.as_ref().map(NodeName::as_str);
    let mut object = object("token");
    put(&mut object, "id", token.id.to_string());
    put(&mut object, "token", text.as_str());
    put(&mut object, "role", order.role.as_str());
    put(&mut object, "node", node);
    put(&mut object, "expires_in", order.lifetime.as_secs());
    object
}

/// A token, without its secret.
#[must_use]
pub fn token(token: &TokenRecord) -> Object {
    let used = token.used.as_ref();
    let mut object = object("token");
    put(&mut object, "id", token.id.to_string());
    put(&mut object, "role", token.role.as_str());
    let node = token.node.as_ref().map(NodeName::as_str);
    put(&mut object, "node", node);
    put(&mut object, "expires", time(token.expires));
    put(&mut object, "used_by", used.map(|used| used.node.as_str()));
    object
}

/// A token that was taken back.
#[must_use]
pub fn token_removed(id: TokenId) -> Object {
    let mut object = object("token-removed");
    put(&mut object, "id", id.to_string());
    object
}

/// Whether a node is connected, and its status in words.
#[must_use]
pub fn standing(seen: Option<&Sighting>, is_running: bool) -> (Option<bool>, &str) {
    match (is_running, seen) {
        (false, _) => (None, "not known: the manager does not run"),
        (true, Some(seen)) if seen.is_connected => (Some(true), &seen.report.status),
        (true, _) => (Some(false), "not connected"),
    }
}

/// A node: who may do what, and how it stands as far as the manager knows, if one runs.
#[must_use]
pub fn member(
    name: &NodeName,
    member: &Member,
    seen: Option<&Sighting>,
    is_running: bool,
) -> Object {
    let (is_connected, status) = standing(seen, is_running);
    let mut object = object("member");
    put(&mut object, "name", name.as_str());
    put(&mut object, "role", member.role.as_str());
    put(&mut object, "address", member.address.as_deref());
    put(&mut object, "connected", is_connected);
    put(&mut object, "status", status);
    put(&mut object, "enrolled", time(member.enrolled));
    let expires = time(member.certificate_expires);
    put(&mut object, "certificate_expires", expires);
    let last_seen = seen.map_or(Value::Null, |seen| time(seen.last_seen));
    put(&mut object, "last_seen", last_seen);
    let connected_to = seen.map(|seen| seen.report.connected.clone());
    let connected_to = connected_to.unwrap_or_default();
    put(&mut object, "connected_to", connected_to);
    let folders = seen.map_or(&[][..], |seen| &seen.report.folders);
    put(&mut object, "folders", list(folders, figures));
    object
}

/// All nodes, by name.
#[must_use]
pub fn members(snapshot: &Snapshot, seen: &Sightings) -> Vec<Object> {
    let members = snapshot.state.roster.members.iter();
    members
        .map(|(name, row)| member(name, row, seen.nodes.get(name), true))
        .collect()
}

fn figures(folder: &FolderFigures) -> Object {
    let mut object = object("figures");
    put(&mut object, "name", folder.name.as_str());
    put(&mut object, "status", folder.status.as_str());
    put(&mut object, "reason", folder.reason.as_str());
    put(&mut object, "mode", folder.mode.as_str());
    put(&mut object, "in_sync", folder.in_sync);
    put(&mut object, "paths", folder.paths);
    put(&mut object, "pending", folder.pending);
    put(&mut object, "bytes_sent", folder.bytes_sent);
    put(&mut object, "bytes_received", folder.bytes_received);
    object
}

/// A node that was removed.
#[must_use]
pub fn node_removed(name: &NodeName) -> Object {
    let mut object = object("node-removed");
    put(&mut object, "name", name.as_str());
    object
}

/// Which node keeps which folder, and how.
#[must_use]
pub fn placement(folder: &FolderName, node: &NodeName, mode: PlacementMode) -> Object {
    let mut object = object("placement");
    put(&mut object, "folder", folder.as_str());
    put(&mut object, "node", node.as_str());
    put(&mut object, "mode", mode.as_str());
    object
}

/// All placements, by folder and node.
#[must_use]
pub fn placements(snapshot: &Snapshot) -> Vec<Object> {
    let folders = snapshot.state.desired.folders.iter();
    let rows = folders.flat_map(|(folder, nodes)| {
        let nodes = nodes.iter();
        nodes.map(move |(node, mode)| placement(folder, node, *mode))
    });
    rows.collect()
}

/// A folder that a node keeps no more.
#[must_use]
pub fn withdrawn(folder: &FolderName, node: &NodeName) -> Object {
    let mut object = object("withdrawn");
    put(&mut object, "folder", folder.as_str());
    put(&mut object, "node", node.as_str());
    object
}

/// A stable word for what a manager did not do.
#[must_use]
pub fn error_kind(error: &ManagerError) -> &'static str {
    match error {
        ManagerError::Refused(Refusal::NotEnrolled { .. }) => "unknown-node",
        ManagerError::Refused(Refusal::NoToken(_)) => "unknown-token",
        ManagerError::Refused(Refusal::NotPlaced { .. }) => "unknown-placement",
        ManagerError::Refused(Refusal::Role | Refusal::Lifetime(_)) => "usage",
        ManagerError::Refused(_) => "refused",
        ManagerError::Deadline(_) => "busy",
        _ => "manager",
    }
}
