//! Enrolment tokens: what lets a node in, once.
//!
//! A token is shown when it is made and never again: the manager keeps the hash of its secret. It also says by which key
//! the manager is known, so that a node tells its manager from whoever else answers at the address.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use aws_lc_rs::digest;
use blake3::Hash;
use replicat_net::base32;
use replicat_net::{AuthorityPin, ClusterId, EnrolmentId, NodeName, Role};
use zeroize::Zeroizing;

use crate::error::RandomError;

/// What the checksum is taken over first.
const SALT: &[u8] = b"replicat enrolment token v1";
/// Lengths of the parts, in bytes.
const KEY_BYTES: usize = 32;
const ID_BYTES: usize = 8;
const SECRET_BYTES: usize = 16;
const CHECKSUM_BYTES: usize = 3;
/// Length of what the checksum covers.
const BODY_BYTES: usize = ClusterId::BYTES + KEY_BYTES + ID_BYTES + SECRET_BYTES;
/// Length of the text form, in characters: 75 bytes fill it exactly.
const TEXT_CHARACTERS: usize = (BODY_BYTES + CHECKSUM_BYTES) * 8 / 5;

/// Which token: 64 random bits, written as 16 hexadecimal digits. No secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId(pub u64);

/// A text that is no id of a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no id of a token: it has 16 hexadecimal digits, see `replicat manager token list`"
)]
pub struct TokenIdError(String);

impl FromStr for TokenId {
    type Err = TokenIdError;

    fn from_str(text: &str) -> Result<Self, TokenIdError> {
        let id = u64::from_str_radix(text, 16).ok().map(Self);
        id.filter(|id| id.to_string() == text)
            .ok_or_else(|| TokenIdError(text.chars().take(17).collect()))
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

impl fmt::Debug for TokenId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "TokenId({self})")
    }
}

/// The part of a token that nobody else knows. It is wiped when it is dropped.
#[derive(Clone)]
pub struct TokenSecret(Zeroizing<[u8; SECRET_BYTES]>);

impl TokenSecret {
    /// A new one.
    ///
    /// # Errors
    /// If the operating system gives no random bytes.
    pub fn generate() -> Result<Self, RandomError> {
        let mut bytes = Zeroizing::new([0; SECRET_BYTES]);
        getrandom::fill(bytes.as_mut_slice()).map_err(|_| RandomError)?;
        Ok(Self(bytes))
    }

    /// The secret of these bytes, if they are as many as one has.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.try_into().ok()?;
        Some(Self(Zeroizing::new(bytes)))
    }

    /// The secret itself.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// What is kept of it. The secret has 128 random bits, so a plain hash gives nothing away.
    #[must_use]
    pub fn hash(&self) -> Hash {
        blake3::hash(self.0.as_slice())
    }
}

impl fmt::Debug for TokenSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TokenSecret(hidden)")
    }
}

/// A token as its user holds it.
#[derive(Clone, Debug)]
pub struct EnrolmentToken {
    /// The authority of the cluster that it lets a node into.
    pub authority: AuthorityPin,
    /// Which token it is.
    pub id: TokenId,
    /// What proves that it is held.
    pub secret: TokenSecret,
}

/// Why a text is no token. What was read is not repeated: it is a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Characters are missing, or there are too many.
    #[error("an enrolment token has {TEXT_CHARACTERS} characters, this has {found}; copy it whole")]
    Length {
        /// How many characters there are.
        found: usize,
    },
    /// A character is not of the alphabet.
    #[error(
        "the enrolment token has {character:?} at character {position}; only a-z and 2-7 occur"
    )]
    Character {
        /// What was found.
        character: char,
        /// Where, counted from 1.
        position: usize,
    },
    /// The checksum does not fit.
    #[error("the enrolment token has a typing error: its checksum does not fit; copy it again")]
    Checksum,
}

impl EnrolmentToken {
    /// The text form, which [`FromStr`] reads. It holds the secret.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(BODY_BYTES + CHECKSUM_BYTES));
        bytes.extend_from_slice(&self.authority.cluster.to_bytes());
        bytes.extend_from_slice(&self.authority.public_key);
        bytes.extend_from_slice(&self.id.0.to_be_bytes());
        bytes.extend_from_slice(self.secret.as_bytes());
        let sum = checksum(&bytes);
        bytes.extend_from_slice(&sum);
        base32::encode(&bytes)
    }
}

impl FromStr for EnrolmentToken {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        let bytes =
            base32::decode(text).map_err(|(position, character)| TokenError::Character {
                character,
                position,
            })?;
        // A part that is cut short is the same mistake as a text that is.
        let length = TokenError::Length {
            found: text.chars().count(),
        };
        let (body, sum) = bytes.split_at_checked(BODY_BYTES).ok_or(length.clone())?;
        if text.len() != TEXT_CHARACTERS {
            return Err(length);
        }
        if sum != checksum(body) {
            return Err(TokenError::Checksum);
        }
        Self::from_body(body).ok_or(length)
    }
}

impl EnrolmentToken {
    fn from_body(body: &[u8]) -> Option<Self> {
        let (cluster, rest) = body.split_first_chunk()?;
        let (public_key, rest) = rest.split_first_chunk()?;
        let (id, secret) = rest.split_first_chunk()?;
        Some(Self {
            authority: AuthorityPin {
                cluster: ClusterId::from_bytes(*cluster),
                public_key: *public_key,
            },
            id: TokenId(u64::from_be_bytes(*id)),
            secret: TokenSecret::from_bytes(secret)?,
        })
    }
}

fn checksum(body: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(SALT);
    context.update(body);
    let digest = context.finish();
    let mut sum = [0; CHECKSUM_BYTES];
    sum.copy_from_slice(&digest.as_ref()[..CHECKSUM_BYTES]);
    sum
}

/// What the manager keeps of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRecord {
    /// Which token it is.
    pub id: TokenId,
    /// The hash of its secret; two are compared in constant time.
    pub secret_hash: Hash,
    /// What the node may do.
    pub role: Role,
    /// The only name that a node may take with it, if there is one.
    pub node: Option<NodeName>,
    /// When it was made.
    pub created: SystemTime,
    /// From when on it is good for nothing.
    pub expires: SystemTime,
    /// Who used it.
    pub used: Option<TokenUse>,
}

/// How a token was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenUse {
    /// The node that it let in.
    pub node: NodeName,
    /// Its enrolment.
    pub enrolment: EnrolmentId,
    /// The hash of the public key that was certified: who repeats the request holds the same key.
    pub public_key_hash: Hash,
    /// When.
    pub time: SystemTime,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> EnrolmentToken {
        EnrolmentToken {
            authority: AuthorityPin {
                cluster: ClusterId::from_bytes([1; 16]),
                public_key: [2; 32],
            },
            id: TokenId(3),
            secret: TokenSecret::from_bytes(&[4; 16]).unwrap(),
        }
    }

    #[test]
    fn a_token_survives_its_text() {
        let text = token().to_text();
        assert_eq!(text.len(), TEXT_CHARACTERS);
        let read: EnrolmentToken = format!(" {}\n", text.to_uppercase()).parse().unwrap();
        assert_eq!(read.authority, token().authority);
        assert_eq!(read.id, TokenId(3));
        assert_eq!(read.secret.as_bytes(), [4; 16]);
    }

    #[test]
    fn mistakes_are_told_apart() {
        let text = token().to_text();
        let read = |text: &str| text.parse::<EnrolmentToken>().unwrap_err();
        assert_eq!(read(&text[1..]), TokenError::Length { found: 119 });
        assert_eq!(read(""), TokenError::Length { found: 0 });
        assert_eq!(
            read(&format!("{}{}", *text, *text)),
            TokenError::Length { found: 240 }
        );
        let wrong = |letter| format!("{letter}{}", &text[1..]);
        assert_eq!(
            read(&wrong('1')),
            TokenError::Character {
                character: '1',
                position: 1
            }
        );
        assert_eq!(read(&wrong('z')), TokenError::Checksum);
    }

    #[test]
    fn a_secret_is_not_shown() {
        assert_eq!(format!("{:?}", token().secret), "TokenSecret(hidden)");
    }
}
