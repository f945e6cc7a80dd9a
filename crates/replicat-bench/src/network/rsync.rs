//! rsync to daemons, and lsyncd, which runs rsync.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::contender::{Places, node_name};
use super::processes::Processes;

const PORT: u16 = 8873;
const CLIENT: &str = "client";
const START_MAX: Duration = Duration::from_secs(10);

/// Starts a daemon for each directory but the first, and brings that to all of them at once.
pub(crate) fn start(places: &Places, processes: &mut Processes) -> Result<()> {
    for node in 1..places.directories.len() {
        daemon(places, node, processes)?;
    }
    for node in 1..places.directories.len() {
        let mut command = Command::new("rsync");
        command.args(["-a", "--delete"]);
        command.arg(places.directories[0].join("")).arg(url(node));
        let log = places.state.join(format!("client{node}.log"));
        processes.start(&format!("{CLIENT}{node}"), command, &log)?;
    }
    Ok(())
}

/// Whether all clients have ended, given who has.
pub(crate) fn clients_done(ended: &[(String, bool)]) -> Result<bool> {
    if let Some((name, _)) = ended.iter().find(|(_, succeeded)| !succeeded) {
        bail!("{name} failed");
    }
    Ok(!ended.is_empty() && ended.iter().all(|(name, _)| name.starts_with(CLIENT)))
}

fn url(node: usize) -> String {
    format!("rsync://127.0.0.{}:{PORT}/module/", node + 1)
}

/// Starts the daemon of a node, and waits until it listens.
fn daemon(places: &Places, node: usize, processes: &mut Processes) -> Result<()> {
    let directory = &places.directories[node];
    let config = places.state.join(format!("{}.conf", node_name(node)));
    let lock = places.state.join(format!("{}.lock", node_name(node)));
    let text = format!(
        "use chroot = no\nuid = 0\ngid = 0\nlock file = {}\n[module]\npath = {}\nread only = no\n",
        lock.display(),
        directory.display()
    );
    fs::write(&config, text)?;
    let host = format!("127.0.0.{}", node + 1);
    let mut command = Command::new("rsync");
    command.args(["--daemon", "--no-detach", "--address", &host]);
    command
        .arg(format!("--port={PORT}"))
        .arg("--config")
        .arg(&config);
    processes.start(&node_name(node), command, &places.log(node))?;
    let started = Instant::now();
    while std::net::TcpStream::connect((host.as_str(), PORT)).is_err() {
        if started.elapsed() > START_MAX {
            bail!("the rsync daemon does not listen");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// What lsyncd tells of itself.
pub(crate) struct Lsyncd {
    status: PathBuf,
}

/// Starts lsyncd over the first directory, to a daemon over the second.
pub(crate) fn start_lsyncd(
    places: &Places,
    delay_seconds: u32,
    processes: &mut Processes,
) -> Result<Lsyncd> {
    if places.directories.len() != 2 {
        bail!("lsyncd goes from one directory to one other here");
    }
    daemon(places, 1, processes)?;
    let status = places.state.join("lsyncd.status");
    let config = places.state.join("lsyncd.lua");
    fs::write(&config, lsyncd_config(places, &status, delay_seconds))?;
    let mut command = Command::new("lsyncd");
    command.arg("-nodaemon").arg(&config);
    processes.start("lsyncd", command, &places.log(0))?;
    Ok(Lsyncd { status })
}

fn lsyncd_config(places: &Places, status: &Path, delay_seconds: u32) -> String {
    format!(
        "settings {{ nodaemon = true, statusFile = \"{}\", statusInterval = 1 }}\n\
         sync {{ default.rsync, source = \"{}\", target = \"{}\", delay = {delay_seconds} }}\n",
        status.display(),
        places.directories[0].display(),
        url(1)
    )
}

impl Lsyncd {
    /// Whether it has nothing to do, by its status file.
    pub(crate) fn is_idle(&self) -> bool {
        let status = fs::read_to_string(&self.status).unwrap_or_default();
        status.contains("There are 0 delays")
    }
}
