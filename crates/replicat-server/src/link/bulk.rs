//! A bulk lane of a link: requests for contents, and their answers, both ways.
//!
//! A task takes what comes and never waits for anything else, so that an answer is never behind a request; a thread
//! answers the peer's requests one after the other, with one piece in memory at a time.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use replicat_core::id::{ContentHash, FolderId};
use replicat_core::message::Want;
use replicat_core::path::RelPath;
use replicat_engine::live::Reply;
use replicat_net::{Lane, SendError};

use super::replica::Replica;
use super::requests::Requests;
use crate::wire::{BulkFrame, Part, Request, Subject, WANTS_MAX};

/// How much content small pieces put together in a frame, about.
const FRAME_CONTENT_BYTES: usize = 256 << 10;
/// How much of a long content is read at once, and the most that one frame carries of it. What is asked for at once
/// is no more, so that it comes in one piece, which need not be put together.
const PIECE_BYTES_MAX: usize = 1 << 20;
/// How many bytes of paths one request carries, about.
const REQUEST_PATH_BYTES_MAX: usize = 256 << 10;
/// How many bytes of requests a peer may leave waiting before it is taken for broken.
const WAITING_REQUEST_BYTES_MAX: usize = 64 << 20;
/// The longest list of chunks that is taken: of a file of some terabytes.
const MANIFEST_BYTES_MAX: u64 = 256 << 20;
/// How long a list of chunks is waited for.
const MANIFEST_PATIENCE: Duration = Duration::from_secs(1);
/// How many lists of chunks a peer may owe before it is asked for no more.
const MANIFESTS_AWAITED_MAX: usize = 64;
/// What a want takes beside its path, about.
const WANT_BYTES: usize = 64;

/// Who can look a folder up that is shared with the peer.
pub(super) type FolderLookup = Arc<dyn Fn(FolderId) -> Option<Arc<dyn Replica>> + Send + Sync>;
/// Who is told that a file of a folder is asked for.
pub(super) type Asked<'a> = dyn Fn(FolderId, &RelPath) + 'a;

/// One end of a bulk lane.
pub(super) struct BulkLane {
    lane: Lane,
    requests: Requests,
    jobs: Mutex<Option<Sender<Job>>>,
    queue: Mutex<Queue>,
    manifests: Mutex<AwaitedManifests>,
}

/// Lists of chunks that were asked for, and did not come in time.
type AwaitedManifests = HashMap<(FolderId, ContentHash), Answers>;

/// A request of the peer's.
struct Job {
    request: Request,
    cost: usize,
}

/// What is known of the peer's requests.
#[derive(Default)]
struct Queue {
    bytes: usize,
    waiting: HashSet<u64>,
}

/// The jobs of a lane, for its answering thread.
pub(super) struct Jobs(Receiver<Job>);

impl BulkLane {
    /// An end of `lane`, and the jobs that its thread is to do.
    pub(super) fn new(lane: Lane) -> (Arc<Self>, Jobs) {
        let (jobs, receiver) = unbounded();
        let bulk = Self {
            lane,
            requests: Requests::default(),
            jobs: Mutex::new(Some(jobs)),
            queue: Mutex::default(),
            manifests: Mutex::default(),
        };
        (Arc::new(bulk), Jobs(receiver))
    }

    /// How many requests wait, in both directions together.
    pub(super) fn len(&self) -> usize {
        self.requests.len() + self.with_queue(|queue| queue.waiting.len())
    }

    /// Nobody is answered any more.
    pub(super) fn close(&self) {
        self.requests.close();
        // Each holds this lane.
        let awaited = self.with_manifests(std::mem::take);
        drop(awaited);
        self.jobs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }

    /// Asks for pieces of contents. The answers come in their order.
    pub(super) fn request(self: &Arc<Self>, folder: FolderId, wants: Vec<Want>) -> Reply {
        self.send_all(folder, wants, Subject::Pieces)
    }

    /// Asks which wants the peer keeps, and waits for the answers. Yes is an empty piece, which no peer sends that takes the
    /// question for a request of bytes.
    pub(super) fn keeps(self: &Arc<Self>, folder: FolderId, wants: Vec<Want>) -> Vec<bool> {
        let answers = self.send_all(folder, wants, Subject::Keeps);
        let is_yes = |answer: Option<Bytes>| answer.is_some_and(|bytes| bytes.is_empty());
        answers.map(is_yes).collect()
    }

    fn send_all(
        self: &Arc<Self>,
        folder: FolderId,
        wants: Vec<Want>,
        subject: fn(Vec<Want>) -> Subject,
    ) -> Reply {
        let mut replies: Vec<Reply> = Vec::new();
        for wants in portions(wants) {
            let lengths: VecDeque<u64> = wants.iter().map(|want| want.length).collect();
            let cost = wants.iter().map(want_cost).sum();
            replies.push(self.send(folder, subject(wants), lengths, cost));
        }
        Box::new(replies.into_iter().flatten())
    }

    /// Asks for the chunks of a content, and waits for them a while. What comes later is there for who asks again.
    pub(super) fn manifest(
        self: &Arc<Self>,
        folder: FolderId,
        content: ContentHash,
    ) -> Option<Bytes> {
        // A folder does nothing else while it waits. So it waits only for a peer that owes nothing.
        let (patience, begun) = self.with_manifests(|awaited| {
            let patience = match awaited.is_empty() {
                true => MANIFEST_PATIENCE,
                false => Duration::ZERO,
            };
            (patience, awaited.remove(&(folder, content)))
        });
        let answers = match begun {
            Some(answers) => answers,
            None if self.with_manifests(|awaited| awaited.len()) >= MANIFESTS_AWAITED_MAX => {
                return None;
            }
            None => {
                let lengths = VecDeque::from([MANIFEST_BYTES_MAX]);
                self.ask(folder, Subject::Manifest(content), lengths, WANT_BYTES)?
            }
        };
        match answers.answers.recv_timeout(patience) {
            Ok(manifest) => manifest,
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => {
                self.with_manifests(|awaited| awaited.insert((folder, content), answers));
                None
            }
        }
    }

    fn with_manifests<T>(&self, work: impl FnOnce(&mut AwaitedManifests) -> T) -> T {
        work(&mut (self.manifests.lock()).unwrap_or_else(PoisonError::into_inner))
    }

    fn send(
        self: &Arc<Self>,
        folder: FolderId,
        subject: Subject,
        lengths: VecDeque<u64>,
        cost: usize,
    ) -> Reply {
        let count = lengths.len();
        match self.ask(folder, subject, lengths, cost) {
            Some(answers) => Box::new(answers),
            None => Box::new(std::iter::repeat_n(None, count)),
        }
    }

    /// Sends a request; `None` if the link is down.
    fn ask(
        self: &Arc<Self>,
        folder: FolderId,
        subject: Subject,
        lengths: VecDeque<u64>,
        cost: usize,
    ) -> Option<Answers> {
        let left = lengths.len();
        let (id, answers) = self.requests.note(lengths, cost)?;
        let request = Request {
            id,
            folder,
            subject,
        };
        let frame = BulkFrame::Request(request).encode();
        if self.lane.blocking_send(frame).is_err() {
            self.requests.forget(id);
            return None;
        }
        Some(Answers {
            bulk: Arc::clone(self),
            id,
            answers,
            left,
        })
    }

    /// Takes what comes until the link is down. The reason, if the peer broke the rules.
    pub(super) async fn read(self: Arc<Self>) -> Result<(), String> {
        while let Some(frame) = self.lane.recv().await {
            let cost = frame.len();
            let frame = BulkFrame::decode(frame).map_err(|error| error.to_string())?;
            match frame {
                BulkFrame::Request(request) => self.queue_job(Job { request, cost })?,
                BulkFrame::Reply { id, parts } => {
                    let taken = self.requests.take(id, parts);
                    taken.map_err(|error| error.to_string())?;
                }
                BulkFrame::Cancel(id) => {
                    self.with_queue(|queue| queue.waiting.remove(&id));
                }
            }
        }
        Ok(())
    }

    fn queue_job(&self, job: Job) -> Result<(), String> {
        let bytes = self.with_queue(|queue| {
            queue.waiting.insert(job.request.id);
            queue.bytes += job.cost;
            queue.bytes
        });
        if bytes > WAITING_REQUEST_BYTES_MAX {
            return Err("the peer asks for more than can be answered".to_owned());
        }
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(jobs) = jobs.as_ref() {
            // The thread ends with the link only.
            let _ = jobs.send(job);
        }
        Ok(())
    }

    /// Answers until the link is down.
    pub(super) fn answer(&self, jobs: &Jobs, folders: &FolderLookup, asked: &Asked<'_>) {
        while let Ok(Job { request, cost }) = jobs.0.recv() {
            let id = request.id;
            let answered = self.answer_one(request, folders, asked);
            self.with_queue(|queue| {
                queue.bytes -= cost;
                queue.waiting.remove(&id);
            });
            if answered.is_err() {
                return;
            }
        }
    }

    fn answer_one(
        &self,
        request: Request,
        folders: &FolderLookup,
        asked: &Asked<'_>,
    ) -> Result<(), SendError> {
        let folder = folders(request.folder);
        let mut batch = Batch::new(self, request.id);
        match request.subject {
            Subject::Manifest(content) => {
                let chunks = folder.and_then(|folder| folder.manifest(content));
                batch.put_whole(chunks)?;
            }
            Subject::Keeps(wants) => {
                for want in wants {
                    let keeps = folder.as_ref().is_some_and(|folder| folder.keeps(&want));
                    batch.put_whole(keeps.then(Bytes::new))?;
                }
            }
            Subject::Pieces(wants) => {
                for want in wants {
                    if !self.with_queue(|queue| queue.waiting.contains(&request.id)) {
                        return Ok(());
                    }
                    match &folder {
                        Some(folder) => {
                            // Once for each file, however many pieces it is asked for in.
                            if want.offset == 0 {
                                asked(request.folder, &want.path);
                            }
                            batch.put_want(folder.as_ref(), &want)?;
                        }
                        None => batch.put(Part::Missing)?,
                    }
                }
            }
        }
        batch.flush()
    }

    fn with_queue<T>(&self, work: impl FnOnce(&mut Queue) -> T) -> T {
        work(&mut self.queue.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Cuts a list of wants so that each part fits one request.
fn portions(wants: Vec<Want>) -> Vec<Vec<Want>> {
    let mut portions: Vec<Vec<Want>> = Vec::new();
    let mut bytes = 0;
    for want in wants {
        let cost = want_cost(&want);
        match portions.last_mut() {
            Some(last) if last.len() < WANTS_MAX && bytes + cost <= REQUEST_PATH_BYTES_MAX => {
                bytes += cost;
                last.push(want);
            }
            _ => {
                bytes = cost;
                portions.push(vec![want]);
            }
        }
    }
    portions
}

fn want_cost(want: &Want) -> usize {
    WANT_BYTES + want.path.as_bytes().len()
}

/// The answers to a request. Dropped before the last, the rest is cancelled.
struct Answers {
    bulk: Arc<BulkLane>,
    id: u64,
    answers: Receiver<Option<Bytes>>,
    left: usize,
}

impl Iterator for Answers {
    type Item = Option<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        // Who is gone has not got it.
        Some(self.answers.recv().ok().flatten())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        if self.bulk.requests.forget(self.id) {
            // If it cannot be sent now, what still comes is dropped here.
            let _ = self.bulk.lane.try_send(BulkFrame::Cancel(self.id).encode());
        }
    }
}

/// Parts of a reply that go in one frame.
struct Batch<'a> {
    bulk: &'a BulkLane,
    id: u64,
    parts: Vec<Part>,
    bytes: usize,
}

impl<'a> Batch<'a> {
    fn new(bulk: &'a BulkLane, id: u64) -> Self {
        Self {
            bulk,
            id,
            parts: Vec::new(),
            bytes: 0,
        }
    }

    /// Answers a want, in pieces if it is long.
    fn put_want(&mut self, folder: &dyn Replica, want: &Want) -> Result<(), SendError> {
        let end = want.offset.saturating_add(want.length);
        let mut offset = want.offset;
        loop {
            let length = (PIECE_BYTES_MAX as u64).min(end - offset);
            let piece = Want {
                offset,
                length,
                ..want.clone()
            };
            let Some(bytes) = folder.answer(&piece) else {
                return self.put(Part::Missing);
            };
            offset += length;
            if offset >= end {
                return self.put_bytes(bytes, Part::Piece);
            }
            self.put_bytes(bytes, Part::Begin)?;
        }
    }

    fn put_whole(&mut self, bytes: Option<Bytes>) -> Result<(), SendError> {
        match bytes {
            Some(bytes) => self.put_bytes(bytes, Part::Piece),
            None => self.put(Part::Missing),
        }
    }

    /// Cuts bytes to the length of frames; the last of them are put as `last` says.
    fn put_bytes(&mut self, mut bytes: Bytes, last: fn(Bytes) -> Part) -> Result<(), SendError> {
        while bytes.len() > PIECE_BYTES_MAX {
            self.put(Part::Begin(bytes.split_to(PIECE_BYTES_MAX)))?;
        }
        self.put(last(bytes))
    }

    fn put(&mut self, part: Part) -> Result<(), SendError> {
        self.bytes += part.len();
        self.parts.push(part);
        if self.bytes >= FRAME_CONTENT_BYTES || self.parts.len() >= WANTS_MAX {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SendError> {
        if self.parts.is_empty() {
            return Ok(());
        }
        self.bytes = 0;
        let parts = std::mem::take(&mut self.parts);
        let frame = BulkFrame::Reply { id: self.id, parts };
        self.bulk.lane.blocking_send(frame.encode())
    }
}
