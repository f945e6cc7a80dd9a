//! A world of roots that the real binary syncs, and the checks that hold after every sync.
//!
//! Whoever writes a test changes the roots as a user would (`write`, `remove`, `rename` and the like, or
//! `std::fs` on `path`) and calls `settle`; everything that must hold for every scenario is checked there.

mod change;
mod check;
mod run;
mod walk;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use tempfile::TempDir;

pub(crate) use check::{assert_no_temporary_names, differences, differing};
pub(crate) use run::{Outcome, command};
pub(crate) use walk::{Kind, Node, Tree, contents, stat_everything, walk};

const NAMES: [&str; 5] = ["alpha", "beta", "gamma", "delta", "epsilon"];

/// Which worlds stay, for whoever looks into a failure: what the roots held at the end.
#[derive(Clone, Copy)]
enum Kept {
    None,
    /// Those of tests that fail.
    Failed,
    All,
}

/// `REPLICAT_TEST_KEEP` is `failed`, or anything else for all.
fn kept() -> Kept {
    match std::env::var_os("REPLICAT_TEST_KEEP") {
        None => Kept::None,
        Some(which) if which == "failed" => Kept::Failed,
        Some(_) => Kept::All,
    }
}

/// Some roots side by side in a temporary directory.
pub(crate) struct World {
    directory: TempDir,
    roots: Vec<PathBuf>,
    options: Vec<String>,
    /// Paths with a component that ends so are left out when roots are compared.
    ignored: Vec<String>,
    /// Whether what a sync removes must be looked for in the trash (it is in `.replicat` of each root).
    trash_checked: AtomicBool,
    /// By how many days the clock of a sync is ahead.
    clock_days: AtomicI64,
}

impl World {
    /// A world of `count` empty roots, named alpha, beta, gamma and so on.
    pub(crate) fn new(count: usize) -> Self {
        let mut directory = tempfile::Builder::new().prefix("world-").tempdir().unwrap();
        directory.disable_cleanup(matches!(kept(), Kept::All));
        let roots: Vec<PathBuf> = NAMES[..count]
            .iter()
            .map(|name| directory.path().join(name))
            .collect();
        for root in &roots {
            std::fs::create_dir(root).unwrap();
        }
        Self {
            directory,
            roots,
            options: Vec::new(),
            ignored: Vec::new(),
            trash_checked: AtomicBool::new(true),
            clock_days: AtomicI64::new(0),
        }
    }

    /// Runs a scenario over two roots, then over three.
    pub(crate) fn each(scenario: impl Fn(&Self)) {
        for count in [2, 3] {
            eprintln!("over {count} roots");
            scenario(&Self::new(count));
        }
    }

    /// The same world with its roots in another directory, where they are made if they are not there.
    pub(crate) fn moved_to(mut self, directory: &Path) -> Self {
        for root in &mut self.roots {
            *root = directory.join(root.file_name().unwrap());
            std::fs::create_dir_all(root).unwrap();
        }
        self
    }

    /// The same world, with options for every sync.
    pub(crate) fn with(mut self, options: &[&str]) -> Self {
        self.options = options.iter().map(ToString::to_string).collect();
        self
    }

    /// Leaves out paths with a component that ends like one of these when roots are compared: for tests
    /// of filters. That their contents survive is still checked.
    pub(crate) fn ignore(&mut self, endings: &[&str]) {
        self.ignored = endings.iter().map(ToString::to_string).collect();
    }

    /// How many roots there are.
    pub(crate) fn count(&self) -> usize {
        self.roots.len()
    }

    /// The index of the last root: another than the first, whatever the count.
    pub(crate) fn last(&self) -> usize {
        self.roots.len() - 1
    }

    /// A root.
    pub(crate) fn root(&self, root: usize) -> &Path {
        &self.roots[root]
    }

    /// All roots.
    pub(crate) fn roots(&self) -> &[PathBuf] {
        &self.roots
    }

    /// A place beside the roots.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A path in a root.
    pub(crate) fn path(&self, root: usize, path: impl AsRef<OsStr>) -> PathBuf {
        self.roots[root].join(path.as_ref())
    }

    /// Sets the clock of every further sync ahead by so many days, or back. Wants the program `faketime`.
    pub(crate) fn set_clock(&self, days: i64) {
        self.clock_days.store(days, Ordering::Relaxed);
    }

    /// Lets a sync lose content from the trash: for tests that destroy it themselves.
    pub(crate) fn without_trash_check(&self) {
        self.trash_checked.store(false, Ordering::Relaxed);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() && matches!(kept(), Kept::Failed) {
            self.directory.disable_cleanup(true);
            eprintln!("kept: {}", self.directory.path().display());
        }
    }
}
