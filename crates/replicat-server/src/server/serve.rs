//! A server as the whole purpose of a process: it runs until it is told to stop.

use std::path::PathBuf;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::systemd::Systemd;
use super::{ReplicatServer, ServerError};
use crate::settings::{Settings, SettingsError, set_global_settings};

/// Reads settings anew.
pub type ReadSettings = dyn Fn() -> Result<Settings, SettingsError> + Send + Sync;
/// Is called with settings that were read again and taken.
pub type Reloaded = dyn Fn(&Settings) + Send + Sync;
/// Is told of a server that has started.
pub type Started = dyn FnOnce(&ReplicatServer) + Send;

/// What a serving process has beside its settings.
#[derive(Default)]
pub struct ServeOptions {
    /// Reads the settings anew on SIGHUP; without it, the signal does nothing.
    pub reload: Option<Box<ReadSettings>>,
    /// The file that settings are read from, for the log.
    pub settings_file: Option<PathBuf>,
    /// Where it is remembered which roots were opened on this host.
    pub known_roots: Option<PathBuf>,
    /// Is called after a reload.
    pub reloaded: Option<Box<Reloaded>>,
    /// Where the service manager listens: what `NOTIFY_SOCKET` says.
    pub notify_socket: Option<PathBuf>,
    /// Is called with the server once it has started.
    pub started: Option<Box<Started>>,
}

/// Starts a node and serves until SIGTERM or SIGINT, or until [`ReplicatServer::shutdown`] of another handle. The
/// settings become the [`global_settings`](crate::global_settings).
///
/// ```no_run
/// use replicat_server::{Settings, bootstrap_and_serve};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), replicat_server::ServerError> {
/// let settings = Settings::from_file("/etc/replicat.toml".as_ref())?;
/// bootstrap_and_serve(settings).await
/// # }
/// ```
///
/// # Errors
/// If the node cannot be started.
pub async fn bootstrap_and_serve(settings: Settings) -> Result<(), ServerError> {
    serve(settings, ServeOptions::default()).await
}

/// As [`bootstrap_and_serve`], with what a serving process may have beside its settings.
///
/// # Errors
/// If the node cannot be started.
pub async fn serve(settings: Settings, mut options: ServeOptions) -> Result<(), ServerError> {
    // Before all else, so that an early signal is not lost.
    let mut signals = Signals::new()?;
    let systemd = Systemd::new(options.notify_socket.take());
    set_global_settings(settings.clone());
    let mut builder = ReplicatServer::builder().settings(settings);
    if let Some(directory) = options.known_roots.take() {
        builder = builder.known_roots(directory);
    }
    let server = builder.start().await?;
    if let Some(started) = options.started.take() {
        started(&server);
    }
    systemd.tell(&format!("READY=1\nSTATUS={}", server.status()));
    loop {
        let next = tokio::select! {
            next = signals.next() => next,
            () = server.stopped() => Told::Stop,
        };
        match next {
            Told::Stop => break,
            Told::Reload => {
                systemd.tell(&reloading());
                reload(&server, &options).await;
                systemd.tell(&format!("READY=1\nSTATUS={}", server.status()));
            }
        }
    }
    systemd.tell("STOPPING=1\nSTATUS=finishing what was begun");
    tracing::info!("the node stops");
    server.shutdown().await;
    Ok(())
}

/// With the time, which systemd asks for.
fn reloading() -> String {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let microseconds = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000;
    format!("RELOADING=1\nMONOTONIC_USEC={microseconds}")
}

/// Settings that cannot be used change nothing.
async fn reload(server: &ReplicatServer, options: &ServeOptions) {
    let Some(read) = &options.reload else {
        return;
    };
    let settings = match read() {
        Ok(settings) => settings,
        Err(error) => {
            tracing::error!("Settings not reloaded, those before stay in use: {error}");
            return;
        }
    };
    if let Err(error) = server.reload(settings.clone()).await {
        tracing::error!("Settings not reloaded, those before stay in use: {error}");
        return;
    }
    match &options.settings_file {
        Some(file) => tracing::info!("Reloaded settings from {}.", file.display()),
        None => tracing::info!("Reloaded settings."),
    }
    if let Some(reloaded) = &options.reloaded {
        reloaded(&settings);
    }
    set_global_settings(settings);
}

/// What a signal tells.
enum Told {
    Stop,
    Reload,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> Result<Self, ServerError> {
        let listen = |kind| {
            signal(kind).map_err(|source| ServerError::System {
                action: "prepare for signals",
                source,
            })
        };
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.terminate.recv() => Told::Stop,
            _ = self.interrupt.recv() => Told::Stop,
            _ = self.hang_up.recv() => Told::Reload,
        }
    }
}
