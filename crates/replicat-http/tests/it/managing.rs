//! What a manager answers.

use serde_json::json;

use crate::place::Place;

#[test]
fn a_manager_is_steered() {
    let place = Place::manager();
    let status = place.get("/api/v1/status").json();
    assert_eq!(
        (&status["type"], &status["nodes"], &status["connected"]),
        (&"manager".into(), &0.into(), &0.into())
    );
    assert_eq!(place.get("/api/v1/session").json()["server"], "manager");
    for (path, scope) in [("/tokens", 403), ("/nodes", 200), ("/placements", 200)] {
        assert_eq!(place.get(&format!("/api/v1{path}")).status, scope, "{path}");
    }
    let made = place
        .administer("POST", "/api/v1/tokens")
        .json(r#"{"role":"read-only","expires_in":60}"#)
        .send();
    assert_eq!(made.status, 201);
    let made = made.json();
    assert_eq!(
        (&made["role"], &made["expires_in"]),
        (&"read-only".into(), &60.into())
    );
    assert!(made["token"].is_string());
    let listed = place.administer("GET", "/api/v1/tokens").send().json();
    assert_eq!(listed["items"][0]["id"], made["id"]);
    assert!(listed["items"][0].get("token").is_none());
    let default = place.administer("POST", "/api/v1/tokens").send();
    assert_eq!(
        (default.status, &default.json()["role"]),
        (201, &"read-write".into())
    );
    let target = format!("/api/v1/tokens/{}", made["id"].as_str().unwrap());
    assert_eq!(place.change("DELETE", &target).send().status, 403);
    assert_eq!(
        place.administer("DELETE", &target).send().json()["type"],
        "token-removed"
    );
    let gone = place.administer("DELETE", &target).send();
    assert_eq!((gone.status, gone.kind().as_str()), (404, "unknown-token"));
    let wrong = place.administer("DELETE", "/api/v1/tokens/x").send();
    assert_eq!(wrong.status, 400);
}

#[test]
fn what_cannot_be_is_refused() {
    let place = Place::manager();
    for body in [
        r#"{"role":"manager"}"#,
        r#"{"role":"x"}"#,
        r#"{"expires_in":0}"#,
        r#"{"node":"a b/"}"#,
        r#"{"x":1}"#,
    ] {
        let answer = place.administer("POST", "/api/v1/tokens").json(body).send();
        assert_eq!(
            (answer.status, answer.kind().as_str()),
            (400, "usage"),
            "{body}"
        );
    }
    let nobody = place.administer("DELETE", "/api/v1/nodes/nobody").send();
    assert_eq!(
        (nobody.status, nobody.kind().as_str()),
        (404, "unknown-node")
    );
    let placed = place
        .administer("PUT", "/api/v1/placements/site/nobody")
        .json(r#"{"mode":"send-only"}"#)
        .send();
    assert_eq!(
        (placed.status, placed.kind().as_str()),
        (404, "unknown-node")
    );
    let withdrawn = place
        .administer("DELETE", "/api/v1/placements/site/nobody")
        .send();
    assert_eq!(
        (withdrawn.status, withdrawn.kind().as_str()),
        (404, "unknown-placement")
    );
    let mode = place
        .administer("PUT", "/api/v1/placements/site/nobody")
        .json(r#"{"mode":"x"}"#)
        .send();
    assert_eq!(mode.status, 400);
    assert_eq!(place.get("/api/v1/folders").status, 404);
    assert_eq!(place.get("/metrics").status, 200);
    assert_eq!(place.bare("GET", "/readyz").send().status, 200);
    let description = place.bare("GET", "/api/openapi.json").send().json();
    assert!(description["paths"]["/api/v1/placements/{folder}/{node}"]["put"].is_object());
    assert_eq!(
        place.get("/api/v1/nodes").json(),
        json!({"items": [], "next": null})
    );
}
