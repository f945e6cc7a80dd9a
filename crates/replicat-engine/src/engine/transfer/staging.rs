//! Building files beside the tree: the work that several threads share.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender};
use replicat_content::delta::{Origin, Piece};
use replicat_content::{Content, Manifest, verify_chunk};
use replicat_core::id::ContentHash;
use replicat_core::message::Want;
use replicat_core::path::RelPath;
use replicat_core::plan::Step;
use replicat_core::record::Fingerprint;
use replicat_fs::error::FsError;
use replicat_fs::read::StableFile;
use replicat_fs::root::Root;
use replicat_fs::stage::{Staged, StagedFile, Staging};

use super::content::{PIECE_BYTES_MAX, Reply, Sources, want};
use super::recipe::ONE_PIECE_BYTES_MAX;
use crate::options::Cancellation;

/// How many small files are asked for with one request, and how long they are together at the most, in bytes.
const GROUP_FILES_MAX: usize = 256;
const GROUP_BYTES_MAX: u64 = 1 << 20;
/// How many pieces of a long file are asked for ahead.
const PIECES_AHEAD_MAX: usize = 8;
/// After how many bytes of a long file the system is asked to begin writing them to the disk: what is left for when the
/// file has to be durable takes longer the more it is.
const FLUSH_AHEAD_BYTES: u64 = 8 << 20;

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
    /// How many bytes it takes on the disk, at the most.
    pub(super) needed: u64,
}

/// A file that was built, or was not.
pub(in crate::engine) struct Built {
    pub(super) step: Box<Step>,
    pub(super) staged: Result<Staged, BuildError>,
    /// The chunks of a file that came whole, if it has several.
    pub(super) manifest: Option<Manifest>,
    /// How many bytes were put aside for it.
    pub(super) needed: u64,
    /// Bytes that came from peers, and bytes that were at hand.
    pub(super) fetched: u64,
    pub(super) reused: u64,
}

/// A content that came whole.
struct Whole {
    bytes: Bytes,
    /// Its chunks, if it has several.
    manifest: Option<Manifest>,
}

impl Whole {
    /// The bytes, if they are what they should be.
    fn of(bytes: Bytes, content: ContentHash) -> Option<Self> {
        let found = Content::of_bytes(&bytes);
        (found.hash == content).then_some(Self {
            bytes,
            manifest: found.manifest,
        })
    }
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
pub(super) struct Builder {
    pub(super) root: Arc<Root>,
    pub(super) staging: Staging,
    pub(super) sources: Arc<Sources>,
    pub(super) cancellation: Cancellation,
    /// How many threads share the jobs.
    pub(super) share: usize,
}

/// How many bytes came from where.
#[derive(Clone, Copy, Default)]
struct Counts {
    fetched: u64,
    reused: u64,
}

impl Builder {
    /// Builds what comes, until nothing more does.
    pub(super) fn work(&self, jobs: &Receiver<Job>, built: &Sender<Vec<Built>>) {
        for job in jobs {
            let group = match job.recipe {
                Recipe::Fetch => self.gather(job, jobs),
                _ => vec![job],
            };
            let fetched = self.fetch_group(&group);
            let finished = group.into_iter().zip(fetched);
            let finished = finished.map(|(job, whole)| self.finish(job, whole));
            // Together, so that who plans is not woken for each.
            if built.send(finished.collect()).is_err() {
                return;
            }
        }
    }

    /// A job, and others that wait, as far as they go together; the last may be of another kind.
    fn gather(&self, first: Job, jobs: &Receiver<Job>) -> Vec<Job> {
        let fair = (jobs.len() / self.share).clamp(1, GROUP_FILES_MAX);
        let mut bytes = first.size;
        let mut group = vec![first];
        while group.len() < fair && bytes < GROUP_BYTES_MAX {
            let Ok(job) = jobs.try_recv() else { break };
            let comes_whole = matches!(job.recipe, Recipe::Fetch);
            bytes += if comes_whole { job.size } else { 0 };
            group.push(job);
            if !comes_whole {
                break;
            }
        }
        group
    }

    /// The contents of the jobs that are to be fetched whole, as far as anybody has them.
    fn fetch_group(&self, group: &[Job]) -> Vec<Option<Whole>> {
        let mut found: Vec<Option<Whole>> = group.iter().map(|_| None).collect();
        let mut open: Vec<usize> = (0..group.len())
            .filter(|at| matches!(group[*at].recipe, Recipe::Fetch))
            .collect();
        for source in self.sources.all() {
            if open.is_empty() || self.cancellation.is_cancelled() {
                break;
            }
            // Long ones go another way than short ones, which are not to wait for them.
            let is_long = |at: &usize| group[*at].size > ONE_PIECE_BYTES_MAX;
            let (long, short): (Vec<usize>, Vec<usize>) = open.iter().partition(|at| is_long(at));
            let requests = [short, long].map(|asked| {
                let wants: Vec<Want> = asked.iter().map(|at| whole(&group[*at])).collect();
                let is_one = !wants.is_empty();
                (asked, is_one.then(|| source.request(wants)))
            });
            for (asked, reply) in requests {
                for (at, bytes) in asked.iter().zip(reply.into_iter().flatten()) {
                    found[*at] = bytes.and_then(|bytes| Whole::of(bytes, group[*at].content));
                }
            }
            open.retain(|at| found[*at].is_none());
        }
        found
    }

    fn finish(&self, job: Job, whole: Option<Whole>) -> Built {
        let mut counts = Counts::default();
        let (fetched, manifest) = match whole {
            Some(Whole { bytes, manifest }) => (Some(bytes), manifest),
            None => (None, None),
        };
        let staged = if self.cancellation.is_cancelled() {
            Err(BuildError::Cancelled)
        } else {
            self.build(&job, fetched, &mut counts)
        };
        let Counts { fetched, reused } = counts;
        Built {
            step: job.step,
            staged,
            manifest,
            needed: job.needed,
            fetched,
            reused,
        }
    }

    fn build(
        &self,
        job: &Job,
        fetched: Option<Bytes>,
        counts: &mut Counts,
    ) -> Result<Staged, BuildError> {
        match &job.recipe {
            Recipe::Fetch => self.build_small(job, fetched, counts),
            Recipe::Copy { from, fingerprint } => {
                match self.read_small(from, fingerprint, job.content) {
                    Some(bytes) => {
                        counts.reused += job.size;
                        Ok(self.staging.small(&bytes, &job.step.metadata)?)
                    }
                    None => {
                        let fetched = self.fetch_piece(&whole(job), &|bytes| {
                            Content::of_bytes(bytes).hash == job.content
                        });
                        self.build_small(job, fetched, counts)
                    }
                }
            }
            Recipe::Assemble {
                manifest,
                pieces,
                bases,
            } => self.assemble(job, manifest, pieces, bases, counts),
        }
    }

    fn build_small(
        &self,
        job: &Job,
        fetched: Option<Bytes>,
        counts: &mut Counts,
    ) -> Result<Staged, BuildError> {
        let bytes = fetched.ok_or(BuildError::Missing)?;
        counts.fetched += job.size;
        Ok(self.staging.small(&bytes, &job.step.metadata)?)
    }

    /// What is wanted, from whichever source has it as it should be.
    fn fetch_piece(&self, want: &Want, is_it: &dyn Fn(&Bytes) -> bool) -> Option<Bytes> {
        let sources = self.sources.all();
        let mut answers = (sources.iter()).filter_map(|source| {
            let answer = source.request(vec![want.clone()]).next();
            answer.flatten()
        });
        answers.find(is_it)
    }

    /// A small file of the own root, if it still holds what it should.
    fn read_small(
        &self,
        from: &RelPath,
        fingerprint: &Fingerprint,
        content: ContentHash,
    ) -> Option<Vec<u8>> {
        let file = StableFile::open_expected(&self.root, from, fingerprint).ok()?;
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
    builder: &'work Builder,
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
        let Ok(source) = StableFile::open_expected(&self.builder.root, from, fingerprint) else {
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

    /// Fetches the chunks of a piece, some requests ahead of what is written.
    fn fetch(&self, piece: &Piece, counts: &mut Counts) -> Result<(), BuildError> {
        let sources = self.builder.sources.all();
        let mut ahead: VecDeque<(Run, Option<Reply>)> = VecDeque::new();
        let mut rest = piece.chunks.clone();
        let mut offset = piece.offset;
        let mut unflushed = offset..offset;
        loop {
            while ahead.len() < PIECES_AHEAD_MAX && !rest.is_empty() {
                let run = self.run(&mut rest, &mut offset);
                let request = |source: &Arc<dyn super::content::Source>| {
                    source.request(vec![self.want(&run)])
                };
                let reply = sources.first().map(request);
                ahead.push_back((run, reply));
            }
            let Some((run, reply)) = ahead.pop_front() else {
                return Ok(());
            };
            if self.builder.cancellation.is_cancelled() {
                return Err(BuildError::Cancelled);
            }
            let first = reply.and_then(|mut reply| reply.next()).flatten();
            let bytes = first
                .filter(|bytes| self.is_run(&run, bytes))
                .or_else(|| self.fetch_run(&run))
                .ok_or(BuildError::Missing)?;
            self.file.write_at(run.offset, &bytes)?;
            counts.fetched += run.length;
            unflushed.end = run.offset + run.length;
            if unflushed.end - unflushed.start >= FLUSH_AHEAD_BYTES {
                self.file.flush_ahead(unflushed.clone());
                unflushed.start = unflushed.end;
            }
        }
    }

    /// The next chunks that are asked for together.
    fn run(&self, rest: &mut Range<usize>, offset: &mut u64) -> Run {
        let (mut end, mut length) = (rest.start, 0);
        while end < rest.end {
            let next = u64::from(self.manifest.chunks[end].length);
            if length > 0 && length + next > PIECE_BYTES_MAX {
                break;
            }
            length += next;
            end += 1;
        }
        let run = Run {
            chunks: rest.start..end,
            offset: *offset,
            length,
        };
        rest.start = end;
        *offset += length;
        run
    }

    fn want(&self, run: &Run) -> Want {
        want(
            self.job.content,
            &self.job.step.path,
            run.offset,
            run.length,
        )
    }

    fn fetch_run(&self, run: &Run) -> Option<Bytes> {
        let is_it = |bytes: &Bytes| self.is_run(run, bytes);
        self.builder.fetch_piece(&self.want(run), &is_it)
    }

    /// Whether these are the chunks of a run.
    fn is_run(&self, run: &Run, bytes: &Bytes) -> bool {
        let mut at = 0;
        self.manifest.chunks[run.chunks.clone()]
            .iter()
            .all(|chunk| {
                let end = at + chunk.length as usize;
                let proven = (bytes.get(at..end))
                    .is_some_and(|bytes| verify_chunk(bytes, &chunk.hash).is_ok());
                at = end;
                proven
            })
    }
}

/// Adjacent chunks that are asked for together.
struct Run {
    chunks: Range<usize>,
    offset: u64,
    length: u64,
}

/// The want of a whole small file.
fn whole(job: &Job) -> Want {
    want(job.content, &job.step.path, 0, job.size)
}
