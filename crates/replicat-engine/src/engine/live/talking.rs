//! The sessions with the peers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use replicat_core::id::ReplicaId;
use replicat_core::message::{Hello, Message};
use replicat_core::restore::Renewal;
use replicat_core::session::{Outcome, Session, SessionError};
use replicat_core::store::{Digest, Member, Store, StoreError};
use replicat_core::version::{Dot, VersionVector};
use replicat_core::wire;
use replicat_index::Durability;

use super::carrying::{self, Carried};
use super::owner::Owner;
use super::peer::{Connection, Parcel, PeerNumber, SendError, Trust};
use super::status::FolderState;
use crate::engine::local::LocalReplica;
use crate::engine::transfer::Left;
use crate::engine::{clock, random_u64};
use crate::error::SyncError;

/// After how many messages with entries they are written to the index.
const MERGED_MAX: usize = 8;
/// After how long what peers told of third ones is passed on, if nothing else is said.
const GOSSIP_INTERVAL: Duration = Duration::from_secs(10);
/// After how long sums are compared again that proved nothing, though nothing changed here.
const COMPARE_INTERVAL: Duration = Duration::from_secs(5);
/// How many messages with entries a peer may tell something in that is passed on at once. Of more than that, others are
/// asked first what they know of it by now: they may have heard it at the same time.
const PASSED_ON_MAX: usize = 2;
/// How long their answer is waited for.
const ANSWER_PATIENCE: Duration = Duration::from_secs(2);
/// How many messages go to one peer before the others, and the directory, have their turn.
const MESSAGES_AT_ONCE_MAX: usize = 64;

/// A peer that is connected.
pub(super) struct Peer {
    connection: Arc<dyn Connection>,
    trust: Trust,
    session: Session,
    /// A message that the connection could not take.
    unsent: Option<Parcel>,
    is_full: bool,
    /// What a deaf session was told that the peer knows.
    told: VersionVector,
    /// What the peer has brought to its directory, as it says itself.
    applied: VersionVector,
    /// What both knew when equal sums proved that they hold the same, and the sums. What comes in a session that breaks
    /// changes the sum and not what is known.
    proved: Option<(VersionVector, Digest)>,
    /// When the sums were asked for since the last change.
    compared_at: Option<Instant>,
    /// Until when news waits for what it knows by then.
    asked_until: Option<Instant>,
    carried: Carried,
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

    /// Whether the peer has said that it has brought to its directory all that is known here.
    pub(super) fn has_brought(&self, knowledge: &VersionVector) -> bool {
        self.applied.contains_all(knowledge)
    }

    /// Whether the peer is known to hold in its directory what is known here.
    pub(super) fn is_in_sync(&self, knowledge: &VersionVector, digest: Digest) -> bool {
        let is_proved = self.trust == Trust::Deaf || self.has_proved(knowledge, digest);
        self.is_live() && self.knows(knowledge) && is_proved && self.has_brought(knowledge)
    }

    fn has_proved(&self, knowledge: &VersionVector, digest: Digest) -> bool {
        (self.proved.as_ref()).is_some_and(|proved| proved.0 == *knowledge && proved.1 == digest)
    }

    /// Something changed on this side.
    fn announce(&mut self) {
        self.session.announce();
        self.compared_at = None;
    }

    /// Has the peer say what it knows before it is told what it may have heard from others.
    fn ask_first(&mut self, until: Instant) {
        self.session.ask_first();
        self.asked_until = Some(until);
    }

    /// Tells the session what it cannot know: how late it is, and whether others are amid telling something.
    fn keep_time(&mut self, now: Instant, is_amid: bool) {
        self.session.hold_answer(is_amid);
        if self.asked_until.is_some_and(|until| until <= now) {
            self.asked_until = None;
            self.session.tell_anyway();
        }
    }

    /// Notes what the peer says of its own progress.
    fn note_progress(&mut self, message: &Message) {
        match message {
            Message::Hello(hello) => self.applied.clone_from(&hello.applied),
            Message::Members(members) => {
                let own = members.iter().find(|(id, _)| Some(*id) == self.replica());
                if let Some((_, member)) = own {
                    self.applied.clone_from(&member.applied);
                }
            }
            _ => {}
        }
    }

    /// Notes what the sums proved, if they came to be compared since the outcome was `before`.
    fn note_proof(
        &mut self,
        before: Option<Outcome>,
        local: &LocalReplica,
    ) -> Result<(), StoreError> {
        let is_new = before != self.session.outcome();
        if is_new && self.session.outcome() == Some(Outcome::Equal) {
            let digest = local.replica.store().digest()?;
            self.proved = Some((local.replica.knowledge().clone(), digest));
        }
        Ok(())
    }

    /// Takes back what was proved: this side holds other versions now, of events that were known before.
    fn forget_proof(&mut self) {
        self.proved = None;
        self.announce();
    }

    /// The next message for the peer.
    fn next_message(&mut self, local: &mut LocalReplica) -> Result<Option<Message>, SessionError> {
        let before = self.session.outcome();
        let message = self.session.poll(&mut local.replica)?;
        self.note_proof(before, local)?;
        let repairs = matches!(message, Some(Message::Repair(_) | Message::TreeReply(_)));
        if repairs && !self.is_live() {
            // What it said when it greeted may not hold any more; it says it again when the session is live.
            self.applied = VersionVector::new();
        }
        Ok(message)
    }

    /// The contents that travel with a message. Not in the first exchange: there much is told that is old.
    fn contents_for(&mut self, message: &Message, local: &LocalReplica) -> Vec<Bytes> {
        match message {
            Message::Entries(entries) if self.is_live() => self.carried.choose(entries, local),
            _ => Vec::new(),
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
                    applied: VersionVector::new(),
                    proved: None,
                    compared_at: None,
                    asked_until: None,
                    carried: Carried::default(),
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

    /// Takes in a parcel of a peer's, and tells who carried it that it did.
    pub(super) fn take_parcel(&mut self, number: PeerNumber, parcel: Parcel) {
        let connection = self.peers.get(&number).map(Peer::connection);
        let bytes = parcel.bytes();
        self.hear(number, parcel);
        if let Some(connection) = connection {
            connection.taken(bytes);
        }
    }

    fn hear(&mut self, number: PeerNumber, parcel: Parcel) {
        let (Some(peer), Some(open)) = (self.peers.get_mut(&number), &mut self.open) else {
            return;
        };
        if !parcel.is_within_bounds() {
            return self.dismiss(number, "more travels with a message than may");
        }
        let Ok(message) = wire::decode(parcel.message) else {
            return self.dismiss(number, "a message does not decode");
        };
        peer.note_progress(&message);
        let Some(message) = peer.filter(message, open.local.replica.knowledge()) else {
            return;
        };
        if peer.trust == Trust::Full {
            carrying::keep(&open.local, &parcel.contents);
        }
        let kind = match &message {
            Message::Members(members) if has_strangers(&open.local, members) => Kind::Strangers,
            message => Kind::of(message),
        };
        let before = open.local.replica.knowledge().clone();
        let outcome = peer.session.outcome();
        let taken = peer.session.receive(&mut open.local.replica, message);
        let proof = |()| Ok(peer.note_proof(outcome, &open.local)?);
        if let Err(error) = taken.and_then(proof) {
            return self.fail_session(number, error);
        }
        let learnt = before != *open.local.replica.knowledge();
        if kind == Kind::Sent && learnt {
            self.ask_others_first(number);
        }
        if let Err(error) = self.heard(kind, learnt) {
            self.halt(error.to_string());
        }
    }

    /// Does what a message calls for that was taken in; `learnt`: it told of events.
    fn heard(&mut self, kind: Kind, learnt: bool) -> Result<(), SyncError> {
        match kind {
            Kind::Greeting => {
                self.set_sources();
                // Others may not have heard the names that came with it.
                self.announce_all();
            }
            Kind::Entries => self.note_merged(),
            Kind::Strangers => {
                self.set_sources();
                self.announce_all();
            }
            Kind::Members => {
                self.set_sources();
                // That third ones have come further is no hurry; it goes along with what is said next.
                let soon = Instant::now() + GOSSIP_INTERVAL;
                if let Some(open) = &mut self.open {
                    open.gossip_at.get_or_insert(soon);
                }
            }
            Kind::Sent => {
                let open = self.open.as_mut();
                let unheeded = open.map_or(0, |open| std::mem::take(&mut open.unheeded));
                if learnt || unheeded > 0 {
                    self.look_into();
                }
                self.announce_all();
            }
            Kind::Repair => {
                self.look_into();
                self.withdraw()?;
            }
            Kind::Other => {}
        }
        Ok(())
    }

    /// Others may have heard at the same time what `teller` has told.
    fn ask_others_first(&mut self, teller: PeerNumber) {
        let told = self.open.as_ref().map_or(0, |open| open.unheeded);
        if told <= PASSED_ON_MAX {
            return;
        }
        let until = Instant::now() + ANSWER_PATIENCE;
        let others = self.peers.iter_mut();
        let others = others.filter(|(number, _)| **number != teller);
        others.for_each(|(_, peer)| peer.ask_first(until));
    }

    /// What is pending is to be gone through.
    fn look_into(&mut self) {
        if let Some(open) = &mut self.open {
            open.unsettled = true;
            open.ongoing.stir();
            open.left = Left::More;
        }
    }

    /// A repair brought entries of events that were known before: what was said to be in the directory may not be, and
    /// what was proved with others does not hold any more.
    fn withdraw(&mut self) -> Result<(), SyncError> {
        if let Some(open) = &mut self.open {
            let withdrawn = open.local.replica.withdraw_applied();
            withdrawn.map_err(|error| open.local.failed(error))?;
            open.noted = None;
        }
        self.peers.values_mut().for_each(Peer::forget_proof);
        Ok(())
    }

    /// What was merged is written now and then: it is read faster so, and an exchange that breaks off does no harm.
    fn note_merged(&mut self) {
        let Some(open) = &mut self.open else { return };
        open.merged += 1;
        open.unheeded += 1;
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
        self.peers.values_mut().for_each(Peer::announce);
    }

    /// Tells the peers what they do not know yet.
    pub(super) fn talk(&mut self) -> Result<(), SyncError> {
        self.compare_sums();
        let (now, is_amid) = (Instant::now(), self.is_amid());
        for peer in self.peers.values_mut() {
            peer.keep_time(now, is_amid);
        }
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
            let parcel = match peer.unsent.take() {
                Some(parcel) => parcel,
                None => match peer.next_message(&mut open.local) {
                    Err(error) => return Ok(Err(error)),
                    Ok(None) => break,
                    Ok(Some(message)) => {
                        let promises = matches!(message, Message::Sent { .. });
                        let contents = peer.contents_for(&message, &open.local);
                        let message = wire::encode(&message);
                        if promises {
                            self.publish()?;
                        }
                        Parcel { message, contents }
                    }
                },
            };
            let Some(peer) = self.peers.get_mut(&number) else {
                break;
            };
            match peer.connection.send(parcel) {
                Ok(()) => {}
                Err(SendError::Full(parcel)) => {
                    peer.unsent = Some(parcel);
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
    fn compare_sums(&mut self) {
        let Some(open) = &self.open else { return };
        let knowledge = open.local.replica.knowledge();
        let Ok(digest) = open.local.replica.store().digest() else {
            return;
        };
        let now = Instant::now();
        for peer in self.peers.values_mut() {
            let is_new = (peer.compared_at)
                .is_none_or(|at| now.saturating_duration_since(at) >= COMPARE_INTERVAL);
            let is_due = is_new
                && peer.trust == Trust::Full
                && peer.is_live()
                && !peer.has_proved(knowledge, digest)
                && peer.knows(knowledge);
            if is_due {
                peer.compared_at = Some(now);
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

/// Whether any of these replicas has no name here yet. Events are told with the names of those who made them.
fn has_strangers(local: &LocalReplica, members: &[(ReplicaId, Member)]) -> bool {
    let known = local.replica.store().members().unwrap_or_default();
    let is_known = |id: &ReplicaId| {
        let mut known = known.iter();
        known.any(|(known, member)| known == id && !member.name.is_empty())
    };
    members.iter().any(|(id, _)| !is_known(id))
}

/// What a message calls for once it is taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Greeting,
    Entries,
    Sent,
    Members,
    /// Members of whom nothing was known here.
    Strangers,
    /// Entries that a comparison of the sums led to.
    Repair,
    Other,
}

impl Kind {
    fn of(message: &Message) -> Self {
        match message {
            Message::Hello(Hello { .. }) => Self::Greeting,
            Message::Entries(_) => Self::Entries,
            Message::Sent { .. } => Self::Sent,
            Message::Members(_) => Self::Members,
            Message::Repair(_) | Message::TreeReply(_) => Self::Repair,
            _ => Self::Other,
        }
    }
}
