//! From what is known to the directory: a while of work at a time.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use replicat_core::path::RelPath;
use replicat_core::store::Store;

use super::connected::Peer;
use super::owner::{Open, Owner, surroundings};
use super::peer::Connection;
use crate::engine::clock;
use crate::engine::held::Held;
use crate::engine::retention;
use crate::engine::transfer::{Left, Neighbour, Source};
use crate::error::SyncError;

/// How long the owner works on the directory before it looks at what has happened.
const WORK_MAX: Duration = Duration::from_millis(25);
/// How long what could not be done waits at first, if nothing else happens: a peer may tell of a file before it has it.
pub(super) const RETRY_PAUSE_MIN: Duration = Duration::from_millis(30);
/// How long it waits at the most; each time twice as long as before.
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(5);

/// How many of the paths that wait are looked at again when nothing has helped for a while.
const LOOKED_AT_AFRESH_MAX: usize = 256;

impl Open {
    /// What keeps more from being brought at the moment, as a sentence; `is_amid`: a peer is telling something.
    pub(super) fn waits(&self, is_amid: bool) -> Option<&'static str> {
        let waits = match self.left {
            _ if is_amid => "nothing is brought while a peer is still telling what it knows",
            Left::Building => "it waits for contents that are being fetched or written",
            Left::Nothing if self.retry_at.is_some() => "it is tried again within some seconds",
            Left::Nothing | Left::More => return None,
        };
        Some(waits)
    }

    /// Paths were not as expected. They are looked at at once, those that were tried before only when they are tried again:
    /// what is in the way may stay there.
    fn look_again(&mut self, paths: BTreeSet<RelPath>, now: Instant) {
        let is_fresh = |path: &RelPath| self.local.setbacks.is_fresh(path);
        let (at_once, later): (Vec<_>, Vec<_>) = paths.into_iter().partition(is_fresh);
        self.hints.add(at_once, now);
        self.put_off.extend(later);
    }

    /// Nothing has helped what waits for a while: whatever was concluded of it is concluded anew, from the directory on.
    fn look_afresh(&mut self, now: Instant) -> Result<(), SyncError> {
        let waiting = self
            .local
            .replica
            .store()
            .pending(None, LOOKED_AT_AFRESH_MAX);
        let waiting = waiting.map_err(|error| self.local.failed(error))?;
        self.hints.add(waiting, now);
        self.unsettled = true;
        Ok(())
    }
}

impl Owner {
    /// Makes the events that what was learnt calls for, once no peer is amid telling something.
    pub(super) fn settle(&mut self) -> Result<(), SyncError> {
        let is_amid = self.is_amid();
        let Some(open) = self.open.as_mut().filter(|open| open.unsettled) else {
            return Ok(());
        };
        if is_amid {
            return Ok(());
        }
        open.unsettled = false;
        self.await_committed()?;
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        let made = open.local.replica.settle(clock::now());
        let made = made.map_err(|error| open.local.failed(error))?;
        if made > 0 {
            // What was made may have to be brought here, as a conflict copy has.
            open.ongoing.stir();
            open.left = Left::More;
            self.announce_all();
        }
        Ok(())
    }

    /// Whether a peer is telling something, and is not done with it; or changes are being dropped.
    pub(super) fn is_amid(&self) -> bool {
        self.reverting.is_some() || self.peers.values().any(Peer::is_amid)
    }

    /// Notes, once the directory holds all that is known, that it does, and tells the peers.
    pub(super) fn rest(&mut self) -> Result<(), SyncError> {
        let is_amid = self.is_amid();
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        // A directory that misses what it is recorded to hold has not applied it.
        let holds = open.local.deletions.holds();
        if holds {
            open.noted = None;
            let news = open.local.replica.retract_applied();
            if news.map_err(|error| open.local.failed(error))? {
                self.announce_all();
                return Ok(());
            }
        }
        let now = Instant::now();
        if open.gossip_at.is_some_and(|at| at <= now) {
            open.gossip_at = None;
            self.announce_all();
            return Ok(());
        }
        let is_at_rest = !is_amid && !open.unsettled && open.left == Left::Nothing && !holds;
        let is_noted = open.noted.as_ref() == Some(open.local.replica.knowledge());
        if !is_at_rest || is_noted || open.local.pending()? > 0 {
            return Ok(());
        }
        open.local.setbacks.clear();
        if self.peers.values().any(Peer::is_live) {
            open.local.deletions.note_arrivals();
        }
        let news = open.local.replica.note_applied();
        let news = news.map_err(|error| open.local.failed(error))?;
        open.noted = Some(open.local.replica.knowledge().clone());
        if news {
            self.announce_all();
        }
        Ok(())
    }

    /// Works on the directory for a while.
    pub(super) fn bring(&mut self) -> Result<(), SyncError> {
        let is_amid = self.is_amid();
        let now = Instant::now();
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        if open.retry_at.is_some_and(|at| at <= now) {
            open.retry_at = None;
            open.ongoing.stir();
            open.left = Left::More;
            let put_off = std::mem::take(&mut open.put_off);
            open.hints.add(put_off.into_iter().collect(), now);
            if open.retry_pause == RETRY_PAUSE_MAX {
                open.look_afresh(now)?;
            }
        }
        // Half of what a peer is telling could look like a deletion.
        if is_amid || open.left == Left::Nothing {
            return Ok(());
        }
        let around = surroundings(open.threads, &self.shared.cancellation, &self.gathering);
        let before = open.local.replica.knowledge().clone();
        let left = open
            .ongoing
            .work(&mut open.local, &around, now + WORK_MAX)?;
        open.left = left;
        let done = open.ongoing.take_done();
        open.look_again(done.look_again, Instant::now());
        if left == Left::Nothing {
            let pending = open.local.pending()?;
            if pending > 0 || !open.put_off.is_empty() {
                open.retry_at = Some(Instant::now() + open.retry_pause);
                open.retry_pause = (open.retry_pause * 2).min(RETRY_PAUSE_MAX);
            } else {
                open.tidy(Instant::now())?;
            }
        }
        if done.steps > 0 {
            retention::keep_size(&mut open.local)?;
            open.retry_pause = RETRY_PAUSE_MIN;
        }
        // A directory that is kept for what is ignored in it is an event, too.
        let made = before != *open.local.replica.knowledge();
        // What is in place may let more be settled. All that is pending is looked at then, so not after each while.
        open.stepped |= done.steps > 0;
        let has_come_to_rest = left == Left::Nothing && std::mem::take(&mut open.stepped);
        open.unsettled |= made || has_come_to_rest;
        if made {
            self.announce_all();
        }
        if done.steps > 0 {
            // Peers that heard of these files before they were here may want them.
            self.publish()?;
        }
        self.tell_changes(&done.copies)
    }

    /// Says where contents are to be had: from what came with the messages, from the peers, and from the own trash. Peers that
    /// hold all that is known here come first: the others may be waiting for the same contents.
    pub(super) fn set_sources(&mut self) {
        let Some(open) = &mut self.open else { return };
        let knowledge = open.local.replica.knowledge();
        let peers = self.peers.values().filter(|peer| peer.is_open());
        let (first, later): (Vec<_>, Vec<_>) = peers.partition(|peer| peer.has_brought(knowledge));
        let peers = first.into_iter().chain(later);
        let peers = peers.map(|peer| Arc::new(Remote(peer.connection())) as Arc<dyn Source>);
        let own = self.shared.held.read();
        let own = own.unwrap_or_else(PoisonError::into_inner).clone();
        let own = own.map(|held| Arc::new(Neighbour(held)) as Arc<dyn Source>);
        let gleaned = open.local.gleaned.clone();
        let gleaned = gleaned.map(|gleaned| gleaned as Arc<dyn Source>);
        let sources = gleaned.into_iter().chain(peers).chain(own);
        open.ongoing.sources().set(sources.collect());
    }

    /// Lets others read what was committed.
    pub(super) fn publish(&mut self) -> Result<(), SyncError> {
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        open.local.commit()?;
        let held = Arc::new(Held::of(&open.local));
        let mut shared = self
            .shared
            .held
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *shared = Some(held);
        drop(shared);
        self.set_sources();
        Ok(())
    }
}

/// A peer as a source of contents.
pub(super) struct Remote(pub(super) Arc<dyn Connection>);

impl Source for Remote {
    fn request(&self, wants: Vec<replicat_core::message::Want>) -> crate::engine::transfer::Reply {
        self.0.request(wants)
    }

    fn keeps(&self, wants: Vec<replicat_core::message::Want>) -> Vec<bool> {
        self.0.keeps(wants)
    }

    fn manifest(&self, content: replicat_core::id::ContentHash) -> Option<bytes::Bytes> {
        self.0.manifest(content)
    }
}
