//! Building files beside the tree: the work that several threads share.

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender};
use replicat_content::delta::{Origin, Piece};
use replicat_content::{Content, Manifest, verify_chunk};
use replicat_core::id::ContentHash;
use replicat_core::path::RelPath;
use replicat_core::plan::Step;
use replicat_core::record::Fingerprint;
use replicat_fs::error::FsError;
use replicat_fs::read::StableFile;
use replicat_fs::root::Root;
use replicat_fs::stage::{Staged, StagedFile, Staging};

use super::content::{ContentSource, PIECE_BYTES_MAX, want};
use crate::options::Cancellation;

/// How a file is to be built.
#[derive(Debug)]
pub(super) enum Recipe {
    /// From one piece that a peer has.
    Fetch,
    /// From chunks: of files at hand, of peers.
    Assemble {
        /// All chunks.
        manifest: Manifest,
        /// Where they come from.
        pieces: Vec<Piece>,
        /// The files at hand, as the pieces number them.
        bases: Vec<(RelPath, Fingerprint)>,
    },
    /// As a copy of a file at hand, of one chunk.
    Copy {
        /// Where it is.
        from: RelPath,
        /// What must still be there.
        fingerprint: Fingerprint,
    },
}

/// A file to be built.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) step: Box<Step>,
    pub(super) content: ContentHash,
    pub(super) size: u64,
    pub(super) recipe: Recipe,
}

/// A file that was built, or was not.
pub(super) struct Built {
    pub(super) step: Box<Step>,
    pub(super) staged: Result<Staged, BuildError>,
    /// Bytes that came from peers, and bytes that were at hand.
    pub(super) fetched: u64,
    pub(super) reused: u64,
}

/// Why a file was not built.
#[derive(Debug)]
pub(super) enum BuildError {
    /// Nobody holds the content.
    Missing,
    /// It could not be written.
    Unwritable(FsError),
    /// The run was cancelled.
    Cancelled,
}

impl From<FsError> for BuildError {
    fn from(error: FsError) -> Self {
        Self::Unwritable(error)
    }
}

/// One thread's part.
pub(super) struct Builder<'run> {
    pub(super) root: &'run Root,
    pub(super) staging: Staging,
    pub(super) sources: &'run [ContentSource],
    pub(super) cancellation: &'run Cancellation,
}

/// How many bytes came from where.
#[derive(Default)]
struct Counts {
    fetched: u64,
    reused: u64,
}

impl Builder<'_> {
    /// Builds what comes, until nothing more does.
    pub(super) fn work(&self, jobs: &Receiver<Job>, built: &Sender<Built>) {
        for job in jobs {
            let mut counts = Counts::default();
            let staged = if self.cancellation.is_cancelled() {
                Err(BuildError::Cancelled)
            } else {
                self.build(&job, &mut counts)
            };
            let Counts { fetched, reused } = counts;
            if built
                .send(Built {
                    step: job.step,
                    staged,
                    fetched,
                    reused,
                })
                .is_err()
            {
                return;
            }
        }
    }

    fn build(&self, job: &Job, counts: &mut Counts) -> Result<Staged, BuildError> {
        match &job.recipe {
            Recipe::Fetch => self.fetch_small(job, counts),
            Recipe::Copy { from, fingerprint } => {
                match self.read_small(from, fingerprint, job.content) {
                    Some(bytes) => {
                        counts.reused += job.size;
                        Ok(self.staging.small(&bytes, &job.step.metadata)?)
                    }
                    None => self.fetch_small(job, counts),
                }
            }
            Recipe::Assemble {
                manifest,
                pieces,
                bases,
            } => self.assemble(job, manifest, pieces, bases, counts),
        }
    }

    fn fetch_small(&self, job: &Job, counts: &mut Counts) -> Result<Staged, BuildError> {
        let want = want(job.content, &job.step.path, 0, job.size);
        let proven = |bytes: &Bytes| Content::of_bytes(bytes).hash == job.content;
        let bytes = self
            .sources
            .iter()
            .find_map(|source| source.fetch(&want).filter(proven));
        let bytes = bytes.ok_or(BuildError::Missing)?;
        counts.fetched += job.size;
        Ok(self.staging.small(&bytes, &job.step.metadata)?)
    }

    /// A small file of the own root, if it still holds what it should.
    fn read_small(
        &self,
        from: &RelPath,
        fingerprint: &Fingerprint,
        content: ContentHash,
    ) -> Option<Vec<u8>> {
        let file = StableFile::open_expected(self.root, from, fingerprint).ok()?;
        let mut bytes = vec![0; usize::try_from(file.size()).ok()?];
        file.read_at(0, &mut bytes).ok()?;
        (Content::of_bytes(&bytes).hash == content).then_some(bytes)
    }

    fn assemble(
        &self,
        job: &Job,
        manifest: &Manifest,
        pieces: &[Piece],
        bases: &[(RelPath, Fingerprint)],
        counts: &mut Counts,
    ) -> Result<Staged, BuildError> {
        let resumed = self.staging.resume(job.content, job.size)?;
        let is_resumed = resumed.is_some();
        let file = match resumed {
            Some(file) => file,
            None => self.staging.begin(job.content, job.size)?,
        };
        let work = Assembly {
            builder: self,
            job,
            manifest,
            file: &file,
            is_resumed,
        };
        for piece in pieces {
            work.place(piece, bases, counts)?;
        }
        Ok(file.finish(&job.step.metadata)?)
    }
}

/// A long file in the making.
struct Assembly<'work> {
    builder: &'work Builder<'work>,
    job: &'work Job,
    manifest: &'work Manifest,
    file: &'work StagedFile,
    is_resumed: bool,
}

impl Assembly<'_> {
    fn place(
        &self,
        piece: &Piece,
        bases: &[(RelPath, Fingerprint)],
        counts: &mut Counts,
    ) -> Result<(), BuildError> {
        if self.is_resumed && self.is_proven(piece)? {
            counts.reused += piece.length;
            return Ok(());
        }
        let copied = match piece.origin {
            // A fresh file is all holes; in a resumed one, something else may stand there.
            Origin::Zeros if !self.is_resumed => true,
            Origin::Zeros => false,
            Origin::Copy { source, offset } => {
                let base = usize::try_from(source.0).ok().and_then(|at| bases.get(at));
                base.is_some_and(|base| self.copy(base, offset, piece))
            }
            Origin::Repeat { offset } => self
                .file
                .copy_range(&self.file, offset, piece.length, piece.offset)
                .is_ok(),
            Origin::Fetch => false,
        };
        let is_hole = matches!(piece.origin, Origin::Zeros) && copied;
        if is_hole || copied && self.is_proven(piece)? {
            counts.reused += piece.length;
            return Ok(());
        }
        self.fetch(piece, counts)
    }

    fn copy(
        &self,
        (from, fingerprint): &(RelPath, Fingerprint),
        offset: u64,
        piece: &Piece,
    ) -> bool {
        let Ok(source) = StableFile::open_expected(self.builder.root, from, fingerprint) else {
            return false;
        };
        self.file
            .copy_range(&source, offset, piece.length, piece.offset)
            .is_ok()
    }

    /// Whether the staged file already holds the piece's chunks.
    fn is_proven(&self, piece: &Piece) -> Result<bool, BuildError> {
        let mut offset = piece.offset;
        let mut buffer = Vec::new();
        for chunk in &self.manifest.chunks[piece.chunks.clone()] {
            buffer.resize(chunk.length as usize, 0);
            let read = self.file.read_at(offset, &mut buffer)?;
            if read != buffer.len() || verify_chunk(&buffer, &chunk.hash).is_err() {
                return Ok(false);
            }
            offset += u64::from(chunk.length);
        }
        Ok(true)
    }

    fn fetch(&self, piece: &Piece, counts: &mut Counts) -> Result<(), BuildError> {
        let mut offset = piece.offset;
        let mut chunks = piece.chunks.clone();
        while !chunks.is_empty() {
            if self.builder.cancellation.is_cancelled() {
                return Err(BuildError::Cancelled);
            }
            let mut end = chunks.start;
            let mut length = 0;
            while end < chunks.end {
                let next = u64::from(self.manifest.chunks[end].length);
                if length > 0 && length + next > PIECE_BYTES_MAX {
                    break;
                }
                length += next;
                end += 1;
            }
            let bytes = self.fetch_chunks(chunks.start..end, offset, length)?;
            self.file.write_at(offset, &bytes)?;
            counts.fetched += length;
            offset += length;
            chunks.start = end;
        }
        Ok(())
    }

    /// Some adjacent chunks, from whichever source has them as they should be.
    fn fetch_chunks(
        &self,
        chunks: std::ops::Range<usize>,
        offset: u64,
        length: u64,
    ) -> Result<Bytes, BuildError> {
        let want = want(self.job.content, &self.job.step.path, offset, length);
        let proven = |bytes: &Bytes| {
            let mut at = 0;
            self.manifest.chunks[chunks.clone()].iter().all(|chunk| {
                let end = at + chunk.length as usize;
                let proven = bytes
                    .get(at..end)
                    .is_some_and(|bytes| verify_chunk(bytes, &chunk.hash).is_ok());
                at = end;
                proven
            })
        };
        let sources = self.builder.sources.iter();
        let mut found = sources
            .filter_map(|source| source.fetch(&want))
            .filter(|b| proven(b));
        found.next().ok_or(BuildError::Missing)
    }
}
