//! The dashboard: the files of a directory, as they were when the program was built.

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{self, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use include_dir::{Dir, include_dir};

use crate::app::unknown_route;
use crate::problem::Problem;

static FILES: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/dashboard");

/// What `/` stands for.
const INDEX: &str = "index.html";

/// Answers a file of the dashboard.
pub(crate) async fn answer(request: Request) -> Result<Response, Problem> {
    let path = request.uri().path().trim_start_matches('/');
    let path = match path {
        "" => INDEX,
        path => path,
    };
    let found = media_type(path).zip(FILES.get_file(path));
    let (media, file) = found.ok_or_else(unknown_route)?;
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        let detail = "the dashboard can only be read";
        return Err(Problem::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method",
            detail,
        ));
    }
    let tag = format!("\"{}\"", blake3::hash(file.contents()).to_hex());
    let tag = HeaderValue::try_from(tag).map_err(|_| Problem::broken())?;
    let is_known = request.headers().get(header::IF_NONE_MATCH) == Some(&tag);
    let mut response = match is_known {
        true => StatusCode::NOT_MODIFIED.into_response(),
        false => Response::new(Body::from(file.contents())),
    };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, tag);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    // It may be kept, but what runs is asked for each time: a page of an older program would not fit.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

/// Of the kinds of files that belong to the dashboard.
fn media_type(path: &str) -> Option<&'static str> {
    let (_, extension) = path.rsplit_once('.')?;
    match extension {
        "html" => Some("text/html; charset=utf-8"),
        "js" | "mjs" => Some("text/javascript; charset=utf-8"),
        "css" => Some("text/css; charset=utf-8"),
        "svg" => Some("image/svg+xml"),
        "png" => Some("image/png"),
        "ico" => Some("image/x-icon"),
        "woff2" => Some("font/woff2"),
        "webmanifest" => Some("application/manifest+json"),
        _ => None,
    }
}
