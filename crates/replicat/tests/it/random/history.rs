//! Running a history, and finding the shortest that fails alike.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use super::ledger::Ledger;
use super::step::{Random, Step};
use crate::world::{Kind, World, command, walk};

const STEPS_MAX: u64 = 40;

/// How many roots there are, and what happens.
#[derive(Clone, Debug)]
pub(super) struct History {
    pub(super) roots: usize,
    pub(super) steps: Vec<Step>,
}

impl History {
    pub(super) fn random(random: &mut Random) -> Self {
        let roots = 2 + random.index(3);
        let count = 5 + random.below(STEPS_MAX);
        // Small numbers are for contents that are written more than once.
        let steps = (10..10 + count).map(|number| Step::random(random, roots, number));
        Self {
            roots,
            steps: steps.collect(),
        }
    }
}

/// Runs a history; what went wrong, if something did.
pub(super) fn run(history: &History) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(|| play(history))).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.unwrap_or_else(|| "panicked".to_owned())
    })
}

/// Leaves out steps as long as the history still fails.
pub(super) fn shrink(mut history: History) -> History {
    let mut at = history.steps.len();
    let mut shrunk = false;
    loop {
        if at == 0 {
            if !std::mem::take(&mut shrunk) {
                return history;
            }
            at = history.steps.len();
        }
        at -= 1;
        let mut shorter = history.clone();
        shorter.steps.remove(at);
        if run(&shorter).is_err() {
            (history, shrunk) = (shorter, true);
        }
    }
}

fn play(history: &History) {
    // Two pairs of roots that never met make two folders.
    let world = World::new(history.roots).with(&["--durability", "none", "--join"]);
    let mut ledger = Ledger::default();
    for step in &history.steps {
        match step {
            Step::Sync(roots) => sync(&world, roots),
            step => {
                // What cannot be done is left out.
                let _ = change(&world, &mut ledger, step);
            }
        }
    }
    let all: Vec<usize> = (0..history.roots).collect();
    sync(&world, &all);
    world.settle();
    let held: Vec<Vec<u8>> = (world.tree().into_values())
        .filter_map(|node| match node.kind {
            Kind::File(content) => Some(content),
            _ => None,
        })
        .collect();
    let missing = ledger.missing(&held);
    assert!(missing.is_empty(), "lost: {missing:?}");
}

/// Syncs; a brake is approved, since users did mean to delete so much.
fn sync(world: &World, roots: &[usize]) {
    let mut outcome = world.sync(roots, &[]);
    if outcome.code == Some(4) {
        for brake in outcome.list("brakes") {
            let root = brake["root"].as_str().unwrap();
            let approved = command().args(["approve", root]).output().unwrap();
            assert!(approved.status.success(), "{approved:?}");
        }
        outcome = world.sync(roots, &[]);
    }
    assert!(outcome.in_sync(), "not in sync: {outcome:#?}");
}

pub(super) fn change(world: &World, ledger: &mut Ledger, step: &Step) -> std::io::Result<()> {
    let at = |root: &usize, path: &String| world.path(*root, path);
    match step {
        Step::Write(root, path, number) => write(ledger, &at(root, path), *number),
        Step::Replace(root, path, number) => replace(ledger, &at(root, path), *number),
        Step::Append(root, path, number) => append(ledger, &at(root, path), *number),
        Step::Remove(root, path) => remove(ledger, &at(root, path)),
        Step::Rename(root, from, to) => rename(ledger, &at(root, from), &at(root, to)),
        Step::MakeDirectory(root, path) => fs::create_dir_all(at(root, path)),
        Step::Symlink(root, path, number) => symlink(format!("nowhere/{number}"), at(root, path)),
        Step::HardLink(root, from, to) => fs::hard_link(at(root, from), at(root, to)),
        Step::Chmod(root, path, mode) => chmod(&at(root, path), *mode),
        Step::Touch(root, path, seconds) => touch(&at(root, path), *seconds),
        Step::Swap(root, one, other) => swap(&at(root, one), &at(root, other)),
        Step::Retype(root, path, number) => retype(ledger, &at(root, path), *number),
        Step::WriteLarge(root, path, number) => {
            write_content(ledger, &at(root, path), &large_content(*number))
        }
        Step::WriteCopy(root, number, content) => {
            copy(world, *root, *number, |path| write(ledger, path, *content))
        }
        Step::RemoveCopy(root, number) => copy(world, *root, *number, |path| remove(ledger, path)),
        Step::RenameCopy(root, number, to) => copy(world, *root, *number, |path| {
            rename(ledger, path, &at(root, to))
        }),
        Step::Sync(_) => Ok(()),
    }
}

fn content(number: u64) -> Vec<u8> {
    format!("written as number {number}").into_bytes()
}

/// Some hundred kilobytes, of which no part is like another.
fn large_content(number: u64) -> Vec<u8> {
    let mut random = Random::new(number);
    let count = 20_000 + random.below(300_000);
    let words = (0..count).flat_map(|_| random.below(u64::MAX).to_le_bytes());
    [content(number), words.collect()].concat()
}

fn write(ledger: &mut Ledger, path: &Path, number: u64) -> std::io::Result<()> {
    write_content(ledger, path, &content(number))
}

fn write_content(ledger: &mut Ledger, path: &Path, content: &[u8]) -> std::io::Result<()> {
    if path.is_symlink() {
        return Ok(());
    }
    if let Some(above) = path.parent() {
        fs::create_dir_all(above)?;
    }
    if path.is_file() {
        ledger.goes(path);
    }
    fs::write(path, content)?;
    ledger.wrote(content);
    Ok(())
}

fn swap(one: &Path, other: &Path) -> std::io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    Ok(renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE)?)
}

/// A directory takes the place of a file, a link that of a directory, a file that of a link or of nothing.
fn retype(ledger: &mut Ledger, path: &Path, number: u64) -> std::io::Result<()> {
    let Ok(stat) = fs::symlink_metadata(path) else {
        return write(ledger, path, number);
    };
    remove(ledger, path)?;
    if stat.is_file() {
        return write(ledger, &path.join("within"), number);
    }
    match stat.is_dir() {
        true => symlink(format!("nowhere/{number}"), path),
        false => write(ledger, path, number),
    }
}

fn replace(ledger: &mut Ledger, path: &Path, number: u64) -> std::io::Result<()> {
    if !path.is_file() || path.is_symlink() {
        return Ok(());
    }
    let beside = path.with_file_name("saved");
    fs::write(&beside, content(number))?;
    ledger.goes(path);
    ledger.wrote(&content(number));
    fs::rename(beside, path)
}

fn append(ledger: &mut Ledger, path: &Path, number: u64) -> std::io::Result<()> {
    if !path.is_file() || path.is_symlink() {
        return Ok(());
    }
    ledger.goes(path);
    let mut file = fs::OpenOptions::new().append(true).open(path)?;
    file.write_all(&content(number))?;
    ledger.wrote(&fs::read(path)?);
    Ok(())
}

fn remove(ledger: &mut Ledger, path: &Path) -> std::io::Result<()> {
    let stat = fs::symlink_metadata(path)?;
    ledger.goes(path);
    match stat.is_dir() {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    }
}

fn rename(ledger: &mut Ledger, from: &Path, to: &Path) -> std::io::Result<()> {
    fs::symlink_metadata(from)?;
    if let Some(above) = to.parent() {
        fs::create_dir_all(above)?;
    }
    let replaces = to.is_file() && !to.is_symlink() && !from.is_dir();
    if replaces {
        ledger.goes(to);
    }
    fs::rename(from, to)
}

fn chmod(path: &Path, mode: u32) -> std::io::Result<()> {
    // A directory must stay open, a link has no permissions.
    if !path.is_file() || path.is_symlink() {
        return Ok(());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

fn touch(path: &Path, seconds: i64) -> std::io::Result<()> {
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, utimensat};
    let time = Timespec {
        tv_sec: 1_500_000_000 + seconds,
        tv_nsec: 123_456_789,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    Ok(utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Does something to the conflict copy of this number in a root.
fn copy(
    world: &World,
    root: usize,
    number: usize,
    act: impl FnOnce(&Path) -> std::io::Result<()>,
) -> std::io::Result<()> {
    let tree = walk(world.root(root));
    let paths = tree
        .keys()
        .map(|path| String::from_utf8_lossy(path).into_owned());
    let mut copies = paths.filter(|path| path.contains(".conflict-"));
    match copies.nth(number) {
        Some(path) => act(&world.path(root, path)),
        None => Ok(()),
    }
}
