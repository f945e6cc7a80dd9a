//! The handle of a live folder, for all threads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;

use bytes::Bytes;
use crossbeam_channel::{Sender, bounded, unbounded};
use replicat_core::id::ContentHash;
use replicat_core::message::Want;
use replicat_core::path::RelPath;

use super::owner::{Input, Owner};
use super::peer::{Connection, Parcel, PeerNumber, Trust};
use super::settings::LiveSettings;
use super::status::{FolderState, FolderStatus, Listener};
use super::steering::Order;
use crate::engine::deletions::Verdict;
use crate::engine::held::Held;
use crate::engine::inspect::{Answer, Question};
use crate::error::SyncError;
use crate::inspection::{Forgotten, Keep, Resolution};
use crate::options::Cancellation;
use crate::report::RefusedChange;

/// A folder that is kept in sync. Clones are handles of one folder.
#[derive(Clone)]
pub struct LiveFolder {
    shared: Arc<Shared>,
    inputs: Sender<Input>,
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

/// What the owner of a folder shares with all others.
pub(super) struct Shared {
    pub(super) status: Mutex<FolderStatus>,
    /// What the folder held at its last commit; `None` while it is not open.
    pub(super) held: RwLock<Option<Arc<Held>>>,
    pub(super) bytes_sent: AtomicU64,
    pub(super) cancellation: Cancellation,
}

impl std::fmt::Debug for LiveFolder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveFolder").finish_non_exhaustive()
    }
}

impl LiveFolder {
    /// Opens and locks a directory, and begins to keep it in sync on a thread of its own.
    ///
    /// # Errors
    /// [`SyncError`] if the directory or its state cannot be used.
    pub fn start(settings: LiveSettings, listener: Arc<dyn Listener>) -> Result<Self, SyncError> {
        // What peers say is bounded by those who bring it, and whoever asks for something waits for the answer.
        let (inputs, taken) = unbounded();
        let root = settings.root.clone();
        let owner = Owner::open(settings, listener, inputs.clone(), taken)?;
        let shared = owner.shared();
        let thread = std::thread::Builder::new()
            .name("folder".to_owned())
            .spawn(move || owner.run())
            .map_err(|source| SyncError::Io {
                action: "start a thread for",
                path: root,
                source,
            })?;
        Ok(Self {
            shared,
            inputs,
            thread: Arc::new(Mutex::new(Some(thread))),
        })
    }

    fn tell(&self, input: Input) {
        // If the owner has ended, nobody needs to know.
        let _ = self.inputs.send(input);
    }

    /// Begins a session with a peer.
    pub fn connect(&self, number: PeerNumber, connection: Arc<dyn Connection>, trust: Trust) {
        self.tell(Input::Connect(number, connection, trust));
    }

    /// Ends the session with a peer that is gone.
    pub fn disconnect(&self, number: PeerNumber) {
        self.tell(Input::Disconnect(number));
    }

    /// Takes in a message of the session with a peer, in its turn. Does not wait: [`Connection::taken`] tells when the folder
    /// got to it, and whoever brings messages bounds by that what waits.
    pub fn receive(&self, number: PeerNumber, parcel: Parcel) {
        self.tell(Input::Message(number, parcel));
    }

    /// Says that a connection which was full can take more.
    pub fn writable(&self, number: PeerNumber) {
        self.tell(Input::Writable(number));
    }

    /// The bytes that a peer wants, if they are held here unchanged. They are not verified against the content's name.
    #[must_use]
    pub fn answer(&self, want: &Want) -> Option<Bytes> {
        let bytes = self.held()?.read(want)?;
        self.shared
            .bytes_sent
            .fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Some(bytes)
    }

    /// Whether a path is in scope here, and holds a content now.
    #[must_use]
    pub fn keeps(&self, want: &Want) -> bool {
        self.held().is_some_and(|held| held.keeps(want))
    }

    /// The chunks of a content, as `replicat-content` encodes them, if they are kept here.
    #[must_use]
    pub fn manifest(&self, content: ContentHash) -> Option<Bytes> {
        self.held()?.manifest(content)
    }

    pub(super) fn held(&self) -> Option<Arc<Held>> {
        let held = self.shared.held.read();
        held.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Stops watching, sending and receiving, until [`Self::resume`].
    pub fn pause(&self) {
        self.tell(Input::Order(Order::Pause));
    }

    /// Goes on after a pause, or after the folder halted: everything is compared anew.
    pub fn resume(&self) {
        self.tell(Input::Order(Order::Resume));
    }

    /// Compares paths, and what is below them, with the index; everything if none are given.
    pub fn rescan(&self, paths: Vec<RelPath>) {
        self.tell(Input::Order(Order::Rescan(paths)));
    }

    /// Lets the deletions pass that are held. Returns whether there were any.
    ///
    /// # Errors
    /// If the index fails; [`SyncError::NotReplica`] if the folder was stopped.
    pub fn approve(&self) -> Result<bool, SyncError> {
        self.decide(Verdict::Approved)
    }

    /// A person approved at another node the deletions of this folder: those that come from peers pass for a minute.
    pub fn allow_deletions(&self) {
        self.tell(Input::Order(Order::AllowDeletions));
    }

    /// Brings back the files whose deletion is held. Returns whether there were any.
    ///
    /// # Errors
    /// As [`Self::approve`].
    pub fn reject(&self) -> Result<bool, SyncError> {
        self.decide(Verdict::Rejected)
    }

    fn decide(&self, verdict: Verdict) -> Result<bool, SyncError> {
        let asked = self.ask(|reply| Order::Decide(verdict, reply));
        asked.unwrap_or_else(|| Err(self.stopped()))
    }

    /// Answers a question by the index, see [`inspect`](crate::engine::inspect).
    ///
    /// # Errors
    /// As there; [`SyncError::NotReplica`] if the folder is halted or was stopped.
    pub fn inspect(&self, question: Question) -> Result<Answer, SyncError> {
        let asked = self.ask(|reply| Order::Inspect(question, reply));
        asked.unwrap_or_else(|| Err(self.stopped()))
    }

    /// Settles a conflict, see [`resolve`](crate::engine::inspect::resolve), and waits until that is taken in.
    ///
    /// # Errors
    /// As there; [`SyncError::NotReplica`] if the folder was stopped.
    pub fn resolve(&self, path: RelPath, keep: Keep) -> Result<Resolution, SyncError> {
        let asked = self.ask(|reply| Order::Resolve(path, keep, reply));
        let done = asked.unwrap_or_else(|| Err(self.stopped()))?;
        let _ = self.standing();
        Ok(done)
    }

    /// Forgets a replica that is gone for good, see [`forget`](crate::engine::inspect::forget).
    ///
    /// # Errors
    /// As there; [`SyncError::NotReplica`] if the folder was stopped.
    pub fn forget(&self, replica: String) -> Result<Vec<Forgotten>, SyncError> {
        let asked = self.ask(|reply| Order::Forget(replica, reply));
        asked.unwrap_or_else(|| Err(self.stopped()))
    }

    /// Makes the directory of a folder that only receives as the others are: drops the local changes that peers refuse, at and
    /// below `paths`, everywhere if there are none. What is replaced or removed goes to the trash. With `only_lists` nothing
    /// is changed. Returns the changes that are dropped.
    ///
    /// # Errors
    /// [`SyncError::NotReceiveOnly`]; [`SyncError::NoPeerKnows`] if no peer is connected that can say what the others have;
    /// [`SyncError::NotReplica`] if the folder is halted, paused or stopped.
    pub fn revert(
        &self,
        paths: Vec<RelPath>,
        only_lists: bool,
    ) -> Result<Vec<RefusedChange>, SyncError> {
        let asked = self.ask(|reply| Order::Revert {
            paths,
            only_lists,
            reply,
        });
        asked.unwrap_or_else(|| Err(self.stopped()))
    }

    pub(super) fn stopped(&self) -> SyncError {
        SyncError::NotReplica {
            root: self.status().root,
        }
    }

    /// Asks the owner, and waits for the answer; `None` if it has ended.
    pub(super) fn ask<T>(&self, order: impl FnOnce(Sender<T>) -> Order) -> Option<T> {
        let (reply, answer) = bounded(1);
        self.tell(Input::Order(order(reply)));
        answer.recv().ok()
    }

    /// How the folder stands.
    #[must_use]
    pub fn status(&self) -> FolderStatus {
        let status = self.shared.status.lock();
        let mut status = status.unwrap_or_else(PoisonError::into_inner).clone();
        status.queue = self.inputs.len();
        status.bytes_sent = self.shared.bytes_sent.load(Ordering::Relaxed);
        status
    }

    /// How the folder stands once all is taken in that it was told before this; waits for that. `None` if it has ended.
    #[must_use]
    pub fn standing(&self) -> Option<FolderStatus> {
        self.ask(Order::Stand)
    }

    /// Ends the folder: what is staged is finished or left for the next start, the index is written, the directory
    /// unlocked.
    pub fn stop(&self) {
        self.shared.cancellation.cancel();
        self.tell(Input::Stop);
        let thread = self.thread.lock();
        let thread = thread.unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the thread of a folder panicked");
        }
    }

    /// Whether the folder has been stopped.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.status().state == FolderState::Offline
    }
}
