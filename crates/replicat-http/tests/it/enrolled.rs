//! A manager with nodes, steered over HTTP.

use std::time::Instant;

use replicat_server::{NodeStatus, ReplicatServer};
use serde_json::{Value, json};

use crate::place::{Place, until};

fn member(place: &Place, name: &str) -> Value {
    let nodes = place.get("/api/v1/nodes").json();
    let mut rows = nodes["items"].as_array().unwrap().iter();
    rows.find(|row| row["name"] == name)
        .cloned()
        .unwrap_or_default()
}

fn folders(server: &ReplicatServer) -> Vec<String> {
    let folders = server.folders();
    folders
        .iter()
        .map(|folder| folder.name.to_string())
        .collect()
}

fn is_connected_to(server: &ReplicatServer, name: &str) -> bool {
    let nodes = server.nodes();
    let found = nodes
        .iter()
        .find(|node| node.name.as_ref().is_some_and(|own| own.as_str() == name));
    found.is_some_and(|node| node.status == NodeStatus::Connected)
}

#[test]
fn a_node_is_let_in_given_a_folder_and_cut_off() {
    let place = Place::manager();
    let (nas, laptop) = (place.enrol("nas"), place.enrol("laptop"));
    until("both", || {
        place.get("/api/v1/status").json()["connected"] == 2
    });
    assert_eq!(member(&place, "nas")["role"], "read-write");
    until("the link between them", || {
        is_connected_to(&laptop, "nas") && is_connected_to(&nas, "laptop")
    });

    let target = "/api/v1/placements/site/nas";
    assert_eq!(place.change("PUT", target).send().status, 403);
    let placed = place
        .administer("PUT", target)
        .json(r#"{"mode":"send-only"}"#)
        .send();
    let placement =
        json!({"type": "placement", "folder": "site", "node": "nas", "mode": "send-only"});
    assert_eq!((placed.status, placed.json()), (200, placement.clone()));
    let placements = place.get("/api/v1/placements").json();
    assert_eq!(placements, json!({"items": [placement], "next": null}));
    until("nas has it", || folders(&nas) == ["site"]);
    until("nas says so", || {
        member(&place, "nas")["folders"][0]["mode"] == "send-only"
    });
    let withdrawn = place.administer("DELETE", target).send();
    assert_eq!(withdrawn.json()["type"], "withdrawn");
    until("nas keeps it no more", || folders(&nas).is_empty());

    assert_eq!(
        place.change("DELETE", "/api/v1/nodes/nas").send().status,
        403
    );
    let begun = Instant::now();
    let removed = place.administer("DELETE", "/api/v1/nodes/nas").send();
    assert_eq!(
        removed.json(),
        json!({"type": "node-removed", "name": "nas"})
    );
    until("the other has dropped it", || {
        !is_connected_to(&laptop, "nas")
    });
    // What is promised is two seconds; a machine may be busy for longer.
    eprintln!("a node was cut off within {:?}", begun.elapsed());
    assert_eq!(member(&place, "nas"), Value::Null);
    let again = place.administer("DELETE", "/api/v1/nodes/nas").send();
    assert_eq!((again.status, again.kind().as_str()), (404, "unknown-node"));
    until("the manager has dropped it as well", || {
        place.get("/api/v1/status").json()["connected"] == 1
    });
    assert!(!is_connected_to(&laptop, "nas"));
    place.stop(&nas);
    place.stop(&laptop);
}

#[test]
fn names_in_paths_are_names_or_nothing() {
    let place = Place::manager();
    let hostile = [
        "..",
        "%2e%2e",
        "..%2f..",
        "a%2fb",
        "%00",
        "%FF",
        "a%20b",
        "a%0d%0ab",
        "%3Cscript%3E",
    ];
    for name in hostile {
        for (method, target) in [
            ("DELETE", format!("/api/v1/nodes/{name}")),
            ("DELETE", format!("/api/v1/tokens/{name}")),
            ("PUT", format!("/api/v1/placements/site/{name}")),
            ("DELETE", format!("/api/v1/placements/site/{name}")),
        ] {
            let answer = place.administer(method, &target).json("{}").send();
            assert!(
                [400, 404].contains(&answer.status),
                "{method} {target}: {answer:?}"
            );
            answer.kind();
        }
        let target = format!("/api/v1/placements/{name}/nobody");
        let answer = place.administer("PUT", &target).json("{}").send();
        assert!([400, 404].contains(&answer.status), "{target}: {answer:?}");
    }
    assert_eq!(place.get("/api/v1/status").json()["placements"], 0);
}
