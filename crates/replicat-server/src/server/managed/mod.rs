//! A node that has a manager: who it is, whom it talks to and what it keeps, as the manager says.
//!
//! Goals: the node goes on from what it kept while the manager is away; whoever was removed is cut off at once; where a
//! folder lies is decided here and not by the manager.
//! Non-goals: deciding who takes part (`replicat-manager`).

mod cache;
mod client;
mod enrolment;
mod error;

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use replicat_engine::live::FolderMode;
use replicat_manager::{Assignment, PlacementMode};
use replicat_net::{NodeName, PeerIdentity};

use crate::settings::{FolderSettings, NodeSettings, Settings, SettingsError};
use cache::Cache;

pub use cache::CacheError;
pub(super) use client::follow;
pub(super) use enrolment::join;
pub use error::ManagedError;

/// What a node knows of its manager, and what it was told.
pub(crate) struct Managed {
    /// Where the manager is, `host:port`.
    address: String,
    cache: Cache,
    /// Below it lie the folders for which the owner of the node has named no directory.
    folders: PathBuf,
    state: Mutex<State>,
}

struct State {
    /// The settings of the owner, without what the manager says.
    own: Settings,
    assignment: Assignment,
}

impl Managed {
    /// Why a peer is not to be talked to, if it is not.
    pub(crate) fn admit(&self, peer: &PeerIdentity) -> Result<(), String> {
        let state = self.lock();
        let is_revoked = peer
            .enrolment
            .is_some_and(|enrolment| state.assignment.revoked.contains(&enrolment));
        match is_revoked {
            true => Err(format!("node {} was removed from the cluster", peer.name)),
            false => Ok(()),
        }
    }

    /// What the node goes by now.
    ///
    /// # Errors
    /// If the settings of the owner do not go together with what the manager says.
    pub(super) fn settings(&self) -> Result<Settings, SettingsError> {
        let state = self.lock();
        self.united(&state.own, &state.assignment)
    }

    /// Takes one more folder of the owner; what the node goes by then.
    ///
    /// # Errors
    /// As [`Managed::replace_own`].
    pub(super) fn add_own_folder(&self, folder: FolderSettings) -> Result<Settings, SettingsError> {
        let mut own = self.lock().own.clone();
        own.folders.push(folder);
        self.replace_own(own)
    }

    /// Takes other settings of the owner; what the node goes by then.
    ///
    /// # Errors
    /// If they do not go together with what the manager says. Nothing changes then.
    pub(super) fn replace_own(&self, own: Settings) -> Result<Settings, SettingsError> {
        let mut state = self.lock();
        let settings = self.united(&own, &state.assignment)?;
        state.own = own;
        Ok(settings)
    }

    /// Goes by another assignment; what the node is to do then. Who was removed is not admitted from here on, even if the
    /// rest cannot be done.
    ///
    /// # Errors
    /// If it does not go together with the settings of the owner.
    fn replace_assignment(&self, assignment: Assignment) -> Result<Settings, SettingsError> {
        let mut state = self.lock();
        state.assignment = assignment;
        self.united(&state.own, &state.assignment)
    }

    /// Creates the directories of folders that are placed here for the first time. From then on one that is missing is a
    /// disk that is missing: its folder is halted.
    fn create_directories(&self, assignment: &Assignment) -> io::Result<()> {
        let state = self.lock();
        let own = &state.own.folders;
        for name in assignment.folders.keys() {
            let is_new = !state.assignment.folders.contains_key(name);
            if is_new && !own.iter().any(|folder| folder.name == *name) {
                fs::create_dir_all(self.folders.join(name.as_str()))?;
            }
        }
        Ok(())
    }

    /// The settings of the owner, with what the manager says.
    fn united(&self, own: &Settings, assignment: &Assignment) -> Result<Settings, SettingsError> {
        let mut settings = own.clone();
        for (name, address) in &assignment.peers {
            if !names(own, name) {
                settings.set_node(NodeSettings {
                    name: Some(name.clone()),
                    address: address.clone(),
                });
            }
        }
        for (name, mode) in &assignment.folders {
            let placed = settings.folders.iter_mut().find(|row| row.name == *name);
            match placed {
                Some(folder) => folder.mode = folder_mode(*mode),
                None => {
                    let directory = self.folders.join(name.as_str());
                    settings.folders.push(FolderSettings {
                        mode: folder_mode(*mode),
                        ..FolderSettings::new(name.clone(), directory)
                    });
                }
            }
        }
        settings.check()?;
        Ok(settings)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the owner says where a node is.
fn names(settings: &Settings, name: &NodeName) -> bool {
    let mut nodes = settings.nodes.iter();
    nodes.any(|node| node.name.as_ref() == Some(name))
}

fn folder_mode(mode: PlacementMode) -> FolderMode {
    match mode {
        PlacementMode::ReadWrite => FolderMode::ReadWrite,
        PlacementMode::SendOnly => FolderMode::SendOnly,
        PlacementMode::ReceiveOnly => FolderMode::ReceiveOnly,
    }
}

fn placement_mode(mode: FolderMode) -> PlacementMode {
    match mode {
        FolderMode::ReadWrite => PlacementMode::ReadWrite,
        FolderMode::SendOnly => PlacementMode::SendOnly,
        FolderMode::ReceiveOnly => PlacementMode::ReceiveOnly,
    }
}

#[cfg(test)]
mod tests;
