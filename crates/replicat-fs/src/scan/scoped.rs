//! Scans of single paths: after a surprise, and when a watch gives a hint.

use std::collections::{BTreeMap, HashSet};
use std::ffi::CString;
use std::os::fd::AsFd;

use replicat_core::path::RelPath;
use rustix::fs::FileType;

use super::directory::{Here, Worker};
use super::{Progress, ScanError, SkipReason, Work, lock};
use crate::filter::PathFilter;
use crate::folding;
use crate::observe;

/// Compares `paths` themselves and the directories above them, and leaves to the stack what lies below them.
pub(super) fn enqueue(progress: &Progress<'_>, paths: &[RelPath]) -> Result<(), ScanError> {
    let mut descent = Descent::new(progress);
    for path in outermost(paths) {
        descent.reach(&path)?;
    }
    let mut found = std::mem::take(&mut descent.worker.found);
    progress.stack.push_all(&mut found);
    lock(&progress.report).merge(descent.worker.into_report());
    Ok(())
}

/// Compares directories themselves and those above them, and nothing that they hold.
pub(super) fn enqueue_alone(
    progress: &Progress<'_>,
    directories: &[RelPath],
) -> Result<(), ScanError> {
    let mut descent = Descent::new(progress);
    for directory in directories {
        descent.reach(directory)?;
    }
    lock(&progress.report).merge(descent.worker.into_report());
    Ok(())
}

/// The paths that lie within no other of them.
fn outermost(paths: &[RelPath]) -> Vec<RelPath> {
    let mut sorted = paths.to_vec();
    sorted.sort();
    let mut outer: Vec<RelPath> = Vec::new();
    for path in sorted {
        if !outer.last().is_some_and(|last| path.is_within(last)) {
            outer.push(path);
        }
    }
    outer
}

/// Whether a directory above a path can be entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reached {
    /// It can.
    Yes,
    /// It is gone, out of scope, or cannot be seen; that was told.
    No,
}

struct Descent<'progress, 'scan> {
    filter: PathFilter<'scan>,
    worker: Worker<'progress, 'scan>,
    /// The directories above paths that were compared already, and whether paths below them can be.
    seen: BTreeMap<RelPath, Reached>,
    /// What directories hold, where names that differ in case are one.
    spellings: BTreeMap<RelPath, HashSet<Vec<u8>>>,
}

impl<'progress, 'scan> Descent<'progress, 'scan> {
    fn new(progress: &'progress Progress<'scan>) -> Self {
        Self {
            filter: progress.scan.filter.paths(progress.scan.root),
            worker: Worker::new(progress),
            seen: BTreeMap::new(),
            spellings: BTreeMap::new(),
        }
    }

    /// Compares each directory above `path` from the top, and then `path`; ends at the first that is not there.
    fn reach(&mut self, path: &RelPath) -> Result<(), ScanError> {
        if path.is_root() {
            self.worker.found.push(Work {
                path: RelPath::root(),
                filter: self.worker.progress.scan.filter.top(),
            });
            return Ok(());
        }
        let mut above: Vec<RelPath> = path.ancestors().filter(|path| !path.is_root()).collect();
        above.reverse();
        for directory in above {
            let reached = match self.seen.get(&directory) {
                Some(&reached) => reached,
                None => self.compare_above(directory)?,
            };
            if reached == Reached::No {
                return Ok(());
            }
        }
        self.compare(path)
    }

    /// Whether a directory holds a name in just this spelling.
    fn is_spelled(&mut self, here: &Here<'_>, name: &[u8]) -> bool {
        if !self.spellings.contains_key(here.path) {
            // What cannot be listed is told when it is looked at.
            let Ok(names) = folding::spellings(here.descriptor) else {
                return true;
            };
            self.spellings.insert(here.path.clone(), names);
        }
        (self.spellings.get(here.path)).is_some_and(|names| names.contains(name))
    }

    /// The path that a directory holds in another spelling of a name.
    fn respelled(&self, directory: &RelPath, name: &[u8]) -> Option<RelPath> {
        let lower = |name: &[u8]| String::from_utf8_lossy(name).to_lowercase();
        let wanted = lower(name);
        let names = self.spellings.get(directory)?;
        let found = names.iter().find(|found| lower(found) == wanted)?;
        directory.join(found).ok()
    }

    /// Compares a directory, of which only what leads further is wanted.
    fn compare_above(&mut self, directory: RelPath) -> Result<Reached, ScanError> {
        let found_before = self.worker.found.len();
        self.compare(&directory)?;
        let reached = if self.worker.found.len() == found_before {
            Reached::No
        } else {
            Reached::Yes
        };
        self.worker.found.truncate(found_before);
        self.seen.insert(directory, reached);
        Ok(reached)
    }

    fn compare(&mut self, path: &RelPath) -> Result<(), ScanError> {
        let scan = self.worker.progress.scan;
        let from = observe::now();
        let record = scan.baseline.record(path)?;
        let parent_path = path.parent().unwrap_or_else(RelPath::root);
        let filter = match self.filter.directory(&parent_path) {
            Ok(Some(filter)) => filter,
            Ok(None) => return Ok(()),
            Err(error) => return self.worker.skip(parent_path, SkipReason::IgnoreFile(error)),
        };
        let parent = match scan.root.parent_of(path) {
            Ok(parent) => parent,
            Err(error) if error.is_missing() || error.is_symlink() => {
                return self.worker.skip(parent_path, SkipReason::Unsettled);
            }
            Err(error) => {
                return self.worker.skip(parent_path, SkipReason::Unreadable(error));
            }
        };
        let here = Here {
            path: &parent_path,
            filter: &filter,
            descriptor: parent.directory.as_fd(),
            from,
        };
        if scan.root.folds_names() && !self.is_spelled(&here, &parent.name) {
            self.worker.absent(&here, &parent.name, record.as_ref())?;
            // Who wrote to a file by another spelling wrote to this one.
            return match self.respelled(&parent_path, &parent.name) {
                Some(meant) => self.compare(&meant),
                None => Ok(()),
            };
        }
        match CString::new(parent.name) {
            Ok(name) => self
                .worker
                .listed(&here, &name, FileType::Unknown, record.as_ref()),
            Err(_) => Ok(()),
        }
    }
}
