//! A large file that is being put together, from a peer's bytes and from what the root already holds.

use std::ffi::{OsStr, OsString};
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use replicat_core::entry::Metadata;
use replicat_core::id::ContentHash;
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::apply::calls::At;
use crate::error::FsError;
use crate::metadata::{self, Access, Target};
use crate::read::data_ranges;
use crate::root::{stat_at, stat_descriptor};
use crate::stage::{Area, Place, Staged, Staging};
use crate::trash::log::parse_content;

/// The shortest run of zeros, in bytes, that becomes a hole; it has to be made of whole blocks.
pub const ZERO_RUN_BYTES_MIN: usize = 32 * 1024;
const BLOCK_BYTES: usize = 4096;
const COPY_BYTES: usize = 128 * 1024;
/// How much the kernel is asked to copy at once.
const COPY_RANGE_BYTES_MAX: u64 = 1 << 30;
/// The unit of the lengths on disk that the system tells, in bytes.
const STAT_BLOCK_BYTES: u64 = 512;
const PRIVATE: Mode = Mode::RUSR.union(Mode::WUSR);

/// Whether a file has the name by which its content is resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    Held,
    None,
}

/// A large file in the making. It may be written from several threads, in any order.
#[derive(Debug)]
pub struct StagedFile {
    area: Arc<Area>,
    file: OwnedFd,
    name: OsString,
    content: ContentHash,
    claim: Claim,
}

impl Staging {
    /// Begins a file of `size` bytes; whatever an earlier attempt left is thrown away.
    ///
    /// # Errors
    /// If it cannot be created.
    pub fn begin(&self, content: ContentHash, size: u64) -> Result<StagedFile, FsError> {
        let (claim, name) = if self.area.claim(content) {
            (Claim::Held, content.to_string())
        } else {
            let name = format!("{content}.{}", self.area.ids.next());
            (Claim::None, name)
        };
        let flags = OFlags::CREATE | OFlags::TRUNC;
        let file = self.open_partial(content, name.into(), claim, flags)?;
        file.set_length(size)?;
        Ok(file)
    }

    /// Takes up what an earlier attempt left of a file of `size` bytes; `None` if there is nothing, or if the same
    /// content is being staged now.
    ///
    /// # Errors
    /// If something is there that cannot be opened.
    pub fn resume(&self, content: ContentHash, size: u64) -> Result<Option<StagedFile>, FsError> {
        if !self.area.claim(content) {
            return Ok(None);
        }
        let name = content.to_string().into();
        match self.open_partial(content, name, Claim::Held, OFlags::empty()) {
            Ok(file) => file.set_length(size).map(|()| Some(file)),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// How many bytes are there of a content that an earlier attempt began; 0 if none did.
    #[must_use]
    pub fn begun_bytes(&self, content: ContentHash) -> u64 {
        let found = stat_at(self.area.partial.as_fd(), content.to_string());
        found.map_or(0, |found| found.stx_blocks * STAT_BLOCK_BYTES)
    }

    /// Removes what earlier attempts left of contents that `is_wanted` does not ask for. Those that are being staged stay.
    /// Returns how many were removed.
    ///
    /// # Errors
    /// If the directory cannot be read, or a file not removed; or the error of `is_wanted`.
    pub fn drop_partials<E: From<FsError>>(
        &self,
        mut is_wanted: impl FnMut(ContentHash) -> Result<bool, E>,
    ) -> Result<u64, E> {
        let shown = OsStr::new(crate::state::PARTIAL);
        let found = crate::trash::names(self.area.partial.as_fd());
        let found = found.map_err(|source| self.area.failed("list", shown, source))?;
        let mut removed = 0;
        for name in found {
            let Some(content) = name.to_str().and_then(parse_content) else {
                continue;
            };
            if is_wanted(content)? || !self.area.claim(content) {
                continue;
            }
            let unlinked = self.area.calls.unlink(At::new(&self.area.partial, &name));
            self.area.release(content);
            unlinked.map_err(|source| self.area.failed("remove", &name, source))?;
            removed += 1;
        }
        Ok(removed)
    }

    fn open_partial(
        &self,
        content: ContentHash,
        name: OsString,
        claim: Claim,
        flags: OFlags,
    ) -> Result<StagedFile, FsError> {
        let at = At::new(&self.area.partial, &name);
        match self.area.calls.open_partial(at, flags, PRIVATE) {
            Ok(file) => {
                self.area.owner.give(file.as_fd());
                Ok(StagedFile {
                    area: Arc::clone(&self.area),
                    file,
                    name,
                    content,
                    claim,
                })
            }
            Err(source) => {
                if claim == Claim::Held {
                    self.area.release(content);
                }
                Err(self.area.failed("open", &name, source))
            }
        }
    }
}

impl StagedFile {
    fn failed(&self, action: &'static str) -> impl Fn(Errno) -> FsError + use<> {
        let path = self.area.shown.join(crate::state::PARTIAL).join(&self.name);
        move |source| FsError::new(action, &path, source)
    }

    fn set_length(&self, size: u64) -> Result<(), FsError> {
        self.area
            .calls
            .truncate(self.file.as_fd(), size)
            .map_err(self.failed("set the length of"))
    }

    /// The content that it will hold.
    #[must_use]
    pub fn content(&self) -> ContentHash {
        self.content
    }

    /// Where bytes were written, now or by an earlier attempt. They have to be verified: after a crash they may
    /// hold anything.
    ///
    /// # Errors
    /// If the system cannot tell.
    pub fn present(&self) -> Result<Vec<Range<u64>>, FsError> {
        data_ranges(self.file.as_fd()).map_err(self.failed("look at"))
    }

    /// Writes `bytes` at `offset`; long runs of zeros become holes.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), FsError> {
        for piece in pieces(offset, bytes) {
            let start = offset + piece.bytes.start as u64;
            let part = &bytes[piece.bytes];
            let written = match piece.fill {
                Fill::Data => self.area.calls.write_at(self.file.as_fd(), start, part),
                Fill::Zeros => self.write_zeros(start, part),
            };
            written.map_err(self.failed("write"))?;
        }
        Ok(())
    }

    /// Asks the system to begin writing these bytes to the disk, and does not wait. Nothing is durable by it.
    pub fn flush_ahead(&self, bytes: Range<u64>) {
        // At worst they are written later.
        let _ = (self.area.calls).flush_ahead(self.file.as_fd(), bytes);
    }

    /// A hole has to be made even in a fresh file: something else may have been written there before.
    fn write_zeros(&self, offset: u64, zeros: &[u8]) -> Result<(), Errno> {
        let calls = &self.area.calls;
        match calls.punch(self.file.as_fd(), offset, zeros.len() as u64) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                calls.write_at(self.file.as_fd(), offset, zeros)
            }
            result => result,
        }
    }

    /// Reads what is there, to verify it. Returns fewer bytes only at the end.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<usize, FsError> {
        crate::read::fill_at(self.file.as_fd(), offset, buffer).map_err(self.failed("read"))
    }

    /// Copies bytes from another file, sharing its blocks where the filesystem can. They have to be verified
    /// afterwards: the other file may have changed.
    ///
    /// # Errors
    /// If it cannot be copied, or the other file ends before `length` bytes.
    pub fn copy_range(
        &self,
        from: &impl AsFd,
        from_offset: u64,
        length: u64,
        to_offset: u64,
    ) -> Result<(), FsError> {
        let mut done = 0;
        while done < length {
            let most = copied_at_once(from_offset + done, to_offset + done);
            let wanted = usize::try_from((length - done).min(most)).unwrap_or(COPY_BYTES);
            let source = (from.as_fd(), from_offset + done);
            let to = (self.file.as_fd(), to_offset + done);
            match self.area.calls.copy_range(source, to, wanted) {
                Ok(0) => return Err(self.failed("copy")(Errno::NODATA)),
                Ok(copied) => done += copied as u64,
                Err(Errno::XDEV | Errno::NOSYS | Errno::OPNOTSUPP | Errno::INVAL | Errno::PERM) => {
                    return self.copy_bytes(
                        from,
                        from_offset + done,
                        length - done,
                        to_offset + done,
                    );
                }
                Err(source) => return Err(self.failed("copy")(source)),
            }
        }
        Ok(())
    }

    fn copy_bytes(
        &self,
        from: &impl AsFd,
        from_offset: u64,
        length: u64,
        to_offset: u64,
    ) -> Result<(), FsError> {
        let mut buffer = vec![0; COPY_BYTES];
        let mut done = 0;
        while done < length {
            let wanted = usize::try_from(length - done)
                .unwrap_or(COPY_BYTES)
                .min(COPY_BYTES);
            let part = &mut buffer[..wanted];
            let read = crate::read::fill_at(from.as_fd(), from_offset + done, part)
                .map_err(self.failed("copy"))?;
            if read == 0 {
                return Err(self.failed("copy")(Errno::NODATA));
            }
            self.write_at(to_offset + done, &part[..read])?;
            done += read as u64;
        }
        Ok(())
    }

    /// Makes this file share all blocks of another, where the filesystem can; says whether it could. The length
    /// becomes the other's.
    ///
    /// # Errors
    /// If the filesystem can, but failed.
    pub fn clone_whole(&self, from: &impl AsFd) -> Result<bool, FsError> {
        match self.area.calls.clone_file(from.as_fd(), self.file.as_fd()) {
            Ok(()) => Ok(true),
            Err(
                Errno::OPNOTSUPP
                | Errno::XDEV
                | Errno::INVAL
                | Errno::NOTTY
                | Errno::NOSYS
                | Errno::TXTBSY,
            ) => Ok(false),
            Err(source) => Err(self.failed("clone")(source)),
        }
    }

    /// Describes the complete file; it can be committed then.
    ///
    /// # Errors
    /// If the system fails. Metadata that cannot be set is told by [`Staged::unapplied`] instead.
    pub fn finish(mut self, metadata: &Metadata) -> Result<Staged, FsError> {
        let failed = self.failed("set the metadata of");
        let before = stat_descriptor(self.file.as_fd()).map_err(&failed)?;
        let mode = metadata.mode.unwrap_or(0o666 & !self.area.process.umask);
        // It was given to the owner of the state while it was incomplete.
        let process = self.area.owner.to_set().map(|_| self.area.process.owner());
        let wanted = Metadata {
            mode: Some(mode),
            owner: metadata.owner.or(process),
            ..metadata.clone()
        };
        let target = Target::new(self.file.as_fd(), before, Access::Open);
        let unapplied = metadata::apply(&self.area.calls, &target, &wanted).map_err(&failed)?;
        let first = stat_descriptor(self.file.as_fd()).map_err(&failed)?;
        let settled = metadata::settled(&self.area.calls, &target, &wanted, first);
        let (seen, _) = settled.map_err(&failed)?;
        let file = self.file.try_clone().map_err(|source| {
            FsError::new("hold open", self.area.shown.join(&self.name), source)
        })?;
        let place = match std::mem::replace(&mut self.claim, Claim::None) {
            Claim::Held => Place::Partial(self.content),
            Claim::None => Place::Unshared,
        };
        let name = std::mem::take(&mut self.name);
        let area = Arc::clone(&self.area);
        let mut staged = Staged::new(area, place, name, FileType::RegularFile, metadata.clone());
        staged.unapplied = unapplied;
        staged.seen = Some(seen);
        staged.file = Some(file);
        Ok(staged)
    }

    /// Removes it: it will not be resumed.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn abandon(self) -> Result<(), FsError> {
        let at = At::new(&self.area.partial, &self.name);
        self.area.calls.unlink(at).map_err(self.failed("remove"))
    }
}

impl AsFd for StagedFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if self.claim == Claim::Held {
            self.area.release(self.content);
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fill {
    Data,
    Zeros,
}

/// A part of the bytes to be written.
#[derive(Debug, PartialEq, Eq)]
struct Piece {
    bytes: Range<usize>,
    fill: Fill,
}

/// Cuts bytes into data and runs of zero blocks worth a hole. Blocks are those of the file, not of the buffer.
fn pieces(offset: u64, bytes: &[u8]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut data_start = 0;
    let past = usize::try_from(offset % BLOCK_BYTES as u64).unwrap_or(0);
    let mut at = (BLOCK_BYTES - past) % BLOCK_BYTES;
    while at + ZERO_RUN_BYTES_MIN <= bytes.len() {
        let run = zero_blocks(&bytes[at..]);
        if run < ZERO_RUN_BYTES_MIN {
            at += run + BLOCK_BYTES;
            continue;
        }
        pieces.push(Piece {
            bytes: data_start..at,
            fill: Fill::Data,
        });
        pieces.push(Piece {
            bytes: at..at + run,
            fill: Fill::Zeros,
        });
        at += run;
        data_start = at;
    }
    pieces.push(Piece {
        bytes: data_start..bytes.len(),
        fill: Fill::Data,
    });
    pieces.retain(|piece| !piece.bytes.is_empty());
    pieces
}

/// How many bytes at the start are whole blocks of zeros.
fn zero_blocks(bytes: &[u8]) -> usize {
    let is_zero = |block: &&[u8]| block.iter().all(|&byte| byte == 0);
    bytes.chunks_exact(BLOCK_BYTES).take_while(is_zero).count() * BLOCK_BYTES
}

/// How much is copied at once. Blocks are shared whole, from a boundary on that both files have in common: up to there the
/// bytes are copied.
fn copied_at_once(from_offset: u64, to_offset: u64) -> u64 {
    let block = BLOCK_BYTES as u64;
    let inside = from_offset % block;
    if inside == 0 || inside != to_offset % block {
        return COPY_RANGE_BYTES_MAX;
    }
    block - inside
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_both_files_can_share_is_asked_for_on_its_own() {
        let asked = [
            (0, 0),
            (5, 4096 + 5),
            (4095, 8191),
            (5, 6),
            (0, 7),
            (8192, 4096),
        ]
        .map(|(from, to)| copied_at_once(from, to));
        let most = COPY_RANGE_BYTES_MAX;
        assert_eq!(asked, [most, 4091, 1, most, most, most]);
    }

    #[test]
    fn only_long_aligned_runs_of_zeros_become_holes() {
        let mut bytes = vec![0; 100 * 1024];
        bytes[0] = 1;
        bytes[99 * 1024] = 1;
        let holes = |offset| {
            let all = pieces(offset, &bytes);
            let total: usize = all.iter().map(|piece| piece.bytes.len()).sum();
            assert_eq!(total, bytes.len());
            let zeros = all.into_iter().filter(|piece| piece.fill == Fill::Zeros);
            zeros
                .map(|piece| (piece.bytes.start, piece.bytes.end))
                .collect::<Vec<_>>()
        };
        assert_eq!(holes(0), [(4096, 96 * 1024)]);
        assert_eq!(holes(4095), [(1, 98305)]);
        assert!(
            pieces(0, &bytes[1..20_000])
                .iter()
                .all(|piece| piece.fill == Fill::Data)
        );
    }
}
