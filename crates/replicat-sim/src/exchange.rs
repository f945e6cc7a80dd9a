//! Sessions between two replicas, message by message, through the real codec.

use std::collections::VecDeque;

use replicat_core::message::Message;
use replicat_core::restore::Renewal;
use replicat_core::session::{Outcome, Session, SessionError};
use replicat_core::store::{Digest, Store};
use replicat_core::version::VersionVector;

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
    /// What each side knew, and its sum, when equal sums proved to it that both hold the same.
    proved: [Option<(VersionVector, Digest)>; 2],
    /// A side leaves the other's sum without an answer for now.
    holds_answer: [bool; 2],
}

impl Link {
    /// What the sums led to, once both sides know it.
    fn outcomes(&self) -> Option<[Outcome; 2]> {
        let [one, other] = &self.sessions;
        Some([one.outcome()?, other.outcome()?])
    }

    /// Whether both sides have compared sums, and go on from there.
    pub(crate) fn is_live(&self) -> bool {
        self.sessions.iter().all(Session::is_live)
    }
}

/// What became of an attempt to go on with a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// Something was sent or arrived.
    Moved,
    /// Neither side has anything to say.
    Silent,
    /// The session broke.
    Broken,
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
    /// Exchanges messages of a session of two replicas, until `limit` messages arrived (0: no limit) or all is said. A
    /// session that is kept goes on from there the next time.
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
        link.sessions.iter_mut().for_each(Session::announce);
        let compares = limit == 0 && (self.is_resting || self.random.bool());
        if compares {
            link.sessions[self.random.usize(0..2)].compare_again();
        }
        if link.is_live() && self.random.u8(0..4) == 0 {
            self.ask_first(&mut link);
        }
        let limit = if limit == 0 {
            MESSAGES_MAX
        } else {
            usize::from(limit)
        };
        for arrived in 0.. {
            if arrived >= MESSAGES_MAX {
                return Err(Failure::violation("a session does not end".to_owned()));
            }
            if !self.is_kept(link.ends) && link.outcomes().is_some() {
                return self.end(&link);
            }
            if arrived >= limit {
                break;
            }
            match self.step(&mut link)? {
                Progress::Moved => {}
                Progress::Broken => return Ok(Ended::Broken),
                Progress::Silent => {
                    let ended = self.end(&link)?;
                    self.links.push(link);
                    return Ok(ended);
                }
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
            proved: [None, None],
            holds_answer: [false; 2],
        })
    }

    /// Polls both sides, then lets one message arrive.
    fn step(&mut self, link: &mut Link) -> Result<Progress, Failure> {
        let mut silent = true;
        for side in 0..2 {
            silent &= !self.send(link, side)?;
        }
        let waiting = [!link.arriving[0].is_empty(), !link.arriving[1].is_empty()];
        let side = match waiting {
            [true, true] => usize::from(self.random.bool()),
            [true, false] => 0,
            [false, true] => 1,
            [false, false] if silent && self.lose_patience(link) => return Ok(Progress::Moved),
            [false, false] if silent && link.outcomes().is_none() => {
                return Err(Failure::violation("a session is stuck".to_owned()));
            }
            // A side that waits for the end of what it hears does nothing meanwhile.
            [false, false] if silent && !link.sessions.iter().all(Session::is_whole) => {
                let failure = "a side waits for the end of what was said";
                return Err(Failure::violation(failure.to_owned()));
            }
            [false, false] if silent => return Ok(Progress::Silent),
            [false, false] => return Ok(Progress::Moved),
        };
        match link.arriving[side].pop_front() {
            Some(message) => self.arrive(link, side, message),
            None => Ok(Progress::Moved),
        }
    }

    /// One side asks for the other's sum before it tells its news, and the other may be busy with hearing from others.
    fn ask_first(&mut self, link: &mut Link) {
        let side = self.random.usize(0..2);
        link.sessions[side].ask_first();
        link.holds_answer[1 - side] = self.random.bool();
        link.sessions[1 - side].hold_answer(link.holds_answer[1 - side]);
    }

    /// Who waits for an answer gets it, or waits no longer; returns whether anybody did.
    fn lose_patience(&mut self, link: &mut Link) -> bool {
        for side in 0..2 {
            if link.sessions[side].asks_first() && self.random.bool() {
                link.sessions[side].tell_anyway();
                return true;
            }
            if std::mem::take(&mut link.holds_answer[side]) {
                link.sessions[side].hold_answer(false);
                return true;
            }
        }
        false
    }

    fn send(&mut self, link: &mut Link, side: usize) -> Result<bool, Failure> {
        let end = link.ends[side];
        let before = link.sessions[side].outcome();
        let message = link.sessions[side].poll(self.nodes[end].replica_mut())?;
        self.note_proof(link, side, before)?;
        let Some(message) = message else {
            return Ok(false);
        };
        self.commit(end)?;
        self.tick(end)?;
        let message = self.sent(&message)?;
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

    fn arrive(
        &mut self,
        link: &mut Link,
        side: usize,
        message: Message,
    ) -> Result<Progress, Failure> {
        let end = link.ends[side];
        self.tick(end)?;
        let before = link.sessions[side].outcome();
        let Some(message) = self.taken(end, link.ends[1 - side], message) else {
            return Ok(Progress::Moved);
        };
        let repairs = matches!(message, Message::Repair(_) | Message::TreeReply(_));
        let is_refused = self.nodes[end].is_refused();
        let ends = matches!(message, Message::Sent { .. });
        self.nodes[end].replica_mut().set_refused(is_refused);
        match link.sessions[side].receive(self.nodes[end].replica_mut(), message) {
            Ok(()) => {
                if is_refused && ends && !self.nodes[end].is_reverting {
                    self.nodes[end].replica_mut().forget_reverted()?;
                }
                if repairs {
                    self.nodes[end].replica_mut().withdraw_applied()?;
                }
                self.note_proof(link, side, before)?;
                Ok(Progress::Moved)
            }
            Err(SessionError::Restored) => {
                self.renew(end, Renewal::Restored)?;
                Ok(Progress::Broken)
            }
            Err(error) => Err(Failure::violation(format!("a session fails: {error}"))),
        }
    }

    /// Notes what the sums proved, if they came to be compared since the outcome was `before`.
    fn note_proof(
        &self,
        link: &mut Link,
        side: usize,
        before: Option<Outcome>,
    ) -> Result<(), Failure> {
        let outcome = link.sessions[side].outcome();
        if outcome != before && outcome == Some(Outcome::Equal) {
            link.proved[side] = Some(self.state_of(link.ends[side])?);
        }
        Ok(())
    }

    /// What a replica knows, and its sum.
    pub(crate) fn state_of(&self, replica: usize) -> Result<(VersionVector, Digest), Failure> {
        let replica = self.nodes[replica].replica();
        Ok((replica.knowledge().clone(), replica.store().digest()?))
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

    /// All is said: both sides settle.
    fn end(&mut self, link: &Link) -> Result<Ended, Failure> {
        // Only sums prove anything: what came in a session that broke is held by one and known to neither.
        let proven = link.outcomes() == Some([Outcome::Equal; 2]);
        let mut stands = proven;
        for (end, proved) in link.ends.iter().zip(&link.proved) {
            stands &= proved.as_ref() == Some(&self.state_of(*end)?);
        }
        if stands {
            self.check_claim(link.ends)?;
        }
        let equal = proven || self.know_the_same(link.ends);
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

    /// Whether two replicas know the same events, so that neither has anything to announce to the other.
    fn know_the_same(&self, ends: [usize; 2]) -> bool {
        let [one, other] = ends.map(|end| self.nodes[end].replica().knowledge());
        one == other
    }

    /// Whether a replica has a session in which it waits for the rest of what the other is saying.
    pub(crate) fn is_listening(&self, replica: usize) -> bool {
        self.links.iter().any(|link| {
            let sides = link.ends.iter().zip(&link.sessions);
            let mut own = sides.filter(|(end, _)| **end == replica);
            own.any(|(_, session)| session.peer().is_some() && !session.is_whole())
        })
    }

    /// Two replicas that say they are equal and have no work left are equal.
    fn check_claim(&self, ends: [usize; 2]) -> Result<(), Failure> {
        let [one, other] = ends.map(|end| &self.nodes[end]);
        let quiet = [one, other].iter().all(|node| {
            !node.touched_since_scan
                && node.held.is_empty()
                && node.store().pending_count().is_ok_and(|count| count == 0)
        });
        let same = one.replica().knowledge() == other.replica().knowledge();
        if quiet
            && same
            && let Some(difference) = difference(one, other)
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
        // Half of a revert is not judged.
        if self.nodes[replica].is_reverting {
            return Ok(0);
        }
        let now = self.nodes[replica].now(self.seconds);
        let made = self.nodes[replica].replica_mut().settle(now)?;
        self.commit(replica)?;
        Ok(made)
    }
}
