//! What a node answers, for people.

use jiff::tz::TimeZone;
use serde_json::Value;

use super::fields::{is_set, number, objects, path, shown, text, texts, time_as};
use super::json::Object;
use super::terminal::{count_text, number_text, sentence, size_text};

/// An object of this `kind`, as lines; `None` if it is not one of these.
pub(crate) fn lines(kind: &str, object: &Object, zone: &TimeZone) -> Option<Vec<String>> {
    Some(match kind {
        "node" => node(object),
        "peer" => vec![peer(object)],
        "folder" => folder(object),
        "event" => vec![event(object, zone)],
        "gap" => vec!["some events were missed".to_owned()],
        "session" => session(object, zone),
        "configuration" => configuration(object),
        "paused" => vec![done(object, "paused")],
        "resumed" => vec![done(object, "going on")],
        "rescanning" => vec![done(object, "being looked at anew")],
        "approved" => vec![approved(object)],
        "rejected" => vec![rejected(object)],
        _ => return None,
    })
}

fn row(name: &str, value: &str) -> String {
    let name = match name {
        "" => String::new(),
        name => format!("{name}:"),
    };
    format!("{name:<15}{value}")
}

fn node(object: &Object) -> Vec<String> {
    let address = match text(object, "address") {
        "" => "only dials".to_owned(),
        address => sentence(address),
    };
    let mut lines = vec![
        row("Node", &shown(object, "name")),
        row("Status", &shown(object, "status")),
        row("Address", &address),
        row("Cluster", &shown(object, "cluster")),
    ];
    let rate = object.get("bandwidth").and_then(Value::as_u64);
    lines.extend(rate.map(|rate| row("Limit", &format!("{}/s", size_text(rate)))));
    for found in objects(object, "folders") {
        lines.extend(folder(found));
    }
    for found in objects(object, "nodes") {
        lines.push(row("Peer", &peer(found)));
    }
    let busy = objects(object, "workers").filter(|worker| text(worker, "state") == "working");
    for worker in busy {
        let queue = number_text(number(worker, "queue"));
        lines.push(row(
            "Working",
            &format!("{}, {queue} waiting", shown(worker, "name")),
        ));
    }
    lines
}

/// A peer: who, where, how it stands.
fn peer(object: &Object) -> String {
    let name = match text(object, "name") {
        "" => "?",
        name => name,
    };
    let mut line = format!(
        "{:<12} {:<22} {}",
        sentence(name),
        shown(object, "address"),
        shown(object, "status"),
    );
    if let Some(round_trip) = object.get("round_trip_ms").and_then(Value::as_f64) {
        line += &format!(", {round_trip:.1} ms");
    }
    if object.contains_key("bytes_sent") {
        let sent = size_text(number(object, "bytes_sent"));
        let received = size_text(number(object, "bytes_received"));
        line += &format!(", {sent} sent, {received} received");
    }
    if is_set(object, "other_cluster_key") {
        line += ", shows another cluster key";
    }
    match text(object, "reason") {
        "" => {}
        reason => line += &format!(": {}", sentence(reason)),
    }
    line
}

fn folder(object: &Object) -> Vec<String> {
    let mut state = shown(object, "status");
    let peers = objects(object, "peers").count() as u64;
    if is_set(object, "in_sync") && peers > 0 {
        state += &format!(", in sync with {}", count_text(peers, "peer"));
    }
    let pending = number(object, "pending");
    if pending > 0 {
        state += &format!(", {} to come", count_text(pending, "path"));
    }
    let mut lines = vec![row(
        "Folder",
        &format!(
            "{}  {}  {}  {state}",
            shown(object, "name"),
            path(object, "root"),
            shown(object, "mode")
        ),
    )];
    match text(object, "reason") {
        "" => {}
        reason => lines.push(row("  because", &sentence(reason))),
    }
    lines.extend(open_conflicts(object));
    lines.extend(refused(object));
    for skipped in objects(object, "skipped") {
        let path = path(skipped, "path");
        lines.push(row(
            "  skipped",
            &format!("{path} {}", shown(skipped, "reason")),
        ));
    }
    match number(object, "held_deletions") {
        0 => {}
        held => lines.push(row("  held", &held_text(object, held))),
    }
    lines
}

/// Deletions that are held, by a brake or for a moment.
fn held_text(folder: &Object, held: u64) -> String {
    let files = count_text(held, "file");
    match text(folder, "brake") {
        "" => format!("the deletion of {files}, until it is known how many more are deleted"),
        _ => format!(
            "the deletion of {files}; `replicat approve` deletes them everywhere, `replicat reject` brings them back"
        ),
    }
}

/// How many conflicts are open.
fn open_conflicts(object: &Object) -> Option<String> {
    let conflicts = number(object, "conflicts");
    let counted = match conflicts {
        0 => return None,
        1 => "1 is open".to_owned(),
        many => format!("{} are open", number_text(many)),
    };
    Some(row(
        "  conflicts",
        &format!("{counted}: see `replicat conflicts`"),
    ))
}

/// What was changed here and the peers refuse.
fn refused(object: &Object) -> Vec<String> {
    let count = number(object, "refused");
    if count == 0 {
        return Vec::new();
    }
    let what = match count {
        1 => "1 local change that peers refuse".to_owned(),
        many => format!("{} local changes that peers refuse", number_text(many)),
    };
    let mut lines = vec![row(
        "  refused",
        &format!("{what}; `replicat revert` makes the directory as the others are"),
    )];
    for change in objects(object, "refused_changes") {
        let path = path(change, "path");
        let place = if path.is_empty() { "." } else { &path };
        lines.push(row("", &format!("{place} {}", shown(change, "change"))));
    }
    lines
}

/// An event: when, what, where, by whom, through whom.
fn event(object: &Object, zone: &TimeZone) -> String {
    let time = time_as(object, "time", zone, "%Y-%m-%d %H:%M:%S%.3f");
    let mut place = path(object, "path");
    if is_set(object, "is_directory") {
        place.push('/');
    }
    if object.contains_key("source_path") {
        place = format!("{} -> {place}", path(object, "source_path"));
    }
    let folder = match text(object, "folder") {
        "" => "-",
        folder => folder,
    };
    let mut line = format!(
        "{time}  {:<20} {}: {place}  by {}",
        shown(object, "name"),
        sentence(folder),
        shown(object, "source"),
    );
    match text(object, "network_source") {
        "" => {}
        through => line += &format!(" through {}", sentence(through)),
    }
    line
}

/// Who asks, and whom.
fn session(object: &Object, zone: &TimeZone) -> Vec<String> {
    let token = object.get("token").and_then(Value::as_object);
    let empty = Object::new();
    let token = token.unwrap_or(&empty);
    let ends = match token.get("expires") {
        Some(Value::String(_)) => {
            let time = time_as(token, "expires", zone, "%Y-%m-%d %H:%M:%S");
            format!("good until {time}")
        }
        _ => "good until it is revoked".to_owned(),
    };
    let server = match text(object, "server") {
        "manager" => "Manager",
        _ => "Node",
    };
    let (name, scope) = (text(token, "name"), text(token, "scope"));
    vec![
        row(server, &shown(object, "name")),
        row("Version", &shown(object, "version")),
        row(
            "Token",
            &format!("{}, {}, {ends}", sentence(name), sentence(scope)),
        ),
    ]
}

/// Settings, as they would stand in a file, as far as they are set.
fn configuration(object: &Object) -> Vec<String> {
    let fields = object.iter().filter(|(key, _)| *key != "type");
    let set = fields.filter(|(_, value)| match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(rows) => !rows.is_empty(),
        _ => true,
    });
    set.map(|(key, value)| format!("{} = {}", sentence(key), sentence(&value.to_string())))
        .collect()
}

fn names(object: &Object) -> String {
    texts(object, "folders")
        .map(sentence)
        .collect::<Vec<_>>()
        .join(", ")
}

fn done(object: &Object, what: &str) -> String {
    format!("{what}: {}", names(object))
}

fn approved(object: &Object) -> String {
    match names(object).as_str() {
        "" => "no deletion is held; nothing to approve".to_owned(),
        names => format!("the held deletions happen in {names}"),
    }
}

fn rejected(object: &Object) -> String {
    match names(object).as_str() {
        "" => "no deletion is held; nothing to reject".to_owned(),
        names => format!("the files come back in {names}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::teller::tests::told;

    #[test]
    fn an_event_is_one_line_and_a_hostile_name_has_no_power() {
        insta::assert_snapshot!(told(
            r#"{"type":"event","time":"2026-11-23T00:30:12.5Z","name":"replicat.Rename","source":"b",
                "folder":"site","path":"n\u001b[2Jew","source_path":"old","is_directory":true,"network_source":"c"}"#
        ), @r"2026-11-23 00:30:12.500  replicat.Rename      site: old -> n\x1b[2Jew/  by b through c");
    }

    #[test]
    fn a_node_tells_what_matters() {
        insta::assert_snapshot!(told(
            r#"{"type":"node","name":"a","address":"127.0.0.1:1","cluster":"c","status":"Online","bandwidth":1024,
                "folders":[{"name":"site","root":"/srv/site","mode":"read-write","status":"Online","in_sync":true,
                "peers":[{"name":"b"}],"pending":0}],
                "nodes":[{"name":"b","address":"h:1","status":"unreachable","reason":"cannot connect"}],
                "workers":[{"name":"b sends","state":"working","queue":3}]}"#
        ), @r"
        Node:          a
        Status:        Online
        Address:       127.0.0.1:1
        Cluster:       c
        Limit:         1.0 KiB/s
        Folder:        site  /srv/site  read-write  Online, in sync with 1 peer
        Peer:          b            h:1                    unreachable: cannot connect
        Working:       b sends, 3 waiting
        ");
    }
}
