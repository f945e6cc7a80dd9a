//! `replicat manager`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use replicat::error::ExitCode;
use replicat::http::client::ManagerCommand as Wanted;
use replicat::http::{HttpListener, ManagerSubject, ServedCertificate, Subject};
use replicat::manager::{Manager, Service, TokenOrder};
use replicat::notify::{Notifier, Pace};
use replicat::settings::NODE_LOST_AFTER;
use replicat::{ClusterKey, Settings, SettingsError};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::failure::Failure;
use super::live_arguments::{HttpArguments, NotifyArguments};
use super::manager_arguments::{
    FolderCommand, ManagerArguments, ManagerCommand, ManagerServeArguments, NodeCommand,
    TokenCommand,
};
use super::output::{Format, Output};
use super::teller::Teller;
use super::{api, check_settings, manager_local, manager_text, serve, state};

/// Does what is asked of the manager, on this host or elsewhere.
pub(crate) fn run(arguments: &ManagerArguments, output: Output) -> Result<ExitCode, Failure> {
    if let ManagerCommand::Serve(serve) = &arguments.command
        && serve.check
    {
        let found = serve::runtime()?.block_on(check(serve, place(arguments)?));
        return check_settings::tell(&found, Format::by_flag(arguments.json), output);
    }
    answer(arguments, output)?;
    Ok(ExitCode::InSync)
}

/// What would keep the manager from starting.
async fn check(arguments: &ManagerServeArguments, place: PathBuf) -> Vec<String> {
    let (mut settings, mut found) = match http_settings(&arguments.http) {
        Ok(settings) => (settings, Vec::new()),
        Err(error) => (Settings::default(), vec![error.to_string()]),
    };
    found.extend(key(arguments).err().map(|failure| failure.text()));
    settings.address = Some(arguments.address.clone());
    settings.notify = arguments.notify.subscriptions();
    found.extend(settings.check().err().map(|error| error.to_string()));
    let path = std::env::var_os("PATH");
    found.extend(check_settings::texts(
        &settings.problems_without_key(path.as_deref()),
    ));
    found.extend(check_settings::http(&settings, &place).await);
    check_settings::unique(found)
}

fn answer(arguments: &ManagerArguments, output: Output) -> Result<(), Failure> {
    let teller = Teller::new(arguments.json, output);
    let wanted = match &arguments.command {
        ManagerCommand::Serve(serve) => {
            let place = place(arguments)?;
            return serve::runtime()?.block_on(be(serve, place, &teller));
        }
        command => wanted(command),
    };
    let Some(address) = &arguments.manager else {
        let place = place(arguments)?;
        return serve::runtime()?.block_on(async {
            let manager = existing(place).await?;
            let objects = manager_local::answer(&manager, &wanted).await?;
            Ok(objects.iter().try_for_each(|object| teller.tell(object))?)
        });
    };
    let client = arguments.access.client(address)?;
    match &arguments.command {
        ManagerCommand::Status { follow: true } => {
            client.follow_manager(|object| Ok(teller.tell(&object)?))
        }
        _ => client.ask_manager(&wanted, |object| Ok(teller.tell(&object)?)),
    }
}

/// What a command of the command line asks a manager.
fn wanted(command: &ManagerCommand) -> Wanted {
    match command {
        ManagerCommand::Serve(_) | ManagerCommand::Status { .. } => Wanted::Status,
        ManagerCommand::Token(TokenCommand::Create(arguments)) => Wanted::CreateToken(TokenOrder {
            role: arguments.role,
            node: arguments.node.clone(),
            lifetime: arguments.expires,
        }),
        ManagerCommand::Token(TokenCommand::List) => Wanted::Tokens,
        ManagerCommand::Token(TokenCommand::Remove { id }) => Wanted::RemoveToken(*id),
        ManagerCommand::Node(NodeCommand::List) => Wanted::Nodes,
        ManagerCommand::Node(NodeCommand::Remove { name }) => Wanted::RemoveNode(name.clone()),
        ManagerCommand::Folder(FolderCommand::List) => Wanted::Placements,
        ManagerCommand::Folder(FolderCommand::Place { folder, node, mode }) => {
            Wanted::Place(folder.clone(), node.clone(), *mode)
        }
        ManagerCommand::Folder(FolderCommand::Withdraw { folder, node }) => {
            Wanted::Withdraw(folder.clone(), node.clone())
        }
    }
}

/// Where the manager of this host keeps its state.
fn place(arguments: &ManagerArguments) -> Result<PathBuf, Failure> {
    let place = arguments.manager_state.clone().or_else(state::of_manager);
    place.ok_or(Failure::NoStatePlace("--manager-state"))
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
    teller: &Teller,
) -> Result<(), Failure> {
    let mut terminate = caught(SignalKind::terminate())?;
    let mut interrupt = caught(SignalKind::interrupt())?;
    let mut hang_up = caught(SignalKind::hangup())?;
    let manager = Manager::open_directory(&place, key(arguments)?).await?;
    let manager = manager.with_certificate_lifetime(arguments.certificate_lifetime);
    let mut service = Service::start(Arc::new(manager), &arguments.address).await?;
    notify(&mut service, &arguments.notify)?;
    let http = http(&arguments.http, &place).await?;
    let certificate = http.as_ref().and_then(HttpListener::certificate);
    let http_address = http.as_ref().map(HttpListener::address);
    let http = http.map(|http| http.serve(Subject::Manager(ManagerSubject::of(&service))));
    manager_text::tell_started(teller, &service, http_address)?;
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hang_up.recv() => reload(certificate.as_ref(), &arguments.http),
        }
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

/// Reads again what files hold: the certificate. Tokens and the manager's state are read whenever they are needed.
fn reload(served: Option<&ServedCertificate>, arguments: &HttpArguments) {
    match (served, http_settings(arguments)) {
        (None, _) => tracing::info!("Nothing to reload: the manager shows no HTTP certificate."),
        (Some(_), Err(error)) => tracing::error!("Settings not reloaded: {error}"),
        (Some(_), Ok(settings)) => api::reload(served, &settings),
    }
}

/// Listens for HTTP, if that is wanted. The tokens lie with the state of the manager.
pub(super) async fn http(
    arguments: &HttpArguments,
    place: &Path,
) -> Result<Option<HttpListener>, Failure> {
    api::listen(&http_settings(arguments)?, place).await
}

fn http_settings(arguments: &HttpArguments) -> Result<Settings, SettingsError> {
    let mut settings = Settings::default();
    settings.apply_variables(|name| match name.starts_with("REPLICAT_HTTP") {
        true => std::env::var(name).ok(),
        false => None,
    })?;
    api::apply_flags(&mut settings, arguments);
    Ok(settings)
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
