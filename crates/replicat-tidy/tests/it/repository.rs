//! The files of the repository.

use std::fs;
use std::path::{Path, PathBuf};

/// A text file of the repository.
pub(crate) struct TextFile {
    /// Where it is, relative to the repository, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

/// The directory that holds the workspace.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors()
        .nth(2)
        .expect("a crate lies two levels below the root")
        .to_owned()
}

/// Every text file but those of the build and of version control, ordered by path.
pub(crate) fn text_files() -> Vec<TextFile> {
    let root = root();
    let mut files = Vec::new();
    collect(&root, &root, &mut files);
    files.sort_by(|left, right| left.path.cmp(&right.path));
    assert!(files.len() > 10, "the repository was not found at {root:?}");
    files
}

fn collect(root: &Path, directory: &Path, files: &mut Vec<TextFile>) {
    for entry in fs::read_dir(directory).expect("a directory of the repository is readable") {
        let entry = entry.expect("a directory of the repository is readable");
        let name = entry.file_name();
        let kind = entry.file_type().expect("a file has a type");
        if kind.is_dir() {
            if name != ".git" && name != "target" {
                collect(root, &entry.path(), files);
            }
        } else if kind.is_file() {
            files.extend(text_file(root, &entry.path()));
        }
    }
}

/// The file at `path`, unless it is not UTF-8 or is gone by now.
fn text_file(root: &Path, path: &Path) -> Option<TextFile> {
    let text = fs::read_to_string(path).ok()?;
    let relative = path.strip_prefix(root).ok()?;
    Some(TextFile {
        path: relative.to_str()?.to_owned(),
        text,
    })
}
