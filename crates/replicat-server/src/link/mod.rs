//! A link to one peer: the folders that both keep, and the threads that carry what they say.
//!
//! Goals: a session for each folder that both offer; a folder or peer that is slow holds up nobody else's contents;
//! what a peer may make this node keep in memory is bounded.
//! Non-goals: encryption and reconnecting (`replicat-net`), what is said in a session (`replicat-core`).
//!
//! Of each link, one thread takes what comes on the control lane, one sends what goes there, and one for each bulk lane
//! answers requests. What comes for a folder waits at the folder; the peer sends no more than a window of it.

mod approvals;
mod bulk;
mod connection;
mod inbox;
mod outbox;
mod questions;
mod replica;
mod requests;
mod sessions;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use replicat_core::id::FolderId;
use replicat_core::path::RelPath;
use replicat_engine::live::{FolderMode, Parcel, PeerNumber};
use replicat_net::{ClusterId, Link, NodeName, Role};

use crate::settings::FolderName;
use crate::wire::{ControlFrame, Standing};
use crate::workers::{Worker, Workers};
pub(crate) use approvals::Approvals;
use bulk::{BulkLane, FolderLookup};
use connection::FolderConnection;
use inbox::{Inbox, TooMuch, WINDOW_BYTES};
use outbox::{Outbox, Outgoing};
use questions::Questions;
use sessions::{Sessions, Step};

pub(crate) use replica::Replica;

/// How long a session that was ended by its folder rests before it begins anew.
const SESSION_PAUSE: Duration = Duration::from_secs(2);

/// The folders of this node, for its links.
pub(crate) trait Folders: Send + Sync {
    /// A folder, if it runs; by its id under any cluster key that is accepted.
    fn replica(&self, folder: FolderId) -> Option<Arc<dyn Replica>>;
    /// What is offered to peers on links of this cluster.
    fn offered(&self, cluster: ClusterId) -> Vec<(FolderId, FolderName, FolderMode)>;
    /// A peer asks for the content of a file.
    fn asked_for(&self, folder: FolderId, peer: &NodeName, path: &RelPath);
}

/// What a bulk lane is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Load {
    /// Contents that are small, and lists of chunks.
    Small,
    /// Pieces of large contents.
    Large,
}

/// Whether a peer says what its folders have taken in, and goes by what it is told of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FlowControl {
    /// For each session.
    BySession,
    /// Not: what is not taken in holds up the whole lane.
    ByLane,
}

/// Whether a folder has a session over a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sharing {
    Begins,
    Ends,
}

/// A link to a peer.
pub(crate) struct PeerLink {
    link: Link,
    folders: Arc<dyn Folders>,
    sessions: Mutex<Sessions>,
    /// The folders that have a session, apart: whoever answers requests waits for no session.
    shared: RwLock<HashSet<FolderId>>,
    /// The window of the peer for each session; 0 before its first offer, and if it names none.
    window: AtomicU64,
    inboxes: Mutex<HashMap<PeerNumber, Arc<Inbox>>>,
    outbox: Outbox,
    questions: Questions,
    approvals: Arc<Approvals>,
    bulk: Vec<Arc<BulkLane>>,
    runtime: tokio::runtime::Handle,
}

impl PeerLink {
    /// Serves a link that has come up, until it is down. To be called within a runtime.
    pub(crate) fn start(
        link: Link,
        folders: Arc<dyn Folders>,
        workers: &Workers,
        approvals: &Arc<Approvals>,
    ) -> io::Result<Arc<Self>> {
        let lanes = link.bulk_lanes().clamp(1, 2);
        let (bulk, jobs): (Vec<_>, Vec<_>) = (0..lanes)
            .map(|lane| BulkLane::new(link.bulk(lane)))
            .unzip();
        let peer = Arc::new(Self {
            sessions: Mutex::new(Sessions::new(link.peer().role)),
            shared: RwLock::default(),
            window: AtomicU64::new(0),
            inboxes: Mutex::default(),
            link,
            folders,
            outbox: Outbox::default(),
            questions: Questions::default(),
            approvals: Arc::clone(approvals),
            bulk,
            runtime: tokio::runtime::Handle::current(),
        });
        let name = peer.name().clone();
        for (lane, jobs) in jobs.into_iter().enumerate() {
            let worker = workers.begin(&format!("{name} answers {lane}"));
            let own = Arc::clone(&peer);
            spawn(&format!("answers {lane}"), move || {
                own.answer(lane, &jobs, &worker);
            })?;
            peer.runtime.spawn(Arc::clone(&peer).read_bulk(lane));
        }
        let worker = workers.begin(&format!("{name} sends"));
        let own = Arc::clone(&peer);
        spawn("sends", move || own.send(&worker))?;
        let worker = workers.begin(&format!("{name} receives"));
        let own = Arc::clone(&peer);
        spawn("receives", move || own.receive(&worker))?;
        peer.offer();
        approvals.add(&peer);
        Ok(peer)
    }

    /// The name of the peer.
    pub(crate) fn name(&self) -> &NodeName {
        &self.link.peer().name
    }

    /// What the peer may do.
    pub(crate) fn role(&self) -> Role {
        self.link.peer().role
    }

    /// The link itself.
    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    /// The names of the folders that the peer offers; `None` before it said so.
    pub(crate) fn offered_by_peer(&self) -> Option<Vec<FolderName>> {
        self.sessions().their_names()
    }

    /// The folders of this node have changed: they are offered anew.
    pub(crate) fn offer(&self) {
        self.outbox.push(Outgoing::Offer);
    }

    /// Asks how a folder stands at the peer, once it has taken in all that was said. `None` if no answer comes.
    pub(crate) async fn ask(&self, folder: FolderId) -> Option<Standing> {
        let (id, answer) = self.questions.note()?;
        let question = ControlFrame::Ask { id, folder };
        self.outbox.push(Outgoing::Frame(question));
        answer.await.ok()
    }

    /// Answers such a question, from a thread that may wait.
    fn answer_question(self: &Arc<Self>, id: u64, folder: FolderId) {
        let own = Arc::clone(self);
        self.runtime.spawn_blocking(move || {
            let absent = Standing {
                is_online: false,
                pending: 0,
            };
            let replica = own.folders.replica(folder);
            let standing = replica.map_or(absent, |replica| replica.standing());
            let answer = ControlFrame::Standing { id, standing };
            own.outbox.push(Outgoing::Frame(answer));
        });
    }

    /// The link is down: all that rests on it ends.
    pub(crate) fn end(&self) {
        self.outbox.close();
        self.questions.close();
        self.bulk.iter().for_each(|bulk| bulk.close());
        let mut sessions = self.sessions();
        let steps = sessions.end();
        self.disconnect(steps);
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bulk(&self, load: Load) -> &Arc<BulkLane> {
        match load {
            Load::Small => &self.bulk[0],
            Load::Large => &self.bulk[self.bulk.len() - 1],
        }
    }

    /// Takes what comes on the control lane.
    fn receive(self: &Arc<Self>, worker: &Worker) {
        let lane = self.link.control();
        worker.waits();
        while let Some(frame) = lane.blocking_recv() {
            worker.works(0);
            let taken = ControlFrame::decode(frame).map_err(|error| error.to_string());
            let taken = taken.and_then(|frame| self.take(frame).map_err(|error| error.to_string()));
            if let Err(problem) = taken {
                tracing::warn!(peer = %self.name(), problem, "the peer broke the protocol");
                self.link.close(&problem);
                break;
            }
            worker.waits();
        }
        self.end();
    }

    fn take(self: &Arc<Self>, frame: ControlFrame) -> Result<(), TooMuch> {
        match frame {
            ControlFrame::Session {
                folder,
                epoch,
                parcel,
            } => self.pass_on(folder, epoch, parcel)?,
            ControlFrame::Taken {
                folder,
                epoch,
                bytes,
            } => {
                let session = self.sessions().session(folder, epoch);
                if let Some(number) = session {
                    self.outbox.relieve(number, bytes);
                }
            }
            ControlFrame::Offer { folders, window } => {
                let mut sessions = self.sessions();
                self.window.store(window, Ordering::Relaxed);
                let steps = sessions.take_offer(folders);
                self.carry_out(steps);
            }
            ControlFrame::Ask { id, folder } => self.answer_question(id, folder),
            ControlFrame::Standing { id, standing } => self.questions.take(id, standing),
            ControlFrame::Approval { folder, id } => self.take_approval(folder, id),
            ControlFrame::Close { folder, reason } => {
                tracing::info!(peer = %self.name(), %folder, reason, "the peer ended a session");
                let mut sessions = self.sessions();
                let steps = sessions.take_close(folder);
                self.carry_out(steps);
            }
        }
        Ok(())
    }

    /// Tells the peer that a person approved deletions.
    fn approve(&self, folder: &FolderName, id: u64) {
        // A folder may have another id on another link.
        let offered = self.folders.offered(self.link.cluster());
        let found = offered.into_iter().find(|(_, name, _)| name == folder);
        if let Some((folder, _, _)) = found {
            self.outbox
                .push(Outgoing::Frame(ControlFrame::Approval { folder, id }));
        }
    }

    /// Lets the deletions of a folder pass, if the changes of the peer are taken there, and passes that on.
    fn take_approval(&self, folder: FolderId, id: u64) {
        if !self.sessions().is_heard(folder) || !self.approvals.note(id) {
            return;
        }
        if let Some(replica) = self.folders.replica(folder) {
            replica.allow_deletions();
        }
        let offered = self.folders.offered(self.link.cluster());
        let found = offered.into_iter().find(|(known, _, _)| *known == folder);
        if let Some((_, name, _)) = found {
            self.approvals.send(&name, id);
        }
    }

    /// Hands a message to its folder.
    fn pass_on(&self, folder: FolderId, epoch: u64, parcel: Parcel) -> Result<(), TooMuch> {
        let Some(number) = self.sessions().session(folder, epoch) else {
            return Ok(());
        };
        let inbox = self.inboxes().get(&number).cloned();
        let (Some(inbox), Some(replica)) = (inbox, self.folders.replica(folder)) else {
            return Ok(());
        };
        let bytes = parcel.bytes() as u64;
        match self.flow_control() {
            FlowControl::BySession => inbox.note(bytes)?,
            FlowControl::ByLane => inbox.note_patiently(bytes),
        }
        replica.receive(number, parcel);
        Ok(())
    }

    fn inboxes(&self) -> MutexGuard<'_, HashMap<PeerNumber, Arc<Inbox>>> {
        self.inboxes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn flow_control(&self) -> FlowControl {
        match self.window.load(Ordering::Relaxed) {
            0 => FlowControl::ByLane,
            _ => FlowControl::BySession,
        }
    }

    /// Tells the folders what follows from an offer. The sessions stay locked meanwhile, so that no message of a new
    /// session comes before the folder knows of it.
    fn carry_out(self: &Arc<Self>, steps: Vec<Step>) {
        for step in steps {
            match step {
                Step::Connect {
                    folder,
                    number,
                    epoch,
                    hearing,
                } => {
                    let inbox = Arc::new(Inbox::default());
                    let connection = FolderConnection {
                        link: Arc::clone(self),
                        folder,
                        number,
                        epoch,
                        inbox: Arc::clone(&inbox),
                        flow: self.flow_control(),
                    };
                    if let Some(replica) = self.folders.replica(folder) {
                        self.inboxes().insert(number, inbox);
                        let window = self.window.load(Ordering::Relaxed);
                        self.outbox.begin(number, folder, epoch, window);
                        self.set_shared(folder, Sharing::Begins);
                        replica.connect(number, Arc::new(connection), hearing);
                    }
                }
                other => self.disconnect(vec![other]),
            }
        }
    }

    fn disconnect(&self, steps: Vec<Step>) {
        for step in steps {
            match step {
                Step::Disconnect { folder, number } => {
                    self.set_shared(folder, Sharing::Ends);
                    self.outbox.forget(number);
                    if let Some(inbox) = self.inboxes().remove(&number) {
                        inbox.close();
                    }
                    if let Some(replica) = self.folders.replica(folder) {
                        replica.disconnect(number);
                    }
                }
                Step::Lacking { name } => {
                    tracing::info!(peer = %self.name(), folder = %name, "the peer has no such folder");
                }
                Step::Unknown { name } => {
                    tracing::info!(peer = %self.name(), folder = %name, "the peer offers a folder that is not here");
                }
                Step::Connect { .. } => {}
            }
        }
    }

    fn set_shared(&self, folder: FolderId, sharing: Sharing) {
        let mut shared = self.shared.write().unwrap_or_else(PoisonError::into_inner);
        match sharing {
            Sharing::Begins => shared.insert(folder),
            Sharing::Ends => shared.remove(&folder),
        };
    }

    /// Sends what goes over the control lane.
    fn send(self: &Arc<Self>, worker: &Worker) {
        let lane = self.link.control();
        loop {
            worker.waits();
            let Some(next) = self.outbox.next() else {
                return;
            };
            worker.works(self.outbox.len());
            let frame = match next {
                Outgoing::Frame(frame) => frame,
                Outgoing::Offer => {
                    // It goes before the first message of a session that follows from it: that is queued meanwhile.
                    let mut sessions = self.sessions();
                    let steps = sessions.offer(&self.folders.offered(self.link.cluster()));
                    self.carry_out(steps);
                    ControlFrame::Offer {
                        folders: sessions.offered(),
                        window: WINDOW_BYTES,
                    }
                }
                Outgoing::Close {
                    folder,
                    number,
                    reason,
                } => match self.withdraw(folder, number, reason) {
                    Some(frame) => frame,
                    None => continue,
                },
                Outgoing::Writable(sessions) => {
                    self.tell_writable(&sessions);
                    continue;
                }
            };
            if lane.blocking_send(frame.encode()).is_err() {
                return;
            }
        }
    }

    fn tell_writable(&self, sessions: &[(FolderId, PeerNumber)]) {
        for (folder, number) in sessions {
            if let Some(replica) = self.folders.replica(*folder) {
                replica.writable(*number);
            }
        }
    }

    /// Ends a session that its folder ends, and offers the folder again after a while.
    fn withdraw(
        self: &Arc<Self>,
        folder: FolderId,
        number: PeerNumber,
        reason: String,
    ) -> Option<ControlFrame> {
        let mut sessions = self.sessions();
        if !sessions.is_current(folder, number) {
            return None;
        }
        tracing::warn!(peer = %self.name(), %folder, reason, "a session ended");
        let steps = sessions.withdraw(folder);
        self.disconnect(steps);
        let own = Arc::clone(self);
        self.runtime.spawn(async move {
            tokio::time::sleep(SESSION_PAUSE).await;
            own.offer();
        });
        Some(ControlFrame::Close { folder, reason })
    }

    async fn read_bulk(self: Arc<Self>, lane: usize) {
        let bulk = Arc::clone(&self.bulk[lane]);
        if let Err(problem) = bulk.read().await {
            tracing::warn!(peer = %self.name(), problem, "the peer broke the protocol");
            self.link.close(&problem);
        }
    }

    fn answer(self: &Arc<Self>, lane: usize, jobs: &bulk::Jobs, worker: &Worker) {
        let own = Arc::clone(self);
        let shared: FolderLookup = Arc::new(move |folder| {
            let shared = own.shared.read().unwrap_or_else(PoisonError::into_inner);
            let is_shared = shared.contains(&folder);
            is_shared.then(|| own.folders.replica(folder)).flatten()
        });
        worker.measured({
            let bulk = Arc::clone(&self.bulk[lane]);
            move || bulk.len()
        });
        let asked_for = |folder, path: &RelPath| self.folders.asked_for(folder, self.name(), path);
        self.bulk[lane].answer(jobs, &shared, &asked_for);
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let thread = thread::Builder::new().name(name.to_owned());
    thread.spawn(work).map(drop)
}
