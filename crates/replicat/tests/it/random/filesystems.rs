//! Histories over roots on several filesystems.

use std::ffi::OsStr;
use std::fs;

use crate::machine::{Mount, tool};
use crate::world::World;

const IMAGE_BYTES: u64 = 400 << 20;

/// Mounts what each root lies on, if the environment says so: in another order for each seed.
pub(super) fn mounted(world: &World, seed: u64) -> Vec<Mount> {
    let named = std::env::var("REPLICAT_TEST_FILESYSTEMS").unwrap_or_default();
    let named: Vec<&str> = named.split(',').filter(|name| !name.is_empty()).collect();
    if named.is_empty() {
        return Vec::new();
    }
    let first = usize::try_from(seed).unwrap();
    let chosen = (0..world.count()).map(|root| named[(first + root) % named.len()]);
    chosen
        .enumerate()
        .filter_map(|(root, kind)| mount(world, root, kind))
        .collect()
}

fn mount(world: &World, root: usize, kind: &str) -> Option<Mount> {
    let maker: &[&str] = match kind {
        "host" => return None,
        "bindfs" => {
            let behind = world.beside(&format!("behind-{root}"));
            fs::create_dir(&behind).unwrap();
            return Some(Mount::passed_on(&behind, world.root(root)));
        }
        "xfs" => &["mkfs.xfs", "-q"],
        "btrfs" => &["mkfs.btrfs", "-q"],
        "ext4" => &["mkfs.ext4", "-q"],
        other => panic!("no filesystem to test on: {other}"),
    };
    let image = world.beside(&format!("image-{root}"));
    let file = fs::File::create(&image).unwrap();
    file.set_len(IMAGE_BYTES).unwrap();
    let words = maker[1..].iter().map(OsStr::new);
    tool(maker[0], words.chain([image.as_os_str()]));
    let mount = Mount::image(&image, world.root(root));
    // What the maker put there is no user's.
    let found = world.path(root, "lost+found");
    if found.exists() {
        fs::remove_dir(found).unwrap();
    }
    Some(mount)
}
