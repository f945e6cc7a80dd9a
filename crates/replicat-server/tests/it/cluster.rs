//! A cluster for a test: nodes in this process, each with a directory of its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use replicat_server::{ClusterKey, FolderSettings, NodeSettings, ReplicatServer, Settings};
use tempfile::TempDir;

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Cluster {
    pub(crate) place: TempDir,
    pub(crate) key: ClusterKey,
    pub(crate) nodes: BTreeMap<String, ReplicatServer>,
}

impl Cluster {
    pub(crate) fn new() -> Self {
        Self {
            place: tempfile::tempdir().unwrap(),
            key: ClusterKey::generate().unwrap(),
            nodes: BTreeMap::new(),
        }
    }

    /// The directory of a node.
    pub(crate) fn directory(&self, node: &str) -> PathBuf {
        self.place.path().join(node)
    }

    /// Settings of a node that keeps the folder `site` and dials others of this cluster.
    pub(crate) fn settings(&self, name: &str, dials: &[&str]) -> Settings {
        let nodes = dials.iter().map(|other| NodeSettings {
            name: Some(other.parse().unwrap()),
            address: self.nodes[*other].address().unwrap().to_string(),
        });
        let mut folder = FolderSettings::new("site".parse().unwrap(), self.directory(name));
        folder.create = true;
        Settings {
            name: Some(name.parse().unwrap()),
            address: Some("127.0.0.1:0".to_owned()),
            cluster_key: Some(self.key.clone()),
            nodes: nodes.collect(),
            folders: vec![folder],
            ..Settings::default()
        }
    }

    pub(crate) async fn start(&mut self, name: &str, dials: &[&str]) -> &ReplicatServer {
        let settings = self.settings(name, dials);
        self.start_with(name, settings).await
    }

    pub(crate) async fn start_with(&mut self, name: &str, settings: Settings) -> &ReplicatServer {
        let server = ReplicatServer::builder().settings(settings).start().await;
        self.nodes.insert(name.to_owned(), server.unwrap());
        &self.nodes[name]
    }

    pub(crate) async fn stop(&mut self, name: &str) {
        self.nodes.remove(name).unwrap().shutdown().await;
    }

    pub(crate) async fn end(mut self) {
        for (_, node) in std::mem::take(&mut self.nodes) {
            node.shutdown().await;
        }
    }

    pub(crate) fn write(&self, node: &str, path: &str, content: impl AsRef<[u8]>) {
        let path = self.directory(node).join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn read(&self, node: &str, path: &str) -> Option<Vec<u8>> {
        fs::read(self.directory(node).join(path)).ok()
    }

    /// Waits until a node holds this.
    pub(crate) async fn holds(&self, node: &str, path: &str, content: impl AsRef<[u8]>) {
        let content = content.as_ref();
        let arrived = until(|| self.read(node, path).is_some_and(|held| held == content));
        assert!(
            arrived.await,
            "{path} did not reach {node}: {}",
            self.report()
        );
    }

    pub(crate) async fn lacks(&self, node: &str, path: &str) {
        let gone = until(|| !self.directory(node).join(path).exists());
        assert!(gone.await, "{path} stays at {node}: {}", self.report());
    }

    /// Waits until all directories hold the same.
    pub(crate) async fn equal(&self) {
        let same = until(|| {
            let mut trees = self.nodes.keys().map(|node| tree(&self.directory(node)));
            let first = trees.next();
            trees.all(|tree| Some(tree) == first)
        });
        assert!(same.await, "the directories differ: {}", self.report());
    }

    pub(crate) fn report(&self) -> String {
        let reports = self
            .nodes
            .values()
            .map(|node| format!("{:#?}", node.report()));
        reports.collect::<Vec<_>>().join("\n")
    }
}

/// Waits until a condition holds; whether it did in time.
pub(crate) async fn until(mut condition: impl FnMut() -> bool) -> bool {
    let started = Instant::now();
    while !condition() {
        if started.elapsed() > PATIENCE {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    true
}

/// Every path below a directory with its content, state left out.
pub(crate) fn tree(directory: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut open = vec![directory.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.ends_with(".replicat") {
                continue;
            }
            let content = fs::read(&path).ok();
            if path.is_dir() {
                open.push(path.clone());
            }
            found.insert(path.strip_prefix(directory).unwrap().to_owned(), content);
        }
    }
    found
}
