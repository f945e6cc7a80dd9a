//! `replicat manager`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use replicat::http::{HttpListener, ManagerSubject, Subject};
use replicat::manager::{Manager, Service, TokenOrder};
use replicat::notify::{Notifier, Pace};
use replicat::settings::NODE_LOST_AFTER;
use replicat::{ClusterKey, Settings, SettingsError};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::failure::Failure;
use super::live_arguments::{HttpArguments, NotifyArguments};
use super::manager_arguments::{
    FolderCommand, ManagerArguments, ManagerCommand, ManagerServeArguments, NodeCommand,
    TokenCommand, TokenCreateArguments,
};
use super::manager_text::{self, Said};
use super::output::{Format, Output};
use super::{api, serve, state};

/// Does what is asked of the manager on this host.
pub(crate) fn run(arguments: &ManagerArguments, output: Output) -> Result<(), Failure> {
    let speaker = Speaker {
        format: Format::by_flag(arguments.json),
        output,
    };
    let place = match &arguments.manager_state {
        Some(place) => place.clone(),
        None => state::of_manager().ok_or(Failure::NoStatePlace("--manager-state"))?,
    };
    serve::runtime()?.block_on(async {
        match &arguments.command {
            ManagerCommand::Serve(arguments) => be(arguments, place, speaker).await,
            ManagerCommand::Token(command) => {
                token(command, &existing(place).await?, speaker).await
            }
            ManagerCommand::Node(command) => node(command, &existing(place).await?, speaker).await,
            ManagerCommand::Folder(command) => {
                folder(command, &existing(place).await?, speaker).await
            }
        }
    })
}

/// The manager whose state is there; a mistyped directory is not taken for a new manager.
async fn existing(place: PathBuf) -> Result<Manager, Failure> {
    match place.is_dir() {
        true => Ok(Manager::open_directory(&place, None).await?),
        false => Err(Failure::NoManager(place)),
    }
}

/// Is the manager until it is told to stop.
async fn be(
    arguments: &ManagerServeArguments,
    place: PathBuf,
    speaker: Speaker,
) -> Result<(), Failure> {
    let mut terminate = caught(SignalKind::terminate())?;
    let mut interrupt = caught(SignalKind::interrupt())?;
    let manager = Manager::open_directory(&place, key(arguments)?).await?;
    let manager = manager.with_certificate_lifetime(arguments.certificate_lifetime);
    let mut service = Service::start(Arc::new(manager), &arguments.address).await?;
    notify(&mut service, &arguments.notify)?;
    let http = http(&arguments.http, &place).await?;
    let http_address = http.as_ref().map(HttpListener::address);
    let http = http.map(|http| http.serve(Subject::Manager(ManagerSubject::of(&service))));
    speaker.say(&manager_text::started(&service, http_address))?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("the manager stops");
    if let Some(http) = http {
        http.stop().await;
    }
    service.stop().await;
    Ok(())
}

/// Has people told, if there are any to be told.
fn notify(service: &mut Service, arguments: &NotifyArguments) -> Result<(), Failure> {
    let subscriptions = arguments.subscriptions();
    let notifier = Notifier::start(&subscriptions, &Pace::default());
    // The values may be secrets.
    let (flag, value) = ("--notify-webhook, --notify-command", "one of them");
    let notifier =
        notifier.map_err(|(_, error)| SettingsError::invalid(flag, value, error.to_string()))?;
    if notifier.has_subscribers() {
        let after = arguments.node_lost_after.unwrap_or(NODE_LOST_AFTER);
        service.notify(notifier, after);
    }
    Ok(())
}

/// Listens for HTTP, if that is wanted. The tokens lie with the state of the manager.
pub(super) async fn http(
    arguments: &HttpArguments,
    place: &Path,
) -> Result<Option<HttpListener>, Failure> {
    let mut settings = Settings::default();
    settings.apply_variables(|name| match name.starts_with("REPLICAT_HTTP") {
        true => std::env::var(name).ok(),
        false => None,
    })?;
    api::apply_flags(&mut settings, arguments);
    api::listen(&settings, place).await
}

fn caught(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(Failure::Signals)
}

/// The key of a cluster that there is already, if one was named.
fn key(arguments: &ManagerServeArguments) -> Result<Option<ClusterKey>, Failure> {
    let mut settings = Settings::default();
    settings.apply_variables(|name| match name {
        "REPLICAT_CLUSTER_KEY" | "REPLICAT_CLUSTER_KEY_FILE" => std::env::var(name).ok(),
        _ => None,
    })?;
    serve::apply_key(&mut settings, &arguments.key)?;
    match (&settings.cluster_key, &settings.cluster_key_file) {
        (None, None) => Ok(None),
        _ => Ok(Some(settings.load_cluster_key()?)),
    }
}

async fn token(command: &TokenCommand, manager: &Manager, speaker: Speaker) -> Result<(), Failure> {
    match command {
        TokenCommand::Create(arguments) => create_token(arguments, manager, speaker).await,
        TokenCommand::List => {
            let snapshot = manager.snapshot();
            let now = SystemTime::now();
            let mut tokens = snapshot.state.tokens.values();
            tokens.try_for_each(|token| speaker.say(&manager_text::token(token, now)))
        }
        TokenCommand::Remove { id } => {
            manager.remove_token(*id).await?;
            speaker.say(&manager_text::token_removed(*id))
        }
    }
}

async fn create_token(
    arguments: &TokenCreateArguments,
    manager: &Manager,
    speaker: Speaker,
) -> Result<(), Failure> {
    let order = TokenOrder {
        role: arguments.role,
        node: arguments.node.clone(),
        lifetime: arguments.expires,
    };
    let token = manager.create_token(&order, SystemTime::now()).await?;
    speaker.say(&manager_text::new_token(&token, &order))
}

async fn node(command: &NodeCommand, manager: &Manager, speaker: Speaker) -> Result<(), Failure> {
    match command {
        NodeCommand::List => {
            let sightings = manager.load_sightings().await?;
            let now = SystemTime::now();
            let is_running = sightings.as_ref().is_some_and(|seen| seen.are_fresh(now));
            let snapshot = manager.snapshot();
            for (name, member) in &snapshot.state.roster.members {
                let seen = sightings.as_ref().and_then(|seen| seen.nodes.get(name));
                speaker.say(&manager_text::node(name, member, seen, is_running))?;
            }
            Ok(())
        }
        NodeCommand::Remove { name } => {
            manager.remove_node(name, SystemTime::now()).await?;
            speaker.say(&manager_text::node_removed(name))
        }
    }
}

async fn folder(
    command: &FolderCommand,
    manager: &Manager,
    speaker: Speaker,
) -> Result<(), Failure> {
    match command {
        FolderCommand::List => {
            let snapshot = manager.snapshot();
            for (folder, nodes) in &snapshot.state.desired.folders {
                for (node, mode) in nodes {
                    speaker.say(&manager_text::placement(folder, node, *mode))?;
                }
            }
            Ok(())
        }
        FolderCommand::Place { folder, node, mode } => {
            manager.place(folder, node, *mode).await?;
            speaker.say(&manager_text::placement(folder, node, *mode))
        }
        FolderCommand::Withdraw { folder, node } => {
            manager.withdraw(folder, node).await?;
            speaker.say(&manager_text::withdrawn(folder, node))
        }
    }
}

/// Says it to people or programs.
#[derive(Clone, Copy)]
pub(super) struct Speaker {
    pub(super) format: Format,
    pub(super) output: Output,
}

impl Speaker {
    pub(super) fn say(self, said: &Said) -> Result<(), Failure> {
        match self.format {
            Format::Text => said
                .lines
                .iter()
                .try_for_each(|line| self.output.line(line))?,
            Format::Json => self.output.object(&said.object)?,
        }
        Ok(())
    }
}
