//! Old versions of a folder: restored, listed in the trash, and removed from it.

use axum::Json;
use axum::extract::{RawQuery, Request, State};
use axum::routing::{get, post};
use replicat_server::control::json::{Object, object, put};
use replicat_server::control::{Command, PathText};
use serde::Deserialize;
use serde_json::Value;

use super::{FOLDER, ask, no_query, one, page, wrong_after};
use crate::app::App;
use crate::problem::Problem;
use crate::request::{self, Query, Segments};
use crate::route::{Answer, Body, Route};
use crate::tokens::Scope;

pub(super) fn routes() -> Vec<Route> {
    let of = |rest: &str| format!("{FOLDER}{rest}");
    vec![
        Route::get(
            &of("/trash"),
            "What the trash holds",
            Answer::Items("trash-item"),
            || get(trash),
        )
        .query(&["after", "limit"]),
        Route::change(
            "post",
            &of("/restore"),
            "Brings a version of a path back",
            Answer::One("restoration"),
            || post(restore),
        )
        .body(Body::Json(&["path", "revision", "at", "dry_run"])),
        Route::change(
            "post",
            &of("/restore-tree"),
            "Brings back what was deleted below a path, or all that was there at a time",
            Answer::One("restored"),
            || post(restore_tree),
        )
        .body(Body::Json(&["path", "at", "dry_run"])),
        Route::change(
            "post",
            &of("/empty-trash"),
            "Removes from the trash, for good",
            Answer::One("trash-emptied"),
            || post(empty_trash),
        )
        .scope(Scope::Admin)
        .body(Body::Json(&["older_than", "path"])),
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToRestore {
    path: PathText,
    revision: Option<u32>,
    at: Option<String>,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToRestoreTree {
    #[serde(default = "root")]
    path: PathText,
    at: Option<String>,
    #[serde(default)]
    dry_run: bool,
}

fn root() -> PathText {
    PathText::Text(String::new())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToEmpty {
    older_than: Option<u64>,
    path: Option<PathText>,
}

async fn trash(
    State(app): State<App>,
    Segments(folder): Segments<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Problem> {
    let query = Query::of(query.as_deref(), &["after", "limit"])?;
    let limit = query.limit()?;
    let after = query.text("after")?.map(str::to_owned);
    let is_id = |text: &String| text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if after.as_ref().is_some_and(|after| !is_id(after)) {
        return Err(wrong_after());
    }
    let mut rows = ask(&app, Command::Trash { folder }).await?;
    // Identities are of one length and rise with time: the rows are in their order.
    rows.retain(|row| after.as_deref().is_none_or(|after| id(row) > after));
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows
        .last()
        .filter(|_| has_more)
        .map(|row| id(row).to_owned());
    Ok(page(rows, next))
}

fn id(row: &Object) -> &str {
    row.get("id").and_then(Value::as_str).unwrap_or_default()
}

async fn restore(
    State(app): State<App>,
    Segments(folder): Segments<String>,
    request: Request,
) -> Result<Json<Object>, Problem> {
    no_query(request.uri().query())?;
    let given: ToRestore = request::json(&app, request).await?;
    let command = Command::Restore {
        folder,
        path: given.path,
        revision: given.revision,
        recursive: false,
        at: given.at,
        dry_run: given.dry_run,
    };
    one(&app, command).await
}

async fn restore_tree(
    State(app): State<App>,
    Segments(folder): Segments<String>,
    request: Request,
) -> Result<Json<Object>, Problem> {
    no_query(request.uri().query())?;
    let given: ToRestoreTree = request::json(&app, request).await?;
    let command = Command::Restore {
        folder,
        path: given.path,
        revision: None,
        recursive: true,
        at: given.at,
        dry_run: given.dry_run,
    };
    let rows = ask(&app, command).await?;
    let is_failed = |row: &Object| row.get("type").is_some_and(|kind| kind == "not-restored");
    let (failed, restorations): (Vec<_>, Vec<_>) = rows.into_iter().partition(is_failed);
    let mut restored = object("restored");
    put(&mut restored, "restorations", restorations);
    put(&mut restored, "failed", failed);
    Ok(Json(restored))
}

async fn empty_trash(
    State(app): State<App>,
    Segments(folder): Segments<String>,
    request: Request,
) -> Result<Json<Object>, Problem> {
    no_query(request.uri().query())?;
    let ToEmpty { older_than, path } = request::json(&app, request).await?;
    let command = Command::EmptyTrash {
        folder,
        older_than,
        path,
    };
    one(&app, command).await
}
