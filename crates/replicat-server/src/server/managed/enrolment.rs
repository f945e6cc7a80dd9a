//! How a node becomes one of its cluster: by a token, once; from then on by what it keeps.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use replicat_manager::{EnrolmentAnswer, EnrolmentRequest, EnrolmentToken};
use replicat_net::{CertificateDer, Identity, NodeKey, ask_manager};
use tokio::time::{Instant, sleep};

use super::cache::{Cache, Kept};
use super::error::ManagedError;
use super::{Managed, State};
use crate::settings::Settings;

/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(20);
/// How long a manager that does not answer is asked again and again.
const PATIENCE: Duration = Duration::from_secs(60);
/// The pauses between attempts: the first, doubled up to the last.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));
/// Below the state of the node lie the folders that nobody named a directory for.
const FOLDERS: &str = "folders";

/// Who the node is, and what it was told last: kept from before, or asked of the manager now.
pub(in crate::server) async fn join(
    settings: &Settings,
    address: String,
) -> Result<(Identity, Managed), ManagedError> {
    if settings.cluster_key.is_some() || settings.cluster_key_file.is_some() {
        return Err(ManagedError::KeyAndManager);
    }
    let directory = node_state(settings)?;
    let folders = match &settings.folders_directory {
        Some(folders) => folders.clone(),
        None => directory.join(FOLDERS),
    };
    let cache = Cache::open(directory.clone())?;
    let identity = match cache.identity()? {
        Some(Kept::Enrolled(identity)) => *identity,
        Some(Kept::Asking(key)) => enrol(settings, &address, &cache, &key).await?,
        None => {
            let key = NodeKey::generate()?;
            cache.keep_key(&key)?;
            enrol(settings, &address, &cache, &key).await?
        }
    };
    check(&identity, settings, &directory)?;
    let assignment = cache.assignment()?;
    let managed = Managed {
        address,
        cache,
        folders,
        state: Mutex::new(State {
            own: settings.clone(),
            assignment,
        }),
    };
    Ok((identity, managed))
}

fn node_state(settings: &Settings) -> Result<PathBuf, ManagedError> {
    settings.node_state.clone().ok_or(ManagedError::NoNodeState)
}

/// What was kept may be another node's, or too old.
fn check(identity: &Identity, settings: &Settings, directory: &Path) -> Result<(), ManagedError> {
    if *identity.name() != settings.node_name() {
        return Err(ManagedError::OtherNode {
            path: directory.to_owned(),
            found: identity.name().clone(),
            wanted: settings.node_name(),
        });
    }
    match identity.expires() <= SystemTime::now() {
        true => Err(ManagedError::Expired {
            path: directory.to_owned(),
            name: identity.name().clone(),
        }),
        false => Ok(()),
    }
}

async fn enrol(
    settings: &Settings,
    address: &str,
    cache: &Cache,
    key: &NodeKey,
) -> Result<Identity, ManagedError> {
    let text = settings.manager_credentials.as_deref();
    let text = text.ok_or(ManagedError::NoCredentials)?;
    let token: EnrolmentToken = text.parse()?;
    let request = EnrolmentRequest {
        token: token.id,
        secret: token.secret.clone(),
        name: settings.node_name(),
        public_key: key.public_key(),
    };
    let (certificate, authority) = ask_patiently(address, &token, &request).await?;
    let chain = vec![certificate.clone()];
    let identity = Identity::from_parts(chain, key.to_der(), authority.clone())?;
    if identity.cluster_id() != token.authority.cluster || *identity.name() != request.name {
        return Err(ManagedError::Refused {
            address: address.to_owned(),
            reason: "the certificate that it gave is of another node or cluster".to_owned(),
        });
    }
    cache.keep_identity(key, &certificate, &authority)?;
    tracing::info!(role = %identity.role(), "the manager has enrolled this node");
    Ok(identity)
}

/// The node's certificate, and the authority's.
type Certificates = (CertificateDer<'static>, CertificateDer<'static>);

/// Asks until there is an answer, or patience is at an end.
async fn ask_patiently(
    address: &str,
    token: &EnrolmentToken,
    request: &EnrolmentRequest,
) -> Result<Certificates, ManagedError> {
    let started = Instant::now();
    let mut pause = PAUSES.0;
    loop {
        let asked = ask_manager(address, &token.authority, &request.encode(), ATTEMPT).await;
        let reason = match asked.map(EnrolmentAnswer::decode) {
            Ok(Ok(EnrolmentAnswer::Granted {
                certificate,
                authority,
            })) => return Ok((certificate, authority)),
            Ok(Ok(EnrolmentAnswer::Refused(reason))) => {
                let address = address.to_owned();
                return Err(ManagedError::Refused { address, reason });
            }
            Ok(Ok(EnrolmentAnswer::Failed(reason))) => reason,
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        if started.elapsed() + pause > PATIENCE {
            let address = address.to_owned();
            return Err(ManagedError::Away { address, reason });
        }
        tracing::warn!(
            address,
            reason,
            "the manager does not enrol this node yet; trying on"
        );
        sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}
