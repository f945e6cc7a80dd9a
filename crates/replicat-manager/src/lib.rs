//! The manager of a cluster: who takes part, in which role, and who keeps what.
//!
//! Goals: a node is let in by a token that is good once; what was taken back is not good anywhere; several managers may share
//! one state without a protocol among them; nodes need no manager to go on.
//! Non-goals: keeping folders in sync, knowing what a mode means, showing anything.
//!
//! What is decided here, and why, is in `docs/manager.md`.

mod assignment;
mod desired;
mod directory;
mod error;
mod format;
mod manager;
mod report;
mod roster;
mod service;
mod sighting;
mod state;
mod store;
mod token;
mod wire;

pub use assignment::Assignment;
pub use desired::{DesiredState, PlacementMode, PlacementModeError};
pub use error::{ManagerError, RandomError, Refusal};
pub use manager::{CERTIFICATE_LIFETIME, Certified, MANAGER_NAME, Manager};
pub use report::{FolderFigures, NodeReport};
pub use roster::{Member, Revocation, Roster};
pub use service::{MANAGER_PORT, Observer, Service};
pub use sighting::{Sighting, Sightings};
pub use state::{EnrolmentRequest, ROWS_MAX, State, TOKEN_LIFETIME_MAX, TokenOrder, Validity};
pub use store::Snapshot;
pub use token::{
    EnrolmentToken, TokenError, TokenId, TokenIdError, TokenRecord, TokenSecret, TokenUse,
};
pub use wire::{EnrolmentAnswer, MANAGER_PROTOCOL, ManagerMessage, MessageError, NodeMessage};
