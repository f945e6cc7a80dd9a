//! What a manager says, to people and to programs.

use std::net::SocketAddr;
use std::time::SystemTime;

use replicat::control::management;
use replicat::manager::{
    EnrolmentToken, FolderFigures, Member, PlacementMode, Service, Sighting, TokenId, TokenOrder,
    TokenRecord,
};
use replicat::{FolderName, NodeName};

use super::json::{self, Object};
use super::terminal::{count_text, duration_text, number_text, sentence};

/// One thing that is said.
pub(crate) struct Said {
    /// To people.
    pub(crate) lines: Vec<String>,
    /// To programs.
    pub(crate) object: Object,
}

pub(crate) fn started(service: &Service, http: Option<SocketAddr>) -> Said {
    let cluster = service.manager().authority().cluster_id().to_string();
    let address = service.address().map(|address| address.to_string());
    let mut object = json::object("started");
    json::put(&mut object, "address", address.as_deref());
    json::put(&mut object, "cluster", cluster.as_str());
    json::put(&mut object, "http", http.map(|http| http.to_string()));
    let place = address.as_deref().unwrap_or("no address");
    let http = http.map(|http| format!(", and for HTTP on {http}"));
    let http = http.unwrap_or_default();
    Said {
        lines: vec![format!(
            "the manager of cluster {cluster} listens on {place}{http}"
        )],
        object,
    }
}

/// A token that was just made. Only the token itself goes to people, so that it can be taken from the output.
pub(crate) fn new_token(token: &EnrolmentToken, order: &TokenOrder) -> Said {
    let text = token.to_text();
    let object = management::new_token(token, order);
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
    let object = management::token(token);
    let who = node.map(|node| format!(" for node {node}"));
    let who = who.unwrap_or_default();
    Said {
        lines: vec![format!("{}  {}{who}, {state}", token.id, token.role)],
        object,
    }
}

pub(crate) fn token_removed(id: TokenId) -> Said {
    let object = management::token_removed(id);
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
    let (is_connected, status) = management::standing(seen, is_running);
    let object = management::member(name, member, seen, is_running);
    let address = member.address.as_deref().unwrap_or("only dials");
    let mut lines = vec![format!(
        "{name}  {}, {}, {}",
        member.role,
        sentence(address),
        sentence(status)
    )];
    if is_connected == Some(true) {
        let folders = seen.map_or(&[][..], |seen| &seen.report.folders);
        lines.extend(folders.iter().map(folder_line));
    }
    Said { lines, object }
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
    let object = management::node_removed(name);
    Said {
        lines: vec![format!("node {name} takes no part any more")],
        object,
    }
}

pub(crate) fn placement(folder: &FolderName, node: &NodeName, mode: PlacementMode) -> Said {
    let object = management::placement(folder, node, mode);
    Said {
        lines: vec![format!("{}  at {node}, {mode}", sentence(folder.as_str()))],
        object,
    }
}

pub(crate) fn withdrawn(folder: &FolderName, node: &NodeName) -> Said {
    let object = management::withdrawn(folder, node);
    let folder = sentence(folder.as_str());
    Said {
        lines: vec![format!(
            "node {node} keeps folder {folder} no more; its files stay"
        )],
        object,
    }
}
