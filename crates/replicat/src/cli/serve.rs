//! `replicat serve` and `replicat keygen`.

use std::env;
use std::fs::OpenOptions;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use replicat::error::ExitCode;
use replicat::http::{HttpListener, Subject};
use replicat::{
    ClusterKey, FolderSettings, NodeSettings, ReplicatServer, ServeOptions, Settings, SettingsError,
};
use replicat_fs::lock::{self, Purpose};
use tokio::sync::oneshot;

use super::failure::Failure;
use super::live_arguments::{AcceptedKeyArguments, KeyArguments, KeygenArguments, ServeArguments};
use super::output::{Format, Output};
use super::teller::Teller;
use super::terminal::{count_text, sentence};
use super::with_manager::OwnManager;
use super::{api, check_settings, filters, json, socket, state};

/// Serves until it is told to stop.
pub(crate) fn run(
    arguments: &ServeArguments,
    matches: &ArgMatches,
    output: Output,
) -> Result<ExitCode, Failure> {
    let patterns = filters::lines(matches, |name| env::var_os(name))?;
    let flags = Flags {
        given: arguments.clone(),
        patterns,
    };
    if arguments.check {
        let found = runtime()?.block_on(check_settings::of_node(&flags));
        return check_settings::tell(&found, Format::by_flag(arguments.json), output);
    }
    runtime()?.block_on(serve(flags, output))?;
    Ok(ExitCode::InSync)
}

async fn serve(mut flags: Flags, output: Output) -> Result<(), Failure> {
    let format = Format::by_flag(flags.given.json);
    let mut settings = flags.settings()?;
    let mut manager = None;
    if flags.given.with_manager.with_manager {
        let started = OwnManager::start(&mut flags.given, &settings).await?;
        started.tell(&Teller::new(flags.given.json, output))?;
        settings = flags.settings()?;
        manager = Some(started);
    }
    lock::set_purpose(Purpose {
        command: format!("replicat serve --name {}", settings.node_name()),
        socket: settings.control_socket.clone(),
    });
    let listener = match settings.http {
        Some(_) => api::listen(&settings, &api::of_node(&settings)?).await?,
        None => None,
    };
    let certificate = listener.as_ref().and_then(HttpListener::certificate);
    let manager_certificate = manager.as_ref().and_then(OwnManager::certificate);
    let (serving, service) = oneshot::channel();
    let options = ServeOptions {
        notify_socket: env::var_os("NOTIFY_SOCKET").map(Into::into),
        settings_file: flags.given.config.clone(),
        known_roots: state::of_roots(),
        reload: Some(Box::new(move || flags.settings())),
        reloaded: Some(Box::new(move |settings| {
            api::reload(certificate.as_ref(), settings);
            if let Some((served, files)) = &manager_certificate {
                api::reload_certificate(served, files);
            }
        })),
        started: Some(Box::new(move |server| {
            let address = listener.as_ref().map(HttpListener::address);
            // Whoever waits for it is there as long as the node is.
            let service = listener.map(|listener| listener.serve(Subject::Node(server.clone())));
            let _ = serving.send(service);
            // A reader that has gone does not stop a node.
            let _ = started(server, address, format, output);
        })),
    };
    let served = replicat::serve(settings, options).await;
    if let Ok(Some(service)) = service.await {
        service.stop().await;
    }
    if let Some(manager) = manager {
        manager.stop().await;
    }
    Ok(served?)
}

/// What asynchronous work runs on.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all().build().map_err(Failure::Runtime)
}

/// Tells that a node has started.
fn started(
    server: &ReplicatServer,
    http: Option<SocketAddr>,
    format: Format,
    output: Output,
) -> std::io::Result<()> {
    let address = server.address().map(|address| address.to_string());
    let name = server.name().as_str();
    match format {
        Format::Json => {
            let mut object = json::object("started");
            json::put(&mut object, "name", name);
            json::put(&mut object, "address", address);
            json::put(&mut object, "cluster", server.cluster_id().to_string());
            json::put(&mut object, "http", http.map(|http| http.to_string()));
            output.object(&object)
        }
        Format::Text => {
            let place = match address {
                Some(address) => format!("listens on {address}"),
                None => "only dials".to_owned(),
            };
            let folders = count_text(server.folders().len() as u64, "folder");
            let http = http.map(|http| format!(", HTTP at {http}"));
            let http = http.unwrap_or_default();
            output.line(&format!(
                "node {}: {folders}, {place}{http}",
                sentence(name)
            ))
        }
    }
}

/// The command line, from which the settings can be made again when they are reloaded.
pub(super) struct Flags {
    pub(super) given: ServeArguments,
    patterns: Vec<String>,
}

impl Flags {
    /// The settings: of the file, then of the variables, then of the flags.
    fn settings(&self) -> Result<Settings, SettingsError> {
        let (settings, errors) = self.collect();
        SettingsError::of_all(errors)?;
        Ok(settings)
    }

    /// The settings as far as they can be, and all that is wrong.
    pub(super) fn collect(&self) -> (Settings, Vec<SettingsError>) {
        let given = &self.given;
        let (mut settings, mut errors) = match &given.config {
            Some(path) => Settings::check_file(path),
            None => (Settings::default(), Vec::new()),
        };
        apply_variables(&mut settings, &mut errors);
        self.apply_node(&mut settings, &mut errors);
        settings.notify.extend(given.notify.subscriptions());
        let lost_after = given.notify.node_lost_after.map(|after| after.as_secs());
        settings.node_lost_after = lost_after.or(settings.node_lost_after);
        errors.extend(apply_key(&mut settings, &given.node.key).err());
        errors.extend(apply_accepted_keys(&mut settings, &given.node.accepted).err());
        if given.with_manager.with_manager && given.node.manager.is_some() {
            // The manager in this process has taken the key over.
            (settings.cluster_key, settings.cluster_key_file) = (None, None);
        }
        api::apply_flags(&mut settings, &given.http);
        self.apply_folders(&mut settings, &mut errors);
        self.apply_socket(&mut settings);
        if settings.manager_address.is_some() && settings.node_state.is_none() {
            settings.node_state = state::of_node(settings.node_name().as_str());
        }
        let home = env::var_os("HOME").map(PathBuf::from);
        errors.extend(settings.expand_home(home.as_deref()).err());
        let found = match settings.check() {
            Ok(()) => Vec::new(),
            Err(SettingsError::Several(found)) => found,
            Err(error) => vec![error],
        };
        // What the file says wrong is known already, and where.
        let known: Vec<_> = errors.iter().map(ToString::to_string).collect();
        let is_new = |error: &SettingsError| {
            let text = error.to_string();
            !known.iter().any(|known| known.ends_with(&text))
        };
        errors.extend(found.into_iter().filter(is_new));
        (settings, errors)
    }

    fn apply_node(&self, settings: &mut Settings, errors: &mut Vec<SettingsError>) {
        let node = &self.given.node;
        if let Some(name) = &node.name {
            match name.parse() {
                Ok(name) => settings.name = Some(name),
                Err(error) => {
                    let error: replicat::settings::NodeNameError = error;
                    errors.push(SettingsError::invalid("--name", name, error.to_string()));
                }
            }
        }
        let texts = [
            (&node.address, &mut settings.address),
            (&node.advertise, &mut settings.advertise),
            (&node.manager, &mut settings.manager_address),
            (&node.manager_credentials, &mut settings.manager_credentials),
            (&node.bwlimit, &mut settings.bwlimit),
        ];
        for (flag, field) in texts {
            *field = flag.clone().or(field.take());
        }
        let paths = [
            (&node.node_state, &mut settings.node_state),
            (&node.folders_directory, &mut settings.folders_directory),
        ];
        for (flag, field) in paths {
            *field = flag.clone().or(field.take());
        }
        for node in &node.node {
            match NodeSettings::parse(node) {
                Ok(node) => settings.set_node(node),
                Err(error) => errors.push(error),
            }
        }
    }

    fn apply_folders(&self, settings: &mut Settings, errors: &mut Vec<SettingsError>) {
        let flags = &self.given.folders;
        if let Some(word) = &flags.durability {
            match replicat::settings::parse_durability(word) {
                Ok(durability) => settings.durability = durability,
                Err(problem) => {
                    errors.push(SettingsError::invalid("--durability", word, problem));
                }
            }
        }
        for directory in &flags.directory {
            match FolderSettings::parse(directory) {
                Ok(folder) => settings.set_folder(folder),
                Err(error) => errors.push(error),
            }
        }
        let mode = flags.mode.as_ref().map(|word| {
            replicat::settings::parse_mode(word)
                .map_err(|problem| SettingsError::invalid("--mode", word, problem))
        });
        let mode = match mode.transpose() {
            Ok(mode) => mode,
            Err(error) => {
                errors.push(error);
                None
            }
        };
        for folder in &mut settings.folders {
            folder.mode = mode.unwrap_or(folder.mode);
            folder.create |= flags.create;
            folder.join |= flags.join;
            folder.max_delete = flags.max_delete.or(folder.max_delete);
            folder.trash_age = flags.trash.trash_age.or(folder.trash_age);
            folder.trash_size = flags.trash.trash_size.or(folder.trash_size);
            folder.state_dir = flags.state_dir.clone().or(folder.state_dir.take());
            folder.exclude.splice(0..0, self.patterns.iter().cloned());
        }
    }

    fn apply_socket(&self, settings: &mut Settings) {
        let wanted = self.given.node.socket.node_socket.as_deref();
        let own = match wanted.or(settings.control_socket.as_deref()) {
            Some(path) => socket::find(Some(path)).unwrap_or_else(|_| path.to_owned()),
            None => socket::of_node(settings.node_name().as_str()),
        };
        settings.control_socket = Some(own);
    }
}

/// Takes what each variable says, so that one mistake does not hide another.
fn apply_variables(settings: &mut Settings, errors: &mut Vec<SettingsError>) {
    // These two belong together.
    let of_folders = ["REPLICAT_DIRECTORY", "REPLICAT_MODE"];
    let value = |name: &str| env::var(name).ok();
    let others = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let others =
        others.filter(|name| name.starts_with("REPLICAT_") && !of_folders.contains(&name.as_str()));
    for only in others {
        let applied = settings.apply_variables(|name| value(name).filter(|_| name == only));
        errors.extend(applied.err());
    }
    let applied =
        settings.apply_variables(|name| value(name).filter(|_| of_folders.contains(&name)));
    errors.extend(applied.err());
}

/// Takes the key that the flags name, in place of any other.
pub(crate) fn apply_key(
    settings: &mut Settings,
    flags: &KeyArguments,
) -> Result<(), SettingsError> {
    if let Some(key) = &flags.cluster_key {
        let parsed = key.parse();
        // The value is a secret, mistyped or not: it is not repeated.
        settings.cluster_key = Some(parsed.map_err(|error: replicat::ClusterKeyError| {
            SettingsError::invalid("--cluster-key", "what it is", error.to_string())
        })?);
    }
    if let Some(path) = &flags.cluster_key_file {
        settings.cluster_key = None;
        settings.cluster_key_file = Some(path.clone());
    }
    Ok(())
}

/// Takes the keys that are accepted as well, beside those of the settings.
pub(crate) fn apply_accepted_keys(
    settings: &mut Settings,
    flags: &AcceptedKeyArguments,
) -> Result<(), SettingsError> {
    for key in &flags.accept_cluster_key {
        let parsed = key.parse();
        settings
            .accept_cluster_keys
            .push(parsed.map_err(|error: replicat::ClusterKeyError| {
                SettingsError::invalid("--accept-cluster-key", "what it is", error.to_string())
            })?);
    }
    let files = &flags.accept_cluster_key_file;
    settings
        .accept_cluster_key_files
        .extend(files.iter().cloned());
    Ok(())
}

/// Makes a cluster key.
pub(crate) fn keygen(arguments: &KeygenArguments, output: Output) -> Result<(), Failure> {
    let key = ClusterKey::generate().map_err(Failure::Key)?;
    let text = key.to_text();
    if let Some(path) = &arguments.output {
        write_key(path, &text).map_err(|source| Failure::KeyFile {
            path: path.clone(),
            source,
        })?;
    }
    let cluster = key.cluster_id().map_err(replicat::ServerError::from)?;
    match (Format::by_flag(arguments.json), &arguments.output) {
        (Format::Json, file) => {
            let mut object = json::object("cluster-key");
            json::put(&mut object, "cluster", cluster.to_string());
            if file.is_none() {
                json::put(&mut object, "key", text.as_str());
            }
            output.object(&object)?;
        }
        (Format::Text, None) => output.line(&text)?,
        (Format::Text, Some(_)) => {}
    }
    Ok(())
}

/// A file that is there already may be the key of another cluster: it is not touched.
fn write_key(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    writeln!(file, "{text}")?;
    file.sync_all()
}
