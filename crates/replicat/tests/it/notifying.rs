//! People are told of what needs them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::cluster::{Cluster, Patience};
use crate::world::World;

/// Two nodes of which the first tells a program, and what that program was told.
struct Told {
    cluster: Cluster,
    file: PathBuf,
}

impl Told {
    fn new() -> Self {
        let mut cluster = Cluster::new(World::new(2), |_, _| true, &[]);
        let file = cluster.world.beside("told");
        let program = cluster.world.beside("page");
        fs::write(
            &program,
            format!("#!/bin/sh\ncat >> '{}'\n", file.display()),
        )
        .unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let program = program.to_str().unwrap().to_owned();
        let flags = ["--notify-command", &program, "--node-lost-after", "1s"];
        let arguments = &mut cluster.nodes[0].arguments;
        arguments.extend(flags.map(str::to_owned));
        Self { cluster, file }
    }

    /// Waits for a notification of this kind, and returns it.
    #[track_caller]
    fn wait(&self, kind: &str) -> Value {
        let mut patience = Patience::new();
        loop {
            let told = self.all();
            if let Some(told) = told.iter().find(|told| told["kind"] == kind) {
                return told.clone();
            }
            assert!(
                patience.lasts(),
                "no {kind} in {told:?}\n{}",
                self.cluster.logs()
            );
        }
    }

    fn all(&self) -> Vec<Value> {
        let text = fs::read_to_string(&self.file).unwrap_or_default();
        // The last line may be half there.
        let lines = text.lines().map(serde_json::from_str);
        lines.filter_map(Result::ok).collect()
    }
}

#[test]
fn a_node_that_is_lost_and_comes_back_is_told_of() {
    let mut told = Told::new();
    told.cluster.world.write(1, "a", "text");
    // A node is lost only if it was seen: on a slow machine it may be gone before that.
    for _ in 0..20 {
        told.cluster.settle();
        std::thread::sleep(Duration::from_secs(2));
        told.cluster.nodes[1].kill();
        std::thread::sleep(Duration::from_secs(3));
        if !told.all().is_empty() {
            break;
        }
    }
    let lost = told.wait("node-lost");
    assert_eq!((&lost["node"], &lost["by"]), (&"n1".into(), &"n0".into()));
    told.cluster.nodes[1].start();
    let back = told.wait("in-sync");
    assert_eq!(back["node"], "n1");
    told.cluster.finish();
}

#[test]
fn a_conflict_is_told_of() {
    let mut told = Told::new();
    told.cluster.world.write(0, "list", "milk");
    told.cluster.settle();
    told.cluster.nodes[1].kill();
    told.cluster.world.write(0, "list", "milk and honey");
    told.cluster.world.write(1, "list", "milk and bread");
    told.cluster.start();
    let conflict = told.wait("conflict");
    assert_eq!(
        (&conflict["folder"], &conflict["count"]),
        (&"default".into(), &1.into())
    );
    assert_eq!(conflict["conflicts"][0]["path"], "list");
    told.cluster.settle();
}

#[test]
fn a_brake_is_told_of_and_when_it_is_over() {
    let mut told = Told::new();
    for number in 0..200 {
        told.cluster.world.write(0, format!("d/{number}"), "text");
    }
    told.cluster.settle();
    told.cluster.nodes[0].kill();
    fs::remove_dir_all(told.cluster.world.path(0, "d")).unwrap();
    told.cluster.nodes[0].start();
    let brake = told.wait("brake");
    assert_eq!(
        (&brake["folder"], &brake["reason"]),
        (&"default".into(), &"mass-deletion".into())
    );
    // The harness approves it while it waits.
    told.cluster.settle();
    let over = told.wait("in-sync");
    assert_eq!(over["folder"], "default");
    told.cluster.finish();
}
