//! A peer that is connected: the session with it, and what it has said.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use replicat_core::id::{FolderId, ReplicaId};
use replicat_core::message::{Hello, Message};
use replicat_core::session::{Outcome, Session, SessionError};
use replicat_core::store::{Digest, Store, StoreError};
use replicat_core::version::VersionVector;

use super::carrying::Carried;
use super::peer::{Connection, Parcel, SendError, Trust};
use crate::engine::inspect::ConnectedPeer;
use crate::engine::local::LocalReplica;

/// After how long sums are compared again that proved nothing, though nothing changed here.
const COMPARE_INTERVAL: Duration = Duration::from_secs(5);

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
    /// When its last message came, or it was connected.
    heard_at: Instant,
}

/// The connection to a peer is gone.
pub(super) struct Gone;

impl Peer {
    pub(super) fn new(connection: Arc<dyn Connection>, trust: Trust, session: Session) -> Self {
        Self {
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
            heard_at: Instant::now(),
        }
    }

    /// The peer is telling something, and is not done with it.
    pub(super) fn is_amid(&self) -> bool {
        self.session.peer().is_some() && !self.session.is_whole()
    }

    /// Whether the peer is telling something, and has said nothing for as long as it may be silent.
    pub(super) fn is_stuck(&self, now: Instant, patience: Duration) -> bool {
        self.is_amid() && now.saturating_duration_since(self.heard_at) >= patience
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

    /// The peer, for those who ask about a path; `None` before it has greeted.
    pub(super) fn as_connected(&self) -> Option<ConnectedPeer> {
        Some(ConnectedPeer {
            replica: self.replica()?,
            applied: self.applied.clone(),
        })
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
    pub(super) fn announce(&mut self) {
        self.session.announce();
        self.compared_at = None;
    }

    /// Has the peer say what it knows before it is told what it may have heard from others.
    pub(super) fn ask_first(&mut self, until: Instant) {
        self.session.ask_first();
        self.asked_until = Some(until);
    }

    /// Tells the session what it cannot know: how late it is, and whether others are amid telling something.
    pub(super) fn keep_time(&mut self, now: Instant, is_amid: bool) {
        self.session.hold_answer(is_amid);
        if self.asked_until.is_some_and(|until| until <= now) {
            self.asked_until = None;
            self.session.tell_anyway();
        }
    }

    /// Whether it can be asked what it has: it is believed, no comparison is under way, and it knows all of `knowledge`.
    pub(super) fn can_tell(&self, knowledge: &VersionVector) -> bool {
        let knows =
            (self.session.peer_knowledge()).is_some_and(|theirs| theirs.contains_all(knowledge));
        self.is_trusted() && self.is_live() && self.session.is_whole() && !self.is_full && knows
    }

    /// What it knows, as it says, if it is believed.
    pub(super) fn trusted_knowledge(&self) -> Option<&VersionVector> {
        let knowledge = self.session.peer_knowledge();
        knowledge.filter(|_| self.is_trusted() && self.is_open())
    }

    /// Whether it is believed.
    pub(super) fn is_trusted(&self) -> bool {
        self.trust == Trust::Full
    }

    /// A greeting with the id that the folder has on this connection.
    fn rename_sent(&self, message: Message) -> Message {
        match (message, self.connection.folder()) {
            (Message::Hello(hello), Some(folder)) => Message::Hello(Hello { folder, ..hello }),
            (message, _) => message,
        }
    }

    /// A greeting with the id that the folder has here, if it is of this folder.
    pub(super) fn rename_received(&self, message: Message, here: FolderId) -> Message {
        match message {
            Message::Hello(hello) if self.connection.folder() == Some(hello.folder) => {
                let folder = here;
                Message::Hello(Hello { folder, ..hello })
            }
            message => message,
        }
    }

    /// What is taken of a message of the peer's. What it says of its own progress is noted in any case.
    pub(super) fn hear(&mut self, message: Message, ours: &VersionVector) -> Option<Message> {
        self.heard_at = Instant::now();
        self.note_progress(&message);
        self.filter(message, ours)
    }

    /// Takes in what was heard.
    pub(super) fn receive(
        &mut self,
        local: &mut LocalReplica,
        message: Message,
    ) -> Result<(), SessionError> {
        let before = self.session.outcome();
        self.session.receive(&mut local.replica, message)?;
        Ok(self.note_proof(before, local)?)
    }

    /// Whether the connection takes no message at the moment.
    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    /// The connection takes messages again.
    pub(super) fn unblock(&mut self) {
        self.is_full = false;
    }

    /// A message that the connection could not take when it was sent.
    pub(super) fn take_unsent(&mut self) -> Option<Parcel> {
        self.unsent.take()
    }

    /// Sends a message, or keeps it until the connection takes it.
    pub(super) fn send(&mut self, parcel: Parcel) -> Result<(), Gone> {
        match self.connection.send(parcel) {
            Ok(()) => Ok(()),
            Err(SendError::Full(parcel)) => {
                self.unsent = Some(parcel);
                self.is_full = true;
                Ok(())
            }
            Err(SendError::Gone) => Err(Gone),
        }
    }

    /// Asks for the proof that both sides hold the same, if it is time and there is none.
    pub(super) fn compare(&mut self, now: Instant, knowledge: &VersionVector, digest: Digest) {
        let is_new = (self.compared_at)
            .is_none_or(|at| now.saturating_duration_since(at) >= COMPARE_INTERVAL);
        let is_due = is_new
            && self.is_trusted()
            && self.is_live()
            && !self.has_proved(knowledge, digest)
            && self.knows(knowledge);
        if is_due {
            self.compared_at = Some(now);
            self.session.compare_again();
        }
    }

    /// Ends the session, and says why.
    pub(super) fn close(&self, reason: &str) {
        self.connection.close(reason);
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
    pub(super) fn forget_proof(&mut self) {
        self.proved = None;
        self.announce();
    }

    /// The next message for the peer.
    pub(super) fn next_message(
        &mut self,
        local: &mut LocalReplica,
    ) -> Result<Option<Message>, SessionError> {
        let before = self.session.outcome();
        let message = self.session.poll(&mut local.replica)?;
        let message = message.map(|message| self.rename_sent(message));
        self.note_proof(before, local)?;
        let repairs = matches!(message, Some(Message::Repair(_) | Message::TreeReply(_)));
        if repairs && !self.is_live() {
            // What it said when it greeted may not hold any more; it says it again when the session is live.
            self.applied = VersionVector::new();
        }
        Ok(message)
    }

    /// The contents that travel with a message. Not in the first exchange: there much is told that is old.
    pub(super) fn contents_for(&mut self, message: &Message, local: &LocalReplica) -> Vec<Bytes> {
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
        match &message {
            Message::Hello(hello) => self.told.union(&hello.knowledge),
            Message::Sent { knowledge } | Message::Sum { knowledge, .. } => {
                self.told.union(knowledge);
            }
            _ => {}
        }
        message.without_changes(self.replica(), ours)
    }
}
