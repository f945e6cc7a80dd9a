//! Renaming to where nothing may be, on any filesystem.

use rustix::fs::FileType;
use rustix::io::Errno;

use crate::apply::calls::{At, Calls};
use crate::root::stat_at;

/// Renames `from` to `to` unless something is there, which is told as `EXIST`.
///
/// Where a filesystem cannot rename without replacing, a link does as much for files. For the rest, and without
/// links, a look before has to do.
pub(crate) fn place(calls: &Calls, from: At<'_>, to: At<'_>) -> Result<(), Errno> {
    match calls.rename_new(from, to) {
        Err(Errno::INVAL | Errno::NOSYS) => {}
        result => return result,
    }
    let found = stat_at(from.directory, from.name)?;
    if FileType::from_raw_mode(found.stx_mode.into()) != FileType::Directory {
        match calls.link(from, to) {
            Ok(()) => return calls.unlink(from),
            Err(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::MLINK) => {}
            Err(reason) => return Err(reason),
        }
    }
    match stat_at(to.directory, to.name) {
        Err(Errno::NOENT) => calls.rename_over(from, to),
        Ok(_) => Err(Errno::EXIST),
        Err(reason) => Err(reason),
    }
}
