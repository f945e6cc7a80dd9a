//! Conflicts, listed and resolved.

use std::fs;

use serde_json::{Value, json};

use crate::place::{Place, until};

const CONFLICTS: &str = "/api/v1/folders/site/conflicts";
const PATHS: [&str; 3] = ["a", "b/c", "d"];

/// A node with a conflict at each of the paths, and the conflicts. Each side holds the name of its node.
pub(crate) fn with_conflicts() -> (Place, Vec<Value>) {
    let place = Place::node();
    let other = place.other_node();
    for path in PATHS {
        place.write(path, "milk");
        until(path, || place.at("../other").join(path).exists());
    }
    place.stop(&other);
    for path in PATHS {
        place.write(path, "office");
        fs::write(place.at("../other").join(path), "laptop").unwrap();
    }
    let other = place.other_node();
    until("all conflicts, and what they are about", || {
        let conflicts = items(&place, "");
        conflicts.len() == PATHS.len() && conflicts.iter().all(|row| is_shown(&place, row))
    });
    place.stop(&other);
    let conflicts = items(&place, "");
    (place, conflicts)
}

/// Whether the directory holds both sides of a conflict.
fn is_shown(place: &Place, conflict: &Value) -> bool {
    [("path", "winner"), ("copy", "loser")]
        .iter()
        .all(|(at, side)| {
            let found = fs::read_to_string(place.at(conflict[at].as_str().unwrap()));
            found.is_ok_and(|found| found == conflict[side]["node"])
        })
}

fn items(place: &Place, query: &str) -> Vec<Value> {
    let page = place.get(&format!("{CONFLICTS}{query}"));
    assert_eq!(page.status, 200, "{page:?}");
    page.json()["items"].as_array().unwrap().clone()
}

fn resolve(place: &Place, path: &str, keep: &str) -> crate::client::Answer {
    let body = json!({"path": path, "keep": keep}).to_string();
    let target = "/api/v1/folders/site/resolve";
    place.change("POST", target).json(&body).send()
}

#[test]
fn conflicts_are_listed_page_by_page() {
    let (place, all) = with_conflicts();
    let paths: Vec<_> = all
        .iter()
        .map(|row| row["path"].as_str().unwrap())
        .collect();
    assert_eq!(paths, PATHS);
    let (mut found, mut query) = (Vec::new(), "?limit=1".to_owned());
    loop {
        let page = place.get(&format!("{CONFLICTS}{query}")).json();
        let rows = page["items"].as_array().unwrap();
        assert_eq!(rows.len(), 1, "{page}");
        found.extend(rows.clone());
        match page["next"].as_str() {
            Some(next) => query = format!("?limit=1&after={next}"),
            None => break,
        }
    }
    assert_eq!(found, all);
    for after in ["x", "..", "%00", "61-%2e"] {
        let wrong = place.get(&format!("{CONFLICTS}?after={after}"));
        assert_eq!(
            (wrong.status, wrong.kind().as_str()),
            (400, "usage"),
            "{after}"
        );
    }
}

#[test]
fn a_conflict_is_resolved_as_is_wished() {
    let (place, all) = with_conflicts();
    let copy = |number: usize| place.at(all[number]["copy"].as_str().unwrap());
    let side = |number: usize, side: &str| all[number][side]["node"].as_str().unwrap().to_owned();
    let content = |path: &str| fs::read_to_string(place.at(path)).unwrap();
    let wrong = resolve(&place, "a", "best");
    assert_eq!((wrong.status, wrong.kind().as_str()), (400, "usage"));
    let nothing = resolve(&place, "nothing", "winner");
    assert_eq!(
        (nothing.status, nothing.kind().as_str()),
        (404, "no-conflict")
    );

    let winner = resolve(&place, "a", "winner");
    assert_eq!(
        (winner.status, &winner.json()["kept"]),
        (200, &"winner".into())
    );
    assert_eq!(content("a"), side(0, "winner"));
    assert!(!copy(0).exists());

    assert_eq!(resolve(&place, "b/c", "copy").json()["kept"], "copy");
    assert_eq!(content("b/c"), side(1, "loser"));
    assert!(!copy(1).exists());

    assert_eq!(resolve(&place, "d", "both").json()["kept"], "both");
    assert_eq!(content("d"), side(2, "winner"));
    assert_eq!(fs::read_to_string(copy(2)).unwrap(), side(2, "loser"));
    assert!(items(&place, "").is_empty());

    let again = resolve(&place, "a", "winner");
    assert_eq!((again.status, again.kind().as_str()), (404, "no-conflict"));
    let waits = resolve(&place, "a", "local");
    assert_eq!(
        (waits.status, waits.kind().as_str()),
        (404, "nothing-missing")
    );
    // What gave way can be had back.
    let body = json!({"path": "b/c"}).to_string();
    let restore = place.change("POST", "/api/v1/folders/site/restore");
    assert_eq!(restore.json(&body).send().status, 200);
    assert_eq!(content("b/c"), side(1, "winner"));
}
