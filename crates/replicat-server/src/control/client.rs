//! A command's side of the local socket.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Command;
use super::json::Object;

/// Why a node did not answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No node answers there.
    #[error("no node answers at {}: {source}", path.display())]
    NoNode {
        /// The socket.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The answer broke off.
    #[error("the node at {} stopped answering: {problem}", path.display())]
    Broken {
        /// The socket.
        path: PathBuf,
        /// What went wrong.
        problem: String,
    },
    /// The node refused, or could not do it.
    #[error("{message}")]
    Refused {
        /// A stable word for programs.
        kind: String,
        /// Why.
        message: String,
        /// What to do.
        hint: Option<String>,
        /// What the process is to tell its caller.
        exit_code: u8,
    },
}

/// Asks the node at `socket`, and calls `take` with each object of its answer, as long as that returns `Ok`.
///
/// # Errors
/// If no node answers, or it refuses. What `take` returns, if that is an error.
pub fn ask<E: From<ClientError>>(
    socket: &Path,
    command: &Command,
    take: impl FnMut(Object) -> Result<(), E>,
) -> Result<(), E> {
    ask_within(None, socket, command, take)
}

/// As [`ask`], but waits no longer than `patience` for each object: a node may be stopped.
///
/// # Errors
/// As those of [`ask`]; or if the node takes longer.
pub fn ask_within<E: From<ClientError>>(
    patience: Option<Duration>,
    socket: &Path,
    command: &Command,
    mut take: impl FnMut(Object) -> Result<(), E>,
) -> Result<(), E> {
    let broken = |problem: String| ClientError::Broken {
        path: socket.to_owned(),
        problem,
    };
    let stream = UnixStream::connect(socket).map_err(|source| ClientError::NoNode {
        path: socket.to_owned(),
        source,
    })?;
    let limited = stream.set_read_timeout(patience);
    limited.map_err(|error| broken(error.to_string()))?;
    let mut line = serde_json::to_string(command).map_err(|error| broken(error.to_string()))?;
    line.push('\n');
    (&stream)
        .write_all(line.as_bytes())
        .map_err(|error| broken(error.to_string()))?;
    for line in BufReader::new(&stream).lines() {
        let line = line.map_err(|error| broken(error.to_string()))?;
        let object: Object =
            serde_json::from_str(&line).map_err(|error| broken(error.to_string()))?;
        match object.get("type").and_then(|kind| kind.as_str()) {
            Some("done") => return Ok(()),
            Some("error") => return Err(refused(&object).into()),
            _ => take(object)?,
        }
    }
    Err(broken("it was cut off".to_owned()).into())
}

fn refused(object: &Object) -> ClientError {
    let text = |key: &str| object.get(key).and_then(|value| value.as_str());
    let code = object.get("exit_code").and_then(serde_json::Value::as_u64);
    ClientError::Refused {
        kind: text("kind").unwrap_or_default().to_owned(),
        message: text("message").unwrap_or_default().to_owned(),
        hint: text("hint").map(str::to_owned),
        exit_code: code.and_then(|code| code.try_into().ok()).unwrap_or(5),
    }
}
