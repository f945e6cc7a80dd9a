//! Which directories a replica selects (`docs/selection.md`).

use std::collections::BTreeMap;

use replicat_core::path::RelPath;

use super::IGNORE_FILE_NAME;

/// Marks on paths. The nearest mark, at a path or above it, says whether it is selected; without one it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    marks: BTreeMap<RelPath, bool>,
}

impl Selection {
    /// The selection of these paths, with what is below them, and of nothing else.
    #[must_use]
    pub fn only(paths: impl IntoIterator<Item = RelPath>) -> Self {
        let mut selection = Self::default();
        selection.mark(RelPath::root(), false);
        for path in paths {
            selection.mark(path, true);
        }
        selection
    }

    /// Selects a path, or deselects it, with all that is below it.
    pub fn mark(&mut self, path: RelPath, is_selected: bool) {
        self.marks.retain(|marked, _| !marked.is_within(&path));
        if self.is_selected(&path) != is_selected {
            self.marks.insert(path, is_selected);
        }
    }

    /// The marks, in path order: each path, and whether it is selected.
    pub fn marks(&self) -> impl Iterator<Item = (&RelPath, bool)> {
        self.marks.iter().map(|(path, mark)| (path, *mark))
    }

    /// Whether everything is selected.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.marks.is_empty()
    }

    /// Whether a path is selected, by the nearest mark.
    #[must_use]
    pub fn is_selected(&self, path: &RelPath) -> bool {
        let mut at = std::iter::once(path.clone()).chain(path.ancestors());
        at.find_map(|at| self.marks.get(&at).copied())
            .unwrap_or(true)
    }

    /// Whether a path is in scope: it is selected, leads to what is, or has patterns that hold there.
    #[must_use]
    pub fn includes(&self, path: &RelPath, is_directory: bool) -> bool {
        if self.is_everything() || path.is_root() || self.is_selected(path) {
            return true;
        }
        if is_directory {
            return self.leads(path);
        }
        path.name() == IGNORE_FILE_NAME
            && (path.parent()).is_some_and(|parent| parent.is_root() || self.leads(&parent))
    }

    /// Whether anything below a directory is selected by a mark of its own.
    fn leads(&self, directory: &RelPath) -> bool {
        let from = self.marks.range(directory.clone()..);
        let mut below = from.take_while(|(marked, _)| marked.is_within(directory));
        below.any(|(_, mark)| *mark)
    }

    /// Whether all that is below a directory is selected.
    #[must_use]
    pub fn is_whole(&self, directory: &RelPath) -> bool {
        let mut from = self.marks.range(directory.clone()..);
        let has_marks = (from.next()).is_some_and(|(marked, _)| marked.is_within(directory));
        !has_marks && self.is_selected(directory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RelPath {
        RelPath::new(text.as_bytes()).unwrap()
    }

    fn marks(selection: &Selection) -> Vec<String> {
        let sign = |mark| if mark { '+' } else { '-' };
        let marks = selection.marks();
        marks
            .map(|(path, mark)| format!("{}{path}", sign(mark)))
            .collect()
    }

    #[test]
    fn nearest_mark_decides() {
        let mut selection = Selection::only([path("docs"), path("photos/2024")]);
        selection.mark(path("photos/2024/raw"), false);
        let selected = [
            "docs",
            "docs/a/b",
            "photos/2024",
            "photos/2024/a",
            "photos/2024/raws",
        ];
        for inside in selected {
            assert!(selection.is_selected(&path(inside)), "{inside}");
        }
        let deselected = [
            "",
            "a",
            "docs2",
            "photos",
            "photos/2023/a",
            "photos/2024/raw",
            "photos/2024/raw/a",
        ];
        for outside in deselected {
            assert!(!selection.is_selected(&path(outside)), "{outside}");
        }
    }

    #[test]
    fn way_to_what_is_selected_is_in_scope() {
        let selection = Selection::only([path("a/b/c")]);
        for directory in ["", "a", "a/b", "a/b/c", "a/b/c/d"] {
            assert!(selection.includes(&path(directory), true), "{directory}");
        }
        for directory in ["b", "a/c", "a/b/d", "a/bc"] {
            assert!(!selection.includes(&path(directory), true), "{directory}");
        }
        for file in ["a", "a/file", "a/b/file", "file", "x/.replicatignore"] {
            assert!(!selection.includes(&path(file), false), "{file}");
        }
        let patterns = [
            ".replicatignore",
            "a/.replicatignore",
            "a/b/.replicatignore",
        ];
        for file in patterns {
            assert!(selection.includes(&path(file), false), "{file}");
        }
    }

    #[test]
    fn marks_that_change_nothing_are_dropped() {
        let mut selection = Selection::default();
        selection.mark(path("a"), true);
        assert!(selection.is_everything());
        selection.mark(path("a/b"), false);
        selection.mark(path("a/b/c"), true);
        selection.mark(path("a/b/c/d"), true);
        assert_eq!(marks(&selection), ["-a/b", "+a/b/c"]);
        selection.mark(path("a/b"), false);
        assert_eq!(marks(&selection), ["-a/b"]);
        selection.mark(path("a"), true);
        assert!(selection.is_everything());
    }

    #[test]
    fn whole_directories_need_no_look_at_marks() {
        let mut selection = Selection::default();
        selection.mark(path("a/b"), false);
        assert!(selection.is_whole(&path("c")));
        assert!(selection.is_whole(&path("a/c")));
        assert!(!selection.is_whole(&path("")));
        assert!(!selection.is_whole(&path("a")));
        assert!(!selection.is_whole(&path("a/b")));
        assert!(!selection.is_whole(&path("a/b/c")));
    }
}
