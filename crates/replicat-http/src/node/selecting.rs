//! What a folder selects at a node, and removing the local copies of the rest.

use axum::Json;
use axum::extract::{RawQuery, Request, State};
use axum::routing::{get, post};
use replicat_server::control::json::Object;
use replicat_server::control::{Command, PathText};
use serde::Deserialize;

use super::{FOLDER, no_query, one};
use crate::app::App;
use crate::problem::Problem;
use crate::request::{self, Segments};
use crate::route::{Answer, Body, Route};
use crate::tokens::Scope;

pub(super) fn routes() -> Vec<Route> {
    let of = |rest: &str| format!("{FOLDER}{rest}");
    vec![
        Route::get(
            &of("/selection"),
            "What the folder selects at this node",
            Answer::One("selection"),
            || get(selection),
        ),
        Route::change(
            "post",
            &of("/select"),
            "Changes what the folder selects at this node",
            Answer::One("selection"),
            || post(select),
        )
        .body(Body::Json(&["change", "paths"])),
        Route::change(
            "post",
            &of("/prune"),
            "Moves to the trash the local copies of what is not selected, and peers keep",
            Answer::One("pruned"),
            || post(prune),
        )
        .scope(Scope::Admin)
        .body(Body::Json(&["dry_run"])),
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToSelect {
    change: String,
    #[serde(default)]
    paths: Vec<PathText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToPrune {
    #[serde(default)]
    dry_run: bool,
}

async fn selection(
    State(app): State<App>,
    Segments(folder): Segments<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Object>, Problem> {
    no_query(query.as_deref())?;
    one(&app, Command::Selection { folder }).await
}

async fn select(
    State(app): State<App>,
    Segments(folder): Segments<String>,
    request: Request,
) -> Result<Json<Object>, Problem> {
    no_query(request.uri().query())?;
    let ToSelect { change, paths } = request::json(&app, request).await?;
    let command = Command::Select {
        folder,
        change,
        paths,
    };
    one(&app, command).await
}

async fn prune(
    State(app): State<App>,
    Segments(folder): Segments<String>,
    request: Request,
) -> Result<Json<Object>, Problem> {
    no_query(request.uri().query())?;
    let ToPrune { dry_run } = request::json(&app, request).await?;
    one(&app, Command::Prune { folder, dry_run }).await
}
