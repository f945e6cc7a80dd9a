//! A process on a host.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::network::Network;

/// How long a condition may take to hold. Far longer than it takes.
const PATIENCE: Duration = Duration::from_secs(300);
/// Every host has its own ports.
const PORT: u16 = 8787;

/// A node on a host of its own.
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) root: PathBuf,
    log: PathBuf,
    command: Option<Command>,
    process: Option<Child>,
}

fn name(host: usize) -> String {
    char::from(b'a' + u8::try_from(host).unwrap()).to_string()
}

/// One key for all nodes below `world`.
fn key(world: &Path) -> String {
    let file = world.join("key");
    if !file.exists() {
        fs::write(&file, new_key()).unwrap();
    }
    fs::read_to_string(file).unwrap()
}

fn new_key() -> String {
    let made = Command::new(env!("CARGO_BIN_EXE_replicat"))
        .arg("keygen")
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    String::from_utf8(made.stdout).unwrap().trim().to_owned()
}

impl Node {
    /// A node that knows all the others.
    pub(crate) fn new(network: &Network, host: usize, world: &Path) -> Self {
        let name = name(host);
        let root = world.join(&name);
        fs::create_dir(&root).unwrap();
        let mut command = network.command(host, env!("CARGO_BIN_EXE_replicat"));
        command
            .args(["serve", "--name", &name])
            .arg("--directory")
            .arg(&root);
        command.args(["--address", &format!("{}:{PORT}", network.address(host))]);
        command.env("REPLICAT_CLUSTER_KEY", key(world));
        command.env("XDG_RUNTIME_DIR", world.join(format!("run-{name}")));
        for other in (0..3).filter(|other| *other != host) {
            let node = format!("{}={}:{PORT}", self::name(other), network.address(other));
            command.args(["--node", &node]);
        }
        let log = world.join(format!("{name}.log"));
        let process = None;
        Self {
            name,
            root,
            log,
            command: Some(command),
            process,
        }
    }

    /// A node on the first host's loopback, which knows the two at the first ports.
    pub(crate) fn on_loopback(
        network: &Network,
        number: usize,
        ports: &[u16],
        world: &Path,
    ) -> Self {
        let name = name(number);
        let root = world.join(&name);
        fs::create_dir(&root).unwrap();
        let mut command = network.command(0, env!("CARGO_BIN_EXE_replicat"));
        command
            .args(["serve", "--name", &name])
            .arg("--directory")
            .arg(&root);
        command.args(["--address", &format!("127.0.0.1:{}", ports[number])]);
        command.env("REPLICAT_CLUSTER_KEY", key(world));
        command.env("XDG_RUNTIME_DIR", world.join(format!("run-{name}")));
        for other in (0..2).filter(|other| *other != number) {
            let node = format!("{}=127.0.0.1:{}", self::name(other), ports[other]);
            command.args(["--node", &node]);
        }
        Self {
            log: world.join(format!("{name}.log")),
            name,
            root,
            command: Some(command),
            process: None,
        }
    }

    /// The same node, with the key of another cluster.
    pub(crate) fn with_another_key(mut self) -> Self {
        if let Some(command) = &mut self.command {
            command.env("REPLICAT_CLUSTER_KEY", new_key());
        }
        self
    }

    /// Whether it noted these words.
    pub(crate) fn log_holds(&self, words: &str) -> bool {
        fs::read_to_string(&self.log).is_ok_and(|log| log.contains(words))
    }

    pub(crate) fn start(mut self) -> Self {
        let log = fs::File::create(&self.log).unwrap();
        if let Some(mut command) = self.command.take() {
            command.stdin(Stdio::null());
            command.stdout(log.try_clone().unwrap()).stderr(log);
            self.process = Some(command.spawn().unwrap());
        }
        self
    }

    /// What files hold whose names begin so: a path and its conflict copies.
    pub(crate) fn contents(&self, prefix: &str) -> Vec<String> {
        let entries = fs::read_dir(&self.root).unwrap().flatten();
        let named = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix));
        named
            .filter_map(|entry| fs::read_to_string(entry.path()).ok())
            .collect()
    }

    /// Whether rsync, which knows nothing of replicat, finds no difference.
    pub(crate) fn holds_what(&self, other: &Self) -> bool {
        differences(&other.root, &self.root).is_empty()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let Some(mut process) = self.process.take() else {
            return;
        };
        let stopped = Command::new("kill").arg(process.id().to_string()).status();
        assert!(stopped.is_ok());
        let ended = process.wait();
        if std::thread::panicking() {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            eprintln!(
                "== log of {}, which ended with {ended:?}:\n{log}",
                self.name
            );
        }
    }
}

fn differences(one: &Path, other: &Path) -> String {
    let compared = Command::new("rsync")
        .args([
            "-aHAXnc",
            "--delete",
            "--itemize-changes",
            "--exclude=/.replicat",
        ])
        .arg(format!("{}/", one.display()))
        .arg(other)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&compared.stdout).into_owned();
    match compared.status.success() {
        true => text,
        // A file vanished amid the comparison: they are not equal yet.
        false => format!("{text}{}", String::from_utf8_lossy(&compared.stderr)),
    }
}

/// Waits until all nodes hold the same.
#[track_caller]
pub(crate) fn assert_equal(nodes: &[Node]) {
    let mut last = String::new();
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        let pairs = nodes.windows(2);
        last = pairs
            .map(|pair| differences(&pair[0].root, &pair[1].root))
            .collect();
        if last.is_empty() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("not equal: {last}");
}

/// Ends all nodes in good order; then a sync of their directories, by the command, must find nothing to do.
#[track_caller]
pub(crate) fn assert_nothing_is_left_to_do(mut nodes: Vec<Node>) {
    let roots: Vec<PathBuf> = nodes.iter().map(|node| node.root.clone()).collect();
    for node in &mut nodes {
        let mut process = node.process.take().unwrap();
        let stopped = Command::new("kill").arg(process.id().to_string()).status();
        assert!(stopped.unwrap().success());
        assert_eq!(process.wait().unwrap().code(), Some(0));
    }
    let mut sync = Command::new(env!("CARGO_BIN_EXE_replicat"));
    let output = sync.args(["sync", "--json"]).args(&roots).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let summary = text.lines().last().unwrap_or_default();
    assert_eq!(output.status.code(), Some(0), "{summary}");
    assert!(!text.contains("\"type\":\"item\""), "{text}");
    assert!(summary.contains("\"in_sync\":true"), "{summary}");
    assert!(summary.contains("\"conflicts\":[]"), "{summary}");
    for figure in [
        "created",
        "updated",
        "metadata",
        "deleted",
        "moved",
        "bytes_copied",
    ] {
        let (_, statistics) = summary.split_once("\"statistics\"").unwrap();
        assert!(statistics.contains(&format!("\"{figure}\":0")), "{summary}");
    }
}

/// Waits until a condition holds.
#[track_caller]
pub(crate) fn wait(what: &str, nodes: &[Node], mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        let names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
        assert!(
            started.elapsed() < PATIENCE,
            "{names:?} waited in vain for {what}"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}
