//! The sessions with the peers.

use std::sync::Arc;

use bytes::Bytes;
use replicat_core::id::ReplicaId;
use replicat_core::message::{Hello, Message};
use replicat_core::restore::Renewal;
use replicat_core::session::{Outcome, Session, SessionError};
use replicat_core::version::{Dot, VersionVector};
use replicat_core::wire;
use replicat_index::Durability;

use super::owner::Owner;
use super::peer::{Connection, PeerNumber, SendError, Trust};
use super::status::FolderState;
use crate::engine::transfer::Left;
use crate::engine::{clock, random_u64};
use crate::error::SyncError;

/// After how many messages with entries they are written to the index.
const MERGED_MAX: usize = 8;
/// How many messages go to one peer before the others, and the directory, have their turn.
const MESSAGES_AT_ONCE_MAX: usize = 64;

/// A peer that is connected.
pub(super) struct Peer {
    connection: Arc<dyn Connection>,
    trust: Trust,
    session: Session,
    /// A message that the connection could not take.
    unsent: Option<Bytes>,
    is_full: bool,
    /// What a deaf session was told that the peer knows.
    told: VersionVector,
    /// The sums were asked for since the last change.
    compared: bool,
}

impl Peer {
    /// The peer is telling something, and is not done with it.
    pub(super) fn is_amid(&self) -> bool {
        self.session.peer().is_some() && !self.session.is_whole()
    }

    /// It has greeted.
    pub(super) fn is_open(&self) -> bool {
        self.session.peer().is_some()
    }

    pub(super) fn is_live(&self) -> bool {
        self.session.is_live()
    }

    pub(super) fn connection(&self) -> Arc<dyn Connection> {
        Arc::clone(&self.connection)
    }

    pub(super) fn replica(&self) -> Option<ReplicaId> {
        self.session.peer()
    }

    /// Whether the peer has said that it knows just what is known here.
    pub(super) fn knows(&self, knowledge: &VersionVector) -> bool {
        match (self.trust, self.session.peer_knowledge()) {
            (Trust::Deaf, _) => self.told.contains_all(knowledge),
            (Trust::Full, Some(theirs)) => theirs == knowledge,
            (Trust::Full, None) => false,
        }
    }

    /// What is taken of a message: from a peer that is not believed, what it knows, and nothing that it tells.
    fn filter(&mut self, message: Message, ours: &VersionVector) -> Option<Message> {
        if self.trust == Trust::Full {
            return Some(message);
        }
        match message {
            Message::Entries(_)
            | Message::Repair(_)
            | Message::TreeReply(_)
            | Message::Members(_) => None,
            Message::Hello(hello) => {
                self.told.union(&hello.knowledge);
                Some(Message::Hello(hello))
            }
            Message::Sent { knowledge } => {
                self.told.union(&knowledge);
                let knowledge = common(&knowledge, ours);
                Some(Message::Sent { knowledge })
            }
            Message::Sum { digest, knowledge } => {
                self.told.union(&knowledge);
                Some(Message::Sum { digest, knowledge })
            }
            other => Some(other),
        }
    }
}

/// What both vectors cover.
fn common(one: &VersionVector, other: &VersionVector) -> VersionVector {
    let mut common = VersionVector::new();
    for dot in one.iter() {
        let counter = dot.counter.min(other.get(dot.replica));
        if counter > 0 {
            common.add(Dot {
                replica: dot.replica,
                counter,
            });
        }
    }
    common
}

impl Owner {
    pub(super) fn greet(
        &mut self,
        number: PeerNumber,
        connection: Arc<dyn Connection>,
        trust: Trust,
    ) {
        let Some(open) = self.open.as_ref().filter(|_| self.is_active()) else {
            connection.close("the folder is not active");
            return;
        };
        match Session::open(&open.local.replica) {
            Ok(session) => {
                let peer = Peer {
                    connection,
                    trust,
                    session,
                    unsent: None,
                    is_full: false,
                    told: VersionVector::new(),
                    compared: false,
                };
                self.peers.insert(number, peer);
            }
            Err(error) => {
                let failed = open.local.failed(error);
                self.halt(failed.to_string());
            }
        }
    }

    pub(super) fn part(&mut self, number: PeerNumber) {
        self.peers.remove(&number);
        self.set_sources();
        if self.peers.is_empty() && self.state == FolderState::Online {
            self.enter(FolderState::JoiningCluster);
        }
    }

    pub(super) fn unblock(&mut self, number: PeerNumber) {
        if let Some(peer) = self.peers.get_mut(&number) {
            peer.is_full = false;
        }
    }

    /// Takes in a message of a peer's.
    pub(super) fn hear(&mut self, number: PeerNumber, bytes: Bytes) {
        let (Some(peer), Some(open)) = (self.peers.get_mut(&number), &mut self.open) else {
            return;
        };
        let Ok(message) = wire::decode(bytes) else {
            return self.dismiss(number, "a message does not decode");
        };
        let Some(message) = peer.filter(message, open.local.replica.knowledge()) else {
            return;
        };
        let kind = Kind::of(&message);
        let before = open.local.replica.knowledge().clone();
        let taken = peer.session.receive(&mut open.local.replica, message);
        if let Err(error) = taken {
            return self.fail_session(number, error);
        }
        let learnt = before != *open.local.replica.knowledge();
        match kind {
            Kind::Greeting => self.set_sources(),
            Kind::Entries => self.note_merged(),
            Kind::Members => self.announce_all(),
            Kind::Sent => {
                if learnt {
                    open.unsettled = true;
                    open.ongoing.stir();
                    open.left = Left::More;
                }
                self.announce_all();
            }
            Kind::Other => {
                open.unsettled = true;
                open.ongoing.stir();
                open.left = Left::More;
            }
        }
    }

    /// What was merged is written now and then: it is read faster so, and an exchange that breaks off does no harm.
    fn note_merged(&mut self) {
        let Some(open) = &mut self.open else { return };
        open.merged += 1;
        if open.merged >= MERGED_MAX {
            open.merged = 0;
            let done = open.local.replica.store_mut().commit(Durability::None);
            let done = done.map_err(|error| open.local.index_failed(error));
            if let Err(error) = done {
                self.halt(error.to_string());
            }
        }
    }

    /// Every session may have something to tell.
    pub(super) fn announce_all(&mut self) {
        for peer in self.peers.values_mut() {
            peer.session.announce();
            peer.compared = false;
        }
    }

    /// Tells the peers what they do not know yet.
    pub(super) fn talk(&mut self) -> Result<(), SyncError> {
        let numbers: Vec<PeerNumber> = self.peers.keys().copied().collect();
        for number in numbers {
            if let Err(error) = self.talk_to(number)? {
                self.fail_session(number, error);
            }
        }
        let live = self.peers.values().any(Peer::is_live);
        if live && self.state == FolderState::JoiningCluster {
            self.enter(FolderState::Online);
        }
        Ok(())
    }

    fn talk_to(&mut self, number: PeerNumber) -> Result<Result<(), SessionError>, SyncError> {
        for _ in 0..MESSAGES_AT_ONCE_MAX {
            let (Some(peer), Some(open)) = (self.peers.get_mut(&number), &mut self.open) else {
                break;
            };
            if peer.is_full {
                break;
            }
            let bytes = match peer.unsent.take() {
                Some(bytes) => bytes,
                None => match peer.session.poll(&mut open.local.replica) {
                    Err(error) => return Ok(Err(error)),
                    Ok(None) => break,
                    Ok(Some(message)) => {
                        let promises = matches!(message, Message::Sent { .. });
                        let bytes = wire::encode(&message);
                        if promises {
                            self.publish()?;
                        }
                        bytes
                    }
                },
            };
            let Some(peer) = self.peers.get_mut(&number) else {
                break;
            };
            match peer.connection.send(bytes) {
                Ok(()) => {}
                Err(SendError::Full(bytes)) => {
                    peer.unsent = Some(bytes);
                    peer.is_full = true;
                }
                Err(SendError::Gone) => {
                    self.part(number);
                    break;
                }
            }
        }
        Ok(Ok(()))
    }

    /// Asks at quiet moments for the proof that both sides hold the same.
    pub(super) fn compare_sums(&mut self) {
        let Some(open) = &self.open else { return };
        let knowledge = open.local.replica.knowledge();
        for peer in self.peers.values_mut() {
            let is_due = !peer.compared
                && peer.trust == Trust::Full
                && peer.is_live()
                && peer.session.outcome() != Some(Outcome::Equal)
                && peer.knows(knowledge);
            if is_due {
                peer.compared = true;
                peer.session.compare_again();
            }
        }
    }

    fn dismiss(&mut self, number: PeerNumber, reason: &str) {
        if let Some(peer) = self.peers.remove(&number) {
            peer.connection.close(reason);
        }
        self.set_sources();
    }

    pub(super) fn dismiss_all(&mut self, reason: &str) {
        for (_, peer) in std::mem::take(&mut self.peers) {
            peer.connection.close(reason);
        }
        self.set_sources();
    }

    /// Ends a session that cannot go on. Where it is this replica that has to change, it does.
    fn fail_session(&mut self, number: PeerNumber, error: SessionError) {
        let renewal = match &error {
            SessionError::Restored => Some(Renewal::Restored),
            SessionError::SameReplica(_) => Some(Renewal::Copied),
            _ => None,
        };
        if let Some(renewal) = renewal {
            self.warn(format!("{error}; it goes on as a new replica"));
            self.dismiss_all("this replica takes a new identity");
            let renewed = self.renew(renewal);
            if let Err(error) = renewed {
                self.halt(error.to_string());
            }
            return;
        }
        match error {
            SessionError::Store(error) => {
                if let Some(open) = &self.open {
                    let failed = open.local.failed(error);
                    self.halt(failed.to_string());
                }
            }
            error => {
                let name = self.peers.get(&number).map(Peer::connection);
                let name = name.map_or_else(String::new, |to| to.name().to_owned());
                self.warn(format!("the session with {name} ended: {error}"));
                self.dismiss(number, &error.to_string());
            }
        }
    }

    fn renew(&mut self, renewal: Renewal) -> Result<(), SyncError> {
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        let id = ReplicaId(random_u64()?);
        let renewed = open.local.replica.renew(clock::now(), id, renewal);
        renewed.map_err(|error| open.local.failed(error))?;
        open.unsettled = true;
        self.publish()
    }
}

/// What a message calls for once it is taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Greeting,
    Entries,
    Sent,
    Members,
    Other,
}

impl Kind {
    fn of(message: &Message) -> Self {
        match message {
            Message::Hello(Hello { .. }) => Self::Greeting,
            Message::Entries(_) => Self::Entries,
            Message::Sent { .. } => Self::Sent,
            Message::Members(_) => Self::Members,
            _ => Self::Other,
        }
    }
}
