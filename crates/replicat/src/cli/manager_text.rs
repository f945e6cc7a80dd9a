//! What a manager answers, for people.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use replicat::manager::Service;
use serde_json::Value;

use super::fields::{is_set, number, objects, shown, text};
use super::json::{self, Object};
use super::teller::Teller;
use super::terminal::{count_text, duration_text, number_text, sentence};

/// An object of this `kind`, as lines; `None` if it is not one of these.
pub(crate) fn lines(kind: &str, object: &Object) -> Option<Vec<String>> {
    Some(match kind {
        "manager" => manager(object),
        "member" => member(object),
        "token" => vec![token(object, SystemTime::now())],
        "token-removed" => vec![format!(
            "token {} is good for nothing any more",
            shown(object, "id")
        )],
        "node-removed" => vec![format!(
            "node {} takes no part any more",
            shown(object, "name")
        )],
        "placement" => vec![placement(object)],
        "withdrawn" => vec![withdrawn(object)],
        _ => return None,
    })
}

/// Tells that a manager has started.
pub(crate) fn tell_started(
    teller: &Teller,
    service: &Service,
    http: Option<SocketAddr>,
) -> std::io::Result<()> {
    let cluster = service.manager().authority().cluster_id().to_string();
    let address = service.address().map(|address| address.to_string());
    let mut object = json::object("started");
    json::put(&mut object, "address", address.as_deref());
    json::put(&mut object, "cluster", cluster.as_str());
    json::put(&mut object, "http", http.map(|http| http.to_string()));
    teller.tell_as(&object, || {
        let place = address.as_deref().unwrap_or("no address");
        let http = http.map(|http| format!(", and for HTTP on {http}"));
        let http = http.unwrap_or_default();
        vec![format!(
            "the manager of cluster {cluster} listens on {place}{http}"
        )]
    })
}

/// A manager as a whole; of a stream, with its nodes.
fn manager(object: &Object) -> Vec<String> {
    let nodes = count_text(number(object, "nodes"), "node");
    let standing = match object.get("connected").and_then(Value::as_u64) {
        Some(connected) => format!("{} of {nodes} connected", number_text(connected)),
        None => format!("{nodes}, the manager does not run"),
    };
    let address = match text(object, "address") {
        "" => String::new(),
        address => format!(" at {}", sentence(address)),
    };
    let mut lines = vec![format!(
        "manager of cluster {}{address}: {standing}, {}",
        shown(object, "cluster"),
        count_text(number(object, "placements"), "placement"),
    )];
    lines.extend(objects(object, "members").flat_map(member));
    lines
}

/// A token. Of one that was just made only the token itself, so that it can be taken from the output.
fn token(token: &Object, now: SystemTime) -> String {
    if token.contains_key("token") {
        return shown(token, "token");
    }
    let state = match (text(token, "used_by"), left(token, now)) {
        ("", Some(left)) => format!("good for {}", duration_text(left)),
        ("", None) => "ended".to_owned(),
        (used_by, _) => format!("used by node {}", sentence(used_by)),
    };
    let who = match text(token, "node") {
        "" => String::new(),
        node => format!(" for node {}", sentence(node)),
    };
    let (id, role) = (text(token, "id"), text(token, "role"));
    format!("{}  {}{who}, {state}", sentence(id), sentence(role))
}

/// How long a token is still good.
fn left(token: &Object, now: SystemTime) -> Option<Duration> {
    let expires: jiff::Timestamp = text(token, "expires").parse().ok()?;
    SystemTime::from(expires).duration_since(now).ok()
}

/// A node: who may do what, and how it stands as far as the manager knows, if one runs.
fn member(member: &Object) -> Vec<String> {
    let address = match text(member, "address") {
        "" => "only dials",
        address => address,
    };
    let mut lines = vec![format!(
        "{}  {}, {}, {}",
        shown(member, "name"),
        shown(member, "role"),
        sentence(address),
        shown(member, "status")
    )];
    if is_set(member, "connected") {
        lines.extend(objects(member, "folders").map(folder));
    }
    lines
}

fn folder(folder: &Object) -> String {
    let sync = match (is_set(folder, "in_sync"), number(folder, "pending")) {
        (true, _) => "in sync".to_owned(),
        (false, 0) => "not in sync".to_owned(),
        (false, pending) => format!("{} pending", number_text(pending)),
    };
    let reason = match text(folder, "reason") {
        "" => String::new(),
        reason => format!(": {}", sentence(reason)),
    };
    format!(
        "  {}  {}, {}, {sync}, {}{reason}",
        shown(folder, "name"),
        shown(folder, "status"),
        shown(folder, "mode"),
        count_text(number(folder, "paths"), "path"),
    )
}

fn placement(object: &Object) -> String {
    format!(
        "{}  at {}, {}",
        shown(object, "folder"),
        shown(object, "node"),
        shown(object, "mode")
    )
}

fn withdrawn(object: &Object) -> String {
    let (folder, node) = (text(object, "folder"), text(object, "node"));
    format!(
        "node {} keeps folder {} no more; its files stay",
        sentence(node),
        sentence(folder)
    )
}

#[cfg(test)]
mod tests {
    use super::super::teller::tests::told;

    #[test]
    fn people_read_how_nodes_stand_and_what_tokens_are_good_for() {
        let rows = [
            r#"{"type":"manager","address":"0.0.0.0:8788","cluster":"d4","generation":17,"nodes":3,"connected":2,"placements":1,
                "members":[{"name":"nas","role":"read-write","address":null,"connected":true,"status":"Online","folders":[
                {"name":"si\u001bte","status":"Online","reason":"","mode":"read-write","in_sync":false,"paths":1200,"pending":4}]}]}"#,
            r#"{"type":"token","id":"0f","token":"abcd","role":"read-write","node":null,"expires_in":3600}"#,
            r#"{"type":"token","id":"0f","role":"read-only","node":"nas","expires":"2020-01-01T00:00:00Z","used_by":null}"#,
            r#"{"type":"token","id":"0f","role":"read-only","node":null,"expires":"2020-01-01T00:00:00Z","used_by":"nas"}"#,
            r#"{"type":"placement","folder":"site","node":"nas","mode":"send-only"}"#,
        ];
        let lines: Vec<_> = rows.iter().map(|row| told(row)).collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        manager of cluster d4 at 0.0.0.0:8788: 2 of 3 nodes connected, 1 placement
        nas  read-write, only dials, Online
          si\x1bte  Online, read-write, 4 pending, 1,200 paths
        abcd
        0f  read-only for node nas, ended
        0f  read-only, used by node nas
        site  at nas, send-only
        ");
    }
}
