//! What a replica notes of the others that it talks with, and of what it has told them
//! (`docs/algorithm.md`, sections 5 and 8).

use std::collections::BTreeMap;

use crate::entry::{Entry, Version};
use crate::id::ReplicaId;
use crate::message::{Hello, PROTOCOL_VERSION};
use crate::path::RelPath;
use crate::replica::Replica;
use crate::session::SessionError;
use crate::store::{Member, Store, StoreError};
use crate::version::{Dot, VersionVector};

impl<S: Store> Replica<S> {
    /// The first message of a session.
    pub(crate) fn greeting(&self) -> Result<Hello, StoreError> {
        let members = self.store().members()?;
        let id = self.identity().replica;
        let own = members.iter().find(|(member, _)| *member == id);
        let applied = own.map(|(_, member)| member.applied.clone());
        let names = members
            .iter()
            .map(|(id, member)| (*id, member.name.clone()));
        Ok(Hello {
            protocol: PROTOCOL_VERSION,
            folder: self.identity().folder,
            replica: id,
            knowledge: self.knowledge().clone(),
            applied: applied.unwrap_or_default(),
            names: names.collect(),
            presences: members
                .iter()
                .filter(|(_, member)| member.presence > 0)
                .map(|(id, member)| (*id, member.presence))
                .collect(),
        })
    }

    /// Merges entries that another replica sent.
    pub(crate) fn merge_entries(
        &mut self,
        entries: Vec<(RelPath, Entry)>,
    ) -> Result<(), SessionError> {
        for (path, theirs) in entries {
            let mut record = self.record(&path)?;
            if let Some(dot) = self.unheard_of(&record.entry, &theirs) {
                return Err(self.lost_past(dot.counter)?);
            }
            self.yield_to_equal(&path, &mut record, &theirs)?;
            let mut merged = record.entry.clone();
            if merged.merge(&theirs) {
                self.change_entry(&path, &mut record, merged)?;
                self.write(&path, record)?;
            }
        }
        Ok(())
    }

    /// An event of this replica's own that it knows nothing of: what it made itself is here, or replaced by what is here.
    fn unheard_of(&self, ours: &Entry, theirs: &Entry) -> Option<Dot> {
        let own = self.identity().replica;
        let mut versions = theirs.versions().iter().filter(|v| v.dot.replica == own);
        let is_known = |version: &Version| {
            let mut held = ours.versions().iter();
            held.any(|held| held.dot == version.dot || held.replaces(version))
        };
        versions.find(|v| !is_known(v)).map(|version| version.dot)
    }

    /// Notes up to where this replica's past is its own, if an event with `counter` is not.
    fn lost_past(&mut self, counter: u64) -> Result<SessionError, StoreError> {
        let mut identity = self.identity().clone();
        let earlier = identity.published.iter().rev();
        let common = earlier.copied().find(|told| *told < counter);
        if let Some(common) = common.filter(|common| *common < identity.confirmed) {
            identity.confirmed = common;
            self.set_identity(identity)?;
        }
        Ok(SessionError::Restored)
    }

    /// Notes the names and the progress of the replicas that the other speaks of.
    pub(crate) fn meet(&mut self, hello: &Hello) -> Result<(), StoreError> {
        let known = self.store().members()?;
        for (id, name) in &hello.names {
            let held = known
                .iter()
                .find(|(known, _)| known == id)
                .map(|(_, member)| member);
            let mut member = held.cloned().unwrap_or_default();
            if member.name.is_empty() {
                member.name.clone_from(name);
            }
            if *id == hello.replica {
                member.applied = hello.applied.clone();
                // It is there. It will choose this number itself when it hears that it was forgotten.
                member.presence += u64::from(member.is_forgotten());
            }
            if held != Some(&member) {
                self.store_mut().set_member(*id, &member)?;
            }
        }
        for (id, presence) in &hello.presences {
            self.hear_of_presence(*id, *presence)?;
        }
        Ok(())
    }

    /// Notes the presence of a replica: the higher number counts. A replica that hears of itself that it was forgotten says
    /// that it is there.
    fn hear_of_presence(&mut self, id: ReplicaId, presence: u64) -> Result<(), StoreError> {
        let mut members = self.store().members()?.into_iter();
        let Some((_, mut member)) = members.find(|(known, _)| *known == id) else {
            return Ok(());
        };
        if presence <= member.presence {
            return Ok(());
        }
        member.presence = presence;
        if id == self.identity().replica && member.is_forgotten() {
            member.presence = member.presence.saturating_add(1);
        }
        self.store_mut().set_member(id, &member)
    }

    /// Forgets another replica that is gone for good: it is listed no more, here and, as that spreads, elsewhere. Nothing else
    /// follows from it. When it speaks again, it is listed again. Returns whether that was news.
    ///
    /// # Errors
    /// If the store fails.
    pub fn forget_member(&mut self, id: ReplicaId) -> Result<bool, StoreError> {
        if id == self.identity().replica {
            return Ok(false);
        }
        let mut members = self.store().members()?.into_iter();
        match members.find(|(known, _)| *known == id) {
            Some((_, mut member)) if !member.is_forgotten() => {
                member.presence = member.presence.saturating_add(1);
                self.store_mut().set_member(id, &member)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// What this replica has heard of others that differs from what a peer was told, or told itself.
    pub(crate) fn members_unlike(
        &self,
        told: &BTreeMap<ReplicaId, Member>,
        peer: ReplicaId,
    ) -> Result<Vec<(ReplicaId, Member)>, StoreError> {
        let members = self.store().members()?.into_iter();
        // A peer knows best of itself, but for that it was forgotten.
        let is_news = |(id, member): &(ReplicaId, Member)| {
            (*id != peer || member.is_forgotten()) && told.get(id) != Some(member)
        };
        Ok(members.filter(is_news).collect())
    }

    /// Notes what `from` has heard of replicas: the first name counts, and the furthest progress; but of its own progress
    /// what it says now.
    pub(crate) fn hear_of_members(
        &mut self,
        from: ReplicaId,
        heard: &[(ReplicaId, Member)],
    ) -> Result<(), StoreError> {
        let own = self.identity().replica;
        let known: BTreeMap<ReplicaId, Member> = self.store().members()?.into_iter().collect();
        for (_, told) in heard.iter().filter(|(id, _)| *id == own) {
            self.hear_of_presence(own, told.presence)?;
        }
        for (id, told) in heard.iter().filter(|(id, _)| *id != own) {
            let held = known.get(id);
            let mut member = held.cloned().unwrap_or_default();
            if member.name.is_empty() {
                member.name.clone_from(&told.name);
            }
            if *id == from {
                member.applied.clone_from(&told.applied);
            } else {
                member.applied.union(&told.applied);
            }
            member.presence = member.presence.max(told.presence);
            if held != Some(&member) {
                self.store_mut().set_member(*id, &member)?;
            }
        }
        Ok(())
    }

    /// Checks what another knows of this replica's own events against what it has told. Whoever knows of something else
    /// knows a past, or a twin, that this state does not; what was told before that is common to both.
    pub(crate) fn hear_of(&mut self, theirs: &VersionVector) -> Result<(), SessionError> {
        let mut identity = self.identity().clone();
        let counter = theirs.get(identity.replica);
        if identity.published.contains(&counter) {
            if counter > identity.confirmed {
                identity.confirm(counter);
                self.set_identity(identity)?;
            }
            return Ok(());
        }
        let is_old = !identity.published.iter().any(|told| *told < counter);
        if is_old && counter <= identity.confirmed {
            return Ok(());
        }
        Err(self.lost_past(counter)?)
    }

    /// Notes, before others are told, up to where they will know of this replica's own events.
    pub(crate) fn publish(&mut self) -> Result<(), StoreError> {
        let mut identity = self.identity().clone();
        let counter = self.knowledge().get(identity.replica);
        if counter <= identity.confirmed || identity.published.contains(&counter) {
            return Ok(());
        }
        identity.published.push(counter);
        self.set_identity(identity)
    }

    /// Notes that there is no work left: all that is known is in the storage. Returns whether that was news.
    ///
    /// # Errors
    /// If the store fails.
    pub fn note_applied(&mut self) -> Result<bool, StoreError> {
        if self.store().pending_count()? > 0 {
            return Ok(false);
        }
        self.set_applied(self.knowledge().clone())
    }

    /// Takes back that all that is known is in the storage, if there is work left: a repair brings events that were known
    /// already, so that knowledge alone does not tell. Returns whether that was news.
    ///
    /// # Errors
    /// If the store fails.
    pub fn withdraw_applied(&mut self) -> Result<bool, StoreError> {
        if self.store().pending_count()? == 0 {
            return Ok(false);
        }
        self.retract_applied()
    }

    /// Retracts that all that is known is in the storage: it misses what it is recorded to hold, and that is not announced.
    /// Returns whether that was news.
    ///
    /// # Errors
    /// If the store fails.
    pub fn retract_applied(&mut self) -> Result<bool, StoreError> {
        self.set_applied(VersionVector::new())
    }

    /// Notes the own progress. Returns whether that was news.
    fn set_applied(&mut self, applied: VersionVector) -> Result<bool, StoreError> {
        let id = self.identity().replica;
        let name = self.identity().name.clone();
        let members = self.store().members()?;
        let held = members.iter().find(|(known, _)| *known == id);
        let held = held.map(|(_, member)| member);
        let member = Member {
            name,
            applied,
            presence: held.map_or(0, |held| held.presence),
        };
        if held == Some(&member) {
            return Ok(false);
        }
        self.store_mut().set_member(id, &member)?;
        Ok(true)
    }
}
