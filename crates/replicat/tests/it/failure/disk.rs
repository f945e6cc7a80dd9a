//! s63: the disk is full.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::cluster::{Cluster, until};
use crate::machine::{Mount, has_root};
use crate::world::{Kind, Outcome, World, walk};

/// Filesystems too small for what the index becomes, in KiB, and one or two that are not.
const SIZES: [u32; 6] = [64, 256, 512, 768, 1024, 1536];

#[track_caller]
fn assert_full(world: &World, outcome: &Outcome) {
    let error = outcome.failure_of_last(world.count(), 5);
    assert_eq!(error["kind"], "disk-full");
    assert!(error["message"].as_str().unwrap().contains("is full"));
    assert!(error["hint"].as_str().unwrap().contains("make room"));
    if world.count() > 2 {
        assert_eq!(walk(world.root(1)), walk(world.root(0)));
    }
}

/// Everything that a root holds is what another held under that name.
#[track_caller]
fn assert_whole(world: &World, root: usize, model: usize) {
    let model = walk(world.root(model));
    for (path, node) in walk(world.root(root)) {
        if let Kind::File(_) = node.kind {
            assert_eq!(Some(&node.kind), model.get(&path).map(|node| &node.kind));
        }
    }
}

/// A sync that brought all but some files, for which there is no room; their paths.
#[track_caller]
fn without_room(outcome: &Outcome) -> Vec<String> {
    assert_eq!(outcome.code, Some(3), "{outcome:#?}");
    assert!(!outcome.in_sync());
    let summary = outcome.of_type("summary").next().unwrap();
    let skipped = summary["skipped"].as_array().unwrap().iter();
    let mut paths: Vec<String> = skipped
        .filter(|row| row["kind"] == "disk-full")
        .map(|row| row["path"].as_str().unwrap().to_owned())
        .collect();
    paths.sort();
    paths
}

/// How many downloads that were cut off are kept in a root.
fn partials(world: &World, root: usize) -> usize {
    let partial = world.path(root, ".replicat/staging/partial");
    fs::read_dir(partial).unwrap().count()
}

#[test]
fn s63_the_disk_is_full_while_files_are_staged() {
    if !has_root() {
        return;
    }
    World::each(|world| {
        let small = Mount::memory(world.root(world.last()), "4m");
        for number in 0..40_u8 {
            world.write(0, format!("file {number}"), vec![number; 300_000]);
        }
        let all: Vec<usize> = (0..world.count()).collect();
        let out = without_room(&world.sync(&all, &[])).len();
        assert!((20..40).contains(&out), "{out} of 40 did not fit");
        assert_whole(world, world.last(), 0);
        assert_eq!(without_room(&world.sync(&all, &[])).len(), out);
        small.resize("64m");
        world.settle();
        assert_eq!(world.paths().len(), 40);
    });
}

#[test]
fn s63_an_edit_does_not_fit() {
    if !has_root() {
        return;
    }
    World::each(|world| {
        let small = Mount::memory(world.root(world.last()), "4m");
        world.write(0, "grows", vec![1; 1_000_000]);
        world.write(0, "stays", "as it is");
        world.settle();
        world.write(0, "grows", vec![2; 8_000_000]);
        world.write(world.last(), "stays", "edited on the full disk");
        let all: Vec<usize> = (0..world.count()).collect();
        assert_eq!(without_room(&world.sync(&all, &[])), ["grows"]);
        let held = fs::read(world.path(world.last(), "grows")).unwrap();
        assert_eq!(held, vec![1; 1_000_000]);
        // The others go on.
        assert_eq!(world.read(0, "stays"), "edited on the full disk");
        small.resize("64m");
        world.settle();
    });
}

#[test]
fn file_that_never_fits_is_listed_until_it_is_gone() {
    if !has_root() {
        return;
    }
    let world = World::new(2);
    let _small = Mount::memory(world.root(1), "32m");
    let large: Vec<u8> = (0..10_000_000_u32)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    world.write(0, "large", &large);
    world.write(0, "small", "x");
    assert_eq!(without_room(&world.sync(&[0, 1], &[])), ["large"]);
    assert_eq!(world.read(1, "small"), "x");
    assert_eq!(partials(&world, 1), 0);
    // Half of it fits, and was left by a run that was cut off.
    let left = world
        .path(1, ".replicat/staging/partial")
        .join("7".repeat(64));
    fs::write(&left, &large[..20_000_000]).unwrap();
    world.write(0, "other", &large[..20_000_000]);
    assert_eq!(without_room(&world.sync(&[0, 1], &[])), ["large"]);
    assert!(world.exists(1, "other") && partials(&world, 1) == 0);
    world.remove(0, "large");
    world.settle();
}

#[test]
fn node_goes_on_beside_a_file_that_does_not_fit() {
    if !has_root() {
        return;
    }
    let world = World::new(2);
    let _small = Mount::memory(world.root(1), "32m");
    let mut cluster = Cluster::new(world, |_, _| true, &[]);
    cluster.start();
    cluster.world.write(0, "first", "1");
    cluster.arrives(1, "first", "1");
    cluster.world.write(0, "large", vec![7; 40_000_000]);
    until("the large file is listed", || {
        let folder = cluster.nodes[1].folder();
        let skipped = folder.map(|folder| folder["skipped"].clone());
        skipped.is_some_and(|rows| rows[0]["path"] == "large" && rows[0]["kind"] == "disk-full")
    });
    cluster.world.write(0, "second", "2");
    cluster.arrives(1, "second", "2");
    cluster.world.remove(0, "large");
    cluster.finish();
}

#[test]
fn hot_file_does_not_fill_the_trash() {
    const LIMIT: u64 = 2_400_000;
    if !has_root() {
        return;
    }
    let world = World::new(2);
    let small = Mount::memory(world.root(1), "64m");
    let options = ["--trash-size", "2400k"];
    let mut cluster = Cluster::new(world, |_, _| true, &options);
    cluster.start();
    cluster.world.write(0, "deleted", "by accident");
    cluster.arrives(1, "deleted", "by accident");
    cluster.world.remove(0, "deleted");
    until("it is deleted", || !cluster.world.exists(1, "deleted"));
    let trash = cluster.world.path(1, ".replicat/trash");
    for round in 0..20_u32 {
        let content = vec![u8::try_from(round).unwrap(); 500_000];
        cluster.world.write(0, "hot", &content);
        until("the edit", || {
            fs::read(cluster.world.path(1, "hot")).is_ok_and(|held| held == content)
        });
        let mut held = 0;
        // One version more may be on its way out.
        until("the trash is within its limits", || {
            held = bytes_below(&trash);
            held <= LIMIT
        });
    }
    assert!(
        cluster.world.in_trash(1, "by accident"),
        "a hot file pushed it out"
    );
    assert!(bytes_below(&trash) > 1_000_000, "some versions are kept");
    cluster.finish();
    drop(small);
}

/// How many bytes the files below a directory hold.
fn bytes_below(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(found) if found.is_dir() => bytes_below(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

#[test]
fn s63_the_index_does_not_fit() {
    if !has_root() {
        return;
    }
    let mut refused = 0;
    for (roots, kibibytes) in [2, 3]
        .into_iter()
        .flat_map(|roots| SIZES.map(|size| (roots, size)))
    {
        let world = World::new(roots);
        let small = Mount::memory(world.root(world.last()), &format!("{kibibytes}k"));
        for number in 0..1500 {
            world.write(0, format!("{:03}/{number:0100}", number / 50), "");
        }
        let all: Vec<usize> = (0..roots).collect();
        let outcome = world.sync(&all, &[]);
        if outcome.code != Some(0) {
            assert_full(&world, &outcome);
            refused += 1;
        }
        small.resize("64m");
        world.settle();
        assert_eq!(walk(world.root(world.last())), walk(world.root(0)));
    }
    assert!(refused > 3, "some were too small");
}

#[test]
fn s63_the_disk_of_the_source_is_full() {
    if !has_root() {
        return;
    }
    World::each(|world| {
        let small = Mount::memory(world.root(0), "1m");
        world.write(0, "first", "x");
        world.settle();
        world.write(world.last(), "from the other", "y");
        let filler = world.path(0, "filler");
        let mut filled = fs::File::create(&filler).unwrap();
        while std::io::Write::write_all(&mut filled, &[0; 4096]).is_ok() {}
        let all: Vec<usize> = (0..world.count()).collect();
        let outcome = world.sync(&all, &[]);
        assert!(
            outcome.code == Some(5) || outcome.code == Some(3),
            "{outcome:#?}"
        );
        let told: Vec<&Value> = outcome.of_type("error").collect();
        assert!(
            told.iter().all(|error| error["kind"] == "disk-full"),
            "{told:?}"
        );
        small.resize("64m");
        world.settle();
        assert_eq!(world.paths(), ["filler", "first", "from the other"]);
    });
}
