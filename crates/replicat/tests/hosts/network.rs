//! Network namespaces, one for each host, and one with the bridge that joins them.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Some hosts on one network. The namespaces go when this is dropped.
pub(crate) struct Network {
    hub: String,
    hosts: Vec<String>,
}

impl Network {
    /// Makes the namespaces. `None`, said loudly, if that cannot be done here, or if there is nothing to compare hosts with;
    /// inside continuous integration it must.
    pub(crate) fn new(count: usize) -> Option<Self> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let prefix = format!("rp{}x{number}", std::process::id());
        let network = Self {
            hub: format!("{prefix}hub"),
            hosts: (0..count).map(|host| format!("{prefix}h{host}")).collect(),
        };
        match has_rsync().and_then(|()| network.build()) {
            Ok(()) => Some(network),
            Err(reason) => {
                let strict = std::env::var_os("REPLICAT_TESTS_STRICT").is_some();
                assert!(!strict, "no hosts here: {reason}");
                eprintln!("SKIPPED: no hosts here: {reason}");
                None
            }
        }
    }

    fn build(&self) -> Result<(), String> {
        ip(&["netns", "add", &self.hub])?;
        ip(&["-n", &self.hub, "link", "add", "bridge", "type", "bridge"])?;
        ip(&["-n", &self.hub, "link", "set", "bridge", "up"])?;
        for (host, namespace) in self.hosts.iter().enumerate() {
            let port = port(host);
            ip(&["netns", "add", namespace])?;
            let peer = ["type", "veth", "peer", "name", "net", "netns", namespace];
            ip(&[&["-n", &self.hub, "link", "add", &port], &peer[..]].concat())?;
            ip(&[
                "-n", &self.hub, "link", "set", &port, "master", "bridge", "up",
            ])?;
            let address = format!("{}/24", self.address(host));
            ip(&["-n", namespace, "address", "add", &address, "dev", "net"])?;
            ip(&["-n", namespace, "link", "set", "net", "up"])?;
            ip(&["-n", namespace, "link", "set", "lo", "up"])?;
        }
        Ok(())
    }

    /// The address of a host.
    pub(crate) fn address(&self, host: usize) -> String {
        format!("10.77.0.{}", host + 1)
    }

    /// A command that runs on a host.
    pub(crate) fn command(&self, host: usize, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.hosts[host], program]);
        command
    }

    /// Cuts a host off from the others.
    pub(crate) fn cut(&self, host: usize) {
        ip(&["-n", &self.hub, "link", "set", &port(host), "down"]).unwrap();
    }

    /// Joins it again.
    pub(crate) fn mend(&self, host: usize) {
        ip(&["-n", &self.hub, "link", "set", &port(host), "up"]).unwrap();
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for namespace in self.hosts.iter().chain([&self.hub]) {
            // It may not have been made.
            let _ = ip(&["netns", "delete", namespace]);
        }
    }
}

fn has_rsync() -> Result<(), String> {
    let started = Command::new("rsync").arg("--version").output();
    started.map(drop).map_err(|error| format!("rsync: {error}"))
}

fn port(host: usize) -> String {
    format!("port{host}")
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    let done = Command::new("ip").args(arguments).output();
    let done = done.map_err(|error| format!("ip: {error}"))?;
    match done.status.success() {
        true => Ok(()),
        false => Err(format!(
            "ip {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&done.stderr).trim()
        )),
    }
}
