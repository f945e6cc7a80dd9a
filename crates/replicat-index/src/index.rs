//! The index of one replica: what is held of it, committing, undoing.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::{Database, WriteTransaction};

use crate::directories::Directories;
use crate::error::{Fault, IndexError};
use crate::flush;
use crate::overlay::Overlay;
use crate::query::View;
use crate::reader::Reader;
use crate::recent::Recent;
use crate::summary::Summary;
use crate::tables::{Committed, OpenTables, Source};

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
    pub(crate) recent: Recent,
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
    /// An index as of a commit.
    pub(crate) fn of_commit(
        database: Database,
        committed: Committed,
        summary: Summary,
        path: &Path,
    ) -> Self {
        Self {
            path: path.to_owned(),
            transaction: None,
            committed: Arc::new(committed),
            directories: Directories::default(),
            overlay: Overlay::default(),
            recent: Recent::default(),
            summary,
            state: State::Durable,
            database,
        }
    }

    /// Where the index is; of a copy, where its original is.
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
        self.recent.clear();
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

    pub(crate) fn usable(&self) -> Result<(), Fault> {
        match self.state {
            State::Failed => Err(Fault::Failed),
            State::Durable | State::Volatile => Ok(()),
        }
    }

    pub(crate) fn source(&self) -> Result<Source<'_>, Fault> {
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
            self.recent.clear();
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
