//! What goes wrong, as `application/problem+json` (RFC 9457).

use std::borrow::Cow;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use replicat_server::control::Refusal;
use replicat_server::control::json::Object;
use serde_json::{Value, json};

/// How long a client is to wait if the server is busy, in seconds.
const RETRY_AFTER_S: &str = "1";

/// Why a request is not answered as it was meant.
#[derive(Debug)]
pub(crate) struct Problem(Box<Details>);

#[derive(Debug)]
struct Details {
    status: StatusCode,
    kind: Cow<'static, str>,
    detail: String,
    hint: Option<String>,
    header: Option<(HeaderName, HeaderValue)>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, kind: &'static str, detail: impl Into<String>) -> Self {
        Self(Box::new(Details {
            status,
            kind: Cow::Borrowed(kind),
            detail: detail.into(),
            hint: None,
            header: None,
        }))
    }

    #[must_use]
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.header = Some((name, value));
        self
    }

    /// The request was not understood.
    pub(crate) fn usage(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "usage", detail)
    }

    /// What was being done was given up, by a panic or since the process ends.
    pub(crate) fn broken() -> Self {
        let detail = "the work on the request was broken off; see the log of the server";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "broken", detail)
    }

    /// There is more to do than is done at once.
    pub(crate) fn busy(what: &str) -> Self {
        let detail = format!("too many {what} at once; try again");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail)
            .with_header(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S))
    }

    pub(crate) fn too_slow(what: &str) -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "too-slow",
            format!("{what} came too slowly"),
        )
        .with_header(header::CONNECTION, HeaderValue::from_static("close"))
    }

    /// One of those that the local socket tells of as an `error`.
    pub(crate) fn of_error(error: &Object) -> Self {
        let text = |key: &str| error.get(key).and_then(Value::as_str);
        let kind = text("kind").unwrap_or("broken");
        Self(Box::new(Details {
            status: status_of(kind),
            kind: Cow::Owned(kind.to_owned()),
            detail: text("message").unwrap_or_default().to_owned(),
            hint: text("hint").map(str::to_owned),
            header: None,
        }))
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::of_error(&refusal.object())
    }
}

/// The status that goes with a kind.
fn status_of(kind: &str) -> StatusCode {
    match kind {
        "usage" => StatusCode::BAD_REQUEST,
        "receive-only" => StatusCode::FORBIDDEN,
        "not-receive-only" | "busy" | "no-peer" => StatusCode::CONFLICT,
        "unknown-folder" | "unknown-path" | "no-conflict" | "nothing-missing" | "no-revision"
        | "unknown-node" | "unknown-token" | "unknown-placement" => StatusCode::NOT_FOUND,
        "not-a-replica" | "closed" | "halted" | "paused" | "not-a-file" | "changing"
        | "pending" | "not-kept" | "refused" => StatusCode::CONFLICT,
        "precondition" => StatusCode::PRECONDITION_FAILED,
        "disk-full" => StatusCode::INSUFFICIENT_STORAGE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let problem = *self.0;
        let body = json!({
            "type": format!("urn:replicat:problem:{}", problem.kind),
            "title": problem.status.canonical_reason(),
            "status": problem.status.as_u16(),
            "detail": problem.detail,
            "kind": problem.kind,
            "hint": problem.hint,
        });
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = problem.status;
        let headers = response.headers_mut();
        let media = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, media);
        if let Some((name, value)) = problem.header {
            headers.insert(name, value);
        }
        response
    }
}
