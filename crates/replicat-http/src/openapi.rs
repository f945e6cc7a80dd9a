//! The routes, described for programs (OpenAPI 3.1).

use axum::Json;
use axum::extract::State;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::route::{Answer, Body, Route};
use crate::schemas::{self, typed};

pub(crate) async fn answer(State(app): State<App>) -> Json<Value> {
    let routes = app.routes();
    let mut paths = Map::new();
    for route in routes.iter().chain([&crate::metrics::route()]) {
        let item = paths.entry(route.path.clone()).or_insert_with(|| json!({}));
        item[route.method] = operation(route);
    }
    let mut schemas = schemas::all();
    schemas.insert("Problem".to_owned(), problem());
    schemas.insert("PathText".to_owned(), path_text());
    Json(json!({
        "openapi": "3.1.0",
        "info": {
            "title": "replicat",
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": schemas,
        },
    }))
}

/// A path in a body.
fn path_text() -> Value {
    let hex = json!({"type": "string", "pattern": "^([0-9a-fA-F]{2})*$"});
    json!({"oneOf": [
        {"type": "string"},
        {"type": "object", "required": ["hex"], "additionalProperties": false, "properties": {"hex": hex}},
    ]})
}

fn problem() -> Value {
    let text = json!({"type": "string"});
    json!({
        "type": "object",
        "required": ["type", "title", "status", "detail", "kind", "hint"],
        "properties": {"type": text, "title": text, "status": {"type": "integer"}, "detail": text, "kind": text,
            "hint": {"type": ["string", "null"]}},
    })
}

fn operation(route: &Route) -> Value {
    let mut parameters: Vec<Value> = Vec::new();
    for part in route.path.split('/') {
        if let Some(name) = part
            .strip_prefix('{')
            .and_then(|part| part.strip_suffix('}'))
        {
            parameters.push(json!({"name": name, "in": "path", "required": true,
                "schema": {"type": "string", "minLength": 1}}));
        }
    }
    parameters.extend(route.query.iter().map(|name| query(name)));
    if !matches!(route.method, "get") {
        parameters.push(
            json!({"name": "X-Replicat-Request", "in": "header", "required": true,
            "schema": {"type": "string", "const": "1"}}),
        );
    }
    let mut operation = json!({
        "summary": route.summary,
        "description": format!("Needs a token of scope {}.", route.scope),
        "parameters": parameters,
        "responses": responses(route),
    });
    match route.body {
        Body::None => {}
        Body::Json(members) => operation["requestBody"] = body(members),
        Body::Bytes => {
            operation["requestBody"] =
                json!({"required": true, "content": {"application/octet-stream": {}}});
        }
    }
    operation
}

fn query(name: &str) -> Value {
    let schema = match name {
        "limit" => json!({"type": "integer", "minimum": 1, "maximum": 1000, "default": 200}),
        _ => json!({"type": "string"}),
    };
    json!({"name": name, "in": "query", "schema": schema})
}

fn body(members: &[&str]) -> Value {
    let properties: Map<_, _> = members
        .iter()
        .map(|member| ((*member).to_owned(), member_schema(member)))
        .collect();
    // Those of `path` and `keep` are needed, where they are known.
    let required: Vec<_> = members
        .iter()
        .filter(|member| ["path", "keep"].contains(*member))
        .collect();
    let schema = json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false});
    json!({"required": !required.is_empty(), "content": {"application/json": {"schema": schema}}})
}

fn member_schema(member: &str) -> Value {
    let path = json!({"$ref": "#/components/schemas/PathText"});
    match member {
        "path" => path,
        "paths" => json!({"type": "array", "items": path}),
        "keep" => json!({"enum": ["winner", "copy", "both", "local"]}),
        "revision" => json!({"type": ["integer", "null"], "minimum": 0, "maximum": u32::MAX}),
        "expires_in" => json!({"type": ["integer", "null"], "minimum": 1}),
        "role" => json!({"enum": ["read-write", "read-only", null]}),
        "mode" => json!({"enum": ["read-write", "send-only", "receive-only", null]}),
        _ => json!({"type": ["string", "null"]}),
    }
}

fn responses(route: &Route) -> Value {
    let of_json = |schema: Value| json!({"description": "Done.", "content": {"application/json": {"schema": schema}}});
    let of_media = |media: &str| json!({"description": "Done.", "content": {media: {"schema": {"type": "string"}}}});
    let mut responses = json!({"default": {
        "description": "It was not done, and why.",
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }});
    match route.answer {
        Answer::One(kind) => responses["200"] = of_json(typed(kind)),
        Answer::Made(kind) => responses["201"] = of_json(typed(kind)),
        Answer::Put(kind) => {
            responses["200"] = of_json(typed(kind));
            responses["201"] = of_json(typed(kind));
        }
        Answer::Items(kind) => {
            responses["200"] = of_json(
                json!({"type": "object", "required": ["items", "next"], "properties": {
                    "items": {"type": "array", "items": typed(kind)},
                    "next": {"type": ["string", "null"]},
                }}),
            );
        }
        Answer::Bytes => {
            responses["200"] = of_media("application/octet-stream");
            responses["206"] = of_media("application/octet-stream");
            responses["304"] = json!({"description": "It is as the client has it."});
        }
        Answer::Text => responses["200"] = of_media("text/plain"),
        Answer::Stream => responses["200"] = of_media("text/event-stream"),
    }
    responses
}
