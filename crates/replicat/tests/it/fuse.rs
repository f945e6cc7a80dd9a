//! Filesystems that a process serves: what they tell of a file at once is not what they tell after a while.

use std::time::{Duration, Instant};

use crate::cluster::{Cluster, Node, until};
use crate::machine::{Mount, has, has_program, has_root};
use crate::world::World;

/// Far less than the time after which all is compared anyway.
const SOON: Duration = Duration::from_secs(20);

#[test]
fn new_files_of_a_filesystem_in_user_space_are_sent_at_once() {
    let has_device = std::path::Path::new("/dev/fuse").exists();
    if !has_root() || !has_program("bindfs") || !has("/dev/fuse", has_device) {
        return;
    }
    let world = World::new(2);
    let behind = world.beside("behind");
    std::fs::create_dir(&behind).unwrap();
    let _mount = Mount::passed_on(&behind, world.root(0));
    let mut cluster = Cluster::new(world, |_, _| true, &[]);
    cluster.start();
    let started = Instant::now();
    for round in 0..10 {
        let name = format!("d/file{round}");
        cluster.world.write(0, &name, "content");
        cluster.arrives(1, &name, "content");
        cluster.world.write(0, &name, "edited");
        cluster.arrives(1, &name, "edited");
        cluster.world.write(1, &name, "edited elsewhere");
        cluster.arrives(0, &name, "edited elsewhere");
    }
    until("both are in sync", || {
        let folders = cluster.nodes.iter().filter_map(Node::folder);
        folders.filter(|folder| folder["in_sync"] == true).count() == 2
    });
    assert!(started.elapsed() < SOON, "{:?}", started.elapsed());
    // Times of directories are not compared: the filesystem removes a replaced file that is open a while later, in its directory.
    for node in &mut cluster.nodes {
        assert_eq!(node.end(), Some(0));
    }
}
