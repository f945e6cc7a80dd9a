//! The trees to sync, the same for the same seed.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use fastrand::Rng;

use crate::interrupt::Interrupt;

const SEED: u64 = 0x7265_706c;
const GIB: u64 = 1 << 30;

/// Median and cap of small files, in bytes. With the spread below their mean is 8 KiB, as in trees of
/// sources and documents.
const SMALL_SIZE_MEDIAN: f64 = 2048.0;
const SMALL_SIZE_MAX: f64 = 2_097_152.0;
const SMALL_SIZE_SPREAD: f64 = 1.665;

/// How deep directories nest.
const DEPTH_MAX: usize = 7;

/// How many files share a directory, on average.
const FILES_IN_DIRECTORY: u64 = 20;

/// How many files [`Tree::Live`] has at full size, the large directory left out.
pub(crate) const LIVE_FILES: u64 = 100_000;
/// The large directory of [`Tree::Live`].
pub(crate) const LIVE_DIRECTORY: &str = "many";

/// What to sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tree {
    /// 50,000 files of 8 KiB on average, in nested directories.
    Small,
    /// A copy of `/usr/share`.
    UsrShare,
    /// Two files of 1 GiB.
    TwoLarge,
    /// One file of 1 GiB.
    OneLarge,
    /// A directory of 10,000 files beside a few others.
    Directory,
    /// A million files of 1 to 64 bytes.
    Million,
    /// 100,000 files of up to 2 KiB in nested directories, and a directory of 10,000 files.
    Live,
}

/// Makes trees, a part of the full size.
pub(crate) struct Planter<'a> {
    pub(crate) interrupt: &'a Interrupt,
    pub(crate) scale: f64,
}

impl Planter<'_> {
    /// Makes `tree` at `root`, which does not exist.
    pub(crate) fn plant(&self, tree: Tree, root: &Path) -> Result<()> {
        fs::create_dir(root).with_context(|| format!("could not create {}", root.display()))?;
        match tree {
            Tree::Small => self.nested(root, self.scaled(50_000), small_size),
            Tree::Million => self.nested(root, self.scaled(1_000_000), |rng| rng.usize(1..=64)),
            Tree::UsrShare => self.copy_usr_share(root),
            Tree::OneLarge => self.large(&root.join("one")),
            Tree::TwoLarge => {
                self.large(&root.join("one"))?;
                self.large(&root.join("two"))
            }
            Tree::Directory => self.directory(root),
            Tree::Live => {
                self.nested(root, self.scaled(LIVE_FILES), |rng| rng.usize(1..=2048))?;
                self.many(root, LIVE_DIRECTORY, self.scaled(LIVE_FILES / 10))
            }
        }
    }

    fn scaled(&self, full: u64) -> u64 {
        ((full as f64 * self.scale) as u64).max(1)
    }

    /// `count` files in nested directories.
    fn nested(&self, root: &Path, count: u64, size: impl Fn(&mut Rng) -> usize) -> Result<()> {
        let mut rng = Rng::with_seed(SEED);
        let directories = nested_directories(root, count / FILES_IN_DIRECTORY, &mut rng)?;
        let mut buffer = Vec::new();
        let mut at = 0;
        for number in 0..count {
            self.interrupt.check()?;
            // One directory after the other, as trees are unpacked.
            if rng.u64(..FILES_IN_DIRECTORY) == 0 {
                at = (at + 1) % directories.len();
            }
            let directory = &directories[at];
            let extension = rng.choice(["c", "h", "md", "json", "png", "txt"]);
            let name = format!("{}-{number}.{}", word(&mut rng), extension.unwrap_or("c"));
            buffer.resize(size(&mut rng), 0);
            rng.fill(&mut buffer);
            write_old(&directory.join(name), &buffer)?;
        }
        Ok(())
    }

    fn copy_usr_share(&self, root: &Path) -> Result<()> {
        let mut command = Command::new("cp");
        command.args(["-a", "/usr/share/."]).arg(root);
        self.interrupt.run_successfully(&mut command).map(drop)
    }

    fn large(&self, path: &Path) -> Result<()> {
        let mut rng = Rng::with_seed(SEED ^ last_byte(path));
        let mut file = File::create_new(path)?;
        let mut rest = self.scaled(GIB);
        let mut buffer = vec![0; 1 << 20];
        while rest > 0 {
            self.interrupt.check()?;
            rng.fill(&mut buffer);
            let length = rest.min(buffer.len() as u64);
            file.write_all(&buffer[..length as usize])?;
            rest -= length;
        }
        Ok(file.set_modified(long_ago())?)
    }

    fn directory(&self, root: &Path) -> Result<()> {
        self.many(root, "many", self.scaled(10_000))?;
        self.many(root, "few", 10)
    }

    /// A directory of `count` files that all differ.
    fn many(&self, root: &Path, name: &str, count: u64) -> Result<()> {
        let mut rng = Rng::with_seed(SEED ^ count);
        let mut buffer = [0; 1000];
        let directory = root.join(name);
        fs::create_dir(&directory)?;
        for number in 0..count {
            self.interrupt.check()?;
            rng.fill(&mut buffer);
            write_old(&directory.join(format!("{number:05}")), &buffer)?;
        }
        Ok(())
    }

    /// Reads all below `root`, so that it is in the page cache. Returns how many files there are.
    pub(crate) fn warm(&self, root: &Path) -> Result<u64> {
        let mut buffer = vec![0; 1 << 20];
        let mut directories = vec![root.to_owned()];
        let mut count = 0;
        while let Some(directory) = directories.pop() {
            self.interrupt.check()?;
            for entry in fs::read_dir(directory)? {
                let entry = entry?;
                let kind = entry.file_type()?;
                if kind.is_dir() {
                    directories.push(entry.path());
                } else if kind.is_file() {
                    count += 1;
                    let mut file = File::open(entry.path())?;
                    while file.read(&mut buffer)? > 0 {}
                }
            }
        }
        Ok(count)
    }
}

/// When all files were last modified: a change made within the same second would escape rsync.
fn long_ago() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

fn write_old(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(bytes)?;
    Ok(file.set_modified(long_ago())?)
}

/// The name's last byte tells apart the large files of one tree.
fn last_byte(path: &Path) -> u64 {
    let bytes = path.as_os_str().as_encoded_bytes();
    u64::from(bytes.last().copied().unwrap_or_default())
}

/// Makes `count` directories, each within a random earlier one. Returns them and `root`.
fn nested_directories(root: &Path, count: u64, rng: &mut Rng) -> Result<Vec<PathBuf>> {
    let mut directories = vec![(root.to_owned(), 0)];
    for number in 0..count {
        let (parent, depth) = loop {
            let (parent, depth) = &directories[rng.usize(..directories.len())];
            if *depth < DEPTH_MAX {
                break (parent, depth + 1);
            }
        };
        let directory = parent.join(format!("{}-{number}", word(rng)));
        fs::create_dir(&directory)?;
        directories.push((directory, depth));
    }
    Ok(directories.into_iter().map(|(path, _)| path).collect())
}

/// A log-normal size, by Box and Muller.
fn small_size(rng: &mut Rng) -> usize {
    let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();
    let normal = radius * (std::f64::consts::TAU * rng.f64()).cos();
    (SMALL_SIZE_MEDIAN * (SMALL_SIZE_SPREAD * normal).exp()).min(SMALL_SIZE_MAX) as usize
}

fn word(rng: &mut Rng) -> String {
    let length = rng.usize(3..12);
    (0..length).map(|_| rng.lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_files_are_8_kib_on_average() {
        let mut rng = Rng::with_seed(SEED);
        let total: usize = (0..50_000).map(|_| small_size(&mut rng)).sum();
        assert!((300_000_000..500_000_000).contains(&total), "{total}");
    }
}
