//! One rule of a filter: a pattern, what to do with what it matches, and where the rule was written.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::pattern::{Pattern, PatternError};

/// What a rule does with what it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Keeps it in scope.
    Include,
    /// Leaves it out.
    Exclude,
}

/// Where a rule was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleSource {
    /// In an option, a variable or a setting of this name.
    Named(Arc<str>),
    /// In a file of patterns.
    File {
        /// The file.
        path: Arc<Path>,
        /// The line, counted from 1.
        line: usize,
    },
}

impl fmt::Display for RuleSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => f.write_str(name),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
        }
    }
}

/// One rule of the command line or of the settings. The first that matches a path decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    action: Action,
    pattern: Pattern,
    text: Arc<[u8]>,
    source: Option<RuleSource>,
}

impl Rule {
    /// A rule from a pattern as rsync takes it: without a slash it matches names anywhere; a leading slash anchors
    /// it at the root, a trailing one restricts it to directories; `*` and `?` stop at slashes, `**` does not.
    ///
    /// # Errors
    /// If the pattern cannot match anything.
    pub fn new(action: Action, pattern: &[u8]) -> Result<Self, PatternError> {
        Ok(Self {
            action,
            pattern: Pattern::parse(pattern)?,
            text: pattern.into(),
            source: None,
        })
    }

    /// The same rule, with the place where it was written.
    #[must_use]
    pub fn from_source(self, source: RuleSource) -> Self {
        let source = Some(source);
        Self { source, ..self }
    }

    /// The rules of a text, one a line. Empty lines and those that begin with `#` or `;` are comments; `+ ` and `- `
    /// in front of a pattern override `action`.
    ///
    /// # Errors
    /// If a pattern cannot match anything.
    pub fn list(action: Action, text: &[u8]) -> Result<Vec<Self>, PatternError> {
        lines(action, text).map(|(_, rule)| rule).collect()
    }

    /// The rules of the file `path`, which holds `text`; each knows its line.
    ///
    /// # Errors
    /// If a pattern cannot match anything.
    pub fn list_of_file(
        action: Action,
        text: &[u8],
        path: &Path,
    ) -> Result<Vec<Self>, PatternError> {
        let path: Arc<Path> = path.into();
        let located = lines(action, text).map(|(line, rule)| {
            let path = Arc::clone(&path);
            Ok(rule?.from_source(RuleSource::File { path, line }))
        });
        located.collect()
    }

    /// What it does with what it matches.
    #[must_use]
    pub fn action(&self) -> Action {
        self.action
    }

    /// Its pattern, as it was written.
    #[must_use]
    pub fn pattern(&self) -> &[u8] {
        &self.text
    }

    /// Where it was written, if that is known.
    #[must_use]
    pub fn source(&self) -> Option<&RuleSource> {
        self.source.as_ref()
    }

    /// Whether it matches `path`, relative to the root.
    pub(super) fn matches(&self, path: &[u8], is_directory: bool) -> bool {
        self.pattern.matches(path, is_directory)
    }
}

/// The rules of a text, each with its line, counted from 1.
fn lines(
    action: Action,
    text: &[u8],
) -> impl Iterator<Item = (usize, Result<Rule, PatternError>)> + '_ {
    let lines = text.split(|&byte| byte == b'\n').enumerate();
    let lines = lines.map(|(at, line)| (at + 1, line.strip_suffix(b"\r").unwrap_or(line)));
    let patterns = lines.filter(|(_, line)| !matches!(line, [] | [b'#' | b';', ..]));
    patterns.map(move |(at, line)| {
        let rule = match line {
            [b'+', b' ', pattern @ ..] => Rule::new(Action::Include, pattern),
            [b'-', b' ', pattern @ ..] => Rule::new(Action::Exclude, pattern),
            pattern => Rule::new(action, pattern),
        };
        (at, rule)
    })
}
