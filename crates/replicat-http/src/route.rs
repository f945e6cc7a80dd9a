//! The routes, as the router and the description for programs take them from one list.

use axum::routing::MethodRouter;

use crate::app::App;
use crate::tokens::Scope;

/// What stands in front of the routes.
pub(crate) const BASE: &str = "/api/v1";

/// One method of one path.
pub(crate) struct Route {
    pub(crate) method: &'static str,
    /// From the root, with `{parameters}`.
    pub(crate) path: String,
    pub(crate) scope: Scope,
    pub(crate) summary: &'static str,
    /// The parameters of its query.
    pub(crate) query: &'static [&'static str],
    /// What its body is.
    pub(crate) body: Body,
    /// What it answers.
    pub(crate) answer: Answer,
    /// What answers.
    pub(crate) handler: fn() -> MethodRouter<App>,
}

/// What the body of a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// There is none.
    None,
    /// A JSON object with these members.
    Json(&'static [&'static str]),
    /// Any bytes.
    Bytes,
}

/// What an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// An object of this type.
    One(&'static str),
    /// An object of this type, that was made.
    Made(&'static str),
    /// An object of this type, that was made or replaced.
    Put(&'static str),
    /// A page of objects of this type.
    Items(&'static str),
    /// Any bytes.
    Bytes,
    /// Lines of text.
    Text,
    /// A stream of events.
    Stream,
}

impl Route {
    /// A route below [`BASE`] that shows something.
    pub(crate) fn get(
        path: &str,
        summary: &'static str,
        answer: Answer,
        handler: fn() -> MethodRouter<App>,
    ) -> Self {
        Self {
            method: "get",
            path: format!("{BASE}{path}"),
            scope: Scope::Read,
            summary,
            query: &[],
            body: Body::None,
            answer,
            handler,
        }
    }

    /// A route below [`BASE`] that changes something.
    pub(crate) fn change(
        method: &'static str,
        path: &str,
        summary: &'static str,
        answer: Answer,
        handler: fn() -> MethodRouter<App>,
    ) -> Self {
        Self {
            method,
            scope: Scope::Operate,
            ..Self::get(path, summary, answer, handler)
        }
    }

    #[must_use]
    pub(crate) fn scope(self, scope: Scope) -> Self {
        Self { scope, ..self }
    }

    #[must_use]
    pub(crate) fn query(self, query: &'static [&'static str]) -> Self {
        Self { query, ..self }
    }

    #[must_use]
    pub(crate) fn body(self, body: Body) -> Self {
        Self { body, ..self }
    }
}
