//! Tests of the engine through its public face.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod deletions;
mod live;
mod meddling;
mod pair;
mod peers;
mod refused;
mod selecting;
