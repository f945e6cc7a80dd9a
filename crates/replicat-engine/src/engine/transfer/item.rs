//! Steps as users are told of them.

use replicat_core::entry::{Metadata, Payload};
use replicat_core::path::RelPath;
use replicat_core::plan::{Step, Task};
use replicat_core::store::Store;
use replicat_core::version::Dot;

use super::Work;
use crate::engine::local::LocalReplica;
use crate::error::SyncError;
use crate::event::{Aspect, Aspects, ItemChange, ItemKind, PlanItem};
use crate::report::ChangeCounts;

/// The attributes that hold POSIX access control lists begin so.
const ACL_PREFIX: &[u8] = b"system.posix_acl_";

impl Work<'_> {
    pub(super) fn item(&self, step: &Step) -> Result<PlanItem, SyncError> {
        let payload = step
            .goal
            .as_ref()
            .map(|goal| &goal.payload)
            .or(step.before.as_ref());
        Ok(PlanItem {
            root: self.target.number,
            path: step.path.clone(),
            kind: kind(payload),
            size: size(step),
            change: self.change(step)?,
        })
    }

    fn change(&self, step: &Step) -> Result<ItemChange, SyncError> {
        if matches!(step.task, Task::Remove | Task::RemoveDirectory) {
            return Ok(ItemChange::Delete);
        }
        if step.task == Task::Describe {
            return Ok(ItemChange::Metadata(described(step)));
        }
        if step.before.is_some() {
            return Ok(ItemChange::Update(updated(step)));
        }
        let loser = step.goal.as_ref().and_then(|goal| goal.conflict_of);
        if let Some(loser) = loser {
            let of = origin_of_copy(self.target, loser)?.unwrap_or_else(|| step.path.clone());
            return Ok(ItemChange::ConflictCopy { of });
        }
        Ok(ItemChange::Create)
    }
}

/// The path at which the loser that a conflict copy preserves lost, if that is still known.
pub(in crate::engine) fn origin_of_copy(
    local: &LocalReplica,
    loser: Dot,
) -> Result<Option<RelPath>, SyncError> {
    let before = loser.counter.saturating_sub(1);
    let rows = local.replica.store().by_dot(loser.replica, before, 1);
    let rows = rows.map_err(|error| local.failed(error))?;
    Ok(rows
        .into_iter()
        .find(|(counter, _)| *counter == loser.counter)
        .map(|(_, path)| path))
}

impl ItemChange {
    /// Whether this is the making of a conflict copy.
    #[must_use]
    pub fn is_conflict_copy(&self) -> bool {
        matches!(self, Self::ConflictCopy { .. })
    }
}

impl ChangeCounts {
    /// Counts one change in.
    pub(in crate::engine) fn count(&mut self, change: &ItemChange) {
        match change {
            ItemChange::Create | ItemChange::HardLink { .. } | ItemChange::ConflictCopy { .. } => {
                self.created += 1;
            }
            ItemChange::Update(_) => self.updated += 1,
            ItemChange::Metadata(_) => self.metadata += 1,
            ItemChange::Delete => self.deleted += 1,
            ItemChange::Move { .. } => self.moved += 1,
        }
    }
}

fn kind(payload: Option<&Payload>) -> ItemKind {
    match payload {
        Some(Payload::Directory) => ItemKind::Directory,
        Some(Payload::Symlink { .. }) => ItemKind::Symlink,
        _ => ItemKind::File,
    }
}

/// The length of the file that a step makes, in bytes; 0 for anything else.
pub(super) fn size(step: &Step) -> u64 {
    match step.task {
        Task::WriteFile { size, .. } => size,
        _ => 0,
    }
}

fn updated(step: &Step) -> Aspects {
    let mut aspects = described(step);
    aspects.insert(Aspect::Content);
    if let Some(Payload::File { size: before, .. }) = step.before
        && before != size(step)
    {
        aspects.insert(Aspect::Size);
    }
    aspects
}

fn described(step: &Step) -> Aspects {
    let (after, before) = (
        &step.metadata,
        step.before_metadata.clone().unwrap_or_default(),
    );
    let mut aspects = Aspects::default();
    let mut note = |differs: bool, aspect| {
        if differs {
            aspects.insert(aspect);
        }
    };
    note(differs(&before.mode, &after.mode), Aspect::Mode);
    note(differs(&before.mtime, &after.mtime), Aspect::Mtime);
    let users = |metadata: &Metadata| metadata.owner.map(|owner| owner.user);
    let groups = |metadata: &Metadata| metadata.owner.map(|owner| owner.group);
    note(differs(&users(&before), &users(after)), Aspect::User);
    note(differs(&groups(&before), &groups(after)), Aspect::Group);
    note(
        differs(&attributes(&before, true), &attributes(after, true)),
        Aspect::Acl,
    );
    note(
        differs(&attributes(&before, false), &attributes(after, false)),
        Aspect::Xattrs,
    );
    aspects
}

fn differs<T: PartialEq>(before: &Option<T>, after: &Option<T>) -> bool {
    before.is_some() && after.is_some() && before != after
}

/// The attributes that are access control lists, or those that are not.
fn attributes(metadata: &Metadata, lists: bool) -> Option<Vec<&replicat_core::entry::Xattr>> {
    let all = metadata.xattrs.as_ref()?;
    Some(
        all.iter()
            .filter(|xattr| xattr.name.starts_with(ACL_PREFIX) == lists)
            .collect(),
    )
}
