//! Questions about a root whose index is open elsewhere in the process.

use replicat_core::path::RelPath;

use super::open::Looked;
use super::tree::{Tree, level};
use super::why::{self, Around};
use crate::engine::local::LocalReplica;
use crate::error::SyncError;
use crate::inspection::{Explanation, HistoryRow, TreeRow};
use crate::report::ConflictReport;
use crate::restoration::TrashRow;
use crate::selection::Selected;

/// Something that can be asked about a root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// See [`conflicts`](super::conflicts).
    Conflicts,
    /// See [`history`](super::history).
    History(RelPath),
    /// See [`why`](super::why()).
    Why(RelPath),
    /// See [`trash`](super::trash()).
    Trash,
    /// See [`selection`](super::selection()).
    Selection,
    /// See [`tree`](super::tree()).
    Tree(RelPath),
    /// What a directory holds itself.
    Level {
        /// The directory.
        directory: RelPath,
        /// Only names behind this one.
        after: Option<Vec<u8>>,
        /// How many paths at most.
        limit: usize,
    },
}

/// The answer to a [`Question`] of the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The conflicts that nobody has resolved.
    Conflicts(Vec<ConflictReport>),
    /// What happened at a path, the latest first.
    History(Vec<HistoryRow>),
    /// Why a path is as it is.
    Why(Explanation),
    /// What is selected.
    Selection(Selected),
    /// What the trash holds, the oldest first.
    Trash(Vec<TrashRow>),
    /// The paths at and below one, or one level of them.
    Tree(Vec<TreeRow>),
}

/// Answers with a replica that is lent for it; `around` says what else its folder knows.
pub(in crate::engine) fn answer_in(
    local: LocalReplica,
    question: &Question,
    around: &Around,
) -> (LocalReplica, Result<Answer, SyncError>) {
    let looked = Looked::lent(local);
    let (looked, answer) = match question {
        Question::Conflicts => {
            let found = looked.conflicts().map(Answer::Conflicts);
            (looked, found)
        }
        Question::History(path) => {
            let found = looked.history(path).map(Answer::History);
            (looked, found)
        }
        Question::Why(path) => {
            let found = why::explain(&looked, path, around).map(Answer::Why);
            (looked, found)
        }
        Question::Trash => {
            let found = looked.trash_rows().map(Answer::Trash);
            (looked, found)
        }
        Question::Selection => {
            let found = looked.local.kept_selection().map(Answer::Selection);
            (looked, found)
        }
        Question::Tree(path) => tree(looked, path),
        Question::Level {
            directory,
            after,
            limit,
        } => {
            let found = level(&looked, directory, after.as_deref(), *limit).map(Answer::Tree);
            (looked, found)
        }
    };
    (looked.into_local(), answer)
}

fn tree(looked: Looked, path: &RelPath) -> (Looked, Result<Answer, SyncError>) {
    match Tree::of(looked, path) {
        Ok(mut tree) => {
            let rows = tree.by_ref().collect::<Result<_, _>>().map(Answer::Tree);
            (tree.into_looked(), rows)
        }
        Err(lent) => {
            let (looked, error) = *lent;
            (looked, Err(error))
        }
    }
}
