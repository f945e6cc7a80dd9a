//! The rows that are the owner's rather than the core's: manifests, settings, history.

use std::collections::BTreeSet;

use replicat_core::id::ContentHash;
use replicat_core::path::RelPath;

use crate::error::{Fault, IndexError};
use crate::flush;
use crate::format::keys::{self, Place};
use crate::format::rows::{decode_history, decode_manifest, encode_manifest};
use crate::history::{HISTORY_ROWS_MAX, HistoryRow};
use crate::index::Index;
use crate::manifest::{MANIFEST_PAGE_CHUNKS, Manifest};
use crate::overlay::directory_of;
use crate::tables::{Name, Rows};

/// The length of what follows a place in the key of a history row: a zero, and the sequence.
const SEQUENCE_BYTES: usize = 5;

impl Index {
    /// The chunks of a content, if they are kept.
    ///
    /// # Errors
    /// [`IndexError::Damaged`], [`IndexError::Io`], [`IndexError::Failed`].
    pub fn manifest(&self, content: ContentHash) -> Result<Option<Manifest>, IndexError> {
        let Some(mut manifest) = self.manifest_page(content, 0)? else {
            return Ok(None);
        };
        let mut number = 1;
        while let Some(page) = self.manifest_page(content, number)? {
            manifest.chunks.extend(page.chunks);
            number += 1;
        }
        Ok(Some(manifest))
    }

    /// A page of the chunks of a content: [`MANIFEST_PAGE_CHUNKS`] of them from the `number`-th page on,
    /// fewer at the end. `None` beyond it. A long manifest need not be in memory at once.
    ///
    /// # Errors
    /// [`IndexError::Damaged`], [`IndexError::Io`], [`IndexError::Failed`].
    pub fn manifest_page(
        &self,
        content: ContentHash,
        number: u32,
    ) -> Result<Option<Manifest>, IndexError> {
        let key = keys::manifest_page(content, number);
        self.row(Name::Manifests, &key, decode_manifest)
            .map_err(|fault| fault.at(self.path(), "read a manifest from"))
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
        let mut pages = 0;
        for (chunks, number) in manifest.chunks.chunks(MANIFEST_PAGE_CHUNKS).zip(0..) {
            self.set_manifest_page(content, number, Some(encode_manifest(chunks)))?;
            pages = number + 1;
        }
        if pages == 0 {
            self.set_manifest_page(content, 0, Some(encode_manifest(&[])))?;
            pages = 1;
        }
        self.remove_manifest_from(content, pages)
    }

    /// Forgets the chunks of a content.
    ///
    /// # Errors
    /// [`IndexError::Damaged`], [`IndexError::Io`], [`IndexError::Failed`].
    pub fn remove_manifest(&mut self, content: ContentHash) -> Result<(), IndexError> {
        self.remove_manifest_from(content, 0)
    }

    fn remove_manifest_from(&mut self, content: ContentHash, first: u32) -> Result<(), IndexError> {
        let mut number = first;
        while self.manifest_page(content, number)?.is_some() {
            self.set_manifest_page(content, number, None)?;
            number += 1;
        }
        Ok(())
    }

    fn set_manifest_page(
        &mut self,
        content: ContentHash,
        number: u32,
        page: Option<Vec<u8>>,
    ) -> Result<(), IndexError> {
        let key = keys::manifest_page(content, number);
        self.set_row(Name::Manifests, &key, page)
            .map_err(|fault| fault.at(self.path(), "keep a manifest in"))
    }

    /// What the owner keeps under `name`.
    ///
    /// # Errors
    /// [`IndexError::Io`], [`IndexError::Failed`].
    pub fn setting(&self, name: &str) -> Result<Option<Vec<u8>>, IndexError> {
        self.row(Name::Settings, name.as_bytes(), |row| Ok(row.to_vec()))
            .map_err(|fault| fault.at(self.path(), "read a setting from"))
    }

    /// Keeps `value` under `name`, or forgets it.
    ///
    /// # Errors
    /// [`IndexError::Io`], [`IndexError::Failed`].
    pub fn set_setting(&mut self, name: &str, value: Option<&[u8]>) -> Result<(), IndexError> {
        let value = value.map(<[u8]>::to_vec);
        self.set_row(Name::Settings, name.as_bytes(), value)
            .map_err(|fault| fault.at(self.path(), "keep a setting in"))
    }

    /// What happened at `path`, oldest first: the newest [`HISTORY_ROWS_MAX`] events.
    ///
    /// # Errors
    /// [`IndexError::Damaged`], [`IndexError::Io`], [`IndexError::Failed`].
    pub fn history(&self, path: &RelPath) -> Result<Vec<HistoryRow>, IndexError> {
        self.find_history(path)
            .map_err(|fault| fault.at(self.path(), "read the history from"))
    }

    /// Adds to what happened at `path`; the oldest event goes if there are too many.
    ///
    /// # Errors
    /// [`IndexError::Io`], [`IndexError::Failed`].
    pub fn add_history(&mut self, path: &RelPath, row: &HistoryRow) -> Result<(), IndexError> {
        self.overlay.add_history(path, row.clone());
        self.flush_if_full()
            .map_err(|fault| fault.at(self.path(), "keep the history in"))
    }

    /// All paths that have a history, in no order that means anything.
    ///
    /// # Errors
    /// [`IndexError::Damaged`], [`IndexError::Io`], [`IndexError::Failed`].
    pub fn history_paths(&self) -> Result<BTreeSet<RelPath>, IndexError> {
        self.find_history_paths()
            .map_err(|fault| fault.at(self.path(), "list the history of"))
    }

    fn find_history_paths(&self) -> Result<BTreeSet<RelPath>, Fault> {
        let view = self.view()?;
        let mut keys = BTreeSet::new();
        view.rows.scan_prefix(Name::History, &[], &mut |key, _| {
            let end = key.len().saturating_sub(SEQUENCE_BYTES);
            keys.insert(key[..end].to_vec());
            Ok(())
        })?;
        let mut paths: BTreeSet<RelPath> = self.overlay.history.keys().cloned().collect();
        for key in keys {
            let place = Place::decode(&key)?;
            paths.insert(view.directories.path_at(&view.rows, place)?);
        }
        Ok(paths)
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

    pub(crate) fn set_row(
        &mut self,
        table: Name,
        key: &[u8],
        value: Option<Vec<u8>>,
    ) -> Result<(), Fault> {
        self.overlay.set_row(table, key, value);
        self.flush_if_full()
    }
}
