//! A directory to test on, and an index that remembers what a scan told.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Mutex;

use replicat_core::path::RelPath;
use replicat_core::record::{Fingerprint, Local, Record};
use replicat_core::store::{Children, StoreError};
use replicat_fs::filter::Filter;
use replicat_fs::observe::{AttributesOfFiles, Tracking};
use replicat_fs::root::Root;
use replicat_fs::scan::{Baseline, Scan, ScanItem, ScanReport};
use tempfile::TempDir;

pub(crate) const TRACKING: Tracking = Tracking {
    owner: true,
    xattrs: true,
    privileged_xattrs: false,
};

pub(crate) fn path(text: impl AsRef<[u8]>) -> RelPath {
    RelPath::new(text.as_ref()).unwrap()
}

/// What was seen last, by path.
#[derive(Default)]
pub(crate) struct Memory {
    records: BTreeMap<RelPath, Record>,
}

impl Memory {
    pub(crate) fn put(&mut self, path: RelPath, fingerprint: Fingerprint, racy: bool) {
        let local = Some(Local {
            fingerprint,
            racy,
            base: None,
            unheld: None,
        });
        let record = Record {
            local,
            ..Record::default()
        };
        self.records.insert(path, record);
    }

    /// Takes a scan's items for granted, as an index does after everything worked.
    pub(crate) fn take_in(&mut self, items: &[ScanItem]) {
        for item in items {
            match item {
                ScanItem::Changed { path, observation } => {
                    self.put(path.clone(), observation.fingerprint, false);
                }
                ScanItem::Missing { path } | ScanItem::OutOfScope { path } => {
                    self.records.remove(path);
                }
                ScanItem::Skipped { .. } => {}
            }
        }
    }
}

impl Baseline for Memory {
    fn children(&self, directory: &RelPath) -> Result<Children, StoreError> {
        let mut found: Children = self
            .records
            .iter()
            .filter(|(path, _)| path.parent().as_ref() == Some(directory))
            .map(|(path, record)| (path.name().to_vec(), record.clone()))
            .collect();
        found.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(found)
    }

    fn record(&self, path: &RelPath) -> Result<Option<Record>, StoreError> {
        Ok(self.records.get(path).cloned())
    }
}

/// A temporary root, its filter, and what was seen of it.
pub(crate) struct Scenery {
    pub(crate) directory: TempDir,
    pub(crate) root: Root,
    pub(crate) filter: Filter,
    pub(crate) memory: Memory,
}

impl Scenery {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::open(directory.path()).unwrap();
        Self {
            directory,
            root,
            filter: Filter::default(),
            memory: Memory::default(),
        }
    }

    pub(crate) fn at(&self, name: impl AsRef<[u8]>) -> PathBuf {
        self.directory.path().join(OsStr::from_bytes(name.as_ref()))
    }

    /// Writes a file, and the directories above it.
    pub(crate) fn write(&self, name: impl AsRef<[u8]>, content: &str) {
        let path = self.at(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn make(&self, name: impl AsRef<[u8]>) {
        fs::create_dir_all(self.at(name)).unwrap();
    }

    pub(crate) fn scan(&self) -> (Vec<ScanItem>, ScanReport) {
        self.run(None)
    }

    pub(crate) fn scan_paths(&self, paths: &[&str]) -> (Vec<ScanItem>, ScanReport) {
        let paths: Vec<RelPath> = paths.iter().map(path).collect();
        self.run(Some(&paths))
    }

    fn run(&self, paths: Option<&[RelPath]>) -> (Vec<ScanItem>, ScanReport) {
        let items = Mutex::new(Vec::new());
        let sink = |item| {
            items.lock().unwrap().push(item);
            ControlFlow::Continue(())
        };
        let scan = Scan {
            root: &self.root,
            filter: &self.filter,
            tracking: TRACKING,
            attributes: AttributesOfFiles::Observed,
            baseline: &self.memory,
            sink: &sink,
            threads: NonZeroUsize::new(3).unwrap(),
        };
        let report = match paths {
            None => scan.run(),
            Some(paths) => scan.run_paths(paths),
        };
        (items.into_inner().unwrap(), report.unwrap())
    }

    /// Scans and remembers.
    pub(crate) fn learn(&mut self) {
        let (items, _) = self.scan();
        self.memory.take_in(&items);
        Self::wait_for_a_later_time();
    }

    /// Waits until files are stamped with a later time than any before, so that every change shows.
    fn wait_for_a_later_time() {
        let probe = tempfile::NamedTempFile::new().unwrap();
        let stamp = || {
            fs::write(probe.path(), "probe").unwrap();
            let stat = fs::metadata(probe.path()).unwrap();
            (stat.ctime(), stat.ctime_nsec())
        };
        let start = stamp();
        while stamp() == start {
            std::hint::spin_loop();
        }
    }

    /// Scans, and shows what was told, sorted: `+` changed, `-` missing, `o` out of scope, `!` skipped.
    pub(crate) fn told(&self) -> Vec<String> {
        shown(&self.scan().0)
    }
}

pub(crate) fn shown(items: &[ScanItem]) -> Vec<String> {
    let mut lines: Vec<String> = items
        .iter()
        .map(|item| match item {
            ScanItem::Changed { path, .. } => format!("+{path}"),
            ScanItem::Missing { path } => format!("-{path}"),
            ScanItem::OutOfScope { path } => format!("o{path}"),
            ScanItem::Skipped { path, reason } => format!("!{path}: {reason}"),
        })
        .collect();
    lines.sort();
    lines
}

/// Runs `work` as a process that permissions apply to, on a thread of its own.
pub(crate) fn without_privileges<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
            let mut sets = capabilities(None).unwrap();
            sets.effective
                .remove(CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH);
            set_capabilities(None, sets).unwrap();
            work()
        });
        worker.join().unwrap()
    })
}
