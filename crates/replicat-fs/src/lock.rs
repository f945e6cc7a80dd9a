//! The lock on a state directory, and who holds it.
//!
//! The lock is an advisory lock of the kernel on the file `lock`, so that it ends with its process. The owner writes
//! into that file who it is. Those words decide nothing: they are shown to a person while the kernel says that the lock
//! is held, and left out if they are of a process that does not run any more.

use std::fmt;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use rustix::fs::{CWD, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::error::FsError;

const LOCK_FILE: &str = "lock";
/// The most bytes that are read of what an owner wrote.
const NOTE_BYTES_MAX: usize = 16 << 10;

/// What this process is, as others are shown it that find a root locked.
static PURPOSE: OnceLock<Purpose> = OnceLock::new();

/// What a process does with the roots that it locks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Purpose {
    /// The command, without anything that may be a secret: `replicat sync --watch`.
    pub command: String,
    /// The local socket of the node that the process is, if it is one.
    pub socket: Option<PathBuf>,
}

/// Says what this process is, for all locks that it takes from now on. The first call counts.
pub fn set_purpose(purpose: Purpose) {
    // A process does not become another one.
    let _ = PURPOSE.set(purpose);
}

/// The process that holds a lock, as far as it can be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LockHolder {
    /// Its id; `None` if nobody knows.
    pub process: Option<u32>,
    /// The host that it runs on, if that is another one.
    pub host: Option<String>,
    /// Its command.
    pub command: Option<String>,
    /// The local socket of the node that it is.
    pub socket: Option<PathBuf>,
    /// Since when it holds the lock.
    pub since: Option<SystemTime>,
}

impl fmt::Display for LockHolder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(process) = self.process else {
            return formatter.write_str("another replicat process");
        };
        match &self.command {
            Some(command) => write!(formatter, "`{command}` (process {process}")?,
            None => write!(formatter, "another replicat process ({process}")?,
        }
        if let Some(host) = &self.host {
            write!(formatter, " on host {host}")?;
        }
        if let Some(since) = self.since.and_then(|since| since.try_into().ok()) {
            let since: jiff::Timestamp = since;
            write!(formatter, ", since {}", since.strftime("%F %T UTC"))?;
        }
        formatter.write_str(")")
    }
}

/// A lock held. It is released explicitly, since a child process that is just being started holds a copy of the
/// descriptor for an instant.
#[derive(Debug)]
pub(crate) struct Lock(OwnedFd);

impl Drop for Lock {
    fn drop(&mut self) {
        // What is left says nothing of the next owner. Where unlocking fails, closing the descriptor does the same.
        let _ = rustix::fs::ftruncate(&self.0, 0);
        let _ = rustix::fs::flock(&self.0, FlockOperation::Unlock);
    }
}

/// Why a lock was not taken.
pub(crate) enum LockError {
    /// Another process holds it.
    Held(LockHolder),
    Failed(FsError),
}

/// Locks a state directory for as long as the lock lives, and writes who did.
pub(crate) fn lock(state: &Path) -> Result<Lock, LockError> {
    let path = state.join(LOCK_FILE);
    let failed = |source: Errno| LockError::Failed(FsError::new("lock", &path, source));
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(CWD, &path, flags, Mode::RUSR | Mode::WUSR).map_err(failed)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Err(LockError::Held(read(&file))),
        Err(source) => return Err(failed(source)),
    }
    let lock = Lock(file);
    let note = note(PURPOSE.get(), SystemTime::now());
    rustix::fs::ftruncate(&lock.0, 0)
        .and_then(|()| rustix::io::pwrite(&lock.0, note.as_bytes(), 0))
        .map_err(failed)?;
    Ok(lock)
}

/// What the owner writes: its process id, then a word and its value on each line.
fn note(purpose: Option<&Purpose>, now: SystemTime) -> String {
    let process = std::process::id();
    let mut lines = vec![process.to_string(), format!("host {}", host())];
    lines.extend(start_of(process).map(|start| format!("start {start}")));
    if let Ok(since) = now.duration_since(SystemTime::UNIX_EPOCH) {
        lines.push(format!("since {}", since.as_secs()));
    }
    if let Some(purpose) = purpose {
        let command = purpose.command.replace(char::is_control, " ");
        lines.push(format!("command {command}"));
        let socket = purpose.socket.as_ref().and_then(|path| path.to_str());
        let socket = socket.filter(|path| !path.contains(char::is_control));
        lines.extend(socket.map(|path| format!("socket {path}")));
    }
    lines.push(String::new());
    lines.join("\n")
}

fn read(file: &OwnedFd) -> LockHolder {
    let mut bytes = vec![0; NOTE_BYTES_MAX];
    let length = rustix::io::pread(file, &mut bytes, 0).unwrap_or_default();
    parse(&String::from_utf8_lossy(&bytes[..length]))
}

/// Who wrote a note; nobody, if it is of a process of this host that does not run any more: its owner has yet to write.
fn parse(note: &str) -> LockHolder {
    let mut lines = note.lines();
    let Some(process) = lines.next().and_then(|line| line.trim().parse().ok()) else {
        return LockHolder::default();
    };
    let mut holder = LockHolder {
        process: Some(process),
        ..LockHolder::default()
    };
    let (mut host_name, mut start) = (None, None);
    for (word, value) in lines.filter_map(|line| line.split_once(' ')) {
        match word {
            "host" => host_name = Some(value.to_owned()),
            "start" => start = value.parse::<u64>().ok(),
            "since" => {
                let seconds = value.parse().ok().map(Duration::from_secs);
                holder.since =
                    seconds.and_then(|seconds| SystemTime::UNIX_EPOCH.checked_add(seconds));
            }
            "command" => holder.command = Some(value.to_owned()),
            "socket" => holder.socket = Some(value.into()),
            _ => {}
        }
    }
    let is_here = host_name.as_ref().is_none_or(|name| *name == host());
    if is_here && start.is_some() && start_of(process) != start {
        return LockHolder::default();
    }
    holder.host = host_name.filter(|_| !is_here);
    holder
}

fn host() -> String {
    let system = rustix::system::uname();
    let name = system.nodename().to_string_lossy();
    name.replace(char::is_control, " ")
}

/// When a process was started, in ticks since the system was: with the id, that names a process.
fn start_of(process: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name of the program stands in parentheses, and may hold anything. The start is the 20th field behind it.
    let (_, fields) = text.rsplit_once(')')?;
    fields.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sync() -> Purpose {
        Purpose {
            command: "replicat sync\n--watch".to_owned(),
            socket: Some("/run/replicat/a.sock".into()),
        }
    }

    #[test]
    fn a_note_tells_who_wrote_it() {
        let since = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let holder = parse(&note(Some(&sync()), since));
        assert_eq!(holder.process, Some(std::process::id()));
        assert_eq!(holder.socket, Some("/run/replicat/a.sock".into()));
        let told = format!(
            "`replicat sync --watch` (process {}, since 2023-11-14 22:13:20 UTC)",
            std::process::id()
        );
        assert_eq!(holder.to_string(), told);
    }

    #[test]
    fn a_note_of_a_process_that_is_gone_tells_nothing() {
        let note = note(Some(&sync()), SystemTime::now());
        let start = format!("start {}", start_of(std::process::id()).unwrap());
        let stale = note.replace(&start, "start 1");
        assert_ne!(stale, note);
        assert_eq!(parse(&stale), LockHolder::default());
        assert_eq!(
            parse(&stale).to_string(),
            "another replicat process",
            "{stale}"
        );
    }

    #[test]
    fn a_note_of_another_host_names_the_host() {
        let note = note(None, SystemTime::now()).replace(&host(), "elsewhere.example");
        let holder = parse(&note.replace("start ", "start 9"));
        assert_eq!(holder.host.as_deref(), Some("elsewhere.example"));
        assert_eq!(holder.process, Some(std::process::id()));
    }

    #[test]
    fn a_note_of_an_earlier_version_is_a_process_id() {
        let holder = parse("4711\n");
        assert_eq!(holder.to_string(), "another replicat process (4711)");
        assert_eq!(parse(""), LockHolder::default());
    }
}
