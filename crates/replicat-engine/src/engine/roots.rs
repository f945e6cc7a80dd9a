//! The roots of a sync: whether they can be what the caller says.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use replicat_fs::state::{INDEX_FILE, STATE_DIRECTORY};

use crate::error::SyncError;
use crate::options::MissingRoot;

/// A root that was given, and where it really is.
#[derive(Clone, Debug)]
pub(super) struct GivenRoot {
    /// As it was given.
    pub(super) given: PathBuf,
    /// Without symlinks. Of a root that a dry run would create: as it was given.
    pub(super) canonical: PathBuf,
    /// It does not exist; only a dry run goes on with such a root.
    pub(super) missing: bool,
}

/// Checks one root, and creates it if it is missing and that is wanted.
pub(super) fn check_one(root: &Path, missing: MissingRoot) -> Result<GivenRoot, SyncError> {
    if !exists(root, missing)? {
        fs::create_dir_all(root).map_err(|source| not_writable(root, source))?;
    }
    Ok(GivenRoot {
        given: root.to_owned(),
        canonical: canonical(root)?,
        missing: false,
    })
}

/// Checks the roots, and creates those that are missing if that is wanted.
pub(super) fn check(
    roots: &[PathBuf],
    missing: MissingRoot,
    may_write: bool,
) -> Result<Vec<GivenRoot>, SyncError> {
    if roots.len() < 2 {
        return Err(SyncError::TooFewRoots(roots.len()));
    }
    // All are looked at before the first is created, so that a mistake creates nothing.
    let exist: Vec<bool> = roots
        .iter()
        .map(|root| exists(root, missing))
        .collect::<Result<_, _>>()?;
    let mut checked: Vec<GivenRoot> = Vec::with_capacity(roots.len());
    for (given, exists) in roots.iter().zip(exist) {
        if !exists && may_write {
            fs::create_dir_all(given).map_err(|source| not_writable(given, source))?;
        }
        let missing = !exists && !may_write;
        let canonical = if missing {
            absolute(given)?
        } else {
            canonical(given)?
        };
        let root = GivenRoot {
            given: given.clone(),
            canonical,
            missing,
        };
        checked.iter().try_for_each(|other| apart(other, &root))?;
        checked.push(root);
    }
    Ok(checked)
}

/// Refuses to keep state inside a root, where it would be synced.
pub(super) fn check_state(roots: &[GivenRoot], state: Option<&Path>) -> Result<(), SyncError> {
    let Some(state) = state else { return Ok(()) };
    let whole = absolute(state)?;
    let existing = whole
        .ancestors()
        .find_map(|above| fs::canonicalize(above).ok());
    let within = |root: &&GivenRoot| {
        existing
            .as_ref()
            .is_some_and(|above| above.starts_with(&root.canonical))
    };
    match roots.iter().find(within) {
        None => Ok(()),
        Some(root) => Err(SyncError::StateNested {
            state: state.to_owned(),
            root: root.given.clone(),
        }),
    }
}

/// What to say of a root that lies inside another one, if it does. Both are synced, each with its own partners.
pub(super) fn enclosing(canonical: &Path) -> Option<String> {
    let mut above = canonical.ancestors().skip(1);
    let outer = above.find(|above| above.join(STATE_DIRECTORY).join(INDEX_FILE).is_file())?;
    Some(format!(
        "this root lies inside {}, which is a root as well: what comes here goes there, too",
        outer.display()
    ))
}

fn exists(root: &Path, missing: MissingRoot) -> Result<bool, SyncError> {
    match fs::metadata(root) {
        Ok(found) if found.is_dir() => Ok(true),
        Ok(_) => Err(SyncError::RootNotDirectory {
            root: root.to_owned(),
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match missing {
            MissingRoot::Create => Ok(false),
            MissingRoot::Refuse => Err(SyncError::RootMissing {
                root: root.to_owned(),
            }),
        },
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            Err(SyncError::RootNotDirectory {
                root: root.to_owned(),
            })
        }
        Err(source) => Err(SyncError::Io {
            action: "look at",
            path: root.to_owned(),
            source,
        }),
    }
}

fn canonical(root: &Path) -> Result<PathBuf, SyncError> {
    fs::canonicalize(root).map_err(|source| SyncError::Io {
        action: "resolve",
        path: root.to_owned(),
        source,
    })
}

fn absolute(root: &Path) -> Result<PathBuf, SyncError> {
    std::path::absolute(root).map_err(|source| SyncError::Io {
        action: "resolve",
        path: root.to_owned(),
        source,
    })
}

fn not_writable(root: &Path, source: io::Error) -> SyncError {
    SyncError::RootNotWritable {
        root: root.to_owned(),
        source,
    }
}

fn apart(one: &GivenRoot, other: &GivenRoot) -> Result<(), SyncError> {
    let nested = |inner: &GivenRoot, outer: &GivenRoot| SyncError::RootNested {
        inner: inner.given.clone(),
        outer: outer.given.clone(),
    };
    if one.canonical == other.canonical {
        return Err(SyncError::RootTwice {
            root: other.given.clone(),
            same: one.given.clone(),
        });
    }
    if one.canonical.starts_with(&other.canonical) {
        return Err(nested(one, other));
    }
    if other.canonical.starts_with(&one.canonical) {
        return Err(nested(other, one));
    }
    Ok(())
}
