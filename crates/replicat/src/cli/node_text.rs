//! What a node answers, for people.

use jiff::tz::TimeZone;
use replicat::control::json::{self, Object};
use serde_json::Value;

use super::terminal::{count_text, number_text, path_text, sentence, size_text};

/// An answer, as lines.
pub(crate) fn lines(object: &Object, zone: &TimeZone) -> Vec<String> {
    match text(object, "type") {
        "node" => node(object),
        "peer" => vec![peer(object)],
        "folder" => folder(object),
        "event" => vec![event(object, zone)],
        "conflict" => conflict(object, zone),
        "version" => vec![version(object, zone)],
        "explanation" => explanation(object),
        "path" => vec![path(object, zone)],
        "paused" => vec![done(object, "paused")],
        "resumed" => vec![done(object, "going on")],
        "rescanning" => vec![done(object, "being looked at anew")],
        "approved" => vec![approved(object)],
        _ => Vec::new(),
    }
}

fn text<'a>(object: &'a Object, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn number(object: &Object, key: &str) -> u64 {
    object.get(key).and_then(Value::as_u64).unwrap_or_default()
}

fn objects<'a>(object: &'a Object, key: &str) -> impl Iterator<Item = &'a Object> {
    let rows = object.get(key).and_then(Value::as_array);
    rows.into_iter().flatten().filter_map(Value::as_object)
}

fn row(name: &str, value: &str) -> String {
    format!("{:<15}{value}", format!("{name}:"))
}

fn node(object: &Object) -> Vec<String> {
    let address = match text(object, "address") {
        "" => "only dials",
        address => address,
    };
    let mut lines = vec![
        row("Node", &sentence(text(object, "name"))),
        row("Status", text(object, "status")),
        row("Address", address),
        row("Cluster", text(object, "cluster")),
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
            &format!("{}, {queue} waiting", sentence(text(worker, "name"))),
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
        sentence(text(object, "address")),
        text(object, "status"),
    );
    if let Some(round_trip) = object.get("round_trip_ms").and_then(Value::as_f64) {
        line += &format!(", {round_trip:.1} ms");
    }
    if object.contains_key("bytes_sent") {
        let sent = size_text(number(object, "bytes_sent"));
        let received = size_text(number(object, "bytes_received"));
        line += &format!(", {sent} sent, {received} received");
    }
    match text(object, "reason") {
        "" => {}
        reason => line += &format!(": {}", sentence(reason)),
    }
    line
}

fn folder(object: &Object) -> Vec<String> {
    let root = bytes(object, "root");
    let mut state = text(object, "status").to_owned();
    let is_in_sync = object.get("in_sync").and_then(Value::as_bool);
    let peers = objects(object, "peers").count() as u64;
    if is_in_sync == Some(true) && peers > 0 {
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
            sentence(text(object, "name")),
            path_text(&root),
            text(object, "mode")
        ),
    )];
    match text(object, "reason") {
        "" => {}
        reason => lines.push(row("  because", &sentence(reason))),
    }
    for skipped in objects(object, "skipped") {
        let path = path_text(&bytes(skipped, "path"));
        lines.push(row(
            "  skipped",
            &format!("{path} {}", sentence(text(skipped, "reason"))),
        ));
    }
    match text(object, "brake") {
        "" => {}
        brake => lines.push(row(
            "  STOPPED",
            &format!("{brake}: see `replicat approve`"),
        )),
    }
    lines
}

/// The bytes under a key, whole.
fn bytes(object: &Object, key: &str) -> Vec<u8> {
    let digits = object.get(&format!("{key}_hex")).and_then(Value::as_str);
    let whole = digits.and_then(json::from_hexadecimal);
    whole.unwrap_or_else(|| text(object, key).as_bytes().to_vec())
}

/// An event: when, what, where, by whom, through whom.
fn event(object: &Object, zone: &TimeZone) -> String {
    let time: Option<jiff::Timestamp> = text(object, "time").parse().ok();
    let time = time.map_or_else(String::new, |time| {
        let local = time.to_zoned(zone.clone());
        local.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string()
    });
    let mut place = path_text(&bytes(object, "path"));
    if object.get("is_directory").and_then(Value::as_bool) == Some(true) {
        place.push('/');
    }
    if object.contains_key("source_path") {
        place = format!("{} -> {place}", path_text(&bytes(object, "source_path")));
    }
    let folder = match text(object, "folder") {
        "" => "-",
        folder => folder,
    };
    let mut line = format!(
        "{time}  {:<20} {}: {place}  by {}",
        text(object, "name"),
        sentence(folder),
        sentence(text(object, "source")),
    );
    match text(object, "network_source") {
        "" => {}
        through => line += &format!(" through {}", sentence(through)),
    }
    line
}

/// A time, by the clock of `zone`.
fn local_time(object: &Object, key: &str, zone: &TimeZone) -> String {
    let time: Option<jiff::Timestamp> = text(object, key).parse().ok();
    time.map_or_else(
        || "-".to_owned(),
        |time| {
            let local = time.to_zoned(zone.clone());
            local.strftime("%Y-%m-%d %H:%M:%S").to_string()
        },
    )
}

/// One side of a conflict: what, by whom, when.
fn side(object: &Object, key: &str, zone: &TimeZone) -> String {
    let Some(side) = object.get(key).and_then(Value::as_object) else {
        return String::new();
    };
    let what = match text(side, "kind") {
        "file" => size_text(number(side, "size")),
        kind => kind.to_owned(),
    };
    let when = local_time(side, "when", zone);
    format!("{what} by {} of {when}", sentence(text(side, "node")))
}

fn conflict(object: &Object, zone: &TimeZone) -> Vec<String> {
    vec![
        path_text(&bytes(object, "path")),
        format!("  at the path: {}", side(object, "winner", zone)),
        format!("  in the copy: {}", side(object, "loser", zone)),
        format!("  the copy is: {}", path_text(&bytes(object, "copy"))),
    ]
}

/// One version in a path's history.
fn version(object: &Object, zone: &TimeZone) -> String {
    let mut change = text(object, "change").replace('-', " ");
    if object.contains_key("other") {
        change += &format!(" {}", path_text(&bytes(object, "other")));
    }
    format!(
        "{:>3}  {}  {:>10}  {:<12}  {}: {change}",
        number(object, "revision"),
        local_time(object, "when", zone),
        size_text(number(object, "size")),
        text(object, "keeping"),
        sentence(text(object, "node")),
    )
}

fn explanation(object: &Object) -> Vec<String> {
    let facts = object.get("facts").and_then(Value::as_array);
    let facts = facts.into_iter().flatten().filter_map(Value::as_str);
    std::iter::once(path_text(&bytes(object, "path")))
        .chain(facts.map(|fact| format!("  {}", sentence(fact))))
        .collect()
}

/// One path of a tree.
fn path(object: &Object, zone: &TimeZone) -> String {
    let slash = match text(object, "kind") {
        "directory" => "/",
        _ => "",
    };
    let target = match object.contains_key("target") {
        true => format!(" -> {}", path_text(&bytes(object, "target"))),
        false => String::new(),
    };
    let state = match text(object, "state") {
        "present" => String::new(),
        state => format!("  ({state})"),
    };
    format!(
        "{:>4}  {:>15}  {:<19}  {}{slash}{target}{state}",
        text(object, "mode"),
        number_text(number(object, "size")),
        local_time(object, "mtime", zone),
        path_text(&bytes(object, "path")),
    )
}

fn names(object: &Object) -> String {
    let names = object.get("folders").and_then(Value::as_array);
    let names = names.into_iter().flatten().filter_map(Value::as_str);
    names.map(sentence).collect::<Vec<_>>().join(", ")
}

fn done(object: &Object, what: &str) -> String {
    format!("{what}: {}", names(object))
}

fn approved(object: &Object) -> String {
    match names(object).as_str() {
        "" => "nothing holds a folder".to_owned(),
        names => format!("goes on: {names}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(json: &str) -> String {
        let object: Object = serde_json::from_str(json).unwrap();
        lines(&object, &TimeZone::UTC).join("\n")
    }

    #[test]
    fn an_event_is_one_line_and_a_hostile_name_has_no_power() {
        insta::assert_snapshot!(shown(
            r#"{"type":"event","time":"2026-11-23T00:30:12.5Z","name":"replicat.Rename","source":"b",
                "folder":"site","path":"n\u001b[2Jew","source_path":"old","is_directory":true,"network_source":"c"}"#
        ), @r"2026-11-23 00:30:12.500  replicat.Rename      site: old -> n\x1b[2Jew/  by b through c");
    }

    #[test]
    fn a_node_tells_what_matters() {
        insta::assert_snapshot!(shown(
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
