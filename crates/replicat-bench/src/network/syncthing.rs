//! Nodes of Syncthing.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::contender::{Places, node_name};
use super::processes::Processes;

const PORT: u16 = 22000;
const API_PORT: u16 = 8384;
const API_KEY: &str = "replicat-bench";
const ANSWER: Duration = Duration::from_secs(5);

/// The interfaces of all nodes.
pub(crate) struct Api {
    nodes: usize,
}

/// One node: where its settings are, and its id.
struct Device {
    home: PathBuf,
    id: String,
}

/// Starts a node for each directory. All know each other.
pub(crate) fn start(places: &Places, delay_seconds: u32, processes: &mut Processes) -> Result<Api> {
    let count = places.directories.len();
    let devices: Result<Vec<Device>> = (0..count).map(|node| device(places, node)).collect();
    let devices = devices?;
    for (node, device) in devices.iter().enumerate() {
        let config = config(&devices, node, &places.directories[node], delay_seconds);
        fs::write(device.home.join("config.xml"), config)?;
        let mut command = Command::new("syncthing");
        command.arg("--home").arg(&device.home);
        command.args(["--no-browser", "--no-restart", "--no-upgrade"]);
        command.env("HOME", &device.home).env("STNOUPGRADE", "1");
        processes.start(&node_name(node), command, &places.log(node))?;
    }
    Ok(Api { nodes: count })
}

/// Makes the keys of a node.
fn device(places: &Places, node: usize) -> Result<Device> {
    let home = places.state.join(node_name(node));
    let mut generate = Command::new("syncthing");
    generate.arg("generate").arg("--home").arg(&home);
    generate
        .args(["--no-default-folder", "--skip-port-probing"])
        .env("HOME", &places.state);
    let made = generate.output()?;
    if !made.status.success() {
        bail!(
            "syncthing generate failed: {}",
            String::from_utf8_lossy(&made.stderr)
        );
    }
    let config = fs::read_to_string(home.join("config.xml"))?;
    let id = config
        .split_once("<device id=\"")
        .and_then(|(_, behind)| behind.split_once('"'));
    let id = id
        .context("syncthing generate wrote no device")?
        .0
        .to_owned();
    Ok(Device { home, id })
}

/// The settings of a node: all is left at its default but discovery and reports, which would look for the world outside.
fn config(devices: &[Device], node: usize, directory: &Path, delay_seconds: u32) -> String {
    let member = |device: &Device| format!("<device id=\"{}\"></device>", device.id);
    let members: String = devices.iter().map(member).collect();
    let devices: String = devices
        .iter()
        .enumerate()
        .map(|(other, device)| {
            format!(
                "<device id=\"{}\" name=\"{}\" compression=\"metadata\"><address>tcp://{}</address></device>\n",
                device.id,
                node_name(other),
                address(other)
            )
        })
        .collect();
    format!(
        "<configuration version=\"36\">\n\
         <folder id=\"f\" label=\"f\" path=\"{}\" type=\"sendreceive\" rescanIntervalS=\"3600\" \
         fsWatcherEnabled=\"true\" fsWatcherDelayS=\"{delay_seconds}\" ignorePerms=\"false\" autoNormalize=\"true\">\
         {members}</folder>\n{devices}\
         <gui enabled=\"true\" tls=\"false\"><address>127.0.0.{}:{API_PORT}</address><apikey>{API_KEY}</apikey></gui>\n\
         <options><listenAddress>tcp://{}</listenAddress><globalAnnounceEnabled>false</globalAnnounceEnabled>\
         <localAnnounceEnabled>false</localAnnounceEnabled><relaysEnabled>false</relaysEnabled>\
         <startBrowser>false</startBrowser><natEnabled>false</natEnabled><urAccepted>-1</urAccepted>\
         <autoUpgradeIntervalH>0</autoUpgradeIntervalH><crashReportingEnabled>false</crashReportingEnabled>\
         <stunServer></stunServer><reconnectionIntervalS>1</reconnectionIntervalS></options>\n</configuration>\n",
        directory.display(),
        node + 1,
        address(node),
    )
}

fn address(node: usize) -> String {
    format!("127.0.0.{}:{PORT}", node + 1)
}

impl Api {
    /// Whether all nodes are idle, need nothing, and hold so many files.
    pub(crate) fn all_hold(&self, files: u64) -> bool {
        (0..self.nodes).all(|node| {
            status(node).is_some_and(|status| {
                status["state"] == "idle"
                    && status["needTotalItems"] == 0
                    && status["localFiles"] == files
                    && status["globalFiles"] == files
            })
        }) && (0..self.nodes).all(|node| self.is_connected(node))
    }

    fn is_connected(&self, node: usize) -> bool {
        let connections = get(node, "/rest/system/connections");
        let connected = connections
            .as_ref()
            .and_then(|all| all["connections"].as_object());
        let connected = connected.into_iter().flatten();
        connected
            .filter(|(_, one)| one["connected"] == true)
            .count()
            + 1
            == self.nodes
    }
}

fn status(node: usize) -> Option<Value> {
    get(node, "/rest/db/status?folder=f")
}

/// Asks a node by HTTP 1.0, whose answer ends with the connection.
fn get(node: usize, path: &str) -> Option<Value> {
    let host = format!("127.0.0.{}", node + 1);
    let mut stream = TcpStream::connect((host.as_str(), API_PORT)).ok()?;
    stream.set_read_timeout(Some(ANSWER)).ok()?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\nX-API-Key: {API_KEY}\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (_, body) = answer.split_once("\r\n\r\n")?;
    serde_json::from_str(body).ok()
}
