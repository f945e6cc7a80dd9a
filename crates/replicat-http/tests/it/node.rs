//! What a node answers.

use crate::client::Answer;
use crate::place::{Place, until};

const SITE: &str = "/api/v1/folders/site";

fn names(answer: &Answer) -> Vec<String> {
    let page = answer.json();
    let items = page["items"].as_array().unwrap().iter();
    items
        .map(|item| item["path"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_node_tells_how_it_stands() {
    let place = Place::node();
    place.write("list", "one");
    let session = place.get("/api/v1/session").json();
    assert_eq!(session["type"], "session");
    assert_eq!(
        (&session["server"], &session["name"]),
        (&"node".into(), &"office".into())
    );
    assert_eq!(
        (&session["token"]["scope"], &session["token"]["expires"]),
        (&"read".into(), &().into())
    );
    let node = place.get("/api/v1/status").json();
    assert_eq!(
        (&node["type"], &node["folders"][0]["name"]),
        (&"node".into(), &"site".into())
    );
    let folders = place.get("/api/v1/folders").json();
    assert_eq!(folders["items"][0]["type"], "folder");
    assert!(folders["next"].is_null());
    assert_eq!(place.get(SITE).json()["name"], "site");
    assert_eq!(
        place.get("/api/v1/nodes").json()["items"],
        serde_json::json!([])
    );
    let none = place.get("/api/v1/folders/sites");
    assert_eq!((none.status, none.kind().as_str()), (404, "unknown-folder"));
    let configuration = place
        .administer("GET", "/api/v1/configuration")
        .send()
        .json();
    assert_eq!(configuration["cluster_key"], true);
    let unknown = place.get("/api/v1/nothing");
    assert_eq!(
        (unknown.status, unknown.kind().as_str()),
        (404, "unknown-route")
    );
    let method = place.change("DELETE", "/api/v1/status").send();
    assert_eq!((method.status, method.kind().as_str()), (405, "method"));
    let metrics = String::from_utf8(place.get("/metrics").body).unwrap();
    assert!(
        metrics.contains("replicat_folder_paths{folder=\"site\"} 1\n"),
        "{metrics}"
    );
}

#[test]
fn a_directory_is_listed_page_by_page() {
    let place = Place::node();
    for name in ["a", "b/below", "c", "d"] {
        place.write(name, name);
    }
    let all = place.get(&format!("{SITE}/tree"));
    assert_eq!(names(&all), ["a", "b", "c", "d"]);
    assert!(all.json()["next"].is_null());
    let first = place.get(&format!("{SITE}/tree?limit=3"));
    assert_eq!(names(&first), ["a", "b", "c"]);
    let next = first.json()["next"].as_str().unwrap().to_owned();
    let second = place.get(&format!("{SITE}/tree?limit=3&after={next}"));
    assert_eq!(
        (names(&second), second.json()["next"].clone()),
        (vec!["d".to_owned()], ().into())
    );
    assert_eq!(
        names(&place.get(&format!("{SITE}/tree?path=b"))),
        ["b/below"]
    );
    let none = place.get(&format!("{SITE}/tree?path=nothing"));
    assert_eq!((none.status, none.kind().as_str()), (404, "unknown-path"));
    for query in [
        "limit=0",
        "limit=1001",
        "limit=x",
        "after=zz",
        "after=",
        "x=1",
        "path=a&path=b",
        "limit=%FF",
    ] {
        let answer = place.get(&format!("{SITE}/tree?{query}"));
        assert_eq!(
            (answer.status, answer.kind().as_str()),
            (400, "usage"),
            "{query}"
        );
    }
}

#[test]
fn folders_are_paused_and_go_on() {
    let place = Place::node();
    let status = || place.get(SITE).json()["status"].clone();
    let paused = place.change("POST", &format!("{SITE}/pause")).send().json();
    assert_eq!(
        paused,
        serde_json::json!({"type": "paused", "folders": ["site"]})
    );
    until("the pause", || status() == "Paused");
    let resumed = place
        .change("POST", &format!("{SITE}/resume"))
        .json("{}")
        .send();
    assert_eq!(
        (resumed.status, &resumed.json()["type"]),
        (200, &"resumed".into())
    );
    until("the end of the pause", || status() != "Paused");
    for (action, answer) in [
        ("approve", "approved"),
        ("rescan", "rescanning"),
        ("pause", "paused"),
        ("resume", "resumed"),
    ] {
        let done = place.change("POST", &format!("/api/v1/{action}")).send();
        assert_eq!(
            (done.status, &done.json()["type"]),
            (200, &answer.into()),
            "{action}"
        );
    }
    let approved = place.change("POST", &format!("{SITE}/approve")).send();
    assert_eq!(approved.json()["folders"], serde_json::json!([]));
    let rescan = place.change("POST", &format!("{SITE}/rescan"));
    assert_eq!(
        rescan
            .clone()
            .json(r#"{"paths":["a",{"hex":"ff"}]}"#)
            .send()
            .status,
        200
    );
    assert_eq!(rescan.json(r#"{"paths":["../x"]}"#).send().kind(), "usage");
    let none = place.change("POST", "/api/v1/folders/none/pause").send();
    assert_eq!((none.status, none.kind().as_str()), (404, "unknown-folder"));
}

#[test]
fn bodies_are_taken_as_they_are_meant_or_not_at_all() {
    let place = Place::node();
    let restore = || place.change("POST", &format!("{SITE}/restore"));
    for body in [
        "",
        "{",
        "[]",
        "{}",
        r#"{"path":1}"#,
        r#"{"path":"a","x":1}"#,
        r#"{"path":{"hex":"0"}}"#,
        r#"{"path":"a","revision":-1}"#,
    ] {
        let answer = restore().json(body).send();
        assert_eq!(
            (answer.status, answer.kind().as_str()),
            (400, "usage"),
            "{body}"
        );
    }
    let other = restore()
        .header("Content-Type", "text/plain")
        .body(r#"{"path":"a"}"#)
        .send();
    assert_eq!((other.status, other.kind().as_str()), (415, "media-type"));
    let long = format!(r#"{{"path":"{}"}}"#, "a".repeat(70_000));
    let long = restore().json(&long).send();
    assert_eq!((long.status, long.kind().as_str()), (413, "too-large"));
    let query = place.change("POST", "/api/v1/pause?all=1").send();
    assert_eq!(query.kind(), "usage");
}

#[test]
fn a_version_is_restored_and_explained() {
    let place = Place::node();
    place.write("list", "one");
    place.write("list", "longer");
    let history = place.get(&format!("{SITE}/history?path=list")).json();
    assert_eq!(history["items"][0]["type"], "version");
    let uploaded = place.upload("list", "three").send();
    assert_eq!(uploaded.status, 200);
    let history = place.get(&format!("{SITE}/history?path=list")).json();
    let rows = history["items"].as_array().unwrap();
    let kept = rows.iter().find(|row| row["keeping"] == "trash").unwrap();
    let body = format!(r#"{{"path":"list","revision":{}}}"#, kept["revision"]);
    let restored = place
        .change("POST", &format!("{SITE}/restore"))
        .json(&body)
        .send();
    assert_eq!(
        (restored.status, &restored.json()["type"]),
        (200, &"restoration".into())
    );
    assert_eq!(std::fs::read_to_string(place.at("list")).unwrap(), "longer");
    let why = place.get(&format!("{SITE}/why?path=list")).json();
    assert_eq!(why["type"], "explanation");
    let no = place
        .change("POST", &format!("{SITE}/restore"))
        .json(r#"{"path":"list","revision":99}"#)
        .send();
    assert_eq!((no.status, no.kind().as_str()), (404, "no-revision"));
    let no = place
        .change("POST", &format!("{SITE}/resolve"))
        .json(r#"{"path":"list","keep":"winner"}"#)
        .send();
    assert_eq!((no.status, no.kind().as_str()), (404, "no-conflict"));
    let no = place
        .change("POST", &format!("{SITE}/resolve"))
        .json(r#"{"path":"list","keep":"all"}"#)
        .send();
    assert_eq!((no.status, no.kind().as_str()), (400, "usage"));
    assert_eq!(
        place.get(&format!("{SITE}/conflicts")).json()["items"],
        serde_json::json!([])
    );
}

#[test]
fn the_description_lists_what_there_is() {
    let place = Place::node();
    let description = place.bare("GET", "/api/openapi.json").send().json();
    assert_eq!(description["openapi"], "3.1.0");
    let paths = description["paths"].as_object().unwrap();
    for (path, operations) in paths {
        // A stream would not end.
        if path.ends_with("/stream") {
            continue;
        }
        for method in operations.as_object().unwrap().keys() {
            let target = path.replace("{folder}", "nothing");
            let method = method.to_uppercase();
            let answer = place.change(&method, &target).send();
            assert!(
                ![405, 500].contains(&answer.status),
                "{method} {path}: {answer:?}"
            );
            let is_route = answer.status != 404 || answer.kind() != "unknown-route";
            assert!(is_route, "{method} {path}");
        }
    }
}
