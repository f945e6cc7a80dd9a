//! The other replicas of a folder, and forgetting those that are gone for good.

use replicat_core::id::ReplicaId;
use replicat_core::store::{Member, Store};

use super::open::{self, Access, Looked};
use crate::engine::local::LocalReplica;
use crate::error::SyncError;
use crate::inspection::{Forgotten, MemberStanding, MemberStatus};
use crate::options::RootLocation;

/// Takes a replica that is gone for good out of the lists of those that are known, here and, with the next syncs, elsewhere.
/// `wanted` is its id, or a name: then all others of that name are meant. Its changes stay, and if it comes back, so does it.
///
/// # Errors
/// [`SyncError::UnknownReplica`] if no other replica is called so; what else keeps the root from being used.
pub fn forget(location: &RootLocation, wanted: &str) -> Result<Vec<Forgotten>, SyncError> {
    open::open(location, Access::Write)?.forget(wanted)
}

/// The same in a replica that is in use, which is given back.
pub(in crate::engine) fn forget_in(
    local: LocalReplica,
    wanted: &str,
) -> (LocalReplica, Result<Vec<Forgotten>, SyncError>) {
    let mut looked = Looked::lent(local);
    let done = looked.forget(wanted);
    (looked.into_local(), done)
}

impl Looked {
    fn forget(&mut self, wanted: &str) -> Result<Vec<Forgotten>, SyncError> {
        let listed = self.listed()?;
        let is_meant = |id: &ReplicaId, member: &Member| {
            member.name == wanted || id.to_string() == wanted.to_ascii_lowercase()
        };
        let meant = listed.iter().filter(|(id, member)| is_meant(id, member));
        let meant: Vec<_> = meant.cloned().collect();
        if meant.is_empty() {
            let known = listed.into_iter();
            let mut known: Vec<_> = known
                .map(|(id, member)| format!("{} ({id})", member.name))
                .collect();
            known.sort();
            return Err(SyncError::UnknownReplica {
                root: self.local.given.clone(),
                wanted: wanted.to_owned(),
                known,
            });
        }
        let mut forgotten = Vec::new();
        for (replica, Member { name, .. }) in meant {
            let done = self.local.replica.forget_member(replica);
            done.map_err(|error| self.local.failed(error))?;
            forgotten.push(Forgotten { replica, name });
        }
        self.local.commit()?;
        Ok(forgotten)
    }

    /// The others that nobody has forgotten.
    fn listed(&self) -> Result<Vec<(ReplicaId, Member)>, SyncError> {
        let replica = &self.local.replica;
        let own = replica.identity().replica;
        let members = replica.store().members();
        let members = members.map_err(|error| self.local.failed(error))?;
        let listed = members
            .into_iter()
            .filter(|(id, member)| *id != own && !member.is_forgotten());
        Ok(listed.collect())
    }

    /// How the others stand.
    pub(super) fn members(&self) -> Result<Vec<MemberStatus>, SyncError> {
        let knowledge = self.local.replica.knowledge();
        let status = |(replica, member): (ReplicaId, Member)| MemberStatus {
            replica,
            name: member.name,
            standing: match member.applied.contains_all(knowledge) {
                true => MemberStanding::UpToDate,
                false => MemberStanding::Behind,
            },
        };
        Ok(self.listed()?.into_iter().map(status).collect())
    }
}
