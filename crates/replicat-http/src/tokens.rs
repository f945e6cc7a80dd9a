//! The tokens of the API: who may do what, until when.
//!
//! They lie in one file, readable for its owner alone, that holds the hashes of the tokens and not the tokens. Commands change it
//! while a server runs, which looks at each request whether it has changed.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The name of the file, in the directory of the state.
const FILE: &str = "api-tokens.json";
/// What is locked while the file is changed.
const LOCK: &str = "api-tokens.lock";
/// The format of the file.
const FORMAT: u32 = 1;
/// How many tokens there may be.
pub const TOKENS_MAX: usize = 256;
/// The longest name of a token, in bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// The largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// What every token begins with, so that it is recognised where it should not be.
const PREFIX: &str = "rpt_";
/// How many random bytes a token has.
const SECRET_BYTES: usize = 32;
/// Others may do nothing with the file.
const OTHERS_BITS: u32 = 0o077;

/// What a token is good for. Each scope includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// To look.
    Read,
    /// To act on folders as well.
    Operate,
    /// To change who takes part as well, and to see the configuration.
    Admin,
}

impl Scope {
    /// Its word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        [Self::Read, Self::Operate, Self::Admin]
            .into_iter()
            .find(|scope| scope.as_str() == word)
            .ok_or_else(|| format!("{word:?} is none of read, operate, admin"))
    }
}

/// What is kept of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// What it is called by.
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// What it is good for.
    pub scope: Scope,
    /// When it was made.
    pub created: Timestamp,
    /// When it ends; `None` if it does not.
    pub expires: Option<Timestamp>,
    /// The BLAKE3 hash of its text. It has 256 random bits, so a plain hash gives nothing away.
    hash: String,
}

impl Token {
    /// Whether it has ended.
    #[must_use]
    pub fn is_expired(&self, now: SystemTime) -> bool {
        let now = Timestamp::try_from(now).unwrap_or(Timestamp::MAX);
        self.expires.is_some_and(|expires| expires <= now)
    }
}

/// Why tokens cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum TokenStoreError {
    /// The system refused it.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was being done, as a verb.
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Others can read or write the file.
    #[error("{} must belong to the user who serves and be accessible to nobody else: chmod 600 it", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
    },
    /// The file is not understood.
    #[error("{} is damaged or of a newer format ({problem}): move it away, and make new tokens", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The name cannot be one of a token.
    #[error("the name of a token has 1 to {NAME_BYTES_MAX} bytes and no control characters")]
    Name,
    /// The token would end before it begins, or later than times go.
    #[error("a token cannot last that long")]
    Lifetime,
    /// There are too many.
    #[error("there are {TOKENS_MAX} tokens already: revoke some with `replicat api token revoke`")]
    Full,
    /// There is no such token.
    #[error("there is no API token {0}")]
    Unknown(String),
    /// The system gave no random bytes.
    #[error("the system gives no random bytes")]
    Random,
}

/// The file.
#[derive(Default, Serialize, Deserialize)]
struct Stored {
    format: u32,
    tokens: Vec<Token>,
}

/// What tells one state of the file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    seconds: i64,
    nanoseconds: i64,
}

/// The tokens in a directory.
#[derive(Debug)]
pub struct TokenStore {
    directory: PathBuf,
    read: Mutex<Option<(Stamp, Arc<[Token]>)>>,
}

impl TokenStore {
    /// Those in `directory`, which need not exist yet.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            read: Mutex::new(None),
        }
    }

    fn file(&self) -> PathBuf {
        self.directory.join(FILE)
    }

    /// All tokens, as they are kept now. A file that has not changed is not read again.
    ///
    /// # Errors
    /// If the file cannot be read, or others could.
    pub fn list(&self) -> Result<Arc<[Token]>, TokenStoreError> {
        let path = self.file();
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let found = match fs::symlink_metadata(&path) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                *read = None;
                return Ok(Arc::new([]));
            }
            Err(source) => return Err(failed("read", &path, source)),
        };
        let stamp = Stamp {
            inode: found.ino(),
            size: found.size(),
            seconds: found.mtime(),
            nanoseconds: found.mtime_nsec(),
        };
        if let Some((known, tokens)) = &*read
            && *known == stamp
        {
            return Ok(Arc::clone(tokens));
        }
        if !found.is_file() || found.mode() & OTHERS_BITS != 0 || found.size() > FILE_BYTES_MAX {
            return Err(TokenStoreError::Exposed { path });
        }
        let text = fs::read(&path).map_err(|source| failed("read", &path, source))?;
        let tokens: Arc<[Token]> = parse(&path, &text)?.into();
        *read = Some((stamp, Arc::clone(&tokens)));
        Ok(tokens)
    }

    /// The token of a text, if it is one that has not ended.
    ///
    /// # Errors
    /// As [`TokenStore::list`].
    pub fn find(&self, text: &str, now: SystemTime) -> Result<Option<Token>, TokenStoreError> {
        let tokens = self.list()?;
        let given = blake3::hash(text.as_bytes());
        // Hashes are compared in constant time.
        let found = tokens
            .iter()
            .find(|token| blake3::Hash::from_hex(&token.hash).is_ok_and(|known| known == given));
        Ok(found.filter(|token| !token.is_expired(now)).cloned())
    }

    /// Whether a token is still good.
    #[must_use]
    pub fn is_good(&self, token: &Token, now: SystemTime) -> bool {
        let tokens = self.list();
        tokens.is_ok_and(|tokens| tokens.contains(token)) && !token.is_expired(now)
    }

    /// Makes a token. Its text is returned this once, and not kept.
    ///
    /// # Errors
    /// If the name cannot be one, or the file cannot be changed.
    pub fn create(
        &self,
        name: &str,
        scope: Scope,
        lifetime: Option<Duration>,
        now: SystemTime,
    ) -> Result<(Token, String), TokenStoreError> {
        let is_name = (1..=NAME_BYTES_MAX).contains(&name.len());
        if !is_name || name.chars().any(char::is_control) {
            return Err(TokenStoreError::Name);
        }
        let created = Timestamp::try_from(now).map_err(|_| TokenStoreError::Lifetime)?;
        let expires = lifetime.map(|lifetime| created.checked_add(lifetime));
        let expires = expires.transpose().map_err(|_| TokenStoreError::Lifetime)?;
        let mut secret = [0; SECRET_BYTES];
        getrandom::fill(&mut secret).map_err(|_| TokenStoreError::Random)?;
        let id = getrandom::u64().map_err(|_| TokenStoreError::Random)?;
        let text = format!("{PREFIX}{}", blake3::Hash::from_bytes(secret).to_hex());
        let token = Token {
            id: format!("{id:016x}"),
            name: name.to_owned(),
            scope,
            created,
            expires,
            hash: blake3::hash(text.as_bytes()).to_hex().to_string(),
        };
        self.change(|tokens| {
            // Those that have ended make room.
            tokens.retain(|token| !token.is_expired(now));
            if tokens.len() >= TOKENS_MAX {
                return Err(TokenStoreError::Full);
            }
            tokens.push(token.clone());
            Ok(())
        })?;
        Ok((token, text))
    }

    /// Takes a token back.
    ///
    /// # Errors
    /// If there is none, or the file cannot be changed.
    pub fn revoke(&self, id: &str) -> Result<(), TokenStoreError> {
        self.change(|tokens| {
            let before = tokens.len();
            tokens.retain(|token| token.id != id);
            match tokens.len() == before {
                true => Err(TokenStoreError::Unknown(id.to_owned())),
                false => Ok(()),
            }
        })
    }

    /// One change at a time, by whichever process: the new file is durable before it takes the place of the old one.
    fn change(
        &self,
        change: impl FnOnce(&mut Vec<Token>) -> Result<(), TokenStoreError>,
    ) -> Result<(), TokenStoreError> {
        let at = |action, path: &Path| {
            let path = path.to_owned();
            move |source| failed(action, &path, source)
        };
        let mut builder = fs::DirBuilder::new();
        let made = builder.recursive(true).mode(0o700).create(&self.directory);
        made.map_err(at("create", &self.directory))?;
        let lock = self.directory.join(LOCK);
        let locked = private(&lock, false).map_err(at("open", &lock))?;
        locked.lock().map_err(at("lock", &lock))?;
        let mut tokens = self.list()?.to_vec();
        change(&mut tokens)?;
        let stored = Stored {
            format: FORMAT,
            tokens,
        };
        let path = self.file();
        let staged = path.with_extension("new");
        let text =
            serde_json::to_vec_pretty(&stored).map_err(|error| TokenStoreError::Damaged {
                path: path.clone(),
                problem: error.to_string(),
            })?;
        let written = private(&staged, true).and_then(|mut file| {
            file.write_all(&text)?;
            file.sync_all()
        });
        written.map_err(at("write", &staged))?;
        fs::rename(&staged, &path).map_err(at("replace", &path))?;
        let directory = File::open(&self.directory).and_then(|directory| directory.sync_all());
        directory.map_err(at("flush", &self.directory))
    }
}

/// A file for its owner alone.
fn private(path: &Path, truncate: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options
        .write(true)
        .create(true)
        .truncate(truncate)
        .mode(0o600);
    options.open(path)
}

fn parse(path: &Path, text: &[u8]) -> Result<Vec<Token>, TokenStoreError> {
    let damaged = |problem: String| TokenStoreError::Damaged {
        path: path.to_owned(),
        problem,
    };
    let stored: Stored =
        serde_json::from_slice(text).map_err(|error| damaged(error.to_string()))?;
    match stored.format {
        FORMAT => Ok(stored.tokens),
        other => Err(damaged(format!("format {other}"))),
    }
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> TokenStoreError {
    TokenStoreError::Io {
        action,
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_token_is_good_until_it_ends_or_is_revoked() {
        let place = tempfile::tempdir().unwrap();
        let store = TokenStore::new(place.path().join("state"));
        let now = SystemTime::now();
        assert!(store.list().unwrap().is_empty());
        let hour = Duration::from_secs(3600);
        let (token, text) = store
            .create("laptop", Scope::Operate, Some(hour), now)
            .unwrap();
        assert_eq!(text.len(), PREFIX.len() + 64);
        assert_eq!(store.find(&text, now).unwrap(), Some(token.clone()));
        assert_eq!(store.find("rpt_0", now).unwrap(), None);
        assert_eq!(store.find(&text, now + hour).unwrap(), None);
        let kept = fs::read_to_string(store.file()).unwrap();
        assert!(!kept.contains(&text[PREFIX.len()..]));
        assert_eq!(fs::metadata(store.file()).unwrap().mode() & 0o777, 0o600);

        // Another process revokes it.
        let other = TokenStore::new(place.path().join("state"));
        other.revoke(&token.id).unwrap();
        assert_eq!(store.find(&text, now).unwrap(), None);
        assert!(!store.is_good(&token, now));
        assert!(matches!(
            other.revoke(&token.id),
            Err(TokenStoreError::Unknown(_))
        ));
    }

    #[test]
    fn a_file_that_others_can_read_is_not_used() {
        let place = tempfile::tempdir().unwrap();
        let store = TokenStore::new(place.path());
        let now = SystemTime::now();
        store.create("a", Scope::Read, None, now).unwrap();
        fs::set_permissions(store.file(), fs::Permissions::from_mode(0o644)).unwrap();
        let fresh = TokenStore::new(place.path());
        assert!(matches!(fresh.list(), Err(TokenStoreError::Exposed { .. })));
        fs::set_permissions(store.file(), fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(store.file(), "{}").unwrap();
        assert!(matches!(fresh.list(), Err(TokenStoreError::Damaged { .. })));
    }

    #[test]
    fn names_are_plain() {
        let place = tempfile::tempdir().unwrap();
        let store = TokenStore::new(place.path());
        for name in ["", "a\nb", &"x".repeat(NAME_BYTES_MAX + 1)] {
            let made = store.create(name, Scope::Read, None, SystemTime::now());
            assert!(matches!(made, Err(TokenStoreError::Name)), "{name:?}");
        }
    }
}
