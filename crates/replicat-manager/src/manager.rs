//! The manager itself: an authority, and a state that it changes.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use replicat_core::name::FolderName;
use replicat_net::{
    Authority, AuthorityPin, CertificateDer, ClusterKey, EnrolmentId, Identity, IdentityError,
    NodeName, PeerIdentity, Role,
};
use tokio::sync::watch;

use crate::desired::PlacementMode;
use crate::directory;
use crate::error::{ManagerError, RandomError, Refusal};
use crate::sighting::Sightings;
use crate::state::{EnrolmentRequest, State, TokenOrder, Validity};
use crate::store::{Snapshot, StateStore};
use crate::token::{EnrolmentToken, TokenId, TokenSecret};

/// How long the certificate of an enrolled node is valid. The node asks for the next after a third of it, so that the
/// manager may be away for the other two.
pub const CERTIFICATE_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// The name that the manager has towards nodes, which no node is given.
pub const MANAGER_NAME: &str = "manager";

/// The manager of a cluster. Any number of them may share a state: each change is made on the newest.
///
/// ```
/// use std::sync::Arc;
/// use std::time::{Duration, SystemTime};
/// use object_store::memory::InMemory;
/// use replicat_manager::{EnrolmentRequest, Manager, TokenOrder};
/// use replicat_net::{NodeKey, Role};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let manager = Manager::open(Arc::new(InMemory::new()), None).await?;
/// let order = TokenOrder {
///     role: Role::ReadOnly,
///     node: None,
///     lifetime: Duration::from_secs(3600),
/// };
/// let now = SystemTime::now();
/// let token = manager.create_token(&order, now).await?;
///
/// let key = NodeKey::generate()?;
/// let request = EnrolmentRequest {
///     token: token.id,
///     secret: token.secret,
///     name: "nas".parse()?,
///     public_key: key.public_key(),
/// };
/// let certified = manager.enrol(&request, now).await?;
/// assert_eq!(certified.identity.role, Role::ReadOnly);
/// assert_eq!(manager.snapshot().state.roster.members.len(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Manager {
    authority: Authority,
    pin: AuthorityPin,
    certificate_lifetime: Duration,
    store: StateStore,
    newest: watch::Sender<Arc<Snapshot>>,
}

/// A certificate that was given, and to whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certified {
    /// Who its holder is.
    pub identity: PeerIdentity,
    /// The certificate.
    pub certificate: CertificateDer<'static>,
}

impl Manager {
    /// Opens the state in an object store. A state that is not there yet is begun, with the cluster key that is given or a
    /// new one.
    ///
    /// # Errors
    /// If the store fails, the state is damaged or of a newer format, or it is of a cluster with another key.
    pub async fn open(
        objects: Arc<dyn ObjectStore>,
        key: Option<ClusterKey>,
    ) -> Result<Self, ManagerError> {
        let store = StateStore::new(objects);
        let authority = store.cluster_key(key).await?.authority()?;
        let snapshot = store.load().await?;
        Ok(Self {
            pin: authority.pin()?,
            authority,
            certificate_lifetime: CERTIFICATE_LIFETIME,
            store,
            newest: watch::Sender::new(Arc::new(snapshot)),
        })
    }

    /// As [`Manager::open`], in a local directory, which is created for its owner alone if it does not exist.
    ///
    /// # Errors
    /// As [`Manager::open`], or if the directory cannot be used, or others may read it.
    pub async fn open_directory(
        path: &Path,
        key: Option<ClusterKey>,
    ) -> Result<Self, ManagerError> {
        directory::prepare(path)?;
        let objects =
            LocalFileSystem::new_with_prefix(path).map_err(|source| ManagerError::Store {
                action: "open",
                object: path.display().to_string(),
                source,
            })?;
        Self::open(Arc::new(objects.with_fsync(true)), key).await
    }

    /// Has the certificates of nodes last as long as this, in place of [`CERTIFICATE_LIFETIME`].
    #[must_use]
    pub fn with_certificate_lifetime(mut self, lifetime: Duration) -> Self {
        self.certificate_lifetime = lifetime;
        self
    }

    /// The authority that signs the certificates of the cluster.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// A certificate for the manager itself, for good.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn identity(&self) -> Result<Identity, IdentityError> {
        Identity::issue_for_good(&self.authority, manager_name(), Role::Manager)
    }

    /// The state as it was known last.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.newest.borrow().clone()
    }

    /// Tells of every newer state that becomes known.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.newest.subscribe()
    }

    /// Reads the state anew: somebody else may have changed it.
    ///
    /// # Errors
    /// If the store fails, or the state cannot be read.
    pub async fn refresh(&self) -> Result<Arc<Snapshot>, ManagerError> {
        let snapshot = self.store.load().await?;
        self.publish(snapshot);
        Ok(self.snapshot())
    }

    /// Makes a token. This is the only time that it can be seen.
    ///
    /// # Errors
    /// If it cannot be made, or the state cannot be changed.
    pub async fn create_token(
        &self,
        order: &TokenOrder,
        now: SystemTime,
    ) -> Result<EnrolmentToken, ManagerError> {
        let id = TokenId(random()?);
        let secret = TokenSecret::generate()?;
        let hash = secret.hash();
        self.change(|state| state.add_token(id, hash, order, now))
            .await?;
        Ok(EnrolmentToken {
            authority: self.pin,
            id,
            secret,
        })
    }

    /// Takes a token back.
    ///
    /// # Errors
    /// If there is none, or the state cannot be changed.
    pub async fn remove_token(&self, id: TokenId) -> Result<(), ManagerError> {
        self.change(|state| state.remove_token(id)).await
    }

    /// Lets a node in that holds a token.
    ///
    /// # Errors
    /// If the token is not good for it, or the state cannot be changed.
    pub async fn enrol(
        &self,
        request: &EnrolmentRequest,
        now: SystemTime,
    ) -> Result<Certified, ManagerError> {
        if request.name == manager_name() {
            let name = request.name.clone();
            return Err(Refusal::NameTaken { name }.into());
        }
        let validity = self.validity(now)?;
        // The key first: a token is not used up for one that cannot be certified.
        let probe = PeerIdentity {
            name: request.name.clone(),
            role: Role::ReadOnly,
            enrolment: None,
        };
        self.certify(&request.public_key, probe, validity)?;
        let enrolment = EnrolmentId(random()?);
        let identity = self
            .change(|state| state.enrol(request, enrolment, validity))
            .await?;
        self.certify(&request.public_key, identity, validity)
    }

    /// Gives an enrolled node another certificate.
    ///
    /// # Errors
    /// If it is not enrolled any more, or the state cannot be changed.
    pub async fn renew(
        &self,
        peer: &PeerIdentity,
        public_key: &[u8],
        now: SystemTime,
    ) -> Result<Certified, ManagerError> {
        let validity = self.validity(now)?;
        let enrolment = enrolment(peer)?;
        let identity = self
            .change(|state| state.renew(&peer.name, enrolment, validity))
            .await?;
        self.certify(public_key, identity, validity)
    }

    /// Notes where others reach an enrolled node.
    ///
    /// # Errors
    /// If it is not enrolled, or the state cannot be changed.
    pub async fn set_address(
        &self,
        peer: &PeerIdentity,
        address: Option<String>,
    ) -> Result<(), ManagerError> {
        let enrolment = enrolment(peer)?;
        self.change(|state| state.set_address(&peer.name, enrolment, address.clone()))
            .await
    }

    /// Removes a node: its certificates are not good any more.
    ///
    /// # Errors
    /// If it is not enrolled, or the state cannot be changed.
    pub async fn remove_node(&self, name: &NodeName, now: SystemTime) -> Result<(), ManagerError> {
        self.change(|state| state.remove_node(name, now)).await
    }

    /// Has a node keep a folder.
    ///
    /// # Errors
    /// If it is not enrolled, or the state cannot be changed.
    pub async fn place(
        &self,
        folder: &FolderName,
        node: &NodeName,
        mode: PlacementMode,
    ) -> Result<(), ManagerError> {
        self.change(|state| state.place(folder.clone(), node.clone(), mode))
            .await
    }

    /// Has a node keep a folder no more.
    ///
    /// # Errors
    /// If it was not to keep it, or the state cannot be changed.
    pub async fn withdraw(&self, folder: &FolderName, node: &NodeName) -> Result<(), ManagerError> {
        self.change(|state| state.withdraw(folder, node)).await
    }

    /// Writes down how the nodes stand.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn save_sightings(&self, sightings: &Sightings) -> Result<(), ManagerError> {
        self.store.save_sightings(sightings).await
    }

    /// How the nodes stood when it was written down last; `None` if it never was.
    ///
    /// # Errors
    /// If the store fails, or what is there cannot be read.
    pub async fn load_sightings(&self) -> Result<Option<Sightings>, ManagerError> {
        self.store.load_sightings().await
    }

    async fn change<T>(
        &self,
        change: impl FnMut(&mut State) -> Result<T, Refusal>,
    ) -> Result<T, ManagerError> {
        let (snapshot, outcome) = self.store.change(change).await?;
        self.publish(snapshot);
        Ok(outcome)
    }

    /// Changes may end in another order than they were made.
    fn publish(&self, snapshot: Snapshot) {
        self.newest.send_if_modified(|newest| {
            let is_newer = snapshot.generation > newest.generation;
            if is_newer {
                *newest = Arc::new(snapshot);
            }
            is_newer
        });
    }

    fn validity(&self, now: SystemTime) -> Result<Validity, ManagerError> {
        let until = now.checked_add(self.certificate_lifetime);
        let until = until.ok_or(replicat_net::AuthorityError::Time)?;
        Ok(Validity { now, until })
    }

    fn certify(
        &self,
        public_key: &[u8],
        identity: PeerIdentity,
        validity: Validity,
    ) -> Result<Certified, ManagerError> {
        let certificate = self.authority.certify(
            public_key,
            &identity,
            validity.now,
            self.certificate_lifetime,
        )?;
        Ok(Certified {
            identity,
            certificate,
        })
    }
}

/// A node that issued its certificate itself, by the cluster key, was not enrolled.
fn enrolment(peer: &PeerIdentity) -> Result<EnrolmentId, Refusal> {
    peer.enrolment.ok_or_else(|| Refusal::NotEnrolled {
        name: peer.name.clone(),
    })
}

fn manager_name() -> NodeName {
    match MANAGER_NAME.parse() {
        Ok(name) => name,
        Err(_) => unreachable!("a plain word names a node"),
    }
}

fn random() -> Result<u64, RandomError> {
    getrandom::u64().map_err(|_| RandomError)
}
