//! The names in a directory, sorted, in one allocation.

use std::ffi::CStr;
use std::os::fd::BorrowedFd;

use rustix::fs::{FileType, RawDir};
use rustix::io::Errno;

/// How much of a directory is read at once.
const READ_BYTES: usize = 64 * 1024;

/// The names in a directory. Reused from one directory to the next.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    buffer: Vec<u8>,
    names: Vec<u8>,
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    start: usize,
    /// With the NUL that ends it.
    end: usize,
    file_type: FileType,
}

impl Listing {
    /// Lists a directory.
    pub(crate) fn read(&mut self, directory: BorrowedFd<'_>) -> Result<(), Errno> {
        self.names.clear();
        self.entries.clear();
        self.buffer.reserve(READ_BYTES);
        let mut raw = RawDir::new(directory, self.buffer.spare_capacity_mut());
        while let Some(entry) = raw.next() {
            let entry = match entry {
                Err(Errno::INTR) => continue,
                result => result?,
            };
            let name = entry.file_name().to_bytes_with_nul();
            if matches!(name, b".\0" | b"..\0") {
                continue;
            }
            let start = self.names.len();
            self.names.extend_from_slice(name);
            self.entries.push(Entry {
                start,
                end: self.names.len(),
                file_type: entry.file_type(),
            });
        }
        let names = &self.names;
        // The NUL sorts below all that a name can hold, so that it need not be cut off.
        let name = |entry: &Entry| &names[entry.start..entry.end];
        self.entries.sort_unstable_by(|a, b| name(a).cmp(name(b)));
        // A rename while the directory was read can show a name twice.
        self.entries.dedup_by(|a, b| name(a) == name(b));
        Ok(())
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The name at `at`, which ends with a NUL, and its type if the directory tells.
    pub(crate) fn get(&self, at: usize) -> (&CStr, FileType) {
        let entry = self.entries[at];
        let name = CStr::from_bytes_with_nul(&self.names[entry.start..entry.end]);
        (name.unwrap_or_default(), entry.file_type)
    }

    /// Whether `name` is listed.
    pub(crate) fn contains(&self, name: &[u8]) -> bool {
        let listed = |entry: &Entry| &self.names[entry.start..entry.end - 1];
        self.entries
            .binary_search_by(|entry| listed(entry).cmp(name))
            .is_ok()
    }
}
