//! Why a path is out of scope: which rule, written where. For those who ask about one path; a scan never comes here.

use std::os::fd::AsFd;

use replicat_core::path::RelPath;

use super::ignore_file::{self, IGNORE_FILE_NAME, Verdict};
use super::rule::{Action, RuleSource};
use super::{Decision, Filter, PathFilter};
use crate::error::FsError;
use crate::root::Root;

/// Why a path is out of scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exclusion {
    /// What was matched: the path, or a directory above it.
    pub matched: RelPath,
    /// By what.
    pub reason: ExclusionReason,
}

/// What leaves a path out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExclusionReason {
    /// It holds the replica's own state.
    State,
    /// It is not selected.
    Deselected,
    /// A rule of the command line or of the settings.
    Rule {
        /// Its pattern.
        pattern: Vec<u8>,
        /// Where it was written, if that is known.
        source: Option<RuleSource>,
    },
    /// A line of an ignore file.
    IgnoreFile {
        /// The file.
        file: RelPath,
        /// The line and its number, counted from 1; `None` if the file was changed in between.
        line: Option<(usize, Vec<u8>)>,
    },
}

impl Filter {
    /// Why a path is out of scope; `None` if it is not. The path need not exist.
    ///
    /// # Errors
    /// If an ignore file above it cannot be read.
    pub fn explain(
        &self,
        root: &Root,
        path: &RelPath,
        is_directory: bool,
    ) -> Result<Option<Exclusion>, FsError> {
        self.paths(root).explain(path, is_directory)
    }
}

impl PathFilter<'_> {
    /// Why `path` is out of scope, by itself or by a directory above it; `None` if it is in scope.
    fn explain(
        &mut self,
        path: &RelPath,
        is_directory: bool,
    ) -> Result<Option<Exclusion>, FsError> {
        let above: Vec<RelPath> = path.ancestors().filter(|above| !above.is_root()).collect();
        for directory in above.into_iter().rev() {
            if let Some(reason) = self.reason(&directory, true)? {
                let matched = directory;
                return Ok(Some(Exclusion { matched, reason }));
            }
        }
        let reason = self.reason(path, is_directory)?;
        let matched = path.clone();
        Ok(reason.map(|reason| Exclusion { matched, reason }))
    }

    /// What leaves out `path` itself, whose parent is in scope.
    fn reason(
        &mut self,
        path: &RelPath,
        is_directory: bool,
    ) -> Result<Option<ExclusionReason>, FsError> {
        let Some(parent) = path.parent() else {
            return Ok(None);
        };
        let Some(filter) = self.directory(&parent)? else {
            return Ok(None);
        };
        if filter.is_state(path.name()) {
            return Ok(Some(ExclusionReason::State));
        }
        Ok(match filter.decision(path.as_bytes(), is_directory) {
            Decision::Deselected => Some(ExclusionReason::Deselected),
            Decision::Rule(rule) if rule.action() == Action::Exclude => {
                Some(ExclusionReason::Rule {
                    pattern: rule.pattern().to_vec(),
                    source: rule.source().cloned(),
                })
            }
            Decision::IgnoreFile(ignored, Verdict::Exclude) => {
                let below = &path.as_bytes()[ignored.start..];
                let directory = path.ancestors().find(|above| {
                    let length = above.as_bytes().len();
                    length == ignored.start.saturating_sub(1)
                });
                let directory = directory.unwrap_or_else(RelPath::root);
                Some(self.line_of(&directory, below, is_directory)?)
            }
            _ => None,
        })
    }

    /// The line of the ignore file in `directory` that leaves out `below`, a path relative to it.
    fn line_of(
        &self,
        directory: &RelPath,
        below: &[u8],
        is_directory: bool,
    ) -> Result<ExclusionReason, FsError> {
        let text = self.root.directory(directory).and_then(|descriptor| {
            ignore_file::read_text(descriptor.as_fd()).map_err(|source| {
                self.root
                    .error("read the ignore file in", directory, source)
            })
        })?;
        let line = text.and_then(|text| ignore_file::deciding_line(&text, below, is_directory));
        let file = directory
            .join(IGNORE_FILE_NAME)
            .unwrap_or_else(|_| directory.clone());
        Ok(ExclusionReason::IgnoreFile { file, line })
    }
}
