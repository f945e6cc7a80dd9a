//! Opening the roots of a run as replicas of one folder.
//!
//! Roots that cannot be opened are noted as failed, and the others are opened. Mistakes of the caller are errors: roots of
//! different folders, and a root that does not exist and was never synced with the others.

use std::path::PathBuf;

use replicat_core::id::FolderId;
use replicat_fs::filter::Filter;

use super::failures::{Failures, HasNumber};
use super::local::{LocalReplica, Opening, name_of};
use super::roots::{Checked, GivenRoot};
use super::{partners, random_u128};
use crate::error::SyncError;
use crate::event::RootIndex;
use crate::options::{ForeignRoot, MissingRoot, SyncOptions};

impl HasNumber for Opening<'_> {
    fn number(&self) -> RootIndex {
        self.given.number
    }
}

/// Opens all roots as replicas of one folder.
pub(super) fn open_all(
    checked: &Checked,
    filter: &Filter,
    options: &SyncOptions,
    failures: &mut Failures<'_>,
) -> Result<Vec<LocalReplica>, SyncError> {
    let mut opening = Vec::with_capacity(checked.present.len());
    for given in &checked.present {
        match Opening::begin(given, options) {
            Ok(root) => opening.push(root),
            Err(error) => failures.note(given.number, error)?,
        }
    }
    // Roots with state come first: they know which directories must hold something.
    let open = |wanted: fn(&Opening<'_>) -> bool| {
        move |root: &mut Opening<'_>| match wanted(root) {
            true => root.open_index(options),
            false => Ok(()),
        }
    };
    failures.each(&mut opening, open(|root| root.has_state))?;
    for missing in &checked.missing {
        let error = SyncError::RootMissing {
            root: missing.given.clone(),
        };
        match remembers(&opening, missing)? {
            Some(_) => failures.note(missing.number, error)?,
            None => return Err(error),
        }
    }
    failures.each(&mut opening, open(|root| !root.has_state && !root.vacant))?;
    if options.missing_root == MissingRoot::Refuse {
        refuse_unmounted(&mut opening, failures)?;
    }
    failures.each(&mut opening, open(|root| root.vacant))?;
    let folder = one_folder(&opening, options)?;
    let folder = folder
        .map_or_else(random_u128, |folder| Ok(folder.0))
        .map(FolderId)?;
    let names = names(&opening);
    let mut replicas = Vec::with_capacity(opening.len());
    for (root, name) in opening.into_iter().zip(names) {
        let number = root.given.number;
        match root.finish(folder, name, filter, options) {
            Ok(local) => replicas.push(local),
            Err(error) => failures.note(number, error)?,
        }
    }
    Ok(replicas)
}

/// Notes as failed the vacant roots that another root was synced with: most likely their disks are not mounted.
fn refuse_unmounted(
    opening: &mut Vec<Opening<'_>>,
    failures: &mut Failures<'_>,
) -> Result<(), SyncError> {
    let mut unmounted = Vec::new();
    for root in opening.iter().filter(|root| root.vacant) {
        if let Some(other) = remembers(opening, root.given)? {
            let other = other.display();
            let error = SyncError::RootReplaced {
                root: root.given.given.clone(),
                evidence: format!("it was synced with {other}, and is empty without any state"),
            };
            unmounted.push((root.given.number, error));
        }
    }
    for (number, error) in unmounted {
        failures.note(number, error)?;
        opening.retain(|root| root.given.number != number);
    }
    Ok(())
}

/// The root that was synced with `given`, if any was.
fn remembers(opening: &[Opening<'_>], given: &GivenRoot) -> Result<Option<PathBuf>, SyncError> {
    for other in opening {
        let Some(index) = &other.index else { continue };
        let remembered = partners::remembers(index, &given.canonical);
        if remembered.map_err(|error| other.failed(error))? {
            return Ok(Some(other.given.given.clone()));
        }
    }
    Ok(None)
}

/// The folder that the roots belong to; `None` if all are new.
fn one_folder(
    opening: &[Opening<'_>],
    options: &SyncOptions,
) -> Result<Option<FolderId>, SyncError> {
    let mut first: Option<(&Opening<'_>, FolderId)> = None;
    for other in opening {
        let Some(folder) = other.folder()? else {
            continue;
        };
        match first {
            None => first = Some((other, folder)),
            Some((one, held)) if held != folder && options.foreign_root == ForeignRoot::Refuse => {
                return Err(SyncError::DifferentFolders {
                    root: one.given.given.clone(),
                    folder: held,
                    other: other.given.given.clone(),
                    other_folder: folder,
                });
            }
            Some(_) => {}
        }
    }
    Ok(first.map(|(_, folder)| folder))
}

/// Names for new replicas, from their directories; made different where those are the same.
fn names(opening: &[Opening<'_>]) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(opening.len());
    for root in opening {
        let plain = name_of(&root.given.canonical);
        let mut name = plain.clone();
        let mut number = 2;
        while names.contains(&name) {
            name = format!("{plain}-{number}");
            number += 1;
        }
        names.push(name);
    }
    names
}
