//! What a node with a manager keeps: who it is, and what it was told last. Laid down in `docs/manager.md`.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::str::FromStr;

use replicat_manager::Assignment;
use replicat_net::{CertificateDer, Identity, NodeKey, PrivateKeyDer};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::control::json::{from_hexadecimal, hexadecimal};

/// The newest format of each file.
const FORMAT: u32 = 1;
const IDENTITY: &str = "identity.json";
const ASSIGNMENT: &str = "assignment.json";

/// Why what a node keeps cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The system refused something.
    #[error("could not {action} {}: {source}", path.display())]
    System {
        /// What was being done, as a verb.
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file is damaged, or of a newer program.
    #[error(
        "{} cannot be used: {problem}; move it away to have the node enrolled again with a new token",
        path.display()
    )]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

/// The directory in which a node keeps that.
pub(super) struct Cache {
    directory: PathBuf,
}

/// Who a node is, or is about to become.
pub(super) enum Kept {
    /// It has asked, or was about to, for a certificate of this key.
    Asking(NodeKey),
    /// It was enrolled.
    Enrolled(Box<Identity>),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct IdentityFile {
    format: u32,
    /// PKCS #8, in hexadecimal, as what follows.
    key: String,
    certificate: Option<String>,
    authority: Option<String>,
}

impl Drop for IdentityFile {
    fn drop(&mut self) {
        drop(Zeroizing::new(std::mem::take(&mut self.key)));
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AssignmentFile {
    format: u32,
    generation: u64,
    peers: BTreeMap<String, String>,
    revoked: Vec<String>,
    folders: BTreeMap<String, String>,
}

impl Cache {
    /// Creates the directory, for its owner alone, if it does not exist.
    pub(super) fn open(directory: PathBuf) -> Result<Self, CacheError> {
        let mut builder = DirBuilder::new();
        let created = builder.recursive(true).mode(0o700).create(&directory);
        created.map_err(|source| CacheError::System {
            action: "create",
            path: directory.clone(),
            source,
        })?;
        Ok(Self { directory })
    }

    /// Who the node is; `None` if it never was anybody.
    pub(super) fn identity(&self) -> Result<Option<Kept>, CacheError> {
        let Some(file) = self.read::<IdentityFile>(IDENTITY)? else {
            return Ok(None);
        };
        let kept = kept(&file).map_err(|problem| self.unusable(IDENTITY, problem))?;
        Ok(Some(kept))
    }

    /// Keeps a key before it is certified: should the answer get lost, it is asked for again with the same key.
    pub(super) fn keep_key(&self, key: &NodeKey) -> Result<(), CacheError> {
        self.keep(key, None)
    }

    /// Keeps a certificate, together with its key.
    pub(super) fn keep_identity(
        &self,
        key: &NodeKey,
        certificate: &CertificateDer<'_>,
        authority: &CertificateDer<'_>,
    ) -> Result<(), CacheError> {
        self.keep(key, Some((certificate, authority)))
    }

    fn keep(
        &self,
        key: &NodeKey,
        certified: Option<(&CertificateDer<'_>, &CertificateDer<'_>)>,
    ) -> Result<(), CacheError> {
        let file = IdentityFile {
            format: FORMAT,
            key: hexadecimal(key.to_der().secret_der()),
            certificate: certified.map(|(certificate, _)| hexadecimal(certificate)),
            authority: certified.map(|(_, authority)| hexadecimal(authority)),
        };
        self.write(IDENTITY, &file)
    }

    /// What the node was told last; nothing if it never was told anything.
    pub(super) fn assignment(&self) -> Result<Assignment, CacheError> {
        let Some(file) = self.read::<AssignmentFile>(ASSIGNMENT)? else {
            return Ok(Assignment::default());
        };
        assignment(&file).map_err(|problem| self.unusable(ASSIGNMENT, problem))
    }

    /// Keeps what the node was told.
    pub(super) fn keep_assignment(&self, assignment: &Assignment) -> Result<(), CacheError> {
        let peers = assignment.peers.iter();
        let folders = assignment.folders.iter();
        let file = AssignmentFile {
            format: FORMAT,
            generation: assignment.generation,
            peers: peers
                .map(|(name, address)| (name.to_string(), address.clone()))
                .collect(),
            revoked: assignment.revoked.iter().map(ToString::to_string).collect(),
            folders: folders
                .map(|(folder, mode)| (folder.to_string(), mode.to_string()))
                .collect(),
        };
        self.write(ASSIGNMENT, &file)
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, CacheError> {
        let path = self.directory.join(name);
        let text = match fs::read(&path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                let action = "read";
                return Err(CacheError::System {
                    action,
                    path,
                    source,
                });
            }
        };
        let value: serde_json::Value = serde_json::from_slice(&text)
            .map_err(|error| self.unusable(name, error.to_string()))?;
        match value["format"].as_u64() {
            Some(format) if format > u64::from(FORMAT) => {
                let problem = format!("format {format} is of a newer program than this one");
                Err(self.unusable(name, problem))
            }
            _ => serde_json::from_value(value)
                .map(Some)
                .map_err(|error| self.unusable(name, error.to_string())),
        }
    }

    /// Replaces a file whole, and sees that it lasts.
    fn write(&self, name: &str, file: &impl Serialize) -> Result<(), CacheError> {
        let path = self.directory.join(name);
        let written = || -> io::Result<()> {
            let text = Zeroizing::new(serde_json::to_vec_pretty(file)?);
            let fresh = path.with_extension("new");
            let mut options = File::options();
            options.write(true).create(true).truncate(true).mode(0o600);
            let mut file = options.open(&fresh)?;
            file.write_all(&text)?;
            file.sync_all()?;
            fs::rename(&fresh, &path)?;
            File::open(&self.directory)?.sync_all()
        };
        written().map_err(|source| CacheError::System {
            action: "write",
            path: path.clone(),
            source,
        })
    }

    fn unusable(&self, name: &str, problem: String) -> CacheError {
        CacheError::Unusable {
            path: self.directory.join(name),
            problem,
        }
    }
}

fn kept(file: &IdentityFile) -> Result<Kept, String> {
    let key = bytes("key", &file.key)?;
    let key = PrivateKeyDer::try_from(key).map_err(|error| format!("key: {error}"))?;
    let (Some(certificate), Some(authority)) = (&file.certificate, &file.authority) else {
        let key = NodeKey::from_der(&key).map_err(|error| format!("key: {error}"))?;
        return Ok(Kept::Asking(key));
    };
    let chain = vec![bytes("certificate", certificate)?.into()];
    let identity = Identity::from_parts(chain, key, bytes("authority", authority)?.into());
    identity
        .map(|identity| Kept::Enrolled(Box::new(identity)))
        .map_err(|error| error.to_string())
}

fn assignment(file: &AssignmentFile) -> Result<Assignment, String> {
    let mut assignment = Assignment {
        generation: file.generation,
        ..Assignment::default()
    };
    for (name, address) in &file.peers {
        let name = parse("peers", name)?;
        assignment.peers.insert(name, address.clone());
    }
    for enrolment in &file.revoked {
        assignment.revoked.insert(parse("revoked", enrolment)?);
    }
    for (folder, mode) in &file.folders {
        let (folder, mode) = (parse("folders", folder)?, parse("folders", mode)?);
        assignment.folders.insert(folder, mode);
    }
    Ok(assignment)
}

fn parse<T: FromStr<Err: Display>>(field: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|error| format!("{field}: {error}"))
}

fn bytes(field: &str, digits: &str) -> Result<Vec<u8>, String> {
    from_hexadecimal(digits).ok_or_else(|| format!("{field}: not hexadecimal"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use replicat_manager::PlacementMode;
    use replicat_net::EnrolmentId;
    use tempfile::TempDir;

    use super::*;

    fn cache() -> (Cache, TempDir) {
        let place = tempfile::tempdir().unwrap();
        let cache = Cache::open(place.path().join("deep/state")).unwrap();
        (cache, place)
    }

    #[test]
    fn what_was_told_survives() {
        let (cache, _place) = cache();
        assert_eq!(cache.assignment().unwrap(), Assignment::default());
        let assignment = Assignment {
            generation: 3,
            peers: [("a".parse().unwrap(), "10.0.0.1:8787".to_owned())].into(),
            revoked: [EnrolmentId(9)].into(),
            folders: [("site".parse().unwrap(), PlacementMode::SendOnly)].into(),
        };
        cache.keep_assignment(&assignment).unwrap();
        assert_eq!(cache.assignment().unwrap(), assignment);
    }

    #[test]
    fn a_key_is_kept_for_its_owner_alone() {
        let (cache, _place) = cache();
        assert!(cache.identity().unwrap().is_none());
        let key = NodeKey::generate().unwrap();
        cache.keep_key(&key).unwrap();
        let Some(Kept::Asking(kept)) = cache.identity().unwrap() else {
            panic!("a key was kept");
        };
        assert_eq!(kept.public_key(), key.public_key());
        let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(cache.directory.join(IDENTITY)), 0o600);
        assert_eq!(mode(cache.directory.clone()), 0o700);
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let (cache, _place) = cache();
        for (name, text) in [
            (IDENTITY, "{"),
            (
                IDENTITY,
                r#"{"format":1,"key":"xy","certificate":null,"authority":null}"#,
            ),
            (IDENTITY, r#"{"format":2}"#),
            (
                ASSIGNMENT,
                r#"{"format":1,"generation":1,"peers":{"a/b":""},"revoked":[],"folders":{}}"#,
            ),
        ] {
            fs::write(cache.directory.join(name), text).unwrap();
            let error = match name {
                IDENTITY => cache.identity().err(),
                _ => cache.assignment().err(),
            };
            let error = error.unwrap().to_string();
            assert!(
                error.contains(name) && error.contains("new token"),
                "{error}"
            );
        }
    }
}
