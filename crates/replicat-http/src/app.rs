//! What all requests share.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use replicat_server::ReplicatServer;
use tokio::sync::{Semaphore, watch};

use crate::manager::ManagerSubject;
use crate::problem::Problem;
use crate::tokens::TokenStore;
use crate::{caller, dashboard, guard, manager, metrics, node, openapi, route};

/// How many requests are at work at once.
pub(crate) const REQUESTS_MAX: usize = 64;
/// How many streams of events there are at once.
pub(crate) const STREAMS_MAX: usize = 64;

/// Whom the API is of.
#[derive(Clone)]
pub enum Subject {
    /// A node.
    Node(ReplicatServer),
    /// A manager.
    Manager(ManagerSubject),
}

/// What all requests share. Clones are handles of one.
#[derive(Clone)]
pub(crate) struct App(Arc<Shared>);

struct Shared {
    subject: Subject,
    tokens: TokenStore,
    hosts: Vec<String>,
    is_encrypted: bool,
    body_patience: Duration,
    working: Arc<Semaphore>,
    streaming: Arc<Semaphore>,
    stopped: watch::Receiver<bool>,
}

/// What requests are answered by, beside the subject.
pub(crate) struct Setting {
    pub(crate) tokens: TokenStore,
    pub(crate) hosts: Vec<String>,
    pub(crate) is_encrypted: bool,
    pub(crate) body_patience: Duration,
    pub(crate) stopped: watch::Receiver<bool>,
}

impl App {
    pub(crate) fn new(subject: Subject, setting: Setting) -> Self {
        Self(Arc::new(Shared {
            subject,
            tokens: setting.tokens,
            hosts: setting.hosts,
            is_encrypted: setting.is_encrypted,
            body_patience: setting.body_patience,
            working: Arc::new(Semaphore::new(REQUESTS_MAX)),
            streaming: Arc::new(Semaphore::new(STREAMS_MAX)),
            stopped: setting.stopped,
        }))
    }

    pub(crate) fn subject(&self) -> &Subject {
        &self.0.subject
    }

    /// The node that the API is of. Its routes are there for nodes only.
    pub(crate) fn node(&self) -> Result<&ReplicatServer, Problem> {
        match &self.0.subject {
            Subject::Node(server) => Ok(server),
            Subject::Manager(_) => Err(unknown_route()),
        }
    }

    /// The manager that the API is of.
    pub(crate) fn manager(&self) -> Result<&ManagerSubject, Problem> {
        match &self.0.subject {
            Subject::Manager(manager) => Ok(manager),
            Subject::Node(_) => Err(unknown_route()),
        }
    }

    pub(crate) fn tokens(&self) -> &TokenStore {
        &self.0.tokens
    }

    /// The names by which the server may be called.
    pub(crate) fn hosts(&self) -> &[String] {
        &self.0.hosts
    }

    pub(crate) fn is_encrypted(&self) -> bool {
        self.0.is_encrypted
    }

    /// How long a body may bring nothing.
    pub(crate) fn body_patience(&self) -> Duration {
        self.0.body_patience
    }

    pub(crate) fn working(&self) -> &Arc<Semaphore> {
        &self.0.working
    }

    pub(crate) fn streaming(&self) -> &Arc<Semaphore> {
        &self.0.streaming
    }

    /// Tells when the server stops.
    pub(crate) fn stopped(&self) -> watch::Receiver<bool> {
        self.0.stopped.clone()
    }

    /// The routes that the subject has.
    pub(crate) fn routes(&self) -> Vec<route::Route> {
        match &self.0.subject {
            Subject::Node(_) => node::routes(),
            Subject::Manager(_) => manager::routes(),
        }
    }

    /// All that is answered.
    pub(crate) fn router(&self) -> Router {
        let mut router: Router<Self> = Router::new();
        for route in self.routes().into_iter().chain([metrics::route()]) {
            let state = (self.clone(), route.scope);
            let guarded = (route.handler)().route_layer(from_fn_with_state(state, caller::require));
            router = router.route(&route.path, guarded);
        }
        router
            .route("/healthz", get(metrics::health))
            .route("/readyz", get(metrics::readiness))
            .route("/api/openapi.json", get(openapi::answer))
            .fallback(dashboard::answer)
            .method_not_allowed_fallback(async || {
                let detail = "there is no such method here; see /api/openapi.json";
                Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", detail)
            })
            .layer(from_fn_with_state(self.clone(), guard::admit))
            .layer(from_fn(guard::protect))
            .with_state(self.clone())
    }
}

/// There is nothing at that path.
pub(crate) fn unknown_route() -> Problem {
    let detail = "there is nothing at this path; see /api/openapi.json";
    Problem::new(StatusCode::NOT_FOUND, "unknown-route", detail)
}

/// Does what waits for disks where it holds nobody up.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| {
        tracing::error!(%error, "a request was broken off");
        Problem::broken()
    })
}
