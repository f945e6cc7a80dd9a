//! Who asks.

use std::time::SystemTime;

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::app::App;
use crate::problem::Problem;
use crate::tokens::{Scope, Token};

/// Who asks: the holder of a token.
#[derive(Clone, Debug)]
pub(crate) struct Caller(pub(crate) Token);

/// Finds out who asks, and lets the request on if a token of `scope` is shown.
pub(crate) async fn require(
    State((app, scope)): State<(App, Scope)>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let token = identify(&app, &request)?;
    if token.scope < scope {
        let detail = format!(
            "this needs a token of scope {scope}, and yours is of {}",
            token.scope
        );
        let hint = format!("make one with `replicat api token create --scope {scope}`");
        return Err(Problem::new(StatusCode::FORBIDDEN, "scope", detail).with_hint(hint));
    }
    request.extensions_mut().insert(Caller(token));
    Ok(next.run(request).await)
}

/// The token that a request shows.
pub(crate) fn identify(app: &App, request: &Request) -> Result<Token, Problem> {
    let mut given = request.headers().get_all(header::AUTHORIZATION).iter();
    let text = match (given.next(), given.next()) {
        (Some(one), None) => bearer(one),
        _ => None,
    };
    let text =
        text.ok_or_else(|| unauthorized("a token is needed: `Authorization: Bearer TOKEN`"))?;
    match app.tokens().find(text, SystemTime::now()) {
        Ok(Some(token)) => Ok(token),
        Ok(None) => Err(unauthorized(
            "the token is not known, was revoked or has ended",
        )),
        Err(error) => {
            tracing::error!(%error, "the API's tokens cannot be read");
            let detail = "the tokens cannot be read; see the log of the server";
            Err(Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "tokens",
                detail,
            ))
        }
    }
}

fn bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then_some(token.trim())
}

fn unauthorized(detail: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
        .with_hint("make one with `replicat api token create`")
        .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
}
