//! What a request says beside its path.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::{FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use percent_encoding::percent_decode_str;
use replicat_core::path::RelPath;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::app::App;
use crate::problem::Problem;

/// The longest JSON body, in bytes.
const JSON_BYTES_MAX: usize = 64 << 10;
/// How many rows a page has if nobody says, and at most.
const LIMIT_DEFAULT: usize = 200;
const LIMIT_MAX: usize = 1000;

/// The parameters of a query, decoded to bytes.
#[derive(Debug)]
pub(crate) struct Query(BTreeMap<String, Vec<u8>>);

impl Query {
    /// Reads those that are known; another one, or one that is given twice, is an error.
    pub(crate) fn of(query: Option<&str>, known: &[&str]) -> Result<Self, Problem> {
        let mut found = BTreeMap::new();
        let pairs = query.unwrap_or_default().split('&');
        for pair in pairs.filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if !known.contains(&name) {
                let detail = format!("there is no parameter {name:?} here{}", listed(known));
                return Err(Problem::usage(detail));
            }
            // A plus is a blank in forms, and itself in paths: whoever means either can say so.
            let value = percent_decode_str(value).collect();
            if found.insert(name.to_owned(), value).is_some() {
                return Err(Problem::usage(format!(
                    "the parameter {name} is given twice"
                )));
            }
        }
        Ok(Self(found))
    }

    pub(crate) fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(Vec::as_slice)
    }

    pub(crate) fn text(&self, name: &str) -> Result<Option<&str>, Problem> {
        let text = self.bytes(name).map(std::str::from_utf8).transpose();
        text.map_err(|_| Problem::usage(format!("the parameter {name} is no text")))
    }

    /// The path in a folder; its root if there is none.
    pub(crate) fn path(&self) -> Result<RelPath, Problem> {
        let bytes = self.bytes("path").unwrap_or_default();
        RelPath::new(bytes).map_err(|error| Problem::usage(format!("path: {error}")))
    }

    /// How many rows a page has.
    pub(crate) fn limit(&self) -> Result<usize, Problem> {
        let Some(text) = self.text("limit")? else {
            return Ok(LIMIT_DEFAULT);
        };
        let limit = text
            .parse()
            .ok()
            .filter(|limit| (1..=LIMIT_MAX).contains(limit));
        limit.ok_or_else(|| Problem::usage(format!("limit is a number from 1 to {LIMIT_MAX}")))
    }
}

fn listed(known: &[&str]) -> String {
    match known.is_empty() {
        true => String::new(),
        false => format!("; there are: {}", known.join(", ")),
    }
}

/// The names in the path of a request. One that is no text is refused as all else is that is not understood.
pub(crate) struct Segments<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Segments<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let found = Path::<T>::from_request_parts(parts, app).await;
        found
            .map(|Path(names)| Self(names))
            .map_err(|error| Problem::usage(format!("the path: {}", error.body_text())))
    }
}

/// A name out of the path of a request.
pub(crate) fn named<T: std::str::FromStr<Err: std::fmt::Display>>(
    what: &str,
    text: &str,
) -> Result<T, Problem> {
    text.parse()
        .map_err(|error| Problem::usage(format!("{what}: {error}")))
}

/// Reads a JSON body. An empty one is `{}`.
pub(crate) async fn json<T: DeserializeOwned>(app: &App, request: Request) -> Result<T, Problem> {
    let is_json = is_json(request.headers());
    let body = bounded(app, request.into_body()).await?;
    if body.is_empty() {
        return parse(b"{}");
    }
    match is_json {
        true => parse(&body),
        false => Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "media-type",
            "a body must have `Content-Type: application/json`",
        )),
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let parsed = serde_json::from_slice(body);
    parsed.map_err(|error| Problem::usage(format!("the body is not understood: {error}")))
}

fn is_json(headers: &HeaderMap) -> bool {
    let media = headers.get(header::CONTENT_TYPE);
    let media = media
        .and_then(|media| media.to_str().ok())
        .unwrap_or_default();
    let (essence, _) = media.split_once(';').unwrap_or((media, ""));
    essence.trim().eq_ignore_ascii_case("application/json")
}

/// All of a body that is small.
async fn bounded(app: &App, body: Body) -> Result<Vec<u8>, Problem> {
    let mut body = Limited::new(body, JSON_BYTES_MAX);
    let mut bytes = Vec::new();
    loop {
        let frame = timeout(app.body_patience(), body.frame()).await;
        let frame = frame.map_err(|_| Problem::too_slow("the body"))?;
        match frame {
            None => return Ok(bytes),
            Some(Ok(frame)) => bytes.extend(frame.into_data().unwrap_or_default()),
            Some(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
                let detail = format!("a body has at most {JSON_BYTES_MAX} bytes");
                return Err(Problem::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "too-large",
                    detail,
                ));
            }
            Some(Err(error)) => {
                return Err(Problem::usage(format!("the body broke off: {error}")));
            }
        }
    }
}
