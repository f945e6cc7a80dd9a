//! Which root a path on the command line lies in.

use std::env;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use replicat::options::RootLocation;
use replicat_core::path::RelPath;
use replicat_fs::filter::STATE_DIRECTORY_NAME;

use super::arguments::PlaceArguments;
use super::failure::Failure;

/// A path of a root.
pub(crate) struct Target {
    pub(crate) location: RootLocation,
    pub(crate) path: RelPath,
}

/// The root `root`, with its state where `place` says.
pub(crate) fn location(root: &Path, place: &PlaceArguments) -> RootLocation {
    RootLocation {
        root: root.to_owned(),
        state_dir: place.state_dir.clone(),
    }
}

/// Finds the root of `path`: `root` if it is named, else the nearest directory from `path` upwards
/// that holds state. Neither the path nor its parents need exist.
pub(crate) fn find(
    path: &Path,
    root: Option<&Path>,
    place: &PlaceArguments,
) -> Result<Target, Failure> {
    let no_root = || Failure::NoRoot {
        path: path.to_owned(),
    };
    let whole = resolved(path).map_err(|_| no_root())?;
    let (root, whole) = match root {
        Some(root) => (root.to_owned(), whole),
        None => match root_above(&whole).filter(|root| *root != whole) {
            Some(root) => (root, whole),
            // It is a root, or a link that leads into one.
            None => {
                let target = path.canonicalize().map_err(|_| no_root())?;
                (root_above(&target).ok_or_else(no_root)?, target)
            }
        },
    };
    let outside = || Failure::Outside {
        path: path.to_owned(),
        root: root.clone(),
    };
    let base = resolved(&root.join(".")).map_err(|_| outside())?;
    let inner = whole.strip_prefix(&base).map_err(|_| outside())?;
    let relative = RelPath::new(inner.as_os_str().as_encoded_bytes());
    Ok(Target {
        location: location(&root, place),
        path: relative.map_err(|problem| Failure::Path {
            path: path.to_owned(),
            problem: problem.to_string(),
        })?,
    })
}

/// The nearest directory from `path` upwards that holds state.
fn root_above(path: &Path) -> Option<PathBuf> {
    let state = OsStr::from_bytes(STATE_DIRECTORY_NAME);
    let mut above = path.ancestors();
    above
        .find(|above| above.join(state).is_dir())
        .map(Path::to_owned)
}

/// The absolute path that `path` names: of its directory, as much as exists is resolved through
/// symbolic links; the last component is not, since a link is a path of its own.
pub(crate) fn resolved(path: &Path) -> std::io::Result<PathBuf> {
    let whole = env::current_dir()?.join(path);
    let last = whole.components().next_back();
    let (Some(directory), Some(Component::Normal(name))) = (whole.parent(), last) else {
        return whole.canonicalize();
    };
    if whole.as_os_str().as_encoded_bytes().ends_with(b"/.") {
        return whole.canonicalize();
    }
    Ok(existing(directory)?.join(name))
}

/// `directory` with its longest existing part resolved.
fn existing(directory: &Path) -> std::io::Result<PathBuf> {
    match (
        directory.canonicalize(),
        directory.parent(),
        directory.file_name(),
    ) {
        (Ok(found), _, _) => Ok(found),
        (Err(_), Some(above), Some(name)) => Ok(existing(above)?.join(name)),
        (Err(error), _, _) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    const HERE: PlaceArguments = PlaceArguments { state_dir: None };

    fn root() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir_all(directory.path().join("A/.replicat")).unwrap();
        fs::create_dir_all(directory.path().join("A/b")).unwrap();
        directory
    }

    #[test]
    fn the_nearest_root_above_is_found_even_of_a_deleted_path() {
        let directory = root();
        let target = find(&directory.path().join("A/gone/c"), None, &HERE).unwrap();
        assert_eq!(target.path.as_bytes(), b"gone/c");
        assert!(target.location.root.ends_with("A"));
        let target = find(&directory.path().join("A"), None, &HERE).unwrap();
        assert!(target.path.is_root());
    }

    #[test]
    fn a_link_is_a_path_of_its_own_and_leads_elsewhere_only_within() {
        let directory = root();
        symlink("b", directory.path().join("A/link")).unwrap();
        let target = find(&directory.path().join("A/link"), None, &HERE).unwrap();
        assert_eq!(target.path.as_bytes(), b"link");
        let target = find(&directory.path().join("A/link/x"), None, &HERE).unwrap();
        assert_eq!(target.path.as_bytes(), b"b/x");
    }

    #[test]
    fn link_outside_roots_leads_to_one() {
        let directory = root();
        symlink("A", directory.path().join("link")).unwrap();
        let target = find(&directory.path().join("link"), None, &HERE).unwrap();
        assert!(target.path.is_root());
        assert!(target.location.root.ends_with("A"));
    }

    #[test]
    fn a_path_outside_is_refused() {
        let directory = root();
        let outside = directory.path().join("other");
        assert!(matches!(
            find(&outside, None, &HERE),
            Err(Failure::NoRoot { .. })
        ));
        let root = directory.path().join("A");
        assert!(matches!(
            find(&outside, Some(&root), &HERE),
            Err(Failure::Outside { .. })
        ));
    }
}
