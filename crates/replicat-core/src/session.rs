//! The session between two replicas (`docs/algorithm.md`, section 5).
//!
//! A session has no sockets: its owner passes on what [`Session::poll`] yields and hands in what arrives. One that
//! breaks at any point has done no harm. When both sides have all that the other knew, and have compared sums, it has an
//! [`Outcome`]; then its owner settles, and either ends it, and starts another if that made events, or keeps it: it is
//! live from there on, and carries what either side announces.

use std::collections::{BTreeMap, VecDeque};

use thiserror::Error;

use crate::entry::Entry;
use crate::id::{FolderId, ReplicaId};
use crate::message::{Hello, Message, PROTOCOL_VERSION, TreeReply};
use crate::path::RelPath;
use crate::repair::Place;
use crate::replica::Replica;
use crate::store::{Digest, Member, Store, StoreError};
use crate::version::{Dot, VersionVector};

/// How many entries go into one message.
const ENTRIES_PER_MESSAGE: usize = 512;
/// A message takes no further entry when it is as long as this, about, in bytes.
pub(crate) const ENTRIES_BYTES: usize = 1 << 20;
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

/// What the comparison of the sums led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Both replicas hold the same versions: their digests are equal.
    Equal,
    /// Something changed meanwhile: another session is needed, or, if this one goes on, an announcement.
    Again,
}

/// One replica's side of a session.
#[derive(Debug)]
pub struct Session {
    outbox: VecDeque<Message>,
    peer: Option<Peer>,
    stage: Stage,
    /// There may be news to announce, on a live session.
    has_news: bool,
    /// What this side last said that it knows.
    told: VersionVector,
    /// What either side has told the other of replicas.
    members_told: BTreeMap<ReplicaId, Member>,
    /// The sums are to be compared once more, on a live session.
    wants_sum: bool,
    /// News waits until the sums are compared: the other may have it from elsewhere.
    asks_first: bool,
    /// Entries went out since this side last said what it knows.
    is_telling: bool,
    /// The other's sum is not answered yet.
    holds_answer: bool,
    sent_digest: Option<(Digest, VersionVector)>,
    their_digest: Option<(Digest, VersionVector)>,
    repair: Option<Repair>,
    outcome: Option<Outcome>,
}

#[derive(Debug)]
struct Peer {
    replica: ReplicaId,
    /// What the other knew at its last word; a lower bound.
    knowledge: VersionVector,
    /// What the other has been sent or knew.
    covered: VersionVector,
    /// The other's last `Sent` covers all that it sent.
    is_whole: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Entries are being sent.
    Sending,
    /// All entries were sent; sums are compared when the other's have all come.
    Sent,
    /// The sums have been sent.
    Comparing,
    /// The sums were compared once: from now on either side announces its news.
    Live,
}

/// The search for what differs though knowledge is equal.
#[derive(Debug)]
enum Repair {
    /// This side sends pages of its tree.
    Leads {
        /// Where pages are still to be sent from.
        open: Vec<Place>,
        /// Where to go on once the page that was sent last is answered.
        asked: Option<Option<Place>>,
    },
    /// This side answers.
    Answers,
}

impl Session {
    /// Begins a session.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn open<S: Store>(replica: &Replica<S>) -> Result<Self, StoreError> {
        Ok(Self {
            outbox: VecDeque::from([Message::Hello(replica.greeting()?)]),
            peer: None,
            stage: Stage::Sending,
            has_news: false,
            told: VersionVector::new(),
            members_told: BTreeMap::new(),
            wants_sum: false,
            asks_first: false,
            is_telling: false,
            holds_answer: false,
            sent_digest: None,
            their_digest: None,
            repair: None,
            outcome: None,
        })
    }

    /// What the last comparison of the sums led to; `None` before the first, and while another is under way.
    #[must_use]
    pub fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }

    /// Whether the sums were compared once, so that the session can stay open and carry announcements.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.stage == Stage::Live
    }

    /// Whether all that the other has sent is known, up to its last `Sent`, and no repair is under way. While it is not, the
    /// owner must not settle: it would judge half of a change. A repair goes from the top down, so that the deletion of a
    /// directory comes before those of what was in it.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.peer.as_ref().is_some_and(|peer| peer.is_whole) && self.repair.is_none()
    }

    /// The replica at the other side, once it has greeted.
    #[must_use]
    pub fn peer(&self) -> Option<ReplicaId> {
        self.peer.as_ref().map(|peer| peer.replica)
    }

    /// What the other is known to know; `None` before it has greeted.
    #[must_use]
    pub fn peer_knowledge(&self) -> Option<&VersionVector> {
        self.peer.as_ref().map(|peer| &peer.knowledge)
    }

    /// Says that the replica may know more than the other was told. On a live session [`Self::poll`] then yields the
    /// entries, and what the replica knows; before that, it does so anyway. What the other knows is acknowledged so
    /// too: to be called on every session of a replica after any of them has received a `Sent`.
    pub fn announce(&mut self) {
        self.has_news = true;
    }

    /// Asks that the sums be compared once more, on a live session: that what both know is the same is proven then, or
    /// made so. To be called at quiet moments.
    pub fn compare_again(&mut self) {
        if self.is_live() && self.repair.is_none() && self.sent_digest.is_none() {
            self.wants_sum = true;
            self.outcome = None;
        }
    }

    /// Has the sums compared, on a live session, before news is told: the other's sum says what it knows by then, and that
    /// is not told again. For much that was learned from others, which they may be telling it as well. To be taken back by
    /// [`Self::tell_anyway`] if no answer comes.
    pub fn ask_first(&mut self) {
        if self.is_live() && !self.is_telling && self.repair.is_none() && self.sent_digest.is_none()
        {
            self.asks_first = true;
            self.compare_again();
        }
    }

    /// Whether news waits for the other's sum.
    #[must_use]
    pub fn asks_first(&self) -> bool {
        self.asks_first
    }

    /// News waits no longer for the other's sum.
    pub fn tell_anyway(&mut self) {
        self.asks_first = false;
    }

    /// Says whether the other's sum is left without an answer for now: while others tell this replica something, it will soon
    /// know more. On a live session only.
    pub fn hold_answer(&mut self, holds: bool) {
        self.holds_answer = holds;
    }

    /// The next message to send; `None` if there is nothing to say now. What it says must be durable before it leaves.
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
        if let Some(message) = self.poll_entries(replica)? {
            return Ok(Some(message));
        }
        let Some(peer) = &self.peer else {
            return Ok(None);
        };
        let compares = match self.stage {
            Stage::Sending | Stage::Comparing => false,
            Stage::Sent => peer.is_whole,
            Stage::Live => self.wants_sum || self.is_asked() && !self.holds_answer,
        };
        if compares && self.sent_digest.is_none() {
            return Ok(Some(self.compare(replica)?));
        }
        self.poll_repair(replica)
    }

    /// The other's sum is there, and waits for an answer.
    fn is_asked(&self) -> bool {
        self.their_digest.is_some() && self.repair.is_none()
    }

    /// What the other does not know yet.
    fn poll_entries<S: Store>(
        &mut self,
        replica: &mut Replica<S>,
    ) -> Result<Option<Message>, SessionError> {
        let has_news = self.has_news && !self.asks_first;
        let due = self.stage == Stage::Sending || self.is_live() && has_news;
        let Some(peer) = self.peer.as_mut().filter(|_| due) else {
            return Ok(None);
        };
        let entries = next_entries(replica, peer)?;
        if !entries.is_empty() {
            self.is_telling = true;
            return Ok(Some(Message::Entries(entries)));
        }
        let to = peer.replica;
        if self.is_live() {
            let news = replica.members_unlike(&self.members_told, to)?;
            if !news.is_empty() {
                self.members_told.extend(news.iter().cloned());
                return Ok(Some(Message::Members(news)));
            }
        }
        self.has_news = false;
        // What a repair brought may be told of events that were known before: it has its end, too.
        if self.is_live() && !self.is_telling && self.told == *replica.knowledge() {
            return Ok(None);
        }
        if self.stage == Stage::Sending {
            self.stage = Stage::Sent;
        }
        replica.publish()?;
        self.is_telling = false;
        self.told = replica.knowledge().clone();
        Ok(Some(Message::Sent {
            knowledge: self.told.clone(),
        }))
    }

    fn compare<S: Store>(&mut self, replica: &Replica<S>) -> Result<Message, StoreError> {
        let sum = (replica.store().digest()?, replica.knowledge().clone());
        if self.stage == Stage::Sent {
            self.stage = Stage::Comparing;
        }
        self.wants_sum = false;
        self.outcome = None;
        self.sent_digest = Some(sum.clone());
        self.judge(replica)?;
        Ok(Message::Sum {
            digest: sum.0,
            knowledge: sum.1,
        })
    }

    /// Takes in a message of the other's.
    ///
    /// # Errors
    /// [`SessionError`] if the store fails or the message cannot be; the session is over then. After
    /// [`SessionError::Restored`] all sessions of the replica are: it has to take a new identity.
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
                peer.is_whole = false;
                replica.merge_entries(entries)?;
            }
            Message::Sent { knowledge } => {
                replica.hear_of(&knowledge)?;
                replica.learn(&knowledge)?;
                peer.covered.union(&knowledge);
                peer.knowledge.union(&knowledge);
                peer.is_whole = true;
            }
            Message::Sum { digest, knowledge } => {
                replica.hear_of(&knowledge)?;
                peer.covered.union(&knowledge);
                self.outcome = None;
                self.their_digest = Some((digest, knowledge));
                self.judge(replica)?;
            }
            Message::Tree(page) => {
                let reply = replica.answer_tree(&page)?;
                self.outbox.push_back(Message::TreeReply(reply));
            }
            Message::TreeReply(reply) => self.take_reply(replica, reply)?,
            Message::Members(members) => {
                replica.hear_of_members(peer.replica, &members)?;
                self.members_told.extend(members);
            }
            Message::Repair(entries) => replica.merge_entries(entries)?,
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
            is_whole: false,
        });
        Ok(())
    }

    /// Compares the sums once both are there.
    fn judge<S: Store>(&mut self, replica: &Replica<S>) -> Result<(), StoreError> {
        if self.sent_digest.is_none() || self.their_digest.is_none() {
            return Ok(());
        }
        let (Some(ours), Some(theirs)) = (self.sent_digest.take(), self.their_digest.take()) else {
            return Ok(());
        };
        // Both sides go by the same two sums, so that neither waits for the other. Only then does it count whether this
        // side has moved on since.
        self.asks_first = false;
        let repaired = self.repair.take().is_some();
        if ours.1 == theirs.1 && ours.0 != theirs.0 && !repaired {
            self.begin_repair(replica);
            return Ok(());
        }
        // What came in another session that is not complete changes the sum, and not yet what is known.
        let unmoved = *replica.knowledge() == ours.1 && replica.store().digest()? == ours.0;
        let same = ours == theirs && unmoved;
        self.outcome = Some(if same { Outcome::Equal } else { Outcome::Again });
        self.stage = Stage::Live;
        Ok(())
    }

    fn begin_repair<S: Store>(&mut self, replica: &Replica<S>) {
        let leads = (self.peer()).is_some_and(|peer| replica.identity().replica < peer);
        self.repair = Some(if leads {
            Repair::Leads {
                open: vec![Place::start_of(RelPath::root())],
                asked: None,
            }
        } else {
            Repair::Answers
        });
    }

    /// The side that leads sends pages of its tree until nothing differs, then both compare again.
    fn poll_repair<S: Store>(
        &mut self,
        replica: &mut Replica<S>,
    ) -> Result<Option<Message>, SessionError> {
        if self.sent_digest.is_some() {
            return Ok(None);
        }
        match &mut self.repair {
            None => Ok(None),
            Some(Repair::Leads { asked: Some(_), .. }) => Ok(None),
            Some(Repair::Leads { open, asked }) => match open.pop() {
                None => Ok(Some(self.compare(replica)?)),
                Some(place) => {
                    let (page, rest) = replica.tree_page(place)?;
                    *asked = Some(rest);
                    Ok(Some(Message::Tree(page)))
                }
            },
            Some(Repair::Answers) if self.their_digest.is_some() => {
                Ok(Some(self.compare(replica)?))
            }
            Some(Repair::Answers) => Ok(None),
        }
    }

    /// Merges what differs, sends what was here, and notes where to look on.
    fn take_reply<S: Store>(
        &mut self,
        replica: &mut Replica<S>,
        reply: TreeReply,
    ) -> Result<(), SessionError> {
        let Some(Repair::Leads { open, asked }) = &mut self.repair else {
            return Err(SessionError::Unexpected("an answer that nobody asked for"));
        };
        let Some(rest) = asked.take() else {
            return Err(SessionError::Unexpected("a second answer to one page"));
        };
        let unanswered = (!reply.until.is_empty()).then(|| Place {
            directory: reply.directory.clone(),
            after: reply.until.clone(),
        });
        open.extend(unanswered.or(rest));
        open.extend(reply.descend.iter().cloned().map(Place::start_of));
        for ours in replica.take_tree_reply(reply.entries)? {
            self.outbox.push_back(Message::Repair(ours));
        }
        Ok(())
    }
}

/// The next entries with dots that the other is not known to have.
fn next_entries<S: Store>(
    replica: &Replica<S>,
    peer: &mut Peer,
) -> Result<Vec<(RelPath, Entry)>, StoreError> {
    let mut entries: Vec<(RelPath, Entry)> = Vec::new();
    let mut bytes = 0;
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
            if bytes >= ENTRIES_BYTES {
                return Ok(entries);
            }
            peer.covered.add(Dot {
                counter,
                replica: origin,
            });
            let entry = replica.record(&path)?.entry;
            if entry.versions().len() <= VERSIONS_PER_ENTRY_MAX {
                bytes += entry.bytes_about(&path);
                entries.push((path, entry));
            }
        }
        if entries.len() >= ENTRIES_PER_MESSAGE {
            break;
        }
    }
    Ok(entries)
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
