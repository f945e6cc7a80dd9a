//! What belongs to a path beside its content.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::machine::{OrdinaryUser, has_root, own, tool};
use crate::world::World;

#[test]
fn s43_mode_only() {
    World::each(|world| {
        for name in ["plain", "set-id", "directory/inner", "private/inner"] {
            world.write(0, name, name);
        }
        world.settle();
        for (path, mode) in [
            ("plain", 0o640),
            ("set-id", 0o6751),
            ("directory", 0o2751),
            ("private", 0o1700),
        ] {
            world.chmod(world.last(), path, mode);
        }
        let outcome = world.settle();
        assert_eq!(outcome.figure("bytes_copied"), 0);
        let mode = |path| fs::metadata(world.path(0, path)).unwrap().mode() & 0o7777;
        assert_eq!(mode("plain"), 0o640);
        assert_eq!(mode("set-id"), 0o6751);
        assert_eq!(mode("directory"), 0o2751);
        assert_eq!(mode("private"), 0o1700);
    });
}

#[test]
fn s44_mtime_only() {
    const TIMES: [(&str, i64, i64); 4] = [
        ("precise", 1_700_000_000, 123_456_789),
        ("before 1970", -86_400 * 365, 999_999_999),
        ("far ahead", 4_000_000_000, 1),
        ("directory", 1_600_000_000, 42),
    ];
    World::each(|world| {
        for name in ["precise", "before 1970", "far ahead", "directory/inner"] {
            world.write(0, name, name);
        }
        world.symlink(0, "precise", "link");
        world.settle();
        for (path, seconds, nanoseconds) in TIMES {
            world.touch(world.last(), path, seconds, nanoseconds);
        }
        world.touch(world.last(), "link", 1_500_000_000, 7);
        let outcome = world.settle();
        assert_eq!(outcome.figure("bytes_copied"), 0);
        for (path, seconds, nanoseconds) in TIMES {
            let stat = fs::metadata(world.path(0, path)).unwrap();
            assert_eq!(
                (stat.mtime(), stat.mtime_nsec()),
                (seconds, nanoseconds),
                "{path}"
            );
        }
    });
}

#[test]
fn s44_a_directory_keeps_its_time_when_its_children_arrive() {
    World::each(|world| {
        world.write(0, "directory/below/inner", "x");
        world.touch(0, "directory/below", 1_000_000_000, 5);
        world.touch(0, "directory", 1_000_000_001, 6);
        world.settle();
        let stat = fs::metadata(world.path(world.last(), "directory")).unwrap();
        assert_eq!((stat.mtime(), stat.mtime_nsec()), (1_000_000_001, 6));
    });
}

fn set_attribute(path: &Path, name: &str, value: &[u8]) {
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(path, name, value, flags).unwrap();
}

#[test]
fn s45_extended_attributes_only() {
    World::each(|world| {
        world.write(0, "file", "x");
        world.write(0, "many", "x");
        world.mkdir(0, "directory");
        set_attribute(&world.path(0, "many"), "user.goes", b"away");
        world.settle();
        let last = world.last();
        set_attribute(&world.path(last, "file"), "user.colour", b"red");
        set_attribute(&world.path(last, "file"), "user.bytes", b"\0\xff\n");
        set_attribute(&world.path(last, "directory"), "user.kind", &[b'k'; 1000]);
        set_attribute(&world.path(last, "many"), "user.empty", b"");
        rustix::fs::removexattr(world.path(last, "many"), "user.goes").unwrap();
        let outcome = world.settle();
        assert_eq!(outcome.figure("bytes_copied"), 0);
        let node = &world.tree()[b"file".as_slice()];
        assert_eq!(node.xattrs[b"user.colour".as_slice()], b"red");
        assert_eq!(node.xattrs[b"user.bytes".as_slice()], b"\0\xff\n");
        let many = &world.tree()[b"many".as_slice()];
        assert_eq!(many.xattrs.len(), 1);
    });
}

#[test]
fn s46_access_control_lists() {
    World::each(|world| {
        world.write(0, "file", "x");
        world.write(0, "directory/inner", "x");
        world.settle();
        let acl = |words: &[&str], path: &str| {
            let path = world.path(world.last(), path);
            tool(
                "setfacl",
                words.iter().map(OsStr::new).chain([path.as_os_str()]),
            );
        };
        acl(&["-m", "u:1234:rwx,g:4321:r"], "file");
        acl(&["-m", "d:u:1234:rx"], "directory");
        let outcome = world.settle();
        assert_eq!(outcome.figure("bytes_copied"), 0);
        let node = &world.tree()[b"file".as_slice()];
        assert!(
            node.xattrs
                .contains_key(b"system.posix_acl_access".as_slice())
        );
        let node = &world.tree()[b"directory".as_slice()];
        assert!(
            node.xattrs
                .contains_key(b"system.posix_acl_default".as_slice())
        );
        // What is created below a directory with a default list gets what it has at its origin, not what it inherits.
        world.write(0, "directory/later", "x");
        tool(
            "setfacl",
            [
                OsStr::new("-b"),
                world.path(0, "directory/later").as_os_str(),
            ],
        );
        world.settle();
        acl(&["-b"], "file");
        world.settle();
        assert!(world.tree()[b"file".as_slice()].xattrs.is_empty());
    });
}

#[test]
fn s47_a_sparse_file_stays_sparse() {
    const SIZE: u64 = 64 << 20;
    World::each(|world| {
        let path = world.path(0, "sparse");
        let file = fs::File::create(&path).unwrap();
        file.set_len(SIZE).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, b"island", SIZE / 2).unwrap();
        fs::File::create(world.path(0, "only a hole"))
            .unwrap()
            .set_len(SIZE)
            .unwrap();
        drop(file);
        world.settle();
        assert_sparse(&world.path(world.last(), "sparse"), SIZE);
        assert_sparse(&world.path(world.last(), "only a hole"), SIZE);
        let path = world.path(world.last(), "sparse");
        let file = fs::File::options().write(true).open(&path).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, b"another", SIZE / 4).unwrap();
        file.set_len(SIZE + SIZE / 2).unwrap();
        drop(file);
        world.settle();
        assert_sparse(&world.path(0, "sparse"), SIZE + SIZE / 2);
    });
}

#[track_caller]
fn assert_sparse(path: &Path, size: u64) {
    let stat = fs::metadata(path).unwrap();
    assert_eq!(stat.len(), size);
    let held = stat.blocks() * 512;
    assert!(held < 4 << 20, "{path:?} holds {held} bytes on disk");
}

#[test]
fn s48_empty_directories() {
    World::each(|world| {
        world.mkdir(0, "a/b/c");
        world.mkdir(world.last(), "d");
        world.settle();
        assert_eq!(world.paths(), ["a", "a/b", "a/b/c", "d"]);
        world.remove(world.last(), "a/b/c");
        world.remove(0, "d");
        world.settle();
        assert_eq!(world.paths(), ["a", "a/b"]);
    });
}

#[test]
fn s49_a_read_only_directory_with_a_new_child() {
    World::each(|world| {
        world.write(0, "open", "x");
        world.write(0, "closed/old", "x");
        world.chmod(0, "closed", 0o555);
        let user = OrdinaryUser::of(world);
        user.settle(world);
        for root in [0, world.last()] {
            world.chmod(root, "closed", 0o755);
            world.write(root, format!("closed/by {root}"), "new");
            world.write(root, format!("closed/below {root}/new"), "new");
            world.chmod(root, format!("closed/below {root}"), 0o500);
            world.chmod(root, "closed", 0o555);
            own(&world.path(root, "closed"));
        }
        user.settle(world);
        assert!(world.exists(0, format!("closed/by {}", world.last())));
        let mode = fs::metadata(world.path(world.last(), "closed"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o555);
        world.chmod(0, "closed", 0o755);
        for root in [0, world.last()] {
            world.chmod(0, format!("closed/below {root}"), 0o700);
        }
        world.remove(0, "closed");
        user.settle(world);
        assert_eq!(world.paths(), ["open"]);
    });
}

#[test]
fn s50_an_unknown_user() {
    if !has_root() {
        return;
    }
    World::each(|world| {
        world.write(0, "file", "x");
        world.mkdir(0, "directory");
        world.symlink(0, "file", "link");
        world.settle();
        for path in ["file", "directory", "link"] {
            let path = world.path(world.last(), path);
            std::os::unix::fs::lchown(path, Some(54_321), Some(65_432)).unwrap();
        }
        let outcome = world.settle();
        assert_eq!(outcome.figure("bytes_copied"), 0);
        for path in ["file", "directory", "link"] {
            let stat = fs::symlink_metadata(world.path(0, path)).unwrap();
            assert_eq!((stat.uid(), stat.gid()), (54_321, 65_432), "{path}");
        }
    });
}

#[test]
fn s50_owners_are_left_out_where_that_is_asked_for() {
    if !has_root() {
        return;
    }
    let world = World::new(2).with(&["--no-owner"]);
    world.write(0, "file", "x");
    std::os::unix::fs::chown(world.path(0, "file"), Some(54_321), None).unwrap();
    assert_eq!(world.run(&[0, 1], &[]).code, Some(0));
    assert_eq!(fs::metadata(world.path(1, "file")).unwrap().uid(), 0);
    assert_eq!(fs::metadata(world.path(0, "file")).unwrap().uid(), 54_321);
    world.assert_idle(&world.run(&[0, 1], &[]));
}
