//! What a node answers.

mod events;
mod files;
mod following;
mod restoring;
mod selecting;

use axum::Json;
use axum::extract::{RawQuery, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use replicat_server::ReplicatServer;
use replicat_server::control::json::{
    Object, from_hexadecimal, hexadecimal, object, put as put_member,
};
use replicat_server::control::{self, Command, PathText};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::{App, blocking};
use crate::caller::Caller;
use crate::problem::Problem;
use crate::request::{self, Query, Segments};
use crate::route::{Answer, Body, Route};
use crate::tokens::Scope;

const FOLDER: &str = "/folders/{folder}";

/// The routes of a node.
pub(crate) fn routes() -> Vec<Route> {
    let mut routes = looking();
    routes.extend(files::routes());
    routes.extend(restoring::routes());
    routes.extend(selecting::routes());
    routes.extend(acting());
    routes
}

fn looking() -> Vec<Route> {
    let of = |rest: &str| format!("{FOLDER}{rest}");
    vec![
        Route::get(
            "/session",
            "Who asks, and whom",
            Answer::One("session"),
            || get(session),
        ),
        Route::get(
            "/status",
            "How the node stands",
            Answer::One("node"),
            || get(status),
        ),
        Route::get("/nodes", "Its peers", Answer::Items("peer"), || get(nodes)),
        Route::get("/folders", "Its folders", Answer::Items("folder"), || {
            get(folders)
        }),
        Route::get(FOLDER, "A folder", Answer::One("folder"), || get(folder)),
        Route::get(
            &of("/tree"),
            "What a directory holds",
            Answer::Items("path"),
            || get(tree),
        )
        .query(&["path", "after", "limit"]),
        Route::get(
            &of("/conflicts"),
            "The conflicts",
            Answer::Items("conflict"),
            || get(conflicts),
        )
        .query(&["after", "limit"]),
        Route::get(
            &of("/history"),
            "The versions of a path",
            Answer::Items("version"),
            || get(history),
        )
        .query(&["path"]),
        Route::get(
            &of("/why"),
            "Why a path is as it is",
            Answer::One("explanation"),
            || get(why),
        )
        .query(&["path"]),
        Route::get("/events", "What happened", Answer::Items("event"), || {
            get(events::kept)
        })
        .query(&["after", "limit"]),
        Route::get("/events/stream", "What happens", Answer::Stream, || {
            get(following::answer)
        }),
        Route::get(
            "/configuration",
            "The settings",
            Answer::One("configuration"),
            || get(configuration),
        )
        .scope(Scope::Admin),
    ]
}

fn acting() -> Vec<Route> {
    let of = |rest: &str| format!("{FOLDER}{rest}");
    let post_to = |path: &str, summary, answer, handler| {
        Route::change("post", path, summary, Answer::One(answer), handler).body(Body::Json(&[]))
    };
    vec![
        post_to(&of("/resolve"), "Settles a conflict", "resolution", || {
            post(resolve)
        })
        .body(Body::Json(&["path", "keep"])),
        post_to(
            &of("/forget"),
            "Forgets a replica that is gone for good",
            "forgotten",
            || post(forget),
        )
        .body(Body::Json(&["replica"])),
        post_to(
            &of("/revert"),
            "Drops local changes that the peers refuse",
            "reverted",
            || post(revert),
        )
        .body(Body::Json(&["paths", "dry_run"])),
        post_to(&of("/pause"), "Pauses a folder", "paused", || post(pause)),
        post_to(&of("/resume"), "Lets a folder go on", "resumed", || {
            post(resume)
        }),
        post_to(
            &of("/approve"),
            "Lets the deletions pass that are held in a folder",
            "approved",
            || post(approve),
        ),
        post_to(
            &of("/reject"),
            "Brings back the files whose deletion is held in a folder",
            "rejected",
            || post(reject),
        ),
        post_to(
            &of("/rescan"),
            "Looks at a folder anew",
            "rescanning",
            || post(rescan),
        )
        .body(Body::Json(&["paths"])),
        post_to("/pause", "Pauses all folders", "paused", || post(pause_all)),
        post_to("/resume", "Lets all folders go on", "resumed", || {
            post(resume_all)
        }),
        post_to(
            "/approve",
            "Lets all deletions pass that are held",
            "approved",
            || post(approve_all),
        ),
        post_to(
            "/reject",
            "Brings back all files whose deletion is held",
            "rejected",
            || post(reject_all),
        ),
        post_to("/rescan", "Looks at all folders anew", "rescanning", || {
            post(rescan_all)
        }),
    ]
}

/// Carries a command out.
pub(crate) async fn ask(app: &App, command: Command) -> Result<Vec<Object>, Problem> {
    let server = app.node()?.clone();
    Ok(blocking(move || control::answer(&server, command)).await??)
}

/// Answers with the one object that a command has.
async fn one(app: &App, command: Command) -> Result<Json<Object>, Problem> {
    let mut objects = ask(app, command).await?;
    objects.pop().map(Json).ok_or_else(Problem::broken)
}

/// Answers with all objects that a command has.
async fn all(app: &App, command: Command) -> Result<Json<Value>, Problem> {
    Ok(page(ask(app, command).await?, None))
}

/// A page of objects, and what the next one is asked for with.
pub(crate) fn page(items: Vec<Object>, next: Option<String>) -> Json<Value> {
    let mut page = Object::new();
    put_member(&mut page, "items", items);
    put_member(&mut page, "next", next);
    Json(page.into())
}

/// Nothing can be given to what takes no parameters.
pub(crate) fn no_query(query: Option<&str>) -> Result<(), Problem> {
    Query::of(query, &[]).map(drop)
}

async fn session(
    State(app): State<App>,
    RawQuery(query): RawQuery,
    axum::Extension(caller): axum::Extension<Caller>,
) -> Result<Json<Object>, Problem> {
    no_query(query.as_deref())?;
    Ok(Json(session_of(
        "node",
        app.node()?.name().as_str(),
        &caller,
    )))
}

/// Who asks whom.
pub(crate) fn session_of(server: &str, name: &str, Caller(token): &Caller) -> Object {
    let mut session = object("session");
    put_member(&mut session, "server", server);
    put_member(&mut session, "name", name);
    put_member(&mut session, "version", env!("CARGO_PKG_VERSION"));
    let expires = token.expires.map(|expires| expires.to_string());
    let token = json!({"id": token.id, "name": token.name, "scope": token.scope.as_str(), "expires": expires});
    put_member(&mut session, "token", token);
    session
}

async fn status(
    State(app): State<App>,
    RawQuery(query): RawQuery,
) -> Result<Json<Object>, Problem> {
    no_query(query.as_deref())?;
    one(&app, Command::Status).await
}

async fn nodes(State(app): State<App>, RawQuery(query): RawQuery) -> Result<Json<Value>, Problem> {
    no_query(query.as_deref())?;
    all(&app, Command::Nodes).await
}

async fn folders(
    State(app): State<App>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Problem> {
    no_query(query.as_deref())?;
    all(&app, Command::Folders).await
}

async fn configuration(
    State(app): State<App>,
    RawQuery(query): RawQuery,
) -> Result<Json<Object>, Problem> {
    no_query(query.as_deref())?;
    one(&app, Command::Configuration).await
}

async fn folder(
    State(app): State<App>,
    Segments(folder): Segments<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Object>, Problem> {
    no_query(query.as_deref())?;
    let server = app.node()?.clone();
    let found = blocking(move || find_folder(&server, &folder)).await??;
    Ok(Json(found))
}

fn find_folder(server: &ReplicatServer, name: &str) -> Result<Object, Problem> {
    let known = server.storage(name).map_err(control::Refusal::from)?;
    drop(known);
    let objects = control::answer(server, Command::Folders)?;
    let found = objects.into_iter().find(|folder| folder["name"] == name);
    found.ok_or_else(Problem::broken)
}

async fn tree(
    State(app): State<App>,
    Segments(folder): Segments<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Problem> {
    let query = Query::of(query.as_deref(), &["path", "after", "limit"])?;
    let limit = query.limit()?;
    let after = query.text("after")?.map(|digits| {
        let is_name = from_hexadecimal(digits).is_some_and(|name| !name.is_empty());
        let after = PathText::Bytes {
            hex: digits.to_owned(),
        };
        is_name.then_some(after).ok_or_else(wrong_after)
    });
    let command = Command::List {
        folder,
        path: PathText::from(&query.path()?),
        after: after.transpose()?,
        limit: limit + 1,
    };
    let mut rows = ask(&app, command).await?;
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let last = rows.last().filter(|_| has_more);
    let last = last.and_then(|row| control::json::path(row, "path"));
    let name = last.map(|path| {
        let name = path.as_bytes().rsplit(|&byte| byte == b'/').next();
        hexadecimal(name.unwrap_or_default())
    });
    Ok(page(rows, name))
}

pub(crate) fn wrong_after() -> Problem {
    Problem::usage("after is what `next` of the page before said, as it was")
}

async fn conflicts(
    State(app): State<App>,
    Segments(folder): Segments<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Problem> {
    let query = Query::of(query.as_deref(), &["after", "limit"])?;
    let limit = query.limit()?;
    let after = query.text("after")?.map(str::to_owned);
    let is_key = |text: &String| {
        let mut halves = text.splitn(2, '-').map(from_hexadecimal);
        matches!(
            (halves.next(), halves.next()),
            (Some(Some(_)), Some(Some(_)))
        )
    };
    if after.as_ref().is_some_and(|after| !is_key(after)) {
        return Err(wrong_after());
    }
    let rows = ask(&app, Command::Conflicts { folder }).await?;
    // Of two digits for each byte, the order is that of the bytes.
    let key = |row: &Object| {
        let digits =
            |member| control::json::path(row, member).map(|path| hexadecimal(path.as_bytes()));
        let copy = digits("copy").unwrap_or_default();
        format!("{}-{copy}", digits("path").unwrap_or_default())
    };
    let mut rows: Vec<_> = rows.into_iter().map(|row| (key(&row), row)).collect();
    rows.sort_by(|one, other| one.0.cmp(&other.0));
    rows.retain(|(key, _)| after.as_ref().is_none_or(|after| key > after));
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| has_more).map(|(key, _)| key.clone());
    Ok(page(rows.into_iter().map(|(_, row)| row).collect(), next))
}

async fn history(
    State(app): State<App>,
    Segments(folder): Segments<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Problem> {
    let path = PathText::from(&Query::of(query.as_deref(), &["path"])?.path()?);
    all(&app, Command::History { folder, path }).await
}

async fn why(
    State(app): State<App>,
    Segments(folder): Segments<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<Object>, Problem> {
    let path = PathText::from(&Query::of(query.as_deref(), &["path"])?.path()?);
    one(&app, Command::Why { folder, path }).await
}

/// The body of what needs none.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToResolve {
    path: PathText,
    keep: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToForget {
    replica: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToRescan {
    #[serde(default)]
    paths: Vec<PathText>,
}

async fn resolve(
    State(app): State<App>,
    Segments(folder): Segments<String>,
    request: Request,
) -> Result<Json<Object>, Problem> {
    no_query(request.uri().query())?;
    let ToResolve { path, keep } = request::json(&app, request).await?;
    one(&app, Command::Resolve { folder, path, keep }).await
}

async fn forget(
    State(app): State<App>,
    Segments(folder): Segments<String>,
    request: Request,
) -> Result<Json<Object>, Problem> {
    no_query(request.uri().query())?;
    let ToForget { replica } = request::json(&app, request).await?;
    one(&app, Command::Forget { folder, replica }).await
}

async fn rescan(
    State(app): State<App>,
    Segments(folder): Segments<String>,
    request: Request,
) -> Result<Json<Object>, Problem> {
    no_query(request.uri().query())?;
    let ToRescan { paths } = request::json(&app, request).await?;
    let folder = Some(folder);
    one(&app, Command::Rescan { folder, paths }).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToRevert {
    #[serde(default)]
    paths: Vec<PathText>,
    #[serde(default)]
    dry_run: bool,
}

async fn revert(
    State(app): State<App>,
    Segments(folder): Segments<String>,
    request: Request,
) -> Result<Json<Object>, Problem> {
    no_query(request.uri().query())?;
    let ToRevert { paths, dry_run } = request::json(&app, request).await?;
    let command = Command::Revert {
        folder,
        paths,
        dry_run,
    };
    one(&app, command).await
}

/// A command that takes a folder, or all, and nothing else.
type Steer = fn(Option<String>) -> Command;

async fn steer(
    app: App,
    folder: Option<String>,
    request: Request,
    command: Steer,
) -> Result<Response, Problem> {
    no_query(request.uri().query())?;
    let Nothing {} = request::json(&app, request).await?;
    Ok(one(&app, command(folder)).await?.into_response())
}

const PAUSE: Steer = |folder| Command::Pause { folder };
const RESUME: Steer = |folder| Command::Resume { folder };
const APPROVE: Steer = |folder| Command::Approve { folder };
const REJECT: Steer = |folder| Command::Reject { folder };
const RESCAN: Steer = |folder| Command::Rescan {
    folder,
    paths: Vec::new(),
};

type Steered = Result<Response, Problem>;

async fn pause(
    State(app): State<App>,
    Segments(folder): Segments<String>,
    request: Request,
) -> Steered {
    steer(app, Some(folder), request, PAUSE).await
}

async fn resume(
    State(app): State<App>,
    Segments(folder): Segments<String>,
    request: Request,
) -> Steered {
    steer(app, Some(folder), request, RESUME).await
}

async fn approve(
    State(app): State<App>,
    Segments(folder): Segments<String>,
    request: Request,
) -> Steered {
    steer(app, Some(folder), request, APPROVE).await
}

async fn reject(
    State(app): State<App>,
    Segments(folder): Segments<String>,
    request: Request,
) -> Steered {
    steer(app, Some(folder), request, REJECT).await
}

async fn reject_all(State(app): State<App>, request: Request) -> Steered {
    steer(app, None, request, REJECT).await
}

async fn pause_all(State(app): State<App>, request: Request) -> Steered {
    steer(app, None, request, PAUSE).await
}

async fn resume_all(State(app): State<App>, request: Request) -> Steered {
    steer(app, None, request, RESUME).await
}

async fn approve_all(State(app): State<App>, request: Request) -> Steered {
    steer(app, None, request, APPROVE).await
}

async fn rescan_all(State(app): State<App>, request: Request) -> Steered {
    steer(app, None, request, RESCAN).await
}
