//! A replica: the rules bound to a store.
//!
//! Every write of a record goes through [`Replica::write`], which keeps three things true: what the storage
//! holds is remembered when the entry moves on, the pending mark says whether there is work, and
//! knowledge covers every event of its own.

use crate::entry::{Carry, Entry, Metadata, Payload, Stamps, Version};
use crate::id::ContentHash;
use crate::path::RelPath;
use crate::record::{Base, Record};
use crate::resolve::Shown;
use crate::store::{Identity, Member, Store, StoreError};
use crate::version::{Context, Dot, Hlc, VersionVector};

/// The time as its owner sees it, in microseconds since 1970. It only ever breaks ties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now(pub u64);

/// A clock further ahead than this (the year 2255) is not believed, so that counters never run out.
const CLOCK_MICROSECONDS_MAX: u64 = 9_000_000_000_000_000;

impl Now {
    /// The same moment as a timestamp of events.
    #[must_use]
    pub fn hlc(self) -> Hlc {
        Hlc(self.0.min(CLOCK_MICROSECONDS_MAX) / 1000)
    }
}

/// One replica of a folder, over the store that keeps its state.
#[derive(Debug)]
pub struct Replica<S> {
    store: S,
    identity: Identity,
    knowledge: VersionVector,
    is_refused: bool,
}

/// What an event says, before it has a dot.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) context: Context,
    pub(crate) hlc: Hlc,
    pub(crate) payload: Payload,
    pub(crate) metadata: Metadata,
    pub(crate) stamps: Stamps,
    pub(crate) base: Option<ContentHash>,
    pub(crate) carry: Option<Carry>,
    pub(crate) conflict_of: Option<Dot>,
}

impl<S: Store> Replica<S> {
    /// Takes up the state in `store`.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn open(mut store: S) -> Result<Self, StoreError> {
        let identity = store.identity()?;
        let knowledge = store.knowledge()?;
        let known = store
            .members()?
            .into_iter()
            .any(|(id, _)| id == identity.replica);
        if !known {
            let member = Member {
                name: identity.name.clone(),
                ..Member::default()
            };
            store.set_member(identity.replica, &member)?;
        }
        Ok(Self {
            store,
            identity,
            knowledge,
            is_refused: false,
        })
    }

    /// Says whether the others refuse what is changed here. Then what was here beforehand gives way to equal events of others.
    pub fn set_refused(&mut self, is_refused: bool) {
        self.is_refused = is_refused;
    }

    pub(crate) fn is_refused(&self) -> bool {
        self.is_refused
    }

    /// Who this replica is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Which events it knows of.
    pub fn knowledge(&self) -> &VersionVector {
        &self.knowledge
    }

    /// The store, to read from.
    pub fn store(&self) -> &S {
        &self.store
    }

    /// The store, for what the rules do not touch: durability, manifests, settings.
    pub fn store_mut(&mut self) -> &mut S {
        &mut self.store
    }

    /// Gives the store back.
    pub fn into_store(self) -> S {
        self.store
    }

    /// What is kept of `path`; an empty record if nothing is.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn record(&self, path: &RelPath) -> Result<Record, StoreError> {
        Ok(self.store.record(path)?.unwrap_or_default())
    }

    pub(crate) fn set_identity(&mut self, identity: Identity) -> Result<(), StoreError> {
        self.store.set_identity(&identity)?;
        self.identity = identity;
        Ok(())
    }

    pub(crate) fn learn(&mut self, knowledge: &VersionVector) -> Result<(), StoreError> {
        if !self.knowledge.contains_all(knowledge) {
            self.knowledge.union(knowledge);
            self.store.set_knowledge(&self.knowledge)?;
        }
        Ok(())
    }

    pub(crate) fn limit_knowledge(&mut self, limit: Dot) -> Result<(), StoreError> {
        self.knowledge.limit(limit);
        self.store.set_knowledge(&self.knowledge)
    }

    /// The dot of the next event of this replica. `mark` tells the event from others that might be the next.
    pub(crate) fn next_dot(&mut self, now: Now, mark: u16) -> Result<Dot, StoreError> {
        let clock = now.0.min(CLOCK_MICROSECONDS_MAX);
        self.identity.counter = clock.max(self.identity.counter) + 1 + u64::from(mark);
        self.store.set_identity(&self.identity)?;
        let dot = Dot {
            counter: self.identity.counter,
            replica: self.identity.replica,
        };
        self.knowledge.add(dot);
        self.store.set_knowledge(&self.knowledge)?;
        Ok(dot)
    }

    /// Makes an event of a draft.
    pub(crate) fn mint(
        &mut self,
        now: Now,
        path: &RelPath,
        draft: Draft,
    ) -> Result<Version, StoreError> {
        let dot = self.next_dot(now, mark_of(path, &draft.payload, &draft.metadata))?;
        let Draft {
            context,
            hlc,
            payload,
            metadata,
            stamps,
            base,
            carry,
            conflict_of,
        } = draft;
        let hlc = Hlc(hlc.0.min(CLOCK_MICROSECONDS_MAX / 1000));
        Ok(Version {
            dot,
            context,
            hlc,
            payload,
            metadata,
            stamps,
            base,
            carry,
            conflict_of,
        })
    }

    /// Makes an event and puts it into the entry of `path`.
    pub(crate) fn announce(
        &mut self,
        now: Now,
        path: &RelPath,
        draft: Draft,
    ) -> Result<Dot, StoreError> {
        let version = self.mint(now, path, draft)?;
        let dot = version.dot;
        let mut record = self.record(path)?;
        let mut entry = record.entry.clone();
        entry.insert(version);
        self.change_entry(path, &mut record, entry)?;
        self.write(path, record)?;
        Ok(dot)
    }

    /// Puts a new entry into a record. If what the entry shows changes, the record remembers what the
    /// storage still holds.
    pub(crate) fn change_entry(
        &self,
        path: &RelPath,
        record: &mut Record,
        entry: Entry,
    ) -> Result<(), StoreError> {
        let clean = record
            .local
            .as_ref()
            .is_some_and(|local| local.base.is_none());
        if clean && !shows_the_same(&record.entry, &entry) {
            let base = self.embodied(path, &record.entry)?;
            if let Some(local) = &mut record.local {
                local.base = base.map(Box::new);
            }
        }
        record.entry = entry;
        Ok(())
    }

    /// Writes a record, with its pending mark set as it must be.
    pub(crate) fn write(&mut self, path: &RelPath, mut record: Record) -> Result<(), StoreError> {
        let shown = record.entry.shown();
        if let (Some(local), Some(shown)) = (&mut record.local, &shown)
            && local.base.as_ref().is_some_and(|base| base.is_shown(shown))
        {
            local.base = None;
        }
        let live = shown.as_ref().is_some_and(Shown::is_live);
        let unfinished = record
            .local
            .as_ref()
            .map_or(live, |local| local.base.is_some());
        let calls = unfinished || record.entry.contested_move().is_some();
        record.pending = calls && record.excluded.is_none();
        self.store.set_record(path, &record)
    }

    /// The state that a storage is in when it holds what `entry` shows; `None` if it shows nothing.
    ///
    /// It embodies all versions but the losers that nobody has preserved yet: an edit on top of the
    /// winner does not knowingly replace those.
    pub(crate) fn embodied(
        &self,
        path: &RelPath,
        entry: &Entry,
    ) -> Result<Option<Base>, StoreError> {
        let Some(shown) = entry.shown().filter(Shown::is_live) else {
            return Ok(None);
        };
        let (context, hlc) = self.acknowledged(path, entry, &shown)?;
        Ok(Some(Base {
            context,
            hlc,
            payload: shown.payload().clone(),
            metadata: shown.metadata().clone(),
            stamps: shown.stamps(),
            conflict_of: shown.winner.conflict_of.or_else(|| copied(entry, &shown)),
        }))
    }

    pub(crate) fn acknowledged(
        &self,
        path: &RelPath,
        entry: &Entry,
        shown: &Shown<'_>,
    ) -> Result<(Context, Hlc), StoreError> {
        let mut known: Vec<&Version> = Vec::new();
        for version in entry.versions() {
            let lost = shown.losers.iter().any(|loser| loser.dot == version.dot);
            if !lost || self.preserving_copy(path, version)?.is_some() {
                known.push(version);
            }
        }
        let hlc = known.iter().map(|version| version.hlc).max();
        let context = entry.context_over(&known);
        let hlc = hlc.unwrap_or_default();
        Ok((context, hlc))
    }
}

/// A few bits of what an event says. A state that went back makes other events than before, by a clock that may have gone
/// back as well: they must not have the dots that the lost ones had.
pub(crate) fn mark_of(path: &RelPath, payload: &Payload, metadata: &Metadata) -> u16 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(path.as_bytes());
    hasher.update(&payload.substance().unwrap_or(ContentHash([0; 32])).0);
    hasher.update(payload.moved_to().map_or(b"", |to| to.as_bytes()));
    hasher.update(&metadata.mode.unwrap_or_default().to_le_bytes());
    let mtime = metadata.mtime.unwrap_or_default();
    hasher.update(&mtime.seconds.to_le_bytes());
    hasher.update(&mtime.nanoseconds.to_le_bytes());
    for xattr in metadata.xattrs.iter().flatten() {
        hasher.update(&xattr.name);
        hasher.update(&xattr.value);
    }
    let hash = hasher.finalize();
    u16::from_le_bytes([hash.as_bytes()[0], hash.as_bytes()[1]])
}

/// Whether a storage that holds what one entry shows holds what the other shows.
fn shows_the_same(one: &Entry, other: &Entry) -> bool {
    match (one.shown(), other.shown()) {
        (Some(one), Some(other)) => {
            one.payload() == other.payload() && one.metadata().satisfies(other.metadata())
        }
        (None, None) => true,
        _ => false,
    }
}

/// The loser that a version preserves which holds what the winner holds.
fn copied(entry: &Entry, shown: &Shown<'_>) -> Option<Dot> {
    let substance = shown.payload().substance();
    let mut equal = (entry.versions().iter()).filter(|v| v.payload.substance() == substance);
    equal.find_map(|version| version.conflict_of)
}

impl Base {
    /// Whether this state is what `shown` shows, as far as its aspects are tracked.
    pub(crate) fn is_shown(&self, shown: &Shown<'_>) -> bool {
        self.payload == *shown.payload() && self.metadata.satisfies(shown.metadata())
    }

    /// Whether a storage in this state holds `version`, or what it was carried from. Equal content alone is not
    /// enough: who has it from elsewhere may lose it without knowing of `version`.
    pub(crate) fn embodies(&self, version: &Version) -> bool {
        let knows = |dot: Dot| self.context.covers(dot);
        self.payload.substance() == version.payload.substance()
            && (knows(version.dot) || version.carry.is_some_and(|carry| knows(carry.dot())))
    }
}

impl Metadata {
    /// Whether the two say the same wherever both say something.
    #[must_use]
    pub fn agrees_with(&self, other: &Self) -> bool {
        fn agree<T: PartialEq>(one: &Option<T>, other: &Option<T>) -> bool {
            one.is_none() || other.is_none() || one == other
        }
        agree(&self.mode, &other.mode)
            && agree(&self.mtime, &other.mtime)
            && agree(&self.owner, &other.owner)
            && agree(&self.xattrs, &other.xattrs)
    }

    /// Whether a storage described so is as `wanted` says. What is not known of it has to be brought about.
    pub(crate) fn satisfies(&self, wanted: &Self) -> bool {
        self.agrees_with(wanted) && self.covers(wanted)
    }

    /// Whether this says something of every aspect that `other` speaks of.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        (self.mode.is_some() || other.mode.is_none())
            && (self.mtime.is_some() || other.mtime.is_none())
            && (self.owner.is_some() || other.owner.is_none())
            && (self.xattrs.is_some() || other.xattrs.is_none())
    }

    /// These aspects, with those that are not tracked taken from `other`.
    #[must_use]
    pub fn or(mut self, other: &Self) -> Self {
        self.mode = self.mode.or(other.mode);
        self.mtime = self.mtime.or(other.mtime);
        self.owner = self.owner.or(other.owner);
        self.xattrs = self.xattrs.or_else(|| other.xattrs.clone());
        self
    }
}
