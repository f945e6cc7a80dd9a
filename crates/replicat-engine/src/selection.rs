//! What a replica selects of a folder, as functions take and return it (`docs/selection.md`).

use replicat_core::path::RelPath;

pub use replicat_fs::filter::Selection;

/// What a replica selects, and who said so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selected {
    /// What is selected.
    pub selection: Selection,
    /// The settings of the node say so. No command changes it.
    pub is_by_settings: bool,
}

/// How a selection is to change. A path stands for itself and all that is below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SelectionChange {
    /// These paths are selected, and nothing else.
    Only(Vec<RelPath>),
    /// These are selected as well.
    Add(Vec<RelPath>),
    /// These are not selected any more.
    Remove(Vec<RelPath>),
    /// Everything is selected.
    Everything,
}

impl SelectionChange {
    /// The selection after the change.
    #[must_use]
    pub fn of(self, mut selection: Selection) -> Selection {
        let (paths, is_selected) = match self {
            Self::Everything => return Selection::default(),
            Self::Only(paths) => return Selection::only(paths),
            Self::Add(paths) => (paths, true),
            Self::Remove(paths) => (paths, false),
        };
        for path in paths {
            selection.mark(path, is_selected);
        }
        selection
    }
}

/// What became of the local copies of what is not selected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Nothing was removed: this is what would be.
    pub dry_run: bool,
    /// Files and symbolic links that were moved to the trash.
    pub files: u64,
    /// The bytes of these files.
    pub bytes: u64,
    /// Directories that were removed.
    pub directories: u64,
    /// Copies that stay, at most [`STAYING_LISTED_MAX`].
    pub staying: Vec<StayingCopy>,
    /// How many more stay.
    pub more: u64,
}

/// How many copies that stay are listed.
pub const STAYING_LISTED_MAX: usize = 1000;

/// A local copy that stays, though it is not selected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StayingCopy {
    /// Its path.
    pub path: RelPath,
    /// Why it stays.
    pub reason: StayReason,
}

/// Why a local copy stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StayReason {
    /// No replica that was asked keeps the version at its path.
    NotElsewhere,
    /// It was made or changed here since it was deselected.
    Changed,
    /// It has an open conflict.
    Conflict,
    /// The directory holds something that stays.
    NotEmpty,
    /// What is selected, or the version at the path, changed while others were asked about it.
    Overtaken,
    /// It is an ignore file, and something that stays lies in its directory.
    Patterns,
    /// It could not be removed.
    Failed(String),
}

impl std::fmt::Display for StayReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotElsewhere => "no connected replica keeps it at this path",
            Self::Changed => {
                "it was made or changed here while it was not selected; select it, so that it is synced"
            }
            Self::Conflict => "it has an open conflict; select it, and resolve that",
            Self::Overtaken => {
                "what is selected, or its version, changed while others were asked; prune again"
            }
            Self::Patterns => "its patterns hold for what stays beside it",
            Self::NotEmpty => "it holds something that stays",
            Self::Failed(reason) => reason,
        })
    }
}

impl Pruned {
    /// Notes a copy that stays.
    pub(crate) fn stay(&mut self, path: RelPath, reason: StayReason) {
        match self.staying.len() < STAYING_LISTED_MAX {
            true => self.staying.push(StayingCopy { path, reason }),
            false => self.more += 1,
        }
    }
}
