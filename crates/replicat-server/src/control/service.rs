//! The node's side of the local socket.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use replicat_engine::SyncError;
use replicat_engine::engine::inspect::Question;
use replicat_engine::inspection::{Keep, Revision};

use super::json::{self, Object};
use super::{Command, PathText, inspection};
use crate::server::{Inner, ReplicatServer, ServerError};
use crate::workers::{Worker, Workers};

/// The longest command, in bytes.
const COMMAND_BYTES_MAX: u64 = 1 << 20;
/// How many commands are served at once.
const CONNECTIONS_MAX: usize = 64;
/// How long a command may take to be said, and an answer to be taken.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a follower is looked after though nothing happens.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(500);

/// The socket, as long as it is there.
pub(crate) struct Service {
    path: PathBuf,
    stopping: Arc<AtomicBool>,
}

/// Why a command was not carried out.
enum Problem {
    Server(Box<ServerError>),
    Sync(Box<SyncError>),
    Usage(String),
    /// Whoever asked is gone.
    Gone,
}

impl From<ServerError> for Problem {
    fn from(error: ServerError) -> Self {
        Self::Server(Box::new(error))
    }
}

impl From<SyncError> for Problem {
    fn from(error: SyncError) -> Self {
        Self::Sync(Box::new(error))
    }
}

impl From<io::Error> for Problem {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

/// Listens at `path`, for the user of this process alone. A socket that nobody answers at is replaced.
pub(crate) fn start(
    path: &Path,
    server: Weak<Inner>,
    workers: &Workers,
) -> Result<Service, ServerError> {
    let failed = |source| ServerError::Socket {
        path: path.to_owned(),
        source,
    };
    if UnixStream::connect(path).is_ok() {
        return Err(ServerError::SocketInUse {
            path: path.to_owned(),
        });
    }
    if let Some(directory) = path.parent() {
        create_private(directory).map_err(failed)?;
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
    let stopping = Arc::new(AtomicBool::new(false));
    let service = Service {
        path: path.to_owned(),
        stopping: Arc::clone(&stopping),
    };
    let worker = workers.begin("local socket");
    let listening = thread::Builder::new().name("local socket".to_owned());
    listening
        .spawn(move || listen(&listener, &server, &stopping, &worker))
        .map_err(failed)?;
    Ok(service)
}

/// A directory that is made is for this user alone; one that is there must not be another user's.
fn create_private(directory: &Path) -> io::Result<()> {
    if let Ok(found) = fs::metadata(directory) {
        let owner = found.uid();
        let own = rustix::process::geteuid().as_raw();
        return match owner == own || owner == 0 {
            true => Ok(()),
            false => Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "its directory belongs to another user",
            )),
        };
    }
    fs::create_dir_all(directory)?;
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700))
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        // Wakes the listener, which sees that it is to stop.
        drop(UnixStream::connect(&self.path));
        // If it cannot be removed, the next node replaces it.
        let _ = fs::remove_file(&self.path);
    }
}

fn listen(
    listener: &UnixListener,
    server: &Weak<Inner>,
    stopping: &Arc<AtomicBool>,
    worker: &Worker,
) {
    let served = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming() {
        if stopping.load(Ordering::Relaxed) {
            return;
        }
        let Ok(stream) = stream else {
            thread::sleep(FOLLOW_INTERVAL);
            continue;
        };
        let count = served.fetch_add(1, Ordering::Relaxed) + 1;
        worker.works(count);
        let (server, served) = (server.clone(), Arc::clone(&served));
        let serving = thread::Builder::new().name("command".to_owned());
        let spawned = serving.spawn(move || {
            if count <= CONNECTIONS_MAX {
                // Whoever asked and is gone needs no answer.
                let _ = serve(&stream, &server);
            }
            served.fetch_sub(1, Ordering::Relaxed);
        });
        if let Err(error) = spawned {
            tracing::warn!(%error, "a command on the local socket is not served");
        }
        worker.waits();
    }
}

fn serve(stream: &UnixStream, server: &Weak<Inner>) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = String::new();
    BufReader::new(stream.take(COMMAND_BYTES_MAX)).read_line(&mut line)?;
    let Some(inner) = server.upgrade() else {
        return Ok(());
    };
    let mut answer = Answer(stream);
    let carried_out = match serde_json::from_str(&line) {
        Ok(command) => carry_out(&ReplicatServer::from_inner(inner), command, &mut answer),
        Err(error) => Err(Problem::Usage(format!(
            "the command is not understood: {error}"
        ))),
    };
    match carried_out {
        Ok(()) => answer.put(&json::done()),
        Err(Problem::Gone) => Ok(()),
        Err(problem) => answer.put(&problem.object()),
    }
}

/// Where the answer goes.
struct Answer<'a>(&'a UnixStream);

impl Answer<'_> {
    fn put(&mut self, object: &Object) -> io::Result<()> {
        let mut line = serde_json::to_string(object)?;
        line.push('\n');
        self.0.write_all(line.as_bytes())
    }
}

impl Problem {
    fn object(&self) -> Object {
        match self {
            Self::Server(error) => json::error(
                error.kind(),
                &error.to_string(),
                error.hint(),
                error.exit_code() as u8,
            ),
            Self::Sync(error) => json::error(
                error.kind(),
                &error.to_string(),
                error.hint(),
                error.exit_code() as u8,
            ),
            Self::Usage(message) => {
                let usage = replicat_engine::ExitCode::Usage as u8;
                json::error("usage", message, None, usage)
            }
            Self::Gone => Object::new(),
        }
    }
}

fn carry_out(
    server: &ReplicatServer,
    command: Command,
    answer: &mut Answer<'_>,
) -> Result<(), Problem> {
    match command {
        Command::Status => answer.put(&json::node(&server.report()))?,
        Command::Nodes => {
            for node in server.nodes() {
                answer.put(&json::peer(&node))?;
            }
        }
        Command::Folders => {
            for folder in server.folders() {
                answer.put(&json::folder(&folder))?;
            }
        }
        Command::Events { follow } => events(server, follow, answer)?,
        Command::Pause { folder } => {
            let paused = server.pause(folder.as_deref())?;
            answer.put(&json::done_to("paused", &paused))?;
        }
        Command::Resume { folder } => {
            let resumed = server.resume(folder.as_deref())?;
            answer.put(&json::done_to("resumed", &resumed))?;
        }
        Command::Rescan { folder, paths } => {
            let paths = paths.iter().map(path_of).collect::<Result<Vec<_>, _>>()?;
            let rescanned = server.rescan(folder.as_deref(), &paths)?;
            answer.put(&json::done_to("rescanning", &rescanned))?;
        }
        Command::Approve { folder } => {
            let approved = server.approve(folder.as_deref())?;
            answer.put(&json::done_to("approved", &approved))?;
        }
        Command::Conflicts { folder } => inspect(server, &folder, Question::Conflicts, answer)?,
        Command::History { folder, path } => {
            inspect(server, &folder, Question::History(path_of(&path)?), answer)?;
        }
        Command::Why { folder, path } => {
            inspect(server, &folder, Question::Why(path_of(&path)?), answer)?;
        }
        Command::Tree { folder, path } => {
            inspect(server, &folder, Question::Tree(path_of(&path)?), answer)?;
        }
        Command::Resolve { folder, path, keep } => {
            let resolution = server
                .live(&folder)?
                .resolve(path_of(&path)?, keep_of(&keep)?)?;
            answer.put(&inspection::resolution(&resolution))?;
        }
        Command::Restore {
            folder,
            path,
            revision,
        } => {
            let revision = revision.map(Revision);
            let restoration = server.live(&folder)?.restore(path_of(&path)?, revision)?;
            answer.put(&inspection::restoration(&restoration))?;
        }
    }
    Ok(())
}

fn inspect(
    server: &ReplicatServer,
    folder: &str,
    question: Question,
    answer: &mut Answer<'_>,
) -> Result<(), Problem> {
    let found = server.live(folder)?.inspect(question)?;
    for row in inspection::rows(&found) {
        answer.put(&row)?;
    }
    Ok(())
}

fn path_of(path: &PathText) -> Result<replicat_core::path::RelPath, Problem> {
    path.path().map_err(Problem::Usage)
}

fn keep_of(word: &str) -> Result<Keep, Problem> {
    match word {
        "winner" => Ok(Keep::Winner),
        "copy" => Ok(Keep::Copy),
        "both" => Ok(Keep::Both),
        "local" => Ok(Keep::Local),
        other => Err(Problem::Usage(format!(
            "{other:?} is none of winner, copy, both, local"
        ))),
    }
}

/// Tells of the events that are kept; with `follow` of those that come, until whoever follows is gone.
fn events(server: &ReplicatServer, follow: bool, answer: &mut Answer<'_>) -> Result<(), Problem> {
    let mut next = 0;
    let mut patience = Duration::ZERO;
    while let Some((records, after)) = server.events_since(next, patience) {
        for record in &records {
            answer.put(&json::event(record))?;
        }
        if !follow || is_gone(answer.0) {
            return Ok(());
        }
        next = after;
        patience = FOLLOW_INTERVAL;
    }
    Ok(())
}

/// Whether the other side of a socket has closed it.
fn is_gone(stream: &UnixStream) -> bool {
    if stream.set_nonblocking(true).is_err() {
        return true;
    }
    let read = (&*stream).read(&mut [0]);
    let restored = stream.set_nonblocking(false);
    let waits = matches!(&read, Err(error) if error.kind() == io::ErrorKind::WouldBlock);
    restored.is_err() || !waits
}
