//! Scopes that change in a history: nodes select and exclude, users write ignore files, copies are pruned.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use super::step::Random;
use crate::cluster::{Cluster, until};

const IGNORE_FILE: &str = ".replicatignore";
/// What is left out, as a pattern and as a path.
const DIRECTORIES: [&str; 5] = ["a", "b", "c", "a/b", "b/c"];
/// How often in a row no ignore file must be found until all are taken for gone.
const ROUNDS_WITHOUT: u32 = 5;
const ROUND: Duration = Duration::from_millis(200);

/// How the scope of a node changes.
#[derive(Clone, Debug)]
pub(super) enum ScopeChange {
    /// By a command, while the node runs: `set`, `add`, `remove` or `all`.
    Select(usize, &'static str, &'static str),
    /// It ends, and starts with another filter of its own.
    Exclude(usize, Option<&'static str>),
    /// A user writes the ignore file of a root, or removes it.
    Ignore(usize, Option<&'static str>),
    /// It removes copies that others keep.
    Prune(usize),
}

impl ScopeChange {
    pub(super) fn random(random: &mut Random, nodes: usize) -> Self {
        let node = random.index(nodes);
        let directory = DIRECTORIES[random.index(DIRECTORIES.len())];
        match random.below(20) {
            0..4 => Self::Select(node, "remove", directory),
            4..6 => Self::Select(node, "set", directory),
            6..8 => Self::Select(node, "add", directory),
            8..11 => Self::Select(node, "all", ""),
            11..13 => Self::Exclude(node, Some(directory)),
            13..15 => Self::Exclude(node, None),
            15..17 => Self::Ignore(node, Some(directory)),
            17 => Self::Ignore(node, None),
            _ => Self::Prune(node),
        }
    }
}

/// The nodes with the filters that they began with.
pub(super) struct Scopes(Vec<Vec<String>>);

impl Scopes {
    pub(super) fn of(cluster: &Cluster) -> Self {
        let nodes = cluster.nodes.iter();
        Self(nodes.map(|node| node.arguments.clone()).collect())
    }

    pub(super) fn change(&self, cluster: &mut Cluster, change: &ScopeChange) {
        match change {
            ScopeChange::Select(node, change, path) => {
                ask(cluster, *node, &select(change, path));
            }
            ScopeChange::Prune(node) => {
                ask(
                    cluster,
                    *node,
                    &json!({"command": "prune", "folder": "default"}),
                );
            }
            ScopeChange::Ignore(root, _) if cluster.receiver == Some(*root) => {}
            ScopeChange::Ignore(root, pattern) => {
                let path = cluster.world.path(*root, IGNORE_FILE);
                // A directory may have its name, or none be there.
                let _ = match pattern {
                    Some(pattern) => fs::write(path, format!("/{pattern}\n")),
                    None => fs::remove_file(path),
                };
            }
            ScopeChange::Exclude(node, pattern) => {
                let filter = pattern.map(|pattern| ["--exclude".to_owned(), format!("/{pattern}")]);
                self.restart(
                    cluster,
                    *node,
                    filter.as_ref().map_or(&[], |filter| &filter[..]),
                );
            }
        }
    }

    fn restart(&self, cluster: &mut Cluster, node: usize, filter: &[String]) {
        let arguments = [&self.0[node], filter].concat();
        if cluster.nodes[node].arguments != arguments {
            cluster.nodes[node].end();
            cluster.nodes[node].arguments = arguments;
            cluster.nodes[node].start();
        }
    }

    /// Brings everything back into scope everywhere.
    pub(super) fn lift(&self, cluster: &mut Cluster) {
        for node in 0..cluster.nodes.len() {
            self.restart(cluster, node, &[]);
        }
        cluster.start();
        for node in 0..cluster.nodes.len() {
            until("everything is selected", || {
                let said = ask(cluster, node, &select("all", ""));
                said.is_some_and(|said| said["everything"] == true)
            });
        }
        // An ignore file may be on its way while it is removed.
        let mut without = 0;
        until("no ignore file is left", || {
            let mut found = false;
            for root in 0..cluster.nodes.len() {
                let path = cluster.world.path(root, IGNORE_FILE);
                found |= path.symlink_metadata().is_ok();
                if cluster.receiver != Some(root) {
                    // It may go meanwhile.
                    let _ = fs::remove_file(path);
                }
                cluster.nodes[root].approve_brake();
            }
            without = if found { 0 } else { without + 1 };
            std::thread::sleep(ROUND);
            without > ROUNDS_WITHOUT
        });
    }
}

fn select(change: &str, path: &str) -> Value {
    let paths: Vec<&str> = Some(path)
        .into_iter()
        .filter(|path| !path.is_empty())
        .collect();
    json!({"command": "select", "folder": "default", "change": change, "paths": paths})
}

/// What a node answers first, if it runs.
fn ask(cluster: &Cluster, node: usize, command: &Value) -> Option<Value> {
    let node = &cluster.nodes[node];
    node.folder()?;
    node.ask(&command.to_string())?.into_iter().next()
}
