//! s63: the disk is full.

use std::fs;

use serde_json::Value;

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
        assert_full(world, &world.sync(&all, &[]));
        assert_whole(world, world.last(), 0);
        assert_full(world, &world.sync(&all, &[]));
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
        assert_full(world, &world.sync(&all, &[]));
        let held = fs::read(world.path(world.last(), "grows")).unwrap();
        assert_eq!(held, vec![1; 1_000_000]);
        if world.count() > 2 {
            assert_eq!(world.read(1, "stays"), "edited on the full disk");
        }
        small.resize("64m");
        world.settle();
        assert_eq!(world.read(0, "stays"), "edited on the full disk");
    });
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
