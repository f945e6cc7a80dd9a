//! Replicas that are gone for good are forgotten.

use std::process::Output;

use serde_json::Value;

use crate::cluster::Cluster;
use crate::world::{World, command};

fn forget(world: &World, replica: &str, root: usize) -> Output {
    let mut command = command();
    command.arg("forget").arg(replica).arg(world.root(root));
    command.output().unwrap()
}

/// The other replicas that a root lists.
fn listed(world: &World, root: usize) -> Vec<String> {
    let mut command = command();
    command.args(["status", "--json"]).arg(world.root(root));
    let output = command.output().unwrap();
    let status: Value = serde_json::from_slice(&output.stdout).unwrap();
    let members = status["members"].as_array().unwrap().iter();
    let names = members.map(|member| member["name"].as_str().unwrap().to_owned());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[test]
fn forgotten_root_is_listed_again_when_it_is_synced() {
    let world = World::new(4);
    world.write(0, "file", "content");
    world.settle();
    assert_eq!(listed(&world, 0), ["beta", "delta", "gamma"]);
    let done = forget(&world, "gamma", 0);
    assert!(done.status.success(), "{done:?}");
    let text = String::from_utf8(done.stdout).unwrap();
    assert!(text.starts_with("Forgot replica gamma ("), "{text}");
    assert_eq!(listed(&world, 0), ["beta", "delta"]);
    let again = forget(&world, "gamma", 0);
    assert_eq!(again.status.code(), Some(2), "{again:?}");
    let error = String::from_utf8(again.stderr).unwrap();
    assert!(error.contains("there are beta ("), "{error}");
    // Others hear of it, by way of one that forgot nothing, and tell it back to nobody.
    world.write(0, "file", "edited");
    world.settle_some(&[0, 1], &[]);
    world.settle_some(&[1, 3], &[]);
    world.settle_some(&[0, 3], &[]);
    assert_eq!(listed(&world, 1), ["alpha", "delta"]);
    assert_eq!(listed(&world, 3), ["alpha", "beta"]);
    assert_eq!(listed(&world, 0), ["beta", "delta"]);
    // It comes back with an edit of its own, and nothing was lost.
    world.write(2, "other", "made while it was forgotten");
    world.settle_some(&[3, 2], &[]);
    assert_eq!(listed(&world, 3), ["alpha", "beta", "gamma"]);
    world.settle();
    for root in [0, 1] {
        assert!(listed(&world, root).contains(&"gamma".to_owned()));
    }
    world.assert_files(&[("file", "edited"), ("other", "made while it was forgotten")]);
}

#[test]
fn running_nodes_tell_each_other_who_is_forgotten() {
    let mut cluster = Cluster::new(World::new(3), |_, _| true, &[]);
    cluster.start();
    cluster.world.write(0, "file", "content");
    cluster.settle();
    cluster.nodes[2].end();
    let order = r#"{"command":"forget","folder":"default","replica":"n2"}"#;
    let answer = cluster.nodes[0].ask(order).unwrap();
    assert_eq!(answer[0]["replicas"][0]["name"], "n2", "{answer:?}");
    // What a session tells after that comes after it.
    cluster.world.write(0, "later", "content");
    cluster.arrives(1, "later", "content");
    for node in [0, 1] {
        assert_eq!(cluster.nodes[node].end(), Some(0));
    }
    assert_eq!(listed(&cluster.world, 0), ["n1"]);
    assert_eq!(listed(&cluster.world, 1), ["n0"]);
    cluster.start();
    cluster.settle();
    cluster.finish();
    assert_eq!(listed(&cluster.world, 0), ["n1", "n2"]);
    assert_eq!(listed(&cluster.world, 1), ["n0", "n2"]);
}
