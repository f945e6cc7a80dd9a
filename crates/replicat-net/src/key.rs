//! The cluster key: the one secret that makes processes members of one cluster.
//!
//! Goals: a mistyped key is told from a wrong one before any connection is made; the key does not
//! appear in logs and is wiped from memory when dropped.
//! Non-goals: storing it. Formats and derivations are laid down in `docs/protocol.md`.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::{constant_time, digest, hkdf, rand};
use zeroize::Zeroizing;

use crate::authority::{Authority, AuthorityError};
use crate::base32;
use crate::name::ClusterId;

/// Length of the secret, in bytes.
const KEY_BYTES: usize = 32;
/// Length of the checksum behind it. 35 bytes are 56 characters exactly, without padding.
const CHECKSUM_BYTES: usize = 3;
/// Length of the text form, in characters.
const TEXT_CHARACTERS: usize = 56;
/// The salt of every derivation, and what the checksum is taken over first.
const SALT: &[u8] = b"replicat cluster key v1";
/// The HKDF info for the seed of the authority's Ed25519 key.
const AUTHORITY_INFO: &[u8] = b"authority ed25519";
/// The HKDF info for the public id of the cluster.
const CLUSTER_ID_INFO: &[u8] = b"cluster id";

/// 256 random bits that all nodes of a cluster share.
///
/// Whoever has the key can be any node of the cluster. Its text form is 56 characters on one line:
/// the key and a checksum in base32.
#[derive(Clone)]
pub struct ClusterKey(Zeroizing<[u8; KEY_BYTES]>);

/// Why a text is no cluster key, or why none could be made.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ClusterKeyError {
    /// Characters are missing, or there are too many.
    #[error("a cluster key has {TEXT_CHARACTERS} characters, this has {found}; copy it whole")]
    Length {
        /// How many characters there are.
        found: usize,
    },
    /// A character is not of the alphabet.
    #[error("the cluster key has {character:?} at character {position}; only a-z and 2-7 occur")]
    Character {
        /// What was found.
        character: char,
        /// Where, counted from 1.
        position: usize,
    },
    /// The checksum does not fit.
    #[error("the cluster key has a typing error: its checksum does not fit; copy it again")]
    Checksum,
    /// The operating system gave no random bytes.
    #[error("cannot make a cluster key: the system gives no random bytes")]
    Random,
}

impl ClusterKey {
    /// A new random key.
    ///
    /// # Errors
    /// If the operating system gives no random bytes.
    pub fn generate() -> Result<Self, ClusterKeyError> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        rand::fill(key.as_mut_slice()).map_err(|_| ClusterKeyError::Random)?;
        Ok(Self(key))
    }

    /// The text form, which [`FromStr`] reads. It is the secret itself.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(KEY_BYTES + CHECKSUM_BYTES));
        bytes.extend_from_slice(self.0.as_slice());
        bytes.extend_from_slice(&checksum(&self.0));
        base32::encode(&bytes)
    }

    /// The public id of the cluster, which tells nothing of the key.
    ///
    /// # Errors
    /// If the cryptographic library fails.
    pub fn cluster_id(&self) -> Result<ClusterId, AuthorityError> {
        let mut id = [0; ClusterId::BYTES];
        self.derive(CLUSTER_ID_INFO, &mut id)?;
        Ok(ClusterId::from_bytes(id))
    }

    /// The certificate authority of the cluster, equal wherever it is derived.
    ///
    /// # Errors
    /// If the cryptographic library fails.
    pub fn authority(&self) -> Result<Authority, AuthorityError> {
        let mut seed = Zeroizing::new([0; 32]);
        self.derive(AUTHORITY_INFO, seed.as_mut_slice())?;
        Authority::from_seed(self.cluster_id()?, &seed)
    }

    fn derive(&self, info: &[u8], output: &mut [u8]) -> Result<(), AuthorityError> {
        struct Length(usize);
        impl hkdf::KeyType for Length {
            fn len(&self) -> usize {
                self.0
            }
        }
        hkdf::Salt::new(hkdf::HKDF_SHA256, SALT)
            .extract(self.0.as_slice())
            .expand(&[info], Length(output.len()))
            .and_then(|material| material.fill(output))
            .map_err(|_| AuthorityError::Derivation)
    }
}

fn checksum(key: &[u8; KEY_BYTES]) -> [u8; CHECKSUM_BYTES] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(SALT);
    context.update(key);
    let digest = context.finish();
    let mut sum = [0; CHECKSUM_BYTES];
    sum.copy_from_slice(&digest.as_ref()[..CHECKSUM_BYTES]);
    sum
}

impl FromStr for ClusterKey {
    type Err = ClusterKeyError;

    fn from_str(text: &str) -> Result<Self, ClusterKeyError> {
        let text = text.trim();
        let bytes =
            base32::decode(text).map_err(|(position, character)| ClusterKeyError::Character {
                character,
                position,
            })?;
        if text.len() != TEXT_CHARACTERS {
            return Err(ClusterKeyError::Length { found: text.len() });
        }
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        key.copy_from_slice(&bytes[..KEY_BYTES]);
        if bytes[KEY_BYTES..] != checksum(&key) {
            return Err(ClusterKeyError::Checksum);
        }
        Ok(Self(key))
    }
}

impl PartialEq for ClusterKey {
    fn eq(&self, other: &Self) -> bool {
        constant_time::verify_slices_are_equal(self.0.as_slice(), other.0.as_slice()).is_ok()
    }
}

impl Eq for ClusterKey {}

impl fmt::Debug for ClusterKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ClusterKey(hidden)")
    }
}
