//! Filters: which paths are out of scope.
//!
//! Goals: rsync's ordered rules from the command line, then `.replicatignore` files in gitignore's syntax;
//! a path below one that is left out is left out as well. `.replicat` always is, at any depth; nothing else is
//! unless someone says so. A [`Selection`] leaves out directories of one replica.
//! Non-goals: what becomes of a path that leaves the scope; that is never a deletion, and the core's business.

mod explain;
mod ignore_file;
mod pattern;
mod rule;
mod selection;

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use replicat_core::path::RelPath;
use rustix::io::Errno;

use crate::error::FsError;
use crate::root::Root;
use ignore_file::{IgnoreFile, Verdict};

pub use explain::{Exclusion, ExclusionReason};
pub use ignore_file::{
    FilterWarning, IGNORE_FILE_BYTES_MAX, IGNORE_FILE_LINES_MAX, IGNORE_FILE_NAME,
};
pub use pattern::{PATTERN_BYTES_MAX, PatternError};
pub use rule::{Action, Rule, RuleSource};
pub use selection::Selection;

/// The directory at the root that holds a replica's own state. Below the root it is the state of another root, which is as little
/// synced.
pub const STATE_DIRECTORY_NAME: &[u8] = b".replicat";
/// How many directories a [`PathFilter`] remembers.
const REMEMBERED_DIRECTORIES_MAX: usize = 8192;

/// What is out of scope in a folder, by the rules that hold everywhere.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    rules: Arc<[Rule]>,
    selection: Arc<Selection>,
}

impl Filter {
    /// A filter of ordered rules.
    #[must_use]
    pub fn new(rules: Vec<Rule>) -> Self {
        Self {
            rules: rules.into(),
            selection: Arc::default(),
        }
    }

    /// The same filter, in what is selected.
    #[must_use]
    pub fn within(self, selection: Selection) -> Self {
        let selection = Arc::new(selection);
        Self { selection, ..self }
    }

    /// What is selected.
    #[must_use]
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// The rules, in order.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The filter of the root directory, before its ignore file is read.
    #[must_use]
    pub fn top(&self) -> DirectoryFilter {
        DirectoryFilter {
            rules: self.rules.clone(),
            selection: (!self.selection.is_everything()).then(|| Arc::clone(&self.selection)),
            ignored: None,
            directory: RelPath::root(),
        }
    }

    /// A filter for single paths, which reads ignore files as it meets them and remembers them, until
    /// [`PathFilter::forget_ignore_files`].
    #[must_use]
    pub fn paths<'root>(&self, root: &'root Root) -> PathFilter<'root> {
        PathFilter {
            root,
            top: self.top(),
            remembered: HashMap::new(),
        }
    }

    /// Whether a single path is out of scope. For more than one, [`Self::paths`] is cheaper.
    ///
    /// # Errors
    /// If an ignore file above it cannot be read.
    pub fn excludes_path(
        &self,
        root: &Root,
        path: &RelPath,
        is_directory: bool,
    ) -> Result<bool, FsError> {
        self.paths(root).excludes(path, is_directory)
    }
}

/// The ignore files that apply in a directory, the nearest first.
#[derive(Debug)]
struct Ignored {
    file: IgnoreFile,
    /// Where, in a path, the part begins that is relative to the file's directory.
    start: usize,
    above: Option<Arc<Ignored>>,
}

impl Drop for Ignored {
    /// Takes the chain apart link by link: dropped as it is, it would recurse, as deep as someone made the tree.
    fn drop(&mut self) {
        let mut above = self.above.take().and_then(Arc::into_inner);
        while let Some(mut ignored) = above {
            above = ignored.above.take().and_then(Arc::into_inner);
        }
    }
}

/// What is out of scope in one directory.
#[derive(Clone, Debug)]
pub struct DirectoryFilter {
    rules: Arc<[Rule]>,
    /// What is selected; `None` if all that the directory holds is.
    selection: Option<Arc<Selection>>,
    ignored: Option<Arc<Ignored>>,
    directory: RelPath,
}

impl DirectoryFilter {
    /// The filter of a directory below this one, before its ignore file is read.
    #[must_use]
    pub fn below(&self, directory: RelPath) -> Self {
        let selection = self.selection.clone();
        Self {
            rules: self.rules.clone(),
            selection: selection.filter(|selection| !selection.is_whole(&directory)),
            ignored: self.ignored.clone(),
            directory,
        }
    }

    /// Adds the directory's own ignore file, if it has one.
    ///
    /// # Errors
    /// If there is one that cannot be read, or that is over [`IGNORE_FILE_BYTES_MAX`] or
    /// [`IGNORE_FILE_LINES_MAX`]: what it leaves out is not
    /// known then, and nothing in the directory may be taken to be in scope.
    pub fn read_ignore_file(
        &mut self,
        directory: BorrowedFd<'_>,
    ) -> Result<Vec<FilterWarning>, Errno> {
        let Some((file, warnings)) = IgnoreFile::read(directory, &self.directory)? else {
            return Ok(Vec::new());
        };
        self.ignored = Some(Arc::new(Ignored {
            file,
            start: match self.directory.as_bytes().len() {
                0 => 0,
                length => length + 1,
            },
            above: self.ignored.take(),
        }));
        Ok(warnings)
    }

    /// Whether anything but the state directory can be left out here.
    fn is_silent(&self) -> bool {
        self.rules.is_empty() && self.ignored.is_none() && self.selection.is_none()
    }

    /// Whether `name` in this directory is out of scope. The directory itself is in scope.
    #[must_use]
    pub fn excludes(&self, name: &[u8], is_directory: bool) -> bool {
        if self.is_state(name) {
            return true;
        }
        if self.is_silent() {
            return false;
        }
        match self.decision(&self.path_of(name), is_directory) {
            Decision::Silent => false,
            Decision::Deselected => true,
            Decision::Rule(rule) => rule.action() == Action::Exclude,
            Decision::IgnoreFile(_, verdict) => verdict == Verdict::Exclude,
        }
    }

    /// Whether `name` is the state of this root, or of another one below it.
    fn is_state(&self, name: &[u8]) -> bool {
        name == STATE_DIRECTORY_NAME
    }

    /// The path of `name` in this directory, relative to the root.
    fn path_of(&self, name: &[u8]) -> Vec<u8> {
        let mut path = Vec::with_capacity(self.directory.as_bytes().len() + 1 + name.len());
        path.extend_from_slice(self.directory.as_bytes());
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        path
    }

    /// What decides whether `path` is in scope.
    fn decision(&self, path: &[u8], is_directory: bool) -> Decision<'_> {
        if let Some(selection) = &self.selection
            && !RelPath::new(path).is_ok_and(|path| selection.includes(&path, is_directory))
        {
            return Decision::Deselected;
        }
        let mut rules = self.rules.iter();
        if let Some(rule) = rules.find(|rule| rule.matches(path, is_directory)) {
            return Decision::Rule(rule);
        }
        let mut next = self.ignored.as_deref();
        while let Some(ignored) = next {
            match ignored.file.verdict(&path[ignored.start..], is_directory) {
                Verdict::Silent => next = ignored.above.as_deref(),
                verdict => return Decision::IgnoreFile(ignored, verdict),
            }
        }
        Decision::Silent
    }
}

/// What decides whether a path is in scope.
enum Decision<'filter> {
    /// Nothing: it is.
    Silent,
    /// It is not selected.
    Deselected,
    /// A rule.
    Rule(&'filter Rule),
    /// An ignore file, with its verdict.
    IgnoreFile(&'filter Ignored, Verdict),
}

/// What is known of a directory's scope.
#[derive(Clone, Debug)]
enum Scope {
    /// In scope, with the filter of what it holds.
    Inside(DirectoryFilter),
    /// Left out, with all that it holds.
    Outside,
}

/// Filters single paths of one root; see [`Filter::paths`].
#[derive(Debug)]
pub struct PathFilter<'root> {
    root: &'root Root,
    top: DirectoryFilter,
    remembered: HashMap<RelPath, Scope>,
}

impl PathFilter<'_> {
    /// Reads ignore files anew from now on.
    pub fn forget_ignore_files(&mut self) {
        self.remembered.clear();
    }

    /// Whether `path` is out of scope, by itself or by a directory above it. It need not exist.
    ///
    /// # Errors
    /// If an ignore file above it cannot be read.
    pub fn excludes(&mut self, path: &RelPath, is_directory: bool) -> Result<bool, FsError> {
        let Some(parent) = path.parent() else {
            return Ok(false);
        };
        Ok(match self.scope(&parent)? {
            Scope::Inside(filter) => filter.excludes(path.name(), is_directory),
            Scope::Outside => true,
        })
    }

    /// The filter of what `directory` holds; `None` if it is out of scope itself.
    ///
    /// # Errors
    /// If an ignore file in it or above it cannot be read.
    pub fn directory(&mut self, directory: &RelPath) -> Result<Option<DirectoryFilter>, FsError> {
        Ok(match self.scope(directory)? {
            Scope::Inside(filter) => Some(filter),
            Scope::Outside => None,
        })
    }

    fn scope(&mut self, directory: &RelPath) -> Result<Scope, FsError> {
        if let Some(scope) = self.remembered.get(directory) {
            return Ok(scope.clone());
        }
        let mut missing = vec![directory.clone()];
        missing.extend(
            directory
                .ancestors()
                .take_while(|above| !self.remembered.contains_key(above)),
        );
        let mut scope = match missing.last().and_then(RelPath::parent) {
            Some(known) => self.remembered.get(&known).cloned(),
            None => None,
        };
        for directory in missing.into_iter().rev() {
            let entered = self.enter(scope.as_ref(), &directory)?;
            self.remember(directory, entered.clone());
            scope = Some(entered);
        }
        Ok(scope.unwrap_or(Scope::Outside))
    }

    /// The scope of `directory`, given that of its parent; the root has none.
    fn enter(&self, parent: Option<&Scope>, directory: &RelPath) -> Result<Scope, FsError> {
        let mut filter = match parent {
            None => self.top.clone(),
            Some(Scope::Inside(parent)) if !parent.excludes(directory.name(), true) => {
                parent.below(directory.clone())
            }
            Some(_) => return Ok(Scope::Outside),
        };
        match self.root.directory(directory) {
            Ok(descriptor) => {
                // The lines that are no patterns are reported by the scan.
                filter
                    .read_ignore_file(descriptor.as_fd())
                    .map_err(|source| {
                        self.root
                            .error("read the ignore file in", directory, source)
                    })?;
            }
            Err(error) if error.is_missing() || error.is_symlink() => {}
            Err(error) => return Err(error),
        }
        Ok(Scope::Inside(filter))
    }

    fn remember(&mut self, directory: RelPath, scope: Scope) {
        if self.remembered.len() >= REMEMBERED_DIRECTORIES_MAX {
            self.remembered.clear();
        }
        self.remembered.insert(directory, scope);
    }
}
