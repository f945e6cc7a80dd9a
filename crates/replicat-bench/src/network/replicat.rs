//! Nodes of replicat.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::Value;

use super::contender::{Places, node_name};
use super::processes::Processes;

const PORT: u16 = 8787;
const ANSWER: Duration = Duration::from_secs(5);

/// The local sockets of all nodes.
pub(crate) struct Sockets(Vec<PathBuf>);

/// Starts a node for each directory; each dials those before it.
pub(crate) fn start(places: &Places, processes: &mut Processes) -> Result<Sockets> {
    let made = Command::new(&places.replicat).arg("keygen").output()?;
    if !made.status.success() {
        bail!(
            "replicat keygen failed: {}",
            String::from_utf8_lossy(&made.stderr)
        );
    }
    let key = String::from_utf8(made.stdout)?.trim().to_owned();
    let address = |node: usize| format!("127.0.0.{}:{PORT}", node + 1);
    let mut sockets = Vec::new();
    for (node, directory) in places.directories.iter().enumerate() {
        let name = node_name(node);
        let runtime = places.state.join(&name);
        let mut command = Command::new(&places.replicat);
        command.args(["serve", "--name", &name, "--address", &address(node)]);
        command.arg("--directory").arg(directory);
        for other in 0..node {
            let peer = format!("{}={}", node_name(other), address(other));
            command.args(["--node", &peer]);
        }
        command
            .env("REPLICAT_CLUSTER_KEY", &key)
            .env("XDG_RUNTIME_DIR", &runtime);
        sockets.push(runtime.join(format!("replicat/{name}.sock")));
        processes.start(&name, command, &places.log(node))?;
    }
    Ok(Sockets(sockets))
}

impl Sockets {
    /// Whether all nodes say that they hold the same as all the others.
    pub(crate) fn all_in_sync(&self) -> bool {
        let others = self.0.len() - 1;
        let is_in_sync = |socket: &PathBuf| {
            folder(socket).is_some_and(|folder| {
                let peers = folder["peers"].as_array().map_or(0, Vec::len);
                folder["in_sync"] == true && peers == others
            })
        };
        self.0.iter().all(is_in_sync)
    }
}

/// How the folder of a node stands.
fn folder(socket: &PathBuf) -> Option<Value> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.set_read_timeout(Some(ANSWER)).ok()?;
    writeln!(stream, "{{\"command\":\"folders\"}}").ok()?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).ok()?;
    serde_json::from_str(&line).ok()
}
