//! `replicat sync DIR replicat://HOST:PORT/FOLDER`: a sync with a node of another host.
//!
//! The command becomes a node itself, for as long as it takes until both hold the same.

use std::collections::BTreeSet;
use std::env;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::ArgMatches;
use jiff::tz::TimeZone;
use replicat::engine::inspect;
use replicat::error::{ExitCode, SyncError};
use replicat::live::{FolderState, FolderStatus};
use replicat::options::{Cancellation, Durability, RootLocation};
use replicat::report::{
    BrakeReport, Outcome, RootReport, Severity, Skipped, Statistics, SyncReport,
};
use replicat::settings::is_folder_of_node;
use replicat::{
    EventName, FolderEventRecord, FolderName, FolderReport, FolderSettings, NodeName, NodeSettings,
    NodeStatus, RelPath, ReplicatServer, ServerError, Settings, SettingsError,
};

use super::arguments::{DurabilityChoice, SyncArguments};
use super::failure::Failure;
use super::output::Output;
use super::progress::print_error_line;
use super::terminal::path_text;
use super::wait::Wait;
use super::{filters, interrupt, json, serve, text};

/// What a place on another host begins with.
const SCHEME: &str = "replicat://";
/// How long a node may be out of reach before the command gives up.
const REACH_PATIENCE: Duration = Duration::from_secs(15);
/// How often is looked how far the sync is.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// How often it is tried to open a directory that is in use.
const LOCK_INTERVAL: Duration = Duration::from_millis(100);

/// Whether one of the places is on another host.
pub(crate) fn is_meant(arguments: &SyncArguments) -> bool {
    arguments.roots.iter().any(|root| is_folder_of_node(root))
}

/// Syncs a directory with a folder of another host.
pub(crate) fn run(
    arguments: &SyncArguments,
    matches: &ArgMatches,
    output: Output,
) -> Result<ExitCode, Failure> {
    let meant = Meant::of(arguments)?;
    let settings = settings(arguments, &meant)?;
    let folder = folder(arguments, matches, &meant)?;
    let cancellation = Cancellation::default();
    interrupt::cancel_on_signals(&cancellation).map_err(Failure::Signals)?;
    let command = RemoteSync {
        arguments,
        meant,
        cancellation,
        output,
        started: Instant::now(),
    };
    let report = serve::runtime()?.block_on(command.sync(settings, folder))?;
    command.print(&report)?;
    Ok(report.exit_code())
}

/// The two places of such a sync.
struct Meant {
    directory: PathBuf,
    address: String,
    folder: FolderName,
}

impl Meant {
    fn of(arguments: &SyncArguments) -> Result<Self, Failure> {
        let failed = |problem: &str, hint| Failure::Remote {
            problem: problem.to_owned(),
            hint,
        };
        let (remote, local): (Vec<_>, Vec<_>) = arguments
            .roots
            .iter()
            .partition(|root| is_folder_of_node(root));
        let ([remote], [directory]) = (&remote[..], &local[..]) else {
            return Err(failed(
                "a sync with another host has one directory and one place there",
                "write `replicat sync DIR replicat://HOST:PORT/FOLDER`",
            ));
        };
        if arguments.safety.dry_run || arguments.safety.max_delete.is_some() {
            return Err(failed(
                "--dry-run and --max-delete do not reach another host",
                "leave the option out, or sync two directories of this host",
            ));
        }
        let place = remote.to_string_lossy();
        let place = place.trim_start_matches(SCHEME).trim_end_matches('/');
        let (address, folder) = place.split_once('/').unwrap_or((place, ""));
        let folder = match folder {
            "" => FolderName::default(),
            name => name
                .parse()
                .map_err(|error: replicat::settings::FolderNameError| {
                    failed(&error.to_string(), "write replicat://HOST:PORT/FOLDER")
                })?,
        };
        if address.is_empty() {
            return Err(failed(
                "the place has no host",
                "write replicat://HOST:PORT/FOLDER",
            ));
        }
        Ok(Self {
            directory: (*directory).clone(),
            address: address.to_owned(),
            folder,
        })
    }
}

fn settings(arguments: &SyncArguments, meant: &Meant) -> Result<Settings, Failure> {
    let mut settings = Settings::default();
    settings.apply_variables(|name| match name {
        "REPLICAT_CLUSTER_KEY"
        | "REPLICAT_CLUSTER_KEY_FILE"
        | "REPLICAT_ACCEPT_CLUSTER_KEY"
        | "REPLICAT_ACCEPT_CLUSTER_KEY_FILE" => env::var(name).ok(),
        _ => None,
    })?;
    serve::apply_key(&mut settings, &arguments.key)?;
    serve::apply_accepted_keys(&mut settings, &arguments.accepted)?;
    settings.name = Some(temporary_name(&settings.node_name()));
    settings.durability = match arguments.safety.durability {
        DurabilityChoice::Group => Durability::Group,
        DurabilityChoice::None => Durability::None,
    };
    let node = NodeSettings::parse(&meant.address)?;
    settings.set_node(NodeSettings { name: None, ..node });
    Ok(settings)
}

fn folder(
    arguments: &SyncArguments,
    matches: &ArgMatches,
    meant: &Meant,
) -> Result<FolderSettings, Failure> {
    let root = &meant.directory;
    if !arguments.safety.create && !root.exists() {
        let root = root.clone();
        return Err(SyncError::RootMissing { root }.into());
    }
    Ok(FolderSettings {
        exclude: filters::lines(matches, |name| env::var_os(name))?,
        state_dir: arguments.place.state_dir.clone(),
        join: arguments.safety.join,
        create: arguments.safety.create,
        trash_age: arguments.safety.trash.trash_age,
        trash_size: arguments.safety.trash.trash_size,
        ..FolderSettings::new(meant.folder.clone(), root)
    })
}

/// A name that a node which serves on this host has not got.
fn temporary_name(host: &NodeName) -> NodeName {
    let short: String = host.as_str().chars().take(48).collect();
    let name = format!("{short}-sync-{}", std::process::id());
    name.parse().unwrap_or_else(|_| host.clone())
}

/// A sync with another host, while it runs.
struct RemoteSync<'a> {
    arguments: &'a SyncArguments,
    meant: Meant,
    cancellation: Cancellation,
    output: Output,
    started: Instant,
}

/// What was seen of the changes so far.
#[derive(Default)]
struct Seen {
    next: u64,
    changes: replicat::report::ChangeCounts,
    copies: BTreeSet<RelPath>,
}

impl RemoteSync<'_> {
    async fn sync(
        &self,
        settings: Settings,
        folder: FolderSettings,
    ) -> Result<SyncReport, Failure> {
        let before = inspect::conflicts(&self.location()).unwrap_or_default();
        let server = ReplicatServer::builder().settings(settings).start().await;
        let server = server.map_err(|error| match error {
            ServerError::Settings(SettingsError::NoClusterKey) => Failure::Remote {
                problem: "a sync with another host needs the cluster key".to_owned(),
                hint: "give the one of its nodes with --cluster-key-file or REPLICAT_CLUSTER_KEY",
            },
            other => other.into(),
        })?;
        let mut seen = Seen::default();
        seen.copies
            .extend(before.into_iter().map(|known| known.copy));
        let outcome = self.meet_and_sync(&server, folder, &mut seen).await;
        server.shutdown().await;
        let (outcome, status) = outcome?;
        Ok(self.report(outcome, status, &seen))
    }

    /// The directory is not touched before the other host has shown that it keeps the folder.
    async fn meet_and_sync(
        &self,
        server: &ReplicatServer,
        folder: FolderSettings,
        seen: &mut Seen,
    ) -> Result<(Outcome, FolderStatus), Failure> {
        while !self.check_node(server)? {
            if self.cancellation.is_cancelled() {
                return Err(Failure::Unreachable {
                    node: self.meant.address.clone(),
                    reason: "interrupted".to_owned(),
                });
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        self.add(server, folder).await?;
        self.until_done(server, seen).await
    }

    /// Opens the directory; waits for it if it is in use, as the user says.
    async fn add(&self, server: &ReplicatServer, folder: FolderSettings) -> Result<(), Failure> {
        let began = Instant::now();
        let may_wait = match self.arguments.work.wait.limit() {
            Wait::No => Some(Duration::ZERO),
            Wait::Until(time) => Some(time),
            Wait::Forever => None,
        };
        loop {
            let error = match server.add_folder(folder.clone()).await {
                Ok(()) => return Ok(()),
                Err(ServerError::Folder { source, .. }) => source,
                Err(other) => return Err(other.into()),
            };
            let is_over = may_wait.is_some_and(|time| began.elapsed() >= time)
                || self.cancellation.is_cancelled();
            if is_over || !matches!(error, SyncError::Locked { .. }) {
                return Err(error.into());
            }
            tokio::time::sleep(LOCK_INTERVAL).await;
        }
    }

    /// Waits until both hold the same; with `--watch`, until it is stopped.
    async fn until_done(
        &self,
        server: &ReplicatServer,
        seen: &mut Seen,
    ) -> Result<(Outcome, FolderStatus), Failure> {
        loop {
            self.take_events(server, seen);
            let report = server.folders().into_iter().next();
            if let Some(FolderReport {
                state,
                detail: Some(status),
                ..
            }) = report
            {
                match state {
                    FolderState::Online if status.brake.is_some() && !self.arguments.work.watch => {
                        return Ok((Outcome::Finished, status));
                    }
                    FolderState::Halted { reason } => return Err(Failure::Halted(reason)),
                    _ if self.cancellation.is_cancelled() => {
                        return Ok((Outcome::Cancelled, status));
                    }
                    _ if is_done(&status)
                        && !self.arguments.work.watch
                        && server.is_replicated(self.meant.folder.as_str()).await? =>
                    {
                        self.take_events(server, seen);
                        return Ok((Outcome::Finished, status));
                    }
                    _ => {}
                }
            }
            self.check_node(server)?;
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    /// Whether the node is there and keeps the folder; an error if that is not to be hoped for any more.
    fn check_node(&self, server: &ReplicatServer) -> Result<bool, Failure> {
        let Some(node) = server.nodes().into_iter().next() else {
            return Ok(false);
        };
        let unreachable = |reason: String| Failure::Unreachable {
            node: self.meant.address.clone(),
            reason,
        };
        match node.status {
            NodeStatus::Refused { reason } => Err(unreachable(reason)),
            NodeStatus::Unreachable { reason } if self.started.elapsed() > REACH_PATIENCE => {
                Err(unreachable(reason))
            }
            NodeStatus::Connected => match node.link.and_then(|link| link.folders) {
                Some(folders) if folders.contains(&self.meant.folder) => Ok(true),
                Some(folders) => Err(self.no_folder(&folders)),
                None => Ok(false),
            },
            NodeStatus::Unreachable { .. } | NodeStatus::Connecting => Ok(false),
        }
    }

    fn no_folder(&self, offered: &[FolderName]) -> Failure {
        let names: Vec<_> = offered.iter().map(FolderName::as_str).collect();
        let there = match names.is_empty() {
            true => "it keeps none".to_owned(),
            false => format!("it keeps: {}", names.join(", ")),
        };
        Failure::Remote {
            problem: format!(
                "{} has no folder {}; {there}",
                self.meant.address, self.meant.folder
            ),
            hint: "name one of its folders",
        }
    }

    fn take_events(&self, server: &ReplicatServer, seen: &mut Seen) {
        let Some((records, next)) = server.events_since(seen.next, Duration::ZERO) else {
            return;
        };
        seen.next = next;
        for record in records {
            let is_change = record.folder.is_some() && record.event.network_source.is_some();
            if is_change {
                seen.count(&record);
                self.tell(&record);
            }
        }
    }

    /// Prints a change, if that is wanted.
    fn tell(&self, record: &FolderEventRecord) {
        let wanted = &self.arguments.output;
        // A reader that has gone does not stop a sync halfway; the last line will notice.
        let _ = if wanted.json {
            let object = replicat::control::json::event(record);
            self.output.object(&object)
        } else if (wanted.verbose || wanted.itemize_changes) && !wanted.quiet {
            self.output.line(&path_text(record.event.path.as_bytes()))
        } else {
            Ok(())
        };
    }

    fn location(&self) -> RootLocation {
        RootLocation {
            root: self.meant.directory.clone(),
            state_dir: self.arguments.place.state_dir.clone(),
        }
    }

    fn report(&self, outcome: Outcome, mut status: FolderStatus, seen: &Seen) -> SyncReport {
        if self.arguments.safety.strict {
            for row in &mut status.skipped {
                row.severity = Severity::Error;
            }
        }
        let root = &self.meant.directory;
        let conflicts = inspect::conflicts(&self.location()).unwrap_or_default();
        let is_new = |known: &replicat::report::ConflictReport| !seen.copies.contains(&known.copy);
        let in_sync = outcome == Outcome::Finished
            && is_done(&status)
            && !status.skipped.iter().any(Skipped::is_error);
        SyncReport {
            outcome,
            in_sync,
            roots: vec![RootReport {
                root: root.clone(),
                folder: Some(status.folder),
                replica: Some(status.replica),
                name: self.meant.folder.to_string(),
                changes: seen.changes,
                failure: None,
            }],
            conflicts: conflicts.into_iter().filter(is_new).collect(),
            skipped: status.skipped,
            brakes: status
                .brake
                .map(|brake| BrakeReport {
                    root: root.clone(),
                    brake,
                    held: status.held.clone(),
                })
                .into_iter()
                .collect(),
            statistics: Statistics {
                changes: seen.changes,
                bytes_copied: status.bytes_received + status.bytes_sent,
                elapsed: self.started.elapsed(),
                ..Statistics::default()
            },
        }
    }

    fn print(&self, report: &SyncReport) -> Result<(), Failure> {
        let wanted = &self.arguments.output;
        if wanted.json {
            self.output.object(&json::summary(report))?;
            return Ok(());
        }
        for line in text::all_skipped(&report.skipped, &report.roots) {
            print_error_line(&line);
        }
        for line in report.brakes.iter().flat_map(text::brake) {
            print_error_line(&line);
        }
        if wanted.quiet {
            return Ok(());
        }
        let zone = TimeZone::system();
        for conflict in &report.conflicts {
            self.output.line(&text::conflict(conflict, &zone))?;
        }
        Ok(self.output.line(&text::summary(report))?)
    }
}

/// Whether the directory and the node have told each other that they hold the same.
fn is_done(status: &FolderStatus) -> bool {
    status.in_sync && !status.peers.is_empty()
}

impl Seen {
    fn count(&mut self, record: &FolderEventRecord) {
        let changes = &mut self.changes;
        match record.event.name {
            EventName::Create => changes.created += 1,
            EventName::Write => changes.updated += 1,
            EventName::Remove => changes.deleted += 1,
            EventName::Rename if record.event.source_path.is_none() => changes.deleted += 1,
            EventName::Rename | EventName::TrackerRename => changes.moved += 1,
            EventName::Catalog | EventName::FileRequest => {}
        }
    }
}
