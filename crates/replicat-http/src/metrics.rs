//! What programs that watch over programs ask.

use std::fmt::Write;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use replicat_server::{ReplicatServer, ServerStatus};

use crate::app::{App, Subject, blocking};
use crate::manager::ManagerSubject;
use crate::problem::Problem;
use crate::route::{Answer, Route};

/// Where the figures are.
pub(crate) fn route() -> Route {
    Route {
        path: "/metrics".to_owned(),
        ..Route::get("", "Figures for Prometheus", Answer::Text, || get(figures))
    }
}

/// As long as the process answers, it is well.
pub(crate) async fn health() -> &'static str {
    "ok\n"
}

/// Whether the server does its work.
pub(crate) async fn readiness(State(app): State<App>) -> Response {
    let Subject::Node(server) = app.subject().clone() else {
        return "ready\n".into_response();
    };
    match blocking(move || server.status()).await {
        Ok(status @ (ServerStatus::Halted | ServerStatus::InitialScan | ServerStatus::Offline)) => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("{status}\n")).into_response()
        }
        Ok(_) => "ready\n".into_response(),
        Err(problem) => problem.into_response(),
    }
}

async fn figures(State(app): State<App>) -> Result<Response, Problem> {
    let subject = app.subject().clone();
    let text = blocking(move || match &subject {
        Subject::Node(server) => of_node(server),
        Subject::Manager(manager) => of_manager(manager),
    });
    let media = "text/plain; version=0.0.4; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, media)], text.await?).into_response())
}

/// Figures, as Prometheus reads them.
#[derive(Default)]
struct Exposition(String);

impl Exposition {
    fn metric(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a text cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn value(&mut self, name: &str, labels: &[(&str, &str)], value: u64) {
        let labels: Vec<_> = labels
            .iter()
            .map(|(label, text)| format!("{label}=\"{}\"", escaped(text)))
            .collect();
        let labels = match labels.is_empty() {
            true => String::new(),
            false => format!("{{{}}}", labels.join(",")),
        };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

fn of_node(server: &ReplicatServer) -> String {
    let report = server.report();
    let mut out = Exposition::default();
    out.metric("replicat_info", "gauge", "The node.");
    let labels = [
        ("node", report.name.as_str()),
        ("version", env!("CARGO_PKG_VERSION")),
    ];
    out.value("replicat_info", &labels, 1);
    out.metric(
        "replicat_nodes",
        "gauge",
        "Peers that are known, by how they stand.",
    );
    let mut counts = std::collections::BTreeMap::<&str, u64>::new();
    for node in &report.nodes {
        *counts.entry(node.status.as_str()).or_default() += 1;
    }
    for (status, count) in counts {
        out.value("replicat_nodes", &[("status", status)], count);
    }
    let folders: Vec<_> = report.folders.iter().collect();
    type Figure = fn(&replicat_engine::live::FolderStatus) -> u64;
    let figures: [(&str, &str, &str, Figure); 7] = [
        (
            "replicat_folder_in_sync",
            "gauge",
            "Whether all connected peers hold the same.",
            |d| u64::from(d.in_sync),
        ),
        (
            "replicat_folder_paths",
            "gauge",
            "Paths that are known.",
            |d| d.paths,
        ),
        (
            "replicat_folder_pending",
            "gauge",
            "Paths that are still to be brought here.",
            |d| d.pending,
        ),
        (
            "replicat_folder_skipped",
            "gauge",
            "Paths that are left out.",
            |d| d.skipped.len() as u64,
        ),
        (
            "replicat_folder_braked",
            "gauge",
            "Whether a brake waits for approval.",
            |d| u64::from(d.brake.is_some()),
        ),
        (
            "replicat_folder_received_bytes_total",
            "counter",
            "Content received.",
            |d| d.bytes_received,
        ),
        (
            "replicat_folder_sent_bytes_total",
            "counter",
            "Content sent.",
            |d| d.bytes_sent,
        ),
    ];
    for (name, kind, help, figure) in figures {
        out.metric(name, kind, help);
        for folder in &folders {
            if let Some(detail) = &folder.detail {
                out.value(name, &[("folder", folder.name.as_str())], figure(detail));
            }
        }
    }
    out.metric(
        "replicat_folder_halted",
        "gauge",
        "Whether the folder stopped by itself.",
    );
    for folder in folders {
        let is_halted = ServerStatus::of_folder(&folder.state) == ServerStatus::Halted;
        let labels = [("folder", folder.name.as_str())];
        out.value("replicat_folder_halted", &labels, u64::from(is_halted));
    }
    out.0
}

fn of_manager(manager: &ManagerSubject) -> String {
    let snapshot = manager.manager().snapshot();
    let seen = manager.sightings();
    let connected = seen.nodes.values().filter(|seen| seen.is_connected).count();
    let placements: usize = snapshot
        .state
        .desired
        .folders
        .values()
        .map(|nodes| nodes.len())
        .sum();
    let mut out = Exposition::default();
    for (name, help, value) in [
        (
            "replicat_manager_generation",
            "Changes of the state so far.",
            snapshot.generation,
        ),
        (
            "replicat_manager_nodes",
            "Nodes that are enrolled.",
            snapshot.state.roster.members.len() as u64,
        ),
        (
            "replicat_manager_connected",
            "Nodes that are connected.",
            connected as u64,
        ),
        (
            "replicat_manager_placements",
            "Folders that are placed at nodes.",
            placements as u64,
        ),
    ] {
        out.metric(name, "gauge", help);
        out.value(name, &[], value);
    }
    out.0
}
