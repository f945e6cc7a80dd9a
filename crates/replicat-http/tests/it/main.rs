//! The API over real sockets.

#![allow(clippy::unwrap_used, clippy::expect_used)] // The helpers of a test may panic as the test itself may.

mod client;
mod conflicts;
mod described;
mod encrypted;
mod enrolled;
mod entry;
mod events;
mod files;
mod limits;
mod managing;
mod node;
mod place;
