//! Where the state is kept: an object store, changed on condition only.
//!
//! Each generation of the state is an object of its own, which is created and never replaced: to create an object on
//! condition that it is not there is what every store can do, a local directory included. See `docs/manager.md`.

use std::sync::Arc;
use std::time::Duration;

use object_store::path::Path;
use object_store::{Error, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode};
use replicat_net::ClusterKey;
use tokio::time::timeout;

use crate::error::{ManagerError, Refusal};
use crate::format;
use crate::sighting::Sightings;
use crate::state::State;

/// Where the cluster key is.
const AUTHORITY: &str = "authority";
/// Where the generations are.
const STATES: &str = "state";
/// Where it is that nodes were seen.
const SIGHTINGS: &str = "seen";
/// Digits of a generation in its name, so that names sort as numbers do.
const GENERATION_DIGITS: usize = 20;
/// How many generations are kept at the least.
const GENERATIONS_KEPT: usize = 16;
/// A generation is deleted only if it is older than the newest by this, far more than a change may take: a writer that is
/// late must find the object that it wants to create.
const GENERATION_AGE: Duration = Duration::from_secs(3600);
/// How long a change may take, others being faster again and again included.
const CHANGE_DEADLINE: Duration = Duration::from_secs(30);

/// A state, and the number of its generation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Grows with every change, from 0, the empty state that nobody has written.
    pub generation: u64,
    /// The state.
    pub state: State,
}

/// The store of one manager, or of several that share it.
#[derive(Clone, Debug)]
pub(crate) struct StateStore {
    objects: Arc<dyn ObjectStore>,
}

impl StateStore {
    pub(crate) fn new(objects: Arc<dyn ObjectStore>) -> Self {
        Self { objects }
    }

    /// The cluster key: the one that is kept, or else `given`, or else a new one, which is kept from now on.
    pub(crate) async fn cluster_key(
        &self,
        given: Option<ClusterKey>,
    ) -> Result<ClusterKey, ManagerError> {
        let location = Path::from(AUTHORITY);
        if let Some(bytes) = self.read(&location).await? {
            return same(format::decode_authority(AUTHORITY, &bytes)?, given);
        }
        let key = match given.clone() {
            Some(key) => key,
            None => ClusterKey::generate()?,
        };
        match self
            .create(&location, format::encode_authority(&key).to_vec())
            .await?
        {
            Created::Now => Ok(key),
            // Another manager starts at the same moment.
            Created::Before => {
                let bytes = self.read(&location).await?.unwrap_or_default();
                same(format::decode_authority(AUTHORITY, &bytes)?, given)
            }
        }
    }

    /// The state as it is now.
    pub(crate) async fn load(&self) -> Result<Snapshot, ManagerError> {
        // A generation that is listed can be deleted before it is read, if a newer one is there.
        loop {
            let Some((generation, meta)) = self.generations().await?.pop() else {
                return Ok(Snapshot {
                    generation: 0,
                    state: State::default(),
                });
            };
            if let Some(bytes) = self.read(&meta.location).await? {
                let state = format::decode_state(meta.location.as_ref(), &bytes)?;
                return Ok(Snapshot { generation, state });
            }
        }
    }

    /// Changes the state. `change` is run again whenever somebody else was faster.
    pub(crate) async fn change<T>(
        &self,
        change: impl FnMut(&mut State) -> Result<T, Refusal>,
    ) -> Result<(Snapshot, T), ManagerError> {
        let changing = timeout(CHANGE_DEADLINE, self.change_at_last(change));
        let late = |_| ManagerError::Deadline(CHANGE_DEADLINE.as_secs());
        let (snapshot, outcome) = changing.await.map_err(late)??;
        // What is left over costs a little room, and the next change tries again.
        if let Err(error) = self.prune().await {
            tracing::warn!(%error, "old generations of the manager's state were not deleted");
        }
        Ok((snapshot, outcome))
    }

    async fn change_at_last<T>(
        &self,
        mut change: impl FnMut(&mut State) -> Result<T, Refusal>,
    ) -> Result<(Snapshot, T), ManagerError> {
        loop {
            let Snapshot { generation, state } = self.load().await?;
            let mut changed = state.clone();
            let outcome = change(&mut changed)?;
            if changed == state {
                return Ok((Snapshot { generation, state }, outcome));
            }
            let next = Snapshot {
                generation: generation + 1,
                state: changed,
            };
            let bytes = format::encode_state(&next.state);
            match self.create(&location(next.generation), bytes).await? {
                Created::Now => return Ok((next, outcome)),
                Created::Before => {}
            }
        }
    }

    /// Replaces what is known of the nodes: nothing is decided by it.
    pub(crate) async fn save_sightings(&self, sightings: &Sightings) -> Result<(), ManagerError> {
        let location = Path::from(SIGHTINGS);
        let bytes = format::encode_sightings(sightings);
        let saved = self.objects.put(&location, bytes.into()).await;
        saved.map_err(|source| failed("write", &location, source))?;
        Ok(())
    }

    pub(crate) async fn load_sightings(&self) -> Result<Option<Sightings>, ManagerError> {
        let bytes = self.read(&Path::from(SIGHTINGS)).await?;
        let decode = |bytes: Vec<u8>| format::decode_sightings(SIGHTINGS, &bytes);
        bytes.map(decode).transpose()
    }

    /// The generations that there are, in order.
    async fn generations(&self) -> Result<Vec<(u64, ObjectMeta)>, ManagerError> {
        let prefix = Path::from(STATES);
        let listed = match self.objects.list_with_delimiter(Some(&prefix)).await {
            Ok(listed) => listed.objects,
            Err(Error::NotFound { .. }) => Vec::new(),
            Err(source) => return Err(failed("list", &prefix, source)),
        };
        let mut generations: Vec<_> = listed
            .into_iter()
            .filter_map(|meta| Some((generation(&meta.location)?, meta)))
            .collect();
        generations.sort_by_key(|(generation, _)| *generation);
        Ok(generations)
    }

    async fn prune(&self) -> Result<(), ManagerError> {
        let generations = self.generations().await?;
        let Some((_, newest)) = generations.last() else {
            return Ok(());
        };
        let spare = generations.len().saturating_sub(GENERATIONS_KEPT);
        for (_, meta) in &generations[..spare] {
            let age = (newest.last_modified - meta.last_modified).to_std();
            if age.is_ok_and(|age| age > GENERATION_AGE) {
                self.delete(&meta.location).await?;
            }
        }
        Ok(())
    }

    async fn read(&self, location: &Path) -> Result<Option<Vec<u8>>, ManagerError> {
        let found = match self.objects.get(location).await {
            Ok(found) => found,
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(source) => return Err(failed("read", location, source)),
        };
        let bytes = found.bytes().await;
        let bytes = bytes.map_err(|source| failed("read", location, source))?;
        Ok(Some(bytes.to_vec()))
    }

    async fn create(&self, location: &Path, bytes: Vec<u8>) -> Result<Created, ManagerError> {
        let created = self
            .objects
            .put_opts(location, bytes.into(), PutMode::Create.into())
            .await;
        match created {
            Ok(_) => Ok(Created::Now),
            Err(Error::AlreadyExists { .. }) => Ok(Created::Before),
            Err(source) => Err(failed("create", location, source)),
        }
    }

    async fn delete(&self, location: &Path) -> Result<(), ManagerError> {
        match self.objects.delete(location).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(source) => Err(failed("delete", location, source)),
        }
    }
}

/// Whether an object was created.
enum Created {
    Now,
    /// It was there already.
    Before,
}

fn same(kept: ClusterKey, given: Option<ClusterKey>) -> Result<ClusterKey, ManagerError> {
    match given {
        Some(given) if given != kept => Err(ManagerError::OtherCluster {
            found: kept.cluster_id()?.to_string(),
            given: given.cluster_id()?.to_string(),
        }),
        _ => Ok(kept),
    }
}

fn location(generation: u64) -> Path {
    Path::from(format!("{STATES}/{generation:0GENERATION_DIGITS$}"))
}

/// The generation that an object holds; `None` if somebody put something else there.
fn generation(location: &Path) -> Option<u64> {
    let name = location.filename()?;
    let is_plain =
        name.len() == GENERATION_DIGITS && name.bytes().all(|byte| byte.is_ascii_digit());
    name.parse().ok().filter(|_| is_plain)
}

fn failed(action: &'static str, location: &Path, source: Error) -> ManagerError {
    ManagerError::Store {
        action,
        object: location.to_string(),
        source,
    }
}
