//! s65, s66: the index is damaged, deleted, or older than it should be.

use std::fs;
use std::path::PathBuf;

use crate::machine::tool;
use crate::world::{World, command};

/// At how many places a bit of the index is flipped.
const FLIPPED: usize = 40;

/// What happens to the bytes of an index.
type Damage = fn(&mut Vec<u8>);

fn index(world: &World, root: usize) -> PathBuf {
    world.path(root, ".replicat/index.redb")
}

/// A world in sync with a history behind it.
fn told(world: &World) {
    for name in ["kept", "edited", "deleted", "d/inner"] {
        world.write(0, name, format!("{name} at first"));
    }
    world.settle();
    world.write(world.last(), "kept", "kept, edited once");
    world.settle();
}

#[test]
fn s65_the_index_is_deleted() {
    World::each(|world| {
        told(world);
        let last = world.last();
        world.write(0, "edited", "edited elsewhere");
        world.remove(0, "deleted");
        world.write(0, "new", "new elsewhere");
        world.write(last, "d/inner", "edited where the index was lost");
        fs::remove_file(index(world, last)).unwrap();
        world.settle();
        assert_eq!(world.read(0, "edited"), "edited elsewhere");
        assert_eq!(world.read(0, "new"), "new elsewhere");
        assert!(!world.exists(last, "deleted"), "a deleted file came back");
        assert!(world.in_trash(last, "deleted at first"));
        let files = world.files();
        let edited = "edited where the index was lost".to_owned();
        assert!(files.iter().any(|(_, content)| *content == edited));
    });
}

#[test]
fn s65_all_state_of_all_roots_is_deleted() {
    World::each(|world| {
        told(world);
        world.write(0, "edited", "edited, then everything was lost");
        world.remove(0, "deleted");
        for root in world.roots() {
            fs::remove_dir_all(root.join(".replicat")).unwrap();
        }
        world.settle();
        assert_eq!(
            world.read(0, "deleted"),
            "deleted at first",
            "lost state never deletes"
        );
        let files = world.files();
        for content in ["edited at first", "edited, then everything was lost"] {
            assert!(files.iter().any(|(_, held)| held == content), "{files:?}");
        }
    });
}

#[test]
fn s65_the_index_is_damaged() {
    let damages: [(&str, Damage); 5] = [
        ("emptied", |bytes| bytes.clear()),
        ("cut in half", |bytes| bytes.truncate(bytes.len() / 2)),
        ("no index", |bytes| bytes.fill(b'x')),
        ("zeros in its middle", |bytes| {
            let (from, to) = (bytes.len() / 4, bytes.len() / 2);
            bytes[from..to].fill(0);
        }),
        ("zeros at its beginning", |bytes| bytes[..4096].fill(0)),
    ];
    for (what, damage) in damages {
        World::each(|world| {
            eprintln!("{what}");
            damaged(world, what, damage);
        });
    }
}

/// The damage is told of, and what to do about it; it harms no file, and the next sync without the index unites.
#[track_caller]
fn damaged(world: &World, what: &str, damage: Damage) {
    let last = world.last();
    told(world);
    world.write(0, "edited", "edited since");
    let mut bytes = fs::read(index(world, last)).unwrap();
    damage(&mut bytes);
    fs::write(index(world, last), bytes).unwrap();
    let all: Vec<usize> = (0..world.count()).collect();
    let outcome = world.sync(&all, &[]);
    let error = outcome.failure_of_last(world.count(), 5);
    assert_eq!(error["kind"], "index-damaged", "{what}");
    let advice = error["hint"].as_str().unwrap();
    // Those who only look say the same, though they look at a copy.
    let mut status = command();
    let looked = status.arg("status").arg(world.root(last)).output().unwrap();
    let looked = String::from_utf8_lossy(&looked.stderr).into_owned();
    assert!(looked.contains(advice), "{looked}");
    assert_eq!(world.read(last, "edited"), "edited at first");
    // The advice is the very thing to do.
    let words = advice.split('`').nth(1).unwrap();
    tool("sh", [&PathBuf::from("-c"), &words.into()]);
    assert!(!index(world, last).exists(), "{words}");
    world.settle();
    assert_eq!(world.read(last, "edited"), "edited since");
}

/// One byte of the index is flipped, at many places: it is noticed, or it does no harm.
#[test]
fn s65_bits_of_the_index_flip() {
    World::each(|world| {
        told(world);
        let all: Vec<usize> = (0..world.count()).collect();
        let at = index(world, world.last());
        let whole = fs::read(&at).unwrap();
        let trees = world.tree();
        let step = whole.len() / FLIPPED;
        let mut noticed = 0;
        for place in (0..whole.len()).step_by(step) {
            let mut bytes = whole.clone();
            bytes[place] ^= 0x10;
            fs::write(&at, bytes).unwrap();
            let outcome = world.sync(&all, &[]);
            match outcome.code {
                Some(0) => assert!(outcome.in_sync()),
                Some(3 | 5) => noticed += 1,
                _ => panic!("byte {place}: {outcome:#?}"),
            }
            assert_eq!(world.tree(), trees, "byte {place}");
        }
        eprintln!("noticed {noticed} of {FLIPPED}");
    });
}

/// What a backup of the last root is taken of, and how it comes back.
fn restore(world: &World, files: bool) {
    let last = world.last();
    told(world);
    let backup = world.beside("backup");
    let copy = |from: PathBuf, to: PathBuf| {
        tool("cp", [&"-a".into(), &from, &to]);
    };
    copy(world.root(last).to_owned(), backup.clone());
    world.write(last, "edited", "edited after the backup");
    world.write(last, "mine", "written after the backup");
    world.remove(0, "deleted");
    world.write(0, "new", "new after the backup");
    world.settle();
    if files {
        for name in ["edited", "mine", "new"] {
            world.remove(last, name);
        }
        for name in ["edited", "deleted"] {
            copy(backup.join(name), world.path(last, name));
        }
    }
    fs::remove_file(index(world, last)).unwrap();
    copy(backup.join(".replicat/index.redb"), index(world, last));
}

#[test]
fn s66_an_older_index_comes_back_without_the_files() {
    World::each(|world| {
        restore(world, false);
        world.write(world.last(), "kept", "edited after the restoration");
        let outcome = world.settle();
        assert!(outcome.list("conflicts").is_empty(), "{outcome:#?}");
        world.assert_files(&[
            ("d/inner", "d/inner at first"),
            ("edited", "edited after the backup"),
            ("kept", "edited after the restoration"),
            ("mine", "written after the backup"),
            ("new", "new after the backup"),
        ]);
    });
}

#[test]
fn s66_an_older_index_comes_back_with_the_files() {
    World::each(|world| {
        restore(world, true);
        world.write(world.last(), "kept", "edited after the restoration");
        world.settle();
        world.assert_files(&[
            ("d/inner", "d/inner at first"),
            ("edited", "edited after the backup"),
            ("kept", "edited after the restoration"),
            ("mine", "written after the backup"),
            ("new", "new after the backup"),
        ]);
    });
}

#[test]
fn s66_what_is_written_again_after_a_restoration_is_not_taken_for_what_was_lost() {
    World::each(|world| {
        restore(world, true);
        let last = world.last();
        world.write(last, "edited", "edited another way after the restoration");
        world.write(last, "mine", "written another way");
        world.settle();
        let files = world.files();
        for content in [
            "edited after the backup",
            "edited another way after the restoration",
            "written after the backup",
            "written another way",
        ] {
            assert!(
                files.iter().any(|(_, held)| held == content),
                "{content}: {files:?}"
            );
        }
        assert!(!world.exists(last, "deleted"));
    });
}
