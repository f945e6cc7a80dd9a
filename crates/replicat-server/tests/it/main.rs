//! Nodes in one process, with real directories and links.

#![allow(clippy::unwrap_used, clippy::expect_used)] // The helpers of a test may panic as the test itself may.

mod cluster;
mod events;
mod files;
mod hostile;
mod memory;
mod modes;
mod refusals;
mod rude;
mod storages;
mod topology;
