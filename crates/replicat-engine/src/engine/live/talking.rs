//! The sessions with the peers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use replicat_core::id::ReplicaId;
use replicat_core::message::{Hello, Message};
use replicat_core::restore::Renewal;
use replicat_core::session::{Session, SessionError};
use replicat_core::store::{Member, Store};
use replicat_core::wire;
use replicat_index::Durability;

use super::carrying;
use super::connected::Peer;
use super::owner::Owner;
use super::peer::{Connection, Parcel, PeerNumber, Trust};
use super::settings::FolderMode;
use super::status::FolderState;
use crate::engine::local::LocalReplica;
use crate::engine::transfer::Left;
use crate::engine::{clock, random_u64};
use crate::error::SyncError;

/// After how many messages with entries they are written to the index.
const MERGED_MAX: usize = 8;
/// After how long what peers told of third ones is passed on, if nothing else is said.
const GOSSIP_INTERVAL: Duration = Duration::from_secs(10);
/// How many messages with entries a peer may tell something in that is passed on at once. Of more than that, others are
/// asked first what they know of it by now: they may have heard it at the same time.
const PASSED_ON_MAX: usize = 2;
/// How long their answer is waited for.
const ANSWER_PATIENCE: Duration = Duration::from_secs(2);
/// How many messages go to one peer before the others, and the directory, have their turn.
const MESSAGES_AT_ONCE_MAX: usize = 64;

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
                self.peers
                    .insert(number, Peer::new(connection, trust, session));
            }
            Err(error) => {
                let failed = open.local.failed(error);
                self.halt(&failed);
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
            peer.unblock();
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
        let message = peer.rename_received(message, open.local.replica.identity().folder);
        let Some(message) = peer.hear(message, open.local.replica.knowledge()) else {
            return;
        };
        if peer.is_trusted() {
            carrying::keep(&open.local, &parcel.contents);
        }
        let message = match message {
            Message::TreeReply(reply) => match self.take_reverted(number, reply) {
                Ok(Some(reply)) => Message::TreeReply(reply),
                Ok(None) => return,
                Err(error) => return self.halt(&error),
            },
            message => message,
        };
        let (Some(peer), Some(open)) = (self.peers.get_mut(&number), &mut self.open) else {
            return;
        };
        let kind = match &message {
            Message::Members(members) if has_strangers(&open.local, members) => Kind::Strangers,
            // Of a peer that is not believed nothing was taken.
            Message::TreeReply(_) if !peer.is_trusted() => Kind::Other,
            message => Kind::of(message),
        };
        let before = open.local.replica.knowledge().clone();
        if let Err(error) = peer.receive(&mut open.local, message) {
            return self.fail_session(number, error);
        }
        let receives_only = self.settings.mode == FolderMode::ReceiveOnly;
        if kind == Kind::Sent && receives_only && self.reverting.is_none() {
            // Equal events may have given way to those of the peer.
            if let Err(error) = open.local.replica.forget_reverted() {
                return self.fail_session(number, error.into());
            }
        }
        let learnt = before != *open.local.replica.knowledge();
        if kind == Kind::Sent && learnt {
            self.ask_others_first(number);
        }
        if let Err(error) = self.heard(kind, learnt) {
            self.halt(&error);
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
                tracing::debug!("sums differ though both know the same; entries are compared");
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
    pub(super) fn look_into(&mut self) {
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
                self.halt(&error);
            }
        }
    }

    /// Every session may have something to tell.
    pub(super) fn announce_all(&mut self) {
        self.peers.values_mut().for_each(Peer::announce);
    }

    /// Tells the peers what they do not know yet.
    pub(super) fn talk(&mut self) -> Result<(), SyncError> {
        self.end_stuck();
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
            if peer.is_full() {
                break;
            }
            let parcel = match peer.take_unsent() {
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
            if peer.send(parcel).is_err() {
                self.part(number);
                break;
            }
        }
        Ok(Ok(()))
    }

    /// Ends sessions in which the peer does not go on with what it is telling: the folder waits for that.
    fn end_stuck(&mut self) {
        let (now, patience) = (Instant::now(), self.settings.peer_patience);
        let stuck = self.peers.iter();
        let stuck: Vec<PeerNumber> = stuck
            .filter(|(_, peer)| peer.is_stuck(now, patience))
            .map(|(number, _)| *number)
            .collect();
        for number in stuck {
            let name = self.name_of(number);
            self.warn(format!(
                "{name} did not go on with what it was telling; the session with it begins anew"
            ));
            self.dismiss(number, "it was not told to its end what was told");
        }
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
            peer.compare(now, knowledge, digest);
        }
    }

    fn name_of(&self, number: PeerNumber) -> String {
        let connection = self.peers.get(&number).map(Peer::connection);
        connection.map_or_else(String::new, |to| to.name().to_owned())
    }

    fn dismiss(&mut self, number: PeerNumber, reason: &str) {
        if let Some(peer) = self.peers.remove(&number) {
            peer.close(reason);
        }
        self.set_sources();
    }

    pub(super) fn dismiss_all(&mut self, reason: &str) {
        for (_, peer) in std::mem::take(&mut self.peers) {
            peer.close(reason);
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
                self.halt(&error);
            }
            return;
        }
        match error {
            SessionError::Store(error) => {
                if let Some(open) = &self.open {
                    let failed = open.local.failed(error);
                    self.halt(&failed);
                }
            }
            error => {
                let name = self.name_of(number);
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
