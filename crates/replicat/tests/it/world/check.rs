//! What holds after every sync.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::Ordering;

use super::walk::{Kind, Tree, contents, try_walk, walk};
use super::{Outcome, World};

impl World {
    /// Syncs these roots and checks what holds after any sync, a failed one included: nothing is lost, no
    /// temporary name is left, and "in sync" is true if it is said.
    #[track_caller]
    pub(crate) fn sync(&self, roots: &[usize], options: &[&str]) -> Outcome {
        let before: Vec<Tree> = roots.iter().map(|root| walk(self.root(*root))).collect();
        let outcome = self.run(roots, options);
        let after: Vec<Tree> = roots.iter().map(|root| walk(self.root(*root))).collect();
        for (position, root) in roots.iter().enumerate() {
            self.assert_kept(*root, &before[position], &after[position]);
            assert_no_temporary_names(&after[position]);
        }
        if outcome.in_sync() {
            let after: Vec<Tree> = after.into_iter().map(|tree| self.in_scope(tree)).collect();
            assert_equal(&after, &outcome);
        }
        outcome
    }

    /// Syncs all roots, checks that they are in sync, and that a second sync has nothing to do.
    #[track_caller]
    pub(crate) fn settle(&self) -> Outcome {
        let all: Vec<usize> = (0..self.count()).collect();
        self.settle_some(&all, &[])
    }

    /// The same for some roots, in this order.
    #[track_caller]
    pub(crate) fn settle_some(&self, roots: &[usize], options: &[&str]) -> Outcome {
        let outcome = self.sync(roots, options);
        assert!(outcome.in_sync(), "not in sync: {outcome:#?}");
        let conflicts = !outcome.list("conflicts").is_empty();
        assert_eq!(outcome.code, Some(i32::from(conflicts)), "{outcome:#?}");
        assert_eq!(outcome.summary()["exit_code"], i64::from(conflicts));
        self.assert_nothing_to_do(roots, options);
        outcome
    }

    /// A sync finds nothing to do, and does nothing.
    #[track_caller]
    pub(crate) fn assert_nothing_to_do(&self, roots: &[usize], options: &[&str]) {
        let before: Vec<Tree> = roots.iter().map(|root| walk(self.root(*root))).collect();
        let again = self.sync(roots, options);
        assert!(again.in_sync(), "{again:#?}");
        assert_eq!(again.code, Some(0), "{again:#?}");
        self.assert_idle(&again);
        let after: Vec<Tree> = roots.iter().map(|root| walk(self.root(*root))).collect();
        assert!(
            before == after,
            "a second sync changed something: {again:#?}"
        );
    }

    /// The run changed nothing anywhere.
    #[track_caller]
    pub(crate) fn assert_idle(&self, outcome: &Outcome) {
        assert_eq!(outcome.changes(), 0, "{outcome:#?}");
        assert_eq!(outcome.figure("bytes_copied"), 0, "{outcome:#?}");
        assert_eq!(outcome.of_type("item").count(), 0, "{outcome:#?}");
        assert!(outcome.list("conflicts").is_empty(), "{outcome:#?}");
    }

    /// The roots are equal by the walker; what they hold.
    #[track_caller]
    pub(crate) fn tree(&self) -> Tree {
        let trees = self.roots().iter().map(|root| self.in_scope(walk(root)));
        let trees: Vec<Tree> = trees.collect();
        assert_trees_equal(&trees);
        trees.into_iter().next().unwrap()
    }

    /// The tree without what the test's filters leave out.
    fn in_scope(&self, mut tree: Tree) -> Tree {
        let ignored = |path: &[u8]| {
            let mut components = path.split(|byte| *byte == b'/');
            components.any(|name| {
                self.ignored
                    .iter()
                    .any(|end| name.ends_with(end.as_bytes()))
            })
        };
        tree.retain(|path, _| !ignored(path));
        relink(&mut tree);
        tree
    }

    /// What a root holds, without what the test's filters leave out; an error if something vanishes meanwhile.
    pub(crate) fn try_tree(&self, root: &Path) -> std::io::Result<Tree> {
        try_walk(root).map(|tree| self.in_scope(tree))
    }

    /// The paths of the equal roots, sorted, the root itself left out.
    #[track_caller]
    pub(crate) fn paths(&self) -> Vec<String> {
        let text = |path: Vec<u8>| String::from_utf8_lossy(&path).into_owned();
        let paths = self.tree().into_keys().map(text);
        paths.filter(|path| !path.is_empty()).collect()
    }

    /// The equal roots hold exactly these files with these contents (directories and links left out).
    #[track_caller]
    pub(crate) fn assert_files(&self, files: &[(&str, &str)]) {
        let mut expected: Vec<(String, String)> = files
            .iter()
            .map(|(path, content)| (path.to_string(), content.to_string()))
            .collect();
        expected.sort();
        assert_eq!(self.files(), expected);
    }

    /// The same, where running nodes put marks beside the files of the test.
    #[track_caller]
    pub(crate) fn assert_holds_files(&self, files: &[(&str, &str)]) {
        let held = self.files().into_iter();
        let held: Vec<_> = held
            .filter(|file| !crate::cluster::is_mark(&file.0))
            .collect();
        let held = held
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()));
        assert_eq!(held.collect::<Vec<_>>(), files);
    }

    /// The same for the files below a directory.
    #[track_caller]
    pub(crate) fn assert_files_under(&self, directory: &str, files: &[(&str, &str)]) {
        let start = format!("{directory}/");
        let held = self.files().into_iter();
        let held: Vec<_> = held.filter(|file| file.0.starts_with(&start)).collect();
        let held: Vec<_> = held
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
            .collect();
        assert_eq!(held, files);
    }

    /// The files of the equal roots with their contents.
    #[track_caller]
    pub(crate) fn files(&self) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let tree = self.tree();
        let file = |(path, node): (&Vec<u8>, &super::Node)| match &node.kind {
            Kind::File(bytes) => Some((text(path), text(bytes))),
            _ => None,
        };
        tree.iter().filter_map(file).collect()
    }

    /// The paths of the equal roots that are conflict copies of `path`, whatever their node and time.
    #[track_caller]
    pub(crate) fn copies(&self, path: &str) -> Vec<String> {
        let stem = path.rsplit_once('.').map_or(path, |(stem, _)| stem);
        let start = format!("{stem}.conflict-");
        let paths = self.paths().into_iter();
        paths.filter(|path| path.starts_with(&start)).collect()
    }

    /// What the trash of a root holds.
    pub(crate) fn trash(&self, root: usize) -> BTreeSet<Vec<u8>> {
        contents(&self.path(root, ".replicat/trash"))
    }

    /// Whether the trash of a root holds this content.
    pub(crate) fn in_trash(&self, root: usize, content: &str) -> bool {
        self.trash(root).contains(content.as_bytes())
    }

    /// What the root held is still in it, or in its trash.
    #[track_caller]
    fn assert_kept(&self, root: usize, before: &Tree, after: &Tree) {
        if !self.trash_checked.load(Ordering::Relaxed) {
            return;
        }
        let now = file_contents(after);
        let gone: Vec<_> = file_contents(before).difference(&now).cloned().collect();
        if gone.is_empty() {
            return;
        }
        let trash = self.trash(root);
        for content in gone {
            let text = String::from_utf8_lossy(&content).into_owned();
            assert!(
                trash.contains(&content),
                "lost from root {root}: {text:.200}"
            );
        }
    }
}

/// Names files of several names anew, by those names that are in the tree.
fn relink(tree: &mut Tree) {
    let mut names: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    for (path, node) in tree.iter() {
        if let Some(first) = &node.linked {
            names.entry(first.clone()).or_default().push(path.clone());
        }
    }
    for names in names.into_values() {
        let first = (names.len() > 1).then(|| String::from_utf8_lossy(&names[0]).into_owned());
        for name in names {
            tree.entry(name)
                .and_modify(|node| node.linked = first.clone());
        }
    }
}

/// The contents of a tree's files.
fn file_contents(tree: &Tree) -> BTreeSet<Vec<u8>> {
    let content = |node: &super::Node| match &node.kind {
        Kind::File(bytes) => Some(bytes.clone()),
        _ => None,
    };
    tree.values().filter_map(content).collect()
}

/// Where two trees differ, for people.
pub(crate) fn differences(one: &Tree, other: &Tree) -> Vec<String> {
    let differs = differing(one, other).into_iter().map(|path| {
        let name = String::from_utf8_lossy(&path);
        format!("{name:?}: {:?} / {:?}", one.get(&path), other.get(&path))
    });
    differs.collect()
}

/// The paths that are not the same in two trees.
pub(crate) fn differing(one: &Tree, other: &Tree) -> BTreeSet<Vec<u8>> {
    let paths = one.keys().chain(other.keys());
    let differ = paths.filter(|path| one.get(*path) != other.get(*path));
    differ.cloned().collect()
}

#[track_caller]
fn assert_trees_equal(trees: &[Tree]) {
    for tree in &trees[1..] {
        let differences = differences(&trees[0], tree);
        assert!(differences.is_empty(), "roots differ: {differences:#?}");
    }
}

#[track_caller]
fn assert_equal(trees: &[Tree], outcome: &Outcome) {
    // What can never be synced is warned of, and is nowhere but at its root.
    let skipped = outcome.list("skipped");
    let warned = skipped.iter().filter(|row| row["severity"] == "warning");
    let warned: BTreeSet<&[u8]> = warned
        .filter_map(|row| row["path"].as_str())
        .map(str::as_bytes)
        .collect();
    let synced = |tree: &Tree| -> Tree {
        let nodes = tree
            .iter()
            .filter(|(path, _)| !warned.contains(path.as_slice()));
        nodes
            .map(|(path, node)| (path.clone(), node.clone()))
            .collect()
    };
    let trees: Vec<Tree> = trees.iter().map(synced).collect();
    for tree in &trees[1..] {
        let differences = differences(&trees[0], tree);
        assert!(
            differences.is_empty(),
            "in sync was claimed, but: {differences:#?} {outcome:#?}"
        );
    }
}

/// Nothing that looks like a file of the program's is in the tree.
#[track_caller]
pub(crate) fn assert_no_temporary_names(tree: &Tree) {
    for path in tree.keys() {
        let path = String::from_utf8_lossy(path);
        // Copies of ignore files are users'.
        let others = path.replace(".replicatignore", "");
        let ours = others.contains(".replicat");
        assert!(!ours, "temporary name: {path}");
    }
}
