//! Random histories over running nodes: users change the roots at will while processes keep them in sync, are killed,
//! stopped for a while, and started again. In the end all must be equal, and nothing that nobody replaced may be gone.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::history::{History, change};
use super::ledger::Ledger;
use super::step::{Random, Step};
use crate::world::{World, command, contents, walk};

/// How long nodes may take to become equal. Far longer than they take.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long all must have been equal to count as quiet.
const QUIET: Duration = Duration::from_millis(300);
/// How long users wait between two steps at the most, in milliseconds.
const PAUSE_MS_MAX: u64 = 40;

/// How the nodes of a history know each other.
#[derive(Clone, Copy, Debug)]
enum Topology {
    Mesh,
    Star,
    Chain,
}

impl Topology {
    /// Whether one node dials another.
    fn joins(self, node: usize, other: usize) -> bool {
        match self {
            Self::Mesh => node != other,
            Self::Star => node != other && other == 0,
            Self::Chain => node == other + 1,
        }
    }
}

/// A history over running nodes.
pub(super) struct Cluster {
    world: World,
    nodes: Vec<Node>,
    /// Who is stopped, until the next time that somebody is.
    stopped: Option<usize>,
}

struct Node {
    root: PathBuf,
    arguments: Vec<String>,
    log: PathBuf,
    key: String,
    process: Option<Child>,
}

impl Cluster {
    fn start(random: &mut Random, count: usize) -> Self {
        let world = World::new(count);
        world.without_trash_check();
        let topology = [Topology::Mesh, Topology::Star, Topology::Chain][random.index(3)];
        let listeners: Vec<TcpListener> = (0..count)
            .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        let addresses: Vec<String> = (listeners.iter())
            .map(|listener| listener.local_addr().unwrap().to_string())
            .collect();
        drop(listeners);
        let made = command().arg("keygen").output().unwrap();
        assert!(made.status.success(), "{made:?}");
        let key = String::from_utf8(made.stdout).unwrap().trim().to_owned();
        let nodes = (0..count).map(|node| {
            let mut arguments = vec!["serve".to_owned(), "--name".to_owned(), name(node)];
            let root = world.root(node).to_owned();
            arguments.extend(["--directory".to_owned(), root.display().to_string()]);
            arguments.extend(["--address".to_owned(), addresses[node].clone()]);
            for other in (0..count).filter(|other| topology.joins(node, *other)) {
                let address = format!("{}={}", name(other), addresses[other]);
                arguments.extend(["--node".to_owned(), address]);
            }
            Node {
                root,
                arguments,
                log: world.beside(&format!("{}.log", name(node))),
                key: key.clone(),
                process: None,
            }
        });
        let nodes = nodes.collect();
        let mut cluster = Self {
            world,
            nodes,
            stopped: None,
        };
        cluster.nodes.iter_mut().for_each(Node::start);
        cluster
    }

    /// What processes suffer where a history that is not live would sync.
    fn disturb(&mut self, roots: &[usize]) {
        if let Some(node) = self.stopped.take() {
            self.nodes[node].signal("CONT");
        }
        let node = roots[0];
        match roots.len() {
            2 => {
                self.nodes[node].kill();
                self.nodes[node].start();
            }
            3 => {
                self.nodes[node].signal("STOP");
                self.stopped = Some(node);
            }
            _ => self.settle(),
        }
    }

    /// Waits until all roots are equal and stay so.
    fn settle(&mut self) {
        if let Some(node) = self.stopped.take() {
            self.nodes[node].signal("CONT");
        }
        let started = Instant::now();
        let mut equal_since: Option<Instant> = None;
        while equal_since.is_none_or(|since| since.elapsed() < QUIET) {
            let trees: Vec<_> = (self.world.roots().iter())
                .map(|root| std::panic::catch_unwind(|| walk(root)).ok())
                .collect();
            let equal = trees.iter().all(|tree| tree.is_some() && *tree == trees[0]);
            equal_since = match equal {
                true => equal_since.or_else(|| Some(Instant::now())),
                false => None,
            };
            if !equal && started.elapsed() > PATIENCE / 4 {
                // Users did mean to delete so much.
                self.nodes.iter().for_each(Node::approve);
                std::thread::sleep(Duration::from_millis(500));
            }
            assert!(
                started.elapsed() < PATIENCE,
                "not equal: {trees:#?}\n{}",
                self.logs()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn logs(&self) -> String {
        let read = |node: &Node| fs::read_to_string(&node.log).unwrap_or_default();
        self.nodes.iter().map(read).collect()
    }
}

fn name(node: usize) -> String {
    format!("n{node}")
}

impl Node {
    fn start(&mut self) {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(&self.log)
            .unwrap();
        let mut command = command();
        command.args(&self.arguments);
        command.env("REPLICAT_CLUSTER_KEY", &self.key);
        command.env("XDG_RUNTIME_DIR", self.log.with_extension("run"));
        command.env("REPLICAT_DURABILITY", "none");
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        self.process = Some(command.spawn().unwrap());
    }

    fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    fn signal(&self, signal: &str) {
        if let Some(process) = &self.process {
            let sent = Command::new("kill")
                .args([format!("-{signal}"), process.id().to_string()])
                .status();
            assert!(sent.unwrap().success());
        }
    }

    fn approve(&self) {
        let mut approve = command();
        approve.arg("approve").arg(&self.root);
        approve.env("XDG_RUNTIME_DIR", self.log.with_extension("run"));
        // It may have nothing to approve.
        let _ = approve.output();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.signal("CONT");
        self.kill();
    }
}

/// Runs a history of `seed` over running nodes.
pub(super) fn play_live(seed: u64) {
    let mut random = Random::new(seed);
    let history = History::random(&mut random);
    let mut cluster = Cluster::start(&mut random, history.roots);
    let mut ledger = Ledger::default();
    for step in &history.steps {
        match step {
            Step::Sync(roots) => cluster.disturb(roots),
            step => {
                // What cannot be done is left out.
                let _ = change(&cluster.world, &mut ledger, step);
            }
        }
        std::thread::sleep(Duration::from_millis(random.below(PAUSE_MS_MAX)));
    }
    cluster.settle();
    // A user may have replaced what had only just come, so that trashes count.
    let held: Vec<Vec<u8>> = (cluster.world.roots().iter())
        .flat_map(|root| contents(root))
        .collect();
    let missing = ledger.missing(&held);
    assert!(
        missing.is_empty(),
        "seed {seed}: lost: {missing:?}\n{}",
        cluster.logs()
    );
}
