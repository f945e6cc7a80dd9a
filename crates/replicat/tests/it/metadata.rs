//! What belongs to a path beside its content.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::machine::{Mount, OrdinaryUser, has, has_program, has_root, own, tool};
use crate::world::{Outcome, World, command};

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

/// The paths that are listed because a storage does not hold all of their description, with their severities.
fn not_held(outcome: &Outcome) -> Vec<(String, String)> {
    let summary = outcome.of_type("summary").next().unwrap();
    let rows = summary["skipped"].as_array().unwrap().iter();
    let rows = rows.filter(|row| row["kind"] == "not-held");
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    rows.map(|row| (text(&row["path"]), text(&row["severity"])))
        .collect()
}

fn mode(world: &World, root: usize, path: &str) -> u32 {
    fs::metadata(world.path(root, path)).unwrap().mode() & 0o7777
}

fn chmod(world: &World, root: usize, path: &str, mode: u32) {
    let mode = fs::Permissions::from_mode(mode);
    fs::set_permissions(world.path(root, path), mode).unwrap();
}

/// Syncs two roots to their end; the code, and what is not held.
fn held_back(world: &World) -> (Option<i32>, Vec<(String, String)>) {
    // Roots that are in sync need not be equal here.
    let mut sync = command();
    sync.args(["sync", "--json"]).args(world.roots());
    let outcome = Outcome::of(&sync.output().unwrap());
    (outcome.code, not_held(&outcome))
}

/// A filesystem of an image, mounted as the second root.
fn mounted(world: &World, maker: &[&str]) -> Mount {
    let image = world.beside("image");
    fs::File::create(&image).unwrap().set_len(32 << 20).unwrap();
    let words = maker[1..].iter().map(OsStr::new);
    tool(maker[0], words.chain([image.as_os_str()]));
    Mount::image(&image, world.root(1))
}

fn listed(paths: &[&str], severity: &str) -> Vec<(String, String)> {
    let row = |path: &&str| ((*path).to_owned(), severity.to_owned());
    paths.iter().map(row).collect()
}

#[test]
fn mode_that_is_refused_does_not_flow_back() {
    if !has_root() || !has_program("chattr") {
        return;
    }
    let world = World::new(2);
    world.write(0, "key", "secret");
    world.settle();
    chmod(&world, 0, "key", 0o600);
    let key = world.path(1, "key");
    tool("chattr", [OsStr::new("+i"), key.as_os_str()]);
    // Twice: what could not be set is no change of the other root either.
    for _ in 0..2 {
        assert_eq!(held_back(&world), (Some(3), listed(&["key"], "error")));
        assert_eq!(
            [mode(&world, 0, "key"), mode(&world, 1, "key")],
            [0o600, 0o644]
        );
    }
    tool("chattr", [OsStr::new("-i"), key.as_os_str()]);
    world.settle();
    assert_eq!(
        [mode(&world, 0, "key"), mode(&world, 1, "key")],
        [0o600, 0o600]
    );
}

#[test]
fn time_that_a_filesystem_does_not_hold_stays_elsewhere() {
    const IN_2039: i64 = 2_190_000_000;
    if !has_root() || !has_program("mkfs.ext4") {
        return;
    }
    let world = World::new(2);
    let _mount = mounted(&world, &["mkfs.ext4", "-q", "-I", "128"]);
    world.write(0, "file", "x");
    world.touch(0, "file", IN_2039, 5);
    world.write(0, "other", "x");
    let mtime = |root| fs::metadata(world.path(root, "file")).unwrap().mtime();
    for _ in 0..2 {
        assert_eq!(held_back(&world), (Some(0), listed(&["file"], "warning")));
        assert_eq!(mtime(0), IN_2039);
    }
    // A change of another aspect there leaves the time alone.
    chmod(&world, 1, "file", 0o600);
    assert_eq!(held_back(&world), (Some(0), listed(&["file"], "warning")));
    assert_eq!((mtime(0), mode(&world, 0, "file")), (IN_2039, 0o600));
    // A time that it can hold is a change.
    world.touch(1, "file", 1_000_000_000, 0);
    assert_eq!(held_back(&world), (Some(0), Vec::new()));
    assert_eq!(mtime(0), 1_000_000_000);
}

#[test]
fn attribute_that_is_too_large_survives_elsewhere() {
    if !has_root() || !has_program("mkfs.ext4") || !has_program("mkfs.xfs") {
        return;
    }
    let world = World::new(2);
    let large = world.beside("large");
    fs::File::create(&large)
        .unwrap()
        .set_len(400 << 20)
        .unwrap();
    tool("mkfs.xfs", [OsStr::new("-q"), large.as_os_str()]);
    let _large = Mount::image(&large, world.root(0));
    let _small = mounted(&world, &["mkfs.ext4", "-q"]);
    world.write(0, "file", "x");
    set_attribute(&world.path(0, "file"), "user.big", &[b'b'; 20_000]);
    set_attribute(&world.path(0, "file"), "user.small", b"s");
    let attributes = |root: usize| -> Vec<String> {
        let mut names = vec![0; 1000];
        let length = rustix::fs::listxattr(world.path(root, "file"), &mut names).unwrap();
        let names = names[..length]
            .split(|byte| *byte == 0)
            .filter(|name| !name.is_empty());
        let mut names: Vec<_> = names
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect();
        names.sort();
        names
    };
    let warned = (Some(0), listed(&["file"], "warning"));
    assert_eq!(held_back(&world), warned);
    chmod(&world, 1, "file", 0o600);
    assert_eq!(held_back(&world), warned);
    set_attribute(&world.path(1, "file"), "user.more", b"m");
    assert_eq!(held_back(&world), warned);
    assert_eq!(mode(&world, 0, "file"), 0o600);
    assert_eq!(attributes(0), ["user.big", "user.more", "user.small"]);
    assert_eq!(attributes(1), ["user.more", "user.small"]);
    rustix::fs::removexattr(world.path(0, "file"), "user.big").unwrap();
    assert_eq!(held_back(&world), (Some(0), Vec::new()));
}

#[test]
fn modes_survive_a_sync_with_an_exfat_stick() {
    let has_device = Path::new("/dev/fuse").exists();
    let tools = has_program("mkfs.exfat") && has_program("mount.exfat-fuse");
    if !has_root() || !tools || !has("/dev/fuse", has_device) {
        return;
    }
    let world = World::new(2);
    let _stick = Mount::exfat(&world.beside("stick"), world.root(1));
    world.write(0, "key", "secret");
    chmod(&world, 0, "key", 0o600);
    world.write(0, "tool", "run");
    chmod(&world, 0, "tool", 0o755);
    world.write(0, "old", "x");
    world.touch(0, "old", 1_000_000_000, 0);
    let warned = (Some(0), listed(&["", "key", "old", "tool"], "warning"));
    for _ in 0..2 {
        assert_eq!(held_back(&world), warned);
        assert_eq!(
            [mode(&world, 0, "key"), mode(&world, 0, "tool")],
            [0o600, 0o755]
        );
    }
    world.write(1, "key", "secret, edited on the stick");
    assert_eq!(held_back(&world), warned);
    assert_eq!(world.read(0, "key"), "secret, edited on the stick");
    assert_eq!(mode(&world, 0, "key"), 0o600);
    world.rename(1, "tool", "renamed");
    assert_eq!(
        held_back(&world),
        (Some(0), listed(&["", "key", "old", "renamed"], "warning"))
    );
    assert_eq!(mode(&world, 0, "renamed"), 0o755);
    // The stick leaves out a time that is set alone.
    let old = fs::metadata(world.path(1, "old")).unwrap();
    assert_eq!(old.mtime(), 1_000_000_000);
}
