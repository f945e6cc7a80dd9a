//! The roots of a sync: whether they can be what the caller says.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use replicat_fs::state::{INDEX_FILE, STATE_DIRECTORY};

use super::failures::Failures;
use crate::error::SyncError;
use crate::event::RootIndex;
use crate::options::MissingRoot;

/// A root that was given, and where it really is.
#[derive(Clone, Debug)]
pub(super) struct GivenRoot {
    /// Its place in the list of roots.
    pub(super) number: RootIndex,
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
        number: RootIndex(0),
        given: root.to_owned(),
        canonical: canonical(root)?,
        missing: false,
    })
}

/// The roots of a run, as far as they can be looked at.
pub(super) struct Checked {
    pub(super) present: Vec<GivenRoot>,
    /// Those that do not exist, and are not to be created.
    pub(super) missing: Vec<GivenRoot>,
}

/// Checks the roots, and creates those that are missing if that is wanted. Those that cannot be looked at are noted as failed.
pub(super) fn check(
    roots: &[PathBuf],
    missing: MissingRoot,
    may_write: bool,
    failures: &mut Failures<'_>,
) -> Result<Checked, SyncError> {
    if roots.len() < 2 {
        return Err(SyncError::TooFewRoots(roots.len()));
    }
    // All are looked at before the first is created, so that a mistake creates nothing.
    let mut found = Vec::with_capacity(roots.len());
    for (number, given) in roots.iter().enumerate() {
        let number = RootIndex(number);
        match exists(given, missing) {
            Ok(exists) => found.push((number, given, exists)),
            Err(error @ SyncError::Io { .. }) => failures.note(number, error)?,
            Err(SyncError::RootMissing { .. }) => found.push((number, given, false)),
            Err(error) => return Err(error),
        }
    }
    let mut checked = Checked {
        present: Vec::with_capacity(roots.len()),
        missing: Vec::new(),
    };
    for (number, given, exists) in found {
        let is_wanted = exists || missing == MissingRoot::Create;
        let is_created = is_wanted && !exists && may_write;
        match locate(number, given, exists, is_created) {
            Ok(root) if is_wanted => {
                let mut others = checked.present.iter();
                others.try_for_each(|other| apart(other, &root))?;
                checked.present.push(root);
            }
            Ok(root) => checked.missing.push(root),
            Err(error) => failures.note(number, error)?,
        }
    }
    Ok(checked)
}

/// Finds out where a root really is, and creates it if that is wanted.
fn locate(
    number: RootIndex,
    given: &Path,
    exists: bool,
    is_created: bool,
) -> Result<GivenRoot, SyncError> {
    if is_created {
        fs::create_dir_all(given).map_err(|source| not_writable(given, source))?;
    }
    let missing = !exists && !is_created;
    let canonical = match missing {
        true => canonical_missing(given)?,
        false => canonical(given)?,
    };
    Ok(GivenRoot {
        number,
        given: given.to_owned(),
        canonical,
        missing,
    })
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

/// Where a directory would be that does not exist.
fn canonical_missing(root: &Path) -> Result<PathBuf, SyncError> {
    let whole = absolute(root)?;
    let above = whole
        .parent()
        .and_then(|above| fs::canonicalize(above).ok());
    Ok(match (above, whole.file_name()) {
        (Some(above), Some(name)) => above.join(name),
        _ => whole,
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
