//! What is small and asked for often, held in memory: identity, knowledge, members, totals.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, ControlFlow};

use replicat_core::digest::of_entry;
use replicat_core::id::ReplicaId;
use replicat_core::path::RelPath;
use replicat_core::record::{Holdings, Record};
use replicat_core::store::{Digest, Identity, Member};
use replicat_core::version::VersionVector;

use crate::error::Fault;
use crate::format::bytes::{Input, Writer};
use crate::format::keys::{DirectoryId, ROOT};
use crate::format::rows::{decode_identity, decode_member, encode_identity, encode_member};
use crate::format::v1::{decode_record, decode_vector, encode_vector};
use crate::replicas::Replicas;
use crate::tables::{Direction, Name, OpenTables, Rows};

const IDENTITY: &[u8] = b"identity";
const KNOWLEDGE: &[u8] = b"knowledge";
const TOTALS: &[u8] = b"totals";

/// Sums over all records, and the next directory number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) digest: Digest,
    pub(crate) records: u64,
    pub(crate) pending: u64,
    pub(crate) next_directory: DirectoryId,
    pub(crate) excluded: u64,
    pub(crate) holdings: Holdings,
    pub(crate) departing: Holdings,
}

impl Totals {
    /// Accounts for a path whose record becomes another.
    pub(crate) fn replace(&mut self, path: &RelPath, old: Option<&Record>, new: Option<&Record>) {
        // Most writes are about what the own storage holds, and leave alone what is shared.
        if old.map(|old| &old.entry) != new.map(|new| &new.entry) {
            let digest = |record: Option<&Record>| {
                record.map_or_else(Digest::default, |record| of_entry(path, &record.entry))
            };
            self.digest = self.digest.minus(digest(old)).plus(digest(new));
        }
        let (old, new) = (Counts::of(old), Counts::of(new));
        let change = |total: u64, old: u64, new: u64| total.saturating_sub(old) + new;
        self.records = change(self.records, old.records, new.records);
        self.pending = change(self.pending, old.pending, new.pending);
        self.excluded = change(self.excluded, old.excluded, new.excluded);
        self.holdings = self.holdings.minus(old.holdings).plus(new.holdings);
        self.departing = self.departing.minus(old.departing).plus(new.departing);
    }
}

/// What one record adds to the totals.
#[derive(Default)]
struct Counts {
    records: u64,
    pending: u64,
    excluded: u64,
    holdings: Holdings,
    departing: Holdings,
}

impl Counts {
    fn of(record: Option<&Record>) -> Self {
        record.map_or_else(Self::default, |record| Self {
            records: 1,
            pending: u64::from(record.pending),
            excluded: u64::from(record.excluded.is_some()),
            holdings: record.holdings(),
            departing: record.departing(),
        })
    }
}

/// Which parts of a summary differ from the tables.
#[derive(Default)]
struct Unsaved {
    identity: bool,
    knowledge: bool,
    members: BTreeSet<ReplicaId>,
    /// How many replica numbers the table has.
    replicas_saved: usize,
}

/// The state beside the records.
pub(crate) struct Summary {
    identity: Identity,
    knowledge: VersionVector,
    members: BTreeMap<ReplicaId, Member>,
    pub(crate) replicas: Replicas,
    pub(crate) totals: Totals,
    totals_saved: Option<Totals>,
    unsaved: Unsaved,
}

impl Summary {
    /// The state of a replica that has seen nothing, all of it unsaved.
    pub(crate) fn new(identity: &Identity) -> Self {
        Self {
            identity: identity.clone(),
            knowledge: VersionVector::new(),
            members: BTreeMap::new(),
            replicas: Replicas::default(),
            totals: Totals {
                digest: Digest::default(),
                records: 0,
                pending: 0,
                next_directory: ROOT + 1,
                excluded: 0,
                holdings: Holdings::default(),
                departing: Holdings::default(),
            },
            totals_saved: None,
            unsaved: Unsaved {
                identity: true,
                knowledge: true,
                ..Unsaved::default()
            },
        }
    }

    /// Reads the state back.
    pub(crate) fn load(rows: &impl Rows) -> Result<Self, Fault> {
        let replicas = load_replicas(rows)?;
        let missing = || Fault::damaged("a row of the replica's own state is missing");
        let identity = rows.get(Name::Meta, IDENTITY, decode_identity)?;
        let read_knowledge = |bytes: &[u8]| decode_vector(bytes, &replicas);
        let knowledge = rows.get(Name::Meta, KNOWLEDGE, read_knowledge)?;
        let totals = rows.get(Name::Meta, TOTALS, decode_totals)?;
        let totals = totals.ok_or_else(missing)?;
        Ok(Self {
            identity: identity.ok_or_else(missing)?,
            knowledge: knowledge.ok_or_else(missing)?,
            members: load_members(rows, &replicas)?,
            totals,
            totals_saved: Some(totals),
            unsaved: Unsaved {
                replicas_saved: replicas.ids().len(),
                ..Unsaved::default()
            },
            replicas,
        })
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    pub(crate) fn set_identity(&mut self, identity: &Identity) {
        self.unsaved.identity |= self.identity != *identity;
        self.identity.clone_from(identity);
    }

    pub(crate) fn knowledge(&self) -> &VersionVector {
        &self.knowledge
    }

    pub(crate) fn set_knowledge(&mut self, knowledge: &VersionVector) {
        self.unsaved.knowledge |= self.knowledge != *knowledge;
        self.knowledge.clone_from(knowledge);
    }

    pub(crate) fn members(&self) -> &BTreeMap<ReplicaId, Member> {
        &self.members
    }

    pub(crate) fn set_member(&mut self, replica: ReplicaId, member: &Member) {
        if self.members.get(&replica) != Some(member) {
            self.members.insert(replica, member.clone());
            self.unsaved.members.insert(replica);
        }
    }

    /// Whether the tables say all this.
    pub(crate) fn is_saved(&self) -> bool {
        !self.unsaved.identity
            && !self.unsaved.knowledge
            && self.unsaved.members.is_empty()
            && self.totals_saved == Some(self.totals)
            && self.unsaved.replicas_saved == self.replicas.ids().len()
    }

    /// Writes what the tables do not say yet.
    pub(crate) fn save(&mut self, tables: &mut OpenTables<'_>) -> Result<(), Fault> {
        if self.unsaved.identity {
            tables.put(Name::Meta, IDENTITY, &encode_identity(&self.identity))?;
        }
        if self.unsaved.knowledge {
            let row = encode_vector(&self.knowledge, &mut self.replicas);
            tables.put(Name::Meta, KNOWLEDGE, &row)?;
        }
        if self.totals_saved != Some(self.totals) {
            tables.put(Name::Meta, TOTALS, &encode_totals(&self.totals))?;
        }
        for replica in &self.unsaved.members {
            if let Some(member) = self.members.get(replica) {
                let row = encode_member(member, &mut self.replicas);
                tables.put(Name::Members, &replica.0.to_be_bytes(), &row)?;
            }
        }
        // Last, since all of the above may have given numbers.
        self.save_replicas(tables)?;
        self.totals_saved = Some(self.totals);
        self.unsaved = Unsaved {
            replicas_saved: self.replicas.ids().len(),
            ..Unsaved::default()
        };
        Ok(())
    }

    fn save_replicas(&self, tables: &mut OpenTables<'_>) -> Result<(), Fault> {
        let unsaved = self.replicas.ids().iter().zip(0_u32..);
        for (replica, number) in unsaved.skip(self.unsaved.replicas_saved) {
            let key = number.to_be_bytes();
            tables.put(Name::Replicas, &key, &replica.0.to_be_bytes())?;
        }
        Ok(())
    }
}

const ALL: (Bound<&[u8]>, Bound<&[u8]>) = (Bound::Unbounded, Bound::Unbounded);

fn load_replicas(rows: &impl Rows) -> Result<Replicas, Fault> {
    let mut replicas = Replicas::default();
    rows.scan(
        Name::Replicas,
        ALL,
        Direction::Forwards,
        &mut |key, value| {
            let number = u32::from_be_bytes(Input::new(key).array()?);
            let id = ReplicaId(u64::from_be_bytes(Input::new(value).array()?));
            if replicas.number(id) != number {
                return Err(Fault::damaged("replica numbers have a gap"));
            }
            Ok(ControlFlow::Continue(()))
        },
    )?;
    Ok(replicas)
}

fn load_members(
    rows: &impl Rows,
    replicas: &Replicas,
) -> Result<BTreeMap<ReplicaId, Member>, Fault> {
    let mut members = BTreeMap::new();
    rows.scan(
        Name::Members,
        ALL,
        Direction::Forwards,
        &mut |key, value| {
            let id = ReplicaId(u64::from_be_bytes(Input::new(key).array()?));
            members.insert(id, decode_member(value, replicas)?);
            Ok(ControlFlow::Continue(()))
        },
    )?;
    Ok(members)
}

fn encode_totals(totals: &Totals) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.raw(&totals.digest.0.to_le_bytes());
    writer.varint(totals.records);
    writer.varint(totals.pending);
    writer.varint(u64::from(totals.next_directory));
    writer.varint(totals.excluded);
    for Holdings { files, bytes } in [totals.holdings, totals.departing] {
        writer.varint(files);
        writer.varint(bytes);
    }
    writer.0
}

fn decode_totals(bytes: &[u8]) -> Result<Totals, Fault> {
    let mut input = Input::new(bytes);
    let totals = Totals {
        digest: Digest(u128::from_le_bytes(input.array()?)),
        records: input.varint()?,
        pending: input.varint()?,
        next_directory: input.varint_u32()?,
        excluded: input.varint()?,
        holdings: decode_holdings(&mut input)?,
        departing: decode_holdings(&mut input)?,
    };
    input.end()?;
    Ok(totals)
}

fn decode_holdings(input: &mut Input<'_>) -> Result<Holdings, Fault> {
    Ok(Holdings {
        files: input.varint()?,
        bytes: input.varint()?,
    })
}

/// Counts what formats before 3 did not count, and writes the totals again.
pub(crate) fn count_holdings(tables: &mut OpenTables<'_>) -> Result<(), Fault> {
    let replicas = load_replicas(tables)?;
    let totals = tables.get(Name::Meta, TOTALS, |row| Ok(row.to_vec()))?;
    let mut totals = totals.ok_or_else(|| Fault::damaged("it has no totals"))?;
    // Nothing is excluded yet, and nothing counted.
    totals.extend([0; 5]);
    let mut totals = decode_totals(&totals)?;
    tables.scan(Name::Entries, ALL, Direction::Forwards, &mut |_, row| {
        let record = decode_record(row, &replicas)?;
        totals.holdings = totals.holdings.plus(record.holdings());
        totals.departing = totals.departing.plus(record.departing());
        Ok(ControlFlow::Continue(()))
    })?;
    tables.put(Name::Meta, TOTALS, &encode_totals(&totals))
}
