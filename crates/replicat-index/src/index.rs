//! The index of one replica: opening, committing, and the rows that are not the core's.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use redb::backends::InMemoryBackend;
use redb::{Database, DatabaseError, ReadableDatabase, StorageBackend, WriteTransaction};
use replicat_core::id::ContentHash;
use replicat_core::path::RelPath;
use replicat_core::store::Identity;

use crate::directories::Directories;
use crate::error::{Fault, IndexError};
use crate::flush;
use crate::format::FORMAT_VERSION;
use crate::format::keys::Place;
use crate::format::rows::{decode_history, decode_manifest, encode_manifest};
use crate::history::{HISTORY_ROWS_MAX, HistoryRow};
use crate::manifest::Manifest;
use crate::migrate;
use crate::overlay::{Overlay, directory_of};
use crate::query::View;
use crate::reader::Reader;
use crate::summary::Summary;
use crate::tables::{Committed, Name, OpenTables, Rows, Source};

/// How much of the file redb may hold in memory.
const CACHE_BYTES: usize = 64 << 20;

/// When a commit returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Once it would survive a loss of power, with all commits before it.
    Group,
    /// At once: it survives a crash or a loss of power only if a later [`Durability::Group`] does.
    None,
}

/// The durable index of a replica. It is owned by one thread at a time; other threads read its last
/// commit through [`Index::reader`].
///
/// Writes are seen by reads at once, and become durable together at [`Index::commit`]. Dropping the
/// index undoes what was not committed.
pub struct Index {
    path: PathBuf,
    // Before the database, so that it is undone before the file is closed.
    transaction: Option<WriteTransaction>,
    committed: Arc<Committed>,
    pub(crate) directories: Directories,
    pub(crate) overlay: Overlay,
    pub(crate) summary: Summary,
    state: State,
    database: Database,
}

/// Whether the file holds what was committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It does, and it would after a loss of power.
    Durable,
    /// It does, but the last commits were made with [`Durability::None`].
    Volatile,
    /// A write failed: nobody knows.
    Failed,
}

impl Index {
    /// Makes the index of a replica that has seen nothing.
    ///
    /// It appears at `path` whole or not at all.
    ///
    /// # Errors
    /// [`IndexError::Exists`] if there is one; [`IndexError::Io`].
    pub fn create(path: &Path, identity: &Identity) -> Result<Self, IndexError> {
        if path.exists() {
            let path = path.to_owned();
            return Err(IndexError::Exists { path });
        }
        Self::create_at(path, identity).map_err(|fault| fault.at(path, "create"))
    }

    fn create_at(path: &Path, identity: &Identity) -> Result<Self, Fault> {
        let mut unfinished = path.as_os_str().to_owned();
        unfinished.push(".new");
        let unfinished = PathBuf::from(unfinished);
        match fs::remove_file(&unfinished) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let database = builder().create(&unfinished)?;
        let index = Self::initialise(database, path, identity)?;
        fs::rename(&unfinished, path)?;
        let directory = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()?;
        Ok(index)
    }

    /// Opens an index, and migrates it if an older replicat wrote it.
    ///
    /// # Errors
    /// [`IndexError::Missing`], [`IndexError::Locked`], [`IndexError::NewerFormat`],
    /// [`IndexError::Damaged`], [`IndexError::Io`].
    pub fn open(path: &Path) -> Result<Self, IndexError> {
        let open = || open_unharmed(|| builder().open(path));
        let opened = open().and_then(|database| Self::load(database, path));
        opened.map_err(|fault| fault.at(path, "open"))
    }

    /// Opens or makes an index on any storage, for tests of what a storage may do.
    ///
    /// # Errors
    /// As [`Index::open`].
    pub fn with_backend(
        backend: impl StorageBackend,
        identity: &Identity,
    ) -> Result<Self, IndexError> {
        let path = Path::new("on a custom storage");
        let open = || open_unharmed(|| builder().create_with_backend(backend));
        let opened = open().and_then(|database| match holds_tables(&database)? {
            true => Self::load(database, path),
            false => Self::initialise(database, path, identity),
        });
        opened.map_err(|fault| fault.at(path, "open"))
    }

    /// An index that is gone with the process. Its size is bounded by memory: for small trees and tests.
    ///
    /// # Errors
    /// [`IndexError::Io`] if memory runs out.
    pub fn in_memory(identity: &Identity) -> Result<Self, IndexError> {
        Self::with_backend(InMemoryBackend::new(), identity)
    }

    /// An index to try things on, which vanishes with the process: a copy of the one at `from`, or that of
    /// a replica that has seen nothing. Its file is made in `directory`, and has no name there for longer
    /// than it takes to open it.
    ///
    /// # Errors
    /// As [`Index::open`], of `from`.
    pub fn scratch(
        from: Option<&Path>,
        identity: &Identity,
        directory: &Path,
    ) -> Result<Self, IndexError> {
        let scratch = scratch_path(directory);
        let opened = match from {
            Some(from) => copy_unlocked(from, &scratch)
                .map_err(|fault| fault.at(from, "copy"))
                .and_then(|()| Self::open(&scratch)),
            None => Self::create(&scratch, identity),
        };
        let removed = fs::remove_file(&scratch);
        let index = opened?;
        removed.map_err(|error| Fault::from(error).at(&scratch, "unlink"))?;
        Ok(index)
    }

    fn initialise(database: Database, path: &Path, identity: &Identity) -> Result<Self, Fault> {
        let transaction = database.begin_write()?;
        {
            let mut tables = OpenTables::of(&transaction)?;
            migrate::set_format(&mut tables)?;
            Summary::new(identity).save(&mut tables)?;
        }
        transaction.commit()?;
        Self::load(database, path)
    }

    fn load(database: Database, path: &Path) -> Result<Self, Fault> {
        let format = migrate::format(&database.begin_read()?)?;
        if format > FORMAT_VERSION {
            return Err(Fault::NewerFormat(format));
        }
        if format < FORMAT_VERSION {
            let transaction = database.begin_write()?;
            migrate::migrate(&transaction, format)?;
            transaction.commit()?;
        }
        let committed = Committed::latest(&database)?;
        let summary = Summary::load(&committed)?;
        Ok(Self {
            path: path.to_owned(),
            transaction: None,
            committed: Arc::new(committed),
            directories: Directories::default(),
            overlay: Overlay::default(),
            summary,
            state: State::Durable,
            database,
        })
    }

    /// Where the index is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes all writes since the last commit one: after a crash, all of them are there or none is.
    ///
    /// # Errors
    /// [`IndexError::Io`]; the index must then be opened again.
    pub fn commit(&mut self, durability: Durability) -> Result<(), IndexError> {
        let done = self.try_commit(durability);
        self.after_write(done)
            .map_err(|fault| fault.at(&self.path, "commit to"))
    }

    fn try_commit(&mut self, durability: Durability) -> Result<(), Fault> {
        self.usable()?;
        let written = self.transaction.is_some();
        let unwritten = !self.overlay.is_empty() || !self.summary.is_saved();
        let volatile = self.state == State::Volatile && durability == Durability::Group;
        if !(written || unwritten || volatile) {
            return Ok(());
        }
        self.flush()?;
        let Some(mut transaction) = self.transaction.take() else {
            return Ok(());
        };
        self.summary.save(&mut OpenTables::of(&transaction)?)?;
        self.state = match durability {
            Durability::Group => State::Durable,
            Durability::None => {
                // Refused only where processes share the file or savepoints are used: not here.
                transaction
                    .set_durability(redb::Durability::None)
                    .map_err(|error| Fault::Io(io::Error::other(error.to_string())))?;
                State::Volatile
            }
        };
        transaction.commit()?;
        self.committed = Arc::new(Committed::latest(&self.database)?);
        Ok(())
    }

    /// Undoes all writes since the last commit.
    ///
    /// # Errors
    /// [`IndexError::Io`]; the index must then be opened again.
    pub fn rollback(&mut self) -> Result<(), IndexError> {
        let done = self.try_rollback();
        self.after_write(done)
            .map_err(|fault| fault.at(&self.path, "roll back"))
    }

    fn try_rollback(&mut self) -> Result<(), Fault> {
        self.usable()?;
        self.overlay = Overlay::default();
        if let Some(transaction) = self.transaction.take() {
            transaction.abort()?;
        }
        self.directories.forget();
        self.summary = Summary::load(&*self.committed)?;
        Ok(())
    }

    /// Gives back the space that is no longer used, after a commit of all that is held. It takes as long as
    /// writing the whole file, and wants every [`Reader`] to be gone.
    ///
    /// # Errors
    /// [`IndexError::Io`], also if a reader is in use; the index must then be opened again.
    pub fn compact(&mut self) -> Result<(), IndexError> {
        self.commit(Durability::Group)?;
        let done = self.try_compact();
        self.after_write(done)
            .map_err(|fault| fault.at(&self.path, "compact"))
    }

    fn try_compact(&mut self) -> Result<(), Fault> {
        self.committed = Arc::new(Committed::none());
        self.database
            .compact()
            .map_err(|error| Fault::Io(io::Error::other(error.to_string())))?;
        self.committed = Arc::new(Committed::latest(&self.database)?);
        Ok(())
    }

    /// A reader of the last commit, for other threads.
    #[must_use]
    pub fn reader(&self) -> Reader {
        let replicas = Arc::new(self.summary.replicas.clone());
        Reader::new(Arc::clone(&self.committed), replicas, &self.path)
    }

    /// Verifies the whole file, which takes as long as reading it.
    ///
    /// # Errors
    /// [`IndexError::Damaged`] if a page is not as it was written; [`IndexError::Io`].
    pub fn verify(path: &Path) -> Result<(), IndexError> {
        let open = || open_unharmed(|| builder().set_check_integrity_on_open(true).open(path));
        let verified = open().and_then(|database| Self::load(database, path));
        verified.map_err(|fault| fault.at(path, "verify")).map(drop)
    }

    /// The chunks of a content, if they are kept.
    ///
    /// # Errors
    /// [`IndexError::Damaged`], [`IndexError::Io`], [`IndexError::Failed`].
    pub fn manifest(&self, content: ContentHash) -> Result<Option<Manifest>, IndexError> {
        self.row(Name::Manifests, &content.0, decode_manifest)
            .map_err(|fault| fault.at(&self.path, "read a manifest from"))
    }

    /// Keeps the chunks of a content.
    ///
    /// # Errors
    /// [`IndexError::Io`], [`IndexError::Failed`].
    pub fn set_manifest(
        &mut self,
        content: ContentHash,
        manifest: &Manifest,
    ) -> Result<(), IndexError> {
        let row = encode_manifest(manifest);
        self.set_row(Name::Manifests, &content.0, Some(row))
            .map_err(|fault| fault.at(&self.path, "keep a manifest in"))
    }

    /// Forgets the chunks of a content.
    ///
    /// # Errors
    /// [`IndexError::Io`], [`IndexError::Failed`].
    pub fn remove_manifest(&mut self, content: ContentHash) -> Result<(), IndexError> {
        self.set_row(Name::Manifests, &content.0, None)
            .map_err(|fault| fault.at(&self.path, "remove a manifest from"))
    }

    /// What the owner keeps under `name`.
    ///
    /// # Errors
    /// [`IndexError::Io`], [`IndexError::Failed`].
    pub fn setting(&self, name: &str) -> Result<Option<Vec<u8>>, IndexError> {
        self.row(Name::Settings, name.as_bytes(), |row| Ok(row.to_vec()))
            .map_err(|fault| fault.at(&self.path, "read a setting from"))
    }

    /// Keeps `value` under `name`, or forgets it.
    ///
    /// # Errors
    /// [`IndexError::Io`], [`IndexError::Failed`].
    pub fn set_setting(&mut self, name: &str, value: Option<&[u8]>) -> Result<(), IndexError> {
        let value = value.map(<[u8]>::to_vec);
        self.set_row(Name::Settings, name.as_bytes(), value)
            .map_err(|fault| fault.at(&self.path, "keep a setting in"))
    }

    /// What happened at `path`, oldest first: the newest [`HISTORY_ROWS_MAX`] events.
    ///
    /// # Errors
    /// [`IndexError::Damaged`], [`IndexError::Io`], [`IndexError::Failed`].
    pub fn history(&self, path: &RelPath) -> Result<Vec<HistoryRow>, IndexError> {
        self.find_history(path)
            .map_err(|fault| fault.at(&self.path, "read the history from"))
    }

    /// Adds to what happened at `path`; the oldest event goes if there are too many.
    ///
    /// # Errors
    /// [`IndexError::Io`], [`IndexError::Failed`].
    pub fn add_history(&mut self, path: &RelPath, row: &HistoryRow) -> Result<(), IndexError> {
        self.overlay.add_history(path, row.clone());
        self.flush_if_full()
            .map_err(|fault| fault.at(&self.path, "keep the history in"))
    }

    fn find_history(&self, path: &RelPath) -> Result<Vec<HistoryRow>, Fault> {
        let view = self.view()?;
        let directory = view.directories.find(&view.rows, &directory_of(path))?;
        let mut found = Vec::new();
        if let Some(directory) = directory {
            let name = path.name();
            let prefix = flush::history_prefix(Place { directory, name });
            view.rows
                .scan_prefix(Name::History, &prefix, &mut |_, row| {
                    found.push(decode_history(row, view.replicas)?);
                    Ok(())
                })?;
        }
        found.extend(
            self.overlay
                .history
                .get(path)
                .into_iter()
                .flatten()
                .cloned(),
        );
        let surplus = found.len().saturating_sub(HISTORY_ROWS_MAX);
        found.drain(..surplus);
        Ok(found)
    }

    fn row<T>(
        &self,
        table: Name,
        key: &[u8],
        read: impl FnOnce(&[u8]) -> Result<T, Fault>,
    ) -> Result<Option<T>, Fault> {
        let source = self.source()?;
        match self.overlay.row(table, key) {
            Some(held) => held.map(read).transpose(),
            None => source.get(table, key, read),
        }
    }

    fn set_row(&mut self, table: Name, key: &[u8], value: Option<Vec<u8>>) -> Result<(), Fault> {
        self.overlay.set_row(table, key, value);
        self.flush_if_full()
    }

    fn usable(&self) -> Result<(), Fault> {
        match self.state {
            State::Failed => Err(Fault::Failed),
            State::Durable | State::Volatile => Ok(()),
        }
    }

    fn source(&self) -> Result<Source<'_>, Fault> {
        self.usable()?;
        Ok(match &self.transaction {
            Some(transaction) => Source::Transaction(transaction),
            None => Source::Committed(&self.committed),
        })
    }

    /// The tables as this index sees them, the overlay left out.
    pub(crate) fn view(&self) -> Result<View<'_, Source<'_>>, Fault> {
        Ok(View {
            rows: self.source()?,
            replicas: &self.summary.replicas,
            directories: &self.directories,
        })
    }

    /// Writes the overlay into the tables if it is full.
    pub(crate) fn flush_if_full(&mut self) -> Result<(), Fault> {
        self.usable()?;
        if !self.overlay.is_full() {
            return Ok(());
        }
        let done = self.flush();
        self.after_write(done)
    }

    fn flush(&mut self) -> Result<(), Fault> {
        let overlay = std::mem::take(&mut self.overlay);
        let transaction = match self.transaction.take() {
            Some(transaction) => transaction,
            None => self.database.begin_write()?,
        };
        let transaction = self.transaction.insert(transaction);
        let mut tables = OpenTables::of(transaction)?;
        flush::write(overlay, &mut tables, &mut self.summary, &self.directories)
    }

    /// After a failed write, neither the transaction nor what is held in memory can be trusted.
    fn after_write<T>(&mut self, done: Result<T, Fault>) -> Result<T, Fault> {
        if done.is_err() {
            self.state = State::Failed;
            self.transaction = None;
            self.overlay = Overlay::default();
        }
        done
    }
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index")
            .field("path", &self.path)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

/// redb may panic on a file that was altered since it was written; that is damage, too.
fn open_unharmed(
    open: impl FnOnce() -> Result<Database, DatabaseError>,
) -> Result<Database, Fault> {
    match catch_unwind(AssertUnwindSafe(open)) {
        Ok(opened) => Ok(opened?),
        Err(_) => Err(Fault::damaged("its pages contradict each other")),
    }
}

fn holds_tables(database: &Database) -> Result<bool, Fault> {
    let transaction = database.begin_read()?;
    let mut tables = transaction.list_tables()?;
    Ok(tables.next().is_some())
}

fn scratch_path(directory: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    directory.join(format!("scratch-{}-{number}.index", std::process::id()))
}

/// Copies an index that no other process has open, without changing it.
fn copy_unlocked(from: &Path, to: &Path) -> Result<(), Fault> {
    let mut source = File::open(from)?;
    // redb takes this very lock on the file of an open database.
    match source.try_lock_shared() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(Fault::Locked),
        Err(TryLockError::Error(error)) => return Err(error.into()),
    }
    let mut target = OpenOptions::new().write(true).create_new(true).open(to)?;
    io::copy(&mut source, &mut target)?;
    Ok(())
}
