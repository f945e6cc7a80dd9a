//! Users tidy up in the state directory of a running node.

use std::fs;

use crate::cluster::Cluster;
use crate::world::World;

/// Two nodes in sync, of which the second loses what `tidy` removes of its state. Edits go on.
fn tidied(tidy: &[&str]) -> Cluster {
    let mut cluster = Cluster::new(World::new(2), |_, _| true, &[]);
    cluster.start();
    for name in ["edited", "deleted", "kept"] {
        cluster.world.write(0, name, "1");
        cluster.arrives(1, name, "1");
    }
    // So that the trash of today is in use.
    cluster.world.write(0, "edited", "2");
    cluster.arrives(1, "edited", "2");
    for name in tidy {
        fs::remove_dir_all(cluster.world.path(1, ".replicat").join(name)).unwrap();
    }
    cluster
}

fn go_on(mut cluster: Cluster) {
    cluster.world.write(0, "edited", "3");
    cluster.world.remove(0, "deleted");
    cluster.arrives(1, "edited", "3");
    cluster.goes(1, "deleted");
    cluster.world.write(1, "kept", "2");
    cluster.world.write(0, "new", "new");
    cluster.arrives(0, "kept", "2");
    cluster.arrives(1, "new", "new");
    cluster.settle();
    cluster.finish();
}

#[test]
fn days_of_the_trash_are_made_again() {
    let cluster = tidied(&[]);
    for day in fs::read_dir(cluster.world.path(1, ".replicat/trash")).unwrap() {
        fs::remove_dir_all(day.unwrap().path()).unwrap();
    }
    cluster.world.write(0, "edited", "3");
    cluster.arrives(1, "edited", "3");
    assert!(cluster.world.in_trash(1, "2"));
    go_on(cluster);
}

#[test]
fn trash_and_staging_are_made_again() {
    for tidy in [
        &["trash"][..],
        &["staging"],
        &["trash", "staging"],
        &["staging/ready"],
    ] {
        go_on(tidied(tidy));
    }
}

#[test]
fn node_whose_state_is_removed_is_a_new_replica() {
    let cluster = tidied(&[""]);
    cluster.world.write(0, "edited", "3");
    cluster.arrives(1, "edited", "3");
    go_on(cluster);
}
