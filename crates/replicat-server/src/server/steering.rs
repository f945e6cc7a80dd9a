//! What a node is told to do while it runs.

use std::sync::Arc;

use replicat_core::path::RelPath;
use replicat_engine::SyncError;
use replicat_engine::live::{FolderState, FolderStatus, LiveFolder};

use super::folders::{FolderRow, FolderTable};
use super::{ReplicatServer, ServerError};
use crate::settings::{FolderName, FolderSettings, Settings};
use crate::storage::FilesystemTracker;

impl ReplicatServer {
    /// Pauses a folder, or all.
    ///
    /// # Errors
    /// If there is no such folder.
    pub fn pause(&self, folder: Option<&str>) -> Result<Vec<FolderName>, ServerError> {
        self.each(folder, |tracker| tracker.folder().pause())
    }

    /// Lets a folder, or all, go on after a pause or after it halted; one that could not be opened is tried again.
    ///
    /// # Errors
    /// If there is no such folder, or it cannot be opened still.
    pub fn resume(&self, folder: Option<&str>) -> Result<Vec<FolderName>, ServerError> {
        for row in self.rows(folder)? {
            self.inner.folders.retry(&row)?;
        }
        self.inner.peers.offer();
        self.each(folder, |tracker| tracker.folder().resume())
    }

    /// Scans paths of a folder; everything if none are given.
    ///
    /// # Errors
    /// If there is no such folder, or it is halted or paused; if all are meant, only if all are.
    pub fn rescan(
        &self,
        folder: Option<&str>,
        paths: &[RelPath],
    ) -> Result<Vec<FolderName>, ServerError> {
        let rows = self.rows(folder)?;
        let (active, others): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| {
            // What it was told before is taken in then.
            let standing = row
                .tracker()
                .and_then(|tracker| tracker.folder().standing());
            standing.is_some_and(|status| is_active(&status.state))
        });
        if active.is_empty()
            && let Some(other) = others.first()
        {
            return Err(unable("nothing was scanned", other));
        }
        for tracker in active.iter().filter_map(|row| row.tracker()) {
            tracker.rescan(paths.to_vec());
        }
        Ok(active.iter().map(|row| row.settings.name.clone()).collect())
    }

    /// Lets the deletions pass that are held in a folder, or in all, here and at the peers; those in which any were are
    /// returned.
    ///
    /// # Errors
    /// If there is no such folder, its index fails, or no deletion is held and a folder is halted.
    pub fn approve(&self, folder: Option<&str>) -> Result<Vec<FolderName>, ServerError> {
        let mut admitted = Vec::new();
        for row in self.rows(folder)? {
            if self.inner.folders.admit(&row)? {
                admitted.push(row.settings.name.clone());
            }
        }
        if !admitted.is_empty() {
            self.inner.peers.offer();
            return Ok(admitted);
        }
        let approved = self.decide(folder, "nothing to approve", LiveFolder::approve)?;
        for name in &approved {
            self.inner.peers.approve(name);
        }
        Ok(approved)
    }

    /// Brings back the files whose deletion is held in a folder, or in all; those in which any were are returned.
    ///
    /// # Errors
    /// As [`Self::approve`].
    pub fn reject(&self, folder: Option<&str>) -> Result<Vec<FolderName>, ServerError> {
        self.decide(folder, "nothing to reject", LiveFolder::reject)
    }

    fn decide(
        &self,
        folder: Option<&str>,
        needless: &'static str,
        decide: fn(&LiveFolder) -> Result<bool, SyncError>,
    ) -> Result<Vec<FolderName>, ServerError> {
        let mut decided = Vec::new();
        let mut others = Vec::new();
        for row in self.rows(folder)? {
            let folder = row.settings.name.clone();
            let done = row.tracker().map(|tracker| decide(tracker.folder()));
            match done.transpose() {
                Ok(Some(true)) => decided.push(folder),
                Ok(Some(false) | None) => others.push(row),
                Err(source) => return Err(ServerError::Folder { folder, source }),
            }
        }
        let is_halted = |row: &&Arc<FolderRow>| {
            let state = row.report().state;
            matches!(state, FolderState::Halted { .. })
        };
        match others.iter().find(is_halted) {
            Some(halted) if decided.is_empty() => Err(unable(needless, halted)),
            _ => Ok(decided),
        }
    }

    /// The live folder of a name.
    pub(crate) fn live(&self, folder: &str) -> Result<LiveFolder, ServerError> {
        let row = self.inner.folders.named(folder)?;
        let tracker = row.tracker().ok_or_else(|| ServerError::Closed {
            folder: row.settings.name.clone(),
        })?;
        Ok(tracker.folder().clone())
    }

    fn rows(&self, folder: Option<&str>) -> Result<Vec<Arc<FolderRow>>, ServerError> {
        match folder {
            Some(name) => Ok(vec![self.inner.folders.named(name)?]),
            None => Ok(self.inner.folders.all()),
        }
    }

    fn each(
        &self,
        folder: Option<&str>,
        work: impl Fn(&FilesystemTracker),
    ) -> Result<Vec<FolderName>, ServerError> {
        let rows = self.rows(folder)?;
        for tracker in rows.iter().filter_map(|row| row.tracker()) {
            work(&tracker);
        }
        Ok(rows.iter().map(|row| row.settings.name.clone()).collect())
    }

    /// Whether a folder is in sync with all connected peers that keep it, and they have it in their directories: each
    /// is asked, and answers when it has taken in all that it was told. `false` if there is no such peer.
    ///
    /// # Errors
    /// If there is no such folder.
    pub async fn is_replicated(&self, folder: &str) -> Result<bool, ServerError> {
        let row = self.inner.folders.named(folder)?;
        let report = row.report();
        let in_sync = |status: &FolderStatus| status.in_sync && !status.peers.is_empty();
        if !report.detail.as_ref().is_some_and(in_sync) {
            return Ok(false);
        }
        if !self.inner.peers.hold(&report.name).await {
            return Ok(false);
        }
        Ok(row.report().detail.as_ref().is_some_and(in_sync))
    }

    /// Opens one more folder, and offers it to the peers.
    ///
    /// # Errors
    /// If it cannot be opened, or overlaps with another.
    pub async fn add_folder(&self, folder: FolderSettings) -> Result<(), ServerError> {
        let _applying = self.inner.applying.lock().await;
        let settings = match &self.inner.managed {
            Some(managed) => managed.add_own_folder(folder.clone())?,
            None => {
                let mut settings = self.inner.settings();
                settings.folders.push(folder.clone());
                settings.check()?;
                settings
            }
        };
        let table = Arc::clone(&self.inner.folders);
        let opened = tokio::task::spawn_blocking(move || table.start(folder));
        opened.await.map_err(|error| ServerError::System {
            action: "open the folder",
            source: std::io::Error::other(error),
        })??;
        self.inner.peers.offer();
        self.inner.set_settings(settings);
        Ok(())
    }

    /// Takes other settings of the owner: nodes, folders, notifications and the limit of bandwidth. The log names those
    /// that need a restart.
    ///
    /// # Errors
    /// If the settings cannot be used; then nothing changes. A folder that cannot be opened is halted, and no error.
    pub async fn reload(&self, settings: Settings) -> Result<(), ServerError> {
        settings.check()?;
        settings.bandwidth()?;
        for field in self.inner.boot.changed_since_start(&settings)? {
            tracing::warn!("`{field}` changed; restart the node to apply it");
        }
        let settings = match &self.inner.managed {
            Some(managed) => managed.replace_own(settings)?,
            None => settings,
        };
        self.apply(settings).await
    }

    /// Goes by other settings; if there is a manager, by what it and the owner say by now.
    pub(super) async fn apply(&self, settings: Settings) -> Result<(), ServerError> {
        let _applying = self.inner.applying.lock().await;
        let settings = match &self.inner.managed {
            Some(managed) => managed.settings()?,
            None => settings,
        };
        let limit = settings.bandwidth()?;
        let inner = Arc::clone(&self.inner);
        let old = inner.settings();
        // Nobody may follow the limit any more while the server stops.
        let _ = inner.limit.send(limit);
        inner.peers.dial(&settings.nodes);
        let table = Arc::clone(&inner.folders);
        let new = settings.clone();
        let swapped = tokio::task::spawn_blocking(move || swap_folders(&table, &old, &new));
        swapped.await.map_err(|error| ServerError::System {
            action: "open the folders",
            source: std::io::Error::other(error),
        })?;
        inner.peers.offer();
        inner.set_settings(settings);
        Ok(())
    }
}

fn is_active(state: &FolderState) -> bool {
    let is_idle = matches!(
        state,
        FolderState::Paused | FolderState::Halted { .. } | FolderState::Offline
    );
    !is_idle
}

/// Why nothing was done to a folder.
fn unable(refused: &'static str, row: &FolderRow) -> ServerError {
    let folder = row.settings.name.clone();
    match row.report().state {
        FolderState::Halted { reason } => ServerError::Halted {
            refused,
            folder,
            reason,
        },
        _ => ServerError::Paused { refused, folder },
    }
}

/// Stops the folders that are not wanted any more or are wanted otherwise, and opens those that are new.
fn swap_folders(table: &FolderTable, old: &Settings, new: &Settings) {
    for folder in old.folders.iter().filter(|old| !new.folders.contains(old)) {
        table.stop(&folder.name);
    }
    for folder in &new.folders {
        if !old.folders.contains(folder) {
            table.start_or_halt(folder.clone());
        }
    }
}
