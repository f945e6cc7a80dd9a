//! One directory: its names merged with its records.

use std::cmp::Ordering;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use replicat_core::entry::Timestamp;
use replicat_core::path::RelPath;
use replicat_core::record::{Local, Record};
use replicat_core::store::Children;
use rustix::fs::{FileType, Statx};
use rustix::io::Errno;

use super::vanished::Departure;
use super::{Progress, ScanError, ScanItem, ScanReport, SkipReason, Work};
use crate::filter::{DirectoryFilter, IGNORE_FILE_NAME, STATE_DIRECTORY_NAME};
use crate::listing::Listing;
use crate::observe::{self, Kind, device, is_mount_point, observe_at};
use crate::root::stat_at;

/// One thread's part in a scan.
pub(super) struct Worker<'progress, 'scan> {
    pub(super) progress: &'progress Progress<'scan>,
    pub(super) report: ScanReport,
    /// The directories found, whose own contents are to be compared.
    pub(super) found: Vec<Work>,
    listing: Listing,
}

/// The directory that is being compared.
pub(super) struct Here<'work> {
    pub(super) path: &'work RelPath,
    pub(super) filter: &'work DirectoryFilter,
    pub(super) descriptor: BorrowedFd<'work>,
    /// When the comparison began.
    pub(super) from: Timestamp,
}

impl<'progress, 'scan> Worker<'progress, 'scan> {
    pub(super) fn new(progress: &'progress Progress<'scan>) -> Self {
        Self {
            progress,
            report: ScanReport::default(),
            found: Vec::new(),
            listing: Listing::default(),
        }
    }

    pub(super) fn into_report(self) -> ScanReport {
        self.report
    }

    /// Compares what a directory holds with what is known of it, and adds its directories to the stack.
    pub(super) fn compare(&mut self, work: &Work) -> Result<(), ScanError> {
        let from = observe::now();
        let known = self.progress.scan.baseline.children(&work.path)?;
        // Taken out and put back, so that its names can be lent while items are told.
        let mut listing = std::mem::take(&mut self.listing);
        if let Some(descriptor) = self.open_and_list(&work.path, &mut listing)? {
            let mut filter = work.filter.clone();
            if self.read_ignore_file(&mut filter, &listing, &work.path, descriptor.as_fd())? {
                let here = Here {
                    path: &work.path,
                    filter: &filter,
                    descriptor: descriptor.as_fd(),
                    from,
                };
                self.merge(&here, &listing, &known)?;
                self.note_empty_root(&work.path, &listing);
            }
        }
        self.listing = listing;
        // The stack gives its last first: this keeps the order of names.
        self.found.reverse();
        self.progress.stack.push_all(&mut self.found);
        Ok(())
    }

    fn open_and_list(
        &mut self,
        path: &RelPath,
        listing: &mut Listing,
    ) -> Result<Option<OwnedFd>, ScanError> {
        let root = self.progress.scan.root;
        let listed = root.directory(path).and_then(|descriptor| {
            let read = listing.read(descriptor.as_fd());
            read.map_err(|source| root.error("list the directory", path, source))?;
            Ok(descriptor)
        });
        match listed {
            Ok(descriptor) => Ok(Some(descriptor)),
            Err(error) if path.is_root() => Err(ScanError::Root(error)),
            Err(error) if error.is_missing() || error.is_symlink() => {
                self.skip(path.clone(), SkipReason::Unsettled)?;
                Ok(None)
            }
            Err(error) => {
                self.skip(path.clone(), SkipReason::Unreadable(error))?;
                Ok(None)
            }
        }
    }

    /// Reads the ignore file if there is one; `false` if it is there but cannot be read.
    fn read_ignore_file(
        &mut self,
        filter: &mut DirectoryFilter,
        listing: &Listing,
        path: &RelPath,
        descriptor: BorrowedFd<'_>,
    ) -> Result<bool, ScanError> {
        if !listing.contains(IGNORE_FILE_NAME) {
            return Ok(true);
        }
        let root = self.progress.scan.root;
        match filter.read_ignore_file(descriptor) {
            Ok(warnings) => {
                self.report.warn(warnings);
                Ok(true)
            }
            Err(source) => {
                let error = root.error("read the ignore file in", path, source);
                self.skip(path.clone(), SkipReason::IgnoreFile(error))?;
                Ok(false)
            }
        }
    }

    fn note_empty_root(&mut self, path: &RelPath, listing: &Listing) {
        if path.is_root() {
            let state = usize::from(listing.contains(STATE_DIRECTORY_NAME));
            self.report.root_empty = listing.len() == state;
        }
    }

    fn merge(
        &mut self,
        here: &Here<'_>,
        listing: &Listing,
        known: &Children,
    ) -> Result<(), ScanError> {
        let mut known = known.iter().peekable();
        for at in 0..listing.len() {
            let (name, file_type) = listing.get(at);
            let mut record = None;
            while let Some((known_name, known_record)) = known.peek() {
                match known_name.as_slice().cmp(name.to_bytes()) {
                    Ordering::Less => self.unlisted(here, known_name, known_record)?,
                    Ordering::Equal => record = Some(known_record),
                    Ordering::Greater => break,
                }
                known.next();
            }
            self.listed(here, name, file_type, record)?;
        }
        for (name, record) in known {
            self.unlisted(here, name, record)?;
        }
        Ok(())
    }

    /// Looks for what is known and was not listed. A rename in the directory while it was listed can hide a name.
    pub(super) fn unlisted(
        &mut self,
        here: &Here<'_>,
        name: &[u8],
        record: &Record,
    ) -> Result<(), ScanError> {
        if record.local.is_none() {
            return Ok(());
        }
        match CString::new(name) {
            Ok(name) => self.listed(here, &name, FileType::Unknown, Some(record)),
            Err(_) => Ok(()),
        }
    }

    /// Compares one name, of a type if the directory told it.
    pub(super) fn listed(
        &mut self,
        here: &Here<'_>,
        name: &CStr,
        file_type: FileType,
        record: Option<&Record>,
    ) -> Result<(), ScanError> {
        if record.is_some_and(|record| record.local.is_some()) {
            self.report.known += 1;
        }
        let bytes = name.to_bytes();
        // Where the directory tells the type, what is out of scope costs no call.
        if file_type != FileType::Unknown
            && here
                .filter
                .excludes(bytes, file_type == FileType::Directory)
        {
            return self.left_out(here, bytes, record);
        }
        let stat = match stat_at(here.descriptor, name) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return self.absent(here, bytes, record),
            Err(source) => return self.unreadable(here, bytes, "look at", source),
        };
        let kind = observe::kind(&stat);
        if file_type == FileType::Unknown && here.filter.excludes(bytes, kind == Kind::Directory) {
            return self.left_out(here, bytes, record);
        }
        self.present(here, bytes, &stat, record)
    }

    fn present(
        &mut self,
        here: &Here<'_>,
        name: &[u8],
        stat: &Statx,
        record: Option<&Record>,
    ) -> Result<(), ScanError> {
        let kind = observe::kind(stat);
        if let Kind::Special(special) = kind {
            return self.skip_name(here, name, SkipReason::Special(special));
        }
        // Only for directories: an overlay filesystem gives files the device of the layer they lie in.
        let is_elsewhere = kind == Kind::Directory && device(stat) != self.progress.device;
        if is_elsewhere || is_mount_point(stat) {
            return self.skip_name(here, name, SkipReason::MountPoint);
        }
        self.count(kind, stat);
        let local = record.and_then(|record| record.local.as_ref());
        let is_known = local.is_some_and(|local| is_as_known(local, stat));
        if is_known && kind != Kind::Directory {
            return Ok(());
        }
        let path = match here.path.join(name) {
            Ok(path) => path,
            Err(error) => return self.skip(here.path.clone(), SkipReason::Name(error)),
        };
        if !is_known && !self.changed(here, &path, stat, record)? {
            return Ok(());
        }
        if kind == Kind::Directory {
            let filter = here.filter.below(path.clone());
            self.found.push(Work { path, filter });
        }
        Ok(())
    }

    fn count(&mut self, kind: Kind, stat: &Statx) {
        match kind {
            Kind::File => {
                self.report.files += 1;
                self.report.bytes += stat.stx_size;
            }
            Kind::Directory => self.report.directories += 1,
            Kind::Symlink => self.report.symlinks += 1,
            Kind::Special(_) => {}
        }
    }

    /// Tells of a change; `false` if what is there could not be observed.
    fn changed(
        &mut self,
        here: &Here<'_>,
        path: &RelPath,
        stat: &Statx,
        record: Option<&Record>,
    ) -> Result<bool, ScanError> {
        let name = path.name();
        let scan = self.progress.scan;
        let tracked = (scan.tracking, scan.attributes);
        let observation = match observe_at(here.descriptor, name, stat, tracked, here.from) {
            Ok(observation) => observation,
            Err(Errno::NOENT) => {
                self.absent(here, name, record)?;
                return Ok(false);
            }
            Err(Errno::LOOP | Errno::NOTDIR | Errno::INVAL) => {
                self.skip(path.clone(), SkipReason::Unsettled)?;
                return Ok(false);
            }
            Err(source) => {
                self.unreadable(here, name, "observe", source)?;
                return Ok(false);
            }
        };
        let is_seen = record.is_some_and(|record| record.local.is_some());
        if is_seen && observation.kind != Kind::Directory {
            // It may have been a directory, whose contents are gone with it.
            self.depart_below(here, path, Departure::Missing)?;
        }
        self.report.changed += 1;
        self.tell(ScanItem::Changed {
            path: path.clone(),
            observation: Box::new(observation),
        })?;
        Ok(true)
    }

    /// Tells of what is known and gone.
    pub(super) fn absent(
        &mut self,
        here: &Here<'_>,
        name: &[u8],
        record: Option<&Record>,
    ) -> Result<(), ScanError> {
        let Some(record) = record.filter(|record| record.local.is_some()) else {
            return Ok(());
        };
        if here.filter.excludes(name, was_directory(record)) {
            return self.left_out(here, name, Some(record));
        }
        match here.path.join(name) {
            Ok(path) => self.depart(here, &path, Departure::Missing),
            Err(error) => self.skip(here.path.clone(), SkipReason::Name(error)),
        }
    }

    fn left_out(
        &mut self,
        here: &Here<'_>,
        name: &[u8],
        record: Option<&Record>,
    ) -> Result<(), ScanError> {
        if name == STATE_DIRECTORY_NAME && !here.path.is_root() {
            self.skip_name(here, name, SkipReason::State)?;
        }
        if record.is_none_or(|record| record.local.is_none()) {
            return Ok(());
        }
        match here.path.join(name) {
            Ok(path) => self.depart(here, &path, Departure::OutOfScope),
            Err(error) => self.skip(here.path.clone(), SkipReason::Name(error)),
        }
    }

    fn unreadable(
        &mut self,
        here: &Here<'_>,
        name: &[u8],
        action: &'static str,
        source: Errno,
    ) -> Result<(), ScanError> {
        match here.path.join(name) {
            Ok(path) => {
                let error = self.progress.scan.root.error(action, &path, source);
                self.skip(path, SkipReason::Unreadable(error))
            }
            Err(error) => self.skip(here.path.clone(), SkipReason::Name(error)),
        }
    }

    fn skip_name(
        &mut self,
        here: &Here<'_>,
        name: &[u8],
        reason: SkipReason,
    ) -> Result<(), ScanError> {
        match here.path.join(name) {
            Ok(path) => self.skip(path, reason),
            Err(error) => self.skip(here.path.clone(), SkipReason::Name(error)),
        }
    }

    pub(super) fn skip(&mut self, path: RelPath, reason: SkipReason) -> Result<(), ScanError> {
        self.report.skip(&path, &reason);
        self.tell(ScanItem::Skipped { path, reason })
    }

    pub(super) fn tell(&self, item: ScanItem) -> Result<(), ScanError> {
        if (self.progress.scan.sink)(item).is_break() {
            return Err(ScanError::Stopped);
        }
        Ok(())
    }
}

fn is_as_known(local: &Local, stat: &Statx) -> bool {
    !local.racy && local.fingerprint == observe::fingerprint(stat)
}

/// Whether a path that is gone was a directory, as far as its record tells.
pub(super) fn was_directory(record: &Record) -> bool {
    let base = record.local.as_ref().and_then(|local| local.base.as_ref());
    match base {
        Some(base) => base.payload.is_directory(),
        None => {
            let mut versions = record.entry.versions().iter();
            versions.any(|version| version.payload.is_directory())
        }
    }
}
