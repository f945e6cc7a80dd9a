//! How the manager's objects are written: JSON that says its format. Each format is a module of its own.

mod v1;

use replicat_net::ClusterKey;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::error::ManagerError;
use crate::sighting::Sightings;
use crate::state::State;

/// The newest format of each object.
const FORMAT: u32 = 1;

/// What every object begins with.
#[derive(Deserialize)]
struct Header {
    format: u32,
}

/// The bytes of a state.
pub(crate) fn encode_state(state: &State) -> Vec<u8> {
    v1::encode_state(state)
}

/// The state of an object.
///
/// # Errors
/// If it is of a newer format, or no state.
pub(crate) fn decode_state(object: &str, bytes: &[u8]) -> Result<State, ManagerError> {
    check_format(object, bytes)?;
    v1::decode_state(bytes).map_err(|problem| damaged(object, problem))
}

/// The bytes of a cluster key: the secret itself.
pub(crate) fn encode_authority(key: &ClusterKey) -> Zeroizing<Vec<u8>> {
    v1::encode_authority(key)
}

/// The cluster key of an object.
///
/// # Errors
/// If it is of a newer format, or none.
pub(crate) fn decode_authority(object: &str, bytes: &[u8]) -> Result<ClusterKey, ManagerError> {
    check_format(object, bytes)?;
    v1::decode_authority(bytes).map_err(|problem| damaged(object, problem))
}

/// The bytes of what is known of the nodes.
pub(crate) fn encode_sightings(sightings: &Sightings) -> Vec<u8> {
    v1::encode_sightings(sightings)
}

/// What is known of the nodes.
///
/// # Errors
/// If it is of a newer format, or none.
pub(crate) fn decode_sightings(object: &str, bytes: &[u8]) -> Result<Sightings, ManagerError> {
    check_format(object, bytes)?;
    v1::decode_sightings(bytes).map_err(|problem| damaged(object, problem))
}

fn check_format(object: &str, bytes: &[u8]) -> Result<(), ManagerError> {
    let header: Header =
        serde_json::from_slice(bytes).map_err(|error| damaged(object, error.to_string()))?;
    match header.format {
        FORMAT => Ok(()),
        found if found > FORMAT => Err(ManagerError::NewerFormat {
            object: object.to_owned(),
            found,
            known: FORMAT,
        }),
        found => Err(damaged(object, format!("there is no format {found}"))),
    }
}

fn damaged(object: &str, problem: String) -> ManagerError {
    ManagerError::Damaged {
        object: object.to_owned(),
        problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_format_is_told_from_damage() {
        let newer = decode_state("state/1", br#"{"format":2,"strange":true}"#);
        assert!(matches!(
            newer,
            Err(ManagerError::NewerFormat { found: 2, .. })
        ));
        for bytes in [
            &b""[..],
            b"{}",
            br#"{"format":0}"#,
            br#"{"format":1,"odd":1}"#,
        ] {
            let damaged = decode_state("state/1", bytes);
            assert!(matches!(damaged, Err(ManagerError::Damaged { .. })));
        }
    }

    #[test]
    fn a_cluster_key_survives_its_object() {
        let key = ClusterKey::generate().unwrap();
        let bytes = encode_authority(&key);
        assert_eq!(decode_authority("authority", &bytes).unwrap(), key);
    }
}
