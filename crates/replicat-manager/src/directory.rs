//! The local directory of a state: it holds the cluster key, so nobody else may look into it.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

use crate::error::ManagerError;

/// The permissions of others and of the group.
const OTHERS: u32 = 0o077;

/// Creates the directory for its owner alone; one that is there must be so already.
pub(crate) fn prepare(path: &Path) -> Result<(), ManagerError> {
    let failed = |source| ManagerError::Directory {
        path: path.to_owned(),
        source,
    };
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(path).map_err(failed)?;
    let mode = fs::metadata(path).map_err(failed)?.permissions().mode();
    match mode & OTHERS {
        0 => Ok(()),
        _ => Err(failed(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "others may look into it; take that from them with chmod 700",
        ))),
    }
}
