//! What a manager says, to people and to programs.

use std::time::SystemTime;

use replicat::manager::{
    EnrolmentToken, FolderFigures, Member, PlacementMode, Service, Sighting, TokenId, TokenOrder,
    TokenRecord,
};
use replicat::{FolderName, NodeName};
use serde_json::Value;

use super::json::{self, Object};
use super::terminal::{count_text, duration_text, number_text, sentence};

/// One thing that is said.
pub(crate) struct Said {
    /// To people.
    pub(crate) lines: Vec<String>,
    /// To programs.
    pub(crate) object: Object,
}

pub(crate) fn started(service: &Service) -> Said {
    let cluster = service.manager().authority().cluster_id().to_string();
    let address = service.address().map(|address| address.to_string());
    let mut object = json::object("started");
    json::put(&mut object, "address", address.as_deref());
    json::put(&mut object, "cluster", cluster.as_str());
    let place = address.as_deref().unwrap_or("no address");
    Said {
        lines: vec![format!(
            "the manager of cluster {cluster} listens on {place}"
        )],
        object,
    }
}

/// A token that was just made. Only the token itself goes to people, so that it can be taken from the output.
pub(crate) fn new_token(token: &EnrolmentToken, order: &TokenOrder) -> Said {
    let text = token.to_text();
    let mut object = json::object("token");
    json::put(&mut object, "id", token.id.to_string());
    json::put(&mut object, "token", text.as_str());
    json::put(&mut object, "role", order.role.as_str());
    json::put(
        &mut object,
        "node",
        order.node.as_ref().map(NodeName::as_str),
    );
    json::put(&mut object, "expires_in", order.lifetime.as_secs());
    Said {
        lines: vec![text.to_string()],
        object,
    }
}

pub(crate) fn token(token: &TokenRecord, now: SystemTime) -> Said {
    let left = token.expires.duration_since(now).ok();
    let used = token.used.as_ref();
    let state = match (used, left) {
        (Some(used), _) => format!("used by node {}", used.node),
        (None, Some(left)) => format!("good for {}", duration_text(left)),
        (None, None) => "ended".to_owned(),
    };
    let node = token.node.as_ref().map(NodeName::as_str);
    let mut object = json::object("token");
    json::put(&mut object, "id", token.id.to_string());
    json::put(&mut object, "role", token.role.as_str());
    json::put(&mut object, "node", node);
    json::put(&mut object, "expires", time(token.expires));
    json::put(&mut object, "used_by", used.map(|used| used.node.as_str()));
    let who = node.map(|node| format!(" for node {node}"));
    let who = who.unwrap_or_default();
    Said {
        lines: vec![format!("{}  {}{who}, {state}", token.id, token.role)],
        object,
    }
}

pub(crate) fn token_removed(id: TokenId) -> Said {
    let mut object = json::object("token-removed");
    json::put(&mut object, "id", id.to_string());
    Said {
        lines: vec![format!("token {id} is good for nothing any more")],
        object,
    }
}

/// A node: who may do what, and how it stands as far as the manager knows, if one runs.
pub(crate) fn node(
    name: &NodeName,
    member: &Member,
    seen: Option<&Sighting>,
    is_running: bool,
) -> Said {
    let is_connected = match is_running {
        true => Some(seen.is_some_and(|seen| seen.is_connected)),
        false => None,
    };
    let status = match is_connected {
        Some(true) => seen.map_or("", |seen| &seen.report.status),
        Some(false) => "not connected",
        None => "not known: the manager does not run",
    };
    let mut object = json::object("member");
    json::put(&mut object, "name", name.as_str());
    json::put(&mut object, "role", member.role.as_str());
    json::put(&mut object, "address", member.address.as_deref());
    json::put(&mut object, "connected", is_connected);
    json::put(&mut object, "status", status);
    json::put(&mut object, "enrolled", time(member.enrolled));
    json::put(
        &mut object,
        "certificate_expires",
        time(member.certificate_expires),
    );
    let last_seen = seen.map(|seen| time(seen.last_seen));
    json::put(&mut object, "last_seen", last_seen.unwrap_or_default());
    let connected_to = seen.map(|seen| seen.report.connected.clone());
    json::put(
        &mut object,
        "connected_to",
        connected_to.unwrap_or_default(),
    );
    let folders = seen.map_or(&[][..], |seen| &seen.report.folders);
    json::put(&mut object, "folders", json::objects(folders, figures));
    let address = member.address.as_deref().unwrap_or("only dials");
    let mut lines = vec![format!(
        "{name}  {}, {}, {}",
        member.role,
        sentence(address),
        sentence(status)
    )];
    if is_connected == Some(true) {
        lines.extend(folders.iter().map(folder_line));
    }
    Said { lines, object }
}

fn figures(folder: &FolderFigures) -> Object {
    let mut object = json::object("figures");
    json::put(&mut object, "name", folder.name.as_str());
    json::put(&mut object, "status", folder.status.as_str());
    json::put(&mut object, "reason", folder.reason.as_str());
    json::put(&mut object, "mode", folder.mode.as_str());
    json::put(&mut object, "in_sync", folder.in_sync);
    json::put(&mut object, "paths", folder.paths);
    json::put(&mut object, "pending", folder.pending);
    json::put(&mut object, "bytes_sent", folder.bytes_sent);
    json::put(&mut object, "bytes_received", folder.bytes_received);
    object
}

fn folder_line(folder: &FolderFigures) -> String {
    let sync = match (folder.in_sync, folder.pending) {
        (true, _) => "in sync".to_owned(),
        (false, 0) => "not in sync".to_owned(),
        (false, pending) => format!("{} pending", number_text(pending)),
    };
    let reason = match folder.reason.as_str() {
        "" => String::new(),
        reason => format!(": {}", sentence(reason)),
    };
    format!(
        "  {}  {}, {}, {sync}, {}{reason}",
        sentence(folder.name.as_str()),
        sentence(&folder.status),
        folder.mode,
        count_text(folder.paths, "path"),
    )
}

pub(crate) fn node_removed(name: &NodeName) -> Said {
    let mut object = json::object("node-removed");
    json::put(&mut object, "name", name.as_str());
    Said {
        lines: vec![format!("node {name} takes no part any more")],
        object,
    }
}

pub(crate) fn placement(folder: &FolderName, node: &NodeName, mode: PlacementMode) -> Said {
    let mut object = json::object("placement");
    json::put(&mut object, "folder", folder.as_str());
    json::put(&mut object, "node", node.as_str());
    json::put(&mut object, "mode", mode.as_str());
    Said {
        lines: vec![format!("{}  at {node}, {mode}", sentence(folder.as_str()))],
        object,
    }
}

pub(crate) fn withdrawn(folder: &FolderName, node: &NodeName) -> Said {
    let mut object = json::object("withdrawn");
    json::put(&mut object, "folder", folder.as_str());
    json::put(&mut object, "node", node.as_str());
    let folder = sentence(folder.as_str());
    Said {
        lines: vec![format!(
            "node {node} keeps folder {folder} no more; its files stay"
        )],
        object,
    }
}

fn time(time: SystemTime) -> Value {
    match jiff::Timestamp::try_from(time) {
        Ok(time) => time.to_string().into(),
        Err(_) => Value::Null,
    }
}
