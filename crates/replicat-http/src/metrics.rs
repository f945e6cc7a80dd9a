//! What programs that watch over programs ask.

use std::collections::BTreeMap;
use std::fmt::Write;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use replicat_engine::live::FolderStatus;
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

/// A figure of each folder.
struct Figure {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    of: fn(&FolderStatus) -> u64,
}

const fn gauge(name: &'static str, help: &'static str, of: fn(&FolderStatus) -> u64) -> Figure {
    let kind = "gauge";
    Figure {
        name,
        kind,
        help,
        of,
    }
}

const fn counter(name: &'static str, help: &'static str, of: fn(&FolderStatus) -> u64) -> Figure {
    let kind = "counter";
    Figure {
        name,
        kind,
        help,
        of,
    }
}

const FIGURES: [Figure; 10] = [
    gauge(
        "replicat_folder_in_sync",
        "Whether all connected peers hold the same.",
        |folder| u64::from(folder.in_sync),
    ),
    gauge("replicat_folder_paths", "Paths that are known.", |folder| {
        folder.paths
    }),
    gauge(
        "replicat_folder_pending",
        "Paths that are still to be brought here.",
        |folder| folder.pending,
    ),
    gauge(
        "replicat_folder_skipped",
        "Paths that are left out.",
        |folder| folder.skipped.len() as u64,
    ),
    gauge(
        "replicat_folder_conflicts",
        "Conflict copies that nobody has resolved.",
        |folder| folder.conflicts,
    ),
    gauge(
        "replicat_folder_refused",
        "Local changes that the peers refuse, since the node only receives.",
        |folder| folder.refused.count,
    ),
    gauge(
        "replicat_folder_braked",
        "Whether a brake waits for approval.",
        |folder| u64::from(folder.brake.is_some()),
    ),
    gauge(
        "replicat_folder_held_deletions",
        "Files that are to be deleted, and held.",
        |folder| folder.held_deletions,
    ),
    counter(
        "replicat_folder_received_bytes_total",
        "Content received.",
        |folder| folder.bytes_received,
    ),
    counter(
        "replicat_folder_sent_bytes_total",
        "Content sent.",
        |folder| folder.bytes_sent,
    ),
];

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
    let mut counts = BTreeMap::<&str, u64>::new();
    for node in &report.nodes {
        *counts.entry(node.status.as_str()).or_default() += 1;
    }
    for (status, count) in counts {
        out.value("replicat_nodes", &[("status", status)], count);
    }
    for figure in FIGURES {
        out.metric(figure.name, figure.kind, figure.help);
        for folder in &report.folders {
            if let Some(detail) = &folder.detail {
                let labels = [("folder", folder.name.as_str())];
                out.value(figure.name, &labels, (figure.of)(detail));
            }
        }
    }
    let halted = "replicat_folder_halted";
    out.metric(halted, "gauge", "Whether the folder stopped by itself.");
    for folder in &report.folders {
        let is_halted = ServerStatus::of_folder(&folder.state) == ServerStatus::Halted;
        let labels = [("folder", folder.name.as_str())];
        out.value(halted, &labels, u64::from(is_halted));
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
        .map(BTreeMap::len)
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
