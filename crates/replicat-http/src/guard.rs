//! What every request has to pass, and every answer carries.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::uri::Authority;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::problem::Problem;

/// What a foreign page cannot send without being asked first.
const OWN_REQUEST: HeaderName = HeaderName::from_static("x-replicat-request");
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// How many headers a request has at most.
const HEADERS_MAX: usize = 64;
/// How long they are at most, in bytes, together with the path.
const HEADERS_BYTES_MAX: usize = 32 << 10;

/// What pages may do.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; \
                           connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Adds what every answer carries.
pub(crate) async fn protect(request: Request, next: Next) -> Response {
    let is_of_api = !is_page(request.uri().path());
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, PAGE_POLICY),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if is_of_api {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

/// Whether a path is one of the dashboard, and may be kept by browsers.
fn is_page(path: &str) -> bool {
    !["/api/", "/metrics", "/healthz", "/readyz"]
        .iter()
        .any(|own| path.starts_with(own))
}

/// Lets a request on that asks this server, is no foreign page's, and finds somebody to work on it.
pub(crate) async fn admit(State(app): State<App>, request: Request, next: Next) -> Response {
    if let Err(problem) = examine(&app, &request) {
        return problem.into_response();
    }
    // Whoever starts a process anew that does not answer has to hear from one that is busy.
    if ["/healthz", "/readyz"].contains(&request.uri().path()) {
        return next.run(request).await;
    }
    // Until the answer begins: what is sent then is bounded by the number of connections.
    let Ok(_permit) = app.working().try_acquire() else {
        return Problem::busy("requests").into_response();
    };
    let path = request.uri().path().to_owned();
    let needs_token = path.starts_with("/api/") && path != "/api/openapi.json";
    if needs_token && let Err(problem) = crate::caller::identify(&app, &request) {
        return problem.into_response();
    }
    next.run(request).await
}

fn examine(app: &App, request: &Request) -> Result<(), Problem> {
    // What is read at once is bounded where it is read; a head that comes in one piece may still be longer.
    let headers = request.headers();
    let length = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len());
    let length = length.sum::<usize>() + request.uri().path().len();
    if headers.len() > HEADERS_MAX || length > HEADERS_BYTES_MAX {
        let detail = format!(
            "a request has at most {HEADERS_MAX} headers of {HEADERS_BYTES_MAX} bytes in all"
        );
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return Err(Problem::new(status, "headers-too-large", detail));
    }
    let authority = called(request).filter(|authority| is_own(app, authority));
    let Some(authority) = authority else {
        let detail = "the server is not known by the name in Host";
        return Err(
            Problem::new(StatusCode::MISDIRECTED_REQUEST, "foreign-host", detail)
                .with_hint("use its IP address, or start it with --http-host NAME"),
        );
    };
    let looks_only = [Method::GET, Method::HEAD].contains(request.method());
    match looks_only || is_own_request(app, request.headers(), &authority) {
        true => Ok(()),
        false => {
            let detail = "a request that changes something needs the header `X-Replicat-Request: 1`, and must be of this origin";
            Err(Problem::new(
                StatusCode::FORBIDDEN,
                "foreign-request",
                detail,
            ))
        }
    }
}

/// What the client calls the server, if it says so once.
fn called(request: &Request) -> Option<Authority> {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().ok()?.parse::<Authority>().ok()?,
        _ => return None,
    };
    match request.uri().authority() {
        Some(other) if *other != host => None,
        _ => (!host.as_str().contains('@')).then_some(host),
    }
}

/// A name that somebody else chose could be made to lead here.
fn is_own(app: &App, authority: &Authority) -> bool {
    let host = authority.host();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let name = host.trim_end_matches('.');
    bare.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || app.hosts().iter().any(|own| own.eq_ignore_ascii_case(name))
}

fn is_own_request(app: &App, headers: &HeaderMap, authority: &Authority) -> bool {
    let scheme = match app.is_encrypted() {
        true => "https",
        false => "http",
    };
    let own = format!("{scheme}://{authority}");
    let all = |name: &HeaderName, wanted: &str| {
        let mut values = headers.get_all(name).iter();
        values.all(|value| value.as_bytes().eq_ignore_ascii_case(wanted.as_bytes()))
    };
    headers.contains_key(OWN_REQUEST)
        && all(&OWN_REQUEST, "1")
        && all(&header::ORIGIN, &own)
        && all(&FETCH_SITE, "same-origin")
}
