//! What a manager answers.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Json;
use axum::extract::{RawQuery, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{delete, get, post, put};
use bytes::Bytes;
use replicat_core::name::FolderName;
use replicat_manager::{
    Manager, ManagerError, Observer, PlacementMode, Service, Sightings, TokenId, TokenOrder,
};
use replicat_server::control::json::{self, Object};
use replicat_server::control::management;
use replicat_server::{NodeName, Role};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::app::App;
use crate::caller::Caller;
use crate::node::{no_query, page, session_of};
use crate::problem::Problem;
use crate::request::{self, Segments, named};
use crate::route::{Answer, Body, Route};
use crate::stream::{self, channel_body};
use crate::tokens::Scope;

/// Where a placement is.
const PLACEMENT: &str = "/placements/{folder}/{node}";
/// How long a token lasts if nobody says, in seconds.
const TOKEN_SECONDS: u64 = 3600;
/// How many pieces of a stream wait for a client.
const PIECES_MAX: usize = 4;
/// How often the state and the token are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How long nothing is said at most.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(15);

/// The manager that an API is of.
#[derive(Clone)]
pub struct ManagerSubject {
    manager: Arc<Manager>,
    observer: Observer,
    address: Option<SocketAddr>,
}

impl ManagerSubject {
    /// The manager that runs as `service`.
    #[must_use]
    pub fn of(service: &Service) -> Self {
        Self {
            manager: Arc::clone(service.manager()),
            observer: service.observer(),
            address: service.address(),
        }
    }

    pub(crate) fn manager(&self) -> &Manager {
        &self.manager
    }

    pub(crate) fn sightings(&self) -> Sightings {
        self.observer.sightings()
    }

    fn status(&self) -> Object {
        let address = self.address.map(|address| address.to_string());
        management::manager(address.as_deref(), &self.manager, Some(&self.sightings()))
    }

    /// All that a stream tells of.
    fn whole(&self) -> Object {
        let snapshot = self.manager.snapshot();
        let mut whole = self.status();
        let members = management::members(&snapshot, &self.sightings());
        json::put(&mut whole, "members", members);
        let placements = management::placements(&snapshot);
        json::put(&mut whole, "placement_list", placements);
        whole
    }
}

/// The routes of a manager.
pub(crate) fn routes() -> Vec<Route> {
    let mut routes = vec![
        Route::get(
            "/session",
            "Who asks, and whom",
            Answer::One("session"),
            || get(session),
        ),
        Route::get(
            "/status",
            "How the manager stands",
            Answer::One("manager"),
            || get(status),
        ),
        Route::get("/nodes", "The nodes", Answer::Items("member"), || {
            get(nodes)
        }),
        Route::get(
            "/tokens",
            "The enrolment tokens",
            Answer::Items("token"),
            || get(tokens),
        )
        .scope(Scope::Admin),
        Route::get(
            "/placements",
            "Who keeps what",
            Answer::Items("placement"),
            || get(placements),
        ),
        Route::get("/events/stream", "What happens", Answer::Stream, || {
            get(follow)
        }),
    ];
    routes.extend(changing());
    routes
}

fn changing() -> Vec<Route> {
    let admin = |method, path, summary, answer, handler| {
        Route::change(method, path, summary, answer, handler).scope(Scope::Admin)
    };
    let removed = Answer::One("node-removed");
    let placed = Answer::One("placement");
    vec![
        admin("delete", "/nodes/{name}", "Removes a node", removed, || {
            delete(remove_node)
        }),
        admin(
            "post",
            "/tokens",
            "Makes an enrolment token",
            Answer::Made("token"),
            || post(create_token),
        )
        .body(Body::Json(&["role", "node", "expires_in"])),
        admin(
            "delete",
            "/tokens/{id}",
            "Takes a token back",
            Answer::One("token-removed"),
            || delete(remove_token),
        ),
        admin("put", PLACEMENT, "Has a node keep a folder", placed, || {
            put(place)
        })
        .body(Body::Json(&["mode"])),
        admin(
            "delete",
            PLACEMENT,
            "Has a node keep a folder no more",
            Answer::One("withdrawn"),
            || delete(withdraw),
        ),
    ]
}

impl From<ManagerError> for Problem {
    fn from(error: ManagerError) -> Self {
        let detail = error.to_string();
        match management::error_kind(&error) {
            "usage" => Self::usage(detail),
            kind @ ("unknown-node" | "unknown-token" | "unknown-placement") => {
                Self::new(StatusCode::NOT_FOUND, kind, detail)
            }
            "refused" => Self::new(StatusCode::CONFLICT, "refused", detail),
            "busy" => Self::busy("changes"),
            kind => {
                tracing::error!(%error, "a request to the manager failed");
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, kind, detail)
            }
        }
    }
}

async fn session(
    State(app): State<App>,
    RawQuery(query): RawQuery,
    axum::Extension(caller): axum::Extension<Caller>,
) -> Result<Json<Object>, Problem> {
    no_query(query.as_deref())?;
    app.manager()?;
    Ok(Json(session_of(
        "manager",
        replicat_manager::MANAGER_NAME,
        &caller,
    )))
}

async fn status(
    State(app): State<App>,
    RawQuery(query): RawQuery,
) -> Result<Json<Object>, Problem> {
    no_query(query.as_deref())?;
    Ok(Json(app.manager()?.status()))
}

async fn nodes(State(app): State<App>, RawQuery(query): RawQuery) -> Result<Json<Value>, Problem> {
    no_query(query.as_deref())?;
    let subject = app.manager()?;
    let snapshot = subject.manager.snapshot();
    Ok(page(
        management::members(&snapshot, &subject.sightings()),
        None,
    ))
}

async fn remove_node(
    State(app): State<App>,
    Segments(name): Segments<String>,
    request: Request,
) -> Result<Json<Object>, Problem> {
    no_query(request.uri().query())?;
    let name: NodeName = named("name", &name)?;
    let manager = app.manager()?.manager();
    manager.remove_node(&name, SystemTime::now()).await?;
    tracing::info!(node = %name, "a node was removed by the API");
    Ok(Json(management::node_removed(&name)))
}

async fn tokens(State(app): State<App>, RawQuery(query): RawQuery) -> Result<Json<Value>, Problem> {
    no_query(query.as_deref())?;
    let snapshot = app.manager()?.manager.snapshot();
    let tokens = snapshot.state.tokens.values().map(management::token);
    Ok(page(tokens.collect(), None))
}

/// What a new token is to be.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToCreate {
    role: Option<String>,
    node: Option<String>,
    expires_in: Option<u64>,
}

async fn create_token(
    State(app): State<App>,
    request: Request,
) -> Result<(StatusCode, Json<Object>), Problem> {
    no_query(request.uri().query())?;
    let wanted: ToCreate = request::json(&app, request).await?;
    let role = wanted.role.map(|role| named("role", &role)).transpose()?;
    let node = wanted.node.map(|node| named("node", &node)).transpose()?;
    let order = TokenOrder {
        role: role.unwrap_or(Role::ReadWrite),
        node,
        lifetime: Duration::from_secs(wanted.expires_in.unwrap_or(TOKEN_SECONDS)),
    };
    let manager = app.manager()?.manager();
    let token = manager.create_token(&order, SystemTime::now()).await?;
    Ok((
        StatusCode::CREATED,
        Json(management::new_token(&token, &order)),
    ))
}

async fn remove_token(
    State(app): State<App>,
    Segments(id): Segments<String>,
    request: Request,
) -> Result<Json<Object>, Problem> {
    no_query(request.uri().query())?;
    let id: TokenId = named("id", &id)?;
    app.manager()?.manager().remove_token(id).await?;
    Ok(Json(management::token_removed(id)))
}

async fn placements(
    State(app): State<App>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Problem> {
    no_query(query.as_deref())?;
    let snapshot = app.manager()?.manager.snapshot();
    Ok(page(management::placements(&snapshot), None))
}

/// How a node is to keep a folder.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToPlace {
    mode: Option<String>,
}

async fn place(
    State(app): State<App>,
    Segments((folder, node)): Segments<(String, String)>,
    request: Request,
) -> Result<Json<Object>, Problem> {
    no_query(request.uri().query())?;
    let folder: FolderName = named("folder", &folder)?;
    let node: NodeName = named("node", &node)?;
    let wanted: ToPlace = request::json(&app, request).await?;
    let mode = wanted.mode.map(|mode| named("mode", &mode)).transpose()?;
    let mode = mode.unwrap_or(PlacementMode::ReadWrite);
    app.manager()?.manager().place(&folder, &node, mode).await?;
    Ok(Json(management::placement(&folder, &node, mode)))
}

async fn withdraw(
    State(app): State<App>,
    Segments((folder, node)): Segments<(String, String)>,
    request: Request,
) -> Result<Json<Object>, Problem> {
    no_query(request.uri().query())?;
    let folder: FolderName = named("folder", &folder)?;
    let node: NodeName = named("node", &node)?;
    app.manager()?.manager().withdraw(&folder, &node).await?;
    Ok(Json(management::withdrawn(&folder, &node)))
}

async fn follow(
    State(app): State<App>,
    RawQuery(query): RawQuery,
    axum::Extension(caller): axum::Extension<Caller>,
) -> Result<Response, Problem> {
    no_query(query.as_deref())?;
    let subject = app.manager()?.clone();
    let place = Arc::clone(app.streaming()).try_acquire_owned();
    let place = place.map_err(|_| Problem::busy("streams of events"))?;
    let (sender, body) = channel_body(PIECES_MAX);
    tokio::spawn(tell(app, subject, caller, sender, place));
    Ok(stream::answer(body))
}

/// Tells what changes, until nobody takes it any more or it is to end.
async fn tell(
    app: App,
    subject: ManagerSubject,
    Caller(token): Caller,
    sender: mpsc::Sender<io::Result<Bytes>>,
    _place: OwnedSemaphorePermit,
) {
    let mut ticks = interval(LOOK_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut stopped = app.stopped();
    let mut shown = Object::new();
    let mut silent = Duration::ZERO;
    loop {
        ticks.tick().await;
        let mut pieces = Vec::new();
        silent += LOOK_INTERVAL;
        let whole = subject.whole();
        if whole != shown {
            pieces.push(stream::event("manager", None, &whole));
            shown = whole;
        } else if silent >= HEARTBEAT_INTERVAL {
            pieces.push(stream::heartbeat());
        }
        let reason = match app.tokens().is_good(&token, SystemTime::now()) {
            true if *stopped.borrow_and_update() => Some("the manager stops"),
            true => None,
            false => Some("the token was revoked or has ended"),
        };
        pieces.extend(reason.map(stream::end));
        for piece in pieces {
            silent = Duration::ZERO;
            // Who takes nothing is cut off by the connection; then the sender fails.
            if sender.send(Ok(piece)).await.is_err() {
                return;
            }
        }
        if reason.is_some() || sender.is_closed() {
            return;
        }
        // What stops is told at once.
        if timeout(LOOK_INTERVAL, stopped.wait_for(|stopped| *stopped))
            .await
            .is_ok()
        {
            let _ = sender.send(Ok(stream::end("the manager stops"))).await;
            return;
        }
    }
}
