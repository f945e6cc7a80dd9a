//! The files of a folder: read, put in place, moved to the trash.

use std::ops::Range;

use axum::Json;
use axum::body::Body;
use axum::extract::{RawQuery, Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, put};
use bytes::Bytes;
use http_body_util::BodyExt;
use replicat_core::id::ContentHash;
use replicat_core::path::RelPath;
use replicat_server::control::json::Object;
use replicat_server::control::json::{from_hexadecimal, removed, uploaded};
use replicat_server::control::{self, FileReader, Precondition, Refusal, Upload};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::FOLDER;
use crate::app::{App, blocking};
use crate::problem::Problem;
use crate::request::{Query, Segments};
use crate::route::{self, Answer, Route};
use crate::stream::channel_body;

/// The longest upload, in bytes.
const UPLOAD_BYTES_MAX: u64 = 64 << 30;
/// How much is read from a file at once, in bytes.
const PIECE_BYTES: usize = 64 << 10;
/// How many pieces wait for a client.
const PIECES_MAX: usize = 2;

pub(super) fn routes() -> Vec<Route> {
    let path = format!("{FOLDER}/file");
    vec![
        Route::get(&path, "The content of a file", Answer::Bytes, || get(read)).query(&["path"]),
        Route::change(
            "put",
            &path,
            "Puts a file in place",
            Answer::Put("uploaded"),
            || put(upload),
        )
        .query(&["path"])
        .body(route::Body::Bytes),
        Route::change(
            "delete",
            &path,
            "Moves a file to the trash",
            Answer::One("removed"),
            || delete(remove),
        )
        .query(&["path"]),
    ]
}

async fn read(
    State(app): State<App>,
    Segments(folder): Segments<String>,
    request: Request,
) -> Result<Response, Problem> {
    let path = Query::of(request.uri().query(), &["path"])?.path()?;
    let server = app.node()?.clone();
    let file = blocking(move || control::read(&server, &folder, &path)).await??;
    let tag = format!("\"{}\"", file.content());
    let headers = request.headers();
    let named = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if named(header::IF_NONE_MATCH).is_some_and(|tags| holds(tags, &tag)) {
        return with_headers(StatusCode::NOT_MODIFIED.into_response(), &tag, None);
    }
    let size = file.size();
    // Of another state than the one that the client has a part of, all is sent.
    let is_same = named(header::IF_RANGE).is_none_or(|wanted| wanted == tag);
    let range = named(header::RANGE).filter(|_| is_same);
    let (range, status) = match range.map_or(Wanted::All, |range| wanted(range, size)) {
        Wanted::All => (0..size, StatusCode::OK),
        Wanted::Part(range) => (range, StatusCode::PARTIAL_CONTENT),
        Wanted::Beyond => return Err(beyond(size)),
    };
    let part = (status == StatusCode::PARTIAL_CONTENT).then(|| (range.clone(), size));
    let length = range.end - range.start;
    let body = match *request.method() == Method::HEAD {
        true => Body::empty(),
        false => content(file, range),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let lengths = response.headers_mut();
    lengths.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    with_headers(response, &tag, part)
}

fn with_headers(
    mut response: Response,
    tag: &str,
    part: Option<(Range<u64>, u64)>,
) -> Result<Response, Problem> {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::ACCEPT_RANGES, "bytes"),
        (header::CONTENT_TYPE, "application/octet-stream"),
        (header::CONTENT_DISPOSITION, "attachment"),
        (header::ETAG, tag),
    ] {
        let value = HeaderValue::from_str(value).map_err(|_| Problem::broken())?;
        headers.insert(name, value);
    }
    if let Some((range, size)) = part {
        let text = format!("bytes {}-{}/{size}", range.start, range.end - 1);
        let value = HeaderValue::try_from(text).map_err(|_| Problem::broken())?;
        headers.insert(header::CONTENT_RANGE, value);
    }
    Ok(response)
}

/// Whether a tag is in a list of tags. Weak ones are as good as others: they are made of the content.
fn holds(tags: &str, tag: &str) -> bool {
    let mut tags = tags.split(',').map(str::trim);
    tags.any(|given| given == "*" || given.trim_start_matches("W/") == tag)
}

/// What part of a file is wanted.
#[derive(Debug, PartialEq, Eq)]
enum Wanted {
    All,
    Part(Range<u64>),
    Beyond,
}

/// Reads a `Range`. One that is not understood, or of several parts, counts for nothing, as RFC 9110 allows.
fn wanted(range: &str, size: u64) -> Wanted {
    let Some((first, last)) = range
        .strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'))
    else {
        return Wanted::All;
    };
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(first) || !is_number(last) {
        return Wanted::All;
    }
    let number = |text: &str| text.parse::<u64>().unwrap_or(u64::MAX);
    let range = match (first, last) {
        ("", "") => return Wanted::All,
        ("", suffix) => size.saturating_sub(number(suffix))..size,
        (first, "") => number(first)..size,
        (first, last) if number(first) > number(last) => return Wanted::All,
        (first, last) => number(first)..number(last).saturating_add(1).min(size),
    };
    match range.is_empty() {
        true => Wanted::Beyond,
        false => Wanted::Part(range),
    }
}

fn beyond(size: u64) -> Problem {
    let detail = format!("the file has {size} bytes");
    let problem = Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, "range", detail);
    match HeaderValue::try_from(format!("bytes */{size}")) {
        Ok(value) => problem.with_header(header::CONTENT_RANGE, value),
        Err(_) => problem,
    }
}

/// A part of a file, piece by piece. A file that changes breaks it off.
fn content(file: FileReader, range: Range<u64>) -> Body {
    let (sender, body) = channel_body(PIECES_MAX);
    tokio::task::spawn_blocking(move || send(&file, range, &sender));
    body
}

fn send(file: &FileReader, range: Range<u64>, sender: &mpsc::Sender<std::io::Result<Bytes>>) {
    let mut at = range.start;
    while at < range.end {
        let length = (range.end - at).min(PIECE_BYTES as u64);
        let mut piece = vec![0; usize::try_from(length).unwrap_or(PIECE_BYTES)];
        let read = match file.read_at(at, &mut piece) {
            Ok(read) if read > 0 => read,
            Ok(_) => {
                let _ = sender.blocking_send(Err(std::io::ErrorKind::UnexpectedEof.into()));
                return;
            }
            Err(error) => {
                tracing::debug!(%error, "a file is not sent to its end");
                let _ = sender.blocking_send(Err(std::io::Error::other(error)));
                return;
            }
        };
        piece.truncate(read);
        at += read as u64;
        if sender.blocking_send(Ok(piece.into())).is_err() {
            return;
        }
    }
}

/// What `If-Match` and `If-None-Match` say of what is to be changed.
fn precondition(headers: &HeaderMap) -> Result<Precondition, Problem> {
    let one = |name: &HeaderName| {
        let mut values = headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => Ok(Some(value.to_str().unwrap_or_default().trim())),
            _ => Err(Problem::usage(format!("{name} is given twice"))),
        }
    };
    match (one(&header::IF_MATCH)?, one(&header::IF_NONE_MATCH)?) {
        (None, None) => Ok(Precondition::Anything),
        (Some("*"), None) => Ok(Precondition::Something),
        (Some(tag), None) => tagged(tag).map(Precondition::Content),
        (None, Some("*")) => Ok(Precondition::Nothing),
        (None, Some(_)) => Err(Problem::usage("If-None-Match can only be * here")),
        (Some(_), Some(_)) => Err(Problem::usage("give either If-Match or If-None-Match")),
    }
}

fn tagged(tag: &str) -> Result<ContentHash, Problem> {
    let digits = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
    let bytes = digits.and_then(from_hexadecimal);
    let content = bytes
        .and_then(|bytes| bytes.try_into().ok())
        .map(ContentHash);
    content.ok_or_else(|| {
        Problem::usage("If-Match is one ETag, as the file was answered with: \"CONTENT\"")
    })
}

async fn upload(
    State(app): State<App>,
    Segments(folder): Segments<String>,
    request: Request,
) -> Result<(StatusCode, Json<Object>), Problem> {
    let path = Query::of(request.uri().query(), &["path"])?.path()?;
    let precondition = precondition(request.headers())?;
    let size = length(request.headers())?;
    let server = app.node()?.clone();
    let begun = blocking(move || control::upload(&server, &folder, &path, size)).await??;
    let mut staged = Staged(Some(begun));
    let mut body = request.into_body();
    let mut written = 0;
    loop {
        let frame = timeout(app.body_patience(), body.frame()).await;
        let frame = frame.map_err(|_| Problem::too_slow("the content"))?;
        let Some(frame) = frame else { break };
        let frame =
            frame.map_err(|error| Problem::usage(format!("the content broke off: {error}")))?;
        let bytes = frame.into_data().unwrap_or_default();
        written += bytes.len() as u64;
        staged = blocking(move || staged.write(&bytes)).await??;
    }
    if written != size {
        return Err(Problem::usage(format!("{written} bytes came of {size}")));
    }
    let done = blocking(move || staged.finish(precondition)).await??;
    let status = match done.created {
        true => StatusCode::CREATED,
        false => StatusCode::OK,
    };
    Ok((status, Json(uploaded(&done))))
}

/// How long the content is to be.
fn length(headers: &HeaderMap) -> Result<u64, Problem> {
    let length = headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    let length: u64 = length.ok_or_else(|| {
        let detail = "an upload needs its Content-Length";
        Problem::new(StatusCode::LENGTH_REQUIRED, "length-required", detail)
    })?;
    match length > UPLOAD_BYTES_MAX {
        true => {
            let detail = format!("an upload has at most {UPLOAD_BYTES_MAX} bytes");
            Err(Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too-large",
                detail,
            ))
        }
        false => Ok(length),
    }
}

/// An upload that is not finished, which leaves nothing behind wherever it ends.
struct Staged(Option<Upload>);

impl Staged {
    fn write(mut self, bytes: &[u8]) -> Result<Self, Refusal> {
        if let Some(upload) = &mut self.0 {
            upload.write(bytes)?;
        }
        Ok(self)
    }

    fn finish(mut self, precondition: Precondition) -> Result<control::Uploaded, Refusal> {
        match self.0.take() {
            Some(upload) => Ok(upload.finish(precondition)?),
            None => Err(Refusal::Gone),
        }
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Some(upload) = self.0.take() {
            upload.abandon();
        }
    }
}

async fn remove(
    State(app): State<App>,
    Segments(folder): Segments<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Json<Object>, Problem> {
    let path: RelPath = Query::of(query.as_deref(), &["path"])?.path()?;
    let precondition = precondition(&headers)?;
    if precondition == Precondition::Nothing {
        return Err(Problem::usage(
            "nothing cannot be moved to the trash: leave If-None-Match out",
        ));
    }
    let server = app.node()?.clone();
    let done = blocking(move || {
        control::remove(&server, &folder, &path, precondition).map(|()| removed(&path))
    });
    Ok(Json(done.await??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_rfc_9110_has_them() {
        for (range, expected) in [
            ("bytes=0-4", Wanted::Part(0..5)),
            ("bytes=5-", Wanted::Part(5..10)),
            ("bytes=-3", Wanted::Part(7..10)),
            ("bytes=-30", Wanted::Part(0..10)),
            ("bytes=8-99999999999999999999", Wanted::Part(8..10)),
            ("bytes=10-", Wanted::Beyond),
            ("bytes=-0", Wanted::Beyond),
            ("bytes=4-2", Wanted::All),
            ("bytes=0-1,4-5", Wanted::All),
            ("lines=1-2", Wanted::All),
            ("bytes=-", Wanted::All),
        ] {
            assert_eq!(wanted(range, 10), expected, "{range}");
        }
        assert_eq!(wanted("bytes=0-", 0), Wanted::Beyond);
    }

    #[test]
    fn preconditions_are_one_tag_or_a_star() {
        let read = |name: HeaderName, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            precondition(&headers).ok()
        };
        assert_eq!(
            precondition(&HeaderMap::new()).ok(),
            Some(Precondition::Anything)
        );
        assert_eq!(read(header::IF_MATCH, "*"), Some(Precondition::Something));
        assert_eq!(
            read(header::IF_NONE_MATCH, "*"),
            Some(Precondition::Nothing)
        );
        assert_eq!(read(header::IF_MATCH, "\"00\""), None);
        assert_eq!(read(header::IF_NONE_MATCH, "\"00\""), None);
    }
}
