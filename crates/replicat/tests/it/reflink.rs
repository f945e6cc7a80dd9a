//! Filesystems that let files share blocks: what a root holds already is shared, not copied.
//!
//! The roots of each world lie on one btrfs or XFS in an image; which blocks are shared is what the filesystem says.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use crate::machine::{Mount, has, has_program, has_root, tool};
use crate::world::World;

/// What makes the filesystems: XFS wants 300 MB. The images are sparse.
const MAKERS: [(&str, &[&str]); 2] = [
    ("btrfs", &["mkfs.btrfs", "-q"]),
    ("xfs", &["mkfs.xfs", "-q", "-m", "reflink=1"]),
];
const IMAGE_BYTES: u64 = 400 << 20;
const FILE_BYTES: usize = 8 << 20;

/// Runs a scenario over two and three roots on each kind of filesystem that shares blocks.
fn each_filesystem(scenario: impl Fn(&World)) {
    if !has_root() || !has_program("filefrag") {
        return;
    }
    for (kind, maker) in MAKERS {
        let supported = fs::read_to_string("/proc/filesystems").unwrap();
        let supported = supported.split_whitespace().any(|name| name == kind);
        if !has(&format!("a kernel with {kind}"), supported) || !has_program(maker[0]) {
            continue;
        }
        for roots in [2, 3] {
            eprintln!("over {roots} roots on {kind}");
            let world = World::new(roots);
            let image = world.beside("image");
            fs::File::create(&image)
                .unwrap()
                .set_len(IMAGE_BYTES)
                .unwrap();
            let words = maker[1..].iter().map(OsStr::new);
            tool(maker[0], words.chain([image.as_os_str()]));
            let at = world.beside("disk");
            fs::create_dir(&at).unwrap();
            // Given up before the directory that it is in.
            let mount = Mount::image(&image, &at);
            let world = world.moved_to(&at);
            scenario(&world);
            drop(mount);
        }
    }
}

/// Bytes that do not repeat.
fn noise(mut seed: u64) -> Vec<u8> {
    let mut next = || {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 56) as u8
    };
    (0..FILE_BYTES).map(|_| next()).collect()
}

/// How many of a file's blocks the filesystem says are shared with another, in per cent.
fn shared_per_cent(file: &Path) -> u64 {
    let told = tool("filefrag", ["-s".as_ref(), "-v".as_ref(), file.as_os_str()]);
    let (mut shared, mut all) = (0, 0);
    // `ext: logical_offset: physical_offset: length: expected: flags`, the fifth may be left out.
    for line in told.lines() {
        let columns: Vec<&str> = line.split(':').map(str::trim).collect();
        let is_extent = columns.len() >= 5 && columns[0].parse::<u64>().is_ok();
        if !is_extent {
            continue;
        }
        let blocks: u64 = columns[3].parse().unwrap();
        all += blocks;
        if columns
            .last()
            .unwrap()
            .split(',')
            .any(|flag| flag.trim() == "shared")
        {
            shared += blocks;
        }
    }
    assert!(all > 0, "{told}");
    shared * 100 / all
}

/// How many bytes the filesystem uses that holds a directory.
fn used(directory: &Path) -> u64 {
    tool("sync", ["-f".as_ref(), directory.as_os_str()]);
    let told = rustix::fs::statvfs(directory).unwrap();
    (told.f_blocks - told.f_bfree) * told.f_frsize
}

#[test]
fn a_copy_of_a_file_shares_its_blocks() {
    each_filesystem(|world| {
        let content = noise(1);
        world.write(0, "original", &content);
        world.settle();
        let before = used(world.root(0));
        world.write(0, "copy", &content);
        world.settle();
        for root in 1..world.count() {
            assert_eq!(fs::read(world.path(root, "copy")).unwrap(), content);
            let shared = shared_per_cent(&world.path(root, "copy"));
            assert!(shared >= 99, "root {root}: {shared} % are shared");
        }
        // Only the root in which a user wrote the copy has it twice.
        let grown = used(world.root(0)) - before;
        assert!(grown < 2 * FILE_BYTES as u64, "{grown} bytes more");
    });
}

#[test]
fn an_edit_in_place_shares_all_but_what_changed_with_the_old_version() {
    each_filesystem(|world| {
        let mut content = noise(2);
        world.write(0, "file", &content);
        world.settle();
        // Not at a boundary of a block, so that the rest begins at none either.
        let place = FILE_BYTES / 3 + 1234;
        content[place..place + 8].copy_from_slice(b"replaced");
        let file = fs::File::options().write(true).open(world.path(0, "file"));
        file.unwrap()
            .write_all_at(b"replaced", place as u64)
            .unwrap();
        let outcome = world.settle();
        assert!(outcome.figure("bytes_copied") < (world.count() as u64) << 20);
        for root in 1..world.count() {
            assert_eq!(fs::read(world.path(root, "file")).unwrap(), content);
            // The old version is in the trash; a chunk and the blocks around it are of the file alone.
            let shared = shared_per_cent(&world.path(root, "file"));
            assert!(shared >= 90, "root {root}: {shared} % are shared");
        }
    });
}

#[test]
fn files_that_share_blocks_are_two_files() {
    each_filesystem(|world| {
        let (last, content) = (world.last(), noise(3));
        world.write(0, "original", &content);
        world.settle();
        world.write(0, "copy", &content);
        world.settle();
        let file = fs::File::options()
            .write(true)
            .open(world.path(last, "original"));
        file.unwrap().write_all_at(b"edited", 100_000).unwrap();
        world.settle();
        for root in 0..world.count() {
            let copy = fs::read(world.path(root, "copy")).unwrap();
            assert!(copy == content, "root {root}: the copy changed");
            let original = fs::read(world.path(root, "original")).unwrap();
            assert_eq!(&original[100_000..100_006], b"edited");
        }
    });
}

#[test]
fn what_says_that_blocks_are_shared_can_tell() {
    each_filesystem(|world| {
        world.write(0, "alone", noise(4));
        assert_eq!(shared_per_cent(&world.path(0, "alone")), 0);
        let cloned = Command::new("cp")
            .arg("--reflink=always")
            .args([world.path(0, "alone"), world.path(0, "clone")])
            .status();
        assert!(cloned.unwrap().success());
        assert_eq!(shared_per_cent(&world.path(0, "clone")), 100);
    });
}
