//! The key of a cluster without a manager is changed while it works.

use crate::cluster::{Cluster, new_key};
use crate::world::{World, command};

/// The settings of a node in a round: its key, and the one that it accepts.
type Round<'keys> = (&'keys str, Option<&'keys str>);

fn set_keys(cluster: &mut Cluster, node: usize, (own, accepted): Round<'_>) {
    let environment = &mut cluster.nodes[node].environment;
    environment.retain(|(name, _)| !name.contains("CLUSTER_KEY"));
    environment.push(("REPLICAT_CLUSTER_KEY".to_owned(), own.to_owned()));
    let accepted = accepted.map(|key| ("REPLICAT_ACCEPT_CLUSTER_KEY".to_owned(), key.to_owned()));
    environment.extend(accepted);
}

/// The ids of the keys that the peers of a node show.
fn shown(cluster: &Cluster, node: usize) -> Vec<String> {
    let peers = cluster.nodes[node].ask(r#"{"command":"nodes"}"#);
    let peers = peers.unwrap_or_default();
    let shown = peers.iter().filter_map(|peer| peer["cluster"].as_str());
    shown.map(str::to_owned).collect()
}

/// Restarts one node after another, and sees that changes go both ways before the next.
fn round(cluster: &mut Cluster, name: &str, keys: Round<'_>) {
    for node in 0..cluster.nodes.len() {
        let other = (node + 1) % cluster.nodes.len();
        let file = |what: &str| format!("{name}/{what}-{node}");
        cluster.world.write(other, file("before"), "elsewhere");
        assert_eq!(cluster.nodes[node].end(), Some(0), "{}", cluster.logs());
        cluster.world.write(other, file("elsewhere"), "while down");
        cluster.world.write(node, file("here"), "while down");
        set_keys(cluster, node, keys);
        cluster.nodes[node].start();
        cluster.arrives(node, &file("before"), "elsewhere");
        cluster.arrives(node, &file("elsewhere"), "while down");
        for root in 0..cluster.nodes.len() {
            cluster.arrives(root, &file("here"), "while down");
        }
        cluster.world.write(node, file("live"), "from here");
        cluster.arrives(other, &file("live"), "from here");
        cluster.world.write(other, file("live"), "from there");
        cluster.arrives(node, &file("live"), "from there");
    }
}

/// What a sync with the first node says, with a key.
fn sync_with(cluster: &Cluster, key: &str) -> std::process::Output {
    let place = cluster.world.beside("visitor");
    std::fs::create_dir_all(&place).unwrap();
    let node = format!("replicat://{}", cluster.nodes[0].address);
    let mut command = command();
    command.arg("sync").arg(place).arg(node);
    command.env("REPLICAT_CLUSTER_KEY", key).output().unwrap()
}

#[test]
fn cluster_key_is_changed_while_edits_flow() {
    for count in [2, 3] {
        let mut cluster = Cluster::new(World::new(count), |node, other| node > other, &[]);
        let old = cluster.nodes[0].environment[0].1.clone();
        let new = new_key();
        cluster.start();
        cluster.settle();
        round(&mut cluster, "both", (&old, Some(&new)));
        assert_eq!(sync_with(&cluster, &old).status.code(), Some(0));
        // Its first node still shows the old key, which the visitor does not accept.
        assert_eq!(sync_with(&cluster, &new).status.code(), Some(5));
        round(&mut cluster, "other", (&new, Some(&old)));
        let shows = shown(&cluster, 0);
        assert_eq!(shows.len(), count - 1);
        round(&mut cluster, "new", (&new, None));
        assert_eq!(shown(&cluster, 0), shows);
        let refused = sync_with(&cluster, &old);
        assert_eq!(refused.status.code(), Some(5), "{refused:?}");
        let error = String::from_utf8(refused.stderr).unwrap();
        assert!(error.contains("their cluster keys differ"), "{error}");
        let tree = cluster.finish();
        let conflicts = tree.keys().filter(|path| {
            let path = String::from_utf8_lossy(path);
            path.contains(".conflict-")
        });
        assert_eq!(conflicts.count(), 0, "{tree:#?}");
    }
}

#[test]
fn node_that_missed_a_round_is_told_of_the_key() {
    let mut cluster = Cluster::new(World::new(2), |_, _| true, &[]);
    let old = cluster.nodes[0].environment[0].1.clone();
    let new = new_key();
    cluster.start();
    cluster.settle();
    assert_eq!(cluster.nodes[1].end(), Some(0));
    set_keys(&mut cluster, 1, (&new, None));
    cluster.nodes[1].start();
    let node = &mut cluster.nodes[1];
    assert_eq!(node.wait(), Some(4), "{}", node.log());
    let log = node.log();
    assert!(log.contains("under another cluster key"), "{log}");
    assert!(log.contains("--accept-cluster-key-file"), "{log}");
    // With the key before, it goes on.
    set_keys(&mut cluster, 1, (&new, Some(&old)));
    set_keys(&mut cluster, 0, (&old, Some(&new)));
    assert_eq!(cluster.nodes[0].end(), Some(0));
    cluster.world.write(1, "file", "content");
    cluster.start();
    cluster.arrives(0, "file", "content");
    cluster.settle();
}
