//! s62: the power fails, and a disk loses what was not flushed.
//!
//! The roots lie on a filesystem in an image, which holds what the filesystem has written so far: what is still in memory is
//! not in it. A copy of the image, taken while the sync is held before a write, is what a power loss would leave.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::history::{Expected, Story, seen};
use super::points::points;
use super::tracer::{self, Verdict};
use crate::machine::{Mount, has_root, tool};
use crate::world::{Kind, World, command};

/// How many copies each test takes unless all are asked for.
const SAMPLED: usize = 12;
/// How many copies are tried until one is of a device at rest.
const COPIES_MAX: usize = 200;

#[test]
fn s62_the_power_fails_in_a_first_sync() {
    fail_everywhere(Story::First, 2);
}

#[test]
fn s62_the_power_fails_in_a_first_sync_of_three() {
    fail_everywhere(Story::First, 3);
}

#[test]
fn s62_the_power_fails_in_a_sync_of_changes() {
    fail_everywhere(Story::Changes, 2);
}

#[test]
fn s62_the_power_fails_in_a_sync_of_changes_of_three() {
    fail_everywhere(Story::Changes, 3);
}

/// A world whose roots lie on a filesystem in an image.
struct Disk {
    /// Given up before the directory that it is in.
    _mount: Mount,
    world: World,
    image: PathBuf,
}

impl Disk {
    fn new(roots: usize) -> Self {
        let world = World::new(roots);
        let image = world.beside("image");
        fs::File::create(&image).unwrap().set_len(64 << 20).unwrap();
        let image_name = image.as_os_str();
        let words = ["-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0"].map(OsStr::new);
        tool("mkfs.ext4", words.into_iter().chain([image_name]));
        let at = world.beside("disk");
        fs::create_dir(&at).unwrap();
        let mount = Mount::image(&image, &at);
        let world = world.moved_to(&at);
        Self {
            world,
            image,
            _mount: mount,
        }
    }

    /// Copies the image while nothing is being written to it.
    fn copy(&self, to: &Path) {
        let device = self.device();
        for _ in 0..COPIES_MAX {
            let before = fs::read_to_string(&device).unwrap();
            let name = |path: &Path| path.as_os_str().to_owned();
            tool(
                "cp",
                ["--sparse=always".into(), name(&self.image), name(to)],
            );
            let in_flight = before.split_whitespace().nth(8).unwrap() != "0";
            if !in_flight && fs::read_to_string(&device).unwrap() == before {
                return;
            }
        }
        panic!("the device is never at rest");
    }

    /// The figures of the device's traffic.
    fn device(&self) -> PathBuf {
        let of_image = [
            "--noheadings".as_ref(),
            "--output=NAME".as_ref(),
            "-j".as_ref(),
            self.image.as_os_str(),
        ];
        let name = tool("losetup", of_image);
        let name = Path::new(name.trim()).file_name().unwrap().to_owned();
        Path::new("/sys/block").join(name).join("stat")
    }
}

fn fail_everywhere(story: Story, roots: usize) {
    if !has_root() {
        return;
    }
    let total = count(story, roots);
    let chosen = points(total, SAMPLED);
    let disk = Disk::new(roots);
    let expected = story.prepare(&disk.world);
    // What was there before is on the disk for good.
    tool("sync", ["-f".as_ref(), disk.image.as_os_str()]);
    tool("sync", ["-f".as_ref(), disk.world.root(0).as_os_str()]);
    let output = disk.world.beside("output");
    let mut copies = Vec::new();
    tracer::run(&sync(&disk.world), &output, &mut |number| {
        if chosen.contains(&number) {
            let copy = disk.world.beside(&format!("copy {number}"));
            // What was said so far was said before the copy was taken.
            let told = fs::read_to_string(&output).unwrap();
            disk.copy(&copy);
            check(&disk.world, &copy, &expected, &told, number);
            fs::remove_file(&copy).unwrap();
            copies.push(number);
        }
        Verdict::Proceed
    });
    assert!(!copies.is_empty());
    eprintln!(
        "{story:?} over {roots} roots: the power failed at {} of {total} writes",
        copies.len()
    );
}

fn sync(world: &World) -> std::process::Command {
    let mut sync = command();
    sync.args(["sync", "--json"]).args(world.roots());
    sync
}

fn count(story: Story, roots: usize) -> usize {
    let disk = Disk::new(roots);
    story.prepare(&disk.world);
    let mut total = 0;
    tracer::run(
        &sync(&disk.world),
        &disk.world.beside("output"),
        &mut |number| {
            total = number + 1;
            Verdict::Proceed
        },
    );
    total
}

/// The disk as the power loss left it holds what it must, and the next sync comes to a good end.
fn check(world: &World, copy: &Path, expected: &Expected, told: &str, number: usize) {
    let at = world.beside(&format!("after {number}"));
    fs::create_dir(&at).unwrap();
    let _mount = Mount::image(copy, &at);
    let after = World::new(world.count()).moved_to(&at);
    for (root, directory) in after.roots().iter().enumerate() {
        expected.assert_old_or_new(root, &seen(directory));
    }
    assert_told(world, &after, expected, told);
    after.settle();
    expected.assert_reached(&after);
}

/// What was said to be done is done.
#[track_caller]
fn assert_told(world: &World, after: &World, expected: &Expected, told: &str) {
    let lines = told
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    for item in lines.filter(|line| line["type"] == "item") {
        let (root, path) = (
            item["root"].as_str().unwrap(),
            item["path"].as_str().unwrap(),
        );
        let root = world
            .roots()
            .iter()
            .position(|other| other == Path::new(root))
            .unwrap();
        let held = seen(after.root(root));
        let held = held.get(path);
        match item["change"].as_str().unwrap() {
            "delete" => assert_eq!(held, expected.after.get(path), "{item}"),
            "conflict-copy" => assert!(held.is_some(), "{item}"),
            "metadata" => {}
            _ if path.is_empty() || path.contains(".conflict-") => {}
            _ => assert_eq!(held, expected.after.get(path), "{item}"),
        }
        if let Some(Kind::File(_)) = held {
            assert!(after.exists(root, path));
        }
    }
}
