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

use super::answering::{Answer, FOLLOW_INTERVAL, Refusal, carry_out};
use super::json::{self, Object};
use crate::server::{Inner, ReplicatServer, ServerError};
use crate::workers::{Worker, Workers};

/// The longest command, in bytes.
const COMMAND_BYTES_MAX: u64 = 1 << 20;
/// How many commands are served at once.
const CONNECTIONS_MAX: usize = 64;
/// How long a command may take to be said, and an answer to be taken.
const PATIENCE: Duration = Duration::from_secs(30);

/// The socket, as long as it is there.
pub(crate) struct Service {
    path: PathBuf,
    stopping: Arc<AtomicBool>,
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
    let mut answer = SocketAnswer(stream);
    let carried_out = match serde_json::from_str(&line) {
        Ok(command) => carry_out(&ReplicatServer::from_inner(inner), command, &mut answer),
        Err(error) => Err(Refusal::Usage(format!(
            "the command is not understood: {error}"
        ))),
    };
    match carried_out {
        Ok(()) => answer.put(json::done()),
        Err(Refusal::Gone) => Ok(()),
        Err(refusal) => answer.put(refusal.object()),
    }
}

/// Where the answer goes.
struct SocketAnswer<'a>(&'a UnixStream);

impl Answer for SocketAnswer<'_> {
    fn put(&mut self, object: Object) -> io::Result<()> {
        let mut line = serde_json::to_string(&object)?;
        line.push('\n');
        self.0.write_all(line.as_bytes())
    }

    fn is_gone(&self) -> bool {
        is_gone(self.0)
    }
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
