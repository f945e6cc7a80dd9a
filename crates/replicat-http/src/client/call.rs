//! Requests, and which of them stands for which command.

use std::fmt::Write;

use axum::http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use replicat_server::control::json::hexadecimal;
use replicat_server::control::{Command, PathText};
use serde_json::{Value, json};
use ureq::http::request::Builder;

use super::address::ApiAddress;
use crate::route::BASE;

/// What stands as it is in a path or a query.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// How many rows are asked for at once.
const LIMIT: &[u8] = b"1000";

/// What is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// One object.
    One,
    /// Objects, page by page.
    Items,
    /// Objects, one page of them.
    Page,
}

/// A request.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Call {
    pub(super) method: Method,
    /// Below [`BASE`], encoded, with its query.
    pub(super) target: String,
    /// What it says as JSON.
    pub(super) body: Option<Value>,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) reply: Reply,
}

impl Call {
    /// Asks for one object.
    pub(super) fn get(path: &str) -> Self {
        Self {
            method: Method::GET,
            target: path.to_owned(),
            body: None,
            headers: Vec::new(),
            reply: Reply::One,
        }
    }

    /// Asks for objects.
    pub(super) fn list(path: &str) -> Self {
        Self {
            reply: Reply::Items,
            ..Self::get(path)
        }
    }

    /// Changes something.
    pub(super) fn change(method: Method, path: &str, body: Option<Value>) -> Self {
        Self {
            method,
            body,
            ..Self::get(path)
        }
    }

    /// Adds a parameter.
    pub(super) fn query(mut self, name: &str, value: &[u8]) -> Self {
        let sign = if self.target.contains('?') { '&' } else { '?' };
        let value = percent_encode(value, ENCODED);
        // Writing to a text does not fail.
        let _ = write!(self.target, "{sign}{name}={value}");
        self
    }

    /// Adds a header.
    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// It as a request to a server.
    pub(super) fn request(&self, address: &ApiAddress) -> Builder {
        let mut request = ureq::http::Request::builder()
            .method(self.method.clone())
            .uri(format!("{address}{BASE}{}", self.target));
        if self.method != Method::GET {
            request = request.header("x-replicat-request", "1");
        }
        if self.body.is_some() {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        request
    }

    /// What a command is over HTTP. A tree is walked, and what is followed is a stream: neither is one request.
    pub(super) fn of(command: &Command) -> Self {
        match command {
            Command::Status => Self::get("/status"),
            Command::Configuration => Self::get("/configuration"),
            Command::Nodes => Self::list("/nodes"),
            Command::Folders => Self::list("/folders"),
            Command::Events { .. } => Self::list("/events").query("limit", LIMIT),
            Command::Pause { folder } => steer(folder.as_deref(), "/pause", None),
            Command::Resume { folder } => steer(folder.as_deref(), "/resume", None),
            Command::Approve { folder } => steer(folder.as_deref(), "/approve", None),
            Command::Reject { folder } => steer(folder.as_deref(), "/reject", None),
            Command::Rescan { folder, paths } => {
                let body = (!paths.is_empty()).then(|| json!({"paths": paths}));
                steer(folder.as_deref(), "/rescan", body)
            }
            Command::Revert { folder, .. } => change_folder(folder, "/revert", command),
            Command::Conflicts { folder } => list_folder(folder, "/conflicts"),
            Command::History { folder, path } => {
                Self::list(&of_folder(folder, "/history")).path(path)
            }
            Command::Why { folder, path } => Self::get(&of_folder(folder, "/why")).path(path),
            Command::Tree { folder, path } => {
                let level = Self::list(&of_folder(folder, "/tree"));
                level.path(path).query("limit", LIMIT)
            }
            Command::List {
                folder,
                path,
                after,
                limit,
            } => level(folder, path, after.as_ref(), *limit),
            Command::Resolve { folder, .. } => change_folder(folder, "/resolve", command),
            Command::Forget { folder, .. } => change_folder(folder, "/forget", command),
            Command::Restore {
                folder,
                path,
                revision,
                recursive,
                at,
                dry_run,
            } => {
                let body = json!({"path": path, "at": at, "dry_run": dry_run});
                restore(folder, body, revision.filter(|_| !recursive), *recursive)
            }
            Command::Selection { folder } => Self::get(&of_folder(folder, "/selection")),
            Command::Select { folder, .. } => change_folder(folder, "/select", command),
            Command::Prune { folder, .. } => change_folder(folder, "/prune", command),
            Command::Trash { folder } => list_folder(folder, "/trash"),
            Command::EmptyTrash { folder, .. } => change_folder(folder, "/empty-trash", command),
        }
    }

    /// Whether the answer may take long: disks and other nodes are waited for.
    pub(super) fn is_long(&self) -> bool {
        let verbs = ["/restore", "/restore-tree", "/empty-trash", "/prune"];
        verbs.iter().any(|verb| self.target.ends_with(verb))
    }

    fn path(self, path: &PathText) -> Self {
        // Bytes that are no digits name nothing, which the server says.
        self.query("path", &path.bytes().unwrap_or_default())
    }
}

/// A list of what is in a folder.
fn list_folder(folder: &str, what: &str) -> Call {
    Call::list(&of_folder(folder, what)).query("limit", LIMIT)
}

/// A change in a folder. What the command says beside its name and the folder is the body.
fn change_folder(folder: &str, verb: &str, command: &Command) -> Call {
    let mut body = json!(command);
    if let Value::Object(members) = &mut body {
        members.retain(|name, _| name != "command" && name != "folder");
    }
    Call::change(Method::POST, &of_folder(folder, verb), Some(body))
}

/// A page of a level of a tree.
fn level(folder: &str, path: &PathText, after: Option<&PathText>, limit: usize) -> Call {
    let page = Call {
        reply: Reply::Page,
        ..Call::get(&of_folder(folder, "/tree"))
    };
    let page = page.path(path).query("limit", limit.to_string().as_bytes());
    match after {
        Some(after) => {
            let name = hexadecimal(&after.bytes().unwrap_or_default());
            page.query("after", name.as_bytes())
        }
        None => page,
    }
}

/// What is restored: a tree, or a path by the number of a version.
fn restore(folder: &str, mut body: Value, revision: Option<u32>, recursive: bool) -> Call {
    let verb = match recursive {
        true => "/restore-tree",
        false => {
            body["revision"] = json!(revision);
            "/restore"
        }
    };
    Call::change(Method::POST, &of_folder(folder, verb), Some(body))
}

/// The path of what belongs to a folder.
pub(super) fn of_folder(folder: &str, rest: &str) -> String {
    format!("/folders/{}{rest}", segment(folder))
}

/// A name as one segment of a path.
pub(super) fn segment(name: &str) -> String {
    percent_encode(name.as_bytes(), ENCODED).to_string()
}

fn steer(folder: Option<&str>, verb: &str, body: Option<Value>) -> Call {
    let path = folder.map_or_else(|| verb.to_owned(), |folder| of_folder(folder, verb));
    Call::change(Method::POST, &path, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(command: &Command) -> String {
        let call = Call::of(command);
        format!("{} {}", call.method, call.target)
    }

    #[test]
    fn names_and_paths_are_encoded_byte_for_byte() {
        let path = PathText::Bytes {
            hex: "612f636166e9202b26".to_owned(),
        };
        let folder = "a/b c".to_owned();
        assert_eq!(
            target(&Command::History { folder, path }),
            "GET /folders/a%2Fb%20c/history?path=a%2Fcaf%E9%20%2B%26"
        );
    }

    #[test]
    fn a_folder_or_all_are_steered() {
        let folder = Some("site".to_owned());
        assert_eq!(
            target(&Command::Pause { folder }),
            "POST /folders/site/pause"
        );
        assert_eq!(target(&Command::Resume { folder: None }), "POST /resume");
        let page = Command::List {
            folder: "site".to_owned(),
            path: PathText::Text("d".to_owned()),
            after: Some(PathText::Text("a".to_owned())),
            limit: 7,
        };
        assert_eq!(
            target(&page),
            "GET /folders/site/tree?path=d&limit=7&after=61"
        );
        assert_eq!(Call::of(&page).reply, Reply::Page);
        let rescan = Command::Rescan {
            folder: Some("site".to_owned()),
            paths: vec![PathText::Text("a".to_owned())],
        };
        assert_eq!(Call::of(&rescan).body, Some(json!({"paths": ["a"]})));
    }
}
