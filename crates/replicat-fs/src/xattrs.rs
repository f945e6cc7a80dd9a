//! Extended attributes: which ones are replicated, and reading them.
//!
//! POSIX ACLs are attributes as well. Labels of security modules are not replicated: they belong to the
//! policy of one machine.

use std::os::fd::BorrowedFd;

use replicat_core::entry::Xattr;
use rustix::io::Errno;

use crate::observe::Tracking;

/// The longest list of names and the longest value that Linux allows.
const XATTR_BYTES_MAX: usize = 64 * 1024;
/// What most lists and values fit in.
const XATTR_BYTES_USUAL: usize = 512;

/// Whether the attribute `name` is replicated.
#[must_use]
pub fn is_tracked(name: &[u8], tracking: Tracking) -> bool {
    match name {
        b"system.posix_acl_access" | b"system.posix_acl_default" => true,
        b"security.capability" => tracking.privileged_xattrs,
        _ if name.starts_with(b"user.") => true,
        // An overlay filesystem keeps its own book-keeping there.
        _ if name.starts_with(b"trusted.overlay.") => false,
        _ => tracking.privileged_xattrs && name.starts_with(b"trusted."),
    }
}

/// The attributes of an open file that are replicated, sorted by name; `None` where the filesystem has none.
///
/// # Errors
/// If the system fails to list or read them.
pub fn read(file: BorrowedFd<'_>, tracking: Tracking) -> Result<Option<Vec<Xattr>>, Errno> {
    let listed = with_growing_buffer(|buffer| {
        rustix::fs::flistxattr(file, rustix::buffer::spare_capacity(buffer)).map(|_| ())
    });
    let names = match listed {
        Ok(names) => names,
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for name in names.split(|&byte| byte == 0) {
        if name.is_empty() || !is_tracked(name, tracking) {
            continue;
        }
        if let Some(value) = read_one(file, name)? {
            let name = name.to_vec();
            found.push(Xattr { name, value });
        }
    }
    found.sort();
    Ok(Some(found))
}

fn read_one(file: BorrowedFd<'_>, name: &[u8]) -> Result<Option<Vec<u8>>, Errno> {
    let read = with_growing_buffer(|buffer| {
        rustix::fs::fgetxattr(file, name, rustix::buffer::spare_capacity(buffer)).map(|_| ())
    });
    match read {
        Ok(value) => Ok(Some(value)),
        // Removed since it was listed.
        Err(Errno::NODATA) => Ok(None),
        Err(error) => Err(error),
    }
}

fn with_growing_buffer(
    mut fill: impl FnMut(&mut Vec<u8>) -> Result<(), Errno>,
) -> Result<Vec<u8>, Errno> {
    let mut buffer = Vec::with_capacity(XATTR_BYTES_USUAL);
    match fill(&mut buffer) {
        Err(Errno::RANGE) => {}
        result => return result.map(|()| buffer),
    }
    buffer = Vec::with_capacity(XATTR_BYTES_MAX);
    fill(&mut buffer)?;
    buffer.shrink_to_fit();
    Ok(buffer)
}
