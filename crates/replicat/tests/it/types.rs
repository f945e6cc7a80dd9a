//! Paths that change their kind, and what cannot be synced.

use std::fs;
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, FileType, Mode, RenameFlags, mknodat, renameat_with};

use super::world::{Kind, World, command, contents, stat_everything, walk};

#[test]
fn s15_directory_against_file() {
    World::each(|world| {
        for (path, file, directory) in [("one", 0, world.last()), ("two", world.last(), 0)] {
            world.write(file, path, "a file");
            world.write(directory, format!("{path}/child"), "a child");
            let outcome = world.settle();
            assert_eq!(outcome.code, Some(1));
            let copy = world.copies(path).remove(0);
            assert_eq!(world.read(0, copy), "a file");
            assert_eq!(world.read(0, format!("{path}/child")), "a child");
        }
    });
}

#[test]
fn s15_directory_against_symlink() {
    World::each(|world| {
        world.symlink(0, "elsewhere", "name");
        world.write(world.last(), "name/child", "a child");
        world.settle();
        assert_eq!(world.read(0, "name/child"), "a child");
        let copy = world.copies("name").remove(0);
        let tree = world.tree();
        assert_eq!(
            tree[copy.as_bytes()].kind,
            Kind::Symlink(b"elsewhere".to_vec())
        );
    });
}

#[test]
fn s15_three_kinds_under_one_name() {
    let world = World::new(3);
    world.write(0, "name", "a file");
    world.symlink(1, "elsewhere", "name");
    world.write(2, "name/child", "a child");
    let outcome = world.settle();
    assert_eq!(outcome.list("conflicts").len(), 2);
    assert_eq!(world.copies("name").len(), 2);
    assert_eq!(world.read(0, "name/child"), "a child");
}

#[test]
fn s16_file_becomes_directory() {
    World::each(|world| {
        world.write(0, "name", "a file");
        world.settle();
        world.remove(0, "name");
        world.write(0, "name/deep/child", "a child");
        world.settle();
        world.assert_files(&[("name/deep/child", "a child")]);
        assert!(world.in_trash(world.last(), "a file"));
    });
}

#[test]
fn s16_file_becomes_directory_while_it_is_edited_elsewhere() {
    World::each(|world| {
        world.write(0, "name", "a file");
        world.settle();
        world.remove(0, "name");
        world.write(0, "name/child", "a child");
        world.write(world.last(), "name", "a file, edited");
        world.settle();
        let copy = world.copies("name").remove(0);
        world.assert_files(&[("name/child", "a child"), (&copy, "a file, edited")]);
    });
}

#[test]
fn s17_directory_becomes_file() {
    World::each(|world| {
        world.write(0, "name/deep/child", "a child");
        world.write(0, "name/other", "another");
        world.settle();
        world.remove(0, "name");
        world.write(0, "name", "a file");
        world.settle();
        world.assert_files(&[("name", "a file")]);
    });
}

#[test]
fn s17_directory_becomes_file_while_a_child_is_edited_elsewhere() {
    World::each(|world| {
        world.write(0, "name/deep/child", "a child");
        world.write(0, "name/other", "another");
        world.settle();
        world.remove(0, "name");
        world.write(0, "name", "a file");
        world.write(world.last(), "name/deep/child", "a child, edited");
        world.settle();
        let copy = world.copies("name").remove(0);
        world.assert_files(&[("name/deep/child", "a child, edited"), (&copy, "a file")]);
    });
}

#[test]
fn s18_directory_becomes_symlink() {
    World::each(|world| {
        for (path, target) in [("near", "other"), ("far", "/nowhere/at all")] {
            world.write(0, "other/file", "other");
            world.write(0, format!("{path}/child"), "a child");
            world.settle();
            world.remove(0, path);
            world.symlink(0, target, path);
            world.settle();
            let tree = world.tree();
            let link = &tree[path.as_bytes()].kind;
            assert_eq!(*link, Kind::Symlink(target.as_bytes().to_vec()));
            world.remove(world.last(), path);
            world.write(world.last(), format!("{path}/child"), "a child again");
            world.settle();
            assert_eq!(world.read(0, format!("{path}/child")), "a child again");
            world.assert_files_under("other", &[("other/file", "other")]);
        }
    });
}

#[test]
fn s18_directory_becomes_symlink_while_a_child_is_edited_elsewhere() {
    World::each(|world| {
        world.write(0, "other/child", "other");
        world.write(0, "name/child", "a child");
        world.settle();
        world.remove(0, "name");
        world.symlink(0, "other", "name");
        world.write(world.last(), "name/child", "a child, edited");
        world.settle();
        assert_eq!(world.read(0, "name/child"), "a child, edited");
        assert_eq!(world.read(0, "other/child"), "other");
        assert_eq!(world.copies("name").len(), 1);
    });
}

#[test]
fn s19_file_becomes_symlink_and_file_again() {
    World::each(|world| {
        world.write(0, "target", "milk");
        world.write(0, "name", "a file");
        world.settle();
        world.remove(0, "name");
        world.symlink(0, "target", "name");
        world.settle();
        let link = Kind::Symlink(b"target".to_vec());
        assert_eq!(world.tree()[&b"name"[..]].kind, link);
        world.remove(world.last(), "name");
        world.symlink(world.last(), "target2", "name");
        world.settle();
        let link = Kind::Symlink(b"target2".to_vec());
        assert_eq!(world.tree()[&b"name"[..]].kind, link);
        world.remove(world.last(), "name");
        world.write(world.last(), "name", "a file again");
        world.settle();
        world.assert_files(&[("name", "a file again"), ("target", "milk")]);
    });
}

#[test]
fn s19_file_becomes_symlink_while_it_is_edited_elsewhere() {
    World::each(|world| {
        world.write(0, "target", "milk");
        world.write(0, "name", "a file");
        world.settle();
        world.remove(0, "name");
        world.symlink(0, "target", "name");
        world.write(world.last(), "name", "a file, edited");
        world.settle();
        assert_eq!(world.read(0, "target"), "milk");
        let files = world.files();
        assert!(
            files.iter().any(|file| file.1 == "a file, edited"),
            "{files:?}"
        );
        let mut nodes = world.tree().into_values();
        assert!(nodes.any(|node| node.kind == Kind::Symlink(b"target".to_vec())));
    });
}

/// Exchanges two paths of a root for each other until told to stop; leaves them as they were.
fn exchange(world: &World, root: usize, stop: &AtomicBool) {
    let (one, other) = (world.path(root, "d"), world.path(root, "d.swap"));
    let swap = || renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE).unwrap();
    while !stop.load(Ordering::Relaxed) {
        swap();
        swap();
    }
}

#[test]
fn s20_parent_swapped_for_a_symlink_during_a_write() {
    const ROUNDS: usize = 6;
    const FILES: usize = 40;
    let world = World::new(2);
    let outside = world.beside("outside");
    fs::create_dir(&outside).unwrap();
    for file in 0..FILES {
        world.write(0, format!("d/file{file}"), format!("round 0 of {file}"));
        fs::write(outside.join(format!("file{file}")), "secret").unwrap();
    }
    world.symlink(0, &outside, "d.swap");
    world.settle();
    let untouched = stat_everything(&outside);
    for round in 1..=ROUNDS {
        // The exchange may have been synced: then the directory has the other name, and what has its own leads outside. Or
        // both do, if the directory was seen to go; this user writes through no link.
        let is_directory = |name: &&str| {
            fs::symlink_metadata(world.path(0, name)).is_ok_and(|found| found.is_dir())
        };
        let directory = ["d", "d.swap"]
            .into_iter()
            .find(is_directory)
            .unwrap_or("neither");
        for file in 0..FILES {
            world.write(
                0,
                format!("{directory}/file{file}"),
                format!("round {round} of {file}"),
            );
            world.write(0, format!("{directory}/new{round}-{file}"), "new");
        }
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| exchange(&world, 1, &stop));
            world.run(&[0, 1], &[]);
            stop.store(true, Ordering::Relaxed);
        });
        assert_eq!(stat_everything(&outside), untouched, "round {round}");
        for root in 0..2 {
            let tree = walk(world.root(root));
            let secret = Kind::File(b"secret".to_vec());
            assert!(
                tree.values().all(|node| node.kind != secret),
                "round {round}"
            );
        }
    }
    // A scan that looks at each of the two names while the other is the directory sees all files gone: what the users of
    // both roots did, taken together, may be a deletion. If it looks like an accident, it is rejected. In any case nothing is
    // lost.
    for brake in world.run(&[0, 1], &[]).list("brakes") {
        let mut reject = command();
        reject.arg("reject").arg(brake["root"].as_str().unwrap());
        let done = reject.output().unwrap();
        assert!(done.status.success(), "{done:?}");
    }
    world.settle();
    let held: Vec<_> = world.roots().iter().map(|root| contents(root)).collect();
    for file in 0..FILES {
        let content = format!("round {ROUNDS} of {file}");
        let is_held = held.iter().any(|held| held.contains(content.as_bytes()));
        assert!(is_held, "{content}");
    }
    assert_eq!(stat_everything(&outside), untouched);
}

#[test]
fn s21_pipe_socket_and_device_are_listed() {
    World::each(|world| {
        world.write(0, "d/file", "milk");
        let node = |path: &str, kind, device| {
            let mode = Mode::RUSR | Mode::WUSR;
            mknodat(CWD, world.path(0, path), kind, mode, device)
        };
        node("d/pipe", FileType::Fifo, 0).unwrap();
        let mut expected = vec!["d/pipe", "d/socket"];
        let _socket = UnixListener::bind(world.path(0, "d/socket")).unwrap();
        // Only root may make a device.
        if node(
            "d/device",
            FileType::CharacterDevice,
            rustix::fs::makedev(1, 3),
        )
        .is_ok()
        {
            expected.insert(0, "d/device");
        }
        for _ in 0..2 {
            let all: Vec<usize> = (0..world.count()).collect();
            let outcome = world.sync(&all, &[]);
            assert_eq!(outcome.code, Some(0), "{outcome:#?}");
            assert!(outcome.in_sync());
            let rows = outcome.list("skipped").iter();
            let mut skipped: Vec<&str> = rows.map(|row| row["path"].as_str().unwrap()).collect();
            skipped.sort_unstable();
            assert_eq!(skipped, expected, "{outcome:#?}");
            for row in outcome.list("skipped") {
                assert!(!row["reason"].as_str().unwrap().is_empty());
            }
            for root in 1..world.count() {
                assert_eq!(world.read(root, "d/file"), "milk");
                assert!(!world.exists(root, "d/pipe"));
            }
        }
        for path in expected {
            world.remove(0, path);
        }
        world.settle();
        assert_eq!(world.paths(), ["d", "d/file"]);
    });
}

#[test]
fn s21_a_pipe_where_another_root_has_a_file() {
    World::each(|world| {
        world.write(0, "name", "milk");
        let mode = Mode::RUSR | Mode::WUSR;
        mknodat(
            CWD,
            world.path(world.last(), "name"),
            FileType::Fifo,
            mode,
            0,
        )
        .unwrap();
        let all: Vec<usize> = (0..world.count()).collect();
        let outcome = world.sync(&all, &[]);
        assert_eq!(outcome.code, Some(3), "{outcome:#?}");
        let pipe = &walk(world.root(world.last()))[&b"name"[..]];
        assert_eq!(pipe.kind, Kind::Special);
        assert_eq!(world.read(0, "name"), "milk");
        world.remove(world.last(), "name");
        world.settle();
        world.assert_files(&[("name", "milk")]);
    });
}
