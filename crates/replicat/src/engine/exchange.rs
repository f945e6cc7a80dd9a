//! Bringing what the replicas know to one state: sessions between pairs, settling, until all are equal.
//!
//! Every message passes through the wire codec, as it would between hosts.

use std::collections::VecDeque;

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
use super::local::LocalReplica;
use crate::error::SyncError;

/// How often all replicas are gone round. Each round either changes something or is the last; settling is bounded.
const ROUNDS_MAX: usize = 64;
/// How often a session is begun anew because an identity had to be renewed.
const RENEWALS_MAX: usize = 8;

/// Lets all replicas exchange what they know until they hold the same versions; says whether they do.
pub(super) fn converge(replicas: &mut [LocalReplica]) -> Result<bool, SyncError> {
    for _ in 0..ROUNDS_MAX {
        gather_and_scatter(replicas)?;
        let mut made = 0;
        for local in replicas.iter_mut() {
            made += local.replica.settle(clock::now()).map_err(|error| local.failed(error))?;
        }
        if made == 0 {
            return are_equal(replicas);
        }
    }
    are_equal(replicas)
}

/// The first replica talks with each other one in turn, then once more so that all learn what the later ones said.
fn gather_and_scatter(replicas: &mut [LocalReplica]) -> Result<(), SyncError> {
    let count = replicas.len();
    for other in (1..count).chain(1..count.saturating_sub(1)) {
        let (hub, others) = replicas.split_at_mut(1);
        talk(&mut hub[0], &mut others[other - 1])?;
    }
    Ok(())
}

fn are_equal(replicas: &[LocalReplica]) -> Result<bool, SyncError> {
    let mut sums = Vec::with_capacity(replicas.len());
    for local in replicas {
        let digest = local.replica.store().digest().map_err(|error| local.failed(error))?;
        sums.push((digest, local.replica.knowledge().clone()));
    }
    Ok(sums.windows(2).all(|pair| pair[0] == pair[1]))
}

/// One session, begun anew where a replica first needs a new identity.
fn talk(one: &mut LocalReplica, other: &mut LocalReplica) -> Result<(), SyncError> {
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

fn renew(local: &mut LocalReplica, reason: Renewal) -> Result<(), SyncError> {
    let id = ReplicaId(super::random_u64()?);
    local.replica.renew(clock::now(), id, reason).map_err(|error| local.failed(error))
}

fn session_failed(local: &LocalReplica, error: SessionError) -> SyncError {
    match error {
        SessionError::Store(error) => local.failed(error),
        error => {
            SyncError::Inconsistent { root: local.given.clone(), detail: error.to_string() }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    One,
    Other,
}

type SessionResult<T> = Result<T, (Side, SessionError)>;

fn try_talk(one: &mut LocalReplica, other: &mut LocalReplica) -> SessionResult<Outcome> {
    let durability = one.index_durability();
    let mut left = Party::open(Side::One, &mut one.replica, durability)?;
    let mut right = Party::open(Side::Other, &mut other.replica, durability)?;
    let (mut to_right, mut to_left) = (VecDeque::new(), VecDeque::new());
    loop {
        let spoke = left.speak(&mut to_right)? | right.speak(&mut to_left)?;
        let heard = right.hear(&mut to_right)? | left.hear(&mut to_left)?;
        if let (Some(one), Some(other)) = (left.session.outcome(), right.session.outcome()) {
            let equal = one == Outcome::Equal && other == Outcome::Equal;
            return Ok(if equal { Outcome::Equal } else { Outcome::Again });
        }
        if !(spoke || heard) {
            return Err((Side::One, SessionError::Unexpected("both sides fell silent")));
        }
    }
}

/// One side of a session.
struct Party<'local> {
    side: Side,
    replica: &'local mut Replica<Index>,
    session: Session,
    durability: Durability,
}

impl<'local> Party<'local> {
    fn open(
        side: Side,
        replica: &'local mut Replica<Index>,
        durability: Durability,
    ) -> SessionResult<Self> {
        let session = Session::open(replica).map_err(|error| (side, error.into()))?;
        Ok(Self { side, replica, session, durability })
    }

    /// Sends one message, if there is one to send. What it says must be durable first.
    fn speak(&mut self, wire: &mut VecDeque<bytes::Bytes>) -> SessionResult<bool> {
        let message = self.session.poll(self.replica).map_err(|error| (self.side, error))?;
        let Some(message) = message else { return Ok(false) };
        if matches!(message, Message::Sent { .. }) {
            let done = self.replica.store_mut().commit(self.durability);
            done.map_err(|error| (self.side, store_error(error).into()))?;
        }
        wire.push_back(wire::encode(&message));
        Ok(true)
    }

    fn hear(&mut self, wire: &mut VecDeque<bytes::Bytes>) -> SessionResult<bool> {
        let Some(bytes) = wire.pop_front() else { return Ok(false) };
        let message = wire::decode(bytes)
            .map_err(|_| (self.side, SessionError::Unexpected("a message does not decode")))?;
        self.session.receive(self.replica, message).map_err(|error| (self.side, error))?;
        Ok(true)
    }
}

fn store_error(error: replicat_index::IndexError) -> StoreError {
    StoreError { action: "commit", source: Box::new(error) }
}

impl LocalReplica {
    /// A failure of this replica's index, as a user is told.
    pub(super) fn failed(&self, error: StoreError) -> SyncError {
        Failure::from(error).at(&self.given)
    }
}
