//! What changed is noticed, whenever and however it changes.

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::crash::sample;
use crate::crash::tracer::{self, Verdict};
use crate::machine::has_program;
use crate::world::{Kind, World, command, walk};

/// How often a filesystem may be asked for an inode that was just given up.
const INODES_MAX: usize = 64;

/// Makes a file with this inode, size and mtime, if the filesystem gives the inode out again.
fn reuse(path: &Path, removed: &fs::Metadata, content: &str) -> bool {
    let mut others = Vec::new();
    for number in 0..INODES_MAX {
        let candidate = path.with_extension(number.to_string());
        fs::write(&candidate, content).unwrap();
        if fs::metadata(&candidate).unwrap().ino() == removed.ino() {
            let file = fs::File::options().write(true).open(&candidate).unwrap();
            file.set_modified(removed.modified().unwrap()).unwrap();
            fs::rename(&candidate, path).unwrap();
            break;
        }
        others.push(candidate);
    }
    others
        .iter()
        .for_each(|other| fs::remove_file(other).unwrap());
    path.exists()
}

#[test]
fn s53_an_inode_is_reused() {
    World::each(|world| {
        let last = world.last();
        for name in ["here", "elsewhere"] {
            world.write(0, name, "old content");
            world.write(0, name, format!("the old {name:>9}"));
        }
        world.settle();
        for (old, new) in [("here", "here"), ("elsewhere", "new place")] {
            let removed = fs::metadata(world.path(last, old)).unwrap();
            let content = format!("new: in {new:>9}");
            assert_eq!(removed.len() as usize, "the old ".len() + 9);
            world.remove(last, old);
            if !reuse(&world.path(last, new), &removed, &content[..17]) {
                eprintln!("the filesystem gives no inode out again; any new file will do");
                world.write(last, new, &content[..17]);
            }
        }
        world.settle();
        assert_eq!(world.read(0, "here"), "new: in      here");
        assert_eq!(world.read(0, "new place"), "new: in new place");
        assert!(!world.exists(0, "elsewhere"));
    });
}

/// Syncs while `disturb` meddles with the roots before one write of the sync after another, in a new world each; then the
/// next syncs, undisturbed, come to a good end.
fn disturb(sampled: usize, disturb: &dyn Fn(&World)) {
    for count in [2, 3] {
        let mut total = 0;
        disturbed(count, &|_| (), &mut |number| {
            total = number + 1;
            false
        });
        for point in sample(total, sampled) {
            eprintln!("{count} roots, disturbed before write {point} of {total}");
            disturbed(count, disturb, &mut |number| number == point);
        }
    }
}

fn disturbed(count: usize, disturb: &dyn Fn(&World), when: &mut dyn FnMut(usize) -> bool) {
    let world = World::new(count);
    world.write(0, "before", "a file before");
    world.write(0, "file", "old content");
    world.write(0, "victim/inner", "to be gone");
    world.settle();
    world.write(0, "file", vec![b'n'; 400_000]);
    world.write(0, "large", vec![b'l'; 400_000]);
    world.write(0, "victim/second", "to be gone as well");
    world.write(world.last(), "victim/third", "from the other side");
    let mut sync = command();
    sync.args(["sync", "--json"]).args(world.roots());
    tracer::run(&sync, &world.beside("output"), &mut |number| {
        if when(number) {
            disturb(&world);
        }
        Verdict::Proceed
    });
    let text = fs::read_to_string(world.beside("output")).unwrap();
    let claimed = text.lines().last().unwrap().contains("\"in_sync\":true");
    let trees: Vec<_> = world.roots().iter().map(|root| walk(root)).collect();
    for tree in &trees {
        assert_whole(tree.get(b"file".as_slice()).map(|node| &node.kind));
        assert_whole(tree.get(b"large".as_slice()).map(|node| &node.kind));
    }
    // What a user does after the scan is not in the claim; the claim is about what was found.
    if claimed && trees.windows(2).any(|pair| pair[0] != pair[1]) {
        eprintln!("changed after it was looked at");
    }
    world.settle();
    for root in world.roots() {
        let displaced = walk(&root.join(".replicat/staging/displaced"));
        assert!(
            displaced
                .keys()
                .all(|name| name.is_empty() || name == b"log"),
            "{displaced:?}"
        );
    }
}

/// A content that the file had at some time, not a mixture.
#[track_caller]
fn assert_whole(kind: Option<&Kind>) {
    let Some(Kind::File(bytes)) = kind else {
        assert_eq!(kind, None);
        return;
    };
    let known = bytes == b"old content"
        || bytes == b"replaced"
        || bytes.len() == 100 && bytes.iter().all(|byte| *byte == bytes[0])
        || bytes.len() >= 400_000 && bytes[..400_000].iter().all(|byte| *byte == bytes[0]);
    let tail = bytes.get(400_000..).unwrap_or_default();
    assert!(
        known && (tail.is_empty() || tail == b"appended"),
        "a mixture of {} bytes",
        bytes.len()
    );
}

#[test]
fn s54_a_file_is_appended_to_during_the_sync() {
    disturb(12, &|world| {
        for name in ["file", "large"] {
            let file = fs::File::options().append(true).open(world.path(0, name));
            file.unwrap().write_all(b"appended").unwrap();
        }
    });
}

#[test]
fn s54_a_file_is_truncated_during_the_sync() {
    disturb(12, &|world| {
        for name in ["file", "large"] {
            let file = fs::File::options().write(true).open(world.path(0, name));
            file.unwrap().set_len(100).unwrap();
        }
    });
}

#[test]
fn s54_a_file_is_replaced_on_both_sides_during_the_sync() {
    disturb(12, &|world| {
        for root in [0, world.last()] {
            world.write(root, "incoming", "replaced");
            world.rename(root, "incoming", "file");
        }
    });
}

#[test]
fn s55_files_and_directories_vanish_during_the_sync() {
    disturb(12, &|world| {
        fs::remove_file(world.path(0, "large")).unwrap();
        fs::remove_dir_all(world.path(0, "victim")).unwrap();
        let _ = fs::remove_file(world.path(world.last(), "file"));
        let _ = fs::remove_dir_all(world.path(world.last(), "victim"));
    });
}

/// Maps a file and writes through the mapping at each line it is told; never closes, unmaps or flushes.
const MAPPER: &str = "
import mmap, sys
file = open(sys.argv[1], 'r+b')
view = mmap.mmap(file.fileno(), 0)
for line in sys.stdin:
    view[0:5] = line[:5].encode()
    print('done', flush=True)
";

struct Mapper(Child);

impl Mapper {
    fn of(path: &Path) -> Self {
        let mut python = Command::new("python3");
        python
            .args(["-c", MAPPER])
            .arg(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        Self(python.spawn().unwrap())
    }

    fn write(&mut self, five: &str) {
        writeln!(self.0.stdin.as_mut().unwrap(), "{five}").unwrap();
        let mut answer = [0; 5];
        let output = self.0.stdout.as_mut().unwrap();
        std::io::Read::read_exact(output, &mut answer).unwrap();
    }
}

impl Drop for Mapper {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

#[test]
fn s56_a_write_through_a_mapping_that_is_never_closed() {
    if !has_program("python3") {
        return;
    }
    World::each(|world| {
        world.write(0, "mapped", "first content");
        world.settle();
        let mut mapper = Mapper::of(&world.path(0, "mapped"));
        mapper.write("SECON");
        world.settle();
        assert_eq!(world.read(world.last(), "mapped"), "SECON content");
        // The kernel tells of the next write once the page was written back.
        let file = fs::File::open(world.path(0, "mapped")).unwrap();
        file.sync_all().unwrap();
        mapper.write("THIRD");
        world.settle();
        assert_eq!(world.read(world.last(), "mapped"), "THIRD content");
    });
}
