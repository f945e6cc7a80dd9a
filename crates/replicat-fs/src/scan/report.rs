//! What a scan saw, in numbers.

use replicat_core::path::RelPath;

use crate::filter::FilterWarning;

/// How many paths and warnings a report lists; the rest are counted only.
pub const LISTED_MAX: usize = 1000;

/// What a scan saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScanReport {
    /// Directories in scope, without the root.
    pub directories: u64,
    /// Files in scope.
    pub files: u64,
    /// Symbolic links in scope.
    pub symlinks: u64,
    /// Bytes that the files hold.
    pub bytes: u64,
    /// Paths whose storage was known.
    pub known: u64,
    /// Paths told as changed.
    pub changed: u64,
    /// Paths told as missing.
    pub missing: u64,
    /// Paths told as out of scope.
    pub out_of_scope: u64,
    /// Paths told as skipped.
    pub skipped: u64,
    /// The first of them, each with its reason.
    pub skipped_listed: Vec<(RelPath, String)>,
    /// Lines of ignore files that are no patterns, the first of them.
    pub warnings: Vec<FilterWarning>,
    /// The root holds nothing, the state directory apart. Only a whole scan tells.
    pub root_empty: bool,
}

impl ScanReport {
    /// Takes in what another thread saw.
    pub(super) fn merge(&mut self, other: Self) {
        self.directories += other.directories;
        self.files += other.files;
        self.symlinks += other.symlinks;
        self.bytes += other.bytes;
        self.known += other.known;
        self.changed += other.changed;
        self.missing += other.missing;
        self.out_of_scope += other.out_of_scope;
        self.skipped += other.skipped;
        self.skipped_listed.extend(other.skipped_listed);
        self.skipped_listed.sort();
        self.skipped_listed.truncate(LISTED_MAX);
        self.warn(other.warnings);
        self.root_empty |= other.root_empty;
    }

    /// Notes a skipped path.
    pub(super) fn skip(&mut self, path: &RelPath, reason: &impl ToString) {
        self.skipped += 1;
        if self.skipped_listed.len() < LISTED_MAX {
            self.skipped_listed.push((path.clone(), reason.to_string()));
        }
    }

    /// Notes what is wrong with an ignore file.
    pub(super) fn warn(&mut self, warnings: Vec<FilterWarning>) {
        let room = LISTED_MAX.saturating_sub(self.warnings.len());
        self.warnings.extend(warnings.into_iter().take(room));
    }
}
