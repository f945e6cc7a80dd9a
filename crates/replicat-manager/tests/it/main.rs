//! The manager over real object stores.

#![allow(clippy::unwrap_used)] // The helpers of a test may panic as the test itself may.

mod serving;
mod sharing;
mod storing;
