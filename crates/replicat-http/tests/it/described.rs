//! What is answered is what the description says.

use serde_json::{Value, json};

use crate::client::Answer;
use crate::conflicts;
use crate::place::{Place, until};

/// The description of a server, to compare answers with. Knows as much of JSON Schema as that speaks.
struct Description(Value);

impl Description {
    fn of(place: &Place) -> Self {
        Self(place.bare("GET", "/api/openapi.json").send().json())
    }

    /// Asks, and compares the answer with what the operation is said to answer.
    fn check(&self, place: &Place, method: &str, path: &str, target: &str, body: Option<&str>) {
        let ask = place.administer(&method.to_uppercase(), target);
        let answer = match body {
            Some(body) => ask.json(body).send(),
            None => ask.send(),
        };
        self.check_answer(method, path, &answer);
    }

    fn check_answer(&self, method: &str, path: &str, answer: &Answer) {
        let operation = &self.0["paths"][path][method];
        let status = answer.status.to_string();
        let schema = &operation["responses"][&status]["content"]["application/json"]["schema"];
        assert!(!schema.is_null(), "{method} {path}: {answer:?}");
        let found = answer.json();
        if let Err(problem) = self.fits(&found, schema) {
            panic!("{method} {path}: {problem}\n{found:#}");
        }
    }

    fn fits(&self, found: &Value, schema: &Value) -> Result<(), String> {
        if let Some(reference) = schema["$ref"].as_str() {
            let pointer = reference.strip_prefix('#').unwrap();
            return self.fits(found, self.0.pointer(pointer).unwrap());
        }
        for part in schema["allOf"].as_array().into_iter().flatten() {
            self.fits(found, part)?;
        }
        if let Some(parts) = schema["anyOf"].as_array() {
            let mut parts = parts.iter().map(|part| self.fits(found, part));
            if !parts.any(|fits| fits.is_ok()) {
                return Err(format!(
                    "{found} is none of {parts:?}",
                    parts = schema["anyOf"]
                ));
            }
        }
        let is_of_type = match schema["type"].as_str() {
            Some("string") => found.is_string(),
            Some("integer") => found.is_u64() || found.is_i64(),
            Some("number") => found.is_number(),
            Some("boolean") => found.is_boolean(),
            Some("array") => found.is_array(),
            Some("object") => found.is_object(),
            Some("null") => found.is_null(),
            Some(other) => panic!("{other}"),
            None => true,
        };
        let words = schema["enum"].as_array();
        let is_a_word = words.is_none_or(|words| words.contains(found));
        let is_it = schema["const"].is_null() || schema["const"] == *found;
        if !(is_of_type && is_a_word && is_it) {
            return Err(format!("{found} is not {schema}"));
        }
        self.fits_parts(found, schema)
    }

    fn fits_parts(&self, found: &Value, schema: &Value) -> Result<(), String> {
        for name in schema["required"].as_array().into_iter().flatten() {
            if found.get(name.as_str().unwrap()).is_none() {
                return Err(format!("{name} is missing"));
            }
        }
        for item in found.as_array().into_iter().flatten() {
            self.fits(item, &schema["items"])?;
        }
        let Some(properties) = schema["properties"].as_object() else {
            return Ok(());
        };
        for (name, value) in found.as_object().into_iter().flatten() {
            match properties.get(name) {
                Some(schema) => self
                    .fits(value, schema)
                    .map_err(|problem| format!("{name}: {problem}"))?,
                // `type` is said of those that are answered by themselves.
                None if name == "type" || properties.contains_key("type") => {}
                None => return Err(format!("{name} is not described")),
            }
        }
        Ok(())
    }

    /// Compares all that can be looked at.
    fn check_all(&self, place: &Place, query_of: impl Fn(&str) -> &'static str) {
        let paths = self.0["paths"].as_object().unwrap();
        let mut count = 0;
        for (path, operations) in paths {
            let content = &operations["get"]["responses"]["200"]["content"];
            if content["application/json"].is_null() {
                continue;
            }
            let target = format!("{}{}", path.replace("{folder}", "site"), query_of(path));
            self.check(place, "get", path, &target, None);
            count += 1;
        }
        assert!(count > 3);
    }
}

#[test]
fn a_node_answers_as_is_described() {
    let (place, _) = conflicts::with_conflicts();
    let other = place.other_node();
    let description = Description::of(&place);
    until("the other is in sync", || {
        let node = place.get("/api/v1/status").json();
        node["folders"][0]["peers"][0]["in_sync"] == true
            && node["nodes"][0]["status"] == "connected"
    });
    assert_eq!(place.upload("caf%E9", "x").send().status, 201);
    std::os::unix::fs::symlink("a", place.at("link")).unwrap();
    until("the link", || {
        let rows = place.get("/api/v1/folders/site/tree").json();
        rows["items"]
            .as_array()
            .unwrap()
            .iter()
            .any(|row| row["kind"] == "symlink")
    });
    description.check_all(&place, |path| match path.rsplit('/').next() {
        Some("history") => "?path=a",
        Some("why") => "?path=caf%E9",
        _ => "",
    });
    let of = |rest: &str| {
        (
            format!("/api/v1/folders/{{folder}}/{rest}"),
            format!("/api/v1/folders/site/{rest}"),
        )
    };
    for (rest, body) in [
        ("resolve", r#"{"path":"a","keep":"copy"}"#),
        ("restore", r#"{"path":"a"}"#),
        ("restore-tree", "{}"),
        ("empty-trash", "{}"),
        ("rescan", r#"{"paths":["a"]}"#),
        ("approve", "{}"),
        ("pause", "{}"),
        ("resume", "{}"),
    ] {
        let (path, target) = of(rest);
        description.check(&place, "post", &path, &target, Some(body));
    }
    let (path, target) = of("file");
    let uploaded = place.upload("new", "new").send();
    description.check_answer("put", &path, &uploaded);
    description.check(&place, "delete", &path, &format!("{target}?path=new"), None);
    place.stop(&other);
}

#[test]
fn a_manager_answers_as_is_described() {
    let place = Place::manager();
    let nas = place.enrol("nas");
    let description = Description::of(&place);
    let placement = "/api/v1/placements/{folder}/{node}";
    let target = "/api/v1/placements/site/nas";
    description.check(
        &place,
        "put",
        placement,
        target,
        Some(r#"{"mode":"send-only"}"#),
    );
    until("it keeps the folder", || {
        place.get("/api/v1/nodes").json()["items"][0]["folders"][0]["name"] == "site"
    });
    description.check_all(&place, |_| "");
    let made = place.administer("POST", "/api/v1/tokens").send();
    description.check_answer("post", "/api/v1/tokens", &made);
    let token = format!("/api/v1/tokens/{}", made.json()["id"].as_str().unwrap());
    description.check(&place, "get", "/api/v1/tokens", "/api/v1/tokens", None);
    description.check(&place, "delete", "/api/v1/tokens/{id}", &token, None);
    description.check(&place, "delete", placement, target, None);
    description.check(
        &place,
        "delete",
        "/api/v1/nodes/{name}",
        "/api/v1/nodes/nas",
        None,
    );
    place.stop(&nas);
}

#[test]
fn what_is_not_described_is_noticed() {
    let place = Place::node();
    let description = Description::of(&place);
    let schema = json!({"$ref": "#/components/schemas/skipped"});
    let fits = |found: Value| description.fits(&found, &schema);
    assert_eq!(
        fits(json!({"path": "a", "reason": "b", "kind": "c", "severity": "warning"})),
        Ok(())
    );
    for wrong in [
        json!({"path": "a", "reason": "b"}),
        json!({"path": "a", "reason": "b", "kind": 1}),
        json!({"path": "a", "reason": "b", "kind": "c", "more": 1}),
        json!([]),
    ] {
        assert!(fits(wrong.clone()).is_err(), "{wrong}");
    }
}
