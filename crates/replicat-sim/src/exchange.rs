//! Sessions between two replicas, message by message, through the real codec.

use std::collections::VecDeque;

use replicat_core::message::Message;
use replicat_core::restore::Renewal;
use replicat_core::session::{Outcome, Session, SessionError};
use replicat_core::store::Store;
use replicat_core::wire;

use crate::check::difference;
use crate::world::{Failure, World};

/// No session of these small histories needs as many messages.
const MESSAGES_MAX: usize = 2000;

/// An open session.
#[derive(Debug)]
pub(crate) struct Link {
    /// The two replicas.
    pub ends: [usize; 2],
    sessions: [Session; 2],
    /// What is on its way to each.
    arriving: [VecDeque<Message>; 2],
}

/// How a session ended, or why it did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Not yet.
    No,
    /// By equality; how many events settling made then.
    Equal(usize),
    /// Another is needed.
    Again(usize),
    /// A replica had to take a new identity, or the two cannot reach each other.
    Broken,
}

impl World {
    /// Exchanges messages of a session of two replicas, until `limit` messages arrived (0: no limit) or it ends.
    ///
    /// # Errors
    /// [`Failure`] if power fails meanwhile, or a rule is broken.
    pub(crate) fn exchange(
        &mut self,
        one: usize,
        other: usize,
        limit: u8,
    ) -> Result<Ended, Failure> {
        if one == other || self.is_partitioned(one, other) {
            return Ok(Ended::Broken);
        }
        let mut link = self.take_link(one, other)?;
        let limit = if limit == 0 {
            MESSAGES_MAX
        } else {
            usize::from(limit)
        };
        for arrived in 0.. {
            if let [Some(a), Some(b)] = [link.sessions[0].outcome(), link.sessions[1].outcome()] {
                return self.end(&link, a, b);
            }
            if arrived >= MESSAGES_MAX {
                return Err(Failure::violation("a session does not end".to_owned()));
            }
            if arrived >= limit {
                break;
            }
            if !self.step(&mut link)? {
                return Ok(Ended::Broken);
            }
        }
        self.links.push(link);
        Ok(Ended::No)
    }

    fn take_link(&mut self, one: usize, other: usize) -> Result<Link, Failure> {
        let ends = [one.min(other), one.max(other)];
        if let Some(at) = self.links.iter().position(|link| link.ends == ends) {
            return Ok(self.links.swap_remove(at));
        }
        let sessions = [
            Session::open(self.nodes[ends[0]].replica())?,
            Session::open(self.nodes[ends[1]].replica())?,
        ];
        Ok(Link {
            ends,
            sessions,
            arriving: [VecDeque::new(), VecDeque::new()],
        })
    }

    /// Polls both sides, then lets one message arrive. Returns false if the session broke.
    fn step(&mut self, link: &mut Link) -> Result<bool, Failure> {
        let mut silent = true;
        for side in 0..2 {
            silent &= !self.send(link, side)?;
        }
        let waiting = [!link.arriving[0].is_empty(), !link.arriving[1].is_empty()];
        let side = match waiting {
            [true, true] => usize::from(self.random.bool()),
            [true, false] => 0,
            [false, true] => 1,
            [false, false] if silent => {
                return Err(Failure::violation("a session is stuck".to_owned()));
            }
            [false, false] => return Ok(true),
        };
        match link.arriving[side].pop_front() {
            Some(message) => self.arrive(link, side, message),
            None => Ok(true),
        }
    }

    fn send(&mut self, link: &mut Link, side: usize) -> Result<bool, Failure> {
        let end = link.ends[side];
        let Some(message) = link.sessions[side].poll(self.nodes[end].replica_mut())? else {
            return Ok(false);
        };
        self.commit(end)?;
        self.tick(end)?;
        let message = wire::decode(wire::encode(&message)).map_err(|error| {
            Failure::violation(format!("the codec refuses its own work: {error}"))
        })?;
        let queue = &mut link.arriving[1 - side];
        match message {
            Message::Entries(entries) => {
                queue.extend(
                    entries
                        .into_iter()
                        .map(|entry| Message::Entries(vec![entry])),
                );
            }
            other => queue.push_back(other),
        }
        Ok(true)
    }

    fn arrive(&mut self, link: &mut Link, side: usize, message: Message) -> Result<bool, Failure> {
        let end = link.ends[side];
        self.tick(end)?;
        match link.sessions[side].receive(self.nodes[end].replica_mut(), message) {
            Ok(()) => Ok(true),
            Err(SessionError::Restored) => {
                self.renew(end, Renewal::Restored)?;
                Ok(false)
            }
            Err(error) => Err(Failure::violation(format!("a session fails: {error}"))),
        }
    }

    /// Lets the next message that holds entries arrive twice.
    pub(crate) fn duplicate(&mut self, one: usize, other: usize) {
        let ends = [one.min(other), one.max(other)];
        for link in self.links.iter_mut().filter(|link| link.ends == ends) {
            for queue in &mut link.arriving {
                if let Some(Message::Entries(entries)) = queue.front() {
                    let again = Message::Entries(entries.clone());
                    queue.push_front(again);
                }
            }
        }
    }

    fn end(&mut self, link: &Link, one: Outcome, other: Outcome) -> Result<Ended, Failure> {
        let equal = one == Outcome::Equal && other == Outcome::Equal;
        if equal {
            self.check_claim(link.ends)?;
        }
        let mut made = 0;
        for end in link.ends {
            made += self.settle(end)?;
        }
        Ok(if equal {
            Ended::Equal(made)
        } else {
            Ended::Again(made)
        })
    }

    /// Two replicas that say they are equal and have no work left are equal.
    fn check_claim(&self, ends: [usize; 2]) -> Result<(), Failure> {
        let [one, other] = ends.map(|end| &self.nodes[end]);
        let quiet = [one, other].iter().all(|node| {
            !node.touched_since_scan
                && node.excluded.is_none()
                && node.store().pending_count().is_ok_and(|count| count == 0)
        });
        let same = one.replica().knowledge() == other.replica().knowledge();
        if quiet
            && same
            && let Some(difference) = difference(&one.disk, &other.disk)
        {
            return Err(Failure::violation(format!(
                "replicas {} and {} claim to be in sync: {difference}",
                ends[0], ends[1]
            )));
        }
        Ok(())
    }

    /// Makes the events that the entries of a replica call for.
    pub(crate) fn settle(&mut self, replica: usize) -> Result<usize, Failure> {
        let now = self.nodes[replica].now(self.seconds);
        let made = self.nodes[replica].replica_mut().settle(now)?;
        self.commit(replica)?;
        Ok(made)
    }
}
