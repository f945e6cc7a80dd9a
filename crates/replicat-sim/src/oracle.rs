//! The naive oracle: what users did, and what therefore has to be true in the end. It knows nothing of versions.

use std::collections::{BTreeMap, BTreeSet};

use replicat_core::path::RelPath;

use crate::disk::{Content, Disk, GARBAGE_FROM, Kind};

/// How a user touched a path without writing content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touch {
    /// Metadata or an equal rewrite.
    Described,
    /// Deleted, with everything below.
    Deleted,
    /// Made a directory.
    MadeDirectory,
    /// Renamed from or to there.
    Renamed,
    /// Written.
    Written,
    /// Its deletion was rejected.
    Kept,
}

#[derive(Clone, Debug, Default)]
struct Fate {
    /// Where and how often users wrote it.
    written_at: Vec<RelPath>,
    /// Users of which replicas wrote it.
    written_by: BTreeSet<u8>,
    /// A user replaced or deleted it somewhere, or power failed before it was durable.
    may_vanish: bool,
    /// Where users replaced or deleted it.
    lost_by: BTreeSet<u8>,
    /// More than users' acts, or not only those of one replica, took it away.
    is_contested: bool,
    /// A user deleted it, at this path.
    deleted_at: Option<RelPath>,
    /// Who deleted it.
    deleted_by: u8,
    /// Something happened to it that excuses its being there after a deletion.
    may_return: bool,
    /// The replica where a user moved it, or wrote it later, went back to an earlier state, files and all: it may be
    /// taken for replaced, and be in the trash.
    may_be_in_trash: bool,
    /// That it may vanish is due to users of replicas alone whose changes are refused: at the others it must stay.
    vanishes_refused: bool,
    /// It is at a replica whose changes are not refused.
    is_shared: bool,
    /// Only users of replicas whose changes are refused wrote it, since they are.
    is_refused: bool,
    /// A user wrote something in its place.
    is_replaced: bool,
    /// Where its deletion was rejected.
    kept_by: BTreeSet<u8>,
}

impl Fate {
    /// It need not be kept anywhere.
    fn excuse(&mut self) {
        (self.may_vanish, self.vanishes_refused) = (true, false);
    }

    /// It must be kept.
    fn require(&mut self) {
        (self.may_vanish, self.vanishes_refused) = (false, false);
    }
}

/// What users did.
#[derive(Clone, Debug, Default)]
pub struct Oracle {
    fates: BTreeMap<Content, Fate>,
    touches: Vec<(u8, RelPath, Touch)>,
    /// What users deleted since a replica's last commit, by replica.
    untold: Vec<(u8, Content)>,
    /// What was last replaced or deleted, by replica and path.
    last_lost: BTreeMap<(u8, RelPath), Content>,
    /// Replicas that went back to an earlier state, files and all.
    went_back: BTreeSet<u8>,
    /// Replicas whose changes are refused.
    refused: BTreeSet<u8>,
}

impl Oracle {
    /// A user wrote `content` at `path`.
    pub fn wrote(&mut self, replica: u8, path: &RelPath, content: Content) {
        self.touched(replica, path, Touch::Written);
        let returns = self.last_lost(replica, path) == Some(content);
        let (is_refused, is_new) = (
            self.refused.contains(&replica),
            !self.fates.contains_key(&content),
        );
        let fate = self.fates.entry(content).or_default();
        fate.is_shared |= !is_refused;
        fate.is_refused = is_refused && (is_new || fate.is_refused);
        fate.written_at.push(path.clone());
        fate.written_by.insert(replica);
        fate.may_be_in_trash |= self.went_back.contains(&replica);
        // Who alone took it away and writes it there again wants to keep it.
        if returns && fate.lost_by.iter().eq(&[replica]) && !fate.is_contested {
            // The others were told that it was taken away, and not that it is back.
            fate.is_shared &= !is_refused || fate.vanishes_refused || !fate.may_vanish;
            fate.require();
        }
    }

    /// What was last replaced or deleted at `path` of a replica.
    #[must_use]
    pub fn last_lost(&self, replica: u8, path: &RelPath) -> Option<Content> {
        self.last_lost.get(&(replica, path.clone())).copied()
    }

    fn lost_at(&mut self, replica: u8, path: &RelPath, content: Content) {
        let is_refused = self.refused.contains(&replica);
        let fate = self.fates.entry(content).or_default();
        fate.vanishes_refused = is_refused && (fate.vanishes_refused || !fate.may_vanish);
        fate.may_vanish = true;
        fate.lost_by.insert(replica);
        self.last_lost.insert((replica, path.clone()), content);
    }

    /// A user overwrote `content` at `path`.
    pub fn replaced(&mut self, replica: u8, path: &RelPath, content: Content) {
        self.lost_at(replica, path, content);
        self.fates.entry(content).or_default().is_replaced = true;
    }

    /// A user deleted `content` at `path`.
    pub fn deleted(&mut self, replica: u8, path: &RelPath, content: Content) {
        self.lost_at(replica, path, content);
        let fate = self.fates.entry(content).or_default();
        fate.may_return |= fate.deleted_at.is_some();
        fate.deleted_at = Some(path.clone());
        fate.deleted_by = replica;
        self.untold.push((replica, content));
    }

    /// A replica's index was committed: it tells of whatever was deleted until then.
    pub fn committed(&mut self, replica: u8) {
        self.untold.retain(|(deleted_by, _)| *deleted_by != replica);
    }

    /// A replica goes on from its last commit. A file that a user deleted since, and of which that commit does not say
    /// (`is_recorded`) that it was there, was never there as far as anybody knows: it is brought again.
    pub fn rolled_back(&mut self, replica: u8, is_recorded: impl Fn(&RelPath) -> bool) {
        for (_, content) in self.untold.iter().filter(|(by, _)| *by == replica) {
            if let Some(fate) = self.fates.get_mut(content) {
                fate.may_return |= !fate.deleted_at.as_ref().is_some_and(&is_recorded);
            }
        }
        self.committed(replica);
    }

    /// A replica's index was lost: deletions that it may not have told are forgotten.
    pub fn forgot(&mut self, replica: u8) {
        let own = |fate: &&mut Fate| fate.deleted_at.is_some() && fate.deleted_by == replica;
        let forgotten = self.fates.values_mut().filter(own);
        forgotten.for_each(|fate| fate.may_return = true);
        self.contest(replica);
    }

    /// A disk was copied: what is deleted from one of the two before its next scan may return from the other.
    pub fn copied(&mut self, replica: u8, disk: &Disk) {
        self.left_out(&RelPath::root(), disk);
        self.contest(replica);
    }

    /// What was taken away at a replica may be taken away once more, by a copy or by what was told before state was lost: that
    /// it is written again there does not keep it.
    fn contest(&mut self, replica: u8) {
        let lost =
            |fate: &&mut Fate| fate.lost_by.contains(&replica) || fate.kept_by.contains(&replica);
        for fate in self.fates.values_mut().filter(lost) {
            fate.excuse();
            fate.is_contested = true;
        }
    }

    /// Filters left out what is at `path` and below: what was deleted meanwhile may return with it.
    pub fn left_out(&mut self, path: &RelPath, disk: &Disk) {
        let nodes = disk.tree().nodes.iter();
        for (_, node) in nodes.filter(|(found, _)| found.is_within(path)) {
            if let Some(content) = node.kind.content() {
                self.fates.entry(content).or_default().may_return = true;
            }
        }
    }

    /// What filters hid at `path` is gone.
    pub fn hidden(&mut self, path: &RelPath, disk: &Disk) {
        let nodes = disk.tree().nodes.iter();
        for (_, node) in nodes.filter(|(found, _)| found.is_within(path)) {
            if let Some(content) = node.kind.content() {
                self.fates.entry(content).or_default().excuse();
            }
        }
    }

    /// A user moved `content` to where filters leave it out: to all others it is gone.
    pub fn moved_out_of_scope(&mut self, content: Content) {
        self.fates.entry(content).or_default().excuse();
    }

    /// Power failed, and a move out of what filters leave out was undone: that is as if the user had moved it there.
    pub fn fell_out_of_scope(&mut self, excluded: &RelPath, before: &Disk, after: &Disk) {
        let nodes = after.tree().nodes.iter();
        for (path, node) in nodes.filter(|(path, _)| path.is_within(excluded)) {
            let was_there = before.node(path).is_some_and(|old| old.kind == node.kind);
            if let Some(content) = node.kind.content().filter(|_| !was_there) {
                self.moved_out_of_scope(content);
            }
        }
    }

    /// A user moved `content`.
    pub fn moved(&mut self, content: Content) {
        self.fates.entry(content).or_default().may_return = true;
    }

    /// A user touched `path`.
    pub fn touched(&mut self, replica: u8, path: &RelPath, touch: Touch) {
        self.touches.push((replica, path.clone(), touch));
    }

    /// A disk lost power: what its user wrote may be lost, and so may what nobody else holds. What replicat brought there from
    /// others may not: it has to be brought again.
    pub fn crashed(&mut self, replica: u8, before: &Disk, after: &Disk, others: &[&Disk]) {
        let brought = |content: &Content| {
            let fate = self.fates.get(content);
            let whole = |fate: &Fate| !fate.may_vanish && fate.lost_by.is_empty();
            fate.is_some_and(|fate| whole(fate) && !fate.written_by.contains(&replica))
                && others.iter().any(|other| other.holds(*content))
        };
        let kept: Vec<Content> = contents(before).filter(brought).collect();
        self.went_back(before, after, &[]);
        for content in kept {
            if let Some(fate) = self.fates.get_mut(&content) {
                fate.require();
                fate.is_contested = false;
            }
        }
    }

    /// A replica went back to an earlier state, files and all. What its user does until it meets somebody who knows of its
    /// later days may be taken for what they knew.
    pub fn all_went_back(&mut self, replica: u8) {
        self.went_back.insert(replica);
    }

    /// A disk went back to an earlier state: what it lost may be lost unless it is elsewhere, what came back may stay.
    pub fn went_back(&mut self, before: &Disk, after: &Disk, others: &[&Disk]) {
        let tree = before.tree();
        let files = tree.nodes.iter();
        let moved =
            files.filter(|(path, node)| after.node(path).map(|n| n.kind) != Some(node.kind));
        let changed = moved.filter_map(|(_, node)| Some((node.kind.content()?, node.kind)));
        let staged = tree.staging.iter();
        let staged = staged.map(|content| (*content, Kind::File(*content)));
        for (content, kind) in changed.chain(staged) {
            let fate = self.fates.entry(content).or_default();
            // What was put back is kept by that alone: elsewhere it is being taken away.
            let put_back = !fate.lost_by.is_empty();
            let is_there = |other: &&Disk| match kind {
                Kind::File(content) => other.holds_file(content),
                _ => other.holds(content),
            };
            if put_back || !others.iter().any(is_there) {
                fate.excuse();
                fate.is_contested = true;
            }
            fate.may_be_in_trash |= !others.is_empty();
        }
        // What was reverted may be nowhere else, and its data may not have reached the disk.
        for content in tree.trash.difference(&after.tree().trash) {
            let fate = self.fates.get_mut(content);
            fate.filter(|fate| fate.may_be_in_trash).map(Fate::excuse);
        }
        for node in after.tree().nodes.values() {
            if let Some(content) = node.kind.content() {
                self.fates.entry(content).or_default().may_return = true;
            }
        }
    }

    /// Whether `content` need not be kept.
    #[must_use]
    pub fn may_vanish(&self, content: Content) -> bool {
        content >= GARBAGE_FROM || self.fates.get(&content).is_none_or(|fate| fate.may_vanish)
    }

    /// Whether users wrote `content` more than once, moved it, or described files anew: several may have done so, and
    /// made losers of equal content that none of them could know of.
    #[must_use]
    pub fn is_ambiguous(&self, content: Content) -> bool {
        self.fates
            .get(&content)
            .is_none_or(|fate| fate.written_at.len() > 1 || fate.may_return)
            || self
                .touches
                .iter()
                .any(|(_, _, touch)| *touch == Touch::Described)
    }

    /// Whether a user wrote `content` at `path`.
    #[must_use]
    pub fn wrote_at(&self, content: Content, path: &RelPath) -> bool {
        let fate = self.fates.get(&content);
        fate.is_some_and(|fate| fate.written_at.contains(path))
    }

    /// Whether any user did anything at `path`, above or below.
    #[must_use]
    pub fn is_touched(&self, path: &RelPath) -> bool {
        let mut touches = self.touches.iter();
        touches.any(|(_, at, _)| at.is_within(path) || path.is_within(at))
    }

    /// Whether the user of one replica alone touched `path`, or anything above or below. Not known where anything was renamed.
    #[must_use]
    pub fn has_one_user(&self, path: &RelPath) -> bool {
        let is_renamed = |(_, _, touch): &(u8, RelPath, Touch)| *touch == Touch::Renamed;
        if self.touches.iter().any(is_renamed) {
            return false;
        }
        let touches = self.touches.iter();
        let there = touches.filter(|(_, at, _)| at.is_within(path) || path.is_within(at));
        let users: BTreeSet<(u8, bool)> = there
            .map(|(replica, _, touch)| (*replica, *touch == Touch::Kept))
            .collect();
        users.len() < 2
    }

    /// The first content that must exist and does not exist on `disk`, the same as those of all others. Where that is excused it
    /// is in the trash of any of `all`.
    #[must_use]
    pub fn lost(&self, disk: &Disk, all: &[&Disk]) -> Option<Content> {
        let must = |content: &Content| !self.may_vanish(*content);
        self.first_lost(disk, all, must)
    }

    /// The same at the replicas whose changes are not refused: what users of the others did does not excuse anything there.
    #[must_use]
    pub fn lost_by_refused(&self, disk: &Disk, all: &[&Disk]) -> Option<Content> {
        let must = |content: &Content| {
            let fate = self.fates.get(content);
            fate.is_some_and(|fate| fate.is_shared && (!fate.may_vanish || fate.vanishes_refused))
        };
        self.first_lost(disk, all, must)
    }

    fn first_lost(
        &self,
        disk: &Disk,
        all: &[&Disk],
        must: impl Fn(&Content) -> bool,
    ) -> Option<Content> {
        let is_kept = |content: Content| {
            let is_excused = (self.fates.get(&content)).is_some_and(|fate| fate.may_be_in_trash);
            let in_trash = |disk: &&Disk| disk.tree().trash.contains(&content);
            disk.holds(content) || is_excused && all.iter().any(in_trash)
        };
        let mut contents = self.fates.keys().copied().filter(must);
        contents.find(|content| !is_kept(*content))
    }

    /// The first content that was deleted for good and exists on `disk` all the same.
    #[must_use]
    pub fn returned(&self, disk: &Disk) -> Option<Content> {
        self.fates
            .iter()
            .filter(|(content, fate)| self.is_gone_for_good(fate) && disk.holds(**content))
            .map(|(content, _)| *content)
            .next()
    }

    /// A content was deleted for good if it was written once and deleted once at one path, and nobody did
    /// anything else there, above or below, that could excuse its return.
    fn is_gone_for_good(&self, fate: &Fate) -> bool {
        let Some(path) = &fate.deleted_at else {
            return false;
        };
        if fate.may_return || fate.written_at.as_slice() != std::slice::from_ref(path) {
            return false;
        }
        let (mut writes, mut deletions) = (0, 0);
        for (_, touched, touch) in &self.touches {
            let above = path.is_within(touched);
            if !above && !touched.is_within(path) {
                continue;
            }
            match touch {
                Touch::Written if touched == path => writes += 1,
                Touch::Deleted if above => deletions += 1,
                Touch::MadeDirectory if touched != path && above => {}
                Touch::Described if touched != path && above => {}
                _ => return false,
            }
        }
        writes == 1 && deletions == 1
    }
}

impl Oracle {
    /// From now on the changes of `replica` are refused by those who hold `others`. What it was about to tell is refused too.
    pub fn refuse(&mut self, replica: u8, others: &[&Disk]) {
        self.refused.insert(replica);
        for (content, fate) in &mut self.fates {
            fate.is_shared = others.iter().any(|disk| disk.holds(*content));
            if fate.kept_by.contains(&replica) {
                fate.excuse();
            }
        }
    }

    /// From now on the changes of `replica` are accepted, with all that it changed before.
    pub fn accept(&mut self, replica: u8) {
        self.refused.remove(&replica);
        for fate in self.fates.values_mut() {
            (fate.vanishes_refused, fate.is_refused) = (false, false);
        }
    }

    /// Another replica begins as a copy of `replica`, whose changes are refused.
    pub fn refuse_copy(&mut self, copy: u8) {
        self.refused.insert(copy);
    }

    /// Whether `content` must not be at a replica whose changes are accepted.
    #[must_use]
    pub fn is_refused(&self, content: Content) -> bool {
        self.fates.get(&content).is_some_and(|fate| fate.is_refused)
    }

    /// A user of `replica` reverted a path, where its disk holds `held`: that goes to the trash, and what was deleted there
    /// comes back. What others have stays with them, unless `is_covered`: something else is where they have it.
    pub fn reverted(
        &mut self,
        replica: u8,
        path: &RelPath,
        held: Option<Content>,
        is_covered: bool,
    ) {
        self.touched(replica, path, Touch::Kept);
        if let Some(content) = held {
            let fate = self.fates.entry(content).or_default();
            fate.may_be_in_trash |= is_covered || !fate.is_shared || fate.written_at.len() > 1;
        }
        for fate in self.fates.values_mut() {
            let is_kept = fate.kept_by.contains(&replica);
            fate.may_return |= fate.lost_by.contains(&replica);
            if is_kept {
                fate.excuse();
            }
        }
    }

    /// A person rejects at `replica` that `content` is deleted at `path`.
    pub fn rejected(&mut self, replica: u8, path: &RelPath, content: Content) {
        self.touched(replica, path, Touch::Kept);
        self.fates.entry(content).or_default().may_return = true;
    }

    /// That was committed, and only a user that knows of it can delete the content now.
    pub fn kept(&mut self, replica: u8, content: Content) {
        let fate = self.fates.entry(content).or_default();
        // What was made from it elsewhere may have moved on, and it stays behind.
        if !fate.is_contested && !fate.is_replaced {
            fate.require();
            fate.kept_by.insert(replica);
        }
    }

    /// Users of which replicas took `content` away.
    pub fn lost_by(&self, content: Content) -> impl Iterator<Item = u8> {
        let fate = self.fates.get(&content);
        fate.into_iter()
            .flat_map(|fate| fate.lost_by.iter().copied())
    }
}

/// What the files and symlinks of a disk hold.
fn contents(disk: &Disk) -> impl Iterator<Item = Content> {
    let nodes = disk.tree().nodes.values();
    nodes.filter_map(|node| node.kind.content())
}
