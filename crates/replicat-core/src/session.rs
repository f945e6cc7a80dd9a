//! The session between two replicas (`docs/algorithm.md`, section 5).
//!
//! A session has no sockets: its owner passes on what [`Session::poll`] yields and hands in what arrives. One that
//! breaks at any point has done no harm. It ends when both sides have all that the other knew; then its owner settles,
//! and starts another if that made events.

use std::collections::VecDeque;

use thiserror::Error;

use crate::entry::Entry;
use crate::id::{FolderId, ReplicaId};
use crate::message::{Hello, Message, PROTOCOL_VERSION};
use crate::path::RelPath;
use crate::replica::Replica;
use crate::store::{Digest, Member, Store, StoreError};
use crate::version::{Dot, VersionVector};

/// How many entries go into one message.
const ENTRIES_PER_MESSAGE: usize = 512;
/// How many versions of an entry are sent at the most; more concurrent versions of one path than this are a flood.
const VERSIONS_PER_ENTRY_MAX: usize = 4096;

/// Why a session cannot go on.
#[derive(Debug, Error)]
pub enum SessionError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The other speaks another protocol.
    #[error(
        "the other replica speaks protocol {theirs}, this one {PROTOCOL_VERSION}: update the older one"
    )]
    Protocol {
        /// Which.
        theirs: u32,
    },
    /// The other is a replica of another folder.
    #[error("the other replica belongs to folder {theirs}, this one to {ours}")]
    Folder {
        /// The other's.
        theirs: FolderId,
        /// Our own.
        ours: FolderId,
    },
    /// Both claim one identity: one is a copy of the other.
    #[error(
        "both replicas call themselves {0}: one is a copy of the other and needs an identity of its own"
    )]
    SameReplica(ReplicaId),
    /// The other knows of events by this replica that this replica does not know of: its state was restored.
    #[error(
        "this replica's state was restored from the past: it needs a new identity before it goes on"
    )]
    Restored,
    /// A message that cannot come at this point.
    #[error("unexpected message: {0}")]
    Unexpected(&'static str),
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Both replicas hold the same versions: their digests are equal.
    Equal,
    /// Something changed meanwhile; another session is needed.
    Again,
}

/// One replica's side of a session.
#[derive(Debug)]
pub struct Session {
    outbox: VecDeque<Message>,
    peer: Option<Peer>,
    stage: Stage,
    sent_digest: Option<(Digest, VersionVector)>,
    their_digest: Option<(Digest, VersionVector)>,
    /// Directories whose pages are still to be sent, on the side that leads the repair.
    repair: Vec<RelPath>,
    repairing: bool,
    /// How many pages have not been answered.
    awaited: usize,
    outcome: Option<Outcome>,
}

#[derive(Debug)]
struct Peer {
    replica: ReplicaId,
    /// What the other knew at its last word; a lower bound.
    knowledge: VersionVector,
    /// What the other has been sent or knew.
    covered: VersionVector,
    all_received: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Entries are being sent.
    Sending,
    /// All entries were sent; sums are compared when the other's have all come.
    Sent,
    /// The sums have been sent.
    Comparing,
}

impl Session {
    /// Begins a session.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn open<S: Store>(replica: &Replica<S>) -> Result<Self, StoreError> {
        let members = replica.store().members()?;
        let id = replica.identity().replica;
        let own = members.iter().find(|(member, _)| *member == id);
        let hello = Hello {
            protocol: PROTOCOL_VERSION,
            folder: replica.identity().folder,
            replica: id,
            knowledge: replica.knowledge().clone(),
            applied: own
                .map(|(_, member)| member.applied.clone())
                .unwrap_or_default(),
            names: members
                .into_iter()
                .map(|(id, member)| (id, member.name))
                .collect(),
        };
        Ok(Self {
            outbox: VecDeque::from([Message::Hello(hello)]),
            peer: None,
            stage: Stage::Sending,
            sent_digest: None,
            their_digest: None,
            repair: Vec::new(),
            repairing: false,
            awaited: 0,
            outcome: None,
        })
    }

    /// How the session ended; `None` while it goes on.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }

    /// The next message to send; `None` if there is nothing to say now.
    ///
    /// # Errors
    /// If the store fails.
    pub fn poll<S: Store>(
        &mut self,
        replica: &mut Replica<S>,
    ) -> Result<Option<Message>, SessionError> {
        if let Some(message) = self.outbox.pop_front() {
            return Ok(Some(message));
        }
        let Some(peer) = &mut self.peer else {
            return Ok(None);
        };
        if self.stage == Stage::Sending {
            let entries = next_entries(replica, peer)?;
            if !entries.is_empty() {
                return Ok(Some(Message::Entries(entries)));
            }
            self.stage = Stage::Sent;
            replica.publish()?;
            return Ok(Some(Message::Sent {
                knowledge: replica.knowledge().clone(),
            }));
        }
        let can_compare = self.stage == Stage::Sent && peer.all_received;
        if can_compare {
            return Ok(Some(self.compare(replica)?));
        }
        self.poll_repair(replica)
    }

    fn compare<S: Store>(&mut self, replica: &Replica<S>) -> Result<Message, SessionError> {
        let sum = (replica.store().digest()?, replica.knowledge().clone());
        self.stage = Stage::Comparing;
        self.sent_digest = Some(sum.clone());
        self.judge(replica);
        Ok(Message::Sum {
            digest: sum.0,
            knowledge: sum.1,
        })
    }

    /// Takes in a message of the other's.
    ///
    /// # Errors
    /// [`SessionError`] if the store fails or the message cannot be; the session is over then.
    pub fn receive<S: Store>(
        &mut self,
        replica: &mut Replica<S>,
        message: Message,
    ) -> Result<(), SessionError> {
        if let Message::Hello(hello) = message {
            return self.greet(replica, hello);
        }
        let Some(peer) = &mut self.peer else {
            return Err(SessionError::Unexpected(
                "something came before the greeting",
            ));
        };
        match message {
            Message::Entries(entries) => {
                let known = peer.knowledge.clone();
                replica.merge_entries(entries, &known)?;
            }
            Message::Sent { knowledge } => {
                replica.learn(&knowledge)?;
                peer.covered.union(&knowledge);
                peer.knowledge.union(&knowledge);
                peer.all_received = true;
                replica.hear_of(&knowledge)?;
            }
            Message::Sum { digest, knowledge } => {
                self.their_digest = Some((digest, knowledge));
                self.judge(replica);
            }
            Message::Tree(page) => {
                let reply = replica.answer_tree(&page)?;
                self.outbox.push_back(Message::TreeReply(reply));
            }
            Message::TreeReply(reply) => {
                let known = peer.knowledge.clone();
                let (repair, descend) = replica.take_tree_reply(reply, &known)?;
                self.repair.extend(descend);
                self.awaited = self.awaited.saturating_sub(1);
                self.outbox.push_back(Message::Repair(repair));
            }
            Message::Repair(entries) => {
                let known = peer.knowledge.clone();
                replica.merge_entries(entries, &known)?;
            }
            _ => {
                return Err(SessionError::Unexpected(
                    "contents are not part of this exchange",
                ));
            }
        }
        Ok(())
    }

    fn greet<S: Store>(
        &mut self,
        replica: &mut Replica<S>,
        hello: Hello,
    ) -> Result<(), SessionError> {
        if self.peer.is_some() {
            return Err(SessionError::Unexpected("a second greeting"));
        }
        if hello.protocol != PROTOCOL_VERSION {
            return Err(SessionError::Protocol {
                theirs: hello.protocol,
            });
        }
        let ours = replica.identity();
        if hello.folder != ours.folder {
            return Err(SessionError::Folder {
                theirs: hello.folder,
                ours: ours.folder,
            });
        }
        if hello.replica == ours.replica {
            return Err(SessionError::SameReplica(hello.replica));
        }
        replica.hear_of(&hello.knowledge)?;
        replica.meet(&hello)?;
        self.peer = Some(Peer {
            replica: hello.replica,
            covered: hello.knowledge.clone(),
            knowledge: hello.knowledge,
            all_received: false,
        });
        Ok(())
    }

    /// Compares the sums once both are there.
    fn judge<S: Store>(&mut self, replica: &Replica<S>) {
        let (Some(ours), Some(theirs)) = (&self.sent_digest, &self.their_digest) else {
            return;
        };
        // Both sides go by the same two sums, so that neither waits for the other. Only then does it count whether this
        // side has moved on since.
        if ours.1 != theirs.1 || self.repairing && ours.0 != theirs.0 {
            self.outcome = Some(Outcome::Again);
        } else if ours.0 == theirs.0 {
            let still = *replica.knowledge() == ours.1;
            self.outcome = Some(if still {
                Outcome::Equal
            } else {
                Outcome::Again
            });
        } else {
            let leads = self
                .peer
                .as_ref()
                .is_some_and(|peer| replica.identity().replica < peer.replica);
            self.begin_repair(leads);
        }
    }

    fn begin_repair(&mut self, leads: bool) {
        self.repairing = true;
        (self.sent_digest, self.their_digest) = (None, None);
        if leads {
            self.repair.push(RelPath::root());
        }
    }

    /// The side that leads sends pages of its tree until nothing differs, then both compare again.
    fn poll_repair<S: Store>(
        &mut self,
        replica: &mut Replica<S>,
    ) -> Result<Option<Message>, SessionError> {
        if self.outcome.is_some() || !self.repairing {
            return Ok(None);
        }
        let leads = self
            .peer
            .as_ref()
            .is_some_and(|p| replica.identity().replica < p.replica);
        if let Some(directory) = self.repair.pop() {
            for page in replica.tree_pages(&directory)? {
                self.outbox.push_back(Message::Tree(page));
                self.awaited += 1;
            }
            return Ok(self.outbox.pop_front());
        }
        let ready = if leads {
            self.awaited == 0
        } else {
            self.their_digest.is_some()
        };
        if ready && self.sent_digest.is_none() {
            return Ok(Some(self.compare(replica)?));
        }
        Ok(None)
    }
}

/// The next entries with dots that the other is not known to have.
fn next_entries<S: Store>(
    replica: &Replica<S>,
    peer: &mut Peer,
) -> Result<Vec<(RelPath, Entry)>, StoreError> {
    let mut entries: Vec<(RelPath, Entry)> = Vec::new();
    for known in replica.knowledge().iter() {
        let origin = known.replica;
        let room = ENTRIES_PER_MESSAGE - entries.len();
        let rows = replica
            .store()
            .by_dot(origin, peer.covered.get(origin), room)?;
        // What came in a session that is not complete has holes before it: it is passed on when it is known.
        let rows = rows
            .into_iter()
            .filter(|(counter, _)| *counter <= known.counter);
        for (counter, path) in rows {
            peer.covered.add(Dot {
                counter,
                replica: origin,
            });
            let entry = replica.record(&path)?.entry;
            if entry.versions().len() <= VERSIONS_PER_ENTRY_MAX {
                entries.push((path, entry));
            }
        }
        if entries.len() >= ENTRIES_PER_MESSAGE {
            break;
        }
    }
    Ok(entries)
}

impl<S: Store> Replica<S> {
    /// Merges entries that a replica sent whose knowledge was at least `theirs`.
    pub(crate) fn merge_entries(
        &mut self,
        entries: Vec<(RelPath, Entry)>,
        theirs: &VersionVector,
    ) -> Result<(), StoreError> {
        let mine = self.knowledge().clone();
        for (path, entry) in entries {
            let mut record = self.record(&path)?;
            let mut merged = record.entry.clone();
            if merged.merge(&mine, &entry, theirs) {
                self.change_entry(&path, &mut record, merged)?;
                self.write(&path, record)?;
            }
        }
        Ok(())
    }

    /// Notes the names and the progress of the replicas that the other speaks of.
    fn meet(&mut self, hello: &Hello) -> Result<(), StoreError> {
        let known = self.store().members()?;
        for (id, name) in &hello.names {
            let held = known
                .iter()
                .find(|(known, _)| known == id)
                .map(|(_, member)| member);
            let mut member = held.cloned().unwrap_or_default();
            if member.name.is_empty() {
                member.name.clone_from(name);
            }
            if *id == hello.replica {
                member.applied = hello.applied.clone();
            }
            if held != Some(&member) {
                self.store_mut().set_member(*id, &member)?;
            }
        }
        Ok(())
    }

    /// Checks what another knows of this replica's own events against what it has told.
    fn hear_of(&mut self, theirs: &VersionVector) -> Result<(), SessionError> {
        let mut identity = self.identity().clone();
        let counter = theirs.get(identity.replica);
        if counter <= identity.confirmed {
            return Ok(());
        }
        if !identity.published.contains(&counter) {
            return Err(SessionError::Restored);
        }
        identity.confirmed = counter;
        identity.published.retain(|told| *told > counter);
        self.set_identity(identity)?;
        Ok(())
    }

    /// Notes, before others are told, up to where they will know of this replica's own events.
    fn publish(&mut self) -> Result<(), StoreError> {
        let mut identity = self.identity().clone();
        let counter = self.knowledge().get(identity.replica);
        if counter <= identity.confirmed || identity.published.contains(&counter) {
            return Ok(());
        }
        identity.published.push(counter);
        self.set_identity(identity)
    }

    /// Notes that there is no work left: all that is known is in the storage. Returns whether that was news.
    ///
    /// # Errors
    /// If the store fails.
    pub fn note_applied(&mut self) -> Result<bool, StoreError> {
        if self.store().pending_count()? > 0 {
            return Ok(false);
        }
        let id = self.identity().replica;
        let name = self.identity().name.clone();
        let applied = self.knowledge().clone();
        let member = Member { name, applied };
        let members = self.store().members()?;
        if members
            .iter()
            .any(|(known, held)| *known == id && *held == member)
        {
            return Ok(false);
        }
        self.store_mut().set_member(id, &member)?;
        Ok(true)
    }
}
