//! A small history with every kind of change, and what may be seen of it at any moment.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::world::{Kind, World, contents, walk};

/// What each path of a root holds, as far as a crash may not mix it up.
pub(super) type Seen = BTreeMap<String, Kind>;

/// What the loser of the conflict holds.
pub(super) const LOSER: &[u8] = b"as the first wrote it";

/// What a root holds.
pub(super) fn seen(root: &Path) -> Seen {
    let text = |path: Vec<u8>| String::from_utf8(path).unwrap();
    let mut seen: Seen = (walk(root).into_iter())
        .map(|(path, node)| (text(path), node.kind))
        .collect();
    seen.remove("");
    seen
}

/// A story of which the last sync is cut short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Story {
    /// One root is full, the others are empty and new.
    First,
    /// All roots are in sync, then changed.
    Changes,
}

/// What the roots held before the sync that is cut short, and what they are to hold in the end, the copy of the loser left
/// out.
pub(super) struct Expected {
    pub(super) before: Vec<Seen>,
    pub(super) after: Seen,
    copies: usize,
}

impl Story {
    /// Brings the roots of a world to the eve of the sync that is cut short.
    pub(super) fn prepare(self, world: &World) -> Expected {
        let (first, last) = (world.root(0), world.root(world.last()));
        plant(first);
        if self == Self::Changes {
            world.settle();
            change(first, last);
        }
        let before: Vec<Seen> = world.roots().iter().map(|root| seen(root)).collect();
        let mut after = before[0].clone();
        if let Some(winner) = before[world.last()].get("contested") {
            after.insert("contested".to_owned(), winner.clone());
        }
        Expected {
            before,
            after,
            copies: usize::from(self == Self::Changes),
        }
    }
}

impl Expected {
    /// Asserts that each path of a root holds what it held before or what it is to hold, whole.
    #[track_caller]
    pub(super) fn assert_old_or_new(&self, root: usize, seen: &Seen) {
        let before = &self.before[root];
        let paths: BTreeSet<_> = seen
            .keys()
            .chain(before.keys())
            .chain(self.after.keys())
            .collect();
        for path in paths {
            let held = seen.get(path);
            let expected = if is_copy(path) {
                held == Some(&Kind::File(LOSER.to_vec()))
            } else {
                held == before.get(path) || held == self.after.get(path)
            };
            assert!(
                expected,
                "root {root}: {path:?} holds {held:?}, which is neither old nor new"
            );
        }
    }

    /// Asserts that all roots came to hold what they must, and that none lost a content that it held before.
    #[track_caller]
    pub(super) fn assert_reached(&self, world: &World) {
        for (root, directory) in world.roots().iter().enumerate() {
            let mut held = seen(directory);
            let copies: Vec<String> = held.keys().filter(|path| is_copy(path)).cloned().collect();
            assert_eq!(copies.len(), self.copies, "copies of the loser: {copies:?}");
            for copy in copies {
                assert_eq!(held.remove(&copy), Some(Kind::File(LOSER.to_vec())));
            }
            assert_eq!(held, self.after, "in root {root}");
            let kept = contents(directory);
            for (path, kind) in &self.before[root] {
                if let Kind::File(content) = kind {
                    assert!(
                        kept.contains(content),
                        "root {root} lost what {path:?} held"
                    );
                }
            }
            assert_staging_is_empty(directory);
        }
    }
}

fn is_copy(path: &str) -> bool {
    path.starts_with("contested.conflict-")
}

/// Nothing waits in staging once a sync went to its end.
#[track_caller]
fn assert_staging_is_empty(root: &Path) {
    let staging = walk(&root.join(".replicat/staging"));
    let waiting = staging
        .iter()
        .filter(|(path, node)| node.kind != Kind::Directory && path.as_slice() != b"displaced/log");
    let left: Vec<String> = waiting
        .map(|(path, _)| String::from_utf8_lossy(path).into())
        .collect();
    assert!(left.is_empty(), "{left:?} are left in staging of {root:?}");
}

/// The tree that all roots begin with.
fn plant(root: &Path) {
    for (name, content) in [
        ("same", "the same"),
        ("edited", "before the edit"),
        ("deleted", "to be deleted"),
        ("old name", "to be renamed"),
        ("contested", "before the conflict"),
        ("described", "mode and attributes"),
        ("turned", "to be a directory"),
        ("pair", "two names"),
    ] {
        fs::write(root.join(name), content).unwrap();
    }
    date_back(&root.join("contested"), 3600);
    fs::write(root.join("large"), noise(1, 300_000)).unwrap();
    for directory in ["directory", "directory/below", "emptied"] {
        fs::create_dir(root.join(directory)).unwrap();
    }
    for name in ["directory/one", "directory/below/two", "emptied/last"] {
        fs::write(root.join(name), format!("content of {name}")).unwrap();
    }
    fs::hard_link(root.join("pair"), root.join("other of the pair")).unwrap();
    symlink("same", root.join("link")).unwrap();
    xattr(&root.join("described"), "before");
}

/// Changes of every kind in the first root, and one in the last that contradicts one of them.
fn change(first: &Path, last: &Path) {
    let at = |name: &str| first.join(name);
    fs::write(at("edited"), "after the edit, and longer").unwrap();
    fs::remove_file(at("deleted")).unwrap();
    fs::rename(at("old name"), at("new name")).unwrap();
    fs::rename(at("directory"), at("moved directory")).unwrap();
    fs::remove_dir_all(at("emptied")).unwrap();
    fs::remove_file(at("turned")).unwrap();
    fs::create_dir(at("turned")).unwrap();
    fs::create_dir_all(at("made/below")).unwrap();
    for name in ["turned/inner", "made/new", "made/below/new too"] {
        fs::write(at(name), format!("content of {name}")).unwrap();
    }
    fs::hard_link(at("made/new"), at("made/linked")).unwrap();
    fs::hard_link(at("pair"), at("third of the pair")).unwrap();
    fs::remove_file(at("link")).unwrap();
    symlink("new name", at("link")).unwrap();
    symlink("nowhere", at("made/broken link")).unwrap();
    fs::set_permissions(at("described"), fs::Permissions::from_mode(0o600)).unwrap();
    xattr(&at("described"), "after");
    let mut large = noise(1, 300_000);
    large[150_000..150_008].copy_from_slice(b"modified");
    fs::write(at("large"), large).unwrap();
    contest(first, last);
}

/// Writes the two sides of the conflict; the last root's is the later one and wins.
fn contest(first: &Path, last: &Path) {
    for (root, content, ago) in [(first, LOSER, 60), (last, b"as the last wrote it", 30)] {
        fs::write(root.join("contested"), content).unwrap();
        date_back(&root.join("contested"), ago);
    }
}

fn date_back(path: &Path, seconds: u64) {
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(seconds))
        .unwrap();
}

fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        bytes.push(state.to_be_bytes()[0]);
    }
    bytes
}

fn xattr(path: &Path, value: &str) {
    let set = std::process::Command::new("setfattr")
        .args(["-n", "user.colour", "-v", value])
        .arg(path)
        .status();
    assert!(set.expect("setfattr is installed").success());
}
