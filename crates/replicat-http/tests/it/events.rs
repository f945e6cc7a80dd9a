//! Events, kept and as they come.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::time::SystemTime;

use replicat_http::tokens::Scope;
use serde_json::Value;

use crate::client::Ask;
use crate::place::Place;

/// A stream of events that is read.
struct Stream(BufReader<TcpStream>);

#[derive(Debug)]
struct Said {
    name: String,
    id: Option<String>,
    data: Value,
}

impl Stream {
    fn open(ask: &Ask) -> Self {
        let mut reader = BufReader::new(ask.begin());
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        assert!(line.starts_with("HTTP/1.1 200 "), "{line}");
        while line.trim() != "" {
            line.clear();
            reader.read_line(&mut line).unwrap();
        }
        Self(reader)
    }

    /// The next event; chunk sizes and heartbeats are passed over.
    fn next(&mut self) -> Option<Said> {
        let (mut name, mut id) = (None, None);
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            let line = line.trim_end();
            if let Some(text) = line.strip_prefix("event: ") {
                name = Some(text.to_owned());
            } else if let Some(text) = line.strip_prefix("id: ") {
                id = Some(text.to_owned());
            } else if let Some(text) = line.strip_prefix("data: ") {
                let data = serde_json::from_str(text).unwrap();
                return Some(Said {
                    name: name.unwrap(),
                    id,
                    data,
                });
            }
        }
    }

    /// The next event of a name.
    fn wait_for(&mut self, name: &str) -> Said {
        for _ in 0..10_000 {
            let said = self
                .next()
                .unwrap_or_else(|| panic!("the stream ended before {name}"));
            if said.name == name {
                return said;
            }
        }
        panic!("{name} does not come");
    }

    /// The next event of a path.
    fn wait_for_path(&mut self, path: &str) -> Said {
        for _ in 0..10_000 {
            let said = self.wait_for("event");
            if said.data["path"] == path {
                return said;
            }
        }
        panic!("{path} is not told of");
    }
}

const STREAM: &str = "/api/v1/events/stream";

#[test]
fn a_stream_tells_what_happens_and_goes_on_where_it_ended() {
    let place = Place::node();
    let ask = || place.bare("GET", STREAM).token(&place.read);
    let mut stream = Stream::open(&ask());
    let node = stream.next().unwrap();
    assert_eq!(
        (node.name.as_str(), &node.data["type"]),
        ("node", &"node".into())
    );
    place.upload("one", "1").send();
    let one = stream.wait_for_path("one");
    assert_eq!(one.data["id"], one.id.clone().unwrap());
    drop(stream);
    place.upload("two", "2").send();
    let mut again = Stream::open(&ask().header("Last-Event-ID", &one.id.unwrap()));
    assert_eq!(again.next().unwrap().name, "node");
    again.wait_for_path("two");

    let mut lost = Stream::open(&ask().header("Last-Event-ID", "1-1"));
    lost.next().unwrap();
    assert_eq!(lost.next().unwrap().name, "gap");
    let mut wrong = Stream::open(&ask().header("Last-Event-ID", "nonsense"));
    wrong.next().unwrap();
    assert_eq!(wrong.next().unwrap().name, "gap");
}

#[test]
fn a_stream_ends_with_its_token_and_with_the_node() {
    let place = Place::node();
    let store = place.tokens();
    let (token, text) = store
        .create("x", Scope::Read, None, SystemTime::now())
        .unwrap();
    let mut stream = Stream::open(&place.bare("GET", STREAM).token(&text));
    stream.next().unwrap();
    store.revoke(&token.id).unwrap();
    stream.wait_for("end");
    assert!(stream.next().is_none());

    let mut stream = Stream::open(&place.bare("GET", STREAM).token(&place.read));
    stream.next().unwrap();
    place.stop_server();
    let end = stream.wait_for("end");
    assert_eq!(end.data["reason"], "the node stops");
}

#[test]
fn kept_events_are_listed_page_by_page() {
    let place = Place::node();
    for name in ["a", "b", "c"] {
        place.upload(name, name).send();
    }
    let all = place.get("/api/v1/events").json();
    let all = all["items"].as_array().unwrap();
    assert!(all.len() >= 2);
    let first = place.get("/api/v1/events?limit=1").json();
    assert_eq!(first["items"][0], all[0]);
    assert_eq!(first["next"], all[0]["id"]);
    let next = first["next"].as_str().unwrap();
    let second = place
        .get(&format!("/api/v1/events?limit=1&after={next}"))
        .json();
    assert_eq!(second["items"][0], all[1]);
    assert_eq!(place.get("/api/v1/events?after=x").status, 400);
}

#[test]
fn a_manager_tells_what_changes_until_its_token_or_itself_ends() {
    let mut place = Place::manager();
    let store = place.tokens();
    let (token, text) = store
        .create("x", Scope::Read, None, SystemTime::now())
        .unwrap();
    let mut stream = Stream::open(&place.bare("GET", STREAM).token(&text));
    let first = stream.next().unwrap();
    let said = (
        first.name.as_str(),
        &first.data["type"],
        &first.data["nodes"],
    );
    assert_eq!(said, ("manager", &"manager".into(), &0.into()));
    assert_eq!(first.data["members"], serde_json::json!([]));
    assert_eq!(first.data["placement_list"], serde_json::json!([]));
    assert!(first.id.is_none());
    let nas = place.enrol("nas");
    while stream.wait_for("manager").data["members"][0]["connected"] != true {}
    let target = "/api/v1/placements/site/nas";
    assert_eq!(place.administer("PUT", target).send().status, 200);
    while stream.wait_for("manager").data["placement_list"][0]["folder"] != "site" {}
    store.revoke(&token.id).unwrap();
    stream.wait_for("end");
    assert!(stream.next().is_none());

    let mut stream = Stream::open(&place.bare("GET", STREAM).token(&place.read));
    stream.wait_for("manager");
    place.stop_service();
    assert_eq!(stream.wait_for("end").data["reason"], "the manager stops");
    place.stop(&nas);
}
