//! Bringing what the replicas know to one state: sessions between pairs, settling, until all are equal.
//!
//! Every message passes through the wire codec, as it would between hosts.

use std::time::Duration;

use bytes::Bytes;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use replicat_core::id::ReplicaId;
use replicat_core::message::Message;
use replicat_core::replica::Replica;
use replicat_core::restore::Renewal;
use replicat_core::session::{Outcome, Session, SessionError};
use replicat_core::store::{Store, StoreError};
use replicat_core::wire;
use replicat_index::{Durability, Index};

use super::clock;
use super::failure::Failure;
use super::failures::FailedAt;
use super::local::LocalReplica;
use crate::error::SyncError;

/// How often all replicas are gone round. Each round either changes something or is the last; settling is bounded.
const ROUNDS_MAX: usize = 64;
/// How many messages may wait for a side that is busy.
const MESSAGES_AHEAD_MAX: usize = 32;
/// After how many messages with entries they are written to the index.
const MERGED_MAX: usize = 8;
/// How long a side that cannot send listens before it tries again.
const PATIENCE: Duration = Duration::from_millis(1);
/// How long a side waits for the other's next word; longer than any scan of an index takes.
const SILENCE_MAX: Duration = Duration::from_secs(600);
/// How often a session is begun anew because an identity had to be renewed.
const RENEWALS_MAX: usize = 8;

/// Lets all replicas exchange what they know until they hold the same versions; says whether they do.
pub(super) fn converge(replicas: &mut [LocalReplica]) -> Result<bool, FailedAt> {
    for _ in 0..ROUNDS_MAX {
        gather_and_scatter(replicas)?;
        let mut made = 0;
        for local in replicas.iter_mut() {
            made += local
                .replica
                .settle(clock::now())
                .map_err(|error| local.failed_at(local.failed(error)))?;
        }
        if made == 0 {
            return are_equal(replicas);
        }
    }
    are_equal(replicas)
}

/// The first replica talks with each other one in turn, then once more so that all learn what the later ones said.
fn gather_and_scatter(replicas: &mut [LocalReplica]) -> Result<(), FailedAt> {
    let count = replicas.len();
    for other in (1..count).chain(1..count.saturating_sub(1)) {
        let (hub, others) = replicas.split_at_mut(1);
        talk(&mut hub[0], &mut others[other - 1])?;
    }
    Ok(())
}

fn are_equal(replicas: &[LocalReplica]) -> Result<bool, FailedAt> {
    let mut sums = Vec::with_capacity(replicas.len());
    for local in replicas {
        let digest = local
            .replica
            .store()
            .digest()
            .map_err(|error| local.failed_at(local.failed(error)))?;
        sums.push((digest, local.replica.knowledge().clone()));
    }
    Ok(sums.windows(2).all(|pair| pair[0] == pair[1]))
}

/// One session, begun anew where a replica first needs a new identity.
fn talk(one: &mut LocalReplica, other: &mut LocalReplica) -> Result<(), FailedAt> {
    for _ in 0..RENEWALS_MAX {
        match try_talk(one, other) {
            Ok(Outcome::Equal) => return Ok(()),
            Ok(Outcome::Again) => {}
            Err((Side::One, SessionError::Restored)) => renew(one, Renewal::Restored)?,
            Err((Side::Other, SessionError::Restored)) => renew(other, Renewal::Restored)?,
            Err((_, SessionError::SameReplica(_))) => renew(other, Renewal::Copied)?,
            Err((Side::One, error)) => return Err(session_failed(one, error)),
            Err((Side::Other, error)) => return Err(session_failed(other, error)),
        }
    }
    Ok(())
}

fn renew(local: &mut LocalReplica, reason: Renewal) -> Result<(), FailedAt> {
    let id = super::random_u64().map_err(|error| local.failed_at(error))?;
    let renewed = local.replica.renew(clock::now(), ReplicaId(id), reason);
    renewed.map_err(|error| local.failed_at(local.failed(error)))
}

fn session_failed(local: &LocalReplica, error: SessionError) -> FailedAt {
    local.failed_at(match error {
        SessionError::Store(error) => local.failed(error),
        error => SyncError::Inconsistent {
            root: local.given.clone(),
            detail: error.to_string(),
        },
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    One,
    Other,
}

type SessionResult<T> = Result<T, (Side, SessionError)>;

/// Lets both sides speak, each on a thread of its own: while one reads entries, the other merges them.
fn try_talk(one: &mut LocalReplica, other: &mut LocalReplica) -> SessionResult<Outcome> {
    let durability = one.index_durability();
    let (to_other, from_one) = bounded(MESSAGES_AHEAD_MAX);
    let (to_one, from_other) = bounded(MESSAGES_AHEAD_MAX);
    let left = Party::open(
        Side::One,
        &mut one.replica,
        durability,
        to_other,
        from_other,
    )?;
    let right = Party::open(
        Side::Other,
        &mut other.replica,
        durability,
        to_one,
        from_one,
    )?;
    let (left, right) = std::thread::scope(|threads| {
        let right = threads.spawn(move || right.talk());
        let left = left.talk();
        (left, right.join())
    });
    let right = right.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    match (left, right) {
        (Ok(Outcome::Equal), Ok(Outcome::Equal)) => Ok(Outcome::Equal),
        (Ok(_), Ok(_)) => Ok(Outcome::Again),
        // The side that was cut off only saw the other fall silent.
        (Err(Ended::Failed(error)), _) => Err((Side::One, error)),
        (_, Err(Ended::Failed(error))) => Err((Side::Other, error)),
        _ => Err((
            Side::One,
            SessionError::Unexpected("both sides fell silent"),
        )),
    }
}

/// Why a side stopped before the session was over.
enum Ended {
    Failed(SessionError),
    /// The other side is gone; it knows why.
    CutOff,
}

impl From<SessionError> for Ended {
    fn from(error: SessionError) -> Self {
        Self::Failed(error)
    }
}

/// One side of a session.
struct Party<'local> {
    replica: &'local mut Replica<Index>,
    session: Session,
    durability: Durability,
    to_peer: Sender<Bytes>,
    from_peer: Receiver<Bytes>,
    /// Messages with entries since the index was last told to write.
    merged: usize,
}

impl<'local> Party<'local> {
    fn open(
        side: Side,
        replica: &'local mut Replica<Index>,
        durability: Durability,
        to_peer: Sender<Bytes>,
        from_peer: Receiver<Bytes>,
    ) -> SessionResult<Self> {
        let session = Session::open(replica).map_err(|error| (side, error.into()))?;
        Ok(Self {
            replica,
            session,
            durability,
            to_peer,
            from_peer,
            merged: 0,
        })
    }

    fn talk(mut self) -> Result<Outcome, Ended> {
        loop {
            while let Some(message) = self.session.poll(self.replica)? {
                self.speak(&message)?;
                while let Ok(bytes) = self.from_peer.try_recv() {
                    self.hear(bytes)?;
                }
            }
            if let Some(outcome) = self.session.outcome() {
                return Ok(outcome);
            }
            match self.from_peer.recv_timeout(SILENCE_MAX) {
                Ok(bytes) => self.hear(bytes)?,
                Err(_) => return Err(Ended::CutOff),
            }
        }
    }

    /// Sends a message. What it says must be durable first.
    fn speak(&mut self, message: &Message) -> Result<(), Ended> {
        if matches!(message, Message::Sent { .. }) {
            self.commit(self.durability)?;
        }
        // While the other is busy, what it has said is taken in, so that neither waits for the other.
        let mut bytes = wire::encode(message);
        loop {
            match self.to_peer.try_send(bytes) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Disconnected(_)) => return Err(Ended::CutOff),
                Err(TrySendError::Full(unsent)) => bytes = unsent,
            }
            match self.from_peer.recv_timeout(PATIENCE) {
                Ok(bytes) => self.hear(bytes)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(Ended::CutOff),
            }
        }
    }

    fn hear(&mut self, bytes: Bytes) -> Result<(), Ended> {
        let message = wire::decode(bytes)
            .map_err(|_| SessionError::Unexpected("a message does not decode"))?;
        let brings_entries = matches!(message, Message::Entries(_));
        self.session.receive(self.replica, message)?;
        self.merged += usize::from(brings_entries);
        if self.merged == MERGED_MAX {
            // An exchange that breaks off does no harm at any point, and what is written is read faster.
            self.merged = 0;
            self.commit(Durability::None)?;
        }
        Ok(())
    }

    fn commit(&mut self, durability: Durability) -> Result<(), Ended> {
        let done = self.replica.store_mut().commit(durability);
        done.map_err(|error| Ended::Failed(store_error(error).into()))
    }
}

fn store_error(error: replicat_index::IndexError) -> StoreError {
    StoreError {
        action: "commit",
        source: Box::new(error),
    }
}

impl LocalReplica {
    /// A failure of this replica's index, as a user is told.
    pub(super) fn failed(&self, error: StoreError) -> SyncError {
        Failure::from(error).at(&self.given)
    }
}
