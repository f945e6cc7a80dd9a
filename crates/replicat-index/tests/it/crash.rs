//! Power is lost after any number of writes to the disk, and of those not yet flushed any survive: the
//! index is then as of some commit, and none that was durable is lost.

use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex};

use proptest::collection::vec;
use proptest::prelude::*;
use redb::StorageBackend;
use replicat_core::memory::MemoryStore;
use replicat_core::path::RelPath;
use replicat_core::record::Record;
use replicat_core::store::Store;
use replicat_index::{Durability, Index, IndexError};

use crate::generate::{PATHS, any_path, identity, path, record, record_at};

#[derive(Debug)]
enum Write {
    Bytes(u64, Vec<u8>),
    Length(u64),
}

impl Write {
    fn apply(&self, image: &mut Vec<u8>) {
        match self {
            Self::Bytes(offset, bytes) => {
                let offset = usize::try_from(*offset).unwrap();
                let end = offset + bytes.len();
                image.resize(image.len().max(end), 0);
                image[offset..end].copy_from_slice(bytes);
            }
            Self::Length(length) => image.resize(usize::try_from(*length).unwrap(), 0),
        }
    }
}

#[derive(Debug, Default)]
struct State {
    /// What a loss of power cannot take away.
    durable: Vec<u8>,
    /// What the process reads.
    live: Vec<u8>,
    /// The writes between the two.
    unflushed: Vec<Write>,
    /// How many more writes succeed.
    writes_left: u64,
}

/// A disk that refuses all writes after a number of them.
#[derive(Clone, Debug, Default)]
struct Disk(Arc<Mutex<State>>);

impl Disk {
    fn new(image: Vec<u8>, writes_left: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            durable: image.clone(),
            live: image,
            unflushed: Vec::new(),
            writes_left,
        })))
    }

    fn write_one(&self, write: Write) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        let left = state.writes_left.checked_sub(1);
        state.writes_left = left.ok_or(ErrorKind::StorageFull)?;
        write.apply(&mut state.live);
        state.unflushed.push(write);
        Ok(())
    }

    /// What is left after a loss of power, if `survives` says which unflushed writes made it.
    fn after_power_loss(&self, survives: &[bool]) -> Vec<u8> {
        let mut state = self.0.lock().unwrap();
        let mut image = std::mem::take(&mut state.durable);
        let fates = survives.iter().cycle();
        for (write, survives) in state.unflushed.iter().zip(fates) {
            if *survives || matches!(write, Write::Length(_)) {
                write.apply(&mut image);
            }
        }
        image
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().live.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.0.lock().unwrap();
        let offset = usize::try_from(offset).unwrap();
        let bytes = state.live.get(offset..offset + out.len());
        out.copy_from_slice(bytes.ok_or(ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.write_one(Write::Length(length))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        if state.writes_left == 0 {
            return Err(ErrorKind::StorageFull.into());
        }
        state.durable = state.live.clone();
        state.unflushed.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.write_one(Write::Bytes(offset, data.to_vec()))
    }
}

type Batch = (Vec<(RelPath, Record)>, Durability);

fn batch() -> impl Strategy<Value = Batch> {
    let row = (any_path(), record()).prop_map(|(path, record)| {
        let record = record_at(&path, record);
        (path, record)
    });
    let durability = prop_oneof![3 => Just(Durability::Group), 1 => Just(Durability::None)];
    (vec(row, 1..6), durability)
}

fn memory() -> MemoryStore {
    let identity = identity();
    MemoryStore::new(identity.folder, identity.replica, &identity.name)
}

fn is_same(index: &Index, expected: &MemoryStore) -> bool {
    index.record_count().unwrap() == expected.record_count().unwrap()
        && index.digest().unwrap() == expected.digest().unwrap()
        && index.pending(None, 100).unwrap() == expected.pending(None, 100).unwrap()
        && PATHS
            .iter()
            .all(|text| index.record(&path(text)).unwrap() == expected.record(&path(text)).unwrap())
}

/// The states a crash may leave, and whether the disk gave out before all batches were written.
fn write_until_failure(disk: Disk, batches: &[Batch]) -> (Vec<MemoryStore>, Option<IndexError>) {
    let mut allowed = vec![memory()];
    let mut index = match Index::with_backend(disk, &identity()) {
        Ok(index) => index,
        Err(error) => return (allowed, Some(error)),
    };
    for (rows, durability) in batches {
        let mut next = allowed.last().unwrap().clone();
        for (path, record) in rows {
            index.set_record(path, record).unwrap();
            next.set_record(path, record).unwrap();
        }
        allowed.push(next);
        if let Err(error) = index.commit(*durability) {
            assert!(matches!(
                index.commit(Durability::Group),
                Err(IndexError::Failed { .. })
            ));
            return (allowed, Some(error));
        }
        if *durability == Durability::Group {
            allowed.drain(..allowed.len() - 1);
        }
    }
    (allowed, None)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn a_crash_leaves_the_state_of_some_commit_and_no_durable_one_is_lost(
        batches in vec(batch(), 1..8),
        writes in 1..120_u64,
        survives in vec(any::<bool>(), 1..32),
    ) {
        let empty = Disk::new(Vec::new(), u64::MAX);
        drop(Index::with_backend(empty.clone(), &identity()).unwrap());
        let disk = Disk::new(empty.after_power_loss(&[]), writes);
        let (allowed, failure) = write_until_failure(disk.clone(), &batches);
        if let Some(failure) = failure {
            prop_assert!(failure.is_disk_full(), "{failure}");
        }
        let image = disk.after_power_loss(&survives);
        let index = Index::with_backend(Disk::new(image, u64::MAX), &identity()).unwrap();
        prop_assert!(allowed.iter().any(|expected| is_same(&index, expected)));
    }
}
